/* From a name to samples: what is built in, what is searched for, and folders. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "alloc.h"
#include "library.h"
#include "safetensors.h"
#include "samples.h"
#include "text.h"

static cg_status load_mnist(cg_source *source) {
    char share[1024]; /* seen from the library, so that an installation can be moved */
    bool installed = cg_library_path(CLGRAD_SHARE_FOLDER, share, sizeof share);
    const char *const places[] = {getenv("CLGRAD_DATA"), installed ? share : NULL, CLGRAD_SOURCE_DATA_FOLDER};
    cg_text folder = {0}, tried = {0};
    cg_status status = CG_OK;
    bool found = false;
    for (size_t i = 0; i < sizeof places / sizeof places[0] && !found; i++) {
        if (places[i] != NULL && places[i][0] != '\0') {
            cg_text_free(&folder);
            cg_text_append(&folder, "%s/mnist", places[i]);
            cg_text_append(&tried, " %s", cg_text_get(&folder));
            found = cg_idx_is_there(cg_text_get(&folder));
        }
    }
    if (folder.failed || tried.failed) {
        status = CG_ERR_MEMORY;
    } else if (!found) {
        status =
            cg_fail(CG_ERR_FILE,
                    "mnist was not found in any of these folders:%s (CLGRAD_DATA names the folder that holds mnist)",
                    cg_text_get(&tried));
    } else {
        status = cg_idx_load(cg_text_get(&folder), source);
        snprintf(source->name, sizeof source->name, "mnist");
    }
    cg_text_free(&folder);
    cg_text_free(&tried);
    return status;
}

/* The last part of a path as a name: valid UTF-8, as checkpoints store it. */
static void name_after(const char *path, cg_source *source) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') {
        end--;
    }
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') {
        begin--;
    }
    snprintf(source->name, sizeof source->name, "%.*s", (int)(end - begin), path + begin);
    for (size_t length = strlen(source->name); !cg_utf8_valid(source->name, length);) {
        source->name[--length] = '\0';
    }
}

static cg_status load_folder(const char *path, const cg_data_options *options, cg_source *source) {
    return cg_idx_is_any(path) ? cg_idx_load(path, source) : cg_image_folder_load(path, options, source);
}

static bool ends_with(const char *text, const char *ending) {
    size_t length = strlen(text), end = strlen(ending);
    return length > end && strcasecmp(text + length - end, ending) == 0;
}

static cg_status load_file(const char *path, const cg_data_options *options, cg_source *source) {
    static const char *const tables[] = {".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz"};
    if (ends_with(path, ".npy")) {
        return cg_npy_load(path, options, source);
    }
    if (ends_with(path, ".npz")) {
        return cg_npz_load(path, options, source);
    }
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (ends_with(path, tables[i])) {
            return cg_csv_load(path, options, source);
        }
    }
    return cg_fail(CG_ERR_FILE, "no data \"%s\": a file must be .csv, .tsv, .npy or .npz; a folder is taken, too",
                   path);
}

static cg_status load_path(const char *path, const cg_data_options *options, cg_source *source) {
    struct stat facts;
    if (stat(path, &facts) != 0) {
        return cg_fail(CG_ERR_FILE, "no data \"%s\": it is not digits or mnist, and as a path: %s", path,
                       strerror(errno));
    }
    CG_TRY((S_ISDIR(facts.st_mode) ? load_folder : load_file)(path, options, source));
    name_after(path, source);
    return CG_OK;
}

cg_status cg_source_load(const char *name, const cg_data_options *options, cg_source *source) {
    *source = (cg_source){0};
    if (strcmp(name, "digits") == 0) {
        return cg_digits_load(source);
    }
    return strcmp(name, "mnist") == 0 ? load_mnist(source) : load_path(name, options, source);
}

void cg_source_free(cg_source *source) {
    cg_samples_free(&source->train);
    cg_samples_free(&source->test);
    cg_names_free(&source->class_names);
    cg_text_free(&source->target);
    cg_text_free(&source->notes);
    *source = (cg_source){0};
}
