/* A backend of another age. */
#include <clgrad/backend.h>

CG_API const cg_backend *clgrad_backend(const cg_host *host);

static const cg_backend table = {.abi = CG_BACKEND_ABI + 1, .size = sizeof table, .name = "wrong_abi"};

const cg_backend *clgrad_backend(const cg_host *host) {
    (void)host;
    return &table;
}
