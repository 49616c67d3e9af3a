/*
 * Results that stay on the device until many of them are read at once: one tensor, cut into slots that a step copies
 * its loss or its predictions into. So a step needs no read, and nothing is allocated after creation.
 */
#ifndef CLGRAD_COLLECTOR_H
#define CLGRAD_COLLECTOR_H

#include <clgrad/tape.h>

typedef struct cg_collector {
    cg_tensor *values; /* [total] */
    cg_tensor **slots; /* views of `size` elements, the last one of what is left */
    size_t n_slots;
} cg_collector;

/* A collector of `total` elements in slots of `size`. Cleared by cg_collector_clear, also when this fails. */
cg_status cg_collector_create(cg_device *device, cg_dtype dtype, int64_t total, int64_t size,
                              cg_collector *collector) CG_MUST_USE;
void cg_collector_clear(cg_collector *collector);

#endif
