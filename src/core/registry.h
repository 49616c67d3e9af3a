/* The backends there are: the built-in ones and the plug-ins found at first use. */
#ifndef CLGRAD_REGISTRY_H
#define CLGRAD_REGISTRY_H

#include <clgrad/device.h>

/* What every backend is given. */
const cg_host *cg_host_table(void);

/* One line for a person who asked to see more (CLGRAD_LOG=1). */
void cg_host_log(const char *format, ...);

/* All usable backends, built-in ones first. Loads the plug-ins the first time; safe to call from several threads. */
size_t cg_backends(const cg_backend *const **backends);

/* A backend by name; NULL when there is none. */
const cg_backend *cg_backend_find(const char *name);

/* Remembers why a backend cannot be used. */
void cg_backend_problem_add(const char *backend, const char *reason);

/* The reason that is remembered for a backend, copied into `reason`; "" when there is none. Returns `reason`. */
const char *cg_backend_problem_of(const char *backend, char *reason, size_t size);

/* All devices of one backend, in an array for the caller to free; a failure is remembered as a problem and gives none.
 */
size_t cg_backend_devices(const cg_backend *backend, cg_device_info **infos);

#endif
