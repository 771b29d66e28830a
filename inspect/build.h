/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * build.h: from a capture, whose references are addresses, to an object graph. On the thread that
 * asked for it.
 *
 * Invariant: the nodes of the graph are the objects of the capture, with their numbers; its roots
 * are in the order of their nodes.
 */
#ifndef GYRE_INSPECT_BUILD_H
#define GYRE_INSPECT_BUILD_H

#include "collector/capture.h"
#include "graph.h"

/* Finds the number of an object by its address: the slabs of a capture, by arena. */
struct gyre__places {
	const struct gyre__capture *capture;
	struct gyre__place *arenas; /* by address */
	size_t count;
	size_t last;      /* in which the last one was found */
	uint32_t *before; /* for each word of the bitmaps: objects of its slab before it */
};

bool gyre__places_init(struct gyre__places *places, const struct gyre__capture *capture);
void gyre__places_destroy(struct gyre__places *places);
/* GYRE__NO_NODE: no object of the capture is there. */
uint32_t gyre__places_find(struct gyre__places *places, uintptr_t address);

/* Makes the graph; heap is asked for the names of sites only. GYRE_NO_MEMORY, GYRE_LIMIT: it is fit
 * for gyre__graph_destroy only. */
enum gyre_status gyre__graph_build(struct gyre_heap *heap, const struct gyre__capture *capture,
				   struct gyre__places *places, struct gyre__graph *graph);

/* The index of the first root of node, or of one after it: where one of node's would be. */
size_t gyre__first_root(const struct gyre__graph *graph, uint32_t node);

#endif
