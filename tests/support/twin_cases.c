/* Cases of every kind, over odd shapes, offsets, broadcasting, batches: elementwise kinds, products, reductions, losses
 * and optimizers here, the other families in twin_cases_*.c. */
#include "twin.h"

#include <criterion/criterion.h>
#include <math.h>

#include "record.h"

static bool build_unary(twin *t, int variant) {
    static const int64_t sizes[] = {1, 7, 1000, 70001, 0};
    if (variant >= 5) {
        return false;
    }
    t->attrs.elementwise = (cg_elementwise_attrs){sizeof t->attrs.elementwise, 0, {0.1, 0.4, 1.1}};
    for (uint32_t i = 0; i < t->single.kind->min_inputs; i++) {
        twin_input(t, CG_SHAPE(sizes[variant]));
    }
    twin_output(t, CG_SHAPE(sizes[variant]));
    return true;
}

static bool build_binary(twin *t, int variant) {
    const cg_shape shapes[][3] = {
        {CG_SHAPE(5, 7), CG_SHAPE(5, 7), CG_SHAPE(5, 7)},
        {CG_SHAPE(300, 131), CG_SHAPE(131), CG_SHAPE(300, 131)},
        {CG_SHAPE(300, 1), CG_SHAPE(131), CG_SHAPE(300, 131)},
        {CG_SCALAR, CG_SHAPE(40, 700), CG_SHAPE(40, 700)},
        {CG_SHAPE(3, 5, 1, 2), CG_SHAPE(5, 4, 1), CG_SHAPE(3, 5, 4, 2)},
        {CG_SHAPE(2, 1, 33, 65), CG_SHAPE(9, 1, 1), CG_SHAPE(2, 9, 33, 65)},
        {CG_SHAPE(2, 1), CG_SHAPE(1, 40000), CG_SHAPE(2, 40000)},
        {CG_SCALAR, CG_SCALAR, CG_SCALAR},
        {CG_SHAPE(0, 3), CG_SHAPE(3), CG_SHAPE(0, 3)},
    };
    if (variant >= (int)(sizeof shapes / sizeof shapes[0])) {
        return false;
    }
    twin_input(t, shapes[variant][0]);
    twin_input(t, shapes[variant][1]);
    if (t->single.kind->min_inputs == 3) {
        twin_input(t, shapes[variant][2]);
    }
    twin_output(t, shapes[variant][2]);
    return true;
}

static bool build_fill(twin *t, int variant) {
    static const int64_t sizes[] = {1, 13, 200003};
    if (variant >= 3) {
        return false;
    }
    t->attrs.fill = (cg_fill_attrs){sizeof t->attrs.fill, 0, 0.25};
    twin_output(t, CG_SHAPE(sizes[variant]));
    return true;
}

static void build_matmul_of(twin *t, int64_t batch, int64_t m, int64_t n, int64_t k, int bits) {
    bool ta = bits & 1, tb = bits & 2, biased = bits & 4, wide = bits & 8;
    int64_t more = wide ? 3 : 0;
    cg_matmul_attrs a = {.size = sizeof a,
                         .transpose_a = ta,
                         .transpose_b = tb,
                         .batch = batch,
                         .m = m,
                         .n = n,
                         .k = k,
                         .lda = (ta ? m : k) + more,
                         .ldb = (tb ? k : n) + more,
                         .ldc = n + more};
    int64_t size_a = (ta ? k : m) * a.lda, size_b = (tb ? n : k) * a.ldb, size_c = m * a.ldc;
    a.stride_a = size_a;
    a.stride_b = wide ? 0 : size_b;
    a.stride_c = size_c;
    t->attrs.matmul = a;
    t->tolerance = 2e-6 * sqrt((double)k) + 1e-6;
    t->work = (double)(batch * m * n * k);
    twin_input_extent(t, CG_SHAPE(batch, m, k), batch * size_a);
    twin_input_extent(t, CG_SHAPE(batch, k, n), batch * size_b);
    if (biased) {
        twin_input(t, CG_SHAPE(n));
    }
    twin_output_extent(t, CG_SHAPE(batch, m, n), batch * size_c);
}

/* The first is what a device without much time gets. */
const int64_t twin_products[][4] = {
    {1, 5, 3, 2},      {1, 1, 1, 1},      {1, 17, 33, 65},   {1, 64, 10, 100}, {1, 10, 64, 513}, {1, 130, 200, 300},
    {1, 1, 50, 700},   {1, 700, 1, 50},   {7, 9, 11, 13},    {2, 40, 50, 60},  {1, 3, 5, 0},     {3, 1, 1, 40},
    {1, 1, 70, 1},     {1, 25, 1100, 20}, {5, 130, 7, 260},  {2, 0, 3, 4},     {2, 3, 0, 4},     {0, 3, 4, 5},
    {1, 300, 9, 2000}, {1, 95, 40, 256},  {1, 277, 50, 300},
};

const int twin_product_count = (int)(sizeof twin_products / sizeof twin_products[0]);

static bool build_matmul(twin *t, int variant) {
    if (variant >= 16 * twin_product_count) {
        return false;
    }
    const int64_t *size = twin_products[variant / 16];
    build_matmul_of(t, size[0], size[1], size[2], size[3], variant % 16);
    return true;
}

static const int64_t axes[][3] = {
    {1, 1, 1},    {3, 5, 7},   {1, 20001, 1}, {1, 300, 10}, {257, 33, 1}, {64, 1000, 1}, {2, 129, 90}, {9, 1, 4},
    {1, 64, 513}, {4, 600, 3}, {1, 50, 2000}, {0, 3, 1},    {2, 3, 0},    {2, 0, 3},     {2, 0, 1},
};

static bool build_reduction(twin *t, int variant) {
    if (variant >= (int)(sizeof axes / sizeof axes[0])) {
        return false;
    }
    const int64_t *n = axes[variant];
    uint32_t number = t->single.kind->number;
    t->attrs.scale = (cg_scale_attrs){sizeof t->attrs.scale, 0, 1.0 / (double)n[1]};
    cg_shape large = CG_SHAPE(n[0], n[1], n[2]), small = CG_SHAPE(n[0], n[2]);
    twin_input(t, number == CG_OP_EXPAND ? small : large);
    if (number == CG_OP_ARGMAX) {
        twin_integer_output(t, CG_I64, small, n[1] + 1);
    } else {
        twin_output(t, number == CG_OP_EXPAND ? large : small);
    }
    return true;
}

static bool build_log_softmax(twin *t, int variant) {
    if (variant >= (int)(sizeof axes / sizeof axes[0])) {
        return false;
    }
    const int64_t *n = axes[variant];
    cg_shape shape = CG_SHAPE(n[0], n[1], n[2]);
    for (uint32_t i = 0; i < t->single.kind->min_inputs; i++) {
        twin_input(t, shape);
    }
    twin_output(t, shape);
    if (variant == 1) {
        twin_set(&t->single.inputs[0], &t->wide.inputs[0], 0,
                 t->single.kind->number == CG_OP_LOG_SOFTMAX ? 200.0f : -200.0f);
    }
    t->tolerance = 1e-4;
    return true;
}

static const int64_t class_sizes[][2] = {{1, 1}, {3, 2}, {64, 10}, {500, 37}, {5, 5000}};

/* Every other time with i32, and half of the times with factors. Class 1 is ignored. */
static bool build_cross_entropy(twin *t, int variant) {
    if (variant >= 20) {
        return false;
    }
    int64_t n = class_sizes[variant / 4][0], classes = class_sizes[variant / 4][1];
    bool backward = t->single.kind->number == CG_OP_CROSS_ENTROPY_BACKWARD;
    t->attrs.classes = (cg_class_attrs){.size = sizeof t->attrs.classes, .ignored = 1};
    twin_input(t, CG_SHAPE(n, classes));
    twin_integer_input(t, variant % 2 == 0 ? CG_I64 : CG_I32, CG_SHAPE(n), classes);
    if (backward) {
        twin_input(t, CG_SHAPE(n, 2));
        twin_input(t, CG_SHAPE(n));
        twin_output(t, CG_SHAPE(n, classes));
    } else {
        twin_set(&t->single.inputs[0], &t->wide.inputs[0], 0, 150.0f);
        twin_output(t, CG_SHAPE(n));
        twin_output(t, CG_SHAPE(n, 2));
    }
    if (variant & 2) {
        twin_input(t, CG_SHAPE(n));
    }
    return true;
}

/* With and without weights, a mean, and the classes as they are looked up. */
static bool build_class_weights(twin *t, int variant) {
    if (variant >= 40) {
        return false;
    }
    int64_t n = class_sizes[variant / 8][0] * 7, classes = class_sizes[variant / 8][1];
    bool weighted = variant & 1;
    t->attrs.classes = (cg_class_attrs){sizeof t->attrs.classes, (variant & 2) != 0, 1, classes};
    twin_integer_input(t, variant & 4 ? CG_I32 : CG_I64, CG_SHAPE(n), classes);
    if (weighted) {
        twin_input(t, CG_SHAPE(classes));
        for (int64_t i = 0; i < classes; i++) {
            twin_set(&t->single.inputs[1], &t->wide.inputs[1], i, 0.5f + (float)(i % 5));
        }
    }
    twin_output(t, CG_SHAPE(n));
    if (weighted) {
        twin_integer_output(t, CG_I64, CG_SHAPE(n), classes);
    }
    return true;
}

/* A state that is the mean of squares, or the square of a mean that stands beside it. */
static void make_squares(twin *t, uint32_t output, uint32_t of, float factor) {
    for (int64_t i = 0, n = cg_shape_numel(&t->single.outputs[output].shape); i < n; i++) {
        float mean = twin_at(&t->single.outputs[of], i);
        twin_set(&t->single.outputs[output], &t->wide.outputs[output], i, factor * mean * mean);
    }
}

/* The least and the greatest number of states; which of them are squares. */
static const struct update {
    uint32_t number;
    int least, most;
    bool squares[CG_UPDATE_MAX_STATES];
} updates[] = {
    {CG_OP_SGD_STEP, 0, 1, {false}},
    {CG_OP_ADAM_STEP, 2, 3, {false, true, true}},
    {CG_OP_RMSPROP_STEP, 1, 3, {true}},
    {CG_OP_ADAGRAD_STEP, 1, 1, {true}},
    {CG_OP_ADADELTA_STEP, 2, 2, {true, true}},
    {CG_OP_NADAM_STEP, 2, 2, {false, true}},
    {CG_OP_RADAM_STEP, 2, 2, {false, true}},
    {CG_OP_LION_STEP, 1, 1, {false}},
    {CG_OP_LAMB_DIRECTION, 3, 3, {false, true}},
    {CG_OP_LAMB_STEP, 0, 0, {false}},
    {CG_OP_AVERAGE_STEP, 0, 0, {false}},
};

/* Numbers of hyper that are exact in float; what chooses (h[6], h[7] or h[8] of some rows) is 0 in half of the cases.
 */
static void build_numbers(twin *t, int variant) {
    const float numbers[CG_UPDATE_NUMBERS] = {0.125f,
                                              variant & 1 ? -1.0f : 1.0f,
                                              variant & 2 ? 0.0625f : 0.0f,
                                              0.9375f,
                                              0.875f,
                                              0.125f,
                                              0.25f,
                                              0.5f,
                                              0.75f,
                                              0.0078125f,
                                              0.03125f,
                                              0.5f};
    twin_input(t, CG_SHAPE(CG_UPDATE_NUMBERS));
    for (int i = 0; i < CG_UPDATE_NUMBERS; i++) {
        bool chooses = (t->single.kind->number == CG_OP_SGD_STEP && (i == 6 || i == 7)) ||
                       (t->single.kind->number == CG_OP_RADAM_STEP && i == 8) ||
                       (t->single.kind->number == CG_OP_AVERAGE_STEP && i == 4);
        float number = chooses ? (float)(variant >> (i == 6) & 1) : numbers[i];
        twin_set(&t->single.inputs[0], &t->wide.inputs[0], i, number);
    }
}

/* A kind's numbers of states, each with four choices of numbers, each short and long. */
static bool build_update(twin *t, int variant) {
    const struct update *update = updates;
    while (update->number != t->single.kind->number) {
        update++;
    }
    int states = update->least + variant / 8;
    if (states > update->most) {
        return false;
    }
    const cg_shape shape = CG_SHAPE(variant & 4 ? 50001 : 33);
    build_numbers(t, variant);
    twin_input(t, shape);
    for (uint32_t i = 2; i < t->single.kind->min_inputs; i++) {
        twin_input(t, (cg_shape){.rank = 0});
        twin_set(&t->single.inputs[i], &t->wide.inputs[i], 0, variant & 1 ? 2.5f : (float)(i - 2));
    }
    for (int k = 0; k <= states; k++) {
        twin_output(t, shape);
    }
    for (int k = 0; k < states; k++) {
        if (update->squares[k]) { /* at least that of the mean that RMSprop takes off */
            make_squares(t, (uint32_t)k + 1, update->number == CG_OP_RMSPROP_STEP && states > 1 ? 2 : (uint32_t)k + 1,
                         2.0f);
        }
    }
    if (update->number == CG_OP_SGD_STEP && states > 0 && variant & 2) {
        twin_set(&t->single.outputs[1], &t->wide.outputs[1], 4, NAN); /* what the first step must not read */
    }
    return true;
}

static twin_builder builder(uint32_t number) {
    switch (number) {
    case CG_OP_COPY:
        return twin_build_copy;
    case CG_OP_FILL:
        return build_fill;
    case CG_OP_MATMUL:
    case CG_OP_MATMUL_RELU:
        return build_matmul;
    case CG_OP_SUM:
    case CG_OP_EXPAND:
    case CG_OP_ARGMAX:
        return build_reduction;
    case CG_OP_LOG_SOFTMAX:
    case CG_OP_LOG_SOFTMAX_BACKWARD:
    case CG_OP_SOFTMAX:
    case CG_OP_SOFTMAX_BACKWARD:
        return build_log_softmax;
    case CG_OP_CROSS_ENTROPY:
    case CG_OP_CROSS_ENTROPY_BACKWARD:
        return build_cross_entropy;
    case CG_OP_CLASS_WEIGHTS:
        return build_class_weights;
    case CG_OP_CONV:
    case CG_OP_CONV_BACKWARD_INPUT:
    case CG_OP_CONV_BACKWARD_WEIGHT:
        return twin_build_conv;
    case CG_OP_MAX_POOL:
    case CG_OP_MAX_POOL_BACKWARD:
    case CG_OP_AVG_POOL:
    case CG_OP_AVG_POOL_BACKWARD:
        return twin_build_pool;
    case CG_OP_PAD:
    case CG_OP_PAD_BACKWARD:
        return twin_build_pad;
    case CG_OP_INTERPOLATE:
    case CG_OP_INTERPOLATE_BACKWARD:
        return twin_build_interpolate;
    case CG_OP_STRIDED_COPY:
        return twin_build_strided_copy;
    case CG_OP_CAST:
        return twin_build_cast;
    case CG_OP_INDEX_SELECT:
    case CG_OP_INDEX_ADD:
        return twin_build_index;
    case CG_OP_GATHER:
    case CG_OP_SCATTER_ADD:
        return twin_build_gather;
    case CG_OP_ONE_HOT:
        return twin_build_one_hot;
    case CG_OP_CUMSUM:
        return twin_build_cumsum;
    case CG_OP_NORMALIZE:
    case CG_OP_NORMALIZE_RELU:
    case CG_OP_NORMALIZE_BACKWARD:
    case CG_OP_NORMALIZE_WEIGHT_BACKWARD:
    case CG_OP_BATCH_NORM_BACKWARD:
        return twin_build_normalize;
    case CG_OP_RUNNING_STATS:
        return twin_build_running_stats;
    case CG_OP_RANDOM:
        return twin_build_random;
#define CG_UNARY(index, NAME, name, y, dx)                                                                             \
    case CG_OP_##NAME:                                                                                                 \
    case CG_OP_##NAME##_BACKWARD:                                                                                      \
        return build_unary;
#define CG_BINARY(index, NAME, name, z, da, db)                                                                        \
    case CG_OP_##NAME:                                                                                                 \
    case CG_OP_##NAME##_BACKWARD_A:                                                                                    \
    case CG_OP_##NAME##_BACKWARD_B:                                                                                    \
        return build_binary;
#include <clgrad/elementwise.def>
#undef CG_UNARY
#undef CG_BINARY
#define CG_UPDATE(NAME, name, statements) case CG_OP_##NAME:
#include <clgrad/updates.def>
#undef CG_UPDATE
        return build_update;
    }
    return NULL;
}

bool twin_build(twin *t, uint32_t number, int variant, uint64_t seed) {
    twin_builder build = builder(number);
    cr_assert(build != NULL, "kind %s has no case", cg_kind(number)->name);
    twin_begin(t, cg_kind(number), seed);
    return build(t, variant);
}
