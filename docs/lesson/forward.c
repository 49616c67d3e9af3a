/*
 * Chapter 3: the forward pass by hand, and a trap.
 *
 *     lesson_forward --device cpu
 */
#include "lesson.h"

#include <math.h>
#include <stdio.h>

static cg_status print_statistics(const char *name, cg_tensor *tensor) {
    double mean = 0, std = 0;
    CG_TRY(lesson_statistics(tensor, &mean, &std));
    mean = fabs(mean) < 5e-4 ? 0 : mean; /* rounded to three digits, 0 has no sign */
    printf("  %-10s %-12s mean %8.3f   std %8.3f\n", name, cg_shape_print(cg_tensor_shape(tensor), CG_SHAPE_TEXT), mean,
           std);
    return CG_OK;
}

/* Every step of the forward pass with what it does to the size of the numbers. */
static cg_status follow(lesson *l, const char *title, lesson_network *network) {
    cg_tensor *loss = lesson_mse(l->tape, lesson_forward(l->tape, network), network->y);
    double mse = 0;
    CG_TRY(cg_tensor_item(loss, &mse));
    printf("%s\n", title);
    CG_TRY(print_statistics("x", network->x));
    CG_TRY(print_statistics("lin", network->l1));
    CG_TRY(print_statistics("relu", network->l2));
    CG_TRY(print_statistics("out", network->out));
    printf("  mse %.4g\n", mse);
    return cg_tape_run(l->tape);
}

/* The same steps with weights of standard deviation 1 on pixels as they are in the file. */
static cg_status careless(lesson *l, int64_t n) {
    lesson_network network = {0};
    CG_TRY(lesson_images(l, CG_SPLIT_TRAIN, n, true, &network.x, &network.y));
    CG_TRY(lesson_normal(l, CG_SHAPE(LESSON_PIXELS, LESSON_HIDDEN), 1, 1, &network.w1));
    CG_TRY(lesson_normal(l, CG_SHAPE(LESSON_HIDDEN, 1), 1, 2, &network.w2));
    CG_TRY(lesson_tensor(l, CG_SHAPE(LESSON_HIDDEN), &network.b1));
    CG_TRY(lesson_tensor(l, CG_SHAPE(1), &network.b2));
    return follow(l, "raw pixels, weights of 1", &network);
}

/* out [n, 1] against a target [n]: what broadcasting makes of it, and what the library's loss says. */
static cg_status trap(lesson *l, lesson_network *network) {
    cg_tape *tape = l->tape;
    int64_t n = cg_tensor_shape(network->x)->dim[0];
    cg_tensor *out = lesson_forward(tape, network);
    cg_tensor *flat = cg_reshape(tape, network->y, &CG_SHAPE(n));
    cg_tensor *difference = cg_sub(tape, out, flat);
    double wrong = 0, right = 0;
    CG_TRY(cg_tensor_item(lesson_mse(tape, out, flat), &wrong));
    CG_TRY(cg_tensor_item(lesson_mse(tape, out, network->y), &right));
    printf("the trap: out %s minus target %s is %s\n", cg_shape_print(cg_tensor_shape(out), CG_SHAPE_TEXT),
           cg_shape_print(cg_tensor_shape(flat), CG_SHAPE_TEXT),
           cg_shape_print(cg_tensor_shape(difference), CG_SHAPE_TEXT));
    printf("  its mse is %.4g, the right one %.4g\n", wrong, right);

    cg_mse_loss(tape, out, flat, CG_REDUCE_MEAN);
    if (cg_tape_status(tape) == CG_OK) {
        return cg_fail(CG_ERR_WRONG, "cg_mse_loss took [n, 1] against [n]");
    }
    printf("  cg_mse_loss: %s\n", cg_tape_error(tape));
    cg_tape_reset(tape); /* the error is dealt with */
    return CG_OK;
}

static cg_status run(lesson *l) {
    lesson_network network = {0};
    int64_t n = 0;
    CG_TRY(lesson_count(l, "rows", &n));
    CG_TRY(careless(l, n));
    CG_TRY(lesson_images(l, CG_SPLIT_TRAIN, n, false, &network.x, &network.y));
    CG_TRY(lesson_weights(l, &network, LESSON_HIDDEN));
    CG_TRY(follow(l, "normalised pixels, weights of Kaiming's size", &network));
    return trap(l, &network);
}

int main(int argc, char *argv[]) {
    lesson_flag flags[] = {
        {"data", "mnist", "mnist, or a folder with its four files"},
        {"rows", "1000", "how many images"},
        {0},
    };
    return lesson_main(argc, argv, flags, run);
}
