/*
 * Images out of characters. A character is about twice as high as wide: with UTF-8 it holds two pixels, one above the
 * other, and in ASCII every second row is left out and the grey is a character's darkness.
 */
#include "draw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "terminal.h"

/* Pixels beside each other at the most. */
#define WIDEST 64

draw_ink draw_ink_of(FILE *stream) {
    const char *without = getenv("NO_COLOR"), *kind = getenv("TERM"), *colours = getenv("COLORTERM");
    if (!terminal_is_utf8()) {
        return DRAW_ASCII;
    }
    bool knows = (kind && strstr(kind, "256color")) || (colours && *colours);
    bool wanted = !without || !*without;
    return terminal_is_live(stream) && knows && wanted ? DRAW_COLOURS : DRAW_BLOCKS;
}

/* So many pixels of each side become one. */
static int reduction(const draw_format *format) {
    return (format->width + WIDEST - 1) / WIDEST;
}

static int drawn(int pixels, const draw_format *format) {
    int factor = reduction(format);
    return (pixels + factor - 1) / factor;
}

int draw_width(const draw_format *format) {
    int width = drawn(format->width, format);
    return width > format->column ? width : format->column;
}

/* The mean of the pixels that are drawn as one; 0 below the image. */
static float pixel(const float *image, const draw_format *format, int channel, int y, int x) {
    int factor = reduction(format), count = 0;
    const float *plane = image + (size_t)channel * (size_t)format->height * (size_t)format->width;
    float sum = 0;
    for (int i = y * factor; i < (y + 1) * factor && i < format->height; i++) {
        for (int j = x * factor; j < (x + 1) * factor && j < format->width; j++) {
            sum += plane[i * format->width + j];
            count++;
        }
    }
    return count > 0 ? sum / (float)count : 0;
}

/* Light as the eye sees it (ITU-R BT.601), or the first channel. */
static float grey(const float *image, const draw_format *format, int y, int x) {
    if (format->channels != 3) {
        return pixel(image, format, 0, y, x);
    }
    return 0.299F * pixel(image, format, 0, y, x) + 0.587F * pixel(image, format, 1, y, x) +
           0.114F * pixel(image, format, 2, y, x);
}

/* One of `levels`; what is no number is the lowest. */
static int level(float value, int levels) {
    return value >= 1 ? levels - 1 : value > 0 ? (int)lroundf(value * (float)(levels - 1)) : 0;
}

/* Of 256: a cube of 6 x 6 x 6 colours from 16 on, and 24 greys from 232 on. */
static int colour(const float *image, const draw_format *format, int y, int x) {
    if (format->channels != 3) {
        return 232 + level(pixel(image, format, 0, y, x), 24);
    }
    return 16 + 36 * level(pixel(image, format, 0, y, x), 6) + 6 * level(pixel(image, format, 1, y, x), 6) +
           level(pixel(image, format, 2, y, x), 6);
}

static void draw_pixels(FILE *stream, const float *image, const draw_format *format, int y, int x) {
    static const char shades[] = " .:-=+*#%@";
    static const char *const blocks[] = {" ", "▀", "▄", "█"};
    float top = grey(image, format, y, x), bottom = grey(image, format, y + 1, x);
    switch (format->ink) {
    case DRAW_ASCII:
        fputc(shades[level((top + bottom) / 2, 10)], stream);
        break;
    case DRAW_BLOCKS:
        fputs(blocks[(top > 0.4F) + 2 * (bottom > 0.4F)], stream);
        break;
    case DRAW_COLOURS:
        fprintf(stream, "\x1b[38;5;%d;48;5;%dm▀", colour(image, format, y, x), colour(image, format, y + 1, x));
        break;
    }
}

void draw_images(FILE *stream, const float *const *images, int count, const draw_format *format) {
    int width = drawn(format->width, format), height = drawn(format->height, format);
    for (int y = 0; y < height; y += 2) {
        for (int i = 0; i < count; i++) {
            for (int x = 0; x < width; x++) {
                draw_pixels(stream, images[i], format, y, x);
            }
            fputs(format->ink == DRAW_COLOURS ? "\x1b[0m" : "", stream);
            fprintf(stream, "%*s", draw_width(format) - width + DRAW_GAP, "");
        }
        fputc('\n', stream);
    }
}

/* UTF-8's bytes behind a character's first. */
static bool continues(char byte) {
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* Bytes of the first `columns` characters, whose number goes to *shown; one character is one column. */
static int fitting(const char *text, int columns, int *shown) {
    int bytes = 0;
    *shown = 0;
    while (text[bytes] != '\0' && (continues(text[bytes]) || *shown < columns)) {
        *shown += !continues(text[bytes++]);
    }
    return bytes;
}

void draw_texts(FILE *stream, const char *const *texts, int count, const draw_format *format) {
    for (int i = 0; i < count; i++) {
        int shown, columns = draw_width(format), bytes = fitting(texts[i], columns, &shown);
        fprintf(stream, "%.*s%*s", bytes, texts[i], columns - shown + DRAW_GAP, "");
    }
    fputc('\n', stream);
}

void draw_bar(char *text, size_t size, double share, int columns, bool utf8) {
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    share = share >= 0 && share <= 1 ? share : 0;
    int parts = utf8 ? 8 : 1, filled = (int)lround(share * columns * parts), length = 0;
    text[0] = '\0';
    for (int i = 0; i < columns && (size_t)length + 4 < size; i++, filled -= parts) {
        const char *piece = filled >= parts ? (utf8 ? "█" : "#") : filled > 0 ? eighths[filled] : " ";
        length += snprintf(text + length, size - (size_t)length, "%s", *piece ? piece : " ");
    }
}
