/* What all optimizers share: text, parameters, state, and the step. */
#include "optimizer.h"

#include <math.h>
#include <string.h>

#include "alloc.h"
#include "module.h"
#include "number.h"
#include "record.h"

static const cg_optimizer_class *const classes[] = {
    &cg_sgd_class,      &cg_adam_class,  &cg_adamw_class, &cg_rmsprop_class, &cg_adagrad_class,
    &cg_adadelta_class, &cg_nadam_class, &cg_radam_class, &cg_lion_class,    &cg_lamb_class,
};

static const char *class_name_at(size_t index) {
    return index < sizeof classes / sizeof *classes ? classes[index]->name : NULL;
}

static const cg_optimizer_class *find_class(const char *name) {
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strcmp(classes[i]->name, name) == 0) {
            return classes[i];
        }
    }
    return NULL;
}

/* The parameters must be numbers on one device; states and hyper have their dtype. */
static cg_status check_parameters(const cg_optimizer_class *class, cg_tensor *const *parameters, size_t count) {
    if (count == 0) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: there are no parameters to train", class->name);
    }
    CG_TRY(cg_parameters_given(class->name, parameters, count));
    cg_dtype dtype = cg_tensor_dtype(parameters[0]);
    for (size_t i = 0; i < count; i++) {
        if (cg_tensor_device(parameters[i]) != cg_tensor_device(parameters[0])) {
            return cg_fail(CG_ERR_DEVICE, "%s: parameters 0 and %zu are on different devices", class->name, i);
        }
        if (cg_tensor_dtype(parameters[i]) != dtype || (dtype != CG_F32 && dtype != CG_F64)) {
            return cg_fail(CG_ERR_DTYPE, "%s: parameter %zu is %s, parameter 0 is %s; all must be f32 or all f64",
                           class->name, i, cg_dtype_name(cg_tensor_dtype(parameters[i])), cg_dtype_name(dtype));
        }
    }
    return CG_OK;
}

static cg_status take_parameters(cg_optimizer *optimizer, cg_tensor *const *parameters, const char *const *names,
                                 size_t count) {
    optimizer->members = cg_alloc_zero(count, sizeof *optimizer->members);
    if (optimizer->members == NULL) {
        return CG_ERR_MEMORY;
    }
    optimizer->count = count;
    for (size_t i = 0; i < count; i++) {
        cg_text name = {0};
        if (names != NULL) {
            cg_text_append(&name, "%s", names[i]);
        } else {
            cg_text_append(&name, "%zu", i);
        }
        optimizer->members[i] = (cg_member){.parameter = parameters[i], .name = name.bytes};
        if (name.failed) {
            return CG_ERR_MEMORY;
        }
    }
    return CG_OK;
}

static cg_status take_arguments(cg_optimizer *optimizer, const cg_arguments *arguments) {
    cg_settings settings;
    CG_TRY(cg_settings_read(optimizer->class, arguments, &settings));
    cg_arguments_print_all(arguments, 1, &optimizer->options);
    CG_TRY(optimizer->options.failed ? CG_ERR_MEMORY : CG_OK);
    return cg_optimizer_grow(optimizer, &settings);
}

static cg_status build(cg_optimizer *optimizer, const cg_expression *call, cg_tensor *const *parameters,
                       const char *const *names, size_t count) {
    cg_arguments arguments;
    CG_TRY(cg_arguments_bind(call, optimizer->class->signature, &arguments));
    cg_status status = check_parameters(optimizer->class, parameters, count);
    status = status != CG_OK ? status : take_parameters(optimizer, parameters, names, count);
    status = status != CG_OK ? status : take_arguments(optimizer, &arguments);
    cg_arguments_free(&arguments);
    for (size_t i = 0; i < count && status == CG_OK; i++) {
        status = cg_member_add_states(optimizer, &optimizer->members[i]);
    }
    return status;
}

/* The optimizer's class and an empty optimizer of it. */
static cg_status begin(const cg_syntax *syntax, cg_optimizer **optimizer) {
    const cg_expression *call = cg_expression_first(syntax->nodes);
    if (syntax->nodes->count != 1) {
        return cg_fail(CG_ERR_SYNTAX, "expected one optimizer, there are %u", (unsigned)syntax->nodes->count);
    }
    const cg_optimizer_class *class = find_class(call->text);
    if (class == NULL) {
        return cg_fail_unknown("optimizer", call->text, class_name_at);
    }
    *optimizer = cg_alloc_zero(1, sizeof **optimizer);
    if (*optimizer == NULL) {
        return CG_ERR_MEMORY;
    }
    (*optimizer)->class = class;
    return CG_OK;
}

cg_status cg_optimizer_create(const char *text, cg_tensor *const *parameters, const char *const *names, size_t count,
                              cg_optimizer **optimizer) {
    *optimizer = NULL;
    cg_optimizer *made = NULL;
    cg_syntax syntax;
    CG_TRY(cg_syntax_parse(text, &syntax));
    cg_status status = begin(&syntax, &made);
    if (made != NULL) {
        status = build(made, cg_expression_first(syntax.nodes), parameters, names, count);
    }
    cg_syntax_free(&syntax);
    if (status != CG_OK) {
        cg_optimizer_destroy(made);
        return status;
    }
    *optimizer = made;
    return CG_OK;
}

cg_status cg_optimizer_parse(const char *text, cg_module *module, cg_optimizer **optimizer) {
    *optimizer = NULL;
    const cg_module *lazy = cg_module_unresolved(module);
    if (lazy != NULL) {
        return cg_fail(CG_ERR_STATE, "%s has no parameters yet: call cg_module_resolve before making an optimizer",
                       cg_module_class_name(lazy));
    }
    size_t count = cg_module_parameter_count(module);
    cg_tensor **parameters = cg_alloc(count * sizeof *parameters);
    const char **names = cg_alloc(count * sizeof *names);
    cg_status status = parameters != NULL && names != NULL ? CG_OK : CG_ERR_MEMORY;
    for (size_t i = 0; i < count && status == CG_OK; i++) {
        parameters[i] = cg_module_parameter(module, i, &names[i]);
    }
    if (status == CG_OK) {
        status = cg_optimizer_create(text, parameters, names, count, optimizer);
    }
    cg_free(parameters);
    cg_free(names);
    return status;
}

void cg_optimizer_destroy(cg_optimizer *optimizer) {
    if (optimizer == NULL) {
        return;
    }
    for (size_t i = 0; i < optimizer->count; i++) {
        cg_member_clear_states(&optimizer->members[i]);
        cg_free(optimizer->members[i].name);
    }
    for (size_t i = 0; i < optimizer->n_groups; i++) {
        cg_tensor_destroy(optimizer->groups[i].hyper);
    }
    cg_text_free(&optimizer->options);
    cg_free(optimizer->members);
    cg_free(optimizer->groups);
    cg_free(optimizer);
}

/* LAMB's second half: the direction, as long as the parameter is. */
static void record_scaled(cg_tape *tape, cg_tensor *hyper, cg_tensor *parameter, cg_tensor *direction) {
    cg_tensor *inputs[] = {hyper, direction, cg_norm(tape, parameter, 2.0, CG_ALL_AXES, false),
                           cg_norm(tape, direction, 2.0, CG_ALL_AXES, false)};
    cg_record(tape, CG_OP_LAMB_STEP, NULL, inputs, 4, &parameter, 1, NULL);
}

static void record_update(const cg_optimizer *optimizer, cg_tape *tape, const cg_member *member) {
    cg_tensor *hyper = optimizer->groups[member->group].hyper;
    cg_tensor *inputs[] = {hyper, cg_tensor_grad(member->parameter)};
    cg_tensor *outputs[1 + CG_UPDATE_MAX_STATES] = {member->parameter};
    memcpy(outputs + 1, member->states, CG_UPDATE_MAX_STATES * sizeof *outputs);
    cg_record(tape, optimizer->class->op, NULL, inputs, 2, outputs, cg_kind(optimizer->class->op)->outputs, NULL);
    if (optimizer->class->keeps_direction) {
        record_scaled(tape, hyper, member->parameter, member->states[CG_UPDATE_MAX_STATES - 1]);
    }
}

static void record_updates(cg_optimizer *optimizer, cg_tape *tape) {
    cg_dtype precision = cg_tape_set_precision(tape, CG_F32);
    for (size_t i = 0; i < optimizer->count && cg_tape_status(tape) == CG_OK; i++) {
        const cg_member *member = &optimizer->members[i];
        if (cg_tensor_has_grad(member->parameter)) {
            record_update(optimizer, tape, member);
            cg_tensor_zero_grad(member->parameter);
        }
    }
    cg_tape_set_precision(tape, precision);
}

cg_status cg_optimizer_step(cg_optimizer *optimizer, cg_tape *tape) {
    if (cg_tape_status(tape) == CG_OK &&
        cg_tape_accepts(tape, optimizer->class->name, &optimizer->groups[0].hyper, 1)) {
        cg_status status = cg_optimizer_write_hyper(optimizer);
        if (status != CG_OK) {
            cg_tape_blame(tape, status);
        }
    }
    record_updates(optimizer, tape);
    if (cg_tape_status(tape) != CG_OK) {
        return cg_fail(cg_tape_status(tape), "%s", cg_tape_error(tape));
    }
    optimizer->steps++;
    return CG_OK;
}

double cg_optimizer_lr(const cg_optimizer *optimizer) {
    return optimizer->groups[0].settings.lr;
}

void cg_optimizer_set_lr(cg_optimizer *optimizer, double lr) {
    optimizer->groups[0].settings.lr = lr;
}

int64_t cg_optimizer_steps(const cg_optimizer *optimizer) {
    return optimizer->steps;
}

void cg_optimizer_set_steps(cg_optimizer *optimizer, int64_t steps) {
    optimizer->steps = steps;
    for (size_t i = 0; i < optimizer->n_groups; i++) {
        optimizer->groups[i].written[CG_HYPER_PRODUCT] = (double)NAN; /* the state that was loaded has it */
    }
}

size_t cg_optimizer_parameter_count(const cg_optimizer *optimizer) {
    return optimizer->count;
}

cg_tensor *cg_optimizer_parameter(const cg_optimizer *optimizer, size_t index, const char **name, size_t *group) {
    const cg_member *member = index < optimizer->count ? &optimizer->members[index] : NULL;
    if (name != NULL) {
        *name = member != NULL ? member->name : NULL;
    }
    if (group != NULL) {
        *group = member != NULL ? member->group : 0;
    }
    return member != NULL ? member->parameter : NULL;
}

/* State number `index` of those that have a name; NULL when there are fewer, *count of them. */
static cg_tensor *state_at(const cg_optimizer *optimizer, size_t index, const char **name, size_t *count) {
    *count = 0;
    for (size_t i = 0; i < optimizer->count; i++) {
        const cg_member *member = &optimizer->members[i];
        for (size_t which = 0; which < CG_MEMBER_STATES; which++) {
            if (member->state_names[which] != NULL && (*count)++ == index) {
                *name = member->state_names[which];
                return member->states[which];
            }
        }
    }
    return NULL;
}

size_t cg_optimizer_state_count(const cg_optimizer *optimizer) {
    const char *name;
    size_t count;
    state_at(optimizer, SIZE_MAX, &name, &count);
    return count;
}

cg_tensor *cg_optimizer_state(const cg_optimizer *optimizer, size_t index, const char **name) {
    const char *found = NULL;
    size_t count;
    cg_tensor *state = state_at(optimizer, index, &found, &count);
    if (name != NULL) {
        *name = found;
    }
    return state;
}

size_t cg_optimizer_print(const cg_optimizer *optimizer, char *text, size_t size) {
    char lr[CG_NUMBER_SIZE];
    cg_text whole = {0};
    cg_text_append(&whole, "%s(lr=%s, %s)", optimizer->class->name, cg_number_print(cg_optimizer_lr(optimizer), lr),
                   cg_text_get(&optimizer->options));
    size_t length = cg_text_copy(&whole, text, size);
    cg_text_free(&whole);
    return length;
}
