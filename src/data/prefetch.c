/* A ring of slots: batch i goes into slot i mod their number, so that order needs no sorting. */
#include "prefetch.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "alloc.h"

/* How far a slot is. A failure's message is kept, as messages are a thread's own. */
typedef struct slot {
    bool ready;
    cg_status status;
    char message[512];
} slot;

struct cg_prefetch {
    cg_prefetch_fill fill;
    void *context;
    int workers, started, slots;
    pthread_t *threads;
    slot *slot;
    /* What follows is read and written under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t work, done;   /* for the threads: something to make; for the caller: something was made */
    int64_t claimed, taken, end; /* the next batch to make, to take; where the pass ends */
    int busy;                    /* threads that are at a batch */
    bool quit;
};

int cg_prefetch_slots(int workers) {
    return workers + 1;
}

static bool has_work(const cg_prefetch *p) {
    return p->claimed < p->end && p->claimed < p->taken + p->slots;
}

static void fill_slot(cg_prefetch *p, int64_t index) {
    slot *to = &p->slot[index % p->slots];
    to->status = p->fill(p->context, index, (int)(index % p->slots));
    if (to->status != CG_OK) {
        size_t length = strlen(cg_error_message());
        length = length < sizeof to->message ? length : sizeof to->message - 1;
        memcpy(to->message, cg_error_message(), length);
        to->message[length] = '\0';
    }
}

static void *work(void *argument) {
    cg_prefetch *p = argument;
    pthread_mutex_lock(&p->lock);
    while (!p->quit) {
        if (!has_work(p)) {
            pthread_cond_wait(&p->work, &p->lock);
            continue;
        }
        int64_t index = p->claimed++;
        p->busy++;
        pthread_mutex_unlock(&p->lock);
        fill_slot(p, index);
        pthread_mutex_lock(&p->lock);
        p->busy--;
        p->slot[index % p->slots].ready = true;
        pthread_cond_signal(&p->done);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* The threads take no signals: they are the program's. */
static cg_status start_threads(cg_prefetch *p) {
    sigset_t all, before;
    int failure = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (p->started < p->workers && failure == 0) {
        failure = pthread_create(&p->threads[p->started], NULL, work, p);
        p->started += failure == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure == 0 ? CG_OK
                        : cg_fail(CG_ERR_MEMORY, "cannot start thread %d of %d that load data: %s", p->started + 1,
                                  p->workers, strerror(failure));
}

cg_status cg_prefetch_create(int workers, cg_prefetch_fill fill, void *context, cg_prefetch **prefetch) {
    *prefetch = NULL;
    cg_prefetch *p = cg_alloc_zero(1, sizeof *p);
    if (p == NULL) {
        return CG_ERR_MEMORY;
    }
    *p = (cg_prefetch){.fill = fill, .context = context, .workers = workers, .slots = cg_prefetch_slots(workers)};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, NULL);
    p->threads = cg_alloc_zero((size_t)workers + 1, sizeof *p->threads);
    p->slot = cg_alloc_zero((size_t)p->slots, sizeof *p->slot);
    cg_status status = p->threads != NULL && p->slot != NULL ? start_threads(p) : CG_ERR_MEMORY;
    if (status != CG_OK) {
        cg_prefetch_destroy(p);
        return status;
    }
    *prefetch = p;
    return CG_OK;
}

void cg_prefetch_destroy(cg_prefetch *p) {
    if (p == NULL) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    p->quit = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->started; i++) {
        pthread_join(p->threads[i], NULL);
    }
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->lock);
    cg_free(p->threads);
    cg_free(p->slot);
    cg_free(p);
}

void cg_prefetch_stop(cg_prefetch *p) {
    pthread_mutex_lock(&p->lock);
    p->end = p->claimed;
    while (p->busy > 0) {
        pthread_cond_wait(&p->done, &p->lock);
    }
    for (int i = 0; i < p->slots; i++) {
        p->slot[i].ready = false;
    }
    pthread_mutex_unlock(&p->lock);
}

void cg_prefetch_start(cg_prefetch *p, int64_t first, int64_t end) {
    pthread_mutex_lock(&p->lock);
    p->claimed = p->taken = first;
    p->end = end;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
}

cg_status cg_prefetch_take(cg_prefetch *p, int *index) {
    *index = (int)(p->taken % p->slots);
    slot *next = &p->slot[*index];
    if (p->workers == 0) {
        fill_slot(p, p->taken);
    } else {
        pthread_mutex_lock(&p->lock);
        while (!next->ready) {
            pthread_cond_wait(&p->done, &p->lock);
        }
        pthread_mutex_unlock(&p->lock);
    }
    return next->status == CG_OK ? CG_OK : cg_fail(next->status, "%s", next->message);
}

void cg_prefetch_release(cg_prefetch *p) {
    pthread_mutex_lock(&p->lock);
    p->slot[p->taken % p->slots].ready = false;
    p->taken++;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
}
