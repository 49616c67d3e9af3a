/* The tape's promises: it records, runs when somebody looks, fails once and for good, and allocates nothing after the
 * first step. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <clgrad/nn.h>

#include "alloc.h"
#include "devices.h"
#include "tensors.h"

typedef struct setup {
    cg_device *device;
    cg_tape *tape;
    cg_tensor *x, *w, *b, *y;
} setup;

static setup begin(void) {
    setup s = {.device = test_device_open()};
    s.tape = cg_tape_create(s.device);
    s.x = test_normal(s.device, CG_SHAPE(4, 3), 1);
    s.w = test_normal(s.device, CG_SHAPE(5, 3), 2);
    s.b = test_normal(s.device, CG_SHAPE(5), 3);
    s.y = test_classes(s.device, CG_I64, CG_SHAPE(4), (int64_t[]){0, 4, 2, 2});
    cg_tensor_set_requires_grad(s.w, true);
    cg_tensor_set_requires_grad(s.b, true);
    return s;
}

static void end(setup *s) {
    cg_tape_destroy(s->tape);
    cg_tensor_destroy(s->x);
    cg_tensor_destroy(s->w);
    cg_tensor_destroy(s->b);
    cg_tensor_destroy(s->y);
    cg_device_close(s->device);
}

static cg_tensor *loss_of(setup *s) {
    cg_tensor *logits = cg_relu(s->tape, cg_linear(s->tape, s->x, s->w, s->b));
    return cg_cross_entropy(s->tape, logits, s->y, CG_REDUCE_MEAN);
}

static uint64_t ops_run(const setup *s) {
    cg_device_stats stats;
    cg_device_stats_get(s->device, &stats);
    return stats.ops;
}

Test(tape, records_without_running_until_a_value_is_read) {
    setup s = begin();
    uint64_t before = ops_run(&s);
    cg_tensor *loss = loss_of(&s);
    cr_assert_eq(cg_backward(s.tape, loss), CG_OK, "%s", cg_error_message());
    cr_expect_leq(ops_run(&s), before + 4, "only the fills of new gradients may have run");
    double value;
    cr_assert_eq(cg_tensor_item(loss, &value), CG_OK);
    cr_expect(isfinite(value) && value > 0);
    uint64_t after = ops_run(&s);
    cr_assert_eq(cg_tape_run(s.tape), CG_OK);
    cr_expect_eq(ops_run(&s), after, "what a read ran does not run again");
    end(&s);
}

Test(tape, a_write_lets_recorded_ops_see_the_old_value) {
    setup s = begin();
    double first[4] = {1, 2, 3, 4}, second[4] = {5, 6, 7, 8};
    cg_tensor *v = test_tensor(s.device, CG_SHAPE(4), first);
    cg_tensor *doubled = cg_scale(s.tape, v, 2);
    cr_assert_eq(cg_tensor_write_f64(v, second, 4), CG_OK);
    test_expect("recorded before", doubled, CG_SHAPE(4), (double[]){2, 4, 6, 8}, 0, 0);
    test_expect("recorded after", cg_scale(s.tape, v, 2), CG_SHAPE(4), (double[]){10, 12, 14, 16}, 0, 0);
    cg_tensor_destroy(v);
    end(&s);
}

Test(tape, a_destroyed_tensor_is_used_before_it_goes) {
    setup s = begin();
    cg_tensor *v = test_tensor(s.device, CG_SHAPE(2), (double[]){3, 4});
    cg_tensor *squares = cg_square(s.tape, v);
    cg_tensor_destroy(v);
    test_expect("squares", squares, CG_SHAPE(2), (double[]){9, 16}, 0, 0);
    end(&s);
}

Test(tape, the_first_error_sticks_until_reset) {
    setup s = begin();
    cg_tensor *bad = cg_matmul(s.tape, s.x, s.w, NULL); /* [4, 3] by [5, 3] */
    cr_assert_eq(cg_tape_status(s.tape), CG_ERR_SHAPE);
    cr_expect_not_null(strstr(cg_tape_error(s.tape), "a is [4, 3], b is [5, 3]"), "%s", cg_tape_error(s.tape));
    cg_tensor *more = cg_add(s.tape, cg_relu(s.tape, bad), NULL);
    double value;
    cr_expect_eq(cg_tensor_item(more, &value), CG_ERR_SHAPE);
    cr_expect_not_null(strstr(cg_error_message(), "inner sizes differ"), "the first message, not a later one");
    cr_expect_eq(cg_backward(s.tape, more), CG_ERR_SHAPE);
    cr_expect_eq(cg_tape_run(s.tape), CG_ERR_SHAPE);
    cg_tape_reset(s.tape);
    cr_expect_eq(cg_tape_status(s.tape), CG_OK);
    cr_assert_eq(cg_tensor_item(loss_of(&s), &value), CG_OK, "%s", cg_error_message());
    end(&s);
}

Test(tape, refuses_what_belongs_to_another_tape_or_device) {
    setup s = begin();
    cg_tape *other = cg_tape_create(s.device);
    cg_tensor *inner = cg_relu(other, s.x);
    cg_relu(s.tape, inner);
    cr_expect_eq(cg_tape_status(s.tape), CG_ERR_STATE);
    cg_tape_reset(s.tape);
    cg_device *oracle = test_oracle_open();
    cg_tensor *far = test_normal(oracle, CG_SHAPE(4, 3), 1);
    cg_relu(s.tape, far);
    cr_expect_eq(cg_tape_status(s.tape), CG_ERR_DEVICE);
    cr_expect_not_null(strstr(cg_tape_error(s.tape), "reference"), "%s", cg_tape_error(s.tape));
    cg_tensor_destroy(far);
    cg_tape_destroy(other);
    cg_device_close(oracle);
    end(&s);
}

Test(tape, a_parameter_that_another_tape_is_about_to_change_is_brought_up_to_date) {
    setup s = begin();
    cg_tape *other = cg_tape_create(s.device);
    cg_tensor *v = test_tensor(s.device, CG_SHAPE(2), (double[]){1, 2});
    cg_tensor *source = test_tensor(s.device, CG_SHAPE(2), (double[]){7, 8});
    cr_assert_eq(cg_copy(other, v, source), CG_OK);
    test_expect("after the other tape's copy", cg_scale(s.tape, v, 1), CG_SHAPE(2), (double[]){7, 8}, 0, 0);
    cg_tape_destroy(other);
    cg_tensor_destroy(v);
    cg_tensor_destroy(source);
    end(&s);
}

Test(tape, gradients_add_up_until_they_are_zeroed) {
    setup s = begin();
    double once[15], twice[15], again[15];
    cr_assert_eq(cg_backward(s.tape, loss_of(&s)), CG_OK);
    cr_assert_eq(cg_tape_run(s.tape), CG_OK);
    cr_assert_eq(cg_tensor_read_f64(cg_tensor_grad(s.w), once, 15), CG_OK);
    cr_assert_eq(cg_backward(s.tape, loss_of(&s)), CG_OK);
    cr_assert_eq(cg_tape_run(s.tape), CG_OK);
    cr_assert_eq(cg_tensor_read_f64(cg_tensor_grad(s.w), twice, 15), CG_OK);
    cg_tensor_zero_grad(s.w);
    cr_assert_eq(cg_backward(s.tape, loss_of(&s)), CG_OK);
    cr_assert_eq(cg_tensor_read_f64(cg_tensor_grad(s.w), again, 15), CG_OK);
    for (int i = 0; i < 15; i++) {
        cr_expect_float_eq(twice[i], 2 * once[i], 1e-6);
        cr_expect_eq(again[i], once[i]);
    }
    end(&s);
}

Test(tape, two_losses_on_one_tape_give_the_sum_of_their_gradients) {
    setup s = begin();
    cg_tensor *v = test_tensor(s.device, CG_SHAPE(2), (double[]){3, 5});
    cg_tensor_set_requires_grad(v, true);
    cg_tensor *shared = cg_square(s.tape, v);
    cr_assert_eq(cg_backward(s.tape, cg_sum(s.tape, shared, CG_ALL_AXES, false)), CG_OK);
    cr_assert_eq(cg_backward(s.tape, cg_sum(s.tape, cg_scale(s.tape, shared, 10), CG_ALL_AXES, false)), CG_OK);
    test_expect("gradient", cg_tensor_grad(v), CG_SHAPE(2), (double[]){66, 110}, 1e-6, 0);
    cg_tensor_destroy(v);
    end(&s);
}

/* Ops run by a step of sum(x x), x being `leaf` in this shape. */
static uint64_t ops_of_square(setup *s, cg_tensor *leaf, const cg_shape *shape) {
    uint64_t before = ops_run(s);
    cg_tensor *square = cg_square(s->tape, cg_reshape(s->tape, leaf, shape));
    cr_assert_eq(cg_backward(s->tape, cg_sum(s->tape, square, CG_ALL_AXES, false)), CG_OK);
    cr_assert_eq(cg_tape_run(s->tape), CG_OK, "%s", cg_tape_error(s->tape));
    return ops_run(s) - before;
}

Test(tape, a_leaf_that_is_used_in_another_shape_gets_its_gradient_without_a_copy) {
    setup s = begin();
    cg_tensor *v = test_tensor(s.device, CG_SHAPE(4), (double[]){1, 2, 3, 4});
    cg_tensor_set_requires_grad(v, true);
    ops_of_square(&s, v, &CG_SHAPE(4)); /* the first also makes the 1 that every backward begins with */
    cg_tensor_zero_grad(v);
    uint64_t plain = ops_of_square(&s, v, &CG_SHAPE(4));
    cg_tensor_zero_grad(v);
    cr_expect_eq(ops_of_square(&s, v, &CG_SHAPE(2, 2)), plain);
    test_expect("gradient", cg_tensor_grad(v), CG_SHAPE(4), (double[]){2, 4, 6, 8}, 1e-6, 0);
    cg_tensor_zero_grad(v);
    cg_tensor *column = cg_reshape(s.tape, cg_reshape(s.tape, v, &CG_SHAPE(2, 2)), &CG_SHAPE(4, 1));
    cg_tensor *both = cg_add(s.tape, cg_mul(s.tape, v, column), cg_reshape(s.tape, v, &CG_SHAPE(4, 1)));
    cr_assert_eq(cg_backward(s.tape, cg_sum(s.tape, both, CG_ALL_AXES, false)), CG_OK);
    test_expect("all ways", cg_tensor_grad(v), CG_SHAPE(4), (double[]){24, 24, 24, 24}, 1e-6, 0);
    cg_tensor_destroy(v);
    end(&s);
}

/* Both gradients are outputs of one op, and the bias is seen in another shape. */
Test(tape, a_weight_that_is_the_bias_too_gets_both_gradients) {
    setup s = begin();
    cg_tensor *v = test_tensor(s.device, CG_SHAPE(3), (double[]){1, 2, 3});
    cg_tensor_set_requires_grad(v, true);
    cg_tensor_set_requires_grad(s.x, true);
    cg_batch_norm_options options = {.weight = v, .bias = v, .training = true, .momentum = 0.1, .eps = 1e-5};
    cg_tensor *loss = cg_sum(s.tape, cg_batch_norm(s.tape, s.x, &options), CG_ALL_AXES, false);
    cr_assert_eq(cg_backward(s.tape, loss), CG_OK);
    test_expect("gradient", cg_tensor_grad(v), CG_SHAPE(3), (double[]){4, 4, 4}, 1e-5, 0);
    cg_tensor_destroy(v);
    end(&s);
}

Test(tape, eval_mode_records_no_gradient) {
    setup s = begin();
    cg_tape_set_mode(s.tape, CG_EVAL);
    cr_expect_eq(cg_backward(s.tape, loss_of(&s)), CG_ERR_STATE);
    cr_expect_not_null(strstr(cg_error_message(), "nothing that requires a gradient"));
    end(&s);
}

Test(tape, running_each_op_at_once_gives_the_same_bits) {
    float lazy[15], eager[15];
    for (int i = 0; i < 2; i++) {
        setenv("CLGRAD_EAGER", i == 0 ? "0" : "1", 1);
        setup s = begin();
        for (int step = 0; step < 2; step++) {
            cr_assert_eq(cg_backward(s.tape, loss_of(&s)), CG_OK);
            cr_assert_eq(cg_tape_run(s.tape), CG_OK);
        }
        cr_assert_eq(cg_tensor_read_f32(cg_tensor_grad(s.w), i == 0 ? lazy : eager, 15), CG_OK);
        end(&s);
    }
    cr_expect_eq(memcmp(lazy, eager, sizeof lazy), 0);
}

Test(tape, nothing_is_allocated_after_the_first_step) {
    setup s = begin();
    uint64_t heap = 0;
    cg_device_stats first = {0}, last;
    for (int step = 0; step < 5; step++) {
        cr_assert_eq(cg_backward(s.tape, loss_of(&s)), CG_OK);
        cr_assert_eq(cg_tape_run(s.tape), CG_OK);
        if (step == 0) {
            heap = cg_host_allocations();
            cg_device_stats_get(s.device, &first);
        }
    }
    cg_device_stats_get(s.device, &last);
    cr_expect_eq(cg_host_allocations(), heap);
    cr_expect_eq(last.buffer_allocations, first.buffer_allocations);
    end(&s);
}

Test(tape, memory_between_ops_is_reused_while_the_list_runs) {
    setup s = begin();
    cg_tensor *v = test_normal(s.device, CG_SHAPE(1000), 4), *chain = v;
    cg_device_stats before, after;
    cg_device_stats_get(s.device, &before);
    for (int i = 0; i < 50; i++) {
        chain = cg_scale(s.tape, chain, 1.01);
    }
    cr_assert_eq(cg_tape_run(s.tape), CG_OK);
    cg_device_stats_get(s.device, &after);
    cr_expect_leq(after.buffer_allocations - before.buffer_allocations, 2, "two buffers serve a chain of fifty");
    cg_tensor_destroy(v);
    end(&s);
}

/* Every failing allocation gives a status, and all that was held is given back (the leak check sees the rest). */
Test(tape, an_allocation_that_fails_is_an_error_and_nothing_else) {
    for (long call = 1; call < 200; call++) {
        setup s = begin();
        double value;
        cg_alloc_fail_at(call);
        cg_tensor *loss = loss_of(&s);
        cg_status status = cg_backward(s.tape, loss);
        status = status == CG_OK ? cg_tensor_item(loss, &value) : status;
        cg_alloc_fail_at(0);
        if (status == CG_OK) {
            end(&s);
            cr_expect_gt(call, 5, "some calls must have failed");
            return;
        }
        /* the cpu's device memory is the host's */
        cr_expect(status == CG_ERR_MEMORY || status == CG_ERR_DEVICE_MEMORY, "call %ld: %s: %s", call,
                  cg_status_name(status), cg_error_message());
        end(&s);
    }
    cr_assert_fail("it never succeeded");
}

/* Reads each op's output as it comes. */
typedef struct watched {
    char names[8][24];
    double values[8];
    size_t count;
    cg_status fails;
} watched;

static cg_status watch(void *context, const cg_ran_op *op) {
    watched *w = context;
    snprintf(w->names[w->count], sizeof *w->names, "%s", op->name);
    CG_TRY(cg_tensor_item(op->outputs[0], &w->values[w->count++]));
    return w->fails != CG_OK ? cg_fail(w->fails, "asked to") : CG_OK;
}

Test(tape, a_watcher_sees_every_op_with_the_values_of_that_moment) {
    cg_device *device = test_device_open();
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *x = NULL;
    cr_assert_eq(cg_tensor_create(device, cg_device_real(device), &CG_SCALAR, &x), CG_OK);
    cr_assert_eq(cg_tensor_fill(x, 3), CG_OK);
    watched w = {.count = 0};
    cg_tape_watch(tape, watch, &w);
    cr_assert_eq(cg_copy(tape, x, cg_scale(tape, x, 2)), CG_OK);
    cr_assert_eq(cg_copy(tape, x, cg_square(tape, x)), CG_OK);
    cr_assert_eq(cg_tape_run(tape), CG_OK, "%s", cg_tape_error(tape));
    cr_assert_eq(w.count, 4);
    cr_expect_str_eq(w.names[2], "square");
    cr_expect_eq(w.values[0], 6);
    cr_expect_eq(w.values[1], 6, "x, before it was squared");
    cr_expect_eq(w.values[3], 36);
    w = (watched){.fails = CG_ERR_NAN};
    cr_assert_eq(cg_copy(tape, x, cg_scale(tape, x, 2)), CG_OK);
    cr_expect_eq(cg_tape_run(tape), CG_ERR_NAN);
    cr_expect_eq(w.count, 1, "the list ends where the watcher failed");
    cg_tape_watch(tape, NULL, NULL);
    cg_tape_destroy(tape);
    cg_tensor_destroy(x);
    cg_device_close(device);
}

Test(tape, knows_which_op_is_the_last_to_write_to_a_tensor_and_what_has_run) {
    cg_device *device = test_device_open();
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *x = NULL, *other = NULL;
    cr_assert_eq(cg_tensor_create(device, cg_device_real(device), &CG_SHAPE(3), &x), CG_OK);
    cr_assert_eq(cg_tensor_create(device, cg_device_real(device), &CG_SHAPE(3), &other), CG_OK);
    cr_assert_eq(cg_tensor_fill(x, 3), CG_OK);
    cg_tensor_set_requires_grad(x, true);
    cr_assert_eq(cg_backward(tape, cg_sum(tape, cg_mul(tape, x, x), CG_ALL_AXES, false)), CG_OK);
    size_t last = cg_tape_last_write(tape, cg_tensor_grad(x));
    cr_expect_eq(last, cg_tape_length(tape) - 1, "the second of two that add up: %zu of %zu", last,
                 cg_tape_length(tape));
    cr_expect_eq(cg_tape_last_write(tape, other), SIZE_MAX);
    cr_expect_eq(cg_tape_ran(tape), 0);
    double values[3];
    cr_assert_eq(cg_tensor_read_f64(cg_tensor_grad(x), values, 3), CG_OK);
    cr_expect_eq(cg_tape_ran(tape), cg_tape_length(tape));
    cr_assert_eq(cg_tape_run(tape), CG_OK);
    cr_expect_eq(cg_tape_last_write(tape, cg_tensor_grad(x)), SIZE_MAX, "a list that has run is forgotten");
    cg_tape_destroy(tape);
    cg_tensor_destroy(other);
    cg_tensor_destroy(x);
    cg_device_close(device);
}
