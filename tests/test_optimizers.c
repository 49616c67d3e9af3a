/* Optimizers: texts, their errors, and five steps against PyTorch's formulas written out in double. */
#include "devices.h"

#include <clgrad/optim.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "tensors.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { N = 6, STEPS = 5 };

static const double start[N] = {0.5, -1.25, 2.0, 0.0, -0.75, 3.5};

/* The gradient of sum(p p c) with a new c each step: 2 p c. */
static double coefficient(int step, int i) {
    return (double)((step * 5 + i * 3) % 7 - 3) / 4.0;
}

/* A parameter and its optimizer on one device. */
typedef struct fixture {
    cg_device *device;
    cg_tape *tape;
    cg_tensor *parameter, *c;
    cg_optimizer *optimizer;
} fixture;

static fixture opened(cg_device *device, const char *text) {
    fixture f = {.device = device, .tape = cg_tape_create(device)};
    f.parameter = test_tensor(device, CG_SHAPE(N), start);
    f.c = test_tensor(device, CG_SHAPE(N), NULL);
    cg_tensor_set_requires_grad(f.parameter, true);
    cr_assert_eq(cg_optimizer_create(text, &f.parameter, NULL, 1, &f.optimizer), CG_OK, "%s", cg_error_message());
    return f;
}

/* All but the device. */
static void let_go(fixture *f) {
    cg_optimizer_destroy(f->optimizer);
    cg_tape_destroy(f->tape);
    cg_tensor_destroy(f->parameter);
    cg_tensor_destroy(f->c);
}

static void closed(fixture *f) {
    let_go(f);
    cg_device_close(f->device);
}

static void backward(fixture *f, int step) {
    double c[N];
    for (int i = 0; i < N; i++) {
        c[i] = coefficient(step, i);
    }
    cr_assert_eq(cg_tensor_write_f64(f->c, c, N), CG_OK, "%s", cg_error_message());
    cg_tensor *loss = cg_sum(f->tape, cg_mul(f->tape, cg_square(f->tape, f->parameter), f->c), CG_ALL_AXES, false);
    cr_assert_eq(cg_backward(f->tape, loss), CG_OK, "%s", cg_error_message());
}

static void step(fixture *f, int number) {
    backward(f, number);
    cr_assert_eq(cg_optimizer_step(f->optimizer, f->tape), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_tape_run(f->tape), CG_OK, "%s", cg_error_message());
}

/* torch.optim's documented algorithms, one element at a time. */
typedef struct settings {
    const char *text;
    bool adam, decoupled, nesterov;
    double lr, momentum, dampening, weight_decay, beta1, beta2, eps;
} settings;

typedef struct element {
    double p, m, v; /* parameter; momentum buffer or first moment; second moment */
} element;

static void sgd(const settings *s, element *e, double g, int t) {
    g += s->weight_decay * e->p;
    if (s->momentum != 0) {
        e->m = t == 1 ? g : s->momentum * e->m + (1 - s->dampening) * g;
        g = s->nesterov ? g + s->momentum * e->m : e->m;
    }
    e->p -= s->lr * g;
}

static void adam(const settings *s, element *e, double g, int t) {
    if (s->decoupled) {
        e->p -= s->lr * s->weight_decay * e->p;
    } else {
        g += s->weight_decay * e->p;
    }
    e->m = s->beta1 * e->m + (1 - s->beta1) * g;
    e->v = s->beta2 * e->v + (1 - s->beta2) * g * g;
    double m = e->m / (1 - pow(s->beta1, t)), v = e->v / (1 - pow(s->beta2, t));
    e->p -= s->lr * m / (sqrt(v) + s->eps);
}

static const settings all[] = {
    {.text = "SGD(lr=0.1)", .lr = 0.1},
    {.text = "SGD(0.1, weight_decay=0.05)", .lr = 0.1, .weight_decay = 0.05},
    {.text = "SGD(lr=0.1, momentum=0.9)", .lr = 0.1, .momentum = 0.9},
    {.text = "SGD(lr=0.1, momentum=0.8, dampening=0.3, weight_decay=0.01)",
     .lr = 0.1,
     .momentum = 0.8,
     .dampening = 0.3,
     .weight_decay = 0.01},
    {.text = "SGD(lr=0.1, momentum=0.9, nesterov=True)", .lr = 0.1, .momentum = 0.9, .nesterov = true},
    {.text = "Adam()", .adam = true, .lr = 0.001, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8},
    {.text = "Adam(lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)",
     .adam = true,
     .lr = 0.01,
     .beta1 = 0.8,
     .beta2 = 0.95,
     .eps = 1e-6,
     .weight_decay = 0.1},
    {.text = "AdamW(lr=0.02)",
     .adam = true,
     .decoupled = true,
     .lr = 0.02,
     .beta1 = 0.9,
     .beta2 = 0.999,
     .eps = 1e-8,
     .weight_decay = 0.01},
};

static void five_steps(cg_device *device, const settings *s, double tolerance) {
    fixture f = opened(device, s->text);
    element e[N] = {{0}};
    for (int i = 0; i < N; i++) {
        e[i].p = start[i];
    }
    for (int t = 1; t <= STEPS; t++) {
        double expected[N];
        step(&f, t);
        for (int i = 0; i < N; i++) {
            double g = 2 * e[i].p * coefficient(t, i);
            (s->adam ? adam : sgd)(s, &e[i], g, t);
            expected[i] = e[i].p;
        }
        test_expect(s->text, f.parameter, CG_SHAPE(N), expected, tolerance, tolerance);
    }
    cr_expect_eq(cg_optimizer_steps(f.optimizer), STEPS);
    closed(&f);
}

Test(optimizers, follow_their_formulas_in_float) {
    for (size_t i = 0; i < COUNT(all); i++) {
        five_steps(test_device_open(), &all[i], 2e-6);
    }
}

Test(optimizers, follow_their_formulas_in_double) {
    for (size_t i = 0; i < COUNT(all); i++) {
        five_steps(test_oracle_open(), &all[i], 1e-14);
    }
}

/* Every optimizer, with every state that its options may ask for. */
static const char *const every[] = {
    "SGD(lr=0.1)",
    "SGD(lr=0.1, momentum=0.8, dampening=0.3, weight_decay=0.01)",
    "SGD(lr=0.1, momentum=0.9, nesterov=True, maximize=True)",
    "Adam(lr=0.01, weight_decay=0.1)",
    "Adam(lr=0.01, amsgrad=True, maximize=True)",
    "AdamW(lr=0.02)",
    "RMSprop(lr=0.01)",
    "RMSprop(lr=0.01, alpha=0.9, momentum=0.5, centered=True)",
    "RMSprop(lr=0.01, momentum=0.5, weight_decay=0.1)",
    "Adagrad(lr=0.1, lr_decay=0.1, initial_accumulator_value=0.5)",
    "Adadelta(lr=0.7, rho=0.8)",
    "NAdam(lr=0.01, momentum_decay=0.3)",
    "NAdam(lr=0.01, weight_decay=0.1, decoupled_weight_decay=True)",
    "RAdam(lr=0.01, betas=(0.8, 0.9))",
    "Lion(lr=0.01, weight_decay=0.1)",
    "LAMB(lr=0.01)",
};

/* The values of state `index`. */
static int64_t read_state(const cg_optimizer *optimizer, size_t index, double *values) {
    cg_tensor *state = cg_optimizer_state(optimizer, index, NULL);
    cr_assert_eq(cg_tensor_read_f64(state, values, cg_tensor_numel(state)), CG_OK, "%s", cg_error_message());
    return cg_tensor_numel(state);
}

/* Three steps, then a new optimizer given the state, the parameter and the number of steps, and two more. */
static void resumed(cg_device *device, const char *made_of, double *values) {
    fixture f = opened(device, made_of);
    for (int t = 1; t <= 3; t++) {
        step(&f, t);
    }
    cg_optimizer *next = NULL;
    char text[256];
    cg_optimizer_print(f.optimizer, text, sizeof text);
    cr_assert_eq(cg_optimizer_create(text, &f.parameter, NULL, 1, &next), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_optimizer_state_count(next), cg_optimizer_state_count(f.optimizer));
    for (size_t i = 0; i < cg_optimizer_state_count(next); i++) {
        double state[N];
        int64_t count = read_state(f.optimizer, i, state);
        cr_assert_eq(cg_tensor_write_f64(cg_optimizer_state(next, i, NULL), state, count), CG_OK);
    }
    cg_optimizer_set_steps(next, cg_optimizer_steps(f.optimizer));
    cg_optimizer_destroy(f.optimizer);
    f.optimizer = next;
    step(&f, 4);
    step(&f, 5);
    cr_assert_eq(cg_tensor_read_f64(f.parameter, values, N), CG_OK);
    let_go(&f);
}

static void uninterrupted(cg_device *device, const char *text, double *values) {
    fixture f = opened(device, text);
    for (int t = 1; t <= STEPS; t++) {
        step(&f, t);
    }
    cr_assert_eq(cg_tensor_read_f64(f.parameter, values, N), CG_OK);
    let_go(&f);
}

Test(optimizers, go_on_after_a_pause_with_the_same_bits) {
    cg_device *device = test_device_open();
    for (size_t i = 0; i < COUNT(every); i++) {
        double without[N], again[N], with[N];
        uninterrupted(device, every[i], without);
        uninterrupted(device, every[i], again);
        resumed(device, every[i], with);
        cr_expect_eq(memcmp(again, without, sizeof with), 0, "%s: twice", every[i]);
        cr_expect_eq(memcmp(with, without, sizeof with), 0, "%s: resumed", every[i]);
        cr_expect_neq(memcmp(without, start, sizeof with), 0, "%s: does nothing", every[i]);
    }
    cg_device_close(device);
}

/* Lion and LAMB, which PyTorch lacks, as their papers have them. */
static void lion(element *e, double g, double beta2) {
    double d = 0.9 * e->m + 0.1 * g;
    e->p -= 0.01 * 0.1 * e->p + 0.01 * ((d > 0) - (d < 0));
    e->m = beta2 * e->m + (1 - beta2) * g;
}

static void lamb(element *e, double *g, int t) {
    double direction[N], p_squared = 0, d_squared = 0;
    for (int i = 0; i < N; i++) {
        e[i].m = 0.9 * e[i].m + 0.1 * g[i];
        e[i].v = 0.999 * e[i].v + 0.001 * g[i] * g[i];
        direction[i] = e[i].m / (1 - pow(0.9, t)) / (sqrt(e[i].v / (1 - pow(0.999, t))) + 1e-6) + 0.01 * e[i].p;
        p_squared += e[i].p * e[i].p;
        d_squared += direction[i] * direction[i];
    }
    for (int i = 0; i < N; i++) {
        e[i].p -= 0.02 * sqrt(p_squared) / sqrt(d_squared) * direction[i];
    }
}

/* beta2: Lion's; 0 for LAMB, whose are Adam's. */
static void from_a_paper(cg_device *device, const char *text, double beta2, double tolerance) {
    fixture f = opened(device, text);
    element e[N] = {{0}};
    for (int i = 0; i < N; i++) {
        e[i].p = start[i];
    }
    for (int t = 1; t <= STEPS; t++) {
        double g[N], expected[N];
        step(&f, t);
        for (int i = 0; i < N; i++) {
            g[i] = 2 * e[i].p * coefficient(t, i);
            if (beta2 > 0) {
                lion(&e[i], g[i], beta2);
            }
        }
        if (beta2 == 0) {
            lamb(e, g, t);
        }
        for (int i = 0; i < N; i++) {
            expected[i] = e[i].p;
        }
        test_expect(text, f.parameter, CG_SHAPE(N), expected, tolerance, tolerance);
    }
    closed(&f);
}

Test(optimizers, lion_and_lamb_follow_their_papers) {
    static const struct {
        const char *text;
        double beta2; /* a small one: the gradient and what is remembered of others often differ in sign */
    } rows[] = {{"LAMB(lr=0.02)", 0},
                {"Lion(lr=0.01, weight_decay=0.1)", 0.99},
                {"Lion(lr=0.01, betas=(0.9, 0.2), weight_decay=0.1)", 0.2}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        from_a_paper(test_device_open(), rows[i].text, rows[i].beta2, 2e-6);
        from_a_paper(test_oracle_open(), rows[i].text, rows[i].beta2, 1e-14);
    }
}

/* A norm of 0 scales nothing. */
Test(optimizers, lamb_moves_a_parameter_of_zeros) {
    fixture f = opened(test_device_open(), "LAMB(lr=0.5)");
    const double zeros[N] = {0};
    cr_assert_eq(cg_tensor_write_f64(f.parameter, zeros, N), CG_OK);
    cr_assert_eq(cg_backward(f.tape, cg_sum(f.tape, f.parameter, CG_ALL_AXES, false)), CG_OK);
    cr_assert_eq(cg_optimizer_step(f.optimizer, f.tape), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_tape_run(f.tape), CG_OK);
    test_expect("zeros", f.parameter, CG_SHAPE(N), (double[]){-0.5, -0.5, -0.5, -0.5, -0.5, -0.5}, 1e-5, 1e-5);
    closed(&f);
}

Test(optimizers, a_gradient_that_is_no_number_stays_visible) {
    for (size_t i = 0; i < COUNT(every); i++) {
        fixture f = opened(test_device_open(), every[i]);
        double c[N] = {1, (double)NAN, 1, 1, 1, 1}, p[N];
        cr_assert_eq(cg_tensor_write_f64(f.c, c, N), CG_OK);
        cg_tensor *loss = cg_sum(f.tape, cg_mul(f.tape, f.parameter, f.c), CG_ALL_AXES, false);
        cr_assert_eq(cg_backward(f.tape, loss), CG_OK);
        cr_assert_eq(cg_optimizer_step(f.optimizer, f.tape), CG_OK);
        cr_assert_eq(cg_tape_run(f.tape), CG_OK);
        cr_assert_eq(cg_tensor_read_f64(f.parameter, p, N), CG_OK);
        cr_expect(isnan(p[1]), "%s: %g", every[i], p[1]);
        closed(&f);
    }
}

Test(optimizers, follow_a_learning_rate_that_changes) {
    fixture f = opened(test_device_open(), "SGD(lr=0.1)");
    double expected[N];
    memcpy(expected, start, sizeof expected);
    for (int t = 1; t <= 3; t++) {
        cg_optimizer_set_lr(f.optimizer, 0.1 / t);
        cr_expect_eq(cg_optimizer_lr(f.optimizer), 0.1 / t);
        step(&f, t);
        for (int i = 0; i < N; i++) {
            expected[i] -= 0.1 / t * 2 * expected[i] * coefficient(t, i);
        }
    }
    test_expect("changing lr", f.parameter, CG_SHAPE(N), expected, 2e-6, 2e-6);
    closed(&f);
}

Test(optimizers, use_gradients_up_and_add_those_of_several_batches) {
    fixture f = opened(test_device_open(), "SGD(lr=0.1)");
    double expected[N];
    backward(&f, 1);
    cr_assert_eq(cg_tape_run(f.tape), CG_OK);
    backward(&f, 2);
    cr_assert_eq(cg_optimizer_step(f.optimizer, f.tape), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_tape_run(f.tape), CG_OK);
    for (int i = 0; i < N; i++) {
        expected[i] = start[i] - 0.1 * 2 * start[i] * (coefficient(1, i) + coefficient(2, i));
    }
    test_expect("two batches", f.parameter, CG_SHAPE(N), expected, 2e-6, 2e-6);
    cr_assert_eq(cg_optimizer_step(f.optimizer, f.tape), CG_OK);
    cr_assert_eq(cg_tape_run(f.tape), CG_OK);
    test_expect("no gradient, no change", f.parameter, CG_SHAPE(N), expected, 2e-6, 2e-6);
    closed(&f);
}

Test(optimizers, leave_a_parameter_without_a_gradient_alone) {
    cg_device *device = test_device_open();
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *used = test_tensor(device, CG_SHAPE(2), (double[]){1, 2});
    cg_tensor *unused = test_tensor(device, CG_SHAPE(2), (double[]){3, 4});
    cg_optimizer *optimizer = NULL;
    cg_tensor_set_requires_grad(used, true);
    cg_tensor_set_requires_grad(unused, true);
    cr_assert_eq(cg_optimizer_create("AdamW(lr=0.5)", (cg_tensor *[]){unused, used}, NULL, 2, &optimizer), CG_OK);
    cr_assert_eq(cg_backward(tape, cg_sum(tape, used, CG_ALL_AXES, false)), CG_OK);
    cr_assert_eq(cg_optimizer_step(optimizer, tape), CG_OK);
    cr_assert_eq(cg_tape_run(tape), CG_OK);
    test_expect("unused", unused, CG_SHAPE(2), (double[]){3, 4}, 0, 0);
    test_expect("used", used, CG_SHAPE(2), (double[]){0.495, 1.49}, 1e-5, 0);
    cg_optimizer_destroy(optimizer);
    cg_tape_destroy(tape);
    cg_tensor_destroy(used);
    cg_tensor_destroy(unused);
    cg_device_close(device);
}

Test(optimizers, step_without_the_heap_after_the_first) {
    for (size_t i = 0; i < COUNT(every); i++) {
        fixture f = opened(test_device_open(), every[i]);
        step(&f, 1);
        step(&f, 2);
        backward(&f, 3);
        uint64_t before = cg_host_allocations();
        cr_assert_eq(cg_optimizer_step(f.optimizer, f.tape), CG_OK);
        cr_expect_eq(cg_host_allocations() - before, 0, "%s", every[i]);
        cr_assert_eq(cg_tape_run(f.tape), CG_OK);
        closed(&f);
    }
}

Test(optimizers, fail_with_the_tape) {
    fixture f = opened(test_device_open(), "SGD(lr=0.1, momentum=0.5)");
    backward(&f, 1);
    cg_add(f.tape, f.parameter, NULL);
    cr_expect_neq(cg_optimizer_step(f.optimizer, f.tape), CG_OK);
    cr_expect_eq(cg_optimizer_steps(f.optimizer), 0);
    cg_tape_reset(f.tape);
    test_expect("nothing ran", f.parameter, CG_SHAPE(N), start, 0, 0);
    closed(&f);
}

static cg_module *parsed(cg_device *device, const char *text) {
    cg_module *module = NULL;
    cr_assert_eq(cg_module_parse(device, text, &module), CG_OK, "%s", cg_error_message());
    return module;
}

Test(optimizers, print_all_arguments_and_parse_them_again) {
    static const char *const cases[][2] = {
        {"SGD()", "SGD(lr=0.001, momentum=0, dampening=0, weight_decay=0, nesterov=False, maximize=False)"},
        {"SGD(1, 0.9, nesterov=True)",
         "SGD(lr=1.0, momentum=0.9, dampening=0, weight_decay=0, nesterov=True, maximize=False)"},
        {"torch.optim.Adam(lr=1e-2)",
         "Adam(lr=0.01, betas=(0.9, 0.999), eps=1e-08, weight_decay=0, amsgrad=False, maximize=False, "
         "decoupled_weight_decay=False)"},
        {"AdamW(betas=[0.5, 0.9])",
         "AdamW(lr=0.001, betas=[0.5, 0.9], eps=1e-08, weight_decay=0.01, amsgrad=False, maximize=False)"},
    };
    cg_device *device = test_device_open();
    cg_module *model = parsed(device, "Linear(2, 3)");
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (int j = 0; j < 2; j++) {
            cg_optimizer *optimizer = NULL;
            char text[256];
            cr_assert_eq(cg_optimizer_parse(cases[i][j], model, &optimizer), CG_OK, "%s", cg_error_message());
            cr_expect_eq(cg_optimizer_print(optimizer, text, sizeof text), strlen(cases[i][1]));
            cr_expect_str_eq(text, cases[i][1]);
            cg_optimizer_destroy(optimizer);
        }
    }
    cg_module_destroy(model);
    cg_device_close(device);
}

Test(optimizers, state_has_the_parameters_names) {
    static const struct {
        const char *text, *names[4];
    } cases[] = {
        {"SGD()", {NULL}},
        {"SGD(momentum=0.9)", {"momentum_buffer"}},
        {"Adam()", {"exp_avg", "exp_avg_sq"}},
        {"AdamW(amsgrad=True)", {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}},
        {"RMSprop()", {"square_avg"}},
        {"RMSprop(momentum=0.9)", {"square_avg", "momentum_buffer"}},
        {"RMSprop(centered=True)", {"square_avg", "grad_avg"}},
        {"Adagrad()", {"sum"}},
        {"Adadelta()", {"square_avg", "acc_delta"}},
        {"NAdam()", {"exp_avg", "exp_avg_sq", "mu_product"}},
        {"RAdam()", {"exp_avg", "exp_avg_sq"}},
        {"Lion()", {"exp_avg"}},
        {"LAMB()", {"exp_avg", "exp_avg_sq"}},
    };
    static const char *const parameters[] = {"0.weight", "0.bias", "2.weight"};
    cg_device *device = test_device_open();
    cg_module *model = parsed(device, "Linear(2, 3), ReLU(), Linear(3, 1, bias=False)");
    for (size_t i = 0; i < COUNT(cases); i++) {
        cg_optimizer *optimizer = NULL;
        cr_assert_eq(cg_optimizer_parse(cases[i].text, model, &optimizer), CG_OK, "%s", cg_error_message());
        size_t index = 0;
        for (size_t j = 0; j < COUNT(parameters); j++) {
            for (size_t k = 0; k < 4 && cases[i].names[k] != NULL; k++) {
                const char *name = NULL;
                char expected[64];
                snprintf(expected, sizeof expected, "%s.%s", parameters[j], cases[i].names[k]);
                cr_assert_not_null(cg_optimizer_state(optimizer, index++, &name));
                cr_expect_str_eq(name, expected);
            }
        }
        cr_expect_eq(cg_optimizer_state_count(optimizer), index, "%s", cases[i].text);
        cr_expect_null(cg_optimizer_state(optimizer, index, NULL));
        cg_optimizer_destroy(optimizer);
    }
    cg_module_destroy(model);
    cg_device_close(device);
}

Test(optimizers, errors_name_what_is_wrong) {
    static const struct {
        const char *text;
        cg_status status;
        const char *words;
    } cases[] = {
        {"Adma()", CG_ERR_NAME, "there is no optimizer Adma; did you mean Adam"},
        {"LBFGS()", CG_ERR_NAME, "there are SGD, Adam, AdamW"},
        {"SGD", CG_ERR_SYNTAX, "expected '('"},
        {"SGD(), Adam()", CG_ERR_SYNTAX, "expected one optimizer, there are 2"},
        {"SGD(lr=-1)", CG_ERR_ARGUMENT, "SGD: lr is -1, expected a finite number of at least 0"},
        {"SGD(lr=nan)", CG_ERR_ARGUMENT, "SGD: lr is"},
        {"SGD(lr=inf)", CG_ERR_ARGUMENT, "SGD: lr is inf"},
        {"SGD(lr='fast')", CG_ERR_ARGUMENT, "SGD: lr is 'fast', expected a number"},
        {"SGD(momentum=-0.1)", CG_ERR_ARGUMENT, "SGD: momentum is -0.1"},
        {"SGD(weight_decay=-0.1)", CG_ERR_ARGUMENT, "SGD: weight_decay is -0.1"},
        {"SGD(nesterov=True)", CG_ERR_ARGUMENT, "nesterov needs a momentum above 0"},
        {"SGD(momentum=0.9, dampening=0.1, nesterov=True)", CG_ERR_ARGUMENT, "nesterov needs"},
        {"Adam(betas=(0.9, 1.0))", CG_ERR_ARGUMENT, "Adam: betas is (0.9, 1), expected at least 0 and below 1"},
        {"Adam(betas=0.9)", CG_ERR_ARGUMENT, "Adam: betas is 0.9, expected (float, float)"},
        {"Adam(eps=-1e-8)", CG_ERR_ARGUMENT, "Adam: eps is -1e-08"},
        {"AdamW(weight_decay=-1)", CG_ERR_ARGUMENT, "AdamW: weight_decay is -1"},
        {"AdamW(betas=(-0.1, 0.9))", CG_ERR_ARGUMENT, "AdamW: betas is (-0.1, 0.9)"},
        {"NAdam(betas=(0.9, nan))", CG_ERR_ARGUMENT, "NAdam: betas is (0.9, nan)"},
        {"NAdam(momentum_decay=-1)", CG_ERR_ARGUMENT, "NAdam: momentum_decay is -1"},
        {"RMSprop(alpha=-0.5)", CG_ERR_ARGUMENT, "RMSprop: alpha is -0.5"},
        {"RMSprop(centered=1)", CG_ERR_ARGUMENT, "RMSprop: centered is 1, expected True or False"},
        {"Adagrad(initial_accumulator_value=-1)", CG_ERR_ARGUMENT, "Adagrad: initial_accumulator_value is -1"},
        {"Adagrad(lr_decay=-1)", CG_ERR_ARGUMENT, "Adagrad: lr_decay is -1"},
        {"Adadelta(rho=1.5)", CG_ERR_ARGUMENT, "Adadelta: rho is 1.5, expected a number from 0 to 1"},
        {"RAdam(lr=-1)", CG_ERR_ARGUMENT, "RAdam: lr is -1"},
        {"Lion(betas=(0.9, 1))", CG_ERR_ARGUMENT, "Lion: betas is (0.9, 1)"},
        {"LAMB(eps=-1)", CG_ERR_ARGUMENT, "LAMB: eps is -1"},
        {"Adam(fused=True)", CG_ERR_NAME, "Adam: fused=True is not there yet, only None"},
        {"Adam(momentum=0.9)", CG_ERR_ARGUMENT, "Adam has no argument momentum; it takes lr=0.001"},
    };
    cg_device *device = test_device_open();
    cg_module *model = parsed(device, "Linear(2, 3)");
    for (size_t i = 0; i < COUNT(cases); i++) {
        cg_optimizer *optimizer = (cg_optimizer *)&device;
        cr_expect_eq(cg_optimizer_parse(cases[i].text, model, &optimizer), cases[i].status, "%s", cases[i].text);
        cr_expect_null(optimizer);
        cr_expect_not_null(strstr(cg_error_message(), cases[i].words), "%s: %s", cases[i].text, cg_error_message());
    }
    cg_module_destroy(model);
    cg_device_close(device);
}

Test(optimizers, want_parameters_that_are_there) {
    cg_device *device = test_device_open();
    cg_module *lazy = parsed(device, "LazyLinear(3)"), *none = parsed(device, "ReLU()");
    cg_optimizer *optimizer = NULL;
    cr_expect_eq(cg_optimizer_parse("SGD()", lazy, &optimizer), CG_ERR_STATE);
    cr_expect_eq(cg_optimizer_parse("SGD()", none, &optimizer), CG_ERR_ARGUMENT);
    cg_module_destroy(lazy);
    cg_module_destroy(none);
    cg_device_close(device);
}

/* The host's memory, or that of a device which keeps its buffers there. */
static bool memory_is_out(cg_status status) {
    return status == CG_ERR_MEMORY || status == CG_ERR_DEVICE_MEMORY;
}

Test(optimizers, running_out_of_memory_is_an_error_and_leaks_nothing) {
    cg_device *device = test_device_open();
    cg_module *model = parsed(device, "Linear(2, 3), Linear(3, 1)");
    cg_status status = CG_ERR_MEMORY;
    for (long call = 1; memory_is_out(status) && call < 1000; call++) {
        cg_optimizer *optimizer = NULL;
        cg_alloc_fail_at(call);
        status = cg_optimizer_parse("Adam(lr=0.1, betas=(0.9, 0.99))", model, &optimizer);
        cg_alloc_fail_at(0);
        cg_optimizer_destroy(optimizer);
    }
    cr_expect_eq(status, CG_OK, "%s", cg_error_message());
    cg_module_destroy(model);
    cg_device_close(device);
}
