/* Reading comma-separated values record by record: RFC 4180's quotes, any line ends, packed by gzip or not. Private. */
#ifndef CLGRAD_CSV_H
#define CLGRAD_CSV_H

#include <zlib.h>

#include "text.h"
#include <stdint.h>

typedef struct cg_csv {
    const char *path;
    gzFile stream;
    unsigned char buffer[1 << 14];
    int buffered, at;
    char separator;     /* 0 until the first line has shown it */
    int64_t line, next; /* of the record, of what comes; from 1 */
    cg_text record;     /* the fields, each ended by 0 */
    size_t *field;      /* where each begins in it */
    size_t count, capacity;
} cg_csv;

/* cg_csv_close also after a failure. */
cg_status cg_csv_open(const char *path, cg_csv *csv) CG_MUST_USE;
void cg_csv_close(cg_csv *csv);

/* The next record that is not empty; *found is false at the end. CG_ERR_FORMAT names the line. */
cg_status cg_csv_next(cg_csv *csv, bool *found) CG_MUST_USE;

/* A field of the record, without the spaces around it. */
const char *cg_csv_field(const cg_csv *csv, size_t index);

#endif
