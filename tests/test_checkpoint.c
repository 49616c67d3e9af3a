/* Checkpoints on the device under test: everything comes back, and what does not fit changes nothing. */
#define _XOPEN_SOURCE 700
#include <clgrad/checkpoint.h>

#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "alloc.h"
#include "devices.h"
#include "files.h"
#include "safetensors.h"

#define MODEL "Linear(3, 4), ReLU(), Linear(4, 2)"

typedef struct fixture {
    cg_device *device;
    cg_module *model;
    cg_optimizer *optimizer;
    test_folder folder;
    char path[TEST_PATH_SIZE];
} fixture;

static cg_module *make_model(cg_device *device, uint64_t seed) {
    cg_module *model;
    cr_assert(cg_module_parse(device, MODEL, &model) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_module_resolve(model, &CG_SHAPE(1, 3), NULL) == CG_OK, "%s", cg_error_message());
    cr_assert(cg_module_init(model, seed) == CG_OK, "%s", cg_error_message());
    return model;
}

static double first_of(cg_tensor *tensor) {
    double values[16];
    int64_t count = cg_tensor_numel(tensor);
    cr_assert(count <= 16 && cg_tensor_read_f64(tensor, values, count) == CG_OK, "%s", cg_error_message());
    return values[0];
}

static cg_optimizer *make_optimizer(cg_module *model) {
    cg_optimizer *optimizer;
    cr_assert(cg_optimizer_parse("Adam(lr=0.01)", model, &optimizer) == CG_OK, "%s", cg_error_message());
    for (size_t i = 0; i < cg_optimizer_state_count(optimizer); i++) {
        const char *name;
        cr_assert(cg_tensor_fill(cg_optimizer_state(optimizer, i, &name), (double)i + 0.25) == CG_OK);
    }
    cg_optimizer_set_steps(optimizer, 17);
    return optimizer;
}

static fixture open(void) {
    fixture f = {.device = test_device_open(), .folder = test_folder_make()};
    f.model = make_model(f.device, 1);
    f.optimizer = make_optimizer(f.model);
    test_path(&f.folder, "a.safetensors", f.path);
    return f;
}

static void close(fixture *f) {
    cg_optimizer_destroy(f->optimizer);
    cg_module_destroy(f->model);
    cg_device_close(f->device);
    test_folder_remove(&f->folder);
}

static void save(const fixture *f, cg_optimizer *optimizer, const cg_checkpoint_info *info) {
    cr_assert(cg_checkpoint_save(f->path, f->model, optimizer, info) == CG_OK, "%s", cg_error_message());
}

/* A sum over all parameters that differs where the values or their order differ. */
static double fingerprint(const cg_module *model) {
    double sum = 0;
    for (size_t i = 0; i < cg_module_parameter_count(model); i++) {
        const char *name;
        cg_tensor *tensor = cg_module_parameter(model, i, &name);
        int64_t count = cg_tensor_numel(tensor);
        double values[16];
        cr_assert(count <= 16 && cg_tensor_read_f64(tensor, values, count) == CG_OK);
        for (int64_t k = 0; k < count; k++) {
            sum += values[k] * (double)(i * 100 + (size_t)k + 1);
        }
    }
    return sum;
}

static cg_checkpoint_info example_info(void) {
    static double mean[] = {0.1, 1.0 / 3.0}, std[] = {0.30810001, 1e-7};
    static char *names[] = {"a", "\"b\", c]", "\xc3\xa4", "d", "e", "f", "g", "h", "i", ""};
    return (cg_checkpoint_info){
        .model = MODEL,
        .data = "dig\"its\n",
        .target = "price, in \xe2\x82\xac",
        .sample = CG_SHAPE(1, 28, 28),
        .classes = 10,
        .has_normalization = true,
        .channels = 2,
        .mean = mean,
        .std = std,
        .class_names = names,
        .has_split = true,
        .valid = 1.0 / 6.0,
        .split_seed = UINT64_MAX,
        .optimizer = "Adam(lr=0.01)",
        .loss = "CrossEntropyLoss()",
        .epoch = 3,
        .position = 1234567890123,
        .seed = 1ull << 63,
        .batch = 64,
        .limit = 1000,
        .shuffle = true,
        .notes[CG_NOTE_SCHEDULE] = "StepLR(step_size=30)",
    };
}

static void expect_info(const cg_checkpoint_info *a, const cg_checkpoint_info *b) {
    cr_assert_str_eq(a->model, b->model);
    cr_assert_str_eq(a->data, b->data);
    cr_assert_str_eq(a->target, b->target);
    cr_assert_str_eq(a->optimizer, b->optimizer);
    cr_assert_str_eq(a->loss, b->loss);
    cr_assert(cg_shape_equal(&a->sample, &b->sample) && a->classes == b->classes);
    for (int i = 0; i < 10; i++) {
        cr_assert_str_eq(a->class_names[i], b->class_names[i]);
    }
    cr_assert(a->has_normalization && a->channels == 2 && a->has_split);
    cr_assert(a->mean[0] == b->mean[0] && a->mean[1] == b->mean[1]);
    cr_assert(a->std[0] == b->std[0] && a->std[1] == b->std[1]);
    cr_assert(a->valid == b->valid && a->split_seed == b->split_seed && a->seed == b->seed);
    cr_assert(a->epoch == b->epoch && a->position == b->position && a->batch == b->batch);
    cr_assert_str_eq(a->notes[CG_NOTE_SCHEDULE], b->notes[CG_NOTE_SCHEDULE]);
    cr_assert_null(a->notes[CG_NOTE_SCHEDULE_STATE]);
    cr_assert(a->limit == b->limit && a->shuffle == b->shuffle && a->optimizer_steps == 17);
}

Test(checkpoint, what_it_says_about_itself_reads_back_exactly) {
    fixture f = open();
    cg_checkpoint_info written = example_info(), read;
    save(&f, f.optimizer, &written);
    cr_assert(cg_checkpoint_read(f.path, &read) == CG_OK, "%s", cg_error_message());
    expect_info(&read, &written);
    cg_checkpoint_info_clear(&read);
    cg_checkpoint_info_clear(&read);
    save(&f, NULL, NULL);
    cr_assert(cg_checkpoint_read(f.path, &read) == CG_OK);
    cr_assert(read.model == NULL && !read.has_split && !read.has_normalization && read.optimizer == NULL);
    cg_checkpoint_info_clear(&read);
    close(&f);
}

Test(checkpoint, parameters_and_training_state_come_back) {
    fixture f = open();
    cg_checkpoint_info info = example_info();
    save(&f, f.optimizer, &info);
    cg_module *other = make_model(f.device, 2);
    cg_optimizer *optimizer = make_optimizer(other);
    for (size_t i = 0; i < cg_optimizer_state_count(optimizer); i++) {
        const char *name;
        cr_assert(cg_tensor_fill(cg_optimizer_state(optimizer, i, &name), -1) == CG_OK);
    }
    cg_optimizer_set_steps(optimizer, 0);
    cr_assert(fingerprint(other) != fingerprint(f.model));
    cr_assert(cg_checkpoint_load(f.path, other, optimizer, CG_LOAD_STRICT) == CG_OK, "%s", cg_error_message());
    cr_assert(fingerprint(other) == fingerprint(f.model));
    cr_assert(cg_optimizer_steps(optimizer) == 17 && cg_optimizer_state_count(optimizer) > 0);
    for (size_t i = 0; i < cg_optimizer_state_count(optimizer); i++) {
        const char *name;
        double value = first_of(cg_optimizer_state(optimizer, i, &name));
        cr_assert(value == (double)i + 0.25, "%s is %g", name, value);
    }
    cg_optimizer_destroy(optimizer);
    cg_module_destroy(other);
    close(&f);
}

Test(checkpoint, training_state_is_passed_over_without_an_optimizer) {
    fixture f = open();
    save(&f, f.optimizer, NULL);
    cg_module *other = make_model(f.device, 2);
    cr_assert(cg_checkpoint_load(f.path, other, NULL, CG_LOAD_STRICT) == CG_OK, "%s", cg_error_message());
    cr_assert(fingerprint(other) == fingerprint(f.model));
    cg_module_destroy(other);
    save(&f, NULL, NULL);
    test_expect_failure(cg_checkpoint_load(f.path, f.model, f.optimizer, CG_LOAD_STRICT), CG_ERR_FORMAT,
                        "no training state");
    close(&f);
}

Test(checkpoint, another_optimizer_s_state_is_refused) {
    fixture f = open();
    save(&f, f.optimizer, NULL);
    cg_optimizer *sgd;
    cr_assert(cg_optimizer_parse("SGD(lr=0.1)", f.model, &sgd) == CG_OK, "%s", cg_error_message());
    test_expect_failure(cg_checkpoint_load(f.path, f.model, sgd, CG_LOAD_STRICT), CG_ERR_FORMAT,
                        "unexpected __training__.0.");
    cg_optimizer_destroy(sgd);
    close(&f);
}

Test(checkpoint, the_same_state_gives_the_same_bytes) {
    fixture f = open();
    cg_checkpoint_info info = example_info();
    save(&f, f.optimizer, &info);
    size_t size, again;
    char *a = test_file_read(&f.folder, "a.safetensors", &size);
    save(&f, f.optimizer, &info);
    char *b = test_file_read(&f.folder, "a.safetensors", &again);
    cr_assert(size == again && memcmp(a, b, size) == 0);
    cr_assert(test_folder_count(&f.folder) == 1);
    free(a);
    free(b);
    close(&f);
}

/* A state dict as PyTorch writes it: no metadata of ours; one value of 0.weight and one shape can be chosen. */
typedef struct state_dict {
    const char *last_name;
    cg_shape last_shape;
    cg_stored_dtype dtype;
    double value; /* of element [1, 2] of 0.weight */
    size_t count;
} state_dict;

static void write_state_dict(const char *path, const state_dict *dict) {
    double f64[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    float f32[12];
    uint16_t bf16[12];
    static const int64_t zeros[12];
    f64[5] = dict->value;
    for (int i = 0; i < 12; i++) {
        f32[i] = (float)f64[i];
        uint32_t bits;
        memcpy(&bits, &f32[i], sizeof bits);
        bf16[i] = (uint16_t)(bits >> 16);
    }
    const void *data = dict->dtype == CG_STORED_F64    ? (const void *)f64
                       : dict->dtype == CG_STORED_F32  ? (const void *)f32
                       : dict->dtype == CG_STORED_BF16 ? (const void *)bf16
                                                       : (const void *)zeros;
    size_t last = (size_t)cg_shape_numel(&dict->last_shape) * 4;
    const cg_stored tensors[] = {
        {.name = "0.weight",
         .dtype = dict->dtype,
         .shape = CG_SHAPE(4, 3),
         .data = data,
         .bytes = 12 * cg_stored_dtype_size(dict->dtype)},
        {.name = "0.bias", .dtype = CG_STORED_F32, .shape = CG_SHAPE(4), .data = zeros, .bytes = 16},
        {.name = "2.weight", .dtype = CG_STORED_F32, .shape = CG_SHAPE(2, 4), .data = zeros, .bytes = 32},
        {.name = dict->last_name, .dtype = CG_STORED_F32, .shape = dict->last_shape, .data = zeros, .bytes = last},
        {.name = "3.more", .dtype = CG_STORED_F32, .shape = CG_SHAPE(1), .data = zeros, .bytes = 4},
    };
    const cg_stored_text text = {"format", "pt"};
    cr_assert(cg_safetensors_write(path, tensors, dict->count, &text, 1) == CG_OK, "%s", cg_error_message());
}

static const state_dict good = {"2.bias", {{2}, 1}, CG_STORED_F32, 5, 4};

Test(checkpoint, a_plain_state_dict_is_loaded_whatever_its_precision) {
    static const cg_stored_dtype dtypes[] = {CG_STORED_F32, CG_STORED_F64, CG_STORED_BF16};
    fixture f = open();
    for (size_t i = 0; i < 3; i++) {
        state_dict dict = good;
        dict.dtype = dtypes[i];
        write_state_dict(f.path, &dict);
        cr_assert(cg_module_init(f.model, i) == CG_OK);
        cr_assert(cg_checkpoint_load(f.path, f.model, NULL, CG_LOAD_STRICT) == CG_OK, "%s", cg_error_message());
        double values[12];
        cr_assert(cg_tensor_read_f64(cg_module_find(f.model, "0.weight"), values, 12) == CG_OK);
        for (int k = 0; k < 12; k++) {
            cr_assert(values[k] == k);
        }
    }
    close(&f);
}

/* The state dict is refused with this message and the model keeps its values. */
static void expect_refused(const fixture *f, const state_dict *dict, unsigned flags, cg_status status,
                           const char *part) {
    write_state_dict(f->path, dict);
    double before = fingerprint(f->model);
    test_expect_failure(cg_checkpoint_load(f->path, f->model, NULL, flags), status, part);
    cr_assert(strstr(cg_error_message(), f->path) != NULL);
    cr_assert(fingerprint(f->model) == before, "the model was changed");
}

static void expect_loaded(const fixture *f, const state_dict *dict, unsigned flags) {
    write_state_dict(f->path, dict);
    cr_assert(cg_module_init(f->model, 1) == CG_OK);
    cg_status status = cg_checkpoint_load(f->path, f->model, NULL, flags);
    cr_assert(status == CG_OK, "%s", cg_error_message());
    cr_assert(first_of(cg_module_find(f->model, "0.bias")) == 0);
}

Test(checkpoint, names_that_are_missing_or_unexpected_are_listed) {
    fixture f = open();
    state_dict dict = good;
    dict.count = 3;
    expect_refused(&f, &dict, CG_LOAD_ALLOW_EXTRA, CG_ERR_FORMAT, "does not fit the model: missing 2.bias");
    expect_loaded(&f, &dict, CG_LOAD_ALLOW_MISSING);
    dict.count = 5;
    expect_refused(&f, &dict, CG_LOAD_ALLOW_MISSING, CG_ERR_FORMAT, "does not fit the model: unexpected 3.more");
    expect_loaded(&f, &dict, CG_LOAD_ALLOW_EXTRA);
    dict.last_name = "2.bia";
    expect_refused(&f, &dict, 0, CG_ERR_FORMAT, "missing 2.bias; unexpected 2.bia, 3.more");
    expect_loaded(&f, &dict, CG_LOAD_ALLOW_MISSING | CG_LOAD_ALLOW_EXTRA);
    close(&f);
}

Test(checkpoint, other_shapes_and_dtypes_are_refused_naming_both) {
    fixture f = open();
    state_dict dict = good;
    dict.last_shape = CG_SHAPE(1, 2);
    expect_refused(&f, &dict, 0, CG_ERR_SHAPE, "2.bias has the shape [1, 2], the model's has [2]");
    dict.last_shape = CG_SHAPE(3);
    expect_refused(&f, &dict, CG_LOAD_ALLOW_MISSING | CG_LOAD_ALLOW_EXTRA, CG_ERR_SHAPE, "[3], the model's has [2]");
    dict = good;
    dict.dtype = CG_STORED_I32;
    expect_refused(&f, &dict, 0, CG_ERR_DTYPE, "0.weight has the dtype I32");
    close(&f);
}

Test(checkpoint, a_value_that_is_no_number_is_refused_unless_allowed) {
    fixture f = open();
    state_dict dict = good;
    dict.value = NAN;
    static const cg_stored_dtype dtypes[] = {CG_STORED_F32, CG_STORED_F64, CG_STORED_BF16};
    for (size_t i = 0; i < 3; i++) {
        dict.dtype = dtypes[i];
        expect_refused(&f, &dict, 0, CG_ERR_FORMAT, "0.weight has an element that is not a number at [1, 2]");
    }
    expect_loaded(&f, &dict, CG_LOAD_ALLOW_NAN);
    double values[12];
    cr_assert(cg_tensor_read_f64(cg_module_find(f.model, "0.weight"), values, 12) == CG_OK && isnan(values[5]));
    save(&f, NULL, NULL);
    test_expect_failure(cg_checkpoint_load(f.path, f.model, NULL, 0), CG_ERR_FORMAT, "not a number");
    close(&f);
}

Test(checkpoint, a_file_cut_anywhere_is_refused_and_changes_nothing) {
    fixture f = open();
    cg_checkpoint_info info = example_info();
    save(&f, f.optimizer, &info);
    size_t size;
    char *bytes = test_file_read(&f.folder, "a.safetensors", &size);
    cr_assert(cg_module_init(f.model, 5) == CG_OK);
    double before = fingerprint(f.model);
    for (size_t length = 0; length < size; length++) {
        test_file_write(&f.folder, "a.safetensors", bytes, length);
        cr_assert(cg_checkpoint_load(f.path, f.model, f.optimizer, 0) == CG_ERR_FORMAT, "cut to %zu", length);
        cr_assert(cg_checkpoint_read(f.path, &info) == CG_ERR_FORMAT);
    }
    cr_assert(fingerprint(f.model) == before);
    free(bytes);
    close(&f);
}

Test(checkpoint, metadata_that_is_wrong_is_refused) {
    static const cg_stored_text wrong[] = {
        {"classes", "-1"},
        {"classes", "ten"},
        {"classes", "10 "},
        {"classes", ""},
        {"seed", "1e3"},
        {"seed", "-1"},
        {"epoch", "9223372036854775808"},
        {"seed", "18446744073709551616"},
        {"valid", "1"},
        {"valid", "nan"},
        {"valid", "x"},
        {"mean", "[1, 2]"},
        {"mean", "1"},
        {"mean", "[1"},
        {"mean", "[1,]"},
        {"mean", "[nan]"},
        {"std", "[0]"},
        {"std", "[-1]"},
        {"std", "[inf]"},
        {"sample", "[1, 0]"},
        {"sample", "[1.5]"},
        {"sample", "[1, 2] "},
        {"sample", "[1, 1, 1, 1, 1, 1, 1, 1, 1]"},
        {"sample", "[1e300, 1e300]"},
        {"shuffle", "yes"},
    };
    fixture f = open();
    cg_checkpoint_info info;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const cg_stored_text texts[] = {{"format", "clgrad-checkpoint-1"}, wrong[i]};
        cr_assert(cg_safetensors_write(f.path, NULL, 0, texts, 2) == CG_OK);
        test_expect_failure(cg_checkpoint_read(f.path, &info), CG_ERR_FORMAT, "its metadata");
        cr_assert(info.model == NULL);
    }
    const cg_stored_text newer = {"format", "clgrad-checkpoint-2"};
    cr_assert(cg_safetensors_write(f.path, NULL, 0, &newer, 1) == CG_OK);
    test_expect_failure(cg_checkpoint_read(f.path, &info), CG_ERR_FORMAT, "clgrad-checkpoint-2");
    close(&f);
}

/* A limit on the size of files stands for a disk that is full. */
Test(checkpoint, a_save_that_fails_keeps_the_old_file) {
    fixture f = open();
    save(&f, NULL, NULL);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old, limit;
    cr_assert(getrlimit(RLIMIT_FSIZE, &old) == 0);
    limit = (struct rlimit){.rlim_cur = 100, .rlim_max = old.rlim_max};
    cr_assert(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    cg_status status = cg_checkpoint_save(f.path, f.model, f.optimizer, NULL);
    cr_assert(setrlimit(RLIMIT_FSIZE, &old) == 0);
    test_expect_failure(status, CG_ERR_FILE, "File too large");
    cr_assert(test_folder_count(&f.folder) == 1);
    cr_assert(cg_checkpoint_load(f.path, f.model, NULL, 0) == CG_OK, "%s", cg_error_message());
    test_expect_failure(cg_checkpoint_save("/nowhere/a", f.model, NULL, NULL), CG_ERR_FILE, "/nowhere/a: No such file");
    close(&f);
}

static bool out_of_memory(cg_status status) {
    return status == CG_ERR_MEMORY || status == CG_ERR_DEVICE_MEMORY;
}

Test(checkpoint, memory_that_runs_out_is_survived) {
    fixture f = open();
    cg_checkpoint_info info = example_info();
    cg_status status = CG_ERR_MEMORY;
    for (long call = 1; status != CG_OK; call++) {
        cg_alloc_fail_at(call);
        status = cg_checkpoint_save(f.path, f.model, f.optimizer, &info);
        cg_alloc_fail_at(0);
        cr_assert(call < 500 && (status == CG_OK || out_of_memory(status)), "%s", cg_error_message());
    }
    status = CG_ERR_MEMORY;
    for (long call = 1; status != CG_OK; call++) {
        cg_alloc_fail_at(call);
        status = cg_checkpoint_load(f.path, f.model, f.optimizer, 0);
        cg_alloc_fail_at(0);
        cr_assert(call < 500 && (status == CG_OK || out_of_memory(status)), "%s", cg_error_message());
    }
    close(&f);
}
