/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inspect.h: looking at a heap while its mutators run: which objects there are, how often one is
 * counted, what it refers to and what refers to it.
 *
 * Nobody is stopped. The collector picks objects, a few thousand at a time, and pins them: it
 * counts them once more, so that they are there until they have been visited on the calling thread.
 * What is pinned is a candidate afterwards, so a census of everything is followed by a far pass.
 * Censuses, referrers and counts wait for the collector and are safe points. A heap that is not
 * looked at pays nothing for any of this.
 */
#ifndef GYRE_INSPECT_H
#define GYRE_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <gyre/mutator.h>
#include <gyre/status.h>
#include <gyre/type.h>

/*
 * An object is visited, on the thread that called; object is valid until visit returns, whatever
 * safe points lie between. visit may do all that a mutator may: load, store, keep, allocate, park,
 * collect, begin another census; it must return, unparked and with no keep frame more. true: go on.
 * false: stop; then object is valid after the whole call, too, until the thread's next safe point.
 */
typedef bool (*gyre_visit_object_fn)(void *arg, struct gyre_mutator *m, void *object);

/*
 * Visits the objects of a type, or all (NULL), in no promised order, each once. Every object that
 * was alive at the call and is until the end is visited; what is born or dies meanwhile, and
 * garbage that has not been found yet, may be. Left out are: objects that were found dead and wait
 * for the verdict or for their weak cells to become null; in the rarest case, if it takes many
 * boundaries until that is known, a living one that was found together with them. gyre's own
 * objects (weak cells, the insides of collections) are visited like others, to be looked at only.
 * GYRE_INVALID, GYRE_PARKED, GYRE_FROZEN; GYRE_NO_MEMORY: none was visited.
 */
GYRE_API enum gyre_status gyre_census(struct gyre_mutator *m, const struct gyre_type *type,
				      gyre_visit_object_fn visit, void *arg);

/*
 * The objects that refer to object by a slot, visited as by gyre_census. The collector reads the
 * slots: of the engine tagged as they were at the last boundary, of recycler as they are. Roots and
 * keep frames are no objects. The caller holds object in a frame, a root or a slot.
 */
GYRE_API enum gyre_status gyre_referrers(struct gyre_mutator *m, const void *object,
					 gyre_visit_object_fn visit, void *arg);

/*
 * The objects that the slots of object refer to, each slot loaded right before its visit; one that
 * two slots refer to is visited twice. Each is valid as what gyre_load gives. No safe point of its
 * own; if visit has some, the caller holds object. GYRE_INVALID, GYRE_PARKED, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_referents(struct gyre_mutator *m, const void *object,
					 gyre_visit_object_fn visit, void *arg);

/* *count of an object whose count has overflowed. */
#define GYRE_COUNT_STUCK UINT64_MAX

/*
 * How often object is counted, as of a boundary after the call: by slots, roots and frames (also
 * those of the caller, who holds object by one of them), by batches of finalizers, by a census that
 * has it in hand. What others have just taken out of a root, in recycler out of any slot, or had in
 * hand counts an epoch longer. GYRE_INVALID, GYRE_PARKED, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_count_of(struct gyre_mutator *m, const void *object,
					uint64_t *count);

/*
 * Garbage that is kept, to be looked at. While save-all is on (as gc.DEBUG_SAVEALL of Python), what
 * would have been freed as a dead cycle is kept instead: its members are pinned as they were found,
 * before their weak cells become null and their finalizers run. What hangs on a kept cycle lives
 * with it. What dies by its count is freed as ever. A cycle that is dropped is ordinary again: if
 * it is garbage still it is found and reclaimed, finalizers and all, or kept once more as long as
 * save-all is on.
 */

/* Any thread; not a safe point. Off when a heap is opened. GYRE_INVALID, GYRE_FROZEN. */
GYRE_API enum gyre_status gyre_save_all(struct gyre_heap *heap, bool on);

/* Cycles that are kept now. Any thread. */
GYRE_API uint64_t gyre_garbage_count(struct gyre_heap *heap);

/* A kept cycle: a dead cycle with what only it held, as one trial found it. */
struct gyre_cycle {
	size_t size; /* sizeof(struct gyre_cycle) */
	uint64_t id; /* counted from 1 in each heap */
	size_t count;
	void *const *objects; /* count of them */
	uint64_t bytes;
};

/* true: go on. It may do all that visitors of objects may, and drop the cycle, which then goes when
 * the visit ends. */
typedef bool (*gyre_visit_cycle_fn)(void *arg, struct gyre_mutator *m,
				    const struct gyre_cycle *cycle);

/*
 * Visits the kept cycles, oldest first, on the calling thread; but for those that are being visited
 * just then, by another thread or further out. The objects of a cycle are valid during its visit. A
 * safe point. GYRE_INVALID, GYRE_PARKED, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_garbage_visit(struct gyre_mutator *m, gyre_visit_cycle_fn visit,
					     void *arg);

/* For each slot of a member that refers to a member of the same cycle: their numbers in objects.
 * During a visit of the cycle, whose visitor must not call gyre_garbage_drop before; no safe point.
 * GYRE_NO_MEMORY, GYRE_INVALID, GYRE_PARKED, GYRE_FROZEN. */
typedef void (*gyre_visit_edge_fn)(void *arg, size_t from, size_t to);
GYRE_API enum gyre_status gyre_cycle_edges(struct gyre_mutator *m, const struct gyre_cycle *cycle,
					   gyre_visit_edge_fn visit, void *arg);

/* gyre_garbage_drop drops the cycle of this number (GYRE_INVALID: there is none),
 * gyre_garbage_clear all of them, also those that a verdict was about to keep when save-all was
 * switched off. A cycle that is being visited is dropped when that visit ends. Safe points.
 * GYRE_PARKED, GYRE_FROZEN. */
GYRE_API enum gyre_status gyre_garbage_drop(struct gyre_mutator *m, uint64_t id);
GYRE_API enum gyre_status gyre_garbage_clear(struct gyre_mutator *m);

enum gyre_garbage_format {
	GYRE_GARBAGE_TEXT, /* a line for each cycle, and each member with those it refers to */
	GYRE_GARBAGE_DOT   /* one graph for Graphviz, a cluster for each cycle */
};

/*
 * Writes the kept cycles to file; whether that worked is for ferror(file) to say. A safe point; m
 * is parked while file is written. GYRE_NO_MEMORY: the rest is left out; GYRE_INVALID, GYRE_PARKED,
 * GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_garbage_write(struct gyre_mutator *m, FILE *file,
					     enum gyre_garbage_format format);

#endif
