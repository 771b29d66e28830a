/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * set.c: candidate sets: gathering what a trial left GRAY, and sigma preparation, in one walk.
 * Collector thread. And sets of what a special object that counts 0 holds alone, gathered by
 * counts.
 *
 * Invariants: a member is IN_SET from its gathering to the verdict that frees it or lets it go, and
 * is never freed in between. Each set, also what is carried over of a refused one, was prepared
 * before the boundary began after which it is judged. From preparation on a member is ORANGE until
 * it is touched.
 */
#include <stdlib.h>

#include "fetch.h"
#include "platform/probes.h"

struct gathering {
	struct gyre__collector *c;
	uint64_t in_trace; /* of the objects to gather: IN_TRACE or 0 */
	unsigned special;  /* of the members' slabs */
	bool failed;
};

/* Takes an object into the set, its references still to be followed. */
static void take(struct gathering *g, void *object, uint64_t *word)
{
	if (!gyre__vector_push(&g->c->members, object)) {
		g->failed = true;
		return;
	}
	g->special |= gyre__special(gyre__locator_of(object));
	*word = gyre__crc_from_rc(*word & ~GYRE_TRACE) | GYRE_RED | GYRE_IN_SET | GYRE_ORANGE;
}

/* A reference of a member is taken out of the count of the member it leads to. */
static void subtract(void *unused, void *child)
{
	uint64_t *word = gyre__word_of(child);

	(void)unused;
	if (!gyre__is_red(*word))
		return;
	if (gyre__crc(*word) > 0)
		*word -= GYRE_CRC_ONE;
	else
		/* More edges than counts: one was made after the boundary. The set is refused. */
		*word &= ~GYRE_ORANGE; /* rare: more edges than counts */
}

static void take_child(void *gathering, void *child)
{
	struct gathering *g = gathering;
	uint64_t *word = gyre__word_of(child);

	if (gyre__is_gray(*word) && (*word & GYRE_IN_TRACE) == g->in_trace && !g->failed)
		take(g, child, word);
	subtract(NULL, child);
}

static bool add_set(struct gyre__collector *c, size_t from, unsigned special)
{
	if (c->sets_count == c->sets_room) {
		size_t room = c->sets_room == 0 ? 256 : c->sets_room * 2;
		struct gyre__set *sets = realloc(c->sets, room * sizeof(*sets));

		if (sets == NULL)
			return false;
		c->sets = sets;
		c->sets_room = room;
	}
	c->sets[c->sets_count++] = (struct gyre__set){ .from = from,
						       .count = c->members.count - from,
						       .special = special };
	gyre__counter_add(&c->heap->counted.sets_found, 1);
	GYRE_PROBE2(set__found, c->heap->name, c->members.count - from);
	return true;
}

/* Without memory for the whole set there is none: its root stays a candidate for a later pass. */
static void abandon(struct gyre__collector *c, void *root, size_t from)
{
	size_t i;

	for (i = from; i < c->members.count; i++)
		*gyre__word_of(c->members.items[i]) &= ~(GYRE_IN_SET | GYRE_ORANGE);
	*gyre__word_of(root) |= GYRE_PURPLE;
	c->members.count = from; /* rare: gathering without memory */
	c->far.left++;
}

/* Goes on from member i. */
static void gather_many(struct gathering *g, size_t i)
{
	struct gyre__fetching f = { .use = take_child, .arg = g };
	struct gyre__vector *members = &g->c->members;

	for (; i < members->count && !g->failed; i++) {
		gyre__fetch_object(members->items, i, members->count);
		gyre__each_edge(g->c, members->items[i], gyre__fetch, &f);
		/* The queue may still hold what would make the list longer. */
		if (i + 1 == members->count)
			gyre__fetch_rest(&f);
	}
	gyre__fetch_rest(&f);
}

size_t gyre__set_gather(struct gyre__collector *c, void *root, uint64_t in_trace)
{
	struct gathering g = { c, in_trace, 0, false };
	size_t from = c->members.count, i;

	take(&g, root, gyre__word_of(root));
	for (i = from; i < c->members.count && i < from + GYRE_FETCH_LEAST && !g.failed; i++)
		gyre__each_edge(c, c->members.items[i], take_child, &g);
	if (i < c->members.count)
		gather_many(&g, i);
	for (i = from; i < c->members.count; i++) {
		gyre__fetch_word(c->members.items, i, c->members.count);
		*gyre__word_of(c->members.items[i]) &= ~GYRE_TRACE;
	}
	if (g.failed || !add_set(c, from, g.special)) {
		abandon(c, root, from);
		return 0;
	}
	return c->members.count - from;
}

bool gyre__set_take(struct gyre__collector *c, void *const *objects, size_t count)
{
	size_t from = c->members.count, i;
	unsigned special = 0;

	if (!gyre__vector_reserve(&c->members, from + count))
		return false;
	for (i = 0; i < count; i++) {
		c->members.items[from + i] = objects[i];
		special |= gyre__special(gyre__locator_of(objects[i]));
	}
	c->members.count += count;
	if (!add_set(c, from, special)) {
		c->members.count = from;
		return false;
	}
	for (i = 0; i < count; i++) {
		uint64_t *word = gyre__word_of(objects[i]);

		*word = (*word & ~GYRE_TRACE) | GYRE_IN_SET | GYRE_ORANGE;
	}
	return true;
}

/*
 * An edge of a member of a closure. The child joins when members explain all that it counts; until
 * then it is GRAY, and on the stack so that it can be put back. What a far pass has in hand is left
 * to it.
 */
static void join_child(void *gathering, void *child)
{
	const uint64_t open = GYRE_BORN | GYRE_RELEASED | GYRE_STUCK | GYRE_IN_SET | GYRE_IN_TRACE;
	struct gathering *g = gathering;
	uint64_t *word = gyre__word_of(child);

	if ((*word & open) != GYRE_BORN || gyre__is_newborn(*word) || gyre__rc(*word) == 0) {
		subtract(NULL, child);
		return;
	}
	if (!gyre__is_gray(*word)) {
		if (!gyre__vector_push(&g->c->stack, child))
			return;
		*word = gyre__crc_from_rc(*word & ~GYRE_TRACE) | GYRE_GRAY;
	}
	*word -= GYRE_CRC_ONE;
	if (gyre__crc(*word) > 0 || !gyre__vector_push(&g->c->members, child))
		return;
	g->special |= gyre__special(gyre__locator_of(child));
	*word = (*word & ~GYRE_TRACE) | GYRE_RED | GYRE_IN_SET | GYRE_ORANGE;
}

bool gyre__set_close_over(struct gyre__collector *c, void *root)
{
	struct gathering g = { c, 0, 0, false };
	size_t from = c->members.count, i;
	bool done;

	c->stack.count = 0;
	take(&g, root, gyre__word_of(root));
	for (i = from; i < c->members.count; i++)
		gyre__each_edge(c, c->members.items[i], join_child, &g);
	for (i = 0; i < c->stack.count; i++)
		*gyre__word_of(c->stack.items[i]) &= ~GYRE_TRACE;
	for (i = from; i < c->members.count; i++)
		*gyre__word_of(c->members.items[i]) &= ~GYRE_TRACE;
	c->stack.count = 0;
	done = !g.failed && add_set(c, from, g.special);
	for (i = from; i < c->members.count && !done; i++)
		*gyre__word_of(c->members.items[i]) &= ~(GYRE_IN_SET | GYRE_ORANGE);
	if (done)
		c->sets[c->sets_count - 1].by_count = true;
	else
		c->members.count = from; /* rare: closure without memory */
	return done;
}

void gyre__set_prepare(struct gyre__collector *c, struct gyre__set *set)
{
	struct gyre__fetching f = { .use = subtract };
	void **members = c->members.items + set->from;
	bool few = set->count <= GYRE_FETCH_LEAST;
	size_t i;

	for (i = 0; i < set->count; i++) {
		uint64_t *word = gyre__word_of(members[i]);

		gyre__fetch_word(members, i, set->count);
		/* It may have got a weak cell since the set was found, and not be held any more. */
		set->special |= gyre__special(gyre__locator_of(members[i]));
		/* One that died by its count has given its references up. It is not ORANGE, so it
		 * leaves at the verdict. */
		if (!(*word & GYRE_RELEASED))
			*word = gyre__crc_from_rc(*word & ~GYRE_TRACE) | GYRE_RED | GYRE_ORANGE;
	}
	for (i = 0; i < set->count; i++) {
		gyre__fetch_object(members, i, set->count);
		if (*gyre__word_of(members[i]) & GYRE_RELEASED)
			continue;
		if (few)
			gyre__each_edge(c, members[i], subtract, NULL);
		else
			gyre__each_edge(c, members[i], gyre__fetch, &f);
	}
	gyre__fetch_rest(&f);
	for (i = 0; i < set->count; i++) {
		gyre__fetch_word(members, i, set->count);
		*gyre__word_of(members[i]) &= ~GYRE_TRACE;
	}
}

void gyre__sets_prepare(struct gyre__collector *c)
{
	size_t i;

	for (i = 0; i < c->sets_count; i++)
		gyre__set_prepare(c, &c->sets[i]);
}
