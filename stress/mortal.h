/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mortal.h: what the modes share that look at the end of objects: nodes that may have weak cells
 * and finalizers, the walk that finds what is reachable, records outside the heap, and the threads
 * that run finalizers where gyre leaves that to the host.
 *
 * A node and all that it reaches are found by a walk over the slots from the mode's own roots and
 * the workers' frames, when all are at rest; nothing that gyre counts goes into it. Weak cells are
 * objects, too: a node that was asked for its cell holds it, whoever else does.
 */
#ifndef MORTAL_H
#define MORTAL_H

#include "shapes.h"

struct mortal_record;

/* The node of modes weak and finalizers. All fields without an atomic or a slot are written before
 * the node is published and never after, but for walked. */
struct mortal_node {
	struct stress_head head;
	gyre_ref next, previous, other; /* of an acyclic node only next is a slot */
	gyre_ref cell;                  /* a weak cell, or NULL */
	struct stress_run *run;
	struct mortal_record *record; /* in mode finalizers; NULL: the node has no finalizer */
	uint32_t place, kind, deeds;  /* the mode's own */
	_Atomic(uint32_t) celled;     /* somebody has asked for the node's cell */
	uint64_t walked;              /* the last walk that came by */
};

/* Registers the node with this finalizer or none; NULL: the run has failed. */
const struct gyre_type *mortal_type(struct stress_run *run, const char *name, bool acyclic,
				    gyre_finalize_fn finalize);

/* A new node that runs from identity; NULL as stress_new. */
struct mortal_node *mortal_node(struct stress_worker *w, const struct gyre_type *type,
				uint64_t identity);

/* gyre_weak_of, tried again, with node kept; the cell is valid until the next safe point. NULL: the
 * run has failed. May be a safe point. */
struct gyre_weak *mortal_cell(struct stress_worker *w, struct mortal_node *node);

/* A table of slots. */
struct mortal_table {
	struct stress_head head;
	size_t length;
	gyre_ref places[];
};

const struct gyre_type *mortal_table_type(struct stress_run *run);

/* Makes a table that root holds; NULL: the run has failed. */
struct mortal_table *mortal_table(struct stress_run *run, const struct gyre_type *type,
				  struct gyre_root *root, uint64_t length, uint64_t identity);

/* gyre_exchange, tried again, with value kept. What was there is valid until the next safe point.
 * May be a safe point before the exchange. */
void *mortal_exchange(struct stress_worker *w, gyre_ref *slot, const void *value);

/* ---- The walk ---- */

/* A list of words that grows. */
struct mortal_list {
	uint64_t *values;
	size_t count, room;
};

struct mortal_walk {
	struct stress_worker *w;
	uint64_t number;                /* of this walk, from 1 */
	struct mortal_list stack;       /* nodes seen and not looked into */
	struct mortal_list identities;  /* of the nodes; sorted by mortal_walk_end */
	struct mortal_list cells;       /* addresses; each maybe several times */
	uint64_t nodes, distinct_cells; /* set by mortal_walk_end */
};

/* Nobody else changes the heap between begin and the end of the comparison. No safe point. */
void mortal_walk_begin(struct mortal_walk *walk, struct stress_worker *w);
/* Adds what node reaches, if it is one. */
void mortal_walk_node(struct mortal_walk *walk, void *node);
/* Adds a weak cell, if it is one. */
void mortal_walk_cell(struct mortal_walk *walk, const void *cell);
/* Sorts and counts. */
void mortal_walk_end(struct mortal_walk *walk);
/* Whether a node with this identity was met. */
bool mortal_walk_met(const struct mortal_walk *walk, uint64_t identity);
void mortal_walk_free(struct mortal_walk *walk);

void mortal_list_add(struct stress_run *run, struct mortal_list *list, uint64_t value);
void mortal_list_sort(struct mortal_list *list);
/* In a sorted list. */
bool mortal_list_has(const struct mortal_list *list, uint64_t value);

/* ---- Records ---- */

/* Records of one size, taken by any thread, given back when all are at rest. All are zero at first,
 * and what a record held stays in it. */
struct mortal_pool {
	char *records;
	size_t bytes, count;
	uint32_t *free;
	_Atomic(int64_t) left;
};

bool mortal_pool_make(struct stress_run *run, struct mortal_pool *pool, size_t bytes, size_t count);
void mortal_pool_free(struct mortal_pool *pool);
/* A record, or NULL: none is left; the caller asks for a checkpoint and does without. */
void *mortal_pool_take(struct stress_run *run, struct mortal_pool *pool);
void mortal_pool_give(struct mortal_pool *pool, void *record);

/* ---- Who runs finalizers ---- */

/* A worker for the framework's calls inside of a finalizer or callback. number: for its stream of
 * random numbers. */
struct stress_worker mortal_worker(struct stress_run *run, struct gyre_mutator *m, uint64_t number);

#define MORTAL_HOSTS 2

/* Threads that wait for gyre_finalize_fd and call gyre_finalize_next. */
struct mortal_hosts {
	struct stress_run *run;
	pthread_t threads[MORTAL_HOSTS];
	unsigned started;
	_Atomic(bool) stop;
	_Atomic(uint64_t) ran; /* callbacks and finalizers */
};

/* Whether the run's finalizers are run by the host: parameter "host", by the seed if it is 2. */
bool mortal_by_host(const struct stress_run *run);
/* The modes' hook: that parameter, and short epochs. */
void mortal_options(const struct stress_run *run, struct gyre_options *options);
/* Starts the threads, if the host runs finalizers. */
void mortal_hosts_begin(struct mortal_hosts *hosts, struct stress_run *run);
void mortal_hosts_end(struct mortal_hosts *hosts);
/* The workers' rounds with the hosts beside them; then what is there is compared with count, and
 * dropped. Main thread. */
void mortal_run(struct stress_run *run, struct mortal_hosts *hosts,
		void (*work)(struct stress_worker *w), uint64_t (*count)(struct stress_worker *w),
		void (*drop_all)(struct stress_run *run));
/* When nothing waits, the descriptor must not be readable. */
void mortal_hosts_check_idle(struct stress_run *run);

#define MORTAL_HOST_DOC "Finalizers run on 0: gyre's thread, 1: two of the host, 2: the seed says"

/* Waits for the next boundary, for some milliseconds at most, with what the frames hold kept: so
 * much is done in an epoch, however fast it is done, and what dies is met while it does. *last is
 * the caller's, 0 at first. A safe point. */
void mortal_await_epoch(struct stress_worker *w, uint64_t *last);

/* A short pause while parked: what a finalizer does that waits for something. A safe point. */
void mortal_nap(struct stress_worker *w, uint64_t ns);

#endif
