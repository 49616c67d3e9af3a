/* Cases of convolutions and norms. See twin.h. */
#include "twin.h"

#include <math.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

typedef struct conv_case {
    int64_t images, channels, filters; /* of all groups */
    int64_t in[3], kernel[3];
    cg_conv_attrs attrs;
} conv_case;

/* One tap, odd sizes, strides with what they leave over, dilation, groups, a filter a channel, padding beyond the
 * kernel, one axis and three, an image as large as the kernel, more than one tile, more than one block of columns, as
 * many channels as Winograd's filtering is for, and as few as the rows of a weight's gradient are; both with a stride
 * along one axis, which neither takes. */
static const conv_case conv_cases[] = {
    {1, 1, 1, {1, 1, 1}, {1, 1, 1}, {.groups = 1, .stride = {1, 1, 1}, .dilation = {1, 1, 1}}},
    {2, 3, 5, {1, 5, 7}, {1, 3, 3}, {.groups = 1, .stride = {1, 1, 1}, .padding = {0, 1, 1}, .dilation = {1, 1, 1}}},
    {1, 2, 3, {1, 8, 6}, {1, 3, 2}, {.groups = 1, .stride = {1, 3, 2}, .padding = {0, 1, 0}, .dilation = {1, 1, 1}}},
    {2, 4, 6, {1, 7, 5}, {1, 2, 3}, {.groups = 2, .stride = {1, 2, 1}, .padding = {0, 0, 2}, .dilation = {1, 3, 2}}},
    {1, 5, 5, {1, 6, 6}, {1, 3, 3}, {.groups = 5, .stride = {1, 1, 1}, .padding = {0, 1, 1}, .dilation = {1, 1, 1}}},
    {1, 3, 4, {1, 1, 13}, {1, 1, 5}, {.groups = 1, .stride = {1, 1, 2}, .padding = {0, 0, 6}, .dilation = {1, 1, 1}}},
    {1, 2, 2, {3, 4, 5}, {2, 3, 2}, {.groups = 1, .stride = {1, 2, 1}, .padding = {1, 1, 0}, .dilation = {1, 1, 2}}},
    {1, 2, 7, {1, 4, 3}, {1, 4, 3}, {.groups = 1, .stride = {1, 1, 1}, .dilation = {1, 1, 1}}},
    {2,
     17,
     33,
     {1, 19, 21},
     {1, 3, 3},
     {.groups = 1, .stride = {1, 1, 1}, .padding = {0, 1, 1}, .dilation = {1, 1, 1}}},
    {1, 70, 40, {1, 9, 9}, {1, 1, 1}, {.groups = 1, .stride = {1, 1, 1}, .dilation = {1, 1, 1}}},
    {1, 70, 9, {1, 31, 32}, {1, 1, 1}, {.groups = 1, .stride = {1, 1, 1}, .dilation = {1, 1, 1}}},
    {1, 17, 9, {3, 4, 5}, {1, 1, 1}, {.groups = 1, .stride = {2, 1, 1}, .dilation = {1, 1, 1}}},
    {1, 33, 37, {1, 9, 5}, {1, 3, 3}, {.groups = 1, .stride = {1, 1, 1}, .padding = {0, 2, 0}, .dilation = {1, 1, 1}}},
    {3, 40, 32, {1, 6, 7}, {1, 3, 3}, {.groups = 1, .stride = {1, 1, 1}, .padding = {0, 1, 2}, .dilation = {1, 1, 1}}},
    {2, 65, 70, {1, 5, 23}, {1, 3, 3}, {.groups = 1, .stride = {1, 1, 1}, .padding = {0, 1, 1}, .dilation = {1, 1, 1}}},
    {1, 64, 66, {1, 9, 22}, {1, 3, 3}, {.groups = 1, .stride = {1, 1, 1}, .dilation = {1, 1, 1}}},
    {3, 1, 6, {1, 11, 13}, {1, 5, 5}, {.groups = 1, .stride = {1, 1, 1}, .padding = {0, 2, 2}, .dilation = {1, 1, 1}}},
    {1, 2, 3, {1, 9, 23}, {1, 7, 7}, {.groups = 1, .stride = {1, 1, 1}, .padding = {0, 0, 1}, .dilation = {1, 1, 1}}},
    {19, 1, 5, {1, 2, 9}, {1, 3, 3}, {.groups = 1, .stride = {1, 1, 1}, .padding = {0, 1, 2}, .dilation = {1, 1, 1}}},
    {2, 1, 6, {1, 12, 11}, {1, 3, 3}, {.groups = 1, .stride = {1, 2, 1}, .padding = {0, 1, 1}, .dilation = {1, 1, 1}}},
    {1, 33, 34, {1, 17, 6}, {1, 3, 3}, {.groups = 1, .stride = {1, 2, 1}, .padding = {0, 1, 1}, .dilation = {1, 1, 1}}},
};

/* The three kinds have the same three operands, each with another one as its output; conv may have a bias. */
bool twin_build_conv(twin *t, int variant) {
    uint32_t number = t->single.kind->number;
    int each = number == CG_OP_CONV ? 2 : 1;
    if (variant >= each * COUNT(conv_cases)) {
        return false;
    }
    const conv_case *c = &conv_cases[variant / each];
    const int64_t *in = c->in, *k = c->kernel;
    int64_t out[3];
    for (int i = 0; i < 3; i++) {
        out[i] = (in[i] + 2 * c->attrs.padding[i] - c->attrs.dilation[i] * (k[i] - 1) - 1) / c->attrs.stride[i] + 1;
    }
    int64_t channels = c->channels / c->attrs.groups;
    cg_shape x = CG_SHAPE(c->images, c->channels, in[0], in[1], in[2]);
    cg_shape weight = CG_SHAPE(c->filters, channels, k[0], k[1], k[2]);
    cg_shape y = CG_SHAPE(c->images, c->filters, out[0], out[1], out[2]);
    t->attrs.conv = c->attrs;
    t->attrs.conv.size = sizeof t->attrs.conv;
    twin_input(t, number == CG_OP_CONV_BACKWARD_INPUT ? y : x);
    twin_input(t, number == CG_OP_CONV_BACKWARD_WEIGHT ? y : weight);
    if (variant % each == 1) {
        twin_input(t, CG_SHAPE(c->filters, 1, 1, 1));
    }
    twin_output(t, number == CG_OP_CONV ? y : number == CG_OP_CONV_BACKWARD_INPUT ? x : weight);
    t->work = (double)(cg_shape_numel(&y) * channels * k[0] * k[1] * k[2]);
    t->tolerance = 2e-5;
    return true;
}

typedef struct norm_case {
    int64_t outer, channels, inner, groups;
} norm_case;

/* By channel (batch and instance norms), by place (layer norm), by group; groups of one element; more than one share.
 */
static const norm_case norm_cases[] = {
    {1, 1, 1, 0},    {5, 3, 4, 0},    {7, 13, 1, 0},   {2, 2, 700, 0},  {3, 7, 1, 1},   {5, 33, 1, 1},
    {2, 6, 5, 3},    {3, 4, 7, 4},    {2, 5, 1, 5},    {2, 4, 1031, 2}, {600, 9, 1, 1}, {2, 40, 33, 0},
    {300, 17, 1, 0}, {1, 1500, 1, 1}, {64, 10, 50, 0}, {2, 3, 4500, 0},
};

static void norm_inputs(twin *t, const norm_case *c, bool weighted, bool biased) {
    uint32_t number = t->single.kind->number;
    bool forward = number == CG_OP_NORMALIZE || number == CG_OP_NORMALIZE_RELU;
    int64_t statistics = c->groups > 0 ? c->outer * c->groups : c->channels;
    cg_shape x = CG_SHAPE(c->outer, c->channels, c->inner), channels = CG_SHAPE(c->channels);
    twin_input(t, x);
    if (!forward) {
        twin_input(t, CG_SHAPE(statistics, 3));
        twin_input(t, x);
    }
    if (number != CG_OP_NORMALIZE_WEIGHT_BACKWARD) {
        weighted ? twin_input(t, channels) : twin_absent_input(t);
    }
    if (forward) {
        biased ? twin_input(t, channels) : twin_absent_input(t);
    }
    twin_output(t, number == CG_OP_NORMALIZE_WEIGHT_BACKWARD ? channels : x);
    if (forward) {
        twin_output(t, CG_SHAPE(statistics, 3));
    }
    if (number == CG_OP_BATCH_NORM_BACKWARD) {
        twin_output(t, channels);
        twin_output(t, channels);
    }
}

bool twin_build_normalize(twin *t, int variant) {
    if (variant >= 4 * COUNT(norm_cases)) {
        return false;
    }
    norm_case only = norm_cases[variant / 4];
    const norm_case *c = &only;
    bool centered = variant & 1, affine = variant & 2;
    if (t->single.kind->number == CG_OP_BATCH_NORM_BACKWARD) { /* of channels, with a weight */
        only.groups = 0;
        affine = true;
    }
    t->attrs.normalize = (cg_normalize_attrs){sizeof t->attrs.normalize, centered, c->groups, 1e-3};
    norm_inputs(t, c, affine, affine == centered);
    t->tolerance = t->single.kind->number == CG_OP_BATCH_NORM_BACKWARD ? 5e-5 : 2e-5; /* dbias cancels in long sums */
    return true;
}

bool twin_build_running_stats(twin *t, int variant) {
    static const int64_t sizes[] = {1, 7, 1001};
    if (variant >= 2 * COUNT(sizes)) {
        return false;
    }
    int64_t n = sizes[variant / 2];
    t->attrs.running_stats =
        (cg_running_stats_attrs){sizeof t->attrs.running_stats, 0, variant & 1 ? -1.0 : 0.1, 1.125};
    twin_input(t, CG_SHAPE(n, 3));
    twin_output(t, CG_SHAPE(n));
    twin_output(t, CG_SHAPE(n));
    twin_integer_output(t, CG_I64, CG_SCALAR, 50);
    return true;
}
