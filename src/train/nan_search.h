/*
 * Where a NaN came from. A loss that is none is seen some steps late, when the weights are spoiled; but an epoch's
 * steps can be repeated from a copy of the state at its begin, bit for bit. The last two are looked at op by op: the
 * one whose loss is NaN, and the one before, whose gradient or update may have made the weights so.
 */
#ifndef CLGRAD_NAN_SEARCH_H
#define CLGRAD_NAN_SEARCH_H

#include "trainer.h"

/* Puts what was found on the failing update into `text`, "" where nothing was: "the first NaN came out of ...". The
 * model's state is spoiled as it was. */
void cg_trainer_find_nan(cg_trainer *trainer, int64_t step, char *text, size_t size);

#endif
