/* Device strings: taken apart, matched against a list, written out. */
#include "device_string.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "decorator.h"
#include "registry.h"
#include "text.h"

static cg_status parse_option(const char *whole, char *text, cg_option *options, size_t *count) {
    char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        return cg_fail(CG_ERR_SYNTAX, "device '%s': '%s' is not key=value", whole, text);
    }
    if (*count == CG_MAX_OPTIONS) {
        return cg_fail(CG_ERR_SYNTAX, "device '%s': more than %d options", whole, CG_MAX_OPTIONS);
    }
    *equals = '\0';
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(options[i].key, text) == 0) {
            return cg_fail(CG_ERR_SYNTAX, "device '%s': %s is given twice", whole, text);
        }
    }
    options[(*count)++] = (cg_option){text, equals + 1};
    return CG_OK;
}

/* key=value,key=value; NULL: none. */
static cg_status parse_options(const char *whole, char *text, cg_option *options, size_t *count) {
    if (text != NULL && *text == '\0') {
        return cg_fail(CG_ERR_SYNTAX, "device '%s': key=value expected after the comma", whole);
    }
    while (text != NULL) {
        char *next = strchr(text, ',');
        if (next != NULL) {
            *next++ = '\0';
        }
        CG_TRY(parse_option(whole, text, options, count));
        text = next;
    }
    return CG_OK;
}

/* Takes "decorator[,key=value]...:" off the front as long as there is one. */
static cg_status parse_decorations(const char *whole, char **rest, cg_device_string *parsed) {
    for (;;) {
        size_t length = strcspn(*rest, ":,");
        const cg_decorator *decorator = cg_decorator_find(*rest, length);
        if (decorator == NULL) {
            return CG_OK;
        }
        char *colon = strchr(*rest, ':');
        if (colon == NULL) {
            return cg_fail(CG_ERR_SYNTAX, "device '%s': %s wraps a device, as in '%s:cpu'", whole, decorator->name,
                           *rest);
        }
        if (parsed->n_decorations == CG_MAX_DECORATORS) {
            return cg_fail(CG_ERR_SYNTAX, "device '%s': more than %d decorators", whole, CG_MAX_DECORATORS);
        }
        *colon = '\0';
        cg_decoration *one = &parsed->decorations[parsed->n_decorations++];
        one->decorator = decorator;
        char *options = (*rest)[length] == ',' && *rest + length < colon ? *rest + length + 1 : NULL;
        CG_TRY(parse_options(whole, options, one->options, &one->n_options));
        *rest = colon + 1;
    }
}

cg_status cg_device_string_parse(const char *text, cg_device_string *parsed) {
    *parsed = (cg_device_string){.selector = ""};
    if (strlen(text) >= sizeof parsed->text) {
        return cg_fail(CG_ERR_SYNTAX, "device string of %zu characters: at most %zu", strlen(text),
                       sizeof parsed->text - 1);
    }
    snprintf(parsed->text, sizeof parsed->text, "%s", text);
    char *rest = parsed->text;
    CG_TRY(parse_decorations(text, &rest, parsed));
    char *options = strchr(rest, ',');
    if (options != NULL) {
        *options++ = '\0';
    }
    char *selector = strchr(rest, ':');
    if (selector != NULL) {
        *selector++ = '\0';
        if (*selector == '\0') {
            return cg_fail(CG_ERR_SYNTAX, "device '%s': a selector is expected after ':'", text);
        }
        parsed->selector = selector;
    }
    parsed->backend = rest;
    if (parsed->backend[0] == '\0') {
        return cg_fail(CG_ERR_SYNTAX, "device '%s': it must begin with a backend: auto, cpu, reference, opencl", text);
    }
    return parse_options(text, options, parsed->options, &parsed->n_options);
}

static bool all_digits(const char *text) {
    return text[strspn(text, "0123456789")] == '\0';
}

static bool contains(const char *whole, const char *part) {
    size_t length = strlen(part);
    for (; *whole != '\0'; whole++) {
        if (strncasecmp(whole, part, length) == 0) {
            return true;
        }
    }
    return false;
}

/* UUIDs are written with dashes and in either case. */
static bool same_uuid(const char *a, const char *b) {
    while (*a != '\0' || *b != '\0') {
        if (*a == '-') {
            a++;
        } else if (*b == '-') {
            b++;
        } else if (tolower((unsigned char)*a++) != tolower((unsigned char)*b++)) {
            return false;
        }
    }
    return true;
}

typedef bool (*match_fn)(const cg_device_info *info, const char *selector);

static bool match_uuid(const cg_device_info *info, const char *selector) {
    return info->uuid[0] != '\0' && same_uuid(info->uuid, selector + strlen("uuid="));
}

static bool match_pci(const cg_device_info *info, const char *selector) {
    return info->pci[0] != '\0' && strcasecmp(info->pci, selector + strlen("pci=")) == 0;
}

static bool match_driver(const cg_device_info *info, const char *selector) {
    return strcasecmp(info->driver, selector) == 0;
}

static bool match_part(const cg_device_info *info, const char *selector) {
    return contains(info->name, selector) || contains(info->vendor, selector) || contains(info->platform, selector);
}

static size_t matches(const cg_device_info *infos, size_t count, match_fn match, const char *selector, size_t *index) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (match(&infos[i], selector)) {
            *index = found++ == 0 ? i : *index;
        }
    }
    return found;
}

/* The first device of a type that is no simulator: lists put discrete GPUs first. */
static size_t first_of_type(const cg_device_info *infos, size_t count, cg_device_type type, size_t *index) {
    for (size_t i = 0; i < count; i++) {
        if (infos[i].type == type && !infos[i].simulator) {
            *index = i;
            return 1;
        }
    }
    return 0;
}

static size_t find(const char *selector, const cg_device_info *infos, size_t count, size_t *index) {
    if (strncmp(selector, "uuid=", 5) == 0) {
        return matches(infos, count, match_uuid, selector, index);
    }
    if (strncmp(selector, "pci=", 4) == 0) {
        return matches(infos, count, match_pci, selector, index);
    }
    size_t found = matches(infos, count, match_driver, selector, index);
    if (found > 0) {
        return found;
    }
    if (strcasecmp(selector, "gpu") == 0) {
        return first_of_type(infos, count, CG_DEVICE_GPU, index);
    }
    if (strcasecmp(selector, "cpu") == 0) {
        return first_of_type(infos, count, CG_DEVICE_CPU, index);
    }
    return matches(infos, count, match_part, selector, index);
}

static cg_status refuse(const cg_device_string *parsed, const cg_device_info *infos, size_t count, size_t found) {
    cg_text list = {0};
    if (count == 0) {
        char reason[sizeof((cg_backend_problem *)0)->reason];
        cg_text_append(&list, "%s", cg_backend_problem_of(parsed->backend, reason, sizeof reason));
    }
    for (size_t i = 0; i < count; i++) {
        cg_text_append(&list, "%s%s (index %zu, %s)", i == 0 ? "" : "; ", infos[i].string, i, infos[i].name);
    }
    cg_status status =
        cg_fail(CG_ERR_DEVICE, "device '%s%s%s': %s. %s%s", parsed->backend, parsed->selector[0] != '\0' ? ":" : "",
                parsed->selector, found == 0 ? "no device fits" : "several devices fit",
                count == 0 ? "The backend has none: " : "There are: ", cg_text_get(&list));
    cg_text_free(&list);
    return status;
}

cg_status cg_device_string_select(const cg_device_string *parsed, const cg_device_info *infos, size_t count,
                                  size_t *index) {
    const char *selector = parsed->selector;
    size_t found = 0;
    if (selector[0] == '\0') {
        *index = 0;
        found = count > 0 ? 1 : 0;
    } else if (all_digits(selector)) {
        unsigned long long wanted = strtoull(selector, NULL, 10);
        *index = (size_t)wanted;
        found = wanted < count ? 1 : 0;
    } else {
        found = find(selector, infos, count, index);
    }
    return found == 1 ? CG_OK : refuse(parsed, infos, count, found);
}

void cg_device_string_write(const char *backend, cg_device_info *infos, size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t first = i, sharing = matches(infos, count, match_driver, infos[i].driver, &first);
        if (strcmp(infos[i].driver, backend) == 0 && count == 1) {
            snprintf(infos[i].string, sizeof infos[i].string, "%s", backend);
        } else if (sharing == 1 && infos[i].driver[0] != '\0') {
            snprintf(infos[i].string, sizeof infos[i].string, "%.30s:%s", backend, infos[i].driver);
        } else {
            snprintf(infos[i].string, sizeof infos[i].string, "%.60s:%zu", backend, i);
        }
    }
}
