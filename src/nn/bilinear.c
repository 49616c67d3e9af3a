/* Bilinear: y_k = x1^T W_k x2 + b_k; and CosineSimilarity, the other layer of two inputs. */
#include <inttypes.h>
#include <math.h>

#include "module.h"

typedef struct bilinear {
    int64_t in1, in2, out;
} bilinear;

static cg_status create(cg_module *module, const cg_arguments *arguments) {
    bilinear *state = module->state;
    state->in1 = cg_argument_int(arguments, "in1_features");
    state->in2 = cg_argument_int(arguments, "in2_features");
    state->out = cg_argument_int(arguments, "out_features");
    const cg_shape weight = CG_SHAPE(state->out, state->in1, state->in2);
    CG_TRY(cg_module_add_tensor(module, CG_ROLE_PARAMETER, "weight", &weight));
    bool bias = cg_argument_bool(arguments, "bias");
    return bias ? cg_module_add_tensor(module, CG_ROLE_PARAMETER, "bias", &CG_SHAPE(state->out)) : CG_OK;
}

static cg_status check_inputs(const bilinear *state, const cg_tensor *first, const cg_tensor *second) {
    cg_shape x1 = *cg_tensor_shape(first), x2 = *cg_tensor_shape(second);
    bool ranks = x1.rank >= 1 && x1.rank == x2.rank;
    bool sizes = ranks && x1.dim[x1.rank - 1] == state->in1 && x2.dim[x2.rank - 1] == state->in2;
    cg_shape rest = x2;
    if (sizes) {
        rest.dim[rest.rank - 1] = state->in1;
    }
    return sizes && cg_shape_equal(&x1, &rest)
               ? CG_OK
               : cg_fail(CG_ERR_SHAPE, "inputs are %s and %s, expected [.., %" PRId64 "] and [.., %" PRId64 "]",
                         cg_shape_print(&x1, CG_SHAPE_TEXT), cg_shape_print(&x2, CG_SHAPE_TEXT), state->in1,
                         state->in2);
}

/* x1 with all W_k at once is [rows, out, in2]; times x2, summed over in2. */
static cg_status forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const bilinear *state = module->state;
    CG_TRY(check_inputs(state, inputs[0], inputs[1]));
    cg_tensor *weight = cg_module_own(module, "weight"), *bias = cg_module_own(module, "bias");
    cg_shape out = *cg_tensor_shape(inputs[0]);
    int64_t rows = cg_tensor_numel(inputs[0]) / state->in1;
    out.dim[out.rank - 1] = state->out;
    cg_tensor *x1 = cg_reshape(tape, inputs[0], &CG_SHAPE(rows, state->in1));
    cg_tensor *x2 = cg_reshape(tape, inputs[1], &CG_SHAPE(rows, state->in2, 1));
    cg_tensor *columns =
        cg_reshape(tape, cg_permute(tape, weight, (int[]){1, 0, 2}), &CG_SHAPE(state->in1, state->out * state->in2));
    cg_tensor *products = cg_reshape(tape, cg_matmul(tape, x1, columns, NULL), &CG_SHAPE(rows, state->out, state->in2));
    cg_tensor *y = cg_reshape(tape, cg_matmul(tape, products, x2, NULL), &out);
    outputs[0] = bias != NULL ? cg_add(tape, y, bias) : y;
    return CG_OK;
}

static cg_status reset(cg_module *module, uint64_t seed, uint64_t stream) {
    const bilinear *state = module->state;
    double bound = 1.0 / sqrt((double)state->in1);
    cg_tensor *bias = cg_module_own(module, "bias");
    CG_TRY(cg_init_uniform(cg_module_own(module, "weight"), -bound, bound, seed, stream));
    return bias != NULL ? cg_init_uniform(bias, -bound, bound, seed, stream + 1) : CG_OK;
}

const cg_module_class cg_bilinear_class = {
    .name = "Bilinear",
    .signature = "in1_features: positive, in2_features: positive, out_features: positive, bias: bool = True",
    .inputs = "input1, input2",
    .n_inputs = 2,
    .n_outputs = 1,
    .state_size = sizeof(bilinear),
    .create = create,
    .forward = forward,
    .reset = reset,
};

typedef struct similarity {
    int dim;
    double eps;
} similarity;

static cg_status similarity_create(cg_module *module, const cg_arguments *arguments) {
    similarity *state = module->state;
    int64_t dim = cg_argument_int(arguments, "dim");
    if (dim < -CG_MAX_RANK || dim >= CG_MAX_RANK) {
        return cg_fail(CG_ERR_ARGUMENT, "CosineSimilarity: dim %" PRId64 " must be in %d..%d", dim, -CG_MAX_RANK,
                       CG_MAX_RANK - 1);
    }
    state->dim = (int)dim;
    state->eps = cg_argument_real(arguments, "eps");
    return CG_OK;
}

/* x1 x2 / (max(|x1|, eps) max(|x2|, eps)), along one axis. */
static cg_status similarity_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const similarity *state = module->state;
    const cg_shape *x1 = cg_tensor_shape(inputs[0]), *x2 = cg_tensor_shape(inputs[1]);
    int dim = state->dim < 0 ? state->dim + x1->rank : state->dim;
    if (!cg_shape_equal(x1, x2) || dim < 0 || dim >= x1->rank) {
        return cg_fail(CG_ERR_SHAPE, "inputs are %s and %s: equal shapes that have axis %d expected",
                       cg_shape_print(x1, CG_SHAPE_TEXT), cg_shape_print(x2, CG_SHAPE_TEXT), state->dim);
    }
    uint32_t axes = 1u << dim;
    cg_tensor *product = cg_sum(tape, cg_mul(tape, inputs[0], inputs[1]), axes, false);
    cg_tensor *norm1 = cg_clamp(tape, cg_norm(tape, inputs[0], 2, axes, false), state->eps, INFINITY);
    cg_tensor *norm2 = cg_clamp(tape, cg_norm(tape, inputs[1], 2, axes, false), state->eps, INFINITY);
    outputs[0] = cg_div(tape, product, cg_mul(tape, norm1, norm2));
    return CG_OK;
}

const cg_module_class cg_cosine_similarity_class = {
    .name = "CosineSimilarity",
    .signature = "dim: int = 1, eps: float = 1e-08",
    .inputs = "x1, x2",
    .n_inputs = 2,
    .n_outputs = 1,
    .state_size = sizeof(similarity),
    .create = similarity_create,
    .forward = similarity_forward,
};
