/*
 * What a case is inside, and what its replay on a device leaves. case.c has checked the file before anybody replays
 * it: every tensor has a name, a dtype and a shape that its kind of case allows, and its partner.
 */
#ifndef CLGRAD_VERIFY_CASE_H
#define CLGRAD_VERIFY_CASE_H

#include <clgrad/tensor.h>
#include <clgrad/verify.h>

#include "safetensors.h"

typedef struct cg_case_kind cg_case_kind;

struct cg_case {
    const cg_case_kind *kind;
    char *path, *name;
    cg_safetensors *file;
    const char *text; /* of the module, optimizer or schedule */
    bool eval;        /* module */
    int64_t steps;    /* optimizer, schedule */
    double lr;        /* schedule */
    double rtol, atol;
};

/* One expected tensor and what stands in its place. */
typedef struct cg_computed {
    const cg_stored *stored;
    double *expected;
    cg_shape shape; /* of what was computed */
    double *actual; /* NULL: nothing was */
} cg_computed;

typedef struct cg_results {
    cg_computed *items;
    size_t count, capacity;
} cg_results;

/* module, optimizer, schedule: one row each in case.c. */
struct cg_case_kind {
    const char *name; /* in the metadata, and the key of the text */
    double rtol, atol;
    bool needs_device;
    /* Checks metadata and tensors of an opened file. */
    cg_status (*check)(cg_case *c);
    /* Computes. CG_OK also when something could not be computed: the results say so. */
    cg_status (*replay)(const cg_case *c, cg_device *device, cg_results *results);
};

/* Checks of the kinds, in case_module.c and case_steps.c. */
cg_status cg_case_check_module(cg_case *c) CG_MUST_USE;
cg_status cg_case_check_optimizer(cg_case *c) CG_MUST_USE;
cg_status cg_case_check_schedule(cg_case *c) CG_MUST_USE;

cg_status cg_case_replay_module(const cg_case *c, cg_device *device, cg_results *results) CG_MUST_USE;
cg_status cg_case_replay_optimizer(const cg_case *c, cg_device *device, cg_results *results) CG_MUST_USE;
cg_status cg_case_replay_schedule(const cg_case *c, cg_device *device, cg_results *results) CG_MUST_USE;

/* Fails with CG_ERR_FORMAT, the file's path in front. */
cg_status cg_case_bad(const cg_case *c, const char *format, ...) CG_PRINTF(2, 3);

/* The tensor "PREFIX" number `index`, "input.0"; NULL: it is not there. */
const cg_stored *cg_case_find(const cg_case *c, const char *prefix, int64_t index);

/* The tensor of that name; a failure that names it where it is missing or of another dtype or, unless `shape` is NULL,
 * shape. */
cg_status cg_case_require(const cg_case *c, const char *name, cg_stored_dtype dtype, const cg_shape *shape,
                          const cg_stored **tensor) CG_MUST_USE;

/* CG_ERR_FORMAT when a value is NaN. */
cg_status cg_case_check_numbers(const cg_case *c, const cg_stored *expected) CG_MUST_USE;

/* Writes the file's values into a tensor of that shape: real numbers into f32 or f64, integers into i64. */
cg_status cg_case_write(const cg_stored *stored, cg_tensor *tensor) CG_MUST_USE;

/* The same into a new tensor: of the device's own float type, i64 for integers. */
cg_status cg_case_upload(const cg_stored *stored, cg_device *device, cg_tensor **tensor) CG_MUST_USE;

/* Keeps what was computed: a tensor's values (NULL: there are none), or doubles of the expected shape. */
cg_status cg_results_take(cg_results *results, const cg_stored *expected, cg_tensor *tensor) CG_MUST_USE;
cg_status cg_results_take_values(cg_results *results, const cg_stored *expected, const double *values) CG_MUST_USE;
void cg_results_free(cg_results *results);

/* Writes the file of results. */
cg_status cg_results_write(const cg_results *results, const char *case_name, const char *device,
                           const char *path) CG_MUST_USE;

/* Compares all results: the outcome is PASS or FAIL. */
cg_status cg_results_judge(const cg_results *results, double rtol, double atol, cg_verdict *verdict) CG_MUST_USE;

#endif
