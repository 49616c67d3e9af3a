/* Class probabilities, or the numbers, of samples that the caller holds, a few hundred at a time. */
#include "predict.h"

#include <math.h>

#include <clgrad/train.h>

#include "evaluator.h"

/* Logarithms come from the device, so that no probability is lost in a sum. */
static cg_status read_probabilities(cg_tape *tape, cg_tensor *output, float *probabilities) {
    cg_tensor *logs = cg_log_softmax(tape, output, -1);
    CG_TRY(cg_tape_status(tape));
    int64_t count = cg_tensor_numel(logs);
    CG_TRY(cg_tensor_read_f32(logs, probabilities, count));
    for (int64_t i = 0; i < count; i++) {
        probabilities[i] = expf(probabilities[i]);
    }
    return CG_OK;
}

static cg_status run(cg_module *model, cg_tape *tape, cg_tensor *input, const float *x, const cg_prediction *wanted,
                     float *outputs) {
    CG_TRY(cg_tensor_write_f32(input, x, cg_tensor_numel(input)));
    cg_tensor *output = cg_module_forward(model, tape, input);
    CG_TRY(cg_tape_status(tape));
    const cg_shape expected = CG_SHAPE(cg_tensor_shape(input)->dim[0], wanted->width);
    if (!cg_shape_equal(cg_tensor_shape(output), &expected)) {
        return cg_fail(CG_ERR_SHAPE, "the model's output is %s, not %s: one number for each class or target",
                       cg_shape_print(cg_tensor_shape(output), CG_SHAPE_TEXT),
                       cg_shape_print(&expected, CG_SHAPE_TEXT));
    }
    CG_TRY(wanted->probabilities ? read_probabilities(tape, output, outputs)
                                 : cg_tensor_read_f32(output, outputs, cg_tensor_numel(output)));
    return cg_tape_run(tape);
}

cg_status cg_predict_rows(cg_module *model, cg_tape *tape, const float *x, const cg_shape *shape,
                          const cg_prediction *wanted, float *outputs) {
    cg_tensor *input;
    cg_device *device = cg_tape_device(tape);
    CG_TRY(cg_tensor_create(device, cg_device_real(device), shape, &input));
    cg_status status = run(model, tape, input, x, wanted, outputs);
    if (status != CG_OK) {
        cg_tape_reset(tape);
    }
    cg_tensor_destroy(input);
    return status;
}

static cg_status predict(cg_module *model, const float *x, int64_t n, const cg_shape *sample,
                         const cg_prediction *wanted, float *outputs) {
    cg_device *device;
    CG_TRY(cg_model_device(model, &device));
    cg_tape *tape = cg_tape_create(device);
    if (!tape) {
        return CG_ERR_MEMORY;
    }
    cg_tape_set_mode(tape, CG_EVAL);
    cg_status status = CG_OK;
    for (int64_t done = 0; done < n && status == CG_OK; done += CG_PREDICT_ROWS) {
        cg_shape shape = cg_batch_shape(sample, n - done < CG_PREDICT_ROWS ? n - done : CG_PREDICT_ROWS);
        status = cg_predict_rows(model, tape, x + done * cg_shape_numel(sample), &shape, wanted,
                                 outputs + done * wanted->width);
    }
    cg_tape_destroy(tape);
    return status;
}

cg_status cg_predict(cg_module *model, const float *x, int64_t n, const cg_shape *sample, float *probabilities,
                     int64_t classes) {
    return predict(model, x, n, sample, &(cg_prediction){classes, true}, probabilities);
}

cg_status cg_predict_numbers(cg_module *model, const float *x, int64_t n, const cg_shape *sample, float *numbers,
                             int64_t targets) {
    return predict(model, x, n, sample, &(cg_prediction){targets, false}, numbers);
}
