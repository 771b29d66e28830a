/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.h: what a heap and its collector have done so far.
 *
 * Every counter has one writer and is kept all the time; reading them stops nobody. A snapshot is
 * not one instant: each figure was right at some moment during the call. Counts of objects lag the
 * mutators by at most one boundary.
 */
#ifndef GYRE_STATS_H
#define GYRE_STATS_H

#include <stddef.h>
#include <stdint.h>

#include <gyre/status.h>

struct gyre_heap;
struct gyre_type;

/* Why a mutator was delayed. */
enum gyre_delay {
	GYRE_DELAY_BOUNDARY,   /* work at a boundary: sealing, frames */
	GYRE_DELAY_JOURNAL,    /* a journal chunk was full */
	GYRE_DELAY_ALLOCATION, /* the slow path of allocation */
	GYRE_DELAY_PRESSURE,   /* back-pressure at a safe point */
	GYRE_DELAY_COUNT
};

/* Delays of one cause, in ns. The percentiles are upper edges of buckets 1/16 apart or less. */
struct gyre_delays {
	uint64_t count, total_ns, p50_ns, p99_ns, p999_ns, max_ns;
};

struct gyre_stats {
	size_t size; /* sizeof(struct gyre_stats), set by the caller */

	uint64_t objects_allocated, bytes_allocated;
	uint64_t objects_reclaimed, bytes_reclaimed;
	uint64_t reclaimed_by_count, reclaimed_by_cycle; /* objects */
	uint64_t objects_live, bytes_live;               /* allocated and not reclaimed */
	uint64_t bytes_mapped, bytes_mapped_max;         /* cells and side tables, by slab */

	uint64_t epochs;
	uint64_t candidates;              /* objects that became purple */
	uint64_t candidates_skipped;      /* left to the far pass without a near trial */
	uint64_t near_traced, far_traced; /* objects visited by trial deletion */
	uint64_t far_passes;
	uint64_t sets_found, sets_freed, sets_refused_delta, sets_refused_sigma;
	uint64_t counts_stuck;  /* objects whose count overflowed: never reclaimed */
	uint64_t trace_faults;  /* slots outside their object, named by trace callbacks */
	uint64_t poison_faults; /* freed cells that were written to (GYRE_POISON) */
	uint64_t orphans;       /* threads that ended while attached */
	uint64_t stalls;        /* boundaries held up for longer than the option stall_ns */

	uint64_t journal_entries;
	uint64_t journal_bytes, journal_bytes_max;
	uint64_t stores_refused; /* for want of journal memory */

	uint64_t mutators, mutators_parked;
	uint64_t collector_ns; /* CPU time of the collector thread */
	struct {
		uint64_t wait_ns, count_ns, verdict_ns, release_ns, near_ns, far_ns, flush_ns;
	} phases; /* wall time of the collector by phase */

	struct gyre_delays delays[GYRE_DELAY_COUNT];

	/* Of the engine tagged; 0 in the other. */
	uint64_t newborns_counted; /* objects that something counted reached when they were born */
	uint64_t views_looked_up;  /* values of slots found in the open journals */
	uint64_t window_stores;    /* writes between the first and last handshake of a boundary */
	const char *engine;        /* "tagged", "recycler" */

	/* The end of objects: weak.h, finalize.h. */
	uint64_t weak_cells; /* made */
	uint64_t weak_cleared;
	uint64_t weak_revived;   /* sets that a weak load kept alive when they were about to die */
	uint64_t notices_called; /* callbacks of weak cells */
	uint64_t finalizers_run;
	uint64_t finalizers_waiting, finalizers_waiting_max; /* and callbacks: in batches */

	/* Of the collector's control and of inspection: inspect.h. */
	uint64_t near_passes;        /* with a candidate in hand */
	uint64_t full_collects;      /* gyre_collect, counted once for all who waited for it */
	uint64_t candidates_waiting; /* left to the far pass since it last began */
	uint64_t interval_ns;        /* longest time to the next boundary while there is work */
	uint64_t surviving_bytes;    /* what a far pass is due by; a lower bound */
	uint64_t types;              /* registered, gyre's own among them */
	uint64_t census_visits;      /* objects visited by censuses and as referrers */
	uint64_t exempt;             /* objects that are exempt from tracing */
	uint64_t garbage_cycles, garbage_objects; /* kept by gyre_save_all */
};

/* Figures of one type; 0 of what is not known. */
struct gyre_type_stats {
	size_t size; /* sizeof(struct gyre_type_stats), set by the caller */
	const char *name;
	uint64_t objects_live, bytes_live;
	uint64_t objects_allocated, bytes_allocated;
	uint64_t objects_reclaimed, bytes_reclaimed;
	uint64_t reclaimed_by_count, reclaimed_by_cycle; /* objects */
};

/* Fills stats, whose size the caller has set. Any thread; not a safe point. GYRE_INVALID,
 * GYRE_FROZEN. */
GYRE_API enum gyre_status gyre_heap_stats(struct gyre_heap *heap, struct gyre_stats *stats);

/*
 * The same of a type. Objects of the open epoch are not counted yet, neither those that were born
 * in it nor those that died; a cell is counted with all its bytes. Any thread; not a safe point.
 * GYRE_INVALID, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_type_stats(const struct gyre_type *type,
					  struct gyre_type_stats *stats);

/*
 * The types of a heap, most recent first, gyre's own (weak cells, the insides of collections) among
 * them: type NULL gives the first, any other the one after it; NULL is the end. Types that are
 * registered meanwhile are left out. NULL in the child of a fork. Any thread; not a safe point.
 */
GYRE_API const struct gyre_type *gyre_type_next(struct gyre_heap *heap,
						const struct gyre_type *type);

/* "boundary", "journal", "allocation", "pressure". Any thread. */
GYRE_API const char *gyre_delay_name(enum gyre_delay delay);

#endif
