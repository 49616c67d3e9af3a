/* The tensors of the cases that go on for several steps: optimizers and schedules. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "case.h"
#include "number.h"

/* A metadata number; `whole`: an integer of at least 1. */
static cg_status read_number(const cg_case *c, const char *key, bool whole, double *number) {
    const char *text = cg_safetensors_metadata(c->file, key);
    if (text == NULL) {
        return cg_case_bad(c, "metadata \"%s\" is missing", key);
    }
    bool read = cg_number_read(text, strlen(text), number) && isfinite(*number);
    if (!read || (whole && !(*number >= 1 && *number <= 1e9 && *number == floor(*number)))) {
        return cg_case_bad(c, "metadata \"%s\" is \"%.40s\", %s was expected", key, text,
                           whole ? "a count" : "a number");
    }
    return CG_OK;
}

static cg_status read_steps(cg_case *c) {
    double steps = 0;
    CG_TRY(read_number(c, "steps", true, &steps));
    c->steps = (int64_t)steps;
    return CG_OK;
}

/* What is given and expected for one parameter in one step. */
static cg_status check_step(const cg_case *c, int64_t step, int64_t index, const cg_shape *shape) {
    char grad[64], after[64];
    const cg_stored *found = NULL;
    snprintf(grad, sizeof grad, "grad.%" PRId64 ".%" PRId64, step, index);
    snprintf(after, sizeof after, "after.%" PRId64 ".%" PRId64, step, index);
    CG_TRY(cg_case_require(c, grad, CG_STORED_F32, shape, &found));
    CG_TRY(cg_case_require(c, after, CG_STORED_F64, shape, &found));
    return cg_case_check_numbers(c, found);
}

/* Steps and parameters are counted; a tensor that is none of theirs makes the file's count differ. */
cg_status cg_case_check_optimizer(cg_case *c) {
    CG_TRY(read_steps(c));
    int64_t count = 0, elements = 0;
    for (const cg_stored *param; (param = cg_case_find(c, "param.", count)) != NULL; count++) {
        CG_TRY(cg_case_require(c, param->name, CG_STORED_F32, NULL, &param));
        elements += cg_shape_numel(&param->shape);
        for (int64_t step = 0; step < c->steps; step++) {
            CG_TRY(check_step(c, step, count, &param->shape));
        }
    }
    if (count == 0 || elements == 0) {
        return cg_case_bad(c, count == 0 ? "tensor \"param.0\" is missing" : "its parameters have no elements");
    }
    size_t expected = (size_t)count * (1 + 2 * (size_t)c->steps);
    if (cg_safetensors_count(c->file) != expected) {
        return cg_case_bad(c, "it has %zu tensors; %" PRId64 " parameters and %" PRId64 " steps make %zu",
                           cg_safetensors_count(c->file), count, c->steps, expected);
    }
    return CG_OK;
}

cg_status cg_case_check_schedule(cg_case *c) {
    static const char *const names[] = {"lr", "momentum"};
    CG_TRY(read_steps(c));
    CG_TRY(read_number(c, "lr", false, &c->lr));
    const cg_shape shape = CG_SHAPE(c->steps);
    for (size_t i = 0; i < 2; i++) {
        const cg_stored *found = NULL;
        CG_TRY(cg_case_require(c, names[i], CG_STORED_F64, &shape, &found));
        CG_TRY(cg_case_check_numbers(c, found));
    }
    return cg_safetensors_count(c->file) == 2
               ? CG_OK
               : cg_case_bad(c, "it has %zu tensors; a schedule has lr and momentum", cg_safetensors_count(c->file));
}
