/* Activations of each layer, in JSON and as a table. */
#include "activation_view.h"

#include <math.h>
#include <stdlib.h>

#include "report.h"

cg_status activation_view_open(activation_view *view, cg_module *model, cg_trainer *trainer) {
    CG_TRY(cg_activations_create(model, &view->activations));
    return cg_activations_attach(view->activations, trainer);
}

void activation_view_close(activation_view *view) {
    cg_activations_destroy(view->activations);
    free(view->first);
}

cg_status activation_view_keep(activation_view *view) {
    if (!view->activations || view->first) {
        return CG_OK;
    }
    size_t count = cg_activations_count(view->activations);
    view->first = calloc(count, sizeof *view->first);
    if (!view->first) {
        return cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        view->first[i] = cg_activations_get(view->activations, i);
    }
    return CG_OK;
}

cJSON *activation_view_json(const activation_view *view) {
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < cg_activations_count(view->activations); i++) {
        const cg_layer_activations layer = cg_activations_get(view->activations, i);
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "layer", layer.path);
        cJSON_AddStringToObject(row, "class", layer.class_name);
        report_number(row, "mean", layer.mean);
        report_number(row, "std", layer.std);
        report_number(row, "zeros", layer.zeros);
        cJSON_AddItemToArray(array, row);
    }
    return array;
}

static void print_values(FILE *stream, const cg_layer_activations *layer) {
    if (isnan(layer->mean)) {
        fprintf(stream, "  %10s %10s %8s", "-", "-", "-");
    } else {
        fprintf(stream, "  %10.3g %10.3g %6.1f %%", layer->mean, layer->std, 100 * layer->zeros);
    }
}

void activation_view_print(const activation_view *view, FILE *stream) {
    fprintf(stream, "\n%-26s  %10s %10s %8s  %10s %10s %8s\n", "outputs of the layers", "first mean", "deviation",
            "zeros", "last mean", "deviation", "zeros");
    for (size_t i = 0; i < cg_activations_count(view->activations); i++) {
        const cg_layer_activations layer = cg_activations_get(view->activations, i);
        char name[64];
        snprintf(name, sizeof name, "%s %s", layer.path, layer.class_name);
        fprintf(stream, "%-26s", name);
        print_values(stream, &view->first[i]);
        print_values(stream, &layer);
        fputc('\n', stream);
    }
    fputc('\n', stream);
}
