#include "rows.h"

#include "layer_rows.h"

/* A function for each row, and the list of them: shapes are no constants. */
#define CG_ROW(kind, row_name, text, class, ...)                                                                       \
    static cg_layer_row row_of_##row_name(void) {                                                                      \
        return (cg_layer_row){kind, {.name = #row_name, .module = text, .tolerance = GRADCHECK_##class, __VA_ARGS__}}; \
    }
#define CG_LAYER(...) CG_ROW("layers", __VA_ARGS__)
#define CG_LOSS(...) CG_ROW("losses", __VA_ARGS__)
#include "layers.def"
#undef CG_LAYER
#undef CG_LOSS

#define CG_LAYER(row_name, ...) row_of_##row_name,
#define CG_LOSS(row_name, ...) row_of_##row_name,
cg_layer_row (*const cg_layer_rows[])(void) = {
#include "layers.def"
};

const size_t cg_layer_row_count = sizeof cg_layer_rows / sizeof cg_layer_rows[0];
