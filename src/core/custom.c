/* Ops of the program's own: kinds registered at run time, and what their front ends and backward rules call. */
#include "custom.h"

#include <clgrad/custom.h>

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "builtin.h"
#include "tape.h"

#define MAX_CUSTOM 1024
#define MAX_KERNEL_OPERANDS 8u

typedef struct custom {
    cg_op_kind kind;
    cg_op_backward_fn backward;
    bool has_attrs;
} custom;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static custom *registered[MAX_CUSTOM]; /* grows only: who has read the count may read so many */
static atomic_uint n_registered;

static const custom *custom_of(uint32_t number) {
    return number >= CG_FIRST_CUSTOM && number - CG_FIRST_CUSTOM < n_registered ? registered[number - CG_FIRST_CUSTOM]
                                                                                : NULL;
}

const cg_op_kind *cg_custom_kind(uint32_t number) {
    const custom *found = custom_of(number);
    return found != NULL ? &found->kind : NULL;
}

static bool is_taken(const char *name) {
    for (size_t i = 0; i < cg_kind_count; i++) {
        if (strcmp(cg_kinds[i].name, name) == 0) {
            return true;
        }
    }
    for (uint32_t i = 0; i < n_registered; i++) {
        if (strcmp(registered[i]->kind.name, name) == 0) {
            return true;
        }
    }
    return false;
}

static cg_status check_counts(const cg_op_definition *d) {
    if (d->min_inputs > d->max_inputs || d->max_inputs > CG_MAX_INPUTS) {
        return cg_fail(CG_ERR_ARGUMENT, "op %s: %u to %u inputs; at most %d are possible", d->name, d->min_inputs,
                       d->max_inputs, CG_MAX_INPUTS);
    }
    if (d->outputs < 1 || d->outputs > CG_MAX_OUTPUTS) {
        return cg_fail(CG_ERR_ARGUMENT, "op %s: %u outputs; 1 to %d are possible", d->name, d->outputs, CG_MAX_OUTPUTS);
    }
    if (d->attrs_size != 0 && d->attrs_size < sizeof(cg_no_attrs)) {
        return cg_fail(CG_ERR_ARGUMENT, "op %s: attributes of %u bytes; they begin with uint32_t size", d->name,
                       d->attrs_size);
    }
    if (d->opencl_source != NULL && d->max_inputs + d->outputs > MAX_KERNEL_OPERANDS) {
        return cg_fail(CG_ERR_ARGUMENT, "op %s: a kernel of %u operands; at most %u are possible", d->name,
                       d->max_inputs + d->outputs, MAX_KERNEL_OPERANDS);
    }
    return CG_OK;
}

static cg_status check(const cg_op_definition *d) {
    if (d->size != sizeof *d) {
        return cg_fail(CG_ERR_ARGUMENT, "cg_op_register: the definition's size is %u, not %zu", d->size, sizeof *d);
    }
    const char *letters = "abcdefghijklmnopqrstuvwxyz0123456789_";
    if (d->name == NULL || d->name[0] == '\0' || strspn(d->name, letters) != strlen(d->name)) {
        return cg_fail(CG_ERR_ARGUMENT, "cg_op_register: the name is %s; small letters, digits and _ are needed",
                       d->name == NULL ? "NULL" : d->name);
    }
    if (d->reference_f32 == NULL || d->reference_f64 == NULL) {
        return cg_fail(CG_ERR_ARGUMENT, "op %s: reference_f32 and reference_f64 are required", d->name);
    }
    if ((d->flags & ~CG_KIND_ACCUMULATES) != 0) {
        return cg_fail(CG_ERR_ARGUMENT, "op %s: flags %#x; CG_KIND_ACCUMULATES is the only one", d->name, d->flags);
    }
    return check_counts(d);
}

static custom *make(const cg_op_definition *d) {
    custom *made = cg_alloc_zero(1, sizeof *made);
    char *name = cg_strdup(d->name), *source = d->opencl_source != NULL ? cg_strdup(d->opencl_source) : NULL;
    if (made == NULL || name == NULL || (d->opencl_source != NULL && source == NULL)) {
        cg_free(made);
        cg_free(name);
        cg_free(source);
        return NULL;
    }
    made->backward = d->backward;
    made->has_attrs = d->attrs_size > 0;
    made->kind = (cg_op_kind){.flags = d->flags,
                              .name = name,
                              .min_inputs = d->min_inputs,
                              .max_inputs = d->max_inputs,
                              .outputs = d->outputs,
                              .attrs_size = made->has_attrs ? d->attrs_size : (uint32_t)sizeof(cg_no_attrs),
                              .reference_f32 = d->reference_f32,
                              .reference_f64 = d->reference_f64,
                              .opencl_source = source};
    return made;
}

static cg_status add(const cg_op_definition *d, uint32_t *number) {
    if (is_taken(d->name)) {
        return cg_fail(CG_ERR_NAME, "cg_op_register: there is an op %s already", d->name);
    }
    uint32_t place = n_registered;
    if (place == MAX_CUSTOM) {
        return cg_fail(CG_ERR_STATE, "cg_op_register: %d ops are registered already", MAX_CUSTOM);
    }
    custom *made = make(d);
    if (made == NULL) {
        return CG_ERR_MEMORY;
    }
    *number = made->kind.number = CG_FIRST_CUSTOM + place;
    registered[place] = made;
    n_registered = place + 1;
    return CG_OK;
}

cg_status cg_op_register(const cg_op_definition *definition, uint32_t *number) {
    *number = 0;
    CG_TRY(check(definition));
    pthread_mutex_lock(&lock);
    cg_status status = add(definition, number);
    pthread_mutex_unlock(&lock);
    return status;
}

/* The rule of a registered kind. What it records to get at its contributions has no gradient of its own. */
static void run_rule(cg_tape *tape, const cg_node *node) {
    bool grad = tape->grad;
    tape->grad = false;
    custom_of(node->kind->number)->backward(tape, node);
    tape->grad = grad;
}

/* Inputs that are absent may be left out at the end, or be NULL behind min_inputs. */
static bool inputs_fit(cg_tape *tape, const custom *op, const void *attrs, cg_tensor *const *inputs, uint32_t count) {
    const cg_op_kind *kind = &op->kind;
    if (count < kind->min_inputs || count > kind->max_inputs) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: %u inputs; it takes %u to %u", kind->name, count, kind->min_inputs,
                     kind->max_inputs);
    } else if (op->has_attrs && attrs == NULL) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: its attributes are NULL", kind->name);
    }
    for (uint32_t i = 0; i < count && tape->status == CG_OK; i++) {
        if (inputs[i] != NULL || i < kind->min_inputs) {
            cg_tape_accepts(tape, kind->name, &inputs[i], 1);
        }
    }
    return tape->status == CG_OK;
}

cg_tensor *cg_op_record(cg_tape *tape, uint32_t number, const void *attrs, cg_tensor *const *inputs, uint32_t n_inputs,
                        const cg_shape *shapes, cg_tensor **outputs) {
    const custom *op = custom_of(number);
    cg_tensor *made[CG_MAX_OUTPUTS];
    if (op == NULL) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "cg_op_record: %u is not the number of a registered op", number);
    }
    bool fits = tape->status == CG_OK && inputs_fit(tape, op, attrs, inputs, n_inputs);
    for (uint32_t i = 0; i < op->kind.outputs; i++) {
        made[i] = fits ? cg_tape_tensor(tape, cg_device_real(tape->device), &shapes[i]) : &tape->poison;
    }
    if (fits) {
        cg_record(tape, number, attrs, inputs, n_inputs, made, op->kind.outputs,
                  op->backward != NULL ? run_rule : NULL);
    }
    for (uint32_t i = 0; i < op->kind.outputs && outputs != NULL; i++) {
        outputs[i] = made[i];
    }
    return tape->status == CG_OK ? made[0] : &tape->poison;
}

cg_tensor *cg_op_fail(cg_tape *tape, cg_status status, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return cg_tape_fail(tape, status, "%s", text);
}

const void *cg_op_attrs(const cg_recorded_op *op) {
    return op->attrs;
}

cg_tensor *cg_op_input(const cg_recorded_op *op, uint32_t i) {
    return i < op->n_inputs ? op->inputs[i] : NULL;
}

cg_tensor *cg_op_output(const cg_recorded_op *op, uint32_t i) {
    return i < op->n_outputs ? op->outputs[i] : NULL;
}

cg_tensor *cg_op_grad_output(cg_tape *tape, const cg_recorded_op *op, uint32_t i) {
    return cg_grad_of(tape, cg_op_output(op, i));
}

bool cg_op_grad_wanted(cg_tape *tape, const cg_recorded_op *op, uint32_t i) {
    return cg_grad_wanted(tape, cg_op_input(op, i));
}

void cg_op_grad_emit(cg_tape *tape, const cg_recorded_op *op, uint32_t i, uint32_t number, const void *attrs,
                     cg_tensor *const *inputs, uint32_t n_inputs) {
    const cg_op_kind *kind = cg_kind(number);
    if (kind == NULL || kind->outputs != 1 || n_inputs < kind->min_inputs || n_inputs > kind->max_inputs) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "cg_op_grad_emit: %u with %u inputs is no op of one output", number,
                     n_inputs);
        return;
    }
    cg_grad_emit(tape, cg_op_input(op, i), NULL, number, attrs, inputs, n_inputs);
}

void cg_op_grad_add(cg_tape *tape, const cg_recorded_op *op, uint32_t i, cg_tensor *contribution) {
    cg_tensor *target = cg_op_input(op, i);
    if (!cg_grad_wanted(tape, target) || !cg_tape_accepts(tape, op->kind->name, &contribution, 1)) {
        return;
    }
    if (cg_tensor_numel(contribution) != cg_tensor_numel(target)) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "%s: a gradient of %s for input %u of %s", op->kind->name,
                     cg_shape_print(&contribution->shape, CG_SHAPE_TEXT), i,
                     cg_shape_print(&target->shape, CG_SHAPE_TEXT));
        return;
    }
    cg_grad_add(tape, target, contribution);
}
