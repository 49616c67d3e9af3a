/* What is done to gradients between backward and the step: freezing, clipping. */
#include <math.h>

#include "optimizer.h"
#include "record.h"

cg_status cg_module_freeze(cg_module *module, const char *pattern, bool frozen) {
    size_t count = cg_module_parameter_count(module), matches = 0;
    for (size_t i = 0; i < count; i++) {
        const char *name;
        cg_tensor *parameter = cg_module_parameter(module, i, &name);
        if (cg_name_matches(pattern, name)) {
            cg_tensor_set_requires_grad(parameter, !frozen);
            cg_tensor_zero_grad(parameter);
            matches++;
        }
    }
    if (matches == 0) {
        const char *name = "none there";
        cg_module_parameter(module, 0, count > 0 ? &name : NULL);
        return cg_fail(CG_ERR_NAME, "cg_module_freeze: no parameter is called '%s'; the first of %zu is %s", pattern,
                       count, name);
    }
    return CG_OK;
}

static cg_tensor *constant(cg_tape *tape, cg_dtype dtype, double value) {
    cg_tensor *tensor = cg_tape_tensor(tape, dtype, &(cg_shape){.rank = 0});
    cg_record(tape, CG_OP_FILL, &(cg_fill_attrs){.size = sizeof(cg_fill_attrs), .value = value}, NULL, 0, &tensor, 1,
              NULL);
    return tensor;
}

cg_status cg_parameters_given(const char *who, cg_tensor *const *parameters, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (parameters == NULL || parameters[i] == NULL) {
            return cg_fail(CG_ERR_ARGUMENT, "%s: parameter %zu of %zu is NULL", who, i, count);
        }
    }
    return CG_OK;
}

/* sum(|g|^p) of all gradients, or the largest |g|; NULL where there is no gradient. */
static cg_tensor *gather(cg_tape *tape, cg_tensor *const *parameters, size_t count, double p) {
    cg_tensor *all = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!cg_tensor_has_grad(parameters[i])) {
            continue;
        }
        cg_tensor *one = cg_norm(tape, cg_tensor_grad(parameters[i]), p, CG_ALL_AXES, false);
        one = p == 2.0 ? cg_square(tape, one) : one;
        all = all == NULL ? one : isinf(p) ? cg_maximum(tape, all, one) : cg_add(tape, all, one);
    }
    return all != NULL && p == 2.0 ? cg_sqrt(tape, all) : all;
}

static cg_status check_finite(cg_tape *tape, cg_tensor *total, double p) {
    double value = 0;
    CG_TRY(cg_tensor_item(total, &value));
    if (!isfinite(value)) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT,
                     "cg_clip_grad_norm: the norm of order %g of all gradients is %g and cannot be clipped; pass "
                     "error_if_nonfinite=false to scale by it all the same",
                     p, value);
        return cg_fail(CG_ERR_ARGUMENT, "%s", cg_tape_error(tape));
    }
    return CG_OK;
}

static cg_status outcome(const cg_tape *tape) {
    return cg_tape_status(tape) == CG_OK ? CG_OK : cg_fail(cg_tape_status(tape), "%s", cg_tape_error(tape));
}

static cg_status clip_norm(cg_tape *tape, cg_tensor *const *parameters, size_t count, double max_norm, double norm_type,
                           bool error_if_nonfinite, cg_tensor **total_norm) {
    if (total_norm != NULL) {
        *total_norm = NULL;
    }
    if (!(max_norm >= 0)) {
        return cg_fail(CG_ERR_ARGUMENT, "cg_clip_grad_norm: max_norm is %g, expected at least 0", max_norm);
    }
    CG_TRY(cg_parameters_given("cg_clip_grad_norm", parameters, count));
    cg_tensor *total = gather(tape, parameters, count, norm_type);
    CG_TRY(outcome(tape));
    if (total == NULL) {
        return CG_OK;
    }
    CG_TRY(error_if_nonfinite ? check_finite(tape, total, norm_type) : CG_OK);
    cg_dtype dtype = cg_tensor_dtype(total);
    cg_tensor *most = constant(tape, dtype, max_norm), *least = constant(tape, dtype, 1e-6); /* as PyTorch has it */
    cg_tensor *factor = cg_clamp(tape, cg_div(tape, most, cg_add(tape, total, least)), (double)-INFINITY, 1.0);
    for (size_t i = 0; i < count && cg_tape_status(tape) == CG_OK; i++) {
        if (cg_tensor_has_grad(parameters[i])) {
            cg_tensor *grad = cg_tensor_grad(parameters[i]);
            CG_TRY(cg_copy(tape, grad, cg_mul(tape, grad, factor)));
        }
    }
    if (total_norm != NULL) {
        *total_norm = total;
    }
    return outcome(tape);
}

cg_status cg_clip_grad_norm(cg_tape *tape, cg_tensor *const *parameters, size_t count, double max_norm,
                            double norm_type, bool error_if_nonfinite, cg_tensor **total_norm) {
    cg_dtype precision = cg_tape_set_precision(tape, CG_F32);
    cg_status status = clip_norm(tape, parameters, count, max_norm, norm_type, error_if_nonfinite, total_norm);
    cg_tape_set_precision(tape, precision);
    return status;
}

cg_status cg_clip_grad_value(cg_tape *tape, cg_tensor *const *parameters, size_t count, double clip_value) {
    if (!(clip_value >= 0)) {
        return cg_fail(CG_ERR_ARGUMENT, "cg_clip_grad_value: clip_value is %g, expected at least 0", clip_value);
    }
    CG_TRY(cg_parameters_given("cg_clip_grad_value", parameters, count));
    cg_dtype precision = cg_tape_set_precision(tape, CG_F32);
    cg_status status = CG_OK;
    for (size_t i = 0; i < count && status == CG_OK; i++) {
        if (cg_tensor_has_grad(parameters[i])) {
            cg_tensor *grad = cg_tensor_grad(parameters[i]);
            status = cg_copy(tape, grad, cg_clamp(tape, grad, -clip_value, clip_value));
        }
    }
    cg_tape_set_precision(tape, precision);
    return status;
}

/* The sum of their squares, of which one number that is not finite makes another; NULL: there are none. */
static cg_tensor *divide(cg_tape *tape, cg_tensor *const *parameters, size_t count, cg_tensor *scale) {
    cg_tensor *sum = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!cg_tensor_has_grad(parameters[i])) {
            continue;
        }
        cg_tensor *grad = cg_tensor_grad(parameters[i]), *real = cg_div(tape, grad, scale);
        cg_tensor *squares = cg_square(tape, cg_norm(tape, real, 2.0, CG_ALL_AXES, false));
        cg_status status = cg_copy(tape, grad, real); /* sticks to the tape */
        (void)status;
        sum = sum != NULL ? cg_add(tape, sum, squares) : squares;
    }
    return sum;
}

cg_status cg_unscale_grad(cg_tape *tape, cg_tensor *const *parameters, size_t count, cg_tensor *scale, bool *finite) {
    *finite = true;
    CG_TRY(cg_parameters_given("cg_unscale_grad", parameters, count));
    cg_dtype precision = cg_tape_set_precision(tape, CG_F32);
    cg_tensor *sum = divide(tape, parameters, count, scale);
    cg_tape_set_precision(tape, precision);
    double value = 0;
    CG_TRY(sum != NULL ? cg_tensor_item(sum, &value) : outcome(tape));
    *finite = isfinite(value);
    for (size_t i = 0; i < count && !*finite; i++) {
        cg_tensor_zero_grad(parameters[i]);
    }
    return CG_OK;
}
