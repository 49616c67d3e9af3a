/*
 * The presets as PyTorch strings. Layers that see the input are lazy, and the last one has an output for each class, so
 * a preset takes samples of any number of channels. Those with convolutions pad them, and take images of any size.
 */
#include "presets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NORM(channels) "BatchNorm2d(" #channels ")"
#define CONV(in, out, rest) "Conv2d(" #in ", " #out ", " rest ", bias=False), " NORM(out)

/* He et al., 2015, arXiv:1512.03385: figure 2, with the shortcut of option B where the shape changes. */
#define RESIDUAL(channels)                                                                                             \
    "Residual(Sequential(" CONV(channels, channels, "3, padding=1") ", ReLU(), " CONV(channels, channels,              \
                                                                                      "3, padding=1") ")), ReLU(), "
#define RESIDUAL_HALF(in, out)                                                                                         \
    "Residual(Sequential(" CONV(in, out, "3, stride=2, padding=1") ", ReLU(), " CONV(                                  \
        out, out, "3, padding=1") "), "                                                                                \
                                  "Sequential(" CONV(in, out, "1, stride=2") ")), ReLU(), "

/* Sandler et al., 2018, arXiv:1801.04381: wide inside, narrow between, no activation behind the narrow end. */
#define INVERTED(in, wide, out, stride)                                                                                \
    "Sequential(" CONV(in, wide, "1") ", ReLU6(), " CONV(                                                              \
        wide, wide, "3, stride=" #stride ", padding=1, groups=" #wide) ", ReLU6(), " CONV(wide, out, "1") ")"
#define INVERTED_RESIDUAL(channels, wide) "Residual(" INVERTED(channels, wide, channels, 1) "), "

#define POOL "AdaptiveAvgPool2d(1), Flatten()"

/* A preset's layers in front of the last, the Linear that has an output for each class. */
typedef struct preset {
    const char *name, *layers;
} preset;

static const preset presets[] = {
    {"mlp", "Flatten(), LazyLinear(512), ReLU(), LazyLinear(512), ReLU()"},

    /* LeNet-5 with ReLU and the largest of each four. */
    {"lenet", "LazyConv2d(6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(6, 16, 5), ReLU(), MaxPool2d(2), Flatten(), "
              "LazyLinear(120), ReLU(), LazyLinear(84), ReLU()"},

    /* Few channels while the image is large: 14 MFLOP for one of 28 x 28. */
    {"resnet-small", "LazyConv2d(16, 3, padding=1, bias=False), " NORM(16) ", ReLU(), " RESIDUAL_HALF(16, 32)
                         RESIDUAL_HALF(32, 64) RESIDUAL_HALF(64, 64) POOL},

    /* Layer for layer torchvision's resnet18. */
    {"resnet18",
     "LazyConv2d(64, 7, stride=2, padding=3, bias=False), " NORM(
         64) ", ReLU(), "
             "MaxPool2d(3, stride=2, padding=1), " RESIDUAL(64) RESIDUAL(64) RESIDUAL_HALF(64, 128) RESIDUAL(128)
                 RESIDUAL_HALF(128, 256) RESIDUAL(256) RESIDUAL_HALF(256, 512) RESIDUAL(512) POOL},

    /* MobileNetV2's blocks, for images that are small already: halved three times, not five. */
    {"mobilenet-small",
     "LazyConv2d(16, 3, stride=2, padding=1, bias=False), " NORM(16) ", ReLU6(), " INVERTED_RESIDUAL(16, 64)
         INVERTED(16, 64, 32, 2) ", " INVERTED_RESIDUAL(32, 128) INVERTED_RESIDUAL(32, 128)
             INVERTED(32, 128, 64, 2) ", " INVERTED_RESIDUAL(64, 256) CONV(64, 128, "1") ", ReLU6(), " POOL},

    /* Patches that overlap (Wu et al., 2021, arXiv:2103.15808). The padding of the depthwise convolution tells a patch
     * where it is, in an image of any size (Chu et al., 2021, arXiv:2102.10882); the tokens' mean is classified. */
    {"transformer-small", "LazyConv2d(64, 7, stride=4, padding=3), Residual(Conv2d(64, 64, 3, padding=1, groups=64)), "
                          "Flatten(2), Permute([0, 2, 1]), "
                          "TransformerEncoder(TransformerEncoderLayer(64, 4, 128, activation='gelu', batch_first=True, "
                          "norm_first=True), 4, norm=LayerNorm(64), enable_nested_tensor=False), "
                          "Permute([0, 2, 1]), AdaptiveAvgPool1d(1), Flatten()"},
};

static const preset *find(const char *name) {
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        if (strcmp(presets[i].name, name) == 0) {
            return &presets[i];
        }
    }
    return NULL;
}

bool model_is_preset(const char *text) {
    return find(text) != NULL;
}

/* A layer's name comes with parentheses, so a text without any can only be meant as a preset. */
static bool is_word(const char *text) {
    return *text != '\0' && strpbrk(text, "(), ") == NULL;
}

cg_status model_parse(cg_device *device, const char *text, int64_t classes, cg_module **model) {
    const preset *found = find(text);
    *model = NULL;
    if (found == NULL && is_word(text)) {
        return cg_fail(CG_ERR_SYNTAX, "'%s' is no preset: they are " PRESET_NAMES, text);
    }
    if (found == NULL) {
        return cg_module_parse(device, text, model);
    }
    size_t size = strlen(found->layers) + 64;
    char *whole = malloc(size);
    if (whole == NULL) {
        return cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    snprintf(whole, size, "%s, LazyLinear(%lld)", found->layers, (long long)(classes > 0 ? classes : 1));
    cg_status status = cg_module_parse(device, whole, model);
    free(whole);
    return status;
}
