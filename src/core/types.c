/* Data types and shapes. */
#include <clgrad/types.h>

#include <stdio.h>

size_t cg_dtype_size(cg_dtype dtype) {
    switch (dtype) {
    case CG_F32:
    case CG_I32:
        return 4;
    case CG_F64:
    case CG_I64:
        return 8;
    case CG_F16:
    case CG_BF16:
        return 2;
    case CG_U8:
        return 1;
    }
    return 0;
}

const char *cg_dtype_name(cg_dtype dtype) {
    switch (dtype) {
    case CG_F32:
        return "f32";
    case CG_F64:
        return "f64";
    case CG_I32:
        return "i32";
    case CG_I64:
        return "i64";
    case CG_U8:
        return "u8";
    case CG_F16:
        return "f16";
    case CG_BF16:
        return "bf16";
    }
    return "?";
}

int64_t cg_shape_numel(const cg_shape *shape) {
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++) {
        count *= shape->dim[i];
    }
    return count;
}

bool cg_shape_equal(const cg_shape *a, const cg_shape *b) {
    if (a->rank != b->rank) {
        return false;
    }
    for (int i = 0; i < a->rank; i++) {
        if (a->dim[i] != b->dim[i]) {
            return false;
        }
    }
    return true;
}

char *cg_shape_print(const cg_shape *shape, char *text, size_t size) {
    size_t used = 0;
    if (size > 0) {
        text[0] = '\0';
    }
    for (int i = 0; i < shape->rank && used + 1 < size; i++) {
        int n = snprintf(text + used, size - used, "%s%lld", i == 0 ? "[" : ", ", (long long)shape->dim[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    if (used + 1 < size) {
        snprintf(text + used, size - used, "%s", shape->rank == 0 ? "[]" : "]");
    }
    return text;
}

/* The dimension that lines up with axis `i` of a result of `rank`. */
static int64_t aligned(const cg_shape *shape, int i, int rank) {
    int axis = i - (rank - shape->rank);
    return axis >= 0 ? shape->dim[axis] : 1;
}

cg_status cg_shape_broadcast(const cg_shape *a, const cg_shape *b, cg_shape *result) {
    int rank = a->rank > b->rank ? a->rank : b->rank;
    cg_shape out = {.rank = rank};
    for (int i = 0; i < rank; i++) {
        int64_t x = aligned(a, i, rank), y = aligned(b, i, rank);
        if (x != y && x != 1 && y != 1) {
            return cg_fail(CG_ERR_SHAPE, "shapes %s and %s do not broadcast: axis %d is %lld and %lld",
                           cg_shape_print(a, CG_SHAPE_TEXT), cg_shape_print(b, CG_SHAPE_TEXT), i, (long long)x,
                           (long long)y);
        }
        out.dim[i] = x == 1 ? y : x;
    }
    *result = out;
    return CG_OK;
}
