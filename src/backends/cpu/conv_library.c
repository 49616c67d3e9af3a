/*
 * oneDNN's convolutions. It wants images and weights in blocked layouts of its own: what it reads is reordered before,
 * what it writes behind. A plan has all that a pass over one geometry needs, and is made once.
 */
#include "conv.h"

#ifdef CPU_BLAS_ONEDNN
#include <omp.h>
#include <string.h>

#include "alloc.h"
#include "onednn.h"

#define PLANS 256
#define ALIGNMENT 64

/* What a pass is about: integers only, so that two are compared as bytes. */
typedef struct geometry {
    int64_t pass, images, groups, channels, filters, bias, add;
    int64_t in[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
} geometry;

/* An operand as its tensor is, and in the layout of the library's choice. */
typedef struct side {
    dnnl_memory_t tensor, chosen;
    dnnl_primitive_t reorder; /* NULL: the tensor itself will do, and chosen is NULL, too */
    size_t bytes;             /* of chosen */
} side;

typedef struct plan {
    geometry about;
    dnnl_primitive_t pass;
    side sides[CPU_CONV_OPERANDS];
    dnnl_memory_t bias, scratchpad; /* NULL: absent */
    size_t scratchpad_bytes;
} plan;

struct cpu_conv_plans {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    plan plans[PLANS];
    size_t count, next; /* next: the one to be replaced when all are taken */
};

static geometry geometry_of(const cpu_convolution *v, cpu_conv_operand pass) {
    geometry g = {.pass = pass,
                  .images = v->images,
                  .groups = v->groups,
                  .channels = v->channels,
                  .filters = v->filters,
                  .bias = v->bias != NULL,
                  .add = v->add};
    for (int i = 0; i < 3; i++) {
        g.in[i] = v->in[i];
        g.out[i] = v->out[i];
        g.kernel[i] = v->kernel[i];
        g.stride[i] = v->stride[i];
        g.padding[i] = v->padding[i];
        g.dilation[i] = v->dilation[i];
    }
    return g;
}

/* The library's code for two dimensions is the better one: a depth of one is left out. */
static int first_axis(const geometry *g) {
    return g->in[0] == 1 && g->out[0] == 1 && g->kernel[0] == 1 && g->padding[0] == 0 ? 1 : 0;
}

static bool describe_planes(const geometry *g, int64_t channels, const int64_t size[3], bool rows,
                            dnnl_memory_desc_t *out) {
    dnnl_dims_t dims = {g->images, channels};
    int rank = 2;
    for (int i = first_axis(g); i < 3; i++) {
        dims[rank++] = size[i];
    }
    return onednn_describe(rank, dims, !rows ? dnnl_format_tag_any : rank == 4 ? dnnl_abcd : dnnl_abcde, out);
}

static bool describe_weight(const geometry *g, bool rows, dnnl_memory_desc_t *out) {
    static const dnnl_format_tag_t by_rank[] = {[4] = dnnl_abcd, [5] = dnnl_abcde, [6] = dnnl_abcdef};
    dnnl_dims_t dims = {g->groups};
    int rank = g->groups > 1 ? 1 : 0;
    dims[rank++] = g->filters;
    dims[rank++] = g->channels;
    for (int i = first_axis(g); i < 3; i++) {
        dims[rank++] = g->kernel[i];
    }
    return onednn_describe(rank, dims, rows ? by_rank[rank] : dnnl_format_tag_any, out);
}

/* The convolution with its operands row after row, or else in layouts that the library may choose. */
static bool describe(const geometry *g, bool rows, onednn_conv *c) {
    *c = (onednn_conv){.has_bias = g->bias != 0};
    for (int from = first_axis(g), i = from; i < 3; i++) {
        c->stride[i - from] = g->stride[i];
        c->padding[i - from] = g->padding[i];
        c->dilation[i - from] = g->dilation[i] - 1;
    }
    const dnnl_dims_t filters = {g->groups * g->filters};
    return describe_planes(g, g->groups * g->channels, g->in, rows, &c->x) && describe_weight(g, rows, &c->weight) &&
           describe_planes(g, g->groups * g->filters, g->out, rows, &c->y) &&
           onednn_describe(1, filters, dnnl_a, &c->bias);
}

static void forget(onednn_conv *c) {
    onednn_forget(&c->x);
    onednn_forget(&c->weight);
    onednn_forget(&c->y);
    onednn_forget(&c->bias);
}

/* The pass with memory of ours for what it needs on the way. */
static bool describe_pass(const geometry *g, const onednn_conv *c, dnnl_engine_t engine, dnnl_primitive_desc_t *out) {
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t forward = NULL;
    bool made = dnnl_primitive_attr_create(&attr) == dnnl_success &&
                dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user) == dnnl_success;
    if (g->pass == CPU_CONV_Y) {
        made = made && onednn_forward(c, engine, attr, out);
    } else { /* which wants to know a forward pass, though no layout of it */
        made = made && onednn_forward(c, engine, attr, &forward) &&
               (g->pass == CPU_CONV_X ? onednn_backward_input(c, engine, attr, forward, out)
                                      : onednn_backward_weight(c, engine, attr, forward, out));
    }
    dnnl_primitive_desc_destroy(forward);
    dnnl_primitive_attr_destroy(attr);
    return made;
}

static bool create_memory(dnnl_engine_t engine, onednn_layout layout, dnnl_memory_t *memory) {
    return dnnl_memory_create(memory, layout, engine, DNNL_MEMORY_NONE) == dnnl_success;
}

/* From one layout to another; added to what stands there where `add`. */
static bool create_reorder(dnnl_engine_t engine, onednn_layout from, onednn_layout to, bool add,
                           dnnl_primitive_t *reorder) {
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t sum = NULL;
    dnnl_primitive_desc_t description = NULL;
    bool made = dnnl_primitive_attr_create(&attr) == dnnl_success && dnnl_post_ops_create(&sum) == dnnl_success &&
                (!add || onednn_append_sum(sum)) && dnnl_primitive_attr_set_post_ops(attr, sum) == dnnl_success &&
                dnnl_reorder_primitive_desc_create(&description, from, engine, to, engine, attr) == dnnl_success &&
                dnnl_primitive_create(reorder, description) == dnnl_success;
    dnnl_primitive_desc_destroy(description);
    dnnl_post_ops_destroy(sum);
    dnnl_primitive_attr_destroy(attr);
    return made;
}

/* What is added to is computed beside it first: only a forward pass could add by itself. */
static bool create_side(const geometry *g, dnnl_engine_t engine, cpu_conv_operand operand, onednn_layout rows,
                        onednn_layout chosen, side *s) {
    bool result = operand == (cpu_conv_operand)g->pass;
    if (!create_memory(engine, rows, &s->tensor)) {
        return false;
    }
    if (dnnl_memory_desc_equal(rows, chosen) && !(result && g->add)) {
        return true;
    }
    s->bytes = dnnl_memory_desc_get_size(chosen);
    return create_memory(engine, chosen, &s->chosen) &&
           create_reorder(engine, result ? chosen : rows, result ? rows : chosen, result && g->add, &s->reorder);
}

static bool create_sides(plan *p, dnnl_engine_t engine, const onednn_conv *rows, const_dnnl_primitive_desc_t pass) {
    const bool back_x = p->about.pass == CPU_CONV_X, back_weight = p->about.pass == CPU_CONV_WEIGHT;
    const dnnl_query_t queries[] = {
        [CPU_CONV_X] = back_x ? dnnl_query_diff_src_md : dnnl_query_src_md,
        [CPU_CONV_WEIGHT] = back_weight ? dnnl_query_diff_weights_md : dnnl_query_weights_md,
        [CPU_CONV_Y] = back_x || back_weight ? dnnl_query_diff_dst_md : dnnl_query_dst_md,
    };
    const onednn_layout tensors[] = {[CPU_CONV_X] = onednn_layout_of(&rows->x),
                                     [CPU_CONV_WEIGHT] = onednn_layout_of(&rows->weight),
                                     [CPU_CONV_Y] = onednn_layout_of(&rows->y)};
    for (int i = 0; i < CPU_CONV_OPERANDS; i++) {
        onednn_layout chosen = dnnl_primitive_desc_query_md(pass, queries[i], 0);
        if (!create_side(&p->about, engine, (cpu_conv_operand)i, tensors[i], chosen, &p->sides[i])) {
            return false;
        }
    }
    onednn_layout scratchpad = dnnl_primitive_desc_query_md(pass, dnnl_query_scratchpad_md, 0);
    p->scratchpad_bytes = dnnl_memory_desc_get_size(scratchpad);
    return create_memory(engine, scratchpad, &p->scratchpad) &&
           (!rows->has_bias || create_memory(engine, onednn_layout_of(&rows->bias), &p->bias));
}

static void destroy_plan(plan *p) {
    dnnl_primitive_destroy(p->pass);
    for (int i = 0; i < CPU_CONV_OPERANDS; i++) {
        dnnl_primitive_destroy(p->sides[i].reorder);
        dnnl_memory_destroy(p->sides[i].tensor);
        dnnl_memory_destroy(p->sides[i].chosen);
    }
    dnnl_memory_destroy(p->bias);
    dnnl_memory_destroy(p->scratchpad);
    *p = (plan){0};
}

/* False where the library has no such convolution; nothing is left then. */
static bool create_plan(dnnl_engine_t engine, const geometry *about, plan *p) {
    onednn_conv rows = {0}, any = {0};
    dnnl_primitive_desc_t pass = NULL;
    p->about = *about;
    bool made = describe(about, true, &rows) && describe(about, false, &any) &&
                describe_pass(about, &any, engine, &pass) && create_sides(p, engine, &rows, pass) &&
                dnnl_primitive_create(&p->pass, pass) == dnnl_success;
    dnnl_primitive_desc_destroy(pass);
    forget(&any);
    forget(&rows);
    if (!made) {
        destroy_plan(p);
    }
    return made;
}

/* Starts the library at the first convolution of a device. Where it does not start, it has no engine. */
static cg_status open_plans(cpu_device *device) {
    if (device->conv_plans != NULL) {
        return CG_OK;
    }
    cpu_conv_plans *all = cg_alloc_zero(1, sizeof *all);
    if (all == NULL) {
        return CG_ERR_MEMORY;
    }
    device->conv_plans = all;
    if (dnnl_engine_create(&all->engine, dnnl_cpu, 0) == dnnl_success &&
        dnnl_stream_create(&all->stream, all->engine, dnnl_stream_default_flags) != dnnl_success) {
        dnnl_engine_destroy(all->engine);
        all->engine = NULL;
    }
    return CG_OK;
}

void cpu_conv_library_close(cpu_conv_plans *all) {
    if (all == NULL) {
        return;
    }
    for (size_t i = 0; i < all->count; i++) {
        destroy_plan(&all->plans[i]);
    }
    if (all->engine != NULL) {
        dnnl_stream_destroy(all->stream);
        dnnl_engine_destroy(all->engine);
    }
    cg_free(all);
}

/* The plan of this pass; NULL: there is none. What the library refuses is asked for again each time, and is rare. */
static plan *find_plan(cpu_conv_plans *all, const geometry *about) {
    for (size_t i = 0; i < all->count; i++) {
        if (memcmp(&all->plans[i].about, about, sizeof *about) == 0) {
            return &all->plans[i];
        }
    }
    plan made = {0};
    if (all->engine == NULL || !create_plan(all->engine, about, &made)) {
        return NULL;
    }
    plan *place = &all->plans[all->count < PLANS ? all->count++ : all->next++ % PLANS];
    destroy_plan(place);
    *place = made;
    return place;
}

static size_t aligned(size_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Tells the library where everything is. */
static bool place(plan *p, const cpu_convolution *v, char *memory) {
    const float *tensors[] = {[CPU_CONV_X] = v->x, [CPU_CONV_WEIGHT] = v->weight, [CPU_CONV_Y] = v->dy};
    tensors[p->about.pass] = v->result;
    for (int i = 0; i < CPU_CONV_OPERANDS; i++) {
        side *s = &p->sides[i];
        if (dnnl_memory_set_data_handle(s->tensor, (void *)tensors[i]) != dnnl_success ||
            (s->reorder != NULL && dnnl_memory_set_data_handle(s->chosen, memory) != dnnl_success)) {
            return false;
        }
        memory += aligned(s->bytes);
    }
    return dnnl_memory_set_data_handle(p->scratchpad, memory) == dnnl_success &&
           (p->bias == NULL || dnnl_memory_set_data_handle(p->bias, (void *)v->bias) == dnnl_success);
}

static bool reorder(dnnl_stream_t stream, const side *s, bool result) {
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, result ? s->chosen : s->tensor},
                                         {DNNL_ARG_TO, result ? s->tensor : s->chosen}};
    return s->reorder == NULL || dnnl_primitive_execute(s->reorder, stream, 2, arguments) == dnnl_success;
}

static bool run_pass(const plan *p, dnnl_stream_t stream) {
    const bool back_x = p->about.pass == CPU_CONV_X, back_weight = p->about.pass == CPU_CONV_WEIGHT;
    const int names[] = {[CPU_CONV_X] = back_x ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC,
                         [CPU_CONV_WEIGHT] = back_weight ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS,
                         [CPU_CONV_Y] = back_x || back_weight ? DNNL_ARG_DIFF_DST : DNNL_ARG_DST};
    dnnl_exec_arg_t arguments[CPU_CONV_OPERANDS + 2] = {{DNNL_ARG_SCRATCHPAD, p->scratchpad}, {DNNL_ARG_BIAS, p->bias}};
    int count = p->bias != NULL ? 2 : 1;
    for (int i = 0; i < CPU_CONV_OPERANDS; i++) {
        const side *s = &p->sides[i];
        arguments[count++] = (dnnl_exec_arg_t){names[i], s->reorder != NULL ? s->chosen : s->tensor};
    }
    return dnnl_primitive_execute(p->pass, stream, count, arguments) == dnnl_success;
}

static bool run_plan(const plan *p, dnnl_stream_t stream) {
    for (int i = 0; i < CPU_CONV_OPERANDS; i++) {
        if (i != p->about.pass && !reorder(stream, &p->sides[i], false)) {
            return false;
        }
    }
    return run_pass(p, stream) && reorder(stream, &p->sides[p->about.pass], true);
}

static size_t bytes_of(const plan *p) {
    size_t bytes = p->scratchpad_bytes;
    for (int i = 0; i < CPU_CONV_OPERANDS; i++) {
        bytes += aligned(p->sides[i].bytes);
    }
    return bytes;
}

static cg_status run(cpu_device *device, const cpu_convolution *v, cpu_conv_operand pass, bool *done) {
    CG_TRY(open_plans(device));
    const geometry about = geometry_of(v, pass);
    plan *p = find_plan(device->conv_plans, &about);
    if (p == NULL) {
        return CG_OK;
    }
    char *memory = cpu_scratch(device, bytes_of(p) + ALIGNMENT);
    if (memory == NULL) {
        return CG_ERR_MEMORY;
    }
    dnnl_stream_t stream = device->conv_plans->stream;
    *done = place(p, v, memory) && run_plan(p, stream);
    bool finished =
        !*done || dnnl_stream_wait(stream) == dnnl_success; /* too late for another way: it may have added */
    return finished ? CG_OK : cg_fail(CG_ERR_DEVICE, "oneDNN did not finish a convolution");
}

/* The library takes its threads from the calling thread's OpenMP setting, which is put back. Inside a program's own
 * parallel region it would not get the threads that its plan counts on. */
cg_status cpu_conv_library(cpu_device *device, const cpu_convolution *v, cpu_conv_operand pass, bool *done) {
    int before = omp_get_max_threads();
    *done = false;
    if (omp_in_parallel()) {
        return CG_OK;
    }
    omp_set_num_threads(device->threads);
    cg_status status = run(device, v, pass, done);
    omp_set_num_threads(before);
    return status;
}
#else
cg_status cpu_conv_library(cpu_device *device, const cpu_convolution *v, cpu_conv_operand pass, bool *done) {
    (void)device, (void)v, (void)pass;
    *done = false;
    return CG_OK;
}

void cpu_conv_library_close(cpu_conv_plans *plans) {
    (void)plans;
}
#endif
