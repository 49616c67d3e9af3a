/* Reading flags from the table of a command, and printing its help. */
#include "options.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit_status.h"

option flag_option(const char *name, const char *help, bool *to) {
    return (option){.name = name, .kind = OPTION_FLAG, .value = "", .help = help, .to.flag = to};
}

option text_option(const char *name, const char *value, const char *help, const char **to) {
    return (option){.name = name, .kind = OPTION_TEXT, .value = value, .help = help, .to.text = to};
}

option list_option(const char *name, const char *value, const char *help, text_list *to) {
    return (option){.name = name, .kind = OPTION_LIST, .value = value, .help = help, .to.list = to};
}

option choice_option(const char *name, const char *choices, const char *help, const char **to) {
    return (option){.name = name, .kind = OPTION_CHOICE, .value = choices, .help = help, .to.text = to};
}

option count_option(const char *name, const char *help, int64_t minimum, int64_t *to) {
    return (option){.name = name, .kind = OPTION_COUNT, .value = "N", .help = help, .minimum = minimum, .to.count = to};
}

option real_option(const char *name, const char *help, double *to) {
    return (option){.name = name, .kind = OPTION_REAL, .value = "X", .help = help, .to.real = to};
}

option share_option(const char *name, const char *help, double *to) {
    return (option){.name = name, .kind = OPTION_SHARE, .value = "SHARE", .help = help, .to.share = to};
}

int usage_error(const char *command, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "clgrad %s: ", command);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, " (see clgrad %s --help)\n", command);
    va_end(arguments);
    return EXIT_USAGE;
}

/* What every command has. */
static const option backend_option = {.name = "--backend",
                                      .kind = OPTION_BACKEND,
                                      .value = "FILE",
                                      .help = "also load this backend, a shared object; may be given several times"};

static void print_help_text(const char *text) {
    for (const char *line = text; line;) {
        const char *end = strchr(line, '\n');
        printf("%s%.*s\n", line == text ? "" : "                        ", end ? (int)(end - line) : (int)strlen(line),
               line);
        line = end ? end + 1 : NULL;
    }
}

static void print_option(const option *item) {
    char left[80];
    snprintf(left, sizeof left, "%s%s%s", item->name, item->kind == OPTION_FLAG ? "" : " ",
             item->kind == OPTION_FLAG ? "" : item->value);
    bool fits = strlen(left) <= 20;
    printf(fits ? "  %-20s  " : "  %s\n                        ", left);
    print_help_text(item->help);
}

static void print_help(const command_line *line) {
    printf("clgrad %s%s%s [flags]\n\n%s\n\n", line->name, *line->operands ? " " : "", line->operands, line->summary);
    for (size_t i = 0; i < line->n_options; i++) {
        print_option(&line->options[i]);
    }
    print_option(&backend_option);
    printf("  %-20s  this text\n\n%s", "--help", exit_status_help);
}

static bool parse_count(const char *text, int64_t minimum, int64_t *count) {
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno || end == text || *end || strchr(" \t\n\v\f\r+", *text) || number < minimum) {
        return false;
    }
    *count = number;
    return true;
}

static bool parse_real(const char *text, double *number) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value)) {
        return false;
    }
    *number = value;
    return true;
}

/* Whether `text` is one of the words in "a|b|c". */
static bool is_choice(const char *choices, const char *text) {
    size_t length = strlen(text);
    for (const char *word = choices; word; word = strchr(word, '|') ? strchr(word, '|') + 1 : NULL) {
        if (length == strcspn(word, "|") && memcmp(word, text, length) == 0) {
            return true;
        }
    }
    return false;
}

/* One that cannot be used is said to be so and left out, as those that are found by themselves are. */
static const char *load_backend(const char *file) {
    if (*file && cg_backend_load(file) != CG_OK) {
        fprintf(stderr, "clgrad: %s; it is left out\n", cg_error_message());
    }
    return *file ? NULL : "something that is not empty";
}

/* Puts a value where the option wants it; NULL, or what was needed instead. */
static const char *store(const option *item, const char *value) {
    switch (item->kind) {
    case OPTION_FLAG:
        *item->to.flag = true;
        return NULL;
    case OPTION_TEXT:
        *item->to.text = value;
        return *value ? NULL : "something that is not empty";
    case OPTION_LIST:
        item->to.list->items[item->to.list->count++] = value;
        return *value ? NULL : "something that is not empty";
    case OPTION_CHOICE:
        *item->to.text = value;
        return is_choice(item->value, value) ? NULL : item->value;
    case OPTION_BACKEND:
        return load_backend(value);
    case OPTION_COUNT:
        return parse_count(value, item->minimum, item->to.count) ? NULL : "a whole number";
    case OPTION_REAL:
        return parse_real(value, item->to.real) && *item->to.real > 0 ? NULL : "a number above 0";
    case OPTION_SHARE:
        return parse_real(value, item->to.share) && *item->to.share >= 0 && *item->to.share < 1
                   ? NULL
                   : "a share, 0 <= share < 1,";
    }
    return NULL;
}

static int parse_value(const command_line *line, const option *item, const char *value) {
    const char *needed = store(item, value);
    if (!needed) {
        return OPTIONS_RUN;
    }
    if (item->kind == OPTION_COUNT) {
        return usage_error(line->name, "%s %s: a whole number, at least %lld, is needed", item->name, value,
                           (long long)item->minimum);
    }
    if (item->kind == OPTION_CHOICE) {
        return usage_error(line->name, "%s %s: it must be one of %s", item->name, value, needed);
    }
    return usage_error(line->name, "%s '%s': %s is needed", item->name, value, needed);
}

static const option *find_option(const command_line *line, const char *argument, size_t length) {
    for (size_t i = 0; i < line->n_options; i++) {
        const char *name = line->options[i].name;
        if (strlen(name) == length && memcmp(name, argument, length) == 0) {
            return &line->options[i];
        }
    }
    bool backend = strlen(backend_option.name) == length && memcmp(backend_option.name, argument, length) == 0;
    return backend ? &backend_option : NULL;
}

/* Reads the flag at argv[*index] and its value: the rest of the argument after '=', or the next argument. */
static int parse_flag(const command_line *line, int argc, char **argv, int *index) {
    const char *argument = argv[*index], *equals = strchr(argument, '=');
    size_t length = equals ? (size_t)(equals - argument) : strlen(argument);
    const option *item = find_option(line, argument, length);
    if (!item) {
        return usage_error(line->name, "unknown flag %.*s", (int)length, argument);
    }
    if (item->kind == OPTION_FLAG) {
        return equals ? usage_error(line->name, "%s takes no value", item->name) : parse_value(line, item, "");
    }
    if (equals) {
        return parse_value(line, item, equals + 1);
    }
    if (*index + 1 >= argc || strncmp(argv[*index + 1], "--", 2) == 0) {
        return usage_error(line->name, "%s needs a value, %s", item->name, item->value);
    }
    return parse_value(line, item, argv[++*index]);
}

static int parse_operand(const command_line *line, const char *argument) {
    if (line->operands_to) {
        line->operands_to->items[line->operands_to->count++] = argument;
        return OPTIONS_RUN;
    }
    if (!line->operand || *line->operand) {
        return usage_error(line->name, "unexpected argument '%s'", argument);
    }
    *line->operand = argument;
    return OPTIONS_RUN;
}

int options_parse(const command_line *line, int argc, char **argv) {
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(line);
            return EXIT_GOOD;
        }
    }
    for (int i = 0; i < argc; i++) {
        bool flag = argv[i][0] == '-' && argv[i][1];
        int result = flag ? parse_flag(line, argc, argv, &i) : parse_operand(line, argv[i]);
        if (result != OPTIONS_RUN) {
            return result;
        }
    }
    if ((line->operand && !*line->operand) || (line->operands_to && line->operands_to->count == 0 && !line->optional)) {
        return usage_error(line->name, "%s is needed", line->operands);
    }
    return OPTIONS_RUN;
}

bool parse_normalize(const char *text, double pair[2], cg_data_options *options) {
    if (!text) {
        return true;
    }
    if (strcmp(text, "data") == 0 || strcmp(text, "none") == 0) {
        options->normalize = *text == 'd' ? CG_NORMALIZE_DATA : CG_NORMALIZE_NONE;
        return true;
    }
    char mean[64];
    const char *comma = strchr(text, ',');
    if (!comma || (size_t)(comma - text) >= sizeof mean) {
        return false;
    }
    memcpy(mean, text, (size_t)(comma - text));
    mean[comma - text] = 0;
    options->normalize = CG_NORMALIZE_GIVEN;
    options->channels = 1;
    options->mean = pair;
    options->std = pair + 1;
    return parse_real(mean, &pair[0]) && parse_real(comma + 1, &pair[1]) && pair[1] > 0;
}

bool parse_numbers(const char *text, int64_t minimum, int64_t *numbers, size_t capacity, size_t *count) {
    *count = 0;
    for (const char *part = text; part; part = strchr(part, ',') ? strchr(part, ',') + 1 : NULL) {
        char number[24];
        size_t length = strcspn(part, ",");
        if (*count == capacity || length >= sizeof number) {
            return false;
        }
        memcpy(number, part, length);
        number[length] = 0;
        if (!parse_count(number, minimum, &numbers[(*count)++])) {
            return false;
        }
    }
    return true;
}
