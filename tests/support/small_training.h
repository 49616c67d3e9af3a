/* The parts of a training on the built-in digits that is small enough for a simulator. */
#ifndef CLGRAD_TEST_SMALL_TRAINING_H
#define CLGRAD_TEST_SMALL_TRAINING_H

#include <clgrad/train.h>

#define SMALL_MODEL "Flatten(), Linear(64, 6), ReLU(), Linear(6, 10)"
#define SMALL_DROPPING "Flatten(), Linear(64, 6), Dropout(0.25), ReLU(), Linear(6, 10)" /* of the same parameters */
#define SMALL_PARAMETERS (64 * 6 + 6 + 6 * 10 + 10)
#define SMALL_ROWS 200
#define SMALL_BATCH 32
#define SMALL_BATCHES 7 /* six full ones and a smaller one */

typedef struct small_training {
    cg_device *device;
    cg_data *data;
    cg_module *model, *loss;
    cg_optimizer *optimizer;
    cg_trainer *trainer; /* NULL until small_training_make */
} small_training;

/* On the device under test; a fifth of the digits is for validation. */
small_training small_training_begin(const char *model, const char *optimizer);

/* Makes the trainer, of batches of SMALL_BATCH. */
void small_training_make(small_training *s, const cg_train_options *options);

/* Weights, in the order of the parameters. */
void small_training_read(const small_training *s, float weights[SMALL_PARAMETERS]);

/* The same weights bit for bit. */
void small_training_expect_equal(const small_training *a, const small_training *b);

void small_training_end(small_training *s);

#endif
