/* Four devices, each a way for a driver to be bad: it crashes, hangs, computes garbage, or fails without a word. */
#include <clgrad/backend.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

CG_API const cg_backend *clgrad_backend(const cg_host *host);

typedef enum mood { CRASH, HANG, GARBAGE, SILENT, N_MOODS } mood;

static mood moods[N_MOODS] = {CRASH, HANG, GARBAGE, SILENT};

static cg_status moody_list(const cg_host *host, cg_device_info *infos, size_t capacity, size_t *count) {
    static const char *const names[] = {"crash", "hang", "garbage", "silent"};
    (void)host;
    *count = N_MOODS;
    for (size_t i = 0; i < capacity && i < N_MOODS; i++) {
        infos[i] = (cg_device_info){.type = CG_DEVICE_ACCELERATOR, .memory_bytes = 1u << 30};
        strcpy(infos[i].name, "Moody");
        strcpy(infos[i].driver, names[i]);
    }
    return CG_OK;
}

static cg_status moody_open(const cg_host *host, size_t index, const cg_option *options, size_t n_options,
                            void **device) {
    (void)host, (void)options, (void)n_options;
    *device = &moods[index];
    return CG_OK;
}

static void moody_close(void *device) {
    (void)device;
}

static cg_status moody_create(void *device, size_t bytes, void **buffer) {
    (void)device;
    *buffer = malloc(bytes);
    return *buffer != NULL ? CG_OK : CG_ERR_DEVICE_MEMORY;
}

static void moody_destroy(void *device, void *buffer) {
    (void)device;
    free(buffer);
}

static cg_status moody_write(void *device, void *buffer, size_t offset, const void *source, size_t bytes) {
    (void)device;
    memcpy((char *)buffer + offset, source, bytes);
    return CG_OK;
}

static cg_status moody_read(void *device, void *buffer, size_t offset, void *destination, size_t bytes) {
    (void)device;
    memcpy(destination, (const char *)buffer + offset, bytes);
    return CG_OK;
}

static bool moody_supports(void *device, const cg_op *op, const char **reason) {
    (void)device, (void)op, (void)reason;
    return true;
}

static void fill_with_garbage(const cg_op *op) {
    for (uint32_t i = 0; i < op->n_outputs; i++) {
        const cg_operand *output = &op->outputs[i];
        size_t size = output->dtype == CG_I64 ? 8 : output->dtype == CG_U8 ? 1 : 4;
        if (output->buffer != NULL) {
            memset((char *)output->buffer + output->offset * size, 0x41, output->extent * size);
        }
    }
}

static cg_status moody_run(void *device, const cg_op *op) {
    switch (*(const mood *)device) {
    case CRASH:
        raise(SIGSEGV);
        break;
    case HANG:
        for (;;) {
            pause();
        }
    case GARBAGE:
        fill_with_garbage(op);
        return CG_OK;
    default:
        break;
    }
    return (cg_status)77; /* and no text */
}

static cg_status moody_wait(void *device) {
    (void)device;
    return CG_OK;
}

static const cg_backend table = {
    .abi = CG_BACKEND_ABI,
    .size = sizeof table,
    .name = "moody",
    .list = moody_list,
    .open = moody_open,
    .close = moody_close,
    .buffer_create = moody_create,
    .buffer_destroy = moody_destroy,
    .write = moody_write,
    .read = moody_read,
    .supports = moody_supports,
    .run = moody_run,
    .wait = moody_wait,
};

const cg_backend *clgrad_backend(const cg_host *host) {
    (void)host;
    return &table;
}
