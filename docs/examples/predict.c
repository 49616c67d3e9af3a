/*
 * Inference in a program: two images through a model of the digits that `clgrad train` saved.
 * Usage: example_predict CHECKPOINT [DEVICE]
 */
#include <clgrad/predictor.h>

#include <stdio.h>

#define IMAGES 2
#define PIXELS 64
#define CLASSES 10

/* A 0 and a 7 of 8 x 8 pixels, 0 to 16 as in the data. */
static const float pixels[IMAGES][PIXELS] = {
    {0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0, 0, 3, 15, 2, 0,  11, 8, 0, 0, 4, 12, 0,  0,  8, 8, 0,
     0, 5, 8, 0,  0, 9, 8, 0, 0, 4, 11, 0,  1,  12, 7, 0, 0, 2, 14, 5, 10, 12, 0, 0, 0, 0, 6,  13, 10, 0, 0, 0},
    {0, 0, 7,  8,  13, 16, 15, 1, 0, 0, 7, 7,  4, 11, 12, 0, 0, 0, 0, 0,  8, 13, 1, 0, 0, 4, 8,  8, 15, 15, 6, 0,
     0, 2, 11, 15, 15, 4,  0,  0, 0, 0, 0, 16, 5, 0,  0,  0, 0, 0, 9, 15, 1, 0,  0, 0, 0, 0, 13, 5, 0,  0,  0, 0},
};

/* Load a checkpoint, predict a batch, free. */
static cg_status predict(const char *file, const char *device, const float *x, float *probabilities) {
    cg_predictor *predictor;
    CG_TRY(cg_predictor_open(file, device, &predictor));
    cg_status status = CG_OK;
    if (cg_shape_numel(&cg_predictor_describe(predictor)->sample) != PIXELS ||
        cg_predictor_outputs(predictor) != CLASSES) {
        status = cg_fail(CG_ERR_SHAPE, "%s is no model of 8 x 8 images in 10 classes", file);
    } else {
        status = cg_predictor_run(predictor, x, IMAGES, probabilities);
    }
    cg_predictor_close(predictor);
    return status;
}

static void print_best(const float *probabilities) {
    int best = 0;
    for (int i = 1; i < CLASSES; i++) {
        best = probabilities[i] > probabilities[best] ? i : best;
    }
    printf("%d with %.1f %%\n", best, 100 * probabilities[best]);
}

int main(int argc, char **argv) {
    float x[IMAGES * PIXELS], probabilities[IMAGES * CLASSES];
    for (int i = 0; i < IMAGES * PIXELS; i++) {
        x[i] = pixels[i / PIXELS][i % PIXELS] / 16;
    }
    if (argc < 2 || predict(argv[1], argc > 2 ? argv[2] : "auto", x, probabilities) != CG_OK) {
        fprintf(stderr, "%s\n", argc < 2 ? "example_predict CHECKPOINT [DEVICE]" : cg_error_message());
        return 1;
    }
    for (int i = 0; i < IMAGES; i++) {
        print_best(probabilities + (size_t)i * CLASSES);
    }
    return 0;
}
