#include "alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

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

void *cg_alloc_aligned(size_t alignment, size_t bytes) {
    size_t rounded = bytes / alignment * alignment + alignment; /* aligned_alloc wants a multiple */
    return counted(injected() || rounded < bytes ? NULL : aligned_alloc(alignment, rounded), bytes);
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
