/* What is linked in: the built-in backends and the records of the built-in kinds (cg_kind in record.h finds one). */
#ifndef CLGRAD_BUILTIN_H
#define CLGRAD_BUILTIN_H

#include <clgrad/backend.h>

extern const cg_backend cg_backend_cpu;
extern const cg_backend cg_backend_reference;

/* cpu first; ended by NULL. */
extern const cg_backend *const cg_builtin_backends[];

/* Every row of ops.def, then every kind of elementwise.def: cg_kind_count records. */
extern const cg_op_kind cg_kinds[];
extern const size_t cg_kind_count;

#endif
