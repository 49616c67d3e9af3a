/* A backend that wants another clgrad, and says why. */
#include <stddef.h>

#include <clgrad/backend.h>

CG_API const cg_backend *clgrad_backend(const cg_host *host);

const cg_backend *clgrad_backend(const cg_host *host) {
    host->fail(CG_ERR_UNSUPPORTED, "it was made for backend ABI %u", CG_BACKEND_ABI + 1);
    return NULL;
}
