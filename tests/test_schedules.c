/* Schedules: what is asked of them and what they refuse. Their values are proved by the cases of tests/cases. */
#include <clgrad/schedule.h>

#include <criterion/criterion.h>
#include <math.h>
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
    for (long call = 1; status == CG_ERR_MEMORY && call < 100; call++) {
        cg_schedule *schedule = NULL;
        cg_alloc_fail_at(call);
        status = cg_schedule_parse("MultiStepLR(milestones=[2, 5])", 0.1, 0.9, &schedule);
        cg_alloc_fail_at(0);
        cg_schedule_destroy(schedule);
    }
    cr_expect_eq(status, CG_OK);
}
