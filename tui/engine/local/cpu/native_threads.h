/* Threads that share the work.
 *
 * OpenMP's wait for each other at every product: spinning, which on a desktop in use stops all of them whenever one is not
 * run, or asleep, which costs more than a product takes. Here work is cut into pieces, and whoever runs takes the next one:
 * a helper that is late, asleep or not run takes none, and holds nobody up. A helper without work looks for some for SPIN_NS,
 * as long as the pause between two products of a token may be, and then sleeps until the next product.
 *
 * A helper on the caller's core is worse than none: while it has a piece, or looks for one, the caller doesn't run. Schedulers leave
 * it there for a whole reply, since it never sleeps long enough to be placed anew. So a helper that finds itself on the core of
 * the caller or of another helper goes elsewhere. It is not bound to any core: other programs may need it more. And where other
 * programs keep a helper from finishing its piece, the caller goes on alone for a while.
 */
#pragma once
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>

#define MOST_HELPERS 255
#define SPIN_NS 300000
#define LOOKS 64
#define MOVE_NS 1000000 /* so long a helper stays where it is: moving costs as much as a few products */
#define STALL_NS 200000 /* many times what a piece takes: a helper that has one does not run */
#define ALONE 4         /* so many times as long as the stall lasted the caller goes on alone */
#define NOWHERE -1

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
    _Atomic int64_t alone_until;
    _Atomic int caller;              /* the core of the thread whose work is shared */
    _Atomic int caller_id;           /* that thread */
    _Atomic int cores[MOST_HELPERS]; /* of each helper that is awake */
    int made;
    pthread_mutex_t lock;
    pthread_cond_t bell, wanted;
} crew = {.lock = PTHREAD_MUTEX_INITIALIZER, .bell = PTHREAD_COND_INITIALIZER, .wanted = PTHREAD_COND_INITIALIZER,
          .caller = NOWHERE};

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
    atomic_store(&crew.cores[number], NOWHERE);
    /* Those who are too many are not woken for each product. */
    while (number >= atomic_load(&crew.helpers)) pthread_cond_wait(&crew.wanted, &crew.lock);
    atomic_fetch_add(&crew.asleep, 1);
    if (!there_is_work()) pthread_cond_wait(&crew.bell, &crew.lock);
    atomic_fetch_sub(&crew.asleep, 1);
    pthread_mutex_unlock(&crew.lock);
}

/* Returns whether a core is the caller's, or that of a helper with a smaller number. */
static int is_taken(int core, int number) {
    if (core == atomic_load(&crew.caller)) return 1;
    for (int other = 0; other < number; other++)
        if (core == atomic_load(&crew.cores[other])) return 1;
    return 0;
}

/* Goes to a core that no other of the crew is on, or at least off the caller's, if the caller may run on several. */
static void go_elsewhere(int number) {
    cpu_set_t allowed, free_ones;
    if (sched_getaffinity(atomic_load(&crew.caller_id), sizeof allowed, &allowed)) return;
    free_ones = allowed;
    for (int other = 0; other < atomic_load(&crew.helpers); other++) {
        int core = atomic_load(&crew.cores[other]);
        if (other != number && core >= 0 && core < CPU_SETSIZE) CPU_CLR(core, &free_ones);
    }
    int caller = atomic_load(&crew.caller);
    if (caller < 0 || caller >= CPU_SETSIZE) return;
    CPU_CLR(caller, &free_ones);
    if (!CPU_COUNT(&free_ones)) {
        free_ones = allowed;
        CPU_CLR(caller, &free_ones);
    }
    if (!CPU_COUNT(&free_ones)) return;
    /* The first call moves it; after the second one it may be moved again. */
    if (!sched_setaffinity(0, sizeof free_ones, &free_ones)) sched_setaffinity(0, sizeof allowed, &allowed);
}

static void *help(void *argument) {
    int number = (int)(intptr_t)argument;
    int64_t stays_until = 0;
    for (;;) {
        sleep_until_work(number);
        int64_t until = now_ns() + SPIN_NS;
        for (unsigned look = 1; number < atomic_load(&crew.helpers); look++) {
            int core = sched_getcpu();
            atomic_store_explicit(&crew.cores[number], core, memory_order_relaxed);
            if (is_taken(core, number)) {
                int64_t now = now_ns();
                if (now > stays_until) {
                    go_elsewhere(number);
                    stays_until = now + MOVE_NS;
                    continue;
                }
                if (core == atomic_load(&crew.caller)) {
                    /* It can't be helped for now: the caller comes first. */
                    if (now > until) break;
                    sched_yield();
                    continue;
                }
            }
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

static int is_alone(void) {
    int64_t until = atomic_load_explicit(&crew.alone_until, memory_order_relaxed);
    return until && now_ns() < until;
}

/* Does all units of a job, in pieces of some units; whoever comes while it is busy does all by itself. */
static void divide(part_of run, const void *job, int64_t units, int64_t size) {
    static _Thread_local int id;
    int64_t pieces = (units + size - 1) / size, mine = 0;
    int is_free = 0;
    /* The number of pieces and that of the next one share a word. */
    if (pieces < 2 || pieces > INT32_MAX || !atomic_load(&crew.helpers) || is_alone() ||
        !atomic_compare_exchange_strong(&crew.in_use, &is_free, 1)) {
        run(job, 0, units);
        return;
    }
    if (!id) id = (int)syscall(SYS_gettid);
    atomic_store_explicit(&crew.caller_id, id, memory_order_relaxed);
    atomic_store_explicit(&crew.caller, sched_getcpu(), memory_order_relaxed);
    crew.run = run, crew.job = job, crew.units = units, crew.size = size;
    atomic_store(&crew.done, 0);
    atomic_store(&crew.next, (uint64_t)pieces << 32);
    if (atomic_load(&crew.asleep)) {
        pthread_mutex_lock(&crew.lock);
        pthread_cond_broadcast(&crew.bell);
        pthread_mutex_unlock(&crew.lock);
    }
    while (do_piece()) mine++;
    int64_t since = 0;
    for (unsigned look = 1; atomic_load(&crew.done) + mine < pieces; look++) {
        rest();
        if (look % LOOKS) continue;
        if (!since) since = now_ns();
        sched_yield();
    }
    if (since) {
        int64_t now = now_ns();
        if (now - since > STALL_NS) atomic_store(&crew.alone_until, now + ALONE * (now - since));
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
        pthread_setname_np(thread, "kernel-helper");
        pthread_detach(thread);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    atomic_store(&crew.helpers, wanted < crew.made ? wanted : crew.made);
    pthread_cond_broadcast(&crew.wanted);
    pthread_mutex_unlock(&crew.lock);
    return atomic_load(&crew.helpers) + 1;
}
