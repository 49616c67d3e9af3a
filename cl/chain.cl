/*
 * What stands before the kernel of a chain, which src/backends/opencl/chain.c writes: a chain of elementwise ops in one
 * pass, with what only the chain uses in registers. An item walks one run of the elements.
 */
#include "formulas.cl"

/* As in src/backends/opencl/chain.c. */
typedef struct {
    ulong n, run;
    ulong at[16];
    float p[48];
} chain_place;
