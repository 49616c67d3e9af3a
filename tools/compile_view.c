#include "compile_view.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include <clgrad/device.h>

#include "terminal.h"

#define QUIET_SECONDS 1.0
#define DRAW_NANOSECONDS 200000000

/* A thread draws, since the thread that compiles is busy. It is started by the first program that is compiled. */
static struct {
    pthread_mutex_t lock;
    pthread_t thread;
    bool running, stop, drawn;
    char what[64]; /* "": nothing is compiled now */
    double begun, spent;
    unsigned done;
} view = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void draw(void) {
    double spent = view.spent + (monotonic_seconds() - view.begun);
    if (view.what[0] && spent > QUIET_SECONDS) {
        fprintf(stderr, "\r\033[Kcompiling kernels, once for this driver: %s (%u done, %.0f s)", view.what, view.done,
                spent);
        view.drawn = true;
    }
}

static void *run(void *unused) {
    (void)unused;
    const struct timespec pause = {.tv_nsec = DRAW_NANOSECONDS};
    for (bool stop = false; !stop;) {
        nanosleep(&pause, NULL);
        pthread_mutex_lock(&view.lock);
        draw();
        stop = view.stop;
        pthread_mutex_unlock(&view.lock);
    }
    return NULL;
}

static void clear(void) {
    if (view.drawn) {
        fputs("\r\033[K", stderr);
        view.drawn = false;
    }
}

static void watch(void *unused, const char *what) {
    (void)unused;
    pthread_mutex_lock(&view.lock);
    if (what) {
        snprintf(view.what, sizeof view.what, "%s", what);
        view.begun = monotonic_seconds();
        view.running = view.running || pthread_create(&view.thread, NULL, run, NULL) == 0;
    } else {
        view.spent += monotonic_seconds() - view.begun;
        view.what[0] = 0;
        view.done++;
        clear();
    }
    pthread_mutex_unlock(&view.lock);
}

void compile_view_open(void) {
    if (terminal_is_live(stderr)) {
        cg_compile_watch(watch, NULL);
    }
}

void compile_view_close(void) {
    cg_compile_watch(NULL, NULL);
    pthread_mutex_lock(&view.lock);
    bool running = view.running;
    view.stop = true;
    pthread_mutex_unlock(&view.lock);
    if (running) {
        pthread_join(view.thread, NULL);
    }
}
