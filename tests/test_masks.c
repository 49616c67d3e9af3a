/* Optional inputs of layers: masks, initial states, averaged weights that nobody wants; and what does not fit. */
#include "device_and_tape.h"
#include "devices.h"
#include "failures.h"
#include "tensors.h"

#include <clgrad/nn.h>

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(masks, .init = open_device, .fini = close_device);

static cg_module *module_of(const char *text) {
    cg_module *module = NULL;
    cr_assert(cg_module_parse(device, text, &module) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_module_init(module, 1) == CG_OK, "%s", cg_error_message());
    return module;
}

/* A mask of 0 and 1 in the smallest data type. */
static cg_tensor *bytes_of(cg_shape shape, const unsigned char *values) {
    cg_tensor *mask = NULL;
    cr_assert(cg_tensor_create(device, CG_U8, &shape, &mask) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_tensor_write(mask, values, (size_t)cg_shape_numel(&shape)) == CG_OK, "%s", cg_error_message());
    return mask;
}

/* Calls a module, with room for two outputs, and expects a failure with these words. */
static void refuses(cg_module *module, cg_tensor *const *inputs, size_t count, const char *word, const char *other) {
    cg_tensor *outputs[4] = {NULL};
    size_t room = 4;
    cg_status status = cg_module_call(module, tape, inputs, count, outputs, &room);
    cr_assert(status == CG_ERR_SHAPE || status == CG_ERR_ARGUMENT, "%s", cg_status_name(status));
    cr_assert(strstr(cg_error_message(), word) != NULL && strstr(cg_error_message(), other) != NULL,
              "not %s and %s: %s", word, other, cg_error_message());
    cg_tape_reset(tape);
}

/* The keys that either mask forbids have weight 0, those that stay sum to 1. */
Test(masks, attention_gives_a_forbidden_key_nothing) {
    cg_module *module = module_of("MultiheadAttention(4, 2, batch_first=True)");
    cg_tensor *x = test_normal(device, CG_SHAPE(1, 3, 4), 1);
    cg_tensor *padding = bytes_of(CG_SHAPE(1, 3), (unsigned char[]){0, 0, 1});
    cg_tensor *mask = bytes_of(CG_SHAPE(3, 3), (unsigned char[]){0, 1, 1, 0, 0, 1, 0, 0, 0});
    cg_tensor *outputs[2] = {NULL};
    size_t room = 2;
    double weights[9];
    cr_assert(cg_module_call(module, tape, (cg_tensor *[]){x, x, x, padding, mask}, 5, outputs, &room) == CG_OK, "%s",
              cg_error_message());
    cr_assert(room == 2 && cg_tensor_read_f64(outputs[1], weights, 9) == CG_OK, "%s", cg_error_message());
    cr_assert(weights[0] == 1 && weights[1] == 0 && weights[2] == 0 && weights[5] == 0 && weights[8] == 0);
    cr_assert(weights[3] > 0 && weights[4] > 0 && fabs(weights[3] + weights[4] - 1) < 1e-6);
    cg_tape_reset(tape);
    cg_tensor_destroy(x);
    cg_tensor_destroy(padding);
    cg_tensor_destroy(mask);
    cg_module_destroy(module);
}

/* In scaled_dot_product_attention 1 means that a key takes part, as in PyTorch. */
Test(masks, of_the_op_say_which_keys_take_part) {
    cg_tensor *q = test_normal(device, CG_SHAPE(1, 2, 3), 1);
    cg_tensor *v = test_tensor(device, CG_SHAPE(1, 2, 1), (double[]){5, 7});
    cg_tensor *mask = bytes_of(CG_SHAPE(2, 2), (unsigned char[]){0, 1, 1, 0});
    const cg_attention_options options = {.mask = mask};
    test_expect("output", cg_scaled_dot_product_attention(tape, q, q, v, &options, NULL), CG_SHAPE(1, 2, 1),
                (double[]){7, 5}, 0, 0);
    cg_tape_reset(tape);
    cg_tensor_destroy(q);
    cg_tensor_destroy(v);
    cg_tensor_destroy(mask);
}

/* Room for one output: the same output, and fewer ops, since nobody wants the averaged weights. */
Test(masks, weights_that_nobody_wants_are_not_averaged) {
    cg_module *module = module_of("MultiheadAttention(4, 2)");
    cg_tensor *x = test_normal(device, CG_SHAPE(3, 1, 4), 1), *inputs[] = {x, x, x}, *outputs[2] = {NULL};
    size_t two = 2, one = 1;
    double both[12], alone[12];
    cr_assert(cg_module_call(module, tape, inputs, 3, outputs, &two) == CG_OK && two == 2, "%s", cg_error_message());
    size_t length = cg_tape_length(tape);
    cr_assert(cg_tensor_read_f64(outputs[0], both, 12) == CG_OK && cg_tape_run(tape) == CG_OK);
    cr_assert(cg_module_call(module, tape, inputs, 3, outputs, &one) == CG_OK && one == 1, "%s", cg_error_message());
    cr_assert(cg_tape_length(tape) < length, "%zu ops, with weights %zu", cg_tape_length(tape), length);
    cr_assert(cg_tensor_read_f64(outputs[0], alone, 12) == CG_OK && memcmp(both, alone, sizeof both) == 0);
    cg_tape_reset(tape);
    cg_tensor_destroy(x);
    cg_module_destroy(module);
}

Test(masks, that_do_not_fit_are_named_with_what_does) {
    cg_module *module = module_of("MultiheadAttention(4, 2, kdim=3, batch_first=True)");
    cg_module *layer = module_of("TransformerEncoderLayer(4, 2, 3)");
    cg_tensor *q = test_tensor(device, CG_SHAPE(2, 3, 4), NULL), *k = test_tensor(device, CG_SHAPE(2, 5, 3), NULL);
    cg_tensor *v = test_tensor(device, CG_SHAPE(2, 5, 4), NULL), *square = test_tensor(device, CG_SHAPE(3, 3), NULL);
    cr_assert(strcmp(cg_module_inputs(module), "query, key, value, key_padding_mask, attn_mask") == 0);
    refuses(module, (cg_tensor *[]){q, k, v, square}, 4, "key_padding_mask is [3, 3]", "[2, 5]");
    refuses(module, (cg_tensor *[]){q, k, v, NULL, square}, 5, "attn_mask is [3, 3]", "[3, 5]");
    refuses(module, (cg_tensor *[]){q, k, q}, 3, "value [2, 3, 4]", "one length");
    refuses(module, (cg_tensor *[]){q, v, v}, 3, "key [2, 5, 4]", "4, 3 and 4 features");
    refuses(module, (cg_tensor *[]){square, k, v}, 3, "query is [3, 3]", "[batch, length");
    refuses(module, (cg_tensor *[]){q, NULL, v}, 3, "input 1", "NULL");
    refuses(module, (cg_tensor *[]){q, k}, 2, "3 to 5 inputs", "2 given");
    refuses(layer, (cg_tensor *[]){q, k}, 2, "attn_mask is [2, 5, 3]", "[2, 2]");
    cg_tensor_destroy(q);
    cg_tensor_destroy(k);
    cg_tensor_destroy(v);
    cg_tensor_destroy(square);
    cg_module_destroy(module);
    cg_module_destroy(layer);
}

Test(masks, an_initial_state_continues_where_another_call_ended) {
    cg_module *module = module_of("LSTM(3, 4, proj_size=2)");
    cg_tensor *x = test_normal(device, CG_SHAPE(4, 1, 3), 1), *whole[3], *first[3], *second[3], *inputs[3];
    size_t room = 3;
    cr_assert(cg_module_call(module, tape, &x, 1, whole, &room) == CG_OK, "%s", cg_error_message());
    cg_tensor *start = cg_slice(tape, x, 0, 0, 2, 1);
    cr_assert(cg_module_call(module, tape, &start, 1, first, &room) == CG_OK, "%s", cg_error_message());
    inputs[0] = cg_slice(tape, x, 0, 2, 4, 1);
    inputs[1] = first[1];
    inputs[2] = first[2];
    cr_assert(cg_module_call(module, tape, inputs, 3, second, &room) == CG_OK, "%s", cg_error_message());
    double states[2], again[2], cells[4], cells_again[4];
    cr_assert(cg_tensor_read_f64(whole[1], states, 2) == CG_OK && cg_tensor_read_f64(second[1], again, 2) == CG_OK);
    cr_assert(cg_tensor_read_f64(whole[2], cells, 4) == CG_OK &&
              cg_tensor_read_f64(second[2], cells_again, 4) == CG_OK);
    cr_assert(fabs(states[1]) > 1e-3 && fabs(states[1] - again[1]) < 1e-6 && fabs(cells[3] - cells_again[3]) < 1e-6);
    cg_tape_reset(tape);
    cg_tensor_destroy(x);
    cg_module_destroy(module);
}

Test(masks, states_that_do_not_fit_are_named_with_what_does) {
    cg_module *lstm = module_of("LSTM(3, 4, 2, batch_first=True, proj_size=2)"), *gru = module_of("GRU(3, 4)");
    cg_tensor *x = test_tensor(device, CG_SHAPE(1, 5, 3), NULL), *alone = test_tensor(device, CG_SHAPE(5, 3), NULL);
    cg_tensor *h = test_tensor(device, CG_SHAPE(2, 1, 2), NULL), *c = test_tensor(device, CG_SHAPE(2, 1, 4), NULL);
    refuses(lstm, (cg_tensor *[]){x, h}, 2, "h_0", "without c_0");
    refuses(lstm, (cg_tensor *[]){x, NULL, c}, 3, "c_0", "without h_0");
    refuses(lstm, (cg_tensor *[]){x, c, c}, 3, "h_0 is [2, 1, 4]", "[2, 1, 2]");
    refuses(lstm, (cg_tensor *[]){x, h, h}, 3, "c_0 is [2, 1, 2]", "[2, 1, 4]");
    refuses(gru, (cg_tensor *[]){alone, c}, 2, "h_0 is [2, 1, 4]", "[1, 4]");
    refuses(gru, (cg_tensor *[]){h}, 1, "input is [2, 1, 2]", "[length, batch, 3]");
    cg_tensor_destroy(x);
    cg_tensor_destroy(alone);
    cg_tensor_destroy(h);
    cg_tensor_destroy(c);
    cg_module_destroy(lstm);
    cg_module_destroy(gru);
}

/* PyTorch's rule: the mean over the batch of the variances of samples. In eval they are what is used. */
Test(masks, instance_norm_keeps_running_statistics) {
    cg_module *module = module_of("InstanceNorm2d(1, momentum=0.5, track_running_stats=True)");
    cg_tensor *x = test_tensor(device, CG_SHAPE(2, 1, 1, 3), (double[]){1, 2, 3, 4, 8, 12});
    cg_module_forward(module, tape, x);
    test_expect("mean", cg_module_find(module, "running_mean"), CG_SHAPE(1), (double[]){2.5}, 1e-6, 0);
    test_expect("variance", cg_module_find(module, "running_var"), CG_SHAPE(1), (double[]){4.75}, 1e-6, 0);
    test_expect("count", cg_module_find(module, "num_batches_tracked"), CG_SCALAR, (double[]){0}, 0, 0);
    cg_tape_set_mode(tape, CG_EVAL);
    double unit = sqrt(4.75 + 1e-5);
    test_expect("output", cg_module_forward(module, tape, x), CG_SHAPE(2, 1, 1, 3),
                (double[]){-1.5 / unit, -0.5 / unit, 0.5 / unit, 1.5 / unit, 5.5 / unit, 9.5 / unit}, 1e-6, 0);
    cg_tape_reset(tape);
    cg_tensor_destroy(x);
    cg_module_destroy(module);
}

Test(masks, axes_of_one_come_and_go) {
    const double values[] = {1, 2, 3, 4, 5, 6};
    cg_tensor *x = test_tensor(device, CG_SHAPE(2, 1, 3), values);
    test_expect("first", cg_unsqueeze(tape, x, 0), CG_SHAPE(1, 2, 1, 3), values, 0, 0);
    test_expect("last", cg_unsqueeze(tape, x, -1), CG_SHAPE(2, 1, 3, 1), values, 0, 0);
    test_expect("gone", cg_squeeze(tape, x, -2), CG_SHAPE(2, 3), values, 0, 0);
    FAILS(cg_unsqueeze(tape, x, 4), CG_ERR_ARGUMENT, "axis 4", "-4 to 3");
    FAILS(cg_squeeze(tape, x, 0), CG_ERR_SHAPE, "[2, 1, 3]", "2 elements");
    FAILS(cg_squeeze(tape, x, 3), CG_ERR_ARGUMENT, "axis 3", "-3 to 2");
    const cg_batch_norm_options half = {.running_var = x, .training = true};
    cg_tensor *row = test_tensor(device, CG_SHAPE(2, 2, 1), NULL);
    FAILS(cg_instance_norm(tape, row, &(cg_batch_norm_options){.training = true}), CG_ERR_SHAPE, "[2, 2, 1]",
          "more than one");
    FAILS(cg_instance_norm(tape, x, &half), CG_ERR_SHAPE, "running_var", "[2, 1, 3]");
    cg_tape_reset(tape);
    cg_tensor_destroy(x);
    cg_tensor_destroy(row);
}
