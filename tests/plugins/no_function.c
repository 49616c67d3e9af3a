/* A backend whose table lacks what is required. */
#include <clgrad/backend.h>

CG_API const cg_backend *clgrad_backend(const cg_host *host);

static cg_status list_none(const cg_host *host, cg_device_info *infos, size_t capacity, size_t *count) {
    (void)host, (void)infos, (void)capacity;
    *count = 0;
    return CG_OK;
}

static const cg_backend table = {.abi = CG_BACKEND_ABI, .size = sizeof table, .name = "no_function", .list = list_none};

const cg_backend *clgrad_backend(const cg_host *host) {
    (void)host;
    return &table;
}
