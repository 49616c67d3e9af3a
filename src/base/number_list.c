/* Lists of numbers as text, both ways. */
#include "number_list.h"

#include <string.h>

#include "number.h"

int cg_number_list_read(const char *text, double *values, int most) {
    int count = 0;
    const char *at = text;
    char opening = '[';
    while (*at == opening && count < most) {
        at += opening == '[' ? 1 : 2;
        size_t length = strcspn(at, ",]");
        if (!cg_number_read(at, length, &values[count++])) {
            return -1;
        }
        at += length;
        opening = ',';
        if (at[0] == ',' && at[1] != ' ') {
            return -1;
        }
    }
    return strcmp(at, "]") == 0 ? count : -1;
}

void cg_number_list_append(cg_text *text, const double *values, int64_t count) {
    cg_text_append(text, "[");
    for (int64_t i = 0; i < count; i++) {
        char number[CG_NUMBER_SIZE];
        cg_text_append(text, "%s%s", i > 0 ? ", " : "", cg_number_print(values[i], number));
    }
    cg_text_append(text, "]");
}
