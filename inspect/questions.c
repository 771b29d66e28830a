/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * questions.c: what it takes a search to answer of a snapshot. Whoever asks, one thread at a time;
 * the searches are those of search.h.
 *
 * Invariant: without memory an answer is GYRE_NO_MEMORY, and the snapshot is as before.
 */
#include <stdlib.h>
#include <string.h>

#include "snapshot.h"

static void *array_of_nodes(const struct gyre_snapshot *s, size_t bytes)
{
	return malloc(((size_t)s->graph.nodes + 1) * bytes);
}

bool gyre__snapshot_reach(struct gyre_snapshot *s)
{
	unsigned char *seen;

	if (s->reachable != NULL)
		return true;
	seen = array_of_nodes(s, 1);
	if (seen == NULL)
		return false;
	if (!gyre__graph_reach(&s->graph, UINT64_MAX, seen)) {
		free(seen);
		return false;
	}
	s->reachable = seen;
	return true;
}

bool gyre__snapshot_reverse(struct gyre_snapshot *s)
{
	struct gyre__graph_reverse reverse;

	if (s->reverse.first != NULL)
		return true;
	if (!gyre__graph_reverse(&s->graph, &reverse))
		return false;
	s->reverse = reverse;
	return true;
}

bool gyre__snapshot_dominate(struct gyre_snapshot *s)
{
	uint64_t *bytes, *objects;
	uint32_t *idom;

	if (s->idom != NULL)
		return true;
	idom = array_of_nodes(s, sizeof(*idom));
	bytes = array_of_nodes(s, sizeof(*bytes));
	objects = array_of_nodes(s, sizeof(*objects));
	if (idom == NULL || bytes == NULL || objects == NULL ||
	    !gyre__graph_dominators(&s->graph, idom, bytes, objects)) {
		free(idom);
		free(bytes);
		free(objects);
		return false;
	}
	s->idom = idom;
	s->retained_bytes = bytes;
	s->retained_objects = objects;
	return true;
}

void gyre__snapshot_forget(struct gyre_snapshot *s)
{
	free(s->reachable);
	free(s->reverse.first);
	free(s->reverse.from);
	free(s->idom);
	free(s->retained_bytes);
	free(s->retained_objects);
}

/* Visits the references of from to node; false if the walk is to end. */
static bool visit_between(const struct gyre__graph *graph, uint32_t from, uint32_t node,
			  gyre_snapshot_reference_fn visit, void *arg)
{
	uint64_t edge;

	for (edge = graph->first[from]; edge < graph->first[from + 1]; edge++)
		if (graph->to[edge] == node && !visit(arg, from, edge - graph->first[from]))
			return false;
	return true;
}

enum gyre_status gyre_snapshot_referrers(struct gyre_snapshot *snapshot, uint32_t node,
					 gyre_snapshot_reference_fn visit, void *arg)
{
	const struct gyre__graph_reverse *reverse;
	uint64_t i;

	if (snapshot == NULL || node >= snapshot->graph.nodes || visit == NULL)
		return GYRE_INVALID;
	if (!gyre__snapshot_reverse(snapshot))
		return GYRE_NO_MEMORY;
	reverse = &snapshot->reverse;
	for (i = reverse->first[node]; i < reverse->first[node + 1]; i++) {
		/* One that refers to it twice stands there twice, side by side. */
		if (i > reverse->first[node] && reverse->from[i] == reverse->from[i - 1])
			continue;
		if (!visit_between(&snapshot->graph, reverse->from[i], node, visit, arg))
			break;
	}
	return GYRE_OK;
}

enum gyre_status gyre_snapshot_path(struct gyre_snapshot *snapshot, uint32_t node, uint32_t *path,
				    size_t *length, struct gyre_snapshot_holder *holder)
{
	size_t found = 0, root = 0, room;
	uint32_t *whole;

	if (snapshot == NULL || node >= snapshot->graph.nodes || length == NULL ||
	    (path == NULL && *length > 0) || holder == NULL)
		return GYRE_INVALID;
	room = *length;
	whole = array_of_nodes(snapshot, sizeof(*whole));
	if (whole == NULL || !gyre__graph_path(&snapshot->graph, node, whole, &found, &root)) {
		free(whole);
		return GYRE_NO_MEMORY;
	}
	*length = found;
	if (found > 0)
		*holder = gyre__snapshot_holder(snapshot, root);
	if (found > 0 && room > 0)
		memcpy(path, whole, (found < room ? found : room) * sizeof(*path));
	free(whole);
	return found > room ? GYRE_LIMIT : GYRE_OK;
}

/* What is reachable, but not without the edge. */
static enum gyre_status held_by_edge(struct gyre_snapshot *s, uint64_t edge, uint64_t *objects,
				     uint64_t *bytes)
{
	unsigned char *seen = array_of_nodes(s, 1);
	uint32_t node;

	if (seen == NULL || !gyre__graph_reach(&s->graph, edge, seen)) {
		free(seen);
		return GYRE_NO_MEMORY;
	}
	*objects = *bytes = 0;
	for (node = 0; node < s->graph.nodes; node++) {
		if (seen[node] || !s->reachable[node])
			continue;
		++*objects;
		*bytes += s->graph.bytes[node];
	}
	free(seen);
	return GYRE_OK;
}

enum gyre_status gyre_snapshot_retained(struct gyre_snapshot *snapshot, uint32_t node,
					uint64_t index, uint64_t *objects, uint64_t *bytes)
{
	const struct gyre__graph *graph;

	if (snapshot == NULL || node >= snapshot->graph.nodes || objects == NULL || bytes == NULL)
		return GYRE_INVALID;
	graph = &snapshot->graph;
	if (index != GYRE_WHOLE_NODE && index >= graph->first[node + 1] - graph->first[node])
		return GYRE_INVALID;
	if (!gyre__snapshot_reach(snapshot))
		return GYRE_NO_MEMORY;
	if (index != GYRE_WHOLE_NODE)
		return held_by_edge(snapshot, graph->first[node] + index, objects, bytes);
	if (!gyre__snapshot_dominate(snapshot))
		return GYRE_NO_MEMORY;
	*objects = snapshot->reachable[node] ? snapshot->retained_objects[node] : 0;
	*bytes = snapshot->reachable[node] ? snapshot->retained_bytes[node] : 0;
	return GYRE_OK;
}

enum gyre_status gyre_snapshot_unreachable(struct gyre_snapshot *snapshot,
					   gyre_snapshot_node_fn visit, void *arg)
{
	uint32_t node;

	if (snapshot == NULL || visit == NULL)
		return GYRE_INVALID;
	if (!gyre__snapshot_reach(snapshot))
		return GYRE_NO_MEMORY;
	for (node = 0; node < snapshot->graph.nodes; node++)
		if (!snapshot->reachable[node] && !visit(arg, node))
			break;
	return GYRE_OK;
}

enum gyre_status gyre_snapshot_cycles(struct gyre_snapshot *snapshot, gyre_snapshot_cycle_fn visit,
				      void *arg)
{
	struct gyre__components found;
	size_t i;

	if (snapshot == NULL || visit == NULL)
		return GYRE_INVALID;
	if (!gyre__graph_components(&snapshot->graph, &found))
		return GYRE_NO_MEMORY;
	for (i = 0; i < found.count; i++)
		if (!visit(arg, found.members + found.first[i],
			   (size_t)(found.first[i + 1] - found.first[i])))
			break;
	free(found.first);
	free(found.members);
	return GYRE_OK;
}

struct retainer {
	uint64_t bytes;
	uint32_t node;
};

static int most_first(const void *left, const void *right)
{
	const struct retainer *a = left, *b = right;

	if (a->bytes != b->bytes)
		return a->bytes > b->bytes ? -1 : 1;
	return (a->node > b->node) - (a->node < b->node);
}

enum gyre_status gyre_snapshot_retainers(struct gyre_snapshot *snapshot,
					 gyre_snapshot_retainer_fn visit, void *arg)
{
	struct retainer *order;
	uint32_t node, count = 0, i;

	if (snapshot == NULL || visit == NULL)
		return GYRE_INVALID;
	if (!gyre__snapshot_reach(snapshot) || !gyre__snapshot_dominate(snapshot))
		return GYRE_NO_MEMORY;
	order = array_of_nodes(snapshot, sizeof(*order));
	if (order == NULL)
		return GYRE_NO_MEMORY;
	for (node = 0; node < snapshot->graph.nodes; node++)
		if (snapshot->reachable[node])
			order[count++] = (struct retainer){ snapshot->retained_bytes[node], node };
	qsort(order, count, sizeof(*order), most_first);
	for (i = 0; i < count; i++) {
		node = order[i].node;
		if (!visit(arg, node, snapshot->idom[node], snapshot->retained_objects[node],
			   snapshot->retained_bytes[node]))
			break;
	}
	free(order);
	return GYRE_OK;
}
