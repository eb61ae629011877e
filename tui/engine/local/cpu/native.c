/* Products of a few rows of inputs with weights in 16, 8 or 4 bits, at about the speed at which memory can be read.
 *
 * Compiled at the first use for the CPU at hand, see native.py; with the vector extensions that GCC and Clang share. All sizes
 * and types are checked by the caller, native.py: columns are a multiple of GROUP, dimensions of LANES, and all tensors of a call fit
 * each other. native_trial.py calls every function here before the app does.
 *
 * A row of inputs gives the same numbers, to the last bit, whether it comes alone or with others: sums are added up in one order
 * for any number of rows. So a token that is checked with others that were drafted is the token that would have come without.
 */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Threads that share the work.
 *
 * OpenMP's wait for each other at every product: spinning, which on a desktop in use stops all of them whenever one is not
 * run, or asleep, which costs more than a product takes. Here work is cut into pieces, and whoever runs takes the next one:
 * a helper that is late, asleep or not run takes none, and holds nobody up. A helper without work looks for some for SPIN_NS,
 * as long as the pause between two products of a token may be, and then sleeps until the next product.
 */
#define MOST_HELPERS 255
#define SPIN_NS 300000
#define LOOKS 64

typedef void (*part_of)(const void *job, int64_t from, int64_t to);

static struct {
    part_of run;
    const void *job;
    int64_t units, size;
    _Alignas(64) _Atomic uint64_t next; /* the number of pieces, and in the low half the one that is taken next */
    _Alignas(64) _Atomic int64_t done;  /* pieces that helpers have done */
    _Alignas(64) _Atomic int in_use;
    _Atomic int helpers;
    _Atomic int asleep;
    int made;
    pthread_mutex_t lock;
    pthread_cond_t bell, wanted;
} crew = {.lock = PTHREAD_MUTEX_INITIALIZER, .bell = PTHREAD_COND_INITIALIZER, .wanted = PTHREAD_COND_INITIALIZER};

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline void rest(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

static int there_is_work(void) {
    uint64_t at = atomic_load(&crew.next);
    return (at & UINT32_MAX) < at >> 32;
}

/* Does the next piece; returns whether there was one. What is read of a job here stays as it is until its last piece is done. */
static int do_piece(void) {
    uint64_t at = atomic_fetch_add(&crew.next, 1);
    int64_t piece = (int64_t)(at & UINT32_MAX);
    if (piece >= (int64_t)(at >> 32)) return 0;
    int64_t from = piece * crew.size;
    crew.run(crew.job, from, from + crew.size < crew.units ? from + crew.size : crew.units);
    return 1;
}

/* Returns when there is work, or was: after a short product, when it is done, the next one is near. */
static void sleep_until_work(int number) {
    pthread_mutex_lock(&crew.lock);
    /* Those who are too many are not woken for each product. */
    while (number >= atomic_load(&crew.helpers)) pthread_cond_wait(&crew.wanted, &crew.lock);
    atomic_fetch_add(&crew.asleep, 1);
    if (!there_is_work()) pthread_cond_wait(&crew.bell, &crew.lock);
    atomic_fetch_sub(&crew.asleep, 1);
    pthread_mutex_unlock(&crew.lock);
}

static void *help(void *argument) {
    int number = (int)(intptr_t)argument;
    for (;;) {
        sleep_until_work(number);
        int64_t until = now_ns() + SPIN_NS;
        for (unsigned look = 1; number < atomic_load(&crew.helpers); look++) {
            if (there_is_work()) {
                while (do_piece()) atomic_fetch_add(&crew.done, 1);
                until = now_ns() + SPIN_NS;
            }
            if (look % LOOKS == 0 && now_ns() > until) break;
            rest();
        }
    }
    return NULL;
}

/* Does all units of a job, in pieces of some units; whoever comes while it is busy does all by itself. */
static void divide(part_of run, const void *job, int64_t units, int64_t size) {
    int64_t pieces = (units + size - 1) / size, mine = 0;
    int is_free = 0;
    /* The number of pieces and that of the next one share a word. */
    if (pieces < 2 || pieces > INT32_MAX || !atomic_load(&crew.helpers) || !atomic_compare_exchange_strong(&crew.in_use, &is_free, 1)) {
        run(job, 0, units);
        return;
    }
    crew.run = run, crew.job = job, crew.units = units, crew.size = size;
    atomic_store(&crew.done, 0);
    atomic_store(&crew.next, (uint64_t)pieces << 32);
    if (atomic_load(&crew.asleep)) {
        pthread_mutex_lock(&crew.lock);
        pthread_cond_broadcast(&crew.bell);
        pthread_mutex_unlock(&crew.lock);
    }
    while (do_piece()) mine++;
    for (unsigned look = 1; atomic_load(&crew.done) + mine < pieces; look++) {
        rest();
        if (look % LOOKS == 0) sched_yield();
    }
    atomic_store(&crew.in_use, 0);
}

/* From now on so many threads share the work, the caller's one of them; returns how many it are. */
int64_t use_threads(int64_t count) {
    int wanted = count < 1 ? 0 : count - 1 > MOST_HELPERS ? MOST_HELPERS : (int)count - 1;
    sigset_t all, before;
    sigfillset(&all);
    pthread_mutex_lock(&crew.lock);
    /* Signals are for the threads that know what to do with them. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (pthread_t thread; crew.made < wanted; crew.made++) {
        if (pthread_create(&thread, NULL, help, (void *)(intptr_t)crew.made)) break;
        pthread_detach(thread);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    atomic_store(&crew.helpers, wanted < crew.made ? wanted : crew.made);
    pthread_cond_broadcast(&crew.wanted);
    pthread_mutex_unlock(&crew.lock);
    return atomic_load(&crew.helpers) + 1;
}

/* Memory of a thread's own, which only grows. */
static _Thread_local struct {
    float *at;
    int64_t size;
} scratch;

#define MOST_FLOATS (INT64_C(1) << 40)

/* Returns room for so many numbers; NULL when there is none. */
static float *room(int64_t floats_wanted) {
    if (floats_wanted < 0 || floats_wanted > MOST_FLOATS) return NULL;
    if (scratch.size < floats_wanted) {
        free(scratch.at);
        scratch.at = malloc(sizeof(float) * (size_t)floats_wanted);
        scratch.size = scratch.at ? floats_wanted : 0;
    }
    return scratch.at;
}

#define GROUP 32
#define LANES 8
#define PARTS (GROUP / LANES)
#define MOST_AT_ONCE 6
#define PIECE_WEIGHTS 32768

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef float quads __attribute__((vector_size(2 * LANES)));
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
    quads part[2];
    memcpy(part, &v, sizeof v);
    quads sum = part[0] + part[1];
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
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

static inline uint16_t narrowed(float value) {
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    if ((word & 0x7fffffff) > 0x7f800000) return 0x7fc0;
    return (uint16_t)((word + 0x7fff + (word >> 16 & 1)) >> 16);
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
#define DEFINE_DOT(name, type, unpack)                                               \
    static inline __attribute__((always_inline)) void name(                          \
        const int count, const float *x, const type *row, float *out, int64_t columns) { \
        floats even[MOST_AT_ONCE] = {{0}}, odd[MOST_AT_ONCE] = {{0}};                \
        for (int64_t at = 0; at < columns; at += GROUP) {                            \
            floats w[PARTS];                                                         \
            unpack(row + at, w);                                                     \
            for (int m = 0; m < count; m++) {                                        \
                const float *in = x + m * columns + at;                              \
                even[m] += w[0] * loaded(in);                                        \
                odd[m] += w[1] * loaded(in + LANES);                                 \
                even[m] += w[2] * loaded(in + 2 * LANES);                            \
                odd[m] += w[3] * loaded(in + 3 * LANES);                             \
            }                                                                        \
        }                                                                            \
        for (int m = 0; m < count; m++) out[m] = total(even[m] + odd[m]);            \
    }

DEFINE_DOT(dot_bfloat16, uint16_t, unpack_bfloat16)
DEFINE_DOT(dot_int8, int8_t, unpack_int8)

/* In 4 bits each group is scaled by itself, and its offset counts as often as its inputs add up to. */
static inline __attribute__((always_inline)) void dot_int4(
    const int count, const float *x, const float *added, const uint16_t *row, const uint16_t *scales, float *out,
    int64_t columns) {
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
    for (int m = 0; m < count; m++) out[m] = total(sums[m]) + offsets[m];
}

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
#define SOME_ROWS(count)                                                             \
    for (int64_t n = from; n < to; n++) {                                            \
        float out[count];                                                            \
        DOT(count);                                                                  \
        for (int i = 0; i < count; i++) put(p, m + i, n, out[i] * SCALE);            \
    }
#define PART_OF_PRODUCT(most)                                                        \
    int64_t m = 0;                                                                   \
    for (; m + most <= p->rows; m += most) SOME_ROWS(most)                           \
    for (; m + 4 <= p->rows; m += 4) SOME_ROWS(4)                                    \
    if (m + 2 <= p->rows) { SOME_ROWS(2) m += 2; }                                   \
    if (m < p->rows) SOME_ROWS(1)

static void part_bfloat16(const void *job, int64_t from, int64_t to) {
    const struct product *p = job;
    const uint16_t *weights = p->weights;
#define DOT(count) dot_bfloat16(count, p->x + m * p->columns, weights + n * p->columns, out, p->columns)
#define SCALE 1
    PART_OF_PRODUCT(6)
#undef DOT
#undef SCALE
}

static void part_int8(const void *job, int64_t from, int64_t to) {
    const struct product *p = job;
    const int8_t *weights = p->weights;
#define DOT(count) dot_int8(count, p->x + m * p->columns, weights + n * p->columns, out, p->columns)
#define SCALE widened(p->scales[n])
    PART_OF_PRODUCT(6)
#undef DOT
#undef SCALE
}

static void part_int4(const void *job, int64_t from, int64_t to) {
    const struct product *p = job;
    const uint16_t *weights = p->weights;
    int64_t groups = p->columns / GROUP;
#define DOT(count)                                                                   \
    dot_int4(count, p->x + m * p->columns, p->added + m * groups, weights + n * groups * LANES, \
             p->scales + n * groups * 2, out, p->columns)
#define SCALE 1
    PART_OF_PRODUCT(4)
#undef DOT
#undef SCALE
}

/* Returns how many outputs make a piece that is worth taking. */
static int64_t outputs_at_once(int64_t columns) {
    return columns > 0 && columns < PIECE_WEIGHTS ? PIECE_WEIGHTS / columns : 1;
}

/* Returns whether there was memory for it. */
static int multiply(struct product p, part_of part, const void *x, int with_sums) {
    int64_t inputs = p.rows * p.columns, groups = inputs / GROUP;
    float *wide = room(inputs + groups + 1);
    if (!wide) return 0;
    if (p.is_half)
        for (int64_t i = 0; i < inputs; i++) wide[i] = widened(((const uint16_t *)x)[i]);
    p.x = p.is_half ? wide : x;
    if (with_sums) {
        float *added = wide + inputs;
        for (int64_t g = 0; g < groups; g++) {
            const float *in = p.x + g * GROUP;
            added[g] = total((loaded(in) + loaded(in + LANES)) + (loaded(in + 2 * LANES) + loaded(in + 3 * LANES)));
        }
        p.added = added;
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
            floats w[PARTS];
            const uint16_t *scaled = p->scales + (n * groups + g) * 2;
            float scale = widened(scaled[0]), offset = widened(scaled[1]);
            unpack_int4((const uint16_t *)p->weights + (n * groups + g) * LANES, w);
            for (int part = 0; part < PARTS; part++) {
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

/* Attention of a few new tokens over all keys and values, in bfloat16.
 *
 * The heads of queries that share a head of keys are computed together, as many at once as fit the registers, so that keys and
 * values are seldom unpacked, and long caches are cut into pieces, so that all threads have work. Each piece leaves its greatest
 * score, the sum of its weights and its weighted values; a second pass joins them. Query number i of `queries` sees all keys
 * but the last `queries - 1 - i`.
 */
#define PIECE 256
#define LEAST -1e30f

static inline floats greater(floats a, floats b) {
    ints is_first = a > b;
    return (floats)((is_first & (ints)a) | (~is_first & (ints)b));
}

/* e^x for x <= 0, to about 1e-7 of its value. */
static inline floats exponential(floats x) {
    const float least = -87.0f;
    floats lower = {least, least, least, least, least, least, least, least};
    x = greater(x, lower);
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

struct attention {
    const float *q;
    const uint16_t *k, *v;
    float *work;
    int64_t heads, per_head, queries, keys, pieces, dimensions, k_stride, v_stride;
};

/* Some rows of a head over the keys of one piece. `count` is a constant wherever this is called. */
static inline __attribute__((always_inline)) void attend(
    const int count, const struct attention *a, int64_t head, int64_t piece, int64_t row) {
    int64_t dimensions = a->dimensions, width = dimensions + 2, in_pairs = dimensions - dimensions % (2 * LANES);
    int64_t from = piece * PIECE, used = a->keys - from < PIECE ? a->keys - from : PIECE;
    const float *query = a->q + (head * a->per_head + row) * dimensions;
    const uint16_t *keys = a->k + head * a->k_stride + from * dimensions;
    const uint16_t *values = a->v + head * a->v_stride + from * dimensions;
    float *out = a->work + ((head * a->pieces + piece) * a->per_head + row) * width;
    float scores[MOST_AT_ONCE][PIECE];
    for (int64_t i = 0; i < used; i++) {
        const uint16_t *key = keys + i * dimensions;
        floats even[MOST_AT_ONCE] = {{0}}, odd[MOST_AT_ONCE] = {{0}};
        for (int64_t d = 0; d < in_pairs; d += 2 * LANES) {
            floats left = widened_eight(key + d), right = widened_eight(key + d + LANES);
            for (int r = 0; r < count; r++) {
                even[r] += left * loaded(query + r * dimensions + d);
                odd[r] += right * loaded(query + r * dimensions + d + LANES);
            }
        }
        if (in_pairs < dimensions) {
            floats left = widened_eight(key + in_pairs);
            for (int r = 0; r < count; r++) even[r] += left * loaded(query + r * dimensions + in_pairs);
        }
        for (int r = 0; r < count; r++) scores[r][i] = total(even[r] + odd[r]);
    }
    for (int r = 0; r < count; r++) {
        int64_t seen = a->keys - (a->queries - 1 - (row + r) % a->queries) - from;
        if (seen > used) seen = used;
        if (seen < 0) seen = 0;
        for (int64_t i = seen; i < PIECE; i++) scores[r][i] = LEAST;
        floats most = loaded(scores[r]), sums = {0};
        for (int64_t i = LANES; i < PIECE; i += LANES) most = greater(most, loaded(&scores[r][i]));
        float greatest = most[0];
        for (int lane = 1; lane < LANES; lane++)
            if (most[lane] > greatest) greatest = most[lane];
        for (int64_t i = 0; i < PIECE; i += LANES) {
            floats weight = exponential(loaded(&scores[r][i]) - greatest);
            memcpy(&scores[r][i], &weight, sizeof weight);
        }
        for (int64_t i = seen; i < PIECE; i++) scores[r][i] = 0;
        for (int64_t i = 0; i < PIECE; i += LANES) sums += loaded(&scores[r][i]);
        out[r * width + dimensions] = greatest;
        out[r * width + dimensions + 1] = total(sums);
    }
    for (int64_t d = 0; d < in_pairs; d += 2 * LANES) {
        floats left[MOST_AT_ONCE] = {{0}}, right[MOST_AT_ONCE] = {{0}};
        for (int64_t i = 0; i < used; i++) {
            const uint16_t *value = values + i * dimensions + d;
            floats first = widened_eight(value), second = widened_eight(value + LANES);
            for (int r = 0; r < count; r++) {
                left[r] += first * scores[r][i];
                right[r] += second * scores[r][i];
            }
        }
        for (int r = 0; r < count; r++) {
            memcpy(out + r * width + d, &left[r], sizeof left[r]);
            memcpy(out + r * width + d + LANES, &right[r], sizeof right[r]);
        }
    }
    if (in_pairs < dimensions)
        for (int r = 0; r < count; r++) {
            floats sum = {0};
            for (int64_t i = 0; i < used; i++) sum += widened_eight(values + i * dimensions + in_pairs) * scores[r][i];
            memcpy(out + r * width + in_pairs, &sum, sizeof sum);
        }
}

static void part_attention(const void *job, int64_t first, int64_t last) {
    const struct attention *a = job;
    for (int64_t unit = first; unit < last; unit++) {
        int64_t head = unit / a->pieces, piece = unit % a->pieces, row = 0;
        for (; row + MOST_AT_ONCE <= a->per_head; row += MOST_AT_ONCE) attend(MOST_AT_ONCE, a, head, piece, row);
        switch (a->per_head - row) {
            case 5: attend(5, a, head, piece, row); break;
            case 4: attend(4, a, head, piece, row); break;
            case 3: attend(3, a, head, piece, row); break;
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
    int64_t pieces = (keys + PIECE - 1) / PIECE, width = dimensions + 2, inputs = heads * per_head * dimensions;
    float *scaled = room(inputs + heads * pieces * per_head * width + dimensions);
    if (!scaled) return 0;
    for (int64_t i = 0; i < inputs; i++) scaled[i] = widened(q[i]) * (float)scale;
    float *work = scaled + inputs, *sums = work + heads * pieces * per_head * width;
    struct attention a = {scaled, k, v, work, heads, per_head, queries, keys, pieces, dimensions, k_stride, v_stride};
    divide(part_attention, &a, heads * pieces, 1);
    for (int64_t row = 0; row < heads * per_head; row++) {
        int64_t head = row / per_head, r = row % per_head;
        const float *first = work + (head * pieces * per_head + r) * width;
        float greatest = LEAST, sum = 0;
        for (int64_t piece = 0; piece < pieces; piece++) {
            const float *part = first + piece * per_head * width;
            if (part[dimensions + 1] > 0 && part[dimensions] > greatest) greatest = part[dimensions];
        }
        memset(sums, 0, sizeof(float) * (size_t)dimensions);
        for (int64_t piece = 0; piece < pieces; piece++) {
            const float *part = first + piece * per_head * width;
            if (part[dimensions + 1] <= 0) continue;
            float difference = part[dimensions] - greatest;
            floats single = {difference, difference, difference, difference,
                             difference, difference, difference, difference};
            float share = exponential(single)[0];
            sum += share * part[dimensions + 1];
            for (int64_t d = 0; d < dimensions; d++) sums[d] += share * part[d];
        }
        for (int64_t d = 0; d < dimensions; d++) y[row * dimensions + d] = narrowed(sums[d] / sum);
    }
    return 1;
}
