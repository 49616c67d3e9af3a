/* Ops that must fail: see failures.h. */
#include "failures.h"

#include <clgrad/ops.h>

#include <criterion/criterion.h>
#include <string.h>

#include "tensors.h"

static void expect_usable(cg_tape *tape) {
    cr_assert(cg_tape_status(tape) == CG_OK && cg_tape_error(tape)[0] == 0, "a reset forgets the error");
    cg_tensor *row = test_tensor(cg_tape_device(tape), CG_SHAPE(3), (double[]){1, 2, 3});
    test_expect("after a reset", cg_scale(tape, row, 2), CG_SHAPE(3), (double[]){2, 4, 6}, 0, 0);
    cg_tape_reset(tape);
    cg_tensor_destroy(row);
}

void test_expect_op_failure(cg_tape *tape, const char *call, cg_tensor *result, cg_status status, const char *word,
                            const char *other_word) {
    cr_assert(result != NULL, "%s returned NULL, which means absent", call);
    cr_assert(cg_tape_status(tape) == status, "%s: %s, expected %s: %s", call, cg_status_name(cg_tape_status(tape)),
              cg_status_name(status), cg_tape_error(tape));
    cr_assert(strstr(cg_tape_error(tape), word) != NULL, "%s does not say %s: %s", call, word, cg_tape_error(tape));
    cr_assert(strstr(cg_tape_error(tape), other_word) != NULL, "%s does not say %s: %s", call, other_word,
              cg_tape_error(tape));
    cg_tape_reset(tape);
    expect_usable(tape);
}
