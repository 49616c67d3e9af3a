/* The records of the built-in kinds, generated from ops.def and elementwise.def, and the way from a number to one. */
#include "builtin.h"
#include "custom.h"
#include "record.h"

#define DECLARE(name)                                                                                                  \
    cg_status cg_ref_##name##_f32(const cg_op *op);                                                                    \
    cg_status cg_ref_##name##_f64(const cg_op *op);
#define CG_OP(number, NAME, name, min_inputs, max_inputs, outputs, attrs, flags) DECLARE(name)
#include <clgrad/ops.def>
#undef CG_OP
#define CG_UNARY(number, NAME, name, y, dx) DECLARE(name) DECLARE(name##_backward)
#define CG_BINARY(number, NAME, name, z, da, db) DECLARE(name) DECLARE(name##_backward_a) DECLARE(name##_backward_b)
#include <clgrad/elementwise.def>
#undef CG_UNARY
#undef CG_BINARY

#define KIND(NAME, name, min_inputs, max_inputs, outputs, attrs, flags)                                                \
    {CG_OP_##NAME,        flags, #name, min_inputs, max_inputs, outputs, sizeof(attrs), cg_ref_##name##_f32,           \
     cg_ref_##name##_f64, NULL},
#define ELEMENTWISE(NAME, name, inputs) KIND(NAME, name, inputs, inputs, 1, cg_elementwise_attrs, CG_KIND_ACCUMULATES)

const cg_op_kind cg_kinds[] = {
#define CG_OP(number, NAME, name, min_inputs, max_inputs, outputs, attrs, flags)                                       \
    KIND(NAME, name, min_inputs, max_inputs, outputs, attrs, flags)
#include <clgrad/ops.def>
#undef CG_OP
#define CG_UNARY(number, NAME, name, y, dx) ELEMENTWISE(NAME, name, 1) ELEMENTWISE(NAME##_BACKWARD, name##_backward, 3)
#define CG_BINARY(number, NAME, name, z, da, db)                                                                       \
    ELEMENTWISE(NAME, name, 2)                                                                                         \
    ELEMENTWISE(NAME##_BACKWARD_A, name##_backward_a, 3) ELEMENTWISE(NAME##_BACKWARD_B, name##_backward_b, 3)
#include <clgrad/elementwise.def>
#undef CG_UNARY
#undef CG_BINARY
};

const size_t cg_kind_count = sizeof cg_kinds / sizeof cg_kinds[0];

/* Places in cg_kinds, in the same order. */
enum place {
#define CG_OP(number, NAME, name, min_inputs, max_inputs, outputs, attrs, flags) PLACE_##NAME,
#include <clgrad/ops.def>
#undef CG_OP
#define CG_UNARY(number, NAME, name, y, dx) PLACE_##NAME, PLACE_##NAME##_BACKWARD,
#define CG_BINARY(number, NAME, name, z, da, db) PLACE_##NAME, PLACE_##NAME##_BACKWARD_A, PLACE_##NAME##_BACKWARD_B,
#include <clgrad/elementwise.def>
#undef CG_UNARY
#undef CG_BINARY
};

#define FIRST_ELEMENTWISE 1000u
#define AT(number, NAME) [number] = &cg_kinds[PLACE_##NAME],

static const cg_op_kind *const structured[] = {
#define CG_OP(number, NAME, name, min_inputs, max_inputs, outputs, attrs, flags) AT(number, NAME)
#include <clgrad/ops.def>
#undef CG_OP
};

static const cg_op_kind *const elementwise[] = {
#define CG_UNARY(number, NAME, name, y, dx) AT(4 * (number), NAME) AT(4 * (number) + 1, NAME##_BACKWARD)
#define CG_BINARY(number, NAME, name, z, da, db)                                                                       \
    AT(4 * (number), NAME) AT(4 * (number) + 1, NAME##_BACKWARD_A) AT(4 * (number) + 2, NAME##_BACKWARD_B)
#include <clgrad/elementwise.def>
#undef CG_UNARY
#undef CG_BINARY
};

const cg_op_kind *cg_kind(uint32_t number) {
    if (number < sizeof structured / sizeof structured[0]) {
        return structured[number];
    }
    uint32_t index = number - FIRST_ELEMENTWISE; /* a smaller number wraps to a large index */
    return index < sizeof elementwise / sizeof elementwise[0] ? elementwise[index] : cg_custom_kind(number);
}
