/* Numbers of 16 bits are for storage: devices compute in f32. An op on them runs on copies in f32, which it gets here.
 */
#ifndef CLGRAD_WIDEN_H
#define CLGRAD_WIDEN_H

#include "device.h"

/* Whether the op has 16-bit operands that no backend takes as they are: a cast from or to f32 and a copy are taken. */
bool cg_op_wants_widening(const cg_op *op);

/* Casts what the op reads, runs it, and casts what it wrote. */
cg_status cg_dispatch_widened(cg_device *device, const cg_op *op) CG_MUST_USE;

/* All elements of `from` to `to`, one of them f32, the other 16 bits. */
cg_status cg_dispatch_cast(cg_device *device, const cg_operand *from, const cg_operand *to) CG_MUST_USE;

#endif
