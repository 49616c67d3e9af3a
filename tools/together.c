/* The command as one of several ranks. */
#include "together.h"

#include <stdio.h>
#include <stdlib.h>

#include "exit_status.h"
#include "options.h"

bool together(const cg_ranks *ranks) {
    return ranks->count > 1;
}

bool together_speaks(const cg_ranks *ranks) {
    return ranks->rank == 0;
}

static void be_silent(train_options *options) {
    options->quiet = true;
    options->json = options->stats = false;
    options->out = options->log = options->report = options->save_best = NULL;
}

/* Several devices are for the ranks of each machine, in their order. */
static int choose_device(const cg_ranks *ranks, train_options *options) {
    const text_list *devices = &options->devices;
    if (devices->count > 1 && !together(ranks)) {
        return usage_error("train", "--device was given %zu times: several devices are for several processes (mpirun)",
                           devices->count);
    }
    options->device = devices->count > 0 ? devices->items[(size_t)ranks->local % devices->count] : NULL;
    return OPTIONS_RUN;
}

int together_join(cg_ranks *ranks, train_options *options) {
    *ranks = (cg_ranks){0};
    if (cg_ranks_started()) {
        cg_status status = cg_ranks_open(ranks);
        if (status != CG_OK) {
            return report_failure(status);
        }
    }
    int chosen = choose_device(ranks, options);
    if (chosen == OPTIONS_RUN && together(ranks) && options->find_lr) {
        chosen = usage_error("train", "--find-lr is for one process, not for %d", ranks->count);
    }
    if (!together_speaks(ranks)) {
        be_silent(options);
    }
    return chosen;
}

void together_abort(const cg_ranks *ranks, int exit_status) {
    if (together(ranks)) {
        fflush(NULL);
        ranks->abort(ranks->context, exit_status);
    }
}

cg_status together_name(const cg_ranks *ranks, cg_status status) {
    return ranks->rank > 0 ? cg_fail_context(status, "rank %d of %d: ", ranks->rank, ranks->count) : status;
}

static cg_status gather(const cg_ranks *ranks, double *statuses) {
    void *request;
    CG_TRY(ranks->begin_sum(ranks->context, statuses, (size_t)ranks->count, CG_F64, &request));
    return cg_ranks_wait(ranks, request);
}

int together_agree(const cg_ranks *ranks, int exit_status, int *first) {
    *first = 0;
    if (!together(ranks)) {
        return exit_status;
    }
    cg_status status = CG_OK;
    double *statuses = calloc((size_t)ranks->count, sizeof *statuses);
    if (statuses) {
        statuses[ranks->rank] = exit_status;
        status = gather(ranks, statuses);
    } else {
        status = cg_fail(CG_ERR_MEMORY, "out of memory");
    }
    if (status != CG_OK) {
        together_abort(ranks, report_failure(together_name(ranks, status)));
    }
    while (status == CG_OK && *first < ranks->count - 1 && (int)statuses[*first] == EXIT_GOOD) {
        ++*first;
    }
    int agreed = status == CG_OK ? (int)statuses[*first] : EXIT_DEVICE;
    free(statuses);
    return agreed;
}
