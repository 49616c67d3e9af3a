/*
 * The tile of TILE_ROWS x TILE_COLUMNS that an item of a CPU keeps in registers, for matrix products and convolutions.
 *
 * CG_VECTORS  vectors in a row of it: 1 or 2
 */
#include "prelude.cl"

#ifndef CG_VECTORS
#define CG_VECTORS 2
#endif
#if CG_WIDTH == 16
#define TILE_ROWS 12
#else
#define TILE_ROWS 6
#endif
#define TILE_COLUMNS (CG_VECTORS * CG_WIDTH)

static inline void clear_tile(vfloat tile[TILE_ROWS][CG_VECTORS]) {
#pragma unroll
    for (uint i = 0; i < TILE_ROWS; i++) {
#pragma unroll
        for (uint v = 0; v < CG_VECTORS; v++) {
            tile[i][v] = 0.0f;
        }
    }
}

/* tile += a column of a, whose elements are `apart` from one another, times a row of b. */
static inline void add_outer_product(vfloat tile[TILE_ROWS][CG_VECTORS], __global const float *a, ulong apart,
                                     __global const float *b) {
    vfloat row[CG_VECTORS];
#pragma unroll
    for (uint v = 0; v < CG_VECTORS; v++) {
        row[v] = VLOAD(b + v * CG_WIDTH);
    }
#pragma unroll
    for (uint i = 0; i < TILE_ROWS; i++) {
#pragma unroll
        for (uint v = 0; v < CG_VECTORS; v++) {
            tile[i][v] = MULTIPLY_ADD((vfloat)(a[i * apart]), row[v], tile[i][v]);
        }
    }
}

/* The tile in memory, row after row: loops over that need not be unrolled to keep the tile in registers. */
static inline void spread_tile(vfloat tile[TILE_ROWS][CG_VECTORS], float *to) {
#pragma unroll
    for (uint i = 0; i < TILE_ROWS; i++) {
#pragma unroll
        for (uint v = 0; v < CG_VECTORS; v++) {
            VSTORE(tile[i][v], to + i * TILE_COLUMNS + v * CG_WIDTH);
        }
    }
}
