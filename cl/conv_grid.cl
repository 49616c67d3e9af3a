/*
 * Convolution with a stride of 1 on a CPU, without columns. Images are copied into grids that have room for the padding;
 * there the outputs of all lines, with those of the margin between them, are one run of neighbours, and what a tap reads
 * for them is another, some elements further on. Outputs of the margin are computed and dropped. The gradient of x is
 * the same with the weights turned round; that of the weights is sums along such runs.
 *
 * CG_VECTORS  vectors in a row of conv_grid's tile: 1 or 2
 * CG_TAPS     taps of one line that conv_grid_weight sums side by side
 *
 * Variants: -DCG_VECTORS={1,2}
 * Variants: -DCG_TAPS={1,2,3}
 */
#include "tile_cpu.cl"

#ifndef CG_TAPS
#define CG_TAPS 3
#endif
#define FILTERS 4 /* that conv_grid_weight does at a time */

/* rows: filters, of the gradient of x channels; channels: of the grid, of a group. step: elements of the grid from one
 * tap to the next along an axis. run: from the first to behind the last output. */
typedef struct {
    int groups, rows, channels;
    int kernel_d, kernel_h, kernel_w, step_d, step_h, step_w;
    int grid_h, grid_w, out_d, out_h, out_w;
    int run, grid_plane, out_plane, taps;
    int add, has_bias;
} grid_conv;

/* One plane's way into a grid: where its first element lies may be outside. */
typedef struct {
    int d, h, w, grid_d, grid_h, grid_w, at_d, at_h, at_w;
    int grid_plane, planes, behind; /* a grid's elements with the zeros behind it; behind the last so many more follow */
} grid_copy;

/* An item does one plane. (Here and below a rest is what a product leaves: Oclgrind does not know what a division and a
 * remainder of the same numbers become.) */
__kernel void to_grid(__global const float *x, ulong x_at, __global float *grid, grid_copy c) {
    int plane = (int)get_global_id(0);
    x += x_at + (ulong)plane * (ulong)(c.d * c.h * c.w);
    grid += (ulong)plane * (ulong)c.grid_plane;
    for (int line = 0; line < c.grid_d * c.grid_h; line++) {
        int layer = line / c.grid_h, d = layer - c.at_d, h = line - layer * c.grid_h - c.at_h;
        bool inside = d >= 0 && d < c.d && h >= 0 && h < c.h;
        for (int i = 0; i < c.grid_w; i++) {
            int w = i - c.at_w;
            grid[line * c.grid_w + i] = inside && w >= 0 && w < c.w ? x[(d * c.h + h) * c.w + w] : 0.0f;
        }
    }
    int end = c.grid_plane + (plane == c.planes - 1 ? c.behind : 0);
    for (int i = c.grid_d * c.grid_h * c.grid_w; i < end; i++) {
        grid[i] = 0.0f;
    }
}

/* Panels of TILE_ROWS rows side by side for each (channel, tap); zeros below the last row. turned: rows are the
 * channels of a weight [filters, channels, taps], and taps go backwards. An item does one panel of one group. */
__kernel void pack_weights(__global const float *weight, ulong weight_at, __global float *to, grid_conv v, int turned) {
    int first = (int)get_global_id(0) * TILE_ROWS, depth = v.channels * v.taps;
    weight += weight_at + get_global_id(1) * (ulong)(v.rows * depth);
    to += (get_global_id(1) * get_global_size(0) + get_global_id(0)) * (ulong)(TILE_ROWS * depth);
    for (int channel = 0; channel < v.channels; channel++) {
        for (int tap = 0; tap < v.taps; tap++) {
            for (int i = 0; i < TILE_ROWS; i++) {
                int row = first + i;
                int at = turned ? (channel * v.rows + row) * v.taps + v.taps - 1 - tap
                                : (row * v.channels + channel) * v.taps + tap;
                to[(channel * v.taps + tap) * TILE_ROWS + i] = row < v.rows ? weight[at] : 0.0f;
            }
        }
    }
}

/* `count` elements of a tile's row to y. */
static inline void store_run(const float *row, __global float *y, int count, float bias, int add) {
    for (int i = 0; i < count; i += CG_WIDTH) {
        put_part(VLOAD(row + i) + bias, y + i, count - i, add);
    }
}

/* A tile whose first column is `column` of the run: line by line, without the margin. */
static inline void store_tile(const float *tile, __global float *y, __global const float *bias, int row, int column,
                              const grid_conv *v) {
    int end = min(column + TILE_COLUMNS, v->run), rows = min(TILE_ROWS, v->rows - row);
    for (int at = column; at < end;) {
        int line = at / v->grid_w, w = at - line * v->grid_w, d = line / v->grid_h, h = line - d * v->grid_h;
        int next = min((line + 1) * v->grid_w, end), count = min(next - at, v->out_w - w);
        for (int i = 0; h < v->out_h && i < rows; i++) {
            float start = v->has_bias ? bias[row + i] : 0.0f;
            store_run(tile + i * TILE_COLUMNS + at - column,
                      y + (row + i) * v->out_plane + (d * v->out_h + h) * v->out_w + w, count, start, v->add);
        }
        at = next;
    }
}

/* get_global_id(0): tiles, the rows first; get_global_id(1): images times groups. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
conv_grid(__global const float *panels, __global const float *grid, __global float *y, ulong y_at,
          __global const float *bias, ulong bias_at, grid_conv v) {
    int row_tiles = (v.rows + TILE_ROWS - 1) / TILE_ROWS, number = (int)get_global_id(0);
    int column_tile = number / row_tiles, row_tile = number - column_tile * row_tiles;
    int row = row_tile * TILE_ROWS, column = column_tile * TILE_COLUMNS;
    ulong image = get_global_id(1), group = image % (ulong)v.groups;
    __global const float *a = panels + (group * row_tiles + row_tile) * (ulong)(TILE_ROWS * v.channels * v.taps);
    __global const float *b = grid + image * (ulong)v.channels * v.grid_plane + column;
    vfloat tile[TILE_ROWS][CG_VECTORS];
    clear_tile(tile);
    for (int channel = 0; channel < v.channels; channel++, b += v.grid_plane) {
        __global const float *layer = b;
        for (int d = 0; d < v.kernel_d; d++, layer += v.step_d) {
            __global const float *line = layer;
            for (int h = 0; h < v.kernel_h; h++, line += v.step_h) {
                __global const float *from = line;
                for (int w = 0; w < v.kernel_w; w++, a += TILE_ROWS, from += v.step_w) {
                    add_outer_product(tile, a, 1, from);
                }
            }
        }
    }
    float out[TILE_ROWS * TILE_COLUMNS + CG_WIDTH]; /* a vector of the last row may begin anywhere */
    spread_tile(tile, out);
    VSTORE((vfloat)(0.0f), out + TILE_ROWS * TILE_COLUMNS);
    store_tile(out, y + y_at + image * (ulong)v.rows * v.out_plane, bias + bias_at + group * (ulong)v.rows, row, column,
               &v);
}

/* sums[f][t] += dy of four filters times x of some taps, one vector of the run. */
static inline void add_products(const vfloat *dy, const vfloat *x, vfloat sums[FILTERS][CG_TAPS]) {
#pragma unroll
    for (uint f = 0; f < FILTERS; f++) {
#pragma unroll
        for (uint t = 0; t < CG_TAPS; t++) {
            sums[f][t] = MULTIPLY_ADD(dy[f], x[t], sums[f][t]);
        }
    }
}

/* One plane of x with one of each filter. The grid of dy has zeros in the margin, and behind it for the last vector. */
static inline void add_plane(__global const float *x, __global const float *const *dy, const grid_conv *v,
                             vfloat sums[FILTERS][CG_TAPS]) {
    vfloat parts[FILTERS], taps[CG_TAPS];
    for (int i = 0; i < v->run; i += CG_WIDTH) {
#pragma unroll
        for (uint f = 0; f < FILTERS; f++) {
            parts[f] = VLOAD(dy[f] + i);
        }
#pragma unroll
        for (uint t = 0; t < CG_TAPS; t++) {
            taps[t] = VLOAD(x + i + (int)t * v->step_w);
        }
        add_products(parts, taps, sums);
    }
}

static inline float lanes_of(vfloat value) {
    float lane[CG_WIDTH], sum = 0.0f;
    VSTORE(value, lane);
    for (uint i = 0; i < CG_WIDTH; i++) {
        sum += lane[i];
    }
    return sum;
}

/* An item does one line of taps of one channel for four filters: get_global_id(0) counts lines, channels, filters;
 * get_global_id(1) groups; get_global_id(2) parts of the images, each with a dweight of its own. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
conv_grid_weight(__global const float *x, __global const float *dy, int dy_plane, __global float *dweight,
                 ulong dweight_at, int images, grid_conv v) {
    int lines = v.kernel_d * v.kernel_h, number = (int)get_global_id(0), place = number / lines;
    int line = number - place * lines, tile = place / v.channels, channel = place - tile * v.channels;
    int first = tile * FILTERS, layer = line / v.kernel_h;
    ulong group = get_global_id(1), part = get_global_id(2), parts = get_global_size(2);
    ulong begin = images * part / parts, end = images * (part + 1) / parts;
    x += channel * v.grid_plane + layer * v.step_d + (line - layer * v.kernel_h) * v.step_h;
    dweight += dweight_at + (part * v.groups + group) * (ulong)(v.rows * v.channels * v.taps);
    for (int done = 0; done < v.kernel_w; done += CG_TAPS) {
        int tap = min(done, v.kernel_w - CG_TAPS); /* the last ones move back, and store only what is new */
        vfloat sums[FILTERS][CG_TAPS];
#pragma unroll
        for (uint f = 0; f < FILTERS; f++) {
#pragma unroll
            for (uint t = 0; t < CG_TAPS; t++) {
                sums[f][t] = 0.0f;
            }
        }
        for (ulong image = begin; image < end; image++) {
            ulong planes = image * v.groups + group;
            __global const float *from[FILTERS];
#pragma unroll
            for (int f = 0; f < FILTERS; f++) {
                from[f] = dy + (planes * v.rows + min(first + f, v.rows - 1)) * dy_plane;
            }
            add_plane(x + planes * v.channels * v.grid_plane + tap * v.step_w, from, &v, sums);
        }
        float totals[FILTERS * CG_TAPS]; /* so that the loop below need not be unrolled to keep `sums` in registers */
#pragma unroll
        for (uint f = 0; f < FILTERS; f++) {
#pragma unroll
            for (uint t = 0; t < CG_TAPS; t++) {
                totals[f * CG_TAPS + t] = lanes_of(sums[f][t]);
            }
        }
        for (int f = 0; f < FILTERS && first + f < v.rows; f++) {
            for (int t = done - tap; t < CG_TAPS; t++) {
                int at = ((first + f) * v.channels + channel) * v.taps + line * v.kernel_w + tap + t;
                float sum = totals[f * CG_TAPS + t];
                dweight[at] = v.add ? dweight[at] + sum : sum;
            }
        }
    }
}
