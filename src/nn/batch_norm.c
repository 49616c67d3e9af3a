/* BatchNorm1d, BatchNorm2d and their lazy forms. */
#include <inttypes.h>

#include "module.h"

typedef struct batch_norm {
    int64_t num_features;
    int least_rank, most_rank;       /* of the input */
    const cg_module_class *resolved; /* what a lazy one becomes */
    double eps, momentum;            /* momentum below 0: None */
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

static void read_arguments(batch_norm *state, const cg_arguments *arguments, int least_rank, int most_rank) {
    state->least_rank = least_rank;
    state->most_rank = most_rank;
    state->eps = cg_argument_real(arguments, "eps");
    bool none = cg_argument_is_none(arguments, "momentum");
    state->momentum = none ? -1.0 : cg_argument_real(arguments, "momentum");
    state->affine = cg_argument_bool(arguments, "affine");
    state->track = cg_argument_bool(arguments, "track_running_stats");
}

static cg_status create(cg_module *module, const cg_arguments *arguments, int least_rank, int most_rank) {
    batch_norm *state = module->state;
    read_arguments(state, arguments, least_rank, most_rank);
    state->num_features = cg_argument_int(arguments, "num_features");
    return add_tensors(module);
}

static cg_status create_1d(cg_module *module, const cg_arguments *arguments) {
    return create(module, arguments, 2, 3);
}

static cg_status create_2d(cg_module *module, const cg_arguments *arguments) {
    return create(module, arguments, 4, 4);
}

static cg_status create_lazy_1d(cg_module *module, const cg_arguments *arguments) {
    batch_norm *state = module->state;
    state->resolved = &cg_batch_norm1d_class;
    read_arguments(state, arguments, 2, 3);
    return CG_OK;
}

static cg_status create_lazy_2d(cg_module *module, const cg_arguments *arguments) {
    batch_norm *state = module->state;
    state->resolved = &cg_batch_norm2d_class;
    read_arguments(state, arguments, 4, 4);
    return CG_OK;
}

/* num_features 0: any number of channels will do. */
static cg_status check_input(const batch_norm *state, const cg_tensor *input) {
    const cg_shape *x = cg_tensor_shape(input);
    bool rank_fits = x->rank >= state->least_rank && x->rank <= state->most_rank;
    const char *form =
        state->most_rank == 4 ? "[n, channels, height, width]" : "[n, channels] or [n, channels, length]";
    if (!rank_fits) {
        return cg_fail(CG_ERR_SHAPE, "input is %s, expected %s", cg_shape_print(x, CG_SHAPE_TEXT), form);
    }
    if (state->num_features != 0 ? x->dim[1] != state->num_features : x->dim[1] < 1) {
        return cg_fail(CG_ERR_SHAPE, "input is %s: %" PRId64 " channels expected", cg_shape_print(x, CG_SHAPE_TEXT),
                       state->num_features != 0 ? state->num_features : 1);
    }
    return CG_OK;
}

static cg_status forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const batch_norm *state = module->state;
    CG_TRY(check_input(state, inputs[0]));
    bool training = cg_tape_mode(tape) == CG_TRAIN;
    const cg_batch_norm_options options = {
        .weight = cg_module_own(module, "weight"),
        .bias = cg_module_own(module, "bias"),
        .running_mean = cg_module_own(module, "running_mean"),
        .running_var = cg_module_own(module, "running_var"),
        .num_batches = cg_module_own(module, "num_batches_tracked"),
        .training = training,
        .momentum = state->momentum,
        .eps = state->eps,
    };
    outputs[0] = cg_batch_norm(tape, inputs[0], &options);
    return CG_OK;
}

/* Takes num_features from the input and is an ordinary one from then on. */
static cg_status forward_lazy(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    batch_norm *state = module->state;
    CG_TRY(check_input(state, inputs[0]));
    const char *rest = cg_text_get(&module->arguments);
    cg_text text = {0};
    state->num_features = cg_tensor_shape(inputs[0])->dim[1];
    cg_text_append(&text, "%" PRId64 "%s%s", state->num_features, *rest != '\0' ? ", " : "", rest);
    cg_status status = text.failed ? CG_ERR_MEMORY : add_tensors(module);
    if (status != CG_OK) {
        cg_module_drop_tensors(module);
        state->num_features = 0;
        cg_text_free(&text);
        return status;
    }
    cg_text_free(&module->arguments);
    module->arguments = text;
    module->class = state->resolved;
    return forward(module, tape, inputs, outputs);
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

#define OPTIONS                                                                                                        \
    "eps: float = 1e-05, momentum: float | None = 0.1, affine: bool = True, track_running_stats: bool = True"

const cg_module_class cg_batch_norm1d_class = {
    .name = "BatchNorm1d",
    .signature = "num_features: positive, " OPTIONS,
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(batch_norm),
    .create = create_1d,
    .forward = forward,
    .reset = reset,
};

const cg_module_class cg_batch_norm2d_class = {
    .name = "BatchNorm2d",
    .signature = "num_features: positive, " OPTIONS,
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(batch_norm),
    .create = create_2d,
    .forward = forward,
    .reset = reset,
};

const cg_module_class cg_lazy_batch_norm1d_class = {
    .name = "LazyBatchNorm1d",
    .signature = OPTIONS,
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(batch_norm),
    .lazy = true,
    .create = create_lazy_1d,
    .forward = forward_lazy,
};

const cg_module_class cg_lazy_batch_norm2d_class = {
    .name = "LazyBatchNorm2d",
    .signature = OPTIONS,
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(batch_norm),
    .lazy = true,
    .create = create_lazy_2d,
    .forward = forward_lazy,
};
