/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * census.h: what a thread that looks at a heap and the collector have between them. The thread
 * makes the census and leaves it to the collector by an errand; while the errand lasts, it is the
 * collector's, otherwise the thread's.
 *
 * Invariant: what the collector puts into the batch is pinned, and the batch is in the list
 * `visited` of the heap's ends, until the thread has unpinned it.
 */
#ifndef GYRE_CENSUS_H
#define GYRE_CENSUS_H

#include "ends.h"
#include "slab.h"
#include "to_collector.h"
#include "twin.h"

/* Objects that are pinned at once. */
#define GYRE_CENSUS_BATCH GYRE_IF_SIM(2, 4096)

struct gyre__census {
	struct gyre__cursor cursor;
	const struct gyre_type *type; /* of the objects that are wanted; NULL: any */
	const void *target;           /* what they must refer to; NULL: anything */
	struct gyre__batch *batch;
	bool begun, ended;
	unsigned waits_here, waits; /* boundaries waited for, at this cell and in all */
};

/* An errand: fills the batch from the cursor on. */
gyre__errand_fn gyre__census_take;

/* A walk that makes objects exempt, or ordinary again. */
struct gyre__exempting {
	struct gyre__cursor cursor;
	bool exempt; /* what they are to be */
	bool begun, ended;
};
/* An errand: goes on from the cursor. */
gyre__errand_fn gyre__exempt_some;

struct gyre__count_asked {
	const void *object;
	uint64_t count;
};
/* An errand. */
gyre__errand_fn gyre__count_tell;

#endif
