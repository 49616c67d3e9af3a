/* Einstein's sums: the proofs, the values of the definition, wrong equations. */
#include "devices.h"
#include "failures.h"
#include "gradcheck.h"
#include "tensors.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* `loops` is the same equation without ellipsis, broadcasting and blanks, NULL: the equation is. */
typedef struct sum_case {
    const char *equation, *loops;
    size_t count;
    cg_shape shapes[3];
} sum_case;

/* CG_SHAPE as a constant. */
#define SHAPE(...)                                                                                                     \
    { {__VA_ARGS__}, (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)) }

static const sum_case cases[] = {
    {"ij->ji", NULL, 1, {SHAPE(3, 5)}},
    {"ij->", NULL, 1, {SHAPE(3, 5)}},
    {"ijk->kj", NULL, 1, {SHAPE(3, 5, 2)}},
    {"ii->i", NULL, 1, {SHAPE(5, 5)}},
    {"ii", "ii->", 1, {SHAPE(4, 4)}},
    {"iji->ji", NULL, 1, {SHAPE(3, 2, 3)}},
    {"ba", "ba->ab", 1, {SHAPE(3, 5)}},
    {"...ij->...ji", "abij->abji", 1, {SHAPE(2, 3, 4, 5)}},
    {"ij,jk->ik", NULL, 2, {SHAPE(3, 5), SHAPE(5, 7)}},
    {"ji,jk->ki", NULL, 2, {SHAPE(5, 3), SHAPE(5, 2)}},
    {"ij,kj->ik", NULL, 2, {SHAPE(3, 5), SHAPE(7, 5)}},
    {" b i j , b j k -> b i k ", "bij,bjk->bik", 2, {SHAPE(2, 3, 5), SHAPE(2, 5, 4)}},
    {"bhqd,bhkd->bhqk", NULL, 2, {SHAPE(2, 2, 3, 4), SHAPE(2, 2, 5, 4)}},
    {"qbhd,kbhd->bhqk", NULL, 2, {SHAPE(3, 2, 2, 4), SHAPE(5, 2, 2, 4)}},
    {"ikl,ljk->ij", NULL, 2, {SHAPE(2, 3, 4), SHAPE(4, 5, 3)}},
    {"i,j->ij", NULL, 2, {SHAPE(3), SHAPE(5)}},
    {"i,i->", NULL, 2, {SHAPE(65), SHAPE(65)}},
    {"ij,ij->i", NULL, 2, {SHAPE(4, 5), SHAPE(4, 5)}},
    {"ij,ij->ji", NULL, 2, {SHAPE(4, 5), SHAPE(4, 5)}},
    {"ij,,jk->k", NULL, 3, {SHAPE(2, 3), {{0}, 0}, SHAPE(3, 4)}},
    {"...ij,jk->...ik", "abij,jk->abik", 2, {SHAPE(2, 3, 2, 4), SHAPE(4, 3)}},
    {"...i,...i->...", "abi,bi->ab", 2, {SHAPE(2, 3, 4), SHAPE(3, 4)}},
    {"...i,j...", "abi,jb->abij", 2, {SHAPE(2, 3, 2), SHAPE(4, 3)}},
    {"bij,bjk->bik", "ij,bjk->bik", 2, {SHAPE(1, 3, 2), SHAPE(4, 2, 3)}},
    {"ij,jk,kl->il", NULL, 3, {SHAPE(2, 3), SHAPE(3, 4), SHAPE(4, 2)}},
    {"bn,anm,bm->ba", NULL, 3, {SHAPE(2, 3), SHAPE(4, 3, 2), SHAPE(2, 2)}},
};

static cg_tensor *build(cg_tape *tape, cg_tensor **inputs, const void *context) {
    const sum_case *given = context;
    return cg_einsum(tape, given->equation, inputs, given->count);
}

Test(einsum, has_the_gradients_of_its_definition) {
    gradcheck_case tests[COUNT(cases)];
    memset(tests, 0, sizeof tests);
    for (size_t i = 0; i < COUNT(cases); i++) {
        tests[i].name = cases[i].equation;
        tests[i].build = build;
        tests[i].context = &cases[i];
        tests[i].tolerance = GRADCHECK_REDUCTION;
        tests[i].flags = cases[i].count == 1 ? GRADCHECK_TRUSTED : 0; /* of a sum the gradient is constant */
        tests[i].n_inputs = (uint32_t)cases[i].count;
        for (size_t k = 0; k < cases[i].count; k++) {
            tests[i].inputs[k].shape = cases[i].shapes[k];
        }
    }
    gradcheck_all(tests, COUNT(cases));
}

/* Where the element of a term lies that belongs to these values of the letters. */
static int64_t place(const char *term, const int64_t *sizes, const int64_t *values) {
    int64_t at = 0;
    for (; *term >= 'a' && *term <= 'z'; term++) {
        at = at * sizes[*term - 'a'] + values[*term - 'a'];
    }
    return at;
}

/* The next values of the letters; false after the last. */
static bool advance(const int64_t *sizes, int64_t *values) {
    for (int i = 0; i < 26; i++) {
        if (++values[i] < sizes[i]) {
            return true;
        }
        values[i] = 0;
    }
    return false;
}

/* Adds up the products of all elements, one loop for each letter. */
static void sum_by_loops(const sum_case *given, double *const *inputs, double *sums) {
    int64_t sizes[26], values[26] = {0};
    const char *terms[4] = {given->loops != NULL ? given->loops : given->equation};
    for (size_t k = 0; k < given->count; k++) {
        terms[k + 1] = terms[k] + strcspn(terms[k], ",-") + (k + 1 < given->count ? 1 : 2);
    }
    for (int i = 0; i < 26; i++) {
        sizes[i] = 1;
    }
    for (size_t k = 0; k < given->count; k++) {
        size_t length = strcspn(terms[k], ",-"), skipped = (size_t)given->shapes[k].rank - length;
        for (size_t i = 0; i < length; i++) {
            sizes[terms[k][i] - 'a'] = given->shapes[k].dim[i + skipped];
        }
    }
    do {
        double product = 1;
        for (size_t k = 0; k < given->count; k++) {
            product *= inputs[k][place(terms[k], sizes, values)];
        }
        sums[place(terms[given->count], sizes, values)] += product;
    } while (advance(sizes, values));
}

Test(einsum, has_the_values_of_its_definition) {
    cg_device *device = test_device_open();
    cg_tape *tape = cg_tape_create(device);
    for (size_t i = 0; i < COUNT(cases); i++) {
        cg_tensor *inputs[3] = {NULL};
        double *values[3] = {NULL};
        for (size_t k = 0; k < cases[i].count; k++) {
            int64_t count = cg_shape_numel(&cases[i].shapes[k]);
            inputs[k] = test_integers(device, cases[i].shapes[k], 10 * i + k);
            values[k] = test_doubles(count);
            cr_assert(cg_tensor_read_f64(inputs[k], values[k], count) == CG_OK);
        }
        cg_tensor *y = cg_einsum(tape, cases[i].equation, inputs, cases[i].count);
        cr_assert(cg_tape_status(tape) == CG_OK, "%s", cg_tape_error(tape));
        double *sums = test_doubles(cg_tensor_numel(y));
        sum_by_loops(&cases[i], values, sums);
        test_expect(cases[i].equation, y, *cg_tensor_shape(y), sums, 0, 0);
        free(sums);
        cg_tape_reset(tape);
        for (size_t k = 0; k < cases[i].count; k++) {
            free(values[k]);
            cg_tensor_destroy(inputs[k]);
        }
    }
    cg_tape_destroy(tape);
    cg_device_close(device);
}

Test(einsum, wrong_equations_are_shown) {
    cg_device *device = test_device_open();
    cg_tape *tape = cg_tape_create(device);
    cg_tensor *a = test_tensor(device, CG_SHAPE(3, 5), NULL), *b = test_tensor(device, CG_SHAPE(5, 4), NULL);
    cg_tensor *classes = test_classes(device, CG_I64, CG_SHAPE(2), (int64_t[]){0, 1});
    cg_tensor *wide = test_tensor(device, CG_SHAPE(1, 1, 1, 1, 2), NULL);
    cg_tensor *ones = test_tensor(device, CG_SHAPE(1, 1, 1, 1, 1, 1, 1, 1), NULL);
    cg_tensor *both[] = {a, b}, *alike[] = {a, a}, *none[] = {a, NULL}, *whole[] = {classes, classes};
    cg_tensor *large[] = {wide, wide, ones};
    FAILS(cg_einsum(tape, "ij,jk->ik", both, 0), CG_ERR_ARGUMENT, "0 operands", "1 to 8");
    FAILS(cg_einsum(tape, "ij,jk->ik", none, 2), CG_ERR_ARGUMENT, "einsum", "NULL");
    FAILS(cg_einsum(tape, "i,i->i", whole, 2), CG_ERR_DTYPE, "einsum", "i64");
    FAILS(cg_einsum(tape, NULL, both, 1), CG_ERR_SHAPE, "[3, 5]", "0 axes");
    FAILS(cg_einsum(tape, "ij->ik", both, 2), CG_ERR_ARGUMENT, "'ij->ik'", "fewer terms than the 2");
    FAILS(cg_einsum(tape, "ij,jk,kl->il", both, 2), CG_ERR_ARGUMENT, "'ij,jk,kl->il'", "more terms than the 2");
    FAILS(cg_einsum(tape, "ij,jk->il", both, 2), CG_ERR_ARGUMENT, "'l' of the result", "no operand");
    FAILS(cg_einsum(tape, "ij,jk->ikk", both, 2), CG_ERR_ARGUMENT, "'k' of the result", "twice");
    FAILS(cg_einsum(tape, "ij,jk->ik->i", both, 2), CG_ERR_ARGUMENT, "more than one", "result");
    FAILS(cg_einsum(tape, "ij,j1->i", both, 2), CG_ERR_ARGUMENT, "'1' at 4", "letters");
    FAILS(cg_einsum(tape, "i..,jk->i", both, 2), CG_ERR_ARGUMENT, "'.' at 1", "'...'");
    FAILS(cg_einsum(tape, "i...j...,jk->i", both, 2), CG_ERR_ARGUMENT, "'.' at 5", "one '...'");
    FAILS(cg_einsum(tape, "ijk,jk->i", both, 2), CG_ERR_SHAPE, "operand 0 is [3, 5]", "3 axes");
    FAILS(cg_einsum(tape, "ij,jk->ik", alike, 2), CG_ERR_SHAPE, "axis 0 ('j') of operand 1",
          "3 elements, before it was 5");
    FAILS(cg_einsum(tape, "ii", both, 1), CG_ERR_SHAPE, "axis 1 ('i')", "[3, 5]");
    FAILS(cg_einsum(tape, "abcdefghi->a", both, 1), CG_ERR_ARGUMENT, "more than 8", "abcdefghi");
    FAILS(cg_einsum(tape, "abcde,fghij,abcdfghi->e", large, 3), CG_ERR_SHAPE, "9 axes", "at most 8");
    cg_tensor_destroy(a);
    cg_tensor_destroy(b);
    cg_tensor_destroy(classes);
    cg_tensor_destroy(wide);
    cg_tensor_destroy(ones);
    cg_tape_destroy(tape);
    cg_device_close(device);
}
