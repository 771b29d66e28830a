/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ends.h: what is still owed to dead objects: batches of callbacks and finalizers, from the
 * collector, which queues them, to the mutator that runs them.
 *
 * Invariants: the objects of a batch are pinned, that is, counted once for it, from before it is
 * queued until they are unpinned: by a decrement in the journal of the mutator that ran the batch,
 * after the last finalizer has returned. A batch is in the queue, or among the active ones with one
 * mutator that runs it; the lock guards both lists, and all notices. What is in a batch belongs to
 * whoever runs it, and to the collector while that one is at rest.
 */
#ifndef GYRE_ENDS_H
#define GYRE_ENDS_H

#include <gyre/heap.h>
#include <gyre/weak.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/thread.h"
#include "platform/wait.h"
#include "vector.h"

struct gyre_mutator;
struct gyre_type;
struct gyre__notice;

struct gyre__batch {
	struct gyre__batch *next;     /* of the queue, or of the active ones */
	struct gyre__batch *outer;    /* what its mutator runs beside it: a finalizer ran it */
	struct gyre__notice *notices; /* still to be called, in this order */
	void **objects;               /* pinned, owners first */
	size_t count;
	size_t run;      /* finalizers that have run, or run now */
	_Atomic(size_t) unpinned; /* objects; written by the mutator that runs it */
};

/* A callback on a weak cell. Its batch serves when there is nothing to finalize beside it, so that
 * no callback needs memory in order to be called. */
struct gyre__notice {
	struct gyre__notice *next;
	gyre_cleared_fn fn;
	void *arg;
	bool lends; /* `alone` is a batch that runs: the notice is released with it */
	union {
		struct {
			uint64_t id;
			unsigned flags;
		} registered;             /* before it is queued */
		struct gyre__batch alone; /* afterwards */
	};
};

/* A dead cycle that is kept by gyre_save_all: its members are pinned. While it is visited it stays
 * in its list, also if it is dropped meanwhile. Guarded by the lock. */
struct gyre__kept {
	struct gyre__batch batch; /* of the members, nothing to be called */
	struct gyre__kept *next, *previous;
	struct gyre__kept *outer; /* what its visitor visits beside it */
	uint64_t id, bytes;
	bool visited, dropped;
};

struct gyre__ends {
	struct gyre__lock lock;
	struct gyre__event work;    /* a batch was queued, or the finalizer thread is to stop */
	struct gyre__event changed; /* a batch was queued, or no batch waits or runs any more */
	struct gyre__batch *first, **last; /* the queue */
	struct gyre__batch *active;
	struct gyre__batch *visited; /* objects that a thread looks at: nothing to be called */
	struct gyre__kept *kept, *last_kept; /* oldest first */
	uint64_t kept_ids;
	uint64_t next_id;
	struct gyre__vector rearmed; /* objects whose finalizers are to run again */
	/* Objects of acyclic types that got the first attachment in their slab. */
	struct gyre__vector attached;
	struct gyre__bell bell; /* rings while the queue is not empty */
	struct gyre__thread thread;
	bool started, stop;
	/* Registered when they are first needed. */
	_Atomic(const struct gyre_type *) weak_type, attachment_type;
};

bool gyre__ends_init(struct gyre_heap *heap);
void gyre__ends_destroy(struct gyre_heap *heap);

/* Starts the finalizer thread, if the heap is to have one and it does not run yet. False if the
 * system refuses. */
bool gyre__finalizer_start(struct gyre_heap *heap);
/* Ends it, after the batch that it runs. The caller is no mutator. */
void gyre__finalizer_stop(struct gyre_heap *heap);

/* Collector: memory for a batch of count objects, or NULL. */
struct gyre__batch *gyre__batch_make(size_t count);
/* Collector: puts a batch into the queue. */
void gyre__batch_queue(struct gyre_heap *heap, struct gyre__batch *batch);
/* What m was running when its thread ended goes to whoever comes next. */
void gyre__batch_leave(struct gyre_mutator *m);

/* A function of the host's that m ran, what it is called, has returned. keeps: m's frames before.
 * It must return with them, and running: with checks it is told so; without, m runs again, as what
 * follows writes to its journal. */
void gyre__returned(struct gyre_mutator *m, const char *what, const struct gyre_keep *keeps);

/* Puts a batch of pinned objects that a thread looks at into its list. Lock held. */
void gyre__visit_begin(struct gyre__ends *ends, struct gyre__batch *batch);
/* Its objects are unpinned by m's journal, in order, up to number count. Between two of them m may
 * reach a safe point, after the last one it does not. */
void gyre__unpin_up_to(struct gyre_mutator *m, struct gyre__batch *batch, size_t count);
/* Takes such a batch, which is unpinned, out of its list; it is empty again. */
void gyre__visit_end(struct gyre_mutator *m, struct gyre__batch *batch);
/* The thread of m has ended while it visited kept cycles. */
void gyre__kept_leave(struct gyre_mutator *m);
/* m's thread has ended while it looked at objects: they are unpinned. */
void gyre__visits_leave(struct gyre_mutator *m);

bool gyre__batch_waits(struct gyre__ends *ends);
/* Runs the oldest batch that waits; false if none does. */
bool gyre__batch_run(struct gyre_mutator *m, uint64_t *ran);

/* With the heap's last mutator gone: runs what waits, and with GYRE_CLOSE_FINALIZES what live
 * objects are owed. */
enum gyre_status gyre__ends_close(struct gyre_heap *heap);

#endif
