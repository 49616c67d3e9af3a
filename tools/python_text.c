/* Reads what cg_module_print wrote, so brackets and quotes are known to match. */
#include "python_text.h"

#include <string.h>

#define WIDTH 110
#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

static const char *const own_classes[] = {"Residual", "GeneralReLU", "Permute"};
static const char *const tensors[] = {"tensor", "ones", "zeros", "full", "linspace"};

#define COUNT(list) (sizeof(list) / sizeof *(list))

static bool is_among(const char *const *names, size_t count, const char *name, size_t length) {
    for (size_t i = 0; i < count; i++) {
        if (strlen(names[i]) == length && strncmp(names[i], name, length) == 0) {
            return true;
        }
    }
    return false;
}

/* Where a word in quotes ends that begins at `text`. */
static const char *end_of_quotes(const char *text) {
    const char *end = strchr(text + 1, *text);
    return end != NULL ? end + 1 : text + strlen(text);
}

/* What stands in front of the name of a call. */
static const char *package_of(const char *name, size_t length) {
    if (is_among(own_classes, COUNT(own_classes), name, length)) {
        return "";
    }
    return is_among(tensors, COUNT(tensors), name, length) ? "torch." : "nn.";
}

/* Copies the text up to `end`, with the packages. */
static void put_flat(FILE *out, const char *text, const char *end) {
    while (text < end) {
        size_t length = *text == '\'' ? (size_t)(end_of_quotes(text) - text) : strspn(text, NAME_CHARACTERS ".");
        if (*text != '\'' && length > 0 && text[length] == '(' && memchr(text, '.', length) == NULL) {
            fputs(package_of(text, length), out);
        }
        length = length > 0 ? length : 1;
        fwrite(text, 1, length, out);
        text += length;
    }
}

/* The end of the argument at `text`: its comma, or the bracket behind it. */
static const char *end_of_argument(const char *text) {
    int depth = 0;
    while (*text != '\0' && !(depth == 0 && strchr(",)", *text) != NULL)) {
        depth += strchr("([", *text) != NULL;
        depth -= strchr(")]", *text) != NULL;
        text = strchr("'\"", *text) != NULL ? end_of_quotes(text) : text + 1;
    }
    return text;
}

static void put_argument(FILE *out, const char *text, const char *end, int indent);

/* The arguments from `text`, behind the bracket, each on a line of its own. */
static void put_lines(FILE *out, const char *text, int indent) {
    while (*text != ')') {
        const char *end = end_of_argument(text);
        fprintf(out, "\n%*s", indent + 4, "");
        put_argument(out, text, end, indent + 4);
        fputc(',', out);
        text = end + strspn(end, ", ");
    }
    fprintf(out, "\n%*s)", indent, "");
}

/* On one line where it fits or where there is nothing to divide. */
static void put_argument(FILE *out, const char *text, const char *end, int indent) {
    const char *open = memchr(text, '(', (size_t)(end - text));
    bool divides = open != NULL && memchr(open + 1, '(', (size_t)(end - open - 1)) != NULL;
    if (indent + (end - text) <= WIDTH || !divides) {
        put_flat(out, text, end);
        return;
    }
    put_flat(out, text, open + 1);
    put_lines(out, open + 1, indent);
}

bool python_calls(const char *text, const char *name) {
    size_t length = strlen(name);
    for (const char *found = strstr(text, name); found != NULL; found = strstr(found + 1, name)) {
        if (found[length] == '(' && (found == text || strchr(NAME_CHARACTERS, found[-1]) == NULL)) {
            return true;
        }
    }
    return false;
}

void python_put_name(FILE *out, const char *text) {
    size_t length = strcspn(text, "(");
    fprintf(out, "%s%.*s", package_of(text, length), (int)length, text);
}

void python_put_arguments(FILE *out, const char *text, int indent) {
    const char *open = strchr(text, '(');
    fputc('(', out);
    put_lines(out, open + 1, indent);
}
