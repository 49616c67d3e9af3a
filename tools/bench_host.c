#include "bench_host.h"

#include <pthread.h>
#include <stdlib.h>

#include "terminal.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

/* A unit has 2 to 4 of them under way for each of 4 to 5 cycles: as many chains as registers hold keep it busy. */
#define X86_CHAINS 12
#define CHAINS 20

typedef float (*chains_fn)(long rounds);

typedef struct chains {
    chains_fn run;
    double flops; /* of one round */
} chains;

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static float chains_avx512(long rounds) {
    __m512 x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(1e-3f), sum = y, a[X86_CHAINS];
    for (int i = 0; i < X86_CHAINS; i++) {
        a[i] = _mm512_set1_ps((float)i);
    }
    for (long round = 0; round < rounds; round++) {
        for (int i = 0; i < X86_CHAINS; i++) {
            a[i] = _mm512_fmadd_ps(a[i], x, y);
        }
    }
    for (int i = 0; i < X86_CHAINS; i++) {
        sum = _mm512_add_ps(sum, a[i]);
    }
    return _mm512_cvtss_f32(sum);
}

__attribute__((target("avx2,fma"))) static float chains_avx2(long rounds) {
    __m256 x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(1e-3f), sum = y, a[X86_CHAINS];
    for (int i = 0; i < X86_CHAINS; i++) {
        a[i] = _mm256_set1_ps((float)i);
    }
    for (long round = 0; round < rounds; round++) {
        for (int i = 0; i < X86_CHAINS; i++) {
            a[i] = _mm256_fmadd_ps(a[i], x, y);
        }
    }
    for (int i = 0; i < X86_CHAINS; i++) {
        sum = _mm256_add_ps(sum, a[i]);
    }
    return _mm256_cvtss_f32(sum);
}
#endif

#if defined(__ARM_NEON)
static float chains_plain(long rounds) {
    float32x4_t x = vdupq_n_f32(0.999f), y = vdupq_n_f32(1e-3f), sum = y, a[CHAINS];
    for (int i = 0; i < CHAINS; i++) {
        a[i] = vdupq_n_f32((float)i);
    }
    for (long round = 0; round < rounds; round++) {
        for (int i = 0; i < CHAINS; i++) {
            a[i] = vfmaq_f32(y, a[i], x);
        }
    }
    for (int i = 0; i < CHAINS; i++) {
        sum = vaddq_f32(sum, a[i]);
    }
    return vgetq_lane_f32(sum, 0);
}
#define PLAIN_FLOPS (CHAINS * 4 * 2)
#else
/* What the compiler makes of four floats side by side, a product and a sum. */
static float chains_plain(long rounds) {
    float a[CHAINS], sum = 0;
    for (int i = 0; i < CHAINS; i++) {
        a[i] = (float)i;
    }
    for (long round = 0; round < rounds; round++) {
        for (int i = 0; i < CHAINS; i++) {
            a[i] = a[i] * 0.999f + 1e-3f;
        }
    }
    for (int i = 0; i < CHAINS; i++) {
        sum += a[i];
    }
    return sum;
}
#define PLAIN_FLOPS (CHAINS * 2)
#endif

static chains choose_chains(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        return (chains){chains_avx512, X86_CHAINS * 16 * 2};
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return (chains){chains_avx2, X86_CHAINS * 8 * 2};
    }
#endif
    return (chains){chains_plain, PLAIN_FLOPS};
}

#define MAX_THREADS 1024

/* One thread's share of the work; the last of them is done by the caller. */
typedef struct host_part {
    pthread_t thread;
    void *(*work)(void *part);
    chains chains;
    long rounds;
    float *a, *b, *c;
    size_t n;
    volatile float result; /* so that nothing is left out */
} host_part;

/* From before the first thread starts until the last has ended: some 20 microseconds a thread too much. */
static bool run_parts(host_part *parts, unsigned count, double *seconds) {
    unsigned started = 0;
    double begin = monotonic_seconds();
    while (started + 1 < count &&
           pthread_create(&parts[started].thread, NULL, parts[started].work, &parts[started]) == 0) {
        started++;
    }
    bool all = started + 1 == count;
    if (all) {
        parts[started].work(&parts[started]);
    }
    for (unsigned i = 0; i < started; i++) {
        pthread_join(parts[i].thread, NULL);
    }
    *seconds = monotonic_seconds() - begin;
    return all;
}

static unsigned clip_threads(unsigned threads) {
    return threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
}

static void *work_chains(void *context) {
    host_part *part = context;
    part->result = part->chains.run(part->rounds);
    return NULL;
}

bool host_fma(unsigned threads, long rounds, double *seconds, double *flops) {
    unsigned count = clip_threads(threads);
    host_part *parts = calloc(count, sizeof *parts);
    for (unsigned i = 0; parts && i < count; i++) {
        parts[i].work = work_chains;
        parts[i].chains = choose_chains();
        parts[i].rounds = rounds;
    }
    bool good = parts && run_parts(parts, count, seconds);
    *flops = good ? parts[0].chains.flops * (double)rounds * count : 0;
    free(parts);
    return good;
}

struct host_triad {
    unsigned threads;
    host_part *parts;
};

#define TRIAD                                                                                                          \
    for (size_t i = 0; i < n; i++) {                                                                                   \
        c[i] = a[i] + 3.0f * b[i];                                                                                     \
    }

static void triad_plain(float *restrict c, const float *restrict a, const float *restrict b, size_t n) {
    TRIAD
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void triad_avx2(float *restrict c, const float *restrict a,
                                                       const float *restrict b, size_t n) {
    TRIAD
}
#endif

static void *work_triad(void *context) {
    host_part *part = context;
#if defined(__x86_64__)
    void (*triad)(float *, const float *, const float *, size_t) =
        __builtin_cpu_supports("avx2") ? triad_avx2 : triad_plain;
#else
    void (*triad)(float *, const float *, const float *, size_t) = triad_plain;
#endif
    for (long round = 0; round < part->rounds; round++) {
        triad(part->c, part->a, part->b, part->n);
    }
    return NULL;
}

/* Each thread touches its own memory first, so that it lies near it. */
static void *work_first(void *context) {
    host_part *part = context;
    for (size_t i = 0; i < part->n; i++) {
        part->a[i] = 1.0f;
        part->b[i] = 2.0f;
        part->c[i] = 0.0f;
    }
    return NULL;
}

static bool allocate_parts(host_triad *triad, size_t n) {
    for (unsigned i = 0; i < triad->threads; i++) {
        host_part *part = &triad->parts[i];
        part->n = n / 3 / triad->threads;
        part->a = malloc(part->n * sizeof *part->a);
        part->b = malloc(part->n * sizeof *part->b);
        part->c = malloc(part->n * sizeof *part->c);
        if (!part->a || !part->b || !part->c) {
            return false;
        }
    }
    return true;
}

static bool run_triad(host_triad *triad, void *(*work)(void *part), long rounds, double *seconds) {
    for (unsigned i = 0; i < triad->threads; i++) {
        triad->parts[i].work = work;
        triad->parts[i].rounds = rounds;
    }
    return run_parts(triad->parts, triad->threads, seconds);
}

host_triad *host_triad_create(unsigned threads, size_t n) {
    double seconds;
    host_triad *triad = calloc(1, sizeof *triad);
    if (!triad) {
        return NULL;
    }
    triad->threads = clip_threads(threads);
    triad->parts = calloc(triad->threads, sizeof *triad->parts);
    if (!triad->parts || !allocate_parts(triad, n) || !run_triad(triad, work_first, 1, &seconds)) {
        host_triad_destroy(triad);
        return NULL;
    }
    return triad;
}

void host_triad_destroy(host_triad *triad) {
    if (!triad) {
        return;
    }
    for (unsigned i = 0; triad->parts && i < triad->threads; i++) {
        free(triad->parts[i].a);
        free(triad->parts[i].b);
        free(triad->parts[i].c);
    }
    free(triad->parts);
    free(triad);
}

bool host_triad_run(host_triad *triad, long rounds, double *seconds) {
    return run_triad(triad, work_triad, rounds, seconds);
}
