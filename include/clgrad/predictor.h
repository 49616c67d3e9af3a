/*
 * Prediction for programs: a checkpoint, its device and its model behind one handle.
 *
 *     cg_predictor *predictor;
 *     CG_TRY(cg_predictor_open("mnist.safetensors", "auto", &predictor));
 *     CG_TRY(cg_predictor_run(predictor, images, n, probabilities));
 *     cg_predictor_close(predictor);
 *
 * It holds what inference needs: parameters without gradients, no optimizer, batch norms folded into the layers before
 * them. Of a forward pass each tensor is given back after its last use.
 */
#ifndef CLGRAD_PREDICTOR_H
#define CLGRAD_PREDICTOR_H

#include <clgrad/checkpoint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cg_predictor cg_predictor;

/* Opens a checkpoint that clgrad saved, on a device (NULL: "auto"). Errors: CG_ERR_FILE, CG_ERR_FORMAT (damaged, or a
 * file of weights alone, which does not say of which model), CG_ERR_SHAPE (a model that does not give one row of
 * numbers for each sample, or not one for each class), those of cg_device_open. */
CG_API cg_status cg_predictor_open(const char *file, const char *device, cg_predictor **predictor) CG_MUST_USE;

/* NULL does nothing. No other thread may be using it. */
CG_API void cg_predictor_close(cg_predictor *predictor);

/* What the checkpoint says: `sample` is the shape of one input, `classes` how many there are, 0 for a model of numbers,
 * class_names (never NULL where there are classes) what they are called. The predictor's. */
CG_API const cg_checkpoint_info *cg_predictor_describe(const cg_predictor *predictor);

/* Numbers that each sample gets: one for each class, or as many as a model of numbers has. */
CG_API int64_t cg_predictor_outputs(const cg_predictor *predictor);

/*
 * n samples x [n, sample...], floats as the data has them: bytes of images divided by 255; they are normalised as in
 * training. outputs [n, outputs]: probabilities of the classes, or what a model of numbers gives. They are the caller's
 * and are not kept.
 *
 * Any number of threads may call this with one predictor. They share its model, device and memory, and take turns at a
 * few hundred samples: each turn has the whole device. A thread gets the same bits as if it were alone.
 *
 * Errors: CG_ERR_ARGUMENT (n below 0, or NULL where n is above), and the device's. The predictor can be used after one.
 */
CG_API cg_status cg_predictor_run(cg_predictor *predictor, const float *x, int64_t n, float *outputs) CG_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
