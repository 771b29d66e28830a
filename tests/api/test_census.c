/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_census.c: looking at the living heap: what a census, referrers, referents and counts say of
 * graphs that are known; with other threads at full speed; and from a thread that ends meanwhile.
 */
#include "support.h"

#define MUTATORS 8
#define KEPT 300

struct seen {
	const struct world *w;
	unsigned count, stop_at; /* 0: never */
	uint64_t ids;            /* their sum */
	void *last;
	unsigned of[KEPT + 1];
	bool (*then)(struct seen *seen, struct gyre_mutator *m, void *object);
};

static bool see(void *arg, struct gyre_mutator *m, void *object)
{
	struct seen *seen = arg;

	seen->count++;
	seen->last = object;
	if (gyre_type_of(object) == seen->w->node) {
		const struct node *n = object;

		/* One that was left for want of a second is as it was born. */
		expect(node_sound(n) || (n->id == 0 && n->canary == 0));
		seen->ids += n->id;
		if (n->id <= KEPT)
			seen->of[n->id]++;
	}
	if (seen->then != NULL && !seen->then(seen, m, object))
		return false;
	return seen->count != seen->stop_at;
}

/* A root that holds an array of count nodes, numbered from 1. */
static void make_row(struct world *w, struct gyre_root *root, size_t count)
{
	struct refs *row = refs_new(w, w->m, count);

	expect_ok(gyre_root_init(w->m, root, row));
	for (size_t i = 0; i < count; i++)
		expect_ok(gyre_init(w->m, &row->items[i], node_new(w, w->m, i + 1)));
}

static void each_object_is_visited_once(void **state)
{
	struct world *w = *state;
	struct seen all = { .w = w }, nodes = { .w = w }, leaves = { .w = w };
	struct gyre_root root;

	make_row(w, &root, KEPT);
	expect_ok(gyre_census(w->m, NULL, see, &all));
	expect_equal(all.count, KEPT + 1);
	expect_ok(gyre_census(w->m, w->node, see, &nodes));
	expect_equal(nodes.count, KEPT);
	expect_equal(nodes.ids, KEPT * (KEPT + 1) / 2);
	expect_ok(gyre_census(w->m, w->leaf, see, &leaves));
	expect_equal(leaves.count, 0);
	expect_equal(world_stats(w->heap).census_visits, 2 * KEPT + 1);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

/* More than a batch, and more than an arena: 80 MiB. */
static void large_heaps_are_walked(void **state)
{
	struct world *w = *state;
	struct seen seen = { .w = w };
	struct gyre_root root;
	struct refs *row = refs_new(w, w->m, 5000);

	expect_ok(gyre_root_init(w->m, &root, row));
	for (size_t i = 0; i < 5000; i++) {
		struct bytes *b = gyre_new_array(w->m, w->bytes, 16000);

		expect(b != NULL);
		expect_ok(gyre_init(w->m, &row->items[i], b));
	}
	row = refs_new(w, w->m, (size_t)5 << 20);
	expect_ok(gyre_store(w->m, &((struct refs *)gyre_load(&root.slot))->items[0], row));
	expect_ok(gyre_census(w->m, NULL, see, &seen));
	expect_equal(seen.count, 5001);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

static void a_visitor_may_stop(void **state)
{
	struct world *w = *state;
	struct seen seen = { .w = w, .stop_at = 7 };
	struct gyre_root root;

	make_row(w, &root, KEPT);
	expect_ok(gyre_census(w->m, w->node, see, &seen));
	expect_equal(seen.count, 7);
	/* It is valid until the next safe point, whatever holds it. */
	expect_ok(gyre_store(w->m, &root.slot, seen.last));
	world_collect(w->m);
	expect(node_sound(gyre_load(&root.slot)));
	expect_live(w->m, 1);
	expect_ok(gyre_root_drop(w->m, &root));
}

static bool bring_back(struct seen *seen, struct gyre_mutator *m, void *object)
{
	struct node *n = object;

	(void)seen;
	world_collect(m);
	expect(node_is(n, 2));
	expect_ok(gyre_store(m, &n->left, node_new(seen->w, m, 3)));
	return true;
}

/* A visited object is there whatever happens meanwhile, and what is stored into it as well. */
static void a_visit_may_collect_and_store(void **state)
{
	struct world *w = *state;
	struct seen seen = { .w = w, .then = bring_back };
	struct node *n = node_new(w, w->m, 2);
	struct gyre_root root;

	expect_ok(gyre_root_init(w->m, &root, n));
	expect_ok(gyre_census(w->m, w->node, see, &seen));
	expect_equal(seen.count, 1);
	n = gyre_load(&root.slot);
	expect(node_is(gyre_load(&n->left), 3));
	expect_live(w->m, 2);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

static bool look_again(struct seen *seen, struct gyre_mutator *m, void *object)
{
	struct seen inner = { .w = seen->w };
	uint64_t count = 0;

	(void)object;
	if (seen->count > 3)
		return true;
	expect_ok(gyre_census(m, seen->w->node, see, &inner));
	expect_equal(inner.count, 40);
	expect_status(gyre_detach(m), GYRE_BUSY);
	expect_ok(gyre_count_of(m, object, &count));
	expect_equal(count, 2); /* the row, and the pin */
	world_verify(m);
	return true;
}

static void censuses_may_be_nested(void **state)
{
	struct world *w = *state;
	struct seen seen = { .w = w, .then = look_again };
	struct gyre_root root;

	make_row(w, &root, 40);
	expect_ok(gyre_census(w->m, w->node, see, &seen));
	expect_equal(seen.count, 40);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

static void who_refers_to_what(void **state)
{
	struct world *w = *state;
	struct seen from = { .w = w }, to = { .w = w }, first = { .w = w, .stop_at = 1 };
	struct node *a = node_new(w, w->m, 1), *b = node_new(w, w->m, 2);
	struct gyre_root roots[2];
	struct refs *row = refs_new(w, w->m, 3);
	uint64_t count = 99;

	expect_ok(gyre_root_init(w->m, &roots[0], a));
	expect_ok(gyre_root_init(w->m, &roots[1], row));
	expect_ok(gyre_store(w->m, &a->left, b));
	expect_ok(gyre_store(w->m, &a->right, b));
	expect_ok(gyre_store(w->m, &b->left, b));
	expect_ok(gyre_store(w->m, &row->items[2], b));
	expect_ok(gyre_referents(w->m, a, see, &to));
	expect_equal(to.count, 2);
	expect(to.last == b);
	expect_ok(gyre_referents(w->m, a, see, &first));
	expect_equal(first.count, 1);
	expect_ok(gyre_referents(w->m, row, see, &to));
	expect_equal(to.count, 3);
	expect_ok(gyre_referrers(w->m, b, see, &from));
	expect_equal(from.count, 3);
	expect_equal(from.ids, 1 + 2);
	world_collect(w->m);
	expect_ok(gyre_count_of(w->m, b, &count));
	expect_equal(count, 4);
	expect_ok(gyre_count_of(w->m, a, &count));
	expect_equal(count, 1);
	expect_ok(gyre_root_drop(w->m, &roots[0]));
	expect_ok(gyre_root_drop(w->m, &roots[1]));
	expect_live(w->m, 0);
}

/* The slots that a trace callback names. */
static void trace_node(const void *object, size_t bytes, gyre_visit_fn visit, void *arg)
{
	const struct node *n = object;

	(void)bytes;
	visit(arg, &n->left);
	visit(arg, &n->right);
}

static void callbacks_name_slots(void **state)
{
	const struct gyre_type_desc desc = GYRE_TYPE(struct node, .trace = trace_node);
	struct world *w = *state;
	struct seen to = { .w = w }, from = { .w = w };
	const struct gyre_type *traced;
	struct gyre_root root;
	struct node *n, *other = node_new(w, w->m, 5);

	expect_ok(gyre_type_register(w->heap, &desc, &traced));
	n = gyre_new(w->m, traced);
	expect_ok(gyre_root_init(w->m, &root, n));
	expect_ok(gyre_store(w->m, &n->right, other));
	expect_ok(gyre_referents(w->m, n, see, &to));
	expect_equal(to.count, 1);
	expect(to.last == other);
	expect_ok(gyre_referrers(w->m, other, see, &from));
	expect_equal(from.count, 1);
	expect_ok(gyre_root_drop(w->m, &root));
}

static void misuse_is_refused(void **state)
{
	struct world *w = *state;
	struct seen seen = { .w = w };
	struct gyre_options options;
	const struct gyre_type_desc desc = GYRE_TYPE(struct leaf);
	const struct gyre_type *foreign;
	struct gyre_heap *other;
	struct node *n = node_new(w, w->m, 1);
	uint64_t count;

	gyre_options_init(&options);
	expect_ok(support_open_heap(&other, &options));
	expect_ok(gyre_type_register(other, &desc, &foreign));
	expect_status(gyre_census(NULL, NULL, see, &seen), GYRE_INVALID);
	expect_status(gyre_census(w->m, NULL, NULL, &seen), GYRE_INVALID);
	expect_status(gyre_census(w->m, foreign, see, &seen), GYRE_INVALID);
	expect_status(gyre_referrers(w->m, NULL, see, &seen), GYRE_INVALID);
	expect_status(gyre_referrers(w->m, n, NULL, &seen), GYRE_INVALID);
	expect_status(gyre_referents(w->m, NULL, see, &seen), GYRE_INVALID);
	expect_status(gyre_referents(w->m, n, NULL, &seen), GYRE_INVALID);
	expect_status(gyre_count_of(w->m, NULL, &count), GYRE_INVALID);
	expect_status(gyre_count_of(w->m, n, NULL), GYRE_INVALID);
	expect_ok(gyre_park(w->m));
	expect_status(gyre_census(w->m, NULL, see, &seen), GYRE_PARKED);
	expect_status(gyre_referrers(w->m, n, see, &seen), GYRE_PARKED);
	expect_status(gyre_referents(w->m, n, see, &seen), GYRE_PARKED);
	expect_status(gyre_count_of(w->m, n, &count), GYRE_PARKED);
	expect_ok(gyre_unpark(w->m));
	expect_equal(seen.count, 0);
	expect_ok(gyre_heap_close(other));
}

static bool end_here(struct seen *seen, struct gyre_mutator *m, void *object)
{
	(void)m;
	(void)object;
	if (seen->count == 2)
		pthread_exit(NULL);
	return true;
}

static void *end_in_visit(void *arg)
{
	struct seen *seen = arg;
	struct gyre_mutator *m;

	expect_ok(gyre_attach(seen->w->heap, 0, &m));
	gyre_census(m, NULL, see, seen);
	return NULL;
}

/* What it had in hand is unpinned: nothing stays for ever. */
static void a_thread_may_end_in_a_visit(void **state)
{
	struct world *w = *state;
	struct seen seen = { .w = w, .then = end_here };
	struct gyre_root root;

	make_row(w, &root, 20);
	expect_ok(gyre_park(w->m));
	thread_join(thread_start(end_in_visit, &seen));
	expect_ok(gyre_unpark(w->m));
	expect_equal(seen.count, 2);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
	expect_equal(world_stats(w->heap).orphans, 1);
}

static struct {
	struct world *w;
	struct gyre_root shared;
	atomic_bool stop;
} busy;

/* Makes rings, and hangs them into and out of a row that all share. */
static void *mutate(void *arg)
{
	uint64_t random = (uintptr_t)arg * 2654435761u + 1;
	struct world *w = busy.w;
	struct gyre_mutator *m;

	expect_ok(gyre_attach(w->heap, 0, &m));
	while (!atomic_load(&busy.stop)) {
		struct node *a = gyre_new(m, w->node), *b = gyre_new(m, w->node);
		struct refs *row = gyre_load(&busy.shared.slot);

		if (a == NULL || b == NULL) {
			gyre_park(m);
			usleep(1000);
			gyre_unpark(m);
			continue;
		}
		a->id = b->id = KEPT + 1;
		a->canary = b->canary = canary_of(KEPT + 1);
		random = random * 6364136223846793005u + 1442695040888963407u;
		if (gyre_init(m, &a->left, b) == GYRE_OK && gyre_init(m, &b->left, a) == GYRE_OK)
			gyre_store(m, &row->items[KEPT + (random >> 33) % 64], a);
		gyre_safepoint(m);
	}
	expect_ok(gyre_detach(m));
	return NULL;
}

static bool swap_neighbour(struct seen *seen, struct gyre_mutator *m, void *object)
{
	struct node *n = object, *left = gyre_load(&n->left);

	if (seen->count % 64 == 0)
		gyre_safepoint(m);
	else if (n->id > KEPT && left != NULL)
		gyre_store(m, &left->right, n); /* refused when the journals are full */
	return true;
}

/* In a heap of few megabytes, so that a census does not meet more garbage than objects. */
static void others_go_on_meanwhile(void **state)
{
	struct gyre_options options;
	struct world *w;
	pthread_t threads[MUTATORS];
	unsigned rounds = SUPPORT_SLOW ? 1 : 8;

	(void)state;
	gyre_options_init(&options);
	options.heap_limit = (size_t)(SUPPORT_SLOW ? 1 : 4) << 20;
	busy.w = w = world_make(&options);
	atomic_store(&busy.stop, false);
	make_row(w, &busy.shared, KEPT + 64);
	expect_ok(gyre_park(w->m));
	for (uintptr_t i = 0; i < MUTATORS; i++)
		threads[i] = thread_start(mutate, (void *)i);
	expect_ok(gyre_unpark(w->m));
	while (rounds-- > 0) {
		struct seen seen = { .w = w, .then = swap_neighbour }, held = { .w = w };
		struct node *n =
			gyre_load(&((struct refs *)gyre_load(&busy.shared.slot))->items[9]);

		expect_ok(gyre_census(w->m, w->node, see, &seen));
		for (size_t i = 1; i <= KEPT; i++)
			expect_equal(seen.of[i], 1);
		expect_ok(gyre_referrers(w->m, n, see, &held));
		expect_equal(held.count, 1);
		expect(held.last == gyre_load(&busy.shared.slot));
	}
	atomic_store(&busy.stop, true);
	expect_ok(gyre_park(w->m));
	for (size_t i = 0; i < MUTATORS; i++)
		thread_join(threads[i]);
	expect_ok(gyre_unpark(w->m));
	expect_ok(gyre_root_drop(w->m, &busy.shared));
	expect_live(w->m, 0);
	world_end(w);
}

static bool park_in_visit(void *arg, struct gyre_mutator *m, void *object)
{
	unsigned *visits = arg;

	expect(node_sound(object));
	expect_ok(gyre_park(m));
	return ++*visits > 0;
}

/* A visitor that returns parked is misuse; a build without checks goes on all the same. */
static void a_parked_visitor_is_unparked(void **state)
{
	struct world *w = *state;
	struct gyre_root roots[3];
	unsigned visits = 0;

	for (size_t i = 0; i < LENGTH(roots); i++)
		expect_ok(gyre_root_init(w->m, &roots[i], node_new(w, w->m, i)));
	if (!GYRE_CHECKS) {
		expect_ok(gyre_census(w->m, w->node, park_in_visit, &visits));
		expect_equal(visits, 3);
		expect_status(gyre_unpark(w->m), GYRE_INVALID);
	}
	for (size_t i = 0; i < LENGTH(roots); i++)
		expect_ok(gyre_root_drop(w->m, &roots[i]));
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(each_object_is_visited_once), world_test(large_heaps_are_walked),
		world_test(a_visitor_may_stop),          world_test(a_visit_may_collect_and_store),
		world_test(censuses_may_be_nested),      world_test(who_refers_to_what),
		world_test(callbacks_name_slots),        world_test(misuse_is_refused),
		world_test(a_thread_may_end_in_a_visit), cmocka_unit_test(others_go_on_meanwhile),
		world_test(a_parked_visitor_is_unparked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
