/* Line and point charts. */
#include "chart.h"

#include <math.h>

#include "html.h"

#define WIDTH 360.0
#define HEIGHT 226.0
#define LEFT 44.0
#define RIGHT 12.0
#define TOP 24.0
#define BOTTOM 40.0
#define TICKS 5
#define LOG_RATIO 30

/* One direction: values low..high on pixels from..to. */
typedef struct axis {
    double low, high, from, to;
    bool logarithmic, percent;
} axis;

static double place(const axis *a, double value) {
    double share = a->logarithmic ? log(value / a->low) / log(a->high / a->low) : (value - a->low) / (a->high - a->low);
    return a->from + share * (a->to - a->from);
}

static bool shown(const chart_series *s, size_t i) {
    return isfinite(s->x[i]) && isfinite(s->y[i]);
}

static void widen(double value, double *low, double *high) {
    *low = fmin(*low, value);
    *high = fmax(*high, value);
}

/* The smallest and largest values; false: there is none. */
static bool find_range(const chart *c, double x[2], double y[2]) {
    x[0] = y[0] = INFINITY;
    x[1] = y[1] = -INFINITY;
    for (size_t i = 0; i < c->n_series; i++) {
        for (size_t j = 0; j < c->series[i].count; j++) {
            if (shown(&c->series[i], j)) {
                widen(c->series[i].x[j], &x[0], &x[1]);
                widen(c->series[i].y[j], &y[0], &y[1]);
            }
        }
    }
    if (c->x_first && x[0] <= x[1]) {
        widen(*c->x_first, &x[0], &x[1]);
    }
    return x[0] <= x[1];
}

/* 1, 2 or 5 times a power of ten, so that about TICKS of them make the span. */
static double nice_step(double span) {
    double raw = span / TICKS, power = pow(10, floor(log10(raw))), lead = raw / power;
    return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
}

static axis make_axis(const double range[2], double from, double to) {
    axis a = {.low = range[0], .high = range[1], .from = from, .to = to};
    if (!(a.high > a.low)) { /* one value: it stands in the middle */
        double room = a.low != 0 ? fabs(a.low) / 2 : 1;
        a.low -= room;
        a.high += room;
    }
    return a;
}

static axis make_y(const double range[2], bool percent, bool linear) {
    axis a = make_axis(range, HEIGHT - BOTTOM, TOP);
    a.percent = percent;
    a.logarithmic = !percent && !linear && range[0] > 0 && range[1] > LOG_RATIO * range[0];
    if (a.logarithmic) {
        a.low /= 1.1;
        a.high *= 1.1;
        return a;
    }
    double step = nice_step(a.high - a.low);
    a.low = a.low > 0 && a.low < 0.4 * a.high ? 0 : step * floor(a.low / step);
    a.high = step * ceil(a.high / step);
    if (percent) {
        a.low = fmax(a.low, 0);
        a.high = fmin(a.high, 1);
    }
    return a;
}

static void put_label(FILE *stream, const axis *a, double value) {
    double zero = fabs(value) < 1e-9 * (a->high - a->low) && !a->logarithmic ? 0 : value;
    double size = fmax(fabs(a->low), fabs(a->high)), unit = size >= 1e10  ? 1
                                                            : size >= 2e6 ? 1e6
                                                            : size >= 1e4 ? 1e3
                                                                          : 1;
    if (a->percent) {
        fprintf(stream, "%.4g&#8239;%%", 100 * zero);
    } else if (a->logarithmic || zero == 0) {
        fprintf(stream, "%.4g", zero);
    } else {
        fprintf(stream, "%.4g%s", zero / unit, unit == 1e6 ? "M" : unit == 1e3 ? "k" : "");
    }
}

static void put_tick_y(FILE *stream, const axis *a, double value) {
    double y = place(a, value);
    fprintf(stream, "<path class=\"grid\" d=\"M%g %.1fH%g\"/><text class=\"tick end\" x=\"%g\" y=\"%.1f\">", LEFT, y,
            WIDTH - RIGHT, LEFT - 6, y + 4);
    put_label(stream, a, value);
    fputs("</text>\n", stream);
}

static void put_tick_x(FILE *stream, const axis *a, double value) {
    double x = place(a, value);
    fprintf(stream, "<path class=\"grid\" d=\"M%.1f %gv4\"/><text class=\"tick middle\" x=\"%.1f\" y=\"%g\">", x,
            HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 16);
    put_label(stream, a, value);
    fputs("</text>\n", stream);
}

typedef void (*put_tick)(FILE *stream, const axis *a, double value);

static void put_linear_ticks(FILE *stream, const axis *a, put_tick put) {
    double step = nice_step(a->high - a->low);
    for (double i = ceil(a->low / step - 1e-9); i * step <= a->high + 1e-9 * step; i++) {
        put(stream, a, i * step);
    }
}

/* Every power of ten; 2 and 5 times them where there are few. */
static void put_log_ticks(FILE *stream, const axis *a, put_tick put) {
    static const double leads[] = {1, 2, 5};
    double decades = log10(a->high / a->low);
    int skip = (int)ceil(decades / 6);
    size_t n_leads = decades < 2.5 ? 3 : 1;
    for (int power = (int)floor(log10(a->low)); power <= (int)ceil(log10(a->high)); power++) {
        for (size_t i = 0; i < n_leads && power % (skip > 0 ? skip : 1) == 0; i++) {
            double value = leads[i] * pow(10, power);
            if (value >= a->low && value <= a->high) {
                put(stream, a, value);
            }
        }
    }
}

static void put_axes(FILE *stream, const chart *c, const axis *x, const axis *y) {
    (y->logarithmic ? put_log_ticks : put_linear_ticks)(stream, y, put_tick_y);
    put_linear_ticks(stream, x, put_tick_x);
    fprintf(stream, "<path class=\"axis\" d=\"M%g %gH%g\"/>\n", LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT);
    fprintf(stream, "<text class=\"label middle\" x=\"%g\" y=\"%g\">", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6);
    html_text(stream, c->x_label);
    fputs("</text>\n<text class=\"label\" x=\"0\" y=\"11\">", stream);
    html_text(stream, c->y_label);
    fputs(y->logarithmic ? ", logarithmic</text>\n" : "</text>\n", stream);
}

static void put_values(FILE *stream, const char *name, const double *values, size_t count) {
    fprintf(stream, " data-%s=\"", name);
    for (size_t i = 0; i < count; i++) {
        fprintf(stream, isfinite(values[i]) ? "%s%.6g" : "%s", i > 0 ? " " : "", values[i]);
    }
    fputc('"', stream);
}

static void put_line(FILE *stream, const chart_series *s, const axis *x, const axis *y) {
    bool open = false;
    fputs("<path class=\"line\" d=\"", stream);
    for (size_t i = 0; i < s->count; i++) {
        if (shown(s, i)) {
            fprintf(stream, "%c%.1f %.1f", open ? 'L' : 'M', place(x, s->x[i]), place(y, s->y[i]));
        }
        open = shown(s, i);
    }
    fputs("\"/>", stream);
}

static void put_series(FILE *stream, const chart_series *s, const axis *x, const axis *y) {
    fprintf(stream, "<g class=\"series c%d%s\" data-name=\"", s->colour, s->mark == CHART_FAINT ? " faint" : "");
    html_text(stream, s->name);
    fputc('"', stream);
    put_values(stream, "x", s->x, s->count);
    put_values(stream, "y", s->y, s->count);
    fputc('>', stream);
    if (s->mark != CHART_POINTS) {
        put_line(stream, s, x, y);
    }
    double radius = s->mark == CHART_POINTS ? 2 : s->count > 40 ? 1.5 : 3;
    for (size_t i = 0; i < s->count && (s->mark == CHART_DOTS || s->mark == CHART_POINTS); i++) {
        if (shown(s, i)) {
            fprintf(stream, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%g\"/>", place(x, s->x[i]), place(y, s->y[i]), radius);
        }
    }
    fputs("</g>\n", stream);
}

static void put_legend(FILE *stream, const chart *c) {
    fputs("<ul class=\"legend\">", stream);
    for (size_t i = 0; i < c->n_series; i++) {
        const chart_series *s = &c->series[i];
        if (s->count > 0) {
            fprintf(stream, "<li class=\"c%d%s\">", s->colour, s->mark == CHART_FAINT ? " faint" : "");
            html_text(stream, s->name);
            fputs("</li>", stream);
        }
    }
    fputs("</ul>\n", stream);
}

void chart_write(FILE *stream, const chart *c) {
    double x_range[2], y_range[2];
    if (!find_range(c, x_range, y_range)) {
        return;
    }
    const axis x = make_axis(x_range, LEFT, WIDTH - RIGHT), y = make_y(y_range, c->percent, c->linear);
    fputs("<figure class=\"chart\"><figcaption>", stream);
    html_text(stream, c->title);
    fputs("</figcaption>\n", stream);
    put_legend(stream, c);
    fprintf(stream,
            "<svg viewBox=\"0 0 %g %g\" role=\"img\" data-plot=\"%g %g %g %g\" data-domain=\"%.9g %.9g %.9g %.9g\""
            "%s%s aria-label=\"",
            WIDTH, HEIGHT, LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, TOP, x.low, x.high, y.low, y.high,
            y.logarithmic ? " data-log" : "", c->percent ? " data-percent" : "");
    html_text(stream, c->alternative);
    fputs(c->linear ? "\">\n" : "\" data-x-label=\"", stream);
    html_text(stream, c->linear ? NULL : c->x_label);
    fputs(c->linear ? "" : "\">\n", stream);
    put_axes(stream, c, &x, &y);
    for (size_t i = 0; i < c->n_series; i++) {
        put_series(stream, &c->series[i], &x, &y);
    }
    fputs("</svg>\n<output class=\"readout\" aria-hidden=\"true\"></output></figure>\n", stream);
}
