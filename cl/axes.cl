/* Walking two operands by strides: the axes of a loop, and how an item's share is cut out of it. */
#include "prelude.cl"

/* The axes above the fastest one: how far the two sides a and b move with each (0: it repeats). */
typedef struct {
    ulong rank;
    ulong dim[8], a[8], b[8];
} axes;

/* How an item's share is cut out: `pieces` runs a row, `rows_each` rows an item. The fastest axis has step 0 or 1. */
typedef struct {
    ulong rows, length, run, pieces, rows_each;
    ulong step_a, step_b;
} share;

/* Splits the place along one axis off `row`. */
static inline void take_axis(const axes *outer, uint axis, ulong *row, ulong2 *at) {
    if (axis < outer->rank) {
        ulong2 split = divide(*row, outer->dim[axis]);
        *at += split.y * (ulong2)(outer->a[axis], outer->b[axis]);
        *row = split.x;
    }
}

/* No loop over the axes: rusticl's compiler crashes when a variable indexes an argument, and others go to memory. */
static inline ulong2 row_start(const axes *outer, ulong row) {
    ulong2 at = (ulong2)(0, 0);
    take_axis(outer, 6, &row, &at);
    take_axis(outer, 5, &row, &at);
    take_axis(outer, 4, &row, &at);
    take_axis(outer, 3, &row, &at);
    take_axis(outer, 2, &row, &at);
    take_axis(outer, 1, &row, &at);
    return outer->rank > 0 ? at + row * (ulong2)(outer->a[0], outer->b[0]) : at;
}
