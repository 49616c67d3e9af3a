/*
 * Chapter 11: two schedules of the learning rate by hand, beside the library's, and what they are worth.
 *
 *     lesson_schedules --device cpu
 */
#include "lesson.h"

#include <clgrad/schedule.h>
#include <math.h>
#include <stdio.h>

enum { STEPS = 100, EPOCHS = 3 };

/* From one number to another along half a wave of the cosine: share is 0 at the beginning and 1 at the end. */
static double along_cosine(double from, double to, double share) {
    return to + (from - to) / 2 * (1 + cos(acos(-1) * share));
}

static double annealed(double lr, int step, int steps) {
    return along_cosine(lr, 0, (double)step / steps);
}

static double one_cycle(double lr, int step, int steps) {
    double top = 0.3 * steps - 1, last = steps - 1;
    return step <= top ? along_cosine(lr / 25, lr, step / top)
                       : along_cosine(lr, lr / 25 / 1e4, (step - top) / (last - top));
}

/* A schedule of ours at every step beside the library's of that text. */
static cg_status compare(const char *text, double (*ours)(double, int, int), double rates[STEPS]) {
    cg_schedule *schedule = NULL;
    double furthest = 0;
    CG_TRY(cg_schedule_parse(text, 0.01, 0, &schedule));
    cg_status status = CG_OK;
    for (int i = 0; i < STEPS && status == CG_OK; i++) {
        double lr = 0, momentum = 0;
        status = cg_schedule_at(schedule, i, &lr, &momentum);
        rates[i] = ours(0.01, i, STEPS);
        furthest = fmax(furthest, fabs(rates[i] - lr));
    }
    cg_schedule_destroy(schedule);
    CG_TRY(status);
    CG_TRY(lesson_within(text, furthest, 1e-12));
    printf("%-42s at every step within 1e-12 of ours\n", text);
    return CG_OK;
}

/* One training by a schedule, or at a constant rate without. */
typedef struct plan {
    double lr, (*schedule)(double, int, int);
    int steps;
} plan;

static cg_status follow(void *context, lesson_fit *fit) {
    const plan *p = context;
    double lr = p->schedule != NULL ? p->schedule(p->lr, fit->step, p->steps) : p->lr;
    cg_optimizer_set_lr(fit->training->optimizer, lr);
    return CG_OK;
}

static cg_status train(lesson *l, lesson_training *t, const char *name, plan p) {
    const lesson_callback callback = {.context = &p, .on = {[LESSON_BEFORE_STEP] = follow}};
    lesson_fit fit = {.training = t, .callbacks = &callback, .n_callbacks = 1, .epochs = EPOCHS};
    p.steps = EPOCHS * (int)cg_loader_batches(t->train);
    CG_TRY(lesson_training_restart(t, "Adam()"));
    CG_TRY(lesson_fit_run(l, &fit));
    printf("%d epochs, %-28s %.0f %%\n", EPOCHS, name, fit.accuracy);
    return CG_OK;
}

static cg_status all(lesson *l, lesson_training *t) {
    double annealing[STEPS], cycle[STEPS];
    CG_TRY(compare("CosineAnnealingLR(T_max=100)", annealed, annealing));
    CG_TRY(compare("OneCycleLR(max_lr=0.01, total_steps=100)", one_cycle, cycle));
    CG_TRY(train(l, t, "a rate of 0.0001:", (plan){.lr = 0.0001}));
    CG_TRY(train(l, t, "a rate of 0.01:", (plan){.lr = 0.01}));
    CG_TRY(train(l, t, "0.01, annealed:", (plan){.lr = 0.01, .schedule = annealed}));
    CG_TRY(train(l, t, "0.01 on the top of a cycle:", (plan){.lr = 0.01, .schedule = one_cycle}));
    const lesson_line lines[] = {{"CosineAnnealingLR", annealing}, {"OneCycleLR", cycle}, {0}};
    const lesson_labels labels = {"learning rate at each of 100 steps", "1", "100 steps"};
    return lesson_chart(lesson_text(l, "out"), labels, lines, STEPS);
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
