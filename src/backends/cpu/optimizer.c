/* Every row of updates.def as one loop over contiguous floats, compiled for several instruction sets. */
#include "cpu.h"

#include <math.h>

#define GRAIN 16384
#define TILE 512

typedef float value;
typedef float number;

#define R(constant) ((float)(constant))
#define ABS(x) fabsf(x)
#define SQRT(x) sqrtf(x)
#define HAS(k) has##k

/* What a row works on: h, n0 and n1, and a run of param, grad and the states. */
typedef struct run {
    const float *h, *grad;
    float n0, n1;
    float *param, *state[CG_UPDATE_MAX_STATES];
    bool has[CG_UPDATE_MAX_STATES];
} run;

typedef void (*row_fn)(const run *work, int64_t count);

#define CG_UPDATE(NAME, name, statements)                                                                              \
    CPU_CLONES static void row_##name(const run *work, int64_t count) {                                                \
        const float *grad = work->grad, n0 = work->n0, n1 = work->n1;                                                  \
        float *param = work->param, *at0 = work->state[0], *at1 = work->state[1], *at2 = work->state[2];               \
        const bool has0 = work->has[0], has1 = work->has[1], has2 = work->has[2];                                      \
        float h[CG_UPDATE_NUMBERS];                                                                                    \
        for (int k = 0; k < CG_UPDATE_NUMBERS; k++) {                                                                  \
            h[k] = work->h[k];                                                                                         \
        }                                                                                                              \
        _Pragma("omp simd") for (int64_t i = 0; i < count; i++) {                                                      \
            value p = param[i], g = grad[i], s0 = at0[i], s1 = at1[i], s2 = at2[i];                                    \
            statements param[i] = p;                                                                                   \
            at0[i] = s0;                                                                                               \
            at1[i] = s1;                                                                                               \
            at2[i] = s2;                                                                                               \
        }                                                                                                              \
        (void)n0, (void)n1, (void)has0, (void)has1, (void)has2, (void)h;                                               \
    }
#include <clgrad/updates.def>
#undef CG_UPDATE

static const row_fn rows[] = {
#define CG_UPDATE(NAME, name, statements) [CG_OP_##NAME] = row_##name,
#include <clgrad/updates.def>
#undef CG_UPDATE
};

typedef struct job {
    row_fn row;
    run whole;
} job;

/* Tile by tile: a state that is absent is a tile of its own, which nobody reads, so that a row is one plain loop. */
static void range(void *context, int64_t begin, int64_t end) {
    const job *work = context;
    float absent[CG_UPDATE_MAX_STATES][TILE] = {{0}};
    run part = work->whole;
    for (int64_t i = begin; i < end; i += TILE) {
        part.param = work->whole.param + i;
        part.grad = work->whole.grad + i;
        for (int k = 0; k < CG_UPDATE_MAX_STATES; k++) {
            part.state[k] = part.has[k] ? work->whole.state[k] + i : absent[k];
        }
        work->row(&part, end - i < TILE ? end - i : TILE);
    }
}

static job job_of(const cg_op *op) {
    job work = {.row = rows[op->kind->number],
                .whole = {.h = cpu_floats(&op->inputs[0]),
                          .grad = cpu_floats(&op->inputs[1]),
                          .n0 = op->n_inputs > 2 ? *cpu_floats(&op->inputs[2]) : 0.0f,
                          .n1 = op->n_inputs > 3 ? *cpu_floats(&op->inputs[3]) : 0.0f,
                          .param = cpu_floats(&op->outputs[0])}};
    for (uint32_t k = 0; k < CG_UPDATE_MAX_STATES; k++) {
        work.whole.has[k] = k + 1 < op->n_outputs && op->outputs[k + 1].buffer != NULL;
        work.whole.state[k] = work.whole.has[k] ? cpu_floats(&op->outputs[k + 1]) : NULL;
    }
    return work;
}

/* All elements of all parameters, one parameter behind the other. */
typedef struct steps {
    size_t count;
    job jobs[CG_MAX_STEPS];
    int64_t begin[CG_MAX_STEPS + 1];
} steps;

static void range_of_all(void *context, int64_t begin, int64_t end) {
    steps *all = context;
    for (size_t i = 0; i < all->count; i++) {
        int64_t first = begin > all->begin[i] ? begin : all->begin[i], last = cpu_smaller(end, all->begin[i + 1]);
        if (first < last) {
            range(&all->jobs[i], first - all->begin[i], last - all->begin[i]);
        }
    }
}

cg_status cpu_run_steps(void *device, const cg_op *ops, size_t n_ops) {
    steps all = {.count = n_ops};
    for (size_t i = 0; i < n_ops; i++) {
        all.jobs[i] = job_of(&ops[i]);
        all.begin[i + 1] = all.begin[i] + cg_shape_numel(&ops[i].outputs[0].shape);
    }
    cpu_parallel(device, all.begin[n_ops], GRAIN, range_of_all, &all);
    return CG_OK;
}

cg_status cpu_update(cpu_device *device, const cg_op *op) {
    return cpu_run_steps(device, op, 1);
}
