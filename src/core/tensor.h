/* What a tensor is inside, and its memory. */
#ifndef CLGRAD_CORE_TENSOR_H
#define CLGRAD_CORE_TENSOR_H

#include <clgrad/tape.h>

#include "device.h"

/* Memory that one or more tensors look at. Between ops it exists before it has a buffer: the tape gives it one when it
 * runs. */
typedef struct cg_storage {
    cg_device *device;
    cg_buffer *buffer; /* NULL: not yet, or no longer */
    size_t start;      /* in the buffer, bytes */
    bool planned;      /* the buffer is the step's, which plan.h shares out */
    size_t bytes;
    uint32_t inner;          /* number, from 1, of those that a chain alone uses: no memory; 0: it has some */
    cg_dtype half;           /* what f32 tensors are kept as here, CG_F16 or CG_BF16; 0: as they are */
    cg_tape *tape;           /* has ops that use it and have not run; NULL: none */
    size_t first_use;        /* the tape's oldest node that uses it; SIZE_MAX: none */
    size_t last_use;         /* its newest */
    uint32_t references;     /* tensors of the program's; 0: the tape's */
    struct cg_storage *next; /* in the tape's list */
} cg_storage;

struct cg_tensor {
    cg_storage *storage; /* NULL: the poison tensor */
    size_t offset;       /* in elements */
    cg_shape shape;
    cg_dtype dtype;
    cg_tape *tape;   /* whose it is; NULL: the program's */
    cg_tensor *grad; /* a leaf's own; else the tape's newest */
    bool requires_grad;
    bool has_grad;              /* grad holds a value: the next contribution adds */
    bool grad_shared;           /* grad is somebody else's tensor too: add into a new one */
    struct cg_tensor *reshaped; /* the same elements in the shape this was made of; NULL: not by a reshape */
};

/* The bytes of a tensor; CG_ERR_SHAPE, CG_ERR_DTYPE where there is no such tensor. */
cg_status cg_tensor_size(cg_dtype dtype, const cg_shape *shape, size_t *bytes) CG_MUST_USE;

/* The data type in memory: its own, or its storage's half. */
cg_dtype cg_tensor_stored(const cg_tensor *tensor);

/* Transfers of an f32 tensor that is kept in 16 bits, whole, with memory there (convert.c). */
cg_status cg_half_write(cg_tensor *tensor, const float *source) CG_MUST_USE;
cg_status cg_half_read(cg_tensor *tensor, float *destination) CG_MUST_USE;

/* Where the tensor begins in its buffer, in bytes. */
size_t cg_tensor_start(const cg_tensor *tensor);

/* Gives the storage a buffer if it has none. */
cg_status cg_storage_materialize(cg_storage *storage) CG_MUST_USE;
void cg_storage_release(cg_storage *storage);

/* CG_OK, or the failure of the tape whose poison tensor this is. */
cg_status cg_tensor_check(const cg_tensor *tensor) CG_MUST_USE;

#endif
