/* Every row of layers.def through the proofs on the device under test, and every class of modules in layers.def. */
#include "devices.h"
#include "gradcheck.h"
#include "module.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>

typedef enum target_kind { NONE, VALUES, CLASSES } target_kind;

/* 0 is a kink of every ReLU; 6.4 that of the one clamped at 6 after a shift of 0.4, which no normal number reaches. */
static void check_layer(const char *name, const char *text, cg_shape input, target_kind target,
                        gradcheck_class tolerance) {
    gradcheck_case test = {.name = name,
                           .module = text,
                           .tolerance = tolerance,
                           .n_kinks = 1,
                           .n_inputs = target == NONE ? 1 : 2,
                           .inputs = {{.shape = input}, {.shape = input}}};
    if (target == CLASSES) {
        test.inputs[1] = (gradcheck_input){.shape = CG_SHAPE(input.dim[0]), .classes = input.dim[1]};
    }
    gradcheck_all(&test, 1);
}

#define CG_LAYER(name, text, input, target, tolerance)                                                                 \
    Test(layers, name) {                                                                                               \
        check_layer(#name, text, input, target, GRADCHECK_##tolerance);                                                \
    }
#include "layers.def"
#undef CG_LAYER

/* Whether "Name(" stands in some row, not as the end of a longer name. */
static bool has_row(const char *class_name) {
    static const char *const texts[] = {
#define CG_LAYER(name, text, input, target, tolerance) text,
#include "layers.def"
#undef CG_LAYER
    };
    size_t length = strlen(class_name);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (const char *at = strstr(texts[i], class_name); at != NULL; at = strstr(at + 1, class_name)) {
            if (at[length] == '(' && (at == texts[i] || !isalnum((unsigned char)at[-1]))) {
                return true;
            }
        }
    }
    return false;
}

Test(layers, every_class_has_a_row) {
    size_t count = 0;
    for (const char *name = cg_module_class_at(0); name != NULL; name = cg_module_class_at(++count)) {
        cr_assert(has_row(name), "%s has no row in tests/layers.def", name);
    }
    cr_assert(count >= 10, "only %zu classes are listed", count);
    cr_assert(!has_row("NoSuchLayer") && !has_row("inear"), "the search finds what is not there");
}
