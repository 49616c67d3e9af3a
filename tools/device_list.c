/* Listing devices, whatever their number. */
#include "device_list.h"

#include <stdlib.h>

#define MAX_PROBLEMS 16

cg_status device_list(cg_device_info **infos, size_t *count) {
    size_t capacity;
    *infos = NULL;
    CG_TRY(cg_device_list(NULL, 0, &capacity));
    *infos = calloc(capacity ? capacity : 1, sizeof **infos);
    if (!*infos) {
        return cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    cg_status status = cg_device_list(*infos, capacity, count);
    if (status != CG_OK) {
        free(*infos);
        *infos = NULL;
        return status;
    }
    *count = *count < capacity ? *count : capacity;
    return CG_OK;
}

void print_backend_problems(FILE *stream) {
    cg_backend_problem problems[MAX_PROBLEMS];
    size_t count = cg_backend_problems(problems, MAX_PROBLEMS);
    for (size_t i = 0; i < count && i < MAX_PROBLEMS; i++) {
        fprintf(stream, "%s: not usable: %s\n", problems[i].backend, problems[i].reason);
    }
}
