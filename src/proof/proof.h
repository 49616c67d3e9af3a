/*
 * The proofs of a gradient. A case says how an output is made of input tensors, by ops or by a module; the proofs are
 * 1. the reference in double: analytic against central differences, every element;
 * 2. the device in float: every output, gradient and buffer against the reference in double on the same float bytes;
 * 3. the device in float: directional central differences on the device itself;
 * 4. the device in float: gradients that add up, that are not wanted, of one tensor in two places; extreme values.
 * A failure leaves a message (cg_error_message) with the case, the proof, max_abs, max_rel and the place.
 */
#ifndef CLGRAD_PROOF_H
#define CLGRAD_PROOF_H

#include <clgrad/nn.h>

#define GRADCHECK_MAX_INPUTS 6
#define GRADCHECK_MAX_KINKS 4

/* How far a float result may be from the exact one: gradients get four times that, as backward chains more ops. */
typedef enum gradcheck_class {
    GRADCHECK_EXACT,       /* no arithmetic: bit equal */
    GRADCHECK_ELEMENTWISE, /* a few correctly rounded operations */
    GRADCHECK_FUNCTION, /* one function as a conforming OpenCL device may have it: 5 units in the last place, and one */
    GRADCHECK_ACTIVATION, /* pow or erf (16 units), or several functions in a chain, where 1 - exp cancels */
    GRADCHECK_REDUCTION,  /* sums of up to some thousand terms in any order: sum, mean, matmul, broadcast gradients */
    GRADCHECK_SOFTMAX,    /* exp and log as a conforming OpenCL device may have them */
    GRADCHECK_NETWORK,    /* several layers */
} gradcheck_class;

/* The expected output or gradients are right to be constant or mostly zero. */
#define GRADCHECK_TRUSTED 1u
/* No proof 3: float's rounding drowns the difference (logits at 1e4). */
#define GRADCHECK_NO_DIFFERENCE 2u

typedef enum gradcheck_values {
    GRADCHECK_NORMAL,  /* offset + scale * normal; scale 0: 1 */
    GRADCHECK_UNIFORM, /* evenly in low .. high */
    GRADCHECK_SIGNS,   /* -1 or 1 */
    GRADCHECK_ROWS,    /* positive, each row of the last axis sums to 1 */
} gradcheck_values;

typedef struct gradcheck_input {
    cg_shape shape;
    gradcheck_values values;
    double scale, offset;
    double low, high;
    int64_t classes;    /* > 0: i64 classes 0 .. classes - 1 instead, without a gradient */
    int64_t row_length; /* > 0: stored with rows that long; what lies between is NaN */
    bool constant;      /* requires no gradient, and gets none */
} gradcheck_input;

typedef struct gradcheck_case {
    const char *name;
    cg_tensor *(*build)(cg_tape *tape, cg_tensor **inputs, const void *context);
    const void *context;
    const char *module; /* instead of build: applied to the inputs; its parameters and buffers are checked, too */
    bool eval;          /* in eval mode; else in training */
    gradcheck_class tolerance;
    uint32_t flags;
    uint32_t n_kinks; /* inputs keep a distance of 0.1 from these values */
    double kinks[GRADCHECK_MAX_KINKS];
    uint64_t seed;
    uint32_t n_inputs;
    gradcheck_input inputs[GRADCHECK_MAX_INPUTS];
} gradcheck_case;

/* Directions of proof 3 when nothing asks for fewer. */
#define GRADCHECK_DIRECTIONS 3

/* Proof 1, on a device of double. Cases of over 3000 elements are checked along directions instead. */
cg_status gradcheck_reference(const gradcheck_case *test, cg_device *oracle);

/* Proof 2. worst (may be NULL) becomes the largest error, as a share of the largest value expected beside it. */
cg_status gradcheck_against(const gradcheck_case *test, cg_device *device, cg_device *oracle, double *worst);

/* Proof 3, along so many directions. The oracle chooses those that cross no kink. */
cg_status gradcheck_difference(const gradcheck_case *test, cg_device *device, cg_device *oracle, int directions);

/* Proof 4: see edges.c. */
cg_status gradcheck_edges(const gradcheck_case *test, cg_device *device, cg_device *oracle);

/* About what proofs 2 and 3 cost on the device, in multiply-adds. */
cg_status gradcheck_cost(const gradcheck_case *test, cg_device *oracle, int directions, double *multiply_adds);

#endif
