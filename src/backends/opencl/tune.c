/*
 * Which way of multiplying matrices is the fastest on this device: each is timed on the products of some layers, and
 * the nearest of those decides for others. What was found is kept where compiled programs are, for this device and
 * driver.
 */
#include "ocl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ENOUGH 0.02 /* seconds of one way for one product, or three runs */
#define SLOW 1.0

/* Linear layers and convolutions by their columns: rows, outputs, inputs. Of each the product forward and those of the
 * two gradients are timed. */
static const cl_ulong layers[][3] = {
    {32, 32, 32},       {64, 10, 64},    {128, 512, 784},  {128, 512, 512},    {512, 512, 512},
    {1024, 1024, 1024}, {4096, 64, 576}, {16384, 50, 784}, {2048, 2048, 2048},
};

#define N_PRODUCTS (3 * sizeof layers / sizeof layers[0])

/* One product while it is timed. */
typedef struct trial {
    ocl_device *device;
    ocl_tuned product;
    cg_matmul_attrs attrs;
    cg_op op;
    cl_mem memory[3]; /* a, b, c */
} trial;

static ocl_tuned product_at(size_t index) {
    const cl_ulong *l = layers[index / 3];
    switch (index % 3) {
    case 0:
        return (ocl_tuned){.m = l[0], .n = l[1], .k = l[2], .transposed = OCL_B_TRANSPOSED};
    case 1:
        return (ocl_tuned){.m = l[0], .n = l[2], .k = l[1]};
    default:
        return (ocl_tuned){.m = l[1], .n = l[2], .k = l[0], .transposed = OCL_A_TRANSPOSED};
    }
}

static ocl_cache_key key_of(const ocl_device *device) {
    return (ocl_cache_key){{device->identity, device->options, "the fastest ways of matrix products"}};
}

/* How far apart two sizes are, in powers of two. */
static int apart(cl_ulong a, cl_ulong b) {
    int steps = 0;
    for (; a >= 2 * b; b *= 2) {
        steps++;
    }
    for (; b >= 2 * a; a *= 2) {
        steps++;
    }
    return steps;
}

ocl_way ocl_tuned_way(const ocl_device *device, const ocl_tuned *product) {
    ocl_way best = OCL_WAY_USUAL;
    int least = 0;
    for (size_t i = 0; i < device->n_tuned && product->m * product->n * product->k > 0; i++) {
        const ocl_tuned *t = &device->tuned[i];
        int distance = apart(t->m, product->m) + apart(t->n, product->n) + apart(t->k, product->k);
        if (t->transposed == product->transposed && (best == OCL_WAY_USUAL || distance < least)) {
            best = t->way;
            least = distance;
        }
    }
    return best;
}

static bool uses_library(const ocl_tuned *tuned, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (tuned[i].way == OCL_WAY_CLBLAST) {
            return true;
        }
    }
    return false;
}

static bool is_whole(const ocl_device *device, const ocl_tuned *tuned, size_t bytes) {
    bool whole = bytes > 0 && bytes % sizeof *tuned == 0;
    for (size_t i = 0; whole && i < bytes / sizeof *tuned; i++) {
        whole = tuned[i].m > 0 && tuned[i].n > 0 && tuned[i].k > 0 && ocl_way_name(device, tuned[i].way) != NULL;
    }
    return whole;
}

void ocl_tuned_load(ocl_device *device) {
    ocl_cache_key key = key_of(device);
    size_t bytes = 0;
    bool forced = device->cpu_shape || getenv("CLGRAD_GEMM") != NULL;
    ocl_tuned *tuned = forced ? NULL : (ocl_tuned *)(void *)ocl_cache_load(device->host, &key, &bytes);
    if (tuned != NULL && (!is_whole(device, tuned, bytes) ||
                          (uses_library(tuned, bytes / sizeof *tuned) && ocl_blas_want(device) != CG_OK))) {
        device->host->log("%s: what was tuned is of no use here", device->info.name);
        device->host->free(tuned);
        tuned = NULL;
    }
    device->tuned = tuned;
    device->n_tuned = tuned != NULL ? bytes / sizeof *tuned : 0;
}

void ocl_tuned_release(ocl_device *device) {
    device->host->free(device->tuned);
    device->tuned = NULL;
    device->n_tuned = 0;
}

static cg_operand operand_of(cl_mem memory, cl_ulong rows, cl_ulong columns) {
    return (cg_operand){.buffer = memory,
                        .extent = (size_t)(rows * columns),
                        .shape = {{(int64_t)rows, (int64_t)columns}, 2},
                        .dtype = CG_F32};
}

/* Ones: on a CPU denormal numbers would be slow. */
static cg_status make_matrix(trial *t, int index, cl_ulong rows, cl_ulong columns, cg_operand *operand) {
    static const cg_op_kind kind = {.number = CG_OP_FILL, .name = "fill"};
    const cg_fill_attrs attrs = {.size = sizeof attrs, .value = 1.0};
    cg_op fill = {.kind = &kind, .attrs = &attrs, .n_outputs = 1};
    CG_TRY(ocl_memory_create(t->device, (size_t)(rows * columns) * sizeof(cl_float), &t->memory[index]));
    *operand = fill.outputs[0] = operand_of(t->memory[index], rows, columns);
    return ocl_fill(t->device, &fill);
}

static cg_status begin(trial *t) {
    static const cg_op_kind kind = {.number = CG_OP_MATMUL, .name = "matmul"};
    const ocl_tuned *p = &t->product;
    bool ta = p->transposed == OCL_A_TRANSPOSED, tb = p->transposed == OCL_B_TRANSPOSED;
    t->op = (cg_op){.kind = &kind, .attrs = &t->attrs, .n_inputs = 2, .n_outputs = 1};
    t->attrs = (cg_matmul_attrs){.size = sizeof t->attrs,
                                 .transpose_a = ta,
                                 .transpose_b = tb,
                                 .batch = 1,
                                 .m = (int64_t)p->m,
                                 .n = (int64_t)p->n,
                                 .k = (int64_t)p->k,
                                 .lda = (int64_t)(ta ? p->m : p->k),
                                 .ldb = (int64_t)(tb ? p->k : p->n),
                                 .ldc = (int64_t)p->n};
    CG_TRY(make_matrix(t, 0, ta ? p->k : p->m, ta ? p->m : p->k, &t->op.inputs[0]));
    CG_TRY(make_matrix(t, 1, tb ? p->n : p->k, tb ? p->k : p->n, &t->op.inputs[1]));
    return make_matrix(t, 2, p->m, p->n, &t->op.outputs[0]);
}

static void end(trial *t) {
    for (int i = 0; i < 3; i++) {
        ocl_memory_release(t->device, t->memory[i]);
    }
}

static cg_status run_once(trial *t, double *seconds) {
    double start = ocl_seconds();
    CG_TRY(ocl_matmul(t->device, &t->op));
    CG_TRY(ocl_wait(t->device));
    *seconds = ocl_seconds() - start;
    return CG_OK;
}

/* Multiplications and additions a nanosecond, of the best run; the first one compiles. 0: this way fails here. */
static double speed_of(trial *t, ocl_way way) {
    double seconds, best = INFINITY, total = 0;
    t->device->way = way;
    cg_status status = run_once(t, &seconds);
    for (int runs = 0; status == CG_OK && (runs < 3 || total < ENOUGH) && total < SLOW; runs++) {
        status = run_once(t, &seconds);
        best = seconds < best ? seconds : best;
        total += seconds;
    }
    t->device->way = OCL_WAY_USUAL;
    const ocl_tuned *p = &t->product;
    return status == CG_OK ? 2e-9 * (double)p->m * (double)p->n * (double)p->k / best : 0.0;
}

/* Times all ways; the product's becomes the fastest. */
static cg_status try_ways(trial *t, cg_tuned_product *found) {
    const ocl_tuned *p = &t->product;
    *found = (cg_tuned_product){.m = (int64_t)p->m,
                                .n = (int64_t)p->n,
                                .k = (int64_t)p->k,
                                .transpose_a = p->transposed == OCL_A_TRANSPOSED,
                                .transpose_b = p->transposed == OCL_B_TRANSPOSED};
    cg_status status = begin(t);
    found->usual = status == CG_OK ? speed_of(t, OCL_WAY_USUAL) : 0.0;
    for (cl_uint way = OCL_WAY_CLBLAST; status == CG_OK && ocl_way_name(t->device, way) != NULL; way++) {
        bool offered = way != OCL_WAY_CLBLAST || t->device->blas != NULL;
        double speed = offered ? speed_of(t, way) : 0.0;
        if (speed > found->speed) {
            found->speed = speed;
            found->way = ocl_way_name(t->device, way);
            t->product.way = way;
        }
    }
    end(t);
    if (found->usual > found->speed) { /* it is one of the ways: what is faster the second time is noise */
        found->usual = found->speed;
    }
    return status != CG_OK || found->speed > 0
               ? status
               : t->device->host->fail(CG_ERR_DEVICE, "no way of multiplying works on %s", t->device->info.name);
}

/* Whether the product is small enough for the caller and the device. */
static bool fits(const ocl_device *device, const ocl_tuned *p, uint64_t most) {
    cl_ulong a = p->m * p->k, b = p->k * p->n, c = p->m * p->n, largest = a > b ? a : b;
    largest = largest > c ? largest : c;
    return p->m * p->n * p->k <= most && largest * sizeof(cl_float) <= device->info.max_allocation_bytes;
}

static cg_status tune_products(ocl_device *device, uint64_t most, cg_tune_watcher watcher, void *context,
                               ocl_tuned *tuned, size_t *count) {
    for (size_t i = 0; i < N_PRODUCTS; i++) {
        trial t = {.device = device, .product = product_at(i)};
        cg_tuned_product found;
        if (fits(device, &t.product, most)) {
            CG_TRY(try_ways(&t, &found));
            CG_TRY(watcher != NULL ? watcher(context, &found) : CG_OK);
            tuned[(*count)++] = t.product;
        }
    }
    return CG_OK;
}

/* Takes the table and keeps it. */
static cg_status keep(ocl_device *device, ocl_tuned *tuned, size_t count) {
    ocl_cache_key key = key_of(device);
    device->tuned = tuned;
    device->n_tuned = count;
    return ocl_cache_save(device->host, &key, (const unsigned char *)tuned, count * sizeof *tuned)
               ? CG_OK
               : device->host->fail(CG_ERR_FILE,
                                    "what was tuned cannot be kept: there is no cache folder, or it is full");
}

cg_status ocl_tune(void *handle, uint64_t most, cg_tune_watcher watcher, void *context) {
    ocl_device *device = handle;
    if (device->cpu_shape || device->info.simulator) {
        return device->host->fail(CG_ERR_UNSUPPORTED, "%s: %s: there is nothing to tune", device->info.name,
                                  device->cpu_shape ? "kernels shaped for a CPU have one way for each product"
                                                    : "times on a simulator say nothing");
    }
    ocl_tuned *tuned = device->host->alloc(N_PRODUCTS * sizeof *tuned);
    size_t count = 0;
    if (tuned == NULL) {
        return CG_ERR_MEMORY;
    }
    memset(tuned, 0, N_PRODUCTS * sizeof *tuned);
    ocl_tuned_release(device);
    bool usual = device->blas != NULL;
    if (!usual && ocl_blas_want(device) != CG_OK) {
        device->host->log("%s: no CLBlast to try", device->info.name);
    }
    device->usual_library = usual;
    cg_status status = tune_products(device, most, watcher, context, tuned, &count);
    if (status == CG_OK && count > 0) {
        return keep(device, tuned, count);
    }
    device->host->free(tuned);
    return status != CG_OK ? status
                           : device->host->fail(CG_ERR_ARGUMENT, "no product has so few multiply-adds as %llu",
                                                (unsigned long long)most);
}
