/*
 * The register tile of a matrix product, included once for each instruction set with
 *   TILE(name)   the names' suffix       TILE_TARGET   the function's target attribute, or empty
 *   TILE_WIDTH   floats in a vector      TILE_ROWS     rows; columns are two vectors
 * The sums are local vectors that the compiler keeps in registers: rows x 2 of them, two of b and one of a.
 */
typedef float TILE(vector) __attribute__((vector_size(TILE_WIDTH * 4), aligned(4), may_alias));

TILE_TARGET static void TILE(run)(int64_t k, const float *a, const float *b, float *c) {
    TILE(vector) sums[TILE_ROWS][2] = {{{0}}};
    for (int64_t l = 0; l < k; l++) {
        TILE(vector) left = *(const TILE(vector) *)(b + l * 2 * TILE_WIDTH);
        TILE(vector) right = *(const TILE(vector) *)(b + l * 2 * TILE_WIDTH + TILE_WIDTH);
        UNROLLED for (int row = 0; row < TILE_ROWS; row++) {
            sums[row][0] += a[l * TILE_ROWS + row] * left;
            sums[row][1] += a[l * TILE_ROWS + row] * right;
        }
    }
    UNROLLED for (int row = 0; row < TILE_ROWS; row++) {
        *(TILE(vector) *)(c + row * 2 * TILE_WIDTH) = sums[row][0];
        *(TILE(vector) *)(c + row * 2 * TILE_WIDTH + TILE_WIDTH) = sums[row][1];
    }
}

static const cpu_tile TILE(tile) = {TILE_NAME, TILE_ROWS, 2 * TILE_WIDTH, TILE(run)};
