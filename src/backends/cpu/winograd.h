/*
 * Winograd's minimal filtering in two dimensions, F(2 x 2, 3 x 3) and F(3 x 3, 2 x 2): a patch of 4 x 4 is transformed
 * to 16 numbers, whose products with 16 of the filter sum up to as many of the result (Lavin, Gray: Fast algorithms for
 * convolutional neural networks, CVPR 2016). Both have the same transform of the patch. In one dimension
 *
 *     y0 = g0 d0 + g1 d1 + g2 d2,   y1 = g0 d1 + g1 d2 + g2 d3             (two results of three taps)
 *     y0 = g0 d0 + g1 d1,   y1 = g0 d1 + g1 d2,   y2 = g0 d2 + g1 d3       (three results of two taps)
 *
 * come from the four products of (d0 - d2, d1 + d2, d2 - d1, d1 - d3) with (g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2,
 * g2) and with (g0, (g0 + g1) / 2, (g0 - g1) / 2, g1).
 *
 * Functions with n do n of them side by side, an element of all after the other; what is written may be what was read.
 */
#ifndef CLGRAD_CPU_WINOGRAD_H
#define CLGRAD_CPU_WINOGRAD_H

#include <stdint.h>

#define WINOGRAD_POINTS 16

/* Four numbers of a patch. */
static inline void winograd_input(const float *d0, const float *d1, const float *d2, const float *d3,
                                  float *const to[4], int64_t n) {
    float *t0 = to[0], *t1 = to[1], *t2 = to[2], *t3 = to[3];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float a0 = d0[i], a1 = d1[i], a2 = d2[i], a3 = d3[i];
        t0[i] = a0 - a2;
        t1[i] = a1 + a2;
        t2[i] = a2 - a1;
        t3[i] = a1 - a3;
    }
}

/* Two taps to four factors. */
static inline void winograd_two_taps(const float *g0, const float *g1, float *const to[4], int64_t n) {
    float *t0 = to[0], *t1 = to[1], *t2 = to[2], *t3 = to[3];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float a0 = g0[i], a1 = g1[i];
        t0[i] = a0;
        t1[i] = 0.5f * (a0 + a1);
        t2[i] = 0.5f * (a0 - a1);
        t3[i] = a1;
    }
}

/* The products of 16 points to 2 x 2 results: a[p] has n products of point p, y[2 i + j] the results of row i, column
 * j. */
static inline void winograd_output(const float *const a[WINOGRAD_POINTS], float *const y[4], int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float upper[4], lower[4];
        for (int j = 0; j < 4; j++) {
            upper[j] = a[j][i] + a[4 + j][i] + a[8 + j][i];
            lower[j] = a[4 + j][i] - a[8 + j][i] - a[12 + j][i];
        }
        y[0][i] = upper[0] + upper[1] + upper[2];
        y[1][i] = upper[1] - upper[2] - upper[3];
        y[2][i] = lower[0] + lower[1] + lower[2];
        y[3][i] = lower[1] - lower[2] - lower[3];
    }
}

static inline void winograd_three_taps(const float *g, int step, float *to, int to_step) {
    float g0 = g[0], g1 = g[step], g2 = g[2 * step];
    to[0] = g0;
    to[to_step] = 0.5f * (g0 + g1 + g2);
    to[2 * to_step] = 0.5f * (g0 - g1 + g2);
    to[3 * to_step] = g2;
}

/* One filter of 3 x 3 to its 16 factors. */
static inline void winograd_filter(const float g[9], float factors[WINOGRAD_POINTS]) {
    float columns[12];
    for (int j = 0; j < 3; j++) {
        winograd_three_taps(g + j, 3, columns + j, 3);
    }
    for (int i = 0; i < 4; i++) {
        winograd_three_taps(columns + 3 * i, 1, factors + 4 * i, 1);
    }
}

static inline void winograd_three_results(const float *a, int step, float *to, int to_step) {
    float a0 = a[0], a1 = a[step], a2 = a[2 * step], a3 = a[3 * step];
    to[0] = a0 + a1 + a2;
    to[to_step] = a1 - a2;
    to[2 * to_step] = a1 + a2 - a3;
}

/* The sums of 16 products to the 3 x 3 results of filters of 2 x 2. */
static inline void winograd_small_output(const float sums[WINOGRAD_POINTS], float results[9]) {
    float columns[12];
    for (int j = 0; j < 4; j++) {
        winograd_three_results(sums + j, 4, columns + j, 4);
    }
    for (int i = 0; i < 3; i++) {
        winograd_three_results(columns + 4 * i, 1, results + 3 * i, 1);
    }
}

#endif
