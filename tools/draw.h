/* Small images in the terminal. */
#ifndef CLGRAD_TOOLS_DRAW_H
#define CLGRAD_TOOLS_DRAW_H

#include <stdbool.h>
#include <stdio.h>

/* Columns between two images. */
#define DRAW_GAP 2

/* Draws `count` grey images [height, width] with pixels 0 (empty) to 1 (full) side by side, each under its caption of
 * the same place (NULL: none). UTF-8: two rows of pixels in one of characters. */
void draw_images(FILE *stream, const float *const *images, const char *const *captions, int count, int height,
                 int width, bool utf8);

#endif
