/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * garbage.c: dead cycles that the collector has kept: visiting and dropping them. Mutators.
 *
 * Invariants: a kept cycle is in the list, its members pinned; or it was dropped, and then its
 * batch is among the visited ones of the thread that dropped it until it has unpinned the last of
 * them. Who visits a cycle has marked it, so nobody else takes it out of the list.
 */
#include <gyre/inspect.h>
#include <stdlib.h>

#include "mutator.h"

enum gyre_status gyre_save_all(struct gyre_heap *heap, bool on)
{
	if (heap == NULL)
		return GYRE_INVALID;
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	/* Relaxed: the collector sees it in one of its next epochs. */
	atomic_store_explicit(&heap->saves_all, on, memory_order_relaxed);
	return GYRE_OK;
}

uint64_t gyre_garbage_count(struct gyre_heap *heap)
{
	return heap == NULL ? 0 : gyre__counter_get(&heap->shared.garbage_cycles);
}

/* Takes a cycle out of the list; its batch is m's to unpin. Lock held. */
static void take_out(struct gyre_mutator *m, struct gyre__kept *kept)
{
	struct gyre__ends *ends = &m->heap->ends;

	if (kept->previous != NULL)
		kept->previous->next = kept->next;
	else
		ends->kept = kept->next;
	if (kept->next != NULL)
		kept->next->previous = kept->previous;
	else
		ends->last_kept = kept->previous;
	kept->batch.outer = m->visiting;
	m->visiting = &kept->batch;
	gyre__visit_begin(ends, &kept->batch);
}

/* Unpins what was taken out last, if there is something. */
static void let_go(struct gyre_mutator *m, struct gyre__kept *kept)
{
	struct gyre__shared_counters *shared = &m->heap->shared;

	if (kept == NULL)
		return;
	gyre__counter_add_shared(&shared->garbage_cycles, (uint64_t)-1);
	gyre__counter_add_shared(&shared->garbage_objects, -(uint64_t)kept->batch.count);
	gyre__unpin_up_to(m, &kept->batch, kept->batch.count);
	m->visiting = kept->batch.outer;
	gyre__visit_end(m, &kept->batch);
	free(kept);
}

/* The first of a list that nobody visits. Lock held. */
static struct gyre__kept *unvisited(struct gyre__kept *kept)
{
	while (kept != NULL && kept->visited)
		kept = kept->next;
	return kept;
}

/* m visits kept from now on, which may be NULL. Lock held. */
static void begin(struct gyre_mutator *m, struct gyre__kept *kept)
{
	if (kept == NULL)
		return;
	kept->visited = true;
	kept->outer = m->kept;
	m->kept = kept;
}

/* m's innermost visit ends; what it was of, if that was dropped meanwhile. Lock held. */
static struct gyre__kept *end(struct gyre_mutator *m)
{
	struct gyre__kept *kept = m->kept;

	kept->visited = false;
	m->kept = kept->outer;
	if (!kept->dropped)
		return NULL;
	take_out(m, kept);
	return kept;
}

void gyre__kept_leave(struct gyre_mutator *m)
{
	struct gyre__ends *ends = &m->heap->ends;

	while (m->kept != NULL) {
		struct gyre__kept *dropped;

		gyre__lock_take(&ends->lock);
		dropped = end(m);
		gyre__lock_drop(&ends->lock);
		let_go(m, dropped); /* rare: thread ends in a visit of a kept cycle */
	}
}

enum gyre_status gyre_garbage_visit(struct gyre_mutator *m, gyre_visit_cycle_fn visit, void *arg)
{
	enum gyre_status status = gyre__may_wait(m, "gyre_garbage_visit");
	struct gyre__kept *kept, *dropped;
	struct gyre__ends *ends;
	bool more = true;

	if (status != GYRE_OK)
		return status;
	if (visit == NULL)
		return GYRE_INVALID;
	ends = &m->heap->ends;
	gyre__lock_take(&ends->lock);
	kept = unvisited(ends->kept);
	begin(m, kept);
	gyre__lock_drop(&ends->lock);
	while (kept != NULL) {
		struct gyre_cycle cycle = { sizeof(cycle), kept->id, kept->batch.count,
					    kept->batch.objects, kept->bytes };
		const struct gyre_keep *keeps = m->head.keeps;

		more = visit(arg, m, &cycle);
		gyre__returned(m, "a visitor", keeps);
		gyre__lock_take(&ends->lock);
		kept = more ? unvisited(kept->next) : NULL;
		dropped = end(m);
		begin(m, kept);
		gyre__lock_drop(&ends->lock);
		let_go(m, dropped);
	}
	gyre_safepoint(m);
	return GYRE_OK;
}

/* Drops a cycle of the list: now, or, if it is visited, then. What is to be let go. Lock held. */
static struct gyre__kept *drop(struct gyre_mutator *m, struct gyre__kept *kept)
{
	kept->dropped = true;
	if (kept->visited)
		return NULL;
	take_out(m, kept);
	return kept;
}

enum gyre_status gyre_garbage_drop(struct gyre_mutator *m, uint64_t id)
{
	enum gyre_status status = gyre__may_wait(m, "gyre_garbage_drop");
	struct gyre__kept *kept, *dropped = NULL;

	if (status != GYRE_OK)
		return status;
	gyre__lock_take(&m->heap->ends.lock);
	kept = m->heap->ends.kept;
	while (kept != NULL && kept->id != id)
		kept = kept->next;
	if (kept == NULL)
		status = GYRE_INVALID;
	else
		dropped = drop(m, kept);
	gyre__lock_drop(&m->heap->ends.lock);
	let_go(m, dropped);
	gyre_safepoint(m);
	return status;
}

static void nothing(struct gyre__collector *c, void *unused)
{
	(void)c;
	(void)unused;
}

enum gyre_status gyre_garbage_clear(struct gyre_mutator *m)
{
	enum gyre_status status = gyre__may_wait(m, "gyre_garbage_clear");
	struct gyre__kept *kept, *dropped;

	if (status != GYRE_OK)
		return status;
	/* So that no verdict is under way that began when save-all was still on. */
	gyre__errand_for(m, nothing, NULL);
	do {
		dropped = NULL;
		gyre__lock_take(&m->heap->ends.lock);
		for (kept = m->heap->ends.kept; kept != NULL && dropped == NULL; kept = kept->next)
			dropped = drop(m, kept);
		gyre__lock_drop(&m->heap->ends.lock);
		let_go(m, dropped);
	} while (dropped != NULL);
	gyre_safepoint(m);
	return GYRE_OK;
}
