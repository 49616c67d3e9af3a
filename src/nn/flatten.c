/* Flatten: some axes made one, by default all but the batch's; Unflatten; and Permute. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "module.h"

typedef struct flatten {
    int start_dim, end_dim;
} flatten;

static cg_status create(cg_module *module, const cg_arguments *arguments) {
    flatten *state = module->state;
    int64_t start = cg_argument_int(arguments, "start_dim"), end = cg_argument_int(arguments, "end_dim");
    if (start < -CG_MAX_RANK || start >= CG_MAX_RANK || end < -CG_MAX_RANK || end >= CG_MAX_RANK) {
        return cg_fail(CG_ERR_ARGUMENT, "Flatten: start_dim %" PRId64 " and end_dim %" PRId64 " must be in %d..%d",
                       start, end, -CG_MAX_RANK, CG_MAX_RANK - 1);
    }
    state->start_dim = (int)start;
    state->end_dim = (int)end;
    return CG_OK;
}

static cg_status forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const flatten *state = module->state;
    outputs[0] = cg_flatten(tape, inputs[0], state->start_dim, state->end_dim);
    return CG_OK;
}

const cg_module_class cg_flatten_class = {
    .name = "Flatten",
    .signature = "start_dim: int = 1, end_dim: int = -1",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(flatten),
    .create = create,
    .forward = forward,
};

/* One axis made several. */
typedef struct unflatten {
    int dim;
    cg_shape sizes;
} unflatten;

static cg_status unflatten_create(cg_module *module, const cg_arguments *arguments) {
    unflatten *state = module->state;
    int64_t dim = cg_argument_int(arguments, "dim");
    uint32_t count = cg_argument_value(arguments, "unflattened_size")->count;
    if (dim < -CG_MAX_RANK || dim >= CG_MAX_RANK || count < 1 || count > CG_MAX_RANK) {
        return cg_fail(CG_ERR_ARGUMENT, "Unflatten: dim %" PRId64 " to %u axes: %d..%d, and 1 to %d axes, are possible",
                       dim, (unsigned)count, -CG_MAX_RANK, CG_MAX_RANK - 1, CG_MAX_RANK);
    }
    state->dim = (int)dim;
    state->sizes.rank = (int32_t)count;
    cg_argument_ints(arguments, "unflattened_size", state->sizes.dim, count);
    return CG_OK;
}

static cg_status unflatten_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const unflatten *state = module->state;
    const cg_shape *x = cg_tensor_shape(inputs[0]);
    int dim = state->dim < 0 ? state->dim + x->rank : state->dim;
    if (dim < 0 || dim >= x->rank || x->rank - 1 + state->sizes.rank > CG_MAX_RANK) {
        return cg_fail(CG_ERR_SHAPE, "input is %s: axis %d of it to %s", cg_shape_print(x, CG_SHAPE_TEXT), state->dim,
                       cg_shape_print(&state->sizes, CG_SHAPE_TEXT));
    }
    int64_t known = 1;
    cg_shape out = {.rank = 0};
    for (int i = 0; i < state->sizes.rank; i++) {
        known *= state->sizes.dim[i] == -1 ? 1 : state->sizes.dim[i];
    }
    for (int i = 0; i < x->rank; i++) {
        for (int j = 0; i == dim && j < state->sizes.rank; j++) {
            bool open = state->sizes.dim[j] == -1;
            out.dim[out.rank++] = open ? x->dim[dim] / (known != 0 ? known : 1) : state->sizes.dim[j];
        }
        if (i != dim) {
            out.dim[out.rank++] = x->dim[i];
        }
    }
    outputs[0] = cg_reshape(tape, inputs[0], &out);
    return CG_OK;
}

const cg_module_class cg_unflatten_class = {
    .name = "Unflatten",
    .signature = "dim: int, unflattened_size: [int]",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(unflatten),
    .create = unflatten_create,
    .forward = unflatten_forward,
};

/* The axes in another order, as torchvision.ops.Permute: torch.nn has no module for it. */
static cg_status permute_create(cg_module *module, const cg_arguments *arguments) {
    cg_shape *order = module->state; /* of axes, not of sizes */
    uint32_t count = cg_argument_value(arguments, "dims")->count;
    if (count < 1 || count > CG_MAX_RANK) {
        return cg_fail(CG_ERR_ARGUMENT, "Permute: dims has %u axes, expected 1 to %d", (unsigned)count, CG_MAX_RANK);
    }
    order->rank = (int32_t)count;
    cg_argument_ints(arguments, "dims", order->dim, count);
    return CG_OK;
}

static cg_status permute_forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const cg_shape *dims = module->state;
    const cg_shape *x = cg_tensor_shape(inputs[0]);
    int order[CG_MAX_RANK];
    unsigned seen = 0;
    for (int i = 0; i < dims->rank; i++) {
        int64_t axis = dims->dim[i] < 0 ? dims->dim[i] + x->rank : dims->dim[i];
        bool fits = axis >= 0 && axis < x->rank && dims->rank == x->rank;
        seen |= fits ? 1u << axis : 0;
        order[i] = fits ? (int)axis : 0;
    }
    if (seen != (1u << x->rank) - 1) {
        return cg_fail(CG_ERR_SHAPE, "input is %s, dims %s: each of its %d axes once is expected",
                       cg_shape_print(x, CG_SHAPE_TEXT), cg_shape_print(dims, CG_SHAPE_TEXT), (int)x->rank);
    }
    outputs[0] = cg_permute(tape, inputs[0], order);
    return CG_OK;
}

const cg_module_class cg_permute_class = {
    .name = "Permute",
    .signature = "dims: [int]",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(cg_shape),
    .create = permute_create,
    .forward = permute_forward,
};

cg_status cg_module_flatten(cg_device *device, int start_dim, int end_dim, cg_module **module) {
    char text[64];
    snprintf(text, sizeof text, "Flatten(%d, %d)", start_dim, end_dim);
    return cg_module_parse(device, text, module);
}
