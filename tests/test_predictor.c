/* The predictor on the device under test: the same answers as the model unfolded, little memory, clear errors. */
#include <clgrad/predictor.h>
#include <clgrad/random.h>
#include <clgrad/train.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "devices.h"
#include "files.h"

#define ROWS 3
#define CLASSES 4
#define SAMPLE 50 /* 2 x 5 x 5 */

static const double mean[] = {0.25, 0.5}, deviation[] = {0.5, 2};

typedef struct fixture {
    test_folder folder;
    char path[TEST_PATH_SIZE];
    float x[ROWS * SAMPLE], normalized[ROWS * SAMPLE];
} fixture;

static fixture make_fixture(void) {
    fixture f = {.folder = test_folder_make()};
    test_path(&f.folder, "a.safetensors", f.path);
    for (int i = 0; i < ROWS * SAMPLE; i++) {
        int channel = i / 25 % 2;
        f.x[i] = (float)cg_random_normal(7, 1, (uint64_t)i);
        f.normalized[i] = (float)((f.x[i] - mean[channel]) / deviation[channel]);
    }
    return f;
}

/* A model whose running statistics and weights are nothing special. */
static cg_module *make_model(cg_device *device, const char *text) {
    cg_module *model;
    cr_assert_eq(cg_module_parse(device, text, &model), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_module_resolve(model, &CG_SHAPE(1, 2, 5, 5), NULL), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_module_init(model, 3), CG_OK, "%s", cg_error_message());
    for (size_t i = 0; i < cg_module_buffer_count(model) + cg_module_parameter_count(model); i++) {
        const char *name;
        size_t buffers = cg_module_buffer_count(model);
        cg_tensor *tensor =
            i < buffers ? cg_module_buffer(model, i, &name) : cg_module_parameter(model, i - buffers, &name);
        if (cg_tensor_shape(tensor)->rank == 1) { /* variances must be above 0 */
            cr_assert_eq(cg_init_uniform(tensor, 0.3, 1.5, 5, i), CG_OK, "%s", cg_error_message());
        }
    }
    return model;
}

static void save(const fixture *f, cg_module *model, int64_t classes) {
    char text[2048];
    cg_module_print(model, text, sizeof text);
    double means[] = {mean[0], mean[1]}, deviations[] = {deviation[0], deviation[1]};
    const cg_checkpoint_info info = {.model = text,
                                     .sample = CG_SHAPE(2, 5, 5),
                                     .classes = classes,
                                     .has_normalization = true,
                                     .channels = 2,
                                     .mean = means,
                                     .std = deviations};
    cr_assert_eq(cg_checkpoint_save(f->path, model, NULL, &info), CG_OK, "%s", cg_error_message());
}

/* Largest difference between the predictor's probabilities and those of the model as it is. */
static double difference(const char *text) {
    fixture f = make_fixture();
    cg_device *device = test_device_open();
    cg_module *model = make_model(device, text);
    float expected[ROWS * CLASSES], actual[ROWS * CLASSES];
    save(&f, model, CLASSES);
    cr_assert_eq(cg_predict(model, f.normalized, ROWS, &CG_SHAPE(2, 5, 5), expected, CLASSES), CG_OK, "%s",
                 cg_error_message());
    cg_predictor *predictor;
    cr_assert_eq(cg_predictor_open(f.path, test_device_string(), &predictor), CG_OK, "%s", cg_error_message());
    cr_expect_eq(cg_predictor_outputs(predictor), CLASSES);
    cr_expect_str_eq(cg_predictor_describe(predictor)->class_names[3], "3");
    cr_assert_eq(cg_predictor_run(predictor, f.x, ROWS, actual), CG_OK, "%s", cg_error_message());
    double largest = 0, spread = 0;
    for (int i = 0; i < ROWS * CLASSES; i++) {
        largest = fmax(largest, fabs((double)actual[i] - expected[i]));
        spread = fmax(spread, fabs((double)expected[i] - 1.0 / CLASSES));
    }
    cr_expect_gt(spread, 0.01, "%s: all classes are alike, so nothing is compared", text);
    cg_predictor_close(predictor);
    cg_module_destroy(model);
    cg_device_close(device);
    test_folder_remove(&f.folder);
    return largest;
}

Test(predictor, probabilities_are_those_of_the_model_as_it_was_trained) {
    static const char *const texts[] = {
        "Conv2d(2, 6, 3, bias=False), BatchNorm2d(6), ReLU(), Flatten(), Linear(54, 4)",
        "Conv2d(2, 6, 3, groups=2), BatchNorm2d(6, affine=False, eps=0.1), Flatten(), Linear(54, 4)",
        "Conv2d(2, 2, 3, padding=1, padding_mode='reflect'), BatchNorm2d(2), Flatten(), Linear(50, 4)",
        "Residual(Sequential(Conv2d(2, 2, 3, padding=1), BatchNorm2d(2)), BatchNorm2d(2)), Flatten(), Linear(50, 4)",
        "Flatten(), Linear(50, 6), BatchNorm1d(6), ReLU(), Linear(6, 4, bias=False), BatchNorm1d(4)",
        "Flatten(2), Conv1d(2, 3, 4), BatchNorm1d(3), BatchNorm1d(3), Flatten(), Linear(66, 4)",
        "Flatten(2), Linear(25, 2), BatchNorm1d(2), Flatten(), Linear(4, 4)", /* rows, not features, are its channels */
        "Flatten(), Linear(50, 4), BatchNorm1d(4, track_running_stats=False)",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        double largest = difference(texts[i]);
        cr_expect_leq(largest, 1e-5, "%s: %g", texts[i], largest);
    }
}

/* How many modules of a class there are in the tree. */
static int count_class(const cg_module *module, const char *name) {
    int count = strcmp(cg_module_class_name(module), name) == 0;
    for (size_t i = 0; i < cg_module_child_count(module); i++) {
        count += count_class(cg_module_child(module, i, NULL), name);
    }
    return count;
}

Test(predictor, folding_takes_the_norms_behind_a_layer_and_no_others) {
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"Conv2d(2, 6, 3, bias=False), BatchNorm2d(6), ReLU()", "Sequential(Conv2d(2, 6, 3), Identity(), ReLU())"},
        {"BatchNorm2d(2), ReLU(), BatchNorm2d(2)", "Sequential(BatchNorm2d(2), ReLU(), BatchNorm2d(2))"},
        {"Flatten(2), Linear(25, 2), BatchNorm1d(2)",
         "Sequential(Flatten(start_dim=2), Linear(25, 2), BatchNorm1d(2))"},
        {"Flatten(), LazyLinear(3, bias=False), LazyBatchNorm1d()", "Sequential(Flatten(), Linear(50, 3), Identity())"},
    };
    cg_device *device = test_device_open();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        cg_module *model;
        cr_assert_eq(cg_module_parse(device, cases[i].text, &model), CG_OK, "%s", cg_error_message());
        cr_assert_eq(cg_module_fold_batch_norm(model, &CG_SHAPE(3, 2, 5, 5)), CG_OK, "%s", cg_error_message());
        cg_module_print(model, text, sizeof text);
        cr_expect_str_eq(text, cases[i].printed);
        cr_expect_eq(count_class(model, "Identity") + count_class(model, "BatchNorm2d") +
                         count_class(model, "BatchNorm1d"),
                     i == 1 ? 2 : 1);
        cg_module_destroy(model);
    }
    cg_device_close(device);
}

/* Parameters alone after opening; a batch more than once allocates nothing new. */
Test(predictor, it_holds_no_more_than_inference_needs) {
    fixture f = make_fixture();
    cg_device *device = test_device_open();
    cg_module *model =
        make_model(device, "Conv2d(2, 6, 3, bias=False), BatchNorm2d(6), ReLU(), Flatten(), Linear(54, 4)");
    save(&f, model, CLASSES);
    cg_module_destroy(model);
    cg_device_close(device);
    float outputs[ROWS * CLASSES];
    cg_predictor *predictor;
    cr_assert_eq(cg_predictor_open(f.path, test_device_string(), &predictor), CG_OK, "%s", cg_error_message());
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(cg_predictor_run(predictor, f.x, ROWS, outputs), CG_OK, "%s", cg_error_message());
    }
    uint64_t before = cg_host_allocations();
    cr_assert_eq(cg_predictor_run(predictor, f.x, ROWS, outputs), CG_OK, "%s", cg_error_message());
    cr_expect_leq(cg_host_allocations() - before, 2, "the input's tensor alone: %d allocations",
                  (int)(cg_host_allocations() - before));
    cg_predictor_close(predictor);
    test_folder_remove(&f.folder);
}

Test(predictor, a_model_of_numbers_gives_its_outputs) {
    fixture f = make_fixture();
    cg_device *device = test_device_open();
    cg_module *model = make_model(device, "Flatten(), Linear(50, 2)");
    save(&f, model, 0);
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *x;
    float expected[ROWS * 2], actual[ROWS * 2];
    cr_assert_eq(cg_tensor_create(device, cg_device_real(device), &CG_SHAPE(ROWS, 2, 5, 5), &x), CG_OK);
    cr_assert_eq(cg_tensor_write_f32(x, f.normalized, ROWS * SAMPLE), CG_OK);
    cr_assert_eq(cg_tensor_read_f32(cg_module_forward(model, tape, x), expected, ROWS * 2), CG_OK);
    cg_predictor *predictor;
    cr_assert_eq(cg_predictor_open(f.path, test_device_string(), &predictor), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_predictor_run(predictor, f.x, ROWS, actual), CG_OK, "%s", cg_error_message());
    for (int i = 0; i < ROWS * 2; i++) {
        cr_expect_float_eq(actual[i], expected[i], 1e-5);
    }
    cg_predictor_close(predictor);
    cg_tape_destroy(tape);
    cg_tensor_destroy(x);
    cg_module_destroy(model);
    cg_device_close(device);
    test_folder_remove(&f.folder);
}

static void refuses(const char *file, const char *device, cg_status status, const char *word) {
    cg_predictor *predictor = NULL;
    cr_expect_eq(cg_predictor_open(file, device, &predictor), status, "%s: %s", word, cg_error_message());
    cr_expect(predictor == NULL && strstr(cg_error_message(), word) != NULL, "%s: %s", word, cg_error_message());
}

Test(predictor, what_is_wrong_is_named) {
    fixture f = make_fixture();
    cg_device *device = test_device_open();
    cg_module *model = make_model(device, "Flatten(), Linear(50, 4)");
    save(&f, model, CLASSES);
    refuses(f.path, "nodevice", CG_ERR_DEVICE, "nodevice");
    cg_predictor *predictor;
    float x[SAMPLE] = {0}, outputs[CLASSES];
    cr_assert_eq(cg_predictor_open(f.path, test_device_string(), &predictor), CG_OK, "%s", cg_error_message());
    cr_expect_eq(cg_predictor_run(predictor, x, -1, outputs), CG_ERR_ARGUMENT);
    cr_expect_eq(cg_predictor_run(predictor, NULL, 1, outputs), CG_ERR_ARGUMENT);
    cr_expect_eq(cg_predictor_run(predictor, x, 1, NULL), CG_ERR_ARGUMENT);
    cr_expect_eq(cg_predictor_run(predictor, NULL, 0, NULL), CG_OK);
    cr_expect_eq(cg_predictor_run(predictor, x, 1, outputs), CG_OK, "it goes on after errors");
    cg_predictor_close(predictor);
    cg_predictor_close(NULL);

    save(&f, model, 3);
    refuses(f.path, test_device_string(), CG_ERR_SHAPE, "3 classes");
    cr_assert_eq(cg_checkpoint_save(f.path, model, NULL, &(cg_checkpoint_info){0}), CG_OK);
    refuses(f.path, test_device_string(), CG_ERR_FORMAT, "of which model");
    test_file_write(&f.folder, "a.safetensors", "no checkpoint", 13);
    refuses(f.path, test_device_string(), CG_ERR_FORMAT, "a.safetensors");
    test_path(&f.folder, "none.safetensors", f.path);
    refuses(f.path, test_device_string(), CG_ERR_FILE, "none.safetensors");
    cg_module_destroy(model);
    cg_device_close(device);
    test_folder_remove(&f.folder);
}
