/* PNG (ISO 15948) as short as it can be: one compressed stream, no filters; and base64 (RFC 4648). */
#include "picture.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

bool picture_create(int width, int height, int channels, picture *made) {
    *made = (picture){.width = width, .height = height, .channels = channels};
    made->pixels = calloc((size_t)width * (size_t)height, (size_t)channels);
    return made->pixels != NULL;
}

void picture_free(picture *made) {
    free(made->pixels);
    *made = (picture){0};
}

static void put_u32(unsigned char *to, unsigned long value) {
    for (int i = 0; i < 4; i++) {
        to[i] = (unsigned char)(value >> (24 - 8 * i));
    }
}

/* Length, kind, content, checksum of kind and content; returns where it ends. The content may stand there already. */
static unsigned char *put_chunk(unsigned char *to, const char *kind, const unsigned char *content, size_t size) {
    put_u32(to, (unsigned long)size);
    memcpy(to + 4, kind, 4);
    memmove(to + 8, content, size);
    put_u32(to + 8 + size, crc32(crc32(0, NULL, 0), to + 4, (uInt)(size + 4)));
    return to + 12 + size;
}

/* Each row behind a 0, which says that it is not filtered. */
static unsigned char *rows_of(const picture *drawn, size_t *size) {
    size_t row = (size_t)drawn->width * (size_t)drawn->channels;
    *size = (size_t)drawn->height * (row + 1);
    unsigned char *rows = calloc(*size, 1);
    for (int y = 0; rows && y < drawn->height; y++) {
        memcpy(rows + (size_t)y * (row + 1) + 1, drawn->pixels + (size_t)y * row, row);
    }
    return rows;
}

/* The file, for the caller to free; NULL where memory is out. */
static unsigned char *encode(const picture *drawn, size_t *size) {
    static const unsigned char signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    static const unsigned char kinds[] = {0, 0, 0, 2, 6}; /* by channels */
    unsigned char header[13] = {[8] = 8, [9] = kinds[drawn->channels]};
    put_u32(header, (unsigned long)drawn->width);
    put_u32(header + 4, (unsigned long)drawn->height);
    size_t raw;
    unsigned char *rows = rows_of(drawn, &raw);
    uLongf packed = compressBound((uLong)raw);
    unsigned char *file = rows ? malloc(packed + 80) : NULL;
    if (file) {
        memcpy(file, signature, sizeof signature);
        unsigned char *end = put_chunk(file + sizeof signature, "IHDR", header, sizeof header);
        bool good = compress2(end + 8, &packed, rows, (uLong)raw, Z_BEST_COMPRESSION) == Z_OK;
        end = put_chunk(end, "IDAT", end + 8, good ? packed : 0);
        end = put_chunk(end, "IEND", end, 0);
        *size = (size_t)(end - file);
    }
    free(rows);
    return file;
}

static void put_base64(FILE *stream, const unsigned char *bytes, size_t size) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        unsigned long three = (unsigned long)bytes[i] << 16;
        three |= i + 1 < size ? (unsigned long)bytes[i + 1] << 8 : 0;
        three |= i + 2 < size ? bytes[i + 2] : 0;
        fputc(letters[three >> 18], stream);
        fputc(letters[three >> 12 & 63], stream);
        fputc(i + 1 < size ? letters[three >> 6 & 63] : '=', stream);
        fputc(i + 2 < size ? letters[three & 63] : '=', stream);
    }
}

bool picture_write(FILE *stream, const picture *drawn) {
    size_t size = 0;
    unsigned char *file = encode(drawn, &size);
    fputs("data:image/png;base64,", stream);
    if (file) {
        put_base64(stream, file, size);
    }
    free(file);
    return file != NULL;
}
