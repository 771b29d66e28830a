/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mutator.h: a thread's record in a heap.
 *
 * The record belongs to its thread while the state is RUNNING, to nobody while it is PARKED or
 * EXITED, and to the collector while it is CLAIMED; the state word is the hand-over. Only the
 * thread goes RUNNING -> PARKED -> RUNNING and RUNNING -> EXITED; only the collector goes PARKED ->
 * CLAIMED -> PARKED, and a claimed thread that wants to run waits. An EXITED record is the
 * collector's to end.
 *
 * The epoch word says in which epoch the mutator is. Storing e + 1 (release) is the announcement
 * that the boundary of e is done and its journal sealed; nobody stores it but the record's owner.
 */
#ifndef GYRE_RUNTIME_MUTATOR_H
#define GYRE_RUNTIME_MUTATOR_H

#include <gyre/mutator.h>

#include "check.h"
#include "heap.h"
#include "journal.h"
#include "platform/qsbr.h"
#include "platform/ring.h"

enum gyre__mutator_state {
	GYRE_MUTATOR_RUNNING,
	GYRE_MUTATOR_PARKED,
	GYRE_MUTATOR_CLAIMED,
	GYRE_MUTATOR_EXITED,
};

/* Bits of head.poll: what the next safe point has to do. */
enum gyre__poll {
	GYRE_POLL_BOUNDARY = 1, /* set by the collector */
	GYRE_POLL_PRESSURE = 2, /* set by the mutator's own slow paths */
	GYRE_POLL_STOP = 4,     /* set by the collector: come to rest and wait */
	GYRE_POLL_REFILL = 8,   /* the spare chunks could not be topped up */
	GYRE_POLL_QUIESCENT = 16, /* set and taken back by whoever waits for a grace period */
};

/*
 * Where the next object of a class comes from: a run of vacant cells, zeroed up to `ready`. Objects
 * from run_start to cursor were born in the open epoch and are not handed over yet. `limit` is what
 * the fast path compares with: `ready`, or less when the next allocation has to take the slow path.
 */
struct gyre__bin {
	char *cursor;
	char *limit;
	char *ready;
	char *run_start;
	char *run_end;
	struct gyre__slab *slab;
	uint32_t cell_bytes;
	uint32_t next_cell; /* where the search for the next run begins */
	struct gyre__bin *next_born; /* of the bins with newborns of this epoch */
	struct gyre__bin *next_held; /* of the bins with a slab */
	bool is_born;
	bool is_held;
};

/* The bins of a type, one for each class. */
struct gyre__bins {
	struct gyre__bin *bins;
};

struct gyre_mutator {
	struct gyre_mutator_head head;
	/* Journal: the open chunk, and the full ones of this epoch, most recent first. */
	uintptr_t *journal_at, *journal_end;
	struct gyre__chunk *journal;
	struct gyre__chunk *filled;
	struct gyre__chunk *spare;
	size_t spare_count;
	enum gyre_status refusal; /* why the last reservation failed */
	/* Newborns. */
	struct gyre__bins *bins; /* by type id */
	uint32_t bins_count;
	struct gyre__bin *born, *held;
	struct gyre__chunk *births;       /* most recent first */
	struct gyre__chunk *births_spare; /* empty ones, so that handing over cannot fail */
	size_t births_room;               /* pairs that fit into births and births_spare */
	size_t births_promised;           /* pairs that open runs will need */
	size_t handed;                    /* bytes of newborns, not added to the pressure yet */

	struct gyre_heap *heap;
	/* The two rings: sealed chunks to the collector, empty ones back. */
	struct gyre__ring sealed, returned;
	/* Shared words. */
	_Atomic(uint32_t) state;
	_Atomic(uint64_t) epoch;
	uint64_t runs; /* times it began to run */

	/* Of the registry. */
	struct gyre_mutator *next;
	struct gyre_mutator *previous;
	struct gyre__reader reader;
	char name[32];
	long tid;
	unsigned farewells; /* rounds of thread-specific data destructors seen */

	/* The collector's: the snapshot that is counted now, and `runs` when it was taken. */
	struct gyre__chunk *snapshot;
	uint64_t snapshot_runs; /* UINT64_MAX: there has been none yet */
	bool snapshot_kept; /* at this boundary: it had not run */
	bool ended;         /* its last epoch is sealed */
};

_Static_assert(offsetof(struct gyre_mutator, head) == 0, "the header casts to it");

static inline uint32_t gyre__mutator_state(const struct gyre_mutator *m)
{
	/* Acquire pairs with the release of each change of state: what the owner did before. */
	return atomic_load_explicit(&m->state, memory_order_acquire);
}

static inline void gyre__mutator_poll(struct gyre_mutator *m, uint32_t bits)
{
	/* Relaxed: the bits say only that there is something to do. */
	atomic_fetch_or_explicit(&m->head.poll, bits, memory_order_relaxed);
}

static inline void gyre__mutator_unpoll(struct gyre_mutator *m, uint32_t bits)
{
	atomic_fetch_and_explicit(&m->head.poll, ~bits, memory_order_relaxed);
}

/* Appends to the journal; room was reserved. */
static inline void gyre__journal_add(struct gyre_mutator *m, uintptr_t entry)
{
	if (__builtin_expect(m->journal_at == m->journal_end, 0))
		gyre__journal_turn(m);
	*m->journal_at++ = entry;
}

/*
 * Does the boundary of the epoch before the heap's for m, on behalf of its owner, who calls it:
 * takes the snapshot, seals journal and births, announces. False: no memory for the snapshot; m has
 * not moved and must try again.
 */
bool gyre__boundary(struct gyre_mutator *m);

/* Collector: takes a parked m over, if it is parked; and gives it back, with the registry's lock
 * held. */
bool gyre__claim(struct gyre_mutator *m);
void gyre__unclaim(struct gyre_mutator *m);

/* alloc.c: the newborns of the epoch go to chunks; returned to the caller as a chain. */
void gyre__births_seal(struct gyre_mutator *m);
/* Gives slabs of bins back that had no newborn in this epoch, a few at each boundary. */
void gyre__bins_relinquish_idle(struct gyre_mutator *m);
/* Gives all slabs of m back, after sealing. */
void gyre__bins_relinquish(struct gyre_mutator *m);
void gyre__bins_destroy(struct gyre_mutator *m);
/* Makes every later allocation of m fail: in the child of a fork. */
void gyre__bins_freeze(struct gyre_mutator *m);

/* Runs again after a park; not a safe point. The owner. */
void gyre__unpark(struct gyre_mutator *m);

/* Releases the record itself. Collector, or closing heap. */
void gyre__mutator_free(struct gyre_mutator *m);

/* A thread has ended while attached to a heap: the key's destructor. */
void gyre__mutator_ended(void *value);

#if GYRE_CHECKED
/* m is the calling thread's and not parked. */
void gyre__check_mutator(const struct gyre_mutator *m, const char *call);
/* value is NULL or an object of m's heap. */
void gyre__check_value(const struct gyre_mutator *m, const void *value, const char *call);
#else
#define gyre__check_mutator(m, call) ((void)0)
#define gyre__check_value(m, value, call) ((void)0)
#endif

#endif
