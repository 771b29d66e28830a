/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * events.c: telling the host that a pass or a full collection begins or ends. Collector thread.
 * With nobody to be told it is one look at a word.
 *
 * Invariant: an end is told after its beginning was, or would have been, and once.
 */
#include "collector.h"
#include "platform/probes.h"

static bool wanted(struct gyre__collector *c)
{
	/* Relaxed: a hint; the list has a lock. */
	return atomic_load_explicit(&c->heap->watchers.any, memory_order_relaxed) != 0;
}

static uint64_t traced(const struct gyre__collector *c)
{
	return gyre__counter_get(&c->heap->counted.near_traced) +
	       gyre__counter_get(&c->heap->counted.far_traced);
}

void gyre__collect_begins(struct gyre__collector *c, enum gyre_collect_kind kind)
{
	struct gyre_collect_info info = { .size = sizeof(info), .kind = kind };

	c->told[kind] = (struct gyre__told){ true, gyre__now_ns(), traced(c),
					     gyre__counter_get(&c->heap->counted.sets_found) };
	GYRE_PROBE2(collect__begin, c->heap->name, (int)kind);
	if (wanted(c))
		gyre__watchers_tell(c->heap, &info);
}

void gyre__collect_ends(struct gyre__collector *c, enum gyre_collect_kind kind)
{
	const struct gyre__collector_counters *counted = &c->heap->counted;
	struct gyre__told *told = &c->told[kind];
	struct gyre_collect_info info = { .size = sizeof(info), .kind = kind, .ended = true };
	uint64_t freed = gyre__counter_get(&counted->reclaimed_by_cycle);

	if (!told->begun)
		return;
	told->begun = false;
	info.traced = traced(c) - told->traced;
	info.sets_found = gyre__counter_get(&counted->sets_found) - told->sets_found;
	info.freed = freed - c->told_freed;
	info.duration_ns = gyre__now_ns() - told->since_ns;
	c->told_freed = freed;
	GYRE_PROBE5(collect__end, c->heap->name, (int)kind, info.traced, info.freed,
		    info.duration_ns);
	if (wanted(c))
		gyre__watchers_tell(c->heap, &info);
}

void gyre__passes_end(struct gyre__collector *c)
{
	gyre__collect_ends(c, GYRE_COLLECT_NEAR);
	if (c->far.phase == GYRE_FAR_IDLE)
		gyre__collect_ends(c, GYRE_COLLECT_FAR);
}
