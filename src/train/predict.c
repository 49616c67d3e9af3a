/* Class probabilities of samples that the caller holds, a few hundred at a time. */
#include <math.h>
#include <string.h>

#include <clgrad/train.h>

#include "evaluator.h"

#define CHUNK 256

/* Writes n samples into `input`, [n, sample...], and the probabilities of their classes. */
static cg_status predict_chunk(cg_module *model, cg_tape *tape, cg_tensor *input, const float *x, float *probabilities,
                               int64_t classes) {
    CG_TRY(cg_tensor_write_f32(input, x, cg_tensor_numel(input)));
    cg_tensor *output = cg_module_forward(model, tape, input);
    CG_TRY(cg_tape_status(tape));
    const cg_shape expected = CG_SHAPE(cg_tensor_shape(input)->dim[0], classes);
    if (!cg_shape_equal(cg_tensor_shape(output), &expected)) {
        return cg_fail(CG_ERR_SHAPE, "the model's output is %s, not %s: one number for each class",
                       cg_shape_print(cg_tensor_shape(output), CG_SHAPE_TEXT),
                       cg_shape_print(&expected, CG_SHAPE_TEXT));
    }
    cg_tensor *logs = cg_log_softmax(tape, output, -1);
    CG_TRY(cg_tape_status(tape));
    int64_t count = cg_shape_numel(&expected);
    CG_TRY(cg_tensor_read_f32(logs, probabilities, count));
    for (int64_t i = 0; i < count; i++) {
        probabilities[i] = expf(probabilities[i]);
    }
    return cg_tape_run(tape);
}

static cg_status predict_on(cg_module *model, cg_tape *tape, const float *x, const cg_shape *shape,
                            float *probabilities, int64_t classes) {
    cg_tensor *input;
    cg_device *device = cg_tape_device(tape);
    CG_TRY(cg_tensor_create(device, cg_device_real(device), shape, &input));
    cg_status status = predict_chunk(model, tape, input, x, probabilities, classes);
    if (status != CG_OK) {
        cg_tape_reset(tape);
    }
    cg_tensor_destroy(input);
    return status;
}

cg_status cg_predict(cg_module *model, const float *x, int64_t n, const cg_shape *sample, float *probabilities,
                     int64_t classes) {
    cg_device *device;
    CG_TRY(cg_model_device(model, &device));
    cg_tape *tape = cg_tape_create(device);
    if (!tape) {
        return CG_ERR_MEMORY;
    }
    cg_tape_set_mode(tape, CG_EVAL);
    cg_status status = CG_OK;
    for (int64_t done = 0; done < n && status == CG_OK; done += CHUNK) {
        cg_shape shape = cg_batch_shape(sample, n - done < CHUNK ? n - done : CHUNK);
        status =
            predict_on(model, tape, x + done * cg_shape_numel(sample), &shape, probabilities + done * classes, classes);
    }
    cg_tape_destroy(tape);
    return status;
}
