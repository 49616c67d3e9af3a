/*
 * Every row of elementwise.def as one loop over contiguous floats, compiled for several instruction sets. What
 * broadcasts is cut into runs along the fastest axis; an operand that repeats along it is spread out into a tile first.
 */
#include "broadcast.h"
#include "cpu.h"
#include "vector_math.h"

#define GRAIN 16384
#define TILE 512

#define R(constant) ((float)(constant))
#define ABS(x) fabsf(x)
#define EXP(x) vector_exp(x)
#define EXPM1(x) vector_expm1(x)
#define LOG(x) vector_log(x)
#define LOG1P(x) vector_log1p(x)
#define SQRT(x) sqrtf(x)
#define SIN(x) sinf(x)
#define COS(x) cosf(x)
#define TANH(x) vector_tanh(x)
#define ERF(x) vector_erf(x)
#define POW(x, y) powf(x, y)

typedef void (*row_fn)(const float *const *in, float *out, int64_t n, const float *p, bool add);

/* `first`, `second` and `third` name the inputs as the row does. */
#define LOOP(function, first, second, third, value)                                                                    \
    CPU_CLONES static void function(const float *const *in, float *out, int64_t n, const float *p, bool add) {         \
        const float *in0 = in[0], *in1 = in[1], *in2 = in[2];                                                          \
        float p0 = p[0], p1 = p[1], p2 = p[2];                                                                         \
        (void)in0, (void)in1, (void)in2, (void)p0, (void)p1, (void)p2;                                                 \
        if (add) {                                                                                                     \
            _Pragma("omp simd") for (int64_t i = 0; i < n; i++) {                                                      \
                first second third out[i] += value;                                                                    \
            }                                                                                                          \
        } else {                                                                                                       \
            _Pragma("omp simd") for (int64_t i = 0; i < n; i++) {                                                      \
                first second third out[i] = value;                                                                     \
            }                                                                                                          \
        }                                                                                                              \
    }

#define INPUT(name, k)                                                                                                 \
    float name = in##k[i];                                                                                             \
    (void)name;

#define CG_UNARY(number, NAME, name, forward, gradient)                                                                \
    LOOP(row_##name, INPUT(x, 0), , , forward)                                                                         \
    LOOP(row_##name##_backward, INPUT(x, 0), INPUT(y, 1), INPUT(dy, 2), gradient)
#define CG_BINARY(number, NAME, name, forward, gradient_a, gradient_b)                                                 \
    LOOP(row_##name, INPUT(a, 0), INPUT(b, 1), , forward)                                                              \
    LOOP(row_##name##_backward_a, INPUT(a, 0), INPUT(b, 1), INPUT(dz, 2), gradient_a)                                  \
    LOOP(row_##name##_backward_b, INPUT(a, 0), INPUT(b, 1), INPUT(dz, 2), gradient_b)
#include <clgrad/elementwise.def>
#undef CG_UNARY
#undef CG_BINARY

/* By kind number, from the first elementwise one. */
static const row_fn rows[] = {
#define CG_UNARY(number, NAME, name, y, dx) [4 * (number)] = row_##name, [4 * (number) + 1] = row_##name##_backward,
#define CG_BINARY(number, NAME, name, z, da, db)                                                                       \
    [4 * (number)] = row_##name, [4 * (number) + 1] = row_##name##_backward_a,                                         \
         [4 * (number) + 2] = row_##name##_backward_b,
#include <clgrad/elementwise.def>
#undef CG_UNARY
#undef CG_BINARY
};

bool cpu_is_elementwise(uint32_t number) {
    uint32_t index = number - CG_OP_ADD; /* a smaller number wraps to a large index */
    return index < sizeof rows / sizeof rows[0] && rows[index] != NULL;
}

typedef struct job {
    row_fn row;
    const float *in[3];
    float *out;
    float p[3];
    bool add;
    cg_broadcast plan; /* of inputs 0 and 1; input 2 has the output's shape */
} job;

static void contiguous(void *context, int64_t begin, int64_t end) {
    const job *work = context;
    const float *in[3];
    for (int k = 0; k < 3; k++) {
        in[k] = work->in[k] != NULL ? work->in[k] + begin : NULL;
    }
    work->row(in, work->out + begin, end - begin, work->p, work->add);
}

/* `count` equal values where the operand repeats; the operand itself where it does not. */
static const float *spread(const float *operand, int64_t stride, float *tile, int64_t count) {
    if (stride == 1) {
        return operand;
    }
    for (int64_t i = 0; i < count; i++) {
        tile[i] = *operand;
    }
    return tile;
}

/* A run along the fastest axis from output element `at`; a and b are where inputs 0 and 1 begin. */
static void run_axis(const job *work, const float *a, const float *b, int64_t at, int64_t count) {
    int last = work->plan.rank - 1;
    int64_t stride_a = work->plan.stride_a[last], stride_b = work->plan.stride_b[last];
    int64_t step = stride_a == 1 && stride_b == 1 ? count : TILE;
    float tile_a[TILE], tile_b[TILE];
    for (int64_t i = 0; i < count; i += step) {
        int64_t n = count - i < step ? count - i : step;
        const float *in[3] = {spread(a + i * stride_a, stride_a, tile_a, n),
                              spread(b + i * stride_b, stride_b, tile_b, n),
                              work->in[2] != NULL ? work->in[2] + at + i : NULL};
        work->row(in, work->out + at + i, n, work->p, work->add);
    }
}

/* Output elements begin..end-1, run by run; the index of all axes but the fastest counts up like an odometer. */
static void broadcast(void *context, int64_t begin, int64_t end) {
    const job *work = context;
    const cg_broadcast *plan = &work->plan;
    int last = plan->rank - 1;
    int64_t index[CG_MAX_RANK], a = 0, b = 0;
    for (int64_t axis = last, rest = begin; axis >= 0; axis--) {
        index[axis] = rest % plan->dim[axis];
        rest /= plan->dim[axis];
        a += index[axis] * plan->stride_a[axis];
        b += index[axis] * plan->stride_b[axis];
    }
    for (int64_t at = begin; at < end;) {
        int64_t left = plan->dim[last] - index[last], count = left < end - at ? left : end - at;
        run_axis(work, work->in[0] + a, work->in[1] + b, at, count);
        at += count;
        a -= index[last] * plan->stride_a[last];
        b -= index[last] * plan->stride_b[last];
        index[last] = 0;
        for (int axis = last - 1; axis >= 0; axis--) {
            a += plan->stride_a[axis];
            b += plan->stride_b[axis];
            if (++index[axis] < plan->dim[axis]) {
                break;
            }
            a -= plan->dim[axis] * plan->stride_a[axis];
            b -= plan->dim[axis] * plan->stride_b[axis];
            index[axis] = 0;
        }
    }
}

static void run_job(const cpu_device *device, job *work, const cg_shape *a, const cg_shape *b, const cg_shape *out) {
    int64_t n = cg_shape_numel(out);
    if (cg_shape_numel(a) == n && cg_shape_numel(b) == n) {
        cpu_parallel(device, n, GRAIN, contiguous, work);
    } else {
        cg_broadcast_plan(a, b, out, &work->plan);
        cpu_parallel(device, n, GRAIN, broadcast, work);
    }
}

cg_status cpu_elementwise(cpu_device *device, const cg_op *op) {
    const cg_elementwise_attrs *attrs = op->attrs;
    job work = {.row = rows[op->kind->number - CG_OP_ADD], .out = cpu_floats(&op->outputs[0]), .add = cpu_adds(op)};
    for (int k = 0; k < 3; k++) {
        work.in[k] = (uint32_t)k < op->n_inputs ? cpu_floats(&op->inputs[k]) : NULL;
        work.p[k] = (float)attrs->p[k];
    }
    const cg_shape *second = op->n_inputs > 1 ? &op->inputs[1].shape : &op->inputs[0].shape;
    run_job(device, &work, &op->inputs[0].shape, second, &op->outputs[0].shape);
    return CG_OK;
}

#define BLOCK 1024 /* floats: what an op leaves is in the nearest cache when the next one reads it */

typedef struct chain_job {
    const cg_chain *chain;
    job jobs[CG_MAX_CHAIN];
} chain_job;

typedef float inner_blocks[CG_MAX_INNER][BLOCK];

/* Where a block of an operand is: in its memory, or in the block that stands for what has none. */
static float *block_of(const cg_chain *chain, const cg_operand *operand, inner_blocks inner, int64_t begin) {
    uintptr_t number = (uintptr_t)operand->buffer - (uintptr_t)chain->inner;
    return number < CG_MAX_INNER ? inner[number] : cpu_floats(operand) + begin;
}

static void run_block(const chain_job *work, inner_blocks inner, int64_t begin, int64_t n) {
    for (size_t i = 0; i < work->chain->n_ops; i++) {
        const cg_op *op = &work->chain->ops[i];
        const job *one = &work->jobs[i];
        const float *in[3] = {NULL, NULL, NULL};
        for (uint32_t k = 0; k < op->n_inputs; k++) {
            in[k] = op->inputs[k].buffer != NULL ? block_of(work->chain, &op->inputs[k], inner, begin) : NULL;
        }
        one->row(in, block_of(work->chain, &op->outputs[0], inner, begin), n, one->p, one->add);
    }
}

static void run_blocks(void *context, int64_t begin, int64_t end) {
    inner_blocks inner;
    for (int64_t at = begin; at < end; at += BLOCK) {
        run_block(context, inner, at, end - at < BLOCK ? end - at : BLOCK);
    }
}

cg_status cpu_run_chain(void *device, const cg_chain *chain) {
    chain_job work = {.chain = chain};
    for (size_t i = 0; i < chain->n_ops; i++) {
        const cg_op *op = &chain->ops[i];
        const cg_elementwise_attrs *attrs = op->attrs;
        work.jobs[i] = (job){.row = rows[op->kind->number - CG_OP_ADD], .add = cpu_adds(op)};
        for (int k = 0; k < 3; k++) {
            work.jobs[i].p[k] = (float)attrs->p[k];
        }
    }
    cpu_parallel(device, cg_shape_numel(&chain->ops[0].outputs[0].shape), GRAIN, run_blocks, &work);
    return CG_OK;
}

/* expand is y = scale x where x repeats along the middle axis. */
cg_status cpu_expand(cpu_device *device, const cg_op *op) {
    const cg_scale_attrs *attrs = op->attrs;
    const float *x = cpu_floats(&op->inputs[0]);
    job work = {.row = row_scale,
                .in = {x, x},
                .out = cpu_floats(&op->outputs[0]),
                .p = {(float)attrs->scale},
                .add = cpu_adds(op)};
    const int64_t *dim = op->outputs[0].shape.dim;
    cg_shape shape = CG_SHAPE(dim[0], 1, dim[2]);
    run_job(device, &work, &shape, &shape, &op->outputs[0].shape);
    return CG_OK;
}
