/*
 * Chapter 13: a residual block by hand, beside the library's; and what its short way does for a gradient.
 *
 *     lesson_resnet --device cpu
 */
#include "lesson.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BLOCK                                                                                                          \
    "Conv2d(8, 8, 3, padding=1, bias=False), BatchNorm2d(8), ReLU(), "                                                 \
    "Conv2d(8, 8, 3, padding=1, bias=False), BatchNorm2d(8)"

static cg_tensor *residual(cg_tape *tape, cg_module *block, cg_tensor *x) {
    return cg_relu(tape, cg_add(tape, cg_module_forward(block, tape, x), x));
}

/* Output and the gradient of x, kept beyond the step. */
typedef struct answer {
    cg_tensor *y, *g;
} answer;

static cg_status ask(lesson *l, cg_tensor *x, cg_tensor *y, cg_tensor *g_y, answer *a) {
    CG_TRY(cg_backward_from(l->tape, y, g_y));
    CG_TRY(lesson_keep(l, y, &a->y));
    CG_TRY(lesson_keep(l, cg_tensor_grad(x), &a->g));
    CG_TRY(cg_tape_run(l->tape));
    cg_tensor_zero_grad(x);
    return CG_OK;
}

static cg_status compare(lesson *l, cg_module *block, cg_module *library) {
    cg_tensor *x = NULL, *g_y = NULL;
    answer ours = {0}, theirs = {0};
    double y = 0, g = 0;
    CG_TRY(lesson_normal(l, CG_SHAPE(4, 8, 14, 14), 1, 3, &x));
    CG_TRY(lesson_normal(l, CG_SHAPE(4, 8, 14, 14), 1, 4, &g_y));
    cg_tensor_set_requires_grad(x, true);
    CG_TRY(cg_module_init(block, LESSON_SEED));
    for (size_t i = 0; i < cg_module_parameter_count(block); i++) {
        CG_TRY(cg_copy(l->tape, cg_module_parameter(library, i, NULL), cg_module_parameter(block, i, NULL)));
    }
    CG_TRY(cg_tape_run(l->tape));
    cg_tape_set_mode(l->tape, CG_TRAIN);
    CG_TRY(ask(l, x, residual(l->tape, block, x), g_y, &ours));
    CG_TRY(ask(l, x, cg_module_forward(library, l->tape, x), g_y, &theirs));
    CG_TRY(lesson_difference(ours.y, theirs.y, &y));
    CG_TRY(lesson_difference(ours.g, theirs.g, &g));
    CG_TRY(lesson_within("output of a block", y, 1e-5));
    CG_TRY(lesson_within("gradient of a block", g, 1e-5));
    puts("a residual block by hand: output and gradient within 1e-5 of the library's");
    return CG_OK;
}

static cg_status block(lesson *l) {
    cg_module *inner = NULL, *library = NULL;
    cg_status status = cg_module_parse(l->device, BLOCK, &inner);
    status = status != CG_OK ? status : cg_module_parse(l->device, "Residual(Sequential(" BLOCK ")), ReLU()", &library);
    status = status != CG_OK ? status : compare(l, inner, library);
    cg_tape_reset(l->tape);
    cg_module_destroy(inner);
    cg_module_destroy(library);
    return status;
}

/* The size of what comes back to x through `depth` blocks, when 1 is sent. */
static cg_status send_back(lesson *l, cg_module *model, cg_tensor *x, cg_tensor *g_y, double *std) {
    double mean = 0;
    CG_TRY(cg_module_init(model, LESSON_SEED));
    CG_TRY(cg_backward_from(l->tape, cg_module_forward(model, l->tape, x), g_y));
    CG_TRY(lesson_statistics(cg_tensor_grad(x), &mean, std));
    CG_TRY(cg_tape_run(l->tape));
    cg_tensor_zero_grad(x);
    return CG_OK;
}

static cg_status through(lesson *l, const char *one, int depth, cg_tensor *x, cg_tensor *g_y, double *std) {
    char text[4096] = "";
    for (int i = 0; i < depth; i++) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "%s%s", i > 0 ? ", " : "", one);
    }
    cg_module *model = NULL;
    CG_TRY(cg_module_parse(l->device, text, &model));
    cg_status status = send_back(l, model, x, g_y, std);
    cg_tape_reset(l->tape);
    cg_module_destroy(model);
    return status;
}

static cg_status run(lesson *l) {
    const int depths[] = {1, 10, 50};
    const char *const names[] = {"plain", "with norm", "residual, norm"};
    const char *const blocks[] = {"Linear(50, 50), ReLU()", "Linear(50, 50), BatchNorm1d(50), ReLU()",
                                  "Residual(Sequential(Linear(50, 50), BatchNorm1d(50))), ReLU()"};
    cg_tensor *x = NULL, *g_y = NULL;
    CG_TRY(block(l));
    CG_TRY(lesson_normal(l, CG_SHAPE(100, LESSON_HIDDEN), 1, 5, &x));
    CG_TRY(lesson_normal(l, CG_SHAPE(100, LESSON_HIDDEN), 1, 6, &g_y));
    cg_tensor_set_requires_grad(x, true);
    cg_tape_set_mode(l->tape, CG_TRAIN);
    puts("gradient through      1 block  10 blocks  50 blocks");
    for (int i = 0; i < 3; i++) {
        printf("  %-16s", names[i]);
        for (int j = 0; j < 3; j++) {
            double std = 0;
            CG_TRY(through(l, blocks[i], depths[j], x, g_y, &std));
            printf("  %9.1e", std);
        }
        puts("");
    }
    return CG_OK;
}

int main(int argc, char *argv[]) {
    lesson_flag flags[] = {{0}};
    return lesson_main(argc, argv, flags, run);
}
