/* Folders and files for tests: see files.h. */
#define _XOPEN_SOURCE 700 /* mkdtemp, nftw */
#include "files.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

test_folder test_folder_make(void) {
    test_folder folder;
    const char *base = getenv("TMPDIR");
    snprintf(folder.path, sizeof folder.path, "%s/clgrad-test-XXXXXX", base != NULL && *base != '\0' ? base : "/tmp");
    cr_assert(mkdtemp(folder.path) != NULL, "cannot make the folder %s", folder.path);
    return folder;
}

static int remove_entry(const char *path, const struct stat *facts, int kind, struct FTW *where) {
    (void)facts;
    (void)kind;
    (void)where;
    return remove(path);
}

void test_folder_remove(const test_folder *folder) {
    nftw(folder->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *test_path(const test_folder *folder, const char *name, char path[TEST_PATH_SIZE]) {
    snprintf(path, TEST_PATH_SIZE, "%s/%s", folder->path, name);
    return path;
}

void test_file_write(const test_folder *folder, const char *name, const void *bytes, size_t size) {
    char path[TEST_PATH_SIZE];
    FILE *stream = fopen(test_path(folder, name, path), "wb");
    cr_assert(stream != NULL, "cannot write %s", path);
    size_t written = size > 0 ? fwrite(bytes, 1, size, stream) : 0;
    cr_assert(fclose(stream) == 0 && written == size, "cannot write %s", path);
}

char *test_file_read(const test_folder *folder, const char *name, size_t *size) {
    char path[TEST_PATH_SIZE];
    FILE *stream = fopen(test_path(folder, name, path), "rb");
    cr_assert(stream != NULL, "cannot read %s", path);
    fseek(stream, 0, SEEK_END);
    long length = ftell(stream);
    rewind(stream);
    char *bytes = calloc((size_t)length + 1, 1);
    cr_assert(bytes != NULL && fread(bytes, 1, (size_t)length, stream) == (size_t)length, "cannot read %s", path);
    fclose(stream);
    *size = (size_t)length;
    return bytes;
}

size_t test_folder_count(const test_folder *folder) {
    DIR *listing = opendir(folder->path);
    cr_assert(listing != NULL);
    size_t count = 0;
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(listing);
    return count;
}

void test_expect_failure(cg_status actual, cg_status expected, const char *part) {
    cr_assert(actual == expected, "%s, expected %s: %s", cg_status_name(actual), cg_status_name(expected),
              cg_error_message());
    cr_assert(strstr(cg_error_message(), part) != NULL, "\"%s\" is not in the message: %s", part, cg_error_message());
}
