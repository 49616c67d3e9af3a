/*
 * Chapter 2: initial weights, measured behind one layer and through 50, forward and backward.
 *
 *     lesson_init --device cpu --out docs/lesson/init.svg
 */
#include "lesson.h"

#include <math.h>
#include <stdio.h>

enum { LAYERS = 50, WIDTH = LESSON_HIDDEN, ROWS = 500 };

typedef enum way { RANDN, ONE_OVER_ROOT, KAIMING_NORMAL, KAIMING_UNIFORM, PYTORCH, FAN_OUT, WAYS } way;
static const char *const names[WAYS] = {"randn",           "randn / sqrt(m)",     "Kaiming normal",
                                        "Kaiming uniform", "PyTorch a = sqrt(5)", "Kaiming, fan_out"};

/* Weights are kept as PyTorch keeps them, [out, in], so that its fan_in and fan_out mean what they say. */
static cg_status draw(cg_tensor *w, way how, uint64_t stream) {
    switch (how) {
    case RANDN:
        return cg_init_normal(w, 0, 1, 42, stream);
    case ONE_OVER_ROOT:
        return cg_init_scaled_normal(w, CG_FAN_IN, 42, stream);
    case KAIMING_NORMAL:
        return cg_init_kaiming_normal(w, 0, CG_FAN_IN, "leaky_relu", 42, stream);
    case KAIMING_UNIFORM:
        return cg_init_kaiming_uniform(w, 0, CG_FAN_IN, "leaky_relu", 42, stream);
    case PYTORCH:
        return cg_init_kaiming_uniform(w, sqrt(5), CG_FAN_IN, "leaky_relu", 42, stream);
    default:
        return cg_init_kaiming_normal(w, 0, CG_FAN_OUT, "leaky_relu", 42, stream);
    }
}

/* One layer on normalised images, 784 to 50: after lin, after relu, and a gradient of size 1 that went back. */
static cg_status one_layer(lesson *l, cg_tensor *x, cg_tensor *w) {
    cg_tape *tape = l->tape;
    cg_tensor *g = NULL;
    CG_TRY(lesson_normal(l, CG_SHAPE(cg_tensor_shape(x)->dim[0], WIDTH), 1, 9, &g));
    printf("one layer, 784 to 50%9s lin std   relu mean   std   back std\n", "");
    for (int i = 0; i < WAYS; i++) {
        double mean = 0, lin = 0, relu_mean = 0, relu = 0, back = 0;
        CG_TRY(draw(w, (way)i, 1));
        cg_tensor *sum = cg_matmul(tape, x, w, &(cg_matmul_options){.transpose_b = true});
        CG_TRY(lesson_statistics(sum, &mean, &lin));
        CG_TRY(lesson_statistics(cg_relu(tape, sum), &relu_mean, &relu));
        CG_TRY(lesson_statistics(cg_matmul(tape, lesson_relu_grad(tape, sum, g), w, NULL), &mean, &back));
        CG_TRY(cg_tape_run(tape));
        printf("  %-24s %9.3f %10.3f %8.3f %8.3f\n", names[i], lin, relu_mean, relu, back);
    }
    return CG_OK;
}

/* Behind each of 50 layers the mean and standard deviation, and that of the gradient that came back as far. */
typedef struct measured {
    double mean[LAYERS], forward[LAYERS], backward[LAYERS];
} measured;

/* relu(x w^T) - shift, 50 times, and a gradient of size 1 all the way back. */
static cg_status many_layers(lesson *l, cg_tensor *x, cg_tensor *const w[LAYERS], way how, double shift, measured *m) {
    cg_tensor *sums[LAYERS], *g = x; /* x is as good a gradient as any: normal numbers */
    cg_tape *tape = l->tape;
    double unused = 0;
    for (int i = 0; i < LAYERS; i++) {
        CG_TRY(draw(w[i], how, 20 + (uint64_t)i));
        sums[i] = cg_matmul(tape, x, w[i], &(cg_matmul_options){.transpose_b = true});
        x = cg_general_relu(tape, sums[i], 0, shift, INFINITY);
        CG_TRY(lesson_statistics(x, &m->mean[i], &m->forward[i]));
    }
    for (int i = LAYERS - 1; i >= 0; i--) {
        g = cg_matmul(tape, lesson_relu_grad(tape, sums[i], g), w[i], NULL);
        CG_TRY(lesson_statistics(g, &unused, &m->backward[LAYERS - 1 - i]));
    }
    return cg_tape_run(tape);
}

static void print_depths(const char *name, const measured *m) {
    const int depths[] = {1, 2, 10, 50};
    printf("  %-26s", name);
    for (int i = 0; i < 4; i++) {
        printf(" %7.1e", m->forward[depths[i] - 1]);
    }
    printf("  |");
    for (int i = 0; i < 4; i++) {
        printf(" %7.1e", m->backward[depths[i] - 1]);
    }
    puts("");
}

static cg_status depth(lesson *l, measured m[WAYS]) {
    cg_tensor *x = NULL, *w[LAYERS];
    measured shifted;
    CG_TRY(lesson_normal(l, CG_SHAPE(ROWS, WIDTH), 1, 3, &x));
    for (int i = 0; i < LAYERS; i++) {
        CG_TRY(lesson_tensor(l, CG_SHAPE(WIDTH, WIDTH), &w[i]));
    }
    printf("through layers of 50: std behind %4d %7d %7d %7d  | back %2d %7d %7d %7d\n", 1, 2, 10, 50, 1, 2, 10, 50);
    for (int i = 0; i < FAN_OUT; i++) { /* in a square layer fan_out is fan_in */
        CG_TRY(many_layers(l, x, w, (way)i, 0, &m[i]));
        print_depths(names[i], &m[i]);
    }
    CG_TRY(many_layers(l, x, w, KAIMING_NORMAL, 0.5, &shifted));
    print_depths("Kaiming, relu - 0.5", &shifted);
    printf("  behind one layer the mean is %.2f with relu, %.2f with relu - 0.5\n", m[KAIMING_NORMAL].mean[0],
           shifted.mean[0]);
    return CG_OK;
}

static cg_status run(lesson *l) {
    measured m[WAYS];
    cg_tensor *x = NULL, *y = NULL, *w = NULL;
    int64_t n = 0;
    CG_TRY(lesson_count(l, "rows", &n));
    CG_TRY(lesson_images(l, CG_SPLIT_TRAIN, n, false, &x, &y));
    CG_TRY(lesson_tensor(l, CG_SHAPE(WIDTH, LESSON_PIXELS), &w));
    CG_TRY(one_layer(l, x, w));
    CG_TRY(depth(l, m));
    const lesson_line lines[] = {{names[RANDN], m[RANDN].forward},
                                 {names[ONE_OVER_ROOT], m[ONE_OVER_ROOT].forward},
                                 {names[KAIMING_NORMAL], m[KAIMING_NORMAL].forward},
                                 {names[PYTORCH], m[PYTORCH].forward},
                                 {0}};
    const lesson_labels labels = {"standard deviation behind each of 50 layers", "1", "50 layers"};
    return lesson_chart(lesson_text(l, "out"), labels, lines, LAYERS);
}

int main(int argc, char *argv[]) {
    lesson_flag flags[] = {{"data", "mnist", "mnist, or a folder with its four files"},
                           {"rows", "1000", "how many images"},
                           {"out", "", "a file for the chart, SVG; empty: none"},
                           {0}};
    return lesson_main(argc, argv, flags, run);
}
