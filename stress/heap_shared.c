/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap_shared.c: the copy that all threads change at once, and what is under way between them.
 *
 * No shadow could follow the races of a shared slot without serialising them, so the shadow of the
 * shared copy is made when all threads rest: by reading the graph from its roots, each object
 * checked for its head, its maker, its type, its size. gyre_verify and the sum over all shadows
 * must agree with it. Objects of the shared copy and of islands never refer to each other.
 */
#include "heapmode.h"

#include <stdlib.h>
#include <string.h>

#define WALK_STEPS_MAX 24
#define SAFEPOINT_EVERY 1024 /* objects, when the shared copy is read */

/* ---- Walking and changing, beside other threads ---- */

static const struct kind *kind_at(const struct heap_mode *mode, const struct node *object)
{
	return &mode->kinds[identity_kind(object->head.identity)];
}

/* The slots of an object whose head is intact. */
static size_t slots_of(const struct heap_mode *mode, const struct node *object)
{
	return kind_at(mode, object)->shape == SHAPE_BYTES ? 0 : object->length;
}

static bool allowed(const struct heap_mode *mode, const struct node *a, const struct node *b)
{
	return b == NULL ||
	       may_refer(mode, identity_kind(a->head.identity), identity_kind(b->head.identity));
}

static gyre_ref *any_root(struct hand *hand)
{
	return &hand->mode->root[stress_below(&hand->w->rng, hand->mode->roots)].slot;
}

static gyre_ref *any_slot(struct hand *hand, const struct node *object)
{
	return node_slot(kind_at(hand->mode, object), object,
			 stress_below(&hand->w->rng, object->length));
}

/* An object that was reachable at some moment since the last safe point, or NULL. */
static struct node *shared_walk(struct hand *hand)
{
	uint64_t steps = stress_below(&hand->w->rng, WALK_STEPS_MAX);
	struct node *at = NULL, *next;

	for (unsigned tries = 0; tries < 4 && at == NULL; tries++)
		at = gyre_load(any_root(hand));
	while (at != NULL) {
		if (!stress_check(hand->w, at, STRESS_ANY))
			return NULL;
		if (steps-- == 0 || slots_of(hand->mode, at) == 0)
			return at;
		next = NULL;
		for (unsigned tries = 0; tries < 4 && next == NULL; tries++)
			next = gyre_load(any_slot(hand, at));
		if (next == NULL)
			return at;
		at = next;
	}
	return NULL;
}

static struct node *shared_walk_to_slots(struct hand *hand)
{
	struct node *at = shared_walk(hand);

	return at != NULL && slots_of(hand->mode, at) != 0 ? at : NULL;
}

/* Exchanges value for what the slot holds, and stores that in a slot of value, if it has one. */
static void shared_exchange(struct hand *hand, struct node *a, struct node *value)
{
	gyre_ref *slot = any_slot(hand, a);
	void *old = NULL;
	enum gyre_status status;
	GYRE_KEEP(hand->w->m, a, value, old);

	do
		status = gyre_exchange(hand->w->m, slot, value, &old);
	while (stress_again(hand->w, status));
	if (!stress_ok(hand->w->run, status, "gyre_exchange") || old == NULL ||
	    !stress_check(hand->w, old, STRESS_ANY))
		return;
	if (value != NULL && slots_of(hand->mode, value) != 0 && allowed(hand->mode, value, old))
		stress_store(hand->w, value, any_slot(hand, value), old);
}

/* Compares and exchanges until it succeeds, as a lock-free structure would. */
static void shared_compare(struct hand *hand, struct node *a, struct node *value)
{
	gyre_ref *slot = any_slot(hand, a);
	void *expected = NULL;
	enum gyre_status status;
	GYRE_KEEP(hand->w->m, a, value);

	for (unsigned tries = 0; tries < 8; tries++) {
		/* Not kept: after a safe point another object may lie where it was. */
		expected = gyre_load(slot);
		status = gyre_compare_exchange(hand->w->m, slot, &expected, value);
		if (status == GYRE_OK)
			return;
		if (status == GYRE_CHANGED) {
			if (expected != NULL && !stress_check(hand->w, expected, STRESS_ANY))
				return;
		} else if (!stress_again(hand->w, status)) {
			stress_ok(hand->w->run, status, "gyre_compare_exchange");
			return;
		}
	}
}

/* A new object between an object and what a slot of it holds, if nobody was faster. */
static void shared_splice(struct hand *hand, struct node *a)
{
	struct stress_rng *rng = &hand->w->rng;
	struct node *object = NULL, *old = NULL;
	GYRE_KEEP(hand->w->m, a, object, old);
	gyre_ref *slot;
	void *expected;
	enum gyre_status status;

	if (stress_chance(rng, 1, 2))
		object = node_new_like(hand, stress_below(rng, hand->mode->file.objects));
	else
		object = node_new(hand, hand->mode->spliced, 1 + stress_below(rng, 16));
	if (object == NULL || !allowed(hand->mode, a, object))
		return;
	slot = any_slot(hand, a);
	old = gyre_load(slot);
	if (old != NULL && slots_of(hand->mode, object) != 0 && allowed(hand->mode, object, old) &&
	    !node_put(hand, object, any_slot(hand, object), old, HOW_INIT))
		return;
	do {
		expected = old;
		status = gyre_compare_exchange(hand->w->m, slot, &expected, object);
	} while (stress_again(hand->w, status));
	if (status != GYRE_CHANGED)
		stress_ok(hand->w->run, status, "gyre_compare_exchange");
}

/* Several slots at once, some of which others write meanwhile. */
static void shared_array(struct hand *hand, struct node *a, struct node *value)
{
	struct stress_rng *rng = &hand->w->rng;
	const struct kind *kind = kind_at(hand->mode, a);
	size_t from, to, count;
	enum gyre_status status;
	GYRE_KEEP(hand->w->m, a, value);

	if (kind->stride != sizeof(gyre_ref))
		return;
	from = stress_below(rng, a->length);
	to = stress_below(rng, a->length);
	count = stress_below(rng, a->length - (from > to ? from : to)) + 1;
	count = count > 300 ? 300 : count;
	do
		status = value == NULL ? gyre_array_copy(hand->w->m, node_slot(kind, a, to),
							 node_slot(kind, a, from), count)
				       : gyre_array_fill(hand->w->m, node_slot(kind, a, to),
							 count < 4 ? count : 4, value);
	while (stress_again(hand->w, status));
	stress_ok(hand->w->run, status, "gyre_array_copy or gyre_array_fill");
}

/* A root that holds nothing gets a piece of the file. */
static void shared_refill(struct hand *hand)
{
	struct island *piece;

	if (gyre_load(any_root(hand)) != NULL)
		return;
	piece = island_piece(hand);
	if (piece != NULL && !heap_shared_donate(hand, piece))
		island_drop(hand, piece);
}

void heap_shared_step(struct hand *hand)
{
	struct stress_rng *rng = &hand->w->rng;
	struct node *a = shared_walk_to_slots(hand), *b = NULL;
	uint64_t draw = stress_below(rng, 10000);

	if (draw >= 9950) {
		stress_store(hand->w, NULL, any_root(hand), draw < 9975 ? a : NULL);
		return;
	}
	if (draw >= 9900 || a == NULL) {
		shared_refill(hand);
		return;
	}
	if (draw >= 2000)
		b = shared_walk(hand);
	if (!allowed(hand->mode, a, b))
		return;
	if (draw < 4500) /* with NULL where b is */
		stress_store(hand->w, a, any_slot(hand, a), b);
	else if (draw < 6000)
		shared_exchange(hand, a, b);
	else if (draw < 7500)
		shared_compare(hand, a, b);
	else if (draw < 9500)
		shared_splice(hand, a);
	else
		shared_array(hand, a, draw < 9700 ? b : NULL);
}

bool heap_shared_donate(struct hand *hand, struct island *island)
{
	struct node *object = island->object[island->root_node[0] - 1];
	struct node *a = stress_chance(&hand->w->rng, 1, 2) ? shared_walk_to_slots(hand) : NULL;
	bool good;

	/* The island's root keeps the object; the walk's end is kept by the store. */
	if (a != NULL && allowed(hand->mode, a, object))
		good = stress_store(hand->w, a, any_slot(hand, a), object);
	else
		good = stress_store(hand->w, NULL, any_root(hand), object);
	if (good)
		island_drop(hand, island);
	return good;
}

/* ---- The whole of it, when all are at rest ---- */

/* The objects seen, by address: open addressing, the room a power of two. */
struct seen {
	const struct node **object;
	size_t room, count;
	const struct node **work; /* seen and not looked at */
	size_t work_room, work_count;
};

static size_t seen_place(const struct seen *s, const struct node *object)
{
	uint64_t hash = (uint64_t)(uintptr_t)object * UINT64_C(0x9e3779b97f4a7c15);
	size_t at = (size_t)(hash >> 20) & (s->room - 1);

	while (s->object[at] != NULL && s->object[at] != object)
		at = (at + 1) & (s->room - 1);
	return at;
}

static bool seen_grow(struct seen *s)
{
	struct seen grown = *s;

	if (s->count * 2 < s->room)
		return true;
	grown.room = s->room == 0 ? 1024 : s->room * 2;
	grown.object = calloc(grown.room, sizeof(*grown.object));
	if (grown.object == NULL)
		return false;
	for (size_t i = 0; i < s->room; i++)
		if (s->object[i] != NULL)
			grown.object[seen_place(&grown, s->object[i])] = s->object[i];
	free(s->object);
	*s = grown;
	return true;
}

/* Puts an object on the work list when it is seen for the first time. false: no memory. */
static bool seen_add(struct seen *s, const struct node *object)
{
	size_t at, room;
	void *grown;

	if (object == NULL)
		return true;
	if (!seen_grow(s))
		return false;
	at = seen_place(s, object);
	if (s->object[at] != NULL)
		return true;
	if (s->work_count == s->work_room) {
		room = s->work_room == 0 ? 1024 : s->work_room * 2;
		grown = realloc(s->work, room * sizeof(*s->work));
		if (grown == NULL)
			return false;
		s->work = grown;
		s->work_room = room;
	}
	s->object[at] = object;
	s->count++;
	s->work[s->work_count++] = object;
	return true;
}

/* Whether the object is one that somebody made, with the type and the size that it was made
 * with. */
static bool genuine(struct hand *hand, const struct node *object)
{
	const struct heap_mode *mode = hand->mode;
	uint64_t identity, serial, maker;
	const struct kind *kind;

	if (!stress_check(hand->w, object, STRESS_ANY))
		return false;
	identity = object->head.identity;
	serial = identity >> IDENTITY_KIND_BITS & ((UINT64_C(1) << IDENTITY_SERIAL_BITS) - 1);
	maker = identity >> (IDENTITY_KIND_BITS + IDENTITY_SERIAL_BITS);
	if (identity_kind(identity) >= mode->kinds_count ||
	    maker > hand->w->run->options->threads || serial >= mode->hands[maker].serial) {
		stress_lost(hand->w->run, "nobody made an object %#llx",
			    (unsigned long long)identity);
		return false;
	}
	kind = &mode->kinds[identity_kind(identity)];
	if (gyre_type_of(object) != kind->type ||
	    sizeof(*object) + object->length * kind->stride > gyre_object_bytes(object)) {
		stress_lost(hand->w->run,
			    "object %#llx of %zu elements lies in a cell of type %s of %zu bytes",
			    (unsigned long long)identity, object->length,
			    gyre_type_name(gyre_type_of(object)), gyre_object_bytes(object));
		return false;
	}
	return true;
}

static bool read_shared(struct hand *hand, struct seen *s)
{
	struct heap_mode *mode = hand->mode;
	size_t looked = 0;

	for (size_t r = 0; r < mode->roots; r++)
		if (!seen_add(s, gyre_load(&mode->root[r].slot)))
			return false;
	while (s->work_count > 0) {
		const struct node *object = s->work[--s->work_count];

		if (!genuine(hand, object))
			return true; /* that has been reported */
		for (size_t k = 0; k < slots_of(mode, object); k++)
			if (!seen_add(s, gyre_load(node_slot(kind_at(mode, object), object, k))))
				return false;
		/* Nobody changes the shared copy, so that its roots keep it. */
		if (++looked % SAFEPOINT_EVERY == 0)
			gyre_safepoint(hand->w->m);
	}
	return true;
}

uint64_t heap_shared_count(struct stress_worker *w)
{
	struct hand *hand = w->own;
	struct heap_mode *mode = hand->mode;
	struct seen seen = { 0 };
	uint64_t count;

	if (!read_shared(hand, &seen))
		stress_fail(w->run, "no memory for reading the shared copy");
	count = seen.count;
	free(seen.object);
	free(seen.work);
	for (unsigned i = 0; i < w->run->options->threads; i++)
		for (size_t e = 0; e < INBOX_ENTRIES; e++)
			if (mode->inbox[i].island[e] != NULL)
				count += island_reach(hand, mode->inbox[i].island[e], true);
	stress_count(&w->run->main->reachable, count); /* the others are parked */
	return count;
}

bool heap_shared_make(struct hand *hand)
{
	struct heap_mode *mode = hand->mode;
	struct island *copy = island_copy(hand);
	bool good = copy != NULL;

	mode->roots = good ? copy->roots : 0;
	mode->root = good ? calloc(mode->roots, sizeof(*mode->root)) : NULL;
	if (mode->root == NULL) {
		mode->roots = 0;
		return false;
	}
	/* The roots move from where the island keeps them, which is freed, to the mode's array. */
	for (size_t r = 0; r < mode->roots; r++)
		good = stress_ok(hand->w->run,
				 gyre_root_move(hand->w->m, &mode->root[r], &copy->root[r]),
				 "gyre_root_move") &&
		       good;
	if (good) {
		copy->roots = 0;
		island_drop(hand, copy);
	}
	return good;
}

void heap_shared_drop(struct hand *hand)
{
	struct heap_mode *mode = hand->mode;

	for (size_t r = 0; r < mode->roots; r++)
		stress_root_drop(hand->w, &mode->root[r]);
	mode->roots = 0;
	for (unsigned i = 0; i < hand->w->run->options->threads; i++)
		for (size_t e = 0; e < INBOX_ENTRIES; e++) {
			stress_root_drop(hand->w, &mode->inbox[i].root[e]);
			if (mode->inbox[i].island[e] != NULL)
				island_drop(hand, mode->inbox[i].island[e]);
			mode->inbox[i].island[e] = NULL;
		}
}
