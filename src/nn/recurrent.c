/* RNN, LSTM and GRU: layers of cells, in one direction or both, step by step over the sequence. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "alloc.h"
#include "module.h"

#define MAX_LAYERS 8
#define MAX_RUNS (2 * MAX_LAYERS) /* a run: one layer in one direction */

typedef enum cell { CELL_TANH, CELL_RELU, CELL_LSTM, CELL_GRU } cell;

/* The four tensors of a run, in PyTorch's order; biases may be absent. */
typedef struct run_names {
    char weight_ih[32], weight_hh[32], bias_ih[32], bias_hh[32];
} run_names;

typedef struct recurrent {
    cell cell;
    int64_t input_size, hidden_size, layers, directions;
    bool bias, batch_first;
    double dropout;
    run_names names[MAX_RUNS];
} recurrent;

static int64_t gates_of(const recurrent *state) {
    return state->cell == CELL_LSTM ? 4 : state->cell == CELL_GRU ? 3 : 1;
}

static void name_run(run_names *names, int64_t layer, bool reverse) {
    const char *end = reverse ? "_reverse" : "";
    snprintf(names->weight_ih, sizeof names->weight_ih, "weight_ih_l%d%s", (int)layer, end);
    snprintf(names->weight_hh, sizeof names->weight_hh, "weight_hh_l%d%s", (int)layer, end);
    snprintf(names->bias_ih, sizeof names->bias_ih, "bias_ih_l%d%s", (int)layer, end);
    snprintf(names->bias_hh, sizeof names->bias_hh, "bias_hh_l%d%s", (int)layer, end);
}

static cg_status add_run(cg_module *module, int64_t layer, int64_t direction) {
    recurrent *state = module->state;
    run_names *names = &state->names[layer * state->directions + direction];
    int64_t rows = gates_of(state) * state->hidden_size;
    int64_t in = layer == 0 ? state->input_size : state->directions * state->hidden_size;
    name_run(names, layer, direction == 1);
    CG_TRY(cg_module_add_tensor(module, CG_ROLE_PARAMETER, names->weight_ih, &CG_SHAPE(rows, in)));
    CG_TRY(cg_module_add_tensor(module, CG_ROLE_PARAMETER, names->weight_hh, &CG_SHAPE(rows, state->hidden_size)));
    if (state->bias) {
        CG_TRY(cg_module_add_tensor(module, CG_ROLE_PARAMETER, names->bias_ih, &CG_SHAPE(rows)));
        CG_TRY(cg_module_add_tensor(module, CG_ROLE_PARAMETER, names->bias_hh, &CG_SHAPE(rows)));
    }
    return CG_OK;
}

static cg_status create(cg_module *module, const cg_arguments *arguments, cell kind) {
    recurrent *state = module->state;
    state->cell = kind;
    state->input_size = cg_argument_int(arguments, "input_size");
    state->hidden_size = cg_argument_int(arguments, "hidden_size");
    state->layers = cg_argument_int(arguments, "num_layers");
    state->directions = cg_argument_bool(arguments, "bidirectional") ? 2 : 1;
    state->bias = cg_argument_bool(arguments, "bias");
    state->batch_first = cg_argument_bool(arguments, "batch_first");
    state->dropout = cg_argument_real(arguments, "dropout");
    if (state->layers > MAX_LAYERS || state->dropout < 0 || state->dropout > 1) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: num_layers %" PRId64 " and dropout %g: at most %d and 0 to 1 are possible",
                       module->class->name, state->layers, state->dropout, MAX_LAYERS);
    }
    for (int64_t layer = 0; layer < state->layers; layer++) {
        for (int64_t direction = 0; direction < state->directions; direction++) {
            CG_TRY(add_run(module, layer, direction));
        }
    }
    return CG_OK;
}

static cg_status rnn_create(cg_module *module, const cg_arguments *arguments) {
    bool relu = cg_argument_text(arguments, "nonlinearity")[0] == 'r';
    return create(module, arguments, relu ? CELL_RELU : CELL_TANH);
}

static cg_status lstm_create(cg_module *module, const cg_arguments *arguments) {
    return create(module, arguments, CELL_LSTM);
}

static cg_status gru_create(cg_module *module, const cg_arguments *arguments) {
    return create(module, arguments, CELL_GRU);
}

/* What goes from step to step, [batch, hidden]: the LSTM alone has a cell, too. */
typedef struct carried {
    cg_tensor *hidden, *cell;
} carried;

/* Gate i of [batch, gates hidden]. */
static cg_tensor *gate(cg_tape *tape, const recurrent *state, cg_tensor *gates, int64_t i) {
    return cg_slice(tape, gates, 1, i * state->hidden_size, (i + 1) * state->hidden_size, 1);
}

/* i, f, g, o: c' = f c + i g, h' = o tanh(c'). */
static carried lstm_step(cg_tape *tape, const recurrent *state, cg_tensor *gates, carried before) {
    cg_tensor *input = cg_sigmoid(tape, gate(tape, state, gates, 0));
    cg_tensor *forget = cg_sigmoid(tape, gate(tape, state, gates, 1));
    cg_tensor *fresh = cg_tanh(tape, gate(tape, state, gates, 2));
    cg_tensor *output = cg_sigmoid(tape, gate(tape, state, gates, 3));
    cg_tensor *kept = cg_add(tape, cg_mul(tape, forget, before.cell), cg_mul(tape, input, fresh));
    return (carried){cg_mul(tape, output, cg_tanh(tape, kept)), kept};
}

/* r, z, n: n = tanh(x_n + r h_n), h' = n + z (h - n). */
static carried gru_step(cg_tape *tape, const recurrent *state, cg_tensor *from_x, cg_tensor *from_h, carried before) {
    cg_tensor *reset = cg_sigmoid(tape, cg_add(tape, gate(tape, state, from_x, 0), gate(tape, state, from_h, 0)));
    cg_tensor *update = cg_sigmoid(tape, cg_add(tape, gate(tape, state, from_x, 1), gate(tape, state, from_h, 1)));
    cg_tensor *kept = cg_mul(tape, reset, gate(tape, state, from_h, 2));
    cg_tensor *fresh = cg_tanh(tape, cg_add(tape, gate(tape, state, from_x, 2), kept));
    cg_tensor *back = cg_mul(tape, update, cg_sub(tape, before.hidden, fresh));
    return (carried){cg_add(tape, fresh, back), NULL};
}

static carried step(cg_tape *tape, const recurrent *state, cg_tensor *from_x, cg_tensor *from_h, carried before) {
    if (state->cell == CELL_GRU) {
        return gru_step(tape, state, from_x, from_h, before);
    }
    cg_tensor *sum = cg_add(tape, from_x, from_h);
    if (state->cell == CELL_LSTM) {
        return lstm_step(tape, state, sum, before);
    }
    return (carried){state->cell == CELL_RELU ? cg_relu(tape, sum) : cg_tanh(tape, sum), NULL};
}

/* One layer in one direction over x [length, batch, features]; hidden states into outputs[0..length-1]. The product
 * with all of x is one. */
static carried run(const cg_module *module, cg_tape *tape, cg_tensor *x, int64_t index, cg_tensor **outputs) {
    const recurrent *state = module->state;
    const run_names *names = &state->names[index];
    int64_t length = cg_tensor_shape(x)->dim[0], batch = cg_tensor_shape(x)->dim[1];
    bool reverse = index % state->directions == 1;
    cg_tensor *from_x =
        cg_linear(tape, x, cg_module_own(module, names->weight_ih), cg_module_own(module, names->bias_ih));
    cg_tensor *zero = cg_full(tape, &CG_SHAPE(batch, state->hidden_size), 0);
    carried now = {zero, zero};
    for (int64_t t = 0; t < length; t++) {
        int64_t place = reverse ? length - 1 - t : t;
        cg_tensor *from_h =
            cg_linear(tape, now.hidden, cg_module_own(module, names->weight_hh), cg_module_own(module, names->bias_hh));
        now = step(tape, state, cg_select(tape, from_x, 0, place), from_h, now);
        outputs[place] = now.hidden;
    }
    return now;
}

/* One layer, its directions side by side: [length, batch, directions hidden]. */
static cg_tensor *run_layer(const cg_module *module, cg_tape *tape, cg_tensor *x, int64_t layer, cg_tensor **steps,
                            carried *last) {
    const recurrent *state = module->state;
    size_t length = (size_t)cg_tensor_shape(x)->dim[0];
    cg_tensor *sides[2] = {NULL};
    for (int64_t direction = 0; direction < state->directions; direction++) {
        int64_t index = layer * state->directions + direction;
        last[index] = run(module, tape, x, index, steps);
        sides[direction] = cg_stack(tape, steps, length, 0);
    }
    return cg_concat(tape, sides, (size_t)state->directions, 2);
}

/* The last states of all runs: [layers directions, batch, hidden]. */
static cg_tensor *stack_last(const recurrent *state, cg_tape *tape, const carried *last, bool cells) {
    cg_tensor *states[MAX_RUNS];
    size_t count = (size_t)(state->layers * state->directions);
    for (size_t i = 0; i < count; i++) {
        states[i] = cells ? last[i].cell : last[i].hidden;
    }
    return cg_stack(tape, states, count, 0);
}

static void run_layers(const cg_module *module, cg_tape *tape, cg_tensor *x, cg_tensor **steps, cg_tensor **outputs) {
    const recurrent *state = module->state;
    carried last[MAX_RUNS];
    bool drops = state->dropout > 0 && cg_tape_mode(tape) == CG_TRAIN;
    x = state->batch_first ? cg_transpose(tape, x, 0, 1) : x;
    for (int64_t layer = 0; layer < state->layers; layer++) {
        x = run_layer(module, tape, x, layer, steps, last);
        x = drops && layer + 1 < state->layers ? cg_dropout(tape, x, state->dropout) : x;
    }
    outputs[0] = state->batch_first ? cg_transpose(tape, x, 0, 1) : x;
    outputs[1] = stack_last(state, tape, last, false);
    if (state->cell == CELL_LSTM) {
        outputs[2] = stack_last(state, tape, last, true);
    }
}

static cg_status forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const recurrent *state = module->state;
    const cg_shape *x = cg_tensor_shape(inputs[0]);
    if (x->rank != 3 || x->dim[2] != state->input_size || cg_shape_numel(x) == 0) {
        return cg_fail(CG_ERR_SHAPE, "input is %s, expected [%s, %" PRId64 "]", cg_shape_print(x, CG_SHAPE_TEXT),
                       state->batch_first ? "batch, length" : "length, batch", state->input_size);
    }
    size_t length = (size_t)x->dim[state->batch_first ? 1 : 0];
    cg_tensor **steps = cg_alloc(length * sizeof(cg_tensor *));
    if (steps == NULL) {
        return CG_ERR_MEMORY;
    }
    run_layers(module, tape, inputs[0], steps, outputs);
    cg_free(steps);
    return CG_OK;
}

/* All uniform within 1 / sqrt(hidden_size). */
static cg_status reset(cg_module *module, uint64_t seed, uint64_t stream) {
    const recurrent *state = module->state;
    double bound = 1.0 / sqrt((double)state->hidden_size);
    for (size_t i = 0; i < module->n_tensors; i++) {
        CG_TRY(cg_init_uniform(module->tensors[i].tensor, -bound, bound, seed, stream + i));
    }
    return CG_OK;
}

#define OPTIONS "bias: bool = True, batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False"

const cg_module_class cg_rnn_class = {
    .name = "RNN",
    .signature = "input_size: positive, hidden_size: positive, num_layers: positive = 1, "
                 "nonlinearity: 'tanh' | 'relu' = 'tanh', " OPTIONS,
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 2,
    .state_size = sizeof(recurrent),
    .create = rnn_create,
    .forward = forward,
    .reset = reset,
};

const cg_module_class cg_lstm_class = {
    .name = "LSTM",
    .signature =
        "input_size: positive, hidden_size: positive, num_layers: positive = 1, " OPTIONS ", proj_size: later = 0",
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 3,
    .state_size = sizeof(recurrent),
    .create = lstm_create,
    .forward = forward,
    .reset = reset,
};

const cg_module_class cg_gru_class = {
    .name = "GRU",
    .signature = "input_size: positive, hidden_size: positive, num_layers: positive = 1, " OPTIONS,
    .inputs = "input",
    .n_inputs = 1,
    .n_outputs = 2,
    .state_size = sizeof(recurrent),
    .create = gru_create,
    .forward = forward,
    .reset = reset,
};
