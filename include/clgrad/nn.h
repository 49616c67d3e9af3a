/*
 * Modules: layers and trees of layers. Names, arguments, defaults, parameter names and initial weights are PyTorch's.
 * A module is written the way PyTorch prints it: "Sequential(Flatten(), Linear(784, 10))"; a comma list is a
 * Sequential. The weights of a loss are written torch.tensor([0.5, 1]), or with torch.ones, zeros, full or linspace
 * ("torch." may be left out), and are buffers of it, as in PyTorch.
 */
#ifndef CLGRAD_NN_H
#define CLGRAD_NN_H

#include <clgrad/init.h>
#include <clgrad/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cg_module cg_module;

/* Makes the module that `text` describes on a device. Parameters are 0 until cg_module_init or a checkpoint gives them
 * values; those of lazy modules do not exist before cg_module_resolve. Errors: CG_ERR_SYNTAX (where it stopped and what
 * it expected), CG_ERR_NAME (no such module), CG_ERR_ARGUMENT. */
CG_API cg_status cg_module_parse(cg_device *device, const char *text, cg_module **module) CG_MUST_USE;

/* The same from C. `parent` modules own their children from then on, also when the call fails. */
CG_API cg_status cg_module_linear(cg_device *device, int64_t in_features, int64_t out_features, bool bias,
                                  cg_module **module) CG_MUST_USE;
CG_API cg_status cg_module_relu(cg_device *device, cg_module **module) CG_MUST_USE;
CG_API cg_status cg_module_general_relu(cg_device *device, double leak, double sub, double maxv,
                                        cg_module **module) CG_MUST_USE;
CG_API cg_status cg_module_flatten(cg_device *device, int start_dim, int end_dim, cg_module **module) CG_MUST_USE;
CG_API cg_status cg_module_sequential(cg_device *device, cg_module **children, size_t count,
                                      cg_module **module) CG_MUST_USE;
/* body(x) + shortcut(x); shortcut NULL: x itself. */
CG_API cg_status cg_module_residual(cg_device *device, cg_module *body, cg_module *shortcut,
                                    cg_module **module) CG_MUST_USE;
CG_API cg_status cg_module_mse_loss(cg_device *device, cg_reduction reduction, cg_module **module) CG_MUST_USE;
CG_API cg_status cg_module_cross_entropy_loss(cg_device *device, cg_reduction reduction,
                                              cg_module **module) CG_MUST_USE;

CG_API void cg_module_destroy(cg_module *module);

/* Gives lazy modules their shapes by a forward pass that is recorded and not run. CG_ERR_SHAPE names the layer and both
 * shapes. A module that is not lazy only has its shapes checked. `output` (or NULL) gets the output's shape. */
CG_API cg_status cg_module_resolve(cg_module *module, const cg_shape *input, cg_shape *output) CG_MUST_USE;

/* Draws PyTorch's default initial weights, the same bits on every device: the distribution of each parameter is its
 * layer's, the stream is the parameter's place in the tree. */
CG_API cg_status cg_module_init(cg_module *module, uint64_t seed) CG_MUST_USE;

/* For prediction alone: makes every BatchNorm behind a Linear or a convolution in a Sequential, of batches shaped as
 * `input`, part of that layer's weight and bias, and leaves an Identity in its place, as PyTorch's fuse_conv_bn_eval
 * does. Outputs in eval mode are the same up to rounding; those in train mode are not. A module that is lazy gets its
 * shapes. When it fails, some may be folded and others not: the module is still whole. */
CG_API cg_status cg_module_fold_batch_norm(cg_module *module, const cg_shape *input) CG_MUST_USE;

/* Applies the module: one input, one output. The output belongs to the tape. */
CG_API cg_tensor *cg_module_forward(cg_module *module, cg_tape *tape, cg_tensor *input);

/* The same for modules of several inputs or outputs (a loss has two inputs), in the order of cg_module_inputs. Optional
 * ones, such as masks and initial states, may be NULL or left out at the end. `n_outputs` says how many fit and then
 * how many there are; MultiheadAttention alone takes room for fewer, 1: then it makes no averaged weights. */
CG_API cg_status cg_module_call(cg_module *module, cg_tape *tape, cg_tensor *const *inputs, size_t n_inputs,
                                cg_tensor **outputs, size_t *n_outputs);

/* "query, key, value, key_padding_mask, attn_mask": what the module's inputs are, in their order. */
CG_API const char *cg_module_inputs(const cg_module *module);

/* "Linear": the class's name. */
CG_API const char *cg_module_class_name(const cg_module *module);

/* The text that cg_module_parse reads, lazy modules resolved. Returns the length it has; cut to size. */
CG_API size_t cg_module_print(const cg_module *module, char *text, size_t size);

/* Keeps the parameters as CG_F16 or CG_BF16 from now on, in half of the memory, or as CG_F32 again: for a model that
 * only predicts. Reading and computing are in f32 as before. CG_ERR_DTYPE for another dtype. */
CG_API cg_status cg_module_to(cg_module *module, cg_dtype precision) CG_MUST_USE;

/* Parameters and buffers of the whole tree in PyTorch's order, with PyTorch's names ("0.weight"). The name and the
 * tensor belong to the module. */
CG_API size_t cg_module_parameter_count(const cg_module *module);
CG_API cg_tensor *cg_module_parameter(const cg_module *module, size_t index, const char **name);
CG_API size_t cg_module_buffer_count(const cg_module *module);
CG_API cg_tensor *cg_module_buffer(const cg_module *module, size_t index, const char **name);

/* Children of a container, with PyTorch's names ("0"). */
CG_API size_t cg_module_child_count(const cg_module *module);
CG_API cg_module *cg_module_child(const cg_module *module, size_t index, const char **name);

/* The tensor of that name, parameter or buffer; NULL if there is none. */
CG_API cg_tensor *cg_module_find(const cg_module *module, const char *name);

/* Called after each module's forward, children before parents: for tables of shapes and costs. A layer and the ReLU
 * behind it, which else may be one op, are two then, of the same values. NULL: none. */
typedef void (*cg_module_observer)(void *context, const cg_module *module, const char *path, const cg_tensor *output,
                                   double flops);
CG_API void cg_module_observe(cg_module *module, cg_module_observer observer, void *context);

#ifdef __cplusplus
}
#endif
#endif
