/* Escaping and numbers of an HTML page. */
#include "html.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Bytes of the UTF-8 character at `text`; 0: it is none. */
static size_t character(const unsigned char *text) {
    size_t length = *text < 0x80 ? 1 : *text >= 0xc2 && *text < 0xe0 ? 2 : *text >= 0xe0 && *text < 0xf0 ? 3 : 4;
    if (*text >= 0xf5 || (*text >= 0x80 && *text < 0xc2)) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

static const char *escape(char byte) {
    switch (byte) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return (unsigned char)byte < ' ' || byte == 0x7f ? " " : NULL;
    }
}

void html_text(FILE *stream, const char *text) {
    while (text && *text) {
        size_t length = character((const unsigned char *)text);
        const char *escaped = length == 0 ? "?" : escape(*text);
        if (escaped) {
            fputs(escaped, stream);
        } else {
            fwrite(text, 1, length, stream);
        }
        text += length > 0 ? length : 1;
    }
}

void html_fact(FILE *stream, const char *name, const char *text) {
    if (text && *text) {
        fprintf(stream, "<tr><th scope=\"row\">%s</th><td>", name);
        html_text(stream, text);
        fputs("</td></tr>\n", stream);
    }
}

void html_number(FILE *stream, double value) {
    if (!isfinite(value)) {
        fputs("–", stream);
    } else if (fabs(value) >= 1e4 && fabs(value) < 1e9) {
        html_count(stream, llround(value));
    } else {
        fprintf(stream, fabs(value) < 0.001 ? "%.3g" : "%.4g", value);
    }
}

void html_count(FILE *stream, long long value) {
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%lld", value);
    for (int i = 0; i < length; i++) {
        bool group = i > 0 && digits[i - 1] != '-' && (length - i) % 3 == 0;
        fprintf(stream, "%s%c", group ? "," : "", digits[i]);
    }
}

void html_percent(FILE *stream, double share) {
    if (isfinite(share)) {
        fprintf(stream, "%.2f&nbsp;%%", 100 * share);
    } else {
        fputs("–", stream);
    }
}
