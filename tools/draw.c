/*
 * Images out of characters. A character is about twice as high as wide: with UTF-8 it holds two pixels, one above the
 * other, full or empty, and in ASCII every second row is left out and the grey is a character's darkness.
 */
#include "draw.h"

#include <string.h>

static float pixel(const float *image, int height, int width, int y, int x) {
    return y < height ? image[y * width + x] : 0.0F;
}

static void draw_blocks(FILE *stream, const float *image, int height, int width, int y) {
    static const char *const blocks[] = {" ", "▀", "▄", "█"};
    for (int x = 0; x < width; x++) {
        int top = pixel(image, height, width, y, x) > 0.4F;
        int bottom = pixel(image, height, width, y + 1, x) > 0.4F;
        fputs(blocks[top + 2 * bottom], stream);
    }
}

static void draw_shades(FILE *stream, const float *image, int height, int width, int y) {
    static const char shades[] = " .:-=+*#%@";
    for (int x = 0; x < width; x++) {
        float mean = (pixel(image, height, width, y, x) + pixel(image, height, width, y + 1, x)) / 2;
        int shade = (int)(mean * 10);
        fputc(shades[shade < 0 ? 0 : shade > 9 ? 9 : shade], stream);
    }
}

static void draw_captions(FILE *stream, const char *const *captions, int count, int width) {
    for (int i = 0; i < count; i++) {
        fprintf(stream, "%-*.*s", width + DRAW_GAP, width + DRAW_GAP, captions[i]);
    }
    fputc('\n', stream);
}

void draw_images(FILE *stream, const float *const *images, const char *const *captions, int count, int height,
                 int width, bool utf8) {
    if (captions) {
        draw_captions(stream, captions, count, width);
    }
    for (int y = 0; y < height; y += 2) {
        for (int i = 0; i < count; i++) {
            (utf8 ? draw_blocks : draw_shades)(stream, images[i], height, width, y);
            fprintf(stream, "%*s", DRAW_GAP, "");
        }
        fputc('\n', stream);
    }
}
