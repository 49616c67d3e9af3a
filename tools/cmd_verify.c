/* clgrad verify: replays what PyTorch computed, one line a case and device. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <clgrad/verify.h>

#include "commands.h"
#include "device_set.h"
#include "exit_status.h"
#include "options.h"
#include "report.h"

#define PATH_SIZE 4096

typedef struct verification {
    const char *out;
    bool strict, json;
    device_set devices;
    size_t cases;
    size_t counts[4];         /* by outcome */
    bool no_device, bad_file; /* something was missing or too small; something cannot be read or written */
    cJSON *results, *errors;  /* with --json */
} verification;

/* Says on stderr what is no verdict, and remembers what it means for the exit status. */
static void note_error(verification *v, cg_status status, const char *where) {
    bool device = exit_status_of(status) == EXIT_DEVICE;
    v->no_device = v->no_device || device;
    v->bad_file = v->bad_file || !device;
    fprintf(stderr, "clgrad: %s%s%s\n", where, *where ? ": " : "", cg_error_message());
    if (v->json) {
        cJSON *error = cJSON_CreateObject();
        cJSON_AddStringToObject(error, "where", where);
        cJSON_AddStringToObject(error, "message", cg_error_message());
        cJSON_AddItemToArray(v->errors, error);
    }
}

static void print_verdict(const char *name, const char *device, const cg_verdict *verdict) {
    printf("%s %s %s ", cg_outcome_name(verdict->outcome), name, device);
    if (verdict->measured) {
        printf("max_abs=%.3g max_rel=%.3g at=%s", verdict->max_abs, verdict->max_rel, *verdict->at ? verdict->at : "-");
    } else {
        printf("max_abs=- max_rel=- at=-");
    }
    printf("%s%s\n", *verdict->reason ? " " : "", verdict->reason);
    fflush(stdout);
}

static cJSON *verdict_json(const char *name, const char *device, const cg_verdict *verdict) {
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "case", name);
    cJSON_AddStringToObject(row, "device", device);
    cJSON_AddStringToObject(row, "outcome", cg_outcome_name(verdict->outcome));
    if (verdict->measured) {
        report_number(row, "max_abs", verdict->max_abs);
        report_number(row, "max_rel", verdict->max_rel);
    } else {
        cJSON_AddNullToObject(row, "max_abs");
        cJSON_AddNullToObject(row, "max_rel");
    }
    cJSON_AddStringToObject(row, "at", verdict->at);
    cJSON_AddStringToObject(row, "reason", verdict->reason);
    return row;
}

static void note_verdict(verification *v, const char *name, const char *device, const cg_verdict *verdict) {
    v->counts[verdict->outcome]++;
    if (v->json) {
        cJSON_AddItemToArray(v->results, verdict_json(name, device, verdict));
    } else {
        print_verdict(name, device, verdict);
    }
}

static cg_status make_folder(const char *path) {
    struct stat about;
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && stat(path, &about) == 0 && S_ISDIR(about.st_mode))) {
        return CG_OK;
    }
    return cg_fail(CG_ERR_FILE, "cannot make the folder %s: %s", path, strerror(errno));
}

/* Makes a folder and those above it. */
static cg_status make_folders(const char *path) {
    char part[PATH_SIZE];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        CG_TRY(make_folder(part));
    }
    return make_folder(path);
}

/* DIR/DEVICE/CASE.safetensors, the folder made. */
static cg_status results_path(const char *out, const char *device, const char *name, char *path, size_t size) {
    int length = snprintf(path, size, "%s/%s", out, device);
    if (length < 0 || (size_t)length + strlen(name) + sizeof "/.safetensors" > size) {
        return cg_fail(CG_ERR_FILE, "%s/%s/%s.safetensors: the path is too long", out, device, name);
    }
    CG_TRY(make_folder(path));
    snprintf(path + length, size - (size_t)length, "/%s.safetensors", name);
    return CG_OK;
}

/* False: the file is bad, no other device will do better. */
static bool replay(verification *v, const cg_case *c, cg_device *device) {
    const char *name = cg_case_name(c), *string = device ? cg_device_describe(device)->string : "host";
    char path[PATH_SIZE], where[512];
    cg_verdict verdict = {0};
    cg_status status = v->out ? results_path(v->out, string, name, path, sizeof path) : CG_OK;
    if (status == CG_OK) {
        status = cg_case_replay(c, device, v->out ? path : NULL, &verdict);
    }
    if (status == CG_OK || verdict.measured) {
        note_verdict(v, name, string, &verdict);
    }
    if (status != CG_OK) {
        bool format = status == CG_ERR_FORMAT; /* its message names the file */
        snprintf(where, sizeof where, "%s%s%s", format ? "" : name, format ? "" : " on ", format ? "" : string);
        note_error(v, status, where);
    }
    return status != CG_ERR_FORMAT;
}

static void verify_file(verification *v, const char *path) {
    cg_case *c;
    cg_status status = cg_case_load(path, &c);
    if (status != CG_OK) {
        note_error(v, status, "");
        return;
    }
    v->cases++;
    if (!cg_case_needs_device(c)) {
        replay(v, c, NULL);
    } else {
        for (size_t i = 0; i < v->devices.count && replay(v, c, v->devices.devices[i]); i++) {
        }
    }
    cg_case_destroy(c);
}

static void print_totals(const verification *v) {
    printf("%zu cases, %zu devices: %zu pass, %zu fail, %zu fallback, %zu unsupported\n", v->cases, v->devices.count,
           v->counts[CG_OUTCOME_PASS], v->counts[CG_OUTCOME_FAIL], v->counts[CG_OUTCOME_FALLBACK],
           v->counts[CG_OUTCOME_UNSUPPORTED]);
}

/* Takes over the arrays. */
static int report_totals_json(verification *v) {
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "cases", (double)v->cases);
    cJSON_AddNumberToObject(object, "devices", (double)v->devices.count);
    cJSON_AddNumberToObject(object, "pass", (double)v->counts[CG_OUTCOME_PASS]);
    cJSON_AddNumberToObject(object, "fail", (double)v->counts[CG_OUTCOME_FAIL]);
    cJSON_AddNumberToObject(object, "fallback", (double)v->counts[CG_OUTCOME_FALLBACK]);
    cJSON_AddNumberToObject(object, "unsupported", (double)v->counts[CG_OUTCOME_UNSUPPORTED]);
    cJSON_AddItemToObject(object, "results", v->results);
    cJSON_AddItemToObject(object, "errors", v->errors);
    return report_json(object);
}

/* Of several causes the first: a wrong value, a device, a file. */
static int exit_status(const verification *v) {
    bool weak = v->counts[CG_OUTCOME_FALLBACK] + v->counts[CG_OUTCOME_UNSUPPORTED] > 0;
    if (v->counts[CG_OUTCOME_FAIL] > 0 || (v->strict && weak)) {
        return EXIT_WRONG;
    }
    if (v->no_device || v->devices.incomplete) {
        return EXIT_DEVICE;
    }
    return v->bad_file ? EXIT_DATA : EXIT_GOOD;
}

static int verify(verification *v, const text_list *files) {
    cg_status status = v->out ? make_folders(v->out) : CG_OK;
    if (status != CG_OK) {
        return report_failure(status);
    }
    v->results = v->json ? cJSON_CreateArray() : NULL;
    v->errors = v->json ? cJSON_CreateArray() : NULL;
    for (size_t i = 0; i < files->count; i++) {
        verify_file(v, files->items[i]);
    }
    int printed = EXIT_GOOD;
    if (v->json) {
        printed = report_totals_json(v);
    } else {
        print_totals(v);
    }
    return printed == EXIT_GOOD ? exit_status(v) : printed;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Results of two cases of one name would be one file; NULL: there are no two. */
static const char *twice(const text_list *files) {
    for (size_t i = 1; i < files->count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(base_name(files->items[i]), base_name(files->items[j])) == 0) {
                return base_name(files->items[i]);
            }
        }
    }
    return NULL;
}

static int run(verification *v, const text_list *files, const text_list *strings, const char *require) {
    if (v->out && twice(files)) {
        return usage_error("verify", "--out: two of the cases are called %s", twice(files));
    }
    int result = device_set_open(strings, &v->devices);
    if (result == EXIT_GOOD && require && !device_set_require(&v->devices, require)) {
        result = usage_error("verify", "--require '%s': names separated by commas are needed", require);
    }
    if (result == EXIT_GOOD) {
        result = verify(v, files);
    }
    device_set_close(&v->devices);
    return result;
}

static int parse_and_run(int argc, char **argv, text_list *files, text_list *strings) {
    verification v = {0};
    const char *require = NULL;
    const option options[] = {
        list_option("--device", "STRING|all", DEVICES_HELP, strings),
        text_option("--require", "NAME,...", "backends or drivers (cpu, pocl, intel) that must be among the devices",
                    &require),
        flag_option("--strict", "a fallback or something unsupported is a failure", &v.strict),
        text_option("--out", "DIR",
                    "write what was computed to DIR/DEVICE/CASE.safetensors, names and shapes as in\n"
                    "the case",
                    &v.out),
        flag_option("--json", "one object on stdout: totals, results, errors", &v.json),
    };
    const command_line line = {.name = "verify",
                               .operands = "FILE...",
                               .summary = "Replays cases that PyTorch computed in float64, modules forward and "
                                          "backward, optimizers, schedules,\nand compares every value.",
                               .options = options,
                               .n_options = sizeof options / sizeof *options,
                               .operands_to = files};
    int parsed = options_parse(&line, argc, argv);
    return parsed == OPTIONS_RUN ? run(&v, files, strings, require) : parsed;
}

int cmd_verify(int argc, char **argv) {
    size_t room = (size_t)argc + 1;
    text_list files = {.items = calloc(room, sizeof(char *))}, strings = {.items = calloc(room, sizeof(char *))};
    int result = files.items && strings.items ? parse_and_run(argc, argv, &files, &strings)
                                              : report_failure(cg_fail(CG_ERR_MEMORY, "out of memory"));
    free(files.items);
    free(strings.items);
    return result;
}
