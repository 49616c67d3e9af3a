/* Normalization, random numbers, dropout and attention: known values, what training leaves, wrong arguments. */
#include "devices.h"
#include "failures.h"
#include "tensors.h"

#include <clgrad/nn.h>
#include <clgrad/random.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static cg_device *device;
static cg_tape *tape;
static cg_tensor *matrix, *row; /* [2, 3], [3] */

static void open_device(void) {
    device = test_device_open();
    tape = cg_tape_create(device);
    matrix = test_tensor(device, CG_SHAPE(2, 3), (double[]){1, 2, 3, 5, 4, 9});
    row = test_tensor(device, CG_SHAPE(3), (double[]){1, 2, 3});
}

static void close_device(void) {
    cg_tape_destroy(tape);
    cg_tensor_destroy(matrix);
    cg_tensor_destroy(row);
    cg_device_close(device);
}

TestSuite(norms, .init = open_device, .fini = close_device);
TestSuite(random_ops, .init = open_device, .fini = close_device);

static cg_module *module_of(const char *text) {
    cg_module *module = NULL;
    cr_assert(cg_module_parse(device, text, &module) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_module_init(module, 1) == CG_OK, "%s", cg_error_message());
    return module;
}

Test(norms, batch_norm_counts_batches_and_keeps_the_variance_of_a_sample) {
    cg_module *module = module_of("BatchNorm1d(3)");
    cr_assert(cg_module_buffer_count(module) == 3);
    cg_module_forward(module, tape, matrix);
    cr_assert(cg_tape_run(tape) == CG_OK, "%s", cg_error_message());
    test_expect("mean", cg_module_find(module, "running_mean"), CG_SHAPE(3), (double[]){0.3, 0.3, 0.6}, 1e-6, 0);
    test_expect("variance", cg_module_find(module, "running_var"), CG_SHAPE(3), (double[]){1.7, 1.1, 2.7}, 1e-6, 0);
    test_expect("count", cg_module_find(module, "num_batches_tracked"), CG_SCALAR, (double[]){1}, 0, 0);
    cg_tape_set_mode(tape, CG_EVAL);
    cg_module_forward(module, tape, matrix);
    test_expect("count in eval", cg_module_find(module, "num_batches_tracked"), CG_SCALAR, (double[]){1}, 0, 0);
    cg_tape_reset(tape);
    cg_module_destroy(module);
}

Test(norms, momentum_none_is_the_mean_of_all_batches) {
    cg_module *module = module_of("BatchNorm1d(3, momentum=None)");
    cg_module_forward(module, tape, matrix);
    cg_module_forward(module, tape, cg_scale(tape, matrix, 3));
    cr_assert(cg_tape_run(tape) == CG_OK, "%s", cg_error_message());
    test_expect("mean", cg_module_find(module, "running_mean"), CG_SHAPE(3), (double[]){6, 6, 12}, 1e-6, 0);
    test_expect("count", cg_module_find(module, "num_batches_tracked"), CG_SCALAR, (double[]){2}, 0, 0);
    cg_tape_reset(tape);
    cg_module_destroy(module);
}

/* E[x^2] - E[x]^2 would have no digit left. */
Test(norms, a_large_mean_costs_no_digits) {
    cg_tensor *x = test_tensor(device, CG_SHAPE(1, 4), (double[]){8001, 8002, 8003, 8004});
    double unit = sqrt(1.25);
    test_expect("layer_norm", cg_layer_norm(tape, x, 1, NULL, NULL, 0), CG_SHAPE(1, 4),
                (double[]){-1.5 / unit, -0.5 / unit, 0.5 / unit, 1.5 / unit}, 1e-6, 0);
    cg_tape_reset(tape);
    cg_tensor_destroy(x);
}

Test(norms, an_empty_batch_stays_empty) {
    cg_tensor *none = test_tensor(device, CG_SHAPE(0, 3), NULL);
    test_expect("layer_norm", cg_layer_norm(tape, none, 1, row, row, 1e-5), CG_SHAPE(0, 3), NULL, 0, 0);
    test_expect("dropout", cg_dropout(tape, none, 0.5), CG_SHAPE(0, 3), NULL, 0, 0);
    cg_tape_reset(tape);
    cg_tensor_destroy(none);
}

Test(norms, wrong_arguments_are_named) {
    cg_tensor *two = test_tensor(device, CG_SHAPE(2), NULL), *one = test_tensor(device, CG_SHAPE(1, 3), NULL);
    const cg_batch_norm_options wrong = {.weight = two, .training = true};
    const cg_batch_norm_options half = {.running_mean = row, .training = true};
    const cg_batch_norm_options plain = {.training = true};
    FAILS(cg_batch_norm(tape, matrix, &wrong), CG_ERR_SHAPE, "weight is [2]", "[2, 3]");
    FAILS(cg_batch_norm(tape, matrix, &half), CG_ERR_ARGUMENT, "running_var", "batch_norm");
    FAILS(cg_batch_norm(tape, row, &plain), CG_ERR_SHAPE, "[3]", "channels");
    FAILS(cg_batch_norm(tape, one, &plain), CG_ERR_SHAPE, "[1, 3]", "more than one");
    FAILS(cg_layer_norm(tape, matrix, 3, NULL, NULL, 0), CG_ERR_ARGUMENT, "3", "[2, 3]");
    FAILS(cg_layer_norm(tape, matrix, 1, two, NULL, 0), CG_ERR_SHAPE, "[2]", "[2, 3]");
    FAILS(cg_group_norm(tape, matrix, 2, NULL, NULL, 0), CG_ERR_ARGUMENT, "2 groups", "[2, 3]");
    FAILS(cg_local_response_norm(tape, matrix, 0, 1, 1, 1), CG_ERR_ARGUMENT, "0", "size");
    FAILS(cg_dropout(tape, matrix, 1.5), CG_ERR_ARGUMENT, "1.5", "dropout");
    FAILS(cg_feature_dropout(tape, row, 0.5), CG_ERR_SHAPE, "[3]", "feature_dropout");
    FAILS(cg_uniform(tape, &CG_SHAPE(-1), 0, 1), CG_ERR_SHAPE, "[-1]", "uniform");
    FAILS(cg_uniform(tape, &CG_SHAPE(2), 2, 1), CG_ERR_ARGUMENT, "2", "uniform");
    FAILS(cg_normal(tape, &CG_SHAPE(2), 0, -1), CG_ERR_ARGUMENT, "-1", "normal");
    FAILS(cg_bernoulli(tape, &CG_SHAPE(2), NAN), CG_ERR_ARGUMENT, "nan", "bernoulli");
    FAILS(cg_scaled_dot_product_attention(tape, matrix, matrix, row, NULL, NULL), CG_ERR_SHAPE, "[2, 3]", "[3]");
    cg_tensor_destroy(two);
    cg_tensor_destroy(one);
}

static void refuses(const char *text, const char *word) {
    cg_module *module = NULL;
    cg_status status = cg_module_parse(device, text, &module);
    cr_assert(status == CG_ERR_ARGUMENT || status == CG_ERR_NAME, "%s: %s", text, cg_status_name(status));
    cr_assert(strstr(cg_error_message(), word) != NULL, "%s does not say %s: %s", text, word, cg_error_message());
}

Test(norms, layers_refuse_what_does_not_fit) {
    refuses("GroupNorm(4, 6)", "6");
    refuses("LayerNorm([])", "0");
    refuses("Dropout(1.5)", "1.5");
    refuses("Embedding(5, 3, padding_idx=5)", "5");
    refuses("MultiheadAttention(7, 2)", "7");
    refuses("LSTM(3, 4, num_layers=99)", "99");
    refuses("LSTM(3, 4, proj_size=4)", "less than hidden_size 4");
    refuses("LSTM(3, 4, proj_size=-1)", "proj_size is -1");
    refuses("MultiheadAttention(4, 2, kdim=0)", "kdim");
    refuses("TransformerEncoder(TransformerEncoderLayer(4, 2), 1, norm=3)", "norm is 3");
    refuses("TransformerEncoderLayer(7, 2)", "7");
    refuses("Unflatten(9, (2, 3))", "9");
    refuses("Permute([])", "0 axes");
    refuses("Permute([0, 1, 2, 3, 4, 5, 6, 7, 8])", "9 axes");
}

Test(norms, permute_wants_each_axis_once) {
    const char *texts[] = {"Permute([0, 1])",     "Permute([0, 1, 1])",    "Permute([0, 1, 3])",
                           "Permute([0, 1, -4])", "Permute([0, 1, 2, 3])", "Permute([0, 9223372036854775807, 1])"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cg_module *module = module_of(texts[i]);
        cr_expect_eq(cg_module_resolve(module, &CG_SHAPE(2, 3, 4), NULL), CG_ERR_SHAPE, "%s", texts[i]);
        cr_expect(strstr(cg_error_message(), "[2, 3, 4]") != NULL, "%s: %s", texts[i], cg_error_message());
        cg_module_destroy(module);
    }
}

Test(norms, a_layer_of_layers_prints_as_it_was_written) {
    const char *texts[] = {"TransformerEncoderLayer(4, 2, dim_feedforward=6)", "MultiheadAttention(4, 2, bias=False)",
                           "TransformerEncoder(TransformerEncoderLayer(4, 2, dim_feedforward=6), 3)",
                           "TransformerEncoder(TransformerEncoderLayer(4, 2), 1, norm=LayerNorm(4, eps=0.01))"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char printed[128];
        cg_module *module = module_of(texts[i]);
        cg_module_print(module, printed, sizeof printed);
        cr_assert(strcmp(printed, texts[i]) == 0, "%s printed as %s", texts[i], printed);
        cg_module_destroy(module);
    }
}

/* The causal form sees no key behind its query: the first row is the first value, whatever follows. */
Test(norms, causal_attention_sees_no_later_key) {
    cg_tensor *q = test_normal(device, CG_SHAPE(1, 2, 3), 1),
              *v = test_tensor(device, CG_SHAPE(1, 2, 1), (double[]){5, 7});
    cg_tensor *weights = NULL;
    const cg_attention_options causal = {.causal = true};
    cg_tensor *y = cg_scaled_dot_product_attention(tape, q, q, v, &causal, &weights);
    double values[2], shares[4];
    cr_assert(cg_tensor_read_f64(y, values, 2) == CG_OK && cg_tensor_read_f64(weights, shares, 4) == CG_OK);
    cr_assert(values[0] == 5 && shares[0] == 1 && shares[1] == 0, "%g %g %g", values[0], shares[0], shares[1]);
    cr_assert(fabs(shares[2] + shares[3] - 1) < 1e-6);
    cg_tape_reset(tape);
    cg_tensor_destroy(q);
    cg_tensor_destroy(v);
}

#define COUNT 1001

static void read_all(cg_tensor *tensor, double *values) {
    cr_assert(cg_tensor_read_f64(tensor, values, COUNT) == CG_OK, "%s", cg_error_message());
}

/* Draw `place` of step `step` is the host's stream of the same words. */
Test(random_ops, uniforms_are_the_hosts_bits) {
    double *values = test_doubles(COUNT);
    cg_tape_set_seed(tape, 77, 3);
    cg_uniform(tape, &CG_SHAPE(COUNT), 0, 1);
    read_all(cg_uniform(tape, &CG_SHAPE(COUNT), 0, 1), values);
    for (uint64_t i = 0; i < COUNT; i++) {
        double expected = (double)cg_random_uniform(77, (4ull << 32) + 1, i);
        cr_assert(values[i] == expected, "element %d: %.9g, on the host %.9g", (int)i, values[i], expected);
    }
    free(values);
}

Test(random_ops, normals_are_the_hosts_but_for_rounding) {
    double *values = test_doubles(COUNT);
    cg_tape_set_seed(tape, 5, 0);
    read_all(cg_normal(tape, &CG_SHAPE(COUNT), 2, 3), values);
    for (uint64_t i = 0; i < COUNT; i++) {
        double expected = 2 + 3 * (double)cg_random_normal(5, 1ull << 32, i);
        cr_assert(fabs(values[i] - expected) < 1e-4, "element %d: %.9g, on the host %.9g", (int)i, values[i], expected);
    }
    free(values);
}

Test(random_ops, a_step_draws_anew_and_a_seed_draws_again) {
    double *first = test_doubles(COUNT), *next = test_doubles(COUNT), *again = test_doubles(COUNT);
    read_all(cg_bernoulli(tape, &CG_SHAPE(COUNT), 0.3), first);
    cr_assert(cg_tape_run(tape) == CG_OK);
    read_all(cg_bernoulli(tape, &CG_SHAPE(COUNT), 0.3), next);
    cr_assert(cg_tape_run(tape) == CG_OK);
    cg_tape_set_seed(tape, 0, 0);
    read_all(cg_bernoulli(tape, &CG_SHAPE(COUNT), 0.3), again);
    cr_assert(memcmp(first, next, COUNT * sizeof *first) != 0 && memcmp(first, again, COUNT * sizeof *first) == 0);
    double ones = 0;
    for (int i = 0; i < COUNT; i++) {
        ones += first[i];
    }
    cr_assert(fabs(ones / COUNT - 0.3) < 0.06, "%g of 1 share 0.3", ones / COUNT);
    free(first);
    free(next);
    free(again);
}

Test(random_ops, dropout_keeps_the_mean_and_drops_whole_channels) {
    cg_tensor *x = test_tensor(device, CG_SHAPE(1, 50, 2), NULL);
    cr_assert(cg_tensor_fill(x, 1) == CG_OK);
    double values[100];
    cr_assert(cg_tensor_read_f64(cg_feature_dropout(tape, x, 0.5), values, 100) == CG_OK);
    int dropped = 0;
    for (int i = 0; i < 100; i += 2) {
        cr_assert(values[i] == values[i + 1] && (values[i] == 0 || values[i] == 2));
        dropped += values[i] == 0;
    }
    cr_assert(dropped > 10 && dropped < 40, "%d of 50 channels", dropped);
    cr_assert(cg_tensor_read_f64(cg_dropout(tape, x, 1), values, 100) == CG_OK);
    cr_assert(values[0] == 0 && values[99] == 0);
    cg_tape_reset(tape);
    cg_tensor_destroy(x);
}
