/*
 * The door between a test and the OpenCL layer tests/plugins/opencl_faults.c, which stands between the program and the
 * loader (OPENCL_LAYERS), fails calls on request, and counts objects that are alive. The test finds `opencl_faults` in
 * the loaded layer with dlsym.
 */
#ifndef CLGRAD_TESTS_OPENCL_FAULTS_H
#define CLGRAD_TESTS_OPENCL_FAULTS_H

#include <stdbool.h>

typedef struct opencl_faults {
    long calls;               /* since the test set it to 0, of those that `only` admits */
    long at;                  /* this one fails, counted from 1; 0: none */
    bool all_after;           /* and every later one: the device is lost */
    int code;                 /* with this code */
    const char *only;         /* part of a call's name: count and fail no other; NULL: all */
    const char *failed;       /* the first call that was failed; NULL: none */
    long live;                /* contexts, queues, buffers, programs, kernels and events created and not yet released */
    const char *const *names; /* every call that is watched; ended by NULL */
} opencl_faults;

#endif
