/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot.h: a snapshot as the files of this room see it: a graph, where its objects lay, and what
 * was found out so far. Whoever asks, one thread at a time.
 *
 * Invariant: what an answer needs is made once, when it is first asked for.
 */
#ifndef GYRE_INSPECT_SNAPSHOT_H
#define GYRE_INSPECT_SNAPSHOT_H

#include <gyre/snapshot.h>

#include "build.h"
#include "search.h"

struct gyre_snapshot {
	struct gyre__graph graph;
	struct gyre__capture capture; /* of it, what finding an object by its address takes */
	struct gyre__places places;
	/* NULL, until asked for. */
	unsigned char *reachable;
	struct gyre__graph_reverse reverse;
	uint32_t *idom;
	uint64_t *retained_bytes, *retained_objects;
};

/* False without memory. */
bool gyre__snapshot_reach(struct gyre_snapshot *s);
bool gyre__snapshot_reverse(struct gyre_snapshot *s);
bool gyre__snapshot_dominate(struct gyre_snapshot *s);
void gyre__snapshot_forget(struct gyre_snapshot *s);

/* As the public interface shows it. */
struct gyre_snapshot_holder gyre__snapshot_holder(const struct gyre_snapshot *s, size_t root);

#endif
