/*
 * Chapter 10: a learning-rate finder as a callback, beside the library's.
 *
 *     lesson_finder --device cpu
 */
#include "lesson.h"

#include <clgrad/find_lr.h>
#include <math.h>
#include <stdio.h>

enum { STEPS = 100 };
static const double START = 1e-5, END = 10;

/* The finder: the rate grows by the same factor from step to step, and the loss is smoothed, since batches differ. */
typedef struct finder {
    double rates[STEPS], smooth[STEPS], mean, lowest;
    int count;
} finder;

static cg_status grow(void *context, lesson_fit *fit) {
    finder *f = context;
    f->rates[fit->step] = START * pow(END / START, (double)fit->step / (STEPS - 1));
    cg_optimizer_set_lr(fit->training->optimizer, f->rates[fit->step]);
    return CG_OK;
}

static cg_status watch(void *context, lesson_fit *fit) {
    finder *f = context;
    f->mean = 0.98 * f->mean + 0.02 * fit->loss;
    double smooth = f->mean / (1 - pow(0.98, f->count + 1)); /* the mean begins at 0, as Adam's do */
    f->smooth[f->count++] = smooth;
    f->lowest = fmin(f->lowest, smooth);
    fit->stop = f->count == STEPS || !(smooth <= 4 * f->lowest); /* not a number is no good sign either */
    return CG_OK;
}

/* Where the loss falls fastest from one rate to the next; at both ends it is not to be trusted. */
static double steepest(const finder *f) {
    int found = STEPS / 10;
    for (int i = found; i + 6 < f->count; i++) {
        found = f->smooth[i + 1] - f->smooth[i] < f->smooth[found + 1] - f->smooth[found] ? i : found;
    }
    return f->rates[found];
}

static cg_status find(lesson *l, lesson_training *t, finder *f) {
    const lesson_callback callback = {.context = f, .on = {[LESSON_BEFORE_STEP] = grow, [LESSON_AFTER_STEP] = watch}};
    CG_TRY(lesson_training_restart(t, "Adam()"));
    return lesson_fit_run(l, &(lesson_fit){.training = t, .callbacks = &callback, .n_callbacks = 1, .epochs = STEPS});
}

static cg_status find_by_library(lesson *l, lesson_training *t, double *suggestion) {
    const cg_train_options options = {.batch = LESSON_BATCH, .seed = LESSON_SEED};
    const cg_find_lr_options range = {.start_lr = START, .end_lr = END, .steps = STEPS};
    cg_lr_point points[STEPS];
    size_t count = 0;
    cg_module *loss = NULL;
    CG_TRY(lesson_training_restart(t, "Adam()"));
    CG_TRY(cg_module_parse(l->device, "CrossEntropyLoss()", &loss));
    cg_status status = cg_find_lr(t->model, loss, t->optimizer, t->data, &options, &range, points, &count, suggestion);
    cg_module_destroy(loss);
    return status;
}

static cg_status all(lesson *l, lesson_training *t) {
    finder f = {.lowest = INFINITY};
    double theirs = 0;
    CG_TRY(find(l, t, &f));
    printf("%d steps from %g: loss %.2f, lowest %.2f, then it bursts\n", f.count, START, f.smooth[0], f.lowest);
    CG_TRY(find_by_library(l, t, &theirs));
    printf("the loss falls fastest at %.2g, and by the library's finder at %.2g\n", steepest(&f), theirs);
    CG_TRY(lesson_within("our rate beside the library's", fabs(steepest(&f) / theirs - 1), 1e-12));
    char last[32];
    snprintf(last, sizeof last, "rate %.2g", f.rates[f.count - 1]);
    const lesson_line lines[] = {{"smoothed loss", f.smooth}, {0}};
    const lesson_labels labels = {"loss while the learning rate grows", "rate 1e-5", last};
    return lesson_chart(lesson_text(l, "out"), labels, lines, f.count);
}

static cg_status run(lesson *l) {
    return lesson_training_with(l, all);
}

int main(int argc, char *argv[]) {
    lesson_flag flags[] = {{"data", "mnist", "mnist, or a folder with its four files"},
                           {"rows", "2000", "how many images to learn from"},
                           {"out", "", "a file for the chart, SVG; empty: none"},
                           {0}};
    return lesson_main(argc, argv, flags, run);
}
