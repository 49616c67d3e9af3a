/* The .npy format: a magic number, a version, the length of a header, the header (a Python dict as text), the values.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "array.h"
#include "file.h"

#define LARGEST_HEADER 4096

static const struct {
    const char *text;
    cg_dtype dtype;
} dtypes[] = {{"|u1", CG_U8}, {"<i4", CG_I32}, {"<i8", CG_I64}, {"<f4", CG_F32}, {"<f8", CG_F64}};

/* What follows a key of the header. */
static const char *find_value(const char *header, const char *key) {
    const char *at = strstr(header, key);
    if (at == NULL) {
        return NULL;
    }
    at += strlen(key);
    at += strspn(at, " ");
    if (*at != ':') {
        return NULL;
    }
    at++;
    return at + strspn(at, " ");
}

static cg_status wrong_header(const char *name, const char *header) {
    return cg_fail(CG_ERR_FORMAT, "%s: its header is not NumPy's: %.200s", name, header);
}

static cg_status read_dtype(const char *name, const char *header, cg_dtype *dtype) {
    const char *value = find_value(header, "'descr'");
    if (value == NULL) {
        return wrong_header(name, header);
    }
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        size_t length = strlen(dtypes[i].text);
        if (value[0] == '\'' && strncmp(value + 1, dtypes[i].text, length) == 0 && value[1 + length] == '\'') {
            *dtype = dtypes[i].dtype;
            return CG_OK;
        }
    }
    return cg_fail(CG_ERR_FORMAT, "%s: its values are of dtype %.*s; u1, i4, i8, f4 and f8, the last bytes highest, %s",
                   name, (int)strcspn(value, ","), value, "are read: save it with .astype('<f4')");
}

static cg_status read_shape(const char *name, const char *header, cg_shape *shape) {
    const char *at = find_value(header, "'shape'");
    if (at == NULL || *at != '(') {
        return wrong_header(name, header);
    }
    for (at++; *at != ')';) {
        char *end;
        errno = 0;
        long long size = strtoll(at, &end, 10);
        if (end == at || errno != 0 || size < 0) {
            return wrong_header(name, header);
        }
        if (shape->rank == CG_MAX_RANK) {
            return cg_fail(CG_ERR_FORMAT, "%s: more than %d axes", name, CG_MAX_RANK);
        }
        shape->dim[shape->rank++] = size;
        at = end + strspn(end, ", ");
    }
    return CG_OK;
}

static cg_status read_header(const char *name, const char *header, cg_array *array) {
    const char *order = find_value(header, "'fortran_order'");
    CG_TRY(read_dtype(name, header, &array->dtype));
    CG_TRY(read_shape(name, header, &array->shape));
    if (order == NULL || (strncmp(order, "False", 5) != 0 && strncmp(order, "True", 4) != 0)) {
        return wrong_header(name, header);
    }
    if (*order == 'T' && array->shape.rank > 1) {
        return cg_fail(CG_ERR_FORMAT, "%s: its values are in Fortran's order: save it with numpy.ascontiguousarray",
                       name);
    }
    return CG_OK;
}

/* Bytes of the values; false when there are more than can be counted. */
static bool count_bytes(const cg_array *array, size_t *bytes) {
    *bytes = cg_dtype_size(array->dtype);
    for (int i = 0; i < array->shape.rank; i++) {
        size_t size = (size_t)array->shape.dim[i];
        if (size > 0 && *bytes > SIZE_MAX / 2 / size) {
            return false;
        }
        *bytes *= size;
    }
    return true;
}

cg_status cg_npy_parse(const char *name, const uint8_t *bytes, size_t size, cg_array *array) {
    if (size < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0) {
        return cg_fail(CG_ERR_FORMAT, "%s: not an array that NumPy saved", name);
    }
    bool wide = bytes[6] >= 2;
    size_t begin = wide ? 12 : 10, length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    length |= wide ? (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24 : 0;
    char header[LARGEST_HEADER];
    if (bytes[6] < 1 || bytes[6] > 3 || length >= sizeof header || length > size - begin) {
        return cg_fail(CG_ERR_FORMAT, "%s: version %d with a header of %zu bytes: damaged or too new", name, bytes[6],
                       length);
    }
    memcpy(header, bytes + begin, length);
    header[length] = '\0';
    CG_TRY(read_header(name, header, array));
    size_t expected, got = size - begin - length;
    if (!count_bytes(array, &expected) || expected != got) {
        return cg_fail(CG_ERR_FORMAT, "%s: %zu bytes follow its header, whose shape is %s", name, got,
                       cg_shape_print(&array->shape, CG_SHAPE_TEXT));
    }
    array->values = bytes + begin + length;
    return CG_OK;
}

/* Maps the file. The descriptor may be closed after. */
static cg_status map_file(const char *path, size_t size, cg_array *array) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    void *memory = descriptor >= 0 ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0) : MAP_FAILED;
    cg_status status = CG_OK;
    if (memory == MAP_FAILED) {
        status = cg_fail(CG_ERR_FILE, "cannot read %s: %s", path, strerror(errno));
    } else {
        array->memory = memory;
        array->mapped = size;
    }
    if (descriptor >= 0) {
        close(descriptor);
    }
    return status;
}

cg_status cg_npy_open(const char *path, int64_t memory, cg_array *array) {
    *array = (cg_array){0};
    struct stat facts;
    if (stat(path, &facts) != 0) {
        return cg_fail(CG_ERR_FILE, "cannot read %s: %s", path, strerror(errno));
    }
    size_t size = (size_t)facts.st_size;
    if (S_ISREG(facts.st_mode) && facts.st_size > memory) {
        CG_TRY(map_file(path, size, array));
    } else {
        char *bytes;
        CG_TRY(cg_file_read(path, SIZE_MAX / 2, &bytes, &size));
        array->memory = bytes;
    }
    cg_status status = cg_npy_parse(path, array->memory, size, array);
    if (status != CG_OK) {
        cg_array_free(array);
    }
    return status;
}

void cg_array_free(cg_array *array) {
    if (array->mapped > 0) {
        munmap(array->memory, array->mapped);
    } else {
        cg_free(array->memory);
    }
    *array = (cg_array){0};
}
