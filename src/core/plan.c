/* Places by size: the largest piece first, each as low as those that live beside it allow. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "chain.h"
#include "tape.h"

#define NONE SIZE_MAX
#define ALIGNMENT 256 /* what any device's vectors and libraries want */

static const char *passes_wanted(void) {
    const char *wanted = getenv("CLGRAD_PLAN");
    return wanted != NULL && wanted[0] != '\0' ? wanted : "memory,chains";
}

static bool is_word(const char *text, size_t length, const char *word) {
    return strlen(word) == length && strncmp(text, word, length) == 0;
}

/* The length of the name that begins at *at, which goes to the next one. */
static size_t take_name(const char **at) {
    size_t length = strcspn(*at, ",");
    *at += length + ((*at)[length] == ',');
    return length;
}

bool cg_plan_has(const char *pass) {
    bool has = false;
    for (const char *name = passes_wanted(), *at = name; *name != '\0'; name = at) {
        has = is_word(name, take_name(&at), pass) || has;
    }
    return has;
}

cg_status cg_plan_check(void) {
    for (const char *name = passes_wanted(), *at = name; *name != '\0'; name = at) {
        size_t length = take_name(&at);
        if (!is_word(name, length, "memory") && !is_word(name, length, "chains") && !is_word(name, length, "none")) {
            return cg_fail(CG_ERR_ARGUMENT, "CLGRAD_PLAN=%s: '%.*s' is none of memory, chains and none",
                           passes_wanted(), (int)length, name);
        }
    }
    return CG_OK;
}

bool cg_plan_wanted(const cg_device *device) {
    return cg_plan_has("memory") && !device->info.simulator;
}

static size_t aligned(size_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static bool live_together(const cg_plan_piece *a, const cg_plan_piece *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* Puts the piece at the lowest place that is free while it lives, and into the list of those that have one. */
static void settle_down(cg_plan *plan, size_t index) {
    cg_plan_piece *piece = &plan->pieces[index];
    size_t room = aligned(piece->bytes), *link = &plan->lowest;
    piece->offset = 0;
    for (size_t i = plan->lowest; i != NONE; i = plan->pieces[i].above) {
        const cg_plan_piece *other = &plan->pieces[i];
        if (live_together(piece, other) && other->offset < piece->offset + room) {
            size_t end = other->offset + aligned(other->bytes);
            piece->offset = end > piece->offset ? end : piece->offset;
        }
    }
    while (*link != NONE && plan->pieces[*link].offset < piece->offset) {
        link = &plan->pieces[*link].above;
    }
    piece->above = *link;
    *link = index;
    plan->total = piece->offset + room > plan->total ? piece->offset + room : plan->total;
}

static int larger_first(const void *a, const void *b) {
    const cg_plan_rank *x = a, *y = b;
    if (x->bytes != y->bytes) {
        return x->bytes > y->bytes ? -1 : 1;
    }
    return x->index < y->index ? -1 : x->index > y->index;
}

cg_status cg_plan_place(cg_plan *plan) {
    for (size_t i = 0; i < plan->count; i++) {
        if (!CG_GROW(plan->ranks, i, plan->ranks_capacity)) {
            return CG_ERR_MEMORY;
        }
        plan->ranks[i] = (cg_plan_rank){plan->pieces[i].bytes, i};
    }
    qsort(plan->ranks, plan->count, sizeof *plan->ranks, larger_first);
    plan->lowest = NONE;
    plan->total = 0;
    for (size_t i = 0; i < plan->count; i++) {
        settle_down(plan, plan->ranks[i].index);
    }
    return CG_OK;
}

size_t cg_plan_bound(const cg_plan *plan) {
    size_t most = 0;
    for (size_t i = 0; i < plan->count; i++) { /* the most begins where a piece begins */
        size_t at = plan->pieces[i].first, sum = 0;
        for (size_t j = 0; j < plan->count; j++) {
            const cg_plan_piece *piece = &plan->pieces[j];
            sum += piece->first <= at && at <= piece->last ? piece->bytes : 0;
        }
        most = sum > most ? sum : most;
    }
    return most;
}

void cg_plan_free(cg_plan *plan) {
    cg_free(plan->pieces);
    cg_free(plan->ranks);
    *plan = (cg_plan){.on = plan->on};
}

/* What waits for memory and is used by ops that have not run. */
static bool to_be_placed(const cg_tape *tape, const cg_storage *storage) {
    return storage->buffer == NULL && storage->inner == 0 && storage->first_use != SIZE_MAX &&
           storage->last_use >= tape->n_run;
}

/* The pieces of the list as it stands; sets *changed when they are not those of the plan. False: memory is out, and the
 * next step plans anew. */
static bool collect(cg_tape *tape, bool *changed) {
    cg_plan *plan = &tape->plan;
    size_t count = 0;
    *changed = false;
    for (const cg_storage *storage = tape->storages; storage != NULL; storage = storage->next) {
        if (!to_be_placed(tape, storage)) {
            continue;
        }
        const cg_plan_piece piece = {.bytes = storage->bytes,
                                     .first = cg_chain_first(tape, storage->first_use),
                                     .last = cg_chain_last(tape, storage->last_use)};
        bool same = count < plan->count && plan->pieces[count].bytes == piece.bytes &&
                    plan->pieces[count].first == piece.first && plan->pieces[count].last == piece.last;
        if (!same) {
            *changed = true;
            if (!CG_GROW(plan->pieces, count, plan->capacity)) {
                plan->count = 0; /* some of them have no place yet */
                return false;
            }
            plan->pieces[count] = piece;
        }
        count++;
    }
    *changed = *changed || count != plan->count;
    plan->count = count;
    return true;
}

static void hand_out(cg_tape *tape, cg_buffer *buffer) {
    size_t i = 0;
    for (cg_storage *storage = tape->storages; storage != NULL; storage = storage->next) {
        if (to_be_placed(tape, storage)) {
            storage->planned = true;
            storage->start = tape->plan.pieces[i++].offset;
            storage->buffer = buffer;
        }
    }
}

bool cg_plan_begin(cg_tape *tape) {
    cg_plan *plan = &tape->plan;
    bool changed;
    cg_buffer *buffer;
    if (!plan->on || !collect(tape, &changed) || plan->count == 0) {
        return false;
    }
    if (changed && cg_plan_place(plan) != CG_OK) {
        plan->count = 0; /* the next step plans anew */
        return false;
    }
    if (cg_pool_acquire_step(tape->device, plan->total > 0 ? plan->total : 1, &buffer) != CG_OK) {
        return false;
    }
    hand_out(tape, buffer);
    return true;
}

void cg_plan_end(cg_tape *tape) {
    cg_pool_release_step(tape->device);
}
