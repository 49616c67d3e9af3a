/*
 * Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3;
 * SC 2011). A number depends on (seed, stream, index) alone: the same bits on every device, in any order.
 */
#ifndef CLGRAD_RANDOM_H
#define CLGRAD_RANDOM_H

#include <clgrad/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Four random 32-bit words: block `index` of a stream. */
CG_API void cg_philox(uint64_t seed, uint64_t stream, uint64_t index, uint32_t words[4]);

/* Element `index` of a stream, uniform in [0, 1), 24 bits. */
CG_API float cg_random_uniform(uint64_t seed, uint64_t stream, uint64_t index);

/* Element `index` of a stream, normal with mean 0 and standard deviation 1 (Box-Muller in double, rounded once). */
CG_API float cg_random_normal(uint64_t seed, uint64_t stream, uint64_t index);

/* A random order of 0..n-1 (Fisher-Yates). */
CG_API void cg_random_permutation(uint64_t seed, uint64_t stream, int64_t n, int64_t *order);

#ifdef __cplusplus
}
#endif
#endif
