/*
 * The parser of expressions: recursive descent, one function a rule of the grammar.
 *
 *   text     = call {"," call} [","]
 *   call     = name "(" [argument {"," argument} [","]] ")"
 *   argument = [name "="] value
 *   value    = call | number | string | tuple | list | "True" | "False" | "None"
 */
#include "expression.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "number.h"

typedef struct parser {
    const char *text, *at, *end;
    cg_syntax *syntax;
    char *free_name; /* where the next name goes: there is room, since what ends a name is not part of one */
    int depth;
} parser;

static cg_status parse_value(parser *p, const char *key);

/* Copies bytes for a message, with what a terminal should not see replaced. */
static void excerpt(char *to, const char *from, size_t length) {
    for (size_t i = 0; i < length; i++) {
        bool plain = (unsigned char)from[i] >= ' ' && (unsigned char)from[i] < 127;
        to[i] = plain ? from[i] : isspace((unsigned char)from[i]) ? ' ' : '?';
    }
    to[length] = '\0';
}

/* The failure of a text that stops making sense at `at`. */
static cg_status stopped(const parser *p, const char *at, const char *expected) {
    enum { SHOWN = 40 };
    char before[SHOWN + 1], after[SHOWN + 1], place[40];
    size_t passed = (size_t)(at - p->text), left = (size_t)(p->end - at);
    size_t n_before = passed < SHOWN ? passed : SHOWN, n_after = left < SHOWN ? left : SHOWN;
    excerpt(before, at - n_before, n_before);
    excerpt(after, at, n_after);
    snprintf(place, sizeof place, left > 0 ? "at column %zu" : "at the end, column %zu", passed + 1);
    return cg_fail(CG_ERR_SYNTAX, "expected %s %s: %s%s <here> %s%s", expected, place, n_before < passed ? "..." : "",
                   before, after, n_after < left ? "..." : "");
}

static void skip_space(parser *p) {
    while (p->at < p->end && isspace((unsigned char)*p->at)) {
        p->at++;
    }
}

/* The next byte that is no space; 0 at the end. */
static char peek(parser *p) {
    skip_space(p);
    return p->at < p->end ? *p->at : '\0';
}

static bool take(parser *p, char wanted) {
    if (peek(p) != wanted) {
        return false;
    }
    p->at++;
    return true;
}

static bool starts_name(char c) {
    return isalpha((unsigned char)c) || c == '_';
}

/* Opens a node; its place in the array is *index. */
static cg_status push(parser *p, cg_expression_kind kind, const char *key, size_t *index) {
    cg_syntax *syntax = p->syntax;
    if (!CG_GROW(syntax->nodes, syntax->count, syntax->capacity)) {
        return CG_ERR_MEMORY;
    }
    *index = syntax->count;
    syntax->nodes[syntax->count++] = (cg_expression){.kind = kind, .nodes = 1, .key = key};
    return CG_OK;
}

static void close_node(parser *p, size_t index, uint32_t count) {
    p->syntax->nodes[index].count = count;
    p->syntax->nodes[index].nodes = (uint32_t)(p->syntax->count - index);
}

/* What to drop from the front of a name: "nn." of "nn.Linear", 0 of "Linear". */
static size_t prefix_length(const char *name, size_t length) {
    static const char *const dropped[] = {"torch.nn.", "torch.optim.", "nn.", "optim.", "lr_scheduler."};
    for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++) {
        size_t prefix = strlen(dropped[i]);
        if (length > prefix && strncmp(name, dropped[i], prefix) == 0 && starts_name(name[prefix])) {
            return prefix;
        }
    }
    return 0;
}

/* Reads "name" or "nn.name" and keeps it; the caller has seen its first letter. */
static const char *parse_name(parser *p) {
    const char *start = p->at;
    while (p->at < p->end && (starts_name(*p->at) || isdigit((unsigned char)*p->at) || *p->at == '.')) {
        p->at++;
    }
    for (size_t prefix = 1; prefix > 0; start += prefix) {
        prefix = prefix_length(start, (size_t)(p->at - start));
    }
    char *name = p->free_name;
    size_t length = (size_t)(p->at - start);
    memcpy(name, start, length);
    name[length] = '\0';
    p->free_name += length + 1;
    return name;
}

static cg_status parse_string(parser *p, const char *key) {
    size_t index = 0;
    CG_TRY(push(p, CG_EXPRESSION_STRING, key, &index));
    p->syntax->nodes[index].text = p->free_name;
    for (char quote = *p->at++; p->at < p->end && *p->at != quote; p->at++) {
        if (*p->at == '\n') {
            break;
        }
        if (*p->at == '\\') {
            p->at++;
            if (p->at == p->end || strchr("\\'\"", *p->at) == NULL) {
                return stopped(p, p->at, "\\, ' or \" after a backslash");
            }
        }
        *p->free_name++ = *p->at;
    }
    if (p->at == p->end || *p->at == '\n') {
        return stopped(p, p->at, "the string's closing quote");
    }
    p->at++;
    *p->free_name++ = '\0';
    return CG_OK;
}

static const char *digits(const char *at, const char *end) {
    while (at < end && isdigit((unsigned char)*at)) {
        at++;
    }
    return at;
}

/* The end of the number at p->at, and whether it has a point or an exponent; p->at when there is none. */
static const char *number_end(const parser *p, bool *is_float) {
    const char *start = p->at + (*p->at == '-' || *p->at == '+');
    const char *at = digits(start, p->end);
    bool any = at > start;
    *is_float = false;
    if (at < p->end && *at == '.') {
        const char *fraction = at + 1;
        at = digits(fraction, p->end);
        any = any || at > fraction;
        *is_float = true;
    }
    if (any && at < p->end && (*at == 'e' || *at == 'E')) {
        const char *exponent = at + 1;
        exponent += exponent < p->end && (*exponent == '-' || *exponent == '+');
        const char *last = digits(exponent, p->end);
        *is_float = *is_float || last > exponent;
        at = last > exponent ? last : at;
    }
    return any ? at : p->at;
}

/* inf or nan, with a sign or without. */
static bool parse_special(parser *p, double *value) {
    const char *word = p->at + (*p->at == '-' || *p->at == '+');
    size_t left = (size_t)(p->end - word);
    bool inf = left >= 3 && strncmp(word, "inf", 3) == 0, nan = left >= 3 && strncmp(word, "nan", 3) == 0;
    if (!inf && !nan) {
        return false;
    }
    *value = nan ? (double)NAN : *p->at == '-' ? -(double)INFINITY : (double)INFINITY;
    p->at = word + 3;
    return true;
}

static cg_status parse_number(parser *p, const char *key) {
    size_t index = 0;
    CG_TRY(push(p, CG_EXPRESSION_FLOAT, key, &index));
    cg_expression *node = &p->syntax->nodes[index];
    if (parse_special(p, &node->real)) {
        return CG_OK;
    }
    bool is_float = false;
    const char *end = number_end(p, &is_float);
    if (end == p->at) {
        return stopped(p, p->at, "a number");
    }
    if (!cg_number_read(p->at, (size_t)(end - p->at), &node->real)) {
        return stopped(p, p->at, "a number of less than 64 characters");
    }
    if (!is_float) {
        errno = 0;
        node->kind = CG_EXPRESSION_INT;
        node->integer = strtoll(p->at, NULL, 10);
        if (errno == ERANGE) {
            return stopped(p, p->at, "an integer of 64 bits");
        }
    }
    p->at = end;
    return CG_OK;
}

/* The values of a call, tuple or list up to its closing bracket. `keywords`: "name=" may stand in front. */
static cg_status parse_items(parser *p, char closing, bool keywords, uint32_t *count, bool *comma) {
    const char *more = closing == ')' ? "',' or ')'" : "',' or ']'";
    bool seen_key = false;
    *count = 0;
    *comma = true;
    while (!take(p, closing)) {
        if (!*comma) {
            return stopped(p, p->at, more);
        }
        const char *start = p->at, *key = NULL;
        if (keywords && starts_name(*p->at)) {
            char *name_start = p->free_name;
            key = parse_name(p);
            if (!take(p, '=')) {
                key = NULL;
                p->at = start;
                p->free_name = name_start;
            }
        }
        if (seen_key && key == NULL) {
            return stopped(p, start, "a keyword, since one stood before");
        }
        seen_key = key != NULL;
        CG_TRY(parse_value(p, key));
        *comma = take(p, ',');
        ++*count;
    }
    return CG_OK;
}

/* What stands between brackets, the opening one already taken. One value in parentheses without a comma is that value.
 */
static cg_status parse_group(parser *p, size_t index, char closing) {
    if (++p->depth > CG_EXPRESSION_MAX_DEPTH) {
        return stopped(p, p->at, "at most 64 brackets inside each other");
    }
    uint32_t count = 0;
    bool comma = false;
    cg_expression_kind kind = p->syntax->nodes[index].kind;
    CG_TRY(parse_items(p, closing, kind == CG_EXPRESSION_CALL, &count, &comma));
    p->depth--;
    close_node(p, index, count);
    if (kind == CG_EXPRESSION_TUPLE && count == 1 && !comma) {
        cg_expression *nodes = p->syntax->nodes;
        const char *key = nodes[index].key;
        p->syntax->count--;
        memmove(&nodes[index], &nodes[index + 1], (p->syntax->count - index) * sizeof *nodes);
        nodes[index].key = key;
    }
    return CG_OK;
}

/* True, False, None, inf, nan, or a call. */
static cg_status parse_named(parser *p, const char *key, const char *expected) {
    if (!starts_name(peek(p))) {
        return stopped(p, p->at, expected);
    }
    const char *start = p->at, *name = parse_name(p);
    size_t index = 0;
    bool is_true = strcmp(name, "True") == 0;
    if (is_true || strcmp(name, "False") == 0) {
        CG_TRY(push(p, CG_EXPRESSION_BOOL, key, &index));
        p->syntax->nodes[index].integer = is_true;
        return CG_OK;
    }
    if (strcmp(name, "None") == 0) {
        return push(p, CG_EXPRESSION_NONE, key, &index);
    }
    if (strcmp(name, "inf") == 0 || strcmp(name, "nan") == 0) {
        p->at = start;
        return parse_number(p, key);
    }
    CG_TRY(push(p, CG_EXPRESSION_CALL, key, &index));
    p->syntax->nodes[index].text = name;
    if (!take(p, '(')) {
        return stopped(p, p->at, "'(' after a name");
    }
    return parse_group(p, index, ')');
}

static cg_status parse_value(parser *p, const char *key) {
    char c = peek(p);
    size_t index = 0;
    if (c == '\'' || c == '"') {
        return parse_string(p, key);
    }
    if (c != '\0' && strchr("+-.0123456789", c) != NULL) {
        return parse_number(p, key);
    }
    if (c == '(' || c == '[') {
        CG_TRY(push(p, c == '(' ? CG_EXPRESSION_TUPLE : CG_EXPRESSION_LIST, key, &index));
        p->at++;
        return parse_group(p, index, c == '(' ? ')' : ']');
    }
    return parse_named(p, key, "a value");
}

/* The calls at the top. */
static cg_status parse_all(parser *p) {
    static const char call[] = "a call such as Name(1, key=2)";
    size_t root = 0;
    CG_TRY(push(p, CG_EXPRESSION_TUPLE, NULL, &root));
    uint32_t count = 0;
    do {
        size_t index = p->syntax->count;
        skip_space(p);
        const char *start = p->at;
        CG_TRY(parse_named(p, NULL, call));
        if (p->syntax->nodes[index].kind != CG_EXPRESSION_CALL) {
            return stopped(p, start, call);
        }
        count++;
    } while (take(p, ',') && peek(p) != '\0');
    if (p->at < p->end) {
        return stopped(p, p->at, "',' or the end");
    }
    close_node(p, root, count);
    return CG_OK;
}

cg_status cg_syntax_parse(const char *text, cg_syntax *syntax) {
    *syntax = (cg_syntax){0};
    size_t length = strnlen(text, CG_EXPRESSION_MAX_BYTES + 1);
    if (length > CG_EXPRESSION_MAX_BYTES) {
        return cg_fail(CG_ERR_SYNTAX, "the text has more than %d characters", CG_EXPRESSION_MAX_BYTES);
    }
    syntax->names = cg_alloc(length + 1);
    if (syntax->names == NULL) {
        return CG_ERR_MEMORY;
    }
    parser p = {.text = text, .at = text, .end = text + length, .syntax = syntax, .free_name = syntax->names};
    cg_status status = parse_all(&p);
    if (status != CG_OK) {
        cg_syntax_free(syntax);
    }
    return status;
}

void cg_syntax_free(cg_syntax *syntax) {
    cg_free(syntax->nodes);
    cg_free(syntax->names);
    *syntax = (cg_syntax){0};
}
