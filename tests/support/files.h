/* Folders and files for tests that read and write. Each function fails the running test when it cannot. */
#ifndef CLGRAD_TESTS_FILES_H
#define CLGRAD_TESTS_FILES_H

#include <clgrad/status.h>

#include <stddef.h>

#define TEST_PATH_SIZE 512

/* An empty folder of its own; removed with everything in it by test_folder_remove. */
typedef struct test_folder {
    char path[TEST_PATH_SIZE / 2];
} test_folder;

test_folder test_folder_make(void);
void test_folder_remove(const test_folder *folder);

/* FOLDER/NAME, in `path`. */
const char *test_path(const test_folder *folder, const char *name, char path[TEST_PATH_SIZE]);

/* Writes and reads whole files. The bytes read are freed by free(); a 0 follows them. */
void test_file_write(const test_folder *folder, const char *name, const void *bytes, size_t size);
char *test_file_read(const test_folder *folder, const char *name, size_t *size);

/* Files in the folder. */
size_t test_folder_count(const test_folder *folder);

/* The call failed with this status, and its message has this part. */
void test_expect_failure(cg_status actual, cg_status expected, const char *part);

#endif
