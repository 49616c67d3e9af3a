/* What an op is, in words and in numbers: for messages, traces and reports. */
#ifndef CLGRAD_OP_TEXT_H
#define CLGRAD_OP_TEXT_H

#include <clgrad/op_kinds.h>

#include "text.h"

/* "inputs [64, 784] f32, [10, 784] f32; outputs [64, 10] f32; transpose_b=1 m=64 ..." */
void cg_op_print(const cg_op *op, cg_text *text);

/* A convolution and its gradients multiply each element of the output side with what one filter has. */
double cg_conv_flops(const cg_shape *weight, const cg_shape *output);

/* Arithmetic: two for each multiply-add of a product, one for each element that is summed, one for each output
 * otherwise. */
double cg_op_flops(const cg_op *op);

/* Whether what an output held before matters: it is added to, updated, or written in part (a product with gaps, a
 * strided copy). */
bool cg_op_reads_output(const cg_op *op, uint32_t output);

/* Memory that it must read and write once. */
uint64_t cg_op_bytes(const cg_op *op);

#endif
