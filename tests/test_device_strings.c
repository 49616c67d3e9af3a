/* Any nonsense as a device string is an error in words: seeded strings from pieces of the grammar and from bytes. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <clgrad/device.h>

#define ROUNDS 20000

/* xorshift64 */
static uint64_t draw(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static const char *const pieces[] = {"cpu",
                                     "reference",
                                     "auto",
                                     "check",
                                     "fault",
                                     "trace",
                                     "nothing",
                                     "opencl?",
                                     ":",
                                     ":",
                                     ",",
                                     ",",
                                     "=",
                                     "at=1",
                                     "at=-1",
                                     "kind=op",
                                     "op=",
                                     "dtype=f64",
                                     "threads=1",
                                     "threads=",
                                     "uuid=",
                                     "pci=0:0",
                                     "0",
                                     "1",
                                     "99999999999999999999",
                                     "file=/no/such/folder/x",
                                     " ",
                                     "\t",
                                     "\x80\xff",
                                     "%s%n",
                                     "'",
                                     "\"",
                                     "all"};

/* Opens or fails; a failure has a message of one line that is not empty. */
static void try_string(const char *string) {
    cg_device *device = NULL;
    cg_status status = cg_device_open(string, &device);
    if (status == CG_OK) {
        cr_assert_not_null(device);
        cg_device_close(device);
        return;
    }
    cr_assert_null(device, "'%s'", string);
    cr_assert(status == CG_ERR_SYNTAX || status == CG_ERR_DEVICE || status == CG_ERR_ARGUMENT || status == CG_ERR_FILE,
              "'%s': %s: %s", string, cg_status_name(status), cg_error_message());
    cr_assert_neq(cg_error_message()[0], '\0', "'%s'", string);
}

/* Without plug-ins: their drivers would be opened thousands of times. */
static void without_plugins(void) {
    setenv("CLGRAD_BACKEND_PATH", "", 1);
}

Test(device_strings, of_pieces_of_the_grammar_open_or_fail_in_words, .init = without_plugins) {
    uint64_t state = 0x9E3779B97F4A7C15u;
    for (int round = 0; round < ROUNDS; round++) {
        char string[1024] = "";
        for (uint64_t n = draw(&state) % 12; n > 0; n--) {
            strcat(string, pieces[draw(&state) % (sizeof pieces / sizeof pieces[0])]);
        }
        try_string(string);
    }
}

Test(device_strings, of_any_bytes_fail_in_words, .init = without_plugins) {
    uint64_t state = 88172645463325252u;
    for (int round = 0; round < ROUNDS; round++) {
        char string[700];
        size_t length = draw(&state) % sizeof string;
        for (size_t i = 0; i < length; i++) {
            string[i] = (char)(draw(&state) % 255 + 1);
        }
        string[length < sizeof string ? length : sizeof string - 1] = '\0';
        try_string(string);
    }
}

Test(device_strings, that_are_too_long_say_how_long_they_may_be) {
    char string[600];
    memset(string, 'x', sizeof string - 1);
    string[sizeof string - 1] = '\0';
    cg_device *device;
    cr_expect_eq(cg_device_open(string, &device), CG_ERR_SYNTAX);
    cr_expect_not_null(strstr(cg_error_message(), "599 characters: at most 511"), "%s", cg_error_message());
}

/* Not a string, but what a device is opened with as well. */
Test(device_strings, open_nothing_beside_an_unknown_pass_of_the_plan) {
    cg_device *device;
    setenv("CLGRAD_PLAN", "memory,chain", 1);
    cr_expect_eq(cg_device_open("reference", &device), CG_ERR_ARGUMENT);
    cr_expect(strstr(cg_error_message(), "CLGRAD_PLAN=memory,chain: 'chain'") != NULL, "%s", cg_error_message());
    static const char *const known[] = {"none", "memory", "chains", "chains,memory", ""};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        setenv("CLGRAD_PLAN", known[i], 1);
        cr_expect_eq(cg_device_open("reference", &device), CG_OK, "%s", cg_error_message());
        cg_device_close(device);
    }
}
