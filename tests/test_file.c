/* Reading and writing whole files: what fails leaves the old file as it was. */
#define _XOPEN_SOURCE 700
#include "file.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "files.h"

static void expect_content(const test_folder *folder, const char *name, const char *expected) {
    size_t size;
    char *bytes = test_file_read(folder, name, &size);
    cr_assert(size == strlen(expected) && memcmp(bytes, expected, size) == 0, "%s is \"%s\"", name, bytes);
    free(bytes);
}

Test(file, what_is_written_is_read_back) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    test_path(&folder, "a", path);
    cr_assert(cg_file_write(path, "one\0two", 7) == CG_OK);
    char *bytes;
    size_t size;
    cr_assert(cg_file_read(path, 7, &bytes, &size) == CG_OK);
    cr_assert(size == 7 && memcmp(bytes, "one\0two", 8) == 0);
    cg_free(bytes);
    cr_assert(test_folder_count(&folder) == 1, "no temporary file is left");
    test_folder_remove(&folder);
}

Test(file, reading_names_what_is_wrong) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    char *bytes;
    size_t size;
    test_expect_failure(cg_file_read(test_path(&folder, "missing", path), 9, &bytes, &size), CG_ERR_FILE,
                        "missing: No such file");
    test_expect_failure(cg_file_read(folder.path, 9, &bytes, &size), CG_ERR_FILE, "it is a folder");
    test_expect_failure(cg_file_read("/dev/zero", 9, &bytes, &size), CG_ERR_FILE, "not a regular file");
    test_file_write(&folder, "large", "0123456789", 10);
    test_expect_failure(cg_file_read(test_path(&folder, "large", path), 9, &bytes, &size), CG_ERR_FORMAT,
                        "10 bytes, at most 9");
    cr_assert(mkfifo(test_path(&folder, "pipe", path), 0600) == 0);
    test_expect_failure(cg_file_read(path, 9, &bytes, &size), CG_ERR_FILE, "not a regular file");
    test_folder_remove(&folder);
}

Test(file, writing_names_what_is_wrong) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    test_expect_failure(cg_file_write(test_path(&folder, "no/where", path), "x", 1), CG_ERR_FILE,
                        "no/where: No such file");
    test_expect_failure(cg_file_write(folder.path, "x", 1), CG_ERR_FILE, "it is a folder");
    test_expect_failure(cg_file_write("/dev/null", "x", 1), CG_ERR_FILE, "not a regular file");
    cr_assert(symlink("nothing", test_path(&folder, "dangling", path)) == 0);
    test_expect_failure(cg_file_write(path, "x", 1), CG_ERR_FILE, "dangling");
    test_folder_remove(&folder);
}

/* A limit on the size of files stands for a disk that is full. */
Test(file, a_write_that_fails_leaves_the_old_file_and_no_other) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    test_file_write(&folder, "a", "old", 3);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old, limit;
    cr_assert(getrlimit(RLIMIT_FSIZE, &old) == 0);
    limit = (struct rlimit){.rlim_cur = 8192, .rlim_max = old.rlim_max};
    cr_assert(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    static char bytes[100000];
    cg_status status = cg_file_write(test_path(&folder, "a", path), bytes, sizeof bytes);
    cr_assert(setrlimit(RLIMIT_FSIZE, &old) == 0);
    test_expect_failure(status, CG_ERR_FILE, "/a: File too large");
    expect_content(&folder, "a", "old");
    cr_assert(test_folder_count(&folder) == 1);
    test_folder_remove(&folder);
}

Test(file, a_write_that_is_abandoned_leaves_the_old_file_and_no_other) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    test_file_write(&folder, "a", "old", 3);
    cg_file_writer writer;
    cr_assert(cg_file_begin(test_path(&folder, "a", path), &writer) == CG_OK);
    cr_assert(cg_file_append(&writer, "new", 3) == CG_OK);
    expect_content(&folder, "a", "old");
    cg_file_abandon(&writer);
    expect_content(&folder, "a", "old");
    cr_assert(test_folder_count(&folder) == 1);
    test_folder_remove(&folder);
}

Test(file, two_writers_of_one_file_do_not_meet) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    test_path(&folder, "a", path);
    cg_file_writer first, second;
    cr_assert(cg_file_begin(path, &first) == CG_OK && cg_file_begin(path, &second) == CG_OK);
    cr_assert(cg_file_append(&first, "first", 5) == CG_OK && cg_file_append(&second, "second", 6) == CG_OK);
    cr_assert(cg_file_finish(&second) == CG_OK);
    expect_content(&folder, "a", "second");
    cr_assert(cg_file_finish(&first) == CG_OK);
    expect_content(&folder, "a", "first");
    cr_assert(test_folder_count(&folder) == 1);
    test_folder_remove(&folder);
}

Test(file, a_link_stays_a_link_and_permissions_stay) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    test_file_write(&folder, "real", "old", 3);
    cr_assert(chmod(test_path(&folder, "real", path), 0640) == 0);
    cr_assert(symlink("real", test_path(&folder, "link", path)) == 0);
    cr_assert(cg_file_write(path, "new", 3) == CG_OK);
    struct stat facts;
    cr_assert(lstat(path, &facts) == 0 && S_ISLNK(facts.st_mode));
    cr_assert(stat(path, &facts) == 0 && (facts.st_mode & 0777) == 0640);
    expect_content(&folder, "real", "new");
    test_folder_remove(&folder);
}

Test(file, memory_that_runs_out_leaves_the_old_file_and_no_other) {
    test_folder folder = test_folder_make();
    char path[TEST_PATH_SIZE];
    test_path(&folder, "a", path);
    test_file_write(&folder, "a", "old", 3);
    cg_status status = CG_ERR_MEMORY;
    for (long call = 1; status != CG_OK; call++) {
        cr_assert(call < 10);
        expect_content(&folder, "a", "old");
        cr_assert(test_folder_count(&folder) == 1);
        cg_alloc_fail_at(call);
        status = cg_file_write(path, "new", 3);
        cg_alloc_fail_at(0);
        cr_assert(status == CG_OK || status == CG_ERR_MEMORY);
    }
    expect_content(&folder, "a", "new");
    test_folder_remove(&folder);
}
