/*
 * The register tile of a matrix product, included once for each instruction set with
 *   TILE(name)   the names' suffix       TILE_TARGET   the function's target attribute, or empty
 *   TILE_WIDTH   floats in a vector      TILE_ROWS     rows; columns are two vectors
 * The sums are local vectors that the compiler keeps in registers: rows x 2 of them, two of b and one of a.
 */
typedef float TILE(vector) __attribute__((vector_size(TILE_WIDTH * 4), aligned(4), may_alias));

TILE_TARGET static void TILE(run)(int64_t k, const float *a, const float *b, float *c, int64_t ldc, bool add) {
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
        TILE(vector) *left = (TILE(vector) *)(c + row * ldc), *right = left + 1;
        if (add) {
            sums[row][0] += *left;
            sums[row][1] += *right;
        }
        *left = sums[row][0];
        *right = sums[row][1];
    }
}

/* `rows` and `vectors` are constants where this is called, so that the sums stay in registers. */
TILE_TARGET static inline __attribute__((always_inline)) void TILE(run_rows)(const cpu_tile_rows *work, int rows,
                                                                             int vectors) {
    const float *a = work->a, *b = work->b;
    TILE(vector) sums[2 * TILE_ROWS][2] = {{{0}}};
    for (int64_t l = 0; l < work->k; l++, a++, b += vectors * TILE_WIDTH) {
        TILE(vector) left = *(const TILE(vector) *)b;
        TILE(vector) right = *(const TILE(vector) *)(b + (vectors - 1) * TILE_WIDTH);
        if (l % 16 == 0) {
            __builtin_prefetch(work->prefetch + l, 0, 2);
            __builtin_prefetch(work->prefetch + work->lda + l, 0, 2);
        }
        UNROLLED for (int row = 0; row < rows; row++) {
            sums[row][0] += a[row * work->lda] * left;
            if (vectors > 1) {
                sums[row][1] += a[row * work->lda] * right;
            }
        }
    }
    UNROLLED for (int row = 0; row < rows; row++) {
        UNROLLED for (int side = 0; side < vectors; side++) {
            TILE(vector) *c = (TILE(vector) *)(work->c + row * work->ldc + side * TILE_WIDTH);
            if (work->add) {
                sums[row][side] += *c;
            }
            *c = sums[row][side];
        }
    }
}

TILE_TARGET static void TILE(run_wide)(const cpu_tile_rows *work) {
    TILE(run_rows)(work, TILE_ROWS, 2);
}

TILE_TARGET static void TILE(run_high)(const cpu_tile_rows *work) {
    TILE(run_rows)(work, 2 * TILE_ROWS, 1);
}

/* The few columns beyond whole vectors: lanes are places of k here, and no lane is idle. */
TILE_TARGET static void TILE(run_dots)(const cpu_tile_rows *work) {
    const float *a = work->a, *b = work->b;
    TILE(vector) sums[TILE_ROWS][2] = {{{0}}};
    int64_t whole = work->k / TILE_WIDTH * TILE_WIDTH;
    for (int64_t l = 0; l < whole; l += TILE_WIDTH) {
        TILE(vector) left = *(const TILE(vector) *)(b + l);
        TILE(vector) right = *(const TILE(vector) *)(b + work->k + l);
        UNROLLED for (int row = 0; row < TILE_ROWS; row++) {
            TILE(vector) side = *(const TILE(vector) *)(a + row * work->lda + l);
            sums[row][0] += side * left;
            sums[row][1] += side * right;
        }
    }
    UNROLLED for (int row = 0; row < TILE_ROWS; row++) {
        for (int column = 0; column < 2; column++) {
            float sum = 0.0f;
            for (int lane = 0; lane < TILE_WIDTH; lane++) {
                sum += sums[row][column][lane];
            }
            for (int64_t l = whole; l < work->k; l++) {
                sum += a[row * work->lda + l] * b[column * work->k + l];
            }
            work->c[row * work->ldc + column] = sum;
        }
    }
}

/* Lanes are columns of a. `rows` is a constant where this is called: of c, and numbers of b side by side. */
TILE_TARGET static inline __attribute__((always_inline)) void TILE(run_columns)(const cpu_tile_rows *work, int rows) {
    const float *a = work->a, *b = work->b, *prefetch = work->prefetch;
    TILE(vector) sums[TILE_ROWS][2] = {{{0}}};
    int64_t next = 0;
    for (int64_t l = 0; l < work->k; l++, a += work->lda, b += rows) {
        TILE(vector) left = *(const TILE(vector) *)a, right = *(const TILE(vector) *)(a + TILE_WIDTH);
        if (l == next) {
            __builtin_prefetch(prefetch, 0, 3);
            prefetch += work->lda;
            next += work->every;
        }
        UNROLLED for (int row = 0; row < rows; row++) {
            sums[row][0] += b[row] * left;
            sums[row][1] += b[row] * right;
        }
    }
    UNROLLED for (int row = 0; row < rows; row++) {
        TILE(vector) *left = (TILE(vector) *)(work->c + row * work->ldc), *right = left + 1;
        if (work->add) {
            sums[row][0] += *left;
            sums[row][1] += *right;
        }
        *left = sums[row][0];
        *right = sums[row][1];
    }
}

TILE_TARGET static void TILE(run_most)(const cpu_tile_rows *work) {
    TILE(run_columns)(work, TILE_ROWS);
}

TILE_TARGET static void TILE(run_fewer)(const cpu_tile_rows *work) {
    TILE(run_columns)(work, TILE_ROWS * 5 / 6);
}

TILE_TARGET static void TILE(run_fewest)(const cpu_tile_rows *work) {
    TILE(run_columns)(work, TILE_ROWS * 4 / 6);
}

static const cpu_tile TILE(tile) = {
    TILE_NAME,      TILE_ROWS,      2 * TILE_WIDTH, TILE(run),
    TILE(run_wide), TILE(run_high), TILE(run_dots), {TILE(run_most), TILE(run_fewer), TILE(run_fewest)}};
