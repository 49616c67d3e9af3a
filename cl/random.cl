/*
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; SC 2011), by (seed, stream,
 * index) as on the host: integers and uniforms have the same bits everywhere.
 */
#include "prelude.cl"

#define CG_NORMAL 1
#define CG_BERNOULLI 2

static inline uint4 philox(ulong seed, ulong stream, ulong index) {
    uint2 key = (uint2)((uint)seed, (uint)(seed >> 32));
    uint4 c = (uint4)((uint)index, (uint)(index >> 32), (uint)stream, (uint)(stream >> 32));
    for (uint round = 0; round < 10; round++) {
        uint high0 = mul_hi(0xD2511F53u, c.x), low0 = 0xD2511F53u * c.x;
        uint high1 = mul_hi(0xCD9E8D57u, c.z), low1 = 0xCD9E8D57u * c.z;
        c = (uint4)(high1 ^ c.y ^ key.x, low1, high0 ^ c.w ^ key.y, low0);
        key += (uint2)(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

/* In [0, 1), 24 bits. */
static inline float4 uniforms(uint4 words) {
    return convert_float4(words >> 8) * 0x1p-24f;
}

/* Box-Muller; two normals a block, of words (x, y) and (z, w). The logarithm never sees 0. */
static inline float4 normals(uint4 even, uint4 odd) {
    float4 first = (convert_float4((uint4)(even.x, even.z, odd.x, odd.z)) + 1.0f) * 0x1p-32f;
    float4 second = convert_float4((uint4)(even.y, even.w, odd.y, odd.w)) * 0x1p-32f;
    return sqrt(-2.0f * log(min(first, 1.0f))) * cospi(2.0f * second);
}

/* An item does `each` blocks of four elements. */
__kernel void random(__global const long *counter, ulong counter_at, __global float *y, ulong y_at, ulong n, ulong each,
                     ulong seed, ulong stream, int distribution, float a, float b) {
    ulong first = get_global_id(0) * each, end = min(first + each, (n + 3) / 4);
    ulong from = ((ulong)counter[counter_at] << 32) + stream;
    for (ulong block = first; block < end; block++) {
        float4 value;
        if (distribution == CG_NORMAL) {
            value = a + b * normals(philox(seed, from, 2 * block), philox(seed, from, 2 * block + 1));
        } else {
            float4 u = uniforms(philox(seed, from, block));
            value = distribution == CG_BERNOULLI ? select((float4)(0.0f), (float4)(b), u < a) : a + b * u;
        }
        ulong i = 4 * block;
        if (i < n) {
            y[y_at + i] = value.x;
        }
        if (i + 1 < n) {
            y[y_at + i + 1] = value.y;
        }
        if (i + 2 < n) {
            y[y_at + i + 2] = value.z;
        }
        if (i + 3 < n) {
            y[y_at + i + 3] = value.w;
        }
    }
}
