/* The backends that are always there. */
#include "builtin.h"

const cg_backend *const cg_builtin_backends[] = {&cg_backend_cpu, &cg_backend_reference, NULL};
