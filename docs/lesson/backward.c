/*
 * Chapter 4: the backward pass by hand. The five gradients against PyTorch's and against differences; then the gradient
 * of the first weight in three ways, timed.
 *
 *     lesson_backward --device cpu
 */
#include "lesson.h"

#include <math.h>
#include <stdio.h>

/* The tensors that the gradients belong to. */
static cg_tensor *leaf(const lesson_network *network, int i) {
    return (cg_tensor *[]){network->w1, network->b1, network->w2, network->b2, network->x}[i];
}

/* (loss(leaf + h v) - loss(leaf - h v)) / 2 h is about the sum of gradient * v, for any direction v. */
static cg_status by_differences(lesson *l, lesson_network *network, int i, cg_tensor *gradient, double *share) {
    const double h = 1e-3;
    cg_tape *tape = l->tape;
    cg_tensor *point = NULL, *tensor = leaf(network, i), *direction = NULL;
    double losses[2], slope = 0, size = 0;
    CG_TRY(lesson_normal(l, *cg_tensor_shape(tensor), 1, 10 + (uint64_t)i, &direction));
    CG_TRY(lesson_keep(l, tensor, &point));
    CG_TRY(cg_tensor_item(cg_sum(tape, cg_mul(tape, gradient, direction), CG_ALL_AXES, false), &slope));
    CG_TRY(cg_tensor_item(cg_norm(tape, gradient, 2, CG_ALL_AXES, false), &size));
    for (int side = 0; side < 2; side++) {
        cg_tensor *step = cg_scale(tape, direction, side == 0 ? -h : h);
        CG_TRY(cg_copy(tape, tensor, cg_add(tape, point, step)));
        CG_TRY(cg_tensor_item(lesson_mse(tape, lesson_forward(tape, network), network->y), &losses[side]));
    }
    CG_TRY(cg_copy(tape, tensor, point));
    *share = fabs((losses[1] - losses[0]) / (2 * h) - slope) / size;
    return lesson_finish(l);
}

/* The small network whose gradients PyTorch computed (docs/lesson/record.py). */
static cg_status compare(lesson *l) {
    lesson_network network = {0};
    cg_tensor *found[LESSON_GRADIENTS], *gradients[LESSON_GRADIENTS], *expected = NULL;
    CG_TRY(lesson_normal(l, CG_SHAPE(32, 20), 1, 3, &network.x));
    CG_TRY(lesson_normal(l, CG_SHAPE(32, 1), 1, 4, &network.y));
    CG_TRY(lesson_weights(l, &network, 10));
    lesson_forward(l->tape, &network);
    lesson_gradients(l->tape, &network, found);
    for (int i = 0; i < LESSON_GRADIENTS; i++) {
        CG_TRY(lesson_keep(l, found[i], &gradients[i]));
    }
    CG_TRY(cg_tape_run(l->tape));
    for (int i = 0; i < LESSON_GRADIENTS; i++) {
        const char *name = lesson_gradient_names[i];
        double torch = 0, differences = 0;
        CG_TRY(lesson_recorded(l, name, &expected));
        CG_TRY(lesson_difference(gradients[i], expected, &torch));
        CG_TRY(lesson_within("distance from PyTorch's gradient", torch, 1e-5));
        CG_TRY(by_differences(l, &network, i, gradients[i], &differences));
        CG_TRY(lesson_within("distance from differences", differences, 1e-2));
        printf("gradient of %-2s %-9s within 1e-5 of PyTorch's, within 1e-2 of differences\n", name,
               cg_shape_print(cg_tensor_shape(gradients[i]), CG_SHAPE_TEXT));
    }
    return cg_tape_run(l->tape);
}

/* g_w as the sum of n outer products, a block of rows at a time: all at once they would fill [n, 784, 50]. */
static cg_tensor *outer_products(cg_tape *tape, cg_tensor *x, cg_tensor *g) {
    enum { BLOCK = 50 };
    int64_t n = cg_tensor_shape(x)->dim[0];
    cg_tensor *sum = NULL;
    for (int64_t start = 0; start < n; start += BLOCK) {
        int64_t end = start + BLOCK < n ? start + BLOCK : n;
        cg_tensor *columns = cg_unsqueeze(tape, cg_slice(tape, x, 0, start, end, 1), 2); /* [block, 784, 1] */
        cg_tensor *rows = cg_unsqueeze(tape, cg_slice(tape, g, 0, start, end, 1), 1);    /* [block, 1, 50] */
        cg_tensor *part = cg_sum(tape, cg_mul(tape, columns, rows), 1u << 0, false);
        sum = sum == NULL ? part : cg_add(tape, sum, part);
    }
    return sum;
}

static cg_tensor *einsum(cg_tape *tape, cg_tensor *x, cg_tensor *g) {
    return cg_einsum(tape, "bi,bj->ij", (cg_tensor *[]){x, g}, 2);
}

static cg_tensor *product(cg_tape *tape, cg_tensor *x, cg_tensor *g) {
    return cg_matmul(tape, x, g, &(cg_matmul_options){.transpose_a = true});
}

/* One way twice (the first time, kernels are built), and how far it is from `expected`, which is set by the first way.
 */
static cg_status time_way(lesson *l, const char *name, cg_tensor *(*way)(cg_tape *, cg_tensor *, cg_tensor *),
                          cg_tensor *x, cg_tensor *g, cg_tensor **expected) {
    double ms = 0, share = 0;
    cg_tensor *found = NULL;
    for (int i = 0; i < 2; i++) {
        double start = lesson_now_ms();
        CG_TRY(lesson_keep(l, way(l->tape, x, g), &found));
        CG_TRY(lesson_finish(l));
        ms = lesson_now_ms() - start;
        CG_TRY(cg_tape_run(l->tape));
    }
    *expected = *expected == NULL ? found : *expected;
    CG_TRY(lesson_difference(found, *expected, &share));
    CG_TRY(lesson_within(name, share, 1e-5));
    printf("  %-24s %9.1f ms\n", name, ms);
    return CG_OK;
}

static cg_status three_ways(lesson *l) {
    int64_t n = 0;
    cg_tensor *x = NULL, *y = NULL, *g = NULL, *expected = NULL;
    CG_TRY(lesson_count(l, "rows", &n));
    CG_TRY(lesson_images(l, CG_SPLIT_TRAIN, n, false, &x, &y));
    n = cg_tensor_shape(x)->dim[0];
    CG_TRY(lesson_normal(l, CG_SHAPE(n, LESSON_HIDDEN), 1 / (double)n, 5, &g));
    printf("the gradient of w1 %s from %lld images, three ways\n", "[784, 50]", (long long)n);
    CG_TRY(time_way(l, "outer products, in blocks", outer_products, x, g, &expected));
    CG_TRY(time_way(l, "einsum bi,bj->ij", einsum, x, g, &expected));
    CG_TRY(time_way(l, "matrix product", product, x, g, &expected));
    puts("they agree within 1e-5");
    return CG_OK;
}

static cg_status run(lesson *l) {
    CG_TRY(compare(l));
    return three_ways(l);
}

int main(int argc, char *argv[]) {
    lesson_flag flags[] = {
        {"data", "mnist", "mnist, or a folder with its four files"},
        {"rows", "1000", "how many images"},
        {"recorded", "docs/lesson/recorded.txt", "what PyTorch computed"},
        {0},
    };
    return lesson_main(argc, argv, flags, run);
}
