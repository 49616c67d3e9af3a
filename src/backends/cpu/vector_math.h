/*
 * exp, expm1, log, log1p, tanh and erf of floats in plain C without branches, so that loops around them become vector
 * code. At most 2 units in the last place off (log1p 3); NaN, infinities, overflow and denormal results as in the C
 * library.
 */
#ifndef CLGRAD_VECTOR_MATH_H
#define CLGRAD_VECTOR_MATH_H

#include <math.h>
#include <stdint.h>

static inline int32_t vector_bits(float x) {
    union {
        float value;
        int32_t bits;
    } both = {x};
    return both.bits;
}

static inline float vector_float(int32_t bits) {
    union {
        int32_t bits;
        float value;
    } both = {bits};
    return both.value;
}

/* exp(r) - 1 with x = n log(2) + r, |r| <= log(2) / 2; n in *exponent. */
static inline float vector_exp_rest(float x, int32_t *exponent) {
    const float magic = 0x1.8p23f; /* adding it rounds to an integer, which then stands in the low bits */
    float shifted = x * 0x1.715476p+0f + magic;
    float n = shifted - magic;
    float r = x - n * 0x1.62e400p-1f;
    r = r - n * 0x1.7f7d1cp-20f;
    float p = 0x1.6850e4p-10f;
    p = p * r + 0x1.123bccp-7f;
    p = p * r + 0x1.555b98p-5f;
    p = p * r + 0x1.55548ep-3f;
    p = p * r + 0x1.fffff8p-2f;
    *exponent = vector_bits(shifted) - vector_bits(magic);
    return p * r * r + r;
}

/* 2^n for a normal result: -126 <= n <= 127. */
static inline float vector_power_of_two(int32_t n) {
    return vector_float((int32_t)((uint32_t)(n + 127) << 23));
}

/* exp(x) = 2^n exp(r). 2^n is multiplied in two steps: n has the range of the denormal results. */
static inline float vector_exp(float x) {
    float bounded = x > 89.0f ? 89.0f : x;
    bounded = bounded < -104.0f ? -104.0f : bounded;
    int32_t exponent;
    float p = vector_exp_rest(bounded, &exponent) + 1.0f;
    int32_t half = exponent >> 1;
    return p * vector_power_of_two(half) * vector_power_of_two(exponent - half);
}

/* exp(x) - 1 = 2^n (exp(r) - 1) + (2^n - 1), computed by halves: 2^128 has no float. */
static inline float vector_expm1(float x) {
    float bounded = x > 89.0f ? 89.0f : x;
    bounded = bounded < -30.0f ? -30.0f : bounded;
    int32_t exponent;
    float p = vector_exp_rest(bounded, &exponent);
    float half = vector_power_of_two(exponent - 1);
    float y = 2.0f * (p * half + (half - 0.5f));
    return fabsf(x) < 0x1p-24f ? x : y;
}

/* log(x) = e log(2) + log(m), sqrt(1/2) <= m < sqrt(2). */
static inline float vector_log(float x) {
    int tiny = x < 0x1p-126f;
    uint32_t bits = (uint32_t)vector_bits(tiny ? x * 0x1p23f : x);
    int32_t exponent = (int32_t)(bits - 0x3f3504f3u) >> 23; /* from the bits of sqrt(1/2) */
    float f = vector_float((int32_t)(bits - ((uint32_t)exponent << 23))) - 1.0f;
    float e = (float)exponent - (tiny ? 23.0f : 0.0f);
    float s = f / (2.0f + f), z = s * s, w = z * z;
    float remainder = z * (0x1.555554p-1f + w * 0x1.23d3dcp-2f) + w * (0x1.999c26p-2f + w * 0x1.f13c4cp-3f);
    float square = 0.5f * f * f;
    float y = s * (square + remainder) + e * 0x1.7f7d1cp-20f - square + f + e * 0x1.62e400p-1f;
    y = x == INFINITY ? x : y;
    y = x == 0.0f ? -INFINITY : y;
    return x >= 0.0f ? y : NAN;
}

/* log(u) with what u = 1 + x lost of x put back: log(u) / (u - 1) hardly changes over the rounding. */
static inline float vector_log1p(float x) {
    float u = 1.0f + x;
    float y = vector_log(u) * (x / (u - 1.0f));
    y = u == INFINITY ? u : y;
    return u == 1.0f ? x : y;
}

/* A polynomial near 0, where 1 - 2 / (exp(2 |x|) + 1) would cancel. */
static inline float vector_tanh(float x) {
    float size = fabsf(x), z = x * x;
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    float small = p * z * x + x;
    float large = copysignf(1.0f - 2.0f / (vector_exp(2.0f * size) + 1.0f), x);
    return size < 0.625f ? small : large;
}

/* x + x P(x^2) near 0; elsewhere 1 - exp(-t - t Q(t)), t = |x|. Both were fitted for the smallest relative error. */
static inline float vector_erf(float x) {
    float t = fabsf(x), z = x * x;
    float p = -0x1.395a4ap-11f;
    p = p * z + 0x1.470dcap-8f;
    p = p * z - 0x1.b683a4p-6f;
    p = p * z + 0x1.ce19e6p-4f;
    p = p * z - 0x1.8126e2p-2f;
    p = p * z + 0x1.06eba6p-3f;
    float small = p * x + x;
    float bounded = t > 4.0f ? 4.0f : t; /* where 1 is the nearest float */
    float q = -0x1.c20a4ap-13f;
    q = q * bounded + 0x1.a60cacp-9f;
    q = q * bounded - 0x1.774af0p-6f;
    q = q * bounded + 0x1.af414cp-4f;
    q = q * bounded + 0x1.457a62p-1f;
    q = q * bounded + 0x1.073578p-3f;
    float large = copysignf(1.0f - vector_exp(-(q * bounded + bounded)), x);
    return t < 0.925f ? small : large;
}

#endif
