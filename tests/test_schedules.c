/*
 * Schedules: what is asked of them and what they refuse. Their values are those that PyTorch has, recorded in
 * tests/schedules.txt for two groups of parameters.
 */
#include <clgrad/schedule.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static cg_schedule *parse(const char *text) {
    cg_schedule *schedule = NULL;
    cr_assert_eq(cg_schedule_parse(text, 0.1, 0.9, &schedule), CG_OK, "%s", cg_error_message());
    return schedule;
}

static void expect(const char *text, int64_t step, double expected_lr, double expected_momentum) {
    double lr, momentum;
    cg_schedule *schedule = parse(text);
    cr_assert_eq(cg_schedule_at(schedule, step, &lr, &momentum), CG_OK, "%s", cg_error_message());
    cr_expect(fabs(lr - expected_lr) < 1e-15, "%s at %lld: %.17g, expected %.17g", text, (long long)step, lr,
              expected_lr);
    cr_expect(fabs(momentum - expected_momentum) < 1e-15, "%s: momentum %.17g", text, momentum);
    cg_schedule_destroy(schedule);
}

/* One step of schedules.txt. */
typedef struct recorded {
    double lr[2], momentum, metric;
} recorded;

/* The schedule as it stands before step `step`, for groups that begin at rates of 0.1 and 0.02. */
static void expect_recorded(cg_schedule *const schedules[2], const char *text, int64_t step, const recorded *expected) {
    for (int group = 0; group < 2; group++) {
        double lr, momentum;
        cr_assert_eq(cg_schedule_at(schedules[group], step, &lr, &momentum), CG_OK, "%s", cg_error_message());
        cr_assert(fabs(lr - expected->lr[group]) <= 1e-9 * fabs(expected->lr[group]) + 1e-15 &&
                      fabs(momentum - expected->momentum) <= 1e-9,
                  "%s: step %lld, group %d: lr %.12g and momentum %.12g, expected %.12g and %.12g", text,
                  (long long)step, group, lr, momentum, expected->lr[group], expected->momentum);
        cg_schedule_report(schedules[group], expected->metric);
    }
}

/* A schedule made of the text that another prints, with its state. */
static cg_schedule *copied(const cg_schedule *schedule, double lr) {
    char text[512];
    cg_schedule *copy = NULL;
    cr_assert(cg_schedule_print(schedule, text, sizeof text) < sizeof text);
    cr_assert_eq(cg_schedule_parse(text, lr, 0.9, &copy), CG_OK, "%s: %s", text, cg_error_message());
    cg_schedule_state state = cg_schedule_get_state(schedule);
    cg_schedule_set_state(copy, &state);
    return copy;
}

/* Halfway through, each goes on as a copy. */
static void begin_copies(cg_schedule *schedules[2]) {
    for (int group = 0; group < 2; group++) {
        cg_schedule *copy = copied(schedules[group], group == 0 ? 0.1 : 0.02);
        cg_schedule_destroy(schedules[group]);
        schedules[group] = copy;
    }
}

static void end(cg_schedule *schedules[2]) {
    cg_schedule_destroy(schedules[0]);
    cg_schedule_destroy(schedules[1]);
    schedules[0] = schedules[1] = NULL;
}

Test(schedules, have_the_values_that_pytorch_has) {
    char line[512], text[512] = "";
    cg_schedule *schedules[2] = {NULL, NULL};
    int64_t step = 0, texts = 0, steps = 0;
    FILE *file = fopen(TEST_SCHEDULES, "r");
    cr_assert(file != NULL, "%s cannot be opened", TEST_SCHEDULES);
    while (fgets(line, sizeof line, file) != NULL) {
        recorded expected;
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '=') {
            end(schedules);
            snprintf(text, sizeof text, "%s", line + 2);
            schedules[0] = parse(text);
            cr_assert_eq(cg_schedule_parse(text, 0.02, 0.9, &schedules[1]), CG_OK);
            step = 0;
            texts++;
        } else if (sscanf(line, "%lf %lf %lf %lf", &expected.lr[0], &expected.lr[1], &expected.momentum,
                          &expected.metric) == 4) {
            if (step == 25) {
                begin_copies(schedules);
            }
            expect_recorded(schedules, text, step++, &expected);
            steps++;
        }
    }
    fclose(file);
    end(schedules);
    cr_expect(texts >= 33 && steps == 60 * texts, "%lld schedules, %lld steps", (long long)texts, (long long)steps);
}

Test(schedules, print_all_arguments) {
    static const char *const cases[][2] = {
        {"StepLR(30)", "StepLR(step_size=30, gamma=0.1)"},
        {"PolynomialLR()", "PolynomialLR(total_iters=5, power=1.0)"},
        {"SequentialLR([LinearLR(0.1), StepLR(3)], [5])",
         "SequentialLR(schedulers=[LinearLR(0.1), StepLR(3)], milestones=[5])"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[256];
        cg_schedule *schedule = NULL;
        cr_assert_eq(cg_schedule_parse(cases[i][0], 0.1, 0.9, &schedule), CG_OK, "%s", cg_error_message());
        cr_expect_eq(cg_schedule_print(schedule, text, sizeof text), strlen(cases[i][1]));
        cr_expect_str_eq(text, cases[i][1]);
        cg_schedule_destroy(schedule);
    }
}

Test(schedules, one_alone_wants_a_metric) {
    cg_schedule *step = parse("StepLR(3)"), *plateau = parse("ReduceLROnPlateau(patience=0)");
    double lr, momentum;
    cr_expect(!cg_schedule_wants_metric(step) && cg_schedule_wants_metric(plateau));
    cg_schedule_report(step, 1);
    cg_schedule_report(plateau, 1);
    cg_schedule_report(plateau, (double)NAN); /* is no better */
    cr_assert_eq(cg_schedule_at(plateau, 2, &lr, &momentum), CG_OK);
    cr_expect_float_eq(lr, 0.01, 1e-12);
    cg_schedule_destroy(step);
    cg_schedule_destroy(plateau);
}

Test(schedules, known_values) {
    expect("StepLR(30)", 29, 0.1, 0.9);
    expect("StepLR(30)", 60, 0.001, 0.9);
    expect("MultiStepLR([5, 2], gamma=0.5)", 4, 0.05, 0.9);
    expect("ExponentialLR(0.5)", 3, 0.0125, 0.9);
    expect("ConstantLR()", 4, 0.1 / 3, 0.9);
    expect("LinearLR(0.5)", 2, 0.07, 0.9);
    expect("CosineAnnealingLR(4)", 2, 0.05, 0.9);
    expect("OneCycleLR(1.0, 10)", 0, 0.04, 0.95);
    expect("OneCycleLR(1.0, 10)", 2, 1.0, 0.85);
}

Test(schedules, steps_far_away_are_as_good_as_near_ones) {
    expect("CosineAnnealingLR(4)", 8000000000000000002, 0.05, 0.9);
    expect("StepLR(1)", INT64_MAX, 0.0, 0.9);
    expect("ExponentialLR(1)", INT64_MAX, 0.1, 0.9);
}

Test(schedules, a_phase_of_no_length_is_at_its_end) {
    expect("OneCycleLR(1.0, 10, pct_start=0.1)", 0, 1.0, 0.85);
}

Test(schedules, a_step_that_is_not_there_is_an_error) {
    double lr, momentum;
    cg_schedule *schedule = parse("OneCycleLR(max_lr=1, total_steps=10)");
    cr_expect_eq(cg_schedule_at(schedule, 10, &lr, &momentum), CG_OK);
    cr_expect_eq(cg_schedule_at(schedule, 11, &lr, &momentum), CG_ERR_ARGUMENT);
    cr_expect_not_null(strstr(cg_error_message(), "step 11"), "%s", cg_error_message());
    cr_expect_eq(cg_schedule_at(schedule, -1, &lr, &momentum), CG_ERR_ARGUMENT);
    cg_schedule_destroy(schedule);
    cg_schedule_destroy(NULL);
}

Test(schedules, wrong_texts_are_errors_that_name_what_is_wrong) {
    static const struct {
        const char *text;
        cg_status status;
        const char *message;
    } cases[] = {
        {"StepLR(", CG_ERR_SYNTAX, "column"},
        {"StepLR(3), StepLR(4)", CG_ERR_SYNTAX, "one schedule"},
        {"SteppLR(3)", CG_ERR_NAME, "did you mean StepLR"},
        {"StepLR(3.5)", CG_ERR_ARGUMENT, "step_size is 3.5"},
        {"CosineAnnealingLR(9223372036854775807)", CG_ERR_ARGUMENT, "T_max"},
        {"LinearLR(end_factor=1.5)", CG_ERR_ARGUMENT, "end_factor is 1.5"},
        {"OneCycleLR(1, div_factor=0, total_steps=3)", CG_ERR_ARGUMENT, "div_factor"},
        {"OneCycleLR(1, epochs=9223372036854775807, steps_per_epoch=2)", CG_ERR_ARGUMENT, "too many"},
        {"CosineAnnealingWarmRestarts(T_0=0)", CG_ERR_ARGUMENT, "T_0 is 0, expected a positive integer"},
        {"CosineAnnealingWarmRestarts(3, T_mult=1.5)", CG_ERR_ARGUMENT, "T_mult is 1.5"},
        {"CyclicLR(0.1, 0.2, mode='square')", CG_ERR_ARGUMENT, "mode is 'square'"},
        {"CyclicLR(0.1, 0.2, step_size_up=0)", CG_ERR_ARGUMENT, "step_size_up is 0"},
        {"CyclicLR(0.1)", CG_ERR_ARGUMENT, "max_lr"},
        {"PolynomialLR(total_iters=1.5)", CG_ERR_ARGUMENT, "total_iters is 1.5"},
        {"ReduceLROnPlateau(mode='low')", CG_ERR_ARGUMENT, "mode is 'low'"},
        {"ReduceLROnPlateau(factor=1.0)", CG_ERR_ARGUMENT, "factor is 1, expected a number below 1"},
        {"SequentialLR([StepLR(3)], [2])", CG_ERR_ARGUMENT, "1 schedulers and 1 milestones"},
        {"SequentialLR([], [])", CG_ERR_ARGUMENT, "0 schedulers"},
        {"SequentialLR([StepLR(3), StepLR(3), StepLR(3)], [4, 4])", CG_ERR_ARGUMENT, "milestone 4 after 4"},
        {"SequentialLR([StepLR(3), StepLR(3)], [0])", CG_ERR_ARGUMENT, "milestone 0 after 0"},
        {"SequentialLR([StepLR(3), SteppLR(3)], [2])", CG_ERR_NAME, "did you mean StepLR"},
        {"SequentialLR([StepLR(3), 4], [2])", CG_ERR_ARGUMENT, "schedulers is [StepLR(3), 4], expected [schedule]"},
        {"SequentialLR([StepLR(3), ReduceLROnPlateau()], [2])", CG_ERR_ARGUMENT, "goes by a metric"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cg_schedule *schedule = NULL;
        cr_expect_eq(cg_schedule_parse(cases[i].text, 0.1, 0.9, &schedule), cases[i].status, "%s", cases[i].text);
        cr_expect_not_null(strstr(cg_error_message(), cases[i].message), "%s", cg_error_message());
        cr_expect_null(schedule);
    }
}

Test(schedules, running_out_of_memory_is_an_error_and_leaks_nothing) {
    cg_status status = CG_ERR_MEMORY;
    for (long call = 1; status == CG_ERR_MEMORY && call < 200; call++) {
        cg_schedule *schedule = NULL;
        cg_alloc_fail_at(call);
        status = cg_schedule_parse("SequentialLR([MultiStepLR([2, 5]), StepLR(3)], [4])", 0.1, 0.9, &schedule);
        cg_alloc_fail_at(0);
        cg_schedule_destroy(schedule);
    }
    cr_expect_eq(status, CG_OK);
}

static void expect_length(const char *text, int64_t length, bool ends) {
    cg_schedule *schedule = parse(text);
    cr_expect_eq(cg_schedule_length(schedule), length, "%s: %lld", text, (long long)cg_schedule_length(schedule));
    cr_expect_eq(cg_schedule_ends(schedule), ends, "%s", text);
    cg_schedule_destroy(schedule);
}

Test(schedules, the_length_is_what_a_training_should_have) {
    expect_length("OneCycleLR(max_lr=0.4, total_steps=20)", 20, true);
    expect_length("OneCycleLR(max_lr=0.4, epochs=3, steps_per_epoch=7)", 21, true);
    expect_length("CosineAnnealingLR(T_max=30)", 30, false);
    expect_length("PolynomialLR(total_iters=9)", 9, false);
    expect_length("LinearLR(total_iters=9)", 0, false);
    expect_length("StepLR(step_size=30)", 0, false);
    expect_length("SequentialLR(schedulers=[LinearLR(), CosineAnnealingLR(T_max=30)], milestones=[5])", 35, false);
    expect_length("SequentialLR(schedulers=[LinearLR(), StepLR(step_size=3)], milestones=[5])", 0, false);
    expect_length("SequentialLR(schedulers=[LinearLR(), OneCycleLR(max_lr=0.4, total_steps=20)], milestones=[5])", 25,
                  true);
}
