/* The running accuracy of a training, from one batch in so many. */
#include "sample.h"

#include <math.h>

#include "alloc.h"

cg_status cg_sample_create(cg_device *device, int64_t n, cg_sample *sample) {
    *sample = (cg_sample){.n = n};
    const cg_shape shape = CG_SHAPE(n);
    CG_TRY(cg_tensor_create(device, CG_I64, &shape, &sample->predicted));
    CG_TRY(cg_tensor_create(device, CG_I64, &shape, &sample->expected));
    sample->classes = cg_alloc(2 * (size_t)n * sizeof *sample->classes);
    return sample->classes != NULL ? CG_OK : CG_ERR_MEMORY;
}

void cg_sample_clear(cg_sample *sample) {
    cg_tensor_destroy(sample->predicted);
    cg_tensor_destroy(sample->expected);
    cg_free(sample->classes);
    *sample = (cg_sample){0};
}

cg_status cg_sample_record(cg_sample *sample, cg_tape *tape, cg_tensor *output, cg_tensor *target) {
    const cg_shape rows = CG_SHAPE(sample->n);
    if (sample->classes == NULL || cg_tensor_shape(output)->rank != 2 ||
        !cg_shape_equal(cg_tensor_shape(target), &rows)) {
        return CG_OK;
    }
    CG_TRY(cg_copy(tape, sample->predicted, cg_argmax(tape, output, 1)));
    CG_TRY(cg_copy(tape, sample->expected, target));
    sample->waiting = true;
    return CG_OK;
}

cg_status cg_sample_read(cg_sample *sample) {
    if (!sample->waiting) {
        return CG_OK;
    }
    sample->waiting = false;
    size_t bytes = (size_t)sample->n * sizeof *sample->classes;
    CG_TRY(cg_tensor_read(sample->predicted, sample->classes, bytes));
    CG_TRY(cg_tensor_read(sample->expected, sample->classes + sample->n, bytes));
    for (int64_t i = 0; i < sample->n; i++) {
        sample->right += sample->classes[i] == sample->classes[sample->n + i];
    }
    sample->judged += sample->n;
    return CG_OK;
}

double cg_sample_accuracy(const cg_sample *sample) {
    return sample->judged > 0 ? (double)sample->right / (double)sample->judged : (double)NAN;
}
