/*
 * The flags of a command as one table: what they are called, what they take, where the value goes, what --help says.
 * So every command reads its flags the same way and its help cannot disagree with what it accepts.
 */
#ifndef CLGRAD_TOOLS_OPTIONS_H
#define CLGRAD_TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <clgrad/data.h>
#include <clgrad/device.h>

/* A number that was not given keeps this value; a text keeps NULL. */
#define NOT_GIVEN INT64_MIN

typedef enum option_kind {
    OPTION_FLAG,    /* no value; bool */
    OPTION_TEXT,    /* const char * */
    OPTION_LIST,    /* text_list *: may be given several times */
    OPTION_CHOICE,  /* const char *, one of the words in `value`: "allow|warn|error" */
    OPTION_COUNT,   /* int64_t, at least `minimum` */
    OPTION_BACKEND, /* options.c's own: loads a plug-in */
    OPTION_SHARE,   /* double, 0 <= share < 1; negative when not given */
    OPTION_REAL,    /* double, above 0 */
} option_kind;

/* Texts in the order they were given; `items` has room for every argument of the program. */
typedef struct text_list {
    const char **items;
    size_t count;
} text_list;

typedef struct option {
    const char *name; /* "--batch" */
    option_kind kind;
    const char *value; /* what --help calls the value */
    const char *help;  /* newlines start a new line */
    int64_t minimum;
    union {
        bool *flag;
        const char **text;
        text_list *list;
        int64_t *count;
        double *share;
        double *real;
    } to;
} option;

option flag_option(const char *name, const char *help, bool *to);
option text_option(const char *name, const char *value, const char *help, const char **to);
option list_option(const char *name, const char *value, const char *help, text_list *to);
option choice_option(const char *name, const char *choices, const char *help, const char **to);
option count_option(const char *name, const char *help, int64_t minimum, int64_t *to);
option real_option(const char *name, const char *help, double *to);
option share_option(const char *name, const char *help, double *to);

/* A command: `clgrad NAME OPERANDS [flags]`, with one operand, any number of at least 1, or none. */
typedef struct command_line {
    const char *name;
    const char *operands; /* "FILE" or "" */
    const char *summary;
    const option *options;
    size_t n_options;
    const char **operand;   /* where the operand goes; NULL: there is none */
    text_list *operands_to; /* where any number of them go; NULL: at most one */
    bool optional;          /* none is enough */
} command_line;

/* What options_parse returns when the command is to run. */
#define OPTIONS_RUN (-1)

/* Reads the arguments after the command's name. OPTIONS_RUN, or the exit status after --help or an error was printed.
 */
int options_parse(const command_line *line, int argc, char **argv);

/* "clgrad train: MESSAGE (see clgrad train --help)" on stderr; returns the exit status of wrong usage. */
int usage_error(const char *command, const char *format, ...) CG_PRINTF(2, 3);

/* "data", "none" or "MEAN,STD", which is kept in `pair` for the options; NULL leaves the options as they are. */
bool parse_normalize(const char *text, double pair[2], cg_data_options *options);

/* Whole numbers separated by commas, each at least `minimum`. False: not such a list, or more than `capacity`. */
bool parse_numbers(const char *text, int64_t minimum, int64_t *numbers, size_t capacity, size_t *count);

#endif
