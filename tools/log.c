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

/* Null where the memory for it was missing. */
static void put_activations(FILE *log, const activation_view *activations) {
    cJSON *array = activation_view_json(activations);
    char *text = array ? cJSON_PrintUnformatted(array) : NULL;
    fprintf(log, ",\"activations\":%s", text ? text : "null");
    cJSON_free(text);
    cJSON_Delete(array);
}

bool log_epoch(FILE *log, const cg_progress *progress, const cg_metrics *metrics, const activation_view *activations) {
    fprintf(log, "{\"epoch\":%lld", (long long)progress->epoch);
    put_number(log, "train_loss", progress->train_loss);
    if (progress->has_valid) {
        put_number(log, "valid_loss", progress->valid_loss);
    }
    if (progress->has_valid && !isnan(progress->valid_accuracy)) { /* numbers have none */
        put_number(log, "valid_accuracy", progress->valid_accuracy);
    }
    if (progress->has_valid && metrics && !cg_metrics_confusion(metrics)) {
        put_number(log, "valid_mae", cg_metrics_numbers(metrics).mae);
        put_number(log, "valid_r2", cg_metrics_numbers(metrics).r2);
    }
    put_number(log, "train_seconds", progress->train_seconds);
    if (activations->activations) {
        put_activations(log, activations);
    }
    return end_line(log);
}
