/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * search.h: questions that take a search of an object graph. Any thread; the graph is not changed.
 *
 * Invariant: each is false only for lack of memory, and then has kept none.
 */
#ifndef GYRE_INSPECT_SEARCH_H
#define GYRE_INSPECT_SEARCH_H

#include "graph.h"

/* Marks in seen (nodes bytes) what is reachable from the roots, without one edge if skip_edge is
 * its index in to[] (UINT64_MAX: with all). */
bool gyre__graph_reach(const struct gyre__graph *graph, uint64_t skip_edge, unsigned char *seen);

/* A shortest path to node from roots[*root], both ends included; path has room for all nodes.
 * *length 0: there is none. */
bool gyre__graph_path(const struct gyre__graph *graph, uint32_t node, uint32_t *path,
		      size_t *length, size_t *root);

/* Who refers to node n: from[first[n]] up to from[first[n + 1] - 1], in order, as often as it
 * does. */
struct gyre__graph_reverse {
	uint64_t *first;
	uint32_t *from;
};

bool gyre__graph_reverse(const struct gyre__graph *graph, struct gyre__graph_reverse *reverse);

/* Component i: members[first[i]] up to members[first[i + 1] - 1]. */
struct gyre__components {
	size_t count;
	uint64_t *first;
	uint32_t *members;
};

/* The strongly connected components of more than one node, or of one that refers to itself; the
 * largest first. */
bool gyre__graph_components(const struct gyre__graph *graph, struct gyre__components *components);

/* For each node that is reachable the node that all its paths lead through last (UINT32_MAX: none),
 * and the bytes and number of what is reachable through it only, itself included. Each array has
 * room for all nodes. */
bool gyre__graph_dominators(const struct gyre__graph *graph, uint32_t *idom,
			    uint64_t *retained_bytes, uint64_t *retained_objects);

#endif
