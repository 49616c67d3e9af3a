/* Every row of layers.def through the proofs on the device under test. */
#include "devices.h"
#include "gradcheck.h"
#include "layer_rows.h"

#include <criterion/criterion.h>

static void check_row(const char *kind, gradcheck_case test) {
    test.n_kinks = test.n_kinks > 0 ? test.n_kinks : 1; /* 0 is one of many layers */
    gradcheck_layer(kind, &test);
}

#define CG_ROW(kind, row_name, text, class, ...)                                                                       \
    Test(layers, row_name) {                                                                                           \
        check_row(kind,                                                                                                \
                  (gradcheck_case){.name = #row_name, .module = text, .tolerance = GRADCHECK_##class, __VA_ARGS__});   \
    }
#define CG_LAYER(...) CG_ROW("layer", __VA_ARGS__)
#define CG_LOSS(...) CG_ROW("loss", __VA_ARGS__)
#include "layers.def"
