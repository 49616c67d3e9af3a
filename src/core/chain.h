/*
 * Chains: elementwise ops that follow each other, of operands with as many elements each. A device that can runs a
 * chain block by block, so that what one op leaves is still in the cache when the next one wants it; and what only a
 * chain uses has no memory at all. Optimizer steps that follow each other, one for each parameter, are a chain, too,
 * and go as one. CLGRAD_PLAN without "chains" turns it off. Results are the same bits.
 */
#ifndef CLGRAD_CORE_CHAIN_H
#define CLGRAD_CORE_CHAIN_H

#include <stdbool.h>
#include <stddef.h>

#include <clgrad/tape.h>

#include "record.h"

/* Whether steps of this device have chains. */
bool cg_chains_wanted(const cg_device *device);

/* Finds the chains among the nodes that have not run, and marks what lives inside one only (cg_storage.inner). */
void cg_chains_find(cg_tape *tape);

/* Whether the node is a parameter's optimizer step, in f32. */
bool cg_is_step(const cg_node *node);

/* The last of the steps that follow the one at `first`, are of its kind, and each of a parameter of their own. */
size_t cg_steps_end(const cg_tape *tape, size_t first);

/* The first and the last node of the chain that node `index` is in; itself where it is in none. */
size_t cg_chain_first(const cg_tape *tape, size_t index);
size_t cg_chain_last(const cg_tape *tape, size_t index);

/* Runs the chain of these nodes: views between them have nothing to run. Memory is there. */
cg_status cg_chain_run(cg_tape *tape, size_t first, size_t last) CG_MUST_USE;

#endif
