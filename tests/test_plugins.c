/* Plug-ins: found, refused with a reason, used; and what falls back to the CPU from one that can do little. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <clgrad/ops.h>

#include "alloc.h"
#include "tensors.h"

static void load_only(const char *plugins) {
    char path[2048] = "";
    for (const char *name = plugins; *name != '\0';) {
        size_t length = strcspn(name, " "), used = strlen(path);
        snprintf(path + used, sizeof path - used, "%s%s/%.*s", used > 0 ? ":" : "", TEST_PLUGINS, (int)length, name);
        name += length + (name[length] == ' ');
    }
    setenv("CLGRAD_BACKEND_PATH", path, 1);
}

static const char *problem_of(const char *file) {
    static cg_backend_problem problems[32];
    size_t count = cg_backend_problems(problems, 32);
    for (size_t i = 0; i < count; i++) {
        if (strstr(problems[i].backend, file) != NULL) {
            return problems[i].reason;
        }
    }
    return "";
}

static cg_device *open_tiny(void) {
    load_only("tiny");
    cg_device *device;
    cr_assert_eq(cg_device_open("tiny:one", &device), CG_OK, "%s", cg_error_message());
    return device;
}

static void expect_refused(const char *string, cg_status expected, const char *part) {
    cg_device *device;
    cg_status status = cg_device_open(string, &device);
    cr_assert_eq(status, expected, "'%s' gave %s: %s", string, cg_status_name(status), cg_error_message());
    cr_assert_not_null(strstr(cg_error_message(), part), "'%s': '%s' lacks '%s'", string, cg_error_message(), part);
    cr_assert_null(device);
}

Test(plugins, broken_ones_are_named_with_the_reason_and_the_others_work) {
    load_only("no_entry wrong_abi refuses no_function taken_name tiny missing");
    cg_device_info infos[16];
    size_t count;
    cr_assert_eq(cg_device_list(infos, 16, &count), CG_OK);
    cr_assert_not_null(strstr(problem_of("no_entry.so"), "no function clgrad_backend"));
    cr_assert_not_null(strstr(problem_of("wrong_abi.so"), "backend ABI is 2"));
    cr_assert_not_null(strstr(problem_of("refuses.so"), "backend ABI is 1: it was made for backend ABI 2"));
    cr_assert_not_null(strstr(problem_of("no_function.so"), "its function open is NULL, which is required"));
    cr_assert_not_null(strstr(problem_of("taken_name.so"), "its name, cpu, is a built-in one"));
    cr_assert_not_null(strstr(problem_of("missing"), "no such file or folder"));
    cr_assert_str_eq(infos[0].string, "cpu");
    cr_assert_str_eq(infos[1].string, "reference");
    cr_assert_str_eq(infos[2].string, "tiny:one");
    cr_assert_str_eq(infos[3].string, "tiny:two");
}

static void copy_part(const char *from, const char *to, double share) {
    static char bytes[1 << 20];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    cr_assert(in != NULL && out != NULL);
    size_t count = fread(bytes, 1, sizeof bytes, in);
    cr_assert(count > 1000 && count < sizeof bytes);
    count = (size_t)((double)count * share);
    cr_assert_eq(fwrite(bytes, 1, count, out), count);
    fclose(in);
    fclose(out);
}

static void expect_not_loaded(const char *file, const char *part) {
    cr_expect_eq(cg_backend_load(file), CG_ERR_DEVICE, "%s", file);
    cr_expect_not_null(strstr(cg_error_message(), part), "%s: '%s' lacks '%s'", file, cg_error_message(), part);
    cr_expect_not_null(strstr(cg_error_message(), file), "'%s' lacks the file", cg_error_message());
}

Test(plugins, files_that_are_no_whole_libraries_are_refused_with_the_reason) {
    char folder[] = "/tmp/clgrad-plugins-XXXXXX", file[256];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/cut.so", folder);
    copy_part(TEST_PLUGINS "/tiny/tiny.so", file, 0);
    expect_not_loaded(file, "it is no shared object: it has 0 bytes only");
    for (double share = 0.1; share < 1; share += 0.1) {
        copy_part(TEST_PLUGINS "/tiny/tiny.so", file, share);
        expect_not_loaded(file, "it is cut short");
    }
    FILE *text = fopen(file, "w");
    cr_assert_not_null(text);
    fprintf(text, "%100s", "not a library");
    fclose(text);
    expect_not_loaded(file, "it is no shared object");
    expect_not_loaded(folder, "it is no file but a folder");
    expect_not_loaded("/dev/zero", "it is no file");
    expect_not_loaded("/nowhere/at/all.so", "No such file or directory");
    expect_not_loaded(TEST_PLUGINS "/no_entry/no_entry.so", "no function clgrad_backend");
    remove(file);
    remove(folder);
}

Test(plugins, one_that_is_found_and_cannot_be_loaded_is_reported_and_skipped) {
    setenv("CLGRAD_BACKEND_PATH", "/dev/null", 1);
    cg_device_info infos[16];
    size_t count;
    cr_assert_eq(cg_device_list(infos, 16, &count), CG_OK);
    cr_expect_not_null(strstr(problem_of("null"), "it is no file"));
}

Test(plugins, one_that_is_asked_for_goes_before_those_that_are_found) {
    load_only("");
    cr_assert_eq(cg_backend_load(TEST_PLUGINS "/tiny/tiny.so"), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_backend_load(TEST_PLUGINS "/tiny/tiny.so"), CG_OK, "twice is once");
    cg_device_info infos[16];
    size_t count;
    cr_assert_eq(cg_device_list(infos, 16, &count), CG_OK);
    cr_assert_str_eq(infos[2].string, "tiny:one");
    cr_assert_str_eq(infos[3].string, "tiny:two");
    cr_expect(count == 4 || strncmp(infos[4].string, "tiny", 4) != 0);
}

Test(plugins, every_way_of_choosing_finds_its_device) {
    load_only("tiny");
    static const struct {
        const char *string, *name;
    } cases[] = {
        {"tiny", "Tiny One"},
        {"tiny:1", "Tiny Two"},
        {"tiny:two", "Tiny Two"},
        {"tiny:TINY TWO", "Tiny Two"},
        {"tiny:uuid=ffeeddcc-bbaa-9988-7766-554433221100", "Tiny Two"},
        {"tiny:pci=0000:01:00.0", "Tiny One"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cg_device *device;
        cr_assert_eq(cg_device_open(cases[i].string, &device), CG_OK, "%s: %s", cases[i].string, cg_error_message());
        cr_expect_str_eq(cg_device_describe(device)->name, cases[i].name, "%s", cases[i].string);
        cg_device_close(device);
    }
}

Test(plugins, strings_that_fit_no_device_or_several_list_the_candidates) {
    load_only("tiny");
    expect_refused("tiny:three", CG_ERR_DEVICE, "no device fits. There are: tiny:one (index 0, Tiny One); tiny:two");
    expect_refused("tiny:Tiny", CG_ERR_DEVICE, "several devices fit");
    expect_refused("tiny:2", CG_ERR_DEVICE, "no device fits");
    expect_refused("tiny:99999999999999999999", CG_ERR_DEVICE, "no device fits");
    expect_refused("tiny:gpu", CG_ERR_DEVICE, "no device fits");
    expect_refused("nothing", CG_ERR_DEVICE, "There are: auto, cpu, reference, tiny");
    expect_refused("tiny:one,speed=9", CG_ERR_ARGUMENT, "knows no option speed");
    expect_refused("auto:gpu", CG_ERR_SYNTAX, "auto takes no selector");
    expect_refused("tiny:", CG_ERR_SYNTAX, "selector is expected");
    expect_refused(":gpu", CG_ERR_SYNTAX, "must begin with a backend");
    expect_refused("", CG_ERR_SYNTAX, "must begin with a backend");
    expect_refused("cpu,", CG_ERR_SYNTAX, "key=value expected");
    expect_refused("cpu,threads", CG_ERR_SYNTAX, "not key=value");
    expect_refused("cpu,threads=1,threads=2", CG_ERR_SYNTAX, "threads is given twice");
    expect_refused("check", CG_ERR_SYNTAX, "check wraps a device, as in 'check:cpu'");
    expect_refused("check:", CG_ERR_SYNTAX, "must begin with a backend");
    expect_refused("trace,file=x", CG_ERR_SYNTAX, "trace wraps a device, as in 'trace,file=x:cpu'");
    expect_refused("check,:cpu", CG_ERR_SYNTAX, "key=value expected");
    expect_refused("check,speed=1:cpu", CG_ERR_ARGUMENT, "check has no option 'speed'");
    expect_refused("fault,at=0:cpu", CG_ERR_ARGUMENT, "a number from 1 on");
    expect_refused("fault,at=-1:cpu", CG_ERR_ARGUMENT, "a number from 1 on");
    expect_refused("fault,at=9z:cpu", CG_ERR_ARGUMENT, "a number from 1 on");
    expect_refused("fault,at=99999999999999999999999:cpu", CG_ERR_ARGUMENT, "a number from 1 on");
    expect_refused("fault,kind=flood:cpu", CG_ERR_ARGUMENT, "any|allocation|transfer|build|op|lost|wrong");
    expect_refused("trace,file=/no/such/folder/t.json:cpu", CG_ERR_FILE, "cannot write '/no/such/folder/t.json'");
    expect_refused("check:check:check:check:check:cpu", CG_ERR_SYNTAX, "more than 4 decorators");
    expect_refused("check:nothing", CG_ERR_DEVICE, "no such backend");
    expect_refused("auto:check:cpu", CG_ERR_SYNTAX, "auto takes no selector");
    expect_refused("cpu,=4", CG_ERR_SYNTAX, "not key=value");
}

Test(plugins, auto_says_what_it_chose_and_why) {
    load_only("tiny");
    cg_device *device;
    cr_assert_eq(cg_device_open("auto", &device), CG_OK);
    cr_expect_str_eq(cg_device_describe(device)->string, "cpu");
    cr_expect_not_null(strstr(cg_device_choice(device), "auto chose cpu: no GPU among 4 devices"), "%s",
                       cg_device_choice(device));
    cg_device_close(device);
}

static void expect_choice(const char *string, const char *name, const char *choice) {
    cg_device *device;
    cr_assert_eq(cg_device_open(string, &device), CG_OK, "%s: %s", string, cg_error_message());
    cr_expect_str_eq(cg_device_describe(device)->name, name, "%s", string);
    cr_expect(choice == NULL || strcmp(cg_device_choice(device), choice) == 0, "%s", cg_device_choice(device));
    cg_device_close(device);
}

Test(plugins, auto_takes_a_card_before_a_gpu_in_the_processor_and_no_simulator) {
    load_only("gpus");
    expect_choice("auto", "A Card", "auto chose gpus:card: A Card, a discrete GPU");
    expect_choice("check:auto", "A Card", NULL);
    expect_choice("gpus:gpu", "Part of the Processor", NULL); /* the first of the list that is none */
    expect_choice("gpus:CPU", "The Processor", NULL);
    expect_choice("gpus:simulated", "Not There", NULL);
    unsetenv("CLGRAD_DEVICE");
    expect_choice(NULL, "A Card", NULL);
    setenv("CLGRAD_DEVICE", "gpus:cores", 1);
    expect_choice(NULL, "The Processor", NULL);
}

/* All of a step on a device that leaves nearly everything to the CPU. */
static cg_status step_that_falls_back(cg_device *device) {
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *x = NULL;
    cg_status status = tape != NULL ? cg_tensor_create(device, CG_F32, &CG_SHAPE(2, 2), &x) : CG_ERR_MEMORY;
    if (status == CG_OK) {
        cg_tensor_set_requires_grad(x, true);
        cg_tensor *positive = cg_relu(tape, cg_square(tape, x));
        status = cg_backward(tape, cg_sum(tape, cg_mul(tape, positive, x), CG_ALL_AXES, false));
        status = status == CG_OK ? cg_tape_run(tape) : status;
    }
    cg_tensor_destroy(x);
    cg_tape_destroy(tape);
    return status;
}

/* Each allocation fails once. The step may be whole all the same: an answer that is not kept is asked for again. */
Test(plugins, memory_may_run_out_while_ops_fall_back) {
    unsigned long long made = 1;
    for (unsigned long long call = 1; made >= call - 1; call++) {
        cg_device *device = open_tiny();
        unsigned long long before = cg_host_allocations();
        cg_alloc_fail_at((long)call);
        cg_status status = step_that_falls_back(device);
        cg_alloc_fail_at(0);
        made = cg_host_allocations() - before;
        bool told = status == CG_ERR_DEVICE_MEMORY || strstr(cg_error_message(), "out of host memory") != NULL;
        cr_assert(status == CG_OK || told, "allocation %llu: %s: %s", call, cg_status_name(status), cg_error_message());
        cr_assert(status == CG_OK || made >= call);
        cg_device_close(device);
    }
}

Test(plugins, what_a_device_lacks_falls_back_and_is_counted_with_its_reason) {
    cg_device *device = open_tiny();
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *x = test_tensor(device, CG_SHAPE(2, 2), (double[]){1, -2, 3, -4});
    cg_tensor_set_requires_grad(x, true);
    cg_tensor *loss = cg_sum(tape, cg_square(tape, cg_relu(tape, x)), CG_ALL_AXES, false);
    cr_assert_eq(cg_backward(tape, loss), CG_OK);
    test_expect("loss", loss, CG_SCALAR, (double[]){10}, 0, 0);
    cr_assert_eq(cg_tape_run(tape), CG_OK);
    test_expect("gradient", cg_tensor_grad(x), CG_SHAPE(2, 2), (double[]){2, 0, 6, 0}, 0, 0);
    cg_fallback_info rows[16];
    size_t count = cg_device_fallbacks(device, rows, 16);
    cr_assert_geq(count, 4);
    bool square = false;
    for (size_t i = 0; i < count; i++) {
        cr_expect_str_eq(rows[i].reason, "tiny runs relu only");
        cr_expect_str_neq(rows[i].op, "relu");
        if (strcmp(rows[i].op, "square") == 0) {
            square = true;
            cr_expect_eq(rows[i].count, 1);
            cr_expect_eq(rows[i].bytes, 16, "%llu: there; the next op runs there, too",
                         (unsigned long long)rows[i].bytes);
        }
    }
    cr_expect(square);
    cg_tensor_destroy(x);
    cg_tape_destroy(tape);
    cg_device_close(device);
}

Test(plugins, check_finds_what_a_backend_lies_about) {
    load_only("liar");
    cg_device *device;
    cr_assert_eq(cg_device_open("check:liar:one", &device), CG_OK, "%s", cg_error_message());
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *x = test_tensor(device, CG_SHAPE(2, 3), (double[]){1, 2, 3, 4, -0.5, 6});
    double values[6];
    cr_assert_eq(cg_tensor_read_f64(cg_relu(tape, x), values, 6), CG_ERR_WRONG);
    cr_expect_not_null(strstr(cg_error_message(), "check: relu is wrong on check:liar:one: element [1, 1] of output 0 "
                                                  "is -0.5, the reference says 0"),
                       "%s", cg_error_message());
    cr_expect_not_null(strstr(cg_error_message(), "inputs [2, 3] f32; outputs [2, 3] f32"), "%s", cg_error_message());
    cg_tensor_destroy(x);
    cg_tape_destroy(tape);
    cg_device_close(device);
}

Test(plugins, check_finds_reads_that_are_short) {
    load_only("short");
    cg_device *device;
    cr_assert_eq(cg_device_open("check:short:one", &device), CG_OK, "%s", cg_error_message());
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *x = test_tensor(device, CG_SHAPE(2, 3), (double[]){1, 2, 3, 4, -0.5, 6});
    double values[6];
    cr_assert_eq(cg_tensor_read_f64(cg_relu(tape, x), values, 6), CG_ERR_WRONG);
    cr_expect_not_null(
        strstr(cg_error_message(), "check: a read of 24 bytes on check:short:one left byte 23 as it was"), "%s",
        cg_error_message());
    cg_tensor_destroy(x);
    cg_tape_destroy(tape);
    cg_device_close(device);
}

Test(plugins, ops_that_fall_back_one_after_another_move_nothing_between_them) {
    cg_device *device = open_tiny();
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *x = test_tensor(device, CG_SHAPE(2, 2), (double[]){1, -2, 3, -4});
    cg_tensor *squares = cg_square(tape, x);                                  /* x moves there: 16 bytes */
    cg_tensor *doubled = cg_add(tape, squares, squares);                      /* nothing moves */
    cg_tensor *positive = cg_relu(tape, doubled);                             /* the device reads it: 16 bytes back */
    cg_tensor *sum = cg_add(tape, positive, squares);                         /* 16 bytes there */
    test_expect("sum", sum, CG_SHAPE(2, 2), (double[]){3, 12, 27, 48}, 0, 0); /* 16 back */
    cg_fallback_info rows[16];
    size_t count = cg_device_fallbacks(device, rows, 16);
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += rows[i].bytes;
    }
    cr_expect_eq(bytes, 64, "%llu", (unsigned long long)bytes);
    cg_tape_destroy(tape);
    cg_tensor_destroy(x);
    cg_device_close(device);
}

Test(plugins, a_host_write_to_what_a_fallback_holds_is_seen) {
    cg_device *device = open_tiny();
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *x = test_tensor(device, CG_SHAPE(2), (double[]){1, 2});
    test_expect("before", cg_square(tape, x), CG_SHAPE(2), (double[]){1, 4}, 0, 0);
    cr_assert_eq(cg_tensor_write_f64(x, (double[]){3, 5}, 2), CG_OK);
    test_expect("after", cg_square(tape, x), CG_SHAPE(2), (double[]){9, 25}, 0, 0);
    cg_tape_destroy(tape);
    cg_tensor_destroy(x);
    cg_device_close(device);
}

Test(plugins, fallback_can_be_forbidden) {
    cg_device *device = open_tiny();
    cg_tensor *x = test_tensor(device, CG_SHAPE(3), (double[]){1, 2, 3});
    cg_device_set_fallback(device, CG_FALLBACK_ERROR);
    cg_tape *tape = cg_tape_create(device);
    double values[3];
    cr_assert_eq(cg_tensor_read_f64(cg_square(tape, x), values, 3), CG_ERR_FALLBACK);
    cr_expect_not_null(strstr(cg_error_message(), "tiny:one cannot run square: tiny runs relu only"));
    cg_tensor_destroy(x);
    cg_tape_destroy(tape);
    cg_device_close(device);
}

Test(plugins, a_full_device_is_an_error_that_says_how_full) {
    cg_device *device = open_tiny();
    cg_tensor *first, *second;
    cr_assert_eq(cg_tensor_create(device, CG_F32, &CG_SHAPE(1024), &first), CG_OK);
    cr_assert_eq(cg_tensor_create(device, CG_F32, &CG_SHAPE(1024, 1024, 64), &second), CG_ERR_DEVICE_MEMORY);
    cr_expect_not_null(strstr(cg_error_message(), "tiny:one: out of memory: 268435456 bytes asked for, 4096 in use"),
                       "%s", cg_error_message());
    cr_assert_null(second);
    cg_tensor_destroy(first);
    cg_device_close(device);
}
