/*
 * Chapter 7: training. Cross-entropy and three optimizers by hand, each against the library's; then a loop that learns.
 *
 *     lesson_training --device cpu
 */
#include "lesson.h"

#include <math.h>
#include <stdio.h>

enum { STEPS = 10, CLASSES = 10 };

/* Loss and gradient by hand, against the library's. */
static cg_status cross_entropy(lesson *l) {
    enum { N = 6 };
    const float classes[N] = {3, 1, 4, 1, 5, 9};
    cg_tape *tape = l->tape;
    cg_tensor *logits = NULL, *target = NULL;
    double by_hand = 0, by_library = 0, share = 0;
    CG_TRY(lesson_normal(l, CG_SHAPE(N, CLASSES), 3, 11, &logits));
    CG_TRY(lesson_tensor(l, CG_SHAPE(N), &target));
    CG_TRY(cg_tensor_write_f32(target, classes, N));

    cg_tensor *is_class = cg_one_hot(tape, cg_cast(tape, target, CG_I64), CLASSES);
    cg_tensor *loss = lesson_cross_entropy(tape, logits, is_class);
    cg_tensor *g = lesson_cross_entropy_grad(tape, logits, is_class);
    CG_TRY(cg_tensor_item(loss, &by_hand));
    CG_TRY(lesson_keep(l, g, &g));
    CG_TRY(cg_tape_run(tape));

    cg_tape_set_mode(tape, CG_TRAIN);
    cg_tensor_set_requires_grad(logits, true);
    loss = cg_cross_entropy(tape, logits, cg_cast(tape, target, CG_I64), CG_REDUCE_MEAN);
    CG_TRY(cg_backward(tape, loss));
    CG_TRY(cg_tensor_item(loss, &by_library));
    CG_TRY(lesson_difference(g, cg_tensor_grad(logits), &share));
    CG_TRY(lesson_within("cross-entropy", fabs(by_hand - by_library), 1e-5));
    CG_TRY(lesson_within("gradient of cross-entropy", share, 1e-5));
    printf("cross-entropy %.4f by hand, %.4f by the library, gradients within 1e-5\n", by_hand, by_library);
    return cg_tape_run(tape);
}

/* What an optimizer knows: the weight, up to two memories of gradients, and how many steps it took. */
typedef struct state {
    cg_tensor *w, *m, *v;
    int steps;
} state;

static cg_status sgd(cg_tape *tape, state *s, cg_tensor *g) {
    return cg_copy(tape, s->w, cg_sub(tape, s->w, cg_scale(tape, g, 0.1)));
}

static cg_status momentum(cg_tape *tape, state *s, cg_tensor *g) {
    CG_TRY(cg_copy(tape, s->m, cg_add(tape, cg_scale(tape, s->m, 0.9), g)));
    return sgd(tape, s, s->m);
}

/* a old + (1 - a) new */
static cg_tensor *blend(cg_tape *tape, double a, cg_tensor *old, cg_tensor *new) {
    return cg_add(tape, cg_scale(tape, old, a), cg_scale(tape, new, 1 - a));
}

static cg_status adam(cg_tape *tape, state *s, cg_tensor *g) {
    s->steps++;
    CG_TRY(cg_copy(tape, s->m, blend(tape, 0.9, s->m, g)));
    CG_TRY(cg_copy(tape, s->v, blend(tape, 0.999, s->v, cg_square(tape, g))));
    cg_tensor *mean = cg_scale(tape, s->m, 1 / (1 - pow(0.9, s->steps)));
    cg_tensor *root = cg_sqrt(tape, cg_scale(tape, s->v, 1 / (1 - pow(0.999, s->steps))));
    cg_tensor *step = cg_div(tape, mean, cg_add(tape, root, cg_full(tape, &CG_SCALAR, 1e-8)));
    return cg_copy(tape, s->w, cg_sub(tape, s->w, cg_scale(tape, step, 0.1)));
}

typedef struct optimizer {
    const char *text; /* the library's, as PyTorch prints it */
    cg_status (*step)(cg_tape *, state *, cg_tensor *g);
    const char *recorded; /* w after ten steps of PyTorch's */
} optimizer;

/* Ten steps of the small case, by hand and by the library's optimizer on the tape's gradients. */
static cg_status compare(lesson *l, const optimizer *o) {
    cg_tape *tape = l->tape;
    cg_tensor *x = NULL, *y = NULL, *b = NULL, *w = NULL, *expected = NULL;
    cg_optimizer *library = NULL;
    state s = {0};
    double by_library = 0, torch = 0;
    CG_TRY(lesson_normal(l, CG_SHAPE(1000, 48), 1, 6, &x));
    CG_TRY(lesson_normal(l, CG_SHAPE(1000, 1), 1, 7, &y));
    CG_TRY(lesson_normal(l, CG_SHAPE(48, 1), sqrt(2.0 / 48), 8, &s.w));
    CG_TRY(lesson_normal(l, CG_SHAPE(48, 1), sqrt(2.0 / 48), 8, &w));
    CG_TRY(lesson_tensor(l, CG_SHAPE(1), &b));
    CG_TRY(lesson_tensor(l, CG_SHAPE(48, 1), &s.m));
    CG_TRY(lesson_tensor(l, CG_SHAPE(48, 1), &s.v));
    CG_TRY(lesson_recorded(l, o->recorded, &expected));
    cg_tensor_set_requires_grad(w, true);
    CG_TRY(cg_optimizer_create(o->text, &w, NULL, 1, &library));
    cg_status status = CG_OK;
    for (int i = 0; i < STEPS && status == CG_OK; i++) {
        cg_tensor *sum = lesson_lin(tape, x, s.w, b);
        cg_tensor *g_sum = lesson_relu_grad(tape, sum, lesson_mse_grad(tape, cg_relu(tape, sum), y));
        status = o->step(tape, &s, lesson_lin_grad(tape, x, s.w, g_sum).w);
        cg_tensor *out = cg_relu(tape, lesson_lin(tape, x, w, b));
        status = status != CG_OK ? status : cg_backward(tape, cg_mse_loss(tape, out, y, CG_REDUCE_MEAN));
        status = status != CG_OK ? status : cg_optimizer_step(library, tape);
        status = status != CG_OK ? status : cg_tape_run(tape);
    }
    cg_optimizer_destroy(library);
    CG_TRY(status);
    CG_TRY(lesson_difference(s.w, w, &by_library));
    CG_TRY(lesson_difference(s.w, expected, &torch));
    CG_TRY(lesson_within(o->text, by_library, 1e-5));
    CG_TRY(lesson_within(o->recorded, torch, 1e-5));
    printf("%-25s ten steps by hand: within 1e-5 of the library's and of PyTorch's\n", o->text);
    return CG_OK;
}

static cg_status learn(lesson *l, lesson_training *t) {
    return lesson_train(l, t, 3);
}

static cg_status run(lesson *l) {
    const optimizer optimizers[] = {{"SGD(lr=0.1)", sgd, "sgd_w"},
                                    {"SGD(lr=0.1, momentum=0.9)", momentum, "momentum_w"},
                                    {"Adam(lr=0.1)", adam, "adam_w"}};
    CG_TRY(cross_entropy(l));
    for (int i = 0; i < 3; i++) {
        CG_TRY(compare(l, &optimizers[i]));
    }
    return lesson_training_with(l, learn);
}

int main(int argc, char *argv[]) {
    lesson_flag flags[] = {{"data", "mnist", "mnist, or a folder with its four files"},
                           {"rows", "5000", "how many images to learn from"},
                           {"recorded", "docs/lesson/recorded.txt", "what PyTorch computed"},
                           {0}};
    return lesson_main(argc, argv, flags, run);
}
