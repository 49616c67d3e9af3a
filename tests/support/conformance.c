/* Results for the table: see conformance.h. */
#include "conformance.h"

#include "devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first op that fell back and why; "" when none did. */
static const char *fallback_reason(cg_device *device, char *text, size_t size) {
    cg_fallback_info info;
    text[0] = '\0';
    if (cg_device_fallbacks(device, &info, 1) > 0) {
        snprintf(text, size, "%s: %s", info.op, info.reason);
    }
    return text;
}

static const char *outcome_of(cg_status status, const char *fell_back) {
    switch (status) {
    case CG_OK:
        return fell_back[0] != '\0' ? "fallback" : "pass";
    case CG_ERR_FALLBACK:
        return "fallback";
    case CG_ERR_UNSUPPORTED:
        return "unsupported";
    default:
        return "fail";
    }
}

static void add_line(const char *kind, const char *name, const char *outcome, double worst, const char *reason) {
    const char *folder = getenv("CLGRAD_TEST_RESULTS");
    if (folder == NULL || folder[0] == '\0') {
        return;
    }
    char path[1024];
    snprintf(path, sizeof path, "%s/%ld.tsv", folder, (long)getpid());
    FILE *file = fopen(path, "a");
    if (file == NULL) {
        perror(path);
        return;
    }
    fprintf(file, "%s\t%s\t%s\t%s\t%.3g\t%s\n", kind, name, test_device_string(), outcome, worst, reason);
    if (fclose(file) != 0) {
        perror(path);
    }
}

void conformance_start(const char *kind, const char *name) {
    add_line(kind, name, "started", 0, "");
}

void conformance_add(const char *kind, const char *name, cg_device *device, cg_status status, double worst) {
    char text[512];
    const char *fell_back = fallback_reason(device, text, sizeof text);
    add_line(kind, name, outcome_of(status, fell_back), worst, status == CG_OK ? fell_back : cg_error_message());
}
