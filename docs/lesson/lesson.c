/* What the chapters share, beside the network: the command line, tensors, images, recorded numbers, comparisons. */
#include "lesson.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *lesson_text(const lesson *l, const char *flag) {
    for (const lesson_flag *f = l->flags; f->name != NULL; f++) {
        if (strcmp(f->name, flag) == 0) {
            return f->value;
        }
    }
    return "";
}

cg_status lesson_count(const lesson *l, const char *flag, int64_t *count) {
    const char *text = lesson_text(l, flag);
    char *end = NULL;
    errno = 0;
    *count = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || *count < 1) {
        return cg_fail(CG_ERR_ARGUMENT, "--%s %s: expected a whole number of at least 1", flag, text);
    }
    return CG_OK;
}

static int usage(const char *program, const lesson_flag *flags, const char *problem) {
    fprintf(stderr, "%s%susage: %s [--device STR]", problem, problem[0] != '\0' ? "\n" : "", program);
    for (const lesson_flag *f = flags; f->name != NULL; f++) {
        fprintf(stderr, " [--%s VALUE]", f->name);
    }
    fputs("\n  --device    what to run on: auto, cpu, opencl:gpu ... (clgrad devices lists them)\n", stderr);
    for (const lesson_flag *f = flags; f->name != NULL; f++) {
        fprintf(stderr, "  --%-9s %s (%s)\n", f->name, f->help, f->value);
    }
    return 2;
}

/* Fills in the flags; a text of what is wrong, or "". */
static const char *read_flags(int argc, char *argv[], lesson_flag *flags, const char **device) {
    static char problem[256];
    for (int i = 1; i < argc; i += 2) {
        lesson_flag *f = flags;
        while (f->name != NULL && (strncmp(argv[i], "--", 2) != 0 || strcmp(argv[i] + 2, f->name) != 0)) {
            f++;
        }
        bool is_device = strcmp(argv[i], "--device") == 0;
        if (f->name == NULL && !is_device) {
            snprintf(problem, sizeof problem, "unknown flag %s", argv[i]);
            return problem;
        }
        if (i + 1 == argc) {
            snprintf(problem, sizeof problem, "%s needs a value", argv[i]);
            return problem;
        }
        *(is_device ? device : &f->value) = argv[i + 1];
    }
    return "";
}

static int exit_status(cg_status status) {
    switch (status) {
    case CG_OK:
        return 0;
    case CG_ERR_ARGUMENT:
    case CG_ERR_SYNTAX:
        return 2;
    case CG_ERR_DEVICE:
    case CG_ERR_DEVICE_MEMORY:
        return 3;
    case CG_ERR_FILE:
    case CG_ERR_FORMAT:
        return 4;
    default:
        return 1;
    }
}

cg_status lesson_open(lesson *l, const char *device) {
    const char *backend = lesson_text(l, "backend");
    if (backend[0] != '\0') {
        CG_TRY(cg_backend_load(backend));
    }
    CG_TRY(cg_device_open(device, &l->device));
    l->tape = cg_tape_create(l->device);
    if (l->tape == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_tape_set_mode(l->tape, CG_EVAL);
    return CG_OK;
}

void lesson_close(lesson *l) {
    cg_tape_destroy(l->tape);
    for (int i = 0; i < l->n_tensors; i++) {
        cg_tensor_destroy(l->tensors[i]);
    }
    cg_device_close(l->device);
}

int lesson_main(int argc, char *argv[], lesson_flag *flags, cg_status (*run)(lesson *)) {
    const char *slash = strrchr(argv[0], '/'), *program = slash != NULL ? slash + 1 : argv[0], *device = NULL;
    const char *problem = read_flags(argc, argv, flags, &device);
    if (problem[0] != '\0') {
        return usage(program, flags, problem);
    }
    lesson l = {.flags = flags};
    cg_status status = lesson_open(&l, device);
    status = status != CG_OK ? status : run(&l);
    status = status != CG_OK ? status : cg_tape_run(l.tape);
    if (status != CG_OK) {
        fflush(stdout);
        fprintf(stderr, "%s: %s\n", program, cg_error_message());
    }
    if (l.device != NULL) {
        fputs(cg_device_report(l.device), stdout); /* what trace: and check: have to say; else nothing */
    }
    lesson_close(&l);
    return exit_status(status);
}

cg_status lesson_tensor(lesson *l, cg_shape shape, cg_tensor **tensor) {
    const int room = (int)(sizeof l->tensors / sizeof l->tensors[0]);
    *tensor = NULL;
    if (l->n_tensors == room) {
        return cg_fail(CG_ERR_MEMORY, "more than %d tensors: make lesson's list longer", room);
    }
    CG_TRY(cg_tensor_create(l->device, cg_device_real(l->device), &shape, tensor));
    l->tensors[l->n_tensors++] = *tensor;
    return CG_OK;
}

cg_status lesson_normal(lesson *l, cg_shape shape, double std, uint64_t stream, cg_tensor **tensor) {
    CG_TRY(lesson_tensor(l, shape, tensor));
    return cg_init_normal(*tensor, 0, std, 42, stream);
}

cg_status lesson_keep(lesson *l, cg_tensor *from, cg_tensor **tensor) {
    CG_TRY(lesson_tensor(l, *cg_tensor_shape(from), tensor));
    return cg_copy(l->tape, *tensor, from);
}

/* The first n rows of a split on the host. */
static cg_status read_images(const cg_data *data, cg_split split, int64_t n, float *pixels, float *digits) {
    int64_t *order = malloc((size_t)n * sizeof *order), *classes = malloc((size_t)n * sizeof *classes);
    cg_status status =
        order != NULL && classes != NULL ? CG_OK : cg_fail(CG_ERR_MEMORY, "no memory for %lld images", (long long)n);
    for (int64_t i = 0; i < n && status == CG_OK; i++) {
        order[i] = i;
    }
    status = status != CG_OK ? status : cg_data_rows(data, split, order, n, pixels, classes);
    for (int64_t i = 0; i < n && status == CG_OK; i++) {
        digits[i] = (float)classes[i];
    }
    free(order);
    free(classes);
    return status;
}

static cg_status images_of(lesson *l, const cg_data *data, cg_split split, int64_t n, cg_tensor **x, cg_tensor **y) {
    const cg_data_info *info = cg_data_describe(data);
    int64_t size = cg_shape_numel(&info->sample);
    n = n < info->rows[split] ? n : info->rows[split];
    if (info->notes != NULL && split == CG_SPLIT_TRAIN) {
        fprintf(stderr, "%s\n", info->notes);
    }
    if (size != LESSON_PIXELS) {
        return cg_fail(CG_ERR_FORMAT, "%s has images of %lld pixels, the lesson's have %d", info->name, (long long)size,
                       LESSON_PIXELS);
    }
    float *pixels = malloc((size_t)(n * size) * sizeof *pixels), *digits = malloc((size_t)n * sizeof *digits);
    cg_status status =
        pixels != NULL && digits != NULL ? CG_OK : cg_fail(CG_ERR_MEMORY, "no memory for %lld images", (long long)n);
    status = status != CG_OK ? status : read_images(data, split, n, pixels, digits);
    status = status != CG_OK ? status : lesson_tensor(l, CG_SHAPE(n, size), x);
    status = status != CG_OK ? status : cg_tensor_write_f32(*x, pixels, n * size);
    status = status != CG_OK ? status : lesson_tensor(l, CG_SHAPE(n, 1), y);
    status = status != CG_OK ? status : cg_tensor_write_f32(*y, digits, n);
    free(pixels);
    free(digits);
    return status;
}

cg_status lesson_images(lesson *l, cg_split split, int64_t n, bool raw, cg_tensor **x, cg_tensor **y) {
    cg_data *data = NULL;
    const cg_data_options options = {.valid = -1, .limit = n, .normalize = raw ? CG_NORMALIZE_NONE : CG_NORMALIZE_DATA};
    CG_TRY(cg_data_load(lesson_text(l, "data"), &options, &data));
    cg_status status = images_of(l, data, split, n, x, y);
    cg_data_destroy(data);
    return status;
}

/* "[2, 3]" */
static bool read_shape(const char *text, cg_shape *shape) {
    *shape = CG_SCALAR;
    const char *at = strchr(text, '[');
    while (at != NULL && shape->rank < CG_MAX_RANK) {
        char *end = NULL;
        long long size = strtoll(at + 1, &end, 10);
        if (end == at + 1 || size < 1) {
            return false;
        }
        shape->dim[shape->rank++] = size;
        if (*end == ']') {
            return true;
        }
        at = *end == ',' ? end : NULL;
    }
    return false;
}

static cg_status read_numbers(const char *name, const char *text, cg_tensor *tensor) {
    int64_t count = cg_tensor_numel(tensor);
    float *values = malloc((size_t)count * sizeof *values);
    if (values == NULL) {
        return cg_fail(CG_ERR_MEMORY, "no memory for %lld numbers", (long long)count);
    }
    cg_status status = CG_OK;
    for (int64_t i = 0; i < count && status == CG_OK; i++) {
        char *end = NULL;
        values[i] = strtof(text, &end);
        if (end == text) {
            status = cg_fail(CG_ERR_FORMAT, "%s has %lld numbers, expected %lld", name, (long long)i, (long long)count);
        }
        text = end;
    }
    status = status != CG_OK ? status : cg_tensor_write_f32(tensor, values, count);
    free(values);
    return status;
}

/* A line of the file, "name | shape | numbers". */
static cg_status read_line(lesson *l, const char *name, const char *line, cg_tensor **tensor) {
    cg_shape shape;
    const char *bar = strchr(line, '|'), *second = bar != NULL ? strchr(bar + 1, '|') : NULL;
    if (second == NULL || !read_shape(bar + 1, &shape)) {
        return cg_fail(CG_ERR_FORMAT, "%s: expected NAME | [SIZES] | NUMBERS", name);
    }
    CG_TRY(lesson_tensor(l, shape, tensor));
    return read_numbers(name, second + 1, *tensor);
}

cg_status lesson_recorded(lesson *l, const char *name, cg_tensor **tensor) {
    const char *path = lesson_text(l, "recorded");
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return cg_fail(CG_ERR_FILE, "%s: %s (--recorded says where it is; docs/lesson/record.py writes it)", path,
                       strerror(errno));
    }
    static char line[1 << 16];
    cg_status status = cg_fail(CG_ERR_FORMAT, "%s has no line '%s |'", path, name);
    size_t length = strlen(name);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, length) == 0 && strncmp(line + length, " |", 2) == 0) {
            status = read_line(l, name, line, tensor);
            status = status != CG_OK ? cg_fail_context(status, "%s: ", path) : status;
            break;
        }
    }
    fclose(file);
    return status;
}

cg_status lesson_finish(lesson *l) {
    CG_TRY(cg_tape_flush(l->tape));
    return cg_device_wait(l->device);
}

double lesson_now_ms(void) {
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* The elements on the host; the caller frees them. */
static cg_status elements_of(cg_tensor *tensor, double **values) {
    int64_t count = cg_tensor_numel(tensor);
    *values = malloc((size_t)count * sizeof **values + 1);
    if (*values == NULL) {
        return cg_fail(CG_ERR_MEMORY, "no memory for %lld elements", (long long)count);
    }
    return cg_tensor_read_f64(tensor, *values, count);
}

cg_status lesson_move(lesson *l, cg_tensor *from, cg_tensor **tensor) {
    int64_t count = cg_tensor_numel(from);
    float *values = malloc((size_t)count * sizeof *values + 1);
    if (values == NULL) {
        return cg_fail(CG_ERR_MEMORY, "no memory for %lld elements", (long long)count);
    }
    cg_status status = lesson_tensor(l, *cg_tensor_shape(from), tensor);
    status = status != CG_OK ? status : cg_tensor_read_f32(from, values, count);
    status = status != CG_OK ? status : cg_tensor_write_f32(*tensor, values, count);
    free(values);
    return status;
}

cg_status lesson_statistics(cg_tensor *tensor, double *mean, double *std) {
    double *values = NULL, sum = 0, squares = 0;
    cg_status status = elements_of(tensor, &values);
    double count = (double)cg_tensor_numel(tensor);
    for (int64_t i = 0; i < (int64_t)count && status == CG_OK; i++) {
        sum += values[i];
    }
    *mean = sum / count;
    for (int64_t i = 0; i < (int64_t)count && status == CG_OK; i++) {
        squares += (values[i] - *mean) * (values[i] - *mean);
    }
    *std = sqrt(squares / count);
    free(values);
    return status;
}

cg_status lesson_difference(cg_tensor *a, cg_tensor *b, double *share) {
    double *one = NULL, *other = NULL, difference = 0, size = 0;
    cg_status status = CG_OK;
    if (!cg_shape_equal(cg_tensor_shape(a), cg_tensor_shape(b))) {
        return cg_fail(CG_ERR_SHAPE, "%s against %s", cg_shape_print(cg_tensor_shape(a), CG_SHAPE_TEXT),
                       cg_shape_print(cg_tensor_shape(b), CG_SHAPE_TEXT));
    }
    status = elements_of(a, &one);
    status = status != CG_OK ? status : elements_of(b, &other);
    for (int64_t i = 0; i < cg_tensor_numel(a) && status == CG_OK; i++) {
        double d = fabs(one[i] - other[i]);
        difference = isnan(difference) || d <= difference ? difference : d;
        size = fmax(size, fabs(other[i]));
    }
    *share = difference == 0 ? 0 : difference / size;
    free(one);
    free(other);
    return status;
}

cg_status lesson_within(const char *what, double value, double limit) {
    if (value <= limit) {
        return CG_OK;
    }
    return cg_fail(CG_ERR_WRONG, "%s: %g, expected at most %g", what, value, limit);
}
