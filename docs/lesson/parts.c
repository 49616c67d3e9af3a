/* Chapter 8's training of nothing but our own parts: chapter 5's modules, chapter 7's loss and SGD. */
#include "lesson.h"

#include <math.h>

enum { CLASSES = 10 };

cg_status lesson_parts_make(lesson *l, double rate, lesson_parts *p) {
    p->rate = rate;
    cg_tensor *w1 = NULL, *b1 = NULL, *w2 = NULL, *b2 = NULL;
    CG_TRY(lesson_normal(l, CG_SHAPE(LESSON_PIXELS, LESSON_HIDDEN), sqrt(2.0 / LESSON_PIXELS), 1, &w1));
    CG_TRY(lesson_normal(l, CG_SHAPE(LESSON_HIDDEN, CLASSES), sqrt(1.0 / LESSON_HIDDEN), 2, &w2));
    CG_TRY(lesson_tensor(l, CG_SHAPE(LESSON_HIDDEN), &b1));
    CG_TRY(lesson_tensor(l, CG_SHAPE(CLASSES), &b2));
    p->layers[0] = lesson_lin_module(w1, b1);
    p->layers[1] = lesson_relu_module();
    p->layers[2] = lesson_lin_module(w2, b2);
    return CG_OK;
}

static cg_status sgd(cg_tape *tape, cg_tensor *w, cg_tensor *g, double rate) {
    return cg_copy(tape, w, cg_sub(tape, w, cg_scale(tape, g, rate)));
}

cg_status lesson_parts_step(lesson *l, lesson_parts *p, cg_tensor *x, cg_tensor *y, double *value) {
    cg_tape *tape = l->tape;
    cg_tape_set_mode(tape, CG_EVAL); /* the tape is not to think of gradients: we do */
    cg_tensor *is_class = cg_reshape(tape, cg_one_hot(tape, cg_cast(tape, y, CG_I64), CLASSES),
                                     &CG_SHAPE(cg_tensor_shape(x)->dim[0], CLASSES));
    for (int i = 0; i < 3; i++) {
        x = lesson_call(&p->layers[i], tape, x);
    }
    cg_tensor *loss = lesson_cross_entropy(tape, x, is_class), *g = lesson_cross_entropy_grad(tape, x, is_class);
    for (int i = 2; i >= 0; i--) {
        g = lesson_walk_back(&p->layers[i], tape, g);
    }
    CG_TRY(cg_tensor_item(loss, value));
    for (int i = 0; i < 3; i += 2) {
        CG_TRY(sgd(tape, p->layers[i].in[1], p->layers[i].g_in[1], p->rate));
        CG_TRY(sgd(tape, p->layers[i].in[2], p->layers[i].g_in[2], p->rate));
    }
    return CG_OK;
}
