/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counters.h: the figures of a heap, and the histogram of delays.
 *
 * A counter of the collector has one writer, so adding is a load and a store; the ones that several
 * threads write are only touched on slow paths. All are atomics because anyone may read them any
 * time; all accesses are relaxed because no figure says anything about other memory.
 */
#ifndef GYRE_COUNTERS_H
#define GYRE_COUNTERS_H

#include <gyre/stats.h>
#include <stdatomic.h>

typedef _Atomic(uint64_t) gyre__counter;

static inline uint64_t gyre__counter_get(const gyre__counter *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static inline void gyre__counter_set(gyre__counter *counter, uint64_t value)
{
	atomic_store_explicit(counter, value, memory_order_relaxed);
}

/* One writer. */
static inline void gyre__counter_add(gyre__counter *counter, uint64_t n)
{
	gyre__counter_set(counter, gyre__counter_get(counter) + n);
}

/* Any writer. Gives the new value. */
static inline uint64_t gyre__counter_add_shared(gyre__counter *counter, uint64_t n)
{
	return atomic_fetch_add_explicit(counter, n, memory_order_relaxed) + n;
}

static inline void gyre__counter_max_shared(gyre__counter *counter, uint64_t value)
{
	uint64_t seen = gyre__counter_get(counter);

	while (seen < value &&
	       !atomic_compare_exchange_weak_explicit(counter, &seen, value, memory_order_relaxed,
						      memory_order_relaxed))
		;
}

/* Written by the collector thread. */
struct gyre__collector_counters {
	gyre__counter objects_allocated, bytes_allocated, objects_reclaimed, bytes_reclaimed;
	gyre__counter reclaimed_by_cycle;
	gyre__counter epochs, candidates, candidates_skipped, near_traced, far_traced, far_passes;
	gyre__counter sets_found, sets_freed, sets_refused_delta, sets_refused_sigma;
	gyre__counter counts_stuck, trace_faults, journal_entries, collector_ns;
	gyre__counter newborns_counted, views_looked_up, weak_cleared, weak_revived;
	gyre__counter near_passes, full_collects, candidates_waiting, interval_ns;
	gyre__counter surviving_bytes, exempt;
	gyre__counter wait_ns, count_ns, verdict_ns, release_ns, near_ns, far_ns, flush_ns;
};

/* Buckets of a log-linear histogram: exact below 16 ns, then 16 to each doubling, up to 2^44 ns. */
#define GYRE_DELAY_BUCKETS (16 + 40 * 16)

struct gyre__delays {
	gyre__counter buckets[GYRE_DELAY_BUCKETS];
	gyre__counter total_ns, max_ns;
};

/* Written by any thread, on slow paths. */
struct gyre__shared_counters {
	gyre__counter poison_faults, orphans, stalls, stores_refused;
	gyre__counter journal_bytes, journal_bytes_max, bytes_mapped, bytes_mapped_max;
	gyre__counter window_stores, weak_cells, notices_called, finalizers_run;
	gyre__counter finalizers_waiting, finalizers_waiting_max;
	gyre__counter census_visits, garbage_cycles, garbage_objects;
	struct gyre__delays delays[GYRE_DELAY_COUNT];
};

void gyre__delay_record(struct gyre__shared_counters *counters, enum gyre_delay cause, uint64_t ns);

#endif
