/* The case of a failure: a file of the format of clgrad verify, expected values by the reference in double. */
#include "doctor.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "probe.h"
#include "safetensors.h"

#define MAX_ENTRIES 256
#define NAME_SIZE 128

/* Tensors of a file as they come together; values are copied. */
typedef struct entries {
    cg_stored items[MAX_ENTRIES];
    char names[MAX_ENTRIES][NAME_SIZE];
    size_t count;
} entries;

static void entries_free(entries *e) {
    for (size_t i = 0; i < e->count; i++) {
        cg_free((void *)e->items[i].data);
    }
    cg_free(e);
}

/* The values in the dtype of the file: F32 what the device is given, F64 what is expected, I64 classes and counts. */
static void convert(const double *values, int64_t count, cg_stored_dtype dtype, void *to) {
    for (int64_t i = 0; i < count; i++) {
        switch (dtype) {
        case CG_STORED_F32:
            ((float *)to)[i] = (float)values[i];
            break;
        case CG_STORED_I64:
            ((int64_t *)to)[i] = (int64_t)values[i];
            break;
        default:
            ((double *)to)[i] = values[i];
        }
    }
}

static cg_status add(entries *e, const char *prefix, const char *name, cg_stored_dtype dtype, const cg_shape *shape,
                     const double *values) {
    if (e->count == MAX_ENTRIES) {
        return cg_fail(CG_ERR_ARGUMENT, "a case of more than %d tensors", MAX_ENTRIES);
    }
    int64_t count = cg_shape_numel(shape);
    size_t bytes = (size_t)count * cg_stored_dtype_size(dtype);
    void *data = cg_alloc(bytes);
    if (data == NULL) {
        return CG_ERR_MEMORY;
    }
    convert(values, count, dtype, data);
    snprintf(e->names[e->count], NAME_SIZE, "%s%s", prefix, name);
    e->items[e->count] =
        (cg_stored){.name = e->names[e->count], .dtype = dtype, .shape = *shape, .data = data, .bytes = bytes};
    e->count++;
    return CG_OK;
}

static cg_status add_numbered(entries *e, const char *prefix, size_t number, cg_stored_dtype dtype,
                              const cg_shape *shape, const double *values) {
    char name[24];
    snprintf(name, sizeof name, "%zu", number);
    return add(e, prefix, name, dtype, shape, values);
}

static cg_status add_input(entries *e, const test_probe *probe, size_t i) {
    const probe_leaf *leaf = &probe->leaves[i];
    double *values;
    CG_TRY(probe_doubles(leaf->count, &values));
    cg_status status = cg_tensor_read_f64(leaf->tensor, values, leaf->count);
    if (status == CG_OK) {
        bool classes = probe->test->inputs[i].classes > 0;
        status = add_numbered(e, "input.", i, classes ? CG_STORED_I64 : CG_STORED_F32, &leaf->shape, values);
    }
    cg_free(values);
    return status;
}

/* Inputs first, then parameters, as the probe has them. */
static cg_status add_leaves(entries *e, const test_probe *probe) {
    for (size_t i = 0; i < probe->n_leaves; i++) {
        const probe_leaf *leaf = &probe->leaves[i];
        bool input = i < probe->test->n_inputs;
        CG_TRY(input ? add_input(e, probe, i)
                     : add(e, "param.", leaf->name, CG_STORED_F32, &leaf->shape, leaf->values));
    }
    return CG_OK;
}

static cg_status add_gradients(entries *e, const test_probe *probe) {
    for (size_t i = 0; i < probe->n_leaves; i++) {
        const probe_leaf *leaf = &probe->leaves[i];
        if (leaf->wanted && i < probe->test->n_inputs) {
            CG_TRY(add_numbered(e, "grad.input.", i, CG_STORED_F64, &leaf->shape, leaf->gradient));
        } else if (leaf->wanted) {
            CG_TRY(add(e, "grad.param.", leaf->name, CG_STORED_F64, &leaf->shape, leaf->gradient));
        }
    }
    return CG_OK;
}

static cg_status add_outputs(entries *e, const test_probe *probe) {
    for (size_t i = 0; i < probe->n_outputs; i++) {
        const probe_output *output = &probe->outputs[i];
        CG_TRY(add_numbered(e, "output.", i, CG_STORED_F64, &output->shape, probe->output + output->start));
        CG_TRY(add_numbered(e, "grad_output.", i, CG_STORED_F32, &output->shape, probe->weights + output->start));
    }
    return CG_OK;
}

static cg_status add_buffers(entries *e, const test_probe *probe, const char *prefix, cg_stored_dtype real) {
    size_t count = cg_module_buffer_count(probe->module);
    for (size_t i = 0; i < count; i++) {
        const char *name;
        cg_shape shape;
        double *values;
        CG_TRY(probe_read_buffer(probe, i, &name, &shape, &values));
        bool integers = cg_tensor_dtype(cg_module_buffer(probe->module, i, &name)) == CG_I64;
        cg_status status = add(e, prefix, name, integers ? CG_STORED_I64 : real, &shape, values);
        cg_free(values);
        CG_TRY(status);
    }
    return CG_OK;
}

/* A fresh probe has run one forward pass, which moves running means: the buffers before are what it leaves. */
static cg_status collect(entries *e, test_probe *probe) {
    CG_TRY(add_leaves(e, probe));
    CG_TRY(add_buffers(e, probe, "buffer.", CG_STORED_F32));
    CG_TRY(probe_backward(probe));
    CG_TRY(add_outputs(e, probe));
    CG_TRY(add_gradients(e, probe));
    return add_buffers(e, probe, "after.buffer.", CG_STORED_F64);
}

static cg_status write_entries(const entries *e, const test_probe *probe, const char *path) {
    char text[2048];
    if (cg_module_print(probe->module, text, sizeof text) >= sizeof text) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: the module's text is too long", probe->test->name);
    }
    const cg_stored_text texts[] = {{"format", "clgrad-case-1"},
                                    {"kind", "module"},
                                    {"module", text},
                                    {"mode", probe->test->eval ? "eval" : "train"}};
    return cg_safetensors_write(path, e->items, e->count, texts, sizeof texts / sizeof texts[0]);
}

cg_status cg_doctor_write_case(const gradcheck_case *test, cg_device *oracle, const char *path) {
    entries *e = cg_alloc_zero(1, sizeof *e);
    if (e == NULL) {
        return CG_ERR_MEMORY;
    }
    test_probe probe = {.test = test};
    cg_status status = probe_open(&probe, test, oracle);
    if (status == CG_OK) {
        status = collect(e, &probe);
    }
    if (status == CG_OK) {
        status = write_entries(e, &probe, path);
    }
    probe_close(&probe);
    entries_free(e);
    return status;
}
