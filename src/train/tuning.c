/* Fine-tuning: which parameters stand still, and which have arguments of their own. */
#include <string.h>

#include "text.h"
#include "trainer.h"

/* Calls `apply` with each part of a text between separators, blanks around it left out. */
static cg_status for_each_part(cg_trainer *t, const char *text, char separator,
                               cg_status (*apply)(cg_trainer *t, char *part)) {
    const char separators[] = {separator, '\0'};
    for (const char *at = text; at != NULL; at = strchr(at, separator) != NULL ? strchr(at, separator) + 1 : NULL) {
        const char *begin = at + strspn(at, " ");
        size_t length = strcspn(begin, separators);
        while (length > 0 && begin[length - 1] == ' ') {
            length--;
        }
        cg_text part = {0};
        cg_text_append(&part, "%.*s", (int)length, begin);
        cg_status status = part.failed ? CG_ERR_MEMORY : apply(t, part.bytes);
        cg_text_free(&part);
        CG_TRY(status);
    }
    return CG_OK;
}

static cg_status freeze(cg_trainer *t, char *pattern) {
    return cg_module_freeze(t->model, pattern, true);
}

/* "PATTERN: lr=0.1, weight_decay=0" */
static cg_status add_group(cg_trainer *t, char *part) {
    char *colon = strchr(part, ':');
    if (colon == NULL) {
        return cg_fail(CG_ERR_SYNTAX, "the group '%s' has no colon: expected 'PATTERN: lr=0.1, weight_decay=0'", part);
    }
    *colon = '\0';
    return cg_optimizer_add_group(t->optimizer, part, colon + 1);
}

static cg_status check_any_left(const cg_trainer *t) {
    for (size_t i = 0; i < t->n_parameters; i++) {
        if (cg_tensor_requires_grad(t->parameters[i])) {
            return CG_OK;
        }
    }
    return cg_fail(CG_ERR_ARGUMENT, "with '%s' frozen nothing is left to train", t->options.freeze);
}

cg_status cg_trainer_tune(cg_trainer *t) {
    if (t->options.freeze != NULL) {
        CG_TRY(for_each_part(t, t->options.freeze, ',', freeze));
        CG_TRY(check_any_left(t));
    }
    return t->options.groups != NULL ? for_each_part(t, t->options.groups, ';', add_group) : CG_OK;
}
