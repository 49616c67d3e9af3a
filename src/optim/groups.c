/* Groups of parameters: arguments of their own, the state that these ask for, and the numbers of the next step. */
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "alloc.h"
#include "optimizer.h"

/* Arguments that are numbers of at least 0, and at most so much. */
static const struct {
    const char *name;
    size_t offset;
    double most;
} numbers[] = {
    {"lr", offsetof(cg_settings, lr), DBL_MAX},
    {"momentum", offsetof(cg_settings, momentum), DBL_MAX},
    {"eps", offsetof(cg_settings, eps), DBL_MAX},
    {"weight_decay", offsetof(cg_settings, weight_decay), DBL_MAX},
    {"alpha", offsetof(cg_settings, alpha), DBL_MAX},
    {"rho", offsetof(cg_settings, rho), 1.0},
    {"lr_decay", offsetof(cg_settings, lr_decay), DBL_MAX},
    {"initial_accumulator_value", offsetof(cg_settings, initial_accumulator_value), DBL_MAX},
    {"momentum_decay", offsetof(cg_settings, momentum_decay), DBL_MAX},
};

static const struct {
    const char *name;
    size_t offset;
} switches[] = {
    {"nesterov", offsetof(cg_settings, nesterov)},
    {"amsgrad", offsetof(cg_settings, amsgrad)},
    {"centered", offsetof(cg_settings, centered)},
    {"maximize", offsetof(cg_settings, maximize)},
    {"decoupled_weight_decay", offsetof(cg_settings, decoupled)},
    {"bias_correction", offsetof(cg_settings, bias_correction)},
};

static cg_status read_number(const cg_arguments *arguments, const char *name, double most, double *number) {
    *number = cg_argument_real(arguments, name);
    if (!(*number >= 0 && *number <= most)) {
        return most == DBL_MAX ? cg_fail(CG_ERR_ARGUMENT, "%s: %s is %g, expected a finite number of at least 0",
                                         arguments->call->text, name, *number)
                               : cg_fail(CG_ERR_ARGUMENT, "%s: %s is %g, expected a number from 0 to %g",
                                         arguments->call->text, name, *number, most);
    }
    return CG_OK;
}

static cg_status read_betas(const cg_arguments *arguments, cg_settings *settings) {
    const cg_expression *beta1 = cg_expression_first(cg_argument_value(arguments, "betas"));
    const cg_expression *beta2 = cg_expression_next(beta1);
    if (!(beta1->real >= 0 && beta1->real < 1 && beta2->real >= 0 && beta2->real < 1)) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: betas is (%g, %g), expected at least 0 and below 1", arguments->call->text,
                       beta1->real, beta2->real);
    }
    settings->momentum = beta1->real;
    settings->beta2 = beta2->real;
    return CG_OK;
}

cg_status cg_settings_read(const cg_optimizer_class *class, const cg_arguments *arguments, cg_settings *settings) {
    *settings = (cg_settings){0};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (cg_argument_exists(arguments, numbers[i].name)) {
            double *number = (double *)(void *)((char *)settings + numbers[i].offset);
            CG_TRY(read_number(arguments, numbers[i].name, numbers[i].most, number));
        }
    }
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
        if (cg_argument_exists(arguments, switches[i].name)) {
            *(bool *)((char *)settings + switches[i].offset) = cg_argument_bool(arguments, switches[i].name);
        }
    }
    if (cg_argument_exists(arguments, "dampening")) {
        settings->dampening = cg_argument_real(arguments, "dampening"); /* PyTorch takes any */
    }
    if (cg_argument_exists(arguments, "betas")) {
        CG_TRY(read_betas(arguments, settings));
    }
    settings->decoupled = settings->decoupled || class->decoupled;
    return class->check != NULL ? class->check(settings) : CG_OK;
}

cg_status cg_optimizer_grow(cg_optimizer *optimizer, const cg_settings *settings) {
    cg_group *larger = cg_alloc((optimizer->n_groups + 1) * sizeof *larger);
    if (larger == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_group *group = &larger[optimizer->n_groups];
    *group = (cg_group){.settings = *settings, .initial_lr = settings->lr, .initial_momentum = settings->momentum};
    for (size_t i = 0; i < CG_UPDATE_NUMBERS; i++) {
        group->written[i] = (double)NAN; /* nothing equals it: the first step writes */
    }
    cg_tensor *parameter = optimizer->members[0].parameter;
    cg_status status = cg_tensor_create(cg_tensor_device(parameter), cg_tensor_dtype(parameter),
                                        &CG_SHAPE(CG_UPDATE_NUMBERS), &group->hyper);
    if (status == CG_OK) {
        status = cg_tensor_fill(group->hyper, 1.0); /* the product begins with */
    }
    if (status != CG_OK) {
        cg_tensor_destroy(group->hyper);
        cg_free(larger);
        return status;
    }
    if (optimizer->n_groups > 0) {
        memcpy(larger, optimizer->groups, optimizer->n_groups * sizeof *larger);
    }
    cg_free(optimizer->groups);
    optimizer->groups = larger;
    optimizer->n_groups++;
    return CG_OK;
}

void cg_member_clear_states(cg_member *member) {
    for (size_t i = 0; i < CG_MEMBER_STATES; i++) {
        cg_tensor_destroy(member->states[i]);
        cg_free(member->state_names[i]);
        member->states[i] = NULL;
        member->state_names[i] = NULL;
    }
}

static cg_status name_state(cg_member *member, size_t which, const char *name) {
    cg_text text = {0};
    cg_text_append(&text, "%s.%s", member->name, name);
    member->state_names[which] = text.bytes;
    return text.failed ? CG_ERR_MEMORY : CG_OK;
}

/* State `which` of a member: its parameter's shape, "0.weight.exp_avg". The direction of LAMB has no name. */
static cg_status add_state(const cg_optimizer *optimizer, cg_member *member, size_t which) {
    const cg_optimizer_class *class = optimizer->class;
    const cg_settings *settings = &optimizer->groups[member->group].settings;
    const cg_tensor *parameter = member->parameter;
    bool direction = class->keeps_direction && which == CG_UPDATE_MAX_STATES - 1;
    if (class->states[which] == NULL ? !direction : class->has != NULL && !class->has(settings, which)) {
        return CG_OK;
    }
    CG_TRY(cg_tensor_create(cg_tensor_device(parameter), cg_tensor_dtype(parameter), cg_tensor_shape(parameter),
                            &member->states[which]));
    if (settings->initial_accumulator_value != 0) {
        CG_TRY(cg_tensor_fill(member->states[which], settings->initial_accumulator_value));
    }
    return direction ? CG_OK : name_state(member, which, class->states[which]);
}

cg_status cg_member_add_states(const cg_optimizer *optimizer, cg_member *member) {
    for (size_t which = 0; which < CG_UPDATE_MAX_STATES; which++) {
        if (member->states[which] == NULL) {
            CG_TRY(add_state(optimizer, member, which));
        }
    }
    if (!optimizer->class->keeps_product || member->states[CG_UPDATE_MAX_STATES] != NULL) {
        return CG_OK;
    }
    const cg_shape one = {.rank = 0};
    CG_TRY(cg_tensor_view(optimizer->groups[member->group].hyper, CG_HYPER_PRODUCT, &one,
                          &member->states[CG_UPDATE_MAX_STATES]));
    return name_state(member, CG_UPDATE_MAX_STATES, "mu_product");
}

/* The product up to the last step: known, or the state that was loaded. It is rounded as it is stored, so that a
 * training which was interrupted goes on with the same bits. */
static cg_status product_before(const cg_group *group, int64_t steps, double *product) {
    double stored[CG_UPDATE_NUMBERS];
    *product = 1.0;
    if (steps == 0) {
        return CG_OK;
    }
    if (isnan(group->written[CG_HYPER_PRODUCT])) {
        CG_TRY(cg_tensor_read_f64(group->hyper, stored, CG_UPDATE_NUMBERS));
        *product = stored[CG_HYPER_PRODUCT];
        return CG_OK;
    }
    double known = group->written[CG_HYPER_PRODUCT];
    *product = cg_tensor_dtype(group->hyper) == CG_F32 ? (double)(float)known : known;
    return CG_OK;
}

static bool same_numbers(const double *a, const double *b) {
    bool same = true;
    for (size_t i = 0; i < CG_UPDATE_NUMBERS; i++) {
        same = same && a[i] == b[i];
    }
    return same;
}

static cg_status write_group(const cg_optimizer *optimizer, cg_group *group) {
    const cg_settings *settings = &group->settings;
    double hyper[CG_UPDATE_NUMBERS] = {
        [CG_HYPER_LR] = settings->lr,
        [CG_HYPER_SIGN] = settings->maximize ? -1.0 : 1.0,
        [CG_HYPER_DECAY] = settings->decoupled ? 0.0 : settings->weight_decay,
        [CG_HYPER_SHRINK] = settings->decoupled ? 1.0 - settings->lr * settings->weight_decay : 1.0,
    };
    if (optimizer->class->keeps_product) {
        CG_TRY(product_before(group, optimizer->steps, &hyper[CG_HYPER_PRODUCT]));
    }
    optimizer->class->numbers(settings, (double)optimizer->steps + 1.0, hyper);
    if (same_numbers(hyper, group->written)) {
        return CG_OK;
    }
    CG_TRY(cg_tensor_write_f64(group->hyper, hyper, CG_UPDATE_NUMBERS));
    memcpy(group->written, hyper, sizeof hyper);
    return CG_OK;
}

cg_status cg_optimizer_write_hyper(cg_optimizer *optimizer) {
    for (size_t i = 0; i < optimizer->n_groups; i++) {
        CG_TRY(write_group(optimizer, &optimizer->groups[i]));
    }
    return CG_OK;
}

bool cg_name_matches(const char *pattern, const char *name) {
    const char *star = NULL, *tried = NULL; /* the last *, and how far it has taken text */
    while (*name != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            tried = name;
        } else if (*pattern == *name || *pattern == '?') {
            pattern++;
            name++;
        } else if (star != NULL) {
            pattern = star + 1;
            name = ++tried;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

static cg_status bind(const cg_optimizer_class *class, const char *text, cg_syntax *syntax, cg_arguments *arguments) {
    cg_text call = {0};
    cg_text_append(&call, "%s(%s)", class->name, text);
    cg_status status = call.failed ? CG_ERR_MEMORY : cg_syntax_parse(cg_text_get(&call), syntax);
    cg_text_free(&call);
    CG_TRY(status);
    if (syntax->nodes->count != 1) {
        return cg_fail(CG_ERR_SYNTAX, "%s: the arguments of a group are '%s', expected \"lr=0.1, weight_decay=0\"",
                       class->name, text);
    }
    return cg_arguments_bind(cg_expression_first(syntax->nodes), class->signature, arguments);
}

/* The optimizer's arguments with those in front that the group gives. */
static cg_status read_settings(const cg_optimizer *optimizer, const char *text, cg_settings *settings) {
    cg_syntax own_syntax = {0}, base_syntax = {0};
    cg_arguments own = {0}, base = {0};
    cg_status status = bind(optimizer->class, text, &own_syntax, &own);
    status = status != CG_OK ? status : bind(optimizer->class, cg_text_get(&optimizer->options), &base_syntax, &base);
    if (status == CG_OK) {
        for (size_t i = 0; i < base.count; i++) {
            bool given = own.items[i].value != own.items[i].fallback;
            base.items[i].value = given ? own.items[i].value : base.items[i].value;
        }
        status = cg_settings_read(optimizer->class, &base, settings);
        if (status == CG_OK && own.items[0].value == own.items[0].fallback) {
            settings->lr = optimizer->groups[0].settings.lr; /* which stands apart from the options */
        }
    }
    cg_arguments_free(&own);
    cg_arguments_free(&base);
    cg_syntax_free(&own_syntax);
    cg_syntax_free(&base_syntax);
    return status;
}

cg_status cg_optimizer_add_group(cg_optimizer *optimizer, const char *pattern, const char *arguments) {
    size_t matches = 0;
    for (size_t i = 0; i < optimizer->count; i++) {
        matches += cg_name_matches(pattern, optimizer->members[i].name);
    }
    if (matches == 0) {
        return cg_fail(CG_ERR_NAME, "%s: no parameter is called '%s'; the first of %zu is %s", optimizer->class->name,
                       pattern, optimizer->count, optimizer->members[0].name);
    }
    if (optimizer->steps > 0) {
        return cg_fail(CG_ERR_STATE, "%s: a group must be made before the first step, %lld have been taken",
                       optimizer->class->name, (long long)optimizer->steps);
    }
    cg_settings settings;
    CG_TRY(read_settings(optimizer, arguments, &settings));
    CG_TRY(cg_optimizer_grow(optimizer, &settings));
    for (size_t i = 0; i < optimizer->count; i++) {
        cg_member *member = &optimizer->members[i];
        if (cg_name_matches(pattern, member->name)) {
            cg_member_clear_states(member);
            member->group = optimizer->n_groups - 1;
            CG_TRY(cg_member_add_states(optimizer, member));
        }
    }
    return CG_OK;
}

size_t cg_optimizer_group_count(const cg_optimizer *optimizer) {
    return optimizer->n_groups;
}

double cg_optimizer_group_lr(const cg_optimizer *optimizer, size_t group) {
    return optimizer->groups[group].settings.lr;
}

void cg_optimizer_set_group_lr(cg_optimizer *optimizer, size_t group, double lr) {
    optimizer->groups[group].settings.lr = lr;
}

double cg_optimizer_group_momentum(const cg_optimizer *optimizer, size_t group) {
    return optimizer->groups[group].settings.momentum;
}

void cg_optimizer_group_initial(const cg_optimizer *optimizer, size_t group, double *lr, double *momentum) {
    *lr = optimizer->groups[group].initial_lr;
    *momentum = optimizer->groups[group].initial_momentum;
}

cg_status cg_optimizer_set_group_momentum(cg_optimizer *optimizer, size_t group, double momentum) {
    const cg_optimizer_class *class = optimizer->class;
    bool betas = strstr(class->signature, "betas") != NULL,
         any = betas || strstr(class->signature, "momentum:") != NULL;
    if (!any && momentum != 0) {
        return cg_fail(CG_ERR_ARGUMENT, "%s has neither momentum nor betas: it cannot be given a momentum of %g",
                       class->name, momentum);
    }
    if (!(momentum >= 0 && isfinite(momentum) && !(betas && momentum >= 1))) {
        return cg_fail(CG_ERR_ARGUMENT, "%s: a momentum of %g, expected %s", class->name, momentum,
                       betas ? "at least 0 and below 1" : "a finite number of at least 0");
    }
    optimizer->groups[group].settings.momentum = momentum;
    for (size_t i = 0; i < optimizer->count; i++) {
        if (optimizer->members[i].group == group) {
            CG_TRY(cg_member_add_states(optimizer, &optimizer->members[i]));
        }
    }
    return CG_OK;
}
