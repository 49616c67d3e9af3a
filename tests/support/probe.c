/* A gradcheck case on one device: see probe.h. */
#include "probe.h"

#include "tensors.h"

#include <clgrad/random.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHTS_STREAM 100

/* Normal floats, moved away from the case's kinks. */
static void draw(const gradcheck_case *test, double offset, double scale, uint64_t stream, double *values,
                 int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        double value = offset + scale * (double)cg_random_normal(test->seed, stream, (uint64_t)i);
        for (uint32_t kink = 0; kink < test->n_kinks; kink++) {
            if (fabs(value - test->kinks[kink]) < 0.1) {
                value += value >= test->kinks[kink] ? 0.1 : -0.1;
            }
        }
        values[i] = (double)(float)value;
    }
}

static cg_status write_classes(const gradcheck_case *test, probe_leaf *leaf, int64_t classes, uint64_t stream) {
    int64_t *indices = calloc((size_t)leaf->count + 1, sizeof *indices);
    if (indices == NULL) {
        abort();
    }
    for (int64_t i = 0; i < leaf->count; i++) {
        indices[i] = (int64_t)((float)classes * cg_random_uniform(test->seed, stream, (uint64_t)i));
    }
    cg_status status = cg_tensor_write(leaf->tensor, indices, cg_tensor_bytes(leaf->tensor));
    free(indices);
    return status;
}

/* Long rows: the gaps are NaN, so that an op that reads them cannot go unseen. */
static cg_status write_rows(probe_leaf *leaf, const double *values) {
    int64_t width = leaf->shape.dim[leaf->shape.rank - 1];
    int64_t rows = leaf->count / width;
    double *stored = test_doubles(rows * leaf->row_length);
    for (int64_t i = 0; i < rows * leaf->row_length; i++) {
        int64_t column = i % leaf->row_length;
        stored[i] = column < width ? values[i / leaf->row_length * width + column] : NAN;
    }
    cg_status status = cg_tensor_write_f64(leaf->storage, stored, rows * leaf->row_length);
    free(stored);
    return status;
}

cg_status probe_write(probe_leaf *leaf, const double *values) {
    return leaf->storage != NULL ? write_rows(leaf, values) : cg_tensor_write_f64(leaf->tensor, values, leaf->count);
}

static cg_status create_input(test_probe *probe, const gradcheck_input *input, probe_leaf *leaf) {
    leaf->shape = input->shape;
    leaf->count = cg_shape_numel(&input->shape);
    cg_dtype dtype = input->classes > 0 ? CG_I64 : cg_device_real(probe->device);
    if (input->row_length > 0) {
        leaf->row_length = input->row_length;
        cg_shape stored = CG_SHAPE(leaf->count / input->shape.dim[input->shape.rank - 1] * input->row_length);
        CG_TRY(cg_tensor_create(probe->device, dtype, &stored, &leaf->storage));
        return cg_tensor_view(leaf->storage, 0, &leaf->shape, &leaf->tensor);
    }
    return cg_tensor_create(probe->device, dtype, &leaf->shape, &leaf->tensor);
}

static cg_status open_input(test_probe *probe, size_t index) {
    const gradcheck_input *input = &probe->test->inputs[index];
    probe_leaf *leaf = &probe->leaves[index];
    probe->n_leaves = index + 1;
    snprintf(leaf->name, sizeof leaf->name, "input %zu", index);
    CG_TRY(create_input(probe, input, leaf));
    leaf->values = test_doubles(leaf->count);
    leaf->gradient = test_doubles(leaf->count);
    if (input->classes > 0) {
        return write_classes(probe->test, leaf, input->classes, index);
    }
    leaf->wanted = !input->constant;
    cg_tensor_set_requires_grad(leaf->tensor, leaf->wanted);
    draw(probe->test, input->offset, input->scale != 0 ? input->scale : 1.0, index, leaf->values, leaf->count);
    return probe_write(leaf, leaf->values);
}

/* Parameters get values of their own: of about the size that keeps activations near 1, biases included. */
static cg_status open_parameter(test_probe *probe, size_t index) {
    if (probe->n_leaves == PROBE_MAX_LEAVES) {
        return cg_fail(CG_ERR_ARGUMENT, "%s has more than %d leaves", probe->test->module, PROBE_MAX_LEAVES);
    }
    const char *name = NULL;
    probe_leaf *leaf = &probe->leaves[probe->n_leaves++];
    leaf->tensor = cg_module_parameter(probe->module, index, &name);
    snprintf(leaf->name, sizeof leaf->name, "%s", name);
    leaf->shape = *cg_tensor_shape(leaf->tensor);
    leaf->count = cg_shape_numel(&leaf->shape);
    leaf->wanted = true;
    leaf->values = test_doubles(leaf->count);
    leaf->gradient = test_doubles(leaf->count);
    int rank = leaf->shape.rank;
    double scale = rank > 1 ? 1.0 / sqrt((double)leaf->shape.dim[rank - 1]) : 0.5;
    draw(probe->test, 0.0, scale, probe->n_leaves, leaf->values, leaf->count);
    return probe_write(leaf, leaf->values);
}

static cg_status open_module(test_probe *probe) {
    const char *text = probe->test->module;
    CG_TRY(cg_module_parse(probe->device, text, &probe->module));
    if (strstr(text, "Lazy") != NULL) {
        CG_TRY(cg_module_resolve(probe->module, &probe->leaves[0].shape, NULL));
    }
    size_t count = cg_module_parameter_count(probe->module);
    for (size_t i = 0; i < count; i++) {
        CG_TRY(open_parameter(probe, i));
    }
    return CG_OK;
}

static cg_tensor *apply(test_probe *probe) {
    cg_tensor *inputs[GRADCHECK_MAX_INPUTS] = {NULL};
    for (uint32_t i = 0; i < probe->test->n_inputs; i++) {
        inputs[i] = probe->leaves[i].tensor;
    }
    if (probe->module == NULL) {
        return probe->test->build(probe->tape, inputs, probe->test->context);
    }
    cg_tensor *output = NULL;
    size_t n_outputs = 1;
    cg_status status = cg_module_call(probe->module, probe->tape, inputs, probe->test->n_inputs, &output, &n_outputs);
    return status == CG_OK ? output : NULL;
}

/* The first evaluation tells the output's shape. */
static cg_status open_output(test_probe *probe, const cg_shape *shape) {
    probe->shape = *shape;
    probe->count = cg_shape_numel(shape);
    probe->output = test_doubles(probe->count);
    probe->weights = test_doubles(probe->count);
    for (int64_t i = 0; i < probe->count; i++) {
        probe->weights[i] = (double)cg_random_normal(probe->test->seed, WEIGHTS_STREAM, (uint64_t)i);
    }
    CG_TRY(cg_tensor_create(probe->device, cg_device_real(probe->device), shape, &probe->grad_output));
    return cg_tensor_write_f64(probe->grad_output, probe->weights, probe->count);
}

static cg_status evaluate(test_probe *probe, bool backward) {
    cg_tensor *output = apply(probe);
    CG_TRY(cg_tape_status(probe->tape));
    if (output == NULL) {
        return cg_fail_context(CG_ERR_STATE, "no output: ");
    }
    if (probe->output == NULL) {
        CG_TRY(open_output(probe, cg_tensor_shape(output)));
        probe->work = cg_tape_flops(probe->tape) / 2 + (double)probe->count;
    }
    if (backward) {
        CG_TRY(cg_backward_from(probe->tape, output, probe->grad_output));
    }
    CG_TRY(cg_tensor_read_f64(output, probe->output, probe->count));
    return cg_tape_run(probe->tape);
}

static cg_status read_gradient(probe_leaf *leaf) {
    cg_tensor *gradient = cg_tensor_grad(leaf->tensor);
    if (!leaf->wanted) {
        return gradient == NULL ? CG_OK : cg_fail(CG_ERR_STATE, "%s wants no gradient but has one", leaf->name);
    }
    if (gradient == NULL) {
        return cg_fail(CG_ERR_STATE, "%s has no gradient", leaf->name);
    }
    if (!cg_shape_equal(cg_tensor_shape(gradient), &leaf->shape)) {
        return cg_fail(CG_ERR_SHAPE, "%s is %s, its gradient %s", leaf->name,
                       cg_shape_print(&leaf->shape, CG_SHAPE_TEXT),
                       cg_shape_print(cg_tensor_shape(gradient), CG_SHAPE_TEXT));
    }
    return cg_tensor_read_f64(gradient, leaf->gradient, leaf->count);
}

cg_status probe_forward(test_probe *probe) {
    return evaluate(probe, false);
}

cg_status probe_backward(test_probe *probe) {
    CG_TRY(evaluate(probe, true));
    for (size_t i = 0; i < probe->n_leaves; i++) {
        CG_TRY(read_gradient(&probe->leaves[i]));
    }
    return CG_OK;
}

void probe_zero_grad(test_probe *probe) {
    for (size_t i = 0; i < probe->n_leaves; i++) {
        cg_tensor_zero_grad(probe->leaves[i].tensor);
    }
}

cg_status probe_open(test_probe *probe, const gradcheck_case *test, cg_device *device) {
    *probe = (test_probe){.test = test, .device = device};
    probe->tape = cg_tape_create(device);
    if (probe->tape == NULL) {
        return CG_ERR_MEMORY;
    }
    for (size_t i = 0; i < test->n_inputs; i++) {
        CG_TRY(open_input(probe, i));
    }
    if (test->module != NULL) {
        CG_TRY(open_module(probe));
    }
    return probe_forward(probe);
}

void probe_close(test_probe *probe) {
    cg_tape_destroy(probe->tape);
    for (size_t i = 0; i < probe->n_leaves; i++) {
        probe_leaf *leaf = &probe->leaves[i];
        if (i < probe->test->n_inputs) {
            cg_tensor_destroy(leaf->tensor);
            cg_tensor_destroy(leaf->storage);
        }
        free(leaf->values);
        free(leaf->gradient);
    }
    cg_tensor_destroy(probe->grad_output);
    cg_module_destroy(probe->module);
    free(probe->output);
    free(probe->weights);
}
