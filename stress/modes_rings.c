/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modes_rings.c: cycles that die at once, beside a live heap if one is wanted.
 *
 * Workers make doubly linked rings, keep the last few in a keep frame, and let them go. With --live
 * the heap also holds that many live nodes in one strongly connected component (a ring, and from
 * each node an edge to a random other one); rings then refer to live nodes, and the last worker
 * does nothing but store references to live nodes into random live nodes and into objects that die.
 * So live nodes lose references all the time and become candidates, and every trial of one could
 * visit the whole component. With --pace the makers work in ticks of 1 ms, so that it can be seen
 * whether the collector keeps up with a given rate.
 *
 * The links of the live ring are never changed, so the one root keeps all live nodes alive, and
 * their addresses may stand in an array outside the heap. The shadow of the live heap is its number
 * of nodes; that of a worker is the sizes and identities of the rings that it keeps.
 */
#include "shapes.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define KEPT 8       /* rings of a maker */
#define DYING 64     /* objects of the worker that stores */
#define SHORT_MAX 10 /* most rings are no longer */
#define LONG_ONE_IN 256
#define ROUND_OBJECTS 4096 /* where there is no pace */
#define TICK_NS 1000000
#define TICKS_A_SECOND 1000
#define TICKS_LATE_MAX 100 /* a worker that is later than this forgets what it missed */

struct rings {
	const struct gyre_type *node;
	uint64_t ring_max, pace, stores;
	struct gyre_root root; /* of the live ring */
	void **live;           /* its nodes */
	uint64_t live_count;
};

struct rings_worker {
	void *kept[KEPT];
	void *making[2];
	void *dying[DYING]; /* each is a node whose links refer to itself */
	struct gyre_keep keeps[3];
	uint64_t sizes[KEPT], identities[KEPT];
	uint64_t dying_identities[DYING];
	uint64_t identity; /* the next one */
	uint64_t over;     /* objects made in excess of the last round's share */
	struct timespec tick;
	bool makes, stores;
};

/* What one round does of something that is wanted so often a second; 0: as often as possible. */
static uint64_t share_of_round(uint64_t a_second)
{
	if (a_second == 0)
		return ROUND_OBJECTS;
	return (a_second + TICKS_A_SECOND - 1) / TICKS_A_SECOND;
}

static uint64_t ring_size(struct stress_worker *w, uint64_t most)
{
	uint64_t range = most;

	if (range > SHORT_MAX && !stress_chance(&w->rng, 1, LONG_ONE_IN))
		range = SHORT_MAX;
	return 2 + stress_below(&w->rng, range - 1);
}

/* The next ring, in the place of an older one. */
static uint64_t replace_ring(struct stress_worker *w)
{
	struct rings *rings = w->run->shared;
	struct rings_worker *own = w->own;
	size_t place = stress_below(&w->rng, KEPT);
	uint64_t size = ring_size(w, rings->ring_max), made;
	struct shape_node *first;

	if (own->sizes[place] > 0)
		shape_ring_check(w, own->kept[place], own->sizes[place], own->identities[place]);
	made = shape_ring(w, rings->node, own->making, size, own->identity, NULL);
	first = own->making[0];
	if (first && rings->live_count > 0)
		shape_init(w, first, &first->other,
			   rings->live[stress_below(&w->rng, rings->live_count)]);
	own->kept[place] = first;
	own->sizes[place] = made;
	own->identities[place] = own->identity;
	own->identity += made;
	own->making[0] = NULL;
	gyre_safepoint(w->m);
	return made;
}

static void make_rings(struct stress_worker *w)
{
	struct rings *rings = w->run->shared;
	struct rings_worker *own = w->own;
	uint64_t share = share_of_round(rings->pace), made = own->over;

	while (made < share && !stress_stopped(w->run))
		made += replace_ring(w);
	own->over = made > share ? made - share : 0;
}

/* The next object that dies, in the place of an older one. */
static void replace_dying(struct stress_worker *w, size_t place)
{
	struct rings *rings = w->run->shared;
	struct rings_worker *own = w->own;
	struct shape_node *node = own->dying[place];

	if (node && stress_check(w, node, own->dying_identities[place]))
		stress_check(w, gyre_load(&node->other), STRESS_ANY);
	node = stress_new(w, rings->node, 0, own->identity);
	if (!node)
		return;
	own->dying[place] = node;
	own->dying_identities[place] = own->identity++;
	shape_init(w, node, &node->next, node);
	shape_init(w, node, &node->previous, node);
}

static void store_live(struct stress_worker *w)
{
	struct rings *rings = w->run->shared;
	struct rings_worker *own = w->own;
	uint64_t share = share_of_round(rings->stores);
	struct shape_node *from;
	void *to;
	uint64_t index, i;
	size_t place;

	for (i = 0; i < share && !stress_stopped(w->run); i++) {
		to = rings->live[stress_below(&w->rng, rings->live_count)];
		if (i % 4 == 0) {
			place = stress_below(&w->rng, DYING);
			if (i % 16 == 0 || !own->dying[place])
				replace_dying(w, place);
			from = own->dying[place];
		} else {
			index = stress_below(&w->rng, rings->live_count);
			from = rings->live[index];
			stress_check(w, from, index + 1);
		}
		if (from)
			stress_store(w, from, &from->other, to);
		if (i % 16 == 15)
			gyre_safepoint(w->m);
	}
}

/* Sleeps until the next tick. */
static void await_tick(struct stress_worker *w)
{
	struct rings_worker *own = w->own;
	struct timespec now;
	int64_t late;

	clock_gettime(CLOCK_MONOTONIC, &now);
	late = ((int64_t)now.tv_sec - own->tick.tv_sec) * 1000000000 + now.tv_nsec -
	       own->tick.tv_nsec;
	if (late > (int64_t)TICKS_LATE_MAX * TICK_NS)
		own->tick = now;
	own->tick.tv_nsec += TICK_NS;
	if (own->tick.tv_nsec >= 1000000000) {
		own->tick.tv_nsec -= 1000000000;
		own->tick.tv_sec++;
	}
	if (late >= TICK_NS)
		return;
	gyre_park(w->m);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &own->tick, NULL) == EINTR)
		;
	gyre_unpark(w->m);
}

static uint64_t count_reachable(const struct rings_worker *own)
{
	uint64_t count = 0;
	size_t i;

	for (i = 0; i < KEPT; i++)
		count += own->sizes[i];
	for (i = 0; i < DYING; i++)
		count += own->dying[i] != NULL;
	return count;
}

static void rings_loop(struct stress_worker *w)
{
	struct rings *rings = w->run->shared;
	struct rings_worker *own = w->own;

	while (stress_round(w)) {
		if (own->makes)
			make_rings(w);
		if (own->stores)
			store_live(w);
		stress_count(&w->reachable, count_reachable(own));
		if (stress_checkpoint_due(w))
			stress_checkpoint(w, count_reachable(own));
		if (own->makes ? rings->pace > 0 : rings->stores > 0)
			await_tick(w);
	}
}

static void rings_work(struct stress_worker *w)
{
	struct rings *rings = w->run->shared;
	struct rings_worker *own = calloc(1, sizeof(*own));
	unsigned threads = w->run->options->threads;

	if (!own) {
		stress_fail(w->run, "no memory for a worker of rings");
		return;
	}
	own->identity = shape_identities(w->index);
	own->stores = rings->live_count > 0 && w->index == threads - 1;
	own->makes = !own->stores || threads == 1;
	clock_gettime(CLOCK_MONOTONIC, &own->tick);
	w->own = own;
	gyre_keep_open(w->m, &own->keeps[0], own->kept, KEPT);
	gyre_keep_open(w->m, &own->keeps[1], own->making, 2);
	gyre_keep_open(w->m, &own->keeps[2], own->dying, DYING);
	rings_loop(w);
	gyre_keep_close(&own->keeps[2]);
	gyre_keep_close(&own->keeps[1]);
	gyre_keep_close(&own->keeps[0]);
	free(own);
	w->own = NULL;
	w->left = 0;
}

/* Makes the live heap and its root; false: the run has failed, or was stopped before it began. */
static bool make_live(struct stress_run *run, struct rings *rings, uint64_t count)
{
	struct stress_worker *w = run->main;
	void *held[2] = { NULL, NULL };
	struct gyre_keep keep;
	struct shape_node *node;
	uint64_t i;
	bool rooted;

	rings->live = calloc(count, sizeof(*rings->live));
	if (!rings->live) {
		stress_fail(run, "no memory for the addresses of %llu live objects",
			    (unsigned long long)count);
		return false;
	}
	gyre_keep_open(w->m, &keep, held, 2);
	rings->live_count = shape_ring(w, rings->node, held, count, 1, rings->live);
	rooted = held[0] && stress_root_init(w, &rings->root, held[0]);
	gyre_keep_close(&keep);
	for (i = 0; rooted && i < rings->live_count; i++) {
		node = rings->live[i];
		if (!shape_init(w, node, &node->other,
				rings->live[stress_below(&w->rng, rings->live_count)]))
			break;
		if (i % 64 == 63)
			gyre_safepoint(w->m);
	}
	gyre_safepoint(w->m);
	return rooted;
}

/* Visits the live ring; main thread, when the workers are done. */
static void check_live(struct stress_run *run, const struct rings *rings)
{
	const struct shape_node *node;
	uint64_t i;

	for (i = 0; i < rings->live_count; i++) {
		node = rings->live[i];
		if (!stress_check(run->main, node, i + 1))
			return;
		if (gyre_load(&node->next) != rings->live[(i + 1) % rings->live_count])
			stress_fail(run, "live node %llu lost the one after it",
				    (unsigned long long)i);
		stress_check(run->main, gyre_load(&node->other), STRESS_ANY);
		if (i % 1024 == 0)
			gyre_safepoint(run->main->m);
	}
}

static uint64_t live_count(struct stress_worker *w)
{
	struct rings *rings = w->run->shared;

	return rings->live_count;
}

static void rings_run(struct stress_run *run)
{
	struct rings rings = { .node = shape_node_type(run),
			       .ring_max = stress_param(run, "ring-max"),
			       .pace = stress_param(run, "pace"),
			       .stores = stress_param(run, "stores") };
	uint64_t live = stress_param(run, "live");
	bool rooted;

	if (!rings.node)
		return;
	run->shared = &rings;
	rooted = live > 0 && make_live(run, &rings, live);
	if (rooted) {
		stress_expect(run->main, rings.live_count, "with the live heap and nothing else");
		run->shared_count = live_count;
	}
	stress_workers(run, rings_work, NULL);
	stress_expect(run->main, stress_left(run) + rings.live_count,
		      "after every thread let go of its rings");
	if (rooted) {
		check_live(run, &rings);
		stress_root_drop(run->main, &rings.root);
		stress_expect(run->main, 0, "after the live heap was dropped");
	}
	free(rings.live);
}

const struct stress_mode stress_mode_rings = {
	.name = "rings",
	.summary = "rings that die at once, beside a live heap if one is wanted",
	.run = rings_run,
	.params = {
		{ "ring-max", "Longest ring; most have at most 10", 1000, 2, 1000000 },
		{ "live", "Live objects in one strongly connected component", 0, 0, 1000000000 },
		{ "pace", "Objects a second of each worker that makes rings; 0: all it can", 0, 0,
		  1000000000 },
		{ "stores", "Stores a second of the last worker, with --live; 0: all it can",
		  1000000, 0, 1000000000 },
	},
};
