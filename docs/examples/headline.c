/*
 * The five gradients of a two-layer network, by hand and by the library.
 *
 *     out  = relu(x w1^T + b1) w2^T + b2        x [n, 784], 50 hidden units, one output
 *     loss = mean((out - y)^2)
 *
 * First every gradient is written out, as matrix products and sums; no gradient is taken by the tape. Then the same
 * network is made of modules, and cg_backward finds the gradients. They must agree: w1, b1, w2, b2 and x.
 *
 *     headline [device] [rows]        headline opencl:gpu 50000
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <clgrad/clgrad.h>

enum { PIXELS = 784, HIDDEN = 50, GRADIENTS = 5 };

static const char *const names[GRADIENTS] = {"w1", "b1", "w2", "b2", "x"};

typedef struct experiment {
    cg_device *device;
    cg_tape *tape;
    cg_module *model, *loss;       /* Linear, ReLU, Linear; MSELoss */
    cg_tensor *x, *y;              /* images [n, 784], digits [n, 1] */
    cg_tensor *by_hand[GRADIENTS]; /* the gradients that we write ourselves */
    double loss_by_hand, loss_by_modules;
} experiment;

static double now_ms(void) {
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* Recorded ops run when a value is needed; to time them, they must run now. */
static cg_status finish(cg_tape *tape) {
    CG_TRY(cg_tape_flush(tape));
    return cg_device_wait(cg_tape_device(tape));
}

/* 1 where x > 0, else 0: the derivative of relu. Scaled up, every positive number is over 1, where the clamp holds it.
 */
static cg_tensor *is_positive(cg_tape *tape, cg_tensor *x) {
    return cg_general_relu(tape, cg_scale(tape, x, 1e30), 0, 0, 1);
}

/* Forward and backward by hand. A weight is stored [out, in], as PyTorch does, so x w^T is the product. */
static cg_status gradients_by_hand(experiment *e, double *forward_ms, double *backward_ms) {
    cg_tape *tape = e->tape;
    cg_tensor *w1 = cg_module_find(e->model, "0.weight"), *b1 = cg_module_find(e->model, "0.bias");
    cg_tensor *w2 = cg_module_find(e->model, "2.weight"), *b2 = cg_module_find(e->model, "2.bias");
    const cg_matmul_options transpose_a = {.transpose_a = true}, transpose_b = {.transpose_b = true};
    const uint32_t rows = 1u << 0; /* sum over axis 0 */
    double n = (double)cg_tensor_shape(e->x)->dim[0];
    cg_tape_set_mode(tape, CG_EVAL); /* the tape records nothing for a backward of its own */

    double start = now_ms();
    cg_tensor *l1 = cg_add(tape, cg_matmul(tape, e->x, w1, &transpose_b), b1);
    cg_tensor *l2 = cg_relu(tape, l1);
    cg_tensor *out = cg_add(tape, cg_matmul(tape, l2, w2, &transpose_b), b2);
    cg_tensor *difference = cg_sub(tape, out, e->y);
    cg_tensor *loss = cg_mean(tape, cg_square(tape, difference), CG_ALL_AXES, false);
    CG_TRY(finish(tape));
    *forward_ms = now_ms() - start;

    start = now_ms();
    cg_tensor *g_out = cg_scale(tape, difference, 2 / n);
    cg_tensor *g_w2 = cg_matmul(tape, g_out, l2, &transpose_a);
    cg_tensor *g_b2 = cg_sum(tape, g_out, rows, false);
    cg_tensor *g_l2 = cg_matmul(tape, g_out, w2, NULL);
    cg_tensor *g_l1 = cg_mul(tape, g_l2, is_positive(tape, l1));
    cg_tensor *g_w1 = cg_matmul(tape, g_l1, e->x, &transpose_a);
    cg_tensor *g_b1 = cg_sum(tape, g_l1, rows, false);
    cg_tensor *g_x = cg_matmul(tape, g_l1, w1, NULL);
    CG_TRY(finish(tape));
    *backward_ms = now_ms() - start;

    /* The tape's tensors end with the step: keep the gradients and the loss. */
    cg_tensor *gradients[GRADIENTS] = {g_w1, g_b1, g_w2, g_b2, g_x};
    for (int i = 0; i < GRADIENTS; i++) {
        CG_TRY(cg_copy(tape, e->by_hand[i], gradients[i]));
    }
    CG_TRY(cg_tensor_item(loss, &e->loss_by_hand));
    return cg_tape_run(tape);
}

/* The same by modules: forward, loss, cg_backward. */
static cg_status gradients_by_modules(experiment *e, double *forward_ms, double *backward_ms) {
    cg_tape *tape = e->tape;
    cg_tape_set_mode(tape, CG_TRAIN);

    double start = now_ms();
    cg_tensor *out = cg_module_forward(e->model, tape, e->x);
    cg_tensor *loss = NULL;
    size_t n_outputs = 1;
    CG_TRY(cg_module_call(e->loss, tape, (cg_tensor *[]){out, e->y}, 2, &loss, &n_outputs));
    CG_TRY(finish(tape));
    *forward_ms = now_ms() - start;

    start = now_ms();
    CG_TRY(cg_backward(tape, loss));
    CG_TRY(finish(tape));
    *backward_ms = now_ms() - start;

    CG_TRY(cg_tensor_item(loss, &e->loss_by_modules));
    return cg_tape_run(tape);
}

/* Where cg_backward left the gradients. */
static cg_tensor *by_modules(const experiment *e, int i) {
    return cg_tensor_grad(i < 4 ? cg_module_parameter(e->model, (size_t)i, NULL) : e->x);
}

static void forget_gradients(experiment *e) {
    for (size_t i = 0; i < cg_module_parameter_count(e->model); i++) {
        cg_tensor_zero_grad(cg_module_parameter(e->model, i, NULL));
    }
    cg_tensor_zero_grad(e->x);
}

/* The largest difference of two tensors, as a share of the second's largest element. */
static cg_status relative_difference(cg_tensor *a, cg_tensor *b, double *result) {
    int64_t count = cg_tensor_numel(a);
    float *values = malloc(2 * (size_t)count * sizeof *values);
    if (values == NULL) {
        return cg_fail(CG_ERR_MEMORY, "no memory to compare %lld elements", (long long)count);
    }
    cg_status status = cg_tensor_read_f32(a, values, count);
    status = status != CG_OK ? status : cg_tensor_read_f32(b, values + count, count);
    float difference = 0, size = 0;
    for (int64_t i = 0; i < count; i++) {
        float d = fabsf(values[i] - values[count + i]);
        difference = isnan(difference) || d <= difference ? difference : d; /* a NaN stays */
        size = fmaxf(size, fabsf(values[count + i]));
    }
    *result = (double)difference / (double)size;
    free(values);
    return status;
}

/* The first rows of MNIST's 50,000 training images, normalised by their own mean and standard deviation. */
static cg_status load(experiment *e, int64_t n) {
    cg_data *data = NULL;
    CG_TRY(cg_data_load("mnist", &(cg_data_options){.valid = -1, .limit = n}, &data));
    n = cg_data_describe(data)->rows[CG_SPLIT_TRAIN];
    int64_t *order = malloc((size_t)n * sizeof *order), *digits = malloc((size_t)n * sizeof *digits);
    float *pixels = malloc((size_t)n * PIXELS * sizeof *pixels), *targets = malloc((size_t)n * sizeof *targets);
    cg_status status = CG_OK;
    if (order == NULL || digits == NULL || pixels == NULL || targets == NULL) {
        status = cg_fail(CG_ERR_MEMORY, "no memory for %lld images", (long long)n);
        goto done;
    }
    for (int64_t i = 0; i < n; i++) {
        order[i] = i;
    }
    status = cg_data_rows(data, CG_SPLIT_TRAIN, order, n, pixels, digits);
    for (int64_t i = 0; i < n && status == CG_OK; i++) {
        targets[i] = (float)digits[i];
    }
    status = status != CG_OK ? status : cg_tensor_create(e->device, CG_F32, &CG_SHAPE(n, PIXELS), &e->x);
    status = status != CG_OK ? status : cg_tensor_create(e->device, CG_F32, &CG_SHAPE(n, 1), &e->y);
    status = status != CG_OK ? status : cg_tensor_write_f32(e->x, pixels, n * PIXELS);
    status = status != CG_OK ? status : cg_tensor_write_f32(e->y, targets, n);
done:
    free(order);
    free(digits);
    free(pixels);
    free(targets);
    cg_data_destroy(data);
    return status;
}

/* Kaiming's weights and biases of 0. */
static cg_status make_model(experiment *e) {
    CG_TRY(cg_module_parse(e->device, "Linear(784, 50), ReLU(), Linear(50, 1)", &e->model));
    CG_TRY(cg_module_parse(e->device, "MSELoss()", &e->loss));
    CG_TRY(cg_init_kaiming_normal(cg_module_find(e->model, "0.weight"), 0, CG_FAN_IN, NULL, 42, 0));
    CG_TRY(cg_init_kaiming_normal(cg_module_find(e->model, "2.weight"), 0, CG_FAN_IN, NULL, 42, 1));
    cg_tensor_set_requires_grad(e->x, true);
    for (int i = 0; i < GRADIENTS; i++) {
        cg_tensor *like = i < 4 ? cg_module_parameter(e->model, (size_t)i, NULL) : e->x;
        CG_TRY(cg_tensor_create(e->device, CG_F32, cg_tensor_shape(like), &e->by_hand[i]));
    }
    return CG_OK;
}

static cg_status open(experiment *e, const char *device, int64_t rows) {
    CG_TRY(cg_device_open(device, &e->device));
    e->tape = cg_tape_create(e->device);
    if (e->tape == NULL) {
        return CG_ERR_MEMORY;
    }
    CG_TRY(load(e, rows));
    return make_model(e);
}

static void close(experiment *e) {
    for (int i = 0; i < GRADIENTS; i++) {
        cg_tensor_destroy(e->by_hand[i]);
    }
    cg_tape_destroy(e->tape);
    cg_module_destroy(e->model);
    cg_module_destroy(e->loss);
    cg_tensor_destroy(e->x);
    cg_tensor_destroy(e->y);
    cg_device_close(e->device);
}

/* Runs both ways twice (the first time, memory is found and kernels are built) and compares. */
static cg_status run(experiment *e, bool *agree) {
    double forward = 0, backward = 0, forward_modules = 0, backward_modules = 0;
    for (int i = 0; i < 2; i++) {
        forget_gradients(e);
        CG_TRY(gradients_by_hand(e, &forward, &backward));
        CG_TRY(gradients_by_modules(e, &forward_modules, &backward_modules));
    }
    printf("%s, %lld images\n", cg_device_describe(e->device)->string, (long long)cg_tensor_shape(e->x)->dim[0]);
    printf("by hand:    loss %.6f   forward %7.1f ms   backward %7.1f ms\n", e->loss_by_hand, forward, backward);
    printf("by modules: loss %.6f   forward %7.1f ms   backward %7.1f ms\n", e->loss_by_modules, forward_modules,
           backward_modules);
    *agree = fabs(e->loss_by_hand - e->loss_by_modules) <= 1e-5 * fabs(e->loss_by_modules);
    for (int i = 0; i < GRADIENTS; i++) {
        double difference = 0;
        CG_TRY(relative_difference(e->by_hand[i], by_modules(e, i), &difference));
        printf("gradient of %-2s  differs by %.1e of its size\n", names[i], difference);
        *agree = *agree && difference <= 2e-5; /* NaN does not */
    }
    return CG_OK;
}

int main(int argc, char *argv[]) {
    const char *device = argc > 1 ? argv[1] : "auto";
    int64_t rows = argc > 2 ? strtoll(argv[2], NULL, 10) : 50000;
    experiment e = {0};
    bool agree = false;
    cg_status status = open(&e, device, rows);
    status = status != CG_OK ? status : run(&e, &agree);
    if (status != CG_OK) {
        fprintf(stderr, "headline: %s\n", cg_error_message());
    }
    close(&e);
    if (status == CG_ERR_DEVICE) {
        return 77; /* no such device here: ctest calls that skipped */
    }
    puts(agree ? "the gradients agree" : "THE GRADIENTS DIFFER");
    return agree ? 0 : 1;
}
