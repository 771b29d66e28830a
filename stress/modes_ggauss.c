/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modes_ggauss.c: random graphs, nearly all of whose garbage is cyclic.
 *
 * The torture test of the Recycler's authors: every new node is linked with nodes made shortly
 * before it, at a distance that follows a Gaussian distribution, in either direction; a table of
 * roots is overwritten at random. So graphs of all sizes and shapes come apart everywhere at once.
 *
 * Each worker has a table of its own. Its shadow is the whole graph: for each node the identity and
 * the nodes that its slots refer to. Most graphs grow faster than they come apart; when the shadow
 * is full, reachability is computed in it, what is unreachable is forgotten, and as long as too
 * much is reachable, parts of the table are cleared.
 */
#include "shapes.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS 3
#define STEPS_PER_ROUND 1024
#define STEPS_PER_SAFEPOINT 8
#define WALK_MAX 8

struct gauss_node {
	struct stress_head head;
	gyre_ref out[SLOTS];
};

static const struct gyre_type_desc node_desc =
	GYRE_TYPE(struct gauss_node, GYRE_REFS(GYRE_REF(struct gauss_node, out)));

/* The root of all: the table of the worker, an object of the heap. */
struct gauss_table {
	struct stress_head head;
	size_t length;
	gyre_ref nodes[];
};

static const struct gyre_type_desc table_desc =
	GYRE_TYPE(struct gauss_table, GYRE_TRAILING_REFS(struct gauss_table, nodes, length));

/* A node in the shadow; number 0 is none. A free one's out[0] is the next free one. */
struct gauss_shadow {
	uint64_t identity;
	uint32_t out[SLOTS];
	bool used, reached;
};

struct gauss {
	const struct gyre_type *node, *table;
	uint64_t roots, sigma, nodes;
};

struct gauss_worker {
	struct gyre_root root;
	struct gauss_table *table; /* held by root */
	uint32_t *roots;           /* the table's shadow */
	struct gauss_shadow *shadow;
	uint32_t *stack;
	uint32_t free;
	uint64_t used;     /* shadow nodes not free */
	uint64_t identity; /* the next one */
};

static uint32_t shadow_take(struct gauss_worker *own)
{
	uint32_t node = own->free;

	if (node != 0) {
		own->free = own->shadow[node].out[0];
		memset(&own->shadow[node], 0, sizeof(own->shadow[node]));
		own->shadow[node].used = true;
		own->used++;
	}
	return node;
}

static void shadow_give(struct gauss_worker *own, uint32_t node)
{
	own->shadow[node].used = own->shadow[node].reached = false;
	own->shadow[node].out[0] = own->free;
	own->free = node;
}

static void reach(struct gauss_worker *own, uint32_t node, size_t *depth)
{
	if (node == 0 || own->shadow[node].reached)
		return;
	own->shadow[node].reached = true;
	own->stack[(*depth)++] = node;
}

/* Computes what the table reaches, forgets the rest, and returns how many nodes remain. */
static uint64_t shadow_trim(struct stress_worker *w)
{
	struct gauss *gauss = w->run->shared;
	struct gauss_worker *own = w->own;
	size_t depth = 0, i;
	const struct gauss_shadow *node;
	uint32_t number;

	for (i = 0; i < gauss->roots; i++)
		reach(own, own->roots[i], &depth);
	while (depth > 0) {
		node = &own->shadow[own->stack[--depth]];
		for (i = 0; i < SLOTS; i++)
			reach(own, node->out[i], &depth);
	}
	for (number = 1; number <= gauss->nodes; number++) {
		if (own->shadow[number].reached) {
			own->shadow[number].reached = false;
		} else if (own->shadow[number].used) {
			shadow_give(own, number);
			own->used--;
		}
	}
	return own->used;
}

/* Empties count places of the table, from start on. */
static void clear_places(struct stress_worker *w, size_t start, size_t count)
{
	struct gauss *gauss = w->run->shared;
	struct gauss_worker *own = w->own;
	size_t place, i;

	for (i = 0; i < count; i++) {
		place = (start + i) % gauss->roots;
		if (!stress_store(w, own->table, &own->table->nodes[place], NULL))
			return;
		own->roots[place] = 0;
		if (i % 64 == 63)
			gyre_safepoint(w->m);
	}
}

/* Makes room in the shadow, by clearing parts of the table if need be. */
static void make_room(struct stress_worker *w)
{
	struct gauss *gauss = w->run->shared;
	size_t part = gauss->roots / 4 + 1;

	while (shadow_trim(w) > gauss->nodes / 2 && !stress_stopped(w->run)) {
		clear_places(w, stress_below(&w->rng, gauss->roots), part);
		part = part * 2 < gauss->roots ? part * 2 : gauss->roots;
	}
}

/* A place of the table at a distance from another that is near enough to Gaussian. */
static size_t near_place(struct stress_worker *w, size_t place)
{
	struct gauss *gauss = w->run->shared;
	uint64_t bits = stress_random(&w->rng);
	int64_t sum = 0, distance;
	int i;

	/* The sum of four uniform numbers; its standard deviation is 65536 / sqrt(3). */
	for (i = 0; i < 4; i++, bits >>= 16)
		sum += (int64_t)(bits & 0xffff) - 32768;
	distance = sum * (int64_t)gauss->sigma / 37837 % (int64_t)gauss->roots;
	return (place + gauss->roots + (size_t)distance) % gauss->roots;
}

/* Makes a slot of from refer to a node (or nothing), in the heap and in the shadow. */
static void link_nodes(struct stress_worker *w, struct gauss_node *from, uint32_t from_number,
		       struct gauss_node *to, uint32_t to_number)
{
	struct gauss_worker *own = w->own;
	size_t slot = stress_below(&w->rng, SLOTS);

	if (stress_store(w, from, &from->out[slot], to))
		own->shadow[from_number].out[slot] = to_number;
}

/* Makes a node, links it with nodes near its place, and puts it into the table. */
static void add_node(struct stress_worker *w)
{
	struct gauss *gauss = w->run->shared;
	struct gauss_worker *own = w->own;
	size_t place = stress_below(&w->rng, gauss->roots), near;
	struct gauss_node *node = NULL, *other = NULL;
	unsigned links = 1 + (unsigned)stress_below(&w->rng, SLOTS), i;
	uint32_t number;
	GYRE_KEEP(w->m, node, other);

	if (own->free == 0)
		make_room(w);
	node = stress_new(w, gauss->node, 0, own->identity);
	number = node ? shadow_take(own) : 0;
	if (number == 0)
		return;
	own->shadow[number].identity = own->identity++;
	for (i = 0; i < links; i++) {
		near = near_place(w, place);
		other = gyre_load(&own->table->nodes[near]);
		if (own->roots[near] == 0 && !other)
			continue;
		if (!stress_check(w, other, own->shadow[own->roots[near]].identity))
			return;
		link_nodes(w, node, number, other, own->roots[near]);
		if (stress_chance(&w->rng, 1, 2))
			link_nodes(w, other, own->roots[near], node, number);
	}
	if (stress_store(w, own->table, &own->table->nodes[place], node))
		own->roots[place] = number;
}

/* Follows random slots from a random place, compares, and sometimes cuts the last edge. */
static void walk(struct stress_worker *w)
{
	struct gauss *gauss = w->run->shared;
	struct gauss_worker *own = w->own;
	size_t place = stress_below(&w->rng, gauss->roots), slot, step;
	struct gauss_node *node = gyre_load(&own->table->nodes[place]), *next;
	uint32_t number = own->roots[place];

	for (step = 0; step < WALK_MAX; step++) {
		if (number == 0 && node)
			stress_fail(w->run, "a slot holds something and should not");
		if (number == 0 || !stress_check(w, node, own->shadow[number].identity))
			return;
		slot = stress_below(&w->rng, SLOTS);
		next = gyre_load(&node->out[slot]);
		if (stress_chance(&w->rng, 1, 32)) {
			if (stress_store(w, node, &node->out[slot], NULL))
				own->shadow[number].out[slot] = 0;
			return;
		}
		number = own->shadow[number].out[slot];
		node = next;
	}
}

static void gauss_loop(struct stress_worker *w)
{
	struct gauss *gauss = w->run->shared;
	struct gauss_worker *own = w->own;
	unsigned step;

	while (stress_round(w)) {
		for (step = 0; step < STEPS_PER_ROUND && !stress_stopped(w->run); step++) {
			if (stress_chance(&w->rng, 1, 8))
				walk(w);
			else if (stress_chance(&w->rng, 1, 16))
				clear_places(w, stress_below(&w->rng, gauss->roots), 1);
			else
				add_node(w);
			if (step % STEPS_PER_SAFEPOINT == 0)
				gyre_safepoint(w->m);
		}
		stress_count(&w->reachable, own->used + 1);
		if (stress_checkpoint_due(w))
			stress_checkpoint(w, shadow_trim(w) + 1);
	}
}

/* Compares all that is reachable with the shadow, slot by slot: one visit for each edge. */
static void check_all(struct stress_worker *w)
{
	struct gauss *gauss = w->run->shared;
	struct gauss_worker *own = w->own;
	struct gauss_node **nodes = calloc(gauss->nodes + 1, sizeof(*nodes)), *node;
	size_t depth = 0, visited = 0, i;
	uint32_t number, to;

	for (i = 0; nodes && i < gauss->roots; i++) {
		number = own->roots[i];
		if (number == 0 || nodes[number])
			continue;
		nodes[number] = gyre_load(&own->table->nodes[i]);
		own->stack[depth++] = number;
	}
	while (depth > 0) {
		number = own->stack[--depth];
		if (!stress_check(w, nodes[number], own->shadow[number].identity))
			break;
		if (++visited % 1024 == 0)
			gyre_safepoint(w->m);
		for (i = 0; i < SLOTS; i++) {
			node = gyre_load(&nodes[number]->out[i]);
			to = own->shadow[number].out[i];
			if (!node != (to == 0) || (nodes[to] && nodes[to] != node)) {
				stress_fail(w->run, "an edge of node %#llx is not the shadow's",
					    (unsigned long long)own->shadow[number].identity);
				depth = 0;
				break;
			}
			if (to != 0 && !nodes[to]) {
				nodes[to] = node;
				own->stack[depth++] = to;
			}
		}
	}
	if (!nodes)
		stress_fail(w->run, "no memory to compare a graph with its shadow");
	free(nodes);
}

static void gauss_work(struct stress_worker *w)
{
	struct gauss *gauss = w->run->shared;
	struct gauss_worker own = { .identity = shape_identities(w->index) };
	uint32_t number;

	own.roots = calloc(gauss->roots, sizeof(*own.roots));
	own.shadow = calloc(gauss->nodes + 1, sizeof(*own.shadow));
	own.stack = calloc(gauss->nodes + 1, sizeof(*own.stack));
	w->own = &own;
	if (!own.roots || !own.shadow || !own.stack) {
		stress_fail(w->run, "no memory for the shadow of ggauss");
	} else {
		for (number = (uint32_t)gauss->nodes; number > 0; number--)
			shadow_give(&own, number);
		own.table = stress_new(w, gauss->table, gauss->roots, own.identity++);
		if (own.table && stress_root_init(w, &own.root, own.table)) {
			gauss_loop(w);
			check_all(w);
			stress_root_drop(w, &own.root);
		}
	}
	w->own = NULL;
	free(own.roots);
	free(own.shadow);
	free(own.stack);
	w->left = 0;
}

static void gauss_run(struct stress_run *run)
{
	struct gauss gauss = { .node = shape_type(run, &node_desc),
			       .table = shape_type(run, &table_desc),
			       .roots = stress_param(run, "roots"),
			       .sigma = stress_param(run, "sigma"),
			       .nodes = stress_param(run, "nodes") };

	if (!gauss.node || !gauss.table)
		return;
	run->shared = &gauss;
	stress_workers(run, gauss_work, NULL);
	stress_expect(run->main, stress_left(run), "after every table was dropped");
}

const struct stress_mode stress_mode_ggauss = {
	.name = "ggauss",
	.summary = "random graphs with neighbours at Gaussian distance",
	.run = gauss_run,
	.params = {
		{ "roots", "Places in the table of a thread", 1024, 1, 16777216 },
		{ "sigma", "Standard deviation of the distance of neighbours", 16, 1, 1000000 },
		{ "nodes", "Nodes in the shadow of a thread, reachable or not", 65536, 1024,
		  1000000000 },
	},
};
