/* The classes of a prediction by their probability. */
#ifndef CLGRAD_TOOLS_LIKELIEST_H
#define CLGRAD_TOOLS_LIKELIEST_H

#include "predict_show.h"

typedef struct likely {
    int64_t index;
    float probability;
} likely;

/* The class of row i at a place: 0 is the likeliest. Of two alike the first goes before; what is no number goes last.
 */
likely likeliest(const prediction *p, int64_t i, int64_t place);

#endif
