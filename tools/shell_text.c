/* Quoting for a POSIX shell. */
#include "shell_text.h"

#include <stdbool.h>
#include <string.h>

void shell_text(FILE *stream, const char *argument) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,=+@%";
    bool quote = *argument == '\0' || strspn(argument, plain) != strlen(argument);
    fputs(quote ? "'" : "", stream);
    for (; *argument; argument++) {
        fputs(*argument == '\'' ? "'\\''" : (char[]){*argument, 0}, stream);
    }
    fputs(quote ? "'" : "", stream);
}
