/* Work split over the device's threads, and its scratch memory. */
#include "cpu.h"

#ifdef _OPENMP
#include <omp.h>
#else
static int omp_get_max_threads(void) {
    return 1;
}
#endif

#include "alloc.h"

int cpu_default_threads(void) {
    return omp_get_max_threads();
}

#ifdef _OPENMP
/* Always the whole team, even when only some of it has work: GNU's runtime ends the threads that a smaller team leaves
 * over and starts them again for the next one. */
static void split(int threads, int64_t n, int64_t parts, cpu_range_fn fn, void *context) {
#pragma omp parallel num_threads(threads)
    {
        int64_t team = omp_get_num_threads(), mine = omp_get_thread_num();
        int64_t active = parts < team ? parts : team;
        if (mine < active) {
            int64_t begin = n / active * mine + (n % active < mine ? n % active : mine);
            fn(context, begin, begin + n / active + (mine < n % active));
        }
    }
}
#endif

void cpu_parallel(const cpu_device *device, int64_t n, int64_t grain, cpu_range_fn fn, void *context) {
    if (n <= 0) {
        return;
    }
#ifdef _OPENMP
    if (device->threads > 1 && n / grain > 1) {
        split(device->threads, n, n / grain, fn, context);
        return;
    }
#endif
    (void)device, (void)grain;
    fn(context, 0, n);
}

void *cpu_scratch(cpu_device *device, size_t bytes) {
    if (bytes > device->scratch_bytes) {
        void *larger = cg_alloc_aligned(64, bytes);
        if (larger == NULL) {
            return NULL;
        }
        cg_free(device->scratch);
        device->scratch = larger;
        device->scratch_bytes = bytes;
    }
    return device->scratch;
}
