/* Device strings: (decorator[,key=value]...:)*backend[:selector][,key=value]... */
#ifndef CLGRAD_DEVICE_STRING_H
#define CLGRAD_DEVICE_STRING_H

#include <clgrad/backend.h>

#define CG_MAX_OPTIONS 16
#define CG_MAX_DECORATORS 4

struct cg_decorator;

/* One decorator in front of a backend, with its options. */
typedef struct cg_decoration {
    const struct cg_decorator *decorator;
    cg_option options[CG_MAX_OPTIONS];
    size_t n_options;
} cg_decoration;

typedef struct cg_device_string {
    char text[512];                               /* the pieces below point into it */
    cg_decoration decorations[CG_MAX_DECORATORS]; /* outermost first */
    size_t n_decorations;
    const char *backend;
    const char *selector; /* "" when there is none */
    cg_option options[CG_MAX_OPTIONS];
    size_t n_options;
} cg_device_string;

cg_status cg_device_string_parse(const char *text, cg_device_string *parsed) CG_MUST_USE;

/* The index of the one device that the selector means; CG_ERR_DEVICE, which lists the candidates, when none or several
 * fit. */
cg_status cg_device_string_select(const cg_device_string *parsed, const cg_device_info *infos, size_t count,
                                  size_t *index) CG_MUST_USE;

/* Fills in info->string as lists show it: the driver, an index where two devices share a driver. */
void cg_device_string_write(const char *backend, cg_device_info *infos, size_t count);

#endif
