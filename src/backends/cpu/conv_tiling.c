/* Lines of tiles: patches read and transformed, results written. */
#include <string.h>

#include "conv_winograd.h"
#include "winograd.h"

cpu_tiling cpu_tiling_of(int64_t images, int64_t channels, int64_t height, int64_t width, int64_t high, int64_t wide) {
    return (cpu_tiling){.height = height,
                        .width = width,
                        .plane = height * width,
                        .channels = channels,
                        .high = high,
                        .wide = wide,
                        .lines = images * high};
}

int64_t cpu_tiling_lines(const cpu_tiling *tiling, int64_t tiles, int unit) {
    int64_t most = cpu_conv_clamp(tiles / tiling->wide, 1, tiling->lines), best = most;
    double least = 2.0;
    for (int64_t lines = most; lines > most / 2; lines--) { /* the larger of equals */
        int64_t used = lines * tiling->wide, taken = (used + unit - 1) / unit * unit;
        double waste = (double)taken / (double)used;
        if (waste < least) {
            least = waste;
            best = lines;
        }
    }
    return best;
}

/* Rows of an image, each as its columns 0, 2, 4, ... and 1, 3, 5, ..., one more than there are tiles; four of them, and
 * four transformed. */
typedef struct rows {
    float *even[4], *odd[4], *to_even[4], *to_odd[4];
} rows;

/* Loops over tiles run to the end of a vector: what they write there is written again, or is room that was asked for.
 */
static int64_t in_vectors(int64_t n) {
    return (n + 7) / 8 * 8;
}

static int64_t row_floats(const cpu_tiling *tiling) {
    return in_vectors(tiling->wide + 1) + 8;
}

size_t cpu_tiling_memory(const cpu_tiling *tiling) {
    return (size_t)row_floats(tiling) * 16;
}

static rows rows_in(const cpu_tiling *tiling, float *memory) {
    rows r;
    int64_t step = row_floats(tiling);
    for (int i = 0; i < 4; i++, memory += 4 * step) {
        r.even[i] = memory;
        r.odd[i] = memory + step;
        r.to_even[i] = memory + 2 * step;
        r.to_odd[i] = memory + 3 * step;
    }
    return r;
}

static inline float element(const float *row, int64_t x, int64_t width) {
    return x >= 0 && x < width ? row[x] : 0.0f;
}

/* Row y of a plane of the images at x, from `edge` columns left of it on; zeros outside. */
static inline void split_row(const cpu_tiling *tiling, const float *x, const float *plane, int64_t y, int64_t edge,
                             float *even, float *odd) {
    int64_t count = tiling->wide + 1, width = y < 0 || y >= tiling->height ? 0 : tiling->width;
    const float *row = plane + (width > 0 ? y * width : 0);
    int64_t first = (edge + 1) / 2, end = (width + edge) / 2; /* where both columns are inside */
    end = end < count ? end : count;
    end = end > first ? end : first;
    bool room = row + width + 16 <= x + tiling->lines / tiling->high * tiling->channels * tiling->plane;
    int64_t stop = room ? first + in_vectors(end - first) : end; /* what is too much is overwritten */
#pragma omp simd
    for (int64_t t = first; t < stop; t++) {
        even[t] = row[2 * t - edge];
        odd[t] = row[2 * t - edge + 1];
    }
    for (int64_t t = first == 0 ? end : 0; t < count; t = t + 1 == first ? end : t + 1) { /* the other columns */
        even[t] = element(row, 2 * t - edge, width);
        odd[t] = element(row, 2 * t - edge + 1, width);
    }
}

static inline const float *plane_of(const cpu_tiling *tiling, const float *x, int64_t channel, int64_t line) {
    return x + (line / tiling->high * tiling->channels + channel) * tiling->plane;
}

/* The rows of a line's patches. Where the line before it is of the same image, two of them are there. */
static inline void read_rows(const cpu_tiling *tiling, const float *x, int64_t channel, int64_t line,
                             const int64_t edge[2], bool first, rows *r) {
    const float *plane = plane_of(tiling, x, channel, line);
    bool anew = first || line % tiling->high == 0;
    for (int i = 0; i < 2; i++) {
        float *even = r->even[i], *odd = r->odd[i];
        r->even[i] = r->even[i + 2];
        r->odd[i] = r->odd[i + 2];
        r->even[i + 2] = even;
        r->odd[i + 2] = odd;
    }
    for (int i = anew ? 0 : 2; i < 4; i++) {
        split_row(tiling, x, plane, 2 * (line % tiling->high) - edge[0] + i, edge[1], r->even[i], r->odd[i]);
    }
}

CPU_CLONES static void patches(const cpu_tiling *tiling, const float *x, int64_t channel, const int64_t edge[2],
                               int64_t first, int64_t count, float *to, int64_t step, float *memory) {
    rows r = rows_in(tiling, memory);
    int64_t columns = in_vectors(tiling->wide + 1), tiles = in_vectors(tiling->wide);
    for (int64_t line = first; line < first + count; line++, to += tiling->wide) {
        read_rows(tiling, x, channel, line, edge, line == first, &r);
        winograd_input(r.even[0], r.even[1], r.even[2], r.even[3], r.to_even, columns);
        winograd_input(r.odd[0], r.odd[1], r.odd[2], r.odd[3], r.to_odd, columns);
        for (int i = 0; i < 4; i++) {
            float *const points[] = {to + 4 * i * step, to + (4 * i + 1) * step, to + (4 * i + 2) * step,
                                     to + (4 * i + 3) * step};
            winograd_input(r.to_even[i], r.to_odd[i], r.to_even[i] + 1, r.to_odd[i] + 1, points, tiles);
        }
    }
}

void cpu_tiling_patches(const cpu_tiling *tiling, const float *x, int64_t channel, const int64_t edge[2], int64_t first,
                        int64_t count, float *to, int64_t step, float *memory) {
    patches(tiling, x, channel, edge, first, count, to, step, memory);
}

CPU_CLONES static void filters(const cpu_tiling *tiling, const float *y, int64_t channel, int64_t first, int64_t count,
                               float *to, int64_t step, float *memory) {
    const rows r = rows_in(tiling, memory);
    int64_t tiles = in_vectors(tiling->wide);
    for (int64_t line = first; line < first + count; line++, to += tiling->wide) {
        const float *plane = plane_of(tiling, y, channel, line);
        for (int i = 0; i < 2; i++) {
            split_row(tiling, y, plane, 2 * (line % tiling->high) + i, 0, r.even[i], r.odd[i]);
        }
        winograd_two_taps(r.even[0], r.even[1], r.to_even, tiles);
        winograd_two_taps(r.odd[0], r.odd[1], r.to_odd, tiles);
        for (int i = 0; i < 4; i++) {
            float *const points[] = {to + 4 * i * step, to + (4 * i + 1) * step, to + (4 * i + 2) * step,
                                     to + (4 * i + 3) * step};
            winograd_two_taps(r.to_even[i], r.to_odd[i], points, tiles);
        }
    }
}

void cpu_tiling_filters(const cpu_tiling *tiling, const float *y, int64_t channel, int64_t first, int64_t count,
                        float *to, int64_t step, float *memory) {
    filters(tiling, y, channel, first, count, to, step, memory);
}

/* One row of the image: the results of even and odd columns in turn. */
static inline void store_row(const float *even, const float *odd, float bias, bool add, float *to, int64_t width) {
    if (add) {
#pragma omp simd
        for (int64_t t = 0; t < width / 2; t++) {
            to[2 * t] += even[t] + bias;
            to[2 * t + 1] += odd[t] + bias;
        }
    } else {
#pragma omp simd
        for (int64_t t = 0; t < width / 2; t++) {
            to[2 * t] = even[t] + bias;
            to[2 * t + 1] = odd[t] + bias;
        }
    }
    if (width % 2 == 1) {
        to[width - 1] = (add ? to[width - 1] : 0.0f) + (even[width / 2] + bias);
    }
}

CPU_CLONES static void store(const cpu_tiling *tiling, float *const y[4], float bias, bool add, float *to,
                             int64_t channel, int64_t first, int64_t count) {
    for (int64_t line = first, tile = 0; line < first + count; line++, tile += tiling->wide) {
        float *plane = to + (line / tiling->high * tiling->channels + channel) * tiling->plane;
        int64_t row = 2 * (line % tiling->high);
        for (int i = 0; i < 2 && row + i < tiling->height; i++) {
            store_row(y[2 * i] + tile, y[2 * i + 1] + tile, bias, add, plane + (row + i) * tiling->width,
                      tiling->width);
        }
    }
}

void cpu_tiling_store(const cpu_tiling *tiling, float *const y[4], float bias, bool add, float *to, int64_t channel,
                      int64_t first, int64_t count) {
    store(tiling, y, bias, add, to, channel, first, count);
}
