/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weak.h: weak cells, and callbacks when they are cleared.
 *
 * An object has at most one weak cell at a time. The cell is an object of the heap like any other:
 * it is kept in ordinary slots, roots and frames, and shared by all who refer to the object weakly.
 * It does not keep its object alive. When the collector has found a set of objects dead, all weak
 * cells of the set become null at one instant, before any callback or finalizer of the set runs; a
 * load that comes before that instant keeps the whole set alive. A cell that was cleared stays so,
 * also if a finalizer makes its object live again; the object then gets a new cell when it is asked
 * for one.
 *
 * A set: what a count that falls to 0 lets go all at once, or a garbage cycle. What hangs on a
 * cycle dies with it, or, if there is much of it or an object of an acyclic type holds it, in sets
 * of its own, later. In any case: when a cell is null, so are the cells of all objects from which
 * its object could be reached.
 *
 * Source of the semantics: Python's weakref module; the clearing of all cells at once is that of
 * java.lang.ref. The protocol is in docs/algorithm.md.
 */
#ifndef GYRE_WEAK_H
#define GYRE_WEAK_H

#include <stdatomic.h>
#include <stdint.h>

#include <gyre/mutator.h>
#include <gyre/status.h>

/* A weak cell. The word is not for the user: the object's address, and marks of the collector. */
struct gyre_weak {
	_Atomic(uintptr_t) word;
};

/* In the word: the object is about to die, or the engine wants to know of each load. */
#define GYRE_WEAK_MARKS ((uintptr_t)3)

/*
 * The weak cell of object, which the caller may use now: the one it has, or a new one. The cell is
 * valid until the next safe point, as a new object is. Not a safe point; takes no lock but for the
 * first cell among 64 neighbours. NULL: no memory, the heap or the journals are at their limit, or
 * the heap is frozen.
 */
GYRE_API struct gyre_weak *gyre_weak_of(struct gyre_mutator *m, const void *object);

/* gyre_weak_load without its inline part; may take its place at any time. For other languages. */
GYRE_API void *gyre_weak_load_slow(struct gyre_mutator *m, const struct gyre_weak *cell);

/*
 * The object of the cell, valid until the calling thread's next safe point as if it had been loaded
 * from a slot; or NULL, if it is dead, and then for ever. Wait-free; takes no lock and writes
 * nothing to a journal. Not a safe point.
 */
static inline void *gyre_weak_load(struct gyre_mutator *m, const struct gyre_weak *cell)
{
	/* Acquire pairs with the release in gyre_weak_of, and with those of the collector when it
	 * marks the word: who sees the mark sees whom to ask. */
	uintptr_t word = atomic_load_explicit(&cell->word, memory_order_acquire);

	if (__builtin_expect((word & GYRE_WEAK_MARKS) == 0, 1))
		return (void *)word;
	return gyre_weak_load_slow(m, cell);
}

/*
 * Called once, after the cell was cleared and before the finalizers of its set, on the finalizer
 * thread or wherever the host runs finalizers (finalize.h), as a mutator m that may do anything
 * that a mutator may. It gets no object: that is gone.
 */
typedef void (*gyre_cleared_fn)(struct gyre_mutator *m, void *arg);

enum gyre_notice_flags {
	/* Also when nobody refers to the cell any more (as Python's weakref.finalize does). Without
	 * it a cell that nobody holds when its object dies, or that only members of the dying set
	 * hold, is not told. */
	GYRE_NOTICE_ALWAYS = 1,
	/* Also for an object that is still there when the heap is closed, if the heap was opened
	 * with GYRE_CLOSE_FINALIZES. */
	GYRE_NOTICE_AT_CLOSE = 2,
};

/*
 * Has fn(m, arg) called when the cell is cleared; of several of one object the last registered
 * comes first. *id (if not NULL) names the registration for gyre_weak_unnotify. Any attached
 * thread; not a safe point; takes a lock. GYRE_CLEARED: the cell is null already, nothing was
 * registered. GYRE_NO_MEMORY, GYRE_NO_THREAD (the finalizer thread could not be started),
 * GYRE_INVALID, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_weak_notify(struct gyre_mutator *m, struct gyre_weak *cell,
					   gyre_cleared_fn fn, void *arg, unsigned flags,
					   uint64_t *id);

/* Takes a registration back. GYRE_CLEARED: too late, fn was called or will be. GYRE_INVALID: the
 * cell has no such registration. Not a safe point; takes a lock. */
GYRE_API enum gyre_status gyre_weak_unnotify(struct gyre_mutator *m, struct gyre_weak *cell,
					     uint64_t id);

#endif
