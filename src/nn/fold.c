/*
 * Batch norm folded into the layer before it, for prediction: in eval mode it is x * scale + shift for each channel,
 * and a convolution or a linear layer in front can multiply its weights and move its bias instead. The numbers are
 * worked out in double and rounded once.
 */

#include "alloc.h"
#include "module.h"

/* A layer whose rows of weights make one channel each, if its outputs have `rank` axes: a Linear of more makes features
 * that stand last, while a batch norm takes axis 1. */
typedef struct foldable {
    const cg_module_class *class;
    int rank;
} foldable;

static const foldable kinds[] = {
    {&cg_linear_class, 2},
    {&cg_conv1d_class, 3},
    {&cg_conv2d_class, 4},
    {&cg_conv3d_class, 5},
};

/* The layers of a tree that were seen to give outputs of that rank. */
typedef struct seen_layers {
    const cg_module **layers;
    size_t count, capacity;
    bool failed;
} seen_layers;

static void see(void *context, const cg_module *module, const char *path, const cg_tensor *output, double flops) {
    seen_layers *seen = context;
    (void)path, (void)flops;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (module->class != kinds[i].class || cg_tensor_shape(output)->rank != kinds[i].rank) {
            continue;
        }
        if (CG_GROW(seen->layers, seen->count, seen->capacity)) {
            seen->layers[seen->count++] = module;
        } else {
            seen->failed = true;
        }
    }
}

static bool was_seen(const seen_layers *seen, const cg_module *layer) {
    for (size_t i = 0; i < seen->count; i++) {
        if (seen->layers[i] == layer) {
            return true;
        }
    }
    return false;
}

static bool folds(const seen_layers *seen, const cg_module *layer, const cg_module *norm) {
    if (!was_seen(seen, layer) || (norm->class != &cg_batch_norm1d_class && norm->class != &cg_batch_norm2d_class)) {
        return false;
    }
    const cg_tensor *mean = cg_module_own(norm, "running_mean");
    return mean != NULL && cg_tensor_numel(mean) == cg_tensor_shape(cg_module_own(layer, "weight"))->dim[0];
}

/* Each of `channels` rows of a tensor times its scale. */
static cg_status scale_rows(cg_tensor *tensor, const double *scale, int64_t channels) {
    int64_t count = cg_tensor_numel(tensor), row = count / channels;
    double *values = cg_alloc((size_t)count * sizeof *values);
    cg_status status = values != NULL ? cg_tensor_read_f64(tensor, values, count) : CG_ERR_MEMORY;
    for (int64_t i = 0; i < count && status == CG_OK; i++) {
        values[i] *= scale[i / row];
    }
    if (status == CG_OK) {
        status = cg_tensor_write_f64(tensor, values, count);
    }
    cg_free(values);
    return status;
}

/* bias * scale + shift; `values` has room for it. */
static cg_status move_bias(cg_module *layer, const double *scale, const double *shift, double *values,
                           int64_t channels) {
    if (cg_module_own(layer, "bias") == NULL) {
        CG_TRY(cg_module_add_bias(layer, channels));
    }
    cg_tensor *bias = cg_module_own(layer, "bias");
    CG_TRY(cg_tensor_read_f64(bias, values, channels));
    for (int64_t i = 0; i < channels; i++) {
        values[i] = values[i] * scale[i] + shift[i];
    }
    return cg_tensor_write_f64(bias, values, channels);
}

static cg_status fold(cg_module *layer, cg_module *norm) {
    int64_t channels = cg_tensor_numel(cg_module_own(norm, "running_mean"));
    double *numbers = cg_alloc(3 * (size_t)channels * sizeof *numbers);
    if (numbers == NULL) {
        return CG_ERR_MEMORY;
    }
    double *scale = numbers, *shift = numbers + channels, *values = numbers + 2 * channels;
    cg_status status = cg_batch_norm_affine(norm, scale, shift, values);
    if (status == CG_OK) {
        status = move_bias(layer, scale, shift, values, channels);
    }
    if (status == CG_OK) {
        status = scale_rows(cg_module_own(layer, "weight"), scale, channels);
    }
    cg_free(numbers);
    if (status == CG_OK) {
        cg_module_become_identity(norm);
    }
    return status;
}

static cg_status fold_tree(cg_module *module, const seen_layers *seen) {
    bool sequence = module->class == &cg_sequential_class;
    for (size_t i = 0; i < module->n_children; i++) {
        CG_TRY(fold_tree(module->children[i], seen));
        if (sequence && i > 0 && folds(seen, module->children[i - 1], module->children[i])) {
            CG_TRY(fold(module->children[i - 1], module->children[i]));
        }
    }
    return CG_OK;
}

cg_status cg_module_fold_batch_norm(cg_module *module, const cg_shape *input) {
    seen_layers seen = {0};
    cg_module_observer observer = module->observer;
    void *context = module->observer_context;
    cg_module_observe(module, see, &seen);
    cg_status status = cg_module_resolve(module, input, NULL);
    cg_module_observe(module, observer, context);
    if (status == CG_OK) {
        status = seen.failed ? CG_ERR_MEMORY : fold_tree(module, &seen);
    }
    cg_free(seen.layers);
    return status;
}
