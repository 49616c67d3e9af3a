/*
 * Case files: what PyTorch computed in float64 for a module (forward, backward, buffers), an optimizer over several
 * steps, or a schedule, with the values that went in. Replaying one on a device is a proof by somebody else's numbers.
 * `clgrad verify` is a thin face of it; docs/design.md describes the format, "clgrad-case-1".
 */
#ifndef CLGRAD_VERIFY_H
#define CLGRAD_VERIFY_H

#include <clgrad/device.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cg_case cg_case;

/* Reads a case file and checks all that can be checked without a device: names, shapes and dtypes of the tensors, that
 * each has its partner (a parameter its gradient), that no expected value is NaN. Errors name the file: CG_ERR_FILE,
 * CG_ERR_FORMAT. */
CG_API cg_status cg_case_load(const char *path, cg_case **out) CG_MUST_USE;
CG_API void cg_case_destroy(cg_case *c);

/* The file's name without folder and ending. */
CG_API const char *cg_case_name(const cg_case *c);

/* False for a schedule, which is replayed once, on the host. */
CG_API bool cg_case_needs_device(const cg_case *c);

typedef enum cg_outcome {
    CG_OUTCOME_PASS = 0,
    CG_OUTCOME_FAIL = 1,
    CG_OUTCOME_FALLBACK = 2,    /* the values are right, but the device did not run every op */
    CG_OUTCOME_UNSUPPORTED = 3, /* names something that PyTorch has and this library does not yet */
} cg_outcome;

/* "pass", "FAIL", "fallback", "unsupported". */
CG_API const char *cg_outcome_name(cg_outcome outcome);

/* What a replay showed. An element passes if |actual - expected| <= rtol |expected| + atol S, S the largest |expected|
 * of its group (outputs, gradients, values after, learning rates, momenta); NaN never does, an infinity only against
 * itself. */
typedef struct cg_verdict {
    cg_outcome outcome;
    bool measured;    /* values were compared: the next three are set */
    double max_abs;   /* the largest |actual - expected|; infinite where one is not a number */
    double max_rel;   /* the largest |actual - expected| / max(|expected|, atol S) */
    char at[256];     /* the element that is furthest from its bound, or nearest to it: "grad.input.0[1,2]" */
    char reason[512]; /* "" for a pass */
} cg_verdict;

/* Replays the case on a device (NULL for a case that needs none). `results`: a safetensors file to write all that was
 * computed to, under the names and with the shapes of what was expected; NULL: none. Errors are what is no verdict:
 * CG_ERR_FORMAT for a file that does not fit its module (a text that does not parse, a parameter that is not there),
 * CG_ERR_DEVICE_MEMORY, CG_ERR_MEMORY, and CG_ERR_FILE for results that cannot be written, where the verdict holds. */
CG_API cg_status cg_case_replay(const cg_case *c, cg_device *device, const char *results,
                                cg_verdict *verdict) CG_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
