/* Ranks: found in a module of its own, so that programs that run alone need no MPI; and waiting for each other. */
#include <clgrad/ranks.h>

#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "library.h"
#include "step_clock.h"

#define MODULE "clgrad-parallel/mpi.so"
#define ENTRY "cg_mpi_open"
#define PATIENCE 0.5 /* seconds, in a hurry */
#define SPIN 50e-6   /* seconds before a wait lets others have the processor */
#define NAP_NANOSECONDS 20000

static volatile sig_atomic_t in_a_hurry;

bool cg_ranks_started(void) {
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "MV2_COMM_WORLD_RANK"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (getenv(names[i]) != NULL) {
            return true;
        }
    }
    return false;
}

cg_status cg_ranks_open(cg_ranks *ranks) {
    *ranks = (cg_ranks){0};
    char path[1024];
    void *module = cg_library_path(MODULE, path, sizeof path) ? dlopen(path, RTLD_NOW | RTLD_GLOBAL) : NULL;
    cg_status (*open)(cg_ranks *) = NULL;
    if (module != NULL) {
        *(void **)&open = dlsym(module, ENTRY); /* POSIX's way around ISO C */
    }
    if (open == NULL) {
        const char *reason = module == NULL ? dlerror() : "it is of another version";
        return cg_fail(CG_ERR_UNSUPPORTED,
                       "several processes that train together need MPI, and this build has none: %s",
                       reason != NULL ? reason : "unknown");
    }
    return open(ranks); /* the module stays: MPI's own threads may be in it */
}

void cg_ranks_close(cg_ranks *ranks) {
    if (ranks->close != NULL) {
        ranks->close(ranks->context);
    }
    *ranks = (cg_ranks){0};
}

void cg_ranks_hurry(void) {
    in_a_hurry = 1;
}

static void rest(double waited) {
    if (waited < SPIN) {
        sched_yield();
    } else {
        nanosleep(&(struct timespec){.tv_nsec = NAP_NANOSECONDS}, NULL);
    }
}

cg_status cg_ranks_wait(const cg_ranks *ranks, void *request) {
    double begin = cg_clock_now();
    for (bool ended = false;;) {
        CG_TRY(ranks->test(ranks->context, request, &ended));
        if (ended) {
            return CG_OK;
        }
        double waited = cg_clock_now() - begin;
        if (in_a_hurry && waited > PATIENCE) {
            return cg_fail(CG_ERR_DEVICE, "another process of this run does not answer any more");
        }
        rest(waited);
    }
}

/* The first row of a rank; of one behind the last: n. */
static int64_t first_row(const cg_ranks *ranks, int rank, int64_t n) {
    return n / ranks->count * rank + n % ranks->count * rank / ranks->count;
}

int64_t cg_ranks_rows(const cg_ranks *ranks, int64_t n, int64_t *first) {
    *first = ranks != NULL ? first_row(ranks, ranks->rank, n) : 0;
    return ranks != NULL ? first_row(ranks, ranks->rank + 1, n) - *first : n;
}
