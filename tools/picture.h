/* Small pictures inside a page, as PNG in a data URI. */
#ifndef CLGRAD_TOOLS_PICTURE_H
#define CLGRAD_TOOLS_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Pixels [height, width, channels] of bytes; channels 1: grey, 3: red, green, blue, 4: with opacity. */
typedef struct picture {
    int width, height, channels;
    unsigned char *pixels;
} picture;

/* Room for a picture; false where memory is out. Freed by picture_free. */
bool picture_create(int width, int height, int channels, picture *made);
void picture_free(picture *made);

/* Writes "data:image/png;base64,...". False where memory is out. */
bool picture_write(FILE *stream, const picture *drawn);

#endif
