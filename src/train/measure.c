/* Metrics of a model: over a whole split beside its evaluation, or over a sample of it. */
#include "alloc.h"
#include "metrics.h"
#include "predict.h"
#include "trainer.h"

cg_status cg_metrics_evaluate(cg_metrics *metrics, cg_module *model, cg_module *loss, cg_split split, int64_t batch,
                              cg_evaluation *evaluation) {
    cg_evaluator *evaluator;
    CG_TRY(cg_evaluator_create(model, loss, cg_metrics_data(metrics), split, batch, &evaluator));
    cg_status status = cg_evaluator_measure(evaluator, metrics);
    if (status == CG_OK) {
        status = cg_evaluator_run(evaluator, evaluation);
    }
    cg_evaluator_destroy(evaluator);
    return status;
}

cg_status cg_metrics_evaluate_training(cg_metrics *metrics, cg_trainer *t, cg_split split, cg_evaluation *evaluation) {
    CG_TRY(cg_trainer_swap_average(t));
    cg_status status = cg_metrics_evaluate(metrics, t->model, t->loss, split, t->options.batch, evaluation);
    cg_status back = cg_trainer_swap_average(t);
    return status != CG_OK ? status : back;
}

/* What a sample goes through, one batch at a time. */
typedef struct sampler {
    cg_metrics *metrics;
    cg_module *model;
    cg_tape *tape;
    cg_shape sample;
    cg_split split;
    int64_t rows[CG_PREDICT_ROWS];
    float *x; /* [CG_PREDICT_ROWS, sample...] */
} sampler;

static cg_status run_rows(sampler *s, int64_t n) {
    const cg_shape shape = cg_batch_shape(&s->sample, n);
    cg_device *device = cg_tape_device(s->tape);
    cg_tensor *input;
    CG_TRY(cg_data_rows(cg_metrics_data(s->metrics), s->split, s->rows, n, s->x, NULL));
    CG_TRY(cg_tensor_create(device, cg_device_real(device), &shape, &input));
    cg_status status = cg_tensor_write_f32(input, s->x, cg_tensor_numel(input));
    if (status == CG_OK) {
        cg_tensor *output = cg_module_forward(s->model, s->tape, input);
        status = cg_tape_status(s->tape);
        status = status == CG_OK ? cg_metrics_add(s->metrics, s->rows, n, output) : status;
    }
    status = status == CG_OK ? cg_tape_run(s->tape) : status;
    if (status != CG_OK) {
        cg_tape_reset(s->tape);
    }
    cg_tensor_destroy(input);
    return status;
}

static cg_status run_sample(sampler *s, int64_t all, int64_t wanted) {
    cg_metrics_begin(s->metrics, s->split, wanted);
    for (int64_t done = 0; done < wanted; done += CG_PREDICT_ROWS) {
        int64_t n = wanted - done < CG_PREDICT_ROWS ? wanted - done : CG_PREDICT_ROWS;
        for (int64_t i = 0; i < n; i++) {
            s->rows[i] = (int64_t)((double)(done + i) * (double)all / (double)wanted);
        }
        CG_TRY(run_rows(s, n));
    }
    return CG_OK;
}

static cg_status sample(cg_metrics *metrics, const cg_trainer *t, cg_split split, int64_t rows) {
    const cg_data_info *info = cg_data_describe(t->data);
    sampler *s = cg_alloc_zero(1, sizeof *s);
    if (s == NULL) {
        return CG_ERR_MEMORY;
    }
    *s = (sampler){.metrics = metrics, .model = t->model, .sample = info->sample, .split = split};
    s->tape = cg_tape_create(t->device);
    s->x = cg_alloc((size_t)(CG_PREDICT_ROWS * cg_shape_numel(&info->sample)) * sizeof *s->x);
    cg_status status = CG_ERR_MEMORY;
    if (s->tape != NULL && s->x != NULL) {
        cg_tape_set_mode(s->tape, CG_EVAL);
        status = run_sample(s, info->rows[split], rows < info->rows[split] ? rows : info->rows[split]);
    }
    cg_tape_destroy(s->tape);
    cg_free(s->x);
    cg_free(s);
    return status;
}

cg_status cg_metrics_sample(cg_metrics *metrics, cg_trainer *t, cg_split split, int64_t rows) {
    CG_TRY(cg_trainer_swap_average(t));
    cg_status status = sample(metrics, t, split, rows);
    cg_status back = cg_trainer_swap_average(t);
    return status != CG_OK ? status : back;
}
