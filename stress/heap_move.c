/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap_move.c: islands on the move: split from a copy, handed to another thread, grafted onto a
 * copy, given to the shared copy.
 *
 * An island travels in the inbox of the thread it goes to, whose lock is only ever tried, so nobody
 * waits. It travels either with its own root, or held by a slot of the inbox alone: then its last
 * reference crosses from one thread's journal to another's.
 */
#include "heapmode.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define SPLIT_MAX 5000    /* nodes */
#define ISLAND_MAX 100000 /* nodes of an island that is no copy, dead ones included */

/* Takes an island that is no copy out of hand: its place, or hand->islands if there is none. */
static size_t pick_small(struct hand *hand)
{
	size_t small = hand->islands - hand->mode->copies;

	if (hand->islands <= hand->mode->copies)
		return hand->islands;
	return hand->mode->copies + stress_below(&hand->w->rng, small);
}

static void forget(struct hand *hand, size_t place)
{
	hand->island[place] = hand->island[--hand->islands];
}

/* ---- To other threads ---- */

/* Leaves the island in an empty entry of the inbox, whose lock is held. */
static bool leave_island(struct hand *hand, struct inbox *inbox, struct island *island)
{
	size_t e = 0;

	while (e < INBOX_ENTRIES && inbox->island[e] != NULL)
		e++;
	if (e == INBOX_ENTRIES)
		return false;
	if (stress_chance(&hand->w->rng, 1, 2)) {
		uint32_t t = island->root_node[0];

		if (!node_put(hand, NULL, &inbox->root[e].slot, island->object[t - 1], HOW_STORE))
			return false;
		island->held = &inbox->root[e].slot;
		if (!stress_root_drop(hand->w, &island->root[0]))
			return false;
		island->roots = 0;
	}
	inbox->island[e] = island;
	return true;
}

static void move_pass(struct hand *hand)
{
	size_t place = pick_small(hand);
	struct inbox *inbox;
	bool left;

	if (place == hand->islands || hand->island[place]->root_node[0] == 0)
		return;
	inbox = &hand->mode->inbox[stress_below(&hand->w->rng, hand->w->run->options->threads)];
	if (pthread_mutex_trylock(&inbox->lock) != 0)
		return;
	left = leave_island(hand, inbox, hand->island[place]);
	pthread_mutex_unlock(&inbox->lock);
	if (left)
		forget(hand, place);
}

/* Takes what lies in entry e of this thread's inbox, whose lock is held. */
static void take_island(struct hand *hand, struct inbox *inbox, size_t e)
{
	struct island *island = inbox->island[e];
	struct node *object;

	if (island->held != NULL) {
		object = gyre_load(island->held);
		if (!stress_check(hand->w, object, island->identity[island->root_node[0] - 1]))
			return;
		/* The inbox is this thread's while the lock is held, so its slot keeps the
		 * object. */
		if (!stress_root_init(hand->w, &island->root[0], object))
			return;
		island->roots = 1;
		if (!node_put(hand, NULL, island->held, NULL, HOW_EXCHANGE))
			return;
		island->held = NULL;
	}
	inbox->island[e] = NULL;
	hand->island[hand->islands++] = island;
}

static void move_take(struct hand *hand)
{
	struct inbox *inbox = &hand->mode->inbox[hand->w->index];

	if (pthread_mutex_trylock(&inbox->lock) != 0)
		return;
	for (size_t e = 0; e < INBOX_ENTRIES && hand->islands < ISLANDS_MAX; e++)
		if (inbox->island[e] != NULL)
			take_island(hand, inbox, e);
	pthread_mutex_unlock(&inbox->lock);
}

/* ---- Splitting ---- */

/*
 * Marks up to wanted nodes that node n reaches with a stamp of their own, and lists them on the
 * work list: how many. The other reachable nodes of the copy carry the stamp before it.
 */
static size_t split_mark(struct hand *hand, struct island *i, uint32_t n, size_t wanted)
{
	size_t count = 1;

	i->stamp++;
	i->mark[n] = i->stamp;
	hand->work[0] = n;
	for (size_t at = 0; at < count; at++) {
		uint32_t a = hand->work[at];

		for (size_t s = i->first[a]; s < i->first[a + 1] && count < wanted; s++) {
			uint32_t t = i->slot[s];

			if (t == 0 || i->mark[t - 1] == i->stamp)
				continue;
			i->mark[t - 1] = i->stamp;
			hand->work[count++] = t - 1;
		}
	}
	return count;
}

/*
 * Cuts the edges of node a that go from inside to outside or the other way. Safe points are passed
 * in between only where a slot could not be written at once.
 */
static bool split_node(struct hand *hand, struct island *i, uint32_t a)
{
	bool inside = i->mark[a] == i->stamp;

	for (size_t k = 0; k < island_length(i, a); k++) {
		uint32_t t = i->slot[i->first[a] + k];

		if (t != 0 && (i->mark[t - 1] == i->stamp) != inside &&
		    !island_set(hand, i, a, k, 0, how_any(&hand->w->rng)))
			return false;
	}
	return true;
}

/*
 * Cuts what goes in, then what goes out: as long as edges go out, what is outside keeps every
 * object that was reachable at the start, so that no slot of a dead object is written. The caller
 * keeps the node from which all inside is reached.
 */
static bool split_cut(struct hand *hand, struct island *i, size_t count)
{
	for (uint32_t n = 0; n < i->nodes; n++) {
		if (n % 1024 == 0)
			gyre_safepoint(hand->w->m);
		/* Reachable at the start, and not inside. */
		if (i->mark[n] == i->stamp - 1 && !split_node(hand, i, n))
			return false;
	}
	for (size_t r = 0; r < i->roots; r++) {
		uint32_t t = i->root_node[r];

		if (t == 0 || i->mark[t - 1] != i->stamp)
			continue;
		if (!node_put(hand, NULL, &i->root[r].slot, NULL, HOW_STORE))
			return false;
		i->root_node[r] = 0;
	}
	for (size_t at = 0; at < count; at++)
		if (!split_node(hand, i, hand->work[at]))
			return false;
	return true;
}

/* The nodes on the work list as an island of its own, held by the root that is made here. */
static struct island *split_off(struct hand *hand, struct island *i, size_t count)
{
	struct island *piece = island_make(1);
	uint32_t *number = calloc(i->nodes, sizeof(*number));

	for (size_t at = 0; piece != NULL && number != NULL && at < count; at++) {
		uint32_t n = hand->work[at];

		number[n] = island_add(hand, piece, i->object[n]);
		if (number[n] == 0)
			break;
	}
	if (piece == NULL || number == NULL || stress_failed(hand->w->run)) {
		stress_fail(hand->w->run, "no memory for an island");
		free(number);
		return NULL;
	}
	for (size_t at = 0; at < count; at++) {
		uint32_t n = hand->work[at];

		for (size_t k = 0; k < island_length(i, n); k++) {
			uint32_t t = i->slot[i->first[n] + k];

			piece->slot[piece->first[at] + k] = t == 0 ? 0 : number[t - 1];
			i->slot[i->first[n] + k] = 0;
		}
	}
	free(number);
	return piece;
}

static void move_split(struct hand *hand)
{
	struct stress_rng *rng = &hand->w->rng;
	struct island *i, *piece;
	struct node *held = NULL;
	uint32_t t;
	size_t count;
	GYRE_KEEP(hand->w->m, held);

	if (hand->mode->copies == 0 || hand->islands == ISLANDS_MAX)
		return;
	i = hand->island[stress_below(rng, hand->mode->copies)];
	t = island_walk(hand, i);
	if (t == 0)
		return;
	held = i->object[t - 1];
	/* Two stamps in a row are needed below: one must not wrap between them. */
	if (i->stamp > UINT32_MAX - 4)
		return;
	island_reach(hand, i, false);
	count = split_mark(hand, i, t - 1, 1 + stress_below(rng, SPLIT_MAX));
	if (!split_cut(hand, i, count))
		return;
	piece = split_off(hand, i, count);
	if (piece == NULL || !stress_root_init(hand->w, &piece->root[0], held))
		return;
	piece->roots = 1;
	piece->root_node[0] = 1; /* the node that the search began with is the first */
	hand->island[hand->islands++] = piece;
}

/* ---- Grafting, giving, making ---- */

/* The nodes of one shadow behind those of another. */
static bool append(struct hand *hand, struct island *to, const struct island *from)
{
	uint32_t base = to->nodes;

	for (uint32_t n = 0; n < from->nodes; n++) {
		uint32_t t;

		/* A dead node has no object to ask for its length. */
		if (from->mark[n] != from->stamp)
			continue;
		t = island_add(hand, to, from->object[n]);
		if (t == 0)
			return false;
		hand->work[n] = t;
	}
	for (uint32_t n = 0; n < from->nodes; n++) {
		if (from->mark[n] != from->stamp)
			continue;
		for (size_t k = 0; k < island_length(from, n); k++) {
			uint32_t t = from->slot[from->first[n] + k];

			to->slot[to->first[hand->work[n] - 1] + k] = t == 0 ? 0 : hand->work[t - 1];
		}
	}
	return to->nodes >= base;
}

static void move_graft(struct hand *hand)
{
	size_t place = pick_small(hand);
	struct island *to, *from;
	uint32_t a;

	if (place == hand->islands || hand->mode->copies == 0)
		return;
	from = hand->island[place];
	to = hand->island[stress_below(&hand->w->rng, hand->mode->copies)];
	if (from->root_node[0] == 0 || island_reach(hand, from, false) == 0)
		return;
	a = island_walk(hand, to);
	if (a == 0 || island_length(to, a - 1) == 0 ||
	    !may_refer(hand->mode, identity_kind(to->identity[a - 1]),
		       identity_kind(from->identity[from->root_node[0] - 1])) ||
	    !append(hand, to, from))
		return;
	if (!island_set(hand, to, a - 1, island_slot(hand, to, a - 1, false),
			hand->work[from->root_node[0] - 1], how_any(&hand->w->rng)))
		return;
	forget(hand, place);
	island_drop(hand, from);
}

static void move_donate(struct hand *hand)
{
	size_t place = pick_small(hand);

	if (place == hand->islands || hand->island[place]->root_node[0] == 0)
		return;
	if (heap_shared_donate(hand, hand->island[place]))
		forget(hand, place);
}

/* Drops a small island, one that is dead or has grown too large first. */
static void move_drop(struct hand *hand)
{
	size_t place = pick_small(hand);
	struct island *dropped;

	for (size_t i = hand->mode->copies; i < hand->islands; i++)
		if (hand->island[i]->root_node[0] == 0 || hand->island[i]->nodes > ISLAND_MAX)
			place = i;
	if (place == hand->islands)
		return;
	dropped = hand->island[place];
	forget(hand, place);
	island_drop(hand, dropped);
}

static void move_make(struct hand *hand)
{
	struct island *island;

	if (hand->islands == ISLANDS_MAX)
		return;
	island = island_piece(hand);
	if (island != NULL)
		hand->island[hand->islands++] = island;
}

/* Something a thread does that has nothing to do with islands, but with boundaries. */
static void move_rest(struct hand *hand)
{
	/* All threads pay for a collection, so many threads ask for it less often each. */
	switch (stress_below(&hand->w->rng, 32 * (uint64_t)hand->w->run->options->threads)) {
	case 0:
		stress_ok(hand->w->run, gyre_collect(hand->w->m, NULL), "gyre_collect");
		break;
	case 1:
		gyre_collect_soon(hand->w->run->heap);
		break;
	default:
		if (!stress_ok(hand->w->run, gyre_park(hand->w->m), "gyre_park"))
			break;
		sched_yield();
		stress_ok(hand->w->run, gyre_unpark(hand->w->m), "gyre_unpark");
	}
}

void heap_move(struct hand *hand)
{
	uint64_t draw = stress_below(&hand->w->rng, 1000);

	if (draw < 250)
		move_make(hand);
	else if (draw < 500)
		move_pass(hand);
	else if (draw < 650)
		move_take(hand);
	else if (draw < 750)
		move_graft(hand);
	else if (draw < 830)
		move_donate(hand);
	else if (draw < 900)
		move_drop(hand);
	else if (draw < 905)
		move_split(hand);
	else
		move_rest(hand);
}
