/*
 * What comes out of each layer in training: mean, standard deviation, share of zeros. The way to see a bad start: a
 * deviation that shrinks or grows from layer to layer, a ReLU of which nearly all is 0.
 */
#ifndef CLGRAD_ACTIVATIONS_H
#define CLGRAD_ACTIVATIONS_H

#include <clgrad/train.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cg_activations cg_activations;

/* Of one layer: path and class ("3", "Linear") belong to the model. Over an epoch's sampled batches: the first and
 * every 16th after it. NAN where nothing was sampled yet, or the output is no real number. */
typedef struct cg_layer_activations {
    const char *path, *class_name;
    double mean, std, zeros;
} cg_layer_activations;

/* Over the modules without children, in the order of the tree. The model must outlive it. */
CG_API cg_status cg_activations_create(cg_module *model, cg_activations **activations) CG_MUST_USE;
CG_API void cg_activations_destroy(cg_activations *activations);

/* Listens to a training of that model, which must not outlive it. Computed on the device and read once an epoch: the
 * values are there for callbacks attached later from after_epoch on, until the next. Other observers of the model
 * (cg_module_observe) are put aside. */
CG_API cg_status cg_activations_attach(cg_activations *activations, cg_trainer *trainer) CG_MUST_USE;

CG_API size_t cg_activations_count(const cg_activations *activations);
CG_API cg_layer_activations cg_activations_get(const cg_activations *activations, size_t index);

#ifdef __cplusplus
}
#endif
#endif
