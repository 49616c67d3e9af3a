/*
 * The memory of a step: before the list runs, each tensor between ops gets its place in one buffer, such that those
 * that live at the same time lie side by side. The places of a step that repeats are those of the step before.
 *
 * CLGRAD_PLAN=none, or without "memory", turns it off: then buffers come from the pool as ops want them. Results are
 * the same bits.
 */
#ifndef CLGRAD_CORE_PLAN_H
#define CLGRAD_CORE_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include <clgrad/tape.h>

/* A tensor's memory: the ops that use it first and last, and its place. */
typedef struct cg_plan_piece {
    size_t bytes, first, last;
    size_t offset;
    size_t above; /* the next piece by offset; SIZE_MAX: none */
} cg_plan_piece;

typedef struct cg_plan_rank {
    size_t bytes, index;
} cg_plan_rank;

typedef struct cg_plan {
    bool on;
    cg_plan_piece *pieces; /* in the order of the tape's storages */
    size_t count, capacity;
    cg_plan_rank *ranks; /* of the pieces, the largest first */
    size_t ranks_capacity;
    size_t lowest; /* the first piece by offset */
    size_t total;  /* bytes of the buffer */
} cg_plan;

/* Whether CLGRAD_PLAN has this pass: "memory", "chains". Unset it has all, else it is a list of names or "none". */
bool cg_plan_has(const char *pass);

/* Whether all its names are known; asked when a device is opened. */
cg_status cg_plan_check(void);

/* Whether the memory of steps of a device is planned: not on a simulator, which checks the bounds of buffers. */
bool cg_plan_wanted(const cg_device *device);

/* Gives what the list is going to use its place; true: cg_plan_end is due when the list is forgotten. False: there is
 * nothing to plan, or no memory for it in one piece, and the pool serves. */
bool cg_plan_begin(cg_tape *tape);
void cg_plan_end(cg_tape *tape);

/* Sets the offsets of the pieces and the total. CG_ERR_MEMORY. */
cg_status cg_plan_place(cg_plan *plan) CG_MUST_USE;

/* The most bytes that live at one time: no order of places needs less. */
size_t cg_plan_bound(const cg_plan *plan);

void cg_plan_free(cg_plan *plan);

#endif
