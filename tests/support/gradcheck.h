/*
 * The proofs of a gradient. A case says how an output is made of input tensors, by ops or by a module; the proofs are
 * 1. the reference in double: analytic against central differences, every element;
 * 2. the device in float: output and every gradient against the reference in double on the same float bytes;
 * 3. the device in float: directional central differences on the device itself.
 * A failure leaves a message (cg_error_message) with the case, the proof, max_abs, max_rel and the place.
 */
#ifndef CLGRAD_TESTS_GRADCHECK_H
#define CLGRAD_TESTS_GRADCHECK_H

#include <clgrad/nn.h>

#define GRADCHECK_MAX_INPUTS 4

/* How far a float result may be from the exact one: gradients get four times that, as backward chains more ops. */
typedef enum gradcheck_class {
    GRADCHECK_EXACT,       /* no arithmetic: bit equal */
    GRADCHECK_ELEMENTWISE, /* a few correctly rounded operations */
    GRADCHECK_REDUCTION,   /* sums of up to some thousand terms in any order: sum, mean, matmul, broadcast gradients */
    GRADCHECK_SOFTMAX,     /* exp and log as a conforming OpenCL device may have them */
    GRADCHECK_NETWORK,     /* several layers */
} gradcheck_class;

/* The expected output or gradients are right to be constant or mostly zero. */
#define GRADCHECK_TRUSTED 1u
/* No proof 3: float's rounding drowns the difference (logits at 1e4). */
#define GRADCHECK_NO_DIFFERENCE 2u

typedef struct gradcheck_input {
    cg_shape shape;
    double scale, offset; /* values are offset + scale * normal; scale 0: 1 */
    int64_t classes;      /* > 0: i64 classes 0 .. classes - 1 instead, without a gradient */
    int64_t row_length;   /* > 0: stored with rows that long; what lies between is NaN */
    bool constant;        /* requires no gradient, and gets none */
} gradcheck_input;

typedef struct gradcheck_case {
    const char *name;
    cg_tensor *(*build)(cg_tape *tape, cg_tensor **inputs, const void *context);
    const void *context;
    const char *module; /* instead of build: applied to the inputs; its parameters are checked, too */
    gradcheck_class tolerance;
    uint32_t flags;
    uint32_t n_kinks; /* inputs keep a distance of 0.1 from these values */
    double kinks[2];
    uint64_t seed;
    uint32_t n_inputs;
    gradcheck_input inputs[GRADCHECK_MAX_INPUTS];
} gradcheck_case;

/* Proof 1, on a device of double. Cases of over 3000 elements are checked along directions instead. */
cg_status gradcheck_reference(const gradcheck_case *test, cg_device *oracle);

/* Proof 2. */
cg_status gradcheck_against(const gradcheck_case *test, cg_device *device, cg_device *oracle);

/* Proof 3. The oracle chooses directions that cross no kink. */
cg_status gradcheck_difference(const gradcheck_case *test, cg_device *device, cg_device *oracle);

/* Runs the proofs of all cases on the device under test, and proof 1 where that is the reference; fails the running
 * test with the message of the first that fails, and skips it when the device's budget admits no case at all. */
void gradcheck_all(const gradcheck_case *cases, size_t count);

#endif
