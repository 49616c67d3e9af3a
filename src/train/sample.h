/*
 * The running accuracy of a training: predictions and classes of one batch in so many are kept on the device until the
 * losses are read, and compared then. A look at every batch would cost more than the number is worth.
 */
#ifndef CLGRAD_SAMPLE_H
#define CLGRAD_SAMPLE_H

#include <clgrad/ops.h>

typedef struct cg_sample {
    cg_tensor *predicted, *expected; /* [n] i64; NULL: nothing is sampled */
    int64_t *classes;                /* [2 n] on the host */
    int64_t n;
    bool waiting;          /* a batch is on the device */
    int64_t right, judged; /* rows of this epoch */
} cg_sample;

/* For batches of n rows. Cleared by cg_sample_clear, also when this fails. */
cg_status cg_sample_create(cg_device *device, int64_t n, cg_sample *sample) CG_MUST_USE;
void cg_sample_clear(cg_sample *sample);

/* Records the copies. Batches of another size, and outputs that are no classes, are passed over. */
cg_status cg_sample_record(cg_sample *sample, cg_tape *tape, cg_tensor *output, cg_tensor *target);

/* Reads and judges the batch that waits, if one does. */
cg_status cg_sample_read(cg_sample *sample) CG_MUST_USE;

/* Share of right answers, NAN before the first batch was judged. */
double cg_sample_accuracy(const cg_sample *sample);

#endif
