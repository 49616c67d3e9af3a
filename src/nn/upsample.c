/* Upsample: nearest over one or two axes, linear over one, bilinear over two; by size or by factor. */
#include <string.h>

#include <clgrad/spatial.h>

#include "module.h"

typedef struct upsample {
    int axes; /* 0: as many as the input has */
    cg_interpolate_options options;
} upsample;

static bool is_many(const cg_expression *value) {
    return value->kind == CG_EXPRESSION_TUPLE || value->kind == CG_EXPRESSION_LIST;
}

/* scale_factor: one number for all axes, or a tuple; the numbers may be ints. */
static void read_factors(upsample *state, const cg_expression *value) {
    const cg_expression *item = is_many(value) ? cg_expression_first(value) : value;
    for (uint32_t i = 0; i < 2; i++) {
        state->options.factor[i] = item->real;
        item = is_many(value) && i + 1 < value->count ? cg_expression_next(item) : item;
    }
}

/* The number of axes that a mode, or a tuple's length, asks for; CG_ERR_ARGUMENT where they differ. */
static cg_status set_axes(const cg_module *module, upsample *state, const cg_expression *numbers, const char *mode) {
    int by_mode = strcmp(mode, "linear") == 0 ? 1 : strcmp(mode, "bilinear") == 0 ? 2 : 0;
    int by_tuple = is_many(numbers) ? (int)numbers->count : 0;
    if (by_mode > 0 && by_tuple > 0 && by_mode != by_tuple) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: mode '%s' has %d %s, size or scale_factor %d numbers", module->class->name,
                       mode, by_mode, by_mode == 1 ? "axis" : "axes", by_tuple);
    }
    state->axes = by_mode > 0 ? by_mode : by_tuple;
    return CG_OK;
}

static cg_status create(cg_module *module, const cg_arguments *arguments) {
    upsample *state = module->state;
    const char *mode = cg_argument_text(arguments, "mode");
    bool sized = !cg_argument_is_none(arguments, "size"), scaled = !cg_argument_is_none(arguments, "scale_factor");
    if (sized == scaled) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: size and scale_factor are %s, expected one of them", module->class->name,
                       sized ? "both given" : "both None");
    }
    const cg_expression *numbers = cg_argument_value(arguments, sized ? "size" : "scale_factor");
    bool nearest = strcmp(mode, "nearest") == 0,
         aligned = !cg_argument_is_none(arguments, "align_corners") && cg_argument_bool(arguments, "align_corners");
    if (nearest && !cg_argument_is_none(arguments, "align_corners")) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: align_corners is for modes linear and bilinear, not for nearest",
                       module->class->name);
    }
    state->options.mode = nearest ? CG_NEAREST : CG_LINEAR;
    state->options.align_corners = aligned;
    if (sized) {
        cg_argument_ints(arguments, "size", state->options.size, is_many(numbers) ? numbers->count : 2);
    } else {
        read_factors(state, numbers);
    }
    return set_axes(module, state, numbers, mode);
}

static cg_status forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const upsample *state = module->state;
    int rank = cg_tensor_shape(inputs[0])->rank, axes = rank - 2;
    if (axes < 1 || axes > 2 || (state->axes > 0 && state->axes != axes)) {
        return cg_fail(CG_ERR_SHAPE, "input is %s: [n, channels, %s] expected",
                       cg_shape_print(cg_tensor_shape(inputs[0]), CG_SHAPE_TEXT),
                       state->axes == 1   ? "width"
                       : state->axes == 2 ? "height, width"
                                          : "1 or 2 axes");
    }
    outputs[0] = cg_interpolate(tape, inputs[0], axes, &state->options);
    return CG_OK;
}

const cg_module_class cg_upsample_class = {
    .name = "Upsample",
    .signature = "size: positive | (positive,) | (positive, positive) | None = None, "
                 "scale_factor: float | (float,) | (float, float) | None = None, "
                 "mode: 'nearest' | 'linear' | 'bilinear' = 'nearest', align_corners: bool | None = None, "
                 "recompute_scale_factor: later = None",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(upsample),
    .create = create,
    .forward = forward,
};
