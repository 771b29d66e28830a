/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counters.c: recording delays and taking snapshots of the figures. Recording runs on slow paths of
 * mutators, snapshots on any thread. No lock: see counters.h.
 */
#include "counters.h"

#include <string.h>

#include "engine.h"
#include "heap.h"
#include "mutator.h"
#include "platform/probes.h"
#include "type.h"

static unsigned bucket_of(uint64_t ns)
{
	unsigned exponent;

	if (ns < 16)
		return (unsigned)ns;
	if (ns >= (uint64_t)1 << 44)
		return GYRE_DELAY_BUCKETS - 1;
	exponent = 63 - (unsigned)__builtin_clzll(ns);
	return 16 + (exponent - 4) * 16 + (unsigned)((ns >> (exponent - 4)) & 15);
}

/* The largest value that falls into a bucket. */
static uint64_t bucket_edge(unsigned bucket)
{
	unsigned exponent, step;

	if (bucket < 16)
		return bucket;
	exponent = (bucket - 16) / 16 + 4;
	step = (bucket - 16) % 16;
	return ((uint64_t)1 << exponent) + ((uint64_t)(step + 1) << (exponent - 4)) - 1;
}

void gyre__delay_record(struct gyre__shared_counters *counters, enum gyre_delay cause, uint64_t ns)
{
	struct gyre__delays *delays = &counters->delays[cause];

	GYRE_PROBE2(delay, (int)cause, ns);
	gyre__counter_add_shared(&delays->buckets[bucket_of(ns)], 1);
	gyre__counter_add_shared(&delays->total_ns, ns);
	gyre__counter_max_shared(&delays->max_ns, ns);
}

static void summarise(const struct gyre__delays *from, struct gyre_delays *to)
{
	uint64_t counts[GYRE_DELAY_BUCKETS], seen = 0;
	uint64_t max = gyre__counter_get(&from->max_ns);
	unsigned i;

	memset(to, 0, sizeof(*to));
	for (i = 0; i < GYRE_DELAY_BUCKETS; i++)
		to->count += counts[i] = gyre__counter_get(&from->buckets[i]);
	to->total_ns = gyre__counter_get(&from->total_ns);
	to->max_ns = max;
	for (i = 0; i < GYRE_DELAY_BUCKETS; i++) {
		uint64_t edge = bucket_edge(i) < max ? bucket_edge(i) : max;
		uint64_t before = seen;

		seen += counts[i];
		if (before * 2 < to->count && seen * 2 >= to->count)
			to->p50_ns = edge;
		if (before * 100 < to->count * 99 && seen * 100 >= to->count * 99)
			to->p99_ns = edge;
		if (before * 1000 < to->count * 999 && seen * 1000 >= to->count * 999)
			to->p999_ns = edge;
	}
}

static void copy_collector(struct gyre_heap *heap, struct gyre_stats *s)
{
	const struct gyre__collector_counters *c = &heap->counted;

	s->objects_reclaimed = gyre__counter_get(&c->objects_reclaimed);
	s->bytes_reclaimed = gyre__counter_get(&c->bytes_reclaimed);
	s->objects_allocated = gyre__counter_get(&c->objects_allocated);
	s->bytes_allocated = gyre__counter_get(&c->bytes_allocated);
	s->reclaimed_by_cycle = gyre__counter_get(&c->reclaimed_by_cycle);
	/* A member of a dead set that a list still holds is freed a little later. */
	if (s->reclaimed_by_cycle > s->objects_reclaimed)
		s->reclaimed_by_cycle = s->objects_reclaimed;
	s->reclaimed_by_count = s->objects_reclaimed - s->reclaimed_by_cycle;
	s->objects_live = s->objects_allocated - s->objects_reclaimed;
	s->bytes_live = s->bytes_allocated - s->bytes_reclaimed;
	s->epochs = gyre__counter_get(&c->epochs);
	s->candidates = gyre__counter_get(&c->candidates);
	s->candidates_skipped = gyre__counter_get(&c->candidates_skipped);
	s->near_traced = gyre__counter_get(&c->near_traced);
	s->far_traced = gyre__counter_get(&c->far_traced);
	s->far_passes = gyre__counter_get(&c->far_passes);
	s->sets_found = gyre__counter_get(&c->sets_found);
	s->sets_freed = gyre__counter_get(&c->sets_freed);
	s->sets_refused_delta = gyre__counter_get(&c->sets_refused_delta);
	s->sets_refused_sigma = gyre__counter_get(&c->sets_refused_sigma);
	s->counts_stuck = gyre__counter_get(&c->counts_stuck);
	s->trace_faults = gyre__counter_get(&c->trace_faults);
	s->journal_entries = gyre__counter_get(&c->journal_entries);
	s->newborns_counted = gyre__counter_get(&c->newborns_counted);
	s->views_looked_up = gyre__counter_get(&c->views_looked_up);
	s->weak_cleared = gyre__counter_get(&c->weak_cleared);
	s->weak_revived = gyre__counter_get(&c->weak_revived);
	s->near_passes = gyre__counter_get(&c->near_passes);
	s->full_collects = gyre__counter_get(&c->full_collects);
	s->candidates_waiting = gyre__counter_get(&c->candidates_waiting);
	s->interval_ns = gyre__counter_get(&c->interval_ns);
	s->surviving_bytes = gyre__counter_get(&c->surviving_bytes);
	s->exempt = gyre__counter_get(&c->exempt);
	s->collector_ns = gyre__counter_get(&c->collector_ns);
	s->phases.wait_ns = gyre__counter_get(&c->wait_ns);
	s->phases.count_ns = gyre__counter_get(&c->count_ns);
	s->phases.verdict_ns = gyre__counter_get(&c->verdict_ns);
	s->phases.release_ns = gyre__counter_get(&c->release_ns);
	s->phases.near_ns = gyre__counter_get(&c->near_ns);
	s->phases.far_ns = gyre__counter_get(&c->far_ns);
	s->phases.flush_ns = gyre__counter_get(&c->flush_ns);
}

static void copy_shared(struct gyre_heap *heap, struct gyre_stats *s)
{
	const struct gyre__shared_counters *c = &heap->shared;
	int cause;

	s->engine = heap->engine->name;
	s->window_stores = gyre__counter_get(&c->window_stores);
	s->weak_cells = gyre__counter_get(&c->weak_cells);
	s->notices_called = gyre__counter_get(&c->notices_called);
	s->finalizers_run = gyre__counter_get(&c->finalizers_run);
	s->finalizers_waiting = gyre__counter_get(&c->finalizers_waiting);
	s->finalizers_waiting_max = gyre__counter_get(&c->finalizers_waiting_max);
	s->census_visits = gyre__counter_get(&c->census_visits);
	s->garbage_cycles = gyre__counter_get(&c->garbage_cycles);
	s->garbage_objects = gyre__counter_get(&c->garbage_objects);
	s->poison_faults = gyre__counter_get(&c->poison_faults);
	s->orphans = gyre__counter_get(&c->orphans);
	s->stalls = gyre__counter_get(&c->stalls);
	s->stores_refused = gyre__counter_get(&c->stores_refused);
	s->journal_bytes = gyre__counter_get(&c->journal_bytes);
	s->journal_bytes_max = gyre__counter_get(&c->journal_bytes_max);
	s->bytes_mapped = gyre__counter_get(&c->bytes_mapped);
	s->bytes_mapped_max = gyre__counter_get(&c->bytes_mapped_max);
	for (cause = 0; cause < GYRE_DELAY_COUNT; cause++)
		summarise(&c->delays[cause], &s->delays[cause]);
}

enum gyre_status gyre_heap_stats(struct gyre_heap *heap, struct gyre_stats *stats)
{
	struct gyre_stats all;

	/* The sizes there have been. */
	if (heap == NULL || stats == NULL ||
	    (stats->size != sizeof(all) &&
	     stats->size != offsetof(struct gyre_stats, near_passes) &&
	     stats->size != offsetof(struct gyre_stats, weak_cells) &&
	     stats->size != offsetof(struct gyre_stats, newborns_counted)))
		return GYRE_INVALID;
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	memset(&all, 0, sizeof(all));
	all.size = stats->size;
	copy_collector(heap, &all);
	copy_shared(heap, &all);
	gyre__registry_count(heap, &all.mutators, &all.mutators_parked);
	all.types = gyre__types_count(heap);
	memcpy(stats, &all, stats->size);
	return GYRE_OK;
}

enum gyre_status gyre_type_stats(const struct gyre_type *type, struct gyre_type_stats *stats)
{
	const struct gyre__type_counters *c;

	if (type == NULL || stats == NULL || stats->size != sizeof(*stats))
		return GYRE_INVALID;
	if (gyre__frozen(type->heap))
		return GYRE_FROZEN;
	c = type->counted;
	stats->name = type->name;
	/* In this order, so that no difference is below 0: each is counted after what it is taken
	 * from; but a member of a dead set that a list still holds is freed a little later. */
	stats->reclaimed_by_cycle = gyre__counter_get(&c->by_cycle);
	stats->objects_reclaimed = gyre__counter_get(&c->reclaimed);
	stats->bytes_reclaimed = gyre__counter_get(&c->bytes_reclaimed);
	stats->objects_allocated = gyre__counter_get(&c->allocated);
	stats->bytes_allocated = gyre__counter_get(&c->bytes_allocated);
	if (stats->reclaimed_by_cycle > stats->objects_reclaimed)
		stats->reclaimed_by_cycle = stats->objects_reclaimed;
	stats->reclaimed_by_count = stats->objects_reclaimed - stats->reclaimed_by_cycle;
	stats->objects_live = stats->objects_allocated - stats->objects_reclaimed;
	stats->bytes_live = stats->bytes_allocated - stats->bytes_reclaimed;
	return GYRE_OK;
}

const char *gyre_delay_name(enum gyre_delay delay)
{
	static const char *const names[] = { "boundary", "journal", "allocation", "pressure" };

	return (unsigned)delay < GYRE_DELAY_COUNT ? names[delay] : "unknown";
}
