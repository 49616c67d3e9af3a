/* Memory that is given out piece by piece and taken back as a whole: what a tape records lives here. Kept for the next
 * step. */
#ifndef CLGRAD_ARENA_H
#define CLGRAD_ARENA_H

#include <stddef.h>

typedef struct cg_arena_block {
    struct cg_arena_block *next;
    size_t size, used;
} cg_arena_block;

typedef struct cg_arena {
    cg_arena_block *first, *current;
} cg_arena;

/* Zeroed memory, aligned for anything; NULL when memory is out. */
void *cg_arena_alloc(cg_arena *arena, size_t bytes);
void cg_arena_reset(cg_arena *arena);
void cg_arena_free(cg_arena *arena);

#endif
