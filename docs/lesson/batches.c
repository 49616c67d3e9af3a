/*
 * Chapter 8: batches by hand, the same as the library's; and a training loop of nothing but our own parts beside one of
 * the library's.
 *
 *     lesson_batches --device cpu
 */
#include "lesson.h"

#include <math.h>
#include <stdio.h>

/* Without shuffling, our batches and the loader's must be the same images and the same digits. */
static cg_status same_batches(lesson *l, lesson_batches *ours, cg_loader *theirs) {
    cg_tensor *x = NULL, *y = NULL;
    cg_batch batch = {0};
    int64_t count = 0, last = 0;
    CG_TRY(lesson_batches_start(l, ours, false, 0));
    CG_TRY(cg_loader_start(theirs, false, 0, 0));
    for (; lesson_batches_next(l->tape, ours, &x, &y); count++) {
        double images = 0, digits = 0;
        CG_TRY(cg_loader_next(theirs, &batch));
        last = batch.n;
        cg_tensor *their_x = cg_reshape(l->tape, batch.x, &CG_SHAPE(batch.n, LESSON_PIXELS));
        cg_tensor *their_y = cg_reshape(l->tape, cg_cast(l->tape, batch.y, CG_F32), &CG_SHAPE(batch.n, 1));
        CG_TRY(lesson_difference(x, their_x, &images));
        CG_TRY(lesson_difference(y, their_y, &digits));
        CG_TRY(lesson_within("our batch against the loader's", images + digits, 0));
        CG_TRY(cg_tape_run(l->tape));
    }
    printf("%lld batches, the last one of %lld images: the same as the loader's\n", (long long)count, (long long)last);
    return CG_OK;
}

static cg_status against_loader(lesson *l, lesson_batches *ours, int64_t n) {
    cg_data *data = NULL;
    cg_loader *loader = NULL;
    CG_TRY(cg_data_load(lesson_text(l, "data"), &(cg_data_options){.valid = -1, .limit = n}, &data));
    cg_status status = cg_loader_create(l->device, data, CG_SPLIT_TRAIN, LESSON_BATCH, &loader);
    status = status != CG_OK ? status : same_batches(l, ours, loader);
    cg_loader_destroy(loader);
    cg_data_destroy(data);
    return status;
}

/* In any order every image comes once. */
static cg_status check_order(lesson *l, lesson_batches *b, uint64_t epoch) {
    int64_t n = cg_tensor_shape(b->x)->dim[0];
    double first[5] = {0}, squares = 0;
    CG_TRY(lesson_batches_start(l, b, true, epoch));
    cg_tensor *index = cg_cast(l->tape, b->order, CG_I64), *ones = cg_full(l->tape, &CG_SHAPE(n), 1);
    cg_tensor *counts = cg_scatter_add(l->tape, cg_full(l->tape, &CG_SHAPE(n), 0), 0, index, ones);
    cg_tensor *wrong = cg_sub(l->tape, counts, ones);
    CG_TRY(cg_tensor_item(cg_sum(l->tape, cg_square(l->tape, wrong), CG_ALL_AXES, false), &squares));
    CG_TRY(cg_tensor_read_f64(cg_slice(l->tape, b->order, 0, 0, 5, 1), first, 5));
    CG_TRY(lesson_within("images that do not come once", squares, 0));
    printf("epoch %llu: %.0f %.0f %.0f %.0f %.0f ..., each image once\n", (unsigned long long)epoch, first[0], first[1],
           first[2], first[3], first[4]);
    return cg_tape_run(l->tape);
}

/* The library's, with our weights. */
static cg_status make_theirs(lesson *l, const lesson_parts *ours, lesson_training *t) {
    CG_TRY(cg_module_parse(l->device, "Linear(784, 50), ReLU(), Linear(50, 10)", &t->model));
    CG_TRY(lesson_training_restart(t, "SGD(lr=0.1)"));
    for (int i = 0; i < 3; i += 2) {
        const char *const names[] = {"0.weight", "0.bias", NULL, NULL, "2.weight", "2.bias"};
        CG_TRY(cg_copy(l->tape, cg_module_find(t->model, names[2 * i]),
                       cg_transpose(l->tape, ours->layers[i].in[1], 0, 1)));
        CG_TRY(cg_copy(l->tape, cg_module_find(t->model, names[2 * i + 1]), ours->layers[i].in[2]));
    }
    return cg_tape_run(l->tape);
}

/* The same step of the library's parts, on the same batch. */
static cg_status their_step(lesson *l, const lesson_training *t, cg_tensor *x, cg_tensor *y, double *value) {
    cg_tape_set_mode(l->tape, CG_TRAIN);
    cg_tensor *digits = cg_reshape(l->tape, cg_cast(l->tape, y, CG_I64), &CG_SHAPE(cg_tensor_shape(x)->dim[0]));
    cg_tensor *loss = cg_cross_entropy(l->tape, cg_module_forward(t->model, l->tape, x), digits, CG_REDUCE_MEAN);
    CG_TRY(cg_backward(l->tape, loss));
    CG_TRY(cg_optimizer_step(t->optimizer, l->tape));
    return cg_tensor_item(loss, value);
}

/* Both from the same weights through the same batches. */
static cg_status train_both(lesson *l, lesson_batches *b, lesson_parts *ours, const lesson_training *theirs) {
    cg_tensor *x = NULL, *y = NULL;
    for (uint64_t epoch = 1; epoch <= 2; epoch++) {
        double mean = 0, furthest = 0, count = 0;
        CG_TRY(lesson_batches_start(l, b, true, epoch));
        for (; lesson_batches_next(l->tape, b, &x, &y); count++) {
            double loss = 0, their_loss = 0;
            CG_TRY(lesson_parts_step(l, ours, x, y, &loss));
            CG_TRY(their_step(l, theirs, x, y, &their_loss));
            CG_TRY(cg_tape_run(l->tape));
            mean += loss;
            furthest = fmax(furthest, fabs(loss - their_loss));
        }
        CG_TRY(lesson_within("our loss against the library's", furthest, 1e-4));
        printf("epoch %d: mean loss of our loop %.3f, each step's within 1e-4 of the library's\n", (int)epoch,
               mean / count);
    }
    return CG_OK;
}

static cg_status compare(lesson *l, lesson_batches *batches, lesson_training *theirs) {
    lesson_parts ours = {0};
    CG_TRY(lesson_parts_make(l, 0.1, &ours));
    CG_TRY(make_theirs(l, &ours, theirs));
    return train_both(l, batches, &ours, theirs);
}

static cg_status run(lesson *l) {
    lesson_batches batches = {.size = LESSON_BATCH};
    lesson_training theirs = {0};
    int64_t n = 0;
    CG_TRY(lesson_count(l, "rows", &n));
    CG_TRY(lesson_images(l, CG_SPLIT_TRAIN, n, false, &batches.x, &batches.y));
    CG_TRY(against_loader(l, &batches, n));
    CG_TRY(check_order(l, &batches, 1));
    CG_TRY(check_order(l, &batches, 2));
    cg_status status = compare(l, &batches, &theirs);
    lesson_training_close(l, &theirs);
    return status;
}

int main(int argc, char *argv[]) {
    lesson_flag flags[] = {
        {"data", "mnist", "mnist, or a folder with its four files"}, {"rows", "1010", "how many images"}, {0}};
    return lesson_main(argc, argv, flags, run);
}
