/* Shuffles of pixels and channels: axes split, permuted and joined. */
#include <inttypes.h>

#include <clgrad/ops_shape.h>

#include "spatial.h"

/* The last three axes of x and what comes before them as one; false and a failed tape when there are not so many. */
static bool read_image(cg_tape *tape, const char *name, cg_tensor *x, int64_t factor, int64_t image[4]) {
    if (!cg_tape_accepts(tape, name, &x, 1)) {
        return false;
    }
    const cg_shape *shape = cg_tensor_shape(x);
    if (shape->rank < 3) {
        cg_tape_fail(tape, CG_ERR_SHAPE, "%s: the input is %s: [.., channels, height, width] expected", name,
                     cg_shape_print(shape, CG_SHAPE_TEXT));
        return false;
    }
    if (factor < 1 || factor > CG_SPATIAL_LIMIT) {
        cg_tape_fail(tape, CG_ERR_ARGUMENT, "%s: a factor of %lld: 1 to %d are possible", name, (long long)factor,
                     CG_SPATIAL_LIMIT);
        return false;
    }
    image[0] = 1;
    for (int i = 0; i < shape->rank - 3; i++) {
        image[0] *= shape->dim[i];
    }
    for (int i = 0; i < 3; i++) {
        image[1 + i] = shape->dim[shape->rank - 3 + i];
    }
    return true;
}

/* x in the shape `split`, its axes in this order, the last three of the result joined to channels, height and width. */
static cg_tensor *shuffle(cg_tape *tape, cg_tensor *x, const cg_shape *split, const int *order, int64_t channels,
                          int64_t height, int64_t width) {
    cg_shape result = *cg_tensor_shape(x);
    result.dim[result.rank - 3] = channels;
    result.dim[result.rank - 2] = height;
    result.dim[result.rank - 1] = width;
    return cg_reshape(tape, cg_permute(tape, cg_reshape(tape, x, split), order), &result);
}

cg_tensor *cg_pixel_shuffle(cg_tape *tape, cg_tensor *x, int64_t factor) {
    int64_t image[4], r = factor;
    if (!read_image(tape, "pixel_shuffle", x, factor, image)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    int64_t channels = image[1] / (r * r), h = image[2], w = image[3];
    if (channels * r * r != image[1]) {
        return cg_tape_fail(tape, CG_ERR_SHAPE,
                            "pixel_shuffle: the input is %s: its channels must be a multiple of %" PRId64,
                            cg_shape_print(cg_tensor_shape(x), CG_SHAPE_TEXT), r * r);
    }
    static const int order[] = {0, 1, 4, 2, 5, 3};
    return shuffle(tape, x, &CG_SHAPE(image[0], channels, r, r, h, w), order, channels, h * r, w * r);
}

cg_tensor *cg_pixel_unshuffle(cg_tape *tape, cg_tensor *x, int64_t factor) {
    int64_t image[4], r = factor;
    if (!read_image(tape, "pixel_unshuffle", x, factor, image)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    int64_t h = image[2] / r, w = image[3] / r;
    if (h * r != image[2] || w * r != image[3]) {
        return cg_tape_fail(tape, CG_ERR_SHAPE,
                            "pixel_unshuffle: the input is %s: height and width must be multiples of %lld",
                            cg_shape_print(cg_tensor_shape(x), CG_SHAPE_TEXT), (long long)r);
    }
    static const int order[] = {0, 1, 3, 5, 2, 4};
    return shuffle(tape, x, &CG_SHAPE(image[0], image[1], h, r, w, r), order, image[1] * r * r, h, w);
}

cg_tensor *cg_channel_shuffle(cg_tape *tape, cg_tensor *x, int64_t groups) {
    if (!cg_tape_accepts(tape, "channel_shuffle", &x, 1)) {
        return cg_tape_fail_status(tape, cg_tape_status(tape));
    }
    cg_shape shape = *cg_tensor_shape(x);
    if (shape.rank < 3) {
        return cg_tape_fail(tape, CG_ERR_SHAPE, "channel_shuffle: the input is %s: [n, channels, ..] expected",
                            cg_shape_print(&shape, CG_SHAPE_TEXT));
    }
    if (groups < 1 || shape.dim[1] % groups != 0) {
        return cg_tape_fail(tape, CG_ERR_ARGUMENT, "channel_shuffle: %lld groups of the %lld channels of %s",
                            (long long)groups, (long long)shape.dim[1], cg_shape_print(&shape, CG_SHAPE_TEXT));
    }
    int64_t rest = 1;
    for (int i = 2; i < shape.rank; i++) {
        rest *= shape.dim[i];
    }
    cg_shape split = CG_SHAPE(shape.dim[0], groups, shape.dim[1] / groups, rest);
    static const int order[] = {0, 2, 1, 3};
    return cg_reshape(tape, cg_permute(tape, cg_reshape(tape, x, &split), order), &shape);
}
