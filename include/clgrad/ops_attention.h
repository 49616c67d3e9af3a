/* Attention. All rules of ops.h hold. */
#ifndef CLGRAD_OPS_ATTENTION_H
#define CLGRAD_OPS_ATTENTION_H

#include <clgrad/op_kinds.h>
#include <clgrad/tape.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cg_attention_options {
    /* Broadcast to [.., queries, keys]. Of the query's data type: added to the scores, -INFINITY forbids a key. Of
     * integers: 0 forbids it. A query without any key gets NaN. NULL: none. */
    cg_tensor *mask;
    bool causal;    /* query i sees the keys 0..i */
    double scale;   /* of the scores; 0: 1 / sqrt(features) */
    double dropout; /* probability with which a weight becomes 0 */
} cg_attention_options;

/* softmax(query key^T scale + mask) value: query [.., queries, features], key [.., keys, features], value [.., keys,
 * columns] with equal leading axes, result [.., queries, columns]. `weights`, if not NULL, gets the softmax. options
 * NULL: all 0. torch.nn.functional.scaled_dot_product_attention. */
CG_API cg_tensor *cg_scaled_dot_product_attention(cg_tape *tape, cg_tensor *query, cg_tensor *key, cg_tensor *value,
                                                  const cg_attention_options *options, cg_tensor **weights);

#ifdef __cplusplus
}
#endif
#endif
