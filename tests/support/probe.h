/*
 * A gradcheck case on one device: its leaves (inputs, then the module's parameters) with seeded values, which are the
 * same floats on every device, and evaluation of the output and the gradients into host memory.
 */
#ifndef CLGRAD_TESTS_PROBE_H
#define CLGRAD_TESTS_PROBE_H

#include "gradcheck.h"

#define PROBE_MAX_LEAVES 16

typedef struct probe_leaf {
    char name[64];
    cg_tensor *tensor;  /* what the case uses */
    cg_tensor *storage; /* longer rows underneath, or NULL */
    int64_t row_length;
    cg_shape shape;
    int64_t count;
    bool wanted; /* has a gradient */
    double *values, *gradient;
} probe_leaf;

typedef struct test_probe {
    const gradcheck_case *test;
    cg_device *device;
    cg_tape *tape;
    cg_module *module; /* NULL: the case has a build function */
    probe_leaf leaves[PROBE_MAX_LEAVES];
    size_t n_leaves;
    cg_shape shape;           /* of the output, known after the first evaluation */
    int64_t count;            /* its elements */
    double *output, *weights; /* loss = sum(output * weights) */
    cg_tensor *grad_output;   /* the weights on the device */
    double work;              /* multiply-adds of one forward pass, about */
} test_probe;

/* Makes leaves and values and evaluates once. Close also after a failure. */
cg_status probe_open(test_probe *probe, const gradcheck_case *test, cg_device *device);
void probe_close(test_probe *probe);

/* Writes values to a leaf's tensor, not to leaf->values. */
cg_status probe_write(probe_leaf *leaf, const double *values);

/* output of the leaves as they are. */
cg_status probe_forward(test_probe *probe);

/* output, and the leaves' gradients of sum(output * weights). */
cg_status probe_backward(test_probe *probe);

/* Forgets gradients, so that the next backward does not add. */
void probe_zero_grad(test_probe *probe);

#endif
