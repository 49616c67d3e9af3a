/* What a tape is inside: the list of nodes, and the memory they live in. */
#ifndef CLGRAD_CORE_TAPE_H
#define CLGRAD_CORE_TAPE_H

#include "arena.h"
#include "plan.h"
#include "record.h"
#include "tensor.h"

struct cg_tape {
    cg_device *device;
    cg_mode mode;
    cg_dtype precision; /* what is kept between ops: CG_F32 as it is computed */
    bool grad;          /* ops are recorded with their gradients */
    bool eager;
    cg_arena arena;
    cg_node **nodes; /* in the order of recording */
    size_t n_nodes, nodes_capacity;
    size_t n_run;         /* the first so many have run */
    cg_storage *storages; /* of the tape's own tensors */
    bool chains;          /* lists have chains where they can */
    bool chained;         /* the list that runs has chains */
    cg_plan plan;
    double flops;
    cg_tape_watcher watcher; /* NULL: nobody looks at each op */
    void *watcher_context;
    bool watched;     /* the watcher is looking: a read of its own has nothing to run */
    bool nameless;    /* the failure is about a tensor; which op's, cg_record will tell */
    cg_status status; /* the first failure, with its message */
    char error[2048];
    cg_tensor poison;
    uint64_t seed;      /* of the random numbers */
    int64_t step;       /* how often the list was run and forgotten since the seed was set */
    uint64_t draws;     /* of random numbers in this step */
    cg_tensor *counter; /* the step, on the device; made by the first draw */
    cg_tensor *one;     /* the gradient of a loss with respect to itself; made by the first backward */
};

#endif
