#include "op_text.h"

#include <string.h>

typedef enum field_type { FIELD_U32, FIELD_I64, FIELD_F64 } field_type;

/* One field of an attribute struct. */
typedef struct field {
    const char *attrs, *name;
    field_type type;
    size_t offset;
} field;

#define U32(attrs, name) {#attrs, #name, FIELD_U32, offsetof(attrs, name)},
#define I64(attrs, name) {#attrs, #name, FIELD_I64, offsetof(attrs, name)},
#define F64(attrs, name) {#attrs, #name, FIELD_F64, offsetof(attrs, name)},

static const field fields[] = {
    F64(cg_elementwise_attrs, p[0]) F64(cg_elementwise_attrs, p[1]) F64(cg_elementwise_attrs, p[2])
        F64(cg_fill_attrs, value) U32(cg_matmul_attrs, transpose_a) U32(cg_matmul_attrs, transpose_b)
            I64(cg_matmul_attrs, batch) I64(cg_matmul_attrs, m) I64(cg_matmul_attrs, n) I64(cg_matmul_attrs, k) I64(
                cg_matmul_attrs, lda) I64(cg_matmul_attrs, ldb) I64(cg_matmul_attrs, ldc) I64(cg_matmul_attrs, stride_a)
                I64(cg_matmul_attrs, stride_b) I64(cg_matmul_attrs, stride_c) F64(cg_scale_attrs, scale)
                    U32(cg_strided_attrs, rank) I64(cg_strided_attrs, from) I64(cg_strided_attrs, to)
                        I64(cg_strided_attrs, dim[0]) I64(cg_strided_attrs, dim[1]) I64(cg_strided_attrs, dim[2])
                            I64(cg_strided_attrs, dim[3]) I64(cg_strided_attrs, in[0]) I64(cg_strided_attrs, in[1])
                                I64(cg_strided_attrs, in[2]) I64(cg_strided_attrs, in[3]) I64(cg_strided_attrs, out[0])
                                    I64(cg_strided_attrs, out[1]) I64(cg_strided_attrs, out[2])
                                        I64(cg_strided_attrs, out[3]) I64(cg_index_attrs, ignored)
                                            U32(cg_cumsum_attrs, reverse) I64(cg_conv_attrs, groups)
                                                I64(cg_conv_attrs, stride[0]) I64(cg_conv_attrs, stride[1])
                                                    I64(cg_conv_attrs, stride[2]) I64(cg_conv_attrs, padding[0])
                                                        I64(cg_conv_attrs, padding[1]) I64(cg_conv_attrs, padding[2])
                                                            I64(cg_conv_attrs, dilation[0])
                                                                I64(cg_conv_attrs, dilation[1])
                                                                    I64(cg_conv_attrs, dilation[2])};

/* The type of each kind's attributes. */
static const char *const attrs_types[] = {
#define CG_OP(number, NAME, name, min_inputs, max_inputs, outputs, attrs, flags) [CG_OP_##NAME] = #attrs,
#include <clgrad/ops.def>
#undef CG_OP
#define CG_UNARY(number, NAME, name, y, dx)                                                                            \
    [CG_OP_##NAME] = "cg_elementwise_attrs", [CG_OP_##NAME##_BACKWARD] = "cg_elementwise_attrs",
#define CG_BINARY(number, NAME, name, z, da, db)                                                                       \
    [CG_OP_##NAME] = "cg_elementwise_attrs", [CG_OP_##NAME##_BACKWARD_A] = "cg_elementwise_attrs",                     \
    [CG_OP_##NAME##_BACKWARD_B] = "cg_elementwise_attrs",
#include <clgrad/elementwise.def>
#undef CG_UNARY
#undef CG_BINARY
};

/* "" for a kind that a program registered. */
static const char *attrs_type(uint32_t number) {
    bool known = number < sizeof attrs_types / sizeof attrs_types[0] && attrs_types[number] != NULL;
    return known ? attrs_types[number] : "";
}

static void print_field(const field *what, const void *attrs, cg_text *text) {
    const char *at = (const char *)attrs + what->offset;
    uint32_t small;
    int64_t large;
    double real;
    switch (what->type) {
    case FIELD_U32:
        memcpy(&small, at, sizeof small);
        cg_text_append(text, " %s=%u", what->name, small);
        break;
    case FIELD_I64:
        memcpy(&large, at, sizeof large);
        cg_text_append(text, " %s=%lld", what->name, (long long)large);
        break;
    case FIELD_F64:
        memcpy(&real, at, sizeof real);
        cg_text_append(text, " %s=%.9g", what->name, real);
        break;
    }
}

static void print_attrs(const cg_op *op, cg_text *text) {
    const char *type = attrs_type(op->kind->number);
    bool known = op->kind->attrs_size <= sizeof(cg_no_attrs);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strcmp(fields[i].attrs, type) == 0) {
            print_field(&fields[i], op->attrs, text);
            known = true;
        }
    }
    for (uint32_t i = sizeof(cg_no_attrs); !known && i < op->kind->attrs_size; i++) {
        cg_text_append(text, "%s%02x", i % 4 == 0 ? " " : "", ((const unsigned char *)op->attrs)[i]);
    }
    if (op->accumulate != 0) {
        cg_text_append(text, " accumulate=%u", op->accumulate);
    }
}

static void print_operands(const char *title, const cg_operand *operands, uint32_t count, cg_text *text) {
    for (uint32_t i = 0; i < count; i++) {
        cg_text_append(text, "%s", i == 0 ? title : ", ");
        if (operands[i].buffer == NULL) {
            cg_text_append(text, "none");
        } else {
            cg_text_append(text, "%s %s", cg_shape_print(&operands[i].shape, CG_SHAPE_TEXT),
                           cg_dtype_name(operands[i].dtype));
        }
    }
}

void cg_op_print(const cg_op *op, cg_text *text) {
    print_operands("inputs ", op->inputs, op->n_inputs, text);
    print_operands(op->n_inputs > 0 ? "; outputs " : "outputs ", op->outputs, op->n_outputs, text);
    size_t length = text->length;
    cg_text_append(text, ";");
    print_attrs(op, text);
    if (text->length == length + 1 && !text->failed) { /* no attribute */
        text->bytes[--text->length] = '\0';
    }
}

static double elements(const cg_operand *operand) {
    return operand->buffer != NULL ? (double)cg_shape_numel(&operand->shape) : 0;
}

double cg_conv_flops(const cg_shape *weight, const cg_shape *output) {
    return 2.0 * (double)cg_shape_numel(output) * (double)cg_shape_numel(weight) / (double)weight->dim[0];
}

double cg_op_flops(const cg_op *op) {
    const cg_matmul_attrs *m = op->attrs;
    switch (op->kind->number) {
    case CG_OP_MATMUL:
    case CG_OP_MATMUL_RELU:
        return 2.0 * (double)m->batch * (double)m->m * (double)m->n * (double)m->k;
    case CG_OP_CONV:
        return cg_conv_flops(&op->inputs[1].shape, &op->outputs[0].shape);
    case CG_OP_CONV_BACKWARD_INPUT:
        return cg_conv_flops(&op->inputs[1].shape, &op->inputs[0].shape);
    case CG_OP_CONV_BACKWARD_WEIGHT:
        return cg_conv_flops(&op->outputs[0].shape, &op->inputs[1].shape);
    case CG_OP_SUM:
        return elements(&op->inputs[0]);
    case CG_OP_COPY:
    case CG_OP_FILL:
    case CG_OP_STRIDED_COPY:
    case CG_OP_INDEX_SELECT:
    case CG_OP_GATHER:
        return 0;
    default:
        return elements(&op->outputs[0]);
    }
}

static bool adds(const cg_op *op, uint32_t output) {
    return (op->accumulate >> output & 1u) != 0 || (op->kind->flags & CG_KIND_UPDATES) != 0;
}

/* A strided copy writes each element that it reaches once, and may not reach all. */
static bool has_gaps(const cg_op *op) {
    if (op->kind->number != CG_OP_STRIDED_COPY) {
        return false;
    }
    const cg_strided_attrs *attrs = op->attrs;
    int64_t reached = 1;
    for (uint32_t i = 0; i < attrs->rank; i++) {
        reached *= attrs->dim[i];
    }
    return reached < cg_shape_numel(&op->outputs[0].shape);
}

bool cg_op_reads_output(const cg_op *op, uint32_t output) {
    const cg_operand *operand = &op->outputs[output];
    return adds(op, output) || has_gaps(op) ||
           (operand->buffer != NULL && operand->extent > (size_t)cg_shape_numel(&operand->shape));
}

uint64_t cg_op_bytes(const cg_op *op) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < op->n_inputs; i++) {
        bytes += (uint64_t)elements(&op->inputs[i]) * cg_dtype_size(op->inputs[i].dtype);
    }
    for (uint32_t i = 0; i < op->n_outputs; i++) {
        bytes += (uint64_t)elements(&op->outputs[i]) * cg_dtype_size(op->outputs[i].dtype) * (adds(op, i) ? 2 : 1);
    }
    return bytes;
}
