/* JSON lines of a training. A float is written with the 9 digits that give it back. */
#include "log.h"

#include <math.h>

static void put_number(FILE *log, const char *key, double value) {
    if (isfinite(value)) {
        fprintf(log, ",\"%s\":%.9g", key, value);
    } else {
        fprintf(log, ",\"%s\":null", key);
    }
}

static bool end_line(FILE *log) {
    fputs("}\n", log);
    return fflush(log) == 0 && !ferror(log);
}

bool log_step(FILE *log, const cg_progress *progress) {
    fprintf(log, "{\"epoch\":%lld,\"step\":%lld", (long long)progress->epoch, (long long)progress->step);
    put_number(log, "loss", progress->loss);
    put_number(log, "lr", progress->lr);
    put_number(log, "seconds", progress->seconds);
    return end_line(log);
}

bool log_epoch(FILE *log, const cg_progress *progress) {
    fprintf(log, "{\"epoch\":%lld", (long long)progress->epoch);
    put_number(log, "train_loss", progress->train_loss);
    if (progress->has_valid) {
        put_number(log, "valid_loss", progress->valid_loss);
        put_number(log, "valid_accuracy", progress->valid_accuracy);
    }
    put_number(log, "train_seconds", progress->train_seconds);
    return end_line(log);
}
