/* What all schedules share: text, life, and asking for a step. */
#include "schedule.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "alloc.h"

static const cg_schedule_class *const classes[] = {
    &cg_step_lr_class,
    &cg_multi_step_lr_class,
    &cg_exponential_lr_class,
    &cg_constant_lr_class,
    &cg_linear_lr_class,
    &cg_polynomial_lr_class,
    &cg_cosine_annealing_lr_class,
    &cg_cosine_restarts_class,
    &cg_one_cycle_lr_class,
    &cg_cyclic_lr_class,
    &cg_plateau_class,
    &cg_sequential_lr_class,
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

static cg_status take_arguments(cg_schedule *schedule, const cg_expression *call) {
    cg_arguments arguments;
    CG_TRY(cg_arguments_bind(call, schedule->class->signature, &arguments));
    cg_status status = schedule->class->create(schedule, &arguments);
    if (status == CG_OK) {
        cg_arguments_print_all(&arguments, 0, &schedule->arguments);
        status = schedule->arguments.failed ? CG_ERR_MEMORY : CG_OK;
    }
    cg_arguments_free(&arguments);
    return status;
}

cg_status cg_schedule_build(const cg_expression *call, double lr, double momentum, cg_schedule **schedule) {
    *schedule = NULL;
    const cg_schedule_class *class = find_class(call->text);
    if (class == NULL) {
        return cg_fail_unknown("schedule", call->text, class_name_at);
    }
    cg_schedule *made = cg_alloc_zero(1, sizeof *made);
    if (made == NULL) {
        return CG_ERR_MEMORY;
    }
    made->class = class;
    made->lr = lr;
    made->momentum = momentum;
    cg_status status = take_arguments(made, call);
    if (status != CG_OK) {
        cg_schedule_destroy(made);
        return status;
    }
    *schedule = made;
    return CG_OK;
}

cg_status cg_schedule_parse(const char *text, double lr, double momentum, cg_schedule **schedule) {
    *schedule = NULL;
    cg_syntax syntax;
    CG_TRY(cg_syntax_parse(text, &syntax));
    cg_status status =
        syntax.nodes->count == 1
            ? cg_schedule_build(cg_expression_first(syntax.nodes), lr, momentum, schedule)
            : cg_fail(CG_ERR_SYNTAX, "expected one schedule, there are %u", (unsigned)syntax.nodes->count);
    cg_syntax_free(&syntax);
    return status;
}

void cg_schedule_destroy(cg_schedule *schedule) {
    if (schedule == NULL) {
        return;
    }
    for (size_t i = 0; i < schedule->sequence.count; i++) {
        cg_schedule_destroy(schedule->sequence.items[i]);
    }
    cg_free(schedule->sequence.items);
    cg_free(schedule->sequence.begins);
    cg_free(schedule->decay.milestones);
    cg_text_free(&schedule->arguments);
    cg_free(schedule);
}

size_t cg_schedule_print(const cg_schedule *schedule, char *text, size_t size) {
    cg_text whole = {0};
    cg_text_append(&whole, "%s(%s)", schedule->class->name, cg_text_get(&schedule->arguments));
    size_t length = cg_text_copy(&whole, text, size);
    cg_text_free(&whole);
    return length;
}

bool cg_schedule_wants_metric(const cg_schedule *schedule) {
    return schedule->class->report != NULL;
}

void cg_schedule_report(cg_schedule *schedule, double metric) {
    if (schedule->class->report != NULL) {
        schedule->class->report(schedule, metric);
    }
}

int64_t cg_schedule_length(const cg_schedule *schedule) {
    return schedule->class->length != NULL ? schedule->class->length(schedule) : 0;
}

bool cg_schedule_ends(const cg_schedule *schedule) {
    const cg_sequence *sequence = &schedule->sequence;
    return sequence->count > 0 ? cg_schedule_ends(sequence->items[sequence->count - 1])
                               : schedule->class == &cg_one_cycle_lr_class;
}

cg_schedule_state cg_schedule_get_state(const cg_schedule *schedule) {
    return schedule->plateau.state;
}

void cg_schedule_set_state(cg_schedule *schedule, const cg_schedule_state *state) {
    schedule->plateau.state = *state;
}

static cg_status at(const cg_schedule *schedule, int64_t step, double *lr, double *momentum) {
    if (step < 0) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: there is no step %" PRId64, schedule->class->name, step);
    }
    return schedule->class->at(schedule, step, lr, momentum);
}

cg_status cg_schedule_at(const cg_schedule *schedule, int64_t step, double *lr, double *momentum) {
    *lr = schedule->lr;
    *momentum = schedule->momentum;
    return at(schedule, step, lr, momentum);
}

cg_status cg_schedule_apply(const cg_schedule *schedule, cg_optimizer *optimizer, int64_t step) {
    for (size_t group = 0; group < cg_optimizer_group_count(optimizer); group++) {
        double lr, momentum;
        cg_optimizer_group_initial(optimizer, group, &lr, &momentum);
        double before = momentum;
        CG_TRY(at(schedule, step, &lr, &momentum));
        cg_optimizer_set_group_lr(optimizer, group, lr);
        if (momentum != before || momentum != cg_optimizer_group_momentum(optimizer, group)) {
            CG_TRY(cg_optimizer_set_group_momentum(optimizer, group, momentum));
        }
    }
    return CG_OK;
}
