/* What clgrad bench measures: one row a work, as data, so that a peer can be given the same. */
#ifndef CLGRAD_TOOLS_BENCH_WORKS_H
#define CLGRAD_TOOLS_BENCH_WORKS_H

#include <cjson/cJSON.h>

#include <clgrad/ops.h>

#include "options.h"

typedef enum bench_pass {
    BENCH_FORWARD,
    BENCH_BACKWARD, /* after a forward that is not timed */
    BENCH_BOTH,     /* recorded together, as in a training */
    BENCH_STEP,     /* of an optimizer, after gradients that are not timed */
    BENCH_TRAIN,    /* forward, loss, backward, step; times of an epoch */
    BENCH_PASSES,
} bench_pass;

#define BENCH_MAX_INPUTS 3

typedef cg_tensor *(*bench_build)(cg_tape *tape, cg_tensor *const *inputs);

/* A module in PyTorch's notation, or a function with its name there. */
typedef struct bench_work {
    const char *name;
    const char *module;
    bench_build build;
    const char *call;
    const char *loss;                  /* of the module's output and the last input; NULL: none */
    const char *optimizer;             /* NULL: forward, backward and both are measured */
    cg_shape inputs[BENCH_MAX_INPUTS]; /* of one batch; those of no dimension are absent */
    int64_t classes;                   /* above 0: the last input has classes, else numbers */
    bool data;                         /* the first input wants no gradient */
    bool linear;                       /* gradients do not depend on the inputs, which backward need not read */
    int64_t images;                    /* of an epoch; 0: no training */
    int steps;                         /* that a training makes before it waits for the device */
} bench_work;

extern const bench_work bench_works[];
extern const size_t bench_work_count;

const char *bench_pass_name(bench_pass pass);
size_t bench_work_inputs(const bench_work *work);
bool bench_work_has(const bench_work *work, bench_pass pass);

/* NULL when there is none of that name. */
const bench_work *bench_work_find(const char *name);

/* All rows as a peer needs them: an array of {name, module or call, loss, optimizer, inputs, classes, data, images,
 * steps, passes}. */
cJSON *bench_works_json(void);

#endif
