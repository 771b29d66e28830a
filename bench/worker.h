/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker.h: what a workload and the program around it share. One process runs one workload under
 * one manager, once:
 *
 *   the workload's threads: attach, begin      main: opens the manager; collects
 *   threads: turns (to warm up)                main: sleeps, says stop
 *   threads: parked                            main: collects, marks the figures
 *   threads: turns (measured)                  main: sleeps, says stop
 *   threads: parked                            main: clocks; collects (drain); clocks
 *   threads: end (drop everything), detach     main: waits until all is reclaimed; prints
 *
 * A workload of kind `once` does all its work in one turn, and is not warmed up.
 */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "manage.h"

#define BENCH_THREADS_MAX 64
#define BENCH_BATCH 64 /* operations between two safe points: an event loop's turn */

struct bench_latency;
struct bench_workload;

struct bench_options {
	unsigned threads;
	uint64_t live;       /* objects, or what the workload takes it for; 0: its default */
	double seconds;      /* of the measured phase */
	uint64_t operations; /* of each thread in the measured phase; 0: by time */
	uint64_t seed;
	bool shared; /* the whole process on the mutators' cores */
};

/* One thread of the workload: its own, but for what first has. */
struct bench_thread {
	mm_thread m;
	unsigned index;
	const struct bench_options *options;
	struct bench_thread *first; /* thread 0: what it has begun, all may use */
	uint64_t random;            /* state of bench_random; its own of each thread */
	void *own;                  /* the workload's: state_bytes of it, zero at first */
	uint64_t operations;        /* of the measured phase */
	uint64_t allocated;         /* objects, counted by the workload if it likes: whole run */
	/* Operations that are timed go here; NULL in the warm-up. */
	struct bench_latency *latency;
};

struct bench_workload {
	const char *name;
	const char *unit; /* of the figure that counts: ns/object, ns/store, s, us, bytes */
	const char *kind; /* throughput, latency, once */
	const char *what; /* one line */
	const struct mm_shape *const *shapes;
	size_t shapes_count;
	size_t state_bytes; /* of t->own */
	unsigned threads;   /* how many it needs; 0: any number */
	/* Each on the thread of t. begin makes what lives throughout; thread 0 is done with its own
	 * before the others begin. False, or a turn of 0 operations: no memory. */
	bool (*begin)(struct bench_thread *t);
	/* A batch, short (below a millisecond) but for kind `once`; the operations done. */
	uint64_t (*turn)(struct bench_thread *t);
	void (*end)(struct bench_thread *t); /* drops all; also after a begin that failed */
	/* Prints further figures, after the threads have ended; or NULL. Main thread. */
	void (*report)(const struct bench_thread *threads, unsigned count);
	/* A reason why this manager cannot do it, or NULL. */
	const char *(*refused)(void);
};

static inline uint64_t bench_random(struct bench_thread *t)
{
	uint64_t x = t->random; /* xorshift64* */

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	t->random = x;
	return x * UINT64_C(0x2545F4914F6CDD1D);
}

/* An index below count from 32 random bits. */
static inline size_t bench_below(uint32_t random, size_t count)
{
	return (size_t)(((uint64_t)random * count) >> 32);
}

/* worker.c */
uint64_t bench_now(void); /* ns, monotonic */
void bench_print(const char *name, double value);
/* Bytes of memory that the process has now; 0 if the system does not say. */
uint64_t bench_rss(void);
/* The measured phase is to end; a turn that waits (for its time, say) looks at it. */
bool bench_stopped(void);
/* Waits for the time at, by sleeping to within spin_ns of it and spinning then; parked meanwhile.
 * False: the phase is to end. */
bool bench_wait_until(struct bench_thread *t, uint64_t at, uint64_t spin_ns);

/* latency.c: begun: when the operation did; due: when it was to, for an open loop. */
struct bench_latency *bench_latency_new(void);
void bench_latency_free(struct bench_latency *latency);
void bench_latency_add(struct bench_latency *latency, uint64_t due, uint64_t begun, uint64_t ended);
/* Prints percentiles and the curve of minimum mutator utilisation. */
void bench_latency_report(const struct bench_latency *latency);

/* list.c: all workloads; NULL ends it. */
extern const struct bench_workload *const bench_workloads[];

#endif
