/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modes_lists.c: long shapes that die at once, where recursion would be deep and repetition
 * quadratic.
 *
 * First the main thread alone builds, visits and drops a list and a ring of --length objects, and
 * then chains of compound cycles (rings of two, each referring to another ring) of 1,000, 10,000,
 * ... up to --chain-max objects, which cost a collector that tries each candidate for itself a time
 * that grows with the square of the length. For each chain it prints how many objects were traced
 * per object, and the run fails if that is more than --traced-max. After that the workers build,
 * visit and drop shorter ones beside each other, all kinds at random.
 *
 * What is being built hangs on two pointers of a keep frame, and safe points are passed while it is
 * built, so that journals stay small. The shadow is the number of objects that were built.
 */
#include "shapes.h"

#include <stdio.h>

#define OBJECTS_PER_SAFEPOINT 32
#define SHARE 64 /* a worker's shapes have at most --length / SHARE objects */

struct list_node {
	struct stress_head head;
	gyre_ref next;
	gyre_ref previous; /* of a ring; in a chain, the next ring */
};

static const struct gyre_type_desc node_desc =
	GYRE_TYPE(struct list_node, GYRE_REFS(GYRE_REF(struct list_node, next),
					      GYRE_REF(struct list_node, previous)));

enum shape {
	SHAPE_LIST,       /* each object refers to the one made before it */
	SHAPE_RING,       /* the same, in both directions, closed */
	SHAPE_CHAIN_HEAD, /* rings of two, each referring to the one made before it */
	SHAPE_CHAIN_TAIL, /* rings of two, each referring to the one made after it */
	SHAPE_COUNT
};

static const char *const shape_names[SHAPE_COUNT] = {
	[SHAPE_LIST] = "list",
	[SHAPE_RING] = "ring",
	[SHAPE_CHAIN_HEAD] = "chain of rings to older rings",
	[SHAPE_CHAIN_TAIL] = "chain of rings to newer rings",
};

/* One shape and the frame that holds it. */
struct list {
	void *held[3]; /* the first object to be reached, the last, the one being made */
	struct gyre_keep keep;
	enum shape shape;
	uint64_t made;
	uint64_t identity; /* of the first object made */
};

struct lists {
	const struct gyre_type *node;
	uint64_t length, chain_max, traced_max;
};

/* Adds one object to a list or ring, in front. */
static bool add_front(struct stress_worker *w, struct list *list)
{
	struct lists *lists = w->run->shared;
	struct list_node *first = list->held[0], *node;

	node = stress_new(w, lists->node, 0, list->identity + list->made);
	if (!node)
		return false;
	list->made++;
	if (first && !shape_init(w, node, &node->next, first))
		return false;
	if (!first)
		list->held[1] = node;
	else if (list->shape == SHAPE_RING && !shape_init(w, node, &first->previous, node))
		return false;
	list->held[0] = node;
	return true;
}

/* Adds a ring of two objects to a chain, at the end that its shape says. */
static bool add_pair(struct stress_worker *w, struct list *list)
{
	struct lists *lists = w->run->shared;
	struct list_node *end = list->held[list->shape == SHAPE_CHAIN_HEAD ? 0 : 1], *a, *b;
	bool linked;

	a = stress_new(w, lists->node, 0, list->identity + list->made);
	if (!a)
		return false;
	list->held[2] = a;
	b = stress_new(w, lists->node, 0, list->identity + list->made + 1);
	if (!b) {
		list->held[2] = NULL;
		return false;
	}
	linked = shape_init(w, b, &b->next, a) && shape_init(w, a, &a->next, b);
	if (linked && end && list->shape == SHAPE_CHAIN_HEAD)
		linked = shape_init(w, a, &a->previous, end);
	else if (linked && end)
		linked = shape_init(w, end, &end->previous, a);
	if (list->shape == SHAPE_CHAIN_HEAD || !end)
		list->held[0] = a;
	if (list->shape == SHAPE_CHAIN_TAIL || !end)
		list->held[1] = a;
	list->held[2] = NULL;
	list->made += 2;
	return linked;
}

static void build(struct stress_worker *w, struct list *list, enum shape shape, uint64_t count)
{
	bool (*add)(struct stress_worker *, struct list *) =
		shape == SHAPE_LIST || shape == SHAPE_RING ? add_front : add_pair;
	struct list_node *first, *last;
	uint64_t safepoint = 0;

	list->shape = shape;
	list->identity += list->made;
	list->made = 0;
	while (list->made < count && add(w, list)) {
		if (list->made < safepoint)
			continue;
		safepoint = list->made + OBJECTS_PER_SAFEPOINT;
		gyre_safepoint(w->m);
		if (stress_stopped(w->run))
			break;
	}
	first = list->held[0];
	last = list->held[1];
	if (shape == SHAPE_RING && first && shape_init(w, last, &last->next, first))
		shape_init(w, first, &first->previous, last);
}

/* Visits every object; from one (or one ring of two) to the next the identities go up or down. */
static void visit(struct stress_worker *w, const struct list *list)
{
	const struct list_node *node = list->held[0], *other;
	bool chain = list->shape == SHAPE_CHAIN_HEAD || list->shape == SHAPE_CHAIN_TAIL;
	uint64_t size = chain ? 2 : 1, left = list->made / size, identity = list->identity;
	bool up = list->shape == SHAPE_CHAIN_TAIL;

	if (!up)
		identity += list->made - size;
	for (; left > 0; left--) {
		if (!stress_check(w, node, identity))
			return;
		other = gyre_load(&node->next);
		if (chain && (!stress_check(w, other, identity + 1) ||
			      gyre_load(&other->next) != (const void *)node)) {
			stress_fail(w->run, "a ring of two in a chain is broken");
			return;
		}
		if (list->shape == SHAPE_RING &&
		    gyre_load(&other->previous) != (const void *)node) {
			stress_fail(w->run, "a long ring is broken");
			return;
		}
		node = chain ? gyre_load(&node->previous) : other;
		identity = up ? identity + size : identity - size;
		if (left % 1024 == 0)
			gyre_safepoint(w->m);
	}
	if (node != (list->shape == SHAPE_RING ? list->held[0] : NULL))
		stress_fail(w->run, "a %s does not end where it should", shape_names[list->shape]);
}

static void drop(struct stress_worker *w, struct list *list)
{
	list->held[0] = list->held[1] = NULL;
	gyre_safepoint(w->m);
}

static uint64_t traced_so_far(struct stress_run *run)
{
	struct gyre_stats stats = { .size = sizeof(stats) };

	if (!stress_ok(run, gyre_heap_stats(run->heap, &stats), "gyre_heap_stats"))
		return 0;
	return stats.near_traced + stats.far_traced;
}

/* One shape by the main thread alone, with the heap compared when it stands and when it is gone. */
static void measure(struct stress_run *run, struct list *list, enum shape shape, uint64_t count)
{
	struct lists *lists = run->shared;
	struct stress_worker *w = run->main;
	uint64_t before, built, dropped;
	double live, dead;
	char when[64];

	if (stress_stopped(run))
		return;
	before = traced_so_far(run);
	build(w, list, shape, count);
	visit(w, list);
	snprintf(when, sizeof(when), "with a %s", shape_names[shape]);
	stress_expect(w, list->made, when);
	built = traced_so_far(run);
	drop(w, list);
	snprintf(when, sizeof(when), "after a %s was dropped", shape_names[shape]);
	stress_expect(w, 0, when);
	dropped = traced_so_far(run);
	if (list->made == 0 || stress_failed(run))
		return;
	live = (double)(built - before) / (double)list->made;
	dead = (double)(dropped - built) / (double)list->made;
	printf("%s, %llu objects: traced per object: %.3f alive, %.3f dropped\n",
	       shape_names[shape], (unsigned long long)list->made, live, dead);
	fflush(stdout);
	if (live + dead > (double)lists->traced_max)
		stress_fail(run, "%s, %llu objects: %.1f objects were traced per object",
			    shape_names[shape], (unsigned long long)list->made, live + dead);
}

static void measure_all(struct stress_run *run)
{
	struct lists *lists = run->shared;
	struct list list = { .identity = shape_identities(run->main->index) };
	uint64_t count;

	gyre_keep_open(run->main->m, &list.keep, list.held, 3);
	measure(run, &list, SHAPE_LIST, lists->length);
	measure(run, &list, SHAPE_RING, lists->length);
	for (count = 1000; count <= lists->chain_max; count *= 10) {
		measure(run, &list, SHAPE_CHAIN_HEAD, count);
		measure(run, &list, SHAPE_CHAIN_TAIL, count);
	}
	gyre_keep_close(&list.keep);
}

static void lists_work(struct stress_worker *w)
{
	struct lists *lists = w->run->shared;
	struct list list = { .identity = shape_identities(w->index) };
	enum shape shape;

	gyre_keep_open(w->m, &list.keep, list.held, 3);
	while (stress_round(w)) {
		shape = (enum shape)stress_below(&w->rng, SHAPE_COUNT);
		build(w, &list, shape, 1 + stress_below(&w->rng, lists->length / SHARE + 1));
		stress_count(&w->reachable, list.made);
		if (stress_checkpoint_due(w))
			stress_checkpoint(w, list.made);
		visit(w, &list);
		drop(w, &list);
		stress_count(&w->reachable, 0);
		if (stress_checkpoint_due(w))
			stress_checkpoint(w, 0);
	}
	gyre_keep_close(&list.keep);
	w->left = 0;
}

static void lists_run(struct stress_run *run)
{
	struct lists lists = { .node = shape_type(run, &node_desc),
			       .length = stress_param(run, "length"),
			       .chain_max = stress_param(run, "chain-max"),
			       .traced_max = stress_param(run, "traced-max") };

	if (!lists.node)
		return;
	run->shared = &lists;
	measure_all(run);
	stress_workers(run, lists_work, NULL);
	stress_expect(run->main, stress_left(run), "after every shape was dropped");
}

const struct stress_mode stress_mode_lists = {
	.name = "lists",
	.summary = "long lists, rings and chains of cycles, dropped at once",
	.run = lists_run,
	.params = {
		{ "length", "Objects of the long list and the long ring", 10000000, 1, 1000000000 },
		{ "chain-max", "Objects of the longest chain of cycles", 1000000, 0, 1000000000 },
		{ "traced-max", "Most objects that may be traced per object", 100, 1, UINT32_MAX },
	},
};
