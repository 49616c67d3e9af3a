/* Devices that wrap the device under test: check finds a wrong op and nothing else, fault fails any call of a training
 * and nothing breaks, trace tells of every op. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include <clgrad/train.h>

#include "devices.h"
#include "files.h"

#define MODEL "Flatten(), Linear(64, 6), ReLU(), Linear(6, 10)"
#define ROWS 16
#define BATCH 8

/* Everything that a training needs; what was never made is NULL. */
typedef struct setup {
    cg_device *device;
    cg_data *data;
    cg_module *model, *loss;
    cg_optimizer *optimizer;
    cg_trainer *trainer;
    const char *out; /* where to save after every epoch; NULL: nowhere */
    int64_t saved;   /* the last epoch whose checkpoint was written */
} setup;

/* A driver opens its device and its programs again for every run: there fewer calls are made to fail. */
static bool test_device_is_slow(void) {
    return strstr(test_device_string(), "opencl") != NULL;
}

static void decorated(const char *decorator, char *string, size_t size) {
    snprintf(string, size, "%s:%s", decorator, test_device_string());
}

static cg_status on_save(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)trainer;
    setup *s = context;
    const cg_checkpoint_info info = {.model = (char *)MODEL, .epoch = progress->epoch};
    CG_TRY(s->out != NULL ? cg_checkpoint_save(s->out, s->model, s->optimizer, &info) : CG_OK);
    s->saved = progress->epoch;
    return CG_OK;
}

static cg_status make(setup *s, const char *string, int64_t epochs) {
    CG_TRY(cg_device_open(string, &s->device));
    const cg_data_options data = {.valid = 0.0, .limit = ROWS};
    CG_TRY(cg_data_load("digits", &data, &s->data));
    CG_TRY(cg_module_parse(s->device, MODEL, &s->model));
    CG_TRY(cg_module_resolve(s->model, &CG_SHAPE(1, 1, 8, 8), NULL));
    CG_TRY(cg_module_init(s->model, 1));
    CG_TRY(cg_module_cross_entropy_loss(s->device, CG_REDUCE_MEAN, &s->loss));
    CG_TRY(cg_optimizer_parse("Adam(lr=0.01)", s->model, &s->optimizer));
    const cg_train_options options = {.batch = BATCH, .epochs = epochs};
    CG_TRY(cg_trainer_create(s->model, s->loss, s->optimizer, s->data, &options, &s->trainer));
    return cg_trainer_attach(s->trainer, &(cg_callback){.context = s, .on_save = on_save});
}

/* A whole training, from opening the device on. What is left on the device when all is gone is in `left`. */
static cg_status train(setup *s, const char *string, int64_t epochs, char *report, size_t size, uint64_t *left) {
    cg_status status = make(s, string, epochs);
    if (status == CG_OK) {
        status = cg_trainer_run(s->trainer);
    }
    cg_trainer_destroy(s->trainer);
    cg_optimizer_destroy(s->optimizer);
    cg_module_destroy(s->loss);
    cg_module_destroy(s->model);
    cg_data_destroy(s->data);
    cg_device_stats stats = {0};
    if (s->device != NULL) {
        cg_device_stats_get(s->device, &stats);
        snprintf(report, size, "%s", cg_device_report(s->device));
    }
    *left = stats.bytes_in_use;
    cg_device_close(s->device);
    return status;
}

static cg_status train_once(const char *string, char *report, size_t size) {
    setup s = {0};
    uint64_t left;
    cg_status status = train(&s, string, 1, report, size, &left);
    cr_expect_eq(left, 0, "%s: %llu bytes are still in use", string, (unsigned long long)left);
    return status;
}

Test(decorators, check_agrees_with_a_training) {
    char string[160], report[1024] = "";
    decorated("check", string, sizeof string);
    cr_assert_eq(train_once(string, report, sizeof report), CG_OK, "%s", cg_error_message());
    unsigned long long ops = 0;
    cr_assert_eq(sscanf(report, "check: %llu ops compared", &ops), 1, "%s", report);
    cr_expect_gt(ops, 40);
    cr_expect_null(strstr(report, "not checked"), "%s", report);
}

Test(decorators, check_names_the_op_that_is_wrong) {
    static const char *const ops[] = {
        "matmul", "matmul_relu", "relu_backward", "cross_entropy", "cross_entropy_backward", "sum", "adam_step"};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        char string[160], decorator[64], report[1024], expected[64];
        snprintf(decorator, sizeof decorator, "check:fault,kind=wrong,op=%s,at=2", ops[i]);
        decorated(decorator, string, sizeof string);
        cr_expect_eq(train_once(string, report, sizeof report), CG_ERR_WRONG, "%s: %s", string, cg_error_message());
        snprintf(expected, sizeof expected, "check: %s is wrong on check:fault:", ops[i]);
        cr_expect_not_null(strstr(cg_error_message(), expected), "%s", cg_error_message());
    }
}

/* Runs with the Nth call failing, N from 1 on, until a training has fewer than N; slow devices take larger steps. */
static void fail_everywhere(const char *kind, const char *part, cg_status also, unsigned slow_stride) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE], string[160], decorator[64], report[1024];
    test_path(&folder, "out.safetensors", path);
    unsigned stride = test_device_is_slow() ? slow_stride : 1;
    cg_status status = CG_ERR_DEVICE;
    unsigned n = 1;
    for (; status != CG_OK; n += stride) {
        cr_assert_lt(n, 5000, "it never ends");
        remove(path);
        snprintf(decorator, sizeof decorator, "fault,at=%u,kind=%s", n, kind);
        decorated(decorator, string, sizeof string);
        setup s = {.out = path};
        uint64_t left = 0;
        status = train(&s, string, 2, report, sizeof report, &left);
        cr_assert(status == CG_OK || status == CG_ERR_DEVICE || status == also, "%s: %s: %s", string,
                  cg_status_name(status), cg_error_message());
        cr_expect(status == CG_OK || strstr(cg_error_message(), part) != NULL, "%s: %s", string, cg_error_message());
        cr_expect_eq(left, 0, "%s: %llu bytes are still in use", string, (unsigned long long)left);
        cg_checkpoint_info info = {0};
        cr_expect(s.saved == 0 || cg_checkpoint_read(path, &info) == CG_OK, "%s: %s", string, cg_error_message());
        cr_expect_eq(info.epoch, s.saved, "%s: epoch %lld", string, (long long)info.epoch);
        cg_checkpoint_info_clear(&info);
    }
    cr_expect_gt(n, 2 * stride, "too few calls of kind %s to have met the training", kind);
    test_folder_remove(&folder);
}

Test(decorators, any_allocation_may_fail) {
    fail_everywhere("allocation", "an allocation failed on purpose", CG_ERR_DEVICE_MEMORY, 9);
}

Test(decorators, any_transfer_may_fail) {
    fail_everywhere("transfer", "failed on purpose", CG_ERR_DEVICE, 5);
}

Test(decorators, any_op_may_fail) {
    fail_everywhere("op", "failed on purpose", CG_ERR_DEVICE, 37);
}

Test(decorators, the_device_may_be_lost_at_any_moment) {
    fail_everywhere("lost", "is lost", CG_ERR_DEVICE, 61);
}

Test(decorators, a_build_that_fails_is_named) {
    if (strstr(test_device_string(), "opencl") == NULL) {
        return; /* nothing is built */
    }
    char string[160], report[1024];
    decorated("fault,kind=build,at=2", string, sizeof string);
    cr_expect_eq(train_once(string, report, sizeof report), CG_ERR_DEVICE);
    cr_expect_not_null(strstr(cg_error_message(), ".cl failed on purpose"), "%s", cg_error_message());
}

Test(decorators, a_fault_that_never_comes_is_told) {
    char string[160], report[1024] = "";
    decorated("fault,at=1000000", string, sizeof string);
    cr_expect_eq(train_once(string, report, sizeof report), CG_OK);
    cr_expect_not_null(strstr(report, "number 1000000 never came"), "%s", report);
}

Test(decorators, trace_tells_of_every_op_and_transfer) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE], string[TEST_PATH_SIZE + 128], report[4096] = "";
    snprintf(string, sizeof string, "trace,file=%s:%s", test_path(&folder, "trace.json", path), test_device_string());
    cr_assert_eq(train_once(string, report, sizeof report), CG_OK, "%s", cg_error_message());
    for (const char *const *op = (const char *const[]){"matmul", "adam_step", "cross_entropy", "read", "write", NULL};
         *op != NULL; op++) {
        cr_expect_not_null(strstr(report, *op), "%s: %s", *op, report);
    }
    size_t size;
    char *text = test_file_read(&folder, "trace.json", &size);
    cr_expect_eq(text[0], '[');
    cr_expect_str_eq(text + size - 3, "\n]\n");
    size_t products = 0;
    for (const char *at = text; (at = strstr(at, "\"name\":\"matmul")) != NULL; at++) {
        products++;
    }
    cr_expect_geq(products, 2 * 5, "two batches of two layers, one with its ReLU: %zu products", products);
    free(text);
    test_folder_remove(&folder);
}

Test(decorators, can_be_stacked) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE], string[TEST_PATH_SIZE + 160], report[4096] = "";
    snprintf(string, sizeof string, "check:trace,file=%s:fault,at=100000:%s", test_path(&folder, "trace.json", path),
             test_device_string());
    cr_assert_eq(train_once(string, report, sizeof report), CG_OK, "%s", cg_error_message());
    cr_expect_not_null(strstr(report, "check: "));
    cr_expect_not_null(strstr(report, "trace: written to"));
    cr_expect_not_null(strstr(report, "never came"));
    test_folder_remove(&folder);
}
