/* Running averages of a model's weights: torch.optim.swa_utils. */
#include <string.h>

#include "alloc.h"
#include "module.h"
#include "optimizer.h"
#include "record.h"

typedef struct average_class {
    const char *name, *signature;
} average_class;

static const average_class classes[] = {
    {"EMA", "decay: float = 0.999, use_buffers: bool = False"},
    {"SWA", "use_buffers: bool = False"},
};

static const char *class_name_at(size_t index) {
    return index < sizeof classes / sizeof *classes ? classes[index].name : NULL;
}

/* A tensor of the model's and its average. */
typedef struct entry {
    const char *name; /* the model's */
    cg_tensor *tensor, *average;
} entry;

struct cg_average {
    const average_class *class;
    double decay; /* below 0: all updates count the same */
    int64_t updates;
    entry *entries;
    size_t count;
    cg_tensor *hyper;
};

static cg_status take_arguments(cg_average *average, const cg_arguments *arguments, bool *buffers) {
    *buffers = cg_argument_bool(arguments, "use_buffers");
    average->decay = -1.0;
    if (!cg_argument_exists(arguments, "decay")) {
        return CG_OK;
    }
    average->decay = cg_argument_real(arguments, "decay");
    if (!(average->decay >= 0 && average->decay <= 1)) {
        return cg_fail(CG_ERR_ARGUMENT, "EMA: decay is %g, expected a number from 0 to 1", average->decay);
    }
    return CG_OK;
}

static cg_status read_text(cg_average *average, const char *text, bool *buffers) {
    cg_syntax syntax;
    cg_arguments arguments;
    CG_TRY(cg_syntax_parse(text, &syntax));
    const cg_expression *call = cg_expression_first(syntax.nodes);
    cg_status status = syntax.nodes->count == 1 ? CG_OK
                                                : cg_fail(CG_ERR_SYNTAX, "expected one average, there are %u",
                                                          (unsigned)syntax.nodes->count);
    for (size_t i = 0; i < sizeof classes / sizeof *classes && status == CG_OK; i++) {
        if (strcmp(classes[i].name, call->text) == 0) {
            average->class = &classes[i];
        }
    }
    if (status == CG_OK && average->class == NULL) {
        status = cg_fail_unknown("average", call->text, class_name_at);
    }
    if (status == CG_OK) {
        status = cg_arguments_bind(call, average->class->signature, &arguments);
    }
    if (status == CG_OK) {
        status = take_arguments(average, &arguments, buffers);
        cg_arguments_free(&arguments);
    }
    cg_syntax_free(&syntax);
    return status;
}

static cg_status add_entry(cg_average *average, cg_tensor *tensor, const char *name) {
    cg_dtype dtype = cg_tensor_dtype(tensor);
    if (dtype != CG_F32 && dtype != CG_F64) {
        return CG_OK; /* a count is no weight */
    }
    entry *made = &average->entries[average->count++];
    *made = (entry){.name = name, .tensor = tensor};
    return cg_tensor_to(tensor, cg_tensor_device(tensor), &made->average);
}

static cg_status build(cg_average *average, const char *text, cg_module *module) {
    bool buffers;
    CG_TRY(read_text(average, text, &buffers));
    const cg_module *lazy = cg_module_unresolved(module);
    if (lazy != NULL) {
        return cg_fail(CG_ERR_STATE, "%s has no parameters yet: call cg_module_resolve before averaging them",
                       cg_module_class_name(lazy));
    }
    size_t parameters = cg_module_parameter_count(module), more = buffers ? cg_module_buffer_count(module) : 0;
    if (parameters == 0) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: there are no parameters to average", average->class->name);
    }
    average->entries = cg_alloc_zero(parameters + more, sizeof *average->entries);
    if (average->entries == NULL) {
        return CG_ERR_MEMORY;
    }
    for (size_t i = 0; i < parameters + more; i++) {
        const char *name;
        cg_tensor *tensor =
            i < parameters ? cg_module_parameter(module, i, &name) : cg_module_buffer(module, i - parameters, &name);
        CG_TRY(add_entry(average, tensor, name));
    }
    const cg_tensor *first = average->entries[0].tensor;
    return cg_tensor_create(cg_tensor_device(first), cg_tensor_dtype(first), &CG_SHAPE(CG_UPDATE_NUMBERS),
                            &average->hyper);
}

cg_status cg_average_parse(const char *text, cg_module *module, cg_average **average) {
    *average = NULL;
    cg_average *made = cg_alloc_zero(1, sizeof *made);
    if (made == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_status status = build(made, text, module);
    if (status != CG_OK) {
        cg_average_destroy(made);
        return status;
    }
    *average = made;
    return CG_OK;
}

void cg_average_destroy(cg_average *average) {
    if (average == NULL) {
        return;
    }
    for (size_t i = 0; i < average->count; i++) {
        cg_tensor_destroy(average->entries[i].average);
    }
    cg_tensor_destroy(average->hyper);
    cg_free(average->entries);
    cg_free(average);
}

cg_status cg_average_update(cg_average *average, cg_tape *tape) {
    double hyper[CG_UPDATE_NUMBERS] = {0};
    hyper[CG_HYPER_OWN] = average->updates == 0 ? 1.0
                          : average->decay >= 0 ? 1.0 - average->decay
                                                : 1.0 / ((double)average->updates + 1.0);
    if (cg_tape_status(tape) == CG_OK && cg_tape_accepts(tape, average->class->name, &average->hyper, 1)) {
        cg_status status = cg_tensor_write_f64(average->hyper, hyper, CG_UPDATE_NUMBERS);
        if (status != CG_OK) {
            cg_tape_blame(tape, status);
        }
    }
    for (size_t i = 0; i < average->count; i++) {
        cg_tensor *inputs[] = {average->hyper, average->entries[i].tensor};
        cg_record(tape, CG_OP_AVERAGE_STEP, NULL, inputs, 2, &average->entries[i].average, 1, NULL);
    }
    if (cg_tape_status(tape) != CG_OK) {
        return cg_fail(cg_tape_status(tape), "%s", cg_tape_error(tape));
    }
    average->updates++;
    return CG_OK;
}

cg_status cg_average_swap(cg_average *average, cg_tape *tape) {
    for (size_t i = 0; i < average->count; i++) {
        const entry *e = &average->entries[i];
        cg_dtype precision = cg_tape_set_precision(tape, CG_F32);
        cg_tensor *kept = cg_scale(tape, e->average, 1.0);
        cg_tape_set_precision(tape, precision);
        CG_TRY(cg_copy(tape, e->average, e->tensor));
        CG_TRY(cg_copy(tape, e->tensor, kept));
    }
    return cg_tape_run(tape);
}

int64_t cg_average_updates(const cg_average *average) {
    return average->updates;
}

void cg_average_set_updates(cg_average *average, int64_t updates) {
    average->updates = updates;
}

size_t cg_average_count(const cg_average *average) {
    return average->count;
}

cg_tensor *cg_average_tensor(const cg_average *average, size_t index, const char **name) {
    bool there = index < average->count;
    if (name != NULL) {
        *name = there ? average->entries[index].name : NULL;
    }
    return there ? average->entries[index].average : NULL;
}
