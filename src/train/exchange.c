/* Gradients of several ranks: see exchange.h. */
#include "exchange.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#define PIECE 65536 /* numbers: large enough for a network, small enough to be sent while backward goes on */

/* A gradient on its way. */
typedef struct cg_exchanged {
    size_t index; /* of the last op that writes to it */
    cg_tensor *gradient;
} cg_exchanged;

struct cg_exchange {
    const cg_ranks *ranks;
    cg_tape *tape;
    cg_tensor **parameters; /* borrowed */
    size_t n_parameters;
    bool loss_sums; /* over rows, else it is their mean */
    cg_dtype dtype;
    char *values;        /* of all gradients in the order of their ops, and whether somebody wants to stop */
    cg_exchanged *parts; /* of this update */
    size_t n_parts, n_read;
    size_t length, read, begun; /* numbers: in all, read, being sent */
    void **requests;
    size_t n_requests;
    const atomic_bool *cancelled; /* here */
    bool stop;                    /* somebody has cancelled the training: all know it after the same update */
    bool paused;                  /* this rank does something by itself */
};

static bool sums_rows(const cg_module *loss) {
    char text[1024];
    cg_module_print(loss, text, sizeof text);
    return strstr(text, "reduction='sum'") != NULL;
}

static cg_status build(cg_exchange *x) {
    for (size_t i = 0; i < x->n_parameters; i++) {
        x->length += (size_t)cg_tensor_numel(x->parameters[i]);
    }
    x->dtype = cg_device_real(cg_tape_device(x->tape));
    x->values = cg_alloc((x->length + 1) * cg_dtype_size(x->dtype));
    x->parts = cg_alloc(x->n_parameters * sizeof *x->parts);
    x->requests = cg_alloc((x->length / PIECE + 2) * sizeof *x->requests);
    return x->values != NULL && x->parts != NULL && x->requests != NULL ? CG_OK : CG_ERR_MEMORY;
}

cg_status cg_exchange_create(const cg_ranks *ranks, cg_tape *tape, const cg_module *loss, cg_tensor **parameters,
                             size_t n_parameters, const atomic_bool *cancelled, cg_exchange **exchange) {
    *exchange = NULL;
    if (ranks == NULL || ranks->count < 2) {
        return CG_OK;
    }
    cg_exchange *x = cg_alloc_zero(1, sizeof *x);
    if (x == NULL) {
        return CG_ERR_MEMORY;
    }
    *x = (cg_exchange){.ranks = ranks,
                       .tape = tape,
                       .parameters = parameters,
                       .n_parameters = n_parameters,
                       .loss_sums = sums_rows(loss),
                       .cancelled = cancelled};
    *exchange = x;
    return build(x);
}

void cg_exchange_destroy(cg_exchange *x) {
    if (x != NULL) {
        cg_free(x->values);
        cg_free(x->parts);
        cg_free(x->requests);
        cg_free(x);
    }
}

void cg_exchange_pause(cg_exchange *x, bool on) {
    if (x != NULL) {
        x->paused = on;
    }
}

bool cg_exchange_stopped(const cg_exchange *x) {
    return x->stop;
}

void cg_exchange_go_on(cg_exchange *x) {
    if (x != NULL) {
        x->stop = false;
    }
}

double cg_exchange_factor(const cg_exchange *x, double share) {
    return x == NULL || x->paused || (x->loss_sums && share > 0) ? 1.0 : share;
}

static void *value_at(const cg_exchange *x, size_t i) {
    return x->values + i * cg_dtype_size(x->dtype);
}

static double flag_of(const cg_exchange *x) {
    return x->dtype == CG_F64 ? *(const double *)value_at(x, x->read) : (double)*(const float *)value_at(x, x->read);
}

static void set_flag(const cg_exchange *x, bool on) {
    if (x->dtype == CG_F64) {
        *(double *)value_at(x, x->read) = on;
    } else {
        *(float *)value_at(x, x->read) = on;
    }
}

static cg_status begin_sum(cg_exchange *x, size_t end) {
    void **request = &x->requests[x->n_requests];
    CG_TRY(x->ranks->begin_sum(x->ranks->context, value_at(x, x->begun), end - x->begun, x->dtype, request));
    x->n_requests++;
    x->begun = end;
    return CG_OK;
}

static cg_status read_next(cg_exchange *x) {
    cg_tensor *gradient = x->parts[x->n_read].gradient;
    CG_TRY(cg_tensor_read(gradient, value_at(x, x->read), cg_tensor_bytes(gradient)));
    x->n_read++;
    x->read += (size_t)cg_tensor_numel(gradient);
    return x->read - x->begun >= PIECE ? begin_sum(x, x->read) : CG_OK;
}

static cg_status wait_for_all(cg_exchange *x) {
    cg_status status = CG_OK;
    for (size_t i = 0; i < x->n_requests && status == CG_OK; i++) {
        status = cg_ranks_wait(x->ranks, x->requests[i]);
    }
    x->n_requests = 0;
    return status;
}

static cg_status write_all(const cg_exchange *x) {
    size_t at = 0;
    for (size_t i = 0; i < x->n_parts; i++) {
        cg_tensor *gradient = x->parts[i].gradient;
        CG_TRY(cg_tensor_write(gradient, value_at(x, at), cg_tensor_bytes(gradient)));
        at += (size_t)cg_tensor_numel(gradient);
    }
    return CG_OK;
}

/* Every gradient is on its way: the last piece takes along who wants to stop. */
static cg_status complete(cg_exchange *x) {
    cg_tape_watch(x->tape, NULL, NULL);
    set_flag(x, atomic_load(x->cancelled));
    CG_TRY(begin_sum(x, x->read + 1));
    CG_TRY(wait_for_all(x));
    x->stop = x->stop || flag_of(x) > 0;
    return write_all(x);
}

/* Reads the gradients that are whole after the op at `index`. */
static cg_status advance(cg_exchange *x, size_t index) {
    if (x->n_read == x->n_parts) {
        return CG_OK;
    }
    while (x->n_read < x->n_parts && x->parts[x->n_read].index <= index) {
        CG_TRY(read_next(x));
    }
    return x->n_read == x->n_parts ? complete(x) : CG_OK;
}

static cg_status on_op(void *context, const cg_ran_op *op) {
    return advance(context, op->index);
}

static int by_index(const void *a, const void *b) {
    const cg_exchanged *first = a, *second = b;
    return (first->index > second->index) - (first->index < second->index);
}

cg_status cg_exchange_record(cg_exchange *x) {
    if (x == NULL || x->paused) {
        return CG_OK;
    }
    x->n_parts = x->n_read = x->read = x->begun = 0;
    for (size_t i = 0; i < x->n_parameters; i++) {
        cg_tensor *gradient = cg_tensor_grad(x->parameters[i]);
        size_t index = gradient != NULL ? cg_tape_last_write(x->tape, gradient) : SIZE_MAX;
        if (index != SIZE_MAX) {
            x->parts[x->n_parts++] = (cg_exchanged){index, gradient};
        }
    }
    qsort(x->parts, x->n_parts, sizeof *x->parts, by_index);
    if (cg_tape_ran(x->tape) > 0 || x->n_parts == 0) { /* somebody has read a value, or wants each op to run at once */
        CG_TRY(cg_tape_flush(x->tape));
        return x->n_parts > 0 ? advance(x, SIZE_MAX) : complete(x);
    }
    cg_tape_watch(x->tape, on_op, x);
    return CG_OK;
}

static cg_status broadcast(const cg_exchange *x, cg_tensor *tensor, char *bytes) {
    void *request;
    size_t size = cg_tensor_bytes(tensor);
    CG_TRY(cg_tensor_read(tensor, bytes, size));
    CG_TRY(x->ranks->begin_broadcast(x->ranks->context, bytes, size, &request));
    CG_TRY(cg_ranks_wait(x->ranks, request));
    return cg_tensor_write(tensor, bytes, size);
}

static cg_status broadcast_one(const cg_exchange *x, cg_tensor *tensor) {
    char *bytes = cg_alloc(cg_tensor_bytes(tensor) + 1);
    cg_status status = bytes != NULL ? broadcast(x, tensor, bytes) : CG_ERR_MEMORY;
    cg_free(bytes);
    return status;
}

cg_status cg_exchange_broadcast(const cg_exchange *x, cg_module *model, bool parameters) {
    if (x == NULL || x->paused) {
        return CG_OK;
    }
    for (size_t i = 0; parameters && i < x->n_parameters; i++) {
        CG_TRY(broadcast_one(x, x->parameters[i]));
    }
    for (size_t i = 0; i < cg_module_buffer_count(model); i++) {
        CG_TRY(broadcast_one(x, cg_module_buffer(model, i, NULL)));
    }
    return CG_OK;
}

cg_status cg_exchange_add(const cg_exchange *x, double *values, size_t n) {
    void *request;
    if (x == NULL || x->paused) {
        return CG_OK;
    }
    CG_TRY(x->ranks->begin_sum(x->ranks->context, values, n, CG_F64, &request));
    return cg_ranks_wait(x->ranks, request);
}
