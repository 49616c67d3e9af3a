/* The parts of a training on the built-in digits. */
#include "small_training.h"

#include <criterion/criterion.h>
#include <string.h>

#include "devices.h"

small_training small_training_begin(const char *model, const char *optimizer) {
    small_training s = {.device = test_device_open()};
    const cg_data_options data = {.valid = 0.2, .limit = SMALL_ROWS};
    cr_assert_eq(cg_data_load("digits", &data, &s.data), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_module_parse(s.device, model, &s.model), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_module_resolve(s.model, &CG_SHAPE(1, 1, 8, 8), NULL), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_module_init(s.model, 1), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_module_cross_entropy_loss(s.device, CG_REDUCE_MEAN, &s.loss), CG_OK);
    cr_assert_eq(cg_optimizer_parse(optimizer, s.model, &s.optimizer), CG_OK, "%s", cg_error_message());
    return s;
}

void small_training_make(small_training *s, const cg_train_options *options) {
    cg_train_options chosen = *options;
    chosen.batch = SMALL_BATCH;
    cr_assert_eq(cg_trainer_create(s->model, s->loss, s->optimizer, s->data, &chosen, &s->trainer), CG_OK, "%s",
                 cg_error_message());
}

void small_training_read(const small_training *s, float weights[SMALL_PARAMETERS]) {
    for (size_t i = 0; i < cg_module_parameter_count(s->model); i++) {
        cg_tensor *parameter = cg_module_parameter(s->model, i, NULL);
        cr_assert_eq(cg_tensor_read_f32(parameter, weights, cg_tensor_numel(parameter)), CG_OK);
        weights += cg_tensor_numel(parameter);
    }
}

void small_training_expect_equal(const small_training *a, const small_training *b) {
    float left[SMALL_PARAMETERS], right[SMALL_PARAMETERS];
    small_training_read(a, left);
    small_training_read(b, right);
    cr_expect_eq(memcmp(left, right, sizeof left), 0);
}

void small_training_end(small_training *s) {
    cg_trainer_destroy(s->trainer);
    cg_optimizer_destroy(s->optimizer);
    cg_module_destroy(s->loss);
    cg_module_destroy(s->model);
    cg_data_destroy(s->data);
    cg_device_close(s->device);
}
