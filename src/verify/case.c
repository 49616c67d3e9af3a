/* Case files: opening, what all kinds have in common. */
#include "case.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "number.h"

#define FORMAT "clgrad-case-1"
#define ENDING ".safetensors"

static const cg_case_kind kinds[] = {
    {"module", 1e-4, 1e-5, true, cg_case_check_module, cg_case_replay_module},
    {"optimizer", 1e-5, 1e-6, true, cg_case_check_optimizer, cg_case_replay_optimizer},
    {"schedule", 1e-9, 1e-9, false, cg_case_check_schedule, cg_case_replay_schedule},
};

cg_status cg_case_bad(const cg_case *c, const char *format, ...) {
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return cg_fail(CG_ERR_FORMAT, "%s: %s", c->path, message);
}

const cg_stored *cg_case_find(const cg_case *c, const char *prefix, int64_t index) {
    char name[64];
    snprintf(name, sizeof name, "%s%" PRId64, prefix, index);
    return cg_safetensors_find(c->file, name);
}

cg_status cg_case_require(const cg_case *c, const char *name, cg_stored_dtype dtype, const cg_shape *shape,
                          const cg_stored **tensor) {
    const cg_stored *found = cg_safetensors_find(c->file, name);
    if (found == NULL) {
        return cg_case_bad(c, "tensor \"%s\" is missing", name);
    }
    if (found->dtype != dtype) {
        return cg_case_bad(c, "tensor \"%s\" is %s, %s was expected", name, found->dtype_name,
                           cg_stored_dtype_name(dtype));
    }
    if (shape != NULL && !cg_shape_equal(&found->shape, shape)) {
        return cg_case_bad(c, "tensor \"%s\" is %s, %s was expected", name,
                           cg_shape_print(&found->shape, CG_SHAPE_TEXT), cg_shape_print(shape, CG_SHAPE_TEXT));
    }
    *tensor = found;
    return CG_OK;
}

cg_status cg_case_check_numbers(const cg_case *c, const cg_stored *expected) {
    const unsigned char *at = expected->data;
    int64_t count = expected->dtype == CG_STORED_F64 ? cg_shape_numel(&expected->shape) : 0;
    for (int64_t i = 0; i < count; i++, at += sizeof(double)) {
        double value;
        memcpy(&value, at, sizeof value);
        if (isnan(value)) {
            return cg_case_bad(c, "tensor \"%s\" expects NaN at element %" PRId64 ": no result can agree with it",
                               expected->name, i);
        }
    }
    return CG_OK;
}

/* A metadata text; a failure when it is missing. */
static cg_status read_text(const cg_case *c, const char *key, const char **text) {
    *text = cg_safetensors_metadata(c->file, key);
    return *text != NULL ? CG_OK : cg_case_bad(c, "metadata \"%s\" is missing", key);
}

/* A tolerance of the file's own. */
static cg_status read_tolerance(const cg_case *c, const char *key, double *tolerance) {
    const char *text = cg_safetensors_metadata(c->file, key);
    if (text == NULL) {
        return CG_OK;
    }
    if (!cg_number_read(text, strlen(text), tolerance) || !(*tolerance >= 0 && isfinite(*tolerance))) {
        return cg_case_bad(c, "metadata \"%s\" is \"%.40s\", a number of at least 0 was expected", key, text);
    }
    return CG_OK;
}

static cg_status find_kind(cg_case *c) {
    const char *format = cg_safetensors_metadata(c->file, "format"), *kind = NULL;
    if (format == NULL || strcmp(format, FORMAT) != 0) {
        return cg_case_bad(c, "this is no case file: its metadata has \"format\" %.40s, " FORMAT " was expected",
                           format != NULL ? format : "not at all");
    }
    CG_TRY(read_text(c, "kind", &kind));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kind, kinds[i].name) == 0) {
            c->kind = &kinds[i];
        }
    }
    return c->kind != NULL ? CG_OK : cg_case_bad(c, "kind \"%.40s\": module, optimizer or schedule was expected", kind);
}

static cg_status check(cg_case *c) {
    CG_TRY(find_kind(c));
    CG_TRY(read_text(c, c->kind->name, &c->text));
    c->rtol = c->kind->rtol;
    c->atol = c->kind->atol;
    CG_TRY(read_tolerance(c, "rtol", &c->rtol));
    CG_TRY(read_tolerance(c, "atol", &c->atol));
    return c->kind->check(c);
}

/* "folder/conv2d.safetensors" is the case conv2d. */
static cg_status take_name(cg_case *c, const char *path) {
    const char *slash = strrchr(path, '/');
    c->path = cg_strdup(path);
    c->name = cg_strdup(slash != NULL ? slash + 1 : path);
    if (c->path == NULL || c->name == NULL) {
        return CG_ERR_MEMORY;
    }
    size_t length = strlen(c->name), ending = strlen(ENDING);
    if (length > ending && strcmp(c->name + length - ending, ENDING) == 0) {
        c->name[length - ending] = '\0';
    }
    return CG_OK;
}

cg_status cg_case_load(const char *path, cg_case **out) {
    *out = NULL;
    cg_case *c = cg_alloc_zero(1, sizeof *c);
    if (c == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_status status = take_name(c, path);
    if (status == CG_OK) {
        status = cg_safetensors_open(path, &c->file);
    }
    if (status == CG_OK) {
        status = check(c);
    }
    if (status != CG_OK) {
        cg_case_destroy(c);
        return status;
    }
    *out = c;
    return CG_OK;
}

void cg_case_destroy(cg_case *c) {
    if (c != NULL) {
        cg_safetensors_close(c->file);
        cg_free(c->path);
        cg_free(c->name);
        cg_free(c);
    }
}

const char *cg_case_name(const cg_case *c) {
    return c->name;
}

bool cg_case_needs_device(const cg_case *c) {
    return c->kind->needs_device;
}
