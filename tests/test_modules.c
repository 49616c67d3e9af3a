/* Modules: texts and back, names, shapes and their errors, lazy layers, containers, losses. All on the CPU: what a
 * layer computes is proved elsewhere, on every device. */
#include <clgrad/nn.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "tensors.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static cg_device *device;
static cg_tape *tape;

static void open_cpu(void) {
    cr_assert_eq(cg_device_open("cpu,threads=1", &device), CG_OK, "%s", cg_error_message());
    tape = cg_tape_create(device);
    cr_assert_not_null(tape);
}

static void close_cpu(void) {
    cg_tape_destroy(tape);
    cg_device_close(device);
}

TestSuite(modules, .init = open_cpu, .fini = close_cpu);

static cg_module *parsed(const char *text) {
    cg_module *module = NULL;
    cr_assert_eq(cg_module_parse(device, text, &module), CG_OK, "%s: %s", text, cg_error_message());
    return module;
}

static void expect_text(const cg_module *module, const char *expected) {
    char text[1024];
    cr_expect_eq(cg_module_print(module, text, sizeof text), strlen(expected));
    cr_expect_str_eq(text, expected);
}

/* The failure's message has all of these words. */
static void expect_message(const char *about, const char *word) {
    cr_expect_not_null(strstr(cg_error_message(), word), "%s: '%s' lacks '%s'", about, cg_error_message(), word);
}

Test(modules, print_as_they_parse) {
    static const char *const cases[][2] = {
        {"Linear(784, 10)", "Linear(784, 10)"},
        {"Linear(in_features=784, out_features=10, bias=True)", "Linear(784, 10)"},
        {"nn.Linear(784, 10, False)", "Linear(784, 10, bias=False)"},
        {"LazyLinear(10)", "LazyLinear(10)"},
        {"LazyLinear(10, bias=False)", "LazyLinear(10, bias=False)"},
        {"ReLU()", "ReLU()"},
        {"ReLU(inplace=True)", "ReLU(inplace=True)"},
        {"GeneralReLU()", "GeneralReLU()"},
        {"GeneralReLU(0.0, 0.5)", "GeneralReLU(sub=0.5)"},
        {"GeneralReLU(0.1, 0.4, 1)", "GeneralReLU(leak=0.1, sub=0.4, maxv=1)"},
        {"GeneralReLU(maxv=None)", "GeneralReLU()"},
        {"Flatten(1, -1)", "Flatten()"},
        {"Flatten(0)", "Flatten(start_dim=0)"},
        {"Identity()", "Identity()"},
        {"Sequential()", "Sequential()"},
        {"Sequential(ReLU())", "Sequential(ReLU())"},
        {"Flatten(), Linear(18, 4)", "Sequential(Flatten(), Linear(18, 4))"},
        {"Linear(2, 2),", "Linear(2, 2)"},
        {"Residual(Linear(6, 6))", "Residual(Linear(6, 6))"},
        {"Residual(ReLU(), None)", "Residual(ReLU())"},
        {"Residual(shortcut=Identity(), body=Sequential(Linear(6, 6), ReLU()))",
         "Residual(Sequential(Linear(6, 6), ReLU()), Identity())"},
        {"MSELoss()", "MSELoss()"},
        {"MSELoss('sum')", "MSELoss(reduction='sum')"},
        {"CrossEntropyLoss(reduction=\"none\")", "CrossEntropyLoss(reduction='none')"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cg_module *module = parsed(cases[i][0]), *again = parsed(cases[i][1]);
        expect_text(module, cases[i][1]);
        expect_text(again, cases[i][1]);
        cg_module_destroy(module);
        cg_module_destroy(again);
    }
}

Test(modules, print_is_cut_to_the_size_given) {
    cg_module *module = parsed("Linear(784, 10)");
    char text[8] = "unused";
    cr_expect_eq(cg_module_print(module, text, sizeof text), strlen("Linear(784, 10)"));
    cr_expect_str_eq(text, "Linear(");
    cr_expect_eq(cg_module_print(module, NULL, 0), strlen("Linear(784, 10)"));
    cg_module_destroy(module);
}

Test(modules, made_from_c_are_those_made_from_text) {
    cg_module *children[4], *model = NULL, *residual = NULL, *body = NULL;
    cr_assert_eq(cg_module_flatten(device, 1, -1, &children[0]), CG_OK);
    cr_assert_eq(cg_module_linear(device, 6, 6, false, &children[1]), CG_OK);
    cr_assert_eq(cg_module_general_relu(device, 0.1, 1e-3, INFINITY, &children[2]), CG_OK);
    cr_assert_eq(cg_module_linear(device, 6, 6, true, &body), CG_OK);
    cr_assert_eq(cg_module_residual(device, body, NULL, &residual), CG_OK);
    children[3] = residual;
    cr_assert_eq(cg_module_sequential(device, children, 4, &model), CG_OK);
    expect_text(model, "Sequential(Flatten(), Linear(6, 6, bias=False), GeneralReLU(leak=0.1, sub=0.001), "
                       "Residual(Linear(6, 6)))");
    cg_module_destroy(model);
    cg_module *relu = NULL, *loss = NULL;
    cr_assert_eq(cg_module_relu(device, &relu), CG_OK);
    cr_assert_eq(cg_module_cross_entropy_loss(device, CG_REDUCE_SUM, &loss), CG_OK);
    expect_text(relu, "ReLU()");
    expect_text(loss, "CrossEntropyLoss(reduction='sum')");
    cg_module_destroy(loss);
    cr_assert_eq(cg_module_mse_loss(device, CG_REDUCE_MEAN, &loss), CG_OK);
    expect_text(loss, "MSELoss()");
    cg_module_destroy(relu);
    cg_module_destroy(loss);
}

Test(modules, wrong_arguments_from_c_are_errors) {
    cg_module *module = NULL;
    cr_expect_eq(cg_module_linear(device, 0, 3, true, &module), CG_ERR_ARGUMENT);
    cr_expect_null(module);
    cr_expect_eq(cg_module_linear(device, INT64_MAX, INT64_MAX, true, &module), CG_ERR_SHAPE);
    cr_expect_eq(cg_module_flatten(device, 9, -1, &module), CG_ERR_ARGUMENT);
    cr_expect_eq(cg_module_mse_loss(device, (cg_reduction)7, &module), CG_ERR_ARGUMENT);
    cg_module *children[2] = {parsed("ReLU()"), NULL};
    cr_expect_eq(cg_module_sequential(device, children, 2, &module), CG_ERR_ARGUMENT);
    cr_expect_null(module);
    cr_expect_eq(cg_module_residual(device, NULL, parsed("ReLU()"), &module), CG_ERR_ARGUMENT);
}

Test(modules, have_one_parent) {
    cg_module *module = NULL, *relu = parsed("ReLU()");
    cg_module *children[2] = {relu, relu};
    cr_expect_eq(cg_module_sequential(device, children, 2, &module), CG_ERR_ARGUMENT);
    expect_message("one child twice", "belongs to another module");
}

Test(modules, errors_name_what_is_wrong) {
    static const struct {
        const char *text;
        cg_status status;
        const char *words;
    } cases[] = {
        {"Liner(3, 4)", CG_ERR_NAME, "there is no module Liner; did you mean Linear?"},
        {"relu()", CG_ERR_NAME, "did you mean ReLU?"},
        {"Quux()", CG_ERR_NAME, "there are Linear, LazyLinear, "},
        {"torch.tensor([1])", CG_ERR_NAME, "there is no module torch.tensor"},
        {"Linear(3)", CG_ERR_ARGUMENT, "out_features is missing"},
        {"Linear(3, 4", CG_ERR_SYNTAX, "expected ',' or ')'"},
        {"Linear(3.0, 4)", CG_ERR_ARGUMENT, "in_features is 3.0, expected a positive integer"},
        {"Sequential(Linear(3, 4), 5)", CG_ERR_ARGUMENT, "Sequential: modules is 5, expected a module"},
        {"Sequential(ReLU(), Residual(ReLU(), Nix()))", CG_ERR_NAME, "there is no module Nix"},
        {"Residual()", CG_ERR_ARGUMENT, "body is missing"},
        {"MSELoss('avg')", CG_ERR_ARGUMENT, "reduction is 'avg', expected 'mean', 'sum' or 'none'"},
        {"L1Loss(reduce=True)", CG_ERR_NAME, "reduce=True is not there yet, only None"},
        {"CrossEntropyLoss(smoothing=0.1)", CG_ERR_ARGUMENT, "has no argument smoothing; it takes weight=None"},
        {"Flatten(start_dim=100)", CG_ERR_ARGUMENT, "start_dim 100"},
        {"Linear(9223372036854775807, 9223372036854775807)", CG_ERR_SHAPE, "more bytes"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cg_module *module = (cg_module *)&tape;
        cr_expect_eq(cg_module_parse(device, cases[i].text, &module), cases[i].status, "%s", cases[i].text);
        cr_expect_null(module);
        expect_message(cases[i].text, cases[i].words);
    }
}

static void expect_names(const cg_module *module, const char *const *names, size_t count) {
    cr_expect_eq(cg_module_parameter_count(module), count);
    for (size_t i = 0; i < count; i++) {
        const char *name = NULL;
        cg_tensor *tensor = cg_module_parameter(module, i, &name);
        cr_assert_not_null(tensor);
        cr_expect_str_eq(name, names[i]);
        cr_expect_eq(cg_module_find(module, name), tensor);
        cr_expect(cg_tensor_requires_grad(tensor));
    }
    const char *name = "";
    cr_expect_null(cg_module_parameter(module, count, &name));
    cr_expect_null(name);
    cr_expect_null(cg_module_find(module, "no.such"));
}

Test(modules, parameters_have_pytorch_s_names_and_order) {
    static const char *const one[] = {"weight", "bias"}, *const no_bias[] = {"weight"};
    static const char *const tree[] = {"0.weight",          "2.body.0.weight", "2.body.0.bias",
                                       "2.shortcut.weight", "2.shortcut.bias", "3.weight"};
    cg_module *module = parsed("Linear(3, 4)");
    expect_names(module, one, 2);
    cg_module_destroy(module);
    module = parsed("Linear(3, 4, bias=False)");
    expect_names(module, no_bias, 1);
    cg_module_destroy(module);
    module = parsed("Linear(3, 4, bias=False), ReLU(), Residual(Sequential(Linear(4, 5)), Linear(4, 5)), "
                    "Linear(5, 2, bias=False)");
    expect_names(module, tree, 6);
    cr_expect(cg_shape_equal(cg_tensor_shape(cg_module_find(module, "2.body.0.weight")), &CG_SHAPE(5, 4)));
    cr_expect_eq(cg_module_buffer_count(module), 0);
    cr_expect_null(cg_module_buffer(module, 0, NULL));
    cg_module_destroy(module);
}

Test(modules, children_have_names_and_see_their_own_parameters) {
    static const char *const below[] = {"0.weight", "0.bias"};
    const char *name = NULL;
    cg_module *module = parsed("ReLU(), Residual(Sequential(Linear(4, 4)), Identity())");
    cr_expect_eq(cg_module_child_count(module), 2);
    cg_module *residual = cg_module_child(module, 1, &name);
    cr_expect_str_eq(name, "1");
    cr_expect_str_eq(cg_module_class_name(residual), "Residual");
    cg_module *body = cg_module_child(residual, 0, &name);
    cr_expect_str_eq(name, "body");
    expect_names(body, below, 2);
    cg_module_child(residual, 1, &name);
    cr_expect_str_eq(name, "shortcut");
    cr_expect_null(cg_module_child(residual, 2, &name));
    cr_expect_null(name);
    cg_module_destroy(module);
}

static cg_shape resolved(const char *text, cg_shape input, const char *expected) {
    cg_shape output = CG_SCALAR;
    cg_module *module = parsed(text);
    cr_expect_eq(cg_module_resolve(module, &input, &output), CG_OK, "%s: %s", text, cg_error_message());
    expect_text(module, expected);
    cg_module_destroy(module);
    return output;
}

Test(modules, resolve_gives_lazy_layers_their_shapes) {
    cg_shape output = resolved("Flatten(), LazyLinear(512), ReLU(), LazyLinear(10, bias=False)", CG_SHAPE(2, 1, 28, 28),
                               "Sequential(Flatten(), Linear(784, 512), ReLU(), Linear(512, 10, bias=False))");
    cr_expect(cg_shape_equal(&output, &CG_SHAPE(2, 10)));
    output = resolved("Residual(LazyLinear(7), LazyLinear(7))", CG_SHAPE(3, 5), "Residual(Linear(5, 7), Linear(5, 7))");
    cr_expect(cg_shape_equal(&output, &CG_SHAPE(3, 7)));
    output = resolved("LazyLinear(4)", CG_SHAPE(2, 3, 6), "Linear(6, 4)");
    cr_expect(cg_shape_equal(&output, &CG_SHAPE(2, 3, 4)));
    output = resolved("Flatten(0), LazyLinear(1)", CG_SHAPE(2, 3), "Sequential(Flatten(start_dim=0), Linear(6, 1))");
    cr_expect(cg_shape_equal(&output, &CG_SHAPE(1)));
    output = resolved("Sequential()", CG_SHAPE(2, 3), "Sequential()");
    cr_expect(cg_shape_equal(&output, &CG_SHAPE(2, 3)));
}

Test(modules, lazy_parameters_come_with_resolve) {
    static const char *const names[] = {"1.weight", "1.bias", "2.weight", "2.bias"};
    cg_module *module = parsed("Flatten(), LazyLinear(3), Linear(3, 2)");
    expect_names(module, names + 2, 2);
    cr_expect_eq(cg_module_init(module, 0), CG_ERR_STATE);
    expect_message("init before resolve", "LazyLinear(3) has no weights yet");
    cr_expect_eq(cg_module_resolve(module, &CG_SHAPE(4, 2, 2), NULL), CG_OK);
    expect_names(module, names, 4);
    cr_expect(cg_shape_equal(cg_tensor_shape(cg_module_find(module, "1.weight")), &CG_SHAPE(3, 4)));
    cr_expect_eq(cg_module_init(module, 0), CG_OK);
    cr_expect_eq(cg_module_resolve(module, &CG_SHAPE(9, 2, 2), NULL), CG_OK, "another batch size fits");
    cr_expect_eq(cg_module_resolve(module, &CG_SHAPE(9, 2, 3), NULL), CG_ERR_SHAPE, "another sample does not");
    cg_module_destroy(module);
}

Test(modules, shape_errors_name_the_layer_and_both_shapes) {
    static const struct {
        const char *text;
        cg_shape input;
        const char *words;
    } cases[] = {
        {"Linear(3, 4)", {{2, 5}, 2}, "Linear(3, 4): input is [2, 5], weight is [4, 3]: the input's last dimension"},
        {"Linear(3, 4)", {{0}, 0}, "Linear(3, 4): input is [], weight is [4, 3]"},
        {"ReLU(), Linear(3, 4), Linear(5, 6)", {{2, 3}, 2}, "2 (Linear(5, 6)): input is [2, 4], weight is [6, 5]"},
        {"ReLU(), Residual(Sequential(Linear(3, 4), ReLU(), Linear(3, 3)))",
         {{2, 3}, 2},
         "1.body.2 (Linear(3, 3)): input is [2, 4]"},
        {"ReLU(), Residual(Linear(3, 4))", {{2, 3}, 2}, "1 (Residual): the body gives [2, 4], the shortcut [2, 3]"},
        {"Residual(Linear(3, 1))", {{2, 3}, 2}, "Residual: the body gives [2, 1], the shortcut [2, 3]"},
        {"Identity(), Flatten(2)", {{2, 3}, 2}, "1 (Flatten(start_dim=2)): "},
        {"LazyLinear(3)", {{2, 0}, 2}, "LazyLinear(3): input is [2, 0]"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cg_module *module = parsed(cases[i].text);
        cg_status status = cg_module_resolve(module, &cases[i].input, NULL);
        cr_expect(status == CG_ERR_SHAPE || status == CG_ERR_ARGUMENT, "%s: %s", cases[i].text, cg_status_name(status));
        cr_expect_eq(strncmp(cg_error_message(), cases[i].words, strlen(cases[i].words)), 0, "%s", cg_error_message());
        cg_module_destroy(module);
    }
}

Test(modules, a_failed_forward_fails_the_tape_with_the_layer_s_name) {
    cg_module *module = parsed("Linear(3, 4), Linear(5, 6)");
    cg_tensor *x = test_tensor(device, CG_SHAPE(2, 3), NULL);
    cg_tensor *y = cg_relu(tape, cg_module_forward(module, tape, x));
    cr_expect_not_null(y);
    cr_expect_eq(cg_tape_status(tape), CG_ERR_SHAPE);
    cr_expect_eq(strncmp(cg_tape_error(tape), "1 (Linear(5, 6)): input is [2, 4]", 33), 0, "%s", cg_tape_error(tape));
    cr_expect_eq(cg_tape_run(tape), CG_ERR_SHAPE);
    cg_tensor *output = NULL;
    size_t count = 1;
    cr_expect_eq(cg_module_call(module, tape, &x, 1, &output, &count), CG_ERR_SHAPE, "the first error sticks");
    cr_expect_eq(count, 0);
    cg_tape_reset(tape);
    cr_expect_eq(cg_tape_status(tape), CG_OK);
    cg_tensor_destroy(x);
    cg_module_destroy(module);
}

Test(modules, count_their_inputs_and_outputs) {
    cg_module *loss = parsed("MSELoss()");
    cg_tensor *x = test_tensor(device, CG_SHAPE(2, 3), NULL), *output = NULL, *missing[2] = {x, NULL};
    size_t count = 1;
    cr_expect_eq(cg_module_call(loss, tape, &x, 1, &output, &count), CG_ERR_ARGUMENT);
    expect_message("one input", "MSELoss(): takes 2 inputs (input, target), 1 given");
    cg_tape_reset(tape);
    count = 0;
    cr_expect_eq(cg_module_call(loss, tape, (cg_tensor *[]){x, x}, 2, &output, &count), CG_ERR_ARGUMENT);
    expect_message("no room", "has 1 outputs, room for 0");
    cg_tape_reset(tape);
    count = 1;
    cr_expect_eq(cg_module_call(loss, tape, missing, 2, &output, &count), CG_ERR_ARGUMENT);
    expect_message("NULL", "input 1 (input, target) is NULL");
    cg_tape_reset(tape);
    count = 1;
    cr_expect_eq(cg_module_call(loss, tape, (cg_tensor *[]){x, x}, 2, &output, &count), CG_OK);
    cr_expect_eq(count, 1);
    cg_tape_reset(tape);
    cg_tensor_destroy(x);
    cg_module_destroy(loss);
}

/* Writes a parameter's values. */
static void set(const cg_module *module, const char *name, const double *values) {
    cg_tensor *tensor = cg_module_find(module, name);
    cr_assert_not_null(tensor);
    cr_assert_eq(cg_tensor_write_f64(tensor, values, cg_tensor_numel(tensor)), CG_OK);
}

Test(modules, compute_what_their_text_says) {
    cg_module *module =
        parsed("Residual(Sequential(Linear(2, 2), GeneralReLU(0.5, 0.25, 4)), Linear(2, 2, bias=False))");
    set(module, "body.0.weight", (double[]){1, 2, -1, 0});
    set(module, "body.0.bias", (double[]){1, -1});
    set(module, "shortcut.weight", (double[]){0, 1, 1, 0});
    cg_tensor *x = test_tensor(device, CG_SHAPE(2, 2), (double[]){1, 2, 1, 0});
    cg_tensor *y = cg_module_forward(module, tape, x);
    /* the body: [6, -2] and [2, -2]; leaky, shifted and clamped: [4, -1.25] and [1.75, -1.25] */
    test_expect("residual", y, CG_SHAPE(2, 2), (double[]){6, -0.25, 1.75, -0.25}, 0, 1e-6);
    cr_expect_eq(cg_tape_run(tape), CG_OK);
    cg_tensor_destroy(x);
    cg_module_destroy(module);
}

Test(modules, losses_reduce_as_told) {
    static const char *const texts[] = {"MSELoss()", "MSELoss('sum')", "CrossEntropyLoss()",
                                        "CrossEntropyLoss(reduction='sum')"};
    static const double expected[] = {2.5, 10.0, 0.8132616875182228, 1.6265233750364456};
    cg_tensor *x = test_tensor(device, CG_SHAPE(2, 2), (double[]){1, 2, 3, 4});
    cg_tensor *t = test_tensor(device, CG_SHAPE(2, 2), (double[]){1, 3, 6, 4});
    cg_tensor *classes = test_classes(device, CG_I64, CG_SHAPE(2), (int64_t[]){0, 1});
    for (size_t i = 0; i < COUNT(texts); i++) {
        cg_module *loss = parsed(texts[i]);
        cg_tensor *inputs[] = {x, i < 2 ? t : classes}, *output = NULL;
        size_t count = 1;
        cr_assert_eq(cg_module_call(loss, tape, inputs, 2, &output, &count), CG_OK, "%s", cg_error_message());
        test_expect(texts[i], output, CG_SCALAR, &expected[i], 1e-6, 0);
        cr_expect_eq(cg_tape_run(tape), CG_OK);
        cg_module_destroy(loss);
    }
    cg_tensor_destroy(x);
    cg_tensor_destroy(t);
    cg_tensor_destroy(classes);
}

/* What an observer heard, one line a module. */
typedef struct heard {
    char lines[8][96];
    size_t count;
} heard;

static void listen(void *context, const cg_module *module, const char *path, const cg_tensor *output, double flops) {
    heard *all = context;
    snprintf(all->lines[all->count++ % 8], 96, "%s %s %s %.0f", path, cg_module_class_name(module),
             cg_shape_print(cg_tensor_shape(output), CG_SHAPE_TEXT), flops);
}

Test(modules, observers_hear_paths_shapes_and_flops) {
    static const char *const expected[] = {"0 Flatten [2, 6] 0", "1.body Linear [2, 6] 144", "1 Residual [2, 6] 144",
                                           "2 Linear [2, 5] 120", " Sequential [2, 5] 264"};
    heard all = {.count = 0};
    cg_module *module = parsed("Flatten(), Residual(Linear(6, 6)), LazyLinear(5)");
    cg_module_observe(module, listen, &all);
    cr_expect_eq(cg_module_resolve(module, &CG_SHAPE(2, 3, 2), NULL), CG_OK, "%s", cg_error_message());
    cr_assert_eq(all.count, COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++) {
        cr_expect_str_eq(all.lines[i], expected[i]);
    }
    cg_module_observe(module, NULL, NULL);
    cr_expect_eq(cg_module_resolve(module, &CG_SHAPE(2, 3, 2), NULL), CG_OK);
    cr_expect_eq(all.count, COUNT(expected));
    cg_module_destroy(module);
}

/* The host's memory, or that of a device which keeps its buffers there. */
static bool memory_is_out(cg_status status) {
    return status == CG_ERR_MEMORY || status == CG_ERR_DEVICE_MEMORY;
}

Test(modules, running_out_of_memory_is_an_error_and_leaks_nothing) {
    cg_status status = CG_ERR_MEMORY;
    long call = 1;
    for (; memory_is_out(status) && call < 1000; call++) {
        cg_module *module = NULL;
        cg_alloc_fail_at(call);
        status = cg_module_parse(device, "Flatten(), Residual(Linear(6, 6), Identity()), LazyLinear(5)", &module);
        if (status == CG_OK) {
            status = cg_module_resolve(module, &CG_SHAPE(2, 3, 2), NULL);
        }
        cg_alloc_fail_at(0);
        cg_module_destroy(module);
    }
    cr_expect_eq(status, CG_OK, "%s", cg_error_message());
    cr_expect(call > 50, "only %ld allocations failed", call);
}
