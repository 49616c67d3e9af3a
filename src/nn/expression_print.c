/* Expressions after parsing: walking, comparing, printing, and names that are not known. */
#include "expression.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "number.h"

const cg_expression *cg_expression_first(const cg_expression *expression) {
    return expression + 1;
}

const cg_expression *cg_expression_next(const cg_expression *expression) {
    return expression + expression->nodes;
}

static bool is_number(const cg_expression *expression) {
    return expression->kind == CG_EXPRESSION_INT || expression->kind == CG_EXPRESSION_FLOAT;
}

static bool same_key(const cg_expression *a, const cg_expression *b) {
    return a->key == NULL || b->key == NULL ? a->key == b->key : strcmp(a->key, b->key) == 0;
}

static bool equal_items(const cg_expression *a, const cg_expression *b) {
    if (a->count != b->count) {
        return false;
    }
    const cg_expression *x = cg_expression_first(a), *y = cg_expression_first(b);
    for (uint32_t i = 0; i < a->count; i++) {
        if (!same_key(x, y) || !cg_expression_equal(x, y)) {
            return false;
        }
        x = cg_expression_next(x);
        y = cg_expression_next(y);
    }
    return true;
}

bool cg_expression_equal(const cg_expression *a, const cg_expression *b) {
    if (is_number(a) && is_number(b)) {
        bool both_ints = a->kind == CG_EXPRESSION_INT && b->kind == CG_EXPRESSION_INT;
        bool both_nan = a->real != a->real && b->real != b->real;
        return both_ints ? a->integer == b->integer : a->real == b->real || both_nan;
    }
    if (a->kind != b->kind) {
        return false;
    }
    switch (a->kind) {
    case CG_EXPRESSION_BOOL:
        return a->integer == b->integer;
    case CG_EXPRESSION_STRING:
        return strcmp(a->text, b->text) == 0;
    case CG_EXPRESSION_CALL:
        return strcmp(a->text, b->text) == 0 && equal_items(a, b);
    case CG_EXPRESSION_TUPLE:
    case CG_EXPRESSION_LIST:
        return equal_items(a, b);
    default:
        return true;
    }
}

static void print_string(const char *content, cg_text *text) {
    cg_text_append(text, "'");
    for (const char *c = content; *c != '\0'; c++) {
        cg_text_append(text, *c == '\\' || *c == '\'' ? "\\%c" : "%c", *c);
    }
    cg_text_append(text, "'");
}

static void print_items(const cg_expression *expression, const char *open, const char *close, cg_text *text) {
    cg_text_append(text, "%s", open);
    const cg_expression *item = cg_expression_first(expression);
    for (uint32_t i = 0; i < expression->count; i++) {
        cg_text_append(text, "%s%s%s", i > 0 ? ", " : "", item->key != NULL ? item->key : "",
                       item->key != NULL ? "=" : "");
        cg_expression_print(item, text);
        item = cg_expression_next(item);
    }
    bool single = expression->kind == CG_EXPRESSION_TUPLE && expression->count == 1;
    cg_text_append(text, "%s%s", single ? "," : "", close);
}

void cg_expression_print(const cg_expression *expression, cg_text *text) {
    char number[CG_NUMBER_SIZE];
    switch (expression->kind) {
    case CG_EXPRESSION_NONE:
        cg_text_append(text, "None");
        break;
    case CG_EXPRESSION_BOOL:
        cg_text_append(text, expression->integer != 0 ? "True" : "False");
        break;
    case CG_EXPRESSION_INT:
        cg_text_append(text, "%" PRId64, expression->integer);
        break;
    case CG_EXPRESSION_FLOAT:
        cg_text_append(text, "%s", cg_number_print(expression->real, number));
        break;
    case CG_EXPRESSION_STRING:
        print_string(expression->text, text);
        break;
    case CG_EXPRESSION_TUPLE:
        print_items(expression, "(", ")", text);
        break;
    case CG_EXPRESSION_LIST:
        print_items(expression, "[", "]", text);
        break;
    case CG_EXPRESSION_CALL:
        cg_text_append(text, "%s", expression->text);
        print_items(expression, "(", ")", text);
        break;
    }
}

/* Letters to insert, remove or exchange to make b of a (Levenshtein); case does not count. Long names: far. */
static size_t distance(const char *a, const char *b) {
    enum { LONGEST = 48, FAR = 1000 };
    size_t row[LONGEST + 1], width = strlen(b);
    if (width > LONGEST || strlen(a) > LONGEST) {
        return FAR;
    }
    for (size_t j = 0; j <= width; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < width; j++) {
            bool same = tolower((unsigned char)a[i]) == tolower((unsigned char)b[j]);
            size_t exchange = diagonal + !same, shorter = row[j + 1] + 1, longer = row[j] + 1;
            diagonal = row[j + 1];
            size_t least = shorter < longer ? shorter : longer;
            row[j + 1] = exchange < least ? exchange : least;
        }
    }
    return row[width];
}

static size_t nearest(const char *name, const char *(*name_at)(size_t index)) {
    size_t least = SIZE_MAX;
    for (size_t i = 0; name_at(i) != NULL; i++) {
        size_t far = distance(name, name_at(i));
        least = far < least ? far : least;
    }
    return least;
}

/* Appends the names at most `limit` away from `name`; returns how many there are. */
static size_t append_names(cg_text *text, const char *name, const char *(*name_at)(size_t index), size_t limit) {
    size_t count = 0;
    for (size_t i = 0; name_at(i) != NULL; i++) {
        if (limit == SIZE_MAX || distance(name, name_at(i)) <= limit) {
            cg_text_append(text, "%s%s", count++ > 0 ? ", " : "", name_at(i));
        }
    }
    return count;
}

cg_status cg_fail_unknown(const char *what, const char *name, const char *(*name_at)(size_t index)) {
    cg_text near = {0};
    size_t limit = 1 + strlen(name) / 4;
    cg_status status = CG_ERR_NAME;
    size_t least = nearest(name, name_at);
    if (least <= limit && append_names(&near, name, name_at, least) > 0) {
        cg_fail(status, "there is no %s %.64s; did you mean %s?", what, name, cg_text_get(&near));
    } else {
        append_names(&near, name, name_at, SIZE_MAX);
        cg_fail(status, "there is no %s %.64s; there are %s", what, name, cg_text_get(&near));
    }
    cg_text_free(&near);
    return status;
}
