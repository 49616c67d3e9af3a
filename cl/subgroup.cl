/*
 * SUBGROUP, an attribute for kernels with large register tiles. Left alone, compilers for GPUs whose smallest sub-group
 * has 16 items choose 32, and run out of registers.
 *
 * CG_SUBGROUP  the sub-group that Intel's compiler is asked for; 0: its own choice
 */
#ifndef CG_SUBGROUP
#define CG_SUBGROUP 0
#endif

#if CG_SUBGROUP
#define SUBGROUP __attribute__((intel_reqd_sub_group_size(CG_SUBGROUP)))
#else
#define SUBGROUP
#endif
