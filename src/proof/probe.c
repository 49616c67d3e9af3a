/* A gradcheck case on one device: see probe.h. */
#include "probe.h"

#include <clgrad/random.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "record.h"

#define WEIGHTS_STREAM 100
#define BUFFERS_STREAM 150

cg_status probe_doubles(int64_t count, double **values) {
    *values = cg_alloc_zero(count > 0 ? (size_t)count : 1, sizeof **values);
    return *values != NULL ? CG_OK : CG_ERR_MEMORY;
}

/* Moved away from the case's kinks. */
static double avoid_kinks(const gradcheck_case *test, double value) {
    for (uint32_t kink = 0; kink < test->n_kinks; kink++) {
        if (fabs(value - test->kinks[kink]) < 0.1) {
            value += value >= test->kinks[kink] ? 0.1 : -0.1;
        }
    }
    return value;
}

/* Each row becomes shares of its sum. */
static void normalize_rows(double *values, int64_t count, int64_t width) {
    for (int64_t first = 0; first < count; first += width) {
        double sum = 0;
        for (int64_t i = first; i < first + width; i++) {
            sum += values[i];
        }
        for (int64_t i = first; i < first + width; i++) {
            values[i] = (double)(float)(values[i] / sum);
        }
    }
}

/* The input's kind of values, as floats. */
static void draw(const gradcheck_case *test, const gradcheck_input *input, uint64_t stream, double *values,
                 int64_t count) {
    double scale = input->scale != 0 ? input->scale : 1.0;
    for (int64_t i = 0; i < count; i++) {
        double uniform = (double)cg_random_uniform(test->seed, stream, (uint64_t)i);
        double value = 0;
        switch (input->values) {
        case GRADCHECK_NORMAL:
            value = input->offset + scale * (double)cg_random_normal(test->seed, stream, (uint64_t)i);
            break;
        case GRADCHECK_UNIFORM:
            value = input->low + (input->high - input->low) * uniform;
            break;
        case GRADCHECK_SIGNS:
            value = uniform < 0.5 ? -1.0 : 1.0;
            break;
        case GRADCHECK_ROWS:
            value = 0.1 + uniform;
            break;
        }
        values[i] = (double)(float)avoid_kinks(test, value);
    }
    if (input->values == GRADCHECK_ROWS) {
        normalize_rows(values, count, input->shape.dim[input->shape.rank - 1]);
    }
}

static cg_status write_classes(const gradcheck_case *test, probe_leaf *leaf, int64_t classes, uint64_t stream) {
    int64_t *indices = cg_alloc_zero((size_t)leaf->count + 1, sizeof *indices);
    if (indices == NULL) {
        return CG_ERR_MEMORY;
    }
    for (int64_t i = 0; i < leaf->count; i++) {
        indices[i] = (int64_t)((float)classes * cg_random_uniform(test->seed, stream, (uint64_t)i));
    }
    cg_status status = cg_tensor_write(leaf->tensor, indices, cg_tensor_bytes(leaf->tensor));
    cg_free(indices);
    return status;
}

/* Long rows: the gaps are NaN, so that an op that reads them cannot go unseen. */
static cg_status write_rows(probe_leaf *leaf, const double *values) {
    int64_t width = leaf->shape.dim[leaf->shape.rank - 1];
    int64_t rows = leaf->count / width;
    double *stored;
    CG_TRY(probe_doubles(rows * leaf->row_length, &stored));
    for (int64_t i = 0; i < rows * leaf->row_length; i++) {
        int64_t column = i % leaf->row_length;
        stored[i] = column < width ? values[i / leaf->row_length * width + column] : NAN;
    }
    cg_status status = cg_tensor_write_f64(leaf->storage, stored, rows * leaf->row_length);
    cg_free(stored);
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
    CG_TRY(probe_doubles(leaf->count, &leaf->values));
    CG_TRY(probe_doubles(leaf->count, &leaf->gradient));
    if (input->classes > 0) {
        return write_classes(probe->test, leaf, input->classes, index);
    }
    leaf->wanted = !input->constant;
    cg_tensor_set_requires_grad(leaf->tensor, leaf->wanted);
    draw(probe->test, input, index, leaf->values, leaf->count);
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
    CG_TRY(probe_doubles(leaf->count, &leaf->values));
    CG_TRY(probe_doubles(leaf->count, &leaf->gradient));
    double fan_in = leaf->shape.rank > 1 ? (double)leaf->count / (double)leaf->shape.dim[0] : 4.0;
    draw(probe->test, &(gradcheck_input){.shape = leaf->shape, .scale = 1.0 / sqrt(fan_in)}, probe->n_leaves,
         leaf->values, leaf->count);
    return probe_write(leaf, leaf->values);
}

/* Real buffers (running means, variances, weights of classes) get values in 0.5 .. 1.5. */
static cg_status open_buffer(test_probe *probe, size_t index) {
    const char *name = NULL;
    cg_tensor *tensor = cg_module_buffer(probe->module, index, &name);
    if (cg_tensor_dtype(tensor) != cg_device_real(probe->device)) {
        return CG_OK;
    }
    double *values;
    int64_t count = cg_tensor_numel(tensor);
    CG_TRY(probe_doubles(count, &values));
    draw(probe->test, &(gradcheck_input){.values = GRADCHECK_UNIFORM, .low = 0.5, .high = 1.5}, BUFFERS_STREAM + index,
         values, count);
    cg_status status = cg_tensor_write_f64(tensor, values, count);
    cg_free(values);
    return status;
}

cg_status probe_read_buffer(const test_probe *probe, size_t index, const char **name, cg_shape *shape,
                            double **values) {
    cg_tensor *tensor = cg_module_buffer(probe->module, index, name);
    *shape = *cg_tensor_shape(tensor);
    CG_TRY(probe_doubles(cg_shape_numel(shape), values));
    cg_status status = cg_tensor_read_f64(tensor, *values, cg_shape_numel(shape));
    if (status != CG_OK) {
        cg_free(*values);
    }
    return status;
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
    count = cg_module_buffer_count(probe->module);
    for (size_t i = 0; i < count; i++) {
        CG_TRY(open_buffer(probe, i));
    }
    return CG_OK;
}

static cg_status apply(test_probe *probe, cg_tensor **outputs, size_t *n_outputs) {
    cg_tensor *inputs[GRADCHECK_MAX_INPUTS] = {NULL};
    for (uint32_t i = 0; i < probe->test->n_inputs; i++) {
        inputs[i] = probe->leaves[i].tensor;
    }
    inputs[0] = probe->shares_input ? inputs[1] : inputs[0];
    if (probe->module != NULL) {
        *n_outputs = PROBE_MAX_OUTPUTS;
        return cg_module_call(probe->module, probe->tape, inputs, probe->test->n_inputs, outputs, n_outputs);
    }
    *n_outputs = 1;
    outputs[0] = probe->test->build(probe->tape, inputs, probe->test->context);
    return outputs[0] != NULL ? cg_tape_status(probe->tape) : cg_fail_context(CG_ERR_STATE, "no output: ");
}

static cg_status open_outputs(test_probe *probe, cg_tensor *const *outputs, size_t n_outputs) {
    for (size_t i = 0; i < n_outputs; i++) {
        probe_output *output = &probe->outputs[i];
        output->shape = *cg_tensor_shape(outputs[i]);
        output->start = probe->count;
        output->count = cg_shape_numel(&output->shape);
        probe->count += output->count;
    }
    probe->n_outputs = n_outputs;
    CG_TRY(probe_doubles(probe->count, &probe->output));
    CG_TRY(probe_doubles(probe->count, &probe->weights));
    for (size_t i = 0; i < n_outputs; i++) {
        probe_output *output = &probe->outputs[i];
        if (!cg_tensor_requires_grad(outputs[i])) {
            continue;
        }
        double *weights = probe->weights + output->start;
        for (int64_t k = 0; k < output->count; k++) {
            weights[k] = (double)cg_random_normal(probe->test->seed, WEIGHTS_STREAM + i, (uint64_t)k);
        }
        CG_TRY(cg_tensor_create(probe->device, cg_device_real(probe->device), &output->shape, &output->grad));
        CG_TRY(cg_tensor_write_f64(output->grad, weights, output->count));
    }
    return CG_OK;
}

static cg_status backward_and_read(test_probe *probe, cg_tensor *const *outputs, bool backward) {
    for (size_t i = 0; i < probe->n_outputs && backward; i++) {
        if (probe->outputs[i].grad != NULL && cg_tensor_requires_grad(outputs[i])) {
            CG_TRY(cg_backward_from(probe->tape, outputs[i], probe->outputs[i].grad));
        }
    }
    for (size_t i = 0; i < probe->n_outputs; i++) {
        const probe_output *output = &probe->outputs[i];
        CG_TRY(cg_tensor_read_f64(outputs[i], probe->output + output->start, output->count));
    }
    return cg_tape_run(probe->tape);
}

static cg_status evaluate(test_probe *probe, bool backward) {
    cg_tensor *outputs[PROBE_MAX_OUTPUTS] = {NULL};
    size_t n_outputs = 0;
    cg_tape_set_seed(probe->tape, probe->test->seed, 0); /* dropout draws the same mask each time */
    CG_TRY(apply(probe, outputs, &n_outputs));
    if (probe->output == NULL) { /* the first evaluation tells the shapes */
        CG_TRY(open_outputs(probe, outputs, n_outputs));
        probe->work = cg_tape_flops(probe->tape) / 2 + (double)probe->count;
    }
    return backward_and_read(probe, outputs, backward);
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
    cg_tape_set_mode(probe->tape, test->eval ? CG_EVAL : CG_TRAIN);
    cg_tape_set_grad(probe->tape, true);
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
        cg_free(leaf->values);
        cg_free(leaf->gradient);
    }
    for (size_t i = 0; i < probe->n_outputs; i++) {
        cg_tensor_destroy(probe->outputs[i].grad);
    }
    cg_module_destroy(probe->module);
    cg_free(probe->output);
    cg_free(probe->weights);
}
