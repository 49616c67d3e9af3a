/* What all optimizers share: text, parameters, state, and the step. */
#include "optimizer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "module.h"
#include "number.h"
#include "record.h"

static const cg_optimizer_class *const classes[] = {&cg_sgd_class, &cg_adam_class, &cg_adamw_class};

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

cg_status cg_optimizer_not_negative(const cg_arguments *arguments, const char *name) {
    double value = cg_argument_real(arguments, name);
    if (!(value >= 0 && isfinite(value))) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: %s is %g, expected a finite number of at least 0", arguments->call->text,
                       name, value);
    }
    return CG_OK;
}

/* The parameters must be numbers on one device; hyper has their dtype. */
static cg_status take_parameters(cg_optimizer *optimizer, cg_tensor *const *parameters, size_t count) {
    if (count == 0) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: there are no parameters to train", optimizer->class->name);
    }
    optimizer->parameters = cg_alloc(count * sizeof *parameters);
    if (optimizer->parameters == NULL) {
        return CG_ERR_MEMORY;
    }
    memcpy(optimizer->parameters, parameters, count * sizeof *parameters);
    optimizer->count = count;
    cg_dtype dtype = cg_tensor_dtype(parameters[0]);
    for (size_t i = 0; i < count; i++) {
        if (cg_tensor_device(parameters[i]) != cg_tensor_device(parameters[0])) {
            return cg_fail(CG_ERR_DEVICE, "%s: parameters 0 and %zu are on different devices", optimizer->class->name,
                           i);
        }
        if (cg_tensor_dtype(parameters[i]) != dtype || (dtype != CG_F32 && dtype != CG_F64)) {
            return cg_fail(CG_ERR_DTYPE, "%s: parameter %zu is %s, parameter 0 is %s; all must be f32 or all f64",
                           optimizer->class->name, i, cg_dtype_name(cg_tensor_dtype(parameters[i])),
                           cg_dtype_name(dtype));
        }
    }
    const cg_shape shape = CG_SHAPE((int64_t)optimizer->class->n_hyper);
    return cg_tensor_create(cg_tensor_device(parameters[0]), dtype, &shape, &optimizer->hyper);
}

/* State `which` of parameter `index`: zeros of its shape, "0.weight.exp_avg". */
static cg_status add_state(cg_optimizer *optimizer, size_t index, size_t which, const char *const *names) {
    size_t place = index * optimizer->n_states + which;
    cg_tensor *parameter = optimizer->parameters[index];
    cg_text name = {0};
    if (names != NULL) {
        cg_text_append(&name, "%s", names[index]);
    } else {
        cg_text_append(&name, "%zu", index);
    }
    cg_text_append(&name, ".%s", optimizer->class->states[which]);
    optimizer->state_names[place] = name.bytes;
    if (name.failed) {
        return CG_ERR_MEMORY;
    }
    return cg_tensor_create(cg_tensor_device(parameter), cg_tensor_dtype(parameter), cg_tensor_shape(parameter),
                            &optimizer->states[place]);
}

static cg_status add_states(cg_optimizer *optimizer, const char *const *names) {
    size_t total = optimizer->count * optimizer->n_states;
    optimizer->states = cg_alloc_zero(total, sizeof *optimizer->states);
    optimizer->state_names = cg_alloc_zero(total, sizeof *optimizer->state_names);
    if (optimizer->states == NULL || optimizer->state_names == NULL) {
        return CG_ERR_MEMORY;
    }
    for (size_t i = 0; i < optimizer->count; i++) {
        for (size_t which = 0; which < optimizer->n_states; which++) {
            CG_TRY(add_state(optimizer, i, which, names));
        }
    }
    return CG_OK;
}

static cg_status take_arguments(cg_optimizer *optimizer, const cg_arguments *arguments) {
    CG_TRY(optimizer->class->create(optimizer, arguments));
    optimizer->lr = cg_argument_real(arguments, "lr");
    cg_arguments_print_all(arguments, 1, &optimizer->options);
    return optimizer->options.failed ? CG_ERR_MEMORY : CG_OK;
}

static cg_status build(cg_optimizer *optimizer, const cg_expression *call, cg_tensor *const *parameters,
                       const char *const *names, size_t count) {
    cg_arguments arguments;
    CG_TRY(cg_arguments_bind(call, optimizer->class->signature, &arguments));
    cg_status status = take_arguments(optimizer, &arguments);
    cg_arguments_free(&arguments);
    CG_TRY(status);
    CG_TRY(take_parameters(optimizer, parameters, count));
    for (size_t i = 0; i < CG_OPTIMIZER_MAX_HYPER; i++) {
        optimizer->written[i] = (double)NAN; /* nothing equals it: the first step writes */
    }
    return add_states(optimizer, names);
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
    size_t total = cg_optimizer_state_count(optimizer);
    for (size_t i = 0; i < total; i++) {
        cg_tensor_destroy(optimizer->states != NULL ? optimizer->states[i] : NULL);
        cg_free(optimizer->state_names != NULL ? optimizer->state_names[i] : NULL);
    }
    cg_tensor_destroy(optimizer->hyper);
    cg_text_free(&optimizer->options);
    cg_free(optimizer->states);
    cg_free(optimizer->state_names);
    cg_free(optimizer->parameters);
    cg_free(optimizer);
}

/* Writes hyper when the next step's values are others than the last one's. */
static cg_status write_hyper(cg_optimizer *optimizer) {
    double values[CG_OPTIMIZER_MAX_HYPER] = {0};
    size_t count = optimizer->class->n_hyper;
    optimizer->class->hyper(optimizer, values);
    bool same = true;
    for (size_t i = 0; i < count; i++) {
        same = same && values[i] == optimizer->written[i];
    }
    if (same) {
        return CG_OK;
    }
    CG_TRY(cg_tensor_write_f64(optimizer->hyper, values, (int64_t)count));
    memcpy(optimizer->written, values, sizeof values);
    return CG_OK;
}

static void record_update(cg_optimizer *optimizer, cg_tape *tape, size_t index) {
    cg_tensor *parameter = optimizer->parameters[index];
    cg_tensor *inputs[] = {optimizer->hyper, cg_tensor_grad(parameter)};
    cg_tensor *outputs[1 + CG_OPTIMIZER_MAX_STATES] = {parameter};
    uint32_t n_outputs = 1;
    for (; n_outputs <= CG_OPTIMIZER_MAX_STATES && optimizer->class->states[n_outputs - 1] != NULL; n_outputs++) {
        bool present = n_outputs <= optimizer->n_states;
        outputs[n_outputs] = present ? optimizer->states[index * optimizer->n_states + n_outputs - 1] : NULL;
    }
    cg_record(tape, optimizer->class->op, &optimizer->attrs, inputs, 2, outputs, n_outputs, NULL);
}

cg_status cg_optimizer_step(cg_optimizer *optimizer, cg_tape *tape) {
    if (cg_tape_status(tape) == CG_OK && cg_tape_accepts(tape, optimizer->class->name, &optimizer->hyper, 1)) {
        cg_status status = write_hyper(optimizer);
        if (status != CG_OK) {
            cg_tape_blame(tape, status);
        }
    }
    for (size_t i = 0; i < optimizer->count && cg_tape_status(tape) == CG_OK; i++) {
        if (cg_tensor_has_grad(optimizer->parameters[i])) {
            record_update(optimizer, tape, i);
            cg_tensor_zero_grad(optimizer->parameters[i]);
        }
    }
    if (cg_tape_status(tape) != CG_OK) {
        return cg_fail(cg_tape_status(tape), "%s", cg_tape_error(tape));
    }
    optimizer->steps++;
    return CG_OK;
}

double cg_optimizer_lr(const cg_optimizer *optimizer) {
    return optimizer->lr;
}

void cg_optimizer_set_lr(cg_optimizer *optimizer, double lr) {
    optimizer->lr = lr;
}

int64_t cg_optimizer_steps(const cg_optimizer *optimizer) {
    return optimizer->steps;
}

void cg_optimizer_set_steps(cg_optimizer *optimizer, int64_t steps) {
    optimizer->steps = steps;
}

size_t cg_optimizer_state_count(const cg_optimizer *optimizer) {
    return optimizer->count * optimizer->n_states;
}

cg_tensor *cg_optimizer_state(const cg_optimizer *optimizer, size_t index, const char **name) {
    bool there = index < cg_optimizer_state_count(optimizer);
    if (name != NULL) {
        *name = there ? optimizer->state_names[index] : NULL;
    }
    return there ? optimizer->states[index] : NULL;
}

size_t cg_optimizer_print(const cg_optimizer *optimizer, char *text, size_t size) {
    char lr[CG_NUMBER_SIZE];
    cg_text whole = {0};
    cg_text_append(&whole, "%s(lr=%s, %s)", optimizer->class->name, cg_number_print(optimizer->lr, lr),
                   cg_text_get(&optimizer->options));
    size_t length = cg_text_copy(&whole, text, size);
    cg_text_free(&whole);
    return length;
}
