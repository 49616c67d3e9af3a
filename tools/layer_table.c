/* A forward pass that is recorded and not run shows each layer's output and cost. */
#include "layer_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <clgrad/tape.h>

#include "saved_model.h"

void add_shape(cJSON *object, const char *key, const cg_shape *shape) {
    cJSON *array = cJSON_AddArrayToObject(object, key);
    for (int i = 0; i < shape->rank; i++) {
        cJSON_AddItemToArray(array, cJSON_CreateNumber((double)shape->dim[i]));
    }
}

static int64_t parameters_of(const cg_module *module) {
    int64_t count = 0;
    for (size_t i = 0; i < cg_module_parameter_count(module); i++) {
        const char *name;
        count += cg_tensor_numel(cg_module_parameter(module, i, &name));
    }
    return count;
}

/* Containers have no row: theirs is the sum of the rows inside. */
static void add_layer(void *context, const cg_module *module, const char *path, const cg_tensor *output, double flops) {
    if (cg_module_child_count(module) > 0) {
        return;
    }
    cJSON *layers = context, *layer = cJSON_CreateObject();
    cJSON_AddStringToObject(layer, "path", path);
    cJSON_AddStringToObject(layer, "class", cg_module_class_name(module));
    add_shape(layer, "output", cg_tensor_shape(output));
    cJSON_AddNumberToObject(layer, "parameters", (double)parameters_of(module));
    cJSON_AddNumberToObject(layer, "flops", flops);
    cJSON_AddItemToArray(layers, layer);
}

static cg_status record_forward(cg_module *model, cg_tensor *input, cJSON *object) {
    cg_tape *tape = cg_tape_create(cg_tensor_device(input));
    if (!tape) {
        return CG_ERR_MEMORY;
    }
    cg_tape_set_mode(tape, CG_EVAL);
    cJSON *layers = cJSON_CreateArray();
    cg_module_observe(model, add_layer, layers);
    cg_tensor *output = cg_module_forward(model, tape, input);
    cg_module_observe(model, NULL, NULL);
    cg_status status = cg_tape_status(tape);
    if (status == CG_OK) {
        add_shape(object, "output", cg_tensor_shape(output));
    }
    cJSON_AddItemToObject(object, "layers", layers);
    cJSON_AddNumberToObject(object, "parameters", (double)parameters_of(model));
    cJSON_AddNumberToObject(object, "flops", cg_tape_flops(tape));
    cg_tape_reset(tape);
    cg_tape_destroy(tape);
    return status;
}

cg_status layer_table(cg_module *model, cg_device *device, const cg_shape *sample, cJSON *object) {
    cg_shape shape = {.dim = {1}, .rank = sample->rank + 1};
    memcpy(shape.dim + 1, sample->dim, (size_t)sample->rank * sizeof *sample->dim);
    CG_TRY(cg_module_resolve(model, &shape, NULL));
    char *text = module_text(model);
    if (!text) {
        return cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    cJSON_AddStringToObject(object, "model", text);
    free(text);
    add_shape(object, "input", sample);
    cg_tensor *input;
    CG_TRY(cg_tensor_create(device, cg_device_real(device), &shape, &input));
    cg_status status = record_forward(model, input, object);
    cg_tensor_destroy(input);
    return status;
}

static double number_at(const cJSON *object, const char *key) {
    return cJSON_GetNumberValue(cJSON_GetObjectItem(object, key));
}

static cg_shape shape_at(const cJSON *object, const char *key) {
    cg_shape shape = {0};
    const cJSON *dim;
    cJSON_ArrayForEach(dim, cJSON_GetObjectItem(object, key)) {
        shape.dim[shape.rank++] = (int64_t)cJSON_GetNumberValue(dim);
    }
    return shape;
}

static const char *text_at(const cJSON *object, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItem(object, key));
}

/* The longest text under a key, at least `width`. */
static int widest(const cJSON *layers, const char *key, int width) {
    const cJSON *layer;
    cJSON_ArrayForEach(layer, layers) {
        int length = (int)strlen(text_at(layer, key));
        width = length > width ? length : width;
    }
    return width;
}

void print_layers(const cJSON *object) {
    const cJSON *layer, *layers = cJSON_GetObjectItem(object, "layers");
    int paths = widest(layers, "path", 5), classes = widest(layers, "class", 5);
    cg_shape input = shape_at(object, "input"), output = shape_at(object, "output");
    printf("model   %s\n", text_at(object, "model"));
    printf("input   %s, one sample\n", cg_shape_print(&input, CG_SHAPE_TEXT));
    printf("output  %s\n\n", cg_shape_print(&output, CG_SHAPE_TEXT));
    printf("%-*s  %-*s  %-18s %12s %12s\n", paths, "layer", classes, "class", "output", "parameters", "MFLOP");
    cJSON_ArrayForEach(layer, layers) {
        cg_shape shape = shape_at(layer, "output");
        printf("%-*s  %-*s  %-18s %12.0f %12.4f\n", paths, text_at(layer, "path"), classes, text_at(layer, "class"),
               cg_shape_print(&shape, CG_SHAPE_TEXT), number_at(layer, "parameters"), number_at(layer, "flops") / 1e6);
    }
    printf("%-*s  %-*s  %-18s %12.0f %12.4f\n", paths, "total", classes, "", "", number_at(object, "parameters"),
           number_at(object, "flops") / 1e6);
}
