/* Tensors: dtype, shape and memory on one device; row-major and contiguous. A view shares the memory. */
#ifndef CLGRAD_TENSOR_H
#define CLGRAD_TENSOR_H

#include <clgrad/device.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cg_tensor cg_tensor;

/* Creates a tensor whose elements are 0. The caller destroys it. Errors: CG_ERR_SHAPE (a negative dimension, or more
 * bytes than a size_t holds), CG_ERR_DEVICE_MEMORY. A tensor may be empty (a dimension of 0). */
CG_API cg_status cg_tensor_create(cg_device *device, cg_dtype dtype, const cg_shape *shape,
                                  cg_tensor **tensor) CG_MUST_USE;

/* Destroys a tensor that cg_tensor_create or cg_tensor_view made, and its gradient. Ops that are recorded and use it
 * run first. NULL does nothing. Tensors that ops return belong to their tape: they must not be destroyed. */
CG_API void cg_tensor_destroy(cg_tensor *tensor);

/* A tensor of another shape over the same memory, from element `offset` on. The caller destroys it; the memory lives as
 * long as either. Outside any tape: no gradient flows through it. CG_ERR_SHAPE when it does not fit. */
CG_API cg_status cg_tensor_view(cg_tensor *base, size_t offset, const cg_shape *shape, cg_tensor **view) CG_MUST_USE;

CG_API cg_dtype cg_tensor_dtype(const cg_tensor *tensor);
CG_API const cg_shape *cg_tensor_shape(const cg_tensor *tensor);
CG_API int64_t cg_tensor_numel(const cg_tensor *tensor);
CG_API size_t cg_tensor_bytes(const cg_tensor *tensor);
CG_API cg_device *cg_tensor_device(const cg_tensor *tensor);

/* Whether backward computes a gradient for this tensor. False after create; true for parameters. */
CG_API void cg_tensor_set_requires_grad(cg_tensor *tensor, bool requires_grad);
CG_API bool cg_tensor_requires_grad(const cg_tensor *tensor);

/* The gradient that cg_backward left in a tensor made by cg_tensor_create, of the same shape; NULL before the first
 * backward. Owned by the tensor. */
CG_API cg_tensor *cg_tensor_grad(const cg_tensor *tensor);

/* Forgets the gradient's value: the next backward overwrites it instead of adding. */
CG_API void cg_tensor_zero_grad(cg_tensor *tensor);

/* Raw bytes from and to the host; `bytes` must be the tensor's. A read runs what is recorded and waits. */
CG_API cg_status cg_tensor_write(cg_tensor *tensor, const void *source, size_t bytes) CG_MUST_USE;
CG_API cg_status cg_tensor_read(cg_tensor *tensor, void *destination, size_t bytes) CG_MUST_USE;

/* The same with conversion between the tensor's dtype and float or double; `count` must be the number of elements. */
CG_API cg_status cg_tensor_write_f32(cg_tensor *tensor, const float *source, int64_t count) CG_MUST_USE;
CG_API cg_status cg_tensor_write_f64(cg_tensor *tensor, const double *source, int64_t count) CG_MUST_USE;
CG_API cg_status cg_tensor_read_f32(cg_tensor *tensor, float *destination, int64_t count) CG_MUST_USE;
CG_API cg_status cg_tensor_read_f64(cg_tensor *tensor, double *destination, int64_t count) CG_MUST_USE;

/* A new tensor of the same dtype, shape and values on another device, or on the same one; the caller destroys it. No
 * gradient goes with it. The bytes travel through host memory, a few MB at a time. What is recorded and uses the tensor
 * runs first. CG_ERR_DEVICE_MEMORY when it does not fit there. */
CG_API cg_status cg_tensor_to(cg_tensor *tensor, cg_device *device, cg_tensor **copy) CG_MUST_USE;

/* Keeps an f32 tensor of the program's, and all that share its memory, as CG_F16 or CG_BF16 from now on, in half of the
 * memory, or as CG_F32 again. For everybody else it stays f32. CG_ERR_DTYPE for other dtypes. */
CG_API cg_status cg_tensor_keep_as(cg_tensor *tensor, cg_dtype precision) CG_MUST_USE;

/* Sets every element. */
CG_API cg_status cg_tensor_fill(cg_tensor *tensor, double value) CG_MUST_USE;

/* The first element as a double: losses. */
CG_API cg_status cg_tensor_item(cg_tensor *tensor, double *value) CG_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
