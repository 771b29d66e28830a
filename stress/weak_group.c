/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weak_group.c: groups of targets in mode weak: how they are made, and what is seen of them.
 *
 * A group is made by one worker, which keeps all of it in a frame until it is published; it is
 * looked at by every thread, that of the callbacks included. A look is not a safe point, and only
 * adds to what it knows: no judgement depends on what other threads do meanwhile.
 */
#include "weakmode.h"

static size_t ring_length(uint32_t kind, size_t length)
{
	switch (kind) {
	case GROUP_RING:
	case GROUP_PRIVATE:
		return length;
	case GROUP_HUNG:
		return (length + 1) / 2;
	default:
		return 0;
	}
}

bool group_reaches(uint32_t kind, size_t length, size_t from, size_t to)
{
	size_t ring = ring_length(kind, length);

	if (kind == GROUP_LOOSE)
		return from == to;
	return from < ring || from <= to;
}

/* ---- Making ---- */

static bool link_chain(struct stress_worker *w, void **nodes, size_t from, size_t to)
{
	struct mortal_node *node;
	size_t k;

	for (k = from; k + 1 < to; k++) {
		node = nodes[k];
		if (!shape_init(w, node, &node->next, nodes[k + 1]))
			return false;
	}
	return true;
}

static bool link_nodes(struct stress_worker *w, uint32_t kind, void **nodes, size_t length)
{
	size_t ring = kind == GROUP_LOOSE ? length : ring_length(kind, length), k;
	struct mortal_node *first = nodes[0], *last = ring > 0 ? nodes[ring - 1] : NULL, *node;

	if (!link_chain(w, nodes, 0, ring) || !link_chain(w, nodes, ring, length))
		return false;
	if (ring == 0)
		return true;
	if (!shape_init(w, last, &last->next, first))
		return false;
	if (ring < length && !shape_init(w, first, &first->other, nodes[ring]))
		return false;
	/* More edges, so that members are reached in more than one way. */
	for (k = 0; k < ring; k++) {
		node = nodes[k];
		if (stress_chance(&w->rng, 1, 2) &&
		    !shape_init(w, node, &node->previous, nodes[stress_below(&w->rng, ring)]))
			return false;
	}
	return true;
}

/* The nodes into the frame's places; false: the run was stopped. */
static bool make_nodes(struct stress_worker *w, uint32_t kind, size_t length)
{
	struct weak *weak = w->run->shared;
	struct weak_worker *own = w->own;
	struct mortal_node *node;
	size_t k;

	for (k = 0; k < length; k++) {
		node = mortal_node(w, kind == GROUP_ACYCLIC ? weak->acyclic : weak->node,
				   own->identity + k);
		own->making[k] = node;
		if (!node)
			return false;
		node->place = (uint32_t)k;
		node->kind = kind;
		node->deeds = (uint32_t)length;
	}
	return link_nodes(w, kind, own->making, length);
}

/* The entry with most of the cells; some come later, when somebody holds the node. */
static struct weak_entry *make_entry(struct stress_worker *w, uint32_t kind, size_t length)
{
	struct weak *weak = w->run->shared;
	struct weak_worker *own = w->own;
	struct weak_entry *entry = stress_new(w, weak->entry, length, own->identity + length);
	size_t k;

	own->making[GROUP_MAX] = entry;
	if (!entry)
		return NULL;
	entry->first = own->identity;
	entry->kind = kind;
	for (k = 0; k < length; k++) {
		struct mortal_node *node = own->making[k];
		struct gyre_weak *cell;

		if (!stress_chance(&w->rng, 3, 4))
			continue;
		cell = mortal_cell(w, node);
		if (!cell || !shape_init(w, entry, &entry->cells[k], cell))
			return NULL;
		/* A node is safe for an epoch when its cell was made; a chain that hangs on a ring
		 * must be so no later than its ring. */
		if (kind != GROUP_HUNG && stress_chance(&w->rng, 1, 16))
			gyre_safepoint(w->m);
	}
	return entry;
}

/* Callbacks for nodes whose cells nobody holds, or only other nodes of the ring. */
static void make_private(struct stress_worker *w, size_t length, uint64_t place)
{
	struct weak_worker *own = w->own;
	struct mortal_node *node, *next;
	struct gyre_weak *cell;
	size_t k;

	for (k = 0; k < length; k++) {
		node = own->making[k];
		next = own->making[(k + 1) % length];
		if (stress_chance(&w->rng, 1, 2)) {
			cell = mortal_cell(w, next);
			if (!cell || !shape_init(w, node, &node->cell, cell))
				return;
		}
		if (stress_chance(&w->rng, 1, 2))
			notice_node(w, node, place, stress_chance(&w->rng, 1, 2));
	}
}

static void publish(struct stress_worker *w, uint64_t place)
{
	struct weak *weak = w->run->shared;
	struct weak_worker *own = w->own;

	/* In either order: who looks compares identities. */
	if (stress_chance(&w->rng, 1, 2)) {
		mortal_exchange(w, &weak->entries->places[place], own->making[GROUP_MAX]);
		mortal_exchange(w, &weak->strong->places[place], own->making[0]);
	} else {
		mortal_exchange(w, &weak->strong->places[place], own->making[0]);
		mortal_exchange(w, &weak->entries->places[place], own->making[GROUP_MAX]);
	}
}

void group_make(struct stress_worker *w, uint64_t place)
{
	struct weak_worker *own = w->own;
	uint32_t kind = (uint32_t)stress_below(&w->rng, GROUP_KINDS);
	size_t length = 1 + stress_below(&w->rng, GROUP_MAX), k;

	if (stress_chance(&w->rng, 1, 4))
		length = 1;
	if (make_nodes(w, kind, length)) {
		if (kind == GROUP_PRIVATE)
			make_private(w, length, place);
		if (kind == GROUP_PRIVATE || make_entry(w, kind, length))
			publish(w, place);
	}
	own->identity += length + 1;
	for (k = 0; k <= GROUP_MAX; k++)
		own->making[k] = NULL;
}

/* ---- Looking ---- */

/* A cell was null. */
static void saw_null(struct group_look *look, size_t k)
{
	const struct weak_entry *entry = look->entry;
	const struct mortal_node *held = look->held;

	look->nulls |= UINT32_C(1) << k;
	if (held && group_reaches(entry->kind, entry->length, held->place, k))
		stress_lost(look->w->run,
			    "the cell of node %#llx + %zu is null, and node + %u is held "
			    "(kind %u, %zu nodes)",
			    (unsigned long long)entry->first, k, held->place, entry->kind,
			    entry->length);
}

/* A cell was not null. */
static void saw_node(struct group_look *look, const struct mortal_node *node, size_t k)
{
	const struct weak_entry *entry = look->entry;
	size_t s;

	if (!stress_check(look->w, node, entry->first + k))
		return;
	for (s = 0; s < entry->length; s++) {
		if ((look->nulls >> s & 1) == 0)
			continue;
		if (group_reaches(entry->kind, entry->length, k, s))
			stress_fail(look->w->run,
				    "the cell of node %#llx + %zu was null, then that of + %zu "
				    "was not (kind %u, %zu nodes)",
				    (unsigned long long)entry->first, s, k, entry->kind,
				    entry->length);
	}
}

void group_look(struct group_look *look)
{
	const struct weak_entry *entry = look->entry;
	struct weak_worker *own = look->w->own;
	size_t length = entry->length, step, k;
	size_t start = stress_below(&look->w->rng, length);
	bool down = stress_chance(&look->w->rng, 1, 2);
	uint64_t loads = 0, nulls = 0;

	/* Twice round, as what was not null may have become so. */
	for (step = 0; step < 2 * length; step++) {
		const struct gyre_weak *cell;
		const struct mortal_node *node;

		k = (start + (down ? 2 * length - step : step)) % length;
		cell = gyre_load(&entry->cells[k]);
		if (!cell)
			continue;
		node = gyre_weak_load(look->w->m, cell);
		loads++;
		if (node) {
			saw_node(look, node, k);
		} else {
			nulls++;
			saw_null(look, k);
		}
	}
	if (own) { /* a callback has none */
		own->loads += loads;
		own->nulls += nulls;
		own->hits += loads - nulls;
	}
}

void group_reached(struct group_look *look, const struct mortal_node *node)
{
	const struct weak_entry *entry = look->entry;
	size_t s;

	if (!stress_check(look->w, node, STRESS_ANY) || group_of(node) != entry->first)
		return;
	for (s = 0; s < entry->length; s++)
		if ((look->nulls >> s & 1) != 0 &&
		    group_reaches(entry->kind, entry->length, node->place, s))
			stress_lost(look->w->run,
				    "the cell of node %#llx + %zu was null, and node + %u is in "
				    "the table (kind %u, %zu nodes)",
				    (unsigned long long)entry->first, s, node->place, entry->kind,
				    entry->length);
}

void group_ask(struct stress_worker *w, struct weak_entry *entry, struct mortal_node *node)
{
	struct weak_worker *own = w->own;
	gyre_ref *slot = &entry->cells[node->place];
	struct gyre_weak *cell = mortal_cell(w, node);
	enum gyre_status status;
	void *expected = NULL;
	GYRE_KEEP(w->m, cell);

	if (!cell)
		return;
	own->asked++;
	if (gyre_weak_load(w->m, cell) != node)
		stress_lost(w->run, "the cell of node %#llx, which is held, leads elsewhere",
			    (unsigned long long)node->head.identity);
	do {
		expected = NULL;
		status = gyre_compare_exchange(w->m, slot, &expected, cell);
	} while (stress_again(w, status));
	if (status == GYRE_CHANGED && expected != (void *)cell)
		stress_fail(w->run, "node %#llx has two cells",
			    (unsigned long long)node->head.identity);
	else if (status != GYRE_CHANGED)
		stress_ok(w->run, status, "gyre_compare_exchange");
}
