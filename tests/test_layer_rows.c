/* Every class of modules has a row in layers.def. */
#include "module.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>

static const char *const texts[] = {
#define CG_LAYER(name, text, ...) text,
#define CG_LOSS(name, text, ...) text,
#include "layers.def"
};

/* Whether "Name(" stands in some row, not as the end of a longer name. */
static bool has_row(const char *class_name) {
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

Test(layer_rows, there_is_one_for_every_class) {
    size_t count = 0;
    for (const char *name = cg_module_class_at(0); name != NULL; name = cg_module_class_at(++count)) {
        cr_assert(has_row(name), "%s has no row in tests/layers.def", name);
    }
    cr_assert(count >= 10, "only %zu classes are listed", count);
    cr_assert(!has_row("NoSuchLayer") && !has_row("inear"), "the search finds what is not there");
}
