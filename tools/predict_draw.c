/* Predictions as images with the likeliest classes below them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"
#include "likeliest.h"
#include "terminal.h"

#define MOST_BESIDE 16
#define TEXT_SIZE 256
#define BAR_COLUMNS 12
/* "name ████████████  99.9 %": a name of up to so many characters. */
#define NAME_COLUMNS 8
#define CELL_COLUMNS (NAME_COLUMNS + 1 + BAR_COLUMNS + 8)

static draw_format format_of(const cg_shape *sample) {
    return (draw_format){.channels = (int)sample->dim[sample->rank - 3],
                         .height = (int)sample->dim[sample->rank - 2],
                         .width = (int)sample->dim[sample->rank - 1],
                         .column = CELL_COLUMNS,
                         .ink = draw_ink_of(stdout)};
}

/* What the model takes it for, and what it is where that is something else. */
static void put_caption(const saved_model *saved, const prediction *p, int64_t i, char text[TEXT_SIZE]) {
    int64_t best = likeliest(p, i, 0).index, right = p->expected[i];
    const char *file = predict_file(saved, p, i);
    const char *name = cg_data_class_name(saved->data, best);
    if (file) {
        const char *end = strrchr(file, '/');
        snprintf(text, TEXT_SIZE, "%s: %s", end ? end + 1 : file, name);
    } else if (best == right || right < 0) {
        snprintf(text, TEXT_SIZE, "%s", name);
    } else {
        snprintf(text, TEXT_SIZE, "%s, true: %s", name, cg_data_class_name(saved->data, right));
    }
}

static void put_bar(const saved_model *saved, const prediction *p, int64_t i, int64_t place, char text[TEXT_SIZE]) {
    likely class = likeliest(p, i, place);
    char bar[BAR_COLUMNS * 4 + 8];
    draw_bar(bar, sizeof bar, class.probability, BAR_COLUMNS, terminal_is_utf8());
    snprintf(text, TEXT_SIZE, "%-*.*s %s %5.1f %%", NAME_COLUMNS, NAME_COLUMNS,
             cg_data_class_name(saved->data, class.index), bar, 100 * (double)class.probability);
}

/* Rows begin..begin+count-1 beside each other; `pixels` has room for them. */
static cg_status draw_group(const saved_model *saved, const prediction *p, int64_t begin, int count, int64_t top,
                            float *pixels) {
    const draw_format format = format_of(&cg_data_describe(saved->data)->sample);
    const float *images[MOST_BESIDE];
    const char *lines[MOST_BESIDE];
    char texts[MOST_BESIDE][TEXT_SIZE];
    for (int i = 0; i < count; i++) {
        put_caption(saved, p, begin + i, texts[i]);
        lines[i] = texts[i];
        images[i] = pixels + i * p->sample;
        CG_TRY(cg_data_pixels(saved->data, saved->split, p->rows[begin + i], pixels + i * p->sample));
    }
    putchar('\n');
    draw_texts(stdout, lines, count, &format);
    draw_images(stdout, images, count, &format);
    for (int64_t place = 0; place < top && place < p->classes; place++) {
        for (int i = 0; i < count; i++) {
            put_bar(saved, p, begin + i, place, texts[i]);
        }
        draw_texts(stdout, lines, count, &format);
    }
    return CG_OK;
}

cg_status predict_draw(const saved_model *saved, const prediction *p, int64_t top) {
    const cg_shape *sample = &cg_data_describe(saved->data)->sample;
    if (sample->rank < 3 || p->classes == 0) { /* no images */
        return CG_OK;
    }
    const draw_format format = format_of(sample);
    int64_t fit = terminal_width(stdout) / (draw_width(&format) + DRAW_GAP);
    fit = fit < 1 ? 1 : fit < MOST_BESIDE ? fit : MOST_BESIDE;
    float *pixels = calloc((size_t)(fit * p->sample) + 1, sizeof *pixels);
    cg_status status = pixels ? CG_OK : cg_fail(CG_ERR_MEMORY, "out of memory");
    for (int64_t begin = 0; begin < p->n && status == CG_OK; begin += fit) {
        status = draw_group(saved, p, begin, (int)(p->n - begin < fit ? p->n - begin : fit), top, pixels);
    }
    free(pixels);
    return status;
}
