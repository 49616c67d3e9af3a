/* The safetensors format: what is written comes back, and every promise of the format is checked. */
#include "safetensors.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "files.h"

/* A file in memory: header length, header, `size` bytes 0, 1, 2 ... The memory is exactly as long. */
static char *build(const char *header, size_t header_length, size_t data_size, size_t *size) {
    *size = 8 + header_length + data_size;
    unsigned char *bytes = malloc(*size);
    cr_assert(bytes != NULL);
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)((uint64_t)header_length >> (8 * i));
    }
    memcpy(bytes + 8, header, header_length);
    for (size_t i = 0; i < data_size; i++) {
        bytes[8 + header_length + i] = (unsigned char)i;
    }
    return (char *)bytes;
}

static void expect_refused(const char *header, size_t length, size_t data_size, const char *part) {
    size_t size;
    char *bytes = build(header, length, data_size, &size);
    cg_safetensors *file = (cg_safetensors *)1;
    test_expect_failure(cg_safetensors_parse("bad.safetensors", bytes, size, &file), CG_ERR_FORMAT, part);
    cr_assert(file == NULL);
    cr_assert(strstr(cg_error_message(), "bad.safetensors") != NULL);
    free(bytes);
}

struct attack {
    const char *header;
    size_t data_size;
    const char *message;
};

#define T(name, dtype, shape, begin, end)                                                                              \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static const struct attack attacks[] = {
    {"", 0, "must begin with {"},
    {" {}", 0, "must begin with {"},
    {"[]", 0, "must begin with {"},
    {"{", 0, "no JSON object"},
    {"{\"a\":}", 0, "no JSON object"},
    {"{} x", 0, "goes on after its object"},
    {"{}{}", 0, "goes on after its object"},
    {"{\"a\xff\":{}}", 0, "not UTF-8"},
    {"{\"a\xc0\x80\":{}}", 0, "not UTF-8"},
    {"{\"a\xed\xa0\x80\":{}}", 0, "not UTF-8"},
    {"{\"a\x01\":{}}", 0, "control character"},
    {"{\"a\\u0000b\":{}}", 0, "control character"},
    {"{}", 1, "the tensors have 0 bytes of data, the file has 1"},
    {"{" T("a", "F32", "[2]", "0", "8") "," T("a", "F32", "[2]", "8", "16") "}", 16, "\"a\" is there twice"},
    {"{" T("a", "F32", "[2]", "0", "8") "," T("b", "F32", "[2]", "4", "12") "}", 12, "they overlap"},
    {"{" T("a", "F32", "[2]", "0", "8") "," T("b", "F32", "[2]", "0", "8") "}", 8, "they overlap"},
    {"{" T("a", "F32", "[2]", "0", "8") "," T("b", "F32", "[2]", "12", "20") "}", 20, "there is a hole"},
    {"{" T("a", "F32", "[2]", "4", "12") "}", 12, "there is a hole"},
    {"{" T("a", "F32", "[2]", "0", "8") "}", 9, "the tensors have 8 bytes of data, the file has 9"},
    {"{" T("a", "F32", "[2]", "0", "8") "}", 7, "its data is at 0 to 8, but the file has 7"},
    {"{" T("a", "F32", "[2]", "8", "0") "}", 8, "its data is at 8 to 0"},
    {"{" T("a", "F32", "[3]", "0", "8") "}", 8, "F32 [3] is 12 bytes, its data_offsets give 8"},
    {"{" T("a", "F64", "[3, 5]", "0", "8") "}", 8, "F64 [3, 5] is 120 bytes"},
    {"{" T("a", "F32", "[4294967296,4294967296,4294967296]", "0", "0") "}", 0, "is too large"},
    {"{" T("a", "F32", "[4503599627370496,4096]", "0", "0") "}", 0, "is too large"},
    {"{" T("a", "F99", "[4294967296,4294967296]", "0", "0") "}", 0, "is too large"},
    {"{" T("a", "F32", "[-1]", "0", "4") "}", 4, "size 0 of its shape is no count"},
    {"{" T("a", "F32", "[1.5]", "0", "6") "}", 6, "size 0 of its shape is no count"},
    {"{" T("a", "F32", "[1e300]", "0", "4") "}", 4, "size 0 of its shape is no count"},
    {"{" T("a", "F32", "[\"1\"]", "0", "4") "}", 4, "size 0 of its shape is no count"},
    {"{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, "at most 8 sizes"},
    {"{" T("a", "F32", "1", "0", "4") "}", 4, "shape must be a list"},
    {"{" T("a", "F32", "[1]", "-4", "0") "}", 4, "data_offsets must be two counts"},
    {"{" T("a", "F32", "[1]", "0", "1e99") "}", 4, "data_offsets must be two counts"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "data_offsets must be two counts"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", 4, "data_offsets must be two counts"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "must have dtype, shape and data_offsets"},
    {"{\"a\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "must have dtype, shape and data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"shape\":[2]}}", 4, "and nothing else"},
    {"{\"a\":7}", 0, "must have dtype, shape and data_offsets"},
    {"{\"a\":[1,2,3]}", 0, "must have dtype, shape and data_offsets"},
    {"{\"__metadata__\":7}", 0, "__metadata__ must be an object"},
    {"{\"__metadata__\":{\"a\":7}}", 0, "metadata \"a\" must be a string"},
    {"{\"__metadata__\":{\"a\":{\"b\":\"c\"}}}", 0, "metadata \"a\" must be a string"},
    {"{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}", 0, "metadata \"a\" is there twice"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__ is there twice"},
};

Test(safetensors, what_the_format_forbids_is_refused) {
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        expect_refused(attacks[i].header, strlen(attacks[i].header), attacks[i].data_size, attacks[i].message);
    }
}

Test(safetensors, a_zero_byte_in_the_header_is_refused) {
    expect_refused("{}\0", 3, 0, "control character");
}

Test(safetensors, nested_lists_do_not_exhaust_the_stack) {
    enum { DEPTH = 200000 };
    char *header = malloc(DEPTH + 6);
    cr_assert(header != NULL);
    memcpy(header, "{\"a\":", 5);
    memset(header + 5, '[', DEPTH);
    expect_refused(header, DEPTH + 5, 0, "no JSON object");
    free(header);
}

Test(safetensors, a_header_longer_than_the_file_is_refused) {
    static const uint64_t lengths[] = {1, 3, 100000000, 100000001, 1ull << 40, 1ull << 63, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        unsigned char bytes[10] = {0};
        for (int k = 0; k < 8; k++) {
            bytes[k] = (unsigned char)(lengths[i] >> (8 * k));
        }
        memcpy(bytes + 8, "{}", 2);
        cg_safetensors *file;
        cg_status status = cg_safetensors_parse("long", bytes, sizeof bytes, &file);
        test_expect_failure(status, CG_ERR_FORMAT, lengths[i] == 1 ? "JSON" : "a header of");
    }
}

/* One tensor of each kind that reading meets: several sizes, a scalar, an empty one, names that need escapes. */
static void write_example(const char *path) {
    static const double f64[] = {1.5, -2.25, 1e300};
    static const float f32[] = {0.1f, -0.0f, INFINITY, NAN, 1e-40f, 3};
    static const int64_t i64[] = {-1, INT64_MAX};
    static const uint8_t u8[] = {0, 128, 255};
    const cg_stored tensors[] = {
        {.name = "1.weight", .dtype = CG_STORED_F32, .shape = CG_SHAPE(2, 3), .data = f32, .bytes = sizeof f32},
        {.name = "bytes", .dtype = CG_STORED_U8, .shape = CG_SHAPE(3), .data = u8, .bytes = sizeof u8},
        {.name = "0.weight", .dtype = CG_STORED_F32, .shape = CG_SCALAR, .data = f32, .bytes = 4},
        {.name = "empty", .dtype = CG_STORED_F32, .shape = CG_SHAPE(0, 7), .data = f32, .bytes = 0},
        {.name = "d\"o\\u\nb\xc3\xbc", .dtype = CG_STORED_F64, .shape = CG_SHAPE(3), .data = f64, .bytes = sizeof f64},
        {.name = "count", .dtype = CG_STORED_I64, .shape = CG_SHAPE(2), .data = i64, .bytes = sizeof i64},
    };
    const cg_stored_text texts[] = {{"format", "test"}, {"text", "a \"b\"\\\n\t\x01 \xe2\x82\xac"}, {"none", ""}};
    cg_status status = cg_safetensors_write(path, tensors, 6, texts, 3);
    cr_assert(status == CG_OK, "%s", cg_error_message());
}

static void expect_example(const cg_safetensors *file) {
    cr_assert(cg_safetensors_count(file) == 6);
    cr_assert(cg_safetensors_find(file, "nothing") == NULL && cg_safetensors_tensor(file, 6) == NULL);
    float f32[6];
    double f64[3];
    int64_t i64[3];
    const cg_stored *weight = cg_safetensors_find(file, "1.weight");
    cr_assert(cg_shape_equal(&weight->shape, &CG_SHAPE(2, 3)) && weight->dtype == CG_STORED_F32);
    cr_assert(cg_stored_read_f32(weight, f32) == CG_OK);
    cr_assert(f32[0] == 0.1f && f32[1] == 0 && signbit(f32[1]) && isinf(f32[2]) && isnan(f32[3]) && f32[4] == 1e-40f);
    cr_assert(cg_safetensors_find(file, "0.weight")->shape.rank == 0);
    cr_assert(cg_stored_read_f32(cg_safetensors_find(file, "empty"), NULL) == CG_OK);
    cr_assert(cg_stored_read_f64(cg_safetensors_find(file, "d\"o\\u\nb\xc3\xbc"), f64) == CG_OK);
    cr_assert(f64[0] == 1.5 && f64[1] == -2.25 && f64[2] == 1e300);
    cr_assert(cg_stored_read_i64(cg_safetensors_find(file, "count"), i64) == CG_OK);
    cr_assert(i64[0] == -1 && i64[1] == INT64_MAX);
    cr_assert(cg_stored_read_i64(cg_safetensors_find(file, "bytes"), i64) == CG_OK);
    cr_assert(i64[0] == 0 && i64[1] == 128 && i64[2] == 255);
    cr_assert(cg_stored_read_f64(cg_safetensors_find(file, "bytes"), f64) == CG_OK && f64[2] == 255);
    test_expect_failure(cg_stored_read_i64(weight, i64), CG_ERR_DTYPE, "\"1.weight\" has the dtype F32");
    cr_assert_str_eq(cg_safetensors_metadata(file, "text"), "a \"b\"\\\n\t\x01 \xe2\x82\xac");
    cr_assert_str_eq(cg_safetensors_metadata(file, "none"), "");
    cr_assert(cg_safetensors_metadata(file, "Text") == NULL && cg_safetensors_metadata_count(file) == 3);
    cr_assert_str_eq(cg_safetensors_metadata_at(file, 0).key, "format");
}

Test(safetensors, what_is_written_comes_back) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    write_example(test_path(&folder, "a.safetensors", path));
    cg_safetensors *file;
    cr_assert(cg_safetensors_open(path, &file) == CG_OK, "%s", cg_error_message());
    expect_example(file);
    cg_safetensors_close(file);
    test_folder_remove(&folder);
}

Test(safetensors, the_same_tensors_give_the_same_bytes_in_aligned_order) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    write_example(test_path(&folder, "a", path));
    write_example(test_path(&folder, "b", path));
    size_t size, again;
    char *a = test_file_read(&folder, "a", &size), *b = test_file_read(&folder, "b", &again);
    cr_assert(size == again && memcmp(a, b, size) == 0);
    cr_assert((unsigned char)a[0] % 8 == 0, "the data begins at a multiple of 8");
    cr_assert(strstr(a + 8, "\"count\"") < strstr(a + 8, "\"0.weight\""), "large elements first");
    cr_assert(strstr(a + 8, "\"0.weight\"") < strstr(a + 8, "\"1.weight\""), "then by name");
    free(a);
    free(b);
    test_folder_remove(&folder);
}

/* Memory of exactly the size, so that a read past the end is seen by the address sanitizer. */
Test(safetensors, a_file_cut_anywhere_is_refused) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    write_example(test_path(&folder, "a", path));
    size_t size;
    char *bytes = test_file_read(&folder, "a", &size);
    for (size_t length = 0; length < size; length++) {
        char *cut = malloc(length > 0 ? length : 1);
        cr_assert(cut != NULL);
        memcpy(cut, bytes, length);
        cg_safetensors *file;
        cr_assert(cg_safetensors_parse("cut", cut, length, &file) == CG_ERR_FORMAT, "cut to %zu of %zu", length, size);
        free(cut);
    }
    free(bytes);
    test_folder_remove(&folder);
}

/* A byte that is changed is refused or changes what is read; it never does harm. */
Test(safetensors, any_changed_header_byte_is_survived) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    write_example(test_path(&folder, "a", path));
    size_t size;
    char *bytes = test_file_read(&folder, "a", &size);
    static const char others[] = {'\0', '"', '{', '}', '[', ']', ',', ':', '9', '-', '\\', 'e', (char)0x80, (char)0xff};
    for (size_t i = 0; i < size; i++) {
        char old = bytes[i];
        for (size_t k = 0; k < sizeof others; k++) {
            bytes[i] = others[k];
            cg_safetensors *file;
            cg_status status = cg_safetensors_parse("changed", bytes, size, &file);
            cr_assert(status == CG_OK || status == CG_ERR_FORMAT);
            cg_safetensors_close(file);
        }
        bytes[i] = old;
    }
    free(bytes);
    test_folder_remove(&folder);
}

Test(safetensors, memory_that_runs_out_is_survived) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    write_example(test_path(&folder, "a", path));
    cg_status status = CG_ERR_MEMORY;
    for (long call = 1; status != CG_OK; call++) {
        cg_alloc_fail_at(call);
        cg_safetensors *file;
        status = cg_safetensors_open(path, &file);
        cg_alloc_fail_at(0);
        cr_assert(call < 20 && (status == CG_OK || status == CG_ERR_MEMORY));
        cg_safetensors_close(file);
    }
    test_folder_remove(&folder);
}

Test(safetensors, the_smallest_files_are_read) {
    static const char *const headers[] = {"{}", "{}      ", "{\"__metadata__\":{}}", "{ \"__metadata__\" : { } }\n"};
    for (size_t i = 0; i < 4; i++) {
        size_t size;
        char *bytes = build(headers[i], strlen(headers[i]), 0, &size);
        cg_safetensors *file;
        cr_assert(cg_safetensors_parse("small", bytes, size, &file) == CG_OK, "%s", cg_error_message());
        cr_assert(cg_safetensors_count(file) == 0 && cg_safetensors_metadata(file, "a") == NULL);
        cg_safetensors_close(file);
        free(bytes);
    }
}

Test(safetensors, a_dtype_that_is_unknown_fails_when_it_is_read) {
    const char *header = "{" T("a", "F8_E4M3", "[3]", "0", "3") "," T("b", "U8", "[1]", "3", "4") "}";
    size_t size;
    char *bytes = build(header, strlen(header), 4, &size);
    cg_safetensors *file;
    cr_assert(cg_safetensors_parse("f8", bytes, size, &file) == CG_OK, "%s", cg_error_message());
    float values[3];
    test_expect_failure(cg_stored_read_f32(cg_safetensors_find(file, "a"), values), CG_ERR_DTYPE, "F8_E4M3");
    cr_assert(cg_stored_read_f32(cg_safetensors_find(file, "b"), values) == CG_OK && values[0] == 3);
    cg_safetensors_close(file);
    free(bytes);
}

/* bits, dtype, value: from the definitions of IEEE 754 binary16 and of bfloat16. */
static const struct half_case {
    uint16_t bits;
    cg_stored_dtype dtype;
    double value;
} halves[] = {
    {0x0000, CG_STORED_F16, 0},
    {0x3C00, CG_STORED_F16, 1},
    {0xC000, CG_STORED_F16, -2},
    {0x7BFF, CG_STORED_F16, 65504},
    {0x0400, CG_STORED_F16, 0x1p-14},
    {0x0001, CG_STORED_F16, 0x1p-24},
    {0x83FF, CG_STORED_F16, -0x1.ff8p-15},
    {0x3555, CG_STORED_F16, 0x1.554p-2},
    {0x7C00, CG_STORED_F16, INFINITY},
    {0xFC00, CG_STORED_F16, -INFINITY},
    {0x3F80, CG_STORED_BF16, 1},
    {0xC049, CG_STORED_BF16, -3.140625},
    {0x0001, CG_STORED_BF16, 0x1p-133},
    {0x7F7F, CG_STORED_BF16, 0x1.fep127},
    {0x7F80, CG_STORED_BF16, INFINITY},
};

Test(safetensors, half_precision_numbers_have_their_values) {
    for (size_t i = 0; i < sizeof halves / sizeof halves[0]; i++) {
        cg_stored tensor = {.name = "a", .dtype = halves[i].dtype, .data = &halves[i].bits, .bytes = 2};
        double value;
        float rounded;
        cr_assert(cg_stored_read_f64(&tensor, &value) == CG_OK && cg_stored_read_f32(&tensor, &rounded) == CG_OK);
        cr_assert(value == halves[i].value && (double)rounded == value, "0x%04x is %g", halves[i].bits, value);
    }
    static const uint16_t nan = 0x7E00, minus_zero = 0x8000;
    double value;
    cg_stored tensor = {.name = "a", .dtype = CG_STORED_F16, .data = &nan, .bytes = 2};
    cr_assert(cg_stored_read_f64(&tensor, &value) == CG_OK && isnan(value));
    tensor.data = &minus_zero;
    cr_assert(cg_stored_read_f64(&tensor, &value) == CG_OK && value == 0 && signbit(value));
}

Test(safetensors, a_name_that_is_not_utf8_is_not_written) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    cg_stored tensor = {.name = "\xff", .dtype = CG_STORED_U8, .shape = CG_SHAPE(0), .data = "", .bytes = 0};
    test_expect_failure(cg_safetensors_write(test_path(&folder, "a", path), &tensor, 1, NULL, 0), CG_ERR_ARGUMENT,
                        "UTF-8");
    cr_assert(test_folder_count(&folder) == 0);
    test_folder_remove(&folder);
}
