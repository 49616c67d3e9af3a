/* A forward pass that is recorded and not run shows each layer's output and cost. */
#include "layer_table.h"

#include <stdio.h>
#include <string.h>

#include <clgrad/tape.h>

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
    cg_module_observe(model, add_layer, cJSON_AddArrayToObject(object, "layers"));
    cg_module_forward(model, tape, input);
    cg_module_observe(model, NULL, NULL);
    cg_status status = cg_tape_status(tape);
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
    cg_tensor *input;
    CG_TRY(cg_tensor_create(device, cg_device_real(device), &shape, &input));
    cg_status status = record_forward(model, input, object);
    cg_tensor_destroy(input);
    return status;
}

static double number_at(const cJSON *object, const char *key) {
    return cJSON_GetNumberValue(cJSON_GetObjectItem(object, key));
}

static void print_row(const char *path, const char *class_name, const char *shape, double parameters, double flops) {
    printf("%-12s %-18s %-20s %12.0f %12.4f\n", path, class_name, shape, parameters, flops / 1e6);
}

void print_layers(const cJSON *object) {
    printf("%-12s %-18s %-20s %12s %12s\n", "layer", "class", "output", "parameters", "MFLOP");
    const cJSON *layer;
    cJSON_ArrayForEach(layer, cJSON_GetObjectItem(object, "layers")) {
        cg_shape shape = {0};
        const cJSON *dim;
        cJSON_ArrayForEach(dim, cJSON_GetObjectItem(layer, "output")) {
            shape.dim[shape.rank++] = (int64_t)cJSON_GetNumberValue(dim);
        }
        print_row(cJSON_GetStringValue(cJSON_GetObjectItem(layer, "path")),
                  cJSON_GetStringValue(cJSON_GetObjectItem(layer, "class")), cg_shape_print(&shape, CG_SHAPE_TEXT),
                  number_at(layer, "parameters"), number_at(layer, "flops"));
    }
    print_row("total", "", "", number_at(object, "parameters"), number_at(object, "flops"));
}
