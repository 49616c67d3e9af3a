/* Copies with strides, row by row: where both sides lie together a row is one memcpy. */
#include <string.h>

#include "cpu.h"
#include "host_memory.h"

#define GRAIN 16384 /* elements worth a thread */

typedef struct copy_job {
    const cg_strided_attrs *attrs;
    const char *x;
    char *y;
    size_t size; /* of an element */
    int64_t length, step_in, step_out;
} copy_job;

/* The first elements of row `row` on both sides: the axes above the last one. */
static void row_start(const cg_strided_attrs *attrs, int64_t row, int64_t *from, int64_t *to) {
    *from = attrs->from;
    *to = attrs->to;
    for (uint32_t i = attrs->rank - 1; i > 0; i--) {
        int64_t place = row % attrs->dim[i - 1];
        *from += place * attrs->in[i - 1];
        *to += place * attrs->out[i - 1];
        row /= attrs->dim[i - 1];
    }
}

/* Four bytes of any data type. */
typedef uint32_t __attribute__((may_alias)) word;

static void copy_words(const word *x, int64_t step_in, word *y, int64_t step_out, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        y[i * step_out] = x[i * step_in];
    }
}

static void copy_rows(void *context, int64_t begin, int64_t end) {
    const copy_job *work = context;
    for (int64_t row = begin; row < end; row++) {
        int64_t from, to;
        row_start(work->attrs, row, &from, &to);
        const char *x = work->x + (size_t)from * work->size;
        char *y = work->y + (size_t)to * work->size;
        if (work->step_in == 1 && work->step_out == 1) {
            memcpy(y, x, (size_t)work->length * work->size);
        } else {
            copy_words((const word *)(const void *)x, work->step_in, (word *)(void *)y, work->step_out, work->length);
        }
    }
}

/* Adding, scalars, and strided elements of other sizes than 4 are the reference's. */
cg_status cpu_strided_copy(cpu_device *device, const cg_op *op) {
    const cg_strided_attrs *attrs = op->attrs;
    const cg_operand *x = &op->inputs[0], *y = &op->outputs[0];
    copy_job work = {.attrs = attrs, .size = cg_dtype_size(x->dtype)};
    if (attrs->rank == 0 || cpu_adds(op)) {
        return ref_run(op);
    }
    uint32_t last = attrs->rank - 1;
    work.step_in = attrs->in[last];
    work.step_out = attrs->out[last];
    work.length = attrs->dim[last];
    if (work.size != sizeof(word) && (work.step_in != 1 || work.step_out != 1)) {
        return ref_run(op);
    }
    work.x = (const char *)x->buffer + x->offset * work.size;
    work.y = (char *)y->buffer + y->offset * work.size;
    int64_t rows = 1;
    for (uint32_t i = 0; i < last; i++) {
        rows *= attrs->dim[i];
    }
    cpu_parallel(device, rows, GRAIN / work.length + 1, copy_rows, &work);
    return CG_OK;
}
