/*
 * A gradcheck case on one device: its leaves (inputs, then the module's parameters) with seeded values, which are the
 * same floats on every device, and evaluation of the outputs and the gradients into host memory.
 */
#ifndef CLGRAD_PROBE_H
#define CLGRAD_PROBE_H

#include "proof.h"

#define PROBE_MAX_LEAVES 64
#define PROBE_MAX_OUTPUTS 4

typedef struct probe_leaf {
    char name[96];
    cg_tensor *tensor;  /* what the case uses */
    cg_tensor *storage; /* longer rows underneath, or NULL */
    int64_t row_length;
    cg_shape shape;
    int64_t count;
    bool wanted; /* has a gradient */
    double *values, *gradient;
} probe_leaf;

typedef struct probe_output {
    cg_shape shape;
    int64_t start, count; /* its elements in test_probe.output */
    cg_tensor *grad;      /* the weights on the device; NULL: nothing that requires a gradient leads to it */
} probe_output;

typedef struct test_probe {
    const gradcheck_case *test;
    cg_device *device;
    cg_tape *tape;
    bool shares_input; /* input 1 stands for input 0 as well */
    cg_module *module; /* NULL: the case has a build function */
    probe_leaf leaves[PROBE_MAX_LEAVES];
    size_t n_leaves;
    probe_output outputs[PROBE_MAX_OUTPUTS]; /* known after the first evaluation */
    size_t n_outputs;
    int64_t count;            /* elements of all outputs */
    double *output, *weights; /* loss = sum(output * weights) */
    double work;              /* multiply-adds of one forward pass, about */
} test_probe;

/* Makes leaves and values and evaluates once. Close also after a failure. */
cg_status probe_open(test_probe *probe, const gradcheck_case *test, cg_device *device);
void probe_close(test_probe *probe);

/* Writes values to a leaf's tensor, not to leaf->values. */
cg_status probe_write(probe_leaf *leaf, const double *values);

/* The outputs of the leaves as they are. */
cg_status probe_forward(test_probe *probe);

/* The outputs, and the leaves' gradients of sum(output * weights). */
cg_status probe_backward(test_probe *probe);

/* Forgets gradients, so that the next backward does not add. */
void probe_zero_grad(test_probe *probe);

/* A buffer of the module as doubles, freed by cg_free. */
cg_status probe_read_buffer(const test_probe *probe, size_t index, const char **name, cg_shape *shape, double **values);

/* Zeros, freed by cg_free. */
cg_status probe_doubles(int64_t count, double **values);

#endif
