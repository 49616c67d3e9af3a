/* All of clgrad's public headers, and its version. */
#ifndef CLGRAD_H
#define CLGRAD_H

#include <clgrad/activations.h>
#include <clgrad/backend.h>
#include <clgrad/check.h>
#include <clgrad/checkpoint.h>
#include <clgrad/custom.h>
#include <clgrad/data.h>
#include <clgrad/device.h>
#include <clgrad/find_lr.h>
#include <clgrad/init.h>
#include <clgrad/losses.h>
#include <clgrad/metrics.h>
#include <clgrad/nn.h>
#include <clgrad/ops.h>
#include <clgrad/optim.h>
#include <clgrad/predictor.h>
#include <clgrad/random.h>
#include <clgrad/ranks.h>
#include <clgrad/schedule.h>
#include <clgrad/spatial.h>
#include <clgrad/status.h>
#include <clgrad/tape.h>
#include <clgrad/tensor.h>
#include <clgrad/train.h>
#include <clgrad/types.h>
#include <clgrad/verify.h>

#define CG_VERSION "0.1.0"

#endif
