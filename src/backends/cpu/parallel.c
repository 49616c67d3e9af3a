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
#define RANGES 16 /* of a thread's share: what a slow one has not begun the others take over */

/* One operation cut into ranges whose places do not depend on which thread takes which. */
typedef struct work {
    int64_t n, ranges;
    cpu_range_fn fn;
    void *context;
} work;

/* Where the part begins when n is cut into parts that differ by one at most. */
static int64_t begin_of(int64_t n, int64_t parts, int64_t part) {
    int64_t rest = n % parts;
    return n / parts * part + (part < rest ? part : rest);
}

/* The ranges of a thread's share that nobody has begun. */
static void run_share(const work *all, cpu_share *share, int64_t first, int64_t end) {
    for (;;) {
        int64_t range = first + atomic_fetch_add_explicit(&share->begun, 1, memory_order_relaxed);
        if (range >= end) {
            return;
        }
        all->fn(all->context, begin_of(all->n, all->ranges, range), begin_of(all->n, all->ranges, range + 1));
    }
}

/* Always the whole team, even when only some of it has work: GNU's runtime ends the threads that a smaller team leaves
 * over and starts them again for the next one. A thread begins with its own share, which its cache knows from the
 * operation before, and goes on with its neighbours': cores are not equally fast, or are taken away for a while. */
static void split(const cpu_device *device, const work *all) {
    for (int i = 0; i < device->threads; i++) {
        atomic_store_explicit(&device->shares[i].begun, 0, memory_order_relaxed);
    }
#pragma omp parallel num_threads(device->threads)
    {
        int team = omp_get_num_threads(), mine = omp_get_thread_num();
        for (int i = 0; i < team; i++) {
            int other = (mine + i) % team;
            run_share(all, &device->shares[other], begin_of(all->ranges, team, other),
                      begin_of(all->ranges, team, other + 1));
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
        int64_t most = (int64_t)device->threads * RANGES, ranges = n / grain < most ? n / grain : most;
        split(device, &(work){n, ranges, fn, context});
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
