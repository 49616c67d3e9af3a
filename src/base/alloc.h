/* The one door to the heap: counted, so that a test can show that a training step does not pass it. */
#ifndef CLGRAD_ALLOC_H
#define CLGRAD_ALLOC_H

#include <stddef.h>

/* As malloc, calloc, realloc, strdup, free; NULL when memory is out, with the message of CG_ERR_MEMORY left. */
void *cg_alloc(size_t bytes);
void *cg_alloc_zero(size_t count, size_t bytes);
void *cg_realloc(void *memory, size_t bytes);
char *cg_strdup(const char *text);
void cg_free(void *memory);

/* As aligned_alloc, for any number of bytes; freed by cg_free. */
void *cg_alloc_aligned(size_t alignment, size_t bytes);

/* Makes room for one more element in an array that doubles: CG_GROW(items, count, capacity) is false when memory is
 * out. */
#define CG_GROW(items, count, capacity)                                                                                \
    ((count) < (capacity) || cg_grow((void **)&(items), &(capacity), sizeof *(items)))
_Bool cg_grow(void **items, size_t *capacity, size_t element);

/* Test hook: the Nth call from now on fails (1: the next), 0: none. */
void cg_alloc_fail_at(long call);

#endif
