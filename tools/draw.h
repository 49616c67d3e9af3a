/* Small images in the terminal, several side by side, with texts above and below. */
#ifndef CLGRAD_TOOLS_DRAW_H
#define CLGRAD_TOOLS_DRAW_H

#include <stdbool.h>
#include <stdio.h>

/* Columns between two images. */
#define DRAW_GAP 2

/* What pixels are made of. */
typedef enum draw_ink {
    DRAW_ASCII,   /* the darkness of a character */
    DRAW_BLOCKS,  /* half blocks, full or empty; UTF-8 */
    DRAW_COLOURS, /* half blocks in 256 colours; UTF-8 and a terminal that knows them */
} draw_ink;

typedef struct draw_format {
    int channels, height, width; /* of the images; 3 channels are red, green and blue, of others the first is grey */
    int column;                  /* columns that each image has at least */
    draw_ink ink;
} draw_format;

/* The best ink that the stream shows: colours unless NO_COLOR is set. */
draw_ink draw_ink_of(FILE *stream);

/* Columns that each image takes: a wide one is made smaller. */
int draw_width(const draw_format *format);

/* Draws `count` images [channels, height, width] of pixels 0 (empty) to 1 (full) side by side. */
void draw_images(FILE *stream, const float *const *images, int count, const draw_format *format);

/* A line of texts, one for each image, cut to its columns. */
void draw_texts(FILE *stream, const char *const *texts, int count, const draw_format *format);

/* Writes a bar of `share` (0..1) of `columns` columns, and blanks up to them. */
void draw_bar(char *text, size_t size, double share, int columns, bool utf8);

#endif
