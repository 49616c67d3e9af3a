/* Replaying a module: its values from the file, forward, backward from the file's gradients, its buffers after. */
#include <string.h>

#include <clgrad/nn.h>

#include "case.h"
#include "record.h"

#define MAX_INPUTS 16
#define MAX_OUTPUTS 16

typedef struct session {
    const cg_case *c;
    cg_device *device;
    cg_module *module;
    cg_tape *tape;
    cg_tensor *inputs[MAX_INPUTS], *outputs[MAX_OUTPUTS], *grads[MAX_OUTPUTS];
    size_t n_inputs, n_outputs;
} session;

typedef cg_tensor *(*tensor_at)(const cg_module *module, size_t index, const char **name);

static const char *after(const char *name, const char *prefix) {
    size_t length = strlen(prefix);
    return strncmp(name, prefix, length) == 0 ? name + length : NULL;
}

/* A count of batches that is the same before and after a call in training was recorded after it in both places: such
 * recorders keep numpy's view of PyTorch's own memory. The count began at 0, as the module's does here. */
static bool stands_still(const cg_case *c, const cg_stored *buffer) {
    for (size_t i = 0; i < cg_safetensors_count(c->file) && !c->eval; i++) {
        const cg_stored *stored = cg_safetensors_tensor(c->file, i);
        const char *rest = after(stored->name, "after.");
        if (rest != NULL && strcmp(rest, buffer->name) == 0) {
            return stored->bytes == buffer->bytes && memcmp(stored->data, buffer->data, stored->bytes) == 0;
        }
    }
    return false;
}

/* Writes the values of "PREFIXname" into the module's tensor of that name. */
static cg_status load_tensor(const session *s, const char *prefix, const char *name, cg_tensor *tensor) {
    const cg_stored *found = NULL;
    for (size_t i = 0; i < cg_safetensors_count(s->c->file) && found == NULL; i++) {
        const cg_stored *stored = cg_safetensors_tensor(s->c->file, i);
        const char *rest = after(stored->name, prefix);
        found = rest != NULL && strcmp(rest, name) == 0 ? stored : NULL;
    }
    if (found == NULL) {
        return cg_case_bad(s->c, "tensor \"%s%s\" is missing: %s has it", prefix, name, s->c->text);
    }
    if (!cg_shape_equal(&found->shape, cg_tensor_shape(tensor))) {
        return cg_case_bad(s->c, "tensor \"%s\" is %s, %s has %s", found->name,
                           cg_shape_print(&found->shape, CG_SHAPE_TEXT), s->c->text,
                           cg_shape_print(cg_tensor_shape(tensor), CG_SHAPE_TEXT));
    }
    cg_dtype dtype = cg_stored_is_real(found->dtype) ? cg_device_real(s->device) : CG_I64;
    if (cg_tensor_dtype(tensor) != dtype) {
        return cg_case_bad(s->c, "tensor \"%s\" is %s, %s has %s", found->name, found->dtype_name, s->c->text,
                           cg_dtype_name(cg_tensor_dtype(tensor)));
    }
    return cg_stored_is_real(found->dtype) || !stands_still(s->c, found) ? cg_case_write(found, tensor) : CG_OK;
}

static cg_status load_all(const session *s, const char *prefix, size_t count, tensor_at at) {
    for (size_t i = 0; i < count; i++) {
        const char *name;
        cg_tensor *tensor = at(s->module, i, &name);
        CG_TRY(load_tensor(s, prefix, name, tensor));
    }
    size_t stored = 0;
    for (size_t i = 0; i < cg_safetensors_count(s->c->file); i++) {
        const char *name = cg_safetensors_tensor(s->c->file, i)->name, *rest = after(name, prefix);
        stored += rest != NULL;
        if (rest != NULL && cg_module_find(s->module, rest) == NULL) {
            return cg_case_bad(s->c, "tensor \"%s\" is unexpected: %s has none of that name", name, s->c->text);
        }
    }
    return stored == count
               ? CG_OK
               : cg_case_bad(s->c, "it has %zu tensors \"%s...\", %s has %zu", stored, prefix, s->c->text, count);
}

static cg_status load_module(const session *s) {
    CG_TRY(load_all(s, "param.", cg_module_parameter_count(s->module), cg_module_parameter));
    return load_all(s, "buffer.", cg_module_buffer_count(s->module), cg_module_buffer);
}

static cg_status load_inputs(session *s) {
    for (const cg_stored *stored; (stored = cg_case_find(s->c, "input.", (int64_t)s->n_inputs)) != NULL;) {
        if (s->n_inputs == MAX_INPUTS) {
            return cg_case_bad(s->c, "it has more than %d inputs", MAX_INPUTS);
        }
        cg_tensor **input = &s->inputs[s->n_inputs++];
        CG_TRY(cg_case_upload(stored, s->device, input));
        bool wanted = cg_case_find(s->c, "grad.input.", (int64_t)s->n_inputs - 1) != NULL;
        cg_tensor_set_requires_grad(*input, wanted);
    }
    return CG_OK;
}

/* Takes the next name off a list "a, b"; its length, 0 at the end. */
static size_t next_name(const char **list, const char **name) {
    *name = *list + strspn(*list, ", ");
    size_t length = strcspn(*name, ", ");
    *list = *name + length;
    return length;
}

/* Where the module has the input of that name; SIZE_MAX: nowhere. */
static size_t place_of(const session *s, const char *name, size_t length) {
    const char *list = cg_module_inputs(s->module), *known;
    for (size_t place = 0, other; (other = next_name(&list, &known)) > 0; place++) {
        if (other == length && strncmp(known, name, length) == 0) {
            return place;
        }
    }
    return SIZE_MAX;
}

/* The inputs where the module takes them; without names they are its first. */
static cg_status place_inputs(const session *s, cg_tensor *placed[MAX_INPUTS], size_t *count) {
    const char *list = cg_safetensors_metadata(s->c->file, "inputs"), *name;
    if (list == NULL) {
        memcpy(placed, s->inputs, sizeof s->inputs);
        *count = s->n_inputs;
        return CG_OK;
    }
    *count = 0;
    for (size_t i = 0; i < s->n_inputs; i++) {
        size_t length = next_name(&list, &name), place = place_of(s, name, length);
        if (length == 0 || place >= MAX_INPUTS || placed[place] != NULL) {
            return cg_case_bad(s->c, "metadata \"inputs\" gives input %zu the name \"%.*s\": %s has %s, each once", i,
                               (int)length, name, s->c->text, cg_module_inputs(s->module));
        }
        placed[place] = s->inputs[i];
        *count = place >= *count ? place + 1 : *count;
    }
    return CG_OK;
}

static cg_status forward(session *s) {
    s->n_outputs = MAX_OUTPUTS;
    cg_tensor *placed[MAX_INPUTS] = {NULL};
    size_t count;
    CG_TRY(place_inputs(s, placed, &count));
    CG_TRY(cg_module_call(s->module, s->tape, placed, count, s->outputs, &s->n_outputs));
    size_t expected = 0;
    while (cg_case_find(s->c, "output.", (int64_t)expected) != NULL) {
        expected++;
    }
    return expected == s->n_outputs
               ? CG_OK
               : cg_case_bad(s->c, "it expects %zu outputs, %s has %zu", expected, s->c->text, s->n_outputs);
}

/* An output that nothing to be differentiated leads to, or that has a wrong shape, gives no gradient: the gradients
 * that were expected are then not computed. */
static cg_status backward(session *s) {
    for (size_t i = 0; i < s->n_outputs; i++) {
        const cg_stored *stored = cg_case_find(s->c, "grad_output.", (int64_t)i);
        if (cg_tensor_requires_grad(s->outputs[i]) && cg_shape_equal(&stored->shape, cg_tensor_shape(s->outputs[i]))) {
            CG_TRY(cg_case_upload(stored, s->device, &s->grads[i]));
            CG_TRY(cg_backward_from(s->tape, s->outputs[i], s->grads[i]));
        }
    }
    return CG_OK;
}

static cg_tensor *gradient(const cg_tensor *tensor) {
    return tensor != NULL && cg_tensor_has_grad(tensor) ? cg_tensor_grad(tensor) : NULL;
}

/* case_module.c has seen to it that the number is that of an input or output. */
static size_t number(const char *text) {
    size_t value = 0;
    for (; *text != '\0'; text++) {
        value = 10 * value + (size_t)(*text - '0');
    }
    return value;
}

/* Takes what stands for one tensor of the file, if it is one of those that are expected. */
static cg_status collect(const session *s, const cg_stored *stored, cg_results *results) {
    const char *rest;
    if ((rest = after(stored->name, "output.")) != NULL) {
        return cg_results_take(results, stored, s->outputs[number(rest)]);
    }
    if ((rest = after(stored->name, "grad.input.")) != NULL) {
        return cg_results_take(results, stored, gradient(s->inputs[number(rest)]));
    }
    if ((rest = after(stored->name, "grad.param.")) != NULL) {
        return cg_results_take(results, stored, gradient(cg_module_find(s->module, rest)));
    }
    if ((rest = after(stored->name, "after.buffer.")) != NULL) {
        return cg_results_take(results, stored, cg_module_find(s->module, rest));
    }
    return CG_OK;
}

static cg_status run(session *s, cg_results *results) {
    CG_TRY(cg_module_parse(s->device, s->c->text, &s->module));
    s->tape = cg_tape_create(s->device);
    if (s->tape == NULL) {
        return CG_ERR_MEMORY;
    }
    CG_TRY(load_module(s));
    CG_TRY(load_inputs(s));
    cg_tape_set_mode(s->tape, s->c->eval ? CG_EVAL : CG_TRAIN);
    cg_tape_set_grad(s->tape, true);
    CG_TRY(forward(s));
    CG_TRY(backward(s));
    for (size_t i = 0; i < cg_safetensors_count(s->c->file); i++) {
        CG_TRY(collect(s, cg_safetensors_tensor(s->c->file, i), results));
    }
    return CG_OK;
}

cg_status cg_case_replay_module(const cg_case *c, cg_device *device, cg_results *results) {
    session s = {.c = c, .device = device};
    cg_status status = run(&s, results);
    cg_tape_destroy(s.tape);
    for (size_t i = 0; i < MAX_INPUTS; i++) {
        cg_tensor_destroy(s.inputs[i]);
    }
    for (size_t i = 0; i < MAX_OUTPUTS; i++) {
        cg_tensor_destroy(s.grads[i]);
    }
    cg_module_destroy(s.module);
    return status;
}
