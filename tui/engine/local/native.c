/* Products of a few rows of inputs with weights in 16, 8 or 4 bits, at about the speed at which memory can be read.
 *
 * Compiled at the first use for the CPU at hand, see native.py; with the vector extensions that GCC and Clang share. All sizes
 * are checked by the caller: columns are a multiple of GROUP.
 */
#include <stdint.h>
#include <string.h>

#define GROUP 32
#define LANES 8
#define PARTS (GROUP / LANES)
#define MOST_AT_ONCE 4

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef uint16_t halves __attribute__((vector_size(2 * LANES)));
typedef int16_t shorts __attribute__((vector_size(GROUP)));
typedef int16_t short_half __attribute__((vector_size(GROUP / 2)));
typedef int8_t signed_bytes __attribute__((vector_size(GROUP / 2)));

static inline floats loaded(const float *at) {
    floats v;
    memcpy(&v, at, sizeof v);
    return v;
}

static inline float total(floats v) {
    float sum = 0;
    for (int k = 0; k < LANES; k++) sum += v[k];
    return sum;
}

static inline float widened(uint16_t bits) {
    uint32_t word = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

/* Unpacks one group of weights. */

static inline void unpack_bfloat16(const uint16_t *at, floats *w) {
    for (int part = 0; part < PARTS; part++) {
        halves v;
        memcpy(&v, at + part * LANES, sizeof v);
        words word = __builtin_convertvector(v, words) << 16;
        memcpy(&w[part], &word, sizeof word);
    }
}

/* In two steps: compilers widen whole registers well, and parts of them badly. */
static inline void widen(signed_bytes v, floats *w) {
    shorts all = __builtin_convertvector(v, shorts);
    for (int part = 0; part < 2; part++) {
        short_half some;
        memcpy(&some, (const int16_t *)&all + part * LANES, sizeof some);
        w[part] = __builtin_convertvector(__builtin_convertvector(some, ints), floats);
    }
}

static inline void unpack_int8(const int8_t *at, floats *w) {
    for (int half = 0; half < 2; half++) {
        signed_bytes v;
        memcpy(&v, at + half * GROUP / 2, sizeof v);
        widen(v, w + 2 * half);
    }
}

/* Lane k of a group holds its weights k, k + 8, k + 16 and k + 24, from the lowest bits up. */
static inline void unpack_int4(const uint16_t *at, floats *w) {
    halves v;
    memcpy(&v, at, sizeof v);
    ints all = __builtin_convertvector(v, ints);
    for (int part = 0; part < PARTS; part++)
        w[part] = __builtin_convertvector((all >> (4 * part)) & 15, floats);
}

/* One output for `count` rows of inputs. `count` is a constant wherever this is called, so that the sums stay in registers. */

#define ADD(count)                                                                   \
    for (int m = 0; m < count; m++)                                                  \
        for (int part = 0; part < PARTS; part++)                                     \
            sums[m][count == 1 ? part : 0] += w[part] * loaded(x + m * columns + at + part * LANES);

#define STORE(count, scale)                                                          \
    for (int m = 0; m < count; m++) {                                                \
        floats sum = sums[m][0];                                                     \
        if (count == 1) sum = (sums[m][0] + sums[m][1]) + (sums[m][2] + sums[m][3]); \
        y[m * outputs] = total(sum) * (scale);                                       \
    }

#define DEFINE_DOT(name, type, unpack)                                               \
    static inline __attribute__((always_inline)) void name(                          \
        const int count, const float *x, const type *row, float *y, float scale,     \
        int64_t outputs, int64_t columns) {                                          \
        floats sums[MOST_AT_ONCE][PARTS] = {{{0}}};                                  \
        for (int64_t at = 0; at < columns; at += GROUP) {                            \
            floats w[PARTS];                                                         \
            unpack(row + at, w);                                                     \
            ADD(count)                                                               \
        }                                                                            \
        STORE(count, scale)                                                          \
    }

DEFINE_DOT(dot_bfloat16, uint16_t, unpack_bfloat16)
DEFINE_DOT(dot_int8, int8_t, unpack_int8)

/* In 4 bits each group is scaled by itself, and its offset counts as often as its inputs add up to. */
static inline __attribute__((always_inline)) void dot_int4(
    const int count, const float *x, const float *added, const uint16_t *row, const uint16_t *scales, float *y,
    int64_t outputs, int64_t columns) {
    int64_t groups = columns / GROUP;
    floats sums[MOST_AT_ONCE] = {{0}};
    float offsets[MOST_AT_ONCE] = {0};
    for (int64_t g = 0; g < groups; g++) {
        floats w[PARTS];
        unpack_int4(row + g * LANES, w);
        float scale = widened(scales[2 * g]), offset = widened(scales[2 * g + 1]);
        for (int m = 0; m < count; m++) {
            const float *in = x + m * columns + g * GROUP;
            floats part = (w[0] * loaded(in) + w[1] * loaded(in + LANES)) +
                          (w[2] * loaded(in + 2 * LANES) + w[3] * loaded(in + 3 * LANES));
            sums[m] += part * scale;
            offsets[m] += offset * added[m * groups + g];
        }
    }
    for (int m = 0; m < count; m++) y[m * outputs] = total(sums[m]) + offsets[m];
}

/* Calls `dot` for all rows of inputs, as many at once as fit the registers. */
#define FOR_ALL_ROWS(dot_of)                                                         \
    int64_t m = 0;                                                                   \
    for (; m + 4 <= rows; m += 4) dot_of(4);                                         \
    if (m + 2 <= rows) { dot_of(2); m += 2; }                                        \
    if (m < rows) dot_of(1);

void product_bfloat16(const float *x, const uint16_t *weights, float *y, int64_t rows, int64_t outputs,
                      int64_t columns) {
#pragma omp parallel for schedule(static)
    for (int64_t n = 0; n < outputs; n++) {
#define DOT(count) dot_bfloat16(count, x + m * columns, weights + n * columns, y + m * outputs + n, 1, outputs, columns)
        FOR_ALL_ROWS(DOT)
#undef DOT
    }
}

void product_int8(const float *x, const int8_t *weights, const uint16_t *scales, float *y, int64_t rows,
                  int64_t outputs, int64_t columns) {
#pragma omp parallel for schedule(static)
    for (int64_t n = 0; n < outputs; n++) {
        float scale = widened(scales[n]);
#define DOT(count) dot_int8(count, x + m * columns, weights + n * columns, y + m * outputs + n, scale, outputs, columns)
        FOR_ALL_ROWS(DOT)
#undef DOT
    }
}

/* `added` holds the sum of each group of inputs. */
void product_int4(const float *x, const float *added, const uint16_t *weights, const uint16_t *scales, float *y,
                  int64_t rows, int64_t outputs, int64_t columns) {
    int64_t groups = columns / GROUP;
#pragma omp parallel for schedule(static)
    for (int64_t n = 0; n < outputs; n++) {
        const uint16_t *row = weights + n * groups * LANES;
        const uint16_t *scaled = scales + n * groups * 2;
#define DOT(count) \
        dot_int4(count, x + m * columns, added + m * groups, row, scaled, y + m * outputs + n, outputs, columns)
        FOR_ALL_ROWS(DOT)
#undef DOT
    }
}

/* Attention of a few new tokens over all keys and values, in bfloat16.
 *
 * The heads of queries that share a head of keys are computed together, so that each key is unpacked once, and long caches are
 * cut into pieces, so that all threads have work. Each piece leaves its greatest score, the sum of its weights and its
 * weighted values; a second pass joins them. Query number i of `queries` sees all keys but the last `queries - 1 - i`.
 */
#define PIECE 256
#define MOST_DIMENSIONS 256
#define MOST_PER_HEAD 64

/* e^x for x <= 0, to about 1e-7 of its value. */
static inline floats exponential(floats x) {
    const float least = -87.0f;
    floats lower = {least, least, least, least, least, least, least, least};
    ints below = x < lower;
    x = (floats)((below & (ints)lower) | (~below & (ints)x));
    floats scaled = x * 1.44269504f;
    ints whole = __builtin_convertvector(scaled - 0.5f, ints); /* towards zero, which for these is up */
    floats rest = x - __builtin_convertvector(whole, floats) * 0.693359375f +
                  __builtin_convertvector(whole, floats) * 2.12194440e-4f;
    floats p = rest * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * rest + 8.3334519073e-3f;
    p = p * rest + 4.1665795894e-2f;
    p = p * rest + 1.6666665459e-1f;
    p = p * rest + 5.0000001201e-1f;
    p = p * rest * rest + rest + 1.0f;
    ints power = (whole + 127) << 23;
    floats two;
    memcpy(&two, &power, sizeof two);
    return p * two;
}

static inline floats widened_eight(const uint16_t *at) {
    halves v;
    memcpy(&v, at, sizeof v);
    words word = __builtin_convertvector(v, words) << 16;
    floats value;
    memcpy(&value, &word, sizeof value);
    return value;
}

int64_t attention_pieces(int64_t keys) { return (keys + PIECE - 1) / PIECE; }

/* q: [heads, per_head, dimensions], scaled; k, v: [heads, keys, dimensions] with the given distances between heads;
 * work: [heads, pieces, per_head, dimensions + 2]; y: [heads, per_head, dimensions]. Row r of a head is query r % queries. */
void attention_bfloat16(const float *q, const uint16_t *k, const uint16_t *v, float *work, float *y, int64_t heads,
                        int64_t per_head, int64_t queries, int64_t keys, int64_t dimensions, int64_t k_stride,
                        int64_t v_stride) {
    int64_t pieces = attention_pieces(keys), width = dimensions + 2;
#pragma omp parallel for schedule(static) collapse(2)
    for (int64_t head = 0; head < heads; head++)
        for (int64_t piece = 0; piece < pieces; piece++) {
            int64_t from = piece * PIECE, count = keys - from < PIECE ? keys - from : PIECE;
            const float *query = q + head * per_head * dimensions;
            float scores[MOST_PER_HEAD][PIECE];
            for (int64_t i = 0; i < count; i++) {
                const uint16_t *key = k + head * k_stride + (from + i) * dimensions;
                floats wide[MOST_DIMENSIONS / LANES];
                for (int64_t d = 0; d < dimensions; d += LANES) wide[d / LANES] = widened_eight(key + d);
                for (int64_t r = 0; r < per_head; r++) {
                    floats even = {0}, odd = {0};
                    const float *in = query + r * dimensions;
                    int64_t d = 0;
                    for (; d + 2 * LANES <= dimensions; d += 2 * LANES) {
                        even += wide[d / LANES] * loaded(in + d);
                        odd += wide[d / LANES + 1] * loaded(in + d + LANES);
                    }
                    if (d < dimensions) even += wide[d / LANES] * loaded(in + d);
                    scores[r][i] = total(even + odd);
                }
            }
            for (int64_t r = 0; r < per_head; r++) {
                float *out = work + ((head * pieces + piece) * per_head + r) * width;
                int64_t seen = keys - (queries - 1 - r % queries) - from;
                if (seen > count) seen = count;
                float greatest = -1e30f, sum = 0;
                for (int64_t i = 0; i < seen; i++)
                    if (scores[r][i] > greatest) greatest = scores[r][i];
                for (int64_t i = seen < 0 ? 0 : seen; i < PIECE; i++) scores[r][i] = -1e30f;
                for (int64_t i = 0; i < PIECE; i += LANES) {
                    floats weight = exponential(loaded(&scores[r][i]) - greatest);
                    memcpy(&scores[r][i], &weight, sizeof weight);
                }
                for (int64_t i = 0; i < PIECE; i++) {
                    if (i >= seen) scores[r][i] = 0;
                    sum += scores[r][i];
                }
                out[dimensions] = greatest;
                out[dimensions + 1] = sum;
                memset(out, 0, sizeof(float) * (size_t)dimensions);
            }
            for (int64_t i = 0; i < count; i++) {
                const uint16_t *value = v + head * v_stride + (from + i) * dimensions;
                for (int64_t d = 0; d < dimensions; d += LANES) {
                    floats wide = widened_eight(value + d);
                    for (int64_t r = 0; r < per_head; r++) {
                        float *out = work + ((head * pieces + piece) * per_head + r) * width + d;
                        floats sum = loaded(out) + wide * scores[r][i];
                        memcpy(out, &sum, sizeof sum);
                    }
                }
            }
        }
    for (int64_t row = 0; row < heads * per_head; row++) {
        int64_t head = row / per_head, r = row % per_head;
        const float *first = work + (head * pieces * per_head + r) * width;
        float greatest = -1e30f, sum = 0;
        for (int64_t piece = 0; piece < pieces; piece++) {
            const float *part = first + piece * per_head * width;
            if (part[dimensions + 1] > 0 && part[dimensions] > greatest) greatest = part[dimensions];
        }
        float *out = y + row * dimensions;
        memset(out, 0, sizeof(float) * (size_t)dimensions);
        for (int64_t piece = 0; piece < pieces; piece++) {
            const float *part = first + piece * per_head * width;
            if (part[dimensions + 1] <= 0) continue;
            float difference = part[dimensions] - greatest;
            floats single = {difference, difference, difference, difference,
                             difference, difference, difference, difference};
            float share = exponential(single)[0];
            sum += share * part[dimensions + 1];
            for (int64_t d = 0; d < dimensions; d++) out[d] += share * part[d];
        }
        for (int64_t d = 0; d < dimensions; d++) out[d] /= sum;
    }
}
