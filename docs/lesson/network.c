/* The two-layer network: forward as chapter 3 writes it, backward as chapter 4 does; chapter 7's loss. */
#include "lesson.h"

#include <math.h>

cg_tensor *lesson_lin(cg_tape *tape, cg_tensor *x, cg_tensor *w, cg_tensor *b) {
    return cg_add(tape, cg_matmul(tape, x, w, NULL), b);
}

cg_tensor *lesson_mse(cg_tape *tape, cg_tensor *out, cg_tensor *target) {
    return cg_mean(tape, cg_square(tape, cg_sub(tape, out, target)), CG_ALL_AXES, false);
}

cg_status lesson_weights(lesson *l, lesson_network *network, int64_t hidden) {
    int64_t in = cg_tensor_shape(network->x)->dim[1];
    CG_TRY(lesson_normal(l, CG_SHAPE(in, hidden), sqrt(2.0 / (double)in), 1, &network->w1));
    CG_TRY(lesson_normal(l, CG_SHAPE(hidden, 1), sqrt(1.0 / (double)hidden), 2, &network->w2));
    CG_TRY(lesson_tensor(l, CG_SHAPE(hidden), &network->b1));
    return lesson_tensor(l, CG_SHAPE(1), &network->b2);
}

cg_tensor *lesson_forward(cg_tape *tape, lesson_network *network) {
    network->l1 = lesson_lin(tape, network->x, network->w1, network->b1);
    network->l2 = cg_relu(tape, network->l1);
    network->out = lesson_lin(tape, network->l2, network->w2, network->b2);
    return network->out;
}

cg_tensor *lesson_mse_grad(cg_tape *tape, cg_tensor *out, cg_tensor *target) {
    double n = (double)cg_tensor_shape(out)->dim[0];
    return cg_scale(tape, cg_sub(tape, out, target), 2 / n);
}

cg_tensor *lesson_relu_grad(cg_tape *tape, cg_tensor *input, cg_tensor *g_out) {
    cg_tensor *is_positive = cg_gt(tape, input, cg_full(tape, &CG_SCALAR, 0));
    return cg_mul(tape, g_out, is_positive);
}

cg_tensor *lesson_cross_entropy(cg_tape *tape, cg_tensor *logits, cg_tensor *is_class) {
    double n = (double)cg_tensor_shape(logits)->dim[0];
    cg_tensor *picked = cg_mul(tape, cg_log_softmax(tape, logits, 1), is_class);
    return cg_scale(tape, cg_sum(tape, picked, CG_ALL_AXES, false), -1 / n);
}

cg_tensor *lesson_cross_entropy_grad(cg_tape *tape, cg_tensor *logits, cg_tensor *is_class) {
    double n = (double)cg_tensor_shape(logits)->dim[0];
    return cg_scale(tape, cg_sub(tape, cg_softmax(tape, logits, 1), is_class), 1 / n);
}

lesson_lin_gradients lesson_lin_grad(cg_tape *tape, cg_tensor *x, cg_tensor *w, cg_tensor *g_out) {
    const cg_matmul_options transpose_a = {.transpose_a = true}, transpose_b = {.transpose_b = true};
    const uint32_t rows = 1u << 0; /* sum over axis 0 */
    return (lesson_lin_gradients){
        .x = cg_matmul(tape, g_out, w, &transpose_b),
        .w = cg_matmul(tape, x, g_out, &transpose_a),
        .b = cg_sum(tape, g_out, rows, false),
    };
}

const char *const lesson_gradient_names[LESSON_GRADIENTS] = {"w1", "b1", "w2", "b2", "x"};

void lesson_gradients(cg_tape *tape, const lesson_network *network, cg_tensor *gradients[LESSON_GRADIENTS]) {
    cg_tensor *g_out = lesson_mse_grad(tape, network->out, network->y);
    lesson_lin_gradients second = lesson_lin_grad(tape, network->l2, network->w2, g_out);
    cg_tensor *g_l1 = lesson_relu_grad(tape, network->l1, second.x);
    lesson_lin_gradients first = lesson_lin_grad(tape, network->x, network->w1, g_l1);
    cg_tensor *found[LESSON_GRADIENTS] = {first.w, first.b, second.w, second.b, first.x};
    for (int i = 0; i < LESSON_GRADIENTS; i++) {
        gradients[i] = found[i];
    }
}
