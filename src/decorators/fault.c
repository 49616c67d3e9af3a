/*
 * fault: makes the Nth allocation, transfer, build or op fail, loses the device, or lets an op compute something wrong:
 * so that tests can show what the program makes of it.
 */
#include "decorators.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "build_watch.h"

typedef enum fault_kind {
    FAULT_ALLOCATION = 1,
    FAULT_TRANSFER = 2,
    FAULT_BUILD = 4,
    FAULT_OP = 8,
    FAULT_ANY = 15,
    FAULT_LOST = 16,  /* every call from the Nth on */
    FAULT_WRONG = 32, /* the Nth op of that name gives a wrong element */
} fault_kind;

static const struct {
    const char *name;
    fault_kind kind;
} kinds[] = {
    {"any", FAULT_ANY},
    {"allocation", FAULT_ALLOCATION},
    {"transfer", FAULT_TRANSFER},
    {"build", FAULT_BUILD},
    {"op", FAULT_OP},
    {"lost", FAULT_LOST},
    {"wrong", FAULT_WRONG},
};

#define KIND_NAMES "any|allocation|transfer|build|op|lost|wrong"

typedef struct fault {
    cg_inner inner;
    fault_kind kind;
    char op[64]; /* only ops of this name count; "": all */
    unsigned long long at, seen;
    bool fired;
    cg_build_watch outer; /* while an op runs: another fault around this one */
} fault;

static cg_status parse_at(const char *value, unsigned long long *at) {
    char *end;
    errno = 0;
    *at = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || *at == 0 || errno != 0) {
        return cg_fail(CG_ERR_ARGUMENT, "fault: at=%s; it must be a number from 1 on", value);
    }
    return CG_OK;
}

static cg_status parse_kind(const char *value, fault_kind *kind) {
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, value) == 0) {
            *kind = kinds[i].kind;
            return CG_OK;
        }
    }
    return cg_fail(CG_ERR_ARGUMENT, "fault: kind=%s; it must be one of %s", value, KIND_NAMES);
}

static cg_status parse_op(const char *value, char *op, size_t size) {
    size_t length = strlen(value);
    if (length == 0 || length >= size) {
        return cg_fail(CG_ERR_ARGUMENT, "fault: op=%s; it must be the name of an op", value);
    }
    memcpy(op, value, length + 1);
    return CG_OK;
}

static cg_status parse(fault *f, const cg_option *options, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *key = options[i].key, *value = options[i].value;
        if (strcmp(key, "at") == 0) {
            CG_TRY(parse_at(value, &f->at));
        } else if (strcmp(key, "kind") == 0) {
            CG_TRY(parse_kind(value, &f->kind));
        } else if (strcmp(key, "op") == 0) {
            CG_TRY(parse_op(value, f->op, sizeof f->op));
        } else {
            return cg_fail(CG_ERR_ARGUMENT, "fault has no option '%s'; it has at=N, kind=%s, op=NAME", key, KIND_NAMES);
        }
    }
    return CG_OK;
}

static cg_status wrap(const cg_inner *inner, const cg_option *options, size_t n_options, void **handle) {
    fault *f = cg_alloc_zero(1, sizeof *f);
    if (f == NULL) {
        return CG_ERR_MEMORY;
    }
    *f = (fault){.inner = *inner, .kind = FAULT_ANY, .at = 1};
    cg_status status = parse(f, options, n_options);
    if (status != CG_OK) {
        cg_free(f);
        return status;
    }
    *handle = f;
    return CG_OK;
}

/* Counts one call of a kind; fails it when it is the one, or when the device is lost. */
static cg_status pass(fault *f, fault_kind kind, cg_status failure, const char *what) {
    if (f->kind == FAULT_LOST) {
        f->fired = f->fired || ++f->seen == f->at;
        return f->fired ? cg_fail(CG_ERR_DEVICE, "%s is lost: %s failed (fault: call %llu)", f->inner.info->string,
                                  what, f->at)
                        : CG_OK;
    }
    if ((f->kind & kind) == 0 || f->fired || ++f->seen != f->at) {
        return CG_OK;
    }
    f->fired = true;
    return cg_fail(failure, "%s: %s failed on purpose (fault: number %llu)", f->inner.info->string, what, f->at);
}

static cg_status buffer_create(void *device, size_t bytes, void **buffer) {
    CG_TRY(pass(device, FAULT_ALLOCATION, CG_ERR_DEVICE_MEMORY, "an allocation"));
    return cg_inner_buffer_create(device, bytes, buffer);
}

static cg_status write(void *device, void *buffer, size_t offset, const void *source, size_t bytes) {
    CG_TRY(pass(device, FAULT_TRANSFER, CG_ERR_DEVICE, "a write"));
    return cg_inner_write(device, buffer, offset, source, bytes);
}

static cg_status read(void *device, void *buffer, size_t offset, void *destination, size_t bytes) {
    CG_TRY(pass(device, FAULT_TRANSFER, CG_ERR_DEVICE, "a read"));
    return cg_inner_read(device, buffer, offset, destination, bytes);
}

static cg_status flush(void *device) {
    CG_TRY(pass(device, 0, CG_ERR_DEVICE, "a flush"));
    return cg_inner_flush(device);
}

static cg_status wait(void *device) {
    CG_TRY(pass(device, 0, CG_ERR_DEVICE, "a wait"));
    return cg_inner_wait(device);
}

static cg_status on_build(void *context, const char *what) {
    fault *f = context;
    CG_TRY(pass(f, FAULT_BUILD, CG_ERR_DEVICE, what));
    return f->outer.watcher != NULL ? f->outer.watcher(f->outer.context, what) : CG_OK;
}

/* Inverts the last bytes of the first output: the sign and exponent of its last element. */
static cg_status spoil(fault *f, const cg_op *op) {
    const cg_operand *output = &op->outputs[0];
    size_t size = cg_dtype_size(output->dtype);
    size_t at = (output->offset + (size_t)cg_shape_numel(&output->shape) - 1) * size;
    unsigned char element[8];
    CG_TRY(cg_inner_read(f, output->buffer, at, element, size));
    element[size - 1] ^= 0xC0;
    return cg_inner_write(f, output->buffer, at, element, size);
}

static cg_status run(void *device, const cg_op *op) {
    fault *f = device;
    bool counts = f->op[0] == '\0' || strcmp(f->op, op->kind->name) == 0;
    CG_TRY(counts || f->kind == FAULT_LOST ? pass(f, FAULT_OP, CG_ERR_DEVICE, op->kind->name) : CG_OK);
    f->outer = cg_build_watch_set((cg_build_watch){on_build, f});
    cg_status status = cg_inner_run(f, op);
    cg_build_watch_set(f->outer);
    if (status == CG_OK && f->kind == FAULT_WRONG && counts && ++f->seen == f->at) {
        f->fired = true;
        return spoil(f, op);
    }
    return status;
}

static void report(void *handle, cg_text *text) {
    const fault *f = handle;
    if (!f->fired) {
        cg_text_append(text, "fault: number %llu never came, there were %llu\n", f->at, f->seen);
    }
}

static const cg_backend table = {
    .abi = CG_BACKEND_ABI,
    .size = sizeof table,
    .name = "fault",
    .close = cg_inner_close,
    .buffer_create = buffer_create,
    .buffer_destroy = cg_inner_buffer_destroy,
    .write = write,
    .read = read,
    .supports = cg_inner_supports,
    .run = run,
    .flush = flush,
    .wait = wait,
};

const cg_decorator cg_decorator_fault = {.name = "fault", .table = &table, .wrap = wrap, .report = report};
