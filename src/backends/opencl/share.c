/*
 * How work is cut into items. On a CPU an item has a long run, so that starting it costs little; on a GPU it has one
 * vector, so that neighbouring items read neighbouring memory.
 */
#include "ocl.h"

#include <stdio.h>
#include <string.h>

#define CPU_RUN 4096 /* elements: about a microsecond of work */
#define CPU_ITEMS 64 /* at most so many where runs can be longer */

/* From this length on a work-group of a GPU shares a row. */
#define LONG_ROW 128

static uint64_t at_least(uint64_t value, uint64_t least) {
    return value < least ? least : value;
}

uint64_t ocl_numel(const cg_operand *operand) {
    uint64_t n = 1;
    for (int i = 0; i < operand->shape.rank; i++) {
        n *= (uint64_t)operand->shape.dim[i];
    }
    return n;
}

size_t ocl_element_size(cg_dtype dtype) {
    switch (dtype) {
    case CG_U8:
        return 1;
    case CG_F16:
    case CG_BF16:
        return 2;
    case CG_F32:
    case CG_I32:
        return 4;
    default:
        return 8;
    }
}

size_t ocl_group(const ocl_device *device) {
    return device->cpu_shape ? 1 : device->group;
}

bool ocl_nests_loops(const ocl_device *device) {
    return device->cpu_shape && strcmp(device->info.driver, "rusticl") != 0;
}

uint64_t ocl_each(const ocl_device *device, uint64_t size) {
    return device->cpu_shape ? at_least(CPU_RUN / at_least(size, 1), 1) : 1;
}

size_t ocl_items(uint64_t things, uint64_t each) {
    return (size_t)ocl_ceil(things, each);
}

ocl_share ocl_share_rows(const ocl_device *device, uint64_t rows, uint64_t length) {
    ocl_share share = {.rows = rows, .length = length, .run = device->width};
    if (device->cpu_shape) {
        share.run = at_least(ocl_ceil(rows * length, CPU_ITEMS), CPU_RUN);
        share.run = ocl_ceil(share.run, device->width) * device->width;
    }
    share.pieces = ocl_ceil(length, share.run);
    share.rows_each = device->cpu_shape ? at_least(share.run / length, 1) : 1;
    return share;
}

size_t ocl_share_items(const ocl_share *share) {
    return (size_t)(share->pieces * ocl_ceil(share->rows, share->rows_each));
}

ocl_lanes ocl_lanes_for(const ocl_device *device, uint64_t rows, uint64_t length) {
    ocl_lanes lanes = {.group = ocl_group(device), .rows_each = ocl_each(device, length)};
    bool shared = !device->cpu_shape && length >= LONG_ROW;
    size_t count = shared ? device->group : 1;
    snprintf(lanes.defines, sizeof lanes.defines, "-DCG_LANES=%zu%s", count,
             shared && device->shuffles ? " -DCG_SHUFFLE=1" : "");
    lanes.items = ocl_items(rows, lanes.rows_each) * count;
    return lanes;
}
