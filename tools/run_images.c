/* The images of a page: rows that the model was most wrong on, and what its first layer looks for. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "html.h"
#include "picture.h"
#include "run_report.h"

#define LARGEST 96 /* pixels of a side; larger images are made smaller */
#define MOST_FILTERS 64
#define LEAST_FILTER 2 /* a filter of 1 x 1 shows nothing */

/* Channels, height and width of what can be drawn; false: it is no image. */
static bool image_shape(const cg_shape *sample, int64_t shape[3]) {
    if (sample->rank != 3 || sample->dim[1] < 2 || sample->dim[2] < 2) {
        return false;
    }
    memcpy(shape, sample->dim, 3 * sizeof *shape);
    return true;
}

/* Bytes of pixels 0 to 1; others are spread between the lowest and the highest. */
static void fit_pixels(float *pixels, int64_t count) {
    float low = 0, high = 1;
    for (int64_t i = 0; i < count; i++) {
        low = pixels[i] < low ? pixels[i] : low;
        high = pixels[i] > high ? pixels[i] : high;
    }
    for (int64_t i = 0; i < count; i++) {
        pixels[i] = (pixels[i] - low) / (high - low);
    }
}

static unsigned char byte_of(float value) {
    return value >= 1 ? 255 : value > 0 ? (unsigned char)lroundf(255 * value) : 0;
}

/* The mean of a square of pixels; of channels that are no colour the first is shown. */
static bool draw_pixels(const float *pixels, const int64_t shape[3], picture *made) {
    int64_t height = shape[1], width = shape[2], longer = height > width ? height : width;
    int64_t side = (longer + LARGEST - 1) / LARGEST;
    int channels = shape[0] == 3 ? 3 : 1;
    if (!picture_create((int)((width + side - 1) / side), (int)((height + side - 1) / side), channels, made)) {
        return false;
    }
    for (int64_t i = 0; i < (int64_t)made->height * made->width * channels; i++) {
        int64_t c = i % channels, x = i / channels % made->width * side, y = i / channels / made->width * side;
        float sum = 0;
        int64_t count = 0;
        for (int64_t place = 0; place < side * side; place++) {
            int64_t row = y + place / side, column = x + place % side;
            if (row < height && column < width) {
                sum += pixels[(c * height + row) * width + column];
                count++;
            }
        }
        made->pixels[i] = byte_of(sum / (float)count);
    }
    return true;
}

static cg_split split_of(const run_report *report) {
    return run_report_sampled(report) ? CG_SPLIT_TRAIN : CG_SPLIT_VALID;
}

static const char *file_of(const run_report *report, int64_t row) {
    const char *path = cg_data_row_name(report->training->data, split_of(report), row);
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path;
}

/* The picture with its words. */
static bool put_picture(FILE *stream, const run_report *report, const cg_wrong_row *row, const picture *made) {
    fputs("<img class=\"pixels\" src=\"", stream);
    bool good = picture_write(stream, made);
    fputs("\" alt=\"A ", stream);
    html_text(stream, run_class_name(report, row->expected));
    fputs(" that was taken for ", stream);
    html_text(stream, run_class_name(report, row->predicted));
    fputs("\">\n", stream);
    return good;
}

/* A file that cannot be read any more leaves its place empty. */
static bool put_image(FILE *stream, const run_report *report, const cg_wrong_row *row, const int64_t shape[3]) {
    int64_t count = shape[0] * shape[1] * shape[2];
    float *pixels = malloc((size_t)count * sizeof *pixels);
    bool good = pixels != NULL;
    if (good && cg_data_pixels(report->training->data, split_of(report), row->row, pixels) == CG_OK) {
        picture made;
        fit_pixels(pixels, count);
        good = draw_pixels(pixels, shape, &made) && put_picture(stream, report, row, &made);
        picture_free(&made);
    }
    free(pixels);
    return good;
}

static void put_probability(FILE *stream, const run_report *report, const cg_wrong_row *row, int64_t index,
                            const char *kind) {
    bool known = index < cg_data_describe(report->training->data)->classes;
    double share = known ? (double)row->probabilities[index] : NAN;
    fprintf(stream, "<li class=\"%s\" style=\"--v:%.4f\"><span>", kind, isfinite(share) ? share : 0);
    html_text(stream, run_class_name(report, index));
    fputs("</span> ", stream);
    if (share > 0 && share < 0.00005) {
        fputs("&lt;&nbsp;0.01&nbsp;%", stream);
    } else {
        html_percent(stream, share);
    }
    fputs("</li>", stream);
}

static bool put_wrong(FILE *stream, const run_report *report, const cg_wrong_row *row, const int64_t *shape) {
    const char *file = file_of(report, row->row);
    fprintf(stream, "<li class=\"wrong\" data-row=\"%lld\">", (long long)row->row);
    bool good = !shape || put_image(stream, report, row, shape);
    fputs("<p><b>", stream);
    html_text(stream, run_class_name(report, row->expected));
    fputs("</b> <span class=\"soft\">taken for</span> <b class=\"bad\">", stream);
    html_text(stream, run_class_name(report, row->predicted));
    fputs("</b></p><ul class=\"bars\">", stream);
    put_probability(stream, report, row, row->predicted, "bad");
    put_probability(stream, report, row, row->expected, "good");
    fprintf(stream, "</ul><p class=\"soft small\">row %lld", (long long)row->row);
    if (file) {
        fputs(", ", stream);
        html_text(stream, file);
    }
    fputs("</p></li>\n", stream);
    return good;
}

bool run_worst(FILE *stream, const run_report *report) {
    int64_t count = report->metrics ? cg_metrics_worst_count(report->metrics) : 0, shape[3];
    bool images = image_shape(&cg_data_describe(report->training->data)->sample, shape), good = true;
    if (count == 0) {
        return true;
    }
    fprintf(stream,
            "<section id=\"worst\"><h2>Most wrong</h2>\n<p class=\"soft\">The %s that gave their own class the "
            "lowest probability, of the %s.</p>\n<ol class=\"%s\">\n",
            images ? "images" : "rows", run_report_rows(report), images ? "gallery" : "gallery plain");
    for (int64_t i = 0; i < count && good; i++) {
        const cg_wrong_row row = cg_metrics_worst(report->metrics, i);
        good = put_wrong(stream, report, &row, images ? shape : NULL);
    }
    fputs("</ol></section>\n", stream);
    return good;
}

/* Filters of the first layer: how many, and the [channels, height, width] of each. */
typedef struct filters {
    const char *name;
    cg_tensor *weight;
    int64_t count, shape[3];
} filters;

static bool ends_in_weight(const char *name) {
    size_t length = strlen(name);
    return length >= 6 && strcmp(name + length - 6, "weight") == 0;
}

/* The first weight, where it looks at pixels: a convolution's, or a Linear's rows in the image's shape. */
static bool find_filters(const run_report *report, filters *f) {
    const training *t = report->training;
    const cg_shape *sample = &cg_data_describe(t->data)->sample;
    int64_t image[3];
    for (size_t i = 0; i < cg_module_parameter_count(t->model); i++) {
        cg_tensor *weight = cg_module_parameter(t->model, i, &f->name);
        const cg_shape *shape = cg_tensor_shape(weight);
        if (!ends_in_weight(f->name)) {
            continue;
        }
        f->weight = weight;
        f->count = shape->rank > 0 ? shape->dim[0] : 0;
        if (shape->rank == 4 && image_shape(sample, image)) {
            memcpy(f->shape, shape->dim + 1, sizeof f->shape);
            return f->shape[1] >= LEAST_FILTER && f->shape[2] >= LEAST_FILTER;
        }
        bool rows = shape->rank == 2 && shape->dim[1] == cg_shape_numel(sample);
        return rows && image_shape(sample, f->shape);
    }
    return false;
}

/* Grey filters: blue above 0, orange below, no ink at 0. Of three channels: the colour that they look for. */
static bool draw_filter(const float *weights, const int64_t shape[3], picture *made) {
    int64_t area = shape[1] * shape[2], count = shape[0] * area;
    bool colours = shape[0] == 3;
    float largest = 0;
    for (int64_t i = 0; i < (colours ? count : area); i++) {
        largest = fabsf(weights[i]) > largest ? fabsf(weights[i]) : largest;
    }
    if (!picture_create((int)shape[2], (int)shape[1], colours ? 3 : 4, made)) {
        return false;
    }
    for (int64_t i = 0; i < area; i++) {
        if (colours) {
            for (int64_t c = 0; c < 3; c++) {
                made->pixels[3 * i + c] = byte_of(0.5F + 0.5F * weights[c * area + i] / largest);
            }
        } else {
            static const unsigned char above[] = {58, 122, 232}, below[] = {235, 122, 36};
            memcpy(made->pixels + 4 * i, weights[i] > 0 ? above : below, 3);
            made->pixels[4 * i + 3] = byte_of(fabsf(weights[i]) / largest);
        }
    }
    return true;
}

static bool put_filters(FILE *stream, const filters *f, const float *weights, int64_t shown) {
    int64_t size = f->shape[0] * f->shape[1] * f->shape[2];
    bool good = true;
    for (int64_t i = 0; i < shown && good; i++) {
        picture made;
        good = draw_filter(weights + i * size, f->shape, &made);
        fputs("<img class=\"pixels\" alt=\"\" src=\"", stream);
        good = good && picture_write(stream, &made);
        fputs("\">", stream);
        picture_free(&made);
    }
    return good;
}

bool run_filters(FILE *stream, const run_report *report) {
    filters f = {0};
    if (!find_filters(report, &f)) {
        return true;
    }
    int64_t shown = f.count < MOST_FILTERS ? f.count : MOST_FILTERS, all = cg_tensor_numel(f.weight);
    float *weights = malloc((size_t)all * sizeof *weights);
    bool good = weights && cg_tensor_read_f32(f.weight, weights, all) == CG_OK;
    fputs("<section id=\"filters\"><h2>What the first layer looks for</h2>\n<p class=\"soft\">", stream);
    html_text(stream, f.name);
    fprintf(stream, ": %lld of %lld, %lld × %lld pixels, each by its own largest weight. %s%s</p>\n", (long long)shown,
            (long long)f.count, (long long)f.shape[1], (long long)f.shape[2],
            f.shape[0] == 3  ? "Colours are red, green and blue weights, grey is 0."
            : f.shape[0] > 1 ? "Blue is above 0, orange below; the first channel of each."
                             : "Blue is above 0, orange below.",
            report->training->chosen.average ? " Of the trained weights, not their averages." : "");
    fprintf(stream, "<div class=\"filters\" role=\"img\" aria-label=\"%lld filters of the first layer\">\n",
            (long long)shown);
    good = good && put_filters(stream, &f, weights, shown);
    fputs("</div></section>\n", stream);
    free(weights);
    return good;
}
