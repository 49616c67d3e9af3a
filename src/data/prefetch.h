/*
 * Batches prepared ahead of time by threads of their own, in order: while the device works on one, the next ones are
 * made. Which thread makes a batch has no influence on it. Private to this folder.
 */
#ifndef CLGRAD_PREFETCH_H
#define CLGRAD_PREFETCH_H

#include <clgrad/status.h>

#include <stdbool.h>
#include <stdint.h>

typedef struct cg_prefetch cg_prefetch;

/* Fills slot `slot` with batch `index`. Called by several threads, each with a slot of its own. */
typedef cg_status (*cg_prefetch_fill)(void *context, int64_t index, int slot);

/* Number of slots that the threads need: one is with the caller. */
int cg_prefetch_slots(int workers);

/* Starts `workers` threads, which wait; 0: batches are made when they are taken. */
cg_status cg_prefetch_create(int workers, cg_prefetch_fill fill, void *context, cg_prefetch **prefetch) CG_MUST_USE;

/* Stops the threads, each after the batch it is at. */
void cg_prefetch_destroy(cg_prefetch *prefetch);

/* Forgets what was prepared, and prepares batches `first` to `end` - 1. Until it has returned no thread reads what the
 * batches are made of: so the caller stops, changes that, and starts. */
void cg_prefetch_stop(cg_prefetch *prefetch);
void cg_prefetch_start(cg_prefetch *prefetch, int64_t first, int64_t end);

/* Waits for the next batch: its slot is the caller's until cg_prefetch_release. Fails as its filling did. */
cg_status cg_prefetch_take(cg_prefetch *prefetch, int *slot) CG_MUST_USE;
void cg_prefetch_release(cg_prefetch *prefetch);

#endif
