/* A list of blocks, filled from the first on. */
#include "arena.h"

#include <stdalign.h>
#include <string.h>

#include "alloc.h"

#define BLOCK_SIZE ((size_t)64 * 1024)
#define ALIGNMENT alignof(max_align_t)
#define HEADER ((sizeof(cg_arena_block) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT)

static cg_arena_block *new_block(size_t bytes) {
    size_t size = bytes > BLOCK_SIZE ? bytes : BLOCK_SIZE;
    cg_arena_block *block = cg_alloc(HEADER + size);
    if (block != NULL) {
        *block = (cg_arena_block){.size = size};
    }
    return block;
}

/* The next block that has room, made where there is none. */
static cg_arena_block *advance(cg_arena *arena, size_t bytes) {
    cg_arena_block *block = arena->current != NULL ? arena->current->next : arena->first;
    if (block == NULL || block->size < bytes) {
        cg_arena_block *made = new_block(bytes);
        if (made == NULL) {
            return NULL;
        }
        made->next = block;
        *(arena->current != NULL ? &arena->current->next : &arena->first) = made;
        block = made;
    }
    block->used = 0;
    arena->current = block;
    return block;
}

void *cg_arena_alloc(cg_arena *arena, size_t bytes) {
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    cg_arena_block *block = arena->current;
    if (block == NULL || block->size - block->used < bytes) {
        block = advance(arena, bytes);
        if (block == NULL) {
            return NULL;
        }
    }
    void *memory = (char *)block + HEADER + block->used;
    block->used += bytes;
    return memset(memory, 0, bytes);
}

void cg_arena_reset(cg_arena *arena) {
    arena->current = arena->first;
    if (arena->first != NULL) {
        arena->first->used = 0;
    }
}

void cg_arena_free(cg_arena *arena) {
    for (cg_arena_block *block = arena->first, *next; block != NULL; block = next) {
        next = block->next;
        cg_free(block);
    }
    *arena = (cg_arena){0};
}
