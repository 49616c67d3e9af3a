/*
 * Chapter 5: from functions to layers to modules to the library's own. Five gradients at every step, and they must be
 * the same.
 *
 *     lesson_layers --device cpu
 */
#include "lesson.h"

#include <stdio.h>

/* Step 2: a layer remembers what went in and what came out; backward leaves the gradients in it. */
typedef struct layer layer;
struct layer {
    cg_tensor *(*forward)(layer *, cg_tape *, cg_tensor *input);
    cg_tensor *(*backward)(layer *, cg_tape *, cg_tensor *g_out); /* the gradient of its input */
    cg_tensor *w, *b, *input, *output, *g_w, *g_b;
};

static cg_tensor *lin_forward(layer *l, cg_tape *tape, cg_tensor *input) {
    l->input = input;
    return l->output = lesson_lin(tape, input, l->w, l->b);
}

static cg_tensor *lin_backward(layer *l, cg_tape *tape, cg_tensor *g_out) {
    lesson_lin_gradients g = lesson_lin_grad(tape, l->input, l->w, g_out);
    l->g_w = g.w;
    l->g_b = g.b;
    return g.x;
}

static cg_tensor *relu_forward(layer *l, cg_tape *tape, cg_tensor *input) {
    l->input = input;
    return l->output = cg_relu(tape, input);
}

static cg_tensor *relu_backward(layer *l, cg_tape *tape, cg_tensor *g_out) {
    return lesson_relu_grad(tape, l->input, g_out);
}

static void by_layers(cg_tape *tape, const lesson_network *n, cg_tensor *g[LESSON_GRADIENTS]) {
    layer model[] = {{lin_forward, lin_backward, .w = n->w1, .b = n->b1},
                     {relu_forward, relu_backward, .w = NULL},
                     {lin_forward, lin_backward, .w = n->w2, .b = n->b2}};
    cg_tensor *x = n->x;
    for (int i = 0; i < 3; i++) {
        x = model[i].forward(&model[i], tape, x);
    }
    cg_tensor *g_x = lesson_mse_grad(tape, x, n->y);
    for (int i = 2; i >= 0; i--) {
        g_x = model[i].backward(&model[i], tape, g_x);
    }
    cg_tensor *found[] = {model[0].g_w, model[0].g_b, model[2].g_w, model[2].g_b, g_x};
    for (int i = 0; i < LESSON_GRADIENTS; i++) {
        g[i] = found[i];
    }
}

/* Step 3: what all layers did the same way stands once, in lesson_call and lesson_walk_back (modules.c). */
static void by_modules(cg_tape *tape, const lesson_network *n, cg_tensor *g[LESSON_GRADIENTS]) {
    lesson_module first = lesson_lin_module(n->w1, n->b1), middle = lesson_relu_module();
    lesson_module last = lesson_lin_module(n->w2, n->b2);
    cg_tensor *out = lesson_call(&last, tape, lesson_call(&middle, tape, lesson_call(&first, tape, n->x)));
    cg_tensor *g_out = lesson_mse_grad(tape, out, n->y);
    g[4] = lesson_walk_back(&first, tape, lesson_walk_back(&middle, tape, lesson_walk_back(&last, tape, g_out)));
    g[0] = first.g_in[1];
    g[1] = first.g_in[2];
    g[2] = last.g_in[1];
    g[3] = last.g_in[2];
}

/* Step 4: the library's modules. Its Linear keeps a weight as PyTorch does, [out, in]; nobody writes a backward. */
static cg_status by_library(lesson *l, cg_module *model, const lesson_network *n, cg_tensor *g[LESSON_GRADIENTS]) {
    cg_tape *tape = l->tape;
    const char *names[] = {"0.weight", "0.bias", "2.weight", "2.bias"};
    CG_TRY(cg_copy(tape, cg_module_find(model, names[0]), cg_transpose(tape, n->w1, 0, 1)));
    CG_TRY(cg_copy(tape, cg_module_find(model, names[2]), cg_transpose(tape, n->w2, 0, 1)));
    cg_tensor_set_requires_grad(n->x, true);
    cg_tape_set_mode(tape, CG_TRAIN);
    CG_TRY(cg_backward(tape, cg_mse_loss(tape, cg_module_forward(model, tape, n->x), n->y, CG_REDUCE_MEAN)));
    CG_TRY(cg_tape_run(tape));
    for (int i = 0; i < 4; i++) {
        g[i] = cg_tensor_grad(cg_module_find(model, names[i]));
        g[i] = i % 2 == 0 ? cg_transpose(tape, g[i], 0, 1) : g[i];
    }
    g[4] = cg_tensor_grad(n->x);
    return CG_OK;
}

/* The five against those of step 1, which are kept when there are none yet. */
static cg_status compare(lesson *l, const char *step, cg_tensor *g[LESSON_GRADIENTS], cg_tensor *expected[],
                         double limit) {
    for (int i = 0; i < LESSON_GRADIENTS; i++) {
        double share = 0;
        if (expected[i] == NULL) {
            CG_TRY(lesson_keep(l, g[i], &expected[i]));
        }
        CG_TRY(lesson_difference(g[i], expected[i], &share));
        CG_TRY(lesson_within(step, share, limit));
    }
    printf("%-34s w1, b1, w2, b2, x: %s\n", step, limit == 0 ? "the same bits" : "within 1e-6");
    return cg_tape_run(l->tape);
}

static cg_status run(lesson *l) {
    lesson_network n = {0};
    cg_tensor *g[LESSON_GRADIENTS] = {NULL}, *expected[LESSON_GRADIENTS] = {NULL};
    cg_module *model = NULL;
    int64_t rows = 0;
    CG_TRY(lesson_count(l, "rows", &rows));
    CG_TRY(lesson_images(l, CG_SPLIT_TRAIN, rows, false, &n.x, &n.y));
    CG_TRY(lesson_weights(l, &n, LESSON_HIDDEN));
    lesson_forward(l->tape, &n);
    lesson_gradients(l->tape, &n, g);
    CG_TRY(compare(l, "1. functions", g, expected, 0));
    by_layers(l->tape, &n, g);
    CG_TRY(compare(l, "2. layers that remember", g, expected, 0));
    by_modules(l->tape, &n, g);
    CG_TRY(compare(l, "3. modules: a forward and a bwd", g, expected, 0));
    CG_TRY(cg_module_parse(l->device, "Linear(784, 50), ReLU(), Linear(50, 1)", &model));
    cg_status status = by_library(l, model, &n, g);
    status = status != CG_OK ? status : compare(l, "4. the library's modules", g, expected, 1e-6);
    cg_module_destroy(model);
    return status;
}

int main(int argc, char *argv[]) {
    lesson_flag flags[] = {
        {"data", "mnist", "mnist, or a folder with its four files"}, {"rows", "500", "how many images"}, {0}};
    return lesson_main(argc, argv, flags, run);
}
