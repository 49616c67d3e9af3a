/* Calls of the rows of fuzz.def, and what must hold of each: see fuzz.h. */
#include "fuzz.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz_draw.h"
#include "tape.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define TAPE f->tape
#define ALL f->tensors
#define T(slot) fuzz_tensor(f, slot)
#define I(slot, low, high) fuzz_int(f, slot, low, high)
#define R(slot, low, high) fuzz_real(f, slot, low, high)
#define B(slot) (fuzz_int(f, slot, 0, 1) != 0)
#define AXIS(slot) fuzz_axis(f, slot, 0, 0)
#define NEW_AXIS(slot) fuzz_axis(f, slot, 0, 1)
#define AXES(slot) fuzz_axes(f, slot)
#define SHAPE(slot, words) fuzz_shape(f, slot, words)
#define LIST(slot, count, low, high) fuzz_list(f, slot, count, low, high)
#define ORDER(slot) fuzz_order(f, slot)
#define GIVEN(slot, ...) fuzz_pointer(f, slot, __VA_ARGS__)
#define REDUCTION(slot) (cg_reduction) fuzz_int(f, slot, CG_REDUCE_MEAN, CG_REDUCE_NONE)

#define CG_FUZZ(label, words, expression)                                                                              \
    static cg_tensor *call_##label(fuzz *f) {                                                                          \
        return expression;                                                                                             \
    }
#include "fuzz.def"
#undef CG_FUZZ

const fuzz_row fuzz_rows[] = {
#define CG_FUZZ(label, words, expression) {#label, words, call_##label},
#include "fuzz.def"
#undef CG_FUZZ
};

const size_t fuzz_row_count = COUNT(fuzz_rows);

static char failure[4 * FUZZ_TEXT];

const char *fuzz_failure(void) {
    return failure;
}

static fuzz_end wrong(const fuzz *f, const char *what, const char *message) {
    snprintf(failure, sizeof failure, "%s: %s\n  CLGRAD_FUZZ=%s:%llu\n  call: %s", what, message, f->row->name,
             (unsigned long long)f->seed, f->text);
    return FUZZ_WRONG;
}

/* ---- a crash names its call ---- */

static const fuzz *watched;
static unsigned watch_seconds;

static void write_out(const char *text) {
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written;
}

static void tell_call(void) {
    if (watched != NULL && watched->row != NULL) {
        write_out("\nfuzz: in the call ");
        write_out(watched->text);
        write_out("\n");
    }
}

static void on_signal(int number) {
    write_out(number == SIGALRM ? "\nfuzz: a call does not end" : "\nfuzz: a crash");
    tell_call();
    signal(number, SIG_DFL);
    raise(number == SIGALRM ? SIGABRT : number);
}

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

void fuzz_watch(const fuzz *f, unsigned seconds) {
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    watched = f;
    watch_seconds = seconds;
    signal(SIGALRM, on_signal);
    if (__sanitizer_set_death_callback != NULL) { /* its own report of the signal says more */
        __sanitizer_set_death_callback(tell_call);
        return;
    }
    for (size_t i = 0; i < COUNT(fatal); i++) {
        signal(fatal[i], on_signal);
    }
}

/* ---- errors ---- */

static bool has_part(const char *message, const char *start, const char *end) {
    char part[64];
    snprintf(part, sizeof part, "%.*s", (int)(end - start), start);
    return strstr(message, part) != NULL;
}

/* The op's name: of a row "conv_of_groups" it is conv; of "binary_or_sub" either may stand there. */
static bool names_op(const char *message, const char *row) {
    const char *of = strstr(row, "_of_"), *either = strstr(row, "_or_");
    const char *end = of != NULL ? of : either != NULL ? either : row + strlen(row);
    return has_part(message, row, end) || (either != NULL && strstr(message, either + 4) != NULL);
}

static bool names_value(const fuzz *f, const char *message) {
    static const char *const words[] = {"NULL",   "no tensors", "do not broadcast", "without",         "on reference",
                                        "on cpu", "on opencl",  "another tape",     "tape that failed"};
    for (size_t i = 0; i < f->n_marks; i++) {
        if (strstr(message, f->marks[i]) != NULL) {
            return true;
        }
    }
    for (size_t i = 0; i < COUNT(words); i++) {
        if (strstr(message, words[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static fuzz_end judge_refusal(const fuzz *f) {
    const char *message = cg_tape_error(f->tape);
    if (!names_op(message, f->row->name)) {
        return wrong(f, "an error does not name the op", message);
    }
    if (!names_value(f, message)) {
        return wrong(f, "an error names no value of the call", message);
    }
    return FUZZ_REFUSED;
}

/* ---- what was taken ---- */

static bool shape_is_sane(const cg_tensor *tensor) {
    const cg_shape *shape = cg_tensor_shape(tensor);
    double bytes = (double)cg_dtype_size(cg_tensor_dtype(tensor));
    bool sane = bytes > 0 && shape->rank >= 0 && shape->rank <= CG_MAX_RANK;
    for (int i = 0; sane && i < shape->rank; i++) {
        sane = shape->dim[i] >= 0;
        bytes *= (double)(shape->dim[i] > 0 ? shape->dim[i] : 1);
    }
    return sane && bytes < 0x1p63;
}

static double elements(cg_tensor *const *tensors, uint32_t count, bool *sane) {
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (tensors[i] != NULL) {
            *sane = *sane && shape_is_sane(tensors[i]);
            sum += (double)cg_tensor_numel(tensors[i]);
        }
    }
    return sum;
}

/* Elements and multiply-adds of what is recorded. */
static double cost(const cg_tape *tape, bool *sane) {
    double sum = tape->flops;
    *sane = true;
    for (size_t i = 0; i < tape->n_nodes; i++) {
        const cg_node *node = tape->nodes[i];
        sum += elements(node->inputs, node->n_inputs, sane) + elements(node->outputs, node->n_outputs, sane);
    }
    return sum;
}

static bool is_real(const cg_tensor *tensor) {
    return cg_tensor_dtype(tensor) == CG_F32 || cg_tensor_dtype(tensor) == CG_F64;
}

static cg_status read_all(cg_tensor *tensor) {
    size_t bytes = cg_tensor_bytes(tensor);
    void *memory = malloc(bytes > 0 ? bytes : 1);
    cg_status status = memory != NULL ? cg_tensor_read(tensor, memory, bytes) : cg_fail(CG_ERR_MEMORY, "test");
    free(memory);
    return status;
}

/* Gradients that came have their tensor's shape and can be read. */
static cg_status read_gradients(const fuzz *f) {
    for (size_t i = 0; i < f->n_tensors; i++) {
        cg_tensor *grad = f->tensors[i] != NULL ? cg_tensor_grad(f->tensors[i]) : NULL;
        if (grad == NULL) {
            continue;
        }
        if (!cg_shape_equal(cg_tensor_shape(grad), cg_tensor_shape(f->tensors[i]))) {
            return cg_fail(CG_ERR_WRONG, "the gradient of tensor %zu has shape %s", i,
                           cg_shape_print(cg_tensor_shape(grad), CG_SHAPE_TEXT));
        }
        CG_TRY(read_all(grad));
    }
    return CG_OK;
}

static bool names_recorded_kind(const fuzz *f, const char *message) {
    for (size_t i = 0; i < f->tape->n_nodes; i++) {
        const cg_op_kind *kind = f->tape->nodes[i]->kind;
        if (kind != NULL && strstr(message, kind->name) != NULL) {
            return true;
        }
    }
    return false;
}

static fuzz_end judge_run(const fuzz *f, cg_status status) {
    if (status == CG_OK) {
        return FUZZ_RAN;
    }
    const char *message = cg_error_message();
    if (status != CG_ERR_INDEX || !f->may_miss) {
        return wrong(f, "a call that was taken does not run", message);
    }
    return names_recorded_kind(f, message) ? FUZZ_RAN : wrong(f, "an index error names no op", message);
}

static fuzz_end run(fuzz *f, cg_tensor *result) {
    bool sane;
    double expected = cost(f->tape, &sane);
    if (!sane || !shape_is_sane(result)) {
        return wrong(f, "a shape is no shape", cg_shape_print(cg_tensor_shape(result), CG_SHAPE_TEXT));
    }
    if (f->seen != NULL) {
        f->seen(f);
    }
    if (expected > f->budget) {
        return FUZZ_TAKEN;
    }
    if (cg_tensor_requires_grad(result) && is_real(result)) {
        cg_tensor *grad = cg_normal(f->tape, cg_tensor_shape(result), 0, 1);
        cg_status status = cg_backward_from(f->tape, result, cg_cast(f->tape, grad, cg_tensor_dtype(result)));
        if (status != CG_OK) {
            return wrong(f, "backward is refused", cg_tape_error(f->tape));
        }
        if (cost(f->tape, &sane) > 4 * f->budget || !sane) {
            return wrong(f, "backward costs much more than forward", "");
        }
        if (f->seen != NULL) {
            f->seen(f);
        }
    }
    cg_status status = read_all(result);
    return judge_run(f, status == CG_OK ? read_gradients(f) : status);
}

/* ---- a call ---- */

static void forget(fuzz *f) {
    alarm(0);
    cg_tape_reset(f->tape);
    cg_tape_reset(f->other);
    for (size_t i = 0; i < f->n_owned; i++) {
        cg_tensor_destroy(f->owned[i]);
    }
    f->row = NULL;
}

static void begin(fuzz *f, const fuzz_row *row, uint64_t seed) {
    f->row = row;
    f->seed = seed;
    f->n_tensors = f->n_owned = f->n_marks = 0;
    memset(f->tensors, 0, sizeof f->tensors);
    snprintf(f->text, sizeof f->text, "%s:%llu ", row->name, (unsigned long long)seed);
    alarm(watch_seconds);
}

fuzz_end fuzz_call(fuzz *f, const fuzz_row *row, uint64_t seed) {
    begin(f, row, seed);
    cg_tape_set_seed(f->tape, seed, 0);
    fuzz_draw_sizes(f);
    fuzz_draw_tensors(f);
    cg_tensor *result = row->call(f);
    fuzz_end end;
    if (result == NULL) {
        end = wrong(f, "the result is NULL", cg_tape_error(f->tape));
    } else if (cg_tape_status(f->tape) != CG_OK) {
        end = judge_refusal(f);
    } else {
        end = run(f, result);
    }
    forget(f);
    return end;
}

bool fuzz_open(fuzz *f, const char *device, const char *stranger, double budget) {
    *f = (fuzz){.budget = budget};
    if (cg_device_open(device, &f->device) != CG_OK || cg_device_open(stranger, &f->stranger) != CG_OK) {
        return false;
    }
    cg_device_set_fallback(f->device, CG_FALLBACK_ERROR);
    f->tape = cg_tape_create(f->device);
    f->other = cg_tape_create(f->device);
    return f->tape != NULL && f->other != NULL;
}

void fuzz_close(fuzz *f) {
    watched = watched == f ? NULL : watched;
    cg_tape_destroy(f->tape);
    cg_tape_destroy(f->other);
    cg_device_close(f->device);
    cg_device_close(f->stranger);
}
