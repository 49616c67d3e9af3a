/* Prediction for programs: one model, which threads use by turns. */
#include <clgrad/predictor.h>

#include <pthread.h>
#include <stdio.h>

#include "alloc.h"
#include "evaluator.h"
#include "predict.h"

struct cg_predictor {
    cg_checkpoint_info info;
    int64_t outputs;
    pthread_mutex_t turn; /* held by the thread that uses what is below */
    cg_device *device;
    cg_module *model;
    cg_tape *tape;
    float *normalized; /* [CG_PREDICT_ROWS, sample...] */
};

/* Classes without names are called by their numbers. */
static cg_status name_classes(cg_checkpoint_info *info) {
    if (info->class_names != NULL || info->classes == 0) {
        return CG_OK;
    }
    info->class_names = cg_alloc_zero((size_t)info->classes, sizeof *info->class_names);
    for (int64_t i = 0; i < info->classes && info->class_names != NULL; i++) {
        char number[32];
        snprintf(number, sizeof number, "%lld", (long long)i);
        info->class_names[i] = cg_strdup(number);
        if (info->class_names[i] == NULL) {
            return CG_ERR_MEMORY;
        }
    }
    return info->class_names != NULL ? CG_OK : CG_ERR_MEMORY;
}

static cg_status read_info(cg_predictor *p, const char *file) {
    CG_TRY(cg_checkpoint_read(file, &p->info));
    if (p->info.model == NULL || p->info.sample.rank == 0) {
        return cg_fail(CG_ERR_FORMAT, "%s does not say of which model its weights are, and of which input", file);
    }
    return name_classes(&p->info);
}

/* A model of numbers gives a row of any length for each sample. */
static cg_status check_output(cg_predictor *p, const char *file, const cg_shape *output) {
    bool fits = output->rank == 2 && output->dim[0] == 1;
    if (!fits || (p->info.classes > 0 && output->dim[1] != p->info.classes)) {
        return cg_fail(CG_ERR_SHAPE, "%s: the model's output is %s for one sample, and there are %lld classes", file,
                       cg_shape_print(output, CG_SHAPE_TEXT), (long long)p->info.classes);
    }
    p->outputs = output->dim[1];
    return CG_OK;
}

static cg_status parse_model(cg_predictor *p, const char *file) {
    cg_status status = cg_module_parse(p->device, p->info.model, &p->model);
    bool text = status == CG_ERR_SYNTAX || status == CG_ERR_NAME || status == CG_ERR_ARGUMENT;
    return text ? cg_fail_context(CG_ERR_FORMAT, "%s: ", file) : status;
}

static cg_status load_model(cg_predictor *p, const char *file) {
    const cg_shape input = cg_batch_shape(&p->info.sample, 1);
    cg_shape output;
    CG_TRY(parse_model(p, file));
    CG_TRY(cg_module_resolve(p->model, &input, &output));
    CG_TRY(check_output(p, file, &output));
    CG_TRY(cg_checkpoint_load(file, p->model, NULL, CG_LOAD_STRICT));
    CG_TRY(cg_module_fold_batch_norm(p->model, &input));
    for (size_t i = 0; i < cg_module_parameter_count(p->model); i++) {
        cg_tensor_set_requires_grad(cg_module_parameter(p->model, i, NULL), false);
    }
    return CG_OK;
}

static cg_status open_parts(cg_predictor *p, const char *file, const char *device) {
    CG_TRY(read_info(p, file));
    CG_TRY(cg_device_open(device != NULL ? device : "auto", &p->device));
    CG_TRY(load_model(p, file));
    p->tape = cg_tape_create(p->device);
    p->normalized = cg_alloc(CG_PREDICT_ROWS * (size_t)cg_shape_numel(&p->info.sample) * sizeof *p->normalized);
    if (p->tape == NULL || p->normalized == NULL) {
        return CG_ERR_MEMORY;
    }
    cg_tape_set_mode(p->tape, CG_EVAL);
    return CG_OK;
}

cg_status cg_predictor_open(const char *file, const char *device, cg_predictor **predictor) {
    *predictor = NULL;
    cg_predictor *p = cg_alloc_zero(1, sizeof *p);
    if (p == NULL) {
        return CG_ERR_MEMORY;
    }
    if (pthread_mutex_init(&p->turn, NULL) != 0) {
        cg_free(p);
        return cg_fail(CG_ERR_MEMORY, "the system has no lock left for a predictor");
    }
    cg_status status = open_parts(p, file, device);
    if (status != CG_OK) {
        cg_predictor_close(p);
        return status;
    }
    *predictor = p;
    return CG_OK;
}

void cg_predictor_close(cg_predictor *p) {
    if (p == NULL) {
        return;
    }
    cg_tape_destroy(p->tape);
    cg_module_destroy(p->model);
    cg_device_close(p->device);
    cg_free(p->normalized);
    cg_checkpoint_info_clear(&p->info);
    pthread_mutex_destroy(&p->turn);
    cg_free(p);
}

const cg_checkpoint_info *cg_predictor_describe(const cg_predictor *predictor) {
    return &predictor->info;
}

int64_t cg_predictor_outputs(const cg_predictor *predictor) {
    return predictor->outputs;
}

/* As the data does it: in double, rounded once. One pair is for all channels. */
static void normalize(const cg_predictor *p, const float *x, int64_t n) {
    const cg_checkpoint_info *info = &p->info;
    int64_t count = n * cg_shape_numel(&info->sample), channels = info->has_normalization ? info->channels : 1;
    int64_t channel = cg_shape_numel(&info->sample) / channels;
    for (int64_t i = 0; i < count; i++) {
        int64_t c = i / channel % channels;
        p->normalized[i] = info->has_normalization ? (float)((x[i] - info->mean[c]) / info->std[c]) : x[i];
    }
}

/* Up to CG_PREDICT_ROWS samples. */
static cg_status take_turn(cg_predictor *p, const float *x, int64_t n, float *outputs) {
    const cg_prediction wanted = {p->outputs, p->info.classes > 0};
    const cg_shape shape = cg_batch_shape(&p->info.sample, n);
    pthread_mutex_lock(&p->turn);
    normalize(p, x, n);
    cg_status status = cg_predict_rows(p->model, p->tape, p->normalized, &shape, &wanted, outputs);
    pthread_mutex_unlock(&p->turn);
    return status;
}

cg_status cg_predictor_run(cg_predictor *p, const float *x, int64_t n, float *outputs) {
    if (n < 0 || (n > 0 && (x == NULL || outputs == NULL))) {
        return cg_fail(CG_ERR_ARGUMENT, "%lld samples%s: at least 0, and where to find and put them, is needed",
                       (long long)n,
                       x == NULL         ? " at NULL"
                       : outputs == NULL ? " to NULL"
                                         : "");
    }
    int64_t sample = cg_shape_numel(&p->info.sample);
    for (int64_t done = 0; done < n; done += CG_PREDICT_ROWS) {
        int64_t rows = n - done < CG_PREDICT_ROWS ? n - done : CG_PREDICT_ROWS;
        CG_TRY(take_turn(p, x + done * sample, rows, outputs + done * p->outputs));
    }
    return CG_OK;
}
