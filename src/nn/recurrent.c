/* RNN, LSTM and GRU: layers of cells, in one direction or both, step by step over the sequence. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "alloc.h"
#include "module.h"

#define MAX_LAYERS 32
#define MAX_RUNS (2 * MAX_LAYERS) /* a run: one layer in one direction */

typedef enum cell { CELL_TANH, CELL_RELU, CELL_LSTM, CELL_GRU } cell;

/* The tensors of a run, in PyTorch's order. The biases may be absent; the last one is a projection's. */
enum { WEIGHT_IH, WEIGHT_HH, BIAS_IH, BIAS_HH, WEIGHT_HR, RUN_TENSORS };
static const char *const tensor_names[RUN_TENSORS] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"};

typedef struct run_names {
    char of[RUN_TENSORS][24]; /* "weight_ih_l31_reverse" */
} run_names;

typedef struct recurrent {
    cell cell;
    int64_t input_size, hidden_size, layers, directions;
    int64_t proj_size; /* 0: no projection */
    bool bias, batch_first;
    double dropout;
    run_names names[MAX_RUNS];
} recurrent;

static int64_t gates_of(const recurrent *state) {
    return state->cell == CELL_LSTM ? 4 : state->cell == CELL_GRU ? 3 : 1;
}

/* Features of a hidden state. */
static int64_t state_size(const recurrent *state) {
    return state->proj_size > 0 ? state->proj_size : state->hidden_size;
}

static cg_status add_run(cg_module *module, int64_t layer, int64_t direction) {
    recurrent *state = module->state;
    run_names *names = &state->names[layer * state->directions + direction];
    int64_t rows = gates_of(state) * state->hidden_size;
    int64_t in = layer == 0 ? state->input_size : state->directions * state_size(state);
    const cg_shape shapes[RUN_TENSORS] = {CG_SHAPE(rows, in), CG_SHAPE(rows, state_size(state)), CG_SHAPE(rows),
                                          CG_SHAPE(rows), CG_SHAPE(state->proj_size, state->hidden_size)};
    for (int i = 0; i < RUN_TENSORS; i++) {
        bool there = i == WEIGHT_HR ? state->proj_size > 0 : i < BIAS_IH || state->bias;
        snprintf(names->of[i], sizeof names->of[i], "%s_l%d%s", tensor_names[i], (int)layer,
                 direction == 1 ? "_reverse" : "");
        CG_TRY(there ? cg_module_add_tensor(module, CG_ROLE_PARAMETER, names->of[i], &shapes[i]) : CG_OK);
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
    state->proj_size = cg_argument_exists(arguments, "proj_size") ? cg_argument_int(arguments, "proj_size") : 0;
    if (state->layers > MAX_LAYERS || state->dropout < 0 || state->dropout > 1) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: num_layers %" PRId64 " and dropout %g: at most %d and 0 to 1 are possible",
                       module->class->name, state->layers, state->dropout, MAX_LAYERS);
    }
    if (state->proj_size < 0 || state->proj_size >= state->hidden_size) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: proj_size is %" PRId64 ", expected 0 to less than hidden_size %" PRId64,
                       module->class->name, state->proj_size, state->hidden_size);
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

/* What goes from step to step, [batch, features]: the LSTM alone has a cell, too. */
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
static carried run(const cg_module *module, cg_tape *tape, cg_tensor *x, int64_t index, carried now,
                   cg_tensor **outputs) {
    const recurrent *state = module->state;
    const run_names *names = &state->names[index];
    int64_t length = cg_tensor_shape(x)->dim[0];
    bool reverse = index % state->directions == 1;
    cg_tensor *project = cg_module_own(module, names->of[WEIGHT_HR]);
    cg_tensor *from_x =
        cg_linear(tape, x, cg_module_own(module, names->of[WEIGHT_IH]), cg_module_own(module, names->of[BIAS_IH]));
    for (int64_t t = 0; t < length; t++) {
        int64_t place = reverse ? length - 1 - t : t;
        cg_tensor *from_h = cg_linear(tape, now.hidden, cg_module_own(module, names->of[WEIGHT_HH]),
                                      cg_module_own(module, names->of[BIAS_HH]));
        now = step(tape, state, cg_select(tape, from_x, 0, place), from_h, now);
        now.hidden = project != NULL ? cg_linear(tape, now.hidden, project, NULL) : now.hidden;
        outputs[place] = now.hidden;
    }
    return now;
}

/* Where a run begins: at the states that were given, [runs, batch, features], or at 0. */
static carried begin(cg_tape *tape, const recurrent *state, cg_tensor *const *inputs, int64_t index, int64_t batch) {
    bool has_cell = state->cell == CELL_LSTM;
    if (inputs[1] == NULL) {
        cg_tensor *kept = has_cell ? cg_full(tape, &CG_SHAPE(batch, state->hidden_size), 0) : NULL;
        return (carried){cg_full(tape, &CG_SHAPE(batch, state_size(state)), 0), kept};
    }
    return (carried){cg_select(tape, inputs[1], 0, index), has_cell ? cg_select(tape, inputs[2], 0, index) : NULL};
}

/* One layer, its directions side by side: [length, batch, directions features]. `last` has where each run begins and
 * gets where it ends. */
static cg_tensor *run_layer(const cg_module *module, cg_tape *tape, cg_tensor *x, int64_t layer, cg_tensor **steps,
                            carried *last) {
    const recurrent *state = module->state;
    size_t length = (size_t)cg_tensor_shape(x)->dim[0];
    cg_tensor *sides[2] = {NULL};
    for (int64_t direction = 0; direction < state->directions; direction++) {
        int64_t index = layer * state->directions + direction;
        last[index] = run(module, tape, x, index, last[index], steps);
        sides[direction] = cg_stack(tape, steps, length, 0);
    }
    return cg_concat(tape, sides, (size_t)state->directions, 2);
}

/* The last states of all runs: [layers directions, batch, features]. */
static cg_tensor *stack_last(const recurrent *state, cg_tape *tape, const carried *last, bool cells) {
    cg_tensor *states[MAX_RUNS];
    size_t count = (size_t)(state->layers * state->directions);
    for (size_t i = 0; i < count; i++) {
        states[i] = cells ? last[i].cell : last[i].hidden;
    }
    return cg_stack(tape, states, count, 0);
}

/* x is [length, batch, features]. */
static cg_tensor *run_layers(const cg_module *module, cg_tape *tape, cg_tensor *x, carried *last, cg_tensor **steps) {
    const recurrent *state = module->state;
    bool drops = state->dropout > 0 && cg_tape_mode(tape) == CG_TRAIN;
    for (int64_t layer = 0; layer < state->layers; layer++) {
        x = run_layer(module, tape, x, layer, steps, last);
        x = drops && layer + 1 < state->layers ? cg_dropout(tape, x, state->dropout) : x;
    }
    return x;
}

/* An initial state is [runs, batch, features], without the batch's axis where the input has none. */
static cg_status check_state(const recurrent *state, const char *name, const cg_tensor *tensor, int64_t batch,
                             int64_t features) {
    cg_shape expected = CG_SHAPE(state->layers * state->directions, batch, features);
    if (batch < 0) {
        expected = CG_SHAPE(state->layers * state->directions, features);
    }
    return cg_shape_equal(cg_tensor_shape(tensor), &expected)
               ? CG_OK
               : cg_fail(CG_ERR_SHAPE, "%s is %s, expected %s", name,
                         cg_shape_print(cg_tensor_shape(tensor), CG_SHAPE_TEXT),
                         cg_shape_print(&expected, CG_SHAPE_TEXT));
}

static cg_status check_inputs(const recurrent *state, cg_tensor *const *inputs) {
    const cg_shape *x = cg_tensor_shape(inputs[0]);
    const char *axes = state->batch_first ? "batch, length" : "length, batch";
    int length = x->rank == 3 && state->batch_first ? 1 : 0;
    if (x->rank < 2 || x->rank > 3 || x->dim[x->rank - 1] != state->input_size || x->dim[length] == 0) {
        return cg_fail(CG_ERR_SHAPE,
                       "input is %s, expected [%s, %" PRId64 "], or without a batch [length, %" PRId64 "]",
                       cg_shape_print(x, CG_SHAPE_TEXT), axes, state->input_size, state->input_size);
    }
    int64_t batch = x->rank == 2 ? -1 : x->dim[state->batch_first ? 0 : 1];
    if (state->cell == CELL_LSTM && (inputs[1] == NULL) != (inputs[2] == NULL)) {
        return cg_fail(CG_ERR_ARGUMENT, "%s is given without %s", inputs[1] != NULL ? "h_0" : "c_0",
                       inputs[1] != NULL ? "c_0" : "h_0");
    }
    CG_TRY(inputs[1] != NULL ? check_state(state, "h_0", inputs[1], batch, state_size(state)) : CG_OK);
    bool has_cell = state->cell == CELL_LSTM && inputs[2] != NULL;
    return has_cell ? check_state(state, "c_0", inputs[2], batch, state->hidden_size) : CG_OK;
}

/* [length, batch, features]. */
static cg_tensor *length_first(const recurrent *state, cg_tape *tape, cg_tensor *x) {
    return state->batch_first ? cg_transpose(tape, x, 0, 1) : x;
}

/* `inputs` have the batch's axis. */
static void run_all(const cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **steps,
                    cg_tensor **outputs) {
    const recurrent *state = module->state;
    carried last[MAX_RUNS];
    for (int64_t i = 0; i < state->layers * state->directions; i++) {
        last[i] = begin(tape, state, inputs, i, cg_tensor_shape(inputs[0])->dim[1]);
    }
    outputs[0] = run_layers(module, tape, inputs[0], last, steps);
    outputs[1] = stack_last(state, tape, last, false);
    if (state->cell == CELL_LSTM) {
        outputs[2] = stack_last(state, tape, last, true);
    }
}

static cg_status forward(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, cg_tensor **outputs) {
    const recurrent *state = module->state;
    CG_TRY(check_inputs(state, inputs));
    bool alone = cg_tensor_shape(inputs[0])->rank == 2; /* no batch */
    cg_tensor *given[3] = {NULL};
    for (size_t i = 0; i < module->class->n_inputs; i++) {
        given[i] = alone && inputs[i] != NULL ? cg_unsqueeze(tape, inputs[i], 1) : inputs[i];
    }
    given[0] = alone ? given[0] : length_first(state, tape, given[0]);
    cg_tensor **steps = cg_alloc((size_t)cg_tensor_shape(given[0])->dim[0] * sizeof(cg_tensor *));
    if (steps == NULL) {
        return CG_ERR_MEMORY;
    }
    run_all(module, tape, given, steps, outputs);
    cg_free(steps);
    outputs[0] = alone ? outputs[0] : length_first(state, tape, outputs[0]);
    for (size_t i = 0; i < module->class->n_outputs && alone; i++) {
        outputs[i] = cg_squeeze(tape, outputs[i], 1);
    }
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

#define SIZES "input_size: positive, hidden_size: positive, num_layers: positive = 1, "
#define OPTIONS "bias: bool = True, batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False"

/* The states: "h_0", and "c_0" of an LSTM. They may be left out, and follow the output. */
#define RECURRENT_CLASS(class_name, arguments, inputs_text, states, create_function)                                   \
    {                                                                                                                  \
        .name = class_name, .signature = arguments, .inputs = inputs_text, .n_inputs = 1 + (states),                   \
        .n_optional = (states), .n_outputs = 1 + (states), .state_size = sizeof(recurrent), .create = create_function, \
        .forward = forward, .reset = reset,                                                                            \
    }

const cg_module_class cg_rnn_class =
    RECURRENT_CLASS("RNN", SIZES "nonlinearity: 'tanh' | 'relu' = 'tanh', " OPTIONS, "input, h_0", 1, rnn_create);
const cg_module_class cg_lstm_class =
    RECURRENT_CLASS("LSTM", SIZES OPTIONS ", proj_size: int = 0", "input, h_0, c_0", 2, lstm_create);
const cg_module_class cg_gru_class = RECURRENT_CLASS("GRU", SIZES OPTIONS, "input, h_0", 1, gru_create);
