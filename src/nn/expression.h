/*
 * The little language of models, optimizers and schedules, as Python writes it: calls with arguments and keywords,
 * numbers, strings, tuples, lists, True, False, None. This file knows the grammar only, no module's name.
 */
#ifndef CLGRAD_EXPRESSION_H
#define CLGRAD_EXPRESSION_H

#include <stdint.h>

#include <clgrad/status.h>

#include "text.h"

#define CG_EXPRESSION_MAX_BYTES 65536
#define CG_EXPRESSION_MAX_DEPTH 64

typedef enum cg_expression_kind {
    CG_EXPRESSION_NONE,
    CG_EXPRESSION_BOOL,
    CG_EXPRESSION_INT,
    CG_EXPRESSION_FLOAT,
    CG_EXPRESSION_STRING,
    CG_EXPRESSION_TUPLE,
    CG_EXPRESSION_LIST,
    CG_EXPRESSION_CALL,
} cg_expression_kind;

/* A node. The nodes of a text lie in one array, each followed by its children. */
typedef struct cg_expression {
    cg_expression_kind kind;
    uint32_t nodes;   /* of this subtree, itself included */
    uint32_t count;   /* items of a tuple or list, arguments of a call */
    const char *key;  /* what stood in front of '='; NULL: nothing */
    const char *text; /* name of a call ("torch.nn." and "nn." dropped), content of a string */
    int64_t integer;  /* of an int; 0 or 1 of a bool */
    double real;      /* of an int or a float */
} cg_expression;

/* What a text says. Zero-initialised is empty. */
typedef struct cg_syntax {
    cg_expression *nodes; /* the first is a tuple of all calls at the top */
    size_t count, capacity;
    char *names;
} cg_syntax;

/* Parses "A(1), B(x=2)". CG_ERR_SYNTAX says where it stopped and what it expected. */
cg_status cg_syntax_parse(const char *text, cg_syntax *syntax) CG_MUST_USE;
void cg_syntax_free(cg_syntax *syntax);

/* The children of a node, to be counted with `count`: next of the last is no node of the same parent. */
const cg_expression *cg_expression_first(const cg_expression *expression);
const cg_expression *cg_expression_next(const cg_expression *expression);

/* True when both mean the same value; 1 and 1.0 do. Keys do not count. */
bool cg_expression_equal(const cg_expression *a, const cg_expression *b);

/* Appends the text that parses to the same node; its own key is left out. */
void cg_expression_print(const cg_expression *expression, cg_text *text);

/* CG_ERR_NAME for a `what` ("module") that is not among the names that name_at(0), name_at(1) ... NULL gives, with
 * those that are near, or else all. */
cg_status cg_fail_unknown(const char *what, const char *name, const char *(*name_at)(size_t index));

#endif
