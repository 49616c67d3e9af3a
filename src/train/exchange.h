/*
 * The gradients of several ranks, added up while backward goes on: a tape's watcher reads each gradient when its last
 * op has run, and sends it in pieces of 64k numbers; behind the last one it waits for the sums and writes them back,
 * before the first op of the optimizer runs. After Li et al., PyTorch Distributed, 2020.
 */
#ifndef CLGRAD_EXCHANGE_H
#define CLGRAD_EXCHANGE_H

#include <clgrad/nn.h>
#include <clgrad/ranks.h>
#include <stdatomic.h>

typedef struct cg_exchange cg_exchange;

/* NULL for ranks that are none. */
cg_status cg_exchange_create(const cg_ranks *ranks, cg_tape *tape, const cg_module *loss, cg_tensor **parameters,
                             size_t n_parameters, const atomic_bool *cancelled, cg_exchange **exchange) CG_MUST_USE;
void cg_exchange_destroy(cg_exchange *exchange);

/* This rank does something by itself, until it is told otherwise: nothing is exchanged. NULL: nothing to do. */
void cg_exchange_pause(cg_exchange *exchange, bool on);

/* Whether somebody has cancelled the training: all ranks know it after the same update. cg_exchange_go_on: it begins
 * anew. */
bool cg_exchange_stopped(const cg_exchange *exchange);
void cg_exchange_go_on(cg_exchange *exchange);

/* What the gradient of a batch is multiplied with, so that those of all ranks add up to that of the whole batch. */
double cg_exchange_factor(const cg_exchange *exchange, double share);

/* The tape's gradients are recorded and its optimizer's step is not: adds them up when the tape runs. */
cg_status cg_exchange_record(cg_exchange *exchange) CG_MUST_USE;

/* Makes parameters and buffers, or buffers alone, those of rank 0. */
cg_status cg_exchange_broadcast(const cg_exchange *exchange, cg_module *model, bool parameters) CG_MUST_USE;

/* Adds up over all ranks, and waits. */
cg_status cg_exchange_add(const cg_exchange *exchange, double *values, size_t n) CG_MUST_USE;

#endif
