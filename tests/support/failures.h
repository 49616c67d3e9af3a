/* Wrong arguments of ops: each fails at once, says what it was given, and leaves a tape that can be used again. */
#ifndef CLGRAD_TESTS_FAILURES_H
#define CLGRAD_TESTS_FAILURES_H

#include <clgrad/tape.h>

/* The call that made `result` failed the tape with `status` and a message that has both words; after a reset the tape
 * works. */
void test_expect_op_failure(cg_tape *tape, const char *call, cg_tensor *result, cg_status status, const char *word,
                            const char *other_word);

/* The same where the tape is called `tape`; the message of a failed test has the call as it stands in the file. */
#define FAILS(call, status, word, other_word) test_expect_op_failure(tape, #call, call, status, word, other_word)

#endif
