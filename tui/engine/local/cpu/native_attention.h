/* Attention of a few new tokens over all keys and values, in bfloat16.
 *
 * The heads of queries that share a head of keys are computed together, as many at once as fit the registers, so that keys and
 * values are seldom unpacked, and long caches are cut into pieces, so that all threads have work. Each piece leaves its greatest
 * score, the sum of its weights and its weighted values; a second pass joins them. Query number i of `queries` sees all keys
 * but the last `queries - 1 - i`.
 *
 * Scores are made for KEYS_AT_ONCE keys at a time: adding up the lanes of one vector costs as much as the products before it, and
 * for four at once hardly more. These keys lie APART, and so do the values that are weighted one after another: several streams are
 * read from memory faster than one.
 */
#pragma once

#include "native_threads.h"
#include "native_vectors.h"

#define PIECE 256
#define LEAST -1e30f
#define KEYS_AT_ONCE 4
#define APART (PIECE / KEYS_AT_ONCE)
#define KV_AHEAD 512 /* bytes */
#define ROWS_AT_ONCE (HAS_AVX512 ? 6 : 3)

struct attention {
    const float *q;
    const uint16_t *k, *v;
    float *work;
    int64_t heads, per_head, queries, keys, pieces, dimensions, padded, k_stride, v_stride;
};

/* Of each row and piece: weighted values, the greatest score, the sum of the weights. */
static inline int64_t left_by_a_piece(int64_t padded) {
    return padded + WIDTH;
}

/* Weights some dimensions of the values: `blocks` vectors from `d` on, of which the last may be a half one. */
static inline __attribute__((always_inline)) void weigh(
    const int count, const int blocks, const int is_last, const uint16_t *values, int64_t dimensions, int64_t used,
    float (*weights)[PIECE], float *out, int64_t width) {
    wide sums[ROWS_AT_ONCE][4];
    for (int r = 0; r < count; r++)
        for (int b = 0; b < blocks; b++) sums[r][b] = (wide){0};
    for (int64_t i = 0; i < APART && i < used; i++)
        for (int64_t at = i; at < used; at += APART) {
            const uint16_t *value = values + at * dimensions;
            for (int b = 0; b < blocks; b++) {
                if (b % 2 == 0) __builtin_prefetch((const char *)(value + b * WIDTH) + KV_AHEAD);
                wide v = is_last ? widened_last(value) : widened_all(value + b * WIDTH);
                for (int r = 0; r < count; r++) sums[r][b] += v * weights[r][at];
            }
        }
    for (int r = 0; r < count; r++)
        for (int b = 0; b < blocks; b++) memcpy(out + r * width + b * WIDTH, &sums[r][b], sizeof sums[r][b]);
}

/* Some rows of a head over the keys of one piece. `count` is a constant wherever this is called. */
static inline __attribute__((always_inline)) void attend(
    const int count, const struct attention *a, int64_t head, int64_t piece, int64_t row) {
    int64_t dimensions = a->dimensions, padded = a->padded, width = left_by_a_piece(padded);
    int64_t in_full = dimensions - dimensions % WIDTH;
    int64_t from = piece * PIECE, used = a->keys - from < PIECE ? a->keys - from : PIECE, filled = rounded_up(used, WIDTH);
    const float *query = a->q + (head * a->per_head + row) * padded;
    const uint16_t *keys = a->k + head * a->k_stride + from * dimensions;
    const uint16_t *values = a->v + head * a->v_stride + from * dimensions;
    float *out = a->work + ((head * a->pieces + piece) * a->per_head + row) * width;
    _Alignas(LINE) float scores[ROWS_AT_ONCE][PIECE];
    for (int64_t i = 0; i < APART && i < used; i++) {
        wide sums[ROWS_AT_ONCE][KEYS_AT_ONCE];
        const uint16_t *key[KEYS_AT_ONCE];
        for (int j = 0; j < KEYS_AT_ONCE; j++) key[j] = keys + (i + j * APART < used ? i + j * APART : i) * dimensions;
        for (int r = 0; r < count; r++)
            for (int j = 0; j < KEYS_AT_ONCE; j++) sums[r][j] = (wide){0};
        for (int64_t d = 0; d < in_full; d += WIDTH)
            for (int j = 0; j < KEYS_AT_ONCE; j++) {
                if (d % (2 * WIDTH) == 0) __builtin_prefetch((const char *)(key[j] + d) + KV_AHEAD);
                wide some = widened_all(key[j] + d);
                for (int r = 0; r < count; r++) sums[r][j] += some * wide_loaded(query + r * padded + d);
            }
        if (in_full < dimensions)
            for (int j = 0; j < KEYS_AT_ONCE; j++) {
                wide some = widened_last(key[j] + in_full);
                for (int r = 0; r < count; r++) sums[r][j] += some * wide_loaded(query + r * padded + in_full);
            }
        for (int r = 0; r < count; r++) {
            float found[KEYS_AT_ONCE];
            four_totals(sums[r], found);
            for (int j = 0; j < KEYS_AT_ONCE; j++) scores[r][i + j * APART] = found[j];
        }
    }
    for (int r = 0; r < count; r++) {
        int64_t seen = a->keys - (a->queries - 1 - (row + r) % a->queries) - from;
        if (seen > used) seen = used;
        if (seen < 0) seen = 0;
        for (int64_t i = seen; i < filled; i++) scores[r][i] = LEAST;
        wide most = wide_loaded(scores[r]), sums = {0};
        for (int64_t i = WIDTH; i < filled; i += WIDTH) most = greater(most, wide_loaded(&scores[r][i]));
        float greatest = most[0];
        for (int lane = 1; lane < WIDTH; lane++)
            if (most[lane] > greatest) greatest = most[lane];
        for (int64_t i = 0; i < filled; i += WIDTH) {
            wide weight = exponential(wide_loaded(&scores[r][i]) - greatest);
            memcpy(&scores[r][i], &weight, sizeof weight);
        }
        for (int64_t i = seen; i < filled; i++) scores[r][i] = 0;
        for (int64_t i = 0; i < filled; i += WIDTH) sums += wide_loaded(&scores[r][i]);
        out[r * width + padded] = greatest;
        out[r * width + padded + 1] = wide_total(sums);
    }
    int64_t d = 0;
    for (; d + 4 * WIDTH <= dimensions; d += 4 * WIDTH)
        weigh(count, 4, 0, values + d, dimensions, used, scores, out + d, width);
    for (; d + WIDTH <= dimensions; d += WIDTH)
        weigh(count, 1, 0, values + d, dimensions, used, scores, out + d, width);
    if (d < dimensions) weigh(count, 1, 1, values + d, dimensions, used, scores, out + d, width);
}

static void part_attention(const void *job, int64_t first, int64_t last) {
    const struct attention *a = job;
    for (int64_t unit = first; unit < last; unit++) {
        int64_t head = unit / a->pieces, piece = unit % a->pieces, row = 0;
        for (; row + ROWS_AT_ONCE <= a->per_head; row += ROWS_AT_ONCE) attend(ROWS_AT_ONCE, a, head, piece, row);
        switch (a->per_head - row) {
#if HAS_AVX512
            case 5: attend(5, a, head, piece, row); break;
            case 4: attend(4, a, head, piece, row); break;
            case 3: attend(3, a, head, piece, row); break;
#endif
            case 2: attend(2, a, head, piece, row); break;
            case 1: attend(1, a, head, piece, row); break;
        }
    }
}

/* q: [heads, per_head, dimensions]; k, v: [heads, keys, dimensions] with the given distances between heads;
 * y: [heads, per_head, dimensions]; all in bfloat16. Row r of a head is query r % queries. Returns whether there was memory. */
int attention_bfloat16(const uint16_t *q, const uint16_t *k, const uint16_t *v, uint16_t *y, double scale, int64_t heads,
                       int64_t per_head, int64_t queries, int64_t keys, int64_t dimensions, int64_t k_stride,
                       int64_t v_stride) {
    int64_t pieces = (keys + PIECE - 1) / PIECE, padded = rounded_up(dimensions, WIDTH), width = left_by_a_piece(padded);
    int64_t rows = heads * per_head, inputs = rows * padded;
    float *scaled = room(inputs + pieces * rows * width + padded);
    if (!scaled) return 0;
    memset(scaled, 0, sizeof(float) * (size_t)inputs);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t d = 0; d < dimensions; d++)
            scaled[row * padded + d] = widened(q[row * dimensions + d]) * (float)scale;
    float *work = scaled + inputs, *sums = work + pieces * rows * width;
    struct attention a = {scaled, k, v, work, heads, per_head, queries, keys, pieces, dimensions, padded, k_stride, v_stride};
    divide(part_attention, &a, heads * pieces, 1);
    for (int64_t row = 0; row < rows; row++) {
        int64_t head = row / per_head, r = row % per_head;
        const float *first = work + (head * pieces * per_head + r) * width;
        float greatest = LEAST, sum = 0;
        for (int64_t piece = 0; piece < pieces; piece++) {
            const float *part = first + piece * per_head * width;
            if (part[padded + 1] > 0 && part[padded] > greatest) greatest = part[padded];
        }
        memset(sums, 0, sizeof(float) * (size_t)padded);
        for (int64_t piece = 0; piece < pieces; piece++) {
            const float *part = first + piece * per_head * width;
            if (part[padded + 1] <= 0) continue;
            float share = exponential(everywhere(part[padded] - greatest))[0];
            sum += share * part[padded + 1];
            for (int64_t d = 0; d < padded; d += WIDTH) {
                wide more = wide_loaded(sums + d) + share * wide_loaded(part + d);
                memcpy(sums + d, &more, sizeof more);
            }
        }
        for (int64_t d = 0; d < dimensions; d++) y[row * dimensions + d] = narrowed(sums[d] / sum);
    }
    return 1;
}
