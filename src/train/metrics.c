/* Figures of a split, gathered from each batch's output on the host, and the rows that were most wrong. */
#include "metrics.h"

#include <math.h>
#include <string.h>

#include "alloc.h"
#include "number_sums.h"
#include "trainer.h"

#define TOP_K 5

/* A row that is kept: its place in the order of being wrong, and in `kept_probabilities`. */
typedef struct wrong_row {
    int64_t row, expected, predicted;
    double probability; /* of the expected class */
    float *probabilities;
} wrong_row;

struct cg_metrics {
    const cg_data *data;
    cg_metrics_options options;
    int64_t classes, targets;
    bool attached;
    cg_split split;
    int64_t rows, total;
    cg_confusion *confusion; /* NULL: the target is a number */
    int64_t top_right;
    cg_number_sums *sums; /* [targets] */
    wrong_row *worst;     /* [options.worst] */
    float *probabilities; /* [options.worst, classes] */
    int64_t n_worst;
    float *point_expected, *point_predicted; /* [options.points] */
    int64_t n_points;
    /* One batch, of at most `room` rows and `width` outputs. */
    int64_t room, width;
    float *outputs, *numbers;
    int64_t *indices, *expected, *predicted;
};

static cg_status create_classes(cg_metrics *m) {
    int64_t worst = m->options.worst;
    CG_TRY(cg_confusion_create(m->classes, &m->confusion));
    m->worst = cg_alloc_zero((size_t)worst + 1, sizeof *m->worst);
    m->probabilities = cg_alloc_zero((size_t)(worst * m->classes) + 1, sizeof *m->probabilities);
    if (m->worst == NULL || m->probabilities == NULL) {
        return CG_ERR_MEMORY;
    }
    for (int64_t i = 0; i < worst; i++) {
        m->worst[i].probabilities = m->probabilities + i * m->classes;
    }
    return CG_OK;
}

static cg_status create_numbers(cg_metrics *m) {
    m->sums = cg_alloc_zero((size_t)m->targets, sizeof *m->sums);
    m->point_expected = cg_alloc_zero((size_t)m->options.points + 1, sizeof(float));
    m->point_predicted = cg_alloc_zero((size_t)m->options.points + 1, sizeof(float));
    return m->sums != NULL && m->point_expected != NULL && m->point_predicted != NULL ? CG_OK : CG_ERR_MEMORY;
}

cg_status cg_metrics_create(const cg_data *data, const cg_metrics_options *options, cg_metrics **metrics) {
    *metrics = NULL;
    const cg_metrics_options chosen = options != NULL ? *options : (cg_metrics_options){0};
    if (chosen.top_k < 0 || chosen.worst < 0 || chosen.points < 0) {
        return cg_fail(CG_ERR_ARGUMENT, "top_k %lld, worst %lld, points %lld: none may be negative",
                       (long long)chosen.top_k, (long long)chosen.worst, (long long)chosen.points);
    }
    cg_metrics *m = cg_alloc_zero(1, sizeof *m);
    if (m == NULL) {
        return CG_ERR_MEMORY;
    }
    const cg_data_info *info = cg_data_describe(data);
    *m = (cg_metrics){.data = data, .options = chosen, .classes = info->classes, .targets = info->targets};
    m->options.top_k = chosen.top_k > 0 ? chosen.top_k : TOP_K;
    cg_status status = m->classes > 0 ? create_classes(m) : create_numbers(m);
    if (status != CG_OK) {
        cg_metrics_destroy(m);
        return status;
    }
    *metrics = m;
    return CG_OK;
}

static void free_batch(cg_metrics *m) {
    cg_free(m->outputs);
    cg_free(m->numbers);
    cg_free(m->indices);
    cg_free(m->expected);
    cg_free(m->predicted);
    m->outputs = m->numbers = NULL;
    m->indices = m->expected = m->predicted = NULL;
    m->room = m->width = 0;
}

void cg_metrics_destroy(cg_metrics *m) {
    if (m == NULL) {
        return;
    }
    free_batch(m);
    cg_confusion_destroy(m->confusion);
    cg_free(m->worst);
    cg_free(m->probabilities);
    cg_free(m->sums);
    cg_free(m->point_expected);
    cg_free(m->point_predicted);
    cg_free(m);
}

void cg_metrics_begin(cg_metrics *m, cg_split split, int64_t total) {
    m->split = split;
    m->total = total;
    m->rows = m->top_right = m->n_worst = m->n_points = 0;
    if (m->confusion != NULL) {
        cg_confusion_reset(m->confusion);
    } else {
        memset(m->sums, 0, (size_t)m->targets * sizeof *m->sums);
    }
}

/* Room for a batch; the first is the largest, so the others allocate nothing. */
static cg_status make_room(cg_metrics *m, int64_t n, int64_t width) {
    if (n <= m->room && width <= m->width) {
        return CG_OK;
    }
    free_batch(m);
    m->outputs = cg_alloc((size_t)(n * width) * sizeof *m->outputs);
    m->numbers = cg_alloc((size_t)(n * (m->targets + 1)) * sizeof *m->numbers);
    m->indices = cg_alloc((size_t)n * sizeof *m->indices);
    m->expected = cg_alloc((size_t)n * sizeof *m->expected);
    m->predicted = cg_alloc((size_t)n * sizeof *m->predicted);
    if (m->outputs == NULL || m->numbers == NULL || m->indices == NULL || m->expected == NULL || m->predicted == NULL) {
        return CG_ERR_MEMORY;
    }
    m->room = n;
    m->width = width;
    return CG_OK;
}

/* As cg_argmax: the first of the highest, NAN above every number. */
static int64_t highest(const float *values, int64_t count) {
    int64_t best = 0;
    for (int64_t i = 1; i < count && !isnan(values[best]); i++) {
        best = isnan(values[i]) || values[i] > values[best] ? i : best;
    }
    return best;
}

/* Probability of one class, in double: exp(x[i] - max) / sum. */
static double probability(const float *outputs, int64_t width, int64_t index) {
    double largest = (double)outputs[highest(outputs, width)], sum = 0;
    for (int64_t i = 0; i < width; i++) {
        sum += exp((double)outputs[i] - largest);
    }
    return exp((double)outputs[index] - largest) / sum;
}

/* Moves the rows behind to make a place, whose probabilities were the last one's; insertion keeps the order of rows. */
static void keep_worst(cg_metrics *m, const float *outputs, int64_t width, wrong_row row) {
    int64_t place = m->n_worst, last = m->options.worst - 1;
    while (place > 0 && row.probability < m->worst[place - 1].probability) {
        place--;
    }
    if (place > last) {
        return;
    }
    int64_t end = m->n_worst <= last ? m->n_worst++ : last;
    row.probabilities = m->worst[end].probabilities;
    memmove(m->worst + place + 1, m->worst + place, (size_t)(end - place) * sizeof *m->worst);
    for (int64_t i = 0; i < m->classes; i++) {
        row.probabilities[i] = (float)probability(outputs, width, i);
    }
    m->worst[place] = row;
}

static cg_status add_classes(cg_metrics *m, const int64_t *rows, int64_t n, int64_t width) {
    int64_t right;
    CG_TRY(cg_data_rows(m->data, m->split, rows, n, NULL, m->expected));
    for (int64_t i = 0; i < n; i++) {
        const float *outputs = m->outputs + i * width;
        m->predicted[i] = highest(outputs, width);
        if (m->options.worst > 0 && m->predicted[i] != m->expected[i]) {
            keep_worst(m, outputs, width,
                       (wrong_row){.row = rows[i],
                                   .expected = m->expected[i],
                                   .predicted = m->predicted[i],
                                   .probability = probability(outputs, width, m->expected[i])});
        }
    }
    CG_TRY(cg_top_k(m->outputs, n, width, m->expected, m->options.top_k, &right));
    m->top_right += right;
    return cg_confusion_add(m->confusion, m->expected, m->predicted, n);
}

static cg_status add_numbers(cg_metrics *m, const int64_t *rows, int64_t n) {
    CG_TRY(cg_data_targets(m->data, m->split, rows, n, m->numbers));
    cg_number_sums_add(m->sums, m->targets, m->numbers, m->outputs, n);
    int64_t stride = m->options.points > 0 ? (m->total + m->options.points - 1) / m->options.points : 0;
    for (int64_t i = 0; i < n && m->n_points < m->options.points; i++) {
        if ((m->rows + i) % (stride > 0 ? stride : 1) == 0) {
            m->point_expected[m->n_points] = m->numbers[i * m->targets];
            m->point_predicted[m->n_points++] = m->outputs[i * m->targets];
        }
    }
    return CG_OK;
}

/* An output that has one row for each of the batch's, wide enough. */
static cg_status check_output(const cg_metrics *m, int64_t n, const cg_tensor *output) {
    const cg_shape *shape = cg_tensor_shape(output);
    bool wide = shape->rank == 2 && (m->classes > 0 ? shape->dim[1] >= m->classes : shape->dim[1] == m->targets);
    if (!wide || shape->dim[0] != n) {
        return cg_fail(CG_ERR_SHAPE, "the model's output is %s, not %s: one number for each class or target",
                       cg_shape_print(shape, CG_SHAPE_TEXT),
                       cg_shape_print(&CG_SHAPE(n, m->classes + m->targets), CG_SHAPE_TEXT));
    }
    return CG_OK;
}

cg_status cg_metrics_add(cg_metrics *m, const int64_t *rows, int64_t n, cg_tensor *output) {
    CG_TRY(check_output(m, n, output));
    int64_t width = cg_tensor_shape(output)->dim[1];
    CG_TRY(make_room(m, n, width));
    CG_TRY(cg_tensor_read_f32(output, m->outputs, n * width));
    CG_TRY(m->classes > 0 ? add_classes(m, rows, n, width) : add_numbers(m, rows, n));
    m->rows += n;
    return CG_OK;
}

cg_status cg_metrics_add_range(cg_metrics *m, int64_t first, int64_t n, cg_tensor *output) {
    CG_TRY(check_output(m, n, output));
    CG_TRY(make_room(m, n, cg_tensor_shape(output)->dim[1]));
    for (int64_t i = 0; i < n; i++) {
        m->indices[i] = first + i;
    }
    return cg_metrics_add(m, m->indices, n, output);
}

cg_status cg_metrics_attach(cg_metrics *m, cg_trainer *trainer) {
    if (m->attached) {
        return cg_fail(CG_ERR_STATE, "these metrics listen to a training already");
    }
    CG_TRY(cg_evaluator_measure(trainer->validation, m));
    m->attached = true;
    return CG_OK;
}

const cg_data *cg_metrics_data(const cg_metrics *m) {
    return m->data;
}

int64_t cg_metrics_rows(const cg_metrics *m) {
    return m->rows;
}

const cg_confusion *cg_metrics_confusion(const cg_metrics *m) {
    return m->confusion;
}

double cg_metrics_top_k(const cg_metrics *m, int64_t *k) {
    *k = m->options.top_k;
    return m->classes > 0 && m->rows > 0 ? (double)m->top_right / (double)m->rows : NAN;
}

cg_number_scores cg_metrics_numbers(const cg_metrics *m) {
    return m->classes > 0 ? (cg_number_scores){.mae = NAN, .mse = NAN, .r2 = NAN}
                          : cg_number_sums_scores(m->sums, m->targets);
}

int64_t cg_metrics_worst_count(const cg_metrics *m) {
    return m->n_worst;
}

cg_wrong_row cg_metrics_worst(const cg_metrics *m, int64_t index) {
    if (index < 0 || index >= m->n_worst) {
        return (cg_wrong_row){.row = -1, .expected = -1, .predicted = -1};
    }
    const wrong_row *row = &m->worst[index];
    return (cg_wrong_row){row->row, row->expected, row->predicted, row->probabilities};
}

int64_t cg_metrics_points(const cg_metrics *m, const float **expected, const float **predicted) {
    *expected = m->point_expected;
    *predicted = m->point_predicted;
    return m->n_points;
}
