/*
 * The kernels of the cpu backend beneath the tape: every built-in kind on 1 and 3 threads against the reference in
 * double, empty operands included; the same bits whatever the threads; and every loop of the products by itself.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include <criterion/criterion.h>

#include <clgrad/device.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../src/backends/cpu/matmul.h"
#include "builtin.h"
#include "twin.h"

static void *open_device(const char *threads) {
    void *device = NULL;
    cg_option option = {"threads", threads};
    cr_assert(cg_backend_cpu.open(NULL, 0, &option, threads != NULL ? 1 : 0, &device) == CG_OK, "%s",
              cg_error_message());
    return device;
}

/* Three where the build has threads at all. */
static void *open_several(void) {
    void *device = NULL;
    cg_option option = {"threads", "3"};
    bool opened = cg_backend_cpu.open(NULL, 0, &option, 1, &device) == CG_OK;
    return opened ? device : open_device(NULL);
}

/* The cases of one kind where the operands are, without buffers of a device. */
static void check_kind(const cg_op_kind *kind, void *device, const char *name) {
    twin t;
    for (int variant = 0; twin_build(&t, kind->number, variant, kind->number * UINT64_C(1000) + (uint64_t)variant + 1);
         variant++) {
        cr_assert(cg_backend_reference.run(NULL, &t.wide) == CG_OK, "%s", cg_error_message());
        cr_assert(cg_backend_cpu.run(device, &t.single) == CG_OK, "%s", cg_error_message());
        twin_compare(&t, name, variant);
        twin_end(&t);
    }
}

static void check_all(void *device, const char *name) {
    for (size_t i = 0; i < cg_kind_count; i++) {
        check_kind(&cg_kinds[i], device, name);
    }
    cg_backend_cpu.close(device);
}

Test(kernels_cpu, agree_on_one_thread) {
    check_all(open_device("1"), "cpu,threads=1");
}

Test(kernels_cpu, agree_on_several_threads) {
    check_all(open_several(), "cpu,threads=3");
}

/* Memory behind which nothing may be touched. */
typedef struct fenced {
    char *mapping;
    size_t bytes;
    void *at;
} fenced;

static fenced fence(size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (bytes + page - 1) / page * page;
    fenced f = {.bytes = whole + page};
    f.mapping = mmap(NULL, f.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(f.mapping != MAP_FAILED && mprotect(f.mapping + whole, page, PROT_NONE) == 0);
    f.at = f.mapping + whole - bytes;
    return f;
}

/* The op once more in as much scratch memory as it asked for. */
static void run_fenced(const cg_op *op) {
    cpu_device *device = open_device(NULL);
    cr_assert(cg_backend_cpu.run(device, op) == CG_OK, "%s", cg_error_message());
    if (device->scratch_bytes > 0) {
        void *own = device->scratch;
        fenced f = fence(device->scratch_bytes);
        device->scratch = f.at;
        cr_assert(cg_backend_cpu.run(device, op) == CG_OK, "%s", cg_error_message());
        device->scratch = own;
        munmap(f.mapping, f.bytes);
    }
    cg_backend_cpu.close(device);
}

Test(kernels_cpu, use_no_more_scratch_memory_than_they_ask_for) {
    for (size_t i = 0; i < cg_kind_count; i++) {
        twin t;
        for (int variant = 0; twin_build(&t, cg_kinds[i].number, variant, 5); variant++) {
            run_fenced(&t.single);
            twin_end(&t);
        }
    }
}

static bool same_bits(const cg_operand *a, const cg_operand *b) {
    return memcmp(a->buffer, b->buffer, (a->extent + TWIN_OFFSET + TWIN_GUARD) * cg_dtype_size(a->dtype)) == 0;
}

static void check_same_bits(void *one, void *several, const cg_op_kind *kind) {
    twin a, b;
    for (int variant = 0; twin_build(&a, kind->number, variant, 99); variant++) {
        cr_assert(twin_build(&b, kind->number, variant, 99));
        cr_assert(cg_backend_cpu.run(one, &a.single) == CG_OK && cg_backend_cpu.run(several, &b.single) == CG_OK);
        cr_expect(same_bits(&a.single.outputs[0], &b.single.outputs[0]), "%s variant %d", kind->name, variant);
        twin_end(&a);
        twin_end(&b);
    }
}

/* A library's products and convolutions may be shared out otherwise. */
static bool may_be_a_librarys(uint32_t number) {
    bool product = number == CG_OP_MATMUL || number == CG_OP_MATMUL_RELU;
    bool convolution = number >= CG_OP_CONV && number <= CG_OP_CONV_BACKWARD_WEIGHT;
    return strcmp(cg_cpu_blas_name(), "built in") != 0 && (product || convolution);
}

Test(kernels_cpu, give_the_same_bits_whatever_the_threads) {
    void *one = open_device("1"), *several = open_several();
    for (size_t i = 0; i < cg_kind_count; i++) {
        if (!may_be_a_librarys(cg_kinds[i].number)) {
            check_same_bits(one, several, &cg_kinds[i]);
        }
    }
    cg_backend_cpu.close(one);
    cg_backend_cpu.close(several);
}

static bool same_nans(const cg_operand *single, const cg_operand *wide) {
    bool same = true;
    for (size_t i = 0; i < single->extent; i++) {
        same = same && isnan(((const float *)single->buffer)[single->offset + i]) ==
                           isnan(((const double *)wide->buffer)[wide->offset + i]);
    }
    return same;
}

/* One number of the first operand that a transform of its neighbours must not spread to them, or turn into NaN. */
static void check_one_number(void *device, uint32_t number, double place, float value) {
    twin t;
    for (int variant = 0; twin_build(&t, number, variant, 7); variant++) {
        if (!twin_is_empty(&t)) {
            int64_t last = (int64_t)t.single.inputs[0].extent - 1;
            twin_set(&t.single.inputs[0], &t.wide.inputs[0], (int64_t)(place * (double)last), value);
            cr_assert(cg_backend_reference.run(NULL, &t.wide) == CG_OK &&
                      cg_backend_cpu.run(device, &t.single) == CG_OK);
            cr_expect(same_nans(&t.single.outputs[0], &t.wide.outputs[0]), "kind %u variant %d", number, variant);
        }
        twin_end(&t);
    }
}

Test(kernels_cpu, convolutions_keep_nan_and_huge_numbers_where_they_belong) {
    void *several = open_several();
    for (uint32_t number = CG_OP_CONV; number <= CG_OP_CONV_BACKWARD_WEIGHT; number++) {
        check_one_number(several, number, 0.5, NAN);
        check_one_number(several, number, 0, -1e38f);
        check_one_number(several, number, 1, 1e38f);
    }
    cg_backend_cpu.close(several);
}

#define ITEMS 999

typedef struct visits {
    atomic_int times[ITEMS];
    atomic_int ranges;
    pthread_t by[ITEMS];
} visits;

/* The thread that has the first item is held up in it. */
static void visit(void *context, int64_t begin, int64_t end) {
    visits *v = context;
    for (int64_t i = begin; i < end; i++) {
        atomic_fetch_add(&v->times[i], 1);
        v->by[i] = pthread_self();
    }
    atomic_fetch_add(&v->ranges, 1);
    if (begin == 0) {
        nanosleep(&(struct timespec){0, 100000000}, NULL);
    }
}

/* Of a thread's share what it has not begun is done by the others, and nothing twice. */
Test(kernels_cpu, threads_take_over_what_a_slow_one_has_not_begun) {
    static visits v;
    cpu_device *several = open_several();
    cpu_parallel(several, ITEMS, 1, visit, &v);
    int last = ITEMS / several->threads - 1;
    for (int i = 0; i < ITEMS; i++) {
        cr_assert(atomic_load(&v.times[i]) == 1, "item %d: %d times", i, atomic_load(&v.times[i]));
    }
    cr_expect(several->threads == 1 || !pthread_equal(v.by[0], v.by[last]), "a slow thread was left alone");
    cr_expect(atomic_load(&v.ranges) >= several->threads);
    cg_backend_cpu.close(several);
}

typedef cg_status (*own_product)(cpu_device *device, const cpu_tile *tile, const cpu_gemm *gemm);

static cg_status vector_product(cpu_device *device, const cpu_tile *tile, const cpu_gemm *gemm) {
    (void)tile;
    return cpu_gemm_vector(device, gemm);
}

/* Whether the narrow loops took the last product. */
static bool was_narrow;

static cg_status narrow_product(cpu_device *device, const cpu_tile *tile, const cpu_gemm *gemm) {
    was_narrow = cpu_gemm_is_narrow(tile, gemm);
    return was_narrow ? cpu_gemm_narrow(device, tile, gemm) : cpu_gemm_blocked(device, tile, gemm);
}

/* Our own products by the shapes of the matmul cases. */
static void check_own(cpu_device *device, own_product multiply, const cpu_tile *tile, int variant, bool add) {
    twin t;
    twin_build(&t, CG_OP_MATMUL, variant, (uint64_t)variant + 1);
    const cg_matmul_attrs *a = &t.attrs.matmul;
    t.wide.accumulate = add;
    t.wide.n_inputs = 2;
    cr_assert(cg_backend_reference.run(NULL, &t.wide) == CG_OK);
    for (int64_t i = 0; i < a->batch; i++) {
        cpu_gemm gemm = {.transpose_a = a->transpose_a,
                         .transpose_b = a->transpose_b,
                         .add = add,
                         .m = a->m,
                         .n = a->n,
                         .k = a->k,
                         .lda = a->lda,
                         .ldb = a->ldb,
                         .ldc = a->ldc,
                         .a = cpu_floats(&t.single.inputs[0]) + i * a->stride_a,
                         .b = cpu_floats(&t.single.inputs[1]) + i * a->stride_b,
                         .c = cpu_floats(&t.single.outputs[0]) + i * a->stride_c};
        cr_assert(multiply(device, tile, &gemm) == CG_OK);
    }
    twin_compare(&t, tile->name, variant);
    twin_end(&t);
}

/* The packed loops take products with something in them. */
static bool has_work(int variant) {
    const int64_t *size = twin_products[variant / 16];
    return size[1] > 0 && size[2] > 0 && size[3] > 0;
}

Test(kernels_cpu, blocked_products_agree_with_every_tile) {
    const cpu_tile *tiles[CPU_TILES];
    int count = cpu_tiles(tiles);
    void *several = open_several();
    cr_assert(count >= 1);
    for (int tile = 0; tile < count; tile++) {
        for (int variant = 0; variant < 16 * twin_product_count; variant++) {
            if (has_work(variant) && !(variant & 4)) {
                check_own(several, cpu_gemm_blocked, tiles[tile], variant, false);
                check_own(several, cpu_gemm_blocked, tiles[tile], variant, true);
            }
        }
    }
    cg_backend_cpu.close(several);
}

Test(kernels_cpu, narrow_products_agree_with_every_tile) {
    const cpu_tile *tiles[CPU_TILES];
    int count = cpu_tiles(tiles), narrow = 0;
    void *several = open_several();
    for (int tile = 0; tile < count; tile++) {
        for (int variant = 0; variant < 16 * twin_product_count; variant++) {
            if (has_work(variant) && !(variant & 4) && twin_products[variant / 16][1] > 256) {
                check_own(several, narrow_product, tiles[tile], variant, false);
                narrow += was_narrow;
                check_own(several, narrow_product, tiles[tile], variant, true);
            }
        }
    }
    cr_assert(narrow >= 8 * count, "of the products only %d are narrow", narrow);
    cg_backend_cpu.close(several);
}

/* Eighths so small that no sum of their products is rounded, in whatever order. */
static void fill_exactly(float *x, int64_t n, int64_t step) {
    for (int64_t i = 0; i < n; i++) {
        x[i] = (float)(i * step % 31 - 15) / 8;
    }
}

static double exact_element(const cpu_gemm *gemm, int64_t i, int64_t j) {
    double sum = 0;
    for (int64_t l = 0; l < gemm->k; l++) {
        float a = gemm->a[gemm->transpose_a ? l * gemm->lda + i : i * gemm->lda + l];
        sum += (double)a * (double)gemm->b[gemm->transpose_b ? j * gemm->ldb + l : l * gemm->ldb + j];
    }
    return sum;
}

/* Rows of a matrix, `step` from one to the next, with nothing behind the last one's end. */
static fenced fence_matrix(int64_t rows, int64_t columns, int64_t step, int64_t seed) {
    int64_t n = (rows - 1) * step + columns;
    fenced f = fence((size_t)n * sizeof(float));
    fill_exactly(f.at, n, seed);
    return f;
}

/* Every bit of c, what stands between its rows included. */
static void check_exactly(void *device, own_product multiply, const cpu_tile *tile, cpu_gemm gemm) {
    fenced a = gemm.transpose_a ? fence_matrix(gemm.k, gemm.m, gemm.lda, 7) : fence_matrix(gemm.m, gemm.k, gemm.lda, 7);
    fenced b = gemm.transpose_b ? fence_matrix(gemm.n, gemm.k, gemm.ldb, 5) : fence_matrix(gemm.k, gemm.n, gemm.ldb, 5);
    fenced c = fence_matrix(gemm.m, gemm.n, gemm.ldc, 3);
    gemm.a = a.at;
    gemm.b = b.at;
    gemm.c = c.at;
    cr_assert(multiply(device, tile, &gemm) == CG_OK);
    for (int64_t i = 0; i < (gemm.m - 1) * gemm.ldc + gemm.n; i++) {
        float before = (float)(i * 3 % 31 - 15) / 8;
        bool outside = i % gemm.ldc >= gemm.n;
        double product = outside ? 0 : exact_element(&gemm, i / gemm.ldc, i % gemm.ldc);
        double expected = outside || gemm.add ? (double)before + product : product;
        cr_assert((double)gemm.c[i] == expected, "%s, %lld x %lld x %lld, element %lld: %g, not %g", tile->name,
                  (long long)gemm.m, (long long)gemm.n, (long long)gemm.k, (long long)i, (double)gemm.c[i], expected);
    }
    munmap(a.mapping, a.bytes);
    munmap(b.mapping, b.bytes);
    munmap(c.mapping, c.bytes);
}

static cg_status certainly_narrow(cpu_device *device, const cpu_tile *tile, const cpu_gemm *gemm) {
    cr_assert(cpu_gemm_is_narrow(tile, gemm));
    return cpu_gemm_narrow(device, tile, gemm);
}

static cg_status certainly_weight(cpu_device *device, const cpu_tile *tile, const cpu_gemm *gemm) {
    cr_assert(cpu_gemm_is_weight(tile, gemm));
    return cpu_gemm_weight(device, tile, gemm);
}

/* Every number of columns that a panel of the widest tile can leave over. */
Test(kernels_cpu, narrow_products_have_every_width) {
    const cpu_tile *tiles[CPU_TILES];
    int count = cpu_tiles(tiles);
    void *several = open_several();
    for (int i = 0; i < count * 37; i++) {
        int64_t n = 2 + i % 37, k = i % 7 == 0 ? 1027 : 64 + i % 5;
        cpu_gemm gemm = {.transpose_b = i % 2, .add = i % 3 == 0, .m = 257, .n = n, .k = k};
        gemm.lda = k + 3, gemm.ldb = (gemm.transpose_b ? k : n) + 2, gemm.ldc = n + 1;
        check_exactly(several, certainly_narrow, tiles[i / 37], gemm);
    }
    cg_backend_cpu.close(several);
}

Test(kernels_cpu, gradients_of_narrow_weights_have_every_width) {
    const cpu_tile *tiles[CPU_TILES];
    int count = cpu_tiles(tiles);
    void *several = open_several();
    for (int i = 0; i < count * 13; i++) {
        int64_t n = 2 + i % 13, m = 32 + i % 3 * 7, k = 2048 + i % 2 * 300;
        cpu_gemm gemm = {.transpose_a = true, .add = i % 3 == 0, .m = m, .n = n, .k = k};
        gemm.lda = m + 3, gemm.ldb = n + 2, gemm.ldc = n + 1;
        check_exactly(several, certainly_weight, tiles[i / 13], gemm);
    }
    cg_backend_cpu.close(several);
}

#define ROWS 301
#define COLUMNS 21
#define DEPTH 70

static void multiply_narrow(void *device, const cpu_tile *tile, const float *bias, bool relu, float *c) {
    static float a[ROWS * DEPTH], b[DEPTH * COLUMNS];
    for (int i = 0; i < ROWS * DEPTH; i++) {
        a[i] = (float)(i * 7 % 31 - 15) / 8;
    }
    for (int i = 0; i < DEPTH * COLUMNS; i++) {
        b[i] = (float)(i * 5 % 29 - 14) / 8;
    }
    const cpu_gemm gemm = {.relu = relu,
                           .m = ROWS,
                           .n = COLUMNS,
                           .k = DEPTH,
                           .lda = DEPTH,
                           .ldb = COLUMNS,
                           .ldc = COLUMNS,
                           .a = a,
                           .b = b,
                           .bias = bias,
                           .c = c};
    cr_assert(cpu_gemm_is_narrow(tile, &gemm));
    cr_assert(cpu_gemm_narrow(device, tile, &gemm) == CG_OK);
}

Test(kernels_cpu, narrow_products_finish_their_rows) {
    static float plain[ROWS * COLUMNS], finished[ROWS * COLUMNS];
    float bias[COLUMNS];
    for (int j = 0; j < COLUMNS; j++) {
        bias[j] = (float)(j - 10);
    }
    const cpu_tile *tiles[CPU_TILES];
    int count = cpu_tiles(tiles);
    void *several = open_several();
    for (int tile = 0; tile < count; tile++) {
        multiply_narrow(several, tiles[tile], NULL, false, plain);
        multiply_narrow(several, tiles[tile], bias, true, finished);
        for (int i = 0; i < ROWS * COLUMNS; i++) {
            float expected = fmaxf(plain[i] + bias[i % COLUMNS], 0.0f);
            cr_assert(finished[i] == expected, "%s, element %d: %g, not %g", tiles[tile]->name, i, (double)finished[i],
                      (double)expected);
        }
    }
    cg_backend_cpu.close(several);
}

Test(kernels_cpu, products_with_a_vector_agree) {
    const cpu_tile *tiles[CPU_TILES];
    cpu_tiles(tiles);
    void *several = open_several();
    for (int variant = 0; variant < 16 * twin_product_count; variant++) {
        const int64_t *size = twin_products[variant / 16];
        if ((size[1] == 1 || size[2] == 1) && has_work(variant) && !(variant & 4)) {
            check_own(several, vector_product, tiles[0], variant, false);
            check_own(several, vector_product, tiles[0], variant, true);
        }
    }
    cg_backend_cpu.close(several);
}
