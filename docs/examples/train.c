/*
 * A training in a program that listens to it: it prints each epoch, makes the learning rate smaller itself, and ends as
 * soon as the network is good enough.
 * Usage: example_train [DEVICE]
 */
#include <clgrad/train.h>

#include <stdio.h>

#define MODEL "Flatten(), LazyLinear(64), ReLU(), LazyLinear(10)"
#define GOOD_ENOUGH 0.95

/* All that there is, for one place to free it. */
typedef struct parts {
    cg_device *device;
    cg_data *data;
    cg_module *model, *loss;
    cg_optimizer *optimizer;
    cg_trainer *trainer;
} parts;

/* Before each update: the rate is a number that anybody may set. */
static cg_status shrink_rate(void *context, cg_trainer *trainer, const cg_progress *progress) {
    const double *first = context;
    cg_optimizer_set_lr(cg_trainer_optimizer(trainer), *first / (1 + 0.01 * (double)progress->step));
    return CG_OK;
}

static cg_status after_epoch(void *context, cg_trainer *trainer, const cg_progress *progress) {
    (void)context;
    printf("epoch %lld: accuracy %.1f %%, learning rate %.4f\n", (long long)progress->epoch,
           100 * progress->valid_accuracy, progress->lr);
    if (progress->valid_accuracy >= GOOD_ENOUGH) {
        cg_trainer_cancel(trainer); /* from here, from another thread, or from a signal handler */
    }
    return CG_OK;
}

static cg_status build(const char *device, double *lr, parts *p) {
    const cg_train_options options = {.batch = 64, .epochs = 50, .clip_norm = 1};
    CG_TRY(cg_device_open(device, &p->device));
    CG_TRY(cg_data_load("digits", NULL, &p->data));
    CG_TRY(cg_module_parse(p->device, MODEL, &p->model));
    CG_TRY(cg_module_resolve(p->model, &CG_SHAPE(64, 1, 8, 8), NULL));
    CG_TRY(cg_module_init(p->model, 1));
    CG_TRY(cg_module_parse(p->device, "CrossEntropyLoss()", &p->loss));
    CG_TRY(cg_optimizer_parse("Adam(lr=0.01)", p->model, &p->optimizer));
    CG_TRY(cg_trainer_create(p->model, p->loss, p->optimizer, p->data, &options, &p->trainer));
    *lr = cg_optimizer_lr(p->optimizer);
    CG_TRY(cg_trainer_attach(p->trainer, &(cg_callback){.context = lr, .before_step = shrink_rate}));
    return cg_trainer_attach(p->trainer, &(cg_callback){.after_epoch = after_epoch});
}

static void destroy(parts *p) {
    cg_trainer_destroy(p->trainer);
    cg_optimizer_destroy(p->optimizer);
    cg_module_destroy(p->loss);
    cg_module_destroy(p->model);
    cg_data_destroy(p->data);
    cg_device_close(p->device);
}

int main(int argc, char **argv) {
    parts p = {0};
    double lr;
    cg_status status = build(argc > 1 ? argv[1] : "auto", &lr, &p);
    status = status == CG_OK ? cg_trainer_run(p.trainer) : status;
    if (status != CG_ERR_INTERRUPTED) { /* that is: good enough before the last epoch */
        fprintf(stderr, "%s\n", status == CG_OK ? "not good enough after all epochs" : cg_error_message());
    }
    destroy(&p);
    return status == CG_ERR_INTERRUPTED ? 0 : 1;
}
