#include "bench_turns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_measure.h"
#include "exit_status.h"
#include "report.h"

/* What the last turn made: the next is most often of the same work. */
typedef struct player {
    cg_device *device;
    double seconds;
    const bench_work *work;
    bench_runner *runner;
    bool warm[BENCH_PASSES];
} player;

static cg_status change_work(player *self, const bench_work *work) {
    if (self->work == work) {
        return CG_OK;
    }
    bench_runner_close(self->runner);
    *self = (player){.device = self->device, .seconds = self->seconds};
    CG_TRY(bench_runner_open(work, self->device, &self->runner));
    self->work = work;
    return CG_OK;
}

static cg_status take_turn(player *self, const bench_work *work, bench_pass pass, bench_times *times) {
    double seconds;
    CG_TRY(change_work(self, work));
    if (!self->warm[pass]) {
        CG_TRY(bench_runner_call(self->runner, pass, &seconds));
        self->warm[pass] = true;
    }
    return bench_measure_calls(self->runner, pass, 1, self->seconds, times);
}

static int answer(const player *self, bench_pass pass, bench_times *times) {
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", self->work->name);
    cJSON_AddStringToObject(object, "device", cg_device_describe(self->device)->string);
    cJSON_AddStringToObject(object, "pass", bench_pass_name(pass));
    cJSON_AddNumberToObject(object, "calls", (double)times->count);
    cJSON_AddNumberToObject(object, "ms", bench_times_at(times, 0.5));
    int result = report_json(object);
    fflush(stdout);
    return result;
}

/* Splits "NAME PASS" in place; BENCH_PASSES when it is no work of ours with that pass. */
static bench_pass parse_turn(char *line, const bench_work **work) {
    char *name = strtok(line, " \t\r\n"), *word = strtok(NULL, " \t\r\n"), *more = strtok(NULL, " \t\r\n");
    *work = name ? bench_work_find(name) : NULL;
    bench_pass pass = 0;
    while (pass < BENCH_PASSES && (!word || strcmp(word, bench_pass_name(pass)) != 0)) {
        pass++;
    }
    return !more && *work && pass < BENCH_PASSES && bench_work_has(*work, pass) ? pass : BENCH_PASSES;
}

static int play(player *self, char *line) {
    const bench_work *work;
    line[strcspn(line, "\r\n")] = 0;
    char *copy = strdup(line);
    bench_pass pass = copy ? parse_turn(copy, &work) : BENCH_PASSES;
    free(copy);
    if (pass == BENCH_PASSES) {
        fprintf(stderr, "clgrad bench: '%s' is no turn; it is NAME PASS, both as bench --list shows them\n", line);
        return EXIT_USAGE;
    }
    bench_times times = {0};
    cg_status status = take_turn(self, work, pass, &times);
    int result = status == CG_OK ? answer(self, pass, &times) : report_failure(status);
    bench_times_free(&times);
    return result;
}

int bench_turns(cg_device *device, double seconds) {
    player self = {.device = device, .seconds = seconds};
    char line[256];
    int result = EXIT_GOOD;
    while (result == EXIT_GOOD && fgets(line, sizeof line, stdin)) {
        result = play(&self, line);
    }
    bench_runner_close(self.runner);
    return result;
}
