/* Chains of elementwise ops: the same bits as one by one, whatever is shared, viewed, added or too different to join.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <clgrad/ops.h>
#include <clgrad/optim.h>

#include "chain.h"
#include "devices.h"
#include "tape.h"
#include "tensors.h"

#define MOST 33001 /* more than any backend's chain_least */

typedef cg_tensor *(*build_fn)(cg_tape *tape, cg_tensor *x, cg_tensor *y);

/* Everything inside has no memory. */
static cg_tensor *long_chain(cg_tape *tape, cg_tensor *x, cg_tensor *y) {
    cg_tensor *z = cg_mul(tape, cg_tanh(tape, x), cg_sigmoid(tape, y));
    for (int i = 0; i < 9; i++) {
        z = cg_add(tape, cg_neg(tape, z), cg_scale(tape, x, 0.25 * i));
    }
    return z;
}

/* Two shapes of as many elements, a view between them, and one input used by all. */
static cg_tensor *with_views(cg_tape *tape, cg_tensor *x, cg_tensor *y) {
    int64_t n = cg_tensor_numel(x);
    cg_tensor *z = cg_reshape(tape, cg_relu(tape, cg_sub(tape, x, y)), &CG_SHAPE(1, n, 1));
    z = cg_mul(tape, z, cg_reshape(tape, x, &CG_SHAPE(1, n, 1)));
    return cg_add(tape, cg_reshape(tape, cg_exp(tape, cg_neg(tape, cg_abs(tape, z))), &CG_SHAPE(n)), y);
}

/* A broadcast operand, a sum and other sizes break it. */
static cg_tensor *broken(cg_tape *tape, cg_tensor *x, cg_tensor *y) {
    cg_tensor *mean = cg_mean(tape, x, CG_ALL_AXES, false);
    cg_tensor *z = cg_square(tape, cg_square(tape, cg_sub(tape, x, mean)));
    return cg_sqrt(tape, cg_add(tape, cg_abs(tape, cg_mul(tape, z, y)), cg_square(tape, mean)));
}

/* The same tensor twice, and inputs that are parts of one memory. */
static cg_tensor *overlapping(cg_tape *tape, cg_tensor *x, cg_tensor *y) {
    cg_tensor *z = cg_mul(tape, cg_add(tape, x, x), cg_add(tape, y, y));
    return cg_sub(tape, cg_maximum(tape, z, x), cg_minimum(tape, z, y));
}

static const struct {
    const char *name;
    build_fn build;
    bool chained; /* something has no memory */
} networks[] = {
    {"long_chain", long_chain, true},
    {"with_views", with_views, true},
    {"broken", broken, true},
    {"overlapping", overlapping, true},
};

/* Output and both gradients, the second of two backwards added to the first; x and y are one memory, side by side. */
static void run(build_fn build, int64_t n, const char *passes, float *results) {
    passes != NULL ? setenv("CLGRAD_PLAN", passes, 1) : unsetenv("CLGRAD_PLAN");
    cg_device *device = test_device_open();
    cg_tensor *both = test_normal(device, CG_SHAPE(2 * n), 4), *x, *y, *out;
    cr_assert(cg_tensor_view(both, 0, &CG_SHAPE(n), &x) == CG_OK &&
              cg_tensor_view(both, (size_t)n, &CG_SHAPE(n), &y) == CG_OK);
    cr_assert(cg_tensor_create(device, CG_F32, &CG_SHAPE(n), &out) == CG_OK, "%s", cg_error_message());
    cg_tensor_set_requires_grad(x, true);
    cg_tensor_set_requires_grad(y, true);
    cg_tape *tape = cg_tape_create(device);
    for (int i = 0; i < 2; i++) {
        cg_tensor *z = build(tape, x, y);
        cr_assert(cg_copy(tape, out, z) == CG_OK && cg_backward_from(tape, z, x) == CG_OK, "%s", cg_error_message());
        cr_assert(cg_tape_run(tape) == CG_OK, "%s", cg_error_message());
    }
    cr_assert(cg_tensor_read_f32(out, results, n) == CG_OK);
    cr_assert(cg_tensor_read_f32(cg_tensor_grad(x), results + n, n) == CG_OK);
    cr_assert(cg_tensor_read_f32(cg_tensor_grad(y), results + 2 * n, n) == CG_OK);
    cg_tape_destroy(tape);
    cg_tensor_destroy(x);
    cg_tensor_destroy(y);
    cg_tensor_destroy(out);
    cg_tensor_destroy(both);
    cg_device_close(device);
    unsetenv("CLGRAD_PLAN");
}

static void compare(size_t network, int64_t n, const char *passes, float *with, float *without) {
    run(networks[network].build, n, "none", without);
    run(networks[network].build, n, passes, with);
    cr_expect(memcmp(with, without, 3 * (size_t)n * sizeof *with) == 0, "%s of %lld, CLGRAD_PLAN=%s",
              networks[network].name, (long long)n, passes != NULL ? passes : "unset");
}

/* Where compiling takes longer than running, only chains as long as they get, with views; a simulator runs one. */
Test(chain, gives_the_same_bits_as_one_by_one) {
    static const int64_t sizes[] = {1, 17, 1024, 1025, 20011, MOST};
    static const char *const passes[] = {NULL, "chains", "memory"};
    float *with = malloc(3 * MOST * sizeof *with), *without = malloc(3 * MOST * sizeof *without);
    if (strncmp(test_device_string(), "opencl", 6) != 0) {
        for (int i = 0; i < 4 * 6 * 3; i++) {
            compare((size_t)i / 18, sizes[i / 3 % 6], passes[i % 3], with, without);
        }
    } else {
        compare(1, MOST, NULL, with, without);
        strstr(test_device_string(), "oclgrind") == NULL ? compare(0, MOST, "chains", with, without) : (void)0;
    }
    free(with);
    free(without);
}

/* Tensors of the tape that have no memory. */
static int count_inner(const cg_tape *tape) {
    int inner = 0;
    for (const cg_storage *storage = tape->storages; storage != NULL; storage = storage->next) {
        inner += storage->inner > 0;
    }
    return inner;
}

Test(chain, what_only_a_chain_uses_has_no_memory) {
    cg_device *device = test_device_open();
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *x = test_normal(device, CG_SHAPE(MOST), 1), *y = test_normal(device, CG_SHAPE(MOST), 2);
    for (size_t k = 0; k < sizeof networks / sizeof *networks; k++) {
        cr_assert(cg_copy(tape, y, networks[k].build(tape, x, y)) == CG_OK);
        cg_chains_find(tape);
        bool chained = networks[k].chained && device->backend->run_chain != NULL;
        cr_expect((count_inner(tape) > 0) == chained, "%s: %d", networks[k].name, count_inner(tape));
        cg_tape_reset(tape);
    }
    cg_tape_destroy(tape);
    cg_tensor_destroy(x);
    cg_tensor_destroy(y);
    cg_device_close(device);
}

/* Parts of one tensor that begin at other places: a block of one is another block of the other. */
Test(chain, shifted_parts_of_one_memory_do_not_join) {
    if (strstr(test_device_string(), "oclgrind") != NULL) {
        cr_skip_test("what joins is found above the drivers, and a simulator takes half a minute");
    }
    float results[2][MOST - 100];
    for (int off = 0; off < 2; off++) {
        off ? setenv("CLGRAD_PLAN", "none", 1) : unsetenv("CLGRAD_PLAN");
        cg_device *device = test_device_open();
        cg_tape *tape = cg_tape_create(device);
        int64_t n = MOST - 100;
        cg_tensor *all = test_normal(device, CG_SHAPE(MOST), 3), *low, *high;
        cr_assert(cg_tensor_view(all, 0, &CG_SHAPE(n), &low) == CG_OK &&
                  cg_tensor_view(all, 100, &CG_SHAPE(n), &high) == CG_OK);
        cg_tensor *twice = cg_add(tape, low, low);
        cg_record(tape, CG_OP_SIN, &(cg_elementwise_attrs){.size = sizeof(cg_elementwise_attrs)}, &twice, 1, &high, 1,
                  NULL);
        cg_record(tape, CG_OP_COS, &(cg_elementwise_attrs){.size = sizeof(cg_elementwise_attrs)}, &low, 1, &low, 1,
                  NULL);
        cr_assert(cg_tape_run(tape) == CG_OK, "%s", cg_error_message());
        cr_assert(cg_tensor_read_f32(low, results[off], n) == CG_OK);
        cg_tape_destroy(tape);
        cg_tensor_destroy(low);
        cg_tensor_destroy(high);
        cg_tensor_destroy(all);
        cg_device_close(device);
    }
    unsetenv("CLGRAD_PLAN");
    cr_expect(memcmp(results[0], results[1], sizeof results[0]) == 0);
}

#define PARAMETERS 18 /* more than go together */

static int64_t size_of(int i) {
    return (strstr(test_device_string(), "oclgrind") == NULL ? 577 : 7) * i + 1;
}

/* How many of the optimizer's nodes that wait go together with the first; the list is forgotten. */
static size_t first_group(cg_tape *tape) {
    size_t i = tape->n_run;
    while (i < tape->n_nodes && !cg_is_step(tape->nodes[i])) {
        i++;
    }
    cr_assert(i < tape->n_nodes, "no optimizer step");
    cg_chains_find(tape);
    size_t together = tape->nodes[i]->chain_last - i + 1;
    cg_tape_reset(tape);
    return together;
}

static void record_step(cg_tape *tape, cg_optimizer *optimizer, cg_tensor *const *parameters) {
    cg_tensor *loss = cg_sum(tape, cg_square(tape, parameters[0]), CG_ALL_AXES, false);
    for (int i = 1; i < PARAMETERS; i++) {
        loss = cg_add(tape, loss, cg_sum(tape, cg_square(tape, parameters[i]), CG_ALL_AXES, false));
    }
    cr_assert_eq(cg_backward(tape, loss), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_optimizer_step(optimizer, tape), CG_OK, "%s", cg_error_message());
}

/* Every parameter after three steps, one behind the other. */
static void optimize(const char *text, const char *passes, float *results) {
    passes != NULL ? setenv("CLGRAD_PLAN", passes, 1) : unsetenv("CLGRAD_PLAN");
    cg_device *device = test_device_open();
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *parameters[PARAMETERS];
    cg_optimizer *optimizer;
    for (int i = 0; i < PARAMETERS; i++) {
        parameters[i] = test_normal(device, CG_SHAPE(size_of(i)), (uint64_t)i + 1);
        cg_tensor_set_requires_grad(parameters[i], true);
    }
    cr_assert_eq(cg_optimizer_create(text, parameters, NULL, PARAMETERS, &optimizer), CG_OK, "%s", cg_error_message());
    for (int step = 0; step < 3; step++) {
        record_step(tape, optimizer, parameters);
        cr_assert_eq(cg_tape_run(tape), CG_OK, "%s", cg_error_message());
    }
    record_step(tape, optimizer, parameters);
    size_t group = first_group(tape);
    bool together = device->backend->run_steps != NULL && strncmp(text, "LAMB", 4) != 0;
    cr_expect_eq(group, together ? CG_MAX_STEPS : 1, "%s: %zu go together", text, group);
    for (int i = 0; i < PARAMETERS; results += size_of(i++)) {
        cr_assert_eq(cg_tensor_read_f32(parameters[i], results, size_of(i)), CG_OK, "%s", cg_error_message());
        cg_tensor_destroy(parameters[i]);
    }
    cg_optimizer_destroy(optimizer);
    cg_tape_destroy(tape);
    cg_device_close(device);
    unsetenv("CLGRAD_PLAN");
}

Test(chain, optimizer_steps_together_give_the_same_bits) {
    static const char *const optimizers[] = {"SGD(lr=0.1, momentum=0.9)", "Adam(lr=0.1)", "LAMB(lr=0.1)"};
    static float alone[PARAMETERS * 577 * PARAMETERS], together[PARAMETERS * 577 * PARAMETERS];
    for (size_t k = 0; k < sizeof optimizers / sizeof *optimizers; k++) {
        optimize(optimizers[k], "none", alone);
        optimize(optimizers[k], NULL, together);
        cr_expect(memcmp(alone, together, sizeof alone) == 0, "%s", optimizers[k]);
    }
}

/* The second step's gradient is what the first one updates. */
static void record_dependent(cg_tape *tape, cg_tensor *numbers, cg_tensor *const at[4]) {
    for (int i = 0; i < 3; i++) {
        cg_record(tape, CG_OP_SGD_STEP, NULL, (cg_tensor *[]){numbers, at[i == 1 ? 0 : 3]}, 2,
                  (cg_tensor *[]){at[i], NULL}, 2, NULL);
    }
}

Test(chain, steps_that_depend_on_each_other_stay_apart) {
    float results[2][3];
    for (int off = 0; off < 2; off++) {
        off ? setenv("CLGRAD_PLAN", "none", 1) : unsetenv("CLGRAD_PLAN");
        cg_device *device = test_device_open();
        cg_tape *tape = cg_tape_create(device);
        cg_tensor *numbers = test_normal(device, CG_SHAPE(CG_UPDATE_NUMBERS), 1), *at[4];
        for (uint64_t i = 0; i < 4; i++) {
            at[i] = test_normal(device, CG_SHAPE(1), i + 2);
        }
        record_dependent(tape, numbers, at);
        cr_expect_eq(first_group(tape), 1);
        record_dependent(tape, numbers, at);
        cr_assert_eq(cg_tape_run(tape), CG_OK, "%s", cg_error_message());
        for (int i = 0; i < 4; i++) {
            cr_assert(i == 3 || cg_tensor_read_f32(at[i], &results[off][i], 1) == CG_OK);
            cg_tensor_destroy(at[i]);
        }
        cg_tensor_destroy(numbers);
        cg_tape_destroy(tape);
        cg_device_close(device);
    }
    unsetenv("CLGRAD_PLAN");
    cr_expect(memcmp(results[0], results[1], sizeof results[0]) == 0);
}
