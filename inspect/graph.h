/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * graph.h: an object graph in memory, apart from the heap that it was taken from: what all
 * questions about a heap are asked of. Made by a snapshot of a heap (snapshot.c) or by the reader
 * of a dump (heapfile.c, load.c). Any thread, one at a time while it is made; nothing here knows of
 * a collector.
 *
 * Invariant: once made it is not changed. Nodes are numbered from 0; the edges of node n are
 * to[first[n]] up to to[first[n + 1] - 1], in the order of its slots; two may be equal.
 */
#ifndef GYRE_INSPECT_GRAPH_H
#define GYRE_INSPECT_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GYRE__NO_NODE UINT32_MAX
#define GYRE__NO_SITE UINT32_MAX

enum gyre__holder {
	GYRE_HOLDER_ROOT,  /* a struct gyre_root, or the line r of a dump */
	GYRE_HOLDER_FRAME, /* a keep frame of a thread */
	GYRE_HOLDER_OTHER, /* counted, but no root, frame or object is known that holds it */
};

struct gyre__graph_root {
	uint32_t node;
	enum gyre__holder holder;
	uint32_t name; /* into names: of the root, or of the thread; UINT32_MAX: it has none */
	uint64_t address; /* of the struct gyre_root; 0 if it is none or not known */
};

struct gyre__graph {
	uint32_t nodes;
	uint32_t types, sites;
	size_t edges, roots_count;
	/* One for each node. */
	uint32_t *type;
	uint64_t *bytes;
	uint64_t *address; /* in the process that it was taken from; NULL: not known */
	uint64_t *counts;  /* references as the collector counts them; NULL: not known */
	uint32_t *site;    /* where it was allocated, or GYRE__NO_SITE; NULL: not known */
	uint64_t *first;   /* nodes + 1 of them */
	uint32_t *to;
	struct gyre__graph_root *roots;
	char **type_names, **site_names;
	char **names;
	uint32_t names_count;
};

/* Frees what graph holds; not graph itself. */
void gyre__graph_destroy(struct gyre__graph *graph);

#endif
