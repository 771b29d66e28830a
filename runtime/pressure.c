/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pressure.c: back-pressure. Mutators add to the debt on their slow paths and wait in safe points;
 * the collector relieves them. See pressure.h.
 *
 * Invariant: nobody waits here with an unparked mutator, and nobody waits longer than delay_ns at
 * once.
 */
#include "pressure.h"

#include "engine.h"
#include "heap.h"
#include "mutator.h"
#include "to_collector.h"

#define DEBT_FREE 4     /* epochs of debt without a delay */
#define DEBT_FULL 16    /* epochs of debt with the full delay */
#define JOURNAL_SHARE 8 /* of its limit, filled: a boundary even of an engine that coalesces */

size_t gyre__pressure_epoch(struct gyre_heap *heap)
{
	size_t least = gyre__threshold(heap, epoch_bytes);
	size_t grown = atomic_load_explicit(&heap->pressure.epoch, memory_order_relaxed);

	return grown > least ? grown : least;
}

void gyre__pressure_add(struct gyre_mutator *m, size_t bytes)
{
	struct gyre_heap *heap = m->heap;
	uint64_t before =
		atomic_fetch_add_explicit(&heap->pressure.volume, bytes, memory_order_relaxed);
	size_t epoch = gyre__pressure_epoch(heap);

	/* Once an epoch, and again for each further one that the collector did not get round to. */
	if (before / epoch != (before + bytes) / epoch)
		gyre__collector_wake(heap);
	if (before + bytes > DEBT_FREE * epoch ||
	    gyre__counter_get(&heap->shared.journal_bytes) > heap->options.journal_limit / 4 ||
	    atomic_load_explicit(&heap->pressure.lag, memory_order_relaxed) > 0)
		gyre__mutator_poll(m, GYRE_POLL_PRESSURE);
}

void gyre__pressure_journal(struct gyre_mutator *m, size_t bytes)
{
	struct gyre_heap *heap = m->heap;
	size_t share = heap->options.journal_limit / JOURNAL_SHARE;
	uint64_t before;

	if (!heap->engine->coalesces) {
		gyre__pressure_add(m, bytes);
		return;
	}
	/* Not what is in use: what is being processed calls for nothing. */
	before = atomic_fetch_add_explicit(&heap->pressure.journalled, bytes, memory_order_relaxed);
	if (before / share != (before + bytes) / share)
		gyre__collector_wake(heap);
	if (gyre__counter_get(&heap->shared.journal_bytes) > heap->options.journal_limit / 4)
		gyre__mutator_poll(m, GYRE_POLL_PRESSURE);
}

/* 0 at from, full at to, in proportion between. */
static uint64_t share(uint64_t value, uint64_t from, uint64_t to, uint64_t full)
{
	if (value <= from)
		return 0;
	if (value >= to)
		return full;
	return (uint64_t)((double)full * (double)(value - from) / (double)(to - from));
}

uint64_t gyre__pressure_delay_ns(struct gyre_heap *heap)
{
	uint64_t limit = heap->options.journal_limit;
	uint64_t volume = atomic_load_explicit(&heap->pressure.volume, memory_order_relaxed);
	uint64_t journals = gyre__counter_get(&heap->shared.journal_bytes);
	uint64_t epoch = gyre__pressure_epoch(heap);
	uint64_t most = gyre__threshold(heap, delay_ns);
	uint64_t by_volume = share(volume, DEBT_FREE * epoch, DEBT_FULL * epoch, most);
	uint64_t by_lag =
		most / 1000 * atomic_load_explicit(&heap->pressure.lag, memory_order_relaxed);
	uint64_t by_journal = share(journals, limit / 4, limit, most);

	if (by_lag > by_volume)
		by_volume = by_lag;
	return by_volume > by_journal ? by_volume : by_journal;
}

void gyre__pressure_wait(struct gyre_heap *heap, uint64_t ns)
{
	uint64_t now = gyre__now_ns(), until = now + ns;

	gyre__lock_take(&heap->pressure.lock);
	while (now < until && gyre__pressure_delay_ns(heap) != 0) {
		gyre__event_wait(&heap->pressure.relief, &heap->pressure.lock, until - now);
		now = gyre__now_ns();
	}
	gyre__lock_drop(&heap->pressure.lock);
}

void gyre__pressure_boundary(struct gyre_heap *heap)
{
	atomic_store_explicit(&heap->pressure.volume, 0, memory_order_relaxed);
	atomic_store_explicit(&heap->pressure.journalled, 0, memory_order_relaxed);
	gyre__pressure_relieve(heap);
}

void gyre__pressure_pardon(struct gyre_heap *heap)
{
	uint64_t most = DEBT_FREE * gyre__pressure_epoch(heap);
	uint64_t volume = atomic_load_explicit(&heap->pressure.volume, memory_order_relaxed);

	/* What is added between the two goes unnoticed, as at a boundary. */
	if (volume > most && heap->options.heap_limit == 0)
		atomic_store_explicit(&heap->pressure.volume, most, memory_order_relaxed);
}

void gyre__pressure_relieve(struct gyre_heap *heap)
{
	gyre__lock_take(&heap->pressure.lock);
	gyre__event_signal(&heap->pressure.relief);
	gyre__lock_drop(&heap->pressure.lock);
}
