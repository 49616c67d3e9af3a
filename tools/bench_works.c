/*
 * The works: trainings, the two-layer network that everything here began with, and single ops in the shapes that these
 * networks have. Those that share a module's text are one text.
 */
#include "bench_works.h"

#include <string.h>

#define DIMS(...)                                                                                                      \
    { {__VA_ARGS__}, (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)) }

#define MLP "Linear(784, 512), ReLU(), Linear(512, 512), ReLU(), Linear(512, 10)"
#define LENET                                                                                                          \
    "Conv2d(1, 6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(6, 16, 5), ReLU(), MaxPool2d(2), Flatten(), "            \
    "Linear(400, 120), ReLU(), Linear(120, 84), ReLU(), Linear(84, 10)"
#define KANN_CNN                                                                                                       \
    "Conv2d(1, 32, 3, padding=1), ReLU(), Conv2d(32, 32, 3), ReLU(), MaxPool2d(2), Dropout(0.2), Flatten(), "          \
    "Linear(5408, 128), ReLU(), Dropout(0.2), Linear(128, 10)"
#define CONV_NORM(in, out) "Conv2d(" #in ", " #out ", 3, padding=1, bias=False), BatchNorm2d(" #out ")"
#define RESIDUAL(channels)                                                                                             \
    "Residual(Sequential(" CONV_NORM(channels, channels) ", ReLU(), " CONV_NORM(channels, channels) ")), ReLU()"
#define RESNET                                                                                                         \
    CONV_NORM(1, 32)                                                                                                   \
    ", ReLU(), " RESIDUAL(32) ", MaxPool2d(2), " CONV_NORM(32, 64) ", ReLU(), " RESIDUAL(                              \
        64) ", MaxPool2d(2), " CONV_NORM(64, 128) ", ReLU(), " RESIDUAL(128) ", AdaptiveAvgPool2d(1), Flatten(), "     \
                                                                             "Linear(128, 10)"

#define CROSS_ENTROPY "CrossEntropyLoss()"
#define MOMENTUM "SGD(lr=0.01, momentum=0.9)"

static cg_tensor *matmul(cg_tape *tape, cg_tensor *const *inputs) {
    return cg_matmul(tape, inputs[0], inputs[1], NULL);
}

static cg_tensor *add(cg_tape *tape, cg_tensor *const *inputs) {
    return cg_add(tape, inputs[0], inputs[1]);
}

/* Elementwise ops that follow each other, and a use of what they make. */
static cg_tensor *chain(cg_tape *tape, cg_tensor *const *inputs) {
    cg_tensor *y = cg_relu(tape, cg_add(tape, cg_mul(tape, inputs[0], inputs[1]), inputs[0]));
    return cg_sum(tape, y, CG_ALL_AXES, false);
}

static cg_tensor *exponential(cg_tape *tape, cg_tensor *const *inputs) {
    return cg_exp(tape, inputs[0]);
}

static cg_tensor *sum(cg_tape *tape, cg_tensor *const *inputs) {
    return cg_sum(tape, inputs[0], CG_ALL_AXES, false);
}

static cg_tensor *attention(cg_tape *tape, cg_tensor *const *inputs) {
    return cg_scaled_dot_product_attention(tape, inputs[0], inputs[1], inputs[2], NULL, NULL);
}

const bench_work bench_works[] = {
    {.name = "headline",
     .module = "Linear(784, 50), ReLU(), Linear(50, 1)",
     .loss = "MSELoss()",
     .data = true,
     .inputs = {DIMS(50000, 784), DIMS(50000, 1)}},

    {.name = "mlp",
     .module = MLP,
     .loss = CROSS_ENTROPY,
     .optimizer = MOMENTUM,
     .inputs = {DIMS(128, 784), DIMS(128)},
     .classes = 10,
     .images = 60000,
     .steps = 16},
    {.name = "mlp-adam",
     .module = MLP,
     .loss = CROSS_ENTROPY,
     .optimizer = "Adam(lr=0.001)",
     .inputs = {DIMS(128, 784), DIMS(128)},
     .classes = 10,
     .images = 60000,
     .steps = 16},
    {.name = "mlp-small",
     .module = "Linear(784, 64), ReLU(), Linear(64, 10)",
     .loss = CROSS_ENTROPY,
     .optimizer = "SGD(lr=0.01)",
     .inputs = {DIMS(64, 784), DIMS(64)},
     .classes = 10,
     .images = 60000,
     .steps = 64},
    {.name = "lenet",
     .module = LENET,
     .loss = CROSS_ENTROPY,
     .optimizer = MOMENTUM,
     .inputs = {DIMS(128, 1, 28, 28), DIMS(128)},
     .classes = 10,
     .images = 12800,
     .steps = 8},
    {.name = "kann-cnn",
     .module = KANN_CNN,
     .loss = CROSS_ENTROPY,
     .optimizer = "SGD(lr=0.01)",
     .inputs = {DIMS(64, 1, 28, 28), DIMS(64)},
     .classes = 10,
     .images = 12800,
     .steps = 2},
    {.name = "resnet",
     .module = RESNET,
     .loss = CROSS_ENTROPY,
     .optimizer = MOMENTUM,
     .inputs = {DIMS(128, 1, 28, 28), DIMS(128)},
     .classes = 10,
     .images = 12800,
     .steps = 1},

    {.name = "conv3x3", .module = "Conv2d(64, 64, 3, padding=1)", .inputs = {DIMS(64, 64, 28, 28)}},
    {.name = "conv3x3-1-32", .module = "Conv2d(1, 32, 3, padding=1)", .inputs = {DIMS(128, 1, 28, 28)}},
    {.name = "conv3x3-32-32", .module = "Conv2d(32, 32, 3, padding=1)", .inputs = {DIMS(128, 32, 28, 28)}},
    {.name = "conv3x3-128-128", .module = "Conv2d(128, 128, 3, padding=1)", .inputs = {DIMS(128, 128, 7, 7)}},
    {.name = "conv3x3-stride", .module = "Conv2d(16, 32, 3, stride=2, padding=1)", .inputs = {DIMS(128, 16, 28, 28)}},
    {.name = "conv5x5-1-6", .module = "Conv2d(1, 6, 5, padding=2)", .inputs = {DIMS(128, 1, 28, 28)}},
    {.name = "conv5x5-6-16", .module = "Conv2d(6, 16, 5)", .inputs = {DIMS(128, 6, 14, 14)}},
    {.name = "linear-784-512", .module = "Linear(784, 512)", .inputs = {DIMS(128, 784)}},
    {.name = "linear-512-512", .module = "Linear(512, 512)", .inputs = {DIMS(128, 512)}},
    {.name = "linear-512-10", .module = "Linear(512, 10)", .inputs = {DIMS(128, 512)}},
    {.name = "linear-784-50", .module = "Linear(784, 50)", .data = true, .inputs = {DIMS(50000, 784)}},
    {.name = "matmul-256", .build = matmul, .call = "torch.matmul", .inputs = {DIMS(256, 256), DIMS(256, 256)}},
    {.name = "matmul-512", .build = matmul, .call = "torch.matmul", .inputs = {DIMS(512, 512), DIMS(512, 512)}},
    {.name = "matmul-1024", .build = matmul, .call = "torch.matmul", .inputs = {DIMS(1024, 1024), DIMS(1024, 1024)}},

    {.name = "batchnorm", .module = "BatchNorm2d(64)", .inputs = {DIMS(64, 64, 28, 28)}},
    {.name = "layernorm", .module = "LayerNorm(64)", .inputs = {DIMS(128, 49, 64)}},
    {.name = "maxpool", .module = "MaxPool2d(2)", .linear = true, .inputs = {DIMS(64, 64, 28, 28)}},
    {.name = "avgpool", .module = "AvgPool2d(2)", .linear = true, .inputs = {DIMS(64, 64, 28, 28)}},
    {.name = "add",
     .build = add,
     .call = "torch.add",
     .linear = true,
     .inputs = {DIMS(64, 64, 28, 28), DIMS(64, 64, 28, 28)}},
    {.name = "chain",
     .build = chain,
     .call = "lambda x, y: torch.relu(x * y + x).sum()",
     .inputs = {DIMS(64, 64, 28, 28), DIMS(64, 64, 28, 28)}},
    {.name = "relu", .module = "ReLU()", .inputs = {DIMS(64, 64, 28, 28)}},
    {.name = "gelu", .module = "GELU()", .inputs = {DIMS(64, 64, 28, 28)}},
    {.name = "tanh", .module = "Tanh()", .inputs = {DIMS(64, 64, 28, 28)}},
    {.name = "exp", .build = exponential, .call = "torch.exp", .inputs = {DIMS(64, 64, 28, 28)}},
    {.name = "sum", .build = sum, .call = "torch.sum", .linear = true, .inputs = {DIMS(64, 64, 28, 28)}},
    {.name = "softmax", .module = "Softmax(dim=-1)", .inputs = {DIMS(4096, 512)}},
    {.name = "attention",
     .build = attention,
     .call = "torch.nn.functional.scaled_dot_product_attention",
     .inputs = {DIMS(128, 4, 49, 16), DIMS(128, 4, 49, 16), DIMS(128, 4, 49, 16)}},
    {.name = "xent", .module = CROSS_ENTROPY, .inputs = {DIMS(50000, 10), DIMS(50000)}, .classes = 10},
    {.name = "xent-128", .module = CROSS_ENTROPY, .inputs = {DIMS(128, 10), DIMS(128)}, .classes = 10},

    {.name = "adam",
     .module = MLP,
     .loss = CROSS_ENTROPY,
     .optimizer = "Adam(lr=0.001)",
     .inputs = {DIMS(1, 784), DIMS(1)},
     .classes = 10},
    {.name = "sgd",
     .module = MLP,
     .loss = CROSS_ENTROPY,
     .optimizer = MOMENTUM,
     .inputs = {DIMS(1, 784), DIMS(1)},
     .classes = 10},
};

const size_t bench_work_count = sizeof bench_works / sizeof *bench_works;

const char *bench_pass_name(bench_pass pass) {
    static const char *const names[] = {"forward", "backward", "both", "step", "train"};
    return names[pass];
}

size_t bench_work_inputs(const bench_work *work) {
    size_t count = 0;
    while (count < BENCH_MAX_INPUTS && work->inputs[count].rank > 0) {
        count++;
    }
    return count;
}

bool bench_work_has(const bench_work *work, bench_pass pass) {
    if (work->images > 0) {
        return pass == BENCH_TRAIN;
    }
    return work->optimizer ? pass == BENCH_STEP : pass <= BENCH_BOTH;
}

const bench_work *bench_work_find(const char *name) {
    for (size_t i = 0; i < bench_work_count; i++) {
        if (strcmp(bench_works[i].name, name) == 0) {
            return &bench_works[i];
        }
    }
    return NULL;
}

static void add_text(cJSON *object, const char *key, const char *text) {
    if (text) {
        cJSON_AddStringToObject(object, key, text);
    } else {
        cJSON_AddNullToObject(object, key);
    }
}

static void add_inputs(cJSON *object, const bench_work *work) {
    cJSON *inputs = cJSON_AddArrayToObject(object, "inputs");
    for (size_t i = 0; i < bench_work_inputs(work); i++) {
        cJSON *shape = cJSON_CreateArray();
        for (int axis = 0; axis < work->inputs[i].rank; axis++) {
            cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)work->inputs[i].dim[axis]));
        }
        cJSON_AddItemToArray(inputs, shape);
    }
}

static cJSON *work_json(const bench_work *work) {
    cJSON *object = cJSON_CreateObject();
    add_text(object, "name", work->name);
    add_text(object, "module", work->module);
    add_text(object, "call", work->call);
    add_text(object, "loss", work->loss);
    add_text(object, "optimizer", work->optimizer);
    add_inputs(object, work);
    cJSON_AddNumberToObject(object, "classes", (double)work->classes);
    cJSON_AddBoolToObject(object, "data", work->data);
    cJSON_AddNumberToObject(object, "images", (double)work->images);
    cJSON_AddNumberToObject(object, "steps", work->steps);
    cJSON *passes = cJSON_AddArrayToObject(object, "passes");
    for (bench_pass pass = 0; pass < BENCH_PASSES; pass++) {
        if (bench_work_has(work, pass)) {
            cJSON_AddItemToArray(passes, cJSON_CreateString(bench_pass_name(pass)));
        }
    }
    return object;
}

cJSON *bench_works_json(void) {
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < bench_work_count; i++) {
        cJSON_AddItemToArray(array, work_json(&bench_works[i]));
    }
    return array;
}
