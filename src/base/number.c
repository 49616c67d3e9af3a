/* Numbers as text. C's own functions follow the locale, so its decimal point is put in and taken out here. */
#include "number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POINT_SIZE 16

/* The locale's decimal point, found by printing one: localeconv is not safe with threads. */
static void decimal_point(char point[POINT_SIZE]) {
    char half[POINT_SIZE + 2];
    int length = snprintf(half, sizeof half, "%.1f", 0.5);
    size_t bytes = length > 2 && (size_t)length < sizeof half ? (size_t)length - 2 : 0;
    memcpy(point, half + 1, bytes);
    point[bytes] = '\0';
}

bool cg_number_read(const char *text, size_t length, double *value) {
    char copy[CG_NUMBER_SIZE + POINT_SIZE], point[POINT_SIZE];
    if (length == 0 || length >= CG_NUMBER_SIZE) {
        return false;
    }
    const char *dot = memchr(text, '.', length);
    size_t before = dot != NULL ? (size_t)(dot - text) : length;
    size_t after = dot != NULL ? length - before - 1 : 0;
    decimal_point(point);
    snprintf(copy, sizeof copy, "%.*s%s%.*s", (int)before, text, dot != NULL ? point : "", (int)after,
             dot != NULL ? dot + 1 : "");
    char *end = NULL;
    *value = strtod(copy, &end);
    return end != copy && *end == '\0';
}

/* Turns the locale's decimal point into '.'. */
static void with_dot(char *text) {
    char point[POINT_SIZE];
    decimal_point(point);
    char *found = point[0] != '\0' ? strstr(text, point) : NULL;
    if (found != NULL) {
        size_t bytes = strlen(point);
        *found = '.';
        memmove(found + 1, found + bytes, strlen(found + bytes) + 1);
    }
}

char *cg_number_print(double value, char text[CG_NUMBER_SIZE]) {
    if (!isfinite(value)) {
        snprintf(text, CG_NUMBER_SIZE, "%s", isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
        return text;
    }
    double back = 0.0;
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, CG_NUMBER_SIZE - 2, "%.*g", digits, value);
        with_dot(text);
        if (cg_number_read(text, strlen(text), &back) && back == value) {
            break;
        }
    }
    if (strpbrk(text, ".e") == NULL) {
        size_t length = strlen(text);
        snprintf(text + length, CG_NUMBER_SIZE - length, ".0");
    }
    return text;
}
