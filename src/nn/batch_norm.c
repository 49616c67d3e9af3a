/* BatchNorm1d, BatchNorm2d, their lazy forms, and InstanceNorm2d. */
#include <inttypes.h>
#include <math.h>

#include "module.h"

typedef struct batch_norm {
    int64_t num_features; /* 0: a lazy one's, not known yet */
    int axes;             /* behind the channels, of the input; 1: may be left out */
    double eps, momentum; /* momentum below 0: None */
    bool affine, track;
} batch_norm;

static cg_status add_tensors(cg_module *module) {
    const batch_norm *state = module->state;
    const cg_shape channels = CG_SHAPE(state->num_features);
    if (state->affine) {
        CG_TRY(cg_module_add_tensor(module, CG_ROLE_PARAMETER, "weight", &channels));
        CG_TRY(cg_module_add_tensor(module, CG_ROLE_PARAMETER, "bias", &channels));
    }
    if (state->track) {
        CG_TRY(cg_module_add_tensor(module, CG_ROLE_BUFFER, "running_mean", &channels));
        CG_TRY(cg_module_add_tensor(module, CG_ROLE_BUFFER, "running_var", &channels));
        CG_TRY(cg_tensor_fill(cg_module_own(module, "running_var"), 1.0));
        CG_TRY(cg_module_add_counter(module, "num_batches_tracked"));
    }
    return CG_OK;
}

static cg_status create(cg_module *module, const cg_arguments *arguments, int axes) {
    batch_norm *state = module->state;
    state->axes = axes;
    state->eps = cg_argument_real(arguments, "eps");
    bool none = cg_argument_is_none(arguments, "momentum");
    state->momentum = none ? -1.0 : cg_argument_real(arguments, "momentum");
    state->affine = cg_argument_bool(arguments, "affine");
    state->track = cg_argument_bool(arguments, "track_running_stats");
    if (module->class->lazy) {
        return CG_OK;
    }
    state->num_features = cg_argument_int(arguments, "num_features");
    return add_tensors(module);
}

static cg_status create_1d(cg_module *module, const cg_arguments *arguments) {
    return create(module, arguments, 1);
}

static cg_status create_2d(cg_module *module, const cg_arguments *arguments) {
    return create(module, arguments, 2);
}

static cg_status check_input(const batch_norm *state, const cg_tensor *input) {
    const cg_shape *x = cg_tensor_shape(input);
    bool rank_fits = x->rank == state->axes + 2 || (state->axes == 1 && x->rank == 2);
    const char *form = state->axes == 2 ? "[n, channels, height, width]" : "[n, channels] or [n, channels, length]";
    if (!rank_fits) {
        return cg_fail(CG_ERR_SHAPE, "input is %s, expected %s", cg_shape_print(x, CG_SHAPE_TEXT), form);
    }
    if (state->num_features != 0 ? x->dim[1] != state->num_features : x->dim[1] < 1) {
        return cg_fail(CG_ERR_SHAPE, "input is %s: %" PRId64 " channels expected", cg_shape_print(x, CG_SHAPE_TEXT),
                       state->num_features != 0 ? state->num_features : 1);
    }
    return CG_OK;
}

static cg_batch_norm_options options_of(const cg_module *module, const cg_tape *tape) {
    const batch_norm *state = module->state;
    return (cg_batch_norm_options){
        .weight = cg_module_own(module, "weight"),
        .bias = cg_module_own(module, "bias"),
        .running_mean = cg_module_own(module, "running_mean"),
        .running_var = cg_module_own(module, "running_var"),
        .num_batches = cg_module_own(module, "num_batches_tracked"),
        .training = cg_tape_mode(tape) == CG_TRAIN,
        .momentum = state->momentum,
        .eps = state->eps,
    };
}

static cg_status forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const cg_batch_norm_options options = options_of(module, tape);
    CG_TRY(check_input(module->state, inputs[0]));
    outputs[0] = cg_batch_norm(tape, inputs[0], &options);
    return CG_OK;
}

static cg_status forward_relu(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const cg_batch_norm_options options = options_of(module, tape);
    CG_TRY(check_input(module->state, inputs[0]));
    outputs[0] = cg_batch_norm_relu(tape, inputs[0], &options);
    return CG_OK;
}

/* Takes num_features from the input and is an ordinary one from then on. */
static cg_status forward_lazy(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    batch_norm *state = module->state;
    CG_TRY(check_input(state, inputs[0]));
    const cg_module_class *class = state->axes == 1 ? &cg_batch_norm1d_class : &cg_batch_norm2d_class;
    state->num_features = cg_tensor_shape(inputs[0])->dim[1];
    cg_status status = cg_module_become(module, class, state->num_features, add_tensors);
    if (status != CG_OK) {
        state->num_features = 0;
        return status;
    }
    return forward(module, tape, inputs, outputs);
}

/* One image may come without the batch's axis. With a momentum of None the running ones stay as they are: PyTorch. */
static cg_status forward_instance(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    cg_batch_norm_options options = options_of(module, tape);
    bool alone = cg_tensor_shape(inputs[0])->rank == 3;
    cg_tensor *x = alone ? cg_unsqueeze(tape, inputs[0], 0) : inputs[0];
    CG_TRY(cg_tape_status(tape)); /* what failed has no shape to be checked */
    CG_TRY(check_input(module->state, x));
    options.training = options.training || options.running_mean == NULL;
    options.momentum = options.momentum < 0 ? 0 : options.momentum;
    x = cg_instance_norm(tape, x, &options);
    outputs[0] = alone ? cg_squeeze(tape, x, 0) : x;
    return CG_OK;
}

/* A tensor's values, or what it would be filled with where the layer has none. */
static cg_status read_own(const cg_module *module, const char *name, double otherwise, double *values) {
    const batch_norm *state = module->state;
    cg_tensor *tensor = cg_module_own(module, name);
    for (int64_t i = 0; i < state->num_features; i++) {
        values[i] = otherwise;
    }
    return tensor != NULL ? cg_tensor_read_f64(tensor, values, state->num_features) : CG_OK;
}

/* scale = weight / sqrt(var + eps), shift = bias - mean * scale. */
cg_status cg_batch_norm_affine(const cg_module *module, double *scale, double *shift, double *values) {
    const batch_norm *state = module->state;
    CG_TRY(read_own(module, "weight", 1.0, scale));
    CG_TRY(read_own(module, "running_var", 1.0, values));
    for (int64_t i = 0; i < state->num_features; i++) {
        scale[i] /= sqrt(values[i] + state->eps);
    }
    CG_TRY(read_own(module, "bias", 0.0, shift));
    CG_TRY(read_own(module, "running_mean", 0.0, values));
    for (int64_t i = 0; i < state->num_features; i++) {
        shift[i] -= values[i] * scale[i];
    }
    return CG_OK;
}

static cg_status fill_own(cg_module *module, const char *name, double value) {
    cg_tensor *tensor = cg_module_own(module, name);
    return tensor != NULL ? cg_tensor_fill(tensor, value) : CG_OK;
}

static cg_status reset(cg_module *module, uint64_t seed, uint64_t stream) {
    (void)seed, (void)stream;
    CG_TRY(fill_own(module, "weight", 1.0));
    CG_TRY(fill_own(module, "bias", 0.0));
    CG_TRY(fill_own(module, "running_mean", 0.0));
    CG_TRY(fill_own(module, "running_var", 1.0));
    return fill_own(module, "num_batches_tracked", 0.0);
}

#define OPTIONS(affine, track)                                                                                         \
    "eps: float = 1e-05, momentum: float | None = 0.1, affine: bool = " affine ", track_running_stats: bool = " track

#define NORM_CLASS(class_name, arguments, is_lazy, create_function, forward_function, relu_function)                   \
    {                                                                                                                  \
        .name = class_name, .signature = arguments, .inputs = "input", .n_inputs = 1, .n_outputs = 1,                  \
        .state_size = sizeof(batch_norm), .lazy = is_lazy, .create = create_function, .forward = forward_function,     \
        .forward_relu = relu_function, .reset = reset,                                                                 \
    }

const cg_module_class cg_batch_norm1d_class = NORM_CLASS(
    "BatchNorm1d", "num_features: positive, " OPTIONS("True", "True"), false, create_1d, forward, forward_relu);
const cg_module_class cg_batch_norm2d_class = NORM_CLASS(
    "BatchNorm2d", "num_features: positive, " OPTIONS("True", "True"), false, create_2d, forward, forward_relu);
const cg_module_class cg_lazy_batch_norm1d_class =
    NORM_CLASS("LazyBatchNorm1d", OPTIONS("True", "True"), true, create_1d, forward_lazy, NULL);
const cg_module_class cg_lazy_batch_norm2d_class =
    NORM_CLASS("LazyBatchNorm2d", OPTIONS("True", "True"), true, create_2d, forward_lazy, NULL);
const cg_module_class cg_instance_norm2d_class = NORM_CLASS(
    "InstanceNorm2d", "num_features: positive, " OPTIONS("False", "False"), false, create_2d, forward_instance, NULL);
