/* Cases of pools, padding and interpolation. See twin.h. */
#include "twin.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

typedef struct pool_case {
    int64_t planes, in[2], out[2];
    cg_pool_attrs attrs;
} pool_case;

/* One element, windows side by side, windows that overlap and leave elements out, padding, a last window that begins
 * inside and ends outside, dilation, adaptive windows of several sizes, windows larger than one share, and of nothing
 * but padding. */
static const pool_case pool_cases[] = {
    {1, {1, 1}, {1, 1}, {.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}}},
    {3, {6, 4}, {3, 2}, {.kernel = {2, 2}, .stride = {2, 2}, .dilation = {1, 1}}},
    {2, {7, 9}, {3, 2}, {.kernel = {3, 2}, .stride = {2, 5}, .dilation = {1, 1}}},
    {2, {5, 6}, {5, 3}, {.kernel = {3, 4}, .stride = {1, 2}, .padding = {1, 1}, .dilation = {1, 1}}},
    {2,
     {5, 6},
     {5, 3},
     {.kernel = {3, 4}, .stride = {1, 2}, .padding = {1, 1}, .dilation = {1, 1}, .count_include_pad = 1}},
    {1, {5, 6}, {3, 3}, {.kernel = {2, 3}, .stride = {2, 2}, .dilation = {1, 1}, .divisor = 7}},
    {3, {7, 5}, {3, 2}, {.adaptive = 1, .dilation = {1, 1}}},
    {2, {3, 4}, {5, 6}, {.adaptive = 1, .dilation = {1, 1}}},
    {2, {41, 37}, {1, 1}, {.adaptive = 1, .dilation = {1, 1}}},
    {9, {40, 50}, {20, 25}, {.kernel = {2, 2}, .stride = {2, 2}, .dilation = {1, 1}}},
    {2, {8, 7}, {4, 3}, {.kernel = {3, 2}, .stride = {1, 2}, .dilation = {2, 2}}}, /* from here on maxima only */
    {1, {2, 3}, {3, 4}, {.kernel = {1, 1}, .stride = {2, 2}, .padding = {2, 2}, .dilation = {1, 1}}},
};

enum { DILATED = 2 };

/* A random place in a window, along one axis; -1: in the padding. */
static int64_t some_place(const pool_case *c, int axis, int64_t o) {
    const cg_pool_attrs *attrs = &c->attrs;
    int64_t in = c->in[axis], out = c->out[axis], place = (int64_t)(twin_random() >> 33);
    if (attrs->adaptive) {
        int64_t first = o * in / out, end = ((o + 1) * in + out - 1) / out;
        return first + place % (end - first);
    }
    place = o * attrs->stride[axis] - attrs->padding[axis] + place % attrs->kernel[axis] * attrs->dilation[axis];
    return place >= 0 && place < in ? place : -1;
}

/* Indices as max_pool leaves them: each one inside its own window. */
static void index_input(twin *t, const pool_case *c, cg_shape windows) {
    uint32_t i = t->single.n_inputs;
    twin_integer_input(t, CG_I32, windows, 1);
    int32_t *single = (int32_t *)t->single.inputs[i].buffer + TWIN_OFFSET;
    int32_t *wide = (int32_t *)t->wide.inputs[i].buffer + TWIN_OFFSET;
    for (int64_t at = 0, n = cg_shape_numel(&windows); at < n; at++) {
        int64_t h = some_place(c, 0, at / c->out[1] % c->out[0]), w = some_place(c, 1, at % c->out[1]);
        single[at] = wide[at] = h < 0 || w < 0 ? -1 : (int32_t)(h * c->in[1] + w);
    }
}

bool twin_build_pool(twin *t, int variant) {
    uint32_t number = t->single.kind->number;
    bool maxima = number == CG_OP_MAX_POOL || number == CG_OP_MAX_POOL_BACKWARD;
    bool backward = number == CG_OP_MAX_POOL_BACKWARD || number == CG_OP_AVG_POOL_BACKWARD;
    if (variant >= COUNT(pool_cases) - (maxima ? 0 : DILATED)) {
        return false;
    }
    const pool_case *c = &pool_cases[variant];
    cg_shape whole = CG_SHAPE(c->planes, c->in[0], c->in[1]), windows = CG_SHAPE(c->planes, c->out[0], c->out[1]);
    t->attrs.pool = c->attrs;
    t->attrs.pool.size = sizeof t->attrs.pool;
    twin_input(t, backward ? windows : whole);
    if (maxima && backward) {
        index_input(t, c, windows);
    }
    twin_output(t, backward ? whole : windows);
    if (maxima && !backward) {
        twin_integer_output(t, CG_I32, windows, 100);
    }
    return true;
}

typedef struct pad_case {
    int64_t outer, in[3], out[3], front[3];
} pad_case;

/* Nothing, both sides, one axis and three, cut off at one side, more than one share. */
static const pad_case pad_cases[] = {
    {1, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}},  {2, {1, 3, 4}, {1, 6, 8}, {0, 2, 1}},
    {3, {1, 1, 5}, {1, 1, 12}, {0, 0, 4}}, {2, {3, 2, 4}, {6, 4, 5}, {1, 1, 0}},
    {2, {1, 5, 6}, {1, 4, 7}, {0, -2, 3}}, {5, {1, 61, 67}, {1, 64, 71}, {0, 2, 3}},
};

bool twin_build_pad(twin *t, int variant) {
    if (variant >= 4 * COUNT(pad_cases)) {
        return false;
    }
    const pad_case *c = &pad_cases[variant / 4];
    bool backward = t->single.kind->number == CG_OP_PAD_BACKWARD;
    cg_shape x = CG_SHAPE(c->outer, c->in[0], c->in[1], c->in[2]);
    cg_shape y = CG_SHAPE(c->outer, c->out[0], c->out[1], c->out[2]);
    t->attrs.pad =
        (cg_pad_attrs){sizeof t->attrs.pad, (uint32_t)variant % 4, -1.5, {c->front[0], c->front[1], c->front[2]}};
    twin_input(t, backward ? y : x);
    twin_output(t, backward ? x : y);
    return true;
}

/* {planes, h, w, oh, ow}: the same size, larger, smaller, one of each, more than one share. */
static const int64_t resizes[][5] = {
    {1, 1, 1, 1, 1}, {2, 3, 4, 3, 4}, {3, 3, 4, 7, 9}, {2, 7, 9, 3, 2}, {1, 5, 2, 2, 11}, {4, 31, 33, 62, 47},
};

bool twin_build_interpolate(twin *t, int variant) {
    if (variant >= 3 * COUNT(resizes)) {
        return false;
    }
    const int64_t *n = resizes[variant / 3];
    uint32_t mode = variant % 3 > 0 ? CG_LINEAR : CG_NEAREST;
    bool aligned = variant % 3 == 2, backward = t->single.kind->number == CG_OP_INTERPOLATE_BACKWARD;
    cg_interpolate_attrs *attrs = &t->attrs.interpolate;
    *attrs = (cg_interpolate_attrs){.size = sizeof *attrs, .mode = mode, .align_corners = aligned};
    for (int i = 0; i < 2; i++) {
        double in = (double)n[1 + i], out = (double)n[3 + i];
        attrs->scale[i] = !aligned ? in / out : out > 1.0 ? (in - 1.0) / (out - 1.0) : 0.0;
    }
    cg_shape x = CG_SHAPE(n[0], n[1], n[2]), y = CG_SHAPE(n[0], n[3], n[4]);
    twin_input(t, backward ? y : x);
    twin_output(t, backward ? x : y);
    /* A place between two elements is a float as large as the axis, and neighbours are up to 4 apart. */
    t->tolerance += mode == CG_LINEAR ? 2e-6 * (double)(n[1] > n[2] ? n[1] : n[2]) : 0.0;
    return true;
}
