/* clgrad --version: the version, the backends that work here and what they use, and the libraries. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <zlib.h>

#include <clgrad/clgrad.h>

#include "commands.h"
#include "device_list.h"
#include "exit_status.h"

/* Length of the backend's name at the start of a device string. */
static size_t backend_length(const char *string) {
    return strcspn(string, ":,");
}

static bool same_backend(const char *a, const char *b) {
    size_t length = backend_length(a);
    return length == backend_length(b) && memcmp(a, b, length) == 0;
}

/* One line a backend: the devices of a backend stand together in the list. */
static void print_backends(const cg_device_info *infos, size_t count) {
    for (size_t i = 0; i < count; i++) {
        bool first = i == 0 || !same_backend(infos[i - 1].string, infos[i].string);
        if (first) {
            printf("%sbackend %.*s:", i ? "\n" : "", (int)backend_length(infos[i].string), infos[i].string);
        }
        printf("%s %s%s%s", first ? "" : ",", infos[i].driver, *infos[i].driver_version ? " " : "",
               infos[i].driver_version);
    }
    putchar('\n');
}

int cmd_version(void) {
    cg_device_info *infos;
    size_t count;
    printf("clgrad %s\n", CG_VERSION);
    cg_status status = device_list(&infos, &count);
    if (status != CG_OK) {
        return report_failure(status);
    }
    print_backends(infos, count);
    free(infos);
    print_backend_problems(stdout);
    printf("libraries: zlib %s, cJSON %s", zlibVersion(), cJSON_Version());
    for (int i = 0; cg_image_library(i) != NULL; i++) {
        printf(", %s", cg_image_library(i));
    }
    printf(", matrix products of the cpu by %s\n", cg_cpu_blas_name());
    return EXIT_GOOD;
}
