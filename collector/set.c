/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * set.c: candidate sets: gathering what a trial left GRAY, and sigma preparation, in one walk.
 * Collector thread.
 *
 * Invariants: a member is IN_SET from its gathering to the verdict that frees it or lets it go, and
 * is never freed in between. Each set, also what is carried over of a refused one, was prepared
 * before the boundary began after which it is judged. From preparation on a member is ORANGE until
 * it is touched.
 */
#include <stdlib.h>

#include "edge.h"

struct gathering {
	struct gyre__collector *c;
	uint64_t in_trace; /* of the objects to gather: IN_TRACE or 0 */
	bool failed;
};

/* Takes an object into the set, its references still to be followed. */
static void take(struct gathering *g, void *object, uint64_t *word)
{
	if (!gyre__vector_push(&g->c->members, object)) {
		g->failed = true;
		return;
	}
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

static bool add_set(struct gyre__collector *c, size_t from)
{
	if (c->sets_count == c->sets_room) {
		size_t room = c->sets_room == 0 ? 256 : c->sets_room * 2;
		struct gyre__set *sets = realloc(c->sets, room * sizeof(*sets));

		if (sets == NULL)
			return false;
		c->sets = sets;
		c->sets_room = room;
	}
	c->sets[c->sets_count++] = (struct gyre__set){ from, c->members.count - from };
	gyre__counter_add(&c->heap->counted.sets_found, 1);
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

size_t gyre__set_gather(struct gyre__collector *c, void *root, uint64_t in_trace)
{
	struct gathering g = { c, in_trace, false };
	size_t from = c->members.count, i;

	take(&g, root, gyre__word_of(root));
	for (i = from; i < c->members.count && !g.failed; i++)
		gyre__each_edge(c, c->members.items[i], take_child, &g);
	for (i = from; i < c->members.count; i++)
		*gyre__word_of(c->members.items[i]) &= ~GYRE_TRACE;
	if (g.failed || !add_set(c, from)) {
		abandon(c, root, from);
		return 0;
	}
	return c->members.count - from;
}

bool gyre__set_take(struct gyre__collector *c, void *const *objects, size_t count)
{
	size_t from = c->members.count, i;

	if (!gyre__vector_reserve(&c->members, from + count))
		return false;
	for (i = 0; i < count; i++)
		c->members.items[from + i] = objects[i];
	c->members.count += count;
	if (!add_set(c, from)) {
		c->members.count = from;
		return false;
	}
	for (i = 0; i < count; i++) {
		uint64_t *word = gyre__word_of(objects[i]);

		*word = (*word & ~GYRE_TRACE) | GYRE_IN_SET | GYRE_ORANGE;
	}
	return true;
}

/* Prepares a set again that was carried over. */
static void prepare(struct gyre__collector *c, const struct gyre__set *set)
{
	void **members = c->members.items + set->from;
	size_t i;

	for (i = 0; i < set->count; i++) {
		uint64_t *word = gyre__word_of(members[i]);

		/* One that died by its count has given its references up. It is not ORANGE, so it
		 * leaves at the verdict. */
		if (!(*word & GYRE_RELEASED))
			*word = gyre__crc_from_rc(*word & ~GYRE_TRACE) | GYRE_RED | GYRE_ORANGE;
	}
	for (i = 0; i < set->count; i++) {
		if (i + 8 < set->count)
			__builtin_prefetch(members[i + 8]);
		if (!(*gyre__word_of(members[i]) & GYRE_RELEASED))
			gyre__each_edge(c, members[i], subtract, NULL);
	}
	for (i = 0; i < set->count; i++)
		*gyre__word_of(members[i]) &= ~GYRE_TRACE;
}

void gyre__sets_prepare(struct gyre__collector *c)
{
	size_t i;

	for (i = 0; i < c->sets_count; i++)
		prepare(c, &c->sets[i]);
}
