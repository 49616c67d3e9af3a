/*
 * Numbers of 16 bits: f16 as of IEEE 754 (5 bits of exponent, 10 of fraction), and bf16, the upper half of a float.
 * From f32 to the nearest, of two the even one; what is too large becomes infinite, NaN stays NaN.
 */
#ifndef CLGRAD_HALF_H
#define CLGRAD_HALF_H

#include <clgrad/types.h>

typedef union cg_float_bits {
    float value;
    uint32_t bits;
} cg_float_bits;

static inline bool cg_is_half(cg_dtype dtype) {
    return dtype == CG_F16 || dtype == CG_BF16;
}

/* The exponent is 15 too large or 127: the product moves it, and makes normal numbers of subnormal ones. */
static inline float cg_f16_to_f32(uint16_t half) {
    uint32_t rest = half & 0x7fffu;
    cg_float_bits number = {.bits = rest << 13};
    number.value *= 0x1p112f;
    number.bits |= rest >= 0x7c00u ? 0x7f800000u : 0u;
    number.bits |= (uint32_t)(half & 0x8000u) << 16;
    return number.value;
}

static inline uint16_t cg_f32_to_f16(float value) {
    cg_float_bits number = {.value = value}, small;
    uint32_t sign = number.bits >> 16 & 0x8000u, rest = number.bits & 0x7fffffffu;
    small.bits = rest;
    small.value += 0.5f; /* its last place is 2^-24, as that of subnormal f16 */
    uint32_t normal = (rest + 0xfffu + (rest >> 13 & 1u) - 0x38000000u) >> 13;
    uint32_t half = rest < 0x38800000u ? small.bits - 0x3f000000u : normal;
    half = rest >= 0x477ff000u ? 0x7c00u : half;
    half = rest > 0x7f800000u ? 0x7e00u : half;
    return (uint16_t)(sign | half);
}

static inline float cg_bf16_to_f32(uint16_t half) {
    cg_float_bits number = {.bits = (uint32_t)half << 16};
    return number.value;
}

static inline uint16_t cg_f32_to_bf16(float value) {
    cg_float_bits number = {.value = value};
    uint32_t rounded = (number.bits + 0x7fffu + (number.bits >> 16 & 1u)) >> 16;
    uint32_t nan = number.bits >> 16 | 0x40u;
    return (uint16_t)((number.bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

#endif
