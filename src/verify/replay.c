/* Replaying a case: what came out, what ran elsewhere, and which errors are a verdict. */
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "case.h"
#include "text.h"

#define MAX_FALLBACKS 64

/* What a device's ops fell back for, at one time. */
typedef struct fallbacks {
    cg_fallback_info rows[MAX_FALLBACKS];
    size_t count;
} fallbacks;

const char *cg_outcome_name(cg_outcome outcome) {
    static const char *const names[] = {"pass", "FAIL", "fallback", "unsupported"};
    return names[outcome];
}

static void read_fallbacks(cg_device *device, fallbacks *f) {
    size_t count = device != NULL ? cg_device_fallbacks(device, f->rows, MAX_FALLBACKS) : 0;
    f->count = count < MAX_FALLBACKS ? count : MAX_FALLBACKS;
}

static uint64_t count_in(const fallbacks *f, const cg_fallback_info *row) {
    for (size_t i = 0; i < f->count; i++) {
        if (strcmp(f->rows[i].op, row->op) == 0 && strcmp(f->rows[i].reason, row->reason) == 0) {
            return f->rows[i].count;
        }
    }
    return 0;
}

/* Values that are right are no pass when the device did not compute all of them. */
static void note_fallbacks(cg_device *device, const fallbacks *before, cg_verdict *verdict) {
    fallbacks after;
    cg_text text = {0};
    read_fallbacks(device, &after);
    for (size_t i = 0; i < after.count; i++) {
        const cg_fallback_info *row = &after.rows[i];
        if (row->count > count_in(before, row)) {
            cg_text_append(&text, "%s%s: %s", text.length > 0 ? "; " : "", row->op, row->reason);
        }
    }
    if (text.length > 0 && verdict->outcome == CG_OUTCOME_PASS) {
        verdict->outcome = CG_OUTCOME_FALLBACK;
        cg_text_copy(&text, verdict->reason, sizeof verdict->reason);
    }
    cg_text_free(&text);
}

/* The last failure's message, one line; `until`: the first of these characters ends it. */
static void keep_message(cg_verdict *verdict, const char *until) {
    const char *message = cg_error_message();
    snprintf(verdict->reason, sizeof verdict->reason, "%.*s", (int)strcspn(message, until), message);
}

/* Which failures are a verdict, and which mean that the file is wrong or memory is out. */
static cg_status settle(const cg_case *c, cg_status status, cg_verdict *verdict) {
    switch (status) {
    case CG_OK:
    case CG_ERR_MEMORY:
    case CG_ERR_DEVICE_MEMORY:
    case CG_ERR_FORMAT:
    case CG_ERR_FILE:
        return status;
    case CG_ERR_NAME:
        verdict->outcome = CG_OUTCOME_UNSUPPORTED;
        keep_message(verdict, ";\n"); /* without the names that there are */
        return CG_OK;
    case CG_ERR_UNSUPPORTED:
        verdict->outcome = CG_OUTCOME_UNSUPPORTED;
        keep_message(verdict, "\n");
        return CG_OK;
    case CG_ERR_ARGUMENT:
    case CG_ERR_SYNTAX:
    case CG_ERR_SHAPE:
    case CG_ERR_DTYPE:
    case CG_ERR_INDEX:
        return cg_case_bad(c, "%s", cg_error_message());
    default: /* the device broke */
        verdict->outcome = CG_OUTCOME_FAIL;
        keep_message(verdict, "\n");
        return CG_OK;
    }
}

cg_status cg_case_replay(const cg_case *c, cg_device *device, const char *results, cg_verdict *verdict) {
    *verdict = (cg_verdict){.outcome = CG_OUTCOME_PASS};
    if (device == NULL && c->kind->needs_device) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: a %s is replayed on a device", c->path, c->kind->name);
    }
    fallbacks before;
    read_fallbacks(device, &before);
    cg_results computed = {0};
    cg_status status = c->kind->replay(c, device, &computed);
    if (status == CG_OK) {
        status = cg_results_judge(&computed, c->rtol, c->atol, verdict);
        note_fallbacks(device, &before, verdict);
    }
    if (status == CG_OK && results != NULL) {
        const char *name = c->kind->needs_device ? cg_device_describe(device)->string : "host";
        status = cg_results_write(&computed, c->name, name, results);
    }
    cg_results_free(&computed);
    return settle(c, status, verdict);
}
