/* Where a NaN came from: the failing step once more, each op's outputs looked at. */
#include "nan_search.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"

#define PLACE_SIZE 256
#define MAX_LAYERS 512

/* A layer's forward, of the ops before `end`. */
typedef struct layer {
    const cg_module *module;
    const char *path;
    size_t end;
} layer;

typedef struct search {
    cg_trainer *trainer;
    double *values; /* of one tensor; grows */
    size_t capacity;
    layer layers[MAX_LAYERS];
    size_t n_layers;
    size_t forward; /* ops until the loss is there; 0: not known yet */
    bool watching, found, infinite;
    char nan[PLACE_SIZE], infinity[PLACE_SIZE]; /* where the first of each came out */
} search;

typedef enum finding { NOTHING, INFINITE, NOT_A_NUMBER } finding;

static cg_status look(search *s, cg_tensor *tensor, finding *worst) {
    size_t count = (size_t)cg_tensor_numel(tensor);
    cg_dtype dtype = cg_tensor_dtype(tensor);
    *worst = NOTHING;
    if (dtype != CG_F32 && dtype != CG_F64) {
        return CG_OK;
    }
    if (count > s->capacity) {
        double *larger = cg_realloc(s->values, count * sizeof *larger);
        if (larger == NULL) {
            return CG_ERR_MEMORY;
        }
        s->values = larger;
        s->capacity = count;
    }
    CG_TRY(cg_tensor_read_f64(tensor, s->values, (int64_t)count));
    for (size_t i = 0; i < count && *worst != NOT_A_NUMBER; i++) {
        *worst = isnan(s->values[i]) ? NOT_A_NUMBER : isinf(s->values[i]) ? INFINITE : *worst;
    }
    return CG_OK;
}

static void on_forward(void *context, const cg_module *module, const char *path, const cg_tensor *output,
                       double flops) {
    (void)output;
    (void)flops;
    search *s = context;
    if (cg_module_child_count(module) == 0 && s->n_layers < MAX_LAYERS) {
        s->layers[s->n_layers++] = (layer){.module = module, .path = path, .end = cg_tape_length(s->trainer->tape)};
    }
}

/* "parameter 1.weight", "gradient of 1.weight", or nothing. */
static bool name_tensor(const search *s, const cg_tensor *tensor, char *text, size_t size) {
    const cg_trainer *t = s->trainer;
    for (size_t i = 0; tensor != NULL && i < t->n_parameters; i++) {
        bool weight = t->parameters[i] == tensor, grad = cg_tensor_grad(t->parameters[i]) == tensor;
        if (weight || grad) {
            const char *name;
            cg_module_parameter(t->model, i, &name);
            snprintf(text, size, "%s %s", weight ? "parameter" : "the gradient of", name);
            return true;
        }
    }
    return false;
}

static void name_layer(const search *s, size_t index, char *text, size_t size) {
    char printed[PLACE_SIZE / 2];
    for (size_t i = 0; i < s->n_layers; i++) {
        if (index < s->layers[i].end) {
            cg_module_print(s->layers[i].module, printed, sizeof printed);
            snprintf(text, size, "layer %s, %s", *s->layers[i].path ? s->layers[i].path : "0", printed);
            return;
        }
    }
    cg_module_print(s->trainer->loss, printed, sizeof printed);
    snprintf(text, size, "the loss, %s", printed);
}

/* Where an op stands: in a layer or the loss; behind them by the parameter that it is about. */
static void name_place(const search *s, const cg_ran_op *op, char *text, size_t size) {
    if (s->forward == 0 || op->index < s->forward) {
        name_layer(s, op->index, text, size);
        return;
    }
    for (size_t i = 0; i < op->n_outputs; i++) {
        if (name_tensor(s, op->outputs[i], text, size)) {
            return;
        }
    }
    for (size_t i = 0; i < op->n_inputs; i++) {
        if (name_tensor(s, op->inputs[i], text, size)) {
            return;
        }
    }
    snprintf(text, size, "the backward pass");
}

static void describe(const search *s, const cg_ran_op *op, const cg_tensor *output, char *text) {
    char place[PLACE_SIZE - 80];
    name_place(s, op, place, sizeof place);
    snprintf(text, PLACE_SIZE, "%s, %s, in %s", op->name, cg_shape_print(cg_tensor_shape(output), CG_SHAPE_TEXT),
             place);
}

static cg_status on_op(void *context, const cg_ran_op *op) {
    search *s = context;
    for (size_t i = 0; i < op->n_outputs && !s->found; i++) {
        finding worst = NOTHING;
        CG_TRY(op->outputs[i] != NULL ? look(s, op->outputs[i], &worst) : CG_OK);
        if (worst == INFINITE && !s->infinite) {
            describe(s, op, op->outputs[i], s->infinity);
            s->infinite = true;
        } else if (worst == NOT_A_NUMBER) {
            describe(s, op, op->outputs[i], s->nan);
            s->found = true;
        }
    }
    return CG_OK;
}

/* What is there before the first op. */
static cg_status before_batch(void *context, cg_trainer *t, const cg_progress *progress) {
    (void)progress;
    search *s = context;
    finding worst = NOTHING;
    s->n_layers = 0;
    s->forward = 0;
    if (!s->watching) {
        return CG_OK;
    }
    CG_TRY(look(s, t->step.x, &worst));
    if (worst == NOT_A_NUMBER && !s->found) {
        snprintf(s->nan, sizeof s->nan, "the data: a row of the batch has it");
        s->found = true;
    }
    for (size_t i = 0; i < t->n_parameters && !s->found; i++) {
        CG_TRY(look(s, t->parameters[i], &worst));
        s->found = worst == NOT_A_NUMBER && name_tensor(s, t->parameters[i], s->nan, sizeof s->nan);
    }
    return CG_OK;
}

static cg_status after_loss(void *context, cg_trainer *t, const cg_progress *progress) {
    (void)progress;
    ((search *)context)->forward = cg_tape_length(t->tape);
    return CG_OK;
}

/* Updates until `step` is done, each op looked at. */
static cg_status repeat_watched(cg_trainer *t, int64_t step, search *s) {
    s->watching = true;
    cg_module_observe(t->model, on_forward, s);
    cg_tape_watch(t->tape, on_op, s);
    cg_status status = CG_OK;
    while (status == CG_OK && !s->found && cg_trainer_updates(t) < step) {
        status = cg_trainer_repeat_update(t);
    }
    cg_tape_watch(t->tape, NULL, NULL);
    cg_module_observe(t->model, NULL, NULL);
    return status;
}

static cg_status repeat(cg_trainer *t, int64_t step, search *s) {
    cg_tape_reset(t->tape);
    CG_TRY(cg_snapshot_restore(&t->snapshot, t->tape));
    t->position = t->snapshot_position;
    CG_TRY(cg_trainer_begin_pass(t));
    while (cg_trainer_updates(t) < step - 2) {
        CG_TRY(cg_trainer_repeat_update(t));
    }
    return repeat_watched(t, step, s);
}

/* With the search in the place of the program's callbacks, which have heard of these steps. */
static cg_status repeat_alone(cg_trainer *t, int64_t step, search *s) {
    cg_callback *listeners = t->callbacks;
    size_t count = t->n_callbacks;
    t->callbacks = cg_alloc((t->n_parts + 1) * sizeof *t->callbacks);
    cg_status status = t->callbacks != NULL ? CG_OK : CG_ERR_MEMORY;
    if (status == CG_OK) {
        memcpy(t->callbacks, listeners, t->n_parts * sizeof *listeners);
        t->callbacks[t->n_parts] = (cg_callback){.context = s, .before_batch = before_batch, .after_loss = after_loss};
        t->n_callbacks = t->n_parts + 1;
        status = repeat(t, step, s);
        cg_free(t->callbacks);
    }
    t->callbacks = listeners;
    t->n_callbacks = count;
    return status;
}

void cg_trainer_find_nan(cg_trainer *t, int64_t step, char *text, size_t size) {
    *text = '\0';
    search *s = cg_alloc_zero(1, sizeof *s);
    if (s == NULL) {
        return;
    }
    int64_t position = t->position;
    s->trainer = t;
    cg_status status = repeat_alone(t, step, s);
    t->position = position;
    if (status == CG_OK && s->found) {
        snprintf(text, size, "; the first NaN came out of %s%s%s", s->nan,
                 s->infinite ? "; an infinity came first, out of " : "", s->infinity);
    }
    cg_free(s->values);
    cg_free(s);
}
