/*
 * What the chapters of the lesson share. Each chapter leaves something here that the next one uses, as a notebook
 * exports its cells: first opening a device and loading images, then the forward pass of chapter 3, then the gradients
 * of chapter 4. Only public headers of clgrad are used, so a program of yours can do all that these do.
 */
#ifndef LESSON_H
#define LESSON_H

#include <clgrad/clgrad.h>

enum { LESSON_PIXELS = 784, LESSON_HIDDEN = 50 };

/* A flag of a program, "rows" for --rows N, with the value it has when it is not given. */
typedef struct lesson_flag {
    const char *name, *value, *help;
} lesson_flag;

typedef struct lesson {
    cg_device *device;
    cg_tape *tape; /* in eval mode: it records no gradients of its own */
    const lesson_flag *flags;
    cg_tensor *tensors[128]; /* what lesson_tensor made: freed at the end */
    int n_tensors;
} lesson;

/* What main does: reads --device and `flags` (the last one is {0}), opens the device, runs, frees. Every failure is
 * printed. Exit status: 0, 1 a result is wrong, 2 usage, 3 the device, 4 data or a file. */
int lesson_main(int argc, char *argv[], lesson_flag *flags, cg_status (*run)(lesson *));

/* What lesson_main does before and after, for a program that needs a second device. A flag "backend" names the file of
 * a device that somebody else wrote, to be loaded first. lesson_close also after a failure. */
cg_status lesson_open(lesson *l, const char *device) CG_MUST_USE;
void lesson_close(lesson *l);

const char *lesson_text(const lesson *l, const char *flag);
/* A whole number of at least 1. */
cg_status lesson_count(const lesson *l, const char *flag, int64_t *count) CG_MUST_USE;

/* A tensor that lives until the program ends: zeros, or normal numbers of a stream of their own times `std`. */
cg_status lesson_tensor(lesson *l, cg_shape shape, cg_tensor **tensor) CG_MUST_USE;
cg_status lesson_normal(lesson *l, cg_shape shape, double std, uint64_t stream, cg_tensor **tensor) CG_MUST_USE;
/* Keeps what an op gave beyond the end of the step. */
cg_status lesson_keep(lesson *l, cg_tensor *from, cg_tensor **tensor) CG_MUST_USE;

/* A copy of a tensor of another device. */
cg_status lesson_move(lesson *l, cg_tensor *from, cg_tensor **tensor) CG_MUST_USE;

/* The first n images of a split of MNIST (50,000 for training, 10,000 for validation, 10,000 for the test), normalised
 * by the figures of the first n for training, or raw, 0 to 1 as they are; and their digits as numbers: x [n, 784], y
 * [n, 1]. The flag "data" says where MNIST is. */
cg_status lesson_images(lesson *l, cg_split split, int64_t n, bool raw, cg_tensor **x, cg_tensor **y) CG_MUST_USE;

/* A line "NAME | SHAPE | numbers" of the file that the flag "recorded" names: what PyTorch computed. */
cg_status lesson_recorded(lesson *l, const char *name, cg_tensor **tensor) CG_MUST_USE;

/* Recorded ops run when a value is read; to time them they must run now. */
cg_status lesson_finish(lesson *l) CG_MUST_USE;
double lesson_now_ms(void);

/* Mean and standard deviation of all elements, in double. */
cg_status lesson_statistics(cg_tensor *tensor, double *mean, double *std) CG_MUST_USE;
/* The largest difference of two tensors, as a share of the second's largest element; NaN stays. */
cg_status lesson_difference(cg_tensor *a, cg_tensor *b, double *share) CG_MUST_USE;
/* CG_ERR_WRONG, with what it is about and both numbers, unless value <= limit. */
cg_status lesson_within(const char *what, double value, double limit) CG_MUST_USE;

/* Chapter 2: a chart of lines, `count` numbers each, over a logarithmic scale, written to a file as SVG; the last line
 * is {0}. Numbers that have no logarithm are left out. Below stand the names of the first place and of the last. An
 * empty path: none. */
typedef struct lesson_line {
    const char *name;
    const double *values;
} lesson_line;
typedef struct lesson_labels {
    const char *title, *first, *last;
} lesson_labels;
cg_status lesson_chart(const char *path, lesson_labels labels, const lesson_line *lines, int count) CG_MUST_USE;

/* Chapter 3: the forward pass. x [n, in], w [in, out], b [out]. */
cg_tensor *lesson_lin(cg_tape *tape, cg_tensor *x, cg_tensor *w, cg_tensor *b);
/* out and target [n, 1] */
cg_tensor *lesson_mse(cg_tape *tape, cg_tensor *out, cg_tensor *target);

/* Two layers: weights and biases, what goes in, and what comes out on the way. */
typedef struct lesson_network {
    cg_tensor *x, *y;             /* [n, in], [n, 1] */
    cg_tensor *w1, *b1, *w2, *b2; /* [in, hidden], [hidden], [hidden, 1], [1] */
    cg_tensor *l1, *l2, *out;     /* after lin, after relu, after the second lin */
} lesson_network;

/* Weights of Kaiming's size and biases of 0 for the network's x. */
cg_status lesson_weights(lesson *l, lesson_network *network, int64_t hidden) CG_MUST_USE;
/* relu(x w1 + b1) w2 + b2, every step kept in the network. */
cg_tensor *lesson_forward(cg_tape *tape, lesson_network *network);

/* Chapter 4: the gradients, each from the one behind it. */
cg_tensor *lesson_mse_grad(cg_tape *tape, cg_tensor *out, cg_tensor *target);
cg_tensor *lesson_relu_grad(cg_tape *tape, cg_tensor *input, cg_tensor *g_out);
typedef struct lesson_lin_gradients {
    cg_tensor *x, *w, *b;
} lesson_lin_gradients;
lesson_lin_gradients lesson_lin_grad(cg_tape *tape, cg_tensor *x, cg_tensor *w, cg_tensor *g_out);

/* The five of the network, in this order. */
enum { LESSON_GRADIENTS = 5 };
extern const char *const lesson_gradient_names[LESSON_GRADIENTS]; /* w1 b1 w2 b2 x */
void lesson_gradients(cg_tape *tape, const lesson_network *network, cg_tensor *gradients[LESSON_GRADIENTS]);

/* Chapter 5: a module is a forward and a bwd. in[0] is its input, then comes what it was made with. */
typedef struct lesson_module {
    cg_tensor *(*forward)(cg_tape *tape, cg_tensor *const in[]);
    void (*bwd)(cg_tape *tape, cg_tensor *const in[], cg_tensor *g_out, cg_tensor *g_in[]);
    cg_tensor *in[3], *out, *g_in[3];
} lesson_module;

lesson_module lesson_lin_module(cg_tensor *w, cg_tensor *b);
lesson_module lesson_relu_module(void);
/* Forward, remembering input and output; backward, which leaves the gradients in g_in and returns the input's. */
cg_tensor *lesson_call(lesson_module *m, cg_tape *tape, cg_tensor *input);
cg_tensor *lesson_walk_back(lesson_module *m, cg_tape *tape, cg_tensor *g_out);

/* Chapter 7: the loss for classes and its gradient. logits and is_class [n, classes]; is_class is 1 at the right one,
 * else 0. */
cg_tensor *lesson_cross_entropy(cg_tape *tape, cg_tensor *logits, cg_tensor *is_class);
cg_tensor *lesson_cross_entropy_grad(cg_tape *tape, cg_tensor *logits, cg_tensor *is_class);

/* What a training is made of: n of MNIST's training images in batches of 50, a two-layer network with ten outputs, an
 * optimizer. lesson_training_close also after a failure; a restart begins again with the first weights. */
typedef struct lesson_training {
    cg_data *data;
    cg_loader *train, *valid;
    cg_module *model;
    cg_optimizer *optimizer;
} lesson_training;
enum { LESSON_BATCH = 50, LESSON_SEED = 42 };
cg_status lesson_training_open(lesson *l, int64_t n, lesson_training *t) CG_MUST_USE;
cg_status lesson_training_restart(lesson_training *t, const char *optimizer) CG_MUST_USE;
void lesson_training_close(lesson *l, lesson_training *t);
/* All of it: opens a training of as many images as the flag "rows" says, does something with it, and closes it. */
cg_status lesson_training_with(lesson *l, cg_status (*use)(lesson *, lesson_training *)) CG_MUST_USE;

/* The share of the validation images that the network reads. */
cg_status lesson_validate(lesson *l, lesson_training *t, double *percent) CG_MUST_USE;
/* The loop: a line an epoch. */
cg_status lesson_train(lesson *l, lesson_training *t, int epochs) CG_MUST_USE;

/* Chapter 8: batches of images that are on the device already, in a random order that each epoch has of its own, or as
 * they come. */
typedef struct lesson_batches {
    cg_tensor *x, *y;   /* all images [n, 784], and what is known of them [n, any] */
    cg_tensor *order;   /* [n]: which image comes when; made by the first start */
    int64_t size, next; /* images in a batch; those of this epoch that are through */
} lesson_batches;
cg_status lesson_batches_start(lesson *l, lesson_batches *b, bool shuffled, uint64_t epoch) CG_MUST_USE;
/* The next batch, until there is none. */
bool lesson_batches_next(cg_tape *tape, lesson_batches *b, cg_tensor **x, cg_tensor **y);

/* Two layers for ten classes of chapter 5's modules, and a step of SGD on a batch. The step is recorded and belongs to
 * the tape until cg_tape_run; its loss is read. */
typedef struct lesson_parts {
    lesson_module layers[3];
    double rate;
} lesson_parts;
cg_status lesson_parts_make(lesson *l, double rate, lesson_parts *p) CG_MUST_USE;
cg_status lesson_parts_step(lesson *l, lesson_parts *p, cg_tensor *x, cg_tensor *y, double *loss) CG_MUST_USE;

/* Chapter 9: chapter 7's loop with callbacks, which are told what happens and may change what comes. */
enum { LESSON_BEFORE_STEP, LESSON_AFTER_STEP, LESSON_AFTER_EPOCH, LESSON_EVENTS };
typedef struct lesson_fit lesson_fit;
typedef struct lesson_callback {
    void *context;
    cg_status (*on[LESSON_EVENTS])(void *context, lesson_fit *fit);
} lesson_callback;
struct lesson_fit {
    lesson_training *training;
    const lesson_callback *callbacks;
    int n_callbacks, epochs;
    int epoch, step;       /* which one is running, from 0; steps over all epochs */
    double loss, accuracy; /* of the last step; of the validation images in percent, after an epoch */
    bool stop;             /* a callback says: no more */
};
cg_status lesson_fit_run(lesson *l, lesson_fit *fit) CG_MUST_USE;

#endif
