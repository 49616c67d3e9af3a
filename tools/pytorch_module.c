/*
 * The module is one class, the model's own with its arguments filled in, so that its names are those of the file. What
 * PyTorch has no class for is written out in front of it.
 */
#include "pytorch_module.h"

#include <string.h>

#include <cjson/cJSON.h>

#include "python_text.h"

static const char head[] =
    "\"\"\"A network that clgrad trained, in PyTorch.\n"
    "\n"
    "    model = load()\n"
    "    probabilities = predict(model, inputs)\n"
    "\n"
    "inputs are [n, *SAMPLE]: bytes as a file of images has them, or the same divided by BYTES as floats.\n"
    "From a shell: python3 MODEL.py INPUTS.npy [CHECKPOINT] prints the classes as JSON.\n"
    "\"\"\"\n"
    "import json\n"
    "import pathlib\n"
    "import sys\n";

static const char *const classes[][2] = {
    {"Residual", "class Residual(nn.Module):\n"
                 "    \"\"\"body(x) + shortcut(x); without a shortcut x itself.\"\"\"\n"
                 "\n"
                 "    def __init__(self, body, shortcut=None):\n"
                 "        super().__init__()\n"
                 "        self.body = body\n"
                 "        self.shortcut = nn.Identity() if shortcut is None else shortcut\n"
                 "\n"
                 "    def forward(self, x):\n"
                 "        return self.body(x) + self.shortcut(x)\n"},
    {"GeneralReLU", "class GeneralReLU(nn.Module):\n"
                    "    \"\"\"A leaky ReLU, shifted down by sub and cut at maxv.\"\"\"\n"
                    "\n"
                    "    def __init__(self, leak=0.0, sub=0.0, maxv=None):\n"
                    "        super().__init__()\n"
                    "        self.leak, self.sub, self.maxv = leak, sub, maxv\n"
                    "\n"
                    "    def forward(self, x):\n"
                    "        y = torch.where(x > 0, x, self.leak * x) - self.sub\n"
                    "        return y if self.maxv is None else y.clamp(max=self.maxv)\n"},
    {"Permute", "class Permute(nn.Module):\n"
                "    \"\"\"torchvision.ops.Permute.\"\"\"\n"
                "\n"
                "    def __init__(self, dims):\n"
                "        super().__init__()\n"
                "        self.dims = dims\n"
                "\n"
                "    def forward(self, x):\n"
                "        return x.permute(self.dims)\n"},
};

static const char functions[] =
    "def load(path=CHECKPOINT):\n"
    "    \"\"\"The model with the checkpoint's weights, for prediction; what its training needs to go on is left "
    "out.\"\"\"\n"
    "    state = {name: tensor for name, tensor in load_file(path).items() if not name.startswith(\"__training__.\")}\n"
    "    model = Model()\n"
    "    model.load_state_dict(state)\n"
    "    return model.eval()\n"
    "\n"
    "\n"
    "def normalize(inputs):\n"
    "    \"\"\"As in training: one mean and one deviation for each channel.\"\"\"\n"
    "    inputs = torch.as_tensor(inputs)\n"
    "    inputs = inputs.float() / BYTES if inputs.dtype == torch.uint8 else inputs.float()\n"
    "    shape = (-1,) + (1,) * (inputs.dim() - 2)\n"
    "    return (inputs - torch.tensor(MEAN).reshape(shape)) / torch.tensor(STD).reshape(shape)\n"
    "\n"
    "\n";

static const char predict_classes[] =
    "@torch.inference_mode()\n"
    "def predict(model, inputs):\n"
    "    \"\"\"Probabilities, [n, number of CLASSES].\"\"\"\n"
    "    return torch.softmax(model(normalize(inputs)), dim=1)\n"
    "\n"
    "\n"
    "def main():\n"
    "    import numpy\n"
    "\n"
    "    rows = predict(load(*sys.argv[2:3]), numpy.load(sys.argv[1]))\n"
    "    print(json.dumps([{\"row\": i, \"predicted\": CLASSES[int(row.argmax())], \"probabilities\": row.tolist()}\n"
    "                      for i, row in enumerate(rows)]))\n";

static const char predict_numbers[] =
    "@torch.inference_mode()\n"
    "def predict(model, inputs):\n"
    "    \"\"\"The model's outputs.\"\"\"\n"
    "    return model(normalize(inputs))\n"
    "\n"
    "\n"
    "def main():\n"
    "    import numpy\n"
    "\n"
    "    rows = predict(load(*sys.argv[2:3]), numpy.load(sys.argv[1]))\n"
    "    print(json.dumps([{\"row\": i, \"output\": row.tolist()} for i, row in enumerate(rows)]))\n";

static const char foot[] = "\n"
                           "\n"
                           "if __name__ == \"__main__\":\n"
                           "    if len(sys.argv) not in (2, 3):\n"
                           "        sys.exit(__doc__)\n"
                           "    main()\n";

/* A JSON string is one of Python's as well. */
static void put_string(FILE *out, const char *text) {
    cJSON *string = cJSON_CreateStringReference(text);
    char *quoted = string ? cJSON_PrintUnformatted(string) : NULL;
    fputs(quoted ? quoted : "\"\"", out);
    cJSON_free(quoted);
    cJSON_Delete(string);
}

/* Python's tuple of one number has a comma behind it. */
static void put_tuple(FILE *out, const char *name, const double *values, int64_t count) {
    fprintf(out, "%s = (", name);
    for (int64_t i = 0; i < count; i++) {
        fprintf(out, "%s%.17g", i > 0 ? ", " : "", values[i]);
    }
    fputs(count == 1 ? ",)\n" : ")\n", out);
}

static void put_classes(FILE *out, const cg_checkpoint_info *info) {
    if (!info->class_names) {
        fprintf(out, "CLASSES = tuple(str(i) for i in range(%lld))\n", (long long)info->classes);
        return;
    }
    fputs("CLASSES = (\n", out);
    for (int64_t i = 0; i < info->classes; i++) {
        fputs("    ", out);
        put_string(out, info->class_names[i]);
        fputs(",\n", out);
    }
    fputs(")\n", out);
}

static void put_constants(FILE *out, const pytorch_module *module) {
    const cg_checkpoint_info *info = module->info;
    static const double zero = 0, one = 1;
    double sample[CG_MAX_RANK];
    for (int i = 0; i < info->sample.rank; i++) {
        sample[i] = (double)info->sample.dim[i];
    }
    fputs("CHECKPOINT = pathlib.Path(__file__).parent / ", out);
    put_string(out, module->checkpoint);
    fputc('\n', out);
    put_tuple(out, "SAMPLE", sample, info->sample.rank);
    put_classes(out, info);
    bool given = info->has_normalization;
    put_tuple(out, "MEAN", given ? info->mean : &zero, given ? info->channels : 1);
    put_tuple(out, "STD", given ? info->std : &one, given ? info->channels : 1);
    fprintf(out, "BYTES = %d\n", info->data && strcmp(info->data, "digits") == 0 ? 16 : 255);
}

void pytorch_module_write(FILE *out, const pytorch_module *module) {
    fputs(head, out);
    if (strstr(module->model, "=inf") || strstr(module->model, "=-inf")) {
        fputs("from math import inf\n", out);
    }
    fputs("\nimport torch\nfrom safetensors.torch import load_file\nfrom torch import nn\n\n", out);
    put_constants(out, module);
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (python_calls(module->model, classes[i][0])) {
            fprintf(out, "\n\n%s", classes[i][1]);
        }
    }
    fputs("\n\nclass Model(", out);
    python_put_name(out, module->model);
    fputs("):\n    def __init__(self):\n        super().__init__", out);
    python_put_arguments(out, module->model, 8);
    fprintf(out, "\n\n\n%s%s%s", functions, module->info->classes > 0 ? predict_classes : predict_numbers, foot);
}
