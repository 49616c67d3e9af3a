/* The language of models and optimizers: what parses, what does not and why, printing, and binding to signatures. */
#include "arguments.h"
#include "expression.h"
#include "number.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static cg_syntax parsed(const char *text) {
    cg_syntax syntax;
    cr_assert_eq(cg_syntax_parse(text, &syntax), CG_OK, "%s: %s", text, cg_error_message());
    return syntax;
}

static char *printed(const cg_expression *expression) {
    cg_text text = {0};
    cg_expression_print(expression, &text);
    cr_assert_not(text.failed);
    return text.bytes;
}

/* The first argument of "f(...)". */
static const cg_expression *argument(const cg_syntax *syntax) {
    return cg_expression_first(cg_expression_first(syntax->nodes));
}

Test(expression, prints_as_written_or_in_its_normal_form) {
    static const char *const cases[][2] = {
        {"f()", "f()"},
        {"f( 1 ,2 )", "f(1, 2)"},
        {"f(1,)", "f(1)"},
        {"f(-3, +4, 007)", "f(-3, 4, 7)"},
        {"f(9223372036854775807, -9223372036854775808)", "f(9223372036854775807, -9223372036854775808)"},
        {"f(1e-3, -0.5, .5, 5., 1E5, 2e+3)", "f(0.001, -0.5, 0.5, 5.0, 100000.0, 2000.0)"},
        {"f(inf, -inf, nan, 1e999)", "f(inf, -inf, nan, inf)"},
        {"f(0.1, 1e-08, 1e300, 0.30000000000000004)", "f(0.1, 1e-08, 1e+300, 0.30000000000000004)"},
        {"f('same', \"same\")", "f('same', 'same')"},
        {"f('it\\'s', \"a \\\" \\\\ b\", '')", "f('it\\'s', 'a \" \\\\ b', '')"},
        {"f(True, False, None)", "f(True, False, None)"},
        {"f((), (1,), (1, 2), ((1, 2), 3))", "f((), (1,), (1, 2), ((1, 2), 3))"},
        {"f((1), ((2)), ((3),))", "f(1, 2, (3,))"},
        {"f([], [1], [1, 2,], [[1], [2]])", "f([], [1], [1, 2], [[1], [2]])"},
        {"f(x=1, y = (2, 3), z=g(a=1))", "f(x=1, y=(2, 3), z=g(a=1))"},
        {"f(k=(1))", "f(k=1)"},
        {"f(1, g(2, h(3)), 4)", "f(1, g(2, h(3)), 4)"},
        {"f(torch.tensor([1, 2.5]), weight=torch.ones(3))", "f(torch.tensor([1, 2.5]), weight=torch.ones(3))"},
        {"f(torch.full((3,), 0.5), torch.zeros(2))", "f(torch.full((3,), 0.5), torch.zeros(2))"},
        {"nn.f(torch.nn.g(), optim.h(), torch.optim.i())", "f(g(), h(), i())"},
        {"nn.nn.f(nn.2(), nn())", "f(nn.2(), nn())"},
        {"  f\n(\t1\r\n)  ", "f(1)"},
        {"f_2(a_b=1, _c=2)", "f_2(a_b=1, _c=2)"},
        {"f(Trueish(), Nonesuch(), info(), nano())", "f(Trueish(), Nonesuch(), info(), nano())"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cg_syntax syntax = parsed(cases[i][0]);
        char *text = printed(cg_expression_first(syntax.nodes));
        cr_expect_str_eq(text, cases[i][1]);
        cg_syntax again = parsed(text);
        bool nan = strstr(text, "nan") != NULL;
        cr_expect(nan || cg_expression_equal(syntax.nodes, again.nodes), "%s", text);
        cg_free(text);
        cg_syntax_free(&again);
        cg_syntax_free(&syntax);
    }
}

Test(expression, top_level_is_a_list_of_calls) {
    static const char *const texts[] = {"f()", "f(),", "f(), g(1)", "f(),g(1),", " f( ) , g(h(), 2) , k() "};
    static const uint32_t counts[] = {1, 1, 2, 2, 3};
    for (size_t i = 0; i < COUNT(texts); i++) {
        cg_syntax syntax = parsed(texts[i]);
        cr_expect_eq(syntax.nodes->count, counts[i], "%s", texts[i]);
        cr_expect_eq(syntax.nodes->nodes, syntax.count);
        cg_syntax_free(&syntax);
    }
}

Test(expression, values_have_their_kind_and_number) {
    cg_syntax syntax = parsed("f(3, 0.25, True, 'x', key=-7)");
    const cg_expression *value = argument(&syntax);
    cr_expect(value->kind == CG_EXPRESSION_INT && value->integer == 3 && value->real == 3.0);
    value = cg_expression_next(value);
    cr_expect(value->kind == CG_EXPRESSION_FLOAT && value->real == 0.25);
    value = cg_expression_next(value);
    cr_expect(value->kind == CG_EXPRESSION_BOOL && value->integer == 1);
    value = cg_expression_next(value);
    cr_expect(value->kind == CG_EXPRESSION_STRING && strcmp(value->text, "x") == 0 && value->key == NULL);
    value = cg_expression_next(value);
    cr_expect(value->integer == -7 && strcmp(value->key, "key") == 0);
    cg_syntax_free(&syntax);
}

/* A text, what was expected, and where it stopped. */
static const char *const refused[][3] = {
    {"", "expected a call such as", "at the end, column 1"},
    {"   ", "expected a call such as", "at the end, column 4"},
    {"Linear", "expected '(' after a name", "column 7: Linear <here> "},
    {"Linear(784, 10", "expected ',' or ')'", "at the end, column 15"},
    {"Linear(784 10)", "expected ',' or ')'", "at column 12: Linear(784  <here> 10)"},
    {"Linear(784, 10))", "expected ',' or the end", "column 16"},
    {"Linear(784, 10) ReLU()", "expected ',' or the end", "column 17"},
    {"Linear(784,, 10)", "expected a value", "column 12"},
    {"Linear(,)", "expected a value", "column 8"},
    {", ReLU()", "expected a call", "column 1"},
    {"ReLU(),, ReLU()", "expected a call", "column 8"},
    {"3", "expected a call", "column 1"},
    {"True", "expected a call", "column 1"},
    {"inf", "expected a call", "column 1"},
    {"(ReLU())", "expected a call", "column 1"},
    {"f(x)", "expected '(' after a name", "column 4"},
    {"f(x=)", "expected a value", "column 5"},
    {"f(x=1, 2)", "expected a keyword", "column 8"},
    {"f(=1)", "expected a value", "column 3"},
    {"f(1=2)", "expected ',' or ')'", "column 4"},
    {"f([1, 2)", "expected ',' or ']'", "column 8"},
    {"f((1, 2]", "expected ',' or ')'", "column 8"},
    {"f([x=1])", "expected '(' after a name", "column 5"},
    {"f('abc)", "closing quote", "at the end, column 8"},
    {"f('abc\n')", "closing quote", "column 7"},
    {"f('\\n')", "after a backslash", "column 5"},
    {"f('\\", "after a backslash", "at the end"},
    {"f(3x)", "expected ',' or ')'", "column 4"},
    {"f(1e)", "expected ',' or ')'", "column 4"},
    {"f(1.2.3)", "expected ',' or ')'", "column 6"},
    {"f(-)", "expected a number", "column 3"},
    {"f(-x)", "expected a number", "column 3"},
    {"f(.)", "expected a number", "column 3"},
    {"f(--1)", "expected a number", "column 3"},
    {"f(0x10)", "expected ',' or ')'", "column 4"},
    {"f(9223372036854775808)", "expected an integer of 64 bits", "column 3"},
    {"f(1234567890123456789012345678901234567890123456789012345678901234567890)", "less than 64 characters", ""},
    {"f(@)", "expected a value", "<here> @)"},
    {"f(\x01\xff)", "expected a value",
     "<here> ?"
     "?)"},
    {"f(*g())", "expected a value", "column 3"},
    {"f(g() + 1)", "expected ',' or ')'", "column 7"},
    {"f(a b)", "expected '(' after a name", "column 5"},
    {"Sequential(Linear(784, 512), ReLU(), Linear(512, 10)!, Flatten())", "expected ',' or ')'",
     "column 53: ...inear(784, 512), ReLU(), Linear(512, 10) <here> !, Flatten())"},
};

Test(expression, says_where_it_stopped_and_what_it_expected) {
    for (size_t i = 0; i < COUNT(refused); i++) {
        cg_syntax syntax;
        cr_expect_eq(cg_syntax_parse(refused[i][0], &syntax), CG_ERR_SYNTAX, "%s", refused[i][0]);
        cr_expect_not_null(strstr(cg_error_message(), refused[i][1]), "%s: %s", refused[i][0], cg_error_message());
        cr_expect_not_null(strstr(cg_error_message(), refused[i][2]), "%s: %s", refused[i][0], cg_error_message());
        cr_expect_null(syntax.nodes);
    }
}

static char *repeated(const char *before, const char *middle, const char *after, size_t count) {
    cg_text text = {0};
    for (size_t i = 0; i < count; i++) {
        cg_text_append(&text, "%s", before);
    }
    cg_text_append(&text, "%s", middle);
    for (size_t i = 0; i < count; i++) {
        cg_text_append(&text, "%s", after);
    }
    return text.bytes;
}

Test(expression, depth_is_limited) {
    static const char *const brackets[][3] = {{"f(", "", ")"}, {"f(", "", ""}, {"f([", "1", "])"}, {"f((", "1,", "))"}};
    for (size_t i = 0; i < COUNT(brackets); i++) {
        char *text = repeated(brackets[i][0], brackets[i][1], brackets[i][2], 10000);
        cg_syntax syntax;
        cr_expect_eq(cg_syntax_parse(text, &syntax), CG_ERR_SYNTAX);
        cr_expect_not_null(strstr(cg_error_message(), "at most 64"), "%s", cg_error_message());
        cg_free(text);
    }
    char *allowed = repeated("f(", "", ")", CG_EXPRESSION_MAX_DEPTH);
    cg_syntax syntax = parsed(allowed);
    cg_syntax_free(&syntax);
    cg_free(allowed);
}

Test(expression, length_is_limited) {
    static char text[CG_EXPRESSION_MAX_BYTES + 2];
    memset(text, ' ', sizeof text - 1);
    memcpy(text, "f()", 3);
    cg_syntax syntax;
    cr_expect_eq(cg_syntax_parse(text, &syntax), CG_ERR_SYNTAX);
    text[CG_EXPRESSION_MAX_BYTES] = '\0';
    syntax = parsed(text);
    cg_syntax_free(&syntax);
}

static uint32_t next_random(uint32_t *state) {
    return *state = *state * 1664525u + 1013904223u;
}

/* Texts with bytes replaced, removed or doubled, each in memory of exactly its size: what parses prints and parses
 * again to the same. Run under a sanitizer this finds reads beyond the end. */
Test(expression, damaged_texts_are_errors_or_parse_again) {
    static const char *const texts[] = {"Sequential(Flatten(), Linear(784, 10, bias=False), Residual(ReLU()))",
                                        "f((1, -2.5e-3), [None, 'a\\'b'], k=inf)",
                                        "nn.Adam(lr=1e-3, betas=(0.9, 0.999)), torch.full((3,), 0.5)"};
    static const char bytes[] = "()[],='\"\\.+-e0x_ \n\xff";
    uint32_t state = 1;
    size_t good = 0;
    for (int round = 0; round < 30000; round++) {
        const char *source = texts[next_random(&state) >> 8 & 1 ? round % 3 : 0];
        size_t length = strlen(source), keep = (next_random(&state) >> 8) % (length + 1);
        size_t size = round % 2 == 0 ? length : keep;
        char *text = malloc(size + 1);
        memcpy(text, source, size);
        text[size] = '\0';
        for (uint32_t i = 0; size > 0 && i < next_random(&state) >> 30; i++) {
            text[(next_random(&state) >> 8) % size] = bytes[(next_random(&state) >> 8) % (sizeof bytes - 1)];
        }
        cg_syntax syntax, again;
        if (cg_syntax_parse(text, &syntax) == CG_OK) {
            good++;
            for (const cg_expression *call = cg_expression_first(syntax.nodes);
                 call < syntax.nodes + syntax.nodes->nodes; call = cg_expression_next(call)) {
                char *copy = printed(call);
                again = parsed(copy);
                cr_expect(cg_expression_equal(call, cg_expression_first(again.nodes)), "%s from %s", copy, text);
                cg_syntax_free(&again);
                cg_free(copy);
            }
            cg_syntax_free(&syntax);
        }
        free(text);
    }
    cr_expect(good > 100, "only %zu texts parsed", good);
}

Test(expression, running_out_of_memory_is_an_error_and_leaks_nothing) {
    cg_status status = CG_ERR_MEMORY;
    for (long call = 1; status == CG_ERR_MEMORY && call < 100; call++) {
        cg_syntax syntax;
        cg_alloc_fail_at(call);
        status = cg_syntax_parse("f(1, 2, 3, 4, 5, g('x', y=(1, 2)), 6, 7, 8)", &syntax);
        cg_alloc_fail_at(0);
        cg_syntax_free(&syntax);
    }
    cr_expect_eq(status, CG_OK);
}

Test(expression, numbers_do_not_follow_the_locale) {
    static const char *const locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "C"};
    for (size_t i = 0; i < COUNT(locales); i++) {
        setlocale(LC_ALL, locales[i]); /* one that is not installed changes nothing */
        char text[CG_NUMBER_SIZE];
        double value = 0;
        cr_expect(cg_number_read("2.5e-1", 6, &value) && value == 0.25);
        cr_expect_str_eq(cg_number_print(0.25, text), "0.25");
        cr_expect_str_eq(cg_number_print(-1234567.0, text), "-1234567.0");
    }
}

Test(expression, numbers_print_so_that_they_read_back_the_same) {
    static const double numbers[] = {0.0,  1.0 / 3.0, 1e-8,      5e-324, 1.7976931348623157e308, 0.1, 123.0,
                                     1e15, 1e16,      0.1 + 0.2, -2.5,   4503599627370497.5};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        char text[CG_NUMBER_SIZE];
        double back = NAN;
        cg_number_print(numbers[i], text);
        cr_expect(cg_number_read(text, strlen(text), &back) && back == numbers[i], "%s", text);
    }
}

/* Binding. */

static const char linear[] = "in_features: positive, out_features: positive, bias: bool = True";
static const char mixed[] = "kernel_size: positive | (positive, positive), stride: int | None = None, "
                            "padding: int | (int, int) | 'same' | 'valid' = 0, eps: float = 1e-5, name: str = 'x'";

static cg_status bind(const char *text, const char *signature, cg_syntax *syntax, cg_arguments *arguments) {
    *syntax = parsed(text);
    return cg_arguments_bind(cg_expression_first(syntax->nodes), signature, arguments);
}

Test(arguments, bind_by_position_keyword_and_default) {
    static const char *const texts[] = {"L(3, 4)", "L(3, out_features=4)", "L(out_features=4, in_features=3)",
                                        "L(3, 4, True)", "L(3, 4, bias=True)"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        cg_syntax syntax;
        cg_arguments arguments;
        cr_assert_eq(bind(texts[i], linear, &syntax, &arguments), CG_OK, "%s", cg_error_message());
        cr_expect_eq(cg_argument_int(&arguments, "in_features"), 3);
        cr_expect_eq(cg_argument_int(&arguments, "out_features"), 4);
        cr_expect(cg_argument_bool(&arguments, "bias"));
        cg_arguments_free(&arguments);
        cg_syntax_free(&syntax);
    }
}

Test(arguments, take_the_kinds_of_later_layers) {
    cg_syntax syntax;
    cg_arguments arguments;
    cr_assert_eq(bind("C((3, 5), 2, padding='same', eps=1)", mixed, &syntax, &arguments), CG_OK);
    const cg_expression *kernel = cg_argument_value(&arguments, "kernel_size");
    cr_expect_eq(cg_expression_first(kernel)->integer, 3);
    cr_expect_eq(cg_expression_next(cg_expression_first(kernel))->integer, 5);
    cr_expect_not(cg_argument_is_none(&arguments, "stride"));
    cr_expect_str_eq(cg_argument_text(&arguments, "padding"), "same");
    cr_expect_eq(cg_argument_real(&arguments, "eps"), 1.0);
    cr_expect_str_eq(cg_argument_text(&arguments, "name"), "x");
    cg_arguments_free(&arguments);
    cg_syntax_free(&syntax);
    cr_assert_eq(bind("C(3, None, (1, 2))", mixed, &syntax, &arguments), CG_OK);
    cr_expect(cg_argument_is_none(&arguments, "stride"));
    cg_arguments_free(&arguments);
    cg_syntax_free(&syntax);
}

Test(arguments, print_what_is_required_and_what_differs) {
    static const char *const cases[][3] = {
        {"L(3, 4)", linear, "3, 4"},
        {"L(3, 4, True)", linear, "3, 4"},
        {"L(out_features=4, in_features=3, bias=False)", linear, "3, 4, bias=False"},
        {"C(3)", mixed, "3"},
        {"C((3, 3), 1, 0, 0.00001)", mixed, "(3, 3), stride=1"},
        {"C(3, padding='valid', eps=1, name='it')", mixed, "3, padding='valid', eps=1, name='it'"},
        {"S(f(), g())", "*modules: module", ""},
        {"R(f())", "body: module, shortcut: module | None = None, scale: float = 1", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cg_syntax syntax;
        cg_arguments arguments;
        cg_text text = {0};
        cr_assert_eq(bind(cases[i][0], cases[i][1], &syntax, &arguments), CG_OK, "%s", cg_error_message());
        cg_arguments_print(&arguments, &text);
        cr_expect_str_eq(cg_text_get(&text), cases[i][2]);
        cg_text_free(&text);
        cg_arguments_free(&arguments);
        cg_syntax_free(&syntax);
    }
}

Test(arguments, errors_name_the_argument_and_what_is_expected) {
    static const char *const cases[][3] = {
        {"Linear(3)", linear, "Linear: out_features is missing; it takes in_features, out_features, bias=True"},
        {"Linear()", linear, "Linear: in_features, out_features are missing"},
        {"Linear(out_features=3)", linear, "Linear: in_features is missing"},
        {"Linear(3, 4, True, 5)", linear, "Linear is given 4 arguments; it takes in_features, out_features, bias=True"},
        {"Linear(3, 4, foo=1)", linear, "Linear has no argument foo; it takes in_features, out_features, bias=True"},
        {"Linear(3, 4, in_features=3)", linear, "Linear: in_features is given twice"},
        {"Linear(3, 4, bias=1)", linear, "Linear: bias is 1, expected True or False"},
        {"Linear(0, 4)", linear, "Linear: in_features is 0, expected a positive integer"},
        {"Linear(-3, 4)", linear, "in_features is -3, expected a positive integer"},
        {"Linear(3.5, 4)", linear, "in_features is 3.5, expected a positive integer"},
        {"Linear('3', 4)", linear, "in_features is '3', expected a positive integer"},
        {"Linear(True, 4)", linear, "in_features is True, expected a positive integer"},
        {"Linear(None, 4)", linear, "in_features is None"},
        {"Linear([3], 4)", linear, "in_features is [3]"},
        {"Linear(f(), 4)", linear, "in_features is f()"},
        {"C(3, 1.5)", mixed, "C: stride is 1.5, expected an integer or None"},
        {"C(3, padding='some')", mixed, "C: padding is 'some', expected an integer, (int, int), 'same' or 'valid'"},
        {"C(3, padding=(1, 2, 3))", mixed, "C: padding is (1, 2, 3), expected"},
        {"C(3, padding=(1,))", mixed, "C: padding is (1,), expected"},
        {"C((3, 0))", mixed, "C: kernel_size is (3, 0), expected"},
        {"C(3, eps='x')", mixed, "C: eps is 'x', expected a number"},
        {"C(3, name=1)", mixed, "C: name is 1, expected a string"},
        {"S(1)", "*modules: module", "S: modules is 1, expected a module such as ReLU()"},
        {"S(modules=f())", "*modules: module", "S has no argument modules; it takes *modules"},
        {"R(f(), 1)", "body: module, shortcut: module | None = None", "R: shortcut is 1, expected a module"},
        {"M([1, 'x'])", "milestones: [int]", "M: milestones is [1, 'x'], expected [int]"},
        {"M(1)", "milestones: [int]", "M: milestones is 1, expected [int]"},
        {"L(tall=1)", "wide: int = 1, tall_: later = 0", "L has no argument tall; it takes wide=1"},
        {"I(1)", "", "I is given 1 argument"},
        {"I(x=1)", "", "I has no argument x; it takes no arguments"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cg_syntax syntax;
        cg_arguments arguments;
        cr_expect_eq(bind(cases[i][0], cases[i][1], &syntax, &arguments), CG_ERR_ARGUMENT, "%s", cases[i][0]);
        cr_expect_not_null(strstr(cg_error_message(), cases[i][2]), "%s: %s", cases[i][0], cg_error_message());
        cg_syntax_free(&syntax);
    }
}

Test(arguments, lists_of_any_length_are_taken) {
    static const char *const texts[] = {"M([1, 2, 5])", "M((1,))", "M([])", "M(milestones=[-3])"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        cg_syntax syntax;
        cg_arguments arguments;
        cr_assert_eq(bind(texts[i], "milestones: [int]", &syntax, &arguments), CG_OK, "%s", cg_error_message());
        cg_arguments_free(&arguments);
        cg_syntax_free(&syntax);
    }
}

Test(arguments, what_comes_later_takes_its_default_alone_and_is_not_printed) {
    static const char signature[] = "lr: float = 0.1, foreach: later = None, eps: float = 1.0";
    cg_syntax syntax;
    cg_arguments arguments;
    cg_text text = {0};
    cr_assert_eq(bind("O(0.5, None)", signature, &syntax, &arguments), CG_OK, "%s", cg_error_message());
    cg_arguments_print_all(&arguments, 0, &text);
    cr_expect_str_eq(cg_text_get(&text), "lr=0.5, eps=1.0");
    cg_text_free(&text);
    cg_arguments_free(&arguments);
    cg_syntax_free(&syntax);
    cr_expect_eq(bind("O(foreach=True)", signature, &syntax, &arguments), CG_ERR_NAME);
    cr_expect_str_eq(cg_error_message(), "O: foreach=True is not there yet, only None");
    cg_syntax_free(&syntax);
}

Test(arguments, running_out_of_memory_is_an_error_and_leaks_nothing) {
    cg_status status = CG_ERR_MEMORY;
    cg_syntax syntax = parsed("C((3, 5), 2, padding='same', eps=1)");
    for (long call = 1; status == CG_ERR_MEMORY && call < 100; call++) {
        cg_arguments arguments;
        cg_alloc_fail_at(call);
        status = cg_arguments_bind(cg_expression_first(syntax.nodes), mixed, &arguments);
        cg_alloc_fail_at(0);
        if (status == CG_OK) {
            cg_arguments_free(&arguments);
        }
    }
    cr_expect_eq(status, CG_OK);
    cg_syntax_free(&syntax);
}
