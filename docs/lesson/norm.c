/*
 * Chapter 12: batch normalisation by hand, forward and backward, against the library's module.
 *
 *     lesson_norm --device cpu
 */
#include "lesson.h"

#include <math.h>
#include <stdio.h>

enum { FEATURES = 10 };
static const uint32_t ROWS = 1u << 0; /* axis 0: over the images of the batch */

/* What goes in, and what the way back needs: x [n, 10]; weight, bias [10]; the rest comes out. */
typedef struct norm {
    cg_tensor *x, *weight, *bias;
    cg_tensor *normal, *root, *y; /* (x - mean) / root, root = sqrt(variance + eps), normal weight + bias */
} norm;

static cg_tensor *forward(cg_tape *tape, norm *s) {
    cg_tensor *mean = cg_mean(tape, s->x, ROWS, false);
    cg_tensor *variance = cg_var(tape, s->x, ROWS, 0, false);
    s->root = cg_sqrt(tape, cg_add(tape, variance, cg_full(tape, &CG_SCALAR, 1e-5)));
    s->normal = cg_div(tape, cg_sub(tape, s->x, mean), s->root);
    return s->y = cg_add(tape, cg_mul(tape, s->normal, s->weight), s->bias);
}

/* Mean and root are made of every x of the column: what flows back through them is what is subtracted. */
static cg_tensor *backward(cg_tape *tape, const norm *s, cg_tensor *g, cg_tensor **g_weight, cg_tensor **g_bias) {
    *g_weight = cg_sum(tape, cg_mul(tape, g, s->normal), ROWS, false);
    *g_bias = cg_sum(tape, g, ROWS, false);
    cg_tensor *g_normal = cg_mul(tape, g, s->weight);
    cg_tensor *through_mean = cg_mean(tape, g_normal, ROWS, false);
    cg_tensor *through_root = cg_mul(tape, s->normal, cg_mean(tape, cg_mul(tape, g_normal, s->normal), ROWS, false));
    cg_tensor *rest = cg_sub(tape, cg_sub(tape, g_normal, through_mean), through_root);
    return cg_div(tape, rest, s->root);
}

static cg_status print_statistics(const char *name, cg_tensor *tensor) {
    double mean = 0, std = 0;
    CG_TRY(lesson_statistics(tensor, &mean, &std));
    printf("%-22s mean %6.3f   std %6.3f\n", name, fabs(mean) < 5e-4 ? 0 : mean, std);
    return CG_OK;
}

/* The module's output and gradients for the same x, weight, bias and g, against ours. */
static cg_status against_library(lesson *l, cg_module *module, const norm *s, cg_tensor *g, cg_tensor *const ours[4]) {
    const char *names[] = {"output", "weight", "bias", "x"};
    cg_tensor *leaves[] = {NULL, cg_module_find(module, "weight"), cg_module_find(module, "bias"), s->x};
    CG_TRY(cg_copy(l->tape, leaves[1], s->weight));
    CG_TRY(cg_copy(l->tape, leaves[2], s->bias));
    cg_tensor_set_requires_grad(s->x, true);
    cg_tape_set_mode(l->tape, CG_TRAIN);
    cg_tensor *y = cg_module_forward(module, l->tape, s->x);
    CG_TRY(cg_backward_from(l->tape, y, g));
    for (int i = 0; i < 4; i++) {
        double share = 0;
        CG_TRY(lesson_difference(ours[i], i == 0 ? y : cg_tensor_grad(leaves[i]), &share));
        CG_TRY(lesson_within(names[i], share, 1e-5));
        printf("%s%-6s within 1e-5 of the library's\n", i == 0 ? "            " : "gradient of ", names[i]);
    }
    CG_TRY(print_statistics("its running_mean", cg_module_find(module, "running_mean")));
    CG_TRY(print_statistics("its running_var", cg_module_find(module, "running_var")));
    return cg_tape_run(l->tape);
}

static cg_status run(lesson *l) {
    norm s = {0};
    cg_tensor *g = NULL, *wide = NULL, *ours[4] = {NULL}, *kept[4] = {NULL};
    cg_module *module = NULL;
    CG_TRY(lesson_normal(l, CG_SHAPE(500, FEATURES), 7, 3, &wide));
    CG_TRY(lesson_keep(l, cg_add(l->tape, wide, cg_full(l->tape, &CG_SCALAR, 4)), &s.x));
    CG_TRY(lesson_normal(l, CG_SHAPE(FEATURES), 1, 4, &s.weight));
    CG_TRY(lesson_normal(l, CG_SHAPE(FEATURES), 1, 5, &s.bias));
    CG_TRY(lesson_normal(l, CG_SHAPE(500, FEATURES), 1, 6, &g));
    ours[0] = forward(l->tape, &s);
    ours[3] = backward(l->tape, &s, g, &ours[1], &ours[2]);
    CG_TRY(print_statistics("x", s.x));
    CG_TRY(print_statistics("normalised", s.normal));
    for (int i = 0; i < 4; i++) {
        CG_TRY(lesson_keep(l, ours[i], &kept[i]));
    }
    CG_TRY(cg_tape_run(l->tape));
    CG_TRY(cg_module_parse(l->device, "BatchNorm1d(10)", &module));
    cg_status status = against_library(l, module, &s, g, kept);
    cg_tape_reset(l->tape);
    cg_module_destroy(module);
    return status;
}

int main(int argc, char *argv[]) {
    lesson_flag flags[] = {{0}};
    return lesson_main(argc, argv, flags, run);
}
