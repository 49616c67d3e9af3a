/* Philox4x32-10 and what is drawn from it. */
#include <clgrad/random.h>

#include <math.h>

static uint32_t high(uint32_t a, uint32_t b) {
    return (uint32_t)(((uint64_t)a * b) >> 32);
}

void cg_philox(uint64_t seed, uint64_t stream, uint64_t index, uint32_t words[4]) {
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32);
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    for (int round = 0; round < 10; round++) {
        uint32_t high0 = high(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        uint32_t high1 = high(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
        c0 = high1 ^ c1 ^ key0;
        c1 = low1;
        c2 = high0 ^ c3 ^ key1;
        c3 = low0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}

float cg_random_uniform(uint64_t seed, uint64_t stream, uint64_t index) {
    uint32_t words[4];
    cg_philox(seed, stream, index / 4, words);
    return (float)(words[index % 4] >> 8) * 0x1p-24f;
}

float cg_random_normal(uint64_t seed, uint64_t stream, uint64_t index) {
    uint32_t words[4];
    cg_philox(seed, stream, index / 2, words);
    uint32_t first = words[index % 2 * 2], second = words[index % 2 * 2 + 1];
    double radius = sqrt(-2.0 * log(((double)first + 1.0) * 0x1p-32)); /* never log(0) */
    return (float)(radius * cos(6.283185307179586 * (double)second * 0x1p-32));
}

/* A number in 0..bound-1 without bias worth naming: 64 random bits times the bound. */
static uint64_t below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t bound) {
    uint32_t words[4];
    cg_philox(seed, stream, index, words);
    uint64_t upper = (uint64_t)words[0] * bound;
    uint64_t lower = ((uint64_t)words[1] * bound) >> 32;
    return (upper + lower) >> 32;
}

void cg_random_permutation(uint64_t seed, uint64_t stream, int64_t n, int64_t *order) {
    for (int64_t i = 0; i < n; i++) {
        order[i] = i;
    }
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)below(seed, stream, (uint64_t)i, (uint64_t)i + 1);
        int64_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}
