/* Places are few, so each is looked for by itself. */
#include "likeliest.h"

#include <math.h>

/* Whether class a goes before class b. */
static bool before(const float *probability, int64_t a, int64_t b) {
    float first = isnan(probability[a]) ? -1 : probability[a], second = isnan(probability[b]) ? -1 : probability[b];
    return first > second || (first == second && a < b);
}

likely likeliest(const prediction *p, int64_t i, int64_t place) {
    const float *probability = p->probabilities + i * p->classes;
    int64_t found = -1;
    for (int64_t k = 0; k <= place; k++) {
        int64_t next = -1;
        for (int64_t c = 0; c < p->classes; c++) {
            bool left = found < 0 || before(probability, found, c);
            next = left && (next < 0 || before(probability, c, next)) ? c : next;
        }
        found = next;
    }
    return (likely){found, probability[found]};
}
