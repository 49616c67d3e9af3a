/* Chapter 5's modules: a module says how it goes forward and back; what is the same for all stands here once. */
#include "lesson.h"

cg_tensor *lesson_call(lesson_module *m, cg_tape *tape, cg_tensor *input) {
    m->in[0] = input;
    return m->out = m->forward(tape, m->in);
}

cg_tensor *lesson_walk_back(lesson_module *m, cg_tape *tape, cg_tensor *g_out) {
    m->bwd(tape, m->in, g_out, m->g_in);
    return m->g_in[0];
}

static cg_tensor *lin(cg_tape *tape, cg_tensor *const in[]) {
    return lesson_lin(tape, in[0], in[1], in[2]);
}

static void lin_bwd(cg_tape *tape, cg_tensor *const in[], cg_tensor *g_out, cg_tensor *g_in[]) {
    lesson_lin_gradients g = lesson_lin_grad(tape, in[0], in[1], g_out);
    g_in[0] = g.x;
    g_in[1] = g.w;
    g_in[2] = g.b;
}

static cg_tensor *relu(cg_tape *tape, cg_tensor *const in[]) {
    return cg_relu(tape, in[0]);
}

static void relu_bwd(cg_tape *tape, cg_tensor *const in[], cg_tensor *g_out, cg_tensor *g_in[]) {
    g_in[0] = lesson_relu_grad(tape, in[0], g_out);
}

lesson_module lesson_lin_module(cg_tensor *w, cg_tensor *b) {
    return (lesson_module){.forward = lin, .bwd = lin_bwd, .in = {NULL, w, b}};
}

lesson_module lesson_relu_module(void) {
    return (lesson_module){.forward = relu, .bwd = relu_bwd};
}
