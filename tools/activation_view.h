/* What clgrad train --stats shows: activations of each layer, in JSON and as a table. */
#ifndef CLGRAD_TOOLS_ACTIVATION_VIEW_H
#define CLGRAD_TOOLS_ACTIVATION_VIEW_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include <clgrad/activations.h>

/* Zero-initialised: nothing is shown. */
typedef struct activation_view {
    cg_activations *activations;
    cg_layer_activations *first; /* of the first epoch; NULL before its end */
} activation_view;

cg_status activation_view_open(activation_view *view, cg_module *model, cg_trainer *trainer) CG_MUST_USE;
void activation_view_close(activation_view *view);

/* After each epoch. */
cg_status activation_view_keep(activation_view *view) CG_MUST_USE;

/* [{"layer": "1", "class": "Linear", "mean": ..., "std": ..., "zeros": ...}, ...] */
cJSON *activation_view_json(const activation_view *view);

/* A row a layer: the first epoch and the last. */
void activation_view_print(const activation_view *view, FILE *stream);

#endif
