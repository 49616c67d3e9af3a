/*
 * Several threads, one predictor: each predicts its own samples, some of a row and some of many, and must get the bits
 * that it gets alone. A program of its own, as threads.c, for the thread sanitizer. Usage: predict_threads [DEVICE...]
 */
#include <clgrad/clgrad.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS 4
#define ROUNDS 6
#define FEATURES 6
#define CLASSES 3
#define ROWS 300 /* more than go through a model at a time */

typedef struct worker {
    pthread_t thread;
    cg_predictor *predictor;
    int number;
    float x[ROWS * FEATURES], alone[ROWS * CLASSES], outputs[ROWS * CLASSES];
    char message[512]; /* what went wrong; "" for nothing */
} worker;

static pthread_barrier_t start;

static int64_t rows_of(const worker *self) {
    return self->number % 2 == 0 ? ROWS : 1 + self->number;
}

static void complain(worker *self, const char *what) {
    if (self->message[0] == '\0') {
        snprintf(self->message, sizeof self->message, "%s: %s", what, cg_error_message());
    }
}

/* A failure on one thread is no other's, and does not stop them. */
static void *work(void *context) {
    worker *self = context;
    pthread_barrier_wait(&start);
    for (int round = 0; round < ROUNDS; round++) {
        memset(self->outputs, 0, sizeof self->outputs);
        if (cg_predictor_run(self->predictor, self->x, rows_of(self), self->outputs) != CG_OK) {
            complain(self, "cg_predictor_run");
        }
        if (memcmp(self->outputs, self->alone, (size_t)rows_of(self) * CLASSES * sizeof(float)) != 0) {
            complain(self, "other bits than alone");
        }
        if (cg_predictor_run(self->predictor, self->x, -1 - self->number, self->outputs) != CG_ERR_ARGUMENT) {
            complain(self, "a negative number of samples");
        }
    }
    return NULL;
}

static bool make_checkpoint(const char *path) {
    cg_device *device = NULL;
    cg_module *model = NULL;
    char text[256];
    bool good = cg_device_open("reference", &device) == CG_OK &&
                cg_module_parse(device, "Linear(6, 8), BatchNorm1d(8), ReLU(), Linear(8, 3)", &model) == CG_OK &&
                cg_module_init(model, 11) == CG_OK;
    if (good) {
        cg_module_print(model, text, sizeof text);
        const cg_checkpoint_info info = {.model = text, .sample = CG_SHAPE(FEATURES), .classes = CLASSES};
        good = cg_checkpoint_save(path, model, NULL, &info) == CG_OK;
    }
    cg_module_destroy(model);
    cg_device_close(device);
    return good;
}

/* Draws each worker's samples and predicts them while nobody else does. */
static bool predict_alone(worker *workers, cg_predictor *predictor) {
    for (int i = 0; i < THREADS; i++) {
        worker *self = &workers[i];
        *self = (worker){.predictor = predictor, .number = i};
        for (uint64_t k = 0; k < ROWS * FEATURES; k++) {
            self->x[k] = (float)cg_random_normal(5, (uint64_t)i, k);
        }
        if (cg_predictor_run(predictor, self->x, rows_of(self), self->alone) != CG_OK) {
            return false;
        }
    }
    return true;
}

static bool run_together(worker *workers, const char *device) {
    bool good = pthread_barrier_init(&start, NULL, THREADS) == 0;
    int started = 0;
    while (good && started < THREADS) {
        good = pthread_create(&workers[started].thread, NULL, work, &workers[started]) == 0;
        started += good;
    }
    if (!good) { /* those that wait at the barrier would wait for ever */
        fprintf(stderr, "predict_threads: thread %d cannot be started\n", started);
        exit(2);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        if (workers[i].message[0] != '\0') {
            fprintf(stderr, "thread %d on %s: %s\n", i, device, workers[i].message);
            good = false;
        }
    }
    pthread_barrier_destroy(&start);
    return good;
}

static bool check_device(worker *workers, const char *path, const char *device) {
    cg_predictor *predictor;
    if (cg_predictor_open(path, device, &predictor) != CG_OK || !predict_alone(workers, predictor)) {
        fprintf(stderr, "%s: %s\n", device, cg_error_message());
        return false;
    }
    bool good = run_together(workers, device);
    cg_predictor_close(predictor);
    printf("%d threads with one predictor on %s: %s\n", THREADS, device, good ? "agree" : "FAIL");
    return good;
}

int main(int argc, char *argv[]) {
    static const char *const usual[] = {"cpu", "reference"};
    char path[] = "predict_threads_XXXXXX";
    worker *workers = calloc(THREADS, sizeof *workers);
    int file = mkstemp(path);
    bool good = workers != NULL && file >= 0 && close(file) == 0 && make_checkpoint(path);
    for (int i = 0; good && i < (argc > 1 ? argc - 1 : 2); i++) {
        good = check_device(workers, path, argc > 1 ? argv[i + 1] : usual[i]);
    }
    unlink(path);
    free(workers);
    return good ? 0 : 1;
}
