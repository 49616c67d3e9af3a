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

/* A gradient on its way. */
typedef struct cg_exchanged {
    size_t index; /* of the last op that writes to it */
    cg_tensor *gradient;
} cg_exchanged;

typedef struct cg_exchange {
    const cg_ranks *ranks;
    cg_tape *tape;
    cg_tensor **parameters; /* borrowed */
    size_t n_parameters;
    bool loss_sums; /* over rows, else it is their mean */
    cg_dtype dtype;
    char *values;        /* of all gradients in the order of their ops, and whether somebody wants to stop */
    cg_exchanged *parts; /* of this update */
    size_t n_parts, n_read;
    size_t length, read, begun; /* numbers: in all, read, being sent */
    void **requests;
    size_t n_requests;
    const atomic_bool *cancelled; /* here */
    bool stop;                    /* somebody has cancelled the training: all know it after the same update */
    bool paused;                  /* this rank does something by itself */
} cg_exchange;

/* NULL for ranks that are none. */
cg_status cg_exchange_create(const cg_ranks *ranks, cg_tape *tape, const cg_module *loss, cg_tensor **parameters,
                             size_t n_parameters, const atomic_bool *cancelled, cg_exchange **exchange) CG_MUST_USE;
void cg_exchange_destroy(cg_exchange *exchange);

/* What the gradient of a batch is multiplied with, so that those of all ranks add up to that of the whole batch. */
double cg_exchange_factor(const cg_exchange *exchange, double share);

/* The tape's gradients are recorded and its optimizer's step is not: adds them up when the tape runs. */
cg_status cg_exchange_record(cg_exchange *exchange) CG_MUST_USE;

/* Makes parameters and buffers, or buffers alone, those of rank 0. */
cg_status cg_exchange_broadcast(const cg_exchange *exchange, cg_module *model, bool parameters) CG_MUST_USE;

/* Adds up over all ranks, and waits. */
cg_status cg_exchange_add(const cg_exchange *exchange, double *values, size_t n) CG_MUST_USE;

#endif
