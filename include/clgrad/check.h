/* The doctor: the whole proof on one device, for a user who wants to know whether to trust a driver. `clgrad check` is
 * a thin face of it. */
#ifndef CLGRAD_CHECK_H
#define CLGRAD_CHECK_H

#include <clgrad/device.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cg_check_outcome {
    CG_CHECK_PASS = 0,
    CG_CHECK_FAIL = 1,
    CG_CHECK_FALLBACK = 2, /* right, but some op of it ran on the CPU */
    CG_CHECK_SKIPPED = 3,  /* not checked; the message says why */
} cg_check_outcome;

/* One thing that was checked. The texts are valid during the call that tells of it. */
typedef struct cg_check_result {
    const char *group; /* kernels, ops, layers, losses, optimizers, numbers, memory */
    const char *name;
    cg_check_outcome outcome;
    double worst; /* the largest error, as a share of the largest value (of what is allowed: ops); NAN: not measured */
    double seconds;
    const char *message;   /* what is wrong, or why it was not checked; "" */
    const char *case_file; /* what clgrad verify replays to show the failure; "" */
} cg_check_result;

/* A driver that is known to do something wrong. */
typedef struct cg_quirk {
    const char *driver;  /* its short name */
    const char *version; /* part of the driver's version text; "": all */
    const char *what;
    const char *proof; /* how it shows, or the link to who found it */
} cg_quirk;

/* Hears of every result; false ends the check. */
typedef bool (*cg_check_heard)(void *context, const cg_check_result *result);

/* "pass", "FAIL", "fallback", "skipped". */
CG_API const char *cg_check_outcome_name(cg_check_outcome outcome);

/* Checks the device that the string opens: that every kernel is built; every layer, loss and optimizer of the library
 * against the reference in double, outputs, gradients and buffers; each gradient against differences on the device
 * itself; that the same call twice gives the same bits; every op against the reference in double; NaN, infinities and
 * denormal numbers; and the limits of memory. What fails leaves a file for clgrad verify in `case_folder` (NULL: none).
 * CG_OK also when something failed: that is what `heard` is told. CG_ERR_INTERRUPTED when it ended the check. */
CG_API cg_status cg_check_device(const char *string, const char *case_folder, cg_check_heard heard,
                                 void *context) CG_MUST_USE;

/* The ops of the library's layers and losses, forward and backward, that this device would leave to the CPU, and why:
 * up to `capacity` rows, one an op and reason, `count` how many of the ops met have it. Nothing is run. */
CG_API cg_status cg_device_unsupported(cg_device *device, cg_fallback_info *rows, size_t capacity,
                                       size_t *count) CG_MUST_USE;

/* Writes up to `capacity` known faults of this device's driver, and returns how many there are. */
CG_API size_t cg_device_quirks(const cg_device_info *info, cg_quirk *quirks, size_t capacity);

#ifdef __cplusplus
}
#endif
#endif
