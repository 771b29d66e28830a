/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * search.c: the searches of search.h. Any thread; none recurses, so that a list of a million
 * objects takes no more stack than one.
 *
 * Invariant: those of search.h. Components: Tarjan, "Depth-First Search and Linear Graph
 * Algorithms", section 4. Dominators: dominators.c.
 */
#include <stdlib.h>
#include <string.h>

#include "search.h"

static void *array(uint64_t count, size_t bytes)
{
	return calloc((size_t)count + 1, bytes);
}

static void free_names(char **names, size_t count)
{
	size_t i;

	for (i = 0; names != NULL && i < count; i++)
		free(names[i]);
	free(names);
}

void gyre__graph_destroy(struct gyre__graph *graph)
{
	free(graph->type);
	free(graph->bytes);
	free(graph->address);
	free(graph->counts);
	free(graph->site);
	free(graph->first);
	free(graph->to);
	free(graph->roots);
	free_names(graph->type_names, graph->types);
	free_names(graph->site_names, graph->sites);
	free_names(graph->names, graph->names_count);
}

bool gyre__graph_reach(const struct gyre__graph *g, uint64_t skip_edge, unsigned char *seen)
{
	uint32_t *stack = array(g->nodes, sizeof(*stack)), depth = 0, node;
	uint64_t e;
	size_t i;

	if (stack == NULL)
		return false;
	memset(seen, 0, g->nodes);
	for (i = 0; i < g->roots_count; i++) {
		if (seen[g->roots[i].node])
			continue;
		seen[g->roots[i].node] = 1;
		stack[depth++] = g->roots[i].node;
	}
	while (depth > 0) {
		node = stack[--depth];
		for (e = g->first[node]; e < g->first[node + 1]; e++) {
			if (e == skip_edge || seen[g->to[e]])
				continue;
			seen[g->to[e]] = 1;
			stack[depth++] = g->to[e];
		}
	}
	free(stack);
	return true;
}

/* Breadth first from all roots, until node is met. from: the node or root that each was met by. */
static bool meet(const struct gyre__graph *g, uint32_t node, uint32_t *queue, uint64_t *from)
{
	uint32_t head = 0, tail = 0;
	uint64_t e;
	size_t i;

	for (i = 0; i < g->roots_count; i++) {
		if (from[g->roots[i].node] != 0)
			continue;
		from[g->roots[i].node] = (uint64_t)UINT32_MAX + 1 + i;
		queue[tail++] = g->roots[i].node;
	}
	for (; head < tail && from[node] == 0; head++) {
		for (e = g->first[queue[head]]; e < g->first[queue[head] + 1]; e++) {
			if (from[g->to[e]] != 0)
				continue;
			from[g->to[e]] = (uint64_t)queue[head] + 1;
			queue[tail++] = g->to[e];
		}
	}
	return from[node] != 0;
}

bool gyre__graph_path(const struct gyre__graph *g, uint32_t node, uint32_t *path, size_t *length,
		      size_t *root)
{
	uint32_t *queue = array(g->nodes, sizeof(*queue)), at = node;
	uint64_t *from = array(g->nodes, sizeof(*from));
	bool there = queue != NULL && from != NULL, found;
	size_t i;

	*length = 0;
	found = there && meet(g, node, queue, from);
	if (found) {
		for (*length = 1; from[at] <= UINT32_MAX; ++*length)
			at = (uint32_t)(from[at] - 1);
		*root = (size_t)(from[at] - UINT32_MAX - 1);
		for (at = node, i = *length; i-- > 0; at = (uint32_t)(from[at] - 1))
			path[i] = at;
	}
	free(queue);
	free(from);
	return there;
}

bool gyre__graph_reverse(const struct gyre__graph *g, struct gyre__graph_reverse *r)
{
	uint32_t node;
	uint64_t e;

	r->first = array((uint64_t)g->nodes + 1, sizeof(*r->first));
	r->from = array(g->edges, sizeof(*r->from));
	if (r->first == NULL || r->from == NULL) {
		free(r->first);
		free(r->from);
		return false;
	}
	for (e = 0; e < g->edges; e++)
		r->first[g->to[e] + 1]++;
	for (node = 0; node < g->nodes; node++)
		r->first[node + 1] += r->first[node];
	for (node = 0; node < g->nodes; node++)
		for (e = g->first[node]; e < g->first[node + 1]; e++)
			r->from[r->first[g->to[e]]++] = node;
	memmove(r->first + 1, r->first, g->nodes * sizeof(*r->first));
	r->first[0] = 0;
	return true;
}

/* Tarjan's search without recursion. */
struct tarjan {
	const struct gyre__graph *g;
	uint32_t *number, *low, *stack, *call, count, depth, calls;
	uint64_t *edge;
	struct gyre__components *out;
};

static void enter(struct tarjan *t, uint32_t node)
{
	t->number[node] = t->low[node] = ++t->count;
	t->edge[node] = t->g->first[node];
	t->stack[t->depth++] = node;
	t->call[t->calls++] = node;
}

static bool refers_to_itself(const struct gyre__graph *g, uint32_t node)
{
	uint64_t e;

	for (e = g->first[node]; e < g->first[node + 1]; e++)
		if (g->to[e] == node)
			return true;
	return false;
}

static void leave(struct tarjan *t, uint32_t node)
{
	struct gyre__components *out = t->out;
	uint64_t at = out->first[out->count];
	uint32_t member;

	t->calls--;
	if (t->calls > 0 && t->low[node] < t->low[t->call[t->calls - 1]])
		t->low[t->call[t->calls - 1]] = t->low[node];
	if (t->low[node] != t->number[node])
		return;
	do {
		member = t->stack[--t->depth];
		t->low[member] = UINT32_MAX;
		out->members[at++] = member;
	} while (member != node);
	if (at - out->first[out->count] > 1 || refers_to_itself(t->g, node))
		out->first[++out->count] = at;
}

static void search(struct tarjan *t, uint32_t node)
{
	enter(t, node);
	while (t->calls > 0) {
		uint32_t at = t->call[t->calls - 1], to;

		if (t->edge[at] == t->g->first[at + 1]) {
			leave(t, at);
			continue;
		}
		to = t->g->to[t->edge[at]++];
		if (t->number[to] == 0)
			enter(t, to);
		else if (t->low[to] != UINT32_MAX && t->number[to] < t->low[at])
			t->low[at] = t->number[to];
	}
}

static int largest_first(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return a[1] > b[1] ? -1 : a[1] < b[1] ? 1 : (a[0] > b[0]) - (a[0] < b[0]);
}

static bool sort_components(struct gyre__components *out)
{
	uint64_t *order = array(2 * out->count, sizeof(*order)), at = 0;
	uint32_t *members = array(out->first[out->count], sizeof(*members));
	size_t i;

	if (order == NULL || members == NULL) {
		free(order);
		free(members);
		return false;
	}
	for (i = 0; i < out->count; i++) {
		order[2 * i] = out->first[i];
		order[2 * i + 1] = out->first[i + 1] - out->first[i];
	}
	qsort(order, out->count, 2 * sizeof(*order), largest_first);
	for (i = 0; i < out->count; i++) {
		memcpy(members + at, out->members + order[2 * i],
		       order[2 * i + 1] * sizeof(*members));
		out->first[i] = at;
		at += order[2 * i + 1];
	}
	free(order);
	free(out->members);
	out->members = members;
	return true;
}

bool gyre__graph_components(const struct gyre__graph *g, struct gyre__components *out)
{
	struct tarjan t = { .g = g, .out = out };
	uint32_t node;
	bool done = false;

	*out = (struct gyre__components){ 0, array((uint64_t)g->nodes + 1, sizeof(*out->first)),
					  array(g->nodes, sizeof(*out->members)) };
	t.number = array(g->nodes, 4 * sizeof(*t.number));
	t.edge = array(g->nodes, sizeof(*t.edge));
	if (out->first != NULL && out->members != NULL && t.number != NULL && t.edge != NULL) {
		t.low = t.number + g->nodes;
		t.stack = t.low + g->nodes;
		t.call = t.stack + g->nodes;
		for (node = 0; node < g->nodes; node++)
			if (t.number[node] == 0)
				search(&t, node);
		done = sort_components(out);
	}
	free(t.number);
	free(t.edge);
	if (!done) {
		free(out->first);
		free(out->members);
	}
	return done;
}
