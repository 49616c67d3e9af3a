/*
 * Einstein's sums, made of sums, permutations, products of matrices and of elements. Operands are joined from left to
 * right; a label is summed over as soon as nothing behind needs it.
 */
#include <ctype.h>
#include <string.h>

#include "strided.h"

/* A label is a bit: letters first, capitals before small ones as they sort, then the axes of an ellipsis, which are
 * aligned at their last. */
enum { LETTERS = 52, LABELS = LETTERS + CG_MAX_RANK, SIZES_UNKNOWN = -1 };

typedef struct labels {
    int at[LABELS];
    int count;
} labels;

/* A tensor with a label for each axis. */
typedef struct operand {
    cg_tensor *x;
    labels of;
} operand;

typedef struct einsum {
    cg_tape *tape;
    const char *equation;
    int64_t size[LABELS];
    int uses[LABELS]; /* in the operands' terms */
} einsum;

static uint64_t bit(int label) {
    return (uint64_t)1 << label;
}

static uint64_t set_of(const labels *of) {
    uint64_t set = 0;
    for (int i = 0; i < of->count; i++) {
        set |= bit(of->at[i]);
    }
    return set;
}

static int find(const labels *of, int label) {
    int i = 0;
    while (i < of->count && of->at[i] != label) {
        i++;
    }
    return i;
}

/* Appends those of `from` that are in the set, in its order. */
static void append(labels *to, const labels *from, uint64_t set) {
    for (int i = 0; i < from->count; i++) {
        if (set & bit(from->at[i])) {
            to->at[to->count++] = from->at[i];
        }
    }
}

static char name_of(int label) {
    return (char)(label < 26 ? 'A' + label : label < LETTERS ? 'a' + label - 26 : '.');
}

static bool works(const einsum *e) {
    return cg_tape_status(e->tape) == CG_OK;
}

/* The length of the term at `at`, up to a comma, an arrow or the end. */
static size_t term_length(const char *at) {
    size_t length = 0;
    while (at[length] != '\0' && at[length] != ',' && strncmp(at + length, "->", 2) != 0) {
        length++;
    }
    return length;
}

/* Reads one term; an ellipsis stands for `ellipsis` axes, or where that is negative for those that make it `-ellipsis
 * - 1` axes in all. */
static void read_term(einsum *e, const char *at, size_t length, int ellipsis, labels *out) {
    int letters = 0, dots = 0;
    for (size_t i = 0; i < length; i++) {
        letters += isalpha((unsigned char)at[i]) != 0;
    }
    int axes = ellipsis >= 0 ? ellipsis : -ellipsis - 1 - letters;
    out->count = 0;
    for (size_t i = 0; i < length && works(e); i++) {
        if (isalpha((unsigned char)at[i])) {
            out->at[out->count++] = at[i] <= 'Z' ? at[i] - 'A' : at[i] - 'a' + 26;
        } else if (length - i >= 3 && strncmp(at + i, "...", 3) == 0 && dots++ == 0) {
            for (int k = 0; k < axes; k++) {
                out->at[out->count++] = LABELS - axes + k;
            }
            i += 2;
        } else if (at[i] != ' ') {
            cg_tape_fail(e->tape, CG_ERR_ARGUMENT,
                         "einsum: '%.80s': '%c' at %d: letters, one '...', ',' and '->' are possible", e->equation,
                         at[i], (int)(at + i - e->equation));
        }
        if (out->count > CG_MAX_RANK) {
            cg_tape_fail(e->tape, CG_ERR_ARGUMENT, "einsum: '%.80s': a term of more than %d axes", e->equation,
                         CG_MAX_RANK);
        }
    }
}

/* The sizes of an operand's axes; equal labels have equal sizes, or 1 in another operand, which is then repeated. */
static void note_sizes(einsum *e, const operand *given, size_t index) {
    const cg_shape *shape = cg_tensor_shape(given->x);
    if (given->of.count != shape->rank) {
        cg_tape_fail(e->tape, CG_ERR_SHAPE, "einsum: '%.80s': operand %zu is %s, its term has %d axes", e->equation,
                     index, cg_shape_print(shape, CG_SHAPE_TEXT), given->of.count);
        return;
    }
    for (int i = 0; i < shape->rank && works(e); i++) {
        int label = given->of.at[i], first = find(&given->of, label);
        int64_t *size = &e->size[label], here = shape->dim[i];
        bool same = *size == SIZES_UNKNOWN || *size == here || *size == 1 || here == 1;
        if (!same || (first < i && shape->dim[first] != here)) {
            cg_tape_fail(e->tape, CG_ERR_SHAPE,
                         "einsum: '%.80s': axis %d ('%c') of operand %zu, which is %s, has %lld "
                         "elements, before it was %lld",
                         e->equation, i, name_of(label), index, cg_shape_print(shape, CG_SHAPE_TEXT), (long long)here,
                         (long long)(first < i ? shape->dim[first] : *size));
        }
        *size = *size == SIZES_UNKNOWN || *size == 1 ? here : *size;
        e->uses[label]++;
    }
}

/* The operand without axes of 1 that others repeat, and of equal labels their diagonal. */
static operand prepared(einsum *e, const operand *given) {
    const cg_shape *shape = cg_tensor_shape(given->x);
    cg_strided_attrs attrs = {0};
    cg_shape out = {.rank = 0};
    int64_t stride[CG_MAX_RANK];
    operand result = {.x = given->x};
    cg_ops_strides(shape, stride);
    for (int i = 0; i < shape->rank; i++) {
        int at = find(&result.of, given->of.at[i]);
        if (shape->dim[i] == 1 && e->size[given->of.at[i]] != 1) {
            continue;
        }
        if (at == result.of.count) {
            result.of.at[result.of.count++] = given->of.at[i];
            attrs.dim[at] = out.dim[out.rank++] = shape->dim[i];
        }
        attrs.in[at] += stride[i];
    }
    attrs.rank = (uint32_t)out.rank;
    if (cg_shape_numel(&out) == cg_shape_numel(shape)) {
        result.x = cg_reshape(e->tape, given->x, &out);
        return result;
    }
    cg_ops_strides(&out, attrs.out);
    result.x = cg_tape_tensor(e->tape, cg_tensor_dtype(given->x), &out);
    cg_ops_strided(e->tape, given->x, result.x, &attrs, NULL);
    return result;
}

/* Sums over all labels that are not in the set. */
static void sum_others(einsum *e, operand *given, uint64_t set) {
    uint32_t axes = 0;
    labels kept = {.count = 0};
    for (int i = 0; i < given->of.count; i++) {
        axes |= (set & bit(given->of.at[i])) ? 0 : 1u << i;
    }
    append(&kept, &given->of, set);
    given->x = axes != 0 ? cg_sum(e->tape, given->x, axes, false) : given->x;
    given->of = kept;
}

/* The axes in the order of the labels, which are the operand's. */
static cg_tensor *arranged(einsum *e, const operand *given, const labels *order) {
    int axes[CG_MAX_RANK];
    for (int i = 0; i < order->count; i++) {
        axes[i] = find(&given->of, order->at[i]);
    }
    return cg_permute(e->tape, given->x, axes);
}

static int64_t size_of(const einsum *e, const labels *of, uint64_t set) {
    int64_t size = 1;
    for (int i = 0; i < of->count; i++) {
        size *= (set & bit(of->at[i])) ? e->size[of->at[i]] : 1;
    }
    return size;
}

/* What is in two operands: labels of both that stay, of both that are summed over, of one of them. */
typedef struct pairing {
    labels batch, contracted, left, right;
} pairing;

static labels joined(const labels *a, const labels *b, const labels *c) {
    labels all = {.count = 0};
    append(&all, a, ~(uint64_t)0);
    append(&all, b, ~(uint64_t)0);
    append(&all, c, ~(uint64_t)0);
    return all;
}

/* One factor as matrices [batch, rows, columns]; *transposed: as [batch, columns, rows], which its axes are already. */
static cg_tensor *factor(einsum *e, const operand *given, const labels *batch, const labels *rows,
                         const labels *columns, bool *transposed) {
    const labels order = joined(batch, rows, columns), other = joined(batch, columns, rows);
    *transposed = memcmp(other.at, given->of.at, (size_t)other.count * sizeof(int)) == 0 && rows->count > 0;
    int64_t m = size_of(e, rows, ~(uint64_t)0), n = size_of(e, columns, ~(uint64_t)0);
    const cg_shape matrices = CG_SHAPE(size_of(e, batch, ~(uint64_t)0), *transposed ? n : m, *transposed ? m : n);
    return cg_reshape(e->tape, arranged(e, given, *transposed ? &other : &order), &matrices);
}

/* The shape of `result` with 1 where the label is not in the set. */
static cg_shape spread(const einsum *e, const labels *result, uint64_t set) {
    cg_shape shape = {.rank = result->count};
    for (int i = 0; i < result->count; i++) {
        shape.dim[i] = (set & bit(result->at[i])) ? e->size[result->at[i]] : 1;
    }
    return shape;
}

static cg_tensor *multiply(einsum *e, const operand *a, const operand *b, const pairing *p, const labels *result) {
    if (p->contracted.count == 0) {
        const labels left = joined(&p->batch, &p->left, &(labels){0}),
                     right = joined(&p->batch, &p->right, &(labels){0});
        cg_shape first = spread(e, result, set_of(&left)), second = spread(e, result, set_of(&right));
        return cg_mul(e->tape, cg_reshape(e->tape, arranged(e, a, &left), &first),
                      cg_reshape(e->tape, arranged(e, b, &right), &second));
    }
    cg_matmul_options options = {0};
    cg_tensor *x = factor(e, a, &p->batch, &p->left, &p->contracted, &options.transpose_a);
    cg_tensor *y = factor(e, b, &p->batch, &p->contracted, &p->right, &options.transpose_b);
    cg_shape shape = spread(e, result, ~(uint64_t)0);
    return cg_reshape(e->tape, cg_matmul(e->tape, x, y, &options), &shape);
}

/* The product of two operands, summed over what neither the result nor a later operand has. */
static operand combined(einsum *e, operand a, operand b, uint64_t kept) {
    uint64_t in_a = set_of(&a.of), in_b = set_of(&b.of);
    sum_others(e, &a, kept | in_b);
    sum_others(e, &b, kept | in_a);
    pairing p = {0};
    append(&p.batch, &a.of, in_b & kept);
    append(&p.contracted, &a.of, in_b & ~kept);
    append(&p.left, &a.of, ~in_b);
    append(&p.right, &b.of, ~in_a);
    operand result = {.of = joined(&p.batch, &p.left, &p.right)};
    if (result.of.count > CG_MAX_RANK) {
        cg_tape_fail(e->tape, CG_ERR_SHAPE, "einsum: '%.80s': a product of %d axes, at most %d are possible",
                     e->equation, result.of.count, CG_MAX_RANK);
    }
    result.x = works(e) ? multiply(e, &a, &b, &p, &result.of) : a.x;
    return result;
}

/* Without an arrow: the axes of an ellipsis, then the letters that occur once. */
static void implied_output(const einsum *e, labels *out) {
    for (int label = LETTERS; label < LABELS; label++) {
        if (e->uses[label] > 0) {
            out->at[out->count++] = label;
        }
    }
    for (int label = 0; label < LETTERS; label++) {
        if (e->uses[label] == 1) {
            out->at[out->count++] = label;
        }
    }
}

static void check_output(einsum *e, const labels *out) {
    for (int i = 0; i < out->count && works(e); i++) {
        if (e->uses[out->at[i]] == 0 || find(out, out->at[i]) < i) {
            cg_tape_fail(e->tape, CG_ERR_ARGUMENT, "einsum: '%.80s': '%c' of the result %s", e->equation,
                         name_of(out->at[i]), e->uses[out->at[i]] == 0 ? "is in no operand" : "is there twice");
        }
    }
    if (out->count > CG_MAX_RANK) {
        cg_tape_fail(e->tape, CG_ERR_SHAPE, "einsum: '%.80s': a result of %d axes, at most %d are possible",
                     e->equation, out->count, CG_MAX_RANK);
    }
}

/* Reads all terms in front of the arrow; gives what follows them. */
static const char *read_operands(einsum *e, cg_tensor *const *inputs, size_t count, operand *operands) {
    const char *at = e->equation;
    for (size_t i = 0; i < count && works(e); i++) {
        size_t length = term_length(at);
        operands[i].x = inputs[i];
        read_term(e, at, length, -1 - cg_tensor_shape(inputs[i])->rank, &operands[i].of);
        if (works(e)) {
            note_sizes(e, &operands[i], i);
        }
        at += length;
        bool more = i + 1 < count;
        if (works(e) && (more ? *at != ',' : *at == ',')) {
            cg_tape_fail(e->tape, CG_ERR_ARGUMENT, "einsum: '%.80s' has %s terms than the %zu operands", e->equation,
                         more ? "fewer" : "more", count);
        }
        at += more && *at == ',';
    }
    return at;
}

static void read_output(einsum *e, const char *at, labels *out) {
    int ellipsis = 0;
    for (int label = LETTERS; label < LABELS; label++) {
        ellipsis += e->uses[label] > 0;
    }
    if (*at == '\0') {
        implied_output(e, out);
    } else {
        size_t length = term_length(at + 2);
        read_term(e, at + 2, length, ellipsis, out);
        if (works(e) && at[2 + length] != '\0') {
            cg_tape_fail(e->tape, CG_ERR_ARGUMENT, "einsum: '%.80s': more than one result", e->equation);
        }
    }
    if (works(e)) {
        check_output(e, out);
    }
}

/* The sum itself, once all is read. */
static cg_tensor *evaluate(einsum *e, const operand *operands, size_t count, const labels *out) {
    operand result = prepared(e, &operands[0]);
    for (size_t i = 1; i < count && works(e); i++) {
        uint64_t kept = set_of(out);
        for (size_t k = i + 1; k < count; k++) {
            kept |= set_of(&operands[k].of);
        }
        result = combined(e, result, prepared(e, &operands[i]), kept);
    }
    if (!works(e)) {
        return cg_tape_fail_status(e->tape, cg_tape_status(e->tape));
    }
    sum_others(e, &result, set_of(out));
    return arranged(e, &result, out);
}

cg_tensor *cg_einsum(cg_tape *tape, const char *equation, cg_tensor *const *inputs, size_t count) {
    operand operands[CG_MAX_INPUTS];
    einsum e = {.tape = tape, .equation = equation != NULL ? equation : ""};
    labels out = {.count = 0};
    memset(e.size, SIZES_UNKNOWN, sizeof e.size); /* -1 in every byte */
    if (count < 1 || count > CG_MAX_INPUTS) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "einsum: %zu operands, 1 to %d are possible", count, CG_MAX_INPUTS);
    }
    if (!cg_tape_accepts(tape, "einsum", inputs, count)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    for (size_t i = 0; i < count && cg_ops_float(tape, "einsum", inputs[i]); i++) {
        if (cg_tensor_dtype(inputs[i]) != cg_tensor_dtype(inputs[0])) {
            return cg_tape_fail(tape, CG_ERR_DTYPE, "einsum: operand 0 is %s, operand %zu is %s",
                                cg_dtype_name(cg_tensor_dtype(inputs[0])), i,
                                cg_dtype_name(cg_tensor_dtype(inputs[i])));
        }
    }
    const char *rest = read_operands(&e, inputs, count, operands);
    if (works(&e)) {
        read_output(&e, rest, &out);
    }
    return works(&e) ? evaluate(&e, operands, count, &out) : cg_tape_fail_status(tape, cg_tape_status(tape));
}
