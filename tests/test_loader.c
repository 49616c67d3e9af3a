/* The loader on the device under test: every row once, the last batch smaller, tensors and memory made once. */
#include <clgrad/data.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "devices.h"
#include "files.h"

#define SIZE 64

typedef struct fixture {
    cg_device *device;
    cg_data *data;
    cg_loader *loader;
} fixture;

static fixture open(cg_split split, int64_t batch) {
    fixture f = {.device = test_device_open()};
    cr_assert(cg_data_load("digits", NULL, &f.data) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_loader_create(f.device, f.data, split, batch, &f.loader) == CG_OK, "%s", cg_error_message());
    return f;
}

static void close(fixture *f) {
    cg_loader_destroy(f->loader);
    cg_data_destroy(f->data);
    cg_device_close(f->device);
}

static cg_batch next(const fixture *f) {
    cg_batch batch;
    cr_assert(cg_loader_next(f->loader, &batch) == CG_OK, "%s", cg_error_message());
    return batch;
}

/* The batch is these rows of the split. */
static void expect_rows(const fixture *f, cg_split split, const cg_batch *batch, const int64_t *rows) {
    size_t n = (size_t)batch->n;
    float *x = malloc(n * SIZE * sizeof *x), *expected = malloc(n * SIZE * sizeof *x);
    int64_t *y = malloc(n * sizeof *y), *classes = malloc(n * sizeof *y);
    cr_assert(cg_shape_equal(cg_tensor_shape(batch->x), &CG_SHAPE(batch->n, 1, 8, 8)));
    cr_assert(cg_shape_equal(cg_tensor_shape(batch->y), &CG_SHAPE(batch->n)));
    cr_assert(cg_tensor_dtype(batch->x) == cg_device_real(f->device) && cg_tensor_dtype(batch->y) == CG_I64);
    cr_assert(cg_tensor_read_f32(batch->x, x, batch->n * SIZE) == CG_OK);
    cr_assert(cg_tensor_read(batch->y, y, n * sizeof *y) == CG_OK);
    cr_assert(cg_data_rows(f->data, split, rows, batch->n, expected, classes) == CG_OK);
    cr_assert(memcmp(x, expected, n * SIZE * sizeof *x) == 0 && memcmp(y, classes, n * sizeof *y) == 0);
    free(x);
    free(expected);
    free(y);
    free(classes);
}

Test(loader, a_pass_in_file_order_ends_with_a_smaller_batch) {
    fixture f = open(CG_SPLIT_VALID, 100); /* 359 rows */
    cr_assert(cg_loader_batches(f.loader) == 4);
    int64_t rows[100], first = 0;
    for (int pass = 0; pass < 2; pass++, first = 0) {
        cr_assert(cg_loader_start(f.loader, false, 0, 0) == CG_OK);
        for (cg_batch batch = next(&f); batch.n > 0; batch = next(&f)) {
            cr_assert(batch.n == (first < 300 ? 100 : 59));
            for (int64_t i = 0; i < batch.n; i++) {
                rows[i] = first++;
            }
            expect_rows(&f, CG_SPLIT_VALID, &batch, rows);
        }
        cr_assert(first == 359);
    }
    close(&f);
}

/* The classes of a shuffled pass, as one number per batch. */
static void read_pass(const fixture *f, uint64_t seed, uint64_t epoch, int64_t *classes) {
    cr_assert(cg_loader_start(f->loader, true, seed, epoch) == CG_OK);
    for (cg_batch batch = next(f); batch.n > 0; batch = next(f)) {
        cr_assert(cg_tensor_read(batch.y, classes, (size_t)batch.n * sizeof *classes) == CG_OK);
        classes += batch.n;
    }
}

Test(loader, seed_and_epoch_draw_the_order_and_every_row_comes_once) {
    fixture f = open(CG_SPLIT_VALID, 64);
    int64_t a[359], b[359], sum = 0, shuffled = 0, rows[359];
    for (int64_t i = 0; i < 359; i++) {
        rows[i] = i;
    }
    cr_assert(cg_data_rows(f.data, CG_SPLIT_VALID, rows, 359, NULL, b) == CG_OK);
    read_pass(&f, 3, 1, a);
    for (int i = 0; i < 359; i++) {
        sum += b[i] * b[i] * b[i];
        shuffled += a[i] * a[i] * a[i];
    }
    cr_assert(sum == shuffled && memcmp(a, b, sizeof a) != 0);
    read_pass(&f, 3, 1, b);
    cr_assert(memcmp(a, b, sizeof a) == 0, "the same seed and epoch give the same order");
    read_pass(&f, 3, 2, b);
    cr_assert(memcmp(a, b, sizeof a) != 0);
    read_pass(&f, 4, 1, b);
    cr_assert(memcmp(a, b, sizeof a) != 0);
    close(&f);
}

Test(loader, skipped_batches_are_those_that_would_have_come) {
    fixture f = open(CG_SPLIT_VALID, 100);
    int64_t rows[100];
    cr_assert(cg_loader_start(f.loader, false, 0, 0) == CG_OK);
    cg_loader_skip(f.loader, 2);
    for (int64_t i = 0; i < 100; i++) {
        rows[i] = 200 + i;
    }
    cg_batch batch = next(&f);
    expect_rows(&f, CG_SPLIT_VALID, &batch, rows);
    cg_loader_skip(f.loader, 1);
    cr_assert(next(&f).n == 0);
    cg_loader_skip(f.loader, 5);
    cr_assert(next(&f).n == 0 && next(&f).n == 0);
    close(&f);
}

Test(loader, the_same_tensors_are_used_again_and_nothing_is_allocated) {
    fixture f = open(CG_SPLIT_TRAIN, 100);
    cg_batch first = next(&f);
    while (next(&f).n > 0) {
    }
    cr_assert(cg_loader_start(f.loader, true, 0, 1) == CG_OK);
    uint64_t heap = cg_host_allocations();
    cg_device_stats before, after;
    cg_device_stats_get(f.device, &before);
    for (cg_batch batch = next(&f); batch.n > 0; batch = next(&f)) {
        cr_assert(batch.n < 100 || (batch.x == first.x && batch.y == first.y));
    }
    cg_device_stats_get(f.device, &after);
    cr_assert(cg_host_allocations() == heap, "%d heap allocations", (int)(cg_host_allocations() - heap));
    cr_assert(after.buffer_allocations == before.buffer_allocations);
    close(&f);
}

Test(loader, a_batch_larger_than_the_split_is_the_split) {
    fixture f = open(CG_SPLIT_VALID, 1000000);
    cr_assert(cg_loader_batches(f.loader) == 1);
    cr_assert(next(&f).n == 359 && next(&f).n == 0);
    close(&f);
}

Test(loader, an_empty_split_has_no_batch) {
    fixture f = open(CG_SPLIT_TEST, 10);
    cr_assert(cg_loader_batches(f.loader) == 0 && next(&f).n == 0);
    close(&f);
}

Test(loader, a_batch_of_no_rows_is_refused) {
    fixture f = open(CG_SPLIT_VALID, 1);
    cg_loader *loader;
    test_expect_failure(cg_loader_create(f.device, f.data, CG_SPLIT_TRAIN, 0, &loader), CG_ERR_ARGUMENT, "batch of 0");
    close(&f);
}

/* All values of two passes, the second begun in the middle of the first, by loaders of so many threads. */
static void read_passes(int workers, float *x, int64_t *y) {
    fixture f = {.device = test_device_open()};
    const cg_data_options options = {.valid = 0.5, .workers = workers};
    cr_assert(cg_data_load("digits", &options, &f.data) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_data_describe(f.data)->workers == (workers > 0 ? workers : 0));
    cr_assert(cg_loader_create(f.device, f.data, CG_SPLIT_TRAIN, 50, &f.loader) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_loader_start(f.loader, true, 7, 3) == CG_OK);
    next(&f);
    next(&f);
    cg_loader_skip(f.loader, 3); /* the threads are ahead, and have to forget what they made */
    next(&f);
    cr_assert(cg_loader_start(f.loader, true, 7, 4) == CG_OK);
    for (cg_batch batch = next(&f); batch.n > 0; batch = next(&f)) {
        cr_assert(cg_tensor_read_f32(batch.x, x, batch.n * SIZE) == CG_OK);
        cr_assert(cg_tensor_read(batch.y, y, (size_t)batch.n * sizeof *y) == CG_OK);
        x += batch.n * SIZE;
        y += batch.n;
    }
    cr_assert(cg_loader_start(f.loader, true, 7, 5) == CG_OK);
    next(&f); /* destroyed while the threads work */
    close(&f);
}

Test(loader, batches_are_the_same_bits_whatever_the_number_of_threads) {
    enum { ROWS = 898 };
    static float expected[ROWS * SIZE], x[ROWS * SIZE];
    static int64_t classes[ROWS], y[ROWS];
    read_passes(-1, expected, classes);
    for (int workers = 1; workers <= 5; workers += 2) {
        memset(x, 0, sizeof x);
        memset(y, 0, sizeof y);
        read_passes(workers, x, y);
        cr_assert(memcmp(x, expected, sizeof x) == 0 && memcmp(y, classes, sizeof y) == 0, "%d threads", workers);
    }
}

Test(loader, memory_that_runs_out_is_survived) {
    fixture f = open(CG_SPLIT_VALID, 100);
    cg_status status = CG_ERR_MEMORY;
    for (long call = 1; status != CG_OK; call++) {
        cg_alloc_fail_at(call);
        cg_loader *loader;
        status = cg_loader_create(f.device, f.data, CG_SPLIT_VALID, 100, &loader);
        cg_alloc_fail_at(0);
        bool fitting = status == CG_OK || status == CG_ERR_MEMORY || status == CG_ERR_DEVICE_MEMORY;
        cr_assert(call < 100 && fitting, "%s", cg_error_message());
        cg_loader_destroy(loader);
    }
    close(&f);
}
