/*
 * Several processes that train one model, each on a device and a part of every batch of its own: data parallelism, as
 * of PyTorch's DistributedDataParallel. Gradients are added up while backward goes on. The processes are ranks of MPI
 * (`mpirun -n 4 clgrad train ...`); a program may fill in the functions for another way to send numbers.
 */
#ifndef CLGRAD_RANKS_H
#define CLGRAD_RANKS_H

#include <clgrad/types.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All ranks call the same functions in the same order; `begin` ones return at once with a request, whose memory must
 * stay until cg_ranks_wait. From one thread only. */
typedef struct cg_ranks {
    void *context;
    int rank, count; /* this process, from 0, of so many */
    int local;       /* its number among those on this machine */

    /* Replaces n f32 or f64 numbers by their sums over all ranks: the same bits everywhere. */
    cg_status (*begin_sum)(void *context, void *values, size_t n, cg_dtype dtype, void **request);
    /* Replaces bytes by those of rank 0. */
    cg_status (*begin_broadcast)(void *context, void *bytes, size_t size, void **request);
    /* Whether a request has ended; then it is gone. */
    cg_status (*test)(void *context, void *request, bool *ended);
    /* Ends every process of the run at once with this exit status, and does not return. */
    void (*abort)(void *context, int exit_status);
    void (*close)(void *context);
} cg_ranks;

/* Whether mpirun or its like has started this process, by what it leaves in the environment. */
CG_API bool cg_ranks_started(void);

/* Joins the ranks of MPI; once a process, from its main thread. CG_ERR_UNSUPPORTED when the build has no MPI. */
CG_API cg_status cg_ranks_open(cg_ranks *ranks) CG_MUST_USE;

/* Leaves them: when every rank does. Ranks that are all zeros are none. */
CG_API void cg_ranks_close(cg_ranks *ranks);

/* Waits for a request, without taking the processor from those who compute. CG_ERR_DEVICE when another rank does not
 * answer after cg_ranks_hurry. */
CG_API cg_status cg_ranks_wait(const cg_ranks *ranks, void *request) CG_MUST_USE;

/* This process is about to be ended: from now on whoever waits for another rank gives up after half a second. From a
 * signal handler. */
CG_API void cg_ranks_hurry(void);

/* How many rows of a batch of n this process takes, 0 where there are too few, and the first of them; NULL: of one
 * process, which takes all. */
CG_API int64_t cg_ranks_rows(const cg_ranks *ranks, int64_t n, int64_t *first);

#ifdef __cplusplus
}
#endif
#endif
