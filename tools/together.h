/* clgrad train under mpirun: each process its device and its part of the batches, one of them with words and files. */
#ifndef CLGRAD_TOOLS_TOGETHER_H
#define CLGRAD_TOOLS_TOGETHER_H

#include <clgrad/ranks.h>

#include "train_options.h"

/* Joins the other ranks, where mpirun has started this process; else `ranks` are none. The options become those of this
 * rank: its device, and on others than rank 0 no words and no files. OPTIONS_RUN, or an exit status after an error was
 * printed. */
int together_join(cg_ranks *ranks, train_options *options);

bool together(const cg_ranks *ranks);

/* What ranks print and write: everything by rank 0. */
bool together_speaks(const cg_ranks *ranks);

/* All ranks meet here, and wait for the last: EXIT_GOOD when every rank came with that, else the status of the first
 * that did not, and which it was. */
int together_agree(const cg_ranks *ranks, int exit_status, int *first);

/* Ends all ranks at once; returns where there are none. */
void together_abort(const cg_ranks *ranks, int exit_status);

/* Puts the rank in front of the last failure's message, which is about to be printed; returns `status`. */
cg_status together_name(const cg_ranks *ranks, cg_status status);

#endif
