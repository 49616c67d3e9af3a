/* Is a file a shared object, and whole? */
#include "shared_object.h"

#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Where the reason goes. */
typedef struct verdict {
    char *reason;
    size_t size;
} verdict;

static bool cut_short(verdict v, uint64_t bytes, uint64_t needed) {
    snprintf(v.reason, v.size, "it is cut short: %llu bytes are there, its headers tell of %llu",
             (unsigned long long)bytes, (unsigned long long)needed);
    return false;
}

static bool refuse(verdict v, const char *reason) {
    snprintf(v.reason, v.size, "%s", reason);
    return false;
}

static bool read_at(FILE *file, uint64_t offset, void *to, size_t bytes) {
    return fseeko(file, (off_t)offset, SEEK_SET) == 0 && fread(to, bytes, 1, file) == 1;
}

/* Every segment that the loader would map lies within the file. */
static bool segments_fit(verdict v, FILE *file, const ElfW(Ehdr) * header, uint64_t bytes) {
    for (unsigned i = 0; i < header->e_phnum; i++) {
        ElfW(Phdr) segment;
        uint64_t at = header->e_phoff + (uint64_t)i * header->e_phentsize;
        if (header->e_phentsize < sizeof segment || !read_at(file, at, &segment, sizeof segment)) {
            return cut_short(v, bytes, at + sizeof segment);
        }
        if (segment.p_filesz > bytes || segment.p_offset > bytes - segment.p_filesz) {
            return cut_short(v, bytes, segment.p_offset + segment.p_filesz);
        }
    }
    return true;
}

static bool object_fits(verdict v, FILE *file, uint64_t bytes) {
    ElfW(Ehdr) header;
    if (!read_at(file, 0, &header, sizeof header)) {
        snprintf(v.reason, v.size, "it is no shared object: it has %llu bytes only", (unsigned long long)bytes);
        return false;
    }
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
        return refuse(v, "it is no shared object");
    }
    if (header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) || header.e_type != ET_DYN) {
        return refuse(v, "it is no shared object of this machine's (another word size, or a program)");
    }
    uint64_t sections = header.e_shoff + (uint64_t)header.e_shnum * header.e_shentsize; /* at the very end */
    return segments_fit(v, file, &header, bytes) && (sections <= bytes || cut_short(v, bytes, sections));
}

bool cg_shared_object_is_whole(const char *path, char *reason, size_t size) {
    verdict v = {reason, size};
    struct stat about;
    if (stat(path, &about) != 0) {
        return refuse(v, strerror(errno));
    }
    if (!S_ISREG(about.st_mode)) {
        return refuse(v, S_ISDIR(about.st_mode) ? "it is no file but a folder" : "it is no file");
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return refuse(v, strerror(errno));
    }
    bool whole = object_fits(v, file, (uint64_t)about.st_size);
    fclose(file);
    return whole;
}
