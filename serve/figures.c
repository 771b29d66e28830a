/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * figures.c: the lists of figures.h. Constants; no thread.
 *
 * Invariant: no figure of stats.h is missing. The compiler counts them.
 */
#include "figures.h"

#include <gyre/stats.h>

#define HEAP(kind, field, help)                                                                    \
	{                                                                                          \
		#field, offsetof(struct gyre_stats, field), kind, help                             \
	}
#define PHASE(name, help)                                                                          \
	{                                                                                          \
		#name, offsetof(struct gyre_stats, phases.name##_ns), GYRE_COUNTER_NS, help        \
	}
#define TYPE(kind, field, help)                                                                    \
	{                                                                                          \
		#field, offsetof(struct gyre_type_stats, field), kind, help                        \
	}
#define END                                                                                        \
	{                                                                                          \
		NULL, 0, GYRE_GAUGE, NULL                                                          \
	}

const struct gyre__figure gyre__heap_figures[] = {
	HEAP(GYRE_COUNTER, objects_allocated, "Objects allocated."),
	HEAP(GYRE_COUNTER, bytes_allocated, "Bytes of cells allocated."),
	HEAP(GYRE_COUNTER, objects_reclaimed, "Objects reclaimed."),
	HEAP(GYRE_COUNTER, bytes_reclaimed, "Bytes of cells reclaimed."),
	HEAP(GYRE_COUNTER, reclaimed_by_count, "Objects reclaimed by their counts."),
	HEAP(GYRE_COUNTER, reclaimed_by_cycle, "Objects reclaimed as part of a dead cycle."),
	HEAP(GYRE_GAUGE, objects_live, "Objects allocated and not reclaimed."),
	HEAP(GYRE_GAUGE, bytes_live, "Bytes of cells allocated and not reclaimed."),
	HEAP(GYRE_GAUGE, bytes_mapped, "Bytes of cells and side tables that are mapped."),
	HEAP(GYRE_GAUGE, bytes_mapped_max, "The most bytes that were mapped."),
	HEAP(GYRE_COUNTER, epochs, "Boundaries between epochs."),
	HEAP(GYRE_COUNTER, candidates, "Objects that became candidates for trial deletion."),
	HEAP(GYRE_COUNTER, candidates_skipped, "Candidates left to the far pass untried."),
	HEAP(GYRE_COUNTER, near_traced, "Objects visited by near passes."),
	HEAP(GYRE_COUNTER, far_traced, "Objects visited by far passes."),
	HEAP(GYRE_COUNTER, far_passes, "Far passes."),
	HEAP(GYRE_COUNTER, sets_found, "Sets that trial deletion found."),
	HEAP(GYRE_COUNTER, sets_freed, "Sets that the verdict freed."),
	HEAP(GYRE_COUNTER, sets_refused_delta, "Sets that the delta test refused."),
	HEAP(GYRE_COUNTER, sets_refused_sigma, "Sets that the sigma test refused."),
	HEAP(GYRE_COUNTER, counts_stuck, "Objects whose count overflowed."),
	HEAP(GYRE_COUNTER, trace_faults, "Slots outside of their object named by callbacks."),
	HEAP(GYRE_COUNTER, poison_faults, "Freed cells that were written to."),
	HEAP(GYRE_COUNTER, orphans, "Threads that ended while attached."),
	HEAP(GYRE_COUNTER, stalls, "Boundaries held up for longer than stall_ns."),
	HEAP(GYRE_COUNTER, journal_entries, "Entries of journals processed."),
	HEAP(GYRE_GAUGE, journal_bytes, "Bytes of journals in use."),
	HEAP(GYRE_GAUGE, journal_bytes_max, "The most bytes of journals in use."),
	HEAP(GYRE_COUNTER, stores_refused, "Stores refused for want of journal memory."),
	HEAP(GYRE_GAUGE, mutators, "Threads attached."),
	HEAP(GYRE_GAUGE, mutators_parked, "Threads attached and parked."),
	HEAP(GYRE_COUNTER_NS, collector_ns, "CPU time of the collector thread."),
	HEAP(GYRE_COUNTER, newborns_counted, "Objects that something counted reached at birth."),
	HEAP(GYRE_COUNTER, views_looked_up, "Values of slots found in open journals."),
	HEAP(GYRE_COUNTER, window_stores, "Writes between the handshakes of a boundary."),
	HEAP(GYRE_COUNTER, weak_cells, "Weak cells made."),
	HEAP(GYRE_COUNTER, weak_cleared, "Weak cells that became null."),
	HEAP(GYRE_COUNTER, weak_revived, "Sets that a weak load kept alive."),
	HEAP(GYRE_COUNTER, notices_called, "Callbacks of weak cells called."),
	HEAP(GYRE_COUNTER, finalizers_run, "Finalizers run."),
	HEAP(GYRE_GAUGE, finalizers_waiting, "Finalizers and callbacks that wait."),
	HEAP(GYRE_GAUGE, finalizers_waiting_max, "The most of them that waited."),
	HEAP(GYRE_COUNTER, near_passes, "Near passes with a candidate."),
	HEAP(GYRE_COUNTER, full_collects, "Full collections."),
	HEAP(GYRE_GAUGE, candidates_waiting, "Candidates left to the next far pass."),
	HEAP(GYRE_GAUGE_NS, interval_ns, "Longest time to the next boundary while there is work."),
	HEAP(GYRE_GAUGE, surviving_bytes, "Bytes that a far pass is due by."),
	HEAP(GYRE_GAUGE, types, "Types registered."),
	HEAP(GYRE_COUNTER, census_visits, "Objects visited by censuses and as referrers."),
	HEAP(GYRE_GAUGE, exempt, "Objects exempt from tracing."),
	HEAP(GYRE_GAUGE, garbage_cycles, "Dead cycles kept by save-all."),
	HEAP(GYRE_GAUGE, garbage_objects, "Objects of dead cycles kept by save-all."),
	END,
};

const struct gyre__figure gyre__phase_figures[] = {
	PHASE(wait, "waiting for mutators"),
	PHASE(count, "counting"),
	PHASE(verdict, "judging sets"),
	PHASE(release, "releasing by count"),
	PHASE(near, "near passes"),
	PHASE(far, "far passes"),
	PHASE(flush, "giving cells back"),
	END,
};

const struct gyre__figure gyre__type_figures[] = {
	TYPE(GYRE_GAUGE, objects_live, "Objects of a type allocated and not reclaimed."),
	TYPE(GYRE_GAUGE, bytes_live, "Bytes of a type allocated and not reclaimed."),
	TYPE(GYRE_COUNTER, objects_allocated, "Objects of a type allocated."),
	TYPE(GYRE_COUNTER, bytes_allocated, "Bytes of a type allocated."),
	TYPE(GYRE_COUNTER, objects_reclaimed, "Objects of a type reclaimed."),
	TYPE(GYRE_COUNTER, bytes_reclaimed, "Bytes of a type reclaimed."),
	TYPE(GYRE_COUNTER, reclaimed_by_count, "Objects of a type reclaimed by their counts."),
	TYPE(GYRE_COUNTER, reclaimed_by_cycle, "Objects of a type reclaimed in dead cycles."),
	END,
};

#define FIGURES(list) (sizeof(list) / sizeof((list)[0]) - 1)

/* With size and engine, or size and name, and the delays, that is all of a struct. */
_Static_assert((FIGURES(gyre__heap_figures) + FIGURES(gyre__phase_figures) + 1) *
				       sizeof(uint64_t) + sizeof(const char *) +
			       GYRE_DELAY_COUNT * sizeof(struct gyre_delays) ==
		       sizeof(struct gyre_stats),
	       "a figure of struct gyre_stats is missing");
_Static_assert((FIGURES(gyre__type_figures) + 1) * sizeof(uint64_t) + sizeof(const char *) ==
		       sizeof(struct gyre_type_stats),
	       "a figure of struct gyre_type_stats is missing");
