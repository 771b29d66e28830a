/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fork.c: what a host calls round fork. Runs on the thread that forks.
 *
 * Invariant: from before to parent (or child) the forking thread holds every lock of the heap that
 * a mutator may want in the midst of its work, and the collector stands between two steps, so the
 * child gets a heap in which nothing is half done; and in the child every path that could touch a
 * lock or a journal finds the heap frozen first.
 */
#include "heap.h"
#include "mutator.h"
#include "to_collector.h"

static void take_all(struct gyre_heap *heap)
{
	gyre__lock_take(&heap->serving.lock);
	gyre__lock_take(&heap->ends.lock);
	gyre__lock_take(&heap->registry.lock);
	gyre__lock_take(&heap->roots_lock);
	gyre__lock_take(&heap->slabs.lock);
	gyre__lock_take(&heap->chunks.lock);
	gyre__lock_take(&heap->pressure.lock);
	gyre__lock_take(&heap->profile.lock);
}

static void drop_all(struct gyre_heap *heap)
{
	gyre__lock_drop(&heap->profile.lock);
	gyre__lock_drop(&heap->pressure.lock);
	gyre__lock_drop(&heap->chunks.lock);
	gyre__lock_drop(&heap->slabs.lock);
	gyre__lock_drop(&heap->roots_lock);
	gyre__lock_drop(&heap->registry.lock);
	gyre__lock_drop(&heap->ends.lock);
	gyre__lock_drop(&heap->serving.lock);
}

enum gyre_status gyre_fork_before(struct gyre_heap *heap)
{
	struct gyre_mutator *m;
	bool busy, parked;

	if (heap == NULL)
		return GYRE_INVALID;
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	gyre__lock_take(&heap->fork_lock);
	busy = heap->forking;
	heap->forking = true;
	gyre__lock_drop(&heap->fork_lock);
	if (busy)
		return GYRE_BUSY;
	/* The collector may be waiting for this very thread's boundary. */
	m = gyre__leavings_get(&heap->leavings);
	parked = m != NULL && gyre_park(m) == GYRE_OK;
	gyre__qsbr_park();
	gyre__collector_hold(heap);
	gyre__qsbr_unpark();
	if (parked)
		gyre_unpark(m);
	take_all(heap);
	return GYRE_OK;
}

enum gyre_status gyre_fork_parent(struct gyre_heap *heap)
{
	if (heap == NULL)
		return GYRE_INVALID;
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	if (!heap->forking)
		return GYRE_INVALID;
	drop_all(heap);
	gyre__collector_let_go(heap);
	gyre__lock_take(&heap->fork_lock);
	heap->forking = false;
	gyre__lock_drop(&heap->fork_lock);
	return GYRE_OK;
}

enum gyre_status gyre_fork_child(struct gyre_heap *heap)
{
	struct gyre_mutator *m;

	if (heap == NULL || !heap->forking)
		return GYRE_INVALID;
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	atomic_store_explicit(&heap->frozen, 1, memory_order_relaxed); /* rare: frozen heap */
	for (m = heap->registry.first; m != NULL; m = m->next) {
		/* Fast paths fail, and the slow ones see that the heap is frozen. */
		m->head.tag = GYRE_TAG_NONE;
		gyre__bins_freeze(m);
		atomic_store_explicit(&m->head.poll, 0, memory_order_relaxed);
	}
	gyre__qsbr_fork_child();
	if (heap->serving.server != NULL)
		heap->serving.forget(heap->serving.server);
	/* The locks stay taken: nothing that runs in a frozen heap takes one. */
	return GYRE_OK;
}
