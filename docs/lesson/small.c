/*
 * Chapter 6: the small case, one layer and one output, small enough to print every number.
 *
 *     lesson_small --device cpu
 */
#include "lesson.h"

#include <stdio.h>

enum { ROWS = 1000, COLUMNS = 48 };

typedef struct small_case {
    cg_tensor *x, *y, *w, *b; /* [1000, 48], [1000, 1], [48, 1], [1] */
} small_case;

static cg_status make(lesson *l, small_case *s) {
    CG_TRY(lesson_normal(l, CG_SHAPE(ROWS, COLUMNS), 1, 6, &s->x));
    CG_TRY(lesson_normal(l, CG_SHAPE(ROWS, 1), 1, 7, &s->y));
    CG_TRY(lesson_normal(l, CG_SHAPE(COLUMNS, 1), 0.2041241452319315, 8, &s->w)); /* sqrt(2 / 48) */
    return lesson_tensor(l, CG_SHAPE(1), &s->b);
}

/* One row from the pixel to the loss and back, as plain C: what the tensor ops do to all rows at once. */
static cg_status one_row(const small_case *s, int64_t row) {
    float x[ROWS * COLUMNS], y[ROWS], w[COLUMNS];
    CG_TRY(cg_tensor_read_f32(s->x, x, ROWS * COLUMNS));
    CG_TRY(cg_tensor_read_f32(s->y, y, ROWS));
    CG_TRY(cg_tensor_read_f32(s->w, w, COLUMNS));
    const float *input = x + row * COLUMNS;
    float sum = 0;
    for (int i = 0; i < COLUMNS; i++) {
        sum += input[i] * w[i];
    }
    float out = sum > 0 ? sum : 0, g_out = 2 * (out - y[row]) / ROWS, g_sum = sum > 0 ? g_out : 0;
    printf("row %lld: x w = %.4f, relu %.4f, target %.4f, g_out %.6f, g of x w %.6f\n", (long long)row, (double)sum,
           (double)out, (double)y[row], (double)g_out, (double)g_sum);
    printf("  its part of the gradient of w[0] is x[0] times that: %.4f * %.6f = %.6f\n", (double)input[0],
           (double)g_sum, (double)(input[0] * g_sum));
    return CG_OK;
}

/* Forward and backward by the functions of chapters 3 and 4. */
static cg_status by_hand(lesson *l, const small_case *s, double *loss, cg_tensor **g_w, cg_tensor **g_b) {
    cg_tape *tape = l->tape;
    cg_tensor *sum = lesson_lin(tape, s->x, s->w, s->b);
    cg_tensor *out = cg_relu(tape, sum);
    cg_tensor *g_sum = lesson_relu_grad(tape, sum, lesson_mse_grad(tape, out, s->y));
    lesson_lin_gradients g = lesson_lin_grad(tape, s->x, s->w, g_sum);
    CG_TRY(cg_tensor_item(lesson_mse(tape, out, s->y), loss));
    CG_TRY(lesson_keep(l, g.w, g_w));
    CG_TRY(lesson_keep(l, g.b, g_b));
    return cg_tape_run(tape);
}

static cg_status print_all(cg_tensor *g_w) {
    float values[COLUMNS];
    CG_TRY(cg_tensor_read_f32(g_w, values, COLUMNS));
    for (int i = 0; i < COLUMNS; i++) {
        printf("%8.4f%s", (double)values[i], i % 8 == 7 ? "\n" : "");
    }
    return CG_OK;
}

/* The same left to the tape: mark what wants a gradient, record forward, and call cg_backward. */
static cg_status by_tape(lesson *l, const small_case *s, cg_tensor *g_w, cg_tensor *g_b) {
    double w = 0, b = 0;
    cg_tape_set_mode(l->tape, CG_TRAIN);
    cg_tensor_set_requires_grad(s->w, true);
    cg_tensor_set_requires_grad(s->b, true);
    cg_tensor *out = cg_relu(l->tape, lesson_lin(l->tape, s->x, s->w, s->b));
    CG_TRY(cg_backward(l->tape, cg_mse_loss(l->tape, out, s->y, CG_REDUCE_MEAN)));
    CG_TRY(lesson_difference(cg_tensor_grad(s->w), g_w, &w));
    CG_TRY(lesson_difference(cg_tensor_grad(s->b), g_b, &b));
    CG_TRY(lesson_within("the tape's gradient of w against ours", w, 1e-6));
    CG_TRY(lesson_within("the tape's gradient of b against ours", b, 1e-6));
    puts("the tape's gradients of w and b: within 1e-6 of ours");
    return CG_OK;
}

static cg_status against_torch(lesson *l, const char *name, cg_tensor *found) {
    cg_tensor *expected = NULL;
    double share = 0;
    CG_TRY(lesson_recorded(l, name, &expected));
    CG_TRY(lesson_difference(found, expected, &share));
    return lesson_within(name, share, 1e-5);
}

static cg_status run(lesson *l) {
    small_case s = {0};
    cg_tensor *g_w = NULL, *g_b = NULL;
    double loss = 0, bias = 0;
    CG_TRY(make(l, &s));
    CG_TRY(one_row(&s, 0));
    CG_TRY(by_hand(l, &s, &loss, &g_w, &g_b));
    CG_TRY(cg_tensor_item(g_b, &bias));
    printf("all rows: loss %.5f, gradient of b %.5f, of w:\n", loss, bias);
    CG_TRY(print_all(g_w));
    CG_TRY(against_torch(l, "small_w", g_w));
    CG_TRY(against_torch(l, "small_b", g_b));
    puts("PyTorch's gradients of w and b: within 1e-5 of ours");
    return by_tape(l, &s, g_w, g_b);
}

int main(int argc, char *argv[]) {
    lesson_flag flags[] = {{"recorded", "docs/lesson/recorded.txt", "what PyTorch computed"}, {0}};
    return lesson_main(argc, argv, flags, run);
}
