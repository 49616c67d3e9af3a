/* Tensors in a module's text, torch.tensor([0.5, 1]) or torch.ones(3): their shape and values. */
#include <string.h>

#include "alloc.h"
#include "arguments.h"

/* Above this a text means something else than it says. */
#define LARGEST 1048576

typedef struct literal {
    cg_shape shape;
    double *values;
} literal;

/* Memory for the values of literal->shape. */
static cg_status make_room(const cg_expression *call, literal *made) {
    int64_t count = 1;
    for (int i = 0; i < made->shape.rank; i++) {
        int64_t size = made->shape.dim[i];
        if (size < 0 || (size > 0 && count > LARGEST / size)) {
            return cg_fail(CG_ERR_ARGUMENT, "%s: the shape is %s, expected sizes of at least 0 and at most %d elements",
                           call->text, cg_shape_print(&made->shape, CG_SHAPE_TEXT), LARGEST);
        }
        count *= size;
    }
    made->values = cg_alloc_zero((size_t)count, sizeof *made->values);
    return made->values != NULL ? CG_OK : CG_ERR_MEMORY;
}

/* `count` sizes, from `item` on. */
static cg_status set_sizes(const cg_expression *call, const cg_expression *item, uint32_t count, literal *made) {
    if (count > CG_MAX_RANK) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: %u axes, expected at most %d", call->text, (unsigned)count, CG_MAX_RANK);
    }
    made->shape.rank = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        if (item->kind != CG_EXPRESSION_INT) {
            return cg_fail(CG_ERR_ARGUMENT, "%s: expected sizes one after the other, or in one tuple", call->text);
        }
        made->shape.dim[i] = item->integer;
        item = cg_expression_next(item);
    }
    return make_room(call, made);
}

static bool is_list(const cg_expression *value) {
    return value->kind == CG_EXPRESSION_LIST || value->kind == CG_EXPRESSION_TUPLE;
}

static void fill(literal *made, double value) {
    for (int64_t i = 0, n = cg_shape_numel(&made->shape); i < n; i++) {
        made->values[i] = value;
    }
}

/* zeros(2, 3) and zeros((2, 3)). */
static cg_status read_zeros(const cg_arguments *arguments, literal *made) {
    const cg_expression *call = arguments->call, *first = cg_expression_first(call);
    if (call->count != 1 || !is_list(first)) {
        return set_sizes(call, first, call->count, made);
    }
    return set_sizes(call, cg_expression_first(first), first->count, made);
}

static cg_status read_ones(const cg_arguments *arguments, literal *made) {
    CG_TRY(read_zeros(arguments, made));
    fill(made, 1.0);
    return CG_OK;
}

static cg_status read_full(const cg_arguments *arguments, literal *made) {
    const cg_expression *size = cg_argument_value(arguments, "size");
    CG_TRY(set_sizes(arguments->call, cg_expression_first(size), size->count, made));
    fill(made, cg_argument_real(arguments, "fill_value"));
    return CG_OK;
}

static cg_status read_linspace(const cg_arguments *arguments, literal *made) {
    double start = cg_argument_real(arguments, "start"), end = cg_argument_real(arguments, "end");
    CG_TRY(set_sizes(arguments->call, cg_argument_value(arguments, "steps"), 1, made));
    for (int64_t i = 0, last = made->shape.dim[0] - 1; i <= last; i++) {
        made->values[i] = last > 0 ? start + (end - start) * (double)i / (double)last : start;
    }
    return CG_OK;
}

/* Writes the numbers of nested lists, all as long as the first of their depth. */
static cg_status put_numbers(const cg_expression *call, const cg_expression *data, const cg_shape *shape, int axis,
                             double **next) {
    bool number = data->kind == CG_EXPRESSION_INT || data->kind == CG_EXPRESSION_FLOAT;
    if (axis == shape->rank && (number || data->kind == CG_EXPRESSION_BOOL)) {
        *(*next)++ = number ? data->real : (double)data->integer;
        return CG_OK;
    }
    if (axis == shape->rank || !is_list(data) || (int64_t)data->count != shape->dim[axis]) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: expected numbers in lists that make a tensor of shape %s", call->text,
                       cg_shape_print(shape, CG_SHAPE_TEXT));
    }
    const cg_expression *item = cg_expression_first(data);
    for (uint32_t i = 0; i < data->count; i++) {
        CG_TRY(put_numbers(call, item, shape, axis + 1, next));
        item = cg_expression_next(item);
    }
    return CG_OK;
}

static cg_status read_data(const cg_arguments *arguments, literal *made) {
    const cg_expression *call = arguments->call, *data = cg_argument_value(arguments, "data"), *inner = data;
    for (; is_list(inner) && made->shape.rank < CG_MAX_RANK; inner = cg_expression_first(inner)) {
        made->shape.dim[made->shape.rank++] = inner->count;
        if (inner->count == 0) {
            break;
        }
    }
    CG_TRY(make_room(call, made));
    double *next = made->values;
    return put_numbers(call, data, &made->shape, 0, &next);
}

static const struct {
    const char *name, *signature;
    cg_status (*read)(const cg_arguments *arguments, literal *made);
} forms[] = {
    {"tensor", "data: float | bool | list", read_data},
    {"zeros", "*size: int | [int]", read_zeros},
    {"ones", "*size: int | [int]", read_ones},
    {"full", "size: [int], fill_value: float", read_full},
    {"linspace", "start: float, end: float, steps: int", read_linspace},
};

#define PREFIX "torch."

static const char *without_prefix(const char *name) {
    size_t length = strlen(PREFIX);
    return strncmp(name, PREFIX, length) == 0 ? name + length : name;
}

/* The place of a call's form in the list; what is behind it for none. */
static size_t find_form(const cg_expression *value) {
    size_t i = 0, count = sizeof forms / sizeof *forms;
    while (i < count &&
           (value->kind != CG_EXPRESSION_CALL || strcmp(without_prefix(value->text), forms[i].name) != 0)) {
        i++;
    }
    return i;
}

bool cg_tensor_argument_is(const cg_expression *value) {
    return find_form(value) < sizeof forms / sizeof *forms;
}

void cg_tensor_argument_print(const cg_expression *call, cg_text *text) {
    cg_text_append(text, "%s", without_prefix(call->text) == call->text ? PREFIX : "");
    cg_expression_print(call, text);
}

cg_status cg_tensor_argument_read(const cg_expression *call, cg_shape *shape, double **values) {
    literal made = {.values = NULL};
    cg_arguments arguments;
    *values = NULL;
    size_t form = find_form(call);
    CG_TRY(cg_arguments_bind(call, forms[form].signature, &arguments));
    cg_status status = forms[form].read(&arguments, &made);
    cg_arguments_free(&arguments);
    if (status != CG_OK) {
        cg_free(made.values);
        return status;
    }
    *shape = made.shape;
    *values = made.values;
    return CG_OK;
}
