/* clgrad train --find-lr */
#ifndef CLGRAD_TOOLS_FIND_LR_H
#define CLGRAD_TOOLS_FIND_LR_H

#include "training.h"

/* Runs the finder on a training that is open and has not run, and shows the curve; the exit status. */
int find_lr(training *t);

#endif
