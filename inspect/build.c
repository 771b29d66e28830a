/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * build.c: see build.h. On the thread that asked for the capture, while the heap goes on; of the heap
 * only types are looked at, which live as long as it does.
 *
 * What holds an object beside other objects is told by counts: what references and frames do not
 * explain of a count, roots do, as far as they hold the object now; then pins; and the rest is held
 * by something else. So in an exact capture a root that has been written since the boundary is not
 * taken for one that held its object then.
 *
 * Invariants: a reference to an object that is not in the capture is left out, which was made after
 * the boundary. In an exact capture, edges and roots of a node add up to its count, but for the
 * roots of kind OTHER without a name, one for whatever is left.
 */
#include "build.h"

#include <stdlib.h>
#include <string.h>

#include "profile.h"
#include "type.h"

#define SITE_BYTES 512 /* of a name; a longer one is cut */

#define COUNT_STICKS ((1u << 25) - 1)

struct builder {
	struct gyre_heap *heap; /* that names sites */
	const struct gyre__capture *capture;
	struct gyre__places *places;
	struct gyre__graph *graph;
	uint32_t *explained; /* of each count */
	size_t roots_room;
	uint32_t type_of_id[GYRE_TYPES_MAX + 1]; /* number in the graph, and 1 */
	bool starved;
};

static uint32_t number_type(struct builder *b, const struct gyre_type *type)
{
	uint32_t *number = &b->type_of_id[type->head.id];
	struct gyre__graph *graph = b->graph;

	if (*number == 0) {
		graph->type_names[graph->types] = strdup(type->name);
		b->starved = b->starved || graph->type_names[graph->types] == NULL;
		*number = ++graph->types;
	}
	return *number - 1;
}

/* The node's references; gives the number of the first target that is not its own. */
static size_t add_edges(struct builder *b, uint32_t node, size_t target, size_t degree)
{
	struct gyre__graph *graph = b->graph;
	size_t end = target + degree;

	graph->first[node] = graph->edges;
	for (; target < end; target++) {
		uint32_t to = gyre__places_find(b->places,
						(uintptr_t)b->capture->targets.items[target]);

		if (to == GYRE__NO_NODE)
			continue;
		graph->to[graph->edges++] = to;
		b->explained[to]++;
	}
	return end;
}

static void add_nodes(struct builder *b)
{
	const struct gyre__capture *capture = b->capture;
	struct gyre__graph *graph = b->graph;
	size_t i, word, target = 0;
	uint32_t node = 0;

	for (i = 0; i < capture->slabs_count && !b->starved; i++) {
		const struct gyre__capture_slab *slab = &capture->slabs[i];
		uint32_t type = number_type(b, slab->type);

		for (word = 0; word < (slab->cells + 63) / 64; word++) {
			uint64_t bits = (uintptr_t)capture->bitmaps.items[slab->bitmap + word];

			for (; bits != 0; bits &= bits - 1, node++) {
				uint64_t object = (uintptr_t)capture->objects.items[node];
				uint64_t cell = 64 * word + (unsigned)__builtin_ctzll(bits);

				graph->type[node] = type;
				graph->bytes[node] = slab->bytes;
				graph->address[node] =
					slab->base + slab->first + cell * slab->cell_bytes;
				graph->counts[node] = object & GYRE_CAPTURE_STUCK
							      ? COUNT_STICKS
							      : object >> GYRE_CAPTURE_COUNT_SHIFT &
									GYRE_CAPTURE_COUNT_MASK;
				target = add_edges(b, node, target,
						   object >> GYRE_CAPTURE_DEGREE_SHIFT);
			}
		}
	}
	graph->first[graph->nodes] = graph->edges;
}

static void add_root(struct builder *b, uint32_t node, enum gyre__holder holder, uint32_t name,
		     uint64_t address)
{
	struct gyre__graph *graph = b->graph;

	if (graph->roots_count == b->roots_room) {
		size_t room = b->roots_room == 0 ? 64 : 2 * b->roots_room;
		struct gyre__graph_root *more = realloc(graph->roots, room * sizeof(*more));

		if (more == NULL) {
			b->starved = true;
			return;
		}
		graph->roots = more;
		b->roots_room = room;
	}
	graph->roots[graph->roots_count++] =
		(struct gyre__graph_root){ node, holder, name, address };
	b->explained[node]++;
}

/* Whether a count leaves room for one holder more. */
static bool unexplained(const struct builder *b, uint32_t node)
{
	return b->graph->counts[node] > b->explained[node];
}

static void add_held(struct builder *b, const struct gyre__captured *held)
{
	uint32_t node = gyre__places_find(b->places, held->object);
	uint64_t *count;

	if (node == GYRE__NO_NODE)
		return;
	count = &b->graph->counts[node];
	switch ((enum gyre__captured_by)held->by) {
	case GYRE_CAPTURED_OWED:
		*count -= *count > 0 && *count < COUNT_STICKS;
		break;
	case GYRE_CAPTURED_FRAME:
		add_root(b, node, GYRE_HOLDER_FRAME, held->name, 0);
		break;
	case GYRE_CAPTURED_SNOOPED:
		add_root(b, node, GYRE_HOLDER_OTHER, held->name, 0);
		break;
	case GYRE_CAPTURED_ROOT:
		if (!b->capture->exact || unexplained(b, node))
			add_root(b, node, GYRE_HOLDER_ROOT,
				 gyre__captured_name(b->capture, held->address), held->address);
		break;
	case GYRE_CAPTURED_PIN:
		if (unexplained(b, node))
			add_root(b, node, GYRE_HOLDER_OTHER, UINT32_MAX, 0);
		break;
	}
}

static int by_node(const void *left, const void *right)
{
	const struct gyre__graph_root *a = left, *b = right;

	if (a->node != b->node)
		return a->node < b->node ? -1 : 1;
	if (a->holder != b->holder)
		return a->holder < b->holder ? -1 : 1;
	return (a->address > b->address) - (a->address < b->address);
}

static void add_roots(struct builder *b)
{
	const struct gyre__capture *capture = b->capture;
	uint32_t node;
	size_t i;

	for (i = 0; i < capture->held_count; i++)
		add_held(b, &capture->held[i]);
	for (node = 0; node < b->graph->nodes; node++)
		if (unexplained(b, node))
			add_root(b, node, GYRE_HOLDER_OTHER, UINT32_MAX, 0);
	if (b->graph->roots_count > 0)
		qsort(b->graph->roots, b->graph->roots_count, sizeof(*b->graph->roots), by_node);
}

static void add_sites(struct builder *b)
{
	const struct gyre__vector *sites = &b->capture->sites;
	struct gyre__graph *graph = b->graph;
	uint32_t known = 0;
	size_t i;

	if (sites->count == 0)
		return;
	graph->site = malloc(graph->nodes * sizeof(*graph->site));
	if (graph->site == NULL) {
		b->starved = true;
		return;
	}
	memset(graph->site, 0xff, graph->nodes * sizeof(*graph->site));
	for (i = 0; i < sites->count; i += 2) {
		uint32_t site = (uint32_t)(uintptr_t)sites->items[i + 1];

		graph->site[(uintptr_t)sites->items[i]] = site;
		if (site >= known)
			known = site + 1;
	}
	graph->site_names = calloc(known, sizeof(*graph->site_names));
	if (graph->site_names == NULL) {
		b->starved = true;
		return;
	}
	for (; graph->sites < known && !b->starved; graph->sites++) {
		char name[SITE_BYTES];

		gyre__site_name(b->heap, graph->sites, name, sizeof(name));
		graph->site_names[graph->sites] = strdup(name);
		b->starved = graph->site_names[graph->sites] == NULL;
	}
}

static void add_names(struct builder *b)
{
	const struct gyre__capture *capture = b->capture;
	struct gyre__graph *graph = b->graph;

	graph->names = calloc(capture->names_count + 1, sizeof(*graph->names));
	if (graph->names == NULL) {
		b->starved = true;
		return;
	}
	while (graph->names_count < capture->names_count) {
		char *name = strdup(capture->names[graph->names_count]);

		if (name == NULL) {
			b->starved = true;
			return;
		}
		graph->names[graph->names_count++] = name;
	}
}

/* Arrays that are as long as can be needed. */
static bool make_room(struct builder *b)
{
	struct gyre__graph *graph = b->graph;
	size_t nodes = b->capture->objects.count, targets = b->capture->targets.count;

	graph->nodes = (uint32_t)nodes;
	graph->type = malloc((nodes + 1) * sizeof(*graph->type));
	graph->bytes = malloc((nodes + 1) * sizeof(*graph->bytes));
	graph->address = malloc((nodes + 1) * sizeof(*graph->address));
	graph->counts = malloc((nodes + 1) * sizeof(*graph->counts));
	graph->first = malloc((nodes + 1) * sizeof(*graph->first));
	graph->to = malloc((targets + 1) * sizeof(*graph->to));
	graph->type_names = calloc(b->capture->slabs_count + 1, sizeof(*graph->type_names));
	b->explained = calloc(nodes + 1, sizeof(*b->explained));
	return graph->type != NULL && graph->bytes != NULL && graph->address != NULL &&
	       graph->counts != NULL && graph->first != NULL && graph->to != NULL &&
	       graph->type_names != NULL && b->explained != NULL;
}

size_t gyre__first_root(const struct gyre__graph *graph, uint32_t node)
{
	size_t from = 0, to = graph->roots_count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (graph->roots[middle].node < node)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

enum gyre_status gyre__graph_build(struct gyre_heap *heap, const struct gyre__capture *capture,
				   struct gyre__places *places, struct gyre__graph *graph)
{
	struct builder *b;
	bool starved;

	memset(graph, 0, sizeof(*graph));
	if (capture->objects.count >= GYRE__NO_NODE)
		return GYRE_LIMIT;
	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return GYRE_NO_MEMORY;
	b->heap = heap;
	b->capture = capture;
	b->places = places;
	b->graph = graph;
	b->starved = !make_room(b);
	if (!b->starved)
		add_nodes(b);
	if (!b->starved) {
		add_roots(b);
		add_sites(b);
		add_names(b);
	}
	starved = b->starved;
	free(b->explained);
	free(b);
	return starved ? GYRE_NO_MEMORY : GYRE_OK;
}
