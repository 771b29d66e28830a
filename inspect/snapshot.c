/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot.c: taking a snapshot, and what it says of each object. The collector copies
 * (collector/capture.c); all the rest is done on the caller's thread, parked while the heap's types
 * are looked at. Questions that take a search: questions.c.
 *
 * Invariant: a snapshot that is taken refers to nothing of the heap.
 */
#include "snapshot.h"

#include <stdlib.h>

#include "mutator.h"
#include "write.h"

struct gyre_snapshot_holder gyre__snapshot_holder(const struct gyre_snapshot *s, size_t root)
{
	const struct gyre__graph_root *held = &s->graph.roots[root];
	static const enum gyre_holding by[] = {
		[GYRE_HOLDER_ROOT] = GYRE_HELD_BY_ROOT,
		[GYRE_HOLDER_FRAME] = GYRE_HELD_BY_FRAME,
		[GYRE_HOLDER_OTHER] = GYRE_HELD_BY_OTHER,
	};

	return (struct gyre_snapshot_holder){
		.node = held->node,
		.by = by[held->holder],
		.name = held->name == UINT32_MAX ? NULL : s->graph.names[held->name],
		.root = (const struct gyre_root *)(uintptr_t)held->address,
	};
}

/* What only the graph is made of is given back. */
static void drop_bulk(struct gyre__capture *capture)
{
	gyre__vector_destroy(&capture->objects);
	gyre__vector_destroy(&capture->targets);
	gyre__vector_destroy(&capture->sites);
	free(capture->held);
	free(capture->names);
	free(capture->named);
	capture->held = NULL;
	capture->names = NULL;
	capture->named = NULL;
}

/* m is parked. */
static enum gyre_status take(struct gyre_heap *heap, struct gyre_snapshot **snapshot)
{
	struct gyre_snapshot *s = calloc(1, sizeof(*s));
	enum gyre_status status = GYRE_NO_MEMORY;

	if (s == NULL)
		return GYRE_NO_MEMORY;
	if (gyre__capture(heap, &s->capture) && gyre__places_init(&s->places, &s->capture))
		status = gyre__graph_build(heap, &s->capture, &s->places, &s->graph);
	drop_bulk(&s->capture);
	if (status == GYRE_OK)
		*snapshot = s;
	else
		gyre_snapshot_free(s);
	return status;
}

enum gyre_status gyre_snapshot_take(struct gyre_mutator *m, struct gyre_snapshot **snapshot)
{
	enum gyre_status status;

	if (m == NULL || snapshot == NULL)
		return GYRE_INVALID;
	if (gyre__frozen(m->heap))
		return GYRE_FROZEN;
	status = gyre_park(m);
	if (status != GYRE_OK)
		return status;
	status = take(m->heap, snapshot);
	gyre_unpark(m);
	return status;
}

void gyre_snapshot_free(struct gyre_snapshot *snapshot)
{
	if (snapshot == NULL)
		return;
	gyre__snapshot_forget(snapshot);
	gyre__graph_destroy(&snapshot->graph);
	gyre__places_destroy(&snapshot->places);
	gyre__capture_destroy(&snapshot->capture);
	free(snapshot);
}

enum gyre_status gyre_dump(struct gyre_mutator *m, int fd)
{
	struct gyre_snapshot *s = NULL;
	enum gyre_status status;

	if (m == NULL)
		return GYRE_INVALID;
	if (gyre__frozen(m->heap))
		return GYRE_FROZEN;
	status = gyre_park(m);
	if (status != GYRE_OK)
		return status;
	status = take(m->heap, &s);
	if (status == GYRE_OK)
		status = gyre_snapshot_write(s, fd);
	gyre_snapshot_free(s);
	gyre_unpark(m);
	return status;
}

enum gyre_status gyre_snapshot_write(const struct gyre_snapshot *snapshot, int fd)
{
	if (snapshot == NULL)
		return GYRE_INVALID;
	return gyre__graph_write(&snapshot->graph, fd);
}

enum gyre_status gyre_snapshot_total(struct gyre_snapshot *snapshot,
				     struct gyre_snapshot_totals *totals)
{
	struct gyre_snapshot_totals sum = { .size = sizeof(sum) };
	uint32_t node;

	if (snapshot == NULL || totals == NULL || totals->size != sizeof(sum))
		return GYRE_INVALID;
	if (!gyre__snapshot_reach(snapshot))
		return GYRE_NO_MEMORY;
	sum.objects = snapshot->graph.nodes;
	sum.references = snapshot->graph.edges;
	sum.holders = snapshot->graph.roots_count;
	sum.copy_ns = snapshot->capture.took_ns;
	sum.exact = snapshot->capture.exact;
	for (node = 0; node < snapshot->graph.nodes; node++) {
		sum.bytes += snapshot->graph.bytes[node];
		if (!snapshot->reachable[node])
			continue;
		sum.reachable++;
		sum.reachable_bytes += snapshot->graph.bytes[node];
	}
	*totals = sum;
	return GYRE_OK;
}

enum gyre_status gyre_snapshot_types(struct gyre_snapshot *snapshot, gyre_snapshot_type_fn visit,
				     void *arg)
{
	const struct gyre__graph *graph;
	uint64_t *sums;
	uint32_t node, type;

	if (snapshot == NULL || visit == NULL)
		return GYRE_INVALID;
	graph = &snapshot->graph;
	sums = calloc((size_t)graph->types + 1, 2 * sizeof(*sums));
	if (sums == NULL)
		return GYRE_NO_MEMORY;
	for (node = 0; node < graph->nodes; node++) {
		sums[2 * graph->type[node]]++;
		sums[2 * graph->type[node] + 1] += graph->bytes[node];
	}
	for (type = 0; type < graph->types; type++)
		if (!visit(arg, graph->type_names[type], sums[2 * type], sums[2 * type + 1]))
			break;
	free(sums);
	return GYRE_OK;
}

uint32_t gyre_snapshot_find(const struct gyre_snapshot *snapshot, const void *object)
{
	/* It remembers where it found the last one. */
	struct gyre_snapshot *s = (struct gyre_snapshot *)snapshot;

	return s == NULL ? GYRE_NO_NODE : gyre__places_find(&s->places, (uintptr_t)object);
}

enum gyre_status gyre_snapshot_object(const struct gyre_snapshot *snapshot, uint32_t node,
				      struct gyre_snapshot_object *object)
{
	const struct gyre__graph *graph;
	uint32_t site;

	if (snapshot == NULL || node >= snapshot->graph.nodes || object == NULL ||
	    object->size != sizeof(*object))
		return GYRE_INVALID;
	graph = &snapshot->graph;
	site = graph->site == NULL ? GYRE__NO_SITE : graph->site[node];
	*object = (struct gyre_snapshot_object){
		.size = sizeof(*object),
		.address = (const void *)(uintptr_t)graph->address[node],
		.type = graph->type_names[graph->type[node]],
		.site = site == GYRE__NO_SITE ? NULL : graph->site_names[site],
		.bytes = graph->bytes[node],
		.count = graph->counts[node],
		.references = graph->first[node + 1] - graph->first[node],
	};
	return GYRE_OK;
}

enum gyre_status gyre_snapshot_referents(const struct gyre_snapshot *snapshot, uint32_t node,
					 gyre_snapshot_reference_fn visit, void *arg)
{
	const struct gyre__graph *graph;
	uint64_t edge;

	if (snapshot == NULL || node >= snapshot->graph.nodes || visit == NULL)
		return GYRE_INVALID;
	graph = &snapshot->graph;
	for (edge = graph->first[node]; edge < graph->first[node + 1]; edge++)
		if (!visit(arg, graph->to[edge], edge - graph->first[node]))
			break;
	return GYRE_OK;
}

enum gyre_status gyre_snapshot_holders(const struct gyre_snapshot *snapshot, uint32_t node,
				       gyre_snapshot_holder_fn visit, void *arg)
{
	size_t i;

	if (snapshot == NULL || visit == NULL ||
	    (node >= snapshot->graph.nodes && node != GYRE_NO_NODE))
		return GYRE_INVALID;
	i = node == GYRE_NO_NODE ? 0 : gyre__first_root(&snapshot->graph, node);
	for (; i < snapshot->graph.roots_count; i++) {
		struct gyre_snapshot_holder holder = gyre__snapshot_holder(snapshot, i);

		if ((node != GYRE_NO_NODE && holder.node != node) || !visit(arg, &holder))
			break;
	}
	return GYRE_OK;
}
