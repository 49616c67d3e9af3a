/* The parts of oneDNN's interface that differ between its versions 2 and 3. Functions return false where it refuses. */
#ifndef CLGRAD_CPU_ONEDNN_H
#define CLGRAD_CPU_ONEDNN_H

#include <stdbool.h>

#include <oneapi/dnnl/dnnl.h>

typedef struct onednn_conv {
    dnnl_memory_desc_t x, weight, y, bias;
    bool has_bias;
    dnnl_dims_t stride, dilation, padding; /* dilation: 0 is none */
} onednn_conv;

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t onednn_layout;

static inline bool onednn_describe(int rank, const dnnl_dims_t dims, dnnl_format_tag_t tag, dnnl_memory_desc_t *out) {
    return dnnl_memory_desc_create_with_tag(out, rank, dims, dnnl_f32, tag) == dnnl_success;
}

static inline void onednn_forget(dnnl_memory_desc_t *description) {
    dnnl_memory_desc_destroy(*description);
}

static inline onednn_layout onednn_layout_of(const dnnl_memory_desc_t *description) {
    return *description;
}

static inline bool onednn_append_sum(dnnl_post_ops_t post_ops) {
    return dnnl_post_ops_append_sum(post_ops, 1.0f, 0, dnnl_data_type_undef) == dnnl_success;
}

static inline bool onednn_forward(const onednn_conv *c, dnnl_engine_t engine, const_dnnl_primitive_attr_t attr,
                                  dnnl_primitive_desc_t *out) {
    return dnnl_convolution_forward_primitive_desc_create(out, engine, dnnl_forward_training, dnnl_convolution_direct,
                                                          c->x, c->weight, c->has_bias ? c->bias : NULL, c->y,
                                                          c->stride, c->dilation, c->padding, c->padding,
                                                          attr) == dnnl_success;
}

static inline bool onednn_backward_input(const onednn_conv *c, dnnl_engine_t engine, const_dnnl_primitive_attr_t attr,
                                         const_dnnl_primitive_desc_t forward, dnnl_primitive_desc_t *out) {
    return dnnl_convolution_backward_data_primitive_desc_create(out, engine, dnnl_convolution_direct, c->x, c->weight,
                                                                c->y, c->stride, c->dilation, c->padding, c->padding,
                                                                forward, attr) == dnnl_success;
}

static inline bool onednn_backward_weight(const onednn_conv *c, dnnl_engine_t engine, const_dnnl_primitive_attr_t attr,
                                          const_dnnl_primitive_desc_t forward, dnnl_primitive_desc_t *out) {
    return dnnl_convolution_backward_weights_primitive_desc_create(
               out, engine, dnnl_convolution_direct, c->x, c->weight, NULL, c->y, c->stride, c->dilation, c->padding,
               c->padding, forward, attr) == dnnl_success;
}
#else
typedef const dnnl_memory_desc_t *onednn_layout;

static inline bool onednn_describe(int rank, const dnnl_dims_t dims, dnnl_format_tag_t tag, dnnl_memory_desc_t *out) {
    return dnnl_memory_desc_init_by_tag(out, rank, dims, dnnl_f32, tag) == dnnl_success;
}

static inline void onednn_forget(dnnl_memory_desc_t *description) {
    (void)description;
}

static inline onednn_layout onednn_layout_of(const dnnl_memory_desc_t *description) {
    return description;
}

static inline bool onednn_append_sum(dnnl_post_ops_t post_ops) {
    return dnnl_post_ops_append_sum(post_ops, 1.0f) == dnnl_success;
}

static inline bool onednn_forward(const onednn_conv *c, dnnl_engine_t engine, const_dnnl_primitive_attr_t attr,
                                  dnnl_primitive_desc_t *out) {
    dnnl_convolution_desc_t d;
    return dnnl_dilated_convolution_forward_desc_init(&d, dnnl_forward_training, dnnl_convolution_direct, &c->x,
                                                      &c->weight, c->has_bias ? &c->bias : NULL, &c->y, c->stride,
                                                      c->dilation, c->padding, c->padding) == dnnl_success &&
           dnnl_primitive_desc_create(out, &d, attr, engine, NULL) == dnnl_success;
}

static inline bool onednn_backward_input(const onednn_conv *c, dnnl_engine_t engine, const_dnnl_primitive_attr_t attr,
                                         const_dnnl_primitive_desc_t forward, dnnl_primitive_desc_t *out) {
    dnnl_convolution_desc_t d;
    return dnnl_dilated_convolution_backward_data_desc_init(&d, dnnl_convolution_direct, &c->x, &c->weight, &c->y,
                                                            c->stride, c->dilation, c->padding,
                                                            c->padding) == dnnl_success &&
           dnnl_primitive_desc_create(out, &d, attr, engine, forward) == dnnl_success;
}

static inline bool onednn_backward_weight(const onednn_conv *c, dnnl_engine_t engine, const_dnnl_primitive_attr_t attr,
                                          const_dnnl_primitive_desc_t forward, dnnl_primitive_desc_t *out) {
    dnnl_convolution_desc_t d;
    return dnnl_dilated_convolution_backward_weights_desc_init(&d, dnnl_convolution_direct, &c->x, &c->weight, NULL,
                                                               &c->y, c->stride, c->dilation, c->padding,
                                                               c->padding) == dnnl_success &&
           dnnl_primitive_desc_create(out, &d, attr, engine, forward) == dnnl_success;
}
#endif

#endif
