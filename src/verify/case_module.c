/*
 * The tensors of a module's case, a table: what names there may be, their dtypes, and which stand for one another. An
 * input without a gradient needs none; everything else that has a partner must have it, with the same shape, so that a
 * file cannot expect less than it seems to.
 */
#include <stdlib.h>
#include <string.h>

#include "case.h"

typedef struct role {
    const char *prefix;
    const char *partner; /* NULL: none */
    bool numbered;       /* 0, 1, ... without a gap, instead of names */
    bool integers;       /* may be I64, an input BOOL, too */
    cg_stored_dtype dtype;
} role;

static const role roles[] = {
    {"input.", NULL, true, true, CG_STORED_F32},
    {"param.", "grad.param.", false, false, CG_STORED_F32},
    {"buffer.", "after.buffer.", false, true, CG_STORED_F32},
    {"output.", "grad_output.", true, false, CG_STORED_F64},
    {"grad_output.", "output.", true, false, CG_STORED_F32},
    {"grad.input.", "input.", true, false, CG_STORED_F64},
    {"grad.param.", "param.", false, false, CG_STORED_F64},
    {"after.buffer.", "buffer.", false, true, CG_STORED_F64},
};

static const role *find_role(const char *name) {
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (strncmp(name, roles[i].prefix, strlen(roles[i].prefix)) == 0) {
            return &roles[i];
        }
    }
    return NULL;
}

/* The number that all of `text` is, as it would be printed; -1: it is none. */
static int64_t number_of(const char *text) {
    size_t length = strspn(text, "0123456789");
    bool plain = length > 0 && length < 10 && text[length] == '\0' && (text[0] != '0' || length == 1);
    return plain ? strtoll(text, NULL, 10) : -1;
}

/* Numbers begin with 0 and have no gap; only an input may lack its gradient. */
static cg_status check_number(const cg_case *c, const role *r, const char *name) {
    int64_t number = number_of(name + strlen(r->prefix));
    bool gaps = strcmp(r->prefix, "grad.input.") == 0;
    if (number < 0 || (!gaps && number > 0 && cg_case_find(c, r->prefix, number - 1) == NULL)) {
        return cg_case_bad(c, "tensor \"%s\" is unexpected: numbers count from 0 without a gap", name);
    }
    return CG_OK;
}

static cg_status check_partner(const cg_case *c, const role *r, const cg_stored *tensor) {
    char name[512];
    size_t prefix = strlen(r->partner), rest = strlen(tensor->name) - strlen(r->prefix);
    if (prefix + rest >= sizeof name) {
        return cg_case_bad(c, "a tensor's name has %zu characters: too many", strlen(tensor->name));
    }
    memcpy(name, r->partner, prefix);
    memcpy(name + prefix, tensor->name + strlen(r->prefix), rest + 1);
    const cg_stored *partner = cg_safetensors_find(c->file, name);
    if (partner == NULL) {
        return cg_case_bad(c, "tensor \"%s\" is missing: there is \"%s\"", name, tensor->name);
    }
    if (!cg_shape_equal(&partner->shape, &tensor->shape)) {
        return cg_case_bad(c, "tensors \"%s\" %s and \"%s\" %s must have one shape", tensor->name,
                           cg_shape_print(&tensor->shape, CG_SHAPE_TEXT), name,
                           cg_shape_print(&partner->shape, CG_SHAPE_TEXT));
    }
    return CG_OK;
}

static bool dtype_fits(const role *r, cg_stored_dtype dtype) {
    bool integer = r->integers && (dtype == CG_STORED_I64 || (dtype == CG_STORED_BOOL && r == &roles[0]));
    return dtype == r->dtype || integer;
}

static cg_status check_tensor(const cg_case *c, const cg_stored *tensor) {
    const role *r = find_role(tensor->name);
    if (r == NULL) {
        return cg_case_bad(c, "tensor \"%s\" is unexpected in the case of a module", tensor->name);
    }
    if (!dtype_fits(r, tensor->dtype)) {
        return cg_case_bad(c, "tensor \"%s\" is %s, %s%s was expected", tensor->name, tensor->dtype_name,
                           cg_stored_dtype_name(r->dtype), r->integers ? " or I64" : "");
    }
    if (r->numbered) {
        CG_TRY(check_number(c, r, tensor->name));
    }
    if (r->partner != NULL) {
        CG_TRY(check_partner(c, r, tensor));
    }
    return r->dtype == CG_STORED_F64 ? cg_case_check_numbers(c, tensor) : CG_OK;
}

/* Something must be compared: an output, if only its shape. */
static cg_status check_present(const cg_case *c) {
    bool no_input = cg_case_find(c, "input.", 0) == NULL;
    if (no_input || cg_case_find(c, "output.", 0) == NULL) {
        return cg_case_bad(c, "tensor \"%s\" is missing", no_input ? "input.0" : "output.0");
    }
    return CG_OK;
}

cg_status cg_case_check_module(cg_case *c) {
    const char *mode = cg_safetensors_metadata(c->file, "mode");
    c->eval = mode != NULL && strcmp(mode, "eval") == 0;
    if (!c->eval && (mode == NULL || strcmp(mode, "train") != 0)) {
        return cg_case_bad(c, "metadata \"mode\" is %.40s, train or eval was expected",
                           mode != NULL ? mode : "missing");
    }
    for (size_t i = 0; i < cg_safetensors_count(c->file); i++) {
        CG_TRY(check_tensor(c, cg_safetensors_tensor(c->file, i)));
    }
    return check_present(c);
}
