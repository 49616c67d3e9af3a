/* A backend that finds no device: a driver package on a machine without its hardware. */
#include <clgrad/backend.h>

CG_API const cg_backend *clgrad_backend(const cg_host *host);

static cg_status list(const cg_host *host, cg_device_info *infos, size_t capacity, size_t *count) {
    (void)host, (void)infos, (void)capacity;
    *count = 0;
    return CG_OK;
}

static const cg_backend table = {.abi = CG_BACKEND_ABI, .size = sizeof table, .name = "deviceless", .list = list};

const cg_backend *clgrad_backend(const cg_host *host) {
    (void)host;
    return &table;
}
