/* Matrix products behind the matmul op: a library where the build has one, and the packed loops that are always there.
 */
#ifndef CLGRAD_CPU_MATMUL_H
#define CLGRAD_CPU_MATMUL_H

#include "cpu.h"

/* c = a' b' (+ c where `add`), row-major as in cg_matmul_attrs. m, n, k > 0. Bias and ReLU are cpu_gemm_narrow's and
 * the op's: the other ways leave them out. */
typedef struct cpu_gemm {
    bool transpose_a, transpose_b, add, relu;
    int64_t m, n, k;
    int64_t lda, ldb, ldc;
    const float *a, *b, *bias; /* bias [n]; NULL: none */
    float *c;
} cpu_gemm;

/* Sums over k of products of a, where it is, with packed b: c = sums (+ c where `add`). What will be read later is
 * asked of memory from `prefetch` on: two rows, or with every `every`th row of k one. */
typedef struct cpu_tile_rows {
    int64_t k, lda, ldc;
    const float *a, *b;
    float *c;
    bool add;
    const float *prefetch;
    int64_t every;
} cpu_tile_rows;

#define CPU_TILE_HEIGHTS 3

/* A piece of c that stays in registers: rows x columns sums over k of packed a [k, rows] and b [k, columns], to c or
 * added to it. */
typedef struct cpu_tile {
    const char *name;
    int rows, columns;
    void (*run)(int64_t k, const float *a, const float *b, float *c, int64_t ldc, bool add);
    void (*run_wide)(const cpu_tile_rows *work); /* rows x columns, b [k, columns] */
    void (*run_high)(const cpu_tile_rows *work); /* 2 rows x columns / 2, b [k, columns / 2] */
    void (*run_dots)(const cpu_tile_rows *work); /* rows x 2, b [2, k]; neither adds nor prefetches */
    /* cpu_tile_height() x columns, a transposed: a [k, columns], its rows lda apart, b [k, height], c [height, columns]
     */
    void (*run_columns[CPU_TILE_HEIGHTS])(const cpu_tile_rows *work);
} cpu_tile;

/* Of the i-th run_columns: all rows of the tile, five sixths, two thirds. */
static inline int64_t cpu_tile_height(const cpu_tile *tile, int i) {
    return tile->rows * (6 - i) / 6;
}

#define CPU_TILE_MAX_ROWS 12
#define CPU_TILE_MAX_COLUMNS 32

/* Fills in the tiles that this processor runs, the best first; returns their number, at most CPU_TILES. */
#define CPU_TILES 3
int cpu_tiles(const cpu_tile *tiles[CPU_TILES]);

/* Packs lines of `length` elements, `line` from one to the next and `step` between their elements, `width` of them side
 * by side in a panel [length, width]; lines that are missing in the last panel are zeros. The source is read in the
 * order of its memory. `width`: the rows or columns of a tile, half of its columns, or 1. */
void cpu_gemm_pack(const float *from, int64_t line, int64_t step, int64_t lines, int64_t length, int width, float *to);

/* The product by the packed loops with all threads of the device. Its bits depend on the tile, not on the threads. */
cg_status cpu_gemm_blocked(cpu_device *device, const cpu_tile *tile, const cpu_gemm *gemm);

/* The same by one thread in memory of cpu_gemm_blocked_bytes(). */
void cpu_gemm_blocked_serial(const cpu_tile *tile, const cpu_gemm *gemm, void *memory);
size_t cpu_gemm_blocked_bytes(void);

/* Whether cpu_gemm_narrow takes the product: many rows, few columns, no transposed a. */
bool cpu_gemm_is_narrow(const cpu_tile *tile, const cpu_gemm *gemm);

/* The product of a narrow b with all threads; its bits depend on the tile, not on the threads. */
cg_status cpu_gemm_narrow(cpu_device *device, const cpu_tile *tile, const cpu_gemm *gemm);

/* Whether cpu_gemm_weight takes the product: a transposed, few columns of c. */
bool cpu_gemm_is_weight(const cpu_tile *tile, const cpu_gemm *gemm);

/* The gradient of a narrow layer's weight with all threads; its bits depend on the tile, not on the threads. */
cg_status cpu_gemm_weight(cpu_device *device, const cpu_tile *tile, const cpu_gemm *gemm);

/* The product for m or n of 1 with all threads; its bits do not depend on them. */
cg_status cpu_gemm_vector(cpu_device *device, const cpu_gemm *gemm);

/* The library's product. False: there is none, or it refused. `threads` of 1 inside cpu_parallel. */
bool cpu_gemm_library(const cpu_gemm *gemm, int threads);

/* Whether cpu_gemm_library may be called by several threads at once, and is worth it. */
extern const bool cpu_gemm_library_reentrant;

#endif
