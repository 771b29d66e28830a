/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load.c: makes a graph of what heapfile.c has read and checked. Runs on the thread that asks.
 *
 * Invariant: that of load.h. Names are taken over from the file, and are then the graph's.
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heapfile.h"

static void *array(size_t count, size_t bytes)
{
	return calloc(count + 1, bytes);
}

static bool load_nodes(struct gyre__graph *g, const struct heapfile *h)
{
	size_t i;

	g->type = array(h->objects, sizeof(*g->type));
	g->bytes = array(h->objects, sizeof(*g->bytes));
	g->first = array(h->objects, sizeof(*g->first));
	g->to = array(h->edges, sizeof(*g->to));
	if (g->type == NULL || g->bytes == NULL || g->first == NULL || g->to == NULL)
		return false;
	for (i = 0; i < h->objects; i++) {
		g->type[i] = (uint32_t)h->type[i];
		g->bytes[i] = h->bytes[i];
		g->first[i + 1] = h->first[i + 1];
	}
	for (i = 0; i < h->edges; i++)
		g->to[i] = (uint32_t)h->refs[i];
	g->nodes = (uint32_t)h->objects;
	g->edges = h->edges;
	return true;
}

static bool load_details(struct gyre__graph *g, const struct heapfile *h)
{
	size_t i;

	if (h->detail == NULL)
		return true;
	g->address = array(h->objects, sizeof(*g->address));
	g->counts = array(h->objects, sizeof(*g->counts));
	g->site = array(h->objects, sizeof(*g->site));
	if (g->address == NULL || g->counts == NULL || g->site == NULL)
		return false;
	for (i = 0; i < h->objects; i++) {
		g->address[i] = h->detail[i].address;
		g->counts[i] = h->detail[i].count;
		g->site[i] = h->detail[i].site == HEAPFILE_NONE ? GYRE__NO_SITE
								: (uint32_t)h->detail[i].site;
	}
	return true;
}

static bool load_roots(struct gyre__graph *g, const struct heapfile *h)
{
	static const enum gyre__holder holders[] = {
		[HEAPFILE_ROOT] = GYRE_HOLDER_ROOT,
		[HEAPFILE_FRAME] = GYRE_HOLDER_FRAME,
		[HEAPFILE_OTHER] = GYRE_HOLDER_OTHER,
	};
	size_t i;

	g->roots = array(h->roots, sizeof(*g->roots));
	if (g->roots == NULL)
		return false;
	for (i = 0; i < h->roots; i++) {
		const struct heapfile_root *held = &h->held[i];

		g->roots[i] = (struct gyre__graph_root){
			.node = (uint32_t)h->root[i],
			.holder = holders[held->holder],
			.name = held->label == HEAPFILE_NONE ? UINT32_MAX : (uint32_t)held->label,
			.address = held->address,
		};
	}
	g->roots_count = h->roots;
	return true;
}

static void take_names(struct gyre__graph *g, struct heapfile *h)
{
	g->type_names = h->name;
	g->types = (uint32_t)h->types;
	g->site_names = h->site;
	g->sites = (uint32_t)h->sites;
	g->names = h->label;
	g->names_count = (uint32_t)h->labels;
	h->name = h->site = h->label = NULL;
	h->types = h->sites = h->labels = 0;
}

bool gyre__graph_load(struct gyre__graph *g, const char *path, char *error, size_t error_bytes)
{
	struct heapfile h;
	bool good = false;

	memset(g, 0, sizeof(*g));
	if (!heapfile_read(&h, path, error, error_bytes))
		return false;
	if (h.objects >= UINT32_MAX || h.types >= UINT32_MAX || h.sites >= UINT32_MAX ||
	    h.labels >= UINT32_MAX) {
		snprintf(error, error_bytes, "%s: over %u objects or names", path, UINT32_MAX - 1);
	} else if (!load_nodes(g, &h) || !load_details(g, &h) || !load_roots(g, &h)) {
		snprintf(error, error_bytes, "%s: no memory for the graph", path);
		gyre__graph_destroy(g);
		memset(g, 0, sizeof(*g));
	} else {
		take_names(g, &h);
		good = true;
	}
	heapfile_free(&h);
	return good;
}
