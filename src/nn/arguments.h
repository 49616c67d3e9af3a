/*
 * Binds the arguments of a call to a signature written as Python writes one:
 *
 *   "in_features: positive, out_features: positive, bias: bool = True"
 *   "*modules: module"                       any number, without keywords
 *   "betas: (float, float) = (0.9, 0.999), padding: int | (int, int) | 'same' = 0"
 *
 * Kinds are int, positive (an int of at least 1), float (an int will do), bool, str, None, module or schedule (a call),
 * a string in quotes (itself), tensor (a call such as torch.ones(3)), list (anything in brackets), tuples of kinds, and
 * [kind], any number of them; `|` stands between those that are possible. An argument of the kind `later` is PyTorch's
 * and takes its default alone as yet: another value is CG_ERR_NAME. What was checked here is not checked again: the
 * accessors cannot fail.
 */
#ifndef CLGRAD_ARGUMENTS_H
#define CLGRAD_ARGUMENTS_H

#include <clgrad/types.h>

#include "expression.h"

#define CG_MAX_ARGUMENTS 16

/* A part of a signature. */
typedef struct cg_span {
    const char *at;
    size_t length;
} cg_span;

typedef struct cg_argument {
    cg_span name, kinds;
    const cg_expression *fallback; /* the default; NULL: required */
    const cg_expression *value;
} cg_argument;

typedef struct cg_arguments {
    const cg_expression *call;
    cg_argument items[CG_MAX_ARGUMENTS];
    size_t count;
    bool variadic;      /* "*name: kind": the values are all the call's */
    cg_syntax defaults; /* what the fallbacks point into */
} cg_arguments;

/* CG_ERR_ARGUMENT (CG_ERR_NAME for what is `later`) names the call, the argument, what was given and what was expected.
 * `call` must stay. */
cg_status cg_arguments_bind(const cg_expression *call, const char *signature, cg_arguments *arguments) CG_MUST_USE;
void cg_arguments_free(cg_arguments *arguments);

/* Whether the signature has that name. */
bool cg_argument_exists(const cg_arguments *arguments, const char *name);

/* The value of a name of the signature. */
const cg_expression *cg_argument_value(const cg_arguments *arguments, const char *name);
int64_t cg_argument_int(const cg_arguments *arguments, const char *name);
double cg_argument_real(const cg_arguments *arguments, const char *name);
bool cg_argument_bool(const cg_arguments *arguments, const char *name);
/* `count` ints of a tuple, or one int for all of them. */
void cg_argument_ints(const cg_arguments *arguments, const char *name, int64_t *values, uint32_t count);
const char *cg_argument_text(const cg_arguments *arguments, const char *name);
bool cg_argument_is_none(const cg_arguments *arguments, const char *name);

/* Appends "784, 10, bias=False": what is required, then what differs from its default. Modules are left out. */
void cg_arguments_print(const cg_arguments *arguments, cg_text *text);

/* Appends "lr=0.1, momentum=0.0" from argument `first` on, all of them. */
void cg_arguments_print_all(const cg_arguments *arguments, size_t first, cg_text *text);

/* tensor_argument.c: whether a value is written as a tensor; what it is, with values that cg_free frees
 * (CG_ERR_ARGUMENT says what is wrong with it); and its text as PyTorch reads it. The last two want the first to be
 * true. */
bool cg_tensor_argument_is(const cg_expression *value);
cg_status cg_tensor_argument_read(const cg_expression *call, cg_shape *shape, double **values) CG_MUST_USE;
void cg_tensor_argument_print(const cg_expression *call, cg_text *text);

#endif
