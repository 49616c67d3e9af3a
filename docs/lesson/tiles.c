/*
 * Chapter 15: the matrix product as it is written in a book, the same in tiles, and the library's, on the same device.
 *
 *     lesson_tiles --device opencl:gpu
 */
#include "lesson.h"

#include <stdio.h>

/* c = a b, all [n, n]; attributes begin with their size. */
typedef struct sizes {
    uint32_t size, n;
} sizes;

enum { TILE = 4 };

/* T x T results at a time: T = 1 is the sum as it is written in a book, two numbers read for each multiplication; T = 4
 * reads eight numbers for sixteen. */
#define PRODUCT(name, real, T)                                                                                         \
    static cg_status name(const cg_op *op) {                                                                           \
        const size_t n = ((const sizes *)op->attrs)->n;                                                                \
        const real *a = (const real *)op->inputs[0].buffer + op->inputs[0].offset;                                     \
        const real *b = (const real *)op->inputs[1].buffer + op->inputs[1].offset;                                     \
        real *c = (real *)op->outputs[0].buffer + op->outputs[0].offset;                                               \
        for (size_t tile = 0; tile < n * n / (T * T); tile++) {                                                        \
            size_t row = tile / (n / T) * T, column = tile % (n / T) * T;                                              \
            real sums[T * T] = {0};                                                                                    \
            for (size_t k = 0; k < n; k++) {                                                                           \
                for (size_t i = 0; i < T * T; i++) {                                                                   \
                    sums[i] += a[(row + i / T) * n + k] * b[k * n + column + i % T];                                   \
                }                                                                                                      \
            }                                                                                                          \
            for (size_t i = 0; i < T * T; i++) {                                                                       \
                c[(row + i / T) * n + column + i % T] = sums[i];                                                       \
            }                                                                                                          \
        }                                                                                                              \
        return CG_OK;                                                                                                  \
    }
PRODUCT(book_f32, float, 1)
PRODUCT(book_f64, double, 1)
PRODUCT(tiled_f32, float, TILE)
PRODUCT(tiled_f64, double, TILE)

/* The same for OpenCL: here an item makes one result, and there one tile. */
static const char book_source[] = "typedef struct { uint size, n; } sizes;\n"
                                  "kernel void book(global const float *a, ulong a_at, global const float *b, ulong "
                                  "b_at, global float *c, ulong c_at,\n"
                                  "                 ulong count, int accumulate, sizes p) {\n"
                                  "    uint i = get_global_id(0);\n"
                                  "    if (i < count) {\n"
                                  "        float sum = 0.0f;\n"
                                  "        for (uint k = 0; k < p.n; k++) {\n"
                                  "            sum += a[a_at + i / p.n * p.n + k] * b[b_at + k * p.n + i % p.n];\n"
                                  "        }\n"
                                  "        c[c_at + i] = sum;\n"
                                  "    }\n"
                                  "}\n";

static const char tiled_source[] =
    "typedef struct { uint size, n; } sizes;\n"
    "kernel void tiled(global const float *a, ulong a_at, global const float *b, ulong b_at, global float *c, ulong "
    "c_at,\n"
    "                  ulong count, int accumulate, sizes p) {\n"
    "    uint tile = get_global_id(0), row = tile / (p.n / 4) * 4, column = tile % (p.n / 4) * 4;\n"
    "    if (tile < count / 16) {\n"
    "        a += a_at + row * p.n;\n"
    "        b += b_at + column;\n"
    "        float4 s0 = 0.0f, s1 = 0.0f, s2 = 0.0f, s3 = 0.0f;\n"
    "        for (uint k = 0; k < p.n; k++) {\n"
    "            float4 four = vload4(0, b + k * p.n);\n"
    "            s0 += a[k] * four;\n"
    "            s1 += a[p.n + k] * four;\n"
    "            s2 += a[2 * p.n + k] * four;\n"
    "            s3 += a[3 * p.n + k] * four;\n"
    "        }\n"
    "        c += c_at + row * p.n + column;\n"
    "        vstore4(s0, 0, c);\n"
    "        vstore4(s1, 0, c + p.n);\n"
    "        vstore4(s2, 0, c + 2 * p.n);\n"
    "        vstore4(s3, 0, c + 3 * p.n);\n"
    "    }\n"
    "}\n";

static cg_status make_op(const char *name, cg_reference_fn f32, cg_reference_fn f64, const char *source,
                         uint32_t *number) {
    const cg_op_definition definition = {.size = sizeof definition,
                                         .name = name,
                                         .min_inputs = 2,
                                         .max_inputs = 2,
                                         .outputs = 1,
                                         .attrs_size = sizeof(sizes),
                                         .reference_f32 = f32,
                                         .reference_f64 = f64,
                                         .opencl_source = source};
    return cg_op_register(&definition, number);
}

/* The product by op `number`, 0 for the library's, twice (the first time, kernels are built); against `expected`. */
static cg_status measure(lesson *l, const char *name, uint32_t number, cg_tensor *in[2], cg_tensor **expected) {
    const cg_shape *shape = cg_tensor_shape(in[0]);
    const sizes attrs = {.n = (uint32_t)shape->dim[0]};
    double ms = 0, share = 0;
    cg_tensor *found = NULL;
    for (int i = 0; i < 2; i++) {
        double start = lesson_now_ms();
        cg_tensor *c = number == 0 ? cg_matmul(l->tape, in[0], in[1], NULL)
                                   : cg_op_record(l->tape, number, &attrs, in, 2, shape, NULL);
        CG_TRY(lesson_finish(l));
        ms = lesson_now_ms() - start;
        CG_TRY(lesson_keep(l, c, &found));
        CG_TRY(cg_tape_run(l->tape));
    }
    *expected = *expected == NULL ? found : *expected;
    CG_TRY(lesson_difference(found, *expected, &share));
    CG_TRY(lesson_within(name, share, 1e-5));
    printf("%-16s %9.1f ms\n", name, ms);
    return CG_OK;
}

static cg_status run(lesson *l) {
    cg_tensor *in[2] = {NULL}, *expected = NULL;
    uint32_t book = 0, tiled = 0;
    int64_t n = 0;
    CG_TRY(lesson_count(l, "size", &n));
    if (n % TILE != 0 || n > 4096) {
        return cg_fail(CG_ERR_ARGUMENT, "--size %lld: expected a multiple of %d up to 4096", (long long)n, TILE);
    }
    CG_TRY(make_op("book", book_f32, book_f64, book_source, &book));
    CG_TRY(make_op("tiled", tiled_f32, tiled_f64, tiled_source, &tiled));
    CG_TRY(lesson_normal(l, CG_SHAPE(n, n), 1, 12, &in[0]));
    CG_TRY(lesson_normal(l, CG_SHAPE(n, n), 1, 13, &in[1]));
    CG_TRY(measure(l, "the library's", 0, in, &expected));
    CG_TRY(measure(l, "as in a book", book, in, &expected));
    CG_TRY(measure(l, "tiles of 4 x 4", tiled, in, &expected));
    puts("the three agree within 1e-5");
    return CG_OK;
}

int main(int argc, char *argv[]) {
    lesson_flag flags[] = {{"size", "512", "rows and columns, a multiple of 4"}, {0}};
    return lesson_main(argc, argv, flags, run);
}
