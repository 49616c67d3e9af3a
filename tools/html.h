/* Pieces of an HTML page. */
#ifndef CLGRAD_TOOLS_HTML_H
#define CLGRAD_TOOLS_HTML_H

#include <stdio.h>

/* Text, or an attribute's value in double quotes, with what HTML would read as its own written out. Control characters
 * become spaces, and bytes that are no UTF-8 question marks. NULL is "". */
void html_text(FILE *stream, const char *text);

/* "<tr><th scope=row>NAME</th><td>TEXT</td></tr>"; nothing for NULL or "". */
void html_fact(FILE *stream, const char *name, const char *text);

/* A number for people: 4 significant digits, large ones as html_count, "–" for what is none. */
void html_number(FILE *stream, double value);

/* 12345678 as "12,345,678". */
void html_count(FILE *stream, long long value);

/* 0.9712 as "97.12 %"; "–" for what is none. */
void html_percent(FILE *stream, double share);

#endif
