/* A term of a convolution's sum, or a column of its result: what conv_sides.cl writes and conv_gpu.cl reads. */
typedef struct {
    uint reach; /* bytes into the image: of a term and a column together, where both meet inside it */
    uint bits;  /* of both together all are set where they do */
    uint place; /* of a term its bytes into a row of the left matrix, of a column its element of a row of the result */
} side;

static inline side side_of(uint reach, uint bits, uint place) {
    side result;
    result.reach = reach;
    result.bits = bits;
    result.place = place;
    return result;
}

static inline uint in_bytes(uint elements) {
    return elements * (uint)sizeof(float);
}
