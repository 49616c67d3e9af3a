/* Which ops a device would leave to the CPU, without running any: every row of layers.def is recorded on the reference,
 * with its gradients, and the device is asked about each op of it. */
#include "rows.h"

#include <string.h>

#include <clgrad/check.h>
#include <clgrad/optim.h>

#include "dispatch.h"
#include "tape.h"

/* What a device cannot run, as it is found. */
typedef struct finding {
    cg_device *device;
    cg_fallback_info *rows;
    size_t count, capacity;
} finding;

static void note(finding *f, const char *op, const char *reason) {
    size_t kept = f->count < f->capacity ? f->count : f->capacity;
    for (size_t i = 0; i < kept; i++) {
        if (strcmp(f->rows[i].op, op) == 0 && strcmp(f->rows[i].reason, reason) == 0) {
            f->rows[i].count++;
            return;
        }
    }
    if (f->count < f->capacity) {
        f->rows[f->count] = (cg_fallback_info){op, reason, 1, 0};
    }
    f->count++;
}

/* Buffers are not looked at, but for whether there is one. */
static void describe_operands(cg_tensor *const *tensors, uint32_t count, cg_operand *operands) {
    static char nowhere;
    for (uint32_t i = 0; i < count; i++) {
        operands[i] = (cg_operand){.buffer = NULL};
        if (tensors[i] != NULL) {
            operands[i] = (cg_operand){.buffer = &nowhere,
                                       .extent = (size_t)cg_tensor_numel(tensors[i]),
                                       .shape = tensors[i]->shape,
                                       .dtype = tensors[i]->dtype};
        }
    }
}

static void ask(finding *f, const cg_node *node) {
    const char *reason = "";
    cg_op op = {.kind = node->kind, .attrs = node->attrs, .accumulate = node->accumulate};
    op.n_inputs = node->n_inputs;
    op.n_outputs = node->n_outputs;
    describe_operands(node->inputs, node->n_inputs, op.inputs);
    describe_operands(node->outputs, node->n_outputs, op.outputs);
    if (!cg_dispatch_supports(f->device, &op, &reason)) {
        note(f, node->kind->name, reason);
    }
}

static void ask_all(finding *f, cg_tape *tape) {
    for (size_t i = 0; i < tape->n_nodes; i++) {
        if (tape->nodes[i]->kind != NULL) {
            ask(f, tape->nodes[i]);
        }
    }
    cg_tape_reset(tape);
}

/* The module's outputs, and backward from each, with itself as its gradient: only shapes matter here. */
static cg_status record(cg_module *module, cg_tape *tape, const gradcheck_case *test) {
    cg_tensor *inputs[GRADCHECK_MAX_INPUTS] = {NULL}, *outputs[4] = {NULL};
    size_t n_outputs = 4;
    for (uint32_t i = 0; i < test->n_inputs; i++) {
        bool classes = test->inputs[i].classes > 0;
        inputs[i] = cg_tape_tensor(tape, classes ? CG_I64 : CG_F32, &test->inputs[i].shape);
        inputs[i]->requires_grad = !classes && !test->inputs[i].constant;
    }
    CG_TRY(cg_module_call(module, tape, inputs, test->n_inputs, outputs, &n_outputs));
    for (size_t i = 0; i < n_outputs; i++) {
        CG_TRY(cg_tensor_requires_grad(outputs[i]) ? cg_backward_from(tape, outputs[i], outputs[i]) : CG_OK);
    }
    return CG_OK;
}

static cg_status record_row(finding *f, const gradcheck_case *test, cg_tape *tape) {
    cg_module *module;
    CG_TRY(cg_module_parse(cg_tape_device(tape), test->module, &module));
    cg_status status =
        strstr(test->module, "Lazy") != NULL ? cg_module_resolve(module, &test->inputs[0].shape, NULL) : CG_OK;
    cg_tape_set_mode(tape, test->eval ? CG_EVAL : CG_TRAIN);
    cg_tape_set_grad(tape, true);
    status = status != CG_OK ? status : record(module, tape, test);
    ask_all(f, tape);
    cg_module_destroy(module);
    return status;
}

static cg_status record_all(finding *f, cg_tape *tape) {
    for (size_t i = 0; i < cg_layer_row_count; i++) {
        const cg_layer_row one = cg_layer_rows[i]();
        CG_TRY(record_row(f, &one.test, tape));
    }
    return CG_OK;
}

cg_status cg_device_unsupported(cg_device *device, cg_fallback_info *rows, size_t capacity, size_t *count) {
    finding f = {.device = device, .rows = rows, .capacity = capacity};
    cg_device *reference;
    *count = 0;
    CG_TRY(cg_device_open("reference", &reference));
    cg_tape *tape = cg_tape_create(reference);
    cg_status status = tape != NULL ? record_all(&f, tape) : CG_ERR_MEMORY;
    cg_tape_destroy(tape);
    cg_device_close(reference);
    *count = f.count;
    return status;
}
