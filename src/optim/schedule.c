/* What all schedules share: text, life, and asking for a step. */
#include "schedule.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "alloc.h"

static const cg_schedule_class *const classes[] = {
    &cg_step_lr_class,   &cg_multi_step_lr_class,       &cg_exponential_lr_class, &cg_constant_lr_class,
    &cg_linear_lr_class, &cg_cosine_annealing_lr_class, &cg_one_cycle_lr_class,
};

static const char *class_name_at(size_t index) {
    return index < sizeof classes / sizeof *classes ? classes[index]->name : NULL;
}

static const cg_schedule_class *find_class(const char *name) {
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strcmp(classes[i]->name, name) == 0) {
            return classes[i];
        }
    }
    return NULL;
}

cg_status cg_schedule_within(const cg_arguments *arguments, const char *name, double least, double most) {
    double value = cg_argument_real(arguments, name);
    if (!(value >= least && value <= most && isfinite(value))) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: %s is %g, expected a number from %g to %g", arguments->call->text, name,
                       value, least, most);
    }
    return CG_OK;
}

static cg_status build(cg_schedule *schedule, const cg_expression *call) {
    cg_arguments arguments;
    CG_TRY(cg_arguments_bind(call, schedule->class->signature, &arguments));
    cg_status status = schedule->class->create(schedule, &arguments);
    cg_arguments_free(&arguments);
    return status;
}

/* The schedule's class and an empty schedule of it. */
static cg_status begin(const cg_syntax *syntax, cg_schedule **schedule) {
    const cg_expression *call = cg_expression_first(syntax->nodes);
    if (syntax->nodes->count != 1) {
        return cg_fail(CG_ERR_SYNTAX, "expected one schedule, there are %u", (unsigned)syntax->nodes->count);
    }
    const cg_schedule_class *class = find_class(call->text);
    if (class == NULL) {
        return cg_fail_unknown("schedule", call->text, class_name_at);
    }
    *schedule = cg_alloc_zero(1, sizeof **schedule);
    if (*schedule == NULL) {
        return CG_ERR_MEMORY;
    }
    (*schedule)->class = class;
    return CG_OK;
}

cg_status cg_schedule_parse(const char *text, double lr, double momentum, cg_schedule **schedule) {
    *schedule = NULL;
    cg_schedule *made = NULL;
    cg_syntax syntax;
    CG_TRY(cg_syntax_parse(text, &syntax));
    cg_status status = begin(&syntax, &made);
    if (made != NULL) {
        made->lr = lr;
        made->momentum = momentum;
        status = build(made, cg_expression_first(syntax.nodes));
    }
    cg_syntax_free(&syntax);
    if (status != CG_OK) {
        cg_schedule_destroy(made);
        return status;
    }
    *schedule = made;
    return CG_OK;
}

void cg_schedule_destroy(cg_schedule *schedule) {
    if (schedule != NULL) {
        cg_free(schedule->decay.milestones);
        cg_free(schedule);
    }
}

cg_status cg_schedule_at(const cg_schedule *schedule, int64_t step, double *lr, double *momentum) {
    *lr = schedule->lr;
    *momentum = schedule->momentum;
    if (step < 0) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: there is no step %" PRId64, schedule->class->name, step);
    }
    return schedule->class->at(schedule, step, lr, momentum);
}
