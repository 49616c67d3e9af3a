/* Arguments of a fuzzed call: sizes, tensors, numbers. See fuzz.h. */
#include "fuzz_draw.h"

#include <clgrad/random.h>

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

/* Where each argument's random numbers come from. */
enum { STREAM_LETTER = 0, STREAM_SHARED = 30, STREAM_TENSOR = 40, STREAM_VALUES = 60, STREAM_SLOT = 100 };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define MOST_ELEMENTS 4000

uint32_t fuzz_draw(const fuzz *f, int stream, int index) {
    uint32_t words[4];
    cg_philox(f->seed, (uint64_t)stream, (uint64_t)index, words);
    return words[0];
}

static bool one_in(const fuzz *f, int stream, int index, uint32_t n) {
    return fuzz_draw(f, stream, index) % n == 0;
}

void fuzz_say(fuzz *f, const char *format, ...) {
    size_t length = strlen(f->text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(f->text + length, sizeof f->text - length, format, arguments);
    va_end(arguments);
}

/* What an error may name. */
static void mark(fuzz *f, const char *text) {
    if (f->n_marks < COUNT(f->marks)) {
        snprintf(f->marks[f->n_marks++], sizeof f->marks[0], "%s", text);
    }
}

/* ---- sizes ---- */

/* Mostly small, sometimes empty or just over a work-group. */
static int64_t draw_size(const fuzz *f, int stream, int index) {
    static const int64_t sizes[] = {1, 1, 2, 2, 3, 3, 4, 5, 5, 7, 11, 13};
    uint32_t kind = fuzz_draw(f, stream, 2 * index) % 32, which = fuzz_draw(f, stream, 2 * index + 1);
    if (kind < 2) {
        return 0;
    }
    if (kind == 2 && f->budget > 1e6) {
        return which % 2 == 0 ? 65 : 257;
    }
    return sizes[which % COUNT(sizes)];
}

bool fuzz_spoils_call(uint64_t seed) {
    return seed % 2 == 1;
}

void fuzz_draw_sizes(fuzz *f) {
    for (int letter = 0; letter < 26; letter++) {
        f->axis_size[letter] = draw_size(f, STREAM_LETTER, letter);
    }
    f->shared.rank = (int32_t)(fuzz_draw(f, STREAM_SHARED, 0) % 4);
    for (int i = 0; i < f->shared.rank; i++) {
        f->shared.dim[i] = draw_size(f, STREAM_SHARED, 1 + i);
    }
    f->spoils = f->may_miss = fuzz_spoils_call(f->seed);
}

/* ---- the words of a tensor ---- */

static void add_axis(cg_shape *shape, int64_t size) {
    if (shape->rank < CG_MAX_RANK) {
        shape->dim[shape->rank++] = size;
    }
}

static void add_shared(const fuzz *f, cg_shape *shape, int stream, bool broadcast) {
    uint32_t bits = fuzz_draw(f, stream, 1);
    int first = broadcast && f->shared.rank > 0 ? (int)(bits >> 16) % (f->shared.rank + 1) : 0;
    for (int i = first; i < f->shared.rank; i++) {
        add_axis(shape, broadcast && (bits >> i & 3u) == 0 ? 1 : f->shared.dim[i]);
    }
}

static void add_word(const fuzz *f, cg_shape *shape, int stream, const char *word) {
    char *end;
    int64_t factor = strtoll(word, &end, 10);
    if (*word == '.' || *word == '~') {
        add_shared(f, shape, stream, *word == '~');
    } else if (islower((unsigned char)*end)) {
        add_axis(shape, (end > word ? factor : 1) * f->axis_size[*end - 'a']);
    } else {
        add_axis(shape, factor);
    }
}

/* The words up to a comma; returns what comes behind it. */
static const char *read_shape(const fuzz *f, cg_shape *shape, int stream, const char *words) {
    *shape = CG_SCALAR;
    while (*words != '\0' && *words != ',') {
        if (*words == ' ') {
            words++;
            continue;
        }
        add_word(f, shape, stream, words);
        words += strcspn(words, " ,");
    }
    return *words == ',' ? words + 1 : words;
}

/* ---- tensors ---- */

/* What a tensor is to be. */
typedef struct wish {
    cg_shape shape;
    cg_dtype dtype;
    int64_t limit; /* of indices; 0: real numbers */
    bool absent, constant, out_of_range;
} wish;

static const char *read_wish(fuzz *f, wish *w, int stream, const char *words) {
    *w = (wish){.dtype = cg_device_real(f->device)};
    words += strspn(words, " ");
    if (*words == '?') {
        w->absent = one_in(f, stream, 2, 2);
        words++;
    }
    if (*words == '=') {
        w->constant = true;
        words++;
    }
    if (*words == '#') {
        w->dtype = w->constant || one_in(f, stream, 3, 2) ? CG_I64 : CG_I32;
        w->limit = islower((unsigned char)words[1]) ? f->axis_size[words[1] - 'a'] : words[1] - '0';
        words += 2;
    }
    return read_shape(f, &w->shape, stream, words);
}

static int64_t index_value(const fuzz *f, const wish *w, int stream, int64_t i) {
    static const int64_t wrong[] = {-1, 0, 1, 1000000, INT32_MAX, INT32_MIN};
    uint32_t drawn = fuzz_draw(f, stream, 100 + (int)i);
    if (w->out_of_range && drawn % 3 == 0) {
        int64_t value = wrong[(drawn >> 8) % COUNT(wrong)];
        return value >= 0 && value < 2 ? w->limit + value : value;
    }
    return w->limit > 0 ? drawn % w->limit : 0;
}

static cg_tensor *keep(fuzz *f, cg_tensor *tensor) {
    f->owned[f->n_owned++] = tensor;
    return tensor;
}

static cg_status write_values(const fuzz *f, cg_tensor *tensor, const wish *w, int stream) {
    static double values[2 * MOST_ELEMENTS];
    int64_t count = cg_tensor_numel(tensor);
    for (int64_t i = 0; i < count; i++) {
        values[i] = w->limit > 0 || w->dtype == CG_U8
                        ? (double)index_value(f, w, stream, i)
                        : (double)cg_random_normal(f->seed, (uint64_t)stream, (uint64_t)i) + (w->constant ? 5 : 0);
    }
    return cg_tensor_write_f64(tensor, values, count);
}

/* A tensor of the device's; NULL and cg_error_message where none can be had. */
static cg_tensor *make(fuzz *f, cg_device *device, const wish *w, int stream) {
    cg_tensor *tensor = NULL;
    if (cg_tensor_create(device, w->dtype, &w->shape, &tensor) != CG_OK) {
        return NULL;
    }
    keep(f, tensor);
    if (write_values(f, tensor, w, STREAM_VALUES + stream) != CG_OK) {
        return NULL;
    }
    bool real = w->dtype == CG_F32 || w->dtype == CG_F64;
    cg_tensor_set_requires_grad(tensor, real && !w->constant && !one_in(f, stream, 4, 4));
    return tensor;
}

/* More elements than a device has, on the tape: nothing of it exists, and it must not be run. */
static cg_tensor *make_huge(fuzz *f, wish *w, int stream) {
    w->shape.rank = w->shape.rank > 0 ? w->shape.rank : 1;
    for (int i = 0; i < w->shape.rank; i++) {
        w->shape.dim[i] = (int64_t)1 << fuzz_draw(f, stream, 20 + i) % (56 / (uint32_t)w->shape.rank);
    }
    cg_tensor *one = make(f, f->device, &(wish){.dtype = w->dtype, .limit = w->limit}, stream);
    return one != NULL ? cg_expand(f->tape, one, &w->shape) : NULL;
}

typedef enum spoil {
    SPOIL_MORE_AXES,
    SPOIL_FEWER_AXES,
    SPOIL_OTHER_SIZE,
    SPOIL_EMPTY,
    SPOIL_MOST_AXES,
    SPOIL_DTYPE,
    SPOIL_NULL,
    SPOIL_DEVICE,
    SPOIL_TAPE,
    SPOIL_POISON,
    SPOIL_HUGE,
    SPOIL_SAME,
    SPOIL_OVERLAP,
    SPOIL_INDEX,
    SPOIL_COUNT,
} spoil;

static void spoil_shape(const fuzz *f, wish *w, int stream, spoil how) {
    cg_shape *shape = &w->shape;
    uint32_t drawn = fuzz_draw(f, stream, 6);
    int axis = shape->rank > 0 ? (int)(drawn % (uint32_t)shape->rank) : 0;
    if (how == SPOIL_MORE_AXES) {
        add_axis(shape, 1 + drawn % 2);
    } else if (how == SPOIL_MOST_AXES) {
        while (shape->rank < CG_MAX_RANK) {
            add_axis(shape, 1);
        }
    } else if (shape->rank == 0) {
        add_axis(shape, how == SPOIL_EMPTY ? 0 : 3);
    } else if (how == SPOIL_FEWER_AXES) {
        shape->rank--;
    } else {
        shape->dim[axis] = how == SPOIL_EMPTY ? 0 : shape->dim[axis] + 1;
    }
}

/* One element further in the same memory. */
static cg_tensor *overlapping(fuzz *f, cg_tensor *with) {
    cg_tensor *view = NULL;
    if (with == NULL || cg_tensor_numel(with) < 2) {
        return with;
    }
    cg_status status = cg_tensor_view(with, 1, &CG_SHAPE(cg_tensor_numel(with) - 1), &view);
    return status == CG_OK ? keep(f, view) : with; /* a tensor of a tape's has no views */
}

static cg_tensor *make_strange(fuzz *f, wish *w, int stream, spoil how) {
    cg_tensor *own;
    switch (how) {
    case SPOIL_DEVICE:
        return make(f, f->stranger, w, stream);
    case SPOIL_TAPE:
        own = make(f, f->device, w, stream);
        return own != NULL ? cg_reshape(f->other, own, &CG_SHAPE(cg_tensor_numel(own), 1)) : NULL;
    case SPOIL_POISON:
        own = make(f, f->device, w, stream);
        return own != NULL ? cg_transpose(f->other, own, 100, 0) : NULL;
    case SPOIL_HUGE:
        return make_huge(f, w, stream);
    case SPOIL_SAME:
        return f->tensors[0];
    case SPOIL_OVERLAP:
        return overlapping(f, f->tensors[0]);
    default:
        return NULL;
    }
}

static cg_tensor *make_spoiled(fuzz *f, wish *w, int stream) {
    static const cg_dtype dtypes[] = {CG_I32, CG_I64, CG_U8, CG_F32};
    spoil how = (spoil)(fuzz_draw(f, stream, 5) % SPOIL_COUNT);
    if (how <= SPOIL_MOST_AXES) {
        spoil_shape(f, w, stream, how);
    } else if (how == SPOIL_DTYPE) {
        w->dtype = dtypes[fuzz_draw(f, stream, 7) % COUNT(dtypes)];
    } else if (how == SPOIL_INDEX) {
        w->out_of_range = true;
    } else {
        return make_strange(f, w, stream, how);
    }
    return make(f, f->device, w, stream);
}

static void describe(fuzz *f, cg_tensor *tensor) {
    if (tensor == NULL) {
        fuzz_say(f, "%sNULL", f->n_tensors > 0 ? ", " : "");
        return;
    }
    const char *shape = cg_shape_print(cg_tensor_shape(tensor), CG_SHAPE_TEXT);
    const char *dtype = cg_dtype_name(cg_tensor_dtype(tensor));
    fuzz_say(f, "%s%s%s%s", f->n_tensors > 0 ? ", " : "", dtype, shape,
             cg_tensor_requires_grad(tensor) ? " with gradient" : "");
    mark(f, shape);
    mark(f, dtype);
}

static bool shrink(cg_shape *shape) {
    int64_t *most = NULL;
    for (int i = 0; i < shape->rank; i++) {
        most = most == NULL || shape->dim[i] > *most ? &shape->dim[i] : most;
    }
    if (cg_shape_numel(shape) <= MOST_ELEMENTS) {
        return false;
    }
    *most = 2;
    return true;
}

void fuzz_draw_tensors(fuzz *f) {
    const char *words = f->row->tensors;
    while (*words != '\0') {
        int stream = STREAM_TENSOR + (int)f->n_tensors;
        wish w;
        words = read_wish(f, &w, stream, words);
        while (shrink(&w.shape)) {
            f->may_miss = true;
        }
        cg_tensor *tensor = NULL;
        if (f->spoils && one_in(f, stream, 8, 3)) {
            tensor = make_spoiled(f, &w, stream);
        } else if (!w.absent) {
            tensor = make(f, f->device, &w, stream);
        }
        describe(f, tensor);
        f->tensors[f->n_tensors++] = tensor;
    }
}

cg_tensor *fuzz_tensor(fuzz *f, size_t slot) {
    return f->tensors[slot];
}

/* ---- numbers ---- */

static void number(fuzz *f, int slot, const char *text) {
    fuzz_say(f, ", #%d %s", slot, text);
    mark(f, text);
}

bool fuzz_spoils(const fuzz *f, int slot) {
    return f->spoils && one_in(f, STREAM_SLOT + slot, 0, 4);
}

int64_t fuzz_int(fuzz *f, int slot, int64_t low, int64_t high) {
    const int64_t wrong[] = {low - 1,   high + 1,  -1,        0,       INT32_MAX,     INT32_MIN,
                             INT64_MAX, INT64_MIN, 1LL << 32, 1 << 24, (1 << 24) + 1, 3037000500};
    uint32_t drawn = fuzz_draw(f, STREAM_SLOT + slot, 1);
    int64_t value =
        fuzz_spoils(f, slot) ? wrong[drawn % COUNT(wrong)] : low + (int64_t)(drawn % (uint64_t)(high - low + 1));
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    number(f, slot, text);
    snprintf(text, sizeof text, "%d", (int)value); /* where the argument has 32 bits, or is a real number */
    mark(f, text);
    snprintf(text, sizeof text, "%u", (unsigned)value);
    mark(f, text);
    snprintf(text, sizeof text, "%g", (double)value);
    mark(f, text);
    snprintf(text, sizeof text, "%zu", (size_t)value); /* or a count */
    mark(f, text);
    return value;
}

double fuzz_real(fuzz *f, int slot, double low, double high) {
    const double wrong[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, 0.0, -1.0, 1e300, -1e300, 1e-300, 2.0};
    uint32_t drawn = fuzz_draw(f, STREAM_SLOT + slot, 1);
    double value = fuzz_spoils(f, slot) ? wrong[drawn % COUNT(wrong)] : low + (high - low) * (double)(drawn % 9) / 8.0;
    char text[32];
    snprintf(text, sizeof text, "%g", value);
    number(f, slot, text);
    return value;
}

int fuzz_axis(fuzz *f, int slot, size_t tensor, int more) {
    int rank = f->tensors[tensor] != NULL ? cg_tensor_shape(f->tensors[tensor])->rank + more : more;
    const int wrong[] = {rank, -rank - 1, INT32_MAX, INT32_MIN, 64};
    uint32_t drawn = fuzz_draw(f, STREAM_SLOT + slot, 1);
    int axis = fuzz_spoils(f, slot) ? wrong[drawn % COUNT(wrong)]
               : rank > 0           ? (int)(drawn % (uint32_t)(2 * rank)) - rank
                                    : 0;
    char text[32];
    snprintf(text, sizeof text, "%d", axis);
    number(f, slot, text);
    return axis;
}

uint32_t fuzz_axes(fuzz *f, int slot) {
    int rank = f->tensors[0] != NULL ? cg_tensor_shape(f->tensors[0])->rank : 0;
    uint32_t drawn = fuzz_draw(f, STREAM_SLOT + slot, 1);
    uint32_t axes = one_in(f, STREAM_SLOT + slot, 2, 3) ? CG_ALL_AXES : drawn & ((1u << rank) - 1);
    axes = fuzz_spoils(f, slot) ? drawn : axes;
    char text[32];
    snprintf(text, sizeof text, "0x%x", axes);
    number(f, slot, text);
    return axes;
}

static void spoil_dims(const fuzz *f, cg_shape *shape, int stream) {
    static const int64_t wrong[] = {-1, -2, 0, 3, INT64_MAX, INT64_MIN, 1LL << 40, 1LL << 31};
    for (int i = 0; i < shape->rank; i++) {
        shape->dim[i] = wrong[fuzz_draw(f, stream, 10 + i) % COUNT(wrong)];
    }
    static const int32_t ranks[] = {9, -1, INT32_MAX, 1000};
    if (shape->rank == 0 || one_in(f, stream, 9, 4)) {
        shape->rank = ranks[fuzz_draw(f, stream, 8) % COUNT(ranks)];
    }
}

const cg_shape *fuzz_shape(fuzz *f, int slot, const char *words) {
    int stream = STREAM_SLOT + slot;
    read_shape(f, &f->shape, stream, words);
    while (shrink(&f->shape)) {
    }
    if (fuzz_spoils(f, slot)) {
        if (one_in(f, stream, 3, 4)) {
            fuzz_say(f, ", shape NULL");
            return NULL;
        }
        spoil_dims(f, &f->shape, stream);
    }
    char text[64];
    snprintf(text, sizeof text, "%d axes", f->shape.rank);
    bool printable = f->shape.rank >= 0 && f->shape.rank <= CG_MAX_RANK;
    const char *shape = printable ? cg_shape_print(&f->shape, CG_SHAPE_TEXT) : text;
    number(f, slot, shape);
    snprintf(text, sizeof text, "%d", f->shape.rank);
    mark(f, text);
    return &f->shape;
}

const void *fuzz_pointer(fuzz *f, int slot, const void *pointer) {
    if (fuzz_spoils(f, slot)) {
        fuzz_say(f, ", #%d NULL", slot);
        return NULL;
    }
    return pointer;
}

const int64_t *fuzz_list(fuzz *f, int slot, size_t count, int64_t low, int64_t high) {
    static const int64_t wrong[] = {-1, -100, 0, 1 << 20, INT64_MAX, INT64_MIN, 1LL << 40};
    int stream = STREAM_SLOT + slot;
    bool spoiled = fuzz_spoils(f, slot);
    if (spoiled && one_in(f, stream, 3, 4)) {
        fuzz_say(f, ", #%d NULL", slot);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t drawn = fuzz_draw(f, stream, 10 + (int)i);
        bool this = spoiled && drawn % 2 == 0;
        f->list[slot][i] = this ? wrong[(drawn >> 8) % COUNT(wrong)] : low + (int64_t)(drawn >> 8) % (high - low + 1);
        char text[32];
        snprintf(text, sizeof text, "%lld", (long long)f->list[slot][i]);
        number(f, slot, text);
    }
    return f->list[slot];
}

/* The axes of tensor 0 in another order. */
const int *fuzz_order(fuzz *f, int slot) {
    int rank = f->tensors[0] != NULL ? cg_tensor_shape(f->tensors[0])->rank : 0, stream = STREAM_SLOT + slot;
    for (int i = 0; i < CG_MAX_RANK; i++) {
        f->order[i] = i;
    }
    for (int i = rank - 1; i > 0; i--) {
        int other = (int)(fuzz_draw(f, stream, 10 + i) % (uint32_t)(i + 1)), kept = f->order[i];
        f->order[i] = f->order[other];
        f->order[other] = kept;
    }
    if (fuzz_spoils(f, slot)) {
        f->order[rank > 0 ? fuzz_draw(f, stream, 3) % (uint32_t)rank : 0] = fuzz_axis(f, slot + 1, 0, 0);
        if (one_in(f, stream, 4, 4)) {
            fuzz_say(f, ", order NULL");
            return NULL;
        }
    }
    fuzz_say(f, ", order %d %d %d ..", f->order[0], f->order[1], f->order[2]);
    return f->order;
}

/* ---- calls in a form of their own ---- */

cg_tensor *fuzz_written(fuzz *f, cg_status status, cg_tensor *written) {
    return status == CG_OK ? written : cg_tape_fail_status(f->tape, status);
}

cg_tensor *fuzz_split(fuzz *f) {
    cg_tensor *parts[2] = {NULL, NULL};
    int axis = (int)fuzz_int(f, 0, 1, 1);
    const int64_t sizes[] = {fuzz_int(f, 1, 2, 2), fuzz_int(f, 2, 3, 3)};
    bool no_sizes = fuzz_spoils(f, 3), no_parts = fuzz_spoils(f, 4);
    fuzz_say(f, "%s%s", no_sizes ? ", no sizes" : "", no_parts ? ", no parts" : "");
    cg_status status =
        cg_split_tensor(f->tape, f->tensors[0], axis, no_sizes ? NULL : sizes, 2, no_parts ? NULL : parts);
    return fuzz_written(f, status, parts[1] != NULL ? parts[1] : f->tensors[0]);
}
