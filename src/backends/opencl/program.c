/* Programs: one for each kernel file and set of defines, compiled when first needed or taken from the cache on disk. */
#include "ocl.h"

#include <stdio.h>
#include <string.h>

#define SLOW_SAVE 0.05 /* seconds: a driver that takes longer to hand out a binary compiles for it */
#define LAST_SAVES 1.0 /* seconds that saving may take while the device is closed */
#define WAITED 1.0     /* seconds of compiling after which nobody is to wait for saving, too */

struct ocl_program {
    const char *file;   /* as long as the process lives */
    const char *source; /* a program's own kernel; NULL: what is built in as `file` */
    char defines[128];
    cl_program handle;
    bool unsaved;
};

static cg_status source_of(const ocl_device *device, const ocl_program *program, char **text, size_t *length) {
    return program->source != NULL ? ocl_source_copy(device->host, program->file, program->source, text, length)
                                   : ocl_source(device->host, program->file, text, length);
}

static void options_of(const ocl_device *device, const char *defines, char *text, size_t size) {
    snprintf(text, size, "%s %s", device->options, defines);
}

/* The compiler's log goes whole into the error text, which is cut at its own size. */
static cg_status build_failed(const ocl_device *device, cl_program program, const char *file, const char *options,
                              cl_int code) {
    const cg_host *host = device->host;
    size_t bytes = 0;
    clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &bytes);
    char *log = host->alloc(bytes + 1);
    if (log == NULL) {
        return CG_ERR_MEMORY;
    }
    log[0] = '\0';
    clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, bytes, log, NULL);
    log[bytes] = '\0';
    cg_status status = host->fail(CG_ERR_DEVICE, "clBuildProgram(%s): %s (%d) on %s with options '%s':\n%s", file,
                                  ocl_error_name(code), code, device->info.name, options, log);
    host->free(log);
    return status;
}

static cg_status build_source(ocl_device *device, ocl_program *program, const char *options, const char *source,
                              size_t length) {
    cl_int code;
    program->handle = clCreateProgramWithSource(device->context, 1, &source, &length, &code);
    if (program->handle == NULL) {
        return ocl_fail(device, code, "clCreateProgramWithSource", program->file);
    }
    device->host->compiling(program->file);
    double begin = ocl_seconds();
    code = clBuildProgram(program->handle, 1, &device->id, options, NULL, NULL);
    device->compiled_seconds += ocl_seconds() - begin;
    device->host->compiling(NULL);
    if (code != CL_SUCCESS) {
        cg_status status = build_failed(device, program->handle, program->file, options, code);
        clReleaseProgram(program->handle);
        return status;
    }
    program->unsaved = true;
    device->host->log("compiled %s with %s", program->file, options);
    return CG_OK;
}

/* False when there is no binary or the driver does not take it: then the source is compiled. */
static bool build_binary(ocl_device *device, ocl_program *program, const ocl_cache_key *key) {
    size_t bytes = 0;
    unsigned char *binary = ocl_cache_load(device->host, key, &bytes);
    if (binary == NULL) {
        return false;
    }
    const unsigned char *binaries = binary;
    cl_int code, accepted = CL_SUCCESS;
    program->handle = clCreateProgramWithBinary(device->context, 1, &device->id, &bytes, &binaries, &accepted, &code);
    device->host->free(binary);
    if (program->handle == NULL) {
        return false;
    }
    if (accepted != CL_SUCCESS ||
        clBuildProgram(program->handle, 1, &device->id, key->parts[1], NULL, NULL) != CL_SUCCESS) {
        clReleaseProgram(program->handle);
        return false;
    }
    return true;
}

static cg_status build(ocl_device *device, ocl_program *program) {
    char *source = NULL, options[384];
    size_t length;
    CG_TRY(device->host->building(program->file));
    CG_TRY(source_of(device, program, &source, &length));
    options_of(device, program->defines, options, sizeof options);
    ocl_cache_key key = {{device->identity, options, source}};
    cg_status status =
        build_binary(device, program, &key) ? CG_OK : build_source(device, program, options, source, length);
    device->host->free(source);
    return status;
}

static cg_status grow(ocl_device *device) {
    size_t capacity = device->programs_capacity * 2 + 16;
    ocl_program *larger = device->host->alloc(capacity * sizeof *larger);
    if (larger == NULL) {
        return CG_ERR_MEMORY;
    }
    if (device->n_programs > 0) {
        memcpy(larger, device->programs, device->n_programs * sizeof *larger);
    }
    device->host->free(device->programs);
    device->programs = larger;
    device->programs_capacity = capacity;
    return CG_OK;
}

cg_status ocl_program_get(ocl_device *device, const char *file, const char *source, const char *defines,
                          ocl_program **program) {
    for (size_t i = 0; i < device->n_programs; i++) {
        *program = &device->programs[i];
        if (strcmp((*program)->file, file) == 0 && strcmp((*program)->defines, defines) == 0) {
            return CG_OK;
        }
    }
    if (device->n_programs == device->programs_capacity) {
        CG_TRY(grow(device));
    }
    *program = &device->programs[device->n_programs];
    **program = (ocl_program){.file = file, .source = source};
    snprintf((*program)->defines, sizeof(*program)->defines, "%s", defines);
    CG_TRY(build(device, *program));
    device->n_programs++;
    return CG_OK;
}

cg_status ocl_build(void *device, size_t index, const char **name) {
    ocl_program *program;
    *name = ocl_source_name(index);
    return *name != NULL ? ocl_program_get(device, *name, NULL, "", &program) : CG_OK;
}

cl_program ocl_program_handle(const ocl_program *program) {
    return program->handle;
}

static void save_binary(ocl_device *device, ocl_program *program, size_t bytes) {
    char *source = NULL, options[384];
    size_t length;
    unsigned char *binary = device->host->alloc(bytes);
    if (binary != NULL && source_of(device, program, &source, &length) == CG_OK &&
        clGetProgramInfo(program->handle, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) == CL_SUCCESS) {
        options_of(device, program->defines, options, sizeof options);
        ocl_cache_save(device->host, &(ocl_cache_key){{device->identity, options, source}}, binary, bytes);
    }
    device->host->free(source);
    device->host->free(binary);
}

static void save(ocl_device *device, ocl_program *program) {
    size_t bytes = 0;
    program->unsaved = false;
    if (clGetProgramInfo(program->handle, CL_PROGRAM_BINARY_SIZES, sizeof bytes, &bytes, NULL) == CL_SUCCESS &&
        bytes > 0) {
        save_binary(device, program, bytes);
    }
}

/* PoCL compiles every kernel of a program once more for its binary, which takes as long as compiling what runs: the
 * first step would wait twice as long. After one such program the others stay unsaved until the device is closed. */
void ocl_program_save(ocl_device *device, ocl_program *program) {
    if (program->unsaved && !device->saves_late && device->host->cache_folder() != NULL) {
        double begin = ocl_seconds();
        save(device, program);
        device->saves_late = ocl_seconds() - begin > SLOW_SAVE;
    }
}

/* What does not fit into the time, a later run saves: until then the driver's own cache makes compiling it quick. */
static void save_rest(ocl_device *device) {
    double begin = ocl_seconds();
    bool may = device->saves_late && device->compiled_seconds < WAITED;
    for (size_t i = 0; may && i < device->n_programs && ocl_seconds() - begin < LAST_SAVES; i++) {
        if (device->programs[i].unsaved) {
            save(device, &device->programs[i]);
        }
    }
}

void ocl_programs_release(ocl_device *device) {
    save_rest(device);
    for (size_t i = 0; i < device->n_programs; i++) {
        clReleaseProgram(device->programs[i].handle);
    }
    device->host->free(device->programs);
    device->programs = NULL;
    device->n_programs = device->programs_capacity = 0;
}
