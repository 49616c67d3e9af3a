/* Tuning: GPU-shaped devices time their ways and keep the fastest; what is kept is used, and is right; others say why
 * not. */
#include "devices.h"
#include "tensors.h"

#include <clgrad/clgrad.h>

#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FEW ((uint64_t)1 << 16) /* multiply-adds: of two layers, three products each */

static char folder[64];

static void use_own_cache(void) {
    snprintf(folder, sizeof folder, "/tmp/clgrad-tune-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    setenv("CLGRAD_CACHE_DIR", folder, 1);
}

static void remove_cache(void) {
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(tune, .init = use_own_cache, .fini = remove_cache, .timeout = 300);

/* True when the device has something to choose; checks what it says when it has not. */
static bool has_choice(cg_device *device) {
    const cg_device_info *info = cg_device_describe(device);
    if (strcmp(info->profile, "gpu") == 0 && !info->simulator) {
        return true;
    }
    cr_expect_eq(cg_device_tune(device, FEW, NULL, NULL), CG_ERR_UNSUPPORTED);
    cr_expect(strstr(cg_error_message(), "nothing to tune") != NULL, "%s", cg_error_message());
    return false;
}

typedef struct seen {
    int count, transposed[2];
    cg_status answer;
} seen;

static cg_status watch(void *context, const cg_tuned_product *product) {
    seen *s = context;
    s->count++;
    s->transposed[0] += product->transpose_a;
    s->transposed[1] += product->transpose_b;
    cr_expect(product->m * product->n * product->k <= (int64_t)FEW && product->m > 0);
    cr_expect(product->speed >= product->usual && product->usual > 0 && isfinite(product->speed), "%g, untuned %g",
              product->speed, product->usual);
    cr_expect(strcmp(product->way, "CLBlast") == 0 || strstr(product->way, " x ") != NULL, "%s", product->way);
    return s->answer;
}

/* A Linear layer's three products against sums in double. */
static void check_products(cg_device *device) {
    enum { ROWS = 19, INPUTS = 35, OUTPUTS = 21 };
    double x[ROWS * INPUTS], w[OUTPUTS * INPUTS], y[ROWS * OUTPUTS], dx[ROWS * INPUTS] = {0},
                                                                               dw[OUTPUTS * INPUTS] = {0};
    for (int i = 0; i < ROWS * INPUTS; i++) {
        x[i] = (i * 7 % 13 - 6) / 8.0;
    }
    for (int i = 0; i < OUTPUTS * INPUTS; i++) {
        w[i] = (i * 5 % 11 - 5) / 8.0;
    }
    for (int r = 0; r < ROWS; r++) {
        for (int o = 0; o < OUTPUTS; o++) {
            y[r * OUTPUTS + o] = 0;
            for (int i = 0; i < INPUTS; i++) {
                y[r * OUTPUTS + o] += x[r * INPUTS + i] * w[o * INPUTS + i];
                dx[r * INPUTS + i] += w[o * INPUTS + i];
                dw[o * INPUTS + i] += x[r * INPUTS + i];
            }
        }
    }
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *tx = test_tensor(device, CG_SHAPE(ROWS, INPUTS), x),
              *tw = test_tensor(device, CG_SHAPE(OUTPUTS, INPUTS), w);
    cg_tensor_set_requires_grad(tx, true);
    cg_tensor_set_requires_grad(tw, true);
    cg_tensor *ty = cg_linear(tape, tx, tw, NULL);
    cr_assert(cg_backward(tape, cg_sum(tape, ty, CG_ALL_AXES, false)) == CG_OK, "%s", cg_error_message());
    test_expect("y", ty, CG_SHAPE(ROWS, OUTPUTS), y, 1e-5, 1e-5);
    cr_assert(cg_tape_flush(tape) == CG_OK, "%s", cg_error_message());
    test_expect("dx", cg_tensor_grad(tx), CG_SHAPE(ROWS, INPUTS), dx, 1e-5, 1e-5);
    test_expect("dw", cg_tensor_grad(tw), CG_SHAPE(OUTPUTS, INPUTS), dw, 1e-5, 1e-5);
    cg_tape_destroy(tape);
    cg_tensor_destroy(tx);
    cg_tensor_destroy(tw);
}

Test(tune, what_is_fastest_is_kept_and_right) {
    cg_device *device = test_device_open();
    if (has_choice(device)) {
        seen s = {.answer = CG_OK};
        cr_assert(cg_device_tune(device, FEW, watch, &s) == CG_OK, "%s", cg_error_message());
        cr_expect(s.count == 6 && s.transposed[0] == 2 && s.transposed[1] == 2, "%d products", s.count);
        check_products(device);
        cg_device_close(device);
        device = test_device_open();
        check_products(device);
        cr_assert(cg_device_tune(device, FEW, NULL, NULL) == CG_OK, "once more: %s", cg_error_message());
    }
    cg_device_close(device);
}

Test(tune, a_watcher_ends_it_and_too_small_products_are_refused) {
    cg_device *device = test_device_open();
    if (has_choice(device)) {
        seen s = {.answer = CG_ERR_INTERRUPTED};
        cr_expect_eq(cg_device_tune(device, FEW, watch, &s), CG_ERR_INTERRUPTED);
        cr_expect_eq(s.count, 1);
        cr_expect_eq(cg_device_tune(device, 10, watch, &s), CG_ERR_ARGUMENT);
        cr_expect(strstr(cg_error_message(), "10") != NULL, "%s", cg_error_message());
        check_products(device);
    }
    cg_device_close(device);
}

/* Turns every file of the cache into nonsense. */
static void damage_cache(void) {
    DIR *opened = opendir(folder);
    cr_assert_not_null(opened);
    for (struct dirent *entry = readdir(opened); entry != NULL; entry = readdir(opened)) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *file = entry->d_name[0] != '.' ? fopen(path, "r+b") : NULL;
        if (file != NULL) {
            fseek(file, -3, SEEK_END);
            fputs("no", file);
            fclose(file);
        }
    }
    closedir(opened);
}

Test(tune, a_damaged_table_is_not_used) {
    cg_device *device = test_device_open();
    if (has_choice(device)) {
        cr_assert(cg_device_tune(device, (uint64_t)1 << 15, NULL, NULL) == CG_OK, "%s", cg_error_message());
        cg_device_close(device);
        damage_cache();
        device = test_device_open();
        check_products(device);
    }
    cg_device_close(device);
}
