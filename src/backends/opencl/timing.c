/* The device's own time of every op: the events of its commands, from the first's start to the last's end. */
#include "ocl.h"

#include <string.h>
#include <time.h>

/* One op: its commands are those from `first` on, up to the next op's. */
typedef struct timed_op {
    size_t first;
} timed_op;

struct ocl_timing {
    bool running; /* within run: transfers between ops are not the op's */
    cl_event *events;
    size_t n_events, events_capacity;
    timed_op *ops;
    size_t n_ops, ops_capacity;
};

/* Room for one more; false when memory is out: then this one is not timed. */
static bool grow(const cg_host *host, void **items, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) {
        return true;
    }
    size_t wanted = *capacity * 2 + 256;
    void *larger = host->alloc(wanted * size);
    if (larger == NULL) {
        return false;
    }
    if (count > 0) {
        memcpy(larger, *items, count * size);
    }
    host->free(*items);
    *items = larger;
    *capacity = wanted;
    return true;
}

cl_event *ocl_timing_event(ocl_device *device) {
    ocl_timing *timing = device->timing;
    if (timing == NULL || !timing->running ||
        !grow(device->host, (void **)&timing->events, timing->n_events, &timing->events_capacity, sizeof(cl_event))) {
        return NULL;
    }
    timing->events[timing->n_events] = NULL; /* a command that fails leaves it so */
    return &timing->events[timing->n_events++];
}

void ocl_timing_begin(ocl_device *device) {
    ocl_timing *timing = device->timing;
    if (timing != NULL &&
        grow(device->host, (void **)&timing->ops, timing->n_ops, &timing->ops_capacity, sizeof(timed_op))) {
        timing->ops[timing->n_ops++] = (timed_op){timing->n_events};
        timing->running = true;
    }
}

void ocl_timing_end(ocl_device *device) {
    if (device->timing != NULL) {
        device->timing->running = false;
    }
}

static void add_event(cl_event event, cg_timing *time) {
    cl_ulong start = 0, end = 0;
    if (event != NULL &&
        clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL) == CL_SUCCESS &&
        clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL) == CL_SUCCESS) {
        time->start = time->end == 0 || start < time->start ? start : time->start;
        time->end = end > time->end ? end : time->end;
    }
}

static void forget(ocl_timing *timing) {
    for (size_t i = 0; i < timing->n_events; i++) {
        if (timing->events[i] != NULL) {
            clReleaseEvent(timing->events[i]);
        }
    }
    timing->n_events = timing->n_ops = 0;
}

cg_status ocl_timing_take(void *handle, cg_timing *timings, size_t capacity, size_t *count) {
    ocl_device *device = handle;
    ocl_timing *timing = device->timing;
    *count = 0;
    CG_TRY(ocl_wait(device));
    for (size_t i = 0; i < timing->n_ops && i < capacity; i++) {
        size_t end = i + 1 < timing->n_ops ? timing->ops[i + 1].first : timing->n_events;
        timings[i] = (cg_timing){0};
        for (size_t j = timing->ops[i].first; j < end; j++) {
            add_event(timing->events[j], &timings[i]);
        }
        *count = i + 1;
    }
    forget(timing);
    return CG_OK;
}

/* The queue is made anew, with clocks: they cost a little, so that only a trace has them. */
cg_status ocl_timing_start(void *handle) {
    ocl_device *device = handle;
    CG_TRY(ocl_wait(device));
    cl_int code;
    cl_command_queue queue = clCreateCommandQueue(device->context, device->id, CL_QUEUE_PROFILING_ENABLE, &code);
    if (queue == NULL) {
        return ocl_fail(device, code, "clCreateCommandQueue", "with profiling");
    }
    device->timing = device->host->alloc(sizeof *device->timing);
    if (device->timing == NULL) {
        clReleaseCommandQueue(queue);
        return CG_ERR_MEMORY;
    }
    memset(device->timing, 0, sizeof *device->timing);
    clReleaseCommandQueue(device->queue);
    device->queue = queue;
    return CG_OK;
}

void ocl_timing_release(ocl_device *device) {
    if (device->timing != NULL) {
        forget(device->timing);
        device->host->free(device->timing->events);
        device->host->free(device->timing->ops);
        device->host->free(device->timing);
    }
}

double ocl_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}
