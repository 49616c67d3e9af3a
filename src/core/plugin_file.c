/* Is a file a shared object, and whole? */
#include "plugin_file.h"

#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static cg_status cut_short(uint64_t bytes, uint64_t needed) {
    return cg_fail(CG_ERR_DEVICE, "it is cut short: %llu bytes are there, its headers tell of %llu",
                   (unsigned long long)bytes, (unsigned long long)needed);
}

static bool read_at(FILE *file, uint64_t offset, void *to, size_t bytes) {
    return fseeko(file, (off_t)offset, SEEK_SET) == 0 && fread(to, bytes, 1, file) == 1;
}

/* Every segment that the loader would map lies within the file. */
static cg_status check_segments(FILE *file, const ElfW(Ehdr) * header, uint64_t bytes) {
    for (unsigned i = 0; i < header->e_phnum; i++) {
        ElfW(Phdr) segment;
        uint64_t at = header->e_phoff + (uint64_t)i * header->e_phentsize;
        if (header->e_phentsize < sizeof segment || !read_at(file, at, &segment, sizeof segment)) {
            return cut_short(bytes, at + sizeof segment);
        }
        if (segment.p_filesz > bytes || segment.p_offset > bytes - segment.p_filesz) {
            return cut_short(bytes, segment.p_offset + segment.p_filesz);
        }
    }
    return CG_OK;
}

static cg_status check_object(FILE *file, uint64_t bytes) {
    ElfW(Ehdr) header;
    if (!read_at(file, 0, &header, sizeof header)) {
        return cg_fail(CG_ERR_DEVICE, "it is no shared object: it has %llu bytes only", (unsigned long long)bytes);
    }
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
        return cg_fail(CG_ERR_DEVICE, "it is no shared object");
    }
    if (header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) || header.e_type != ET_DYN) {
        return cg_fail(CG_ERR_DEVICE, "it is no shared object of this machine's (another word size, or a program)");
    }
    uint64_t sections = header.e_shoff + (uint64_t)header.e_shnum * header.e_shentsize; /* at the very end */
    CG_TRY(check_segments(file, &header, bytes));
    return sections > bytes ? cut_short(bytes, sections) : CG_OK;
}

cg_status cg_plugin_file_check(const char *path) {
    struct stat about;
    if (stat(path, &about) != 0) {
        return cg_fail(CG_ERR_DEVICE, "%s", strerror(errno));
    }
    if (!S_ISREG(about.st_mode)) {
        return cg_fail(CG_ERR_DEVICE, "it is no file%s", S_ISDIR(about.st_mode) ? " but a folder" : "");
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return cg_fail(CG_ERR_DEVICE, "%s", strerror(errno));
    }
    cg_status status = check_object(file, (uint64_t)about.st_size);
    fclose(file);
    return status;
}
