/*
 * A backend from outside: host memory, and three ops. Everything else falls back to the cpu, so that every network
 * trains on it from the first day. docs/adding-a-device.md walks through this file.
 */
#include <clgrad/backend.h>

#include <stdio.h>
#include <string.h>

static const cg_host *clgrad; /* error text, memory: what this file needs of clgrad */

static cg_status list(const cg_host *host, cg_device_info *infos, size_t capacity, size_t *count) {
    (void)host;
    *count = 1;
    if (capacity > 0) {
        infos[0].type = CG_DEVICE_ACCELERATOR;
        infos[0].memory_bytes = infos[0].max_allocation_bytes = (uint64_t)1 << 32;
        infos[0].units = 1;
        snprintf(infos[0].name, sizeof infos[0].name, "three ops in host memory");
        snprintf(infos[0].driver, sizeof infos[0].driver, "example");
    }
    return CG_OK;
}

typedef struct device {
    uint64_t bytes; /* in use */
} device;

static cg_status open_device(const cg_host *host, size_t index, const cg_option *options, size_t n_options,
                             void **opened) {
    (void)index;
    if (n_options > 0) {
        return host->fail(CG_ERR_ARGUMENT, "three_ops has no option '%s'", options[0].key);
    }
    device *d = host->alloc(sizeof *d);
    if (d == NULL) {
        return CG_ERR_MEMORY;
    }
    d->bytes = 0;
    *opened = d;
    return CG_OK;
}

static void close_device(void *opened) {
    clgrad->free(opened);
}
/* A buffer is whatever the backend likes: here a size and the bytes behind it. */
typedef struct buffer {
    _Alignas(64) size_t bytes;
    _Alignas(64) char memory[];
} buffer;

static cg_status buffer_create(void *opened, size_t bytes, void **created) {
    device *d = opened;
    buffer *b = d->bytes + bytes <= (uint64_t)1 << 32 ? clgrad->alloc(sizeof *b + bytes) : NULL;
    if (b == NULL) {
        return clgrad->fail(CG_ERR_DEVICE_MEMORY, "three_ops: %zu bytes do not fit, %llu are in use", bytes,
                            (unsigned long long)d->bytes);
    }
    b->bytes = bytes;
    d->bytes += bytes;
    *created = b;
    return CG_OK;
}

static void buffer_destroy(void *opened, void *destroyed) {
    device *d = opened;
    d->bytes -= ((buffer *)destroyed)->bytes;
    clgrad->free(destroyed);
}

static cg_status write_bytes(void *opened, void *to, size_t offset, const void *source, size_t bytes) {
    (void)opened;
    memcpy(((buffer *)to)->memory + offset, source, bytes);
    return CG_OK;
}

static cg_status read_bytes(void *opened, void *from, size_t offset, void *destination, size_t bytes) {
    (void)opened;
    memcpy(destination, ((buffer *)from)->memory + offset, bytes);
    return CG_OK;
}
static bool all_f32(const cg_op *op) {
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        if (op->inputs[i].buffer != NULL && op->inputs[i].dtype != CG_F32) {
            return false;
        }
    }
    return op->outputs[0].dtype == CG_F32;
}

static bool same_shape(const cg_shape *a, const cg_shape *b) {
    return a->rank == b->rank && memcmp(a->dim, b->dim, sizeof a->dim[0] * (size_t)a->rank) == 0;
}

static bool supports(void *opened, const cg_op *op, const char **reason) {
    (void)opened;
    uint32_t kind = op->kind->number;
    if (kind != CG_OP_RELU && kind != CG_OP_RELU_BACKWARD && kind != CG_OP_ADD) {
        *reason = "three_ops runs relu, its gradient and add";
        return false;
    }
    if (!all_f32(op)) {
        *reason = "three_ops computes in f32";
        return false;
    }
    if (kind == CG_OP_ADD && !same_shape(&op->inputs[0].shape, &op->inputs[1].shape)) {
        *reason = "three_ops adds tensors of one shape";
        return false;
    }
    return true;
}
static float *elements(const cg_operand *operand) {
    return (float *)((buffer *)operand->buffer)->memory + operand->offset;
}

/* A gradient may come to a tensor from several sides: bit 0 says that output 0 already holds a part of the sum. */
static void store(const cg_op *op, size_t i, float value) {
    float *out = elements(&op->outputs[0]);
    out[i] = op->accumulate & 1u ? out[i] + value : value;
}

static cg_status run(void *opened, const cg_op *op) {
    (void)opened;
    const float *first = elements(&op->inputs[0]), *last = elements(&op->inputs[op->n_inputs - 1]);
    for (size_t i = 0; i < op->outputs[0].extent; i++) {
        switch (op->kind->number) {
        case CG_OP_RELU: /* written so that NaN stays NaN */
            store(op, i, first[i] <= 0.0f ? 0.0f : first[i]);
            break;
        case CG_OP_RELU_BACKWARD: /* inputs x, y and the gradient of y */
            store(op, i, first[i] <= 0.0f ? 0.0f : last[i]);
            break;
        default:
            store(op, i, first[i] + last[i]);
        }
    }
    return CG_OK;
}

static cg_status wait_for_all(void *opened) {
    (void)opened; /* run has done its work when it returns */
    return CG_OK;
}
static const cg_backend table = {
    .abi = CG_BACKEND_ABI,
    .size = sizeof table,
    .name = "three_ops",
    .list = list,
    .open = open_device,
    .close = close_device,
    .buffer_create = buffer_create,
    .buffer_destroy = buffer_destroy,
    .write = write_bytes,
    .read = read_bytes,
    .supports = supports,
    .run = run,
    .wait = wait_for_all,
};

CG_API const cg_backend *clgrad_backend(const cg_host *host);

const cg_backend *clgrad_backend(const cg_host *host) {
    if (host->abi != CG_BACKEND_ABI) {
        host->fail(CG_ERR_UNSUPPORTED, "three_ops was built for backend ABI %u", CG_BACKEND_ABI);
        return NULL;
    }
    clgrad = host;
    return &table;
}
