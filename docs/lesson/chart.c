/* A chart of lines over a logarithmic scale, as SVG. */
#include "lesson.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Small and with large letters, to be read on a phone; the names of the lines stand in two columns below. */
enum { WIDTH = 440, HEIGHT = 300, LEFT = 62, RIGHT = 16, TOP = 40, BOTTOM = 32, NAME = 24, SIZE = 15 };
static const char *const colours[] = {"#c0392b", "#2471a3", "#1e8449", "#b7950b", "#7d3c98", "#5d6d7e"};

typedef struct scale {
    double low, high; /* powers of ten */
    int count;
} scale;

/* The powers of ten that hold every number; what has no logarithm is left out. */
static scale find_scale(const lesson_line *lines, int count) {
    scale s = {.low = INFINITY, .high = -INFINITY, .count = count};
    for (const lesson_line *line = lines; line->name != NULL; line++) {
        for (int i = 0; i < count; i++) {
            double power = log10(line->values[i]);
            s.low = isfinite(power) ? fmin(s.low, floor(power)) : s.low;
            s.high = isfinite(power) ? fmax(s.high, ceil(power)) : s.high;
        }
    }
    s.high = s.high > s.low ? s.high : s.low + 1;
    return s;
}

static double place_x(const scale *s, int i) {
    return LEFT + (WIDTH - LEFT - RIGHT) * (double)i / (s->count > 1 ? s->count - 1 : 1);
}

static double place_y(const scale *s, double value) {
    return TOP + (HEIGHT - TOP - BOTTOM) * (s->high - log10(value)) / (s->high - s->low);
}

static void draw_mark(FILE *file, const scale *s, double value) {
    double y = place_y(s, value);
    fprintf(file,
            "<path d=\"M%d %.1fH%d\" stroke=\"#ddd\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0e</text>\n",
            LEFT, y, WIDTH - RIGHT, LEFT - 8, y + 5, value);
}

/* Six marks or so at the left, also at 2 and 5 where there are few powers of ten; the ends' names below. */
static void draw_axes(FILE *file, const scale *s, lesson_labels labels) {
    double step = fmax(1, ceil((s->high - s->low) / 6));
    for (double power = ceil(s->low / step) * step; power <= s->high; power += step) {
        draw_mark(file, s, pow(10, power));
        if (s->high - s->low <= 2 && power < s->high) {
            draw_mark(file, s, 2 * pow(10, power));
            draw_mark(file, s, 5 * pow(10, power));
        }
    }
    fprintf(file, "<text x=\"%d\" y=\"%d\">%s</text><text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", LEFT,
            HEIGHT - BOTTOM + 20, labels.first, WIDTH - RIGHT, HEIGHT - BOTTOM + 20, labels.last);
}

static void draw_line(FILE *file, const scale *s, const lesson_line *line, int number) {
    const char *colour = colours[(size_t)number % (sizeof colours / sizeof colours[0])];
    fputs("<path fill=\"none\" stroke-width=\"2\" d=\"", file);
    const char *command = "M";
    for (int i = 0; i < s->count; i++) {
        if (isfinite(log10(line->values[i]))) {
            fprintf(file, "%s%.1f %.1f", command, place_x(s, i), place_y(s, line->values[i]));
            command = "L";
        }
    }
    int x = number % 2 == 0 ? LEFT : WIDTH / 2 + 20, y = HEIGHT + NAME * (number / 2) + 12;
    fprintf(file, "\" stroke=\"%s\"/>\n<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>\n", colour, x, y, colour,
            line->name);
}

cg_status lesson_chart(const char *path, lesson_labels labels, const lesson_line *lines, int count) {
    if (path[0] == '\0') {
        return CG_OK;
    }
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return cg_fail(CG_ERR_FILE, "%s: %s", path, strerror(errno));
    }
    scale s = find_scale(lines, count);
    int n_lines = 0;
    while (lines[n_lines].name != NULL) {
        n_lines++;
    }
    int height = HEIGHT + NAME * ((n_lines + 1) / 2);
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
            "font-size=\"%d\">\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n<text x=\"%d\" y=\"22\">%s</text>\n",
            WIDTH, height, SIZE, WIDTH, height, LEFT, labels.title);
    draw_axes(file, &s, labels);
    for (int i = 0; lines[i].name != NULL; i++) {
        draw_line(file, &s, &lines[i], i);
    }
    fputs("</svg>\n", file);
    bool failed = ferror(file) != 0;
    return fclose(file) == 0 && !failed ? CG_OK : cg_fail(CG_ERR_FILE, "%s: %s", path, strerror(errno));
}
