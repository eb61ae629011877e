/* Vectors, in the extensions that GCC and Clang share, and in AVX-512's own instructions where the CPU has them.
 *
 * Weights lie in groups of GROUP and lanes of LANES on every CPU. `wide` is as wide as its registers are.
 */
#pragma once
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define HAS_AVX512 1
#define WIDTH 16
#else
#define HAS_AVX512 0
#define WIDTH 8
#endif
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define GROUP 32
#define LANES 8
#define PARTS (GROUP / WIDTH)

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef float quads __attribute__((vector_size(2 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef uint16_t halves __attribute__((vector_size(2 * LANES)));
typedef int16_t shorts __attribute__((vector_size(GROUP)));
typedef int16_t short_half __attribute__((vector_size(GROUP / 2)));
typedef int8_t signed_bytes __attribute__((vector_size(GROUP / 2)));

typedef float wide __attribute__((vector_size(4 * WIDTH)));
typedef int32_t wide_ints __attribute__((vector_size(4 * WIDTH)));
typedef uint32_t wide_words __attribute__((vector_size(4 * WIDTH)));
typedef uint16_t wide_halves __attribute__((vector_size(2 * WIDTH)));

/* Memory of a thread's own, which only grows. */
static _Thread_local struct {
    float *at;
    int64_t size;
} scratch;

#define MOST_FLOATS (INT64_C(1) << 40)
#define LINE 64

/* Returns room for so many numbers, at the start of a cache line; NULL when there is none. */
static float *room(int64_t floats_wanted) {
    if (floats_wanted < 0 || floats_wanted > MOST_FLOATS) return NULL;
    if (scratch.size < floats_wanted) {
        free(scratch.at);
        size_t bytes = (sizeof(float) * (size_t)floats_wanted + LINE - 1) / LINE * LINE;
        scratch.at = aligned_alloc(LINE, bytes);
        scratch.size = scratch.at ? floats_wanted : 0;
    }
    return scratch.at;
}

static inline int64_t rounded_up(int64_t count, int64_t step) {
    return (count + step - 1) / step * step;
}

static inline floats loaded(const float *at) {
    floats v;
    memcpy(&v, at, sizeof v);
    return v;
}

static inline wide wide_loaded(const float *at) {
    wide v;
    memcpy(&v, at, sizeof v);
    return v;
}

static inline float total(floats v) {
    quads part[2];
    memcpy(part, &v, sizeof v);
    quads sum = part[0] + part[1];
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

static inline float wide_total(wide v) {
#if HAS_AVX512
    floats part[2];
    memcpy(part, &v, sizeof v);
    return total(part[0] + part[1]);
#else
    return total(v);
#endif
}

/* Stores the totals of four vectors. */
static inline void four_totals(const wide *v, float *out) {
#if HAS_AVX512
    __m512 a = (__m512)v[0], b = (__m512)v[1], c = (__m512)v[2], d = (__m512)v[3];
    __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    __m512d low = _mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    __m512d high = _mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    __m512 all = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
#elif defined(__AVX2__)
    __m256 ab = _mm256_hadd_ps((__m256)v[0], (__m256)v[1]), cd = _mm256_hadd_ps((__m256)v[2], (__m256)v[3]);
    __m256 all = _mm256_hadd_ps(ab, cd);
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1)));
#else
    for (int i = 0; i < 4; i++) out[i] = wide_total(v[i]);
#endif
}

static inline float widened(uint16_t bits) {
    uint32_t word = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

static inline floats widened_eight(const uint16_t *at) {
    halves v;
    memcpy(&v, at, sizeof v);
    words word = __builtin_convertvector(v, words) << 16;
    floats value;
    memcpy(&value, &word, sizeof value);
    return value;
}

static inline wide widened_all(const uint16_t *at) {
    wide_halves v;
    memcpy(&v, at, sizeof v);
    wide_words word = __builtin_convertvector(v, wide_words) << 16;
    wide value;
    memcpy(&value, &word, sizeof value);
    return value;
}

/* Widens eight numbers, all that there are of the last vector, and leaves the rest at 0. */
static inline wide widened_last(const uint16_t *at) {
    wide value = {0};
    floats some = widened_eight(at);
    memcpy(&value, &some, sizeof some);
    return value;
}

static inline uint16_t narrowed(float value) {
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    if ((word & 0x7fffffff) > 0x7f800000) return 0x7fc0;
    return (uint16_t)((word + 0x7fff + (word >> 16 & 1)) >> 16);
}

static inline wide greater(wide a, wide b) {
#if HAS_AVX512
    return (wide)_mm512_max_ps((__m512)a, (__m512)b);
#else
    wide_ints is_first = a > b;
    return (wide)((is_first & (wide_ints)a) | (~is_first & (wide_ints)b));
#endif
}

static inline wide everywhere(float value) {
    return value - (wide){0};
}

/* e^x for x <= 0, to about 1e-7 of its value. */
static inline wide exponential(wide x) {
    x = greater(x, everywhere(-87.0f));
    wide scaled = x * 1.44269504f;
    wide_ints whole = __builtin_convertvector(scaled - 0.5f, wide_ints); /* towards zero, which for these is up */
    wide rest = x - __builtin_convertvector(whole, wide) * 0.693359375f +
                __builtin_convertvector(whole, wide) * 2.12194440e-4f;
    wide p = rest * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * rest + 8.3334519073e-3f;
    p = p * rest + 4.1665795894e-2f;
    p = p * rest + 1.6666665459e-1f;
    p = p * rest + 5.0000001201e-1f;
    p = p * rest * rest + rest + 1.0f;
    wide_ints power = (whole + 127) << 23;
    wide two;
    memcpy(&two, &power, sizeof two);
    return p * two;
}
