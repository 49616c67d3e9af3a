/* What an epoch's updates cost, without loading and building. */
#include "step_clock.h"

#include <stdbool.h>
#include <time.h>

double cg_clock_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

void cg_clock_loaded(cg_step_clock *clock, double begin) {
    double seconds = cg_clock_now() - begin;
    if (clock->steps == 0) {
        clock->begin = begin;
        clock->first_loading = seconds;
        clock->loading = 0;
        clock->stretch_samples = 0;
    }
    clock->loading += seconds;
}

void cg_clock_stepped(cg_step_clock *clock, int64_t samples) {
    clock->steps++;
    clock->stretch_samples += samples;
}

/* Where the read had to wait for more than a part of a step, the queue was ahead of the device, and only the first
 * loading of the stretch held it up. */
void cg_clock_end_stretch(cg_step_clock *clock, double begin, double end) {
    if (clock->steps > 0) {
        double whole = end - clock->begin;
        bool hidden = (end - begin) * (double)clock->steps > whole / 4;
        clock->seconds += whole - (hidden ? clock->first_loading : clock->loading);
        clock->timed_samples += clock->stretch_samples;
    }
    clock->steps = 0;
}

double cg_clock_seconds(const cg_step_clock *clock) {
    if (clock->timed_samples == 0) {
        return clock->first_seconds;
    }
    return clock->seconds * (double)clock->samples / (double)clock->timed_samples;
}
