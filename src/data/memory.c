/* How much memory data may take. */
#include <unistd.h>

#include "samples.h"

int64_t cg_data_memory(const cg_data_options *options) {
    if (options->memory > 0) {
        return options->memory;
    }
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (int64_t)pages / 2 * size : INT64_MAX;
}
