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
 * The phase word says which handshake the mutator has done last. Storing it (release) is the
 * announcement, with all that was sealed for it; nobody stores it but the record's owner.
 */
#ifndef GYRE_RUNTIME_MUTATOR_H
#define GYRE_RUNTIME_MUTATOR_H

#include <gyre/mutator.h>

#include "check.h"
#include "ends.h"
#include "heap.h"
#include "journal.h"
#include "platform/qsbr.h"
#include "platform/ring.h"
#include "to_collector.h"

enum gyre__mutator_state {
	GYRE_MUTATOR_RUNNING,
	GYRE_MUTATOR_PARKED,
	GYRE_MUTATOR_CLAIMED,
	GYRE_MUTATOR_EXITED,
};

/* Bits of head.poll: what the next safe point has to do. */
enum gyre__poll {
	GYRE_POLL_BOUNDARY = 1,   /* set by the collector */
	GYRE_POLL_PRESSURE = 2,   /* set by the mutator's own slow paths */
	GYRE_POLL_STOP = 4,       /* set by the collector: come to rest and wait */
	GYRE_POLL_REFILL = 8,     /* the spare chunks could not be topped up */
	GYRE_POLL_QUIESCENT = 16, /* set and taken back by whoever waits for a grace period */
};

/*
 * Where the next object of a class comes from: a run of vacant cells, zeroed up to `ready`. Objects
 * from run_start to the bump's cursor were born in the open epoch and are not handed over yet. The
 * bump's limit is what the fast path compares with: `ready`, or less when the next allocation has
 * to take the slow path. While allocations are sampled the run ends before the next one that is to
 * be, which is at sample_at (NULL: not in this run).
 */
struct gyre__bin {
	struct gyre_bump *bump; /* in the head's table, or `own` for a class of arrays */
	struct gyre_bump own;
	char *ready;
	char *run_start;
	char *run_end;
	char *sample_at;
	struct gyre__slab *slab;
	uint32_t cell_bytes;
	uint32_t next_cell;          /* where the search for the next run begins */
	struct gyre__bin *next_born; /* of the bins with newborns of this epoch */
	struct gyre__bin *next_held; /* of the bins with a slab */
	bool is_born;
	bool is_held;
};

/* The bins of a type, one for each class. */
struct gyre__bins {
	struct gyre__bin *bins;
	bool one_size;
};

struct gyre_mutator {
	struct gyre_mutator_head head;
	/* Written in this epoch. */
	struct gyre__log journal; /* objects counted up and down */
	struct gyre__log slots;   /* tagged: slots, and what they held */
	struct gyre__log snoop; /* tagged: what counts as if a frame held it at the next boundary */
	struct gyre__chunk *spare;
	size_t spare_count;
	uintptr_t tag;          /* tagged: of the mutator's epoch */
	bool window;            /* tagged: between the first and the last handshake of a boundary */
	bool switched;          /* tagged: between the second and the last */
	bool snooped;           /* tagged: its last snapshot has more than its frames hold */
	uint64_t window_stores; /* since they were last told */
	/* Tagged: how far its log of slots reached when the window closed. */
	struct gyre__chunk *hasty;
	size_t hasty_words;
	enum gyre_status refusal; /* why the last reservation failed */
	/* Newborns. */
	struct gyre__bins *bins; /* by type id, as many as there are bumps */
	uint32_t bins_count;
	struct gyre__bin *born, *held;
	struct gyre__chunk *births;       /* most recent first */
	struct gyre__chunk *births_spare; /* empty ones, so that handing over cannot fail */
	size_t births_room;               /* pairs that fit into births and births_spare */
	size_t births_promised;           /* pairs that open runs will need */
	size_t handed;                    /* bytes of newborns, not added to the pressure yet */
	uint64_t sample_rate;             /* profile.h; the heap's at the last boundary */
	uint64_t sample_dice;             /* 0: not thrown yet */
	double sample_left;               /* bytes to the next sample */

	struct gyre_heap *heap;
	/* The two rings: sealed chunks to the collector, empty ones back. */
	struct gyre__ring sealed, returned;
	/* Shared words. */
	_Atomic(uint32_t) state;
	_Atomic(uint64_t) phase;
	_Atomic(struct gyre__chunk *) shown; /* the newest chunk of slots of the open epoch */
	uint64_t runs;                       /* times it began to run */

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
	uint64_t sealed_runs;   /* the same at the handshake before */
	bool snapshot_kept;     /* at this boundary: it had not run */
	bool snapshot_new;      /* it is to be counted up */
	/* What of `shown` the collector has seen in this processing. */
	struct gyre__chunk *seen;
	uint64_t seen_words;
	bool gone;  /* it had left when the last boundary began */
	bool ended; /* its last epoch is sealed */

	/* Finalizers. */
	bool internal;             /* gyre's own: for the host it does not count as attached */
	struct gyre__batch *batch; /* that it runs, the innermost */
	struct gyre__batch *visiting; /* whose objects it looks at, the innermost */
	struct gyre__kept *kept;      /* the dead cycle that it looks at, the innermost */
	_Atomic(uint64_t) running_since; /* ns; 0: no finalizer or callback runs */
	_Atomic(const char *) running;   /* the name of its type, or what it is */
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
	if (__builtin_expect(m->journal.at == m->journal.end, 0))
		gyre__log_turn(m, &m->journal);
	*m->journal.at++ = entry;
}

/*
 * Does the handshake that the heap asks for, if m has not done it, on behalf of its owner, who
 * calls it, and announces it. False: no memory for the snapshot; m has not moved and must try
 * again.
 */
bool gyre__boundary(struct gyre_mutator *m);

/* Parts of a handshake. Adds what the keep frames hold to *chain; false without memory. */
bool gyre__snapshot(struct gyre_mutator *m, struct gyre__chunk **chain);
/* Seals the newborns of the epoch and adds them to *chain. */
void gyre__births_take(struct gyre_mutator *m, struct gyre__chunk **chain);
/* Hands a chain to the collector, which takes it when the boundary is complete. */
void gyre__hand_in(struct gyre_mutator *m, struct gyre__chunk *chain);

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
/* Whether object is known to be a newborn of m in its open epoch; not all of them are. */
bool gyre__is_newborn_of(const struct gyre_mutator *m, const void *object);
/* Makes the next allocation of each bin take the slow path, which fails in the child of a fork. */
void gyre__bins_freeze(struct gyre_mutator *m);

/* gyre_attach; internal: for a thread of gyre's own, or for gyre_heap_close. */
enum gyre_status gyre__attach(struct gyre_heap *heap, unsigned flags, bool internal,
			      struct gyre_mutator **m);

/* Whether m may reach a safe point within a call: GYRE_INVALID, GYRE_FROZEN, GYRE_PARKED. */
enum gyre_status gyre__may_wait(const struct gyre_mutator *m, const char *call);
/* Has an errand done by the collector, with m parked; a safe point. */
void gyre__errand_for(struct gyre_mutator *m, gyre__errand_fn *errand, void *arg);

/* Runs again after a park; not a safe point. The owner. */
void gyre__unpark(struct gyre_mutator *m);

/* Collector: the first of the registry's list. Newcomers go before it, and only the collector takes
 * any out, so from here on the list stands still for it. */
struct gyre_mutator *gyre__mutators(struct gyre_heap *heap);

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
