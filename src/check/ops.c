/* Kernels, elementwise ops and optimizers on the device; and the table of all that check: saw of every op. */
#include "doctor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <clgrad/ops.h>
#include <clgrad/optim.h>
#include <clgrad/random.h>

#include "builtin.h"
#include "device.h"

#define ELEMENTS 65
#define MAX_KINDS 512

/* The table and the handle of the device itself, below its decorators. */
static cg_inner innermost(const cg_device *device) {
    cg_inner inner = {device->backend, device->handle, &device->info};
    for (size_t i = 0; i < device->n_decorators; i++) {
        inner = *(const cg_inner *)inner.handle;
    }
    return inner;
}

cg_status cg_doctor_kernels(cg_doctor *doctor) {
    cg_inner inner = innermost(doctor->device);
    for (size_t i = 0; inner.backend->build != NULL; i++) {
        const char *name = NULL;
        cg_doctor_begin(doctor);
        cg_status status = inner.backend->build(inner.handle, i, &name);
        if (name == NULL) {
            break;
        }
        CG_TRY(cg_doctor_end(doctor, "kernels", name, status, NAN, ""));
    }
    return CG_OK;
}

/* Every value is in the domain of every function: 0.1 to 0.9. */
static cg_status make_values(cg_device *device, uint64_t stream, cg_tensor **tensor) {
    float values[ELEMENTS];
    for (size_t i = 0; i < ELEMENTS; i++) {
        values[i] = 0.1f + 0.8f * cg_random_uniform(1, stream, i);
    }
    CG_TRY(cg_tensor_create(device, CG_F32, &CG_SHAPE(5, 13), tensor));
    cg_tensor_set_requires_grad(*tensor, true);
    return cg_tensor_write_f32(*tensor, values, ELEMENTS);
}

/* Forward and backward, so that check: sees the op and its gradients. */
static cg_status run_op(cg_tape *tape, cg_tensor *result) {
    if (result == NULL) {
        return CG_ERR_MEMORY;
    }
    CG_TRY(cg_tape_status(tape) == CG_OK && cg_tensor_requires_grad(result)
               ? cg_backward(tape, cg_sum(tape, result, CG_ALL_AXES, false))
               : CG_OK);
    return cg_tape_run(tape);
}

static cg_status run_elementwise(cg_tape *tape, uint32_t number, cg_tensor *a, cg_tensor *b) {
    static const double p[3] = {0.5, 0.3, 0.7};
    return run_op(tape, b == NULL ? cg_unary(tape, number, a, p) : cg_binary(tape, number, a, b));
}

static cg_status check_elementwise(cg_doctor *doctor, uint32_t number, bool binary) {
    cg_tensor *a = NULL, *b = NULL;
    cg_tape *tape = cg_tape_create(doctor->device);
    cg_status status = tape != NULL ? make_values(doctor->device, 1, &a) : CG_ERR_MEMORY;
    if (status == CG_OK && binary) {
        status = make_values(doctor->device, 2, &b);
    }
    if (status == CG_OK) {
        status = run_elementwise(tape, number, a, b);
    }
    cg_tape_destroy(tape);
    cg_tensor_destroy(a);
    cg_tensor_destroy(b);
    return status;
}

static const struct {
    uint32_t number;
    bool binary;
    const char *name;
} elementwise[] = {
#define CG_UNARY(number, NAME, name, y, dx) {CG_OP_##NAME, false, #name},
#define CG_BINARY(number, NAME, name, z, da, db) {CG_OP_##NAME, true, #name},
#include <clgrad/elementwise.def>
#undef CG_UNARY
#undef CG_BINARY
};

/* Ops that move elements or look them up, which few layers use: x [5, 13], index [4]. */
static cg_tensor *permute(cg_tape *tape, cg_tensor *x, cg_tensor *index) {
    (void)index;
    return cg_permute(tape, x, (const int[]){1, 0});
}

static cg_tensor *cumsum(cg_tape *tape, cg_tensor *x, cg_tensor *index) {
    (void)index;
    return cg_cumsum(tape, x, 1);
}

static cg_tensor *argmax(cg_tape *tape, cg_tensor *x, cg_tensor *index) {
    (void)index;
    return cg_argmax(tape, x, 1);
}

static cg_tensor *cast(cg_tape *tape, cg_tensor *x, cg_tensor *index) {
    (void)index;
    return cg_cast(tape, x, CG_I64);
}

static cg_tensor *index_select(cg_tape *tape, cg_tensor *x, cg_tensor *index) {
    return cg_index_select(tape, x, 1, index);
}

static cg_tensor *gather(cg_tape *tape, cg_tensor *x, cg_tensor *index) {
    return cg_gather(tape, x, 0, cg_reshape(tape, index, &CG_SHAPE(1, 4)));
}

static cg_tensor *one_hot(cg_tape *tape, cg_tensor *x, cg_tensor *index) {
    (void)x;
    return cg_one_hot(tape, index, 5);
}

static const struct {
    const char *name;
    cg_tensor *(*apply)(cg_tape *tape, cg_tensor *x, cg_tensor *index);
} lookups[] = {
    {"strided_copy", permute},      {"cumsum", cumsum}, {"argmax", argmax},   {"cast", cast},
    {"index_select", index_select}, {"gather", gather}, {"one_hot", one_hot},
};

static cg_status check_lookup(cg_doctor *doctor, size_t i) {
    static const int64_t places[4] = {4, 0, 2, 0};
    cg_tensor *x = NULL, *index = NULL;
    cg_tape *tape = cg_tape_create(doctor->device);
    cg_status status = tape != NULL ? make_values(doctor->device, 1, &x) : CG_ERR_MEMORY;
    status = status != CG_OK ? status : cg_tensor_create(doctor->device, CG_I64, &CG_SHAPE(4), &index);
    status = status != CG_OK ? status : cg_tensor_write(index, places, sizeof places);
    status = status != CG_OK ? status : run_op(tape, lookups[i].apply(tape, x, index));
    cg_tape_destroy(tape);
    cg_tensor_destroy(x);
    cg_tensor_destroy(index);
    return status;
}

static cg_status check_lookups(cg_doctor *doctor) {
    for (size_t i = 0; i < sizeof lookups / sizeof lookups[0]; i++) {
        cg_doctor_begin(doctor);
        cg_status status = check_lookup(doctor, i);
        if (status != CG_OK) {
            CG_TRY(cg_doctor_end(doctor, "ops", lookups[i].name, status, NAN, ""));
        }
    }
    return CG_OK;
}

/* What passes is told with all other ops, by cg_doctor_ops. */
cg_status cg_doctor_elementwise(cg_doctor *doctor) {
    for (size_t i = 0; i < sizeof elementwise / sizeof elementwise[0]; i++) {
        cg_doctor_begin(doctor);
        cg_status status = check_elementwise(doctor, elementwise[i].number, elementwise[i].binary);
        if (status != CG_OK) {
            CG_TRY(cg_doctor_end(doctor, "ops", elementwise[i].name, status, NAN, ""));
        }
    }
    return check_lookups(doctor);
}

#define MODEL "Linear(8, 6), ReLU(), Linear(6, 3)"
#define STEPS 3

static const char *const optimizers[] = {"SGD(lr=0.1)",
                                         "SGD(lr=0.1, momentum=0.9)",
                                         "SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)",
                                         "Adam(lr=0.01)",
                                         "Adam(lr=0.01, weight_decay=0.01, amsgrad=True)",
                                         "AdamW(lr=0.01)",
                                         "RMSprop(lr=0.01)",
                                         "RMSprop(lr=0.01, momentum=0.9, centered=True)",
                                         "Adagrad(lr=0.01)",
                                         "Adadelta()",
                                         "NAdam(lr=0.01)",
                                         "RAdam(lr=0.01)",
                                         "Lion(lr=0.01)",
                                         "LAMB(lr=0.01)"};

static cg_status take_steps(cg_device *device, cg_module *model, cg_optimizer *optimizer, cg_tape *tape) {
    cg_tensor *x;
    CG_TRY(cg_tensor_create(device, CG_F32, &CG_SHAPE(4, 8), &x));
    float values[32];
    for (size_t i = 0; i < 32; i++) {
        values[i] = cg_random_normal(1, 3, i);
    }
    cg_status status = cg_tensor_write_f32(x, values, 32);
    for (int step = 0; step < STEPS && status == CG_OK; step++) {
        cg_tensor *y = cg_module_forward(model, tape, x);
        status = cg_backward(tape, cg_mean(tape, cg_square(tape, y), CG_ALL_AXES, false));
        status = status != CG_OK ? status : cg_optimizer_step(optimizer, tape);
        status = status != CG_OK ? status : cg_tape_run(tape);
    }
    cg_tensor_destroy(x);
    return status;
}

static cg_status check_optimizer(cg_device *device, const char *text) {
    cg_module *model = NULL;
    cg_optimizer *optimizer = NULL;
    cg_tape *tape = cg_tape_create(device);
    cg_status status = tape != NULL ? cg_module_parse(device, MODEL, &model) : CG_ERR_MEMORY;
    status = status != CG_OK ? status : cg_module_init(model, 1);
    status = status != CG_OK ? status : cg_optimizer_parse(text, model, &optimizer);
    status = status != CG_OK ? status : take_steps(device, model, optimizer, tape);
    cg_tape_destroy(tape);
    cg_optimizer_destroy(optimizer);
    cg_module_destroy(model);
    return status;
}

cg_status cg_doctor_optimizers(cg_doctor *doctor) {
    for (size_t i = 0; i < sizeof optimizers / sizeof optimizers[0]; i++) {
        cg_doctor_begin(doctor);
        cg_status status = check_optimizer(doctor->device, optimizers[i]);
        CG_TRY(cg_doctor_end(doctor, "optimizers", optimizers[i], status, NAN, ""));
    }
    return CG_OK;
}

/* Why a kind was not met on the device; "" when it fell back for some of its shapes only. */
static const char *why_not(const cg_device *device, const char *name, char *text, size_t size) {
    for (size_t i = 0; i < device->n_fallbacks; i++) {
        if (strcmp(device->fallbacks[i].op, name) == 0) {
            snprintf(text, size, "runs on the CPU: %s", device->fallbacks[i].reason);
            return text;
        }
    }
    return "nothing that was checked uses it";
}

/* One line a kind: how often it was met, and how far from the reference in double it came. */
cg_status cg_doctor_ops(cg_doctor *doctor) {
    static cg_checked seen[MAX_KINDS]; /* of one check at a time: copied from the decorator */
    size_t n_seen = cg_check_seen(doctor->device->layers[doctor->device->n_decorators - 1], seen, MAX_KINDS);
    for (size_t i = 0; i < cg_kind_count; i++) {
        const cg_checked *met = NULL;
        char text[256];
        for (size_t j = 0; j < n_seen && j < MAX_KINDS && met == NULL; j++) {
            met = strcmp(seen[j].op, cg_kinds[i].name) == 0 ? &seen[j] : NULL;
        }
        cg_doctor_begin(doctor);
        if (met == NULL) {
            CG_TRY(cg_doctor_skip(doctor, "ops", cg_kinds[i].name,
                                  why_not(doctor->device, cg_kinds[i].name, text, sizeof text)));
            continue;
        }
        cg_status status = met->wrong == 0 ? CG_OK
                                           : cg_fail(CG_ERR_WRONG, "%llu of %llu times wrong",
                                                     (unsigned long long)met->wrong, (unsigned long long)met->times);
        CG_TRY(cg_doctor_end(doctor, "ops", cg_kinds[i].name, status, met->worst, ""));
    }
    return CG_OK;
}
