/* A backend with one op: relu on contiguous f32. Its memory is not the host's (it begins 64 bytes later), so that a
 * mix-up shows. Built with TINY_LIES it is the backend 'liar': what it says it can run, it gets wrong; with
 * TINY_READS_SHORT it is 'short': a read leaves the last byte out; with TINY_HAS_GPUS it is 'gpus', whose devices say
 * that they are a simulator of a GPU, two GPUs and a CPU. */
#include <string.h>

#include <clgrad/backend.h>

#ifndef TINY_NAME
#define TINY_NAME "tiny"
#endif

#define LIMIT ((size_t)64 << 20)

CG_API const cg_backend *clgrad_backend(const cg_host *host);

static const cg_host *host_table;
static int the_device;

#ifdef TINY_HAS_GPUS
static cg_status tiny_list(const cg_host *host, cg_device_info *infos, size_t capacity, size_t *count) {
    static const struct {
        const char *driver, *name;
        cg_device_type type;
        bool simulator, integrated;
    } devices[] = {{"simulated", "Not There", CG_DEVICE_GPU, true, false},
                   {"inside", "Part of the Processor", CG_DEVICE_GPU, false, true},
                   {"card", "A Card", CG_DEVICE_GPU, false, false},
                   {"cores", "The Processor", CG_DEVICE_CPU, false, false}};
    (void)host;
    *count = sizeof devices / sizeof devices[0];
    for (size_t i = 0; i < capacity && i < *count; i++) {
        infos[i] = (cg_device_info){.type = devices[i].type,
                                    .memory_bytes = LIMIT,
                                    .simulator = devices[i].simulator,
                                    .integrated = devices[i].integrated};
        strcpy(infos[i].name, devices[i].name);
        strcpy(infos[i].driver, devices[i].driver);
    }
    return CG_OK;
}
#else
static cg_status tiny_list(const cg_host *host, cg_device_info *infos, size_t capacity, size_t *count) {
    (void)host;
    *count = 2;
    for (size_t i = 0; i < capacity && i < 2; i++) {
        infos[i] = (cg_device_info){.type = CG_DEVICE_ACCELERATOR, .memory_bytes = LIMIT};
        strcpy(infos[i].name, i == 0 ? "Tiny One" : "Tiny Two");
        strcpy(infos[i].vendor, "The tests");
        strcpy(infos[i].driver, i == 0 ? "one" : "two");
        strcpy(infos[i].uuid, i == 0 ? "00112233445566778899aabbccddeeff" : "ffeeddccbbaa99887766554433221100");
        strcpy(infos[i].pci, i == 0 ? "0000:01:00.0" : "0000:02:00.0");
    }
    return CG_OK;
}
#endif

static cg_status tiny_open(const cg_host *host, size_t index, const cg_option *options, size_t n_options,
                           void **device) {
    if (n_options > 0) {
        return host->fail(CG_ERR_ARGUMENT, "tiny %zu knows no option %s", index, options[0].key);
    }
    *device = &the_device;
    return CG_OK;
}

static void tiny_close(void *device) {
    (void)device;
}

static cg_status tiny_create(void *device, size_t bytes, void **buffer) {
    (void)device;
    char *memory = bytes > LIMIT ? NULL : host_table->alloc(bytes + 64);
    if (memory == NULL) {
        return host_table->fail(CG_ERR_DEVICE_MEMORY, "%zu bytes, tiny has %zu", bytes, LIMIT);
    }
    *buffer = memory;
    return CG_OK;
}

static void tiny_destroy(void *device, void *buffer) {
    (void)device;
    host_table->free(buffer);
}

static cg_status tiny_write(void *device, void *buffer, size_t offset, const void *source, size_t bytes) {
    (void)device;
    memcpy((char *)buffer + 64 + offset, source, bytes);
    return CG_OK;
}

static cg_status tiny_read(void *device, void *buffer, size_t offset, void *destination, size_t bytes) {
    (void)device;
#ifdef TINY_READS_SHORT
    bytes -= 1;
#endif
    memcpy(destination, (char *)buffer + 64 + offset, bytes);
    return CG_OK;
}

static bool tiny_supports(void *device, const cg_op *op, const char **reason) {
    (void)device;
    *reason = "tiny runs relu only";
    return op->kind->number == CG_OP_RELU;
}

static cg_status tiny_run(void *device, const cg_op *op) {
    (void)device;
    const float *x = (const float *)((char *)op->inputs[0].buffer + 64) + op->inputs[0].offset;
    float *y = (float *)((char *)op->outputs[0].buffer + 64) + op->outputs[0].offset;
    for (int64_t i = 0; i < (int64_t)op->outputs[0].extent; i++) {
#ifdef TINY_LIES
        y[i] = x[i] <= -1.0f ? 0.0f : x[i];
#else
        y[i] = x[i] <= 0.0f ? 0.0f : x[i];
#endif
    }
    return CG_OK;
}

static cg_status tiny_wait(void *device) {
    (void)device;
    return CG_OK;
}

static const cg_backend table = {
    .abi = CG_BACKEND_ABI,
    .size = sizeof table,
    .name = TINY_NAME,
    .list = tiny_list,
    .open = tiny_open,
    .close = tiny_close,
    .buffer_create = tiny_create,
    .buffer_destroy = tiny_destroy,
    .write = tiny_write,
    .read = tiny_read,
    .supports = tiny_supports,
    .run = tiny_run,
    .wait = tiny_wait,
};

const cg_backend *clgrad_backend(const cg_host *host) {
    host_table = host; /* once, before any other call: calls for several devices may come from several threads */
    return &table;
}
