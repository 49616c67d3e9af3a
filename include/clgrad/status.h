/*
 * Status codes and error text. Every function that can fail returns a cg_status and leaves a message
 * that names the values; the library never prints, exits or aborts.
 */
#ifndef CLGRAD_STATUS_H
#define CLGRAD_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CG_API __attribute__((visibility("default")))
#define CG_MUST_USE __attribute__((warn_unused_result))
#define CG_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define CG_API
#define CG_MUST_USE
#define CG_PRINTF(text, first)
#endif

/* X(name, number, meaning). Numbers never change: plug-ins return them. */
#define CG_STATUS_MAP(X)                                                                                               \
    X(OK, 0, "no error")                                                                                               \
    X(ERR_ARGUMENT, 1, "wrong argument")                                                                               \
    X(ERR_SHAPE, 2, "shapes do not fit")                                                                               \
    X(ERR_DTYPE, 3, "wrong data type")                                                                                 \
    X(ERR_SYNTAX, 4, "text does not parse")                                                                            \
    X(ERR_NAME, 5, "unknown name")                                                                                     \
    X(ERR_DEVICE, 6, "device missing, refused or failing")                                                             \
    X(ERR_DEVICE_MEMORY, 7, "device out of memory")                                                                    \
    X(ERR_MEMORY, 8, "host out of memory")                                                                             \
    X(ERR_UNSUPPORTED, 9, "the device cannot do this")                                                                 \
    X(ERR_FALLBACK, 10, "an op would fall back to the CPU, not allowed")                                               \
    X(ERR_INDEX, 11, "index out of range")                                                                             \
    X(ERR_FILE, 12, "file cannot be read or written")                                                                  \
    X(ERR_FORMAT, 13, "file content is wrong")                                                                         \
    X(ERR_NAN, 14, "not a number where a number was expected")                                                         \
    X(ERR_INTERRUPTED, 15, "interrupted")                                                                              \
    X(ERR_STATE, 16, "call not allowed now")                                                                           \
    X(ERR_WRONG, 17, "a device computed something wrong")

typedef enum cg_status {
#define X(name, number, meaning) CG_##name = number,
    CG_STATUS_MAP(X)
#undef X
} cg_status;

/* The name of a status, "CG_ERR_SHAPE"; "CG_ERR_?" for a number that is none. Never NULL. */
CG_API const char *cg_status_name(cg_status status);

/* The meaning of a status in words, "shapes do not fit". Never NULL. */
CG_API const char *cg_status_text(cg_status status);

/* The message of this thread's last failure, without a newline; "" if there was none.
 * Valid until this thread's next failure. */
CG_API const char *cg_error_message(void);

/* Leaves a message for cg_error_message and returns `status`, so that a function can end with
 * `return cg_fail(CG_ERR_SHAPE, "...", ...)`. Messages of over 2000 bytes are cut. */
CG_API cg_status cg_fail(cg_status status, const char *format, ...) CG_PRINTF(2, 3);

/* Puts text in front of the current message ("loading model.safetensors: " ...); returns `status`. */
CG_API cg_status cg_fail_context(cg_status status, const char *format, ...) CG_PRINTF(2, 3);

/* Returns from the calling function when `call` fails. */
#define CG_TRY(call)                                                                                                   \
    do {                                                                                                               \
        cg_status cg_try_status_ = (call);                                                                             \
        if (cg_try_status_ != CG_OK) {                                                                                 \
            return cg_try_status_;                                                                                     \
        }                                                                                                              \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
