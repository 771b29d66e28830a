/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * micro.h: what the parts of the microbenchmark share. A cell of the table is one workload under
 * one manager of memory with a number of threads; it is measured once a round. A round measures all
 * cells one after another, so that whatever else the machine does falls on all managers alike.
 *
 *   micro.c   the command line and the rounds (main thread)
 *   cell.c    the life of one measurement: threads, phases, clocks, figures of the heap
 *   loops.c   what is timed, and what it works on (the threads of a cell)
 *   report.c  medians, the table, JSON (main thread, after the rounds)
 */
#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <gyre/gyre.h>

#include "calls.h"

enum micro_workload {
	MICRO_CHURN,
	MICRO_RINGS,
	MICRO_STORES4K,
	MICRO_STORES1M,
	MICRO_WEAK,
	MICRO_WORKLOADS
};

/* The gyre managers first. plain is a store into objects of malloc, or a load from them; peek is a
 * store that looks at what the slot holds before, as every barrier that marks slots must: what is
 * above it is gyre's. */
enum micro_manager {
	MICRO_TAGGED,
	MICRO_RECYCLER,
	MICRO_MALLOC,
	MICRO_CALLOC,
	MICRO_MIMALLOC,
	MICRO_MI_ZALLOC,
	MICRO_PLAIN,
	MICRO_PEEK,
	MICRO_MANAGERS
};

#define MICRO_THREADS_MAX 16 /* in one cell, and entries of --threads */
#define MICRO_BATCH 64       /* operations between two safe points: an event loop's turn */
#define MICRO_RING_SIZES 1024
#define MICRO_ROUNDS_MAX 1000

struct micro_node {
	gyre_ref a, b;
	uint64_t x[2];
};

/* The same without gyre: what malloc gives, what a plain store writes to. */
struct micro_plain {
	struct micro_plain *a, *b;
	uint64_t x[2];
};

/* The root of a gyre store workload: holds every live object. */
struct micro_array {
	size_t length;
	gyre_ref items[];
};

struct micro_options {
	double seconds;      /* of one measurement; not used if operations is not 0 */
	uint64_t operations; /* of each thread; 0: by time */
	unsigned rounds;
	int only;     /* a workload, or -1 */
	size_t large; /* live objects of stores1m, of each thread */
	unsigned threads[MICRO_THREADS_MAX];
	unsigned threads_count;
	const char *json;
	const struct micro_calls *mimalloc; /* NULL: there is none */
};

/* What one measurement gave. Times are ns for each operation: an object made, or a store. */
struct micro_sample {
	double wall;       /* of a thread, by the clock on the wall */
	double own;        /* of a thread, CPU time */
	double cpu;        /* of the process, CPU time while the threads ran, collector included */
	double drain;      /* of the process, CPU time afterwards, to collect what was left */
	double operations; /* of all threads */
	/* gyre only, for each operation, the draining included. */
	double near_traced, far_traced, candidates, counted, looked_up, window_stores;
	double epochs;       /* boundaries while the threads ran */
	uint64_t mapped_max; /* bytes of the heap, at most */
	uint64_t left;       /* objects live when all is dropped and collected: 0 */
	bool failed;         /* a call was refused: the figures mean nothing */
};

struct micro_cell {
	enum micro_workload workload;
	enum micro_manager manager;
	unsigned threads;
	struct micro_sample *samples; /* one a round */
};

struct micro_work;

/* One turn of a workload. The number of operations done; 0: a call was refused. */
typedef uint64_t (*micro_batch_fn)(struct micro_work *work);

/* What one thread works on. Its own but for the heap and the type. */
struct micro_work {
	/* Set by cell.c. */
	enum micro_workload workload;
	enum micro_manager manager;
	const struct micro_calls *calls;
	struct gyre_mutator *m;
	const struct gyre_type *node_type, *array_type;
	size_t objects;           /* of a workload with live ones */
	struct micro_work *first; /* of the cell: all threads load what it has made (weak) */
	uint64_t random;
	/* Kept by loops.c. */
	micro_batch_fn batch;
	struct gyre_root root; /* holds the array of objects, if rooted */
	bool rooted;
	void **table;  /* the objects */
	unsigned ring; /* the next of sizes */
	uint8_t sizes[MICRO_RING_SIZES];
};

static inline bool micro_is_gyre(enum micro_manager manager)
{
	return manager <= MICRO_RECYCLER;
}

/* It works on live objects, and is compared with plain accesses to memory. */
static inline bool micro_is_access(enum micro_workload workload)
{
	return workload >= MICRO_STORES4K;
}

/* loops.c. begin makes the live objects and chooses the batch; on false, end is called as well. */
bool micro_work_begin(struct micro_work *work);
void micro_work_end(struct micro_work *work);

/* cell.c. Measures a cell once. */
void micro_measure(const struct micro_options *options, const struct micro_cell *cell,
		   struct micro_sample *sample);

/* report.c */
extern const char *const micro_workload_names[MICRO_WORKLOADS];
extern const char *const micro_manager_names[MICRO_MANAGERS];
void micro_table(const struct micro_options *options, const struct micro_cell *cells, size_t count);
bool micro_json(const struct micro_options *options, const struct micro_cell *cells, size_t count);

#endif
