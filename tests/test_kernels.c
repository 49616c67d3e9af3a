/*
 * The kernels beneath the tape: every built-in kind on the cpu backend (1 and 3 threads) and on the reference in float
 * against the reference in double, over odd shapes, offsets, broadcasting, batches and accumulation. A kind without a
 * case here fails.
 */
#include <criterion/criterion.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/backends/cpu/matmul.h"
#include "builtin.h"
#include "record.h"

#define OFFSET 3 /* elements in front of an operand, so that nothing is aligned by luck */
#define GUARD 5  /* and behind it, which must stay as they are */
#define GUARD_VALUE 12345.0

/* One op twice: in float for the device and in double for the oracle, on the same values. */
typedef struct twin {
    cg_op single, wide;
    union {
        cg_elementwise_attrs elementwise;
        cg_scale_attrs scale;
        cg_matmul_attrs matmul;
        cg_sgd_attrs sgd;
        cg_adam_attrs adam;
        cg_fill_attrs fill;
        cg_no_attrs none;
    } attrs;
    double tolerance;
} twin;

static uint64_t random_state = 1;

static uint64_t random_bits(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* -2 to 2, exact in float. */
static float random_value(void) {
    return (float)(random_bits() >> 40) * 0x1p-22f - 2.0f;
}

static void twin_begin(twin *t, uint32_t number) {
    memset(t, 0, sizeof *t);
    t->single.kind = t->wide.kind = cg_kind(number);
    t->single.attrs = t->wide.attrs = &t->attrs;
    t->tolerance = 1e-5;
}

static void fill_operand(cg_operand *single, cg_operand *wide, const cg_shape *shape, int64_t extent) {
    *single = *wide = (cg_operand){.offset = OFFSET, .extent = (size_t)extent, .shape = *shape};
    single->dtype = CG_F32;
    wide->dtype = CG_F64;
    size_t count = (size_t)extent + OFFSET + GUARD;
    float *floats = malloc(count * sizeof *floats);
    double *doubles = malloc(count * sizeof *doubles);
    for (size_t i = 0; i < count; i++) {
        bool inside = i >= OFFSET && i < OFFSET + (size_t)extent;
        doubles[i] = floats[i] = inside ? random_value() : (float)GUARD_VALUE;
    }
    single->buffer = floats;
    wide->buffer = doubles;
}

static void set(const cg_operand *single, const cg_operand *wide, int64_t i, float value) {
    ((float *)single->buffer)[OFFSET + i] = value;
    ((double *)wide->buffer)[OFFSET + i] = value;
}

static void input_extent(twin *t, cg_shape shape, int64_t extent) {
    uint32_t i = t->single.n_inputs++;
    t->wide.n_inputs++;
    fill_operand(&t->single.inputs[i], &t->wide.inputs[i], &shape, extent);
}

static void input(twin *t, cg_shape shape) {
    input_extent(t, shape, cg_shape_numel(&shape));
}

static void output_extent(twin *t, cg_shape shape, int64_t extent) {
    uint32_t i = t->single.n_outputs++;
    t->wide.n_outputs++;
    fill_operand(&t->single.outputs[i], &t->wide.outputs[i], &shape, extent);
}

static void output(twin *t, cg_shape shape) {
    output_extent(t, shape, cg_shape_numel(&shape));
}

/* Classes 0..classes-1, the same memory for both. */
static void target_input(twin *t, int64_t n, int64_t classes, cg_dtype dtype) {
    cg_operand target = {.extent = (size_t)n, .shape = CG_SHAPE(n), .dtype = dtype, .buffer = malloc((size_t)n * 8)};
    for (int64_t i = 0; i < n; i++) {
        int64_t label = (int64_t)(random_bits() >> 33) % classes;
        if (dtype == CG_I32) {
            ((int32_t *)target.buffer)[i] = (int32_t)label;
        } else {
            ((int64_t *)target.buffer)[i] = label;
        }
    }
    t->single.inputs[t->single.n_inputs++] = target;
    t->wide.inputs[t->wide.n_inputs++] = target;
}

static void twin_end(twin *t) {
    for (uint32_t i = 0; i < t->single.n_inputs; i++) {
        if (t->single.inputs[i].buffer != t->wide.inputs[i].buffer) {
            free(t->wide.inputs[i].buffer);
        }
        free(t->single.inputs[i].buffer);
    }
    for (uint32_t i = 0; i < t->single.n_outputs; i++) {
        free(t->wide.outputs[i].buffer);
        free(t->single.outputs[i].buffer);
    }
}

/* ---- cases: build(t, variant) is false when there is no such variant ---- */

static bool build_unary(twin *t, int variant) {
    static const int64_t sizes[] = {1, 7, 1000, 70001, 0};
    if (variant >= 5) {
        return false;
    }
    t->attrs.elementwise = (cg_elementwise_attrs){sizeof t->attrs.elementwise, 0, {0.1, 0.4, 1.1}};
    for (uint32_t i = 0; i < t->single.kind->min_inputs; i++) {
        input(t, CG_SHAPE(sizes[variant]));
    }
    output(t, CG_SHAPE(sizes[variant]));
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
    input(t, shapes[variant][0]);
    input(t, shapes[variant][1]);
    if (t->single.kind->min_inputs == 3) {
        input(t, shapes[variant][2]);
    }
    output(t, shapes[variant][2]);
    return true;
}

static bool build_copy(twin *t, int variant) {
    static const int64_t sizes[] = {1, 13, 200003};
    if (variant >= 3) {
        return false;
    }
    input(t, CG_SHAPE(sizes[variant]));
    output(t, CG_SHAPE(sizes[variant]));
    return true;
}

static bool build_fill(twin *t, int variant) {
    static const int64_t sizes[] = {1, 13, 200003};
    if (variant >= 3) {
        return false;
    }
    t->attrs.fill = (cg_fill_attrs){sizeof t->attrs.fill, 0, 0.25};
    output(t, CG_SHAPE(sizes[variant]));
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
    input_extent(t, CG_SHAPE(batch, m, k), batch * size_a);
    input_extent(t, CG_SHAPE(batch, k, n), batch * size_b);
    if (biased) {
        input(t, CG_SHAPE(n));
    }
    output_extent(t, CG_SHAPE(batch, m, n), batch * size_c);
}

static const int64_t products[][4] = {
    {1, 1, 1, 1},       {1, 5, 3, 2},    {1, 17, 33, 65}, {1, 64, 10, 100},  {1, 10, 64, 513},
    {1, 130, 200, 300}, {1, 1, 50, 700}, {1, 700, 1, 50}, {7, 9, 11, 13},    {2, 40, 50, 60},
    {1, 3, 5, 0},       {3, 1, 1, 40},   {1, 1, 70, 1},   {1, 25, 1100, 20}, {5, 130, 7, 260},
    {2, 0, 3, 4},       {2, 3, 0, 4},    {0, 3, 4, 5},    {1, 300, 9, 2000},
};

static bool build_matmul(twin *t, int variant) {
    int count = (int)(sizeof products / sizeof products[0]);
    if (variant >= 16 * count) {
        return false;
    }
    const int64_t *size = products[variant / 16];
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
    input(t, number == CG_OP_EXPAND ? small : large);
    output(t, number == CG_OP_EXPAND ? large : small);
    if (number == CG_OP_ARGMAX) { /* 8 bytes an element fit where doubles were; floats get as much */
        t->single.outputs[0].dtype = t->wide.outputs[0].dtype = CG_I64;
        free(t->single.outputs[0].buffer);
        t->single.outputs[0].buffer = malloc((t->wide.outputs[0].extent + OFFSET + GUARD) * sizeof(int64_t));
        memcpy(t->single.outputs[0].buffer, t->wide.outputs[0].buffer,
               (t->wide.outputs[0].extent + OFFSET + GUARD) * sizeof(int64_t));
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
        input(t, shape);
    }
    output(t, shape);
    if (variant == 1) {
        set(&t->single.inputs[0], &t->wide.inputs[0], 0,
            t->single.kind->number == CG_OP_LOG_SOFTMAX ? 200.0f : -200.0f);
    }
    t->tolerance = 1e-4;
    return true;
}

static bool build_cross_entropy(twin *t, int variant) {
    static const int64_t sizes[][2] = {{1, 1}, {3, 2}, {64, 10}, {500, 37}, {5, 5000}};
    if (variant >= 10) {
        return false;
    }
    int64_t n = sizes[variant / 2][0], classes = sizes[variant / 2][1];
    bool backward = t->single.kind->number == CG_OP_CROSS_ENTROPY_BACKWARD;
    input(t, CG_SHAPE(n, classes));
    target_input(t, n, classes, variant % 2 == 0 ? CG_I64 : CG_I32);
    if (backward) {
        input(t, CG_SHAPE(n, 2));
        input(t, CG_SHAPE(n));
        output(t, CG_SHAPE(n, classes));
    } else {
        set(&t->single.inputs[0], &t->wide.inputs[0], 0, 150.0f);
        output(t, CG_SHAPE(n));
        output(t, CG_SHAPE(n, 2));
    }
    return true;
}

static bool build_sgd_step(twin *t, int variant) {
    if (variant >= 8) {
        return false;
    }
    bool moving = variant & 1, first = variant & 2, nesterov = variant & 4;
    t->attrs.sgd =
        (cg_sgd_attrs){sizeof t->attrs.sgd, nesterov && moving, moving ? 0.9 : 0.0, nesterov ? 0.0 : 0.3, 0.01};
    int64_t n = variant < 4 ? 33 : 50001;
    input(t, CG_SHAPE(2));
    set(&t->single.inputs[0], &t->wide.inputs[0], 0, 0.125f);
    set(&t->single.inputs[0], &t->wide.inputs[0], 1, first ? 1.0f : 0.0f);
    input(t, CG_SHAPE(n));
    output(t, CG_SHAPE(n));
    if (moving) {
        output(t, CG_SHAPE(n));
        set(&t->single.outputs[1], &t->wide.outputs[1], 4, first ? NAN : 1.0f); /* what the first step must not read */
    }
    return true;
}

static bool build_adam_step(twin *t, int variant) {
    if (variant >= 4) {
        return false;
    }
    t->attrs.adam = (cg_adam_attrs){sizeof t->attrs.adam, variant & 1, 0.9, 0.999, 1e-8, variant & 2 ? 0.01 : 0.0};
    int64_t n = variant < 2 ? 33 : 50001;
    input(t, CG_SHAPE(3));
    const float hyper[] = {0.001f, 0.271f, 0.0547f};
    for (int i = 0; i < 3; i++) {
        set(&t->single.inputs[0], &t->wide.inputs[0], i, hyper[i]);
    }
    input(t, CG_SHAPE(n));
    for (int i = 0; i < 3; i++) {
        output(t, CG_SHAPE(n));
    }
    for (int64_t i = 0; i < n; i++) {
        float second = ((float *)t->single.outputs[2].buffer)[OFFSET + i];
        set(&t->single.outputs[2], &t->wide.outputs[2], i, second * second);
    }
    return true;
}

typedef bool (*build_fn)(twin *t, int variant);

static build_fn builder(uint32_t number) {
    switch (number) {
    case CG_OP_COPY:
        return build_copy;
    case CG_OP_FILL:
        return build_fill;
    case CG_OP_MATMUL:
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
    case CG_OP_SGD_STEP:
        return build_sgd_step;
    case CG_OP_ADAM_STEP:
        return build_adam_step;
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
    }
    return NULL;
}

/* ---- devices and comparison ---- */

static void *open_device(const cg_backend *backend, const char *key, const char *value) {
    void *device = NULL;
    cg_option option = {key, value};
    cr_assert(backend->open(NULL, 0, &option, key != NULL ? 1 : 0, &device) == CG_OK, "%s", cg_error_message());
    return device;
}

/* Empty when the float output is near the double one everywhere, guards included; else what differs. */
static const char *difference(const cg_operand *single, const cg_operand *wide, double tolerance, char *text,
                              size_t size) {
    text[0] = '\0';
    if (single->dtype == CG_I64) {
        if (memcmp(single->buffer, wide->buffer, (single->extent + OFFSET + GUARD) * sizeof(int64_t)) != 0) {
            snprintf(text, size, "other indices");
        }
        return text;
    }
    const float *actual = single->buffer;
    const double *expected = wide->buffer;
    double largest = 0.0;
    for (size_t i = OFFSET; i < OFFSET + single->extent; i++) {
        largest = fabs(expected[i]) > largest ? fabs(expected[i]) : largest;
    }
    for (size_t i = 0; i < OFFSET + single->extent + GUARD && text[0] == '\0'; i++) {
        bool inside = i >= OFFSET && i < OFFSET + single->extent;
        double bound = inside ? tolerance * (fabs(expected[i]) + 0.1 * largest) : 0.0;
        bool both_nan = isnan(expected[i]) && isnan(actual[i]);
        if (!both_nan && !(fabs((double)actual[i] - expected[i]) <= bound)) {
            snprintf(text, size, "element %ld: %.9g, expected %.9g", (long)i - OFFSET, (double)actual[i], expected[i]);
        }
    }
    return text;
}

static void compare(const twin *t, const char *device, int variant) {
    char text[128];
    for (uint32_t i = 0; i < t->single.n_outputs; i++) {
        difference(&t->single.outputs[i], &t->wide.outputs[i], t->tolerance, text, sizeof text);
        cr_expect(text[0] == '\0', "%s on %s, variant %d, accumulate %u, output %u: %s", t->single.kind->name, device,
                  variant, t->single.accumulate, i, text);
    }
}

/* Every variant of one kind; `seed` makes the values the same for every device. */
static void check_kind(const cg_op_kind *kind, const cg_backend *backend, void *device, const char *name) {
    build_fn build = builder(kind->number);
    cr_assert(build != NULL, "kind %s has no case in this file", kind->name);
    for (uint32_t accumulate = 0; accumulate <= (kind->flags & CG_KIND_ACCUMULATES ? 1u : 0u); accumulate++) {
        for (int variant = 0;; variant++) {
            twin t;
            random_state = (uint64_t)kind->number * 1000 + (uint64_t)variant + 1;
            twin_begin(&t, kind->number);
            if (!build(&t, variant)) {
                break;
            }
            t.single.accumulate = t.wide.accumulate = accumulate;
            cr_assert(cg_backend_reference.run(NULL, &t.wide) == CG_OK, "%s", cg_error_message());
            cr_assert(backend->run(device, &t.single) == CG_OK, "%s", cg_error_message());
            compare(&t, name, variant);
            twin_end(&t);
        }
    }
}

static void check_all(const cg_backend *backend, const char *key, const char *value, const char *name) {
    void *device = open_device(backend, key, value);
    for (size_t i = 0; i < cg_kind_count; i++) {
        check_kind(&cg_kinds[i], backend, device, name);
    }
    backend->close(device);
}

Test(kernels, agree_on_one_thread) {
    check_all(&cg_backend_cpu, "threads", "1", "cpu,threads=1");
}

/* Three where the build has threads at all. */
static void *open_several(void) {
    void *device = NULL;
    cg_option option = {"threads", "3"};
    if (cg_backend_cpu.open(NULL, 0, &option, 1, &device) != CG_OK) {
        device = open_device(&cg_backend_cpu, NULL, NULL);
    }
    return device;
}

Test(kernels, agree_on_several_threads) {
    void *device = open_several();
    for (size_t i = 0; i < cg_kind_count; i++) {
        check_kind(&cg_kinds[i], &cg_backend_cpu, device, "cpu,threads=3");
    }
    cg_backend_cpu.close(device);
}

Test(kernels, agree_on_the_reference_in_float) {
    check_all(&cg_backend_reference, "dtype", "f32", "reference");
}

static int same_bits(const cg_operand *a, const cg_operand *b) {
    return memcmp(a->buffer, b->buffer, (a->extent + OFFSET + GUARD) * sizeof(float)) == 0;
}

Test(kernels, give_the_same_bits_whatever_the_threads) {
    void *one = open_device(&cg_backend_cpu, "threads", "1"), *several = open_several();
    for (size_t i = 0; i < cg_kind_count; i++) {
        for (int variant = 0; cg_kinds[i].number != CG_OP_MATMUL && cg_kinds[i].number != CG_OP_ARGMAX; variant++) {
            twin a, b;
            random_state = 99;
            twin_begin(&a, cg_kinds[i].number);
            bool built = builder(cg_kinds[i].number)(&a, variant);
            random_state = 99;
            twin_begin(&b, cg_kinds[i].number);
            if (!builder(cg_kinds[i].number)(&b, variant) || !built) {
                break;
            }
            cr_assert(cg_backend_cpu.run(one, &a.single) == CG_OK && cg_backend_cpu.run(several, &b.single) == CG_OK);
            cr_expect(same_bits(&a.single.outputs[0], &b.single.outputs[0]), "%s variant %d", cg_kinds[i].name,
                      variant);
            twin_end(&a);
            twin_end(&b);
        }
    }
    cg_backend_cpu.close(one);
    cg_backend_cpu.close(several);
}

/* Every tile that this processor runs, by the shapes of the matmul cases; a NULL tile means the vector loops. */
static void check_own(cpu_device *device, const cpu_tile *tile, int variant, bool add) {
    twin t;
    random_state = (uint64_t)variant + 1;
    twin_begin(&t, CG_OP_MATMUL);
    build_matmul(&t, variant);
    const cg_matmul_attrs *a = &t.attrs.matmul;
    t.wide.accumulate = add;
    t.wide.n_inputs = 2;
    cr_assert(cg_backend_reference.run(NULL, &t.wide) == CG_OK);
    for (int64_t i = 0; i < a->batch; i++) {
        cpu_gemm gemm = {a->transpose_a,
                         a->transpose_b,
                         add,
                         a->m,
                         a->n,
                         a->k,
                         a->lda,
                         a->ldb,
                         a->ldc,
                         cpu_floats(&t.single.inputs[0]) + i * a->stride_a,
                         cpu_floats(&t.single.inputs[1]) + i * a->stride_b,
                         cpu_floats(&t.single.outputs[0]) + i * a->stride_c};
        cr_assert((tile != NULL ? cpu_gemm_blocked(device, tile, &gemm) : cpu_gemm_vector(device, &gemm)) == CG_OK);
    }
    compare(&t, tile != NULL ? tile->name : "vector loops", variant);
    twin_end(&t);
}

/* The packed loops take products with something in them. */
static bool has_work(int variant) {
    const int64_t *size = products[variant / 16];
    return size[1] > 0 && size[2] > 0 && size[3] > 0;
}

Test(kernels, blocked_products_agree_with_every_tile) {
    const cpu_tile *tiles[CPU_TILES];
    int count = cpu_tiles(tiles);
    void *several = open_several();
    cr_assert(count >= 1);
    for (int tile = 0; tile < count; tile++) {
        for (int variant = 0; variant < 16 * (int)(sizeof products / sizeof products[0]); variant++) {
            if (has_work(variant) && !(variant & 4)) {
                check_own(several, tiles[tile], variant, false);
                check_own(several, tiles[tile], variant, true);
            }
        }
    }
    cg_backend_cpu.close(several);
}

Test(kernels, products_with_a_vector_agree) {
    void *several = open_several();
    for (int variant = 0; variant < 16 * (int)(sizeof products / sizeof products[0]); variant++) {
        const int64_t *size = products[variant / 16];
        if ((size[1] == 1 || size[2] == 1) && has_work(variant) && !(variant & 4)) {
            check_own(several, NULL, variant, false);
            check_own(several, NULL, variant, true);
        }
    }
    cg_backend_cpu.close(several);
}
