/* Several devices open in one process: tensors go from one to the other, and each is trained by a thread of its own. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <clgrad/clgrad.h>

#include "tensors.h"

#define MOST 4
#define STEPS 5

typedef struct devices {
    cg_device *open[MOST];
    size_t count;
} devices;

static void open_device(devices *all, const char *string) {
    cr_assert_eq(cg_device_open(string, &all->open[all->count]), CG_OK, "%s: %s", string, cg_error_message());
    all->count++;
}

/* cpu and reference, and where they are: two devices of PoCL's, or one of PoCL's and Intel's. */
static devices open_pair(const char *first, const char *second) {
    devices all = {.count = 0};
    cg_device_info infos[16];
    size_t count;
    cr_assert_eq(cg_device_list(infos, 16, &count), CG_OK);
    const char *wanted[] = {first, second};
    for (size_t i = 0; i < count && i < 16 && all.count < 2; i++) {
        if (strcmp(infos[i].driver, wanted[all.count]) == 0) {
            open_device(&all, infos[i].string);
            i = strcmp(first, second) != 0 ? (size_t)-1 : i; /* the second may stand in front of the first */
        }
    }
    return all;
}

static void close_all(devices *all) {
    for (size_t i = 0; i < all->count; i++) {
        cg_device_close(all->open[i]);
    }
}

static void expect_there_and_back(cg_device *a, cg_device *b) {
    cg_tensor *x = test_normal(a, CG_SHAPE(1200, 1111), 5), *there, *back; /* more than a chunk */
    cr_assert_eq(cg_tensor_to(x, b, &there), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_tensor_to(there, a, &back), CG_OK, "%s", cg_error_message());
    cr_expect_eq(cg_tensor_device(there), b);
    size_t bytes = cg_tensor_bytes(x);
    char *first = malloc(bytes), *last = malloc(bytes);
    cr_assert_eq(cg_tensor_read(x, first, bytes), CG_OK);
    cr_assert_eq(cg_tensor_read(back, last, bytes), CG_OK);
    cr_expect_arr_eq(first, last, bytes);
    free(first);
    free(last);
    cg_tensor_destroy(back);
    cg_tensor_destroy(there);
    cg_tensor_destroy(x);
}

/* A view of what a tape has recorded and not run yet, and a tensor of no elements. */
static void expect_unrun_and_empty(cg_device *a, cg_device *b) {
    cg_tape *tape = cg_tape_create(a);
    cg_tensor *x = test_tensor(a, CG_SHAPE(4), (double[]){1, -2, 3, -4}), *view, *there, *sum, *none;
    cr_assert_eq(cg_tensor_view(x, 2, &CG_SHAPE(2), &view), CG_OK);
    cr_assert_eq(cg_copy(tape, x, cg_square(tape, x)), CG_OK);
    cr_assert_eq(cg_tensor_to(view, b, &there), CG_OK, "%s", cg_error_message());
    test_expect("view", there, CG_SHAPE(2), (double[]){9, 16}, 0, 0);
    cr_assert_eq(cg_tensor_to(cg_add(tape, x, x), b, &sum), CG_OK, "%s", cg_error_message());
    test_expect("sum", sum, CG_SHAPE(4), (double[]){2, 8, 18, 32}, 0, 0);
    cg_tensor *empty;
    cr_assert_eq(cg_tensor_create(a, CG_F32, &CG_SHAPE(0, 3), &empty), CG_OK);
    cr_assert_eq(cg_tensor_to(empty, b, &none), CG_OK, "%s", cg_error_message());
    cr_expect_eq(cg_tensor_numel(none), 0);
    cg_tensor *both[] = {x, there};
    cr_expect_eq(cg_tape_status(tape), CG_OK);
    cg_add(tape, both[0], both[1]);
    cr_expect_eq(cg_tape_status(tape), CG_ERR_DEVICE, "tensors of two devices do not meet in an op");
    cg_tape_destroy(tape);
    cg_tensor *all[] = {x, view, there, sum, empty, none};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        cg_tensor_destroy(all[i]);
    }
}

typedef struct training {
    cg_device *device;
    float weights[64 * 10];
    cg_status status;
    char error[512];
} training;

static cg_status step(cg_tape *tape, cg_tensor *x, cg_tensor *y, cg_tensor *w) {
    cg_tensor *loss = cg_cross_entropy(tape, cg_matmul(tape, cg_tanh(tape, x), w, NULL), y, CG_REDUCE_MEAN);
    CG_TRY(cg_backward(tape, loss));
    CG_TRY(cg_copy(tape, w, cg_sub(tape, w, cg_scale(tape, cg_tensor_grad(w), 0.1))));
    CG_TRY(cg_tape_run(tape));
    cg_tensor_zero_grad(w);
    return CG_OK;
}

static void *train(void *argument) {
    training *t = argument;
    int64_t classes[32];
    for (int i = 0; i < 32; i++) {
        classes[i] = i * 7 % 10;
    }
    cg_tape *tape = cg_tape_create(t->device);
    cg_tensor *x = test_normal(t->device, CG_SHAPE(32, 64), 1), *w = test_normal(t->device, CG_SHAPE(64, 10), 2);
    cg_tensor *y = test_classes(t->device, CG_I64, CG_SHAPE(32), classes);
    cg_tensor_set_requires_grad(w, true);
    for (int i = 0; i < STEPS && t->status == CG_OK; i++) {
        t->status = step(tape, x, y, w);
    }
    if (t->status == CG_OK) {
        t->status = cg_tensor_read_f32(w, t->weights, 64 * 10);
    }
    snprintf(t->error, sizeof t->error, "%s", cg_error_message());
    cg_tensor_destroy(x);
    cg_tensor_destroy(w);
    cg_tensor_destroy(y);
    cg_tape_destroy(tape);
    return NULL;
}

/* One after the other, then at once: the same bits. */
static void expect_threads_alike(cg_device *a, cg_device *b) {
    static training alone[2], together[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        alone[i].device = together[i].device = i == 0 ? a : b;
        train(&alone[i]);
        cr_assert_eq(alone[i].status, CG_OK, "%s", alone[i].error);
    }
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, train, &together[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        cr_expect_eq(together[i].status, CG_OK, "%s", together[i].error);
        cr_expect_arr_eq(together[i].weights, alone[i].weights, sizeof alone[i].weights);
        cr_expect_float_neq(alone[i].weights[0], 0.0f, 0.0f);
    }
}

static void expect_all(devices *all) {
    expect_there_and_back(all->open[0], all->open[1]);
    expect_unrun_and_empty(all->open[0], all->open[1]);
    expect_threads_alike(all->open[0], all->open[1]);
    close_all(all);
}

Test(two_devices, cpu_and_reference) {
    devices all = open_pair("cpu", "reference");
    expect_all(&all);
}

Test(two_devices, the_same_device_twice) {
    devices all = {.count = 0};
    open_device(&all, "cpu");
    open_device(&all, "cpu");
    expect_all(&all);
}

Test(two_devices, two_of_pocl) {
    setenv("POCL_DEVICES", "pthread basic", 1);
    devices all = open_pair("pocl", "pocl");
    if (all.count < 2) {
        close_all(&all);
        cr_skip_test("PoCL does not give two devices here");
    }
    cr_expect_str_neq(cg_device_describe(all.open[0])->string, cg_device_describe(all.open[1])->string);
    expect_all(&all);
}

Test(two_devices, pocl_and_intels) {
    devices all = open_pair("pocl", "intel");
    if (all.count < 2) {
        close_all(&all);
        cr_skip_test("PoCL and Intel's runtime are not both here");
    }
    expect_all(&all);
}
