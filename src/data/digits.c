/* The digits that are built in: 1,797 images of 8 x 8 pixels with values 0 to 16, as comma-separated text. */
#include <string.h>

#include "alloc.h"
#include "embedded.h"
#include "samples.h"

#define SIDE 8
#define PIXELS (SIDE * SIDE)
#define LARGEST 16
#define CLASSES 10

extern const cg_embedded cg_digits_csv[];

static cg_status wrong_line(int64_t row) {
    return cg_fail(CG_ERR_FORMAT, "built-in digits: line %lld has no %d numbers from 0 to %d and a class",
                   (long long)row + 2, PIXELS, LARGEST);
}

/* Reads a number of one or two digits and the separator behind it; -1 when there is none. */
static int read_number(const char **at, char separator) {
    const char *c = *at;
    int value = 0, digits = 0;
    for (; *c >= '0' && *c <= '9' && digits < 2; c++, digits++) {
        value = 10 * value + (*c - '0');
    }
    bool ended = digits > 0 && *c == separator;
    *at = ended ? c + 1 : c;
    return ended ? value : -1;
}

static cg_status read_line(const char **at, int64_t row, cg_samples *samples) {
    for (int i = 0; i < PIXELS; i++) {
        int value = read_number(at, ',');
        if (value < 0 || value > LARGEST) {
            return wrong_line(row);
        }
        ((uint8_t *)samples->values)[row * PIXELS + i] = (uint8_t)value;
    }
    int class_index = read_number(at, '\n');
    if (class_index < 0 || class_index >= CLASSES) {
        return wrong_line(row);
    }
    samples->classes[row] = class_index;
    return CG_OK;
}

static int64_t count_lines(const char *text) {
    int64_t lines = 0;
    for (; *text != '\0'; text++) {
        lines += *text == '\n';
    }
    return lines;
}

cg_status cg_digits_load(cg_source *source) {
    *source = (cg_source){.name = "digits", .classes = CLASSES, .scale = LARGEST, .valid = 0.2, .valid_random = true};
    const char *text = cg_digits_csv[0].text;
    cg_samples *samples = &source->train;
    samples->count = count_lines(text) - 1; /* the first line has the names of the columns */
    samples->shape = CG_SHAPE(1, SIDE, SIDE);
    samples->dtype = CG_U8;
    samples->values = cg_alloc((size_t)samples->count * PIXELS);
    samples->classes = cg_alloc((size_t)samples->count * sizeof *samples->classes);
    if (samples->values == NULL || samples->classes == NULL) {
        return CG_ERR_MEMORY;
    }
    const char *at = strchr(text, '\n') + 1;
    for (int64_t row = 0; row < samples->count; row++) {
        CG_TRY(read_line(&at, row, samples));
    }
    return CG_OK;
}
