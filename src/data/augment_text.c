/* The text of an augmentation, in the language of models and optimizers. */
#include <math.h>
#include <string.h>

#include "arguments.h"
#include "augment.h"
#include "number.h"

static const struct {
    const char *name, *signature, *argument;
    double above, most; /* above < amount <= most; of a whole number the same */
} classes[] = {
    [CG_CROP] = {"crop", "padding: positive", "padding", 0, 1e6},
    [CG_FLIP] = {"flip", "p: float = 0.5", "p", 0, 1},
    [CG_ROTATE] = {"rotate", "degrees: float", "degrees", 0, 180},
    [CG_SHIFT] = {"shift", "pixels: float", "pixels", 0, 1e6},
    [CG_CUTOUT] = {"cutout", "size: positive", "size", 0, 1e6},
    [CG_MIXUP] = {"mixup", "alpha: float", "alpha", 0, 1},
};

#define KINDS (sizeof classes / sizeof *classes)

static const char *name_at(size_t index) {
    return index < KINDS ? classes[index].name : NULL;
}

static cg_status find_kind(const char *name, cg_change_kind *kind) {
    for (size_t i = 0; i < KINDS; i++) {
        if (strcmp(classes[i].name, name) == 0) {
            *kind = (cg_change_kind)i;
            return CG_OK;
        }
    }
    return cg_fail_unknown("augmentation", name, name_at);
}

static cg_status check_amount(const cg_change *change, const cg_shape *sample) {
    const char *name = classes[change->kind].name;
    double most = classes[change->kind].most;
    bool pixels = change->kind == CG_CROP || change->kind == CG_SHIFT || change->kind == CG_CUTOUT;
    if (change->kind != CG_MIXUP && sample->rank != 3) {
        return cg_fail(CG_ERR_ARGUMENT, "the augmentation %s is for images, these rows are %s", name,
                       cg_shape_print(sample, CG_SHAPE_TEXT));
    }
    if (pixels) {
        most = (double)(sample->dim[1] < sample->dim[2] ? sample->dim[1] : sample->dim[2]) - 1;
    }
    if (!(change->amount > classes[change->kind].above && change->amount <= most)) {
        return cg_fail(CG_ERR_ARGUMENT, "%s(%g): its %s must be above 0 and at most %g%s", name, change->amount,
                       classes[change->kind].argument, most, pixels ? ", less than the image" : "");
    }
    return CG_OK;
}

static cg_status read_amount(const cg_expression *call, cg_change *change) {
    cg_arguments arguments;
    CG_TRY(find_kind(call->text, &change->kind));
    CG_TRY(cg_arguments_bind(call, classes[change->kind].signature, &arguments));
    change->amount = cg_argument_real(&arguments, classes[change->kind].argument);
    cg_arguments_free(&arguments);
    return CG_OK;
}

static cg_status add(const cg_expression *call, const cg_shape *sample, cg_augment *augment) {
    cg_change change = {0};
    CG_TRY(read_amount(call, &change));
    CG_TRY(check_amount(&change, sample));
    if (augment->mixup > 0) {
        return cg_fail(CG_ERR_ARGUMENT, "the augmentation mixup comes last and once: it mixes what the others made");
    }
    if (augment->count == CG_MOST_CHANGES) {
        return cg_fail(CG_ERR_ARGUMENT, "more than %d augmentations", CG_MOST_CHANGES);
    }
    char number[CG_NUMBER_SIZE];
    bool whole = change.amount == floor(change.amount);
    cg_text_append(&augment->text, "%s%s(", augment->text.length > 0 ? ", " : "", classes[change.kind].name);
    if (whole) {
        cg_text_append(&augment->text, "%.0f)", change.amount);
    } else {
        cg_text_append(&augment->text, "%s)", cg_number_print(change.amount, number));
    }
    if (change.kind == CG_MIXUP) {
        augment->mixup = change.amount;
    } else {
        augment->change[augment->count++] = change;
    }
    return augment->text.failed ? CG_ERR_MEMORY : CG_OK;
}

static cg_status add_all(const cg_syntax *syntax, const cg_shape *sample, cg_augment *augment) {
    const cg_expression *call = cg_expression_first(syntax->nodes);
    for (uint32_t i = 0; i < syntax->nodes->count; i++, call = cg_expression_next(call)) {
        CG_TRY(add(call, sample, augment));
    }
    return CG_OK;
}

cg_status cg_augment_parse(const char *text, const cg_shape *sample, cg_augment *augment) {
    cg_syntax syntax = {0};
    *augment = (cg_augment){0};
    cg_status status = cg_syntax_parse(text, &syntax);
    if (status == CG_OK) {
        status = add_all(&syntax, sample, augment);
    }
    cg_syntax_free(&syntax);
    return status;
}

void cg_augment_free(cg_augment *augment) {
    cg_text_free(&augment->text);
}
