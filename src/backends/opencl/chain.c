/*
 * Chains of elementwise ops. For each sequence of rows and operands a kernel is written that loads an element of every
 * operand once, does all ops in registers and stores what others need: memory is walked through once. Constants and
 * places are arguments, so that a chain of other sizes or factors is the same program.
 */
#include "ocl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ABSENT 255
#define MOST_VALUES CG_MAX_CHAIN_OPERANDS
#define TEXT_SIZE 8192 /* 16 ops, 16 loads and 16 stores of at most 150 letters */

/* An op of a chain; values are numbered in the order in which they are met. */
typedef struct step {
    uint32_t number; /* of the kind */
    uint8_t output, inputs[3];
} step;

/* All that a kernel depends on: compared as bytes, of which none is padding. */
typedef struct outline {
    step steps[CG_MAX_CHAIN];
    uint32_t n_steps, n_values;
    uint32_t adds;              /* bit i: step i adds to its output */
    uint8_t inner[MOST_VALUES]; /* 1: a value without memory */
} outline;

struct ocl_chain {
    outline of;
    char name[32]; /* of the program */
    char *text;
    struct ocl_chain *next;
};

/* As in cl/chain.cl. */
typedef struct chain_place {
    cl_ulong n, run;
    cl_ulong at[MOST_VALUES];
    cl_float p[3 * CG_MAX_CHAIN];
} chain_place;

/* A chain with the operands that are its values. */
typedef struct reading {
    outline of;
    const cg_operand *values[MOST_VALUES];
} reading;

static uint8_t value_of(reading *r, const cg_chain *chain, const cg_operand *operand) {
    if (operand->buffer == NULL) {
        return ABSENT;
    }
    for (uint8_t i = 0; i < r->of.n_values; i++) {
        if (r->values[i]->buffer == operand->buffer && r->values[i]->offset == operand->offset) {
            return i;
        }
    }
    uintptr_t number = (uintptr_t)operand->buffer - (uintptr_t)chain->inner;
    r->of.inner[r->of.n_values] = number < CG_MAX_INNER;
    r->values[r->of.n_values] = operand;
    return (uint8_t)r->of.n_values++;
}

static void read_chain(reading *r, const cg_chain *chain) {
    memset(r, 0, sizeof *r);
    for (size_t i = 0; i < chain->n_ops; i++) {
        const cg_op *op = &chain->ops[i];
        step *to = &r->of.steps[r->of.n_steps++];
        to->number = op->kind->number;
        r->of.adds |= (op->accumulate & 1) << i;
        for (uint32_t k = 0; k < 3; k++) {
            to->inputs[k] = k < op->n_inputs ? value_of(r, chain, &op->inputs[k]) : ABSENT;
        }
        to->output = value_of(r, chain, &op->outputs[0]);
    }
}

typedef struct writer {
    char text[TEXT_SIZE];
    size_t length;
    bool known[MOST_VALUES], written[MOST_VALUES]; /* values that are in registers, and that are to be stored */
} writer;

__attribute__((format(printf, 2, 3))) static void put(writer *w, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(w->text + w->length, TEXT_SIZE - w->length, format, arguments);
    va_end(arguments);
    w->length += (size_t)length;
}

static void put_head(writer *w, const outline *of) {
    put(w, "__kernel void chain(chain_place c");
    for (uint32_t i = 0; i < of->n_values; i++) {
        if (!of->inner[i]) {
            put(w, ", __global float *m%u", i);
        }
    }
    put(w, ") {\n    ulong first = get_global_id(0) * c.run, end = min(first + c.run, c.n);\n"
           "    for (ulong i = first; i < end; i += CG_WIDTH) {\n        ulong count = end - i;\n        vfloat none = "
           "0.0f");
    for (uint32_t i = 0; i < of->n_values; i++) {
        put(w, ", v%u", i);
    }
    put(w, ";\n");
}

/* What is not in a register yet comes from memory. */
static void put_load(writer *w, uint8_t value) {
    if (value != ABSENT && !w->known[value]) {
        put(w, "        v%u = load_part(m%u + c.at[%u] + i, count, 0.0f);\n", value, value, value);
        w->known[value] = true;
    }
}

static void put_argument(writer *w, uint8_t value) {
    value == ABSENT ? put(w, "none, ") : put(w, "v%u, ", value);
}

/* The function of cl/formulas.cl that a kind is, and how many inputs it has there. */
static uint32_t put_function(writer *w, uint32_t number) {
    static const char *const of_binary[] = {"value", "gradient_a", "gradient_b"};
    bool unary;
    const char *name = ocl_elementwise_row(number, &unary);
    uint32_t which = (number - CG_OP_ADD) % 4;
    put(w, "row_%s_%s(", name, unary ? (which == 0 ? "value" : "gradient") : of_binary[which]);
    return which > 0 ? 3 : unary ? 1 : 2;
}

static void put_step(writer *w, const step *of, size_t index, bool add) {
    for (uint32_t k = 0; k < 3; k++) {
        put_load(w, of->inputs[k]);
    }
    if (add) {
        put_load(w, of->output);
    }
    put(w, "        v%u = ", of->output);
    uint32_t inputs = put_function(w, of->number);
    for (uint32_t k = 0; k < inputs; k++) {
        put_argument(w, of->inputs[k]);
    }
    put(w, "c.p[%zu], c.p[%zu], c.p[%zu])", 3 * index, 3 * index + 1, 3 * index + 2);
    add ? put(w, " + v%u;\n", of->output) : put(w, ";\n");
    w->known[of->output] = w->written[of->output] = true;
}

static void write_kernel(writer *w, const outline *of) {
    put_head(w, of);
    for (uint32_t i = 0; i < of->n_steps; i++) {
        put_step(w, &of->steps[i], i, of->adds >> i & 1);
    }
    for (uint32_t i = 0; i < of->n_values; i++) {
        if (w->written[i] && !of->inner[i]) {
            put(w, "        store_part(v%u, m%u + c.at[%u] + i, count);\n", i, i, i);
        }
    }
    put(w, "    }\n}\n");
}

/* cl/chain.cl with the kernel behind it. */
static cg_status make_text(const ocl_device *device, const outline *of, char **text) {
    writer w = {.length = 0};
    char *before;
    size_t length;
    write_kernel(&w, of);
    CG_TRY(ocl_source(device->host, "chain.cl", &before, &length));
    *text = device->host->alloc(length + w.length + 1);
    if (*text != NULL) {
        memcpy(*text, before, length);
        memcpy(*text + length, w.text, w.length + 1);
    }
    device->host->free(before);
    return *text != NULL ? CG_OK : CG_ERR_MEMORY;
}

static cg_status find(ocl_device *device, const outline *of, const struct ocl_chain **found) {
    for (const struct ocl_chain *chain = device->chains; chain != NULL; chain = chain->next) {
        if (memcmp(&chain->of, of, sizeof *of) == 0) {
            *found = chain;
            return CG_OK;
        }
    }
    struct ocl_chain *made = device->host->alloc(sizeof *made);
    if (made == NULL) {
        return CG_ERR_MEMORY;
    }
    *made = (struct ocl_chain){.of = *of, .next = device->chains};
    cg_status status = make_text(device, of, &made->text);
    if (status != CG_OK) {
        device->host->free(made);
        return status;
    }
    uint64_t hash = ocl_hash_text(OCL_HASH_BEGIN, made->text);
    snprintf(made->name, sizeof made->name, "chain-%016llx", (unsigned long long)hash);
    *found = device->chains = made;
    return CG_OK;
}

cg_status ocl_run_chain(void *handle, const cg_chain *chain) {
    ocl_device *device = handle;
    const struct ocl_chain *found;
    reading r;
    read_chain(&r, chain);
    CG_TRY(find(device, &r.of, &found));
    ocl_share part = ocl_share_rows(device, 1, ocl_numel(&chain->ops[0].outputs[0]));
    chain_place place = {.n = part.length, .run = part.run};
    ocl_call call = {.file = found->name,
                     .kernel = "chain",
                     .source = found->text,
                     .items = {ocl_share_items(&part)},
                     .group = ocl_group(device),
                     .args = {ocl_struct(&place, sizeof place)}};
    uint32_t n_args = 1;
    for (uint32_t i = 0; i < r.of.n_values; i++) {
        place.at[i] = r.of.inner[i] ? 0 : r.values[i]->offset;
        if (!r.of.inner[i]) {
            call.args[n_args++] = ocl_memory(r.values[i]->buffer);
        }
    }
    for (size_t i = 0; i < chain->n_ops; i++) {
        for (int k = 0; k < 3; k++) {
            place.p[3 * i + (size_t)k] = (cl_float)((const cg_elementwise_attrs *)chain->ops[i].attrs)->p[k];
        }
    }
    return ocl_launch(device, &call);
}

void ocl_chains_release(ocl_device *device) {
    while (device->chains != NULL) {
        struct ocl_chain *chain = device->chains;
        device->chains = chain->next;
        device->host->free(chain->text);
        device->host->free(chain);
    }
}
