/*
 * Chapter 16: one step of chapter 4's network on a device, by hand and by modules, timed; its gradients beside those of
 * the device cpu; and what the device left to the processor.
 *
 *     lesson_device --device opencl:gpu --rows 50000
 *     lesson_device --backend own.so --device own
 */
#include "lesson.h"

#include <math.h>
#include <stdio.h>

/* What a step gave. */
typedef struct step {
    double forward_ms, backward_ms, loss;
    cg_tensor *g[LESSON_GRADIENTS], *l1; /* kept */
} step;

static double lap(double *start) {
    double now = lesson_now_ms(), passed = now - *start;
    *start = now;
    return passed;
}

static cg_status by_hand(lesson *l, lesson_network *n, step *s) {
    cg_tensor *g[LESSON_GRADIENTS] = {NULL};
    double start = lesson_now_ms();
    cg_tensor *loss = lesson_mse(l->tape, lesson_forward(l->tape, n), n->y);
    CG_TRY(lesson_finish(l));
    s->forward_ms = lap(&start);
    lesson_gradients(l->tape, n, g);
    CG_TRY(lesson_finish(l));
    s->backward_ms = lap(&start);
    for (int i = 0; i < LESSON_GRADIENTS; i++) {
        CG_TRY(lesson_keep(l, g[i], &s->g[i]));
    }
    CG_TRY(lesson_keep(l, n->l1, &s->l1));
    CG_TRY(cg_tensor_item(loss, &s->loss));
    return cg_tape_run(l->tape);
}

static cg_status by_modules(lesson *l, const lesson_network *n, cg_module *model, step *s) {
    cg_tape *tape = l->tape;
    CG_TRY(cg_copy(tape, cg_module_find(model, "0.weight"), cg_transpose(tape, n->w1, 0, 1)));
    CG_TRY(cg_copy(tape, cg_module_find(model, "2.weight"), cg_transpose(tape, n->w2, 0, 1)));
    CG_TRY(cg_tape_run(tape));
    cg_tape_set_mode(tape, CG_TRAIN);
    double start = lesson_now_ms();
    cg_tensor *loss = cg_mse_loss(tape, cg_module_forward(model, tape, n->x), n->y, CG_REDUCE_MEAN);
    CG_TRY(lesson_finish(l));
    s->forward_ms = lap(&start);
    CG_TRY(cg_backward(tape, loss));
    CG_TRY(lesson_finish(l));
    s->backward_ms = lap(&start);
    CG_TRY(cg_tensor_item(loss, &s->loss));
    cg_tape_set_mode(tape, CG_EVAL);
    return cg_tape_run(tape);
}

/* Images and weights on the device, which are the same numbers on every one. */
static cg_status prepare(lesson *l, lesson_network *n) {
    int64_t rows = 0;
    CG_TRY(lesson_count(l, "rows", &rows));
    CG_TRY(lesson_images(l, CG_SPLIT_TRAIN, rows, false, &n->x, &n->y));
    cg_tensor_set_requires_grad(n->x, true);
    return lesson_weights(l, n, LESSON_HIDDEN);
}

/* Twice: at first memory is found and kernels are built. */
static cg_status time_both(lesson *l, lesson_network *n, cg_module *model, step *hand) {
    step modules = {0};
    for (int i = 0; i < 2; i++) {
        for (size_t p = 0; p < cg_module_parameter_count(model); p++) {
            cg_tensor_zero_grad(cg_module_parameter(model, p, NULL));
        }
        cg_tensor_zero_grad(n->x);
        CG_TRY(by_hand(l, n, hand));
        CG_TRY(by_modules(l, n, model, &modules));
    }
    CG_TRY(lesson_within("loss by modules beside ours", fabs(modules.loss / hand->loss - 1), 1e-5));
    printf("%lld images, loss %.3f\n", (long long)cg_tensor_shape(n->x)->dim[0], hand->loss);
    printf("by hand:     forward %7.1f ms   backward %7.1f ms\n", hand->forward_ms, hand->backward_ms);
    printf("by modules:  forward %7.1f ms   backward %7.1f ms\n", modules.forward_ms, modules.backward_ms);
    return CG_OK;
}

/* The same on the device cpu, with a lesson of its own. A sum that is almost 0 may be positive on one device and
 * negative on the other; then relu stops a gradient here and not there, and both are right. So the way back goes by the
 * other's l1, after a look that ours is the same up to rounding. */
static cg_status beside_cpu(lesson *cpu, const step *other) {
    lesson_network n = {0};
    cg_tensor *theirs = NULL, *g[LESSON_GRADIENTS] = {NULL};
    double share = 0;
    CG_TRY(lesson_open(cpu, "cpu"));
    CG_TRY(prepare(cpu, &n));
    lesson_forward(cpu->tape, &n);
    CG_TRY(lesson_move(cpu, other->l1, &theirs));
    CG_TRY(lesson_difference(theirs, n.l1, &share));
    CG_TRY(lesson_within("l1", share, 1e-5));
    n.l1 = theirs;
    lesson_gradients(cpu->tape, &n, g);
    for (int i = 0; i < LESSON_GRADIENTS; i++) {
        CG_TRY(lesson_difference(other->g[i], g[i], &share));
        CG_TRY(lesson_within(lesson_gradient_names[i], share, 1e-5));
    }
    puts("w1, b1, w2, b2, x: within 1e-5 of those of the device cpu");
    return cg_tape_run(cpu->tape);
}

static void print_fallbacks(const lesson *l) {
    cg_fallback_info rows[32];
    cg_device_stats stats;
    cg_device_stats_get(l->device, &stats);
    printf("ops that ran on the device: %llu; on the processor instead: %llu\n", (unsigned long long)stats.ops,
           (unsigned long long)stats.fallback_ops);
    size_t count = cg_device_fallbacks(l->device, rows, 32);
    for (size_t i = 0; i < count && i < 32; i++) {
        printf("  %-16s %3llu  %s\n", rows[i].op, (unsigned long long)rows[i].count, rows[i].reason);
    }
}

static cg_status run(lesson *l) {
    lesson_network n = {0};
    lesson cpu = {.flags = l->flags};
    cg_module *model = NULL;
    step hand = {0};
    CG_TRY(prepare(l, &n));
    CG_TRY(cg_module_parse(l->device, "Linear(784, 50), ReLU(), Linear(50, 1)", &model));
    cg_status status = time_both(l, &n, model, &hand);
    status = status != CG_OK ? status : beside_cpu(&cpu, &hand);
    lesson_close(&cpu);
    if (status == CG_OK) {
        print_fallbacks(l);
    }
    cg_module_destroy(model);
    return status;
}

int main(int argc, char *argv[]) {
    lesson_flag flags[] = {{"data", "mnist", "mnist, or a folder with its four files"},
                           {"rows", "2000", "how many images"},
                           {"backend", "", "a shared object with a device of somebody else's"},
                           {0}};
    return lesson_main(argc, argv, flags, run);
}
