/* The page of a training: its frame, and everything that is a list of facts. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <clgrad/clgrad.h>

#include "embedded.h"
#include "html.h"
#include "report.h"
#include "run_report.h"
#include "shell_text.h"

extern const cg_embedded run_page_files[]; /* made by the build of run_page.css and run_page.js */

static const char *file_named(const char *name) {
    const cg_embedded *file = run_page_files;
    while (file->name && strcmp(file->name, name) != 0) {
        file++;
    }
    return file->name ? file->text : "";
}

static void tile(FILE *stream, const char *name) {
    fprintf(stream, "<div class=\"tile\"><dt>%s</dt><dd>", name);
}

static void percent_tile(FILE *stream, const char *name, double share) {
    if (isfinite(share)) {
        tile(stream, name);
        html_percent(stream, share);
        fputs("</dd></div>\n", stream);
    }
}

static void number_tile(FILE *stream, const char *name, double value) {
    if (isfinite(value)) {
        tile(stream, name);
        html_number(stream, value);
        fputs("</dd></div>\n", stream);
    }
}

static void count_tile(FILE *stream, const char *name, long long value) {
    tile(stream, name);
    html_count(stream, value);
    fputs("</dd></div>\n", stream);
}

static double last_of(const double *values, size_t count) {
    return count > 0 ? values[count - 1] : NAN;
}

/* What people ask first. */
static void put_tiles(FILE *stream, const run_report *report) {
    const history_epochs *e = &report->history.epochs;
    const cg_best_epoch best = cg_trainer_best(report->training->trainer);
    double seconds = last_of(e->seconds, e->count);
    fputs("<dl class=\"tiles\">\n", stream);
    if (report->result.n > 0 && report->split == CG_SPLIT_TEST) {
        percent_tile(stream, "test accuracy", report->result.accuracy);
        number_tile(stream, "test loss", report->result.loss);
    }
    percent_tile(stream, "validation accuracy", last_of(e->valid_accuracy, e->count));
    number_tile(stream, "validation loss", last_of(e->valid_loss, e->count));
    number_tile(stream, "macro F1", last_of(e->f1, e->count));
    number_tile(stream, "mean absolute error", last_of(e->mae, e->count));
    number_tile(stream, "R²", last_of(e->r2, e->count));
    number_tile(stream, "training loss", last_of(e->train_loss, e->count));
    if (best.epoch > 0) {
        count_tile(stream, "best epoch", (long long)best.epoch);
    }
    count_tile(stream, "updates", (long long)cg_trainer_updates(report->training->trainer));
    number_tile(stream, "seconds an epoch", seconds);
    count_tile(stream, "parameters", (long long)training_parameters(report->training));
    fputs("</dl>\n", stream);
}

static void put_head(FILE *stream, const run_report *report) {
    const cg_data_info *data = cg_data_describe(report->training->data);
    const char *model = report->training->options.model    ? report->training->options.model
                        : report->training->options.resume ? report->training->model_text
                                                           : "mlp";
    bool preset = strchr(model, '(') == NULL;
    fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
          "content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n"
          "<title>",
          stream);
    html_text(stream, preset ? model : "Training");
    fputs(" on ", stream);
    html_text(stream, data->name);
    fprintf(stream, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<header><h1>", file_named("run_page.css"));
    html_text(stream, preset ? model : "Training");
    fputs(" <span class=\"soft\">on</span> ", stream);
    html_text(stream, data->name);
    fputs("</h1>\n<p class=\"state\" id=\"state\">", stream);
    html_text(stream, report->state);
    char date[64];
    time_t now = time(NULL);
    struct tm parts;
    strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", gmtime_r(&now, &parts));
    fprintf(stream, "</p>\n<p class=\"soft\"><time>%s</time> · clgrad %s · ", date, CG_VERSION);
    html_text(stream, cg_device_describe(report->training->device)->name);
    fputs("</p></header>\n<main>\n", stream);
}

static double number_at(const cJSON *object, const char *key) {
    return cJSON_GetNumberValue(cJSON_GetObjectItem(object, key));
}

static void put_shape(FILE *stream, const cJSON *dims) {
    const cJSON *dim;
    const char *between = "";
    cJSON_ArrayForEach(dim, dims) {
        fprintf(stream, "%s%.0f", between, dim->valuedouble);
        between = "&#8239;×&#8239;";
    }
}

static void put_layer(FILE *stream, const cJSON *layer) {
    fputs("<tr><th scope=\"row\">", stream);
    html_text(stream, cJSON_GetStringValue(cJSON_GetObjectItem(layer, "path")));
    fputs("</th><td class=\"word\">", stream);
    html_text(stream, cJSON_GetStringValue(cJSON_GetObjectItem(layer, "class")));
    fputs("</td><td>", stream);
    put_shape(stream, cJSON_GetArrayItem(cJSON_GetObjectItem(layer, "output"), 0) ? cJSON_GetObjectItem(layer, "output")
                                                                                  : NULL);
    fputs("</td><td>", stream);
    html_count(stream, (long long)number_at(layer, "parameters"));
    fprintf(stream, "</td><td>%.4g</td></tr>\n", number_at(layer, "flops") / 1e6);
}

static void put_model(FILE *stream, const run_report *report) {
    const cJSON *layer, *layers = cJSON_GetObjectItem(report->layers, "layers");
    fputs("<section id=\"model\"><h2>The model</h2>\n<div class=\"scroll tall\" role=\"region\" tabindex=\"0\" "
          "aria-label=\"Layers\"><table class=\"numbers\">\n<thead><tr><th scope=\"col\">layer</th><th scope=\"col\" "
          "class=\"word\">class</th><th scope=\"col\">output</th><th scope=\"col\">parameters</th>"
          "<th scope=\"col\">MFLOP</th></tr></thead>\n<tbody>\n",
          stream);
    cJSON_ArrayForEach(layer, layers) {
        put_layer(stream, layer);
    }
    fputs("</tbody>\n<tfoot><tr><th scope=\"row\">total</th><td></td><td></td><td>", stream);
    html_count(stream, (long long)number_at(report->layers, "parameters"));
    fprintf(stream,
            "</td><td>%.4g</td></tr></tfoot></table></div>\n<p class=\"soft small\">Of one sample, forward; a "
            "multiplication with its addition is 2 FLOP.</p>\n<pre class=\"code\">",
            number_at(report->layers, "flops") / 1e6);
    html_text(stream, report->training->model_text);
    fputs("</pre></section>\n", stream);
}

static int by_seconds(const void *a, const void *b) {
    double x = ((const cg_op_time *)a)->seconds, y = ((const cg_op_time *)b)->seconds;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void put_ops(FILE *stream, const run_report *report) {
    cg_op_time rows[RUN_OPS];
    double total = 0;
    memcpy(rows, report->ops, sizeof rows);
    qsort(rows, report->n_ops, sizeof *rows, by_seconds);
    for (size_t i = 0; i < report->n_ops; i++) {
        total += rows[i].seconds;
    }
    if (report->n_ops == 0) {
        return;
    }
    fprintf(stream,
            "<section id=\"ops\"><h2>Where the time goes</h2>\n<p class=\"soft\">One update of %lld rows takes "
            "%.4g&nbsp;ms in these ops, each waited for: starting it counts, too, so on a fast device small ops look "
            "longer than they are. Measured in three updates beside the training.</p>\n<div class=\"scroll tall\" "
            "role=\"region\" tabindex=\"0\" aria-label=\"Time of each op\"><table class=\"numbers\" "
            "id=\"op-times\">\n<thead><tr><th "
            "scope=\"col\">op</th><th scope=\"col\">times</th><th scope=\"col\">ms</th><th scope=\"col\">share</th>"
            "</tr></thead>\n<tbody>\n",
            (long long)report->training->options.batch, 1e3 * total);
    for (size_t i = 0; i < report->n_ops; i++) {
        double share = total > 0 ? rows[i].seconds / total : 0;
        fputs("<tr><th scope=\"row\">", stream);
        html_text(stream, rows[i].op);
        fprintf(stream, "</th><td>%llu</td><td>%.3f</td><td class=\"bar\" style=\"--v:%.4f\">%.1f&nbsp;%%</td></tr>\n",
                (unsigned long long)rows[i].times, 1e3 * rows[i].seconds, share, 100 * share);
    }
    fputs("</tbody></table></div></section>\n", stream);
}

static void count_fact(FILE *stream, const char *name, long long value) {
    fprintf(stream, "<tr><th scope=\"row\">%s</th><td>", name);
    html_count(stream, value);
    fputs("</td></tr>\n", stream);
}

static void number_fact(FILE *stream, const char *name, double value) {
    if (value > 0) {
        fprintf(stream, "<tr><th scope=\"row\">%s</th><td>%.6g</td></tr>\n", name, value);
    }
}

static void begin_facts(FILE *stream, const char *id, const char *title) {
    fprintf(stream, "<section id=\"%s\"><h2>%s</h2>\n<table class=\"facts\">\n", id, title);
}

static void end_facts(FILE *stream) {
    fputs("</table></section>\n", stream);
}

/* Up to 8 channels, or columns. */
static void put_normalization(FILE *stream, const cg_data_info *data) {
    int64_t shown = data->channels < 8 ? data->channels : 8;
    fputs("<tr><th scope=\"row\">mean, deviation</th><td>", stream);
    for (int64_t i = 0; i < shown; i++) {
        fprintf(stream, "%s%.4g, %.4g", i > 0 ? "<br>" : "", data->mean[i], data->std[i]);
    }
    fputs(shown < data->channels ? "<br>…</td></tr>\n" : "</td></tr>\n", stream);
}

static void put_data(FILE *stream, const run_report *report) {
    const cg_data_info *data = cg_data_describe(report->training->data);
    begin_facts(stream, "data", "Data");
    html_fact(stream, "name", data->name);
    html_fact(stream, "one row", cg_shape_print(&data->sample, CG_SHAPE_TEXT));
    html_fact(stream, "target", data->target);
    int64_t outputs = data->classes > 0 ? data->classes : data->targets;
    count_fact(stream, data->classes > 0 ? "classes" : "numbers to learn", (long long)outputs);
    count_fact(stream, "training rows", (long long)data->rows[CG_SPLIT_TRAIN]);
    count_fact(stream, "validation rows", (long long)data->rows[CG_SPLIT_VALID]);
    count_fact(stream, "test rows", (long long)data->rows[CG_SPLIT_TEST]);
    if (data->rows[CG_SPLIT_VALID] > 0) {
        html_fact(stream, "validation is", data->valid_random ? "drawn by the seed" : "the last rows");
    }
    put_normalization(stream, data);
    html_fact(stream, "changes of training rows", data->augment);
    html_fact(stream, "read", data->streamed ? "as needed" : NULL);
    html_fact(stream, "note", data->notes);
    end_facts(stream);
}

static void put_training(FILE *stream, const run_report *report) {
    const training *t = report->training;
    const cg_train_options *chosen = &t->chosen;
    const cg_schedule *schedule = cg_trainer_schedule(t->trainer);
    char text[512];
    begin_facts(stream, "training", "Training");
    html_fact(stream, "loss", t->loss_text);
    html_fact(stream, "optimizer", t->optimizer_text);
    if (schedule) {
        cg_schedule_print(schedule, text, sizeof text);
        html_fact(stream, "schedule", text);
    }
    count_fact(stream, "rows in a batch", (long long)chosen->batch);
    if (chosen->accumulate > 1) {
        count_fact(stream, "batches in an update", (long long)chosen->accumulate);
    }
    number_fact(stream, "gradient norm at most", chosen->clip_norm);
    number_fact(stream, "gradient at most", chosen->clip_value);
    html_fact(stream, "average of weights", t->texts.average);
    html_fact(stream, "frozen", t->options.freeze);
    html_fact(stream, "groups", t->options.groups);
    count_fact(stream, "seed", (long long)chosen->seed);
    count_fact(stream, "updates done", (long long)cg_trainer_updates(t->trainer));
    count_fact(stream, "updates planned", (long long)cg_trainer_planned(t->trainer));
    end_facts(stream);
}

static void put_fallbacks(FILE *stream, const cg_device *device) {
    cg_fallback_info rows[RUN_OPS];
    size_t count = cg_device_fallbacks(device, rows, RUN_OPS);
    for (size_t i = 0; i < count && i < RUN_OPS; i++) {
        fputs("<tr><th scope=\"row\">ran on the CPU</th><td>", stream);
        html_text(stream, rows[i].op);
        fprintf(stream, ", %llu times: ", (unsigned long long)rows[i].count);
        html_text(stream, rows[i].reason);
        fputs("</td></tr>\n", stream);
    }
}

static void put_device(FILE *stream, const run_report *report) {
    static const char *const types[] = {"", "CPU", "GPU", "accelerator"};
    const cg_device_info *info = cg_device_describe(report->training->device);
    cg_device_stats stats;
    char bytes[32];
    cg_device_stats_get(report->training->device, &stats);
    begin_facts(stream, "device", "Device");
    html_fact(stream, "name", info->name);
    html_fact(stream, "device string", info->string);
    html_fact(stream, "type", info->type <= CG_DEVICE_ACCELERATOR ? types[info->type] : NULL);
    html_fact(stream, "vendor", info->vendor);
    html_fact(stream, "driver", info->driver);
    html_fact(stream, "platform", info->platform);
    html_fact(stream, "driver version", info->driver_version);
    html_fact(stream, "version", info->api_version);
    html_fact(stream, "kernels for", info->profile);
    count_fact(stream, "units", info->units);
    html_fact(stream, "memory", report_bytes(info->memory_bytes, bytes, sizeof bytes));
    html_fact(stream, "memory used at most", report_bytes(stats.bytes_peak, bytes, sizeof bytes));
    put_fallbacks(stream, report->training->device);
    end_facts(stream);
}

static bool has_flag(const run_report *report, const char *flag) {
    size_t length = strlen(flag);
    bool found = false;
    for (int i = 0; i < report->argc; i++) {
        const char *text = report->argv[i];
        found = found || (strncmp(text, flag, length) == 0 && (text[length] == '\0' || text[length] == '='));
    }
    return found;
}

/* The flags as they were given, and the device, which may have been chosen. False where memory is out. */
static bool put_command(FILE *stream, const run_report *report) {
    char *line = NULL;
    size_t size;
    FILE *text = open_memstream(&line, &size);
    if (!text) {
        return false;
    }
    fputs("clgrad train", text);
    for (int i = 0; i < report->argc; i++) {
        fputc(' ', text);
        shell_text(text, report->argv[i]);
    }
    if (!has_flag(report, "--device")) {
        fputs(" --device ", text);
        shell_text(text, cg_device_describe(report->training->device)->string);
    }
    bool good = fclose(text) == 0;
    fputs("<section id=\"command\"><h2>Again</h2>\n<pre class=\"code\"><code>", stream);
    html_text(stream, line);
    fputs("</code></pre>\n<p class=\"soft small\">The same bits with the same data, device and number of threads, by "
          "clgrad " CG_VERSION,
          stream);
    fputs(report->training->options.resume ? "; from the checkpoint as it was then.</p></section>\n"
                                           : ".</p></section>\n",
          stream);
    free(line);
    return good;
}

bool run_page(FILE *stream, const run_report *report) {
    put_head(stream, report);
    put_tiles(stream, report);
    run_curves(stream, report);
    run_results(stream, report);
    bool good = run_worst(stream, report) && run_filters(stream, report);
    put_model(stream, report);
    put_ops(stream, report);
    fputs("<div class=\"three\">\n", stream);
    put_data(stream, report);
    put_training(stream, report);
    put_device(stream, report);
    fputs("</div>\n", stream);
    good = good && put_command(stream, report);
    fprintf(stream, "</main>\n<script>\n%s</script>\n</body>\n</html>\n", file_named("run_page.js"));
    return good;
}
