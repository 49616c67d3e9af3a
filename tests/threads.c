/*
 * Several threads, each with its own device, tape, model and optimizer, meet in what the process shares: the registry
 * and its plug-ins, the lists of devices, the error texts, the counted heap, the drivers' caches. All train the same
 * steps and must end with the same loss, to the bit, on the same device.
 *
 * A program of its own, without the test framework, so that the thread sanitizer can run it (preset tsan).
 * Usage: threads [DEVICE...]; each device is used by two threads at a time.
 */
#include <clgrad/clgrad.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEVICES 16
#define THREADS_A_DEVICE 2
#define ROUNDS 3
#define STEPS 5

typedef struct worker {
    pthread_t thread;
    const char *device;
    int number;
    double loss;       /* of the last step */
    char message[512]; /* what went wrong; "" for nothing */
} worker;

static pthread_barrier_t start;

static void complain(worker *self, const char *what) {
    if (self->message[0] == '\0') {
        snprintf(self->message, sizeof self->message, "%s: %s", what, cg_error_message());
    }
}

#define NEED(call)                                                                                                     \
    do {                                                                                                               \
        if ((call) != CG_OK) {                                                                                         \
            complain(self, #call);                                                                                     \
        }                                                                                                              \
    } while (0)

/* Loaders whose threads prepare batches, one left in the middle of its pass. */
static void load_in_background(worker *self, cg_device *device) {
    const cg_data_options options = {.valid = -1, .workers = 1 + self->number % 3};
    cg_data *data = NULL;
    cg_loader *loader = NULL;
    cg_batch batch = {.n = 1};
    NEED(cg_data_load("digits", &options, &data));
    if (data != NULL) {
        NEED(cg_loader_create(device, data, CG_SPLIT_TRAIN, 100, &loader));
    }
    for (uint64_t epoch = 0; loader != NULL && epoch < 2; epoch++) {
        NEED(cg_loader_start(loader, true, 0, epoch));
        for (int taken = 0; taken < 20 && batch.n > 0; taken++) {
            NEED(cg_loader_next(loader, &batch));
        }
        batch.n = 1;
    }
    cg_loader_destroy(loader);
    cg_data_destroy(data);
}

/* The text of a failure is this thread's own, whatever the others do in between. */
static void check_error_text(worker *self) {
    char expected[64];
    snprintf(expected, sizeof expected, "thread %d has failed", self->number);
    cg_fail(CG_ERR_STATE, "%s", expected);
    cg_device_info infos[32];
    size_t count = 0;
    NEED(cg_device_list(infos, 32, &count));
    cg_backend_problem problems[8];
    cg_backend_problems(problems, 8);
    cg_device *none = NULL;
    cg_status status = cg_device_open("nothing of that name", &none);
    if (status != CG_ERR_DEVICE || strstr(cg_error_message(), "nothing of that name") == NULL) {
        complain(self, "an unknown device");
    }
    cg_fail(CG_ERR_STATE, "%s", expected);
    if (strcmp(cg_error_message(), expected) != 0) {
        complain(self, "another thread's message");
    }
}

/* The same random numbers in every thread. */
static void check_random(worker *self) {
    int64_t order[64], again[64];
    cg_random_permutation(7, 1, 64, order);
    cg_random_permutation(7, 1, 64, again);
    if (memcmp(order, again, sizeof order) != 0 || cg_random_normal(7, 2, 3) != cg_random_normal(7, 2, 3)) {
        complain(self, "random numbers");
    }
}

typedef struct training {
    cg_device *device;
    cg_tape *tape;
    cg_module *model;
    cg_optimizer *optimizer;
    cg_schedule *schedule;
    cg_tensor *x, *y;
} training;

static void begin(worker *self, training *t) {
    NEED(cg_device_open(self->device, &t->device));
    NEED(cg_module_parse(t->device, "Linear(6, 8), ReLU(), LazyLinear(3)", &t->model));
    NEED(cg_module_resolve(t->model, &CG_SHAPE(5, 6), NULL));
    NEED(cg_module_init(t->model, 11));
    NEED(cg_optimizer_parse("Adam(lr=0.01)", t->model, &t->optimizer));
    NEED(cg_schedule_parse("StepLR(step_size=2)", 0.01, 0.9, &t->schedule));
    NEED(cg_tensor_create(t->device, cg_device_real(t->device), &CG_SHAPE(5, 6), &t->x));
    NEED(cg_tensor_create(t->device, CG_I64, &CG_SHAPE(5), &t->y));
    t->tape = cg_tape_create(t->device);
    if (t->tape == NULL) {
        complain(self, "cg_tape_create");
    }
}

static void step(worker *self, training *t, int number) {
    float values[30];
    int64_t classes[5];
    for (uint64_t i = 0; i < 30; i++) {
        values[i] = cg_random_normal(5, (uint64_t)number, i);
        classes[i % 5] = (int64_t)(i % 3);
    }
    double lr, momentum;
    NEED(cg_tensor_write_f32(t->x, values, 30));
    NEED(cg_tensor_write(t->y, classes, sizeof classes));
    NEED(cg_schedule_at(t->schedule, number, &lr, &momentum));
    cg_optimizer_set_lr(t->optimizer, lr);
    cg_tensor *logits = cg_module_forward(t->model, t->tape, t->x);
    cg_tensor *loss = cg_cross_entropy(t->tape, logits, t->y, CG_REDUCE_MEAN);
    NEED(cg_backward(t->tape, loss));
    NEED(cg_optimizer_step(t->optimizer, t->tape));
    NEED(cg_tensor_item(loss, &self->loss));
    NEED(cg_tape_run(t->tape));
}

static void end(worker *self, training *t) {
    NEED(t->device != NULL ? cg_device_wait(t->device) : CG_ERR_DEVICE);
    cg_tape_destroy(t->tape);
    cg_tensor_destroy(t->x);
    cg_tensor_destroy(t->y);
    cg_schedule_destroy(t->schedule);
    cg_optimizer_destroy(t->optimizer);
    cg_module_destroy(t->model);
    cg_device_close(t->device);
}

static void *work(void *context) {
    worker *self = context;
    pthread_barrier_wait(&start);
    for (int round = 0; round < ROUNDS && self->message[0] == '\0'; round++) {
        training t = {0};
        check_error_text(self);
        check_random(self);
        begin(self, &t);
        for (int i = 0; i < STEPS && self->message[0] == '\0'; i++) {
            step(self, &t, i);
        }
        if (t.device != NULL) {
            load_in_background(self, t.device);
        }
        end(self, &t);
    }
    return NULL;
}

/* False when a thread has complained, or two on one device disagree. */
static bool agree(const worker *workers, int count) {
    bool good = true;
    for (int i = 0; i < count; i++) {
        const worker *self = &workers[i], *first = &workers[i - i % THREADS_A_DEVICE];
        if (self->message[0] != '\0') {
            fprintf(stderr, "thread %d on %s: %s\n", i, self->device, self->message);
            good = false;
        } else if (self->loss != first->loss || !isfinite(self->loss)) {
            fprintf(stderr, "%s: thread %d has loss %.17g, thread %d %.17g\n", self->device, i, self->loss,
                    first->number, first->loss);
            good = false;
        }
    }
    return good;
}

int main(int argc, char *argv[]) {
    static const char *const usual[] = {"cpu", "reference", "cpu,threads=1"};
    worker workers[MAX_DEVICES * THREADS_A_DEVICE] = {0};
    int devices = argc > 1 ? argc - 1 : 3, count = devices * THREADS_A_DEVICE;
    if (devices > MAX_DEVICES || pthread_barrier_init(&start, NULL, (unsigned)count) != 0) {
        fprintf(stderr, "threads: %d devices are too many\n", devices);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        int device = i / THREADS_A_DEVICE;
        workers[i].number = i;
        workers[i].device = argc > 1 ? argv[device + 1] : usual[device];
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            fprintf(stderr, "threads: thread %d cannot be started\n", i);
            return 2;
        }
    }
    for (int i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    pthread_barrier_destroy(&start);
    bool good = agree(workers, count);
    printf("%d threads on %d devices, %d trainings each: %s\n", count, devices, ROUNDS, good ? "agree" : "FAIL");
    return good ? 0 : 1;
}
