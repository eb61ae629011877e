/* Products of a few rows of inputs with weights in 16, 8 or 4 bits, at about the speed at which memory can be read.
 *
 * Compiled at the first use for the CPU at hand, see native.py; with the vector extensions that GCC and Clang share, and with AVX-512's
 * own instructions where there are any. All sizes and types are checked by the caller, native.py: columns are a multiple of GROUP,
 * dimensions of LANES, and all tensors of a call fit each other. native_trial.py calls every function here before the app does.
 *
 * A row of inputs gives the same numbers, to the last bit, whether it comes alone or with others: sums are added up in one order
 * for any number of rows. So a token that is checked with others that were drafted is the token that would have come without.
 */
#define _GNU_SOURCE
#include "native_threads.h"
#include "native_vectors.h"
#include "native_attention.h"
#include <math.h>

#define MOST_AT_ONCE 6
#define MOST_SUMS 8
#define AHEAD 1024 /* bytes */
#define PIECE_WEIGHTS 32768

/* Unpacks one group of weights. */

static inline void unpack_bfloat16(const uint16_t *at, wide *w) {
    for (int part = 0; part < PARTS; part++) w[part] = widened_all(at + part * WIDTH);
}

#if HAS_AVX512
static inline void unpack_int8(const int8_t *at, wide *w) {
    for (int part = 0; part < PARTS; part++)
        w[part] = (wide)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(at + part * WIDTH))));
}
#else
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
#endif

/* Lane k of a group holds its weights k, k + 8, k + 16 and k + 24, from the lowest bits up. */
#define IN_LANE 4
static inline void unpack_int4(const uint16_t *at, floats *w) {
    halves v;
    memcpy(&v, at, sizeof v);
    ints all = __builtin_convertvector(v, ints);
    for (int place = 0; place < IN_LANE; place++)
        w[place] = __builtin_convertvector((all >> (4 * place)) & 15, floats);
}

/* `outs` outputs, `apart` from each other, for `count` rows of inputs; both counts are constants wherever this is called, so that
 * the sums stay in registers. There must be several sums: an addition waits for the one before it to the same sum. And weights must
 * be read in several places at once, and asked for AHEAD of time: what a CPU fetches by itself stops at the end of each page, and one
 * stream of it is half of what a core can read. */
#define DEFINE_DOT(name, type, unpack)                                               \
    static inline __attribute__((always_inline)) void name(                          \
        const int count, const int outs, const float *x, const type *row, int64_t apart, float *out, int64_t columns) { \
        wide even[MOST_SUMS], odd[MOST_SUMS];                                        \
        for (int i = 0; i < count * outs; i++) even[i] = odd[i] = (wide){0};         \
        for (int64_t at = 0; at < columns; at += GROUP)                              \
            for (int o = 0; o < outs; o++) {                                         \
                wide w[PARTS];                                                       \
                unpack(row + o * apart * columns + at, w);                           \
                __builtin_prefetch((const char *)(row + o * apart * columns + at) + AHEAD); \
                for (int m = 0; m < count; m++) {                                    \
                    const float *in = x + m * columns + at;                          \
                    for (int part = 0; part < PARTS; part += 2) {                    \
                        even[o * count + m] += w[part] * wide_loaded(in + part * WIDTH); \
                        odd[o * count + m] += w[part + 1] * wide_loaded(in + (part + 1) * WIDTH); \
                    }                                                                \
                }                                                                    \
            }                                                                        \
        for (int i = 0; i < count * outs; i++) out[i] = wide_total(even[i] + odd[i]); \
    }

DEFINE_DOT(dot_bfloat16, uint16_t, unpack_bfloat16)
DEFINE_DOT(dot_int8, int8_t, unpack_int8)

/* In 4 bits each group is scaled by itself, and its offset counts as often as its inputs add up to. */
#if HAS_AVX512

/* Two groups fill the registers. Inputs lie as the weights of such a pair do: see `spread`. */
#define PAIR (2 * GROUP)
#define SCALES 16

/* A permutation looks at the lowest four bits of a lane alone: it masks and converts at once. */
static inline __attribute__((always_inline)) void dot_int4(
    const int count, const int outs, const float *x, const float *added, const uint16_t *row, const uint16_t *scales,
    int64_t apart, float *out, int64_t columns) {
    int64_t groups = columns / GROUP, x_stride = rounded_up(columns, PAIR), a_stride = rounded_up(groups, SCALES);
    const __m512 values = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i first = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000);
    __m512 sums[MOST_SUMS], offsets[MOST_SUMS], scale[MOST_SUMS];
    for (int i = 0; i < count * outs; i++) sums[i] = offsets[i] = _mm512_setzero_ps();
    for (int64_t g = 0; g < groups; g += SCALES) {
        int64_t here = groups - g < SCALES ? groups - g : SCALES;
        for (int o = 0; o < outs; o++) {
            __m512i both = _mm512_maskz_loadu_epi32((__mmask16)((1u << here) - 1), scales + 2 * (o * apart * groups + g));
            __m512 offset = _mm512_castsi512_ps(_mm512_and_si512(both, upper));
            scale[o] = _mm512_castsi512_ps(_mm512_slli_epi32(both, 16));
            for (int m = 0; m < count; m++)
                offsets[o * count + m] =
                    _mm512_fmadd_ps(offset, _mm512_load_ps(added + m * a_stride + g), offsets[o * count + m]);
        }
        __m512i which = first;
        for (int64_t i = 0; i < here; i += 2) {
            const float *in = x + (g + i) * GROUP;
            for (int o = 0; o < outs; o++) {
                const uint16_t *at = row + (o * apart * groups + g + i) * LANES;
                __builtin_prefetch((const char *)at + AHEAD);
                __m256i packed = here - i > 1 ? _mm256_loadu_si256((const __m256i *)at)
                                              : _mm256_zextsi128_si256(_mm_loadu_si128((const __m128i *)at));
                __m512i all = _mm512_cvtepu16_epi32(packed);
                __m512 w[IN_LANE];
                w[0] = _mm512_permutexvar_ps(all, values);
                w[1] = _mm512_permutexvar_ps(_mm512_srli_epi32(all, 4), values);
                w[2] = _mm512_permutexvar_ps(_mm512_srli_epi32(all, 8), values);
                w[3] = _mm512_permutexvar_ps(_mm512_srli_epi32(all, 12), values);
                __m512 by = _mm512_permutexvar_ps(which, scale[o]);
                for (int m = 0; m < count; m++) {
                    const float *mine = in + m * x_stride;
                    __m512 left = _mm512_mul_ps(w[0], _mm512_load_ps(mine));
                    __m512 right = _mm512_mul_ps(w[2], _mm512_load_ps(mine + 2 * WIDTH));
                    left = _mm512_fmadd_ps(w[1], _mm512_load_ps(mine + WIDTH), left);
                    right = _mm512_fmadd_ps(w[3], _mm512_load_ps(mine + 3 * WIDTH), right);
                    sums[o * count + m] = _mm512_fmadd_ps(_mm512_add_ps(left, right), by, sums[o * count + m]);
                }
            }
            which = _mm512_add_epi32(which, _mm512_set1_epi32(2));
        }
    }
    for (int i = 0; i < count * outs; i++) out[i] = wide_total((wide)_mm512_add_ps(sums[i], offsets[i]));
}

/* Lays a row of inputs out for pairs of groups: part after part, eight of the first group and then eight of the second one. */
static void spread(const float *x, float *out, int64_t columns) {
    for (int64_t at = 0; at < columns; at += GROUP)
        for (int place = 0; place < IN_LANE; place++) {
            float *to = out + at / PAIR * PAIR + place * WIDTH + at % PAIR / GROUP * LANES;
            memcpy(to, x + at + place * LANES, sizeof(floats));
        }
}
#else
#define PAIR GROUP
#define SCALES 1

static inline __attribute__((always_inline)) void dot_int4(
    const int count, const int outs, const float *x, const float *added, const uint16_t *row, const uint16_t *scales,
    int64_t apart, float *out, int64_t columns) {
    int64_t groups = columns / GROUP;
    floats sums[MOST_SUMS];
    float offsets[MOST_SUMS];
    for (int i = 0; i < count * outs; i++) sums[i] = (floats){0}, offsets[i] = 0;
    for (int64_t g = 0; g < groups; g++)
        for (int o = 0; o < outs; o++) {
            floats w[IN_LANE];
            int64_t group = o * apart * groups + g;
            unpack_int4(row + group * LANES, w);
            float scale = widened(scales[2 * group]), offset = widened(scales[2 * group + 1]);
            for (int m = 0; m < count; m++) {
                const float *in = x + m * columns + g * GROUP;
                floats part = (w[0] * loaded(in) + w[1] * loaded(in + LANES)) +
                              (w[2] * loaded(in + 2 * LANES) + w[3] * loaded(in + 3 * LANES));
                sums[o * count + m] += part * scale;
                offsets[o * count + m] += offset * added[m * groups + g];
            }
        }
    for (int i = 0; i < count * outs; i++) out[i] = total(sums[i]) + offsets[i];
}
#endif

/* A product. Inputs and outputs are in bfloat16 if `is_half`, else in float32; weights and scales as the kind has them. */
struct product {
    const float *x;
    const float *added; /* the sum of each group of inputs */
    const void *weights;
    const uint16_t *scales;
    void *y;
    int64_t is_half, rows, outputs, columns;
};

static inline void put(const struct product *p, int64_t row, int64_t output, float value) {
    int64_t at = row * p->outputs + output;
    if (p->is_half) ((uint16_t *)p->y)[at] = narrowed(value);
    else ((float *)p->y)[at] = value;
}

/* Calls DOT for all rows of inputs, as many at once as fit the registers: `most`, which is at least 4. The rows that are
 * multiplied at once stay in the nearest cache for all of a piece's outputs. */
#define SOME_OUTPUTS(count, outs, until)                                             \
    for (; n < until; n++) {                                                         \
        float out[count * outs];                                                     \
        DOT(count, outs);                                                            \
        for (int o = 0; o < outs; o++)                                               \
            for (int i = 0; i < count; i++)                                          \
                put(p, m + i, n + o * apart, out[o * count + i] * SCALE(n + o * apart)); \
    }
#define SOME_ROWS(count, outs)                                                       \
    {                                                                                \
        int64_t n = from, apart = (to - from) / outs;                                \
        if (outs > 1) {                                                              \
            SOME_OUTPUTS(count, outs, from + apart)                                  \
            n = from + apart * outs;                                                 \
        }                                                                            \
        SOME_OUTPUTS(count, 1, to)                                                   \
    }
#define PART_OF_PRODUCT(most, outs)                                                  \
    int64_t m = 0;                                                                   \
    for (; m + most <= p->rows; m += most) SOME_ROWS(most, 1)                        \
    for (; m + 4 <= p->rows; m += 4) SOME_ROWS(4, 1)                                 \
    if (m + 2 <= p->rows) { SOME_ROWS(2, 2) m += 2; }                                \
    if (m < p->rows) SOME_ROWS(1, outs)

static void part_bfloat16(const void *job, int64_t from, int64_t to) {
    const struct product *p = job;
    const uint16_t *weights = p->weights;
#define DOT(count, outs) dot_bfloat16(count, outs, p->x + m * p->columns, weights + n * p->columns, apart, out, p->columns)
#define SCALE(n) 1
    PART_OF_PRODUCT(6, 4)
#undef DOT
#undef SCALE
}

static void part_int8(const void *job, int64_t from, int64_t to) {
    const struct product *p = job;
    const int8_t *weights = p->weights;
#define DOT(count, outs) dot_int8(count, outs, p->x + m * p->columns, weights + n * p->columns, apart, out, p->columns)
#define SCALE(n) widened(p->scales[n])
    PART_OF_PRODUCT(6, 4)
#undef DOT
#undef SCALE
}

static void part_int4(const void *job, int64_t from, int64_t to) {
    const struct product *p = job;
    const uint16_t *weights = p->weights;
    int64_t groups = p->columns / GROUP, x_stride = rounded_up(p->columns, PAIR), a_stride = rounded_up(groups, SCALES);
#define DOT(count, outs)                                                             \
    dot_int4(count, outs, p->x + m * x_stride, p->added + m * a_stride, weights + n * groups * LANES, \
             p->scales + n * groups * 2, apart, out, p->columns)
#define SCALE(n) 1
    PART_OF_PRODUCT(4, 4)
#undef DOT
#undef SCALE
}

/* Returns how many outputs make a piece that is worth taking. */
static int64_t outputs_at_once(int64_t columns) {
    return columns > 0 && columns < PIECE_WEIGHTS ? PIECE_WEIGHTS / columns : 1;
}

/* Returns whether there was memory for it. */
static int multiply(struct product p, part_of part, const void *x, int is_int4) {
    int64_t inputs = p.rows * p.columns, groups = p.columns / GROUP, plain = rounded_up(p.is_half ? inputs : 0, PAIR);
    int64_t x_stride = rounded_up(p.columns, PAIR), a_stride = rounded_up(groups, SCALES);
    float *numbers = room(plain + (is_int4 ? p.rows * (x_stride + a_stride) : 0) + 1);
    if (!numbers) return 0;
    if (p.is_half)
        for (int64_t i = 0; i < inputs; i++) numbers[i] = widened(((const uint16_t *)x)[i]);
    p.x = p.is_half ? numbers : x;
    if (is_int4) {
        float *laid = numbers + plain, *added = laid + p.rows * x_stride;
        for (int64_t m = 0; m < p.rows; m++) {
            for (int64_t g = 0; g < a_stride; g++) {
                const float *in = p.x + m * p.columns + g * GROUP;
                added[m * a_stride + g] = g < groups ? total((loaded(in) + loaded(in + LANES)) +
                                                             (loaded(in + 2 * LANES) + loaded(in + 3 * LANES)))
                                                     : 0;
            }
#if HAS_AVX512
            memset(laid + (m + 1) * x_stride - PAIR, 0, sizeof(float) * PAIR);
            spread(p.x + m * p.columns, laid + m * x_stride, p.columns);
#else
            memcpy(laid + m * x_stride, p.x + m * p.columns, sizeof(float) * (size_t)p.columns);
#endif
        }
        p.x = laid, p.added = added;
    }
    divide(part, &p, p.outputs, outputs_at_once(p.columns));
    return 1;
}

int product_bfloat16(const void *x, const void *weights, const uint16_t *scales, void *y, int64_t is_half, int64_t rows,
                     int64_t outputs, int64_t columns) {
    return multiply((struct product){0, 0, weights, scales, y, is_half, rows, outputs, columns}, part_bfloat16, x, 0);
}

int product_int8(const void *x, const void *weights, const uint16_t *scales, void *y, int64_t is_half, int64_t rows,
                 int64_t outputs, int64_t columns) {
    return multiply((struct product){0, 0, weights, scales, y, is_half, rows, outputs, columns}, part_int8, x, 0);
}

int product_int4(const void *x, const void *weights, const uint16_t *scales, void *y, int64_t is_half, int64_t rows,
                 int64_t outputs, int64_t columns) {
    return multiply((struct product){0, 0, weights, scales, y, is_half, rows, outputs, columns}, part_int4, x, 1);
}

static void part_unpacked(const void *job, int64_t from, int64_t to) {
    const struct product *p = job;
    int64_t groups = p->columns / GROUP;
    for (int64_t n = from; n < to; n++)
        for (int64_t g = 0; g < groups; g++) {
            floats w[IN_LANE];
            const uint16_t *scaled = p->scales + (n * groups + g) * 2;
            float scale = widened(scaled[0]), offset = widened(scaled[1]);
            unpack_int4((const uint16_t *)p->weights + (n * groups + g) * LANES, w);
            for (int part = 0; part < IN_LANE; part++) {
                floats value = w[part] * scale + offset;
                memcpy((float *)p->y + n * p->columns + g * GROUP + part * LANES, &value, sizeof value);
            }
        }
}

/* Unpacks whole rows, for products of many inputs that are made elsewhere. */
void unpack_rows_int4(const uint16_t *weights, const uint16_t *scales, float *out, int64_t outputs, int64_t columns) {
    struct product p = {0, 0, weights, scales, out, 0, 0, outputs, columns};
    divide(part_unpacked, &p, outputs, outputs_at_once(columns));
}

/* Scales rows of bfloat16 to a mean square of one, rounds, and multiplies with one weight for each column.
 *
 * Rounded where the models' own modules round, so that only the order of the sum differs. Columns are a multiple of LANES.
 */
struct normalisation {
    const uint16_t *x, *weights;
    uint16_t *y;
    int64_t columns;
    float epsilon;
};

static void part_normalised(const void *job, int64_t from, int64_t to) {
    const struct normalisation *n = job;
    for (int64_t row = from; row < to; row++) {
        const uint16_t *x = n->x + row * n->columns;
        uint16_t *y = n->y + row * n->columns;
        floats sums = {0};
        for (int64_t at = 0; at < n->columns; at += LANES) {
            floats v = widened_eight(x + at);
            sums += v * v;
        }
        float scale = 1.0f / sqrtf(total(sums) / (float)n->columns + n->epsilon);
        for (int64_t at = 0; at < n->columns; at++)
            y[at] = narrowed(widened(narrowed(widened(x[at]) * scale)) * widened(n->weights[at]));
    }
}

void normalised_bfloat16(const uint16_t *x, const uint16_t *weights, uint16_t *y, double epsilon, int64_t rows,
                         int64_t columns) {
    struct normalisation n = {x, weights, y, columns, (float)epsilon};
    divide(part_normalised, &n, rows, outputs_at_once(columns));
}
