/* Embedding: a table of rows, chosen by indices. */
#include <inttypes.h>

#include "module.h"

typedef struct embedding {
    int64_t rows, features, padding; /* padding -1: none */
} embedding;

static cg_status create(cg_module *module, const cg_arguments *arguments) {
    embedding *state = module->state;
    state->rows = cg_argument_int(arguments, "num_embeddings");
    state->features = cg_argument_int(arguments, "embedding_dim");
    state->padding = -1;
    if (!cg_argument_is_none(arguments, "padding_idx")) {
        int64_t given = cg_argument_int(arguments, "padding_idx");
        state->padding = given < 0 ? given + state->rows : given;
        if (state->padding < 0 || state->padding >= state->rows) {
            return cg_fail(CG_ERR_ARGUMENT, "Embedding: padding_idx %" PRId64 " of %" PRId64 " rows", given,
                           state->rows);
        }
    }
    return cg_module_add_tensor(module, CG_ROLE_PARAMETER, "weight", &CG_SHAPE(state->rows, state->features));
}

static cg_status forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const embedding *state = module->state;
    outputs[0] = cg_embedding(tape, cg_module_own(module, "weight"), inputs[0], state->padding);
    return CG_OK;
}

/* Normal, but for the row of the padding, which is 0. */
static cg_status reset(cg_module *module, uint64_t seed, uint64_t stream) {
    const embedding *state = module->state;
    cg_tensor *weight = cg_module_own(module, "weight"), *row = NULL;
    CG_TRY(cg_init_normal(weight, 0.0, 1.0, seed, stream));
    if (state->padding < 0) {
        return CG_OK;
    }
    size_t start = (size_t)(state->padding * state->features);
    CG_TRY(cg_tensor_view(weight, start, &CG_SHAPE(state->features), &row));
    cg_status status = cg_tensor_fill(row, 0.0);
    cg_tensor_destroy(row);
    return status;
}

const cg_module_class cg_embedding_class = {
    .name = "Embedding",
    .signature = "num_embeddings: positive, embedding_dim: positive, padding_idx: int | None = None, "
                 "max_norm: later = None, norm_type: later = 2.0, scale_grad_by_freq: later = False, "
                 "sparse: later = False",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 1,
    .state_size = sizeof(embedding),
    .create = create,
    .forward = forward,
    .reset = reset,
};
