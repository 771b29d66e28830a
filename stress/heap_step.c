/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap_step.c: changes of an island by the thread that owns it: edges made, cut, exchanged, copied,
 * new objects spliced in, roots cut and set.
 *
 * Every object that is touched was reached by a walk in the same step, and a step that may pass a
 * safe point keeps what it still needs, unless the island's roots do.
 */
#include "heapmode.h"

#include <string.h>

#define ARRAY_MAX 600 /* slots of one array call: beyond what stores are reserved for */

static size_t kind_of(const struct island *i, uint32_t n)
{
	return identity_kind(i->identity[n]);
}

/* Whether node a may refer to what t says. */
static bool fits(const struct hand *hand, const struct island *i, uint32_t a, uint32_t t)
{
	return t == 0 || may_refer(hand->mode, kind_of(i, a), kind_of(i, t - 1));
}

/* A reachable node with slots, plus 1, or 0. */
static uint32_t walk_to_slots(struct hand *hand, struct island *i)
{
	uint32_t a = island_walk(hand, i);

	return a != 0 && island_length(i, a - 1) != 0 ? a : 0;
}

static void step_link(struct hand *hand, struct island *i)
{
	uint32_t a = walk_to_slots(hand, i);
	uint32_t b = island_walk(hand, i);

	if (a != 0 && b != 0 && fits(hand, i, a - 1, b))
		island_set(hand, i, a - 1, island_slot(hand, i, a - 1, false), b,
			   how_any(&hand->w->rng));
}

static void step_cut(struct hand *hand, struct island *i)
{
	uint32_t a = walk_to_slots(hand, i);

	if (a != 0)
		island_set(hand, i, a - 1, island_slot(hand, i, a - 1, true), 0,
			   how_any(&hand->w->rng));
}

/* Exchanges what two slots refer to: for a moment one referent is held by the frame alone. */
static void step_swap(struct hand *hand, struct island *i)
{
	uint32_t a = walk_to_slots(hand, i);
	uint32_t b = walk_to_slots(hand, i);
	struct node *held = NULL;
	uint32_t of_a, of_b;
	size_t j, k;
	GYRE_KEEP(hand->w->m, held);

	if (a == 0 || b == 0)
		return;
	j = island_slot(hand, i, a - 1, true);
	k = island_slot(hand, i, b - 1, true);
	of_a = i->slot[i->first[a - 1] + j];
	of_b = i->slot[i->first[b - 1] + k];
	if (!fits(hand, i, a - 1, of_b) || !fits(hand, i, b - 1, of_a))
		return;
	/* b itself may hang on the slot of a that is written first. */
	held = i->object[b - 1];
	if (of_a != 0) {
		struct node *second = i->object[of_a - 1];
		GYRE_KEEP(hand->w->m, second);

		if (island_set(hand, i, a - 1, j, of_b, how_any(&hand->w->rng)))
			island_set(hand, i, b - 1, k, of_a, how_any(&hand->w->rng));
		return;
	}
	if (island_set(hand, i, a - 1, j, of_b, how_any(&hand->w->rng)))
		island_set(hand, i, b - 1, k, 0, how_any(&hand->w->rng));
}

/* A new object between a node and what one of its slots refers to, at times with an edge back. */
static void step_splice(struct hand *hand, struct island *i)
{
	struct stress_rng *rng = &hand->w->rng;
	uint32_t a = walk_to_slots(hand, i), t, n;
	struct node *object;
	size_t k;

	if (a == 0)
		return;
	if (stress_chance(rng, 1, 2))
		object = node_new_like(hand, stress_below(rng, hand->mode->file.objects));
	else
		object = node_new(hand, hand->mode->spliced, 1 + stress_below(rng, 16));
	/* An object that does not fit there dies at once. */
	if (object == NULL ||
	    !may_refer(hand->mode, kind_of(i, a - 1), identity_kind(object->head.identity)))
		return;
	n = island_add(hand, i, object);
	if (n == 0)
		return;
	k = island_slot(hand, i, a - 1, true);
	t = i->slot[i->first[a - 1] + k];
	if (island_length(i, n - 1) > 0 && fits(hand, i, n - 1, t) &&
	    !island_set(hand, i, n - 1, 0, t, HOW_INIT))
		return;
	if (island_length(i, n - 1) > 1 && fits(hand, i, n - 1, a) && stress_chance(rng, 1, 2) &&
	    !island_set(hand, i, n - 1, island_length(i, n - 1) - 1, a, HOW_INIT))
		return;
	island_set(hand, i, a - 1, k, n, how_any(rng));
}

/* Whether slots of the node lie side by side, as the calls for arrays want them. */
static bool dense(const struct hand *hand, const struct island *i, uint32_t n)
{
	return hand->mode->kinds[kind_of(i, n)].stride == sizeof(gyre_ref);
}

static void step_fill(struct hand *hand, struct island *i)
{
	struct stress_rng *rng = &hand->w->rng;
	uint32_t a = walk_to_slots(hand, i);
	uint32_t b = stress_chance(rng, 1, 2) ? 0 : island_walk(hand, i);
	struct node *value = b == 0 ? NULL : i->object[b - 1];
	size_t from, count;
	enum gyre_status status;
	GYRE_KEEP(hand->w->m, value);

	if (a == 0 || !dense(hand, i, a - 1) || !fits(hand, i, a - 1, b))
		return;
	from = stress_below(rng, island_length(i, a - 1));
	count = stress_below(rng, island_length(i, a - 1) - from + 1);
	count = count > ARRAY_MAX ? ARRAY_MAX : count;
	do
		status = gyre_array_fill(
			hand->w->m,
			node_slot(&hand->mode->kinds[kind_of(i, a - 1)], i->object[a - 1], from),
			count, value);
	while (stress_again(hand->w, status));
	if (!stress_ok(hand->w->run, status, "gyre_array_fill"))
		return;
	for (size_t k = 0; k < count; k++)
		i->slot[i->first[a - 1] + from + k] = b;
}

/* From one object to another, or within one, where the ranges may overlap. */
static void step_copy(struct hand *hand, struct island *i)
{
	struct stress_rng *rng = &hand->w->rng;
	uint32_t a = walk_to_slots(hand, i);
	uint32_t b = stress_chance(rng, 1, 2) ? a : walk_to_slots(hand, i);
	size_t to, from, count, room;
	enum gyre_status status;

	if (a == 0 || b == 0 || !dense(hand, i, a - 1) || !dense(hand, i, b - 1) ||
	    (a != b && hand->mode->kinds[kind_of(i, a - 1)].shape == SHAPE_LEAFY))
		return;
	to = stress_below(rng, island_length(i, a - 1));
	from = stress_below(rng, island_length(i, b - 1));
	room = island_length(i, a - 1) - to;
	count = island_length(i, b - 1) - from;
	count = stress_below(rng, (count < room ? count : room) + 1);
	count = count > ARRAY_MAX ? ARRAY_MAX : count;
	do /* nothing of it is stored before all of it is, so that the roots keep both meanwhile */
		status = gyre_array_copy(
			hand->w->m,
			node_slot(&hand->mode->kinds[kind_of(i, a - 1)], i->object[a - 1], to),
			node_slot(&hand->mode->kinds[kind_of(i, b - 1)], i->object[b - 1], from),
			count);
	while (stress_again(hand->w, status));
	if (stress_ok(hand->w->run, status, "gyre_array_copy") && count != 0)
		memmove(&i->slot[i->first[a - 1] + to], &i->slot[i->first[b - 1] + from],
			count * sizeof(*i->slot));
}

static void step_root(struct hand *hand, struct island *i)
{
	struct stress_rng *rng = &hand->w->rng;
	uint32_t t = stress_chance(rng, 1, 2) ? 0 : island_walk(hand, i);
	size_t r;

	if (i->roots == 0)
		return;
	r = stress_below(rng, i->roots);
	if (node_put(hand, NULL, &i->root[r].slot, t == 0 ? NULL : i->object[t - 1], how_any(rng)))
		i->root_node[r] = t;
}

/* A store that must change nothing: what it expects is not there. */
static void step_refused(struct hand *hand, struct island *i)
{
	uint32_t a = walk_to_slots(hand, i), b = island_walk(hand, i);
	gyre_ref *slot;
	void *expected, *there;
	enum gyre_status status;
	size_t k;

	if (a == 0 || b == 0)
		return;
	k = island_slot(hand, i, a - 1, false);
	slot = node_slot(&hand->mode->kinds[kind_of(i, a - 1)], i->object[a - 1], k);
	there = gyre_load(slot);
	if (there == i->object[b - 1])
		return;
	/* The roots keep both objects if the call is made again after a safe point. */
	do {
		expected = i->object[b - 1];
		status = gyre_compare_exchange(hand->w->m, slot, &expected, NULL);
	} while (stress_again(hand->w, status));
	if (status != GYRE_CHANGED || expected != there)
		stress_fail(hand->w->run, "gyre_compare_exchange answered %s and %p, not %p",
			    gyre_status_name(status), expected, there);
}

void heap_step(struct hand *hand)
{
	struct stress_rng *rng = &hand->w->rng;
	struct island *i;
	uint64_t draw;

	if (hand->islands == 0)
		return;
	i = hand->island[stress_below(rng, hand->islands)];
	draw = stress_below(rng, 10000);
	if (draw < 3000)
		step_link(hand, i);
	else if (draw < 5000)
		step_cut(hand, i);
	else if (draw < 7500)
		step_splice(hand, i);
	else if (draw < 8700)
		step_swap(hand, i);
	else if (draw < 9000)
		step_fill(hand, i);
	else if (draw < 9400)
		step_copy(hand, i);
	else if (draw < 9960)
		step_refused(hand, i);
	else
		step_root(hand, i);
}
