/* The rows of fuzz.def reach every kind of op that ops.def and elementwise.def have, gradients included. */
#include "fuzz.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tape.h"

#define CALLS 120 /* enough for what three optional things have to agree on */
#define MOST_KINDS 2000

static const struct {
    uint32_t number, flags;
    const char *name;
} kinds[] = {
#define CG_OP(number, NAME, name, min_inputs, max_inputs, outputs, attrs, flags) {CG_OP_##NAME, flags, #name},
#include <clgrad/ops.def>
#undef CG_OP
#define CG_UNARY(number, NAME, name, ...) {CG_OP_##NAME, 0, #name}, {CG_OP_##NAME##_BACKWARD, 0, #name "_backward"},
#define CG_BINARY(number, NAME, name, ...) {CG_OP_##NAME, 0, #name},
#include <clgrad/elementwise.def>
#undef CG_UNARY
#undef CG_BINARY
};

static bool reached[MOST_KINDS];

static void note(const fuzz *f) {
    for (size_t i = 0; i < f->tape->n_nodes; i++) {
        const cg_op_kind *kind = f->tape->nodes[i]->kind;
        if (kind != NULL && kind->number < MOST_KINDS) {
            reached[kind->number] = true;
        }
    }
}

Test(fuzz_kinds, every_kind_is_reached) {
    fuzz f;
    cr_assert(fuzz_open(&f, "cpu", "reference", 1e4), "%s", cg_error_message());
    f.seen = note;
    for (size_t row = 0; row < fuzz_row_count; row++) {
        for (uint64_t seed = 0; seed < CALLS; seed += 2) { /* those that are not spoiled */
            cr_expect(fuzz_call(&f, &fuzz_rows[row], seed) != FUZZ_WRONG, "%s", fuzz_failure());
        }
    }
    fuzz_close(&f);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        bool step = (kinds[i].flags & CG_KIND_UPDATES) != 0; /* of an optimizer: tests/test_optimizers.c */
        cr_expect(reached[kinds[i].number] || step, "no row of fuzz.def reaches %s", kinds[i].name);
    }
}

/* A fault must show: a call that is refused without a word about it, and a seed that is another call. */
Test(fuzz_kinds, a_call_is_the_same_whenever_it_is_made) {
    fuzz f;
    char first[FUZZ_TEXT];
    cr_assert(fuzz_open(&f, "cpu", "reference", 1e4), "%s", cg_error_message());
    fuzz_call(&f, &fuzz_rows[0], 7);
    memcpy(first, f.text, sizeof first);
    fuzz_call(&f, &fuzz_rows[0], 8);
    cr_expect(strcmp(first, f.text) != 0, "another seed makes the same call: %s", first);
    fuzz_call(&f, &fuzz_rows[0], 7);
    cr_expect(strcmp(first, f.text) == 0, "%s is %s the second time", first, f.text);
    fuzz_close(&f);
}
