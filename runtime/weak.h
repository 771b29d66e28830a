/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weak.h: a weak cell as gyre's own files see it, and attachments.
 *
 * The word is the object's address and two marks; 0 once the cell is cleared. ARMED: the object is
 * in a set that has been found dead and is judged again after the next boundary. All cells of that
 * set refer to one of them, their leader, and its state is the one word that decides: a load that
 * the boundary cannot tell of makes it REVIVED, the collector DEAD, both from PENDING, whoever
 * comes first. A load by a mutator that has not done the boundary's last handshake decides nothing:
 * what it got, and still has, is counted at that boundary. So a cell that is looked at now and then
 * does not keep its object alive. LOGGED, in the engine recycler always: the epoch of each load is
 * noted in `touch`, as a load may be the beginning of writes that the delta test does not see.
 *
 * Who writes: word, group and next of a cleared cell the collector (but for the maker of the cell);
 * state the collector and, from PENDING, loads; touch the same; the notices of a cell that is not
 * cleared whoever has the lock of heap->ends.
 *
 * Invariant: a group's leader is in use until a boundary after the one at which the group was
 * judged, so a load that has seen the mark may look at it.
 */
#ifndef GYRE_RUNTIME_WEAK_H
#define GYRE_RUNTIME_WEAK_H

#include <gyre/weak.h>

#include "mutator.h"
#include "side.h"

struct gyre__notice;

#define GYRE_WEAK_ARMED ((uintptr_t)1)
#define GYRE_WEAK_LOGGED ((uintptr_t)2)

enum gyre__group_state { GYRE_GROUP_PENDING, GYRE_GROUP_REVIVED, GYRE_GROUP_DEAD };

struct gyre__weak_cell {
	struct gyre_weak head;
	_Atomic(struct gyre__weak_cell *) group; /* the leader, while the word has ARMED */
	_Atomic(uint32_t) state;                 /* enum gyre__group_state, of a leader */
	_Atomic(uint32_t) touch; /* LOGGED: epoch of the last load; else, of a leader: the phase at
				  * which it was armed */
	union {
		struct gyre__notice *notices; /* last registered first */
		struct gyre__weak_cell *next; /* of cleared ones that are to be let go */
	};
};

static inline void *gyre__weak_target(const struct gyre__weak_cell *cell)
{
	return (void *)(atomic_load_explicit(&cell->head.word, memory_order_relaxed) &
			~GYRE_WEAK_MARKS);
}

/*
 * The slot of an object that is owned by key alone: made at the first call that asks for it, owned
 * and kept as long as the key lives, and looked into by the collector as if key had a slot for
 * it. NULL: key has none and make is false, or no memory. The slot is valid until m's next safe
 * point. Not a safe point.
 */
gyre_ref *gyre__attachment(struct gyre_mutator *m, void *key, bool make);

#endif
