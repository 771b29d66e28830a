/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * garbage.c: dead cycles that are kept to be looked at, instead of being freed. Collector thread,
 * called by the verdict on a set.
 *
 * A member that is kept is pinned, and leaves its set; so from then on the set is held from
 * outside, as if a root held each of its members. What only it leads to is then held by it.
 *
 * Invariant: a set is kept as a whole, or not at all; then it waits as it is, for memory.
 */
#include <stdlib.h>

#include "collector.h"

bool gyre__saves_all(const struct gyre__collector *c)
{
	/* Relaxed: from some epoch on. */
	return atomic_load_explicit(&c->heap->saves_all, memory_order_relaxed) != 0;
}

static void put_in(struct gyre__collector *c, struct gyre__kept *kept)
{
	struct gyre__ends *ends = &c->heap->ends;

	gyre__lock_take(&ends->lock);
	kept->id = ++ends->kept_ids;
	kept->previous = ends->last_kept;
	if (ends->last_kept != NULL)
		ends->last_kept->next = kept;
	else
		ends->kept = kept;
	ends->last_kept = kept;
	/* In the lock: who finds it in the list may drop it at once, and it is gone then. */
	gyre__counter_add_shared(&c->heap->shared.garbage_cycles, 1);
	gyre__counter_add_shared(&c->heap->shared.garbage_objects, kept->batch.count);
	gyre__lock_drop(&ends->lock);
}

bool gyre__keep_set(struct gyre__collector *c, struct gyre__set *set)
{
	void **members = c->members.items + set->from;
	struct gyre__kept *kept = calloc(1, sizeof(*kept) + set->count * sizeof(void *));
	size_t i;

	if (kept == NULL)
		return false; /* rare: dead cycle is kept without memory */
	kept->batch.objects = (void **)(kept + 1);
	if (set->special & GYRE_SPECIAL_WEAK)
		gyre__disarm(c, set);
	for (i = 0; i < set->count; i++) {
		gyre__leave_as_new(gyre__word_of(members[i]));
		kept->bytes += gyre__cell_bytes(gyre__slab_of(members[i]));
		kept->batch.objects[kept->batch.count++] = members[i];
		if (!GYRE_TWIN(kept_unpinned))
			gyre__increment(c, members[i]);
	}
	put_in(c, kept);
	set->count = 0;
	return true;
}
