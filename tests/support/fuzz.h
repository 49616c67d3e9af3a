/*
 * The generator of calls: a row of fuzz.def says which op is called, of which tensors and numbers; a seed says what
 * they are. Half of the calls are spoiled: some arguments become what the op must refuse, or only may take. Every call
 * must end well or in an error that names the op and what it was given; what is recorded must run, backward too.
 *
 * An argument is drawn by (seed, its slot) alone, so a call is the same whatever order a compiler evaluates it in.
 */
#ifndef CLGRAD_TESTS_FUZZ_H
#define CLGRAD_TESTS_FUZZ_H

#include <clgrad/losses.h>
#include <clgrad/ops.h>
#include <clgrad/spatial.h>

#define FUZZ_TENSORS 6
#define FUZZ_LISTS 4
#define FUZZ_TEXT 2000

typedef struct fuzz fuzz;

/* Tensors are written as `x, y`: each a list of words.
 *   a       an axis of a size that all tensors share by that letter; 2a: of twice that size
 *   3       an axis of 3
 *   ..      up to three axes that all tensors share
 *   ~       the same broadcast: some of them 1, some in front left out
 *   ?       first: may be NULL
 *   =       first: a tensor of the caller's without a gradient, such as one that is written to
 *   #a, #5  first: i32 or i64 indices below that
 */
typedef struct fuzz_row {
    const char *name;    /* without cg_; the word that its errors have */
    const char *tensors; /* as above */
    cg_tensor *(*call)(fuzz *f);
} fuzz_row;

/* All rows, and how many. */
extern const fuzz_row fuzz_rows[];
extern const size_t fuzz_row_count;

struct fuzz {
    cg_device *device, *stranger; /* the second is another one */
    cg_tape *tape, *other;        /* `other`: another tape on the same device */
    double budget;                /* elements and multiply-adds of one call, about; what costs more is not run */
    void (*seen)(const fuzz *f);  /* called after each call that was taken, before it runs; NULL: nobody */

    const fuzz_row *row;
    uint64_t seed;
    bool spoils;   /* this call */
    bool may_miss; /* an index may be out of range: CG_ERR_INDEX at the read */
    int64_t axis_size[26];
    cg_shape shared;
    cg_tensor *tensors[FUZZ_TENSORS]; /* arguments */
    cg_tensor *owned[2 * FUZZ_TENSORS + 1];
    size_t n_tensors, n_owned;
    cg_shape shape;
    int64_t list[FUZZ_LISTS][CG_MAX_RANK];
    int order[CG_MAX_RANK];
    char text[FUZZ_TEXT]; /* the call, for people */
    char marks[96][64];   /* texts of arguments: an error has one of them */
    size_t n_marks;
};

typedef enum fuzz_end {
    FUZZ_REFUSED, /* with a good message */
    FUZZ_TAKEN,   /* but not run: it would cost too much */
    FUZZ_RAN,
    FUZZ_WRONG, /* fuzz_failure says what */
} fuzz_end;

/* Whether the calls of a seed are spoiled. */
bool fuzz_spoils_call(uint64_t seed);

/* Makes, checks and runs the call of a row and a seed. Leaves the tape empty and usable. */
fuzz_end fuzz_call(fuzz *f, const fuzz_row *row, uint64_t seed);

/* One line of what is wrong: row, seed, call, message. */
const char *fuzz_failure(void);

/* Opens devices and tapes; false, with cg_error_message, when that fails. fuzz_close takes what there is. */
bool fuzz_open(fuzz *f, const char *device, const char *stranger, double budget);
void fuzz_close(fuzz *f);

/* From now on a crash, a call that does not end or a sanitizer's report names the call it came in. */
void fuzz_watch(const fuzz *f, unsigned seconds);

/* For rows: an argument, by its slot. */
cg_tensor *fuzz_tensor(fuzz *f, size_t slot);
int64_t fuzz_int(fuzz *f, int slot, int64_t low, int64_t high);
double fuzz_real(fuzz *f, int slot, double low, double high);
int fuzz_axis(fuzz *f, int slot, size_t tensor, int more); /* of that tensor, from either end; `more` beyond it */
uint32_t fuzz_axes(fuzz *f, int slot);                     /* bits, of tensor 0 */
const cg_shape *fuzz_shape(fuzz *f, int slot, const char *words);
const int64_t *fuzz_list(fuzz *f, int slot, size_t count, int64_t low, int64_t high); /* slots 0 to 3 */
const void *fuzz_pointer(fuzz *f, int slot, const void *pointer);                     /* or NULL */
const int *fuzz_order(fuzz *f, int slot);
bool fuzz_spoils(const fuzz *f, int slot); /* for arguments that are pointers: NULL when true */

/* A call that returns a status and writes to a tensor; several tensors in one list. */
cg_tensor *fuzz_written(fuzz *f, cg_status status, cg_tensor *written);
cg_tensor *fuzz_split(fuzz *f);

#endif
