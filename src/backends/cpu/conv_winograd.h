/* Convolutions of 3 x 3 by Winograd's filtering: which, the three passes, and what they share. */
#ifndef CLGRAD_CPU_CONV_WINOGRAD_H
#define CLGRAD_CPU_CONV_WINOGRAD_H

#include "conv.h"

/* Whether a convolution is of this kind, and large enough to gain. */
bool cpu_winograd_takes(const cpu_convolution *v, cpu_conv_operand pass);

/* Whether all numbers are finite and small enough for sums of them. */
bool cpu_winograd_range(const cpu_device *device, const float *x, int64_t n);

/* y, or the gradient of x. */
cg_status cpu_winograd(cpu_device *device, const cpu_convolution *v, cpu_conv_operand pass) CG_MUST_USE;
cg_status cpu_winograd_weight(cpu_device *device, const cpu_convolution *v) CG_MUST_USE;

/* Planes of images, as rows of tiles of 2 x 2. A row of tiles is a line; the lines of all images follow each other. */
typedef struct cpu_tiling {
    int64_t height, width, plane; /* elements */
    int64_t channels;
    int64_t high, wide, lines; /* tiles: lines of an image, tiles of a line, lines of all images */
} cpu_tiling;

cpu_tiling cpu_tiling_of(int64_t images, int64_t channels, int64_t height, int64_t width, int64_t high, int64_t wide);

/* How many lines to do at a time: such that at most `tiles` tiles, but a line at least, come near a multiple of `unit`.
 */
int64_t cpu_tiling_lines(const cpu_tiling *tiling, int64_t tiles, int unit);

/* Floats of memory that the next two want. */
size_t cpu_tiling_memory(const cpu_tiling *tiling);

/* Transforms the patches of 4 x 4 of one channel for lines first..first+count-1; patches begin edge[0] rows above and
 * edge[1] columns left of their tiles, and read zeros outside of the image. to[point * step + tile]; up to
 * CPU_TILING_ROOM floats behind the last tile of a point may be written, too. */
#define CPU_TILING_ROOM 8
void cpu_tiling_patches(const cpu_tiling *tiling, const float *x, int64_t channel, const int64_t edge[2], int64_t first,
                        int64_t count, float *to, int64_t step, float *memory);

/* The same of the 2 x 2 numbers of the tiles themselves, as filters. */
void cpu_tiling_filters(const cpu_tiling *tiling, const float *y, int64_t channel, int64_t first, int64_t count,
                        float *to, int64_t step, float *memory);

/* y[2 i + j][tile], row i and column j of the tiles' results plus `bias`, to the channel's planes, or added to them. */
void cpu_tiling_store(const cpu_tiling *tiling, float *const y[4], float bias, bool add, float *to, int64_t channel,
                      int64_t first, int64_t count);

#endif
