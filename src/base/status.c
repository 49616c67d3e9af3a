#include <clgrad/status.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_SIZE 2048

static _Thread_local char message[MESSAGE_SIZE];

const char *cg_status_name(cg_status status) {
    switch (status) {
#define X(name, number, meaning)                                                                                       \
    case CG_##name:                                                                                                    \
        return "CG_" #name;
        CG_STATUS_MAP(X)
#undef X
    }
    return "CG_ERR_?";
}

const char *cg_status_text(cg_status status) {
    switch (status) {
#define X(name, number, meaning)                                                                                       \
    case CG_##name:                                                                                                    \
        return meaning;
        CG_STATUS_MAP(X)
#undef X
    }
    return "unknown status";
}

const char *cg_error_message(void) {
    return message;
}

cg_status cg_fail(cg_status status, const char *format, ...) {
    char text[MESSAGE_SIZE]; /* the arguments may point into the old message */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(message, text, sizeof text);
    return status;
}

cg_status cg_fail_context(cg_status status, const char *format, ...) {
    char text[MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t used = length < 0 ? 0 : (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    snprintf(text + used, sizeof text - used, "%s", message);
    memcpy(message, text, sizeof text);
    return status;
}
