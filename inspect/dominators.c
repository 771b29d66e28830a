/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dominators.c: which object every path to another leads through last, and what is alive through it
 * only. Any thread; the graph is not changed.
 *
 * Lengauer and Tarjan, "A Fast Algorithm for Finding Dominators in a Flowgraph" (TOPLAS 1, 1979),
 * sections 3 and 4, with the simple LINK and EVAL: edges times the logarithm of nodes, whatever the
 * graph looks like. What iterates to a fixed point instead takes the square of nodes on so plain a
 * thing as a doubly linked list that is held by both its ends.
 *
 * Invariants: nothing recurses. Within, nodes go by their numbers in the depth first search; 0 is
 * the virtual root, which refers to what the graph's roots hold. Of a node that is numbered, the
 * parent's, the semidominator's and the dominator's numbers are lower than its own.
 */
#include <stdlib.h>
#include <string.h>

#include "search.h"

#define NONE UINT32_MAX

struct dominators {
	const struct gyre__graph *g;
	struct gyre__graph_reverse back;
	uint32_t count; /* numbers given */
	/* Of nodes, in the answer's arrays, which are not needed before the end. */
	uint32_t *number;
	uint64_t *edge, *rooted; /* the edge to follow next; whether a root holds it */
	/* Of numbers. */
	uint32_t *node, *parent;
	uint32_t *ancestor; /* towards the root of the forest of what has been looked at; or NONE */
	uint32_t *label;    /* of those from here up to that root the one with the least semi */
	uint32_t *semi;     /* the semidominator; the number itself, until it is looked at */
	uint32_t *bucket;   /* the first of those whose semidominator it is; or NONE */
	uint32_t *dom;      /* the next in the same bucket, and then the dominator */
	uint32_t *path;     /* scratch of eval */
};

static uint32_t enter(struct dominators *d, uint32_t node, uint32_t parent)
{
	uint32_t w = ++d->count;

	d->number[node] = w;
	d->edge[node] = d->g->first[node];
	d->node[w] = node;
	d->parent[w] = parent;
	d->label[w] = d->semi[w] = w;
	return w;
}

/* Numbers what is reachable. The way back is the parents', so it takes no stack. */
static void number_all(struct dominators *d)
{
	const struct gyre__graph *g = d->g;

	for (size_t i = 0; i < g->roots_count; i++) {
		uint32_t at = 0, to = g->roots[i].node;

		d->rooted[to] = 1;
		if (d->number[to] == NONE)
			at = enter(d, to, 0);
		while (at != 0) {
			uint32_t node = d->node[at];

			if (d->edge[node] == g->first[node + 1]) {
				at = d->parent[at];
				continue;
			}
			to = g->to[d->edge[node]++];
			if (d->number[to] == NONE)
				at = enter(d, to, at);
		}
	}
}

/* The one with the least semi between v and the root of its tree, which counts only when it is v.
 * Compresses the path, from its upper end down. */
static uint32_t eval(struct dominators *d, uint32_t v)
{
	uint32_t length = 0, at;

	if (d->ancestor[v] == NONE)
		return v;
	for (at = v; d->ancestor[d->ancestor[at]] != NONE; at = d->ancestor[at])
		d->path[length++] = at;
	while (length > 0) {
		uint32_t above;

		at = d->path[--length];
		above = d->ancestor[at];
		if (d->semi[d->label[above]] < d->semi[d->label[at]])
			d->label[at] = d->label[above];
		d->ancestor[at] = d->ancestor[above];
	}
	return d->label[v];
}

static uint32_t semidominator(struct dominators *d, uint32_t w)
{
	uint32_t node = d->node[w], least = d->rooted[node] ? 0 : w;

	for (uint64_t e = d->back.first[node]; e < d->back.first[node + 1] && least > 0; e++) {
		uint32_t from = d->number[d->back.from[e]], semi;

		if (from == NONE)
			continue;
		semi = d->semi[eval(d, from)];
		if (semi < least)
			least = semi;
	}
	return least;
}

/* The dominators of all whose semidominator is the parent: itself, or the one of another node,
 * which is found later (dom is then that node, and higher than semi). */
static void empty_bucket(struct dominators *d, uint32_t parent)
{
	uint32_t v = d->bucket[parent], next;

	for (; v != NONE; v = next) {
		uint32_t u = eval(d, v);

		next = d->dom[v];
		d->dom[v] = d->semi[u] < d->semi[v] ? u : parent;
	}
	d->bucket[parent] = NONE;
}

static void dominate(struct dominators *d)
{
	uint32_t w;

	for (w = d->count; w > 0; w--) {
		d->semi[w] = semidominator(d, w);
		d->dom[w] = d->bucket[d->semi[w]];
		d->bucket[d->semi[w]] = w;
		d->ancestor[w] = d->parent[w];
		empty_bucket(d, d->parent[w]);
	}
	for (w = 1; w <= d->count; w++)
		if (d->dom[w] != d->semi[w])
			d->dom[w] = d->dom[d->dom[w]];
}

/* The answer, over what its arrays were used for. A sum that does not fit is the largest number. */
static void answer(struct dominators *d, uint32_t *idom, uint64_t *bytes, uint64_t *objects)
{
	const struct gyre__graph *g = d->g;
	uint32_t w;

	memset(idom, 0xff, g->nodes * sizeof(*idom));
	memset(bytes, 0, g->nodes * sizeof(*bytes));
	memset(objects, 0, g->nodes * sizeof(*objects));
	for (w = d->count; w > 0; w--) {
		uint32_t node = d->node[w], by = d->node[d->dom[w]];

		objects[node]++;
		if (__builtin_add_overflow(bytes[node], g->bytes[node], &bytes[node]))
			bytes[node] = UINT64_MAX;
		idom[node] = by;
		if (by == GYRE__NO_NODE)
			continue;
		objects[by] += objects[node];
		if (__builtin_add_overflow(bytes[by], bytes[node], &bytes[by]))
			bytes[by] = UINT64_MAX;
	}
}

/* One block for the arrays of numbers; all in it NONE. */
static uint32_t *make_arrays(struct dominators *d)
{
	size_t length = (size_t)d->g->nodes + 1;
	uint32_t **arrays[] = { &d->node, &d->parent, &d->ancestor, &d->label,
				&d->semi, &d->bucket, &d->dom,      &d->path };
	const size_t count = sizeof(arrays) / sizeof(arrays[0]);
	uint32_t *block = malloc(count * length * sizeof(*block));

	if (block == NULL)
		return NULL;
	memset(block, 0xff, count * length * sizeof(*block));
	for (size_t i = 0; i < count; i++)
		*arrays[i] = block + i * length;
	return block;
}

bool gyre__graph_dominators(const struct gyre__graph *graph, uint32_t *idom,
			    uint64_t *retained_bytes, uint64_t *retained_objects)
{
	struct dominators d = {
		.g = graph, .number = idom, .edge = retained_bytes, .rooted = retained_objects
	};
	uint32_t *arrays = make_arrays(&d);

	if (arrays == NULL || !gyre__graph_reverse(graph, &d.back)) {
		free(arrays);
		return false;
	}
	memset(idom, 0xff, graph->nodes * sizeof(*idom));
	memset(retained_objects, 0, graph->nodes * sizeof(*retained_objects));
	number_all(&d);
	dominate(&d);
	answer(&d, idom, retained_bytes, retained_objects);
	free(d.back.first);
	free(d.back.from);
	free(arrays);
	return true;
}
