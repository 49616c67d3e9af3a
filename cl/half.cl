/*
 * Numbers of 16 bits, which are for storage alone, from and to f32: to the nearest, of two the even one. f16 by the
 * functions that every device has, with or without arithmetic on half; bf16 is the upper half of a float.
 */
#include "prelude.cl"

__kernel void f16_to_f32(__global const half *x, ulong x_at, __global float *y, ulong y_at, ulong n, ulong run) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    for (ulong i = first; i < end; i++) {
        y[y_at + i] = vload_half(x_at + i, x);
    }
}

__kernel void f32_to_f16(__global const float *x, ulong x_at, __global half *y, ulong y_at, ulong n, ulong run) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    for (ulong i = first; i < end; i++) {
        vstore_half_rte(x[x_at + i], y_at + i, y);
    }
}

__kernel void bf16_to_f32(__global const ushort *x, ulong x_at, __global float *y, ulong y_at, ulong n, ulong run) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    for (ulong i = first; i < end; i++) {
        y[y_at + i] = as_float((uint)x[x_at + i] << 16);
    }
}

__kernel void f32_to_bf16(__global const float *x, ulong x_at, __global ushort *y, ulong y_at, ulong n, ulong run) {
    ulong first = get_global_id(0) * run, end = min(first + run, n);
    for (ulong i = first; i < end; i++) {
        uint bits = as_uint(x[x_at + i]);
        uint rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
        y[y_at + i] = (ushort)((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded);
    }
}
