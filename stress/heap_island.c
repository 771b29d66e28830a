/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap_island.c: graphs of one thread, and their exact shadows.
 *
 * Runs on the mutator that owns the island. An object of an island is touched only where it was
 * reached from a root since the last safe point, or where a search of the shadow has shown that it
 * is reachable: then the roots keep it across safe points.
 */
#include "heapmode.h"

#include <stdlib.h>
#include <string.h>

#define SAFEPOINT_EVERY 64 /* objects */
#define SPARE_ROOTS 4
#define WALK_STEPS_MAX 24

/* ---- The shadow ---- */

struct island *island_make(size_t roots)
{
	struct island *island = calloc(1, sizeof(*island));

	if (island == NULL)
		return NULL;
	island->root = calloc(roots, sizeof(*island->root));
	island->root_node = calloc(roots, sizeof(*island->root_node));
	island->first = calloc(1, sizeof(*island->first));
	if (island->root != NULL && island->root_node != NULL && island->first != NULL)
		return island;
	free(island->root);
	free(island->root_node);
	free(island->first);
	free(island);
	return NULL;
}

void island_drop(struct hand *hand, struct island *island)
{
	/* A root that could not be dropped is still on the heap's list: then its memory stays. */
	while (island->roots > 0 && stress_root_drop(hand->w, &island->root[island->roots - 1]))
		island->roots--;
	if (island->roots == 0)
		free(island->root);
	free(island->root_node);
	free(island->object);
	free(island->identity);
	free(island->first);
	free(island->slot);
	free(island->mark);
	free(island);
}

static bool resize(void *array, size_t count, size_t element)
{
	void **place = array, *grown;
	size_t bytes;

	if (__builtin_mul_overflow(count, element, &bytes))
		return false;
	grown = realloc(*place, bytes);
	if (grown == NULL)
		return false;
	*place = grown;
	return true;
}

static bool grow_nodes(struct island *i)
{
	size_t room = i->nodes_room == 0 ? 16 : i->nodes_room * 2;

	if (i->nodes < i->nodes_room)
		return true;
	if (i->nodes >= NODES_MAX || !resize(&i->object, room, sizeof(*i->object)) ||
	    !resize(&i->identity, room, sizeof(*i->identity)) ||
	    !resize(&i->first, room + 1, sizeof(*i->first)) ||
	    !resize(&i->mark, room, sizeof(*i->mark)))
		return false;
	i->nodes_room = room;
	return true;
}

static bool grow_slots(struct island *i, size_t length)
{
	size_t used = i->first[i->nodes], needed, room;

	if (__builtin_add_overflow(used, length, &needed))
		return false;
	if (needed <= i->slots_room)
		return true;
	room = needed < 64 ? 64 : needed + needed / 2;
	if (!resize(&i->slot, room, sizeof(*i->slot)))
		return false;
	i->slots_room = room;
	return true;
}

uint32_t island_add(struct hand *hand, struct island *i, struct node *object)
{
	size_t kind = identity_kind(object->head.identity);
	size_t length = hand->mode->kinds[kind].shape == SHAPE_BYTES ? 0 : object->length;
	uint32_t n = i->nodes;

	if (!grow_nodes(i) || !grow_slots(i, length)) {
		stress_fail(hand->w->run, "no memory for the shadow of %u objects", n);
		return 0;
	}
	i->object[n] = object;
	i->identity[n] = object->head.identity;
	i->mark[n] = 0;
	if (length != 0)
		memset(&i->slot[i->first[n]], 0, length * sizeof(*i->slot));
	i->first[n + 1] = i->first[n] + length;
	i->nodes = n + 1;
	return n + 1;
}

/* ---- Building ---- */

/* One object of each number in list, in the table and in the shadow. */
static bool build_nodes(struct hand *hand, struct island *i, struct node *table,
			const uint32_t *list, size_t count)
{
	const struct kind *table_kind = &hand->mode->kinds[hand->mode->table];
	GYRE_KEEP(hand->w->m, table);

	for (size_t n = 0; n < count; n++) {
		struct node *object;

		if (n % SAFEPOINT_EVERY == 0) {
			gyre_safepoint(hand->w->m);
			if (stress_stopped(hand->w->run))
				return false;
		}
		object = node_new_like(hand, list[n]);
		if (object == NULL || island_add(hand, i, object) == 0)
			return false;
		if (!node_put(hand, table, node_slot(table_kind, table, n), object, HOW_EXCLUSIVE))
			return false;
		hand->local[list[n]] = (uint32_t)n + 1;
	}
	return true;
}

/* The edges of the file between objects of the list; the shadow has all nodes already. */
static bool build_edges(struct hand *hand, struct island *i, struct node *table,
			const uint32_t *list, size_t count)
{
	const struct heapfile *f = &hand->mode->file;
	GYRE_KEEP(hand->w->m, table);

	for (uint32_t n = 0; n < count; n++) {
		const size_t *refs = f->refs + f->first[list[n]];
		size_t edges = f->first[list[n] + 1] - f->first[list[n]];

		if (n % SAFEPOINT_EVERY == 0) {
			gyre_safepoint(hand->w->m);
			if (stress_stopped(hand->w->run))
				return false;
		}
		for (size_t e = 0; e < edges; e++) {
			uint32_t t = hand->local[refs[e]];
			/* The objects are this thread's alone, so the cheap ways are allowed. */
			enum how how = stress_chance(&hand->w->rng, 1, 2) ? HOW_INIT
									  : how_any(&hand->w->rng);

			if (t != 0 && !island_set(hand, i, n, e, t, how))
				return false;
		}
	}
	return true;
}

static bool build_roots(struct hand *hand, struct island *i, struct node *table, const size_t *root,
			size_t roots, size_t spare)
{
	GYRE_KEEP(hand->w->m, table);

	for (size_t r = 0; r < roots + spare; r++) {
		uint32_t n = r < roots ? hand->local[root[r]] : 0;

		if (r % SAFEPOINT_EVERY == 0)
			gyre_safepoint(hand->w->m);
		if (!stress_root_init(hand->w, &i->root[r], n == 0 ? NULL : i->object[n - 1]))
			return false;
		i->root_node[r] = n;
		i->roots = r + 1;
	}
	return true;
}

struct island *island_build(struct hand *hand, const uint32_t *list, size_t count,
			    const size_t *root, size_t roots)
{
	size_t spare = roots == 1 ? 0 : SPARE_ROOTS;
	struct island *i = island_make(roots + spare);
	struct node *table;
	bool good;

	if (i == NULL) {
		stress_fail(hand->w->run, "no memory for an island");
		return NULL;
	}
	/* The table holds every object until the edges and roots do. */
	table = node_new(hand, hand->mode->table, count);
	good = table != NULL && build_nodes(hand, i, table, list, count);
	/* Each part keeps the table, and between them there is no safe point. */
	good = good && build_edges(hand, i, table, list, count) &&
	       build_roots(hand, i, table, root, roots, spare);
	for (size_t n = 0; n < count; n++)
		hand->local[list[n]] = 0;
	if (good)
		return i;
	island_drop(hand, i);
	return NULL;
}

struct island *island_copy(struct hand *hand)
{
	const struct heapfile *f = &hand->mode->file;

	for (size_t o = 0; o < f->objects; o++)
		hand->list[o] = (uint32_t)o;
	return island_build(hand, hand->list, f->objects, f->root, f->roots);
}

/* Breadth first from a random object, up to a random size. hand->local serves as the mark. */
struct island *island_piece(struct hand *hand)
{
	const struct heapfile *f = &hand->mode->file;
	size_t wanted = 1 + stress_below(&hand->w->rng, hand->mode->piece);
	size_t count = 1, root = stress_below(&hand->w->rng, f->objects);

	hand->list[0] = (uint32_t)root;
	hand->local[root] = 1;
	for (size_t at = 0; at < count && count < wanted; at++) {
		size_t o = hand->list[at];

		for (size_t e = f->first[o]; e < f->first[o + 1] && count < wanted; e++) {
			if (hand->local[f->refs[e]] != 0)
				continue;
			hand->local[f->refs[e]] = 1;
			hand->list[count++] = (uint32_t)f->refs[e];
		}
	}
	for (size_t at = 0; at < count; at++)
		hand->local[hand->list[at]] = 0;
	return island_build(hand, hand->list, count, &root, 1);
}

/* ---- Visiting ---- */

bool island_set(struct hand *hand, struct island *i, uint32_t n, size_t k, uint32_t t, enum how how)
{
	const struct kind *kind = &hand->mode->kinds[identity_kind(i->identity[n])];

	if (!node_put(hand, i->object[n], node_slot(kind, i->object[n], k),
		      t == 0 ? NULL : i->object[t - 1], how))
		return false;
	i->slot[i->first[n] + k] = t;
	return true;
}

size_t island_slot(struct hand *hand, const struct island *i, uint32_t n, bool full)
{
	size_t length = island_length(i, n);
	size_t k = stress_below(&hand->w->rng, length);

	for (unsigned tries = 0; full && tries < 8; tries++) {
		if (i->slot[i->first[n] + k] != 0)
			break;
		k = k + 1 == length ? 0 : k + 1;
	}
	return k;
}

/* What a slot holds against what the shadow says it holds; t as in the shadow. */
static bool agree(struct hand *hand, const struct island *i, const gyre_ref *slot, uint32_t t)
{
	const struct node *found = gyre_load(slot);
	const struct node *wanted = t == 0 ? NULL : i->object[t - 1];

	if (found == wanted)
		return true;
	stress_lost(hand->w->run, "worker %u: a slot of its own refers to %p and should to %p",
		    hand->w->index, (const void *)found, (const void *)wanted);
	return false;
}

uint32_t island_walk(struct hand *hand, struct island *i)
{
	struct stress_rng *rng = &hand->w->rng;
	uint64_t steps = stress_below(rng, WALK_STEPS_MAX);
	size_t r = i->roots == 0 ? 0 : stress_below(rng, i->roots);
	uint32_t t = 0;

	for (size_t tries = 0; tries < i->roots && t == 0; tries++, r = (r + 1) % i->roots) {
		t = i->root_node[r];
		if (!agree(hand, i, island_root_slot(i, r), t))
			return 0;
	}
	while (t != 0) {
		const struct kind *kind = &hand->mode->kinds[identity_kind(i->identity[t - 1])];
		struct node *object = i->object[t - 1];
		uint32_t next;
		size_t k;

		if (!stress_check(hand->w, object, i->identity[t - 1]))
			return 0;
		if (steps-- == 0 || island_length(i, t - 1) == 0)
			break;
		k = island_slot(hand, i, t - 1, true);
		next = i->slot[i->first[t - 1] + k];
		if (!agree(hand, i, node_slot(kind, object, k), next))
			return 0;
		if (next == 0)
			break;
		t = next;
	}
	return t;
}

/* Room for all nodes on the work list: each is on it once at most. */
static bool grow_work(struct hand *hand, size_t nodes)
{
	if (nodes <= hand->work_room)
		return true;
	if (!resize(&hand->work, nodes, sizeof(*hand->work))) {
		stress_fail(hand->w->run, "no memory for a work list of %zu", nodes);
		return false;
	}
	hand->work_room = nodes;
	return true;
}

static size_t reach_push(struct hand *hand, struct island *i, uint32_t t, size_t count)
{
	if (t == 0 || i->mark[t - 1] == i->stamp)
		return count;
	i->mark[t - 1] = i->stamp;
	hand->work[count] = t - 1;
	return count + 1;
}

/* The object of a node that is reachable: intact, and each slot as the shadow has it. */
static bool look_at(struct hand *hand, struct island *i, uint32_t n)
{
	const struct kind *kind = &hand->mode->kinds[identity_kind(i->identity[n])];
	const struct node *object = i->object[n];
	size_t length = island_length(i, n);

	if (!stress_check(hand->w, object, i->identity[n]))
		return false;
	if (kind->shape != SHAPE_BYTES && object->length != length) {
		stress_lost(hand->w->run, "object %#llx has %zu slots and should have %zu",
			    (unsigned long long)i->identity[n], object->length, length);
		return false;
	}
	for (size_t k = 0; k < length; k++)
		if (!agree(hand, i, node_slot(kind, object, k), i->slot[i->first[n] + k]))
			return false;
	return true;
}

uint64_t island_reach(struct hand *hand, struct island *i, bool look)
{
	uint64_t reached = 0;
	size_t count = 0;

	if (!grow_work(hand, i->nodes))
		return 0;
	if (++i->stamp == 0) { /* a stamp of an earlier life must not look new */
		memset(i->mark, 0, i->nodes * sizeof(*i->mark));
		i->stamp = 1;
	}
	for (size_t r = 0; r < i->roots || (r == 0 && i->held != NULL); r++) {
		if (look && !agree(hand, i, island_root_slot(i, r), i->root_node[r]))
			return reached;
		count = reach_push(hand, i, i->root_node[r], count);
	}
	while (count > 0) {
		uint32_t n = hand->work[--count];

		reached++;
		if (look && !look_at(hand, i, n))
			return reached;
		if (look && reached % SAFEPOINT_EVERY == 0)
			gyre_safepoint(hand->w->m);
		for (size_t s = i->first[n]; s < i->first[n + 1]; s++)
			count = reach_push(hand, i, i->slot[s], count);
	}
	return reached;
}
