/* Metrics against values worked out by hand (and by scikit-learn 1.5: precision_recall_fscore_support, r2_score), and
 * of a training against what the evaluation counts. */
#include <criterion/criterion.h>
#include <math.h>

#include <clgrad/metrics.h>

#include "devices.h"
#include "small_training.h"

#define EXPECT_NEAR(a, b) cr_expect_lt(fabs((a) - (b)), 1e-12, "%.17g is not %.17g", (double)(a), (double)(b))

/* Three classes: 0 is confused with 1, 2 is never predicted. */
static cg_confusion *three(void) {
    const int64_t expected[] = {0, 0, 0, 0, 1, 1, 1, 2, 2}, predicted[] = {0, 0, 1, 0, 1, 1, 0, 0, 1};
    cg_confusion *c;
    cr_assert_eq(cg_confusion_create(3, &c), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_confusion_add(c, expected, predicted, 9), CG_OK, "%s", cg_error_message());
    return c;
}

Test(metrics, a_class_has_the_precision_recall_and_f1_of_its_row_and_column) {
    cg_confusion *c = three();
    cr_expect_eq(cg_confusion_rows(c), 9);
    cr_expect_eq(cg_confusion_count(c, 0, 1), 1);
    cr_expect_eq(cg_confusion_count(c, 1, 0), 1);
    const cg_class_scores zero = cg_confusion_class(c, 0), one = cg_confusion_class(c, 1);
    EXPECT_NEAR(zero.precision, 3.0 / 5);
    EXPECT_NEAR(zero.recall, 3.0 / 4);
    EXPECT_NEAR(zero.f1, 2.0 / 3);
    cr_expect_eq(zero.support, 4);
    cr_expect_eq(zero.predicted, 5);
    EXPECT_NEAR(one.precision, 2.0 / 4);
    EXPECT_NEAR(one.recall, 2.0 / 3);
    EXPECT_NEAR(cg_confusion_accuracy(c), 5.0 / 9);
    cg_confusion_destroy(c);
}

Test(metrics, a_class_that_is_never_predicted_has_zeros_and_counts_in_the_mean) {
    cg_confusion *c = three();
    const cg_class_scores two = cg_confusion_class(c, 2), mean = cg_confusion_macro(c);
    cr_expect_eq(two.precision, 0);
    cr_expect_eq(two.recall, 0);
    cr_expect_eq(two.f1, 0);
    cr_expect_eq(two.support, 2);
    EXPECT_NEAR(mean.precision, (3.0 / 5 + 2.0 / 4) / 3);
    EXPECT_NEAR(mean.recall, (3.0 / 4 + 2.0 / 3) / 3);
    EXPECT_NEAR(mean.f1, (2.0 / 3 + 4.0 / 7) / 3);
    cr_expect_eq(mean.support, 9);
    cg_confusion_destroy(c);
}

Test(metrics, a_class_that_is_neither_there_nor_predicted_is_left_out_of_the_mean) {
    const int64_t expected[] = {0, 1, 1}, predicted[] = {0, 1, 3};
    cg_confusion *c;
    cr_assert_eq(cg_confusion_create(5, &c), CG_OK);
    cr_assert_eq(cg_confusion_add(c, expected, predicted, 3), CG_OK);
    const cg_class_scores mean = cg_confusion_macro(c);
    EXPECT_NEAR(mean.precision, 2.0 / 3); /* 1, 1 and the 0 of class 3, which was predicted and is not there */
    EXPECT_NEAR(mean.recall, (1 + 0.5) / 3);
    cr_expect_eq(cg_confusion_class(c, 4).f1, 0);
    cg_confusion_destroy(c);
}

Test(metrics, a_prediction_outside_of_the_classes_counts_against_the_right_one) {
    const int64_t expected[] = {0, 0}, predicted[] = {0, 7};
    cg_confusion *c;
    cr_assert_eq(cg_confusion_create(2, &c), CG_OK);
    cr_assert_eq(cg_confusion_add(c, expected, predicted, 2), CG_OK);
    cr_expect_eq(cg_confusion_count(c, 0, 2), 1);
    cr_expect_eq(cg_confusion_class(c, 0).support, 2);
    EXPECT_NEAR(cg_confusion_class(c, 0).recall, 0.5);
    EXPECT_NEAR(cg_confusion_class(c, 0).precision, 1);
    EXPECT_NEAR(cg_confusion_accuracy(c), 0.5);
    cg_confusion_destroy(c);
}

Test(metrics, a_matrix_of_no_rows_has_no_scores_and_a_reset_one_neither) {
    cg_confusion *c = three();
    cg_confusion_reset(c);
    cr_expect_eq(cg_confusion_rows(c), 0);
    cr_expect(isnan(cg_confusion_accuracy(c)) && isnan(cg_confusion_macro(c).f1));
    cr_expect_eq(cg_confusion_class(c, 0).precision, 0);
    cg_confusion_destroy(c);
}

Test(metrics, classes_out_of_range_are_refused_and_nothing_is_counted) {
    cg_confusion *c = three();
    const int64_t good[] = {0, 1}, large[] = {0, 3}, negative[] = {0, -1};
    cr_expect_eq(cg_confusion_add(c, large, good, 2), CG_ERR_INDEX);
    cr_expect(strstr(cg_error_message(), "row 1: class 3") != NULL, "%s", cg_error_message());
    cr_expect_eq(cg_confusion_add(c, good, negative, 2), CG_ERR_INDEX);
    cr_expect_eq(cg_confusion_rows(c), 9);
    cr_expect_eq(cg_confusion_class(c, 3).support, 0);
    cr_expect_eq(cg_confusion_class(c, -1).support, 0);
    cg_confusion_destroy(c);
    cr_expect_eq(cg_confusion_create(0, &c), CG_ERR_ARGUMENT);
    cr_expect_eq(cg_confusion_create(CG_CONFUSION_CLASSES + 1, &c), CG_ERR_ARGUMENT);
    cr_expect_null(c);
    cg_confusion_destroy(NULL);
}

static int64_t top(const float *scores, int64_t n, int64_t classes, const int64_t *expected, int64_t k) {
    int64_t right = -1;
    cr_assert_eq(cg_top_k(scores, n, classes, expected, k, &right), CG_OK, "%s", cg_error_message());
    return right;
}

Test(metrics, top_k_counts_rows_whose_class_is_among_the_k_highest) {
    const float scores[] = {0.1F, 0.2F, 0.4F, 0.3F, 9, 8, 7, 6};
    const int64_t expected[] = {1, 3};
    cr_expect_eq(top(scores, 2, 4, expected, 1), 0);
    cr_expect_eq(top(scores, 2, 4, expected, 3), 1);
    cr_expect_eq(top(scores, 2, 4, expected, 4), 2);
    cr_expect_eq(top(scores, 2, 4, expected, 100), 2);
}

Test(metrics, of_equal_scores_the_lower_class_is_the_higher_one) {
    const float flat[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const int64_t expected[] = {0, 1, 2, 3};
    for (int64_t k = 1; k <= 4; k++) {
        cr_expect_eq(top(flat, 4, 4, expected, k), k, "a model that tells nothing gets k of 4");
    }
}

Test(metrics, a_nan_is_above_every_number_as_in_argmax) {
    const float scores[] = {5, NAN, 6, 5, NAN, NAN};
    const int64_t expected[] = {2, 2};
    cr_expect_eq(top(scores, 2, 3, expected, 1), 0);
    cr_expect_eq(top(scores, 2, 3, expected, 2), 2, "6 and the second NAN");
}

Test(metrics, top_k_refuses_what_makes_no_sense) {
    const float scores[] = {1, 2};
    const int64_t expected[] = {2};
    int64_t right = -1;
    cr_expect_eq(cg_top_k(scores, 1, 2, expected, 1, &right), CG_ERR_INDEX);
    cr_expect_eq(cg_top_k(scores, 1, 2, expected, 0, &right), CG_ERR_ARGUMENT);
    cr_expect_eq(right, 0);
}

static cg_number_scores score(const float *expected, const float *predicted, int64_t n, int64_t targets) {
    cg_number_scores scores;
    cr_assert_eq(cg_score_numbers(expected, predicted, n, targets, &scores), CG_OK, "%s", cg_error_message());
    return scores;
}

Test(metrics, numbers_have_the_errors_of_the_textbook) {
    const float expected[] = {3, -0.5F, 2, 7}, predicted[] = {2.5F, 0, 2, 8}; /* scikit-learn's own example */
    const cg_number_scores s = score(expected, predicted, 4, 1);
    EXPECT_NEAR(s.mae, 0.5);
    EXPECT_NEAR(s.mse, 0.375);
    EXPECT_NEAR(s.r2, 1 - 1.5 / 29.1875);
    cr_expect_eq(s.rows, 4);
}

Test(metrics, several_targets_are_averaged) {
    const float expected[] = {0.5F, 1, -1, 1, 7, -6}, predicted[] = {0, 2, -1, 2, 8, -5};
    const cg_number_scores s = score(expected, predicted, 3, 2);
    EXPECT_NEAR(s.mae, 0.75);
    EXPECT_NEAR(s.mse, (1.25 / 3 + 1) / 2);
    double first = 1 - 1.25 / (0.5 * 0.5 + 1 + 49 - 6.5 * 6.5 / 3), second = 1 - 3 / (1 + 1 + 36 - 16.0 / 3);
    EXPECT_NEAR(s.r2, (first + second) / 2);
}

Test(metrics, a_mean_far_from_zero_costs_r2_no_digits) {
    const float expected[] = {1e6F, 1e6F + 1, 1e6F + 2}, predicted[] = {1e6F, 1e6F + 1, 1e6F + 1};
    EXPECT_NEAR(score(expected, predicted, 3, 1).r2, 0.5);
}

Test(metrics, r2_of_numbers_that_do_not_differ_is_one_or_zero_and_of_one_row_none) {
    const float same[] = {2, 2}, other[] = {2, 3};
    cr_expect_eq(score(same, same, 2, 1).r2, 1);
    cr_expect_eq(score(same, other, 2, 1).r2, 0);
    cr_expect(isnan(score(same, same, 1, 1).r2));
    cr_expect_eq(score(same, other, 1, 1).mae, 0);
    cr_expect(isnan(score(same, other, 0, 1).mae));
    cg_number_scores s;
    cr_expect_eq(cg_score_numbers(same, other, 2, 0, &s), CG_ERR_ARGUMENT);
}

Test(metrics, a_predicted_nan_stays_one) {
    const float expected[] = {1, 2}, predicted[] = {1, NAN}, same[] = {1, 1};
    const cg_number_scores s = score(expected, predicted, 2, 1);
    cr_expect(isnan(s.mae) && isnan(s.mse) && isnan(s.r2));
    cr_expect(isnan(score(same, predicted, 2, 1).r2));
}

/* What a callback that was attached later sees. */
typedef struct listener {
    cg_metrics *metrics;
    double accuracy[4];
    size_t count;
} listener;

static cg_status after_epoch(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)trainer;
    listener *l = context;
    EXPECT_NEAR(cg_confusion_accuracy(cg_metrics_confusion(l->metrics)), progress->valid_accuracy);
    l->accuracy[l->count++] = progress->valid_accuracy;
    return CG_OK;
}

static void expect_ordered(const cg_metrics *metrics, int64_t classes) {
    double before = -1;
    for (int64_t i = 0; i < cg_metrics_worst_count(metrics); i++) {
        const cg_wrong_row row = cg_metrics_worst(metrics, i);
        double sum = 0, own = (double)row.probabilities[row.expected];
        for (int64_t c = 0; c < classes; c++) {
            sum += (double)row.probabilities[c];
        }
        cr_expect_lt(fabs(sum - 1), 1e-5);
        cr_expect_neq(row.expected, row.predicted);
        cr_expect_geq(row.probabilities[row.predicted], row.probabilities[row.expected]);
        cr_expect_geq(own, before);
        before = own;
    }
}

Test(metrics, a_callback_has_the_matrix_of_each_validation) {
    small_training s = small_training_begin(SMALL_MODEL, "Adam(lr=0.01)");
    small_training_make(&s, &(cg_train_options){.batch = SMALL_BATCH, .epochs = 2});
    listener l = {0};
    const cg_metrics_options options = {.top_k = 3, .worst = 5};
    cr_assert_eq(cg_metrics_create(s.data, &options, &l.metrics), CG_OK, "%s", cg_error_message());
    cr_assert_eq(cg_metrics_attach(l.metrics, s.trainer), CG_OK);
    cr_expect_eq(cg_metrics_attach(l.metrics, s.trainer), CG_ERR_STATE);
    cr_assert_eq(cg_trainer_attach(s.trainer, &(cg_callback){.context = &l, .after_epoch = after_epoch}), CG_OK);
    cr_assert_eq(cg_trainer_run(s.trainer), CG_OK, "%s", cg_error_message());
    cr_expect_eq(l.count, 2);
    cr_expect_eq(cg_metrics_rows(l.metrics), cg_data_describe(s.data)->rows[CG_SPLIT_VALID]);
    cr_expect_eq(cg_metrics_worst_count(l.metrics), 5);
    expect_ordered(l.metrics, 10);
    int64_t k;
    cr_expect_geq(cg_metrics_top_k(l.metrics, &k), l.accuracy[1]);
    cr_expect_eq(k, 3);
    cg_evaluation evaluation;
    cr_assert_eq(cg_metrics_evaluate_training(l.metrics, s.trainer, CG_SPLIT_TRAIN, &evaluation), CG_OK);
    EXPECT_NEAR(cg_confusion_accuracy(cg_metrics_confusion(l.metrics)), evaluation.accuracy);
    cr_assert_eq(cg_metrics_sample(l.metrics, s.trainer, CG_SPLIT_TRAIN, SMALL_ROWS), CG_OK);
    EXPECT_NEAR(cg_confusion_accuracy(cg_metrics_confusion(l.metrics)), evaluation.accuracy);
    cr_assert_eq(cg_metrics_sample(l.metrics, s.trainer, CG_SPLIT_TRAIN, 60), CG_OK);
    cr_expect_eq(cg_confusion_rows(cg_metrics_confusion(l.metrics)), 60);
    cr_expect(isnan(cg_metrics_numbers(l.metrics).mae));
    small_training_end(&s);
    cg_metrics_destroy(l.metrics);
}

Test(metrics, metrics_of_other_data_and_negative_options_are_refused) {
    small_training s = small_training_begin(SMALL_MODEL, "Adam(lr=0.01)");
    cg_data *other;
    cg_metrics *metrics;
    cg_evaluation evaluation;
    cr_assert_eq(cg_data_load("digits", NULL, &other), CG_OK);
    cr_assert_eq(cg_metrics_create(other, NULL, &metrics), CG_OK);
    small_training_make(&s, &(cg_train_options){.batch = SMALL_BATCH, .epochs = 1});
    cr_expect_eq(cg_metrics_attach(metrics, s.trainer), CG_ERR_ARGUMENT);
    cr_expect_eq(cg_metrics_evaluate(metrics, s.model, s.loss, CG_SPLIT_TEST, SMALL_BATCH, &evaluation), CG_OK);
    cr_expect(cg_metrics_rows(metrics) == 0 && isnan(cg_confusion_accuracy(cg_metrics_confusion(metrics))));
    cg_metrics_destroy(metrics);
    cr_expect_eq(cg_metrics_create(other, &(cg_metrics_options){.worst = -1}, &metrics), CG_ERR_ARGUMENT);
    small_training_end(&s);
    cg_data_destroy(other);
}
