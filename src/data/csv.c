/* The reader of records: one state machine over bytes. */
#include "csv.h"

#include <errno.h>
#include <string.h>

#include "alloc.h"

#define LONGEST ((size_t)1 << 26) /* bytes of a record: more is no table */

void cg_csv_close(cg_csv *csv) {
    if (csv->stream != NULL) {
        gzclose_r(csv->stream);
    }
    cg_text_free(&csv->record);
    cg_free(csv->field);
    csv->stream = NULL;
    csv->field = NULL;
}

static cg_status fill(cg_csv *csv) {
    int code, n = gzread(csv->stream, csv->buffer, sizeof csv->buffer);
    const char *reason = gzerror(csv->stream, &code);
    csv->at = 0;
    csv->buffered = n < 0 ? 0 : n;
    if (n < 0 || code == Z_BUF_ERROR) { /* the latter: a packed file that is cut short */
        return cg_fail(CG_ERR_FILE, "cannot read %s: %s", csv->path, code == Z_ERRNO ? strerror(errno) : reason);
    }
    return CG_OK;
}

/* The next byte, -1 at the end. */
static cg_status next_byte(cg_csv *csv, int *byte) {
    if (csv->at == csv->buffered) {
        CG_TRY(fill(csv));
    }
    *byte = csv->at < csv->buffered ? csv->buffer[csv->at++] : -1;
    csv->next += *byte == '\n';
    return CG_OK;
}

/* A file may begin with the mark of UTF-8. */
static cg_status skip_mark(cg_csv *csv) {
    static const unsigned char mark[3] = {0xEF, 0xBB, 0xBF};
    CG_TRY(fill(csv));
    csv->at = csv->buffered >= 3 && memcmp(csv->buffer, mark, 3) == 0 ? 3 : 0;
    return CG_OK;
}

cg_status cg_csv_open(const char *path, cg_csv *csv) {
    *csv = (cg_csv){.path = path, .next = 1};
    errno = 0;
    csv->stream = gzopen(path, "rb"); /* reads files that are not packed as they are */
    if (csv->stream == NULL) {
        return cg_fail(CG_ERR_FILE, "cannot read %s: %s", path, strerror(errno != 0 ? errno : ENOMEM));
    }
    return skip_mark(csv);
}

/* Puts back the byte that was read last. */
static void step_back(cg_csv *csv, int byte) {
    csv->at -= byte >= 0;
    csv->next -= byte == '\n';
}

/* Opens a field behind the one before. */
static cg_status begin_field(cg_csv *csv) {
    if (!CG_GROW(csv->field, csv->count, csv->capacity)) {
        return CG_ERR_MEMORY;
    }
    csv->field[csv->count++] = csv->record.length;
    return CG_OK;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\r' || c == '\t';
}

static cg_status end_field(cg_csv *csv, bool quoted) {
    size_t begin = csv->field[csv->count - 1];
    cg_text *record = &csv->record;
    while (!quoted && record->length > begin && is_blank(record->bytes[record->length - 1])) {
        record->length--;
    }
    cg_text_append_bytes(record, "", 1);
    return record->failed ? CG_ERR_MEMORY : CG_OK;
}

static cg_status put_byte(cg_csv *csv, int byte) {
    char c = (char)byte;
    if (c == '\0' || csv->record.length > LONGEST) {
        return cg_fail(CG_ERR_FORMAT, "%s, line %lld: %s", csv->path, (long long)csv->next,
                       c == '\0' ? "a byte of 0: this is no text" : "the line is too long for a table");
    }
    cg_text_append_bytes(&csv->record, &c, 1);
    return csv->record.failed ? CG_ERR_MEMORY : CG_OK;
}

/* The inside of quotes, up to the closing one; "" is a quote. */
static cg_status read_quoted(cg_csv *csv) {
    int64_t begin = csv->next;
    for (int byte;;) {
        CG_TRY(next_byte(csv, &byte));
        if (byte == '"') {
            CG_TRY(next_byte(csv, &byte));
            if (byte != '"') {
                step_back(csv, byte);
                return CG_OK;
            }
        }
        if (byte < 0) {
            return cg_fail(CG_ERR_FORMAT, "%s, line %lld: a quoted field begins here and does not end", csv->path,
                           (long long)begin);
        }
        CG_TRY(put_byte(csv, byte));
    }
}

/* Whether the byte ends a field; the first that can decides what separates this file's fields. */
static bool separates(cg_csv *csv, int byte) {
    if (csv->separator == '\0' && (byte == ',' || byte == ';' || byte == '\t')) {
        csv->separator = (char)byte;
    }
    return csv->separator != '\0' && byte == csv->separator;
}

/* One field; *last says whether the record ends with it. */
static cg_status read_field(cg_csv *csv, bool *last) {
    bool quoted = false, begun = false;
    CG_TRY(begin_field(csv));
    for (int byte;;) {
        CG_TRY(next_byte(csv, &byte));
        *last = byte < 0 || byte == '\n';
        if (*last || separates(csv, byte)) {
            return end_field(csv, quoted);
        }
        if (byte == '"' && !begun) {
            quoted = begun = true;
            CG_TRY(read_quoted(csv));
        } else if (begun || !is_blank((char)byte)) {
            begun = true;
            bool behind = quoted && is_blank((char)byte); /* spaces after a closing quote */
            CG_TRY(behind ? CG_OK : put_byte(csv, byte));
        }
    }
}

cg_status cg_csv_next(cg_csv *csv, bool *found) {
    *found = false;
    while (!*found) {
        csv->record.length = csv->count = 0;
        csv->line = csv->next;
        bool last = false;
        while (!last) {
            CG_TRY(read_field(csv, &last));
        }
        *found = csv->count > 1 || cg_csv_field(csv, 0)[0] != '\0';
        int byte;
        CG_TRY(next_byte(csv, &byte));
        if (byte < 0) {
            return CG_OK;
        }
        step_back(csv, byte);
    }
    return CG_OK;
}

const char *cg_csv_field(const cg_csv *csv, size_t index) {
    return csv->record.bytes + csv->field[index];
}
