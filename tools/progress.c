/* The live line and the table of a training. */
#include "progress.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "terminal.h"

#define DRAW_SECONDS 0.1
#define BAR_MOST 30
#define BAR_LEAST 8
#define LINE_SIZE 256

void progress_open(progress_view *view, FILE *stream, bool quiet) {
    *view = (progress_view){.stream = stream, .quiet = quiet};
    view->live = !quiet && terminal_is_live(stream);
    view->utf8 = terminal_is_utf8();
}

void progress_clear(progress_view *view) {
    if (view->drawn) {
        fputs("\r\033[K", view->stream);
        fflush(view->stream);
        view->drawn = false;
    }
}

/* A new epoch starts the measurement of the rate anew, so that validation does not count. */
static void note_epoch(progress_view *view, const cg_progress *progress, double time) {
    if (view->epoch != progress->epoch) {
        view->epoch = progress->epoch;
        view->begin = time;
        view->begin_samples = progress->samples;
        view->begin_step = progress->step;
    }
}

/* Appends to a line of at most `room` columns, or leaves the field out when it does not fit. */
static void append(char *line, int room, const char *format, ...) CG_PRINTF(3, 4);

static void append(char *line, int room, const char *format, ...) {
    char field[64];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(field, sizeof field, format, arguments);
    va_end(arguments);
    size_t used = strlen(line);
    if (length > 0 && (size_t)length < sizeof field && (int)used + length <= room && used + sizeof field < LINE_SIZE) {
        memcpy(line + used, field, (size_t)length + 1);
    }
}

static void append_left(char *line, int room, double seconds) {
    long left = lround(seconds);
    if (left >= 3600) {
        append(line, room, "  %ld:%02ld:%02ld left", left / 3600, left / 60 % 60, left % 60);
    } else {
        append(line, room, "  %ld:%02ld left", left / 60, left % 60);
    }
}

/* What stands right of the bar. */
static void describe(const progress_view *view, const cg_progress *progress, double time, char *line, int room) {
    if (isfinite(progress->loss)) {
        append(line, room, "  loss %.4f", progress->loss);
    }
    if (isfinite(progress->accuracy)) {
        append(line, room, "  accuracy %.2f %%", 100 * progress->accuracy);
    }
    double seconds = time - view->begin;
    int64_t steps = progress->step - view->begin_step;
    if (seconds > 0 && steps > 0) {
        append(line, room, "  %.0f samples/s", (double)(progress->samples - view->begin_samples) / seconds);
        append_left(line, room, (double)(progress->steps - progress->step) * seconds / (double)steps);
    }
}

static void draw_bar(const progress_view *view, int width, double share) {
    int full = (int)(share * width + 0.5);
    for (int i = 0; i < width; i++) {
        fputs(i < full ? (view->utf8 ? "█" : "#") : (view->utf8 ? "░" : "."), view->stream);
    }
}

void progress_loss(progress_view *view, const cg_progress *progress) {
    if (view->live) {
        sparkline_add(&view->losses, progress->loss);
    }
}

static void draw_losses(const progress_view *view, int room) {
    char text[SPARK_SIZE];
    int columns = sparkline_text(&view->losses, view->utf8, text);
    if (columns >= 2 && columns + 2 <= room) {
        fprintf(view->stream, "  %s", text);
    }
}

void progress_end(progress_view *view) {
    char text[SPARK_SIZE];
    progress_clear(view);
    if (view->live && sparkline_text(&view->losses, view->utf8, text) >= 2) {
        fprintf(view->stream, "loss       %s  from %.4g to %.4g\n", text, sparkline_mean(&view->losses, 0),
                sparkline_mean(&view->losses, view->losses.columns - 1));
    }
}

static void draw_line(progress_view *view, const cg_progress *progress, double time) {
    char left[LINE_SIZE] = "", right[LINE_SIZE] = "";
    bool epochs = progress->epochs > 0;
    int room = terminal_width(view->stream) - 1;
    append(left, room, "%s %lld/%lld ", epochs ? "epoch" : "step",
           (long long)(epochs ? progress->epoch : progress->step),
           (long long)(epochs ? progress->epochs : progress->steps));
    room -= (int)strlen(left);
    describe(view, progress, time, right, room);
    double share =
        epochs ? (double)progress->batch / (double)progress->batches : (double)progress->step / (double)progress->steps;
    int bar = room - (int)strlen(right);
    int losses = bar >= BAR_LEAST + SPARK_COLUMNS + 2 ? SPARK_COLUMNS + 2 : 0;
    bar -= losses;
    fprintf(view->stream, "\r%s", left);
    if (bar >= BAR_LEAST) {
        draw_bar(view, bar < BAR_MOST ? bar : BAR_MOST, share);
    }
    draw_losses(view, losses);
    fprintf(view->stream, "%s\033[K", right);
    fflush(view->stream);
    view->drawn = true;
}

void progress_batch(progress_view *view, const cg_progress *progress) {
    if (!view->live) {
        return;
    }
    double time = monotonic_seconds();
    note_epoch(view, progress, time);
    if (time - view->last_draw >= DRAW_SECONDS) {
        draw_line(view, progress, time);
        view->last_draw = time;
    }
}

static void print_header(progress_view *view) {
    if (!view->header) {
        fprintf(view->stream, "%5s %12s %12s %12s %10s %10s\n", "epoch", "train loss", "valid loss", "accuracy",
                "samples/s", "seconds");
        view->header = true;
    }
}

/* A loss, or "-" where there is none. */
static void print_loss(FILE *stream, double loss) {
    if (isfinite(loss)) {
        fprintf(stream, " %12.4f", loss);
    } else {
        fprintf(stream, " %12s", "-");
    }
}

static void print_accuracy(FILE *stream, double accuracy) {
    if (isfinite(accuracy)) {
        fprintf(stream, " %10.2f %%", 100 * accuracy);
    } else {
        fprintf(stream, " %12s", "-");
    }
}

void progress_epoch(progress_view *view, const cg_progress *progress) {
    if (view->quiet) {
        return;
    }
    progress_clear(view);
    print_header(view);
    fprintf(view->stream, "%5lld", (long long)progress->epoch);
    print_loss(view->stream, progress->train_loss);
    print_loss(view->stream, progress->valid_loss);
    print_accuracy(view->stream, progress->valid_accuracy);
    double rate = progress->train_seconds > 0 ? (double)progress->samples / progress->train_seconds : 0;
    fprintf(view->stream, " %10.0f %10.3f\n", rate, progress->train_seconds);
    fflush(view->stream);
}
