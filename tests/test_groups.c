/* Groups of parameters, schedules over them, frozen parameters, clipped gradients, averages of weights. */
#include "devices.h"

#include <clgrad/schedule.h>

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "alloc.h"
#include "record.h"
#include "tensors.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { N = 3, ALL = 3 };

static const char *const names[ALL] = {"0.weight", "0.bias", "1.weight"};
static const double start[N] = {1, -2, 4};

/* Three parameters of the same values, each with the gradient (1, 2, -2), whose norm is 3. */
typedef struct fixture {
    cg_device *device;
    cg_tape *tape;
    cg_tensor *parameters[ALL];
    cg_optimizer *optimizer;
} fixture;

static void give_gradients(fixture *f, float last) {
    const float grad[N] = {1, 2, last};
    for (int i = 0; i < ALL; i++) {
        cr_assert_eq(cg_tensor_set_grad(f->parameters[i], grad, N), CG_OK, "%s", cg_error_message());
    }
}

static fixture opened(const char *text) {
    fixture f = {.device = test_device_open()};
    f.tape = cg_tape_create(f.device);
    for (int i = 0; i < ALL; i++) {
        f.parameters[i] = test_tensor(f.device, CG_SHAPE(N), start);
        cg_tensor_set_requires_grad(f.parameters[i], true);
    }
    cr_assert_eq(cg_optimizer_create(text, f.parameters, names, ALL, &f.optimizer), CG_OK, "%s", cg_error_message());
    give_gradients(&f, -2);
    return f;
}

static void closed(fixture *f) {
    cg_optimizer_destroy(f->optimizer);
    cg_tape_destroy(f->tape);
    for (int i = 0; i < ALL; i++) {
        cg_tensor_destroy(f->parameters[i]);
    }
    cg_device_close(f->device);
}

static void step(fixture *f) {
    cr_assert_eq(cg_optimizer_step(f->optimizer, f->tape), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_tape_run(f->tape), CG_OK, "%s", cg_error_message());
}

static void group(fixture *f, const char *pattern, const char *arguments) {
    cr_assert_eq(cg_optimizer_add_group(f->optimizer, pattern, arguments), CG_OK, "%s", cg_error_message());
}

Test(groups, have_arguments_of_their_own) {
    fixture f = opened("SGD(lr=0.5, weight_decay=0.25)");
    group(&f, "*.bias", "weight_decay=0, lr=1.0");
    group(&f, "1.?eight", "maximize=True");
    cr_expect_eq(cg_optimizer_group_count(f.optimizer), 3);
    step(&f);
    test_expect("base", f.parameters[0], CG_SHAPE(N), (double[]){0.375, -2.75, 4.5}, 1e-6, 0);
    test_expect("bias", f.parameters[1], CG_SHAPE(N), (double[]){0, -4, 6}, 1e-6, 1e-6);
    test_expect("maximized", f.parameters[2], CG_SHAPE(N), (double[]){1.375, -0.75, 2.5}, 1e-6, 0);
    closed(&f);
}

Test(groups, have_the_state_that_their_arguments_ask_for) {
    fixture f = opened("SGD(lr=0.5)");
    const char *name = NULL;
    size_t index = 0;
    cr_expect_eq(cg_optimizer_state_count(f.optimizer), 0);
    group(&f, "0.*", "momentum=0.5");
    cr_expect_eq(cg_optimizer_state_count(f.optimizer), 2);
    cg_optimizer_state(f.optimizer, 1, &name);
    cr_expect_str_eq(name, "0.bias.momentum_buffer");
    cr_expect_eq(cg_optimizer_parameter_count(f.optimizer), ALL);
    cr_expect_eq(cg_optimizer_parameter(f.optimizer, 1, &name, &index), f.parameters[1]);
    cr_expect(index == 1 && strcmp(name, "0.bias") == 0);
    cr_expect_null(cg_optimizer_parameter(f.optimizer, ALL, &name, &index));
    for (int i = 0; i < 2; i++) {
        give_gradients(&f, -2);
        step(&f);
    }
    test_expect("moving", f.parameters[0], CG_SHAPE(N), (double[]){-0.25, -4.5, 6.5}, 1e-6, 0);
    test_expect("plain", f.parameters[2], CG_SHAPE(N), (double[]){0, -4, 6}, 1e-6, 1e-6);
    closed(&f);
}

Test(groups, wrong_ones_are_errors_that_name_what_is_wrong) {
    static const struct {
        const char *pattern, *arguments;
        cg_status status;
        const char *words;
    } cases[] = {
        {"2.*", "lr=1", CG_ERR_NAME, "no parameter is called '2.*'; the first of 3 is 0.weight"},
        {"", "lr=1", CG_ERR_NAME, "no parameter is called ''"},
        {"0.weigh", "lr=1", CG_ERR_NAME, "0.weigh"},
        {"*", "lr=-1", CG_ERR_ARGUMENT, "SGD: lr is -1"},
        {"*", "rate=1", CG_ERR_ARGUMENT, "SGD has no argument rate"},
        {"*", "lr=", CG_ERR_SYNTAX, "column"},
        {"*", "lr=1), SGD(", CG_ERR_SYNTAX, "the arguments of a group"},
        {"*", "nesterov=True", CG_ERR_ARGUMENT, "nesterov needs a momentum"},
    };
    fixture f = opened("SGD(lr=0.5)");
    for (size_t i = 0; i < COUNT(cases); i++) {
        cr_expect_eq(cg_optimizer_add_group(f.optimizer, cases[i].pattern, cases[i].arguments), cases[i].status, "%s",
                     cases[i].arguments);
        cr_expect_not_null(strstr(cg_error_message(), cases[i].words), "%s", cg_error_message());
    }
    cr_expect_eq(cg_optimizer_group_count(f.optimizer), 1);
    step(&f);
    cr_expect_eq(cg_optimizer_add_group(f.optimizer, "*", "lr=1"), CG_ERR_STATE);
    cr_expect_not_null(strstr(cg_error_message(), "1 have been taken"), "%s", cg_error_message());
    closed(&f);
}

Test(groups, follow_a_schedule_each_from_its_own_rate) {
    fixture f = opened("SGD(lr=0.5)");
    cg_schedule *schedule = NULL;
    group(&f, "*.bias", "lr=0.1");
    cr_assert_eq(cg_schedule_parse("StepLR(step_size=2)", 0.5, 0, &schedule), CG_OK, "%s", cg_error_message());
    for (int64_t at = 4; at >= 0; at -= 2) {
        cr_assert_eq(cg_schedule_apply(schedule, f.optimizer, at), CG_OK, "%s", cg_error_message());
        cr_expect_float_eq(cg_optimizer_group_lr(f.optimizer, 0), 0.5 * pow(0.1, (double)at / 2), 1e-12);
        cr_expect_float_eq(cg_optimizer_group_lr(f.optimizer, 1), 0.1 * pow(0.1, (double)at / 2), 1e-12);
    }
    cr_expect_eq(cg_schedule_apply(schedule, f.optimizer, -1), CG_ERR_ARGUMENT);
    cg_schedule_destroy(schedule);
    closed(&f);
}

/* A plain SGD gets a buffer when its momentum is to change. */
Test(groups, cycle_their_momentum) {
    static const char text[] = "OneCycleLR(max_lr=0.5, total_steps=10)";
    cg_schedule *schedule = NULL;
    cr_assert_eq(cg_schedule_parse(text, 0.5, 0, &schedule), CG_OK, "%s", cg_error_message());
    fixture f = opened("SGD(lr=0.5)"), adam = opened("AdamW()"), none = opened("Adagrad()");
    cr_assert_eq(cg_schedule_apply(schedule, f.optimizer, 0), CG_OK, "%s", cg_error_message());
    cr_expect_eq(cg_optimizer_group_momentum(f.optimizer, 0), 0.95);
    cr_expect_eq(cg_optimizer_state_count(f.optimizer), ALL);
    step(&f);
    give_gradients(&f, -2);
    cr_assert_eq(cg_schedule_apply(schedule, f.optimizer, 2), CG_OK, "%s", cg_error_message());
    step(&f);
    double first = 0.02, second = 0.5 * (0.85 + 1); /* lr of both steps, and what the buffer holds of the gradient */
    test_expect("cycled", f.parameters[0], CG_SHAPE(N),
                (double[]){1 - first - second, -2 - 2 * (first + second), 4 + 2 * (first + second)}, 1e-5, 1e-6);
    cr_expect_eq(cg_schedule_apply(schedule, adam.optimizer, 2), CG_OK, "%s", cg_error_message());
    cr_expect_eq(cg_optimizer_group_momentum(adam.optimizer, 0), 0.85);
    cr_expect_eq(cg_schedule_apply(schedule, none.optimizer, 0), CG_ERR_ARGUMENT);
    cr_expect_not_null(strstr(cg_error_message(), "Adagrad has neither momentum nor betas"), "%s", cg_error_message());
    cr_expect_eq(cg_optimizer_set_group_momentum(adam.optimizer, 0, 1.0), CG_ERR_ARGUMENT);
    cr_expect_not_null(strstr(cg_error_message(), "a momentum of 1, expected at least 0 and below 1"));
    cr_expect_eq(cg_optimizer_set_group_momentum(f.optimizer, 0, (double)NAN), CG_ERR_ARGUMENT);
    cg_schedule_destroy(schedule);
    closed(&f);
    closed(&adam);
    closed(&none);
}

static void expect_gradient(const char *name, const fixture *f, const double *expected) {
    for (int i = 0; i < ALL; i++) {
        test_expect(name, cg_tensor_grad(f->parameters[i]), CG_SHAPE(N), expected, 1e-5, 1e-6);
    }
}

static cg_status clip(fixture *f, double max_norm, double order, bool strict, double *total) {
    cg_tensor *norm = NULL;
    CG_TRY(cg_clip_grad_norm(f->tape, f->parameters, ALL, max_norm, order, strict, &norm));
    CG_TRY(cg_tensor_item(norm, total));
    return cg_tape_run(f->tape);
}

/* torch.nn.utils.clip_grad_norm_ of three times (1, 2, -2). */
Test(clipping, scales_all_gradients_by_their_common_norm) {
    static const struct {
        double max_norm, order, total;
    } cases[] = {{1, 2, 5.196152422706632},
                 {100, 2, 5.196152422706632},
                 {1, 1, 15},
                 {0.5, (double)INFINITY, 2},
                 {0, 2, 5.196152422706632}};
    fixture f = opened("SGD()");
    for (size_t i = 0; i < COUNT(cases); i++) {
        double total = 0, factor = fmin(1.0, cases[i].max_norm / (cases[i].total + 1e-6));
        give_gradients(&f, -2);
        cr_assert_eq(clip(&f, cases[i].max_norm, cases[i].order, true, &total), CG_OK, "%s", cg_error_message());
        cr_expect_float_eq(total, cases[i].total, 1e-5, "%g", total);
        expect_gradient("clipped", &f, (double[]){factor, 2 * factor, -2 * factor});
    }
    closed(&f);
}

Test(clipping, a_norm_that_is_no_number_is_an_error_where_that_is_asked_for) {
    const float bad[] = {NAN, INFINITY};
    for (size_t i = 0; i < COUNT(bad); i++) {
        fixture f = opened("SGD()");
        double total = 0, first[N];
        give_gradients(&f, bad[i]);
        cr_expect_eq(clip(&f, 1, 2, true, &total), CG_ERR_ARGUMENT);
        cr_expect_not_null(strstr(cg_error_message(), i == 0 ? "gradients is nan" : "gradients is inf"), "%s",
                           cg_error_message());
        cg_tape_reset(f.tape);
        cr_assert_eq(cg_tensor_read_f64(cg_tensor_grad(f.parameters[0]), first, N), CG_OK);
        cr_expect(first[0] == 1 && first[1] == 2);
        cr_expect_eq(clip(&f, 1, 2, false, &total), CG_OK, "%s", cg_error_message());
        cr_expect(!isfinite(total));
        closed(&f);
    }
}

Test(clipping, passes_over_what_has_no_gradient) {
    fixture f = opened("SGD()");
    cg_tensor *total = f.parameters[0];
    step(&f); /* uses the gradients up */
    cr_expect_eq(cg_clip_grad_norm(f.tape, f.parameters, ALL, 1, 2, true, &total), CG_OK);
    cr_expect_null(total);
    cr_expect_eq(cg_clip_grad_norm(f.tape, f.parameters, ALL, 1, 2, true, NULL), CG_OK);
    cr_expect_eq(cg_clip_grad_value(f.tape, f.parameters, ALL, 1), CG_OK);
    closed(&f);
}

Test(clipping, wrong_arguments_are_errors) {
    fixture f = opened("SGD()");
    cr_expect_eq(cg_clip_grad_norm(f.tape, f.parameters, ALL, -1, 2, false, NULL), CG_ERR_ARGUMENT);
    cr_expect_not_null(strstr(cg_error_message(), "max_norm is -1"), "%s", cg_error_message());
    cr_expect_eq(cg_clip_grad_value(f.tape, f.parameters, ALL, (double)NAN), CG_ERR_ARGUMENT);
    cr_expect_not_null(strstr(cg_error_message(), "clip_value is nan"), "%s", cg_error_message());
    cg_tensor *with_null[] = {f.parameters[0], NULL};
    cg_optimizer *none = NULL;
    cr_expect_eq(cg_clip_grad_norm(f.tape, with_null, 2, 1, 2, false, NULL), CG_ERR_ARGUMENT);
    cr_expect_not_null(strstr(cg_error_message(), "parameter 1 of 2 is NULL"), "%s", cg_error_message());
    cr_expect_eq(cg_clip_grad_value(f.tape, with_null, 2, 1), CG_ERR_ARGUMENT);
    cr_expect_eq(cg_optimizer_create("Adam()", with_null, NULL, 2, &none), CG_ERR_ARGUMENT);
    cr_expect_not_null(strstr(cg_error_message(), "Adam: parameter 1 of 2 is NULL"), "%s", cg_error_message());
    cr_expect_null(none);
    cr_expect_neq(cg_clip_grad_norm(f.tape, f.parameters, ALL, 1, 3, false, NULL), CG_OK);
    cg_tape_reset(f.tape);
    closed(&f);
}

Test(clipping, by_value) {
    fixture f = opened("SGD()");
    cr_assert_eq(cg_clip_grad_value(f.tape, f.parameters, ALL, 1.5), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_tape_run(f.tape), CG_OK);
    expect_gradient("by value", &f, (double[]){1, 1.5, -1.5});
    closed(&f);
}

/* A model of two layers, trained by the sum of its output. */
typedef struct trained {
    cg_device *device;
    cg_tape *tape;
    cg_module *model;
    cg_tensor *x;
    cg_optimizer *optimizer;
} trained;

static trained begun(const char *text, const char *optimizer) {
    trained t = {.device = test_device_open()};
    t.tape = cg_tape_create(t.device);
    cr_assert_eq(cg_module_parse(t.device, text, &t.model), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_module_init(t.model, 1), CG_OK);
    t.x = test_normal(t.device, CG_SHAPE(2, 2), 3);
    cr_assert_eq(cg_optimizer_parse(optimizer, t.model, &t.optimizer), CG_OK, "%s", cg_error_message());
    return t;
}

static void train(trained *t) {
    cg_tensor *y = cg_module_forward(t->model, t->tape, t->x);
    cr_assert_eq(cg_backward(t->tape, cg_sum(t->tape, y, CG_ALL_AXES, false)), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_optimizer_step(t->optimizer, t->tape), CG_OK, "%s", cg_error_message());
}

static void ended(trained *t) {
    cg_optimizer_destroy(t->optimizer);
    cg_module_destroy(t->model);
    cg_tape_destroy(t->tape);
    cg_tensor_destroy(t->x);
    cg_device_close(t->device);
}

static double first_of(cg_tensor *tensor) {
    double values[8];
    cr_assert_eq(cg_tensor_read_f64(tensor, values, cg_tensor_numel(tensor)), CG_OK, "%s", cg_error_message());
    return values[0];
}

Test(freezing, holds_what_the_pattern_names_until_it_is_let_go) {
    trained t = begun("Linear(2, 3), Linear(3, 1)", "SGD(lr=0.5)");
    cg_tensor *held = cg_module_find(t.model, "0.weight"), *other = cg_module_find(t.model, "1.weight");
    double before = first_of(held), before_other = first_of(other);
    cr_assert_eq(cg_module_freeze(t.model, "0.*", true), CG_OK, "%s", cg_error_message());
    train(&t);
    cr_assert_eq(cg_tape_run(t.tape), CG_OK);
    cr_expect(first_of(held) == before && first_of(other) != before_other);
    cr_assert_eq(cg_module_freeze(t.model, "0.w*", false), CG_OK);
    train(&t);
    cr_assert_eq(cg_tape_run(t.tape), CG_OK);
    cr_expect(first_of(held) != before);
    cr_expect_eq(cg_module_freeze(t.model, "layer1.*", true), CG_ERR_NAME);
    cr_expect_not_null(strstr(cg_error_message(), "no parameter is called 'layer1.*'; the first of 4 is 0.weight"),
                       "%s", cg_error_message());
    ended(&t);
}

/* The averages of one weight over four updates, as AveragedModel computes them. */
static void check_average(const char *text, double decay) {
    trained t = begun("Linear(2, 1)", "SGD(lr=0.25)");
    cg_average *average = NULL;
    const char *name = NULL;
    double expected = 0;
    cr_assert_eq(cg_average_parse(text, t.model, &average), CG_OK, "%s", cg_error_message());
    cg_tensor *weight = cg_module_find(t.model, "weight"), *averaged = cg_average_tensor(average, 0, &name);
    cr_expect_str_eq(name, "weight");
    for (int n = 0; n < 4; n++) {
        train(&t);
        cr_assert_eq(cg_average_update(average, t.tape), CG_OK, "%s", cg_error_message());
        cr_assert_eq(cg_tape_run(t.tape), CG_OK);
        double w = first_of(weight), share = n == 0 ? 1 : decay >= 0 ? 1 - decay : 1.0 / (n + 1);
        expected += share * (w - expected);
        cr_expect_float_eq(first_of(averaged), expected, 1e-5, "%s: %g, expected %g", text, first_of(averaged),
                           expected);
    }
    double w = first_of(weight), a = first_of(averaged);
    cr_assert_eq(cg_average_swap(average, t.tape), CG_OK, "%s", cg_error_message());
    cr_expect(first_of(weight) == a && first_of(averaged) == w);
    cr_assert_eq(cg_average_swap(average, t.tape), CG_OK);
    cr_expect(first_of(weight) == w && first_of(averaged) == a);
    cr_expect_eq(cg_average_updates(average), 4);
    cr_expect_eq(cg_average_count(average), 2);
    cr_expect_null(cg_average_tensor(average, 2, &name));
    cg_average_destroy(average);
    ended(&t);
}

Test(averages, follow_their_formulas) {
    check_average("EMA(decay=0.75)", 0.75);
    check_average("EMA()", 0.999);
    check_average("SWA()", -1);
}

Test(averages, take_the_buffers_that_are_weights) {
    trained t = begun("BatchNorm1d(2)", "SGD()");
    cg_average *average = NULL;
    cr_assert_eq(cg_average_parse("EMA(use_buffers=True)", t.model, &average), CG_OK, "%s", cg_error_message());
    cr_expect_eq(cg_average_count(average), 4); /* not num_batches_tracked */
    cg_average_set_updates(average, 7);
    cr_expect_eq(cg_average_updates(average), 7);
    cg_average_destroy(average);
    ended(&t);
}

Test(averages, wrong_ones_are_errors) {
    static const struct {
        const char *text;
        cg_status status;
        const char *words;
    } cases[] = {
        {"EMA(decay=1.5)", CG_ERR_ARGUMENT, "EMA: decay is 1.5, expected a number from 0 to 1"},
        {"SMA()", CG_ERR_NAME, "there is no average SMA"},
        {"EMA(), SWA()", CG_ERR_SYNTAX, "expected one average, there are 2"},
        {"SWA(decay=0.5)", CG_ERR_ARGUMENT, "SWA has no argument decay"},
    };
    trained t = begun("Linear(2, 1)", "SGD()");
    cg_module *lazy = NULL, *bare = NULL;
    cg_average *average = NULL;
    for (size_t i = 0; i < COUNT(cases); i++) {
        cr_expect_eq(cg_average_parse(cases[i].text, t.model, &average), cases[i].status, "%s", cases[i].text);
        cr_expect_not_null(strstr(cg_error_message(), cases[i].words), "%s", cg_error_message());
        cr_expect_null(average);
    }
    cr_assert_eq(cg_module_parse(t.device, "LazyLinear(3)", &lazy), CG_OK);
    cr_assert_eq(cg_module_parse(t.device, "ReLU()", &bare), CG_OK);
    cr_expect_eq(cg_average_parse("EMA()", lazy, &average), CG_ERR_STATE);
    cr_expect_eq(cg_average_parse("EMA()", bare, &average), CG_ERR_ARGUMENT);
    cg_module_destroy(lazy);
    cg_module_destroy(bare);
    ended(&t);
}

/* The host's memory, or that of a device which keeps its buffers there. */
static bool memory_is_out(cg_status status) {
    return status == CG_ERR_MEMORY || status == CG_ERR_DEVICE_MEMORY;
}

static cg_status make_a_group(cg_module *model) {
    cg_optimizer *optimizer = NULL;
    cg_status status = cg_optimizer_parse("NAdam()", model, &optimizer);
    if (status == CG_OK) {
        status = cg_optimizer_add_group(optimizer, "*.bias", "weight_decay=0.5");
    }
    cg_optimizer_destroy(optimizer);
    return status;
}

static cg_status make_an_average(cg_module *model) {
    cg_average *average = NULL;
    cg_status status = cg_average_parse("EMA(decay=0.5)", model, &average);
    cg_average_destroy(average);
    return status;
}

Test(groups, running_out_of_memory_is_an_error_and_leaks_nothing) {
    cg_status (*const made[])(cg_module *) = {make_a_group, make_an_average};
    trained t = begun("Linear(2, 3), Linear(3, 1)", "SGD()");
    for (size_t i = 0; i < COUNT(made); i++) {
        cg_status status = CG_ERR_MEMORY;
        for (long call = 1; memory_is_out(status) && call < 1000; call++) {
            cg_alloc_fail_at(call);
            status = made[i](t.model);
            cg_alloc_fail_at(0);
        }
        cr_expect_eq(status, CG_OK, "%s", cg_error_message());
    }
    ended(&t);
}
