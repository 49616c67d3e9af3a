/* Data types and shapes: what a tensor is made of, shared by the tensor API and by backends. */
#ifndef CLGRAD_TYPES_H
#define CLGRAD_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <clgrad/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CG_MAX_RANK 8

/* f64 exists on the reference backend only: it is the oracle of every proof. f16 (IEEE 754) and bf16 (the upper half of
 * an f32) are for storage: ops compute in f32, and round what they store to the nearest, of two the even one. */
typedef enum cg_dtype {
    CG_F32 = 1,
    CG_F64 = 2,
    CG_I32 = 3,
    CG_I64 = 4,
    CG_U8 = 5,
    CG_F16 = 6,
    CG_BF16 = 7,
} cg_dtype;

/* Rank 0 is a scalar with one element. A zero-initialised shape is that scalar. */
typedef struct cg_shape {
    int64_t dim[CG_MAX_RANK];
    int32_t rank;
} cg_shape;

/* CG_SHAPE(2, 3) is the shape [2, 3]; CG_SCALAR is []. */
#define CG_SHAPE(...) ((cg_shape){{__VA_ARGS__}, (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))})
#define CG_SCALAR ((cg_shape){{0}, 0})

/* Bytes of one element. */
CG_API size_t cg_dtype_size(cg_dtype dtype);

/* "f32", "f64", "i32", "i64", "u8", "f16", "bf16"; "?" for a number that is none. */
CG_API const char *cg_dtype_name(cg_dtype dtype);

/* Number of elements: the product of the dimensions, 1 for rank 0. */
CG_API int64_t cg_shape_numel(const cg_shape *shape);

CG_API bool cg_shape_equal(const cg_shape *a, const cg_shape *b);

/* Writes "[2, 3]" into text (cut to `size` bytes, always ended by 0) and returns text. */
CG_API char *cg_shape_print(const cg_shape *shape, char *text, size_t size);

/* A buffer on the stack that fits any shape's text: cg_shape_print(&s, CG_SHAPE_TEXT) */
#define CG_SHAPE_TEXT_SIZE 192
#define CG_SHAPE_TEXT ((char[CG_SHAPE_TEXT_SIZE]){0}), CG_SHAPE_TEXT_SIZE

/* The shape that a and b broadcast to by PyTorch's rules; CG_ERR_SHAPE naming both where there is none. */
CG_API cg_status cg_shape_broadcast(const cg_shape *a, const cg_shape *b, cg_shape *result) CG_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
