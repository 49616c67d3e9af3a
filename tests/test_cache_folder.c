/* Where compiled kernels are kept, by the environment, and what is removed of it. Each test is a process of its own. */
#include <clgrad/device.h>

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cache_folder.h"
#include "files.h"

static test_folder top;

static void begin(void) {
    unsetenv("CLGRAD_CACHE_DIR");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    top = test_folder_make();
}

static void end(void) {
    test_folder_remove(&top);
}

static const char *below(const char *name) {
    static char path[TEST_PATH_SIZE];
    return test_path(&top, name, path);
}

static void expect_folder(const char *name) {
    const char *found = cg_cache_folder();
    struct stat about;
    cr_assert_not_null(found);
    cr_expect_str_eq(found, below(name));
    cr_expect(stat(found, &about) == 0 && S_ISDIR(about.st_mode));
}

Test(cache_folder, is_the_one_that_is_given_without_slashes_at_its_end, .init = begin, .fini = end) {
    setenv("XDG_CACHE_HOME", below("xdg"), 1);
    setenv("CLGRAD_CACHE_DIR", below("a/b//"), 1);
    expect_folder("a/b");
}

Test(cache_folder, is_below_xdg_cache_home, .init = begin, .fini = end) {
    setenv("CLGRAD_CACHE_DIR", "", 1);
    setenv("XDG_CACHE_HOME", below("xdg"), 1);
    setenv("HOME", below("home"), 1);
    expect_folder("xdg/clgrad");
}

Test(cache_folder, is_below_home_where_xdg_cache_home_is_no_whole_path, .init = begin, .fini = end) {
    setenv("XDG_CACHE_HOME", "xdg", 1);
    setenv("HOME", below("home"), 1);
    expect_folder("home/.cache/clgrad");
}

Test(cache_folder, is_none_without_a_home, .init = begin, .fini = end) {
    setenv("HOME", "home", 1);
    cr_expect_null(cg_cache_folder());
    size_t files = 7;
    uint64_t bytes = 7;
    cr_expect_eq(cg_cache_clear(&files, &bytes), CG_OK);
    cr_expect(files == 0 && bytes == 0);
    cg_cache_trim();
}

Test(cache_folder, is_none_where_a_file_is_in_its_way, .init = begin, .fini = end) {
    close(open(below("file"), O_CREAT | O_WRONLY, 0600));
    setenv("CLGRAD_CACHE_DIR", below("file"), 1);
    cr_expect_null(cg_cache_folder());
}

Test(cache_folder, is_none_where_its_parent_is_a_file, .init = begin, .fini = end) {
    close(open(below("file"), O_CREAT | O_WRONLY, 0600));
    setenv("CLGRAD_CACHE_DIR", below("file/below"), 1);
    cr_expect_null(cg_cache_folder());
}

Test(cache_folder, is_none_where_a_link_stands, .init = begin, .fini = end) {
    cr_assert_eq(mkdir(below("real"), 0700), 0);
    cr_assert_eq(symlink("real", below("link")), 0);
    setenv("CLGRAD_CACHE_DIR", below("link/"), 1);
    cr_expect_null(cg_cache_folder());
}

/* A file of so many bytes, `age` seconds old. */
static void put(const char *name, size_t bytes, long age) {
    char content[64] = {0};
    int file = open(below(name), O_CREAT | O_WRONLY, 0600);
    cr_assert(file >= 0 && write(file, content, bytes) == (ssize_t)bytes);
    struct timespec now, times[2];
    clock_gettime(CLOCK_REALTIME, &now);
    times[0] = times[1] = (struct timespec){.tv_sec = now.tv_sec - age, .tv_nsec = now.tv_nsec};
    cr_assert_eq(futimens(file, times), 0);
    close(file);
}

static bool is_there(const char *name) {
    return access(below(name), F_OK) == 0;
}

#define OLD "conv-000000000000000000000000000000aa.bin"
#define NEW "conv-000000000000000000000000000000bb.bin"
#define HALF "conv-000000000000000000000000000000cc.bin.abcdef"
#define LEFT "conv-000000000000000000000000000000dd.bin.abcdef"

static void fill(void) {
    begin();
    setenv("CLGRAD_CACHE_DIR", below(""), 1);
    put(OLD, 40, 1000);
    put(NEW, 40, 10);
    put(HALF, 10, 10);
    put(LEFT, 10, 1000000);
    put("mine.bin", 5, 1000000);
    put("-000000000000000000000000000000aa.bin", 5, 1000000);
    put("conv-000000000000000000000000000000aa.text", 5, 1000000);
    put("conv-000000000000000000000000000000aa.bin.abc", 5, 1000000);
    cr_assert_eq(mkdir(below("conv-000000000000000000000000000000ee.bin"), 0700), 0);
}

static void expect_others_alone(void) {
    cr_expect(is_there("mine.bin") && is_there("-000000000000000000000000000000aa.bin") &&
              is_there("conv-000000000000000000000000000000aa.text") &&
              is_there("conv-000000000000000000000000000000aa.bin.abc") &&
              is_there("conv-000000000000000000000000000000ee.bin"));
}

Test(cache_folder, is_trimmed_to_its_limit_the_oldest_first_and_what_was_left_half_written, .init = fill, .fini = end) {
    setenv("CLGRAD_CACHE_LIMIT", "60", 1);
    cg_cache_trim();
    cr_expect(!is_there(OLD) && is_there(NEW) && is_there(HALF) && !is_there(LEFT));
    expect_others_alone();
}

Test(cache_folder, has_a_limit_where_the_given_one_is_no_number, .init = fill, .fini = end) {
    setenv("CLGRAD_CACHE_LIMIT", "10 bytes", 1);
    cg_cache_trim();
    cr_expect(is_there(OLD) && is_there(NEW) && is_there(HALF) && !is_there(LEFT));
}

Test(cache_folder, is_cleared_of_what_is_ours, .init = fill, .fini = end) {
    size_t files;
    uint64_t bytes;
    cr_assert_eq(cg_cache_clear(&files, &bytes), CG_OK, "%s", cg_error_message());
    cr_expect(files == 4 && bytes == 100, "%zu files, %llu bytes", files, (unsigned long long)bytes);
    expect_others_alone();
    cr_expect_eq(cg_cache_clear(NULL, NULL), CG_OK);
}
