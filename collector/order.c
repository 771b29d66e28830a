/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * order.c: an order of a set's members in which owners come before what only they reach: for
 * finalizers. Collector thread; the members are RED.
 *
 * The strongly connected components of the set, by Tarjan's algorithm, come out with what is owned
 * first, so the list is filled from its end. The search keeps its path on the collector's stack of
 * objects, into which all children of an object go at once: an object that is met there a second
 * time is left, a third time it is a leftover. Its number in the set stands in its trial count,
 * which the verdict does not need any more.
 *
 * Source: R. Tarjan, "Depth-First Search and Linear Graph Algorithms", section 4.
 */
#include <stdlib.h>

#include "edge.h"

enum state { UNSEEN, ENTERED, LEFT, DONE };

struct search {
	struct gyre__collector *c;
	bool (*wanted)(const void *object);
	void **objects; /* the wanted ones, filled from the end */
	size_t room;
	uint32_t *index, *low; /* by number */
	unsigned char *state;
	uint32_t *open; /* numbers of those whose component is not known yet */
	uint32_t open_count, entered;
	uint32_t from; /* whose children are looked at */
	void **members;
	bool starved;
};

static uint32_t number_of(const void *object)
{
	return (uint32_t)gyre__crc(*gyre__word_of(object));
}

static void push_child(void *search, void *child)
{
	struct search *s = search;

	if (!gyre__is_red(*gyre__word_of(child)) || s->state[number_of(child)] != UNSEEN)
		return;
	if (!gyre__vector_push(&s->c->stack, child))
		s->starved = true;
}

static void lower(void *search, void *child)
{
	struct search *s = search;
	uint32_t number;

	if (!gyre__is_red(*gyre__word_of(child)))
		return;
	number = number_of(child);
	if (s->state[number] != DONE && s->low[number] < s->low[s->from])
		s->low[s->from] = s->low[number];
}

/* All that number reaches was looked at. */
static void leave(struct search *s, uint32_t number)
{
	uint32_t last;

	s->from = number;
	gyre__each_edge(s->c, s->members[number], lower, s);
	s->state[number] = LEFT;
	if (s->low[number] != s->index[number])
		return;
	do {
		last = s->open[--s->open_count];
		s->state[last] = DONE;
		if (s->wanted(s->members[last]))
			s->objects[--s->room] = s->members[last];
	} while (last != number);
}

static void enter(struct search *s, uint32_t number)
{
	s->state[number] = ENTERED;
	s->index[number] = s->low[number] = ++s->entered;
	s->open[s->open_count++] = number;
	gyre__each_edge(s->c, s->members[number], push_child, s);
}

static void search_from(struct search *s, void *start)
{
	struct gyre__vector *path = &s->c->stack;

	if (!gyre__vector_push(path, start))
		s->starved = true;
	while (path->count > 0 && !s->starved) {
		uint32_t number = number_of(path->items[path->count - 1]);

		if (s->state[number] == UNSEEN) {
			enter(s, number);
			continue;
		}
		path->count--;
		if (s->state[number] == ENTERED)
			leave(s, number);
	}
}

static void search_all(struct search *s, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		uint64_t *word = gyre__word_of(s->members[i]);

		*word = (*word & (GYRE_CRC_ONE - 1)) | (uint64_t)i << GYRE_CRC_SHIFT;
	}
	s->c->stack.count = 0;
	for (i = 0; i < count && !s->starved; i++)
		if (s->state[i] == UNSEEN)
			search_from(s, s->members[i]);
	s->c->stack.count = 0;
}

static void list_all(const struct search *s, size_t count)
{
	size_t i, n = 0;

	for (i = 0; i < count; i++)
		if (s->wanted(s->members[i]))
			s->objects[n++] = s->members[i];
}

bool gyre__order_owners(struct gyre__collector *c, const struct gyre__set *set,
			bool (*wanted)(const void *object), void **objects, size_t count)
{
	struct search s = { .c = c, .wanted = wanted, .objects = objects, .room = count };
	size_t n = set->count;

	s.members = c->members.items + set->from;
	/* One needs no order; and of more than can be numbered none is promised. */
	if (count < 2 || n > GYRE_COUNT_MASK) {
		list_all(&s, n);
		return true;
	}
	s.index = malloc(n * (3 * sizeof(uint32_t) + 1));
	if (s.index == NULL)
		return false;
	s.low = s.index + n;
	s.open = s.low + n;
	s.state = (unsigned char *)(s.open + n);
	for (size_t i = 0; i < n; i++)
		s.state[i] = UNSEEN;
	search_all(&s, n);
	free(s.index);
	return !s.starved;
}
