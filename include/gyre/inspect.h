/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inspect.h: looking at a heap while its mutators run: which objects there are, how often one is
 * counted, what it refers to and what refers to it.
 *
 * Nobody is stopped. The collector picks objects, a few thousand at a time, and pins them: it
 * counts them once more, so that they are there until they have been visited on the calling thread.
 * What is pinned is a candidate afterwards, so a census of everything is followed by a far pass.
 * All calls here but gyre_referents wait for the collector and are safe points. A heap that is not
 * looked at pays nothing for any of this.
 */
#ifndef GYRE_INSPECT_H
#define GYRE_INSPECT_H

#include <stdbool.h>
#include <stdint.h>

#include <gyre/mutator.h>
#include <gyre/status.h>
#include <gyre/type.h>

/*
 * An object is visited, on the thread that called; object is valid until visit returns, whatever
 * safe points lie between. visit may do all that a mutator may: load, store, keep, allocate, park,
 * collect, begin another census; it must return. true: go on. false: stop; then object is valid
 * after the whole call, too, until the thread's next safe point.
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

#endif
