#define _DEFAULT_SOURCE /* madvise */
#include "alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include <clgrad/device.h>

static atomic_ullong allocations;
static atomic_long fail_at;

/* Counters order nothing: relaxed, so that they hide no race from the thread sanitizer. */
static bool injected(void) {
    return atomic_load_explicit(&fail_at, memory_order_relaxed) > 0 &&
           atomic_fetch_sub_explicit(&fail_at, 1, memory_order_relaxed) == 1;
}

static void *counted(void *memory, size_t bytes) {
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    if (memory == NULL) {
        cg_fail(CG_ERR_MEMORY, "out of host memory: %zu bytes asked for", bytes);
    }
    return memory;
}

void *cg_alloc(size_t bytes) {
    return counted(injected() ? NULL : malloc(bytes > 0 ? bytes : 1), bytes);
}

void *cg_alloc_zero(size_t count, size_t bytes) {
    return counted(injected() ? NULL : calloc(count > 0 ? count : 1, bytes > 0 ? bytes : 1), count * bytes);
}

void *cg_realloc(void *memory, size_t bytes) {
    return counted(injected() ? NULL : realloc(memory, bytes > 0 ? bytes : 1), bytes);
}

/* What is large is asked for in the kernel's huge pages, where whole ones fit: passes over it look up fewer pages. */
#define HUGE_PAGE ((size_t)2 << 20)

static void ask_for_huge_pages(void *memory, size_t bytes) {
#ifdef MADV_HUGEPAGE
    madvise(memory, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE); /* a hint: without them all works as before */
#else
    (void)memory, (void)bytes;
#endif
}

void *cg_alloc_aligned(size_t alignment, size_t bytes) {
    size_t unit = bytes >= 2 * HUGE_PAGE && alignment < HUGE_PAGE ? HUGE_PAGE : alignment;
    size_t rounded = bytes / unit * unit + unit; /* aligned_alloc wants a multiple */
    void *memory = counted(injected() || rounded < bytes ? NULL : aligned_alloc(unit, rounded), bytes);
    if (memory != NULL && unit == HUGE_PAGE) {
        ask_for_huge_pages(memory, bytes);
    }
    return memory;
}

char *cg_strdup(const char *text) {
    size_t bytes = strlen(text) + 1;
    char *copy = cg_alloc(bytes);
    return copy != NULL ? memcpy(copy, text, bytes) : NULL;
}

void cg_free(void *memory) {
    free(memory);
}

bool cg_grow(void **items, size_t *capacity, size_t element) {
    size_t wanted = *capacity < 8 ? 8 : *capacity * 2;
    void *larger = cg_realloc(*items, wanted * element);
    if (larger == NULL) {
        return false;
    }
    *items = larger;
    *capacity = wanted;
    return true;
}

void cg_alloc_fail_at(long call) {
    atomic_store(&fail_at, call);
}

uint64_t cg_host_allocations(void) {
    return atomic_load_explicit(&allocations, memory_order_relaxed);
}
