/* Signatures and binding. A signature is the program's own text, so its form is not checked here. */
#include "arguments.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

static bool span_is(cg_span span, const char *text) {
    return span.length == strlen(text) && memcmp(span.at, text, span.length) == 0;
}

static cg_span trim(const char *at, const char *end) {
    while (at < end && isspace((unsigned char)*at)) {
        at++;
    }
    while (end > at && isspace((unsigned char)end[-1])) {
        end--;
    }
    return (cg_span){at, (size_t)(end - at)};
}

/* The first `separator` outside brackets, or the end. */
static const char *find(const char *at, const char *end, char separator) {
    int depth = 0;
    for (; at < end; at++) {
        if (depth == 0 && *at == separator) {
            return at;
        }
        depth += (*at == '(' || *at == '[') - (*at == ')' || *at == ']');
    }
    return end;
}

/* Cuts the next part off *rest; an empty rest gives none. */
static bool cut(cg_span *rest, char separator, cg_span *part) {
    if (rest->length == 0) {
        return false;
    }
    const char *end = rest->at + rest->length, *stop = find(rest->at, end, separator);
    *part = trim(rest->at, stop);
    const char *next = stop < end ? stop + 1 : end;
    *rest = (cg_span){next, (size_t)(end - next)};
    return true;
}

/* Splits a signature into names and kinds; the defaults go into `defaults` as the arguments of one call. */
static void read_signature(const char *signature, cg_arguments *arguments, cg_text *defaults) {
    cg_span rest = {signature, strlen(signature)}, field;
    cg_text_append(defaults, "defaults(");
    while (cut(&rest, ',', &field)) {
        assert(arguments->count < CG_MAX_ARGUMENTS);
        cg_argument *item = &arguments->items[arguments->count++];
        const char *end = field.at + field.length;
        const char *colon = find(field.at, end, ':'), *equals = find(field.at, end, '=');
        arguments->variadic = *field.at == '*';
        item->name = trim(field.at + arguments->variadic, colon);
        item->kinds = trim(colon + 1, equals);
        cg_span fallback = equals < end ? trim(equals + 1, end) : (cg_span){"None", 4};
        cg_text_append(defaults, "%.*s,", (int)fallback.length, fallback.at);
        item->fallback = equals < end ? arguments->call : NULL; /* which one is known once they are parsed */
    }
    cg_text_append(defaults, ")");
}

static cg_status set_defaults(cg_arguments *arguments, const cg_text *defaults) {
    if (defaults->failed) {
        return CG_ERR_MEMORY;
    }
    CG_TRY(cg_syntax_parse(cg_text_get(defaults), &arguments->defaults));
    const cg_expression *fallback = cg_expression_first(cg_expression_first(arguments->defaults.nodes));
    for (size_t i = 0; i < arguments->count; i++) {
        cg_argument *item = &arguments->items[i];
        item->fallback = item->fallback != NULL ? fallback : NULL;
        item->value = item->fallback;
        fallback = cg_expression_next(fallback);
    }
    return CG_OK;
}

static bool kind_fits(cg_span kind, const cg_expression *value);

static bool fits(cg_span kinds, const cg_expression *value) {
    cg_span kind;
    while (cut(&kinds, '|', &kind)) {
        if (kind_fits(kind, value)) {
            return true;
        }
    }
    return false;
}

static bool tuple_fits(cg_span kinds, const cg_expression *value) {
    if (value->kind != CG_EXPRESSION_TUPLE && value->kind != CG_EXPRESSION_LIST) {
        return false;
    }
    const cg_expression *item = cg_expression_first(value);
    cg_span rest = {kinds.at + 1, kinds.length - 2}, kind; /* without the brackets */
    uint32_t count = 0;
    for (; cut(&rest, ',', &kind); count++) {
        if (count >= value->count || !fits(kind, item)) {
            return false;
        }
        item = cg_expression_next(item);
    }
    return count == value->count;
}

static bool list_fits(cg_span kinds, const cg_expression *value) {
    bool all = value->kind == CG_EXPRESSION_TUPLE || value->kind == CG_EXPRESSION_LIST;
    const cg_expression *item = cg_expression_first(value);
    for (uint32_t i = 0; all && i < value->count; i++) {
        all = fits((cg_span){kinds.at + 1, kinds.length - 2}, item);
        item = cg_expression_next(item);
    }
    return all;
}

static bool kind_fits(cg_span kind, const cg_expression *value) {
    switch (*kind.at) {
    case '(':
        return tuple_fits(kind, value);
    case '[':
        return list_fits(kind, value);
    case '\'':
        return value->kind == CG_EXPRESSION_STRING && span_is((cg_span){kind.at + 1, kind.length - 2}, value->text);
    default:
        break;
    }
    switch (value->kind) {
    case CG_EXPRESSION_NONE:
        return span_is(kind, "None");
    case CG_EXPRESSION_BOOL:
        return span_is(kind, "bool");
    case CG_EXPRESSION_INT:
        return span_is(kind, "int") || span_is(kind, "float") || (span_is(kind, "positive") && value->integer > 0);
    case CG_EXPRESSION_FLOAT:
        return span_is(kind, "float");
    case CG_EXPRESSION_STRING:
        return span_is(kind, "str");
    case CG_EXPRESSION_TUPLE:
    case CG_EXPRESSION_LIST:
        return span_is(kind, "list");
    case CG_EXPRESSION_CALL:
        return span_is(kind, "module") || span_is(kind, "schedule") ||
               (span_is(kind, "tensor") && cg_tensor_argument_is(value));
    default:
        return false;
    }
}

/* A kind in a person's words. */
static void describe_kind(cg_span kind, cg_text *text) {
    static const char *const words[][2] = {
        {"int", "an integer"},
        {"positive", "a positive integer"},
        {"float", "a number"},
        {"bool", "True or False"},
        {"str", "a string"},
        {"module", "a module such as ReLU()"},
        {"schedule", "a schedule such as StepLR(10)"},
        {"list", "a list"},
        {"tensor", "a tensor such as torch.ones(3)"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (span_is(kind, words[i][0])) {
            cg_text_append(text, "%s", words[i][1]);
            return;
        }
    }
    cg_text_append_bytes(text, kind.at, kind.length);
}

/* What PyTorch takes and this library does not yet. */
static bool is_later(const cg_argument *item) {
    return span_is(item->kinds, "later");
}

static cg_status wrong_kind(const cg_arguments *arguments, const cg_argument *item, const cg_expression *value) {
    enum { SHOWN = 60 };
    cg_text given = {0}, expected = {0};
    cg_span kinds = item->kinds, kind;
    cg_expression_print(value, &given);
    while (cut(&kinds, '|', &kind)) {
        cg_text_append(&expected, "%s", expected.length == 0 ? "" : kinds.length > 0 ? ", " : " or ");
        describe_kind(kind, &expected);
    }
    cg_status status =
        cg_fail(CG_ERR_ARGUMENT, "%.64s: %.*s is %.*s%s, expected %s", arguments->call->text, (int)item->name.length,
                item->name.at, SHOWN, cg_text_get(&given), given.length > SHOWN ? "..." : "", cg_text_get(&expected));
    cg_text_free(&given);
    cg_text_free(&expected);
    return status;
}

static cg_status not_yet(const cg_arguments *arguments, const cg_argument *item, const cg_expression *value) {
    cg_text given = {0}, only = {0};
    cg_expression_print(value, &given);
    cg_expression_print(item->fallback, &only);
    cg_status status = cg_fail(CG_ERR_NAME, "%.64s: %.*s=%.60s is not there yet, only %s", arguments->call->text,
                               (int)item->name.length, item->name.at, cg_text_get(&given), cg_text_get(&only));
    cg_text_free(&given);
    cg_text_free(&only);
    return status;
}

static cg_status check_value(const cg_arguments *arguments, const cg_argument *item, const cg_expression *value) {
    if (is_later(item)) {
        return cg_expression_equal(value, item->fallback) ? CG_OK : not_yet(arguments, item, value);
    }
    return fits(item->kinds, value) ? CG_OK : wrong_kind(arguments, item, value);
}

/* Appends "in_features, out_features, bias=True", or "no arguments". */
static void list_arguments(const cg_arguments *arguments, cg_text *text) {
    size_t start = text->length;
    for (size_t i = 0; i < arguments->count; i++) {
        const cg_argument *item = &arguments->items[i];
        if (is_later(item)) {
            continue;
        }
        cg_text_append(text, "%s%s%.*s", text->length > start ? ", " : "", arguments->variadic ? "*" : "",
                       (int)item->name.length, item->name.at);
        if (item->fallback != NULL) {
            cg_text_append(text, "=");
            cg_expression_print(item->fallback, text);
        }
    }
    cg_text_append(text, "%s", arguments->count == 0 ? "no arguments" : "");
}

/* "Linear has no argument 'foo'; it takes in_features, out_features, bias=True". */
static void unknown_argument(const cg_arguments *arguments, const char *key) {
    cg_text known = {0};
    list_arguments(arguments, &known);
    cg_fail(CG_ERR_ARGUMENT, "%.64s has no argument %.64s; it takes %s", arguments->call->text, key,
            cg_text_get(&known));
    cg_text_free(&known);
}

static void too_many(const cg_arguments *arguments) {
    cg_text known = {0};
    list_arguments(arguments, &known);
    cg_fail(CG_ERR_ARGUMENT, "%.64s is given %u argument%s; it takes %s", arguments->call->text,
            (unsigned)arguments->call->count, arguments->call->count == 1 ? "" : "s", cg_text_get(&known));
    cg_text_free(&known);
}

static cg_argument *lookup(cg_arguments *arguments, const char *name) {
    for (size_t i = 0; i < arguments->count; i++) {
        if (span_is(arguments->items[i].name, name)) {
            return &arguments->items[i];
        }
    }
    return NULL;
}

/* The signature's row for the call's argument number `index`; NULL, with a message, when it has none. */
static cg_argument *match(cg_arguments *arguments, const cg_expression *value, size_t index) {
    size_t row = arguments->variadic ? 0 : index;
    cg_argument *item = NULL;
    if (value->key == NULL) {
        item = row < arguments->count ? &arguments->items[row] : NULL;
    } else if (!arguments->variadic) {
        item = lookup(arguments, value->key);
    }
    if (item == NULL && value->key != NULL) {
        unknown_argument(arguments, value->key);
    } else if (item == NULL) {
        too_many(arguments);
    }
    return item;
}

static cg_status check_missing(const cg_arguments *arguments) {
    cg_text missing = {0}, known = {0};
    size_t count = 0;
    for (size_t i = 0; i < arguments->count && !arguments->variadic; i++) {
        const cg_argument *item = &arguments->items[i];
        if (item->value == NULL) {
            cg_text_append(&missing, "%s%.*s", count++ > 0 ? ", " : "", (int)item->name.length, item->name.at);
        }
    }
    cg_status status = CG_OK;
    if (count > 0) {
        list_arguments(arguments, &known);
        status = cg_fail(CG_ERR_ARGUMENT, "%.64s: %s %s missing; it takes %s", arguments->call->text,
                         cg_text_get(&missing), count > 1 ? "are" : "is", cg_text_get(&known));
    }
    cg_text_free(&missing);
    cg_text_free(&known);
    return status;
}

static cg_status bind_values(cg_arguments *arguments) {
    bool given[CG_MAX_ARGUMENTS] = {false};
    const cg_expression *value = cg_expression_first(arguments->call);
    for (uint32_t i = 0; i < arguments->call->count; i++) {
        cg_argument *item = match(arguments, value, i);
        if (item == NULL) {
            return CG_ERR_ARGUMENT;
        }
        size_t row = (size_t)(item - arguments->items);
        if (given[row] && !arguments->variadic) {
            return cg_fail(CG_ERR_ARGUMENT, "%.64s: %.*s is given twice", arguments->call->text, (int)item->name.length,
                           item->name.at);
        }
        CG_TRY(check_value(arguments, item, value));
        given[row] = true;
        item->value = value;
        value = cg_expression_next(value);
    }
    return check_missing(arguments);
}

cg_status cg_arguments_bind(const cg_expression *call, const char *signature, cg_arguments *arguments) {
    cg_text defaults = {0};
    *arguments = (cg_arguments){.call = call};
    read_signature(signature, arguments, &defaults);
    cg_status status = set_defaults(arguments, &defaults);
    cg_text_free(&defaults);
    if (status == CG_OK) {
        status = bind_values(arguments);
    }
    if (status != CG_OK) {
        cg_arguments_free(arguments);
    }
    return status;
}

void cg_arguments_free(cg_arguments *arguments) {
    cg_syntax_free(&arguments->defaults);
}

bool cg_argument_exists(const cg_arguments *arguments, const char *name) {
    for (size_t i = 0; i < arguments->count; i++) {
        if (span_is(arguments->items[i].name, name)) {
            return true;
        }
    }
    return false;
}

const cg_expression *cg_argument_value(const cg_arguments *arguments, const char *name) {
    size_t i = 0;
    while (!span_is(arguments->items[i].name, name)) {
        assert(i + 1 < arguments->count);
        i++;
    }
    return arguments->items[i].value;
}

int64_t cg_argument_int(const cg_arguments *arguments, const char *name) {
    return cg_argument_value(arguments, name)->integer;
}

double cg_argument_real(const cg_arguments *arguments, const char *name) {
    return cg_argument_value(arguments, name)->real;
}

bool cg_argument_bool(const cg_arguments *arguments, const char *name) {
    return cg_argument_value(arguments, name)->integer != 0;
}

void cg_argument_ints(const cg_arguments *arguments, const char *name, int64_t *values, uint32_t count) {
    const cg_expression *value = cg_argument_value(arguments, name);
    bool many = value->kind == CG_EXPRESSION_TUPLE || value->kind == CG_EXPRESSION_LIST;
    const cg_expression *item = many ? cg_expression_first(value) : value;
    for (uint32_t i = 0; i < count; i++) {
        values[i] = item->integer;
        item = many && i + 1 < count ? cg_expression_next(item) : item;
    }
}

const char *cg_argument_text(const cg_arguments *arguments, const char *name) {
    return cg_argument_value(arguments, name)->text;
}

bool cg_argument_is_none(const cg_arguments *arguments, const char *name) {
    return cg_argument_value(arguments, name)->kind == CG_EXPRESSION_NONE;
}

static bool takes_module(const cg_argument *item) {
    cg_span kinds = item->kinds, kind;
    while (cut(&kinds, '|', &kind)) {
        if (span_is(kind, "module")) {
            return true;
        }
    }
    return false;
}

static void print_value(const cg_expression *value, cg_text *text) {
    if (cg_tensor_argument_is(value)) {
        cg_tensor_argument_print(value, text);
    } else {
        cg_expression_print(value, text);
    }
}

void cg_arguments_print(const cg_arguments *arguments, cg_text *text) {
    size_t start = text->length;
    for (size_t i = 0; i < arguments->count; i++) {
        const cg_argument *item = &arguments->items[i];
        bool required = item->fallback == NULL;
        if (takes_module(item) || (!required && cg_expression_equal(item->value, item->fallback))) {
            continue;
        }
        cg_text_append(text, "%s", text->length > start ? ", " : "");
        if (!required) {
            cg_text_append(text, "%.*s=", (int)item->name.length, item->name.at);
        }
        print_value(item->value, text);
    }
}

void cg_arguments_print_all(const cg_arguments *arguments, size_t first, cg_text *text) {
    size_t start = text->length;
    for (size_t i = first; i < arguments->count; i++) {
        const cg_argument *item = &arguments->items[i];
        if (is_later(item)) {
            continue;
        }
        cg_text_append(text, "%s%.*s=", text->length > start ? ", " : "", (int)item->name.length, item->name.at);
        cg_expression_print(item->value, text);
    }
}
