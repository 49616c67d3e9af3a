/*
 * What an epoch's updates cost. Time is taken over stretches that begin and end with nothing left to do on the device,
 * so that no step waits for the clock; loading is taken off, but not where it was hidden behind the device's work. The
 * first step of each batch size builds kernels and fills pools: it is kept apart and counted as if it took as long per
 * sample as the others.
 */
#ifndef CLGRAD_STEP_CLOCK_H
#define CLGRAD_STEP_CLOCK_H

#include <stdint.h>

typedef struct cg_step_clock {
    double seconds, first_seconds;
    int64_t samples, timed_samples;
    double begin, loading, first_loading; /* of the stretch that runs */
    int64_t steps, stretch_samples;
} cg_step_clock;

/* Seconds of a clock that only goes forward. */
double cg_clock_now(void);

/* A batch was loaded, from `begin` on. */
void cg_clock_loaded(cg_step_clock *clock, double begin);

/* A step of so many samples was recorded and is under way. */
void cg_clock_stepped(cg_step_clock *clock, int64_t samples);

/* A read, from `begin` to `end`, has emptied the device's queue. */
void cg_clock_end_stretch(cg_step_clock *clock, double begin, double end);

/* Of all of the epoch's updates. */
double cg_clock_seconds(const cg_step_clock *clock);

#endif
