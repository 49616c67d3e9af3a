/*
 * How good predictions are. Of classes: accuracy, top-k, precision, recall and F1 out of a confusion matrix. Of
 * numbers: MAE, MSE and R2. The meaning is scikit-learn's, and torchmetrics' where both agree; everything is counted in
 * integers or summed in double, in the order it comes.
 */
#ifndef CLGRAD_METRICS_H
#define CLGRAD_METRICS_H

#include <clgrad/train.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How often each class was taken for which. */
typedef struct cg_confusion cg_confusion;

/* Classes at the most: the matrix of so many takes 128 MiB. */
#define CG_CONFUSION_CLASSES 4096

/* An empty matrix. CG_ERR_ARGUMENT for fewer than 1 class or more than CG_CONFUSION_CLASSES. */
CG_API cg_status cg_confusion_create(int64_t classes, cg_confusion **confusion) CG_MUST_USE;
CG_API void cg_confusion_destroy(cg_confusion *confusion);
CG_API void cg_confusion_reset(cg_confusion *confusion);

/* Counts n rows; expected and predicted [n]. A prediction of `classes` or more is none of them: it counts against the
 * expected class, in the column `classes`. CG_ERR_INDEX for an expected class that is out of range or a prediction
 * below 0, and nothing is counted. */
CG_API cg_status cg_confusion_add(cg_confusion *confusion, const int64_t *expected, const int64_t *predicted,
                                  int64_t n) CG_MUST_USE;

CG_API int64_t cg_confusion_classes(const cg_confusion *confusion);
CG_API int64_t cg_confusion_rows(const cg_confusion *confusion);

/* Rows of class `expected` that `predicted` was predicted for; predicted = classes: a class that there is not. 0 where
 * an index is out of range. */
CG_API int64_t cg_confusion_count(const cg_confusion *confusion, int64_t expected, int64_t predicted);

/* Of one class, or the mean over classes. precision: share of the rows predicted as the class that are of it. recall:
 * share of its rows that were predicted as it. f1: their harmonic mean, 2 right / (support + predicted). What divides
 * by nothing is 0, as in scikit-learn: the precision of a class that was never predicted, the recall of one without
 * rows. support: its rows. */
typedef struct cg_class_scores {
    double precision, recall, f1;
    int64_t support, predicted, right;
} cg_class_scores;

/* Zeros for an index out of range. */
CG_API cg_class_scores cg_confusion_class(const cg_confusion *confusion, int64_t index);

/* Macro averages: the mean over the classes that have rows or were predicted; one that has neither is left out. The
 * counts are sums. NAN in a matrix of no rows. */
CG_API cg_class_scores cg_confusion_macro(const cg_confusion *confusion);

/* Share of the rows on the diagonal; NAN in a matrix of no rows. */
CG_API double cg_confusion_accuracy(const cg_confusion *confusion);

/* How many of n rows have their class among the k highest of their scores [n, classes]; expected [n]. Of equal scores
 * the lower class counts as the higher one, and NAN is above every number, as in cg_argmax: so k = 1 gives what
 * accuracy counts, and ties never help. CG_ERR_ARGUMENT for k below 1, CG_ERR_INDEX for an expected class out of range.
 */
CG_API cg_status cg_top_k(const float *scores, int64_t n, int64_t classes, const int64_t *expected, int64_t k,
                          int64_t *right) CG_MUST_USE;

/* Errors of predicted numbers: `mae` mean of |error|, `mse` of its square, r2 = 1 - sum of squared errors / sum of
 * squared distances from the mean of what was expected; where that is 0, 1 for no error at all and else 0, as in
 * scikit-learn. Of several targets each is the mean over them. NAN without rows; r2 of fewer than 2 rows is NAN. A NAN
 * that was predicted stays one in all of them. */
typedef struct cg_number_scores {
    double mae, mse, r2;
    int64_t rows;
} cg_number_scores;

/* expected and predicted [n, targets]. CG_ERR_ARGUMENT for fewer than 1 target. */
CG_API cg_status cg_score_numbers(const float *expected, const float *predicted, int64_t n, int64_t targets,
                                  cg_number_scores *scores) CG_MUST_USE;

/* All of these over a split, gathered batch by batch from what a model puts out, and the rows it was most wrong on. */
typedef struct cg_metrics cg_metrics;

typedef struct cg_metrics_options {
    int64_t top_k;  /* 0: 5 */
    int64_t worst;  /* rows to keep that were most wrong; 0: none */
    int64_t points; /* pairs of an expected and a predicted number to keep, evenly spread; 0: none */
} cg_metrics_options;

/* options NULL: the defaults. The data must outlive it. CG_ERR_ARGUMENT for data of more than CG_CONFUSION_CLASSES. */
CG_API cg_status cg_metrics_create(const cg_data *data, const cg_metrics_options *options,
                                   cg_metrics **metrics) CG_MUST_USE;
CG_API void cg_metrics_destroy(cg_metrics *metrics);

/* Listens to a training on that data, which must not outlive it: from after_validation on it has the figures of that
 * validation, until the next. Each batch's output is read back for it. CG_ERR_STATE when it listens already. */
CG_API cg_status cg_metrics_attach(cg_metrics *metrics, cg_trainer *trainer) CG_MUST_USE;

/* As cg_evaluate, and as cg_trainer_evaluate, with the figures of that split left in `metrics`. */
CG_API cg_status cg_metrics_evaluate(cg_metrics *metrics, cg_module *model, cg_module *loss, cg_split split,
                                     int64_t batch, cg_evaluation *evaluation) CG_MUST_USE;
CG_API cg_status cg_metrics_evaluate_training(cg_metrics *metrics, cg_trainer *trainer, cg_split split,
                                              cg_evaluation *evaluation) CG_MUST_USE;

/* Figures of at most `rows` rows of a split, evenly spread, in eval mode: of a training's model, or of its averages. */
CG_API cg_status cg_metrics_sample(cg_metrics *metrics, cg_trainer *trainer, cg_split split, int64_t rows) CG_MUST_USE;

/* The newest figures. The matrix is the metrics' and NULL where the target is a number; top_k is a share, NAN there and
 * without rows. */
CG_API int64_t cg_metrics_rows(const cg_metrics *metrics);
CG_API const cg_confusion *cg_metrics_confusion(const cg_metrics *metrics);
CG_API double cg_metrics_top_k(const cg_metrics *metrics, int64_t *k);
CG_API cg_number_scores cg_metrics_numbers(const cg_metrics *metrics);

/* A row whose class was not the predicted one. Probabilities are the softmax of the outputs. */
typedef struct cg_wrong_row {
    int64_t row; /* of the split */
    int64_t expected, predicted;
    const float *probabilities; /* [classes], the metrics', until the next figures */
} cg_wrong_row;

/* The rows that gave their class the lowest probability, lowest first; of equal ones the first row. */
CG_API int64_t cg_metrics_worst_count(const cg_metrics *metrics);
CG_API cg_wrong_row cg_metrics_worst(const cg_metrics *metrics, int64_t index);

/* Pairs of the first target: *expected and *predicted [count], the metrics' own. Returns the count. */
CG_API int64_t cg_metrics_points(const cg_metrics *metrics, const float **expected, const float **predicted);

#ifdef __cplusplus
}
#endif
#endif
