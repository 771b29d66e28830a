/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_slot.c: every call of slot.h: what it stores, what it answers, what it keeps alive and what
 * it lets die. One thread; the races are in test_slot_race.c. After each change the heap is
 * collected, so that a call that forgets an increment loses an object here and one that forgets a
 * decrement keeps one.
 */
#include "support.h"

/* A node that a root keeps, to write slots of, and two roots that keep p and q. */
struct bench {
	struct gyre_root home, roots[2];
	struct node *n, *p, *q;
};

static void bench_setup(struct world *w, struct bench *b)
{
	b->n = node_new(w, w->m, 1);
	b->p = node_new(w, w->m, 2);
	b->q = node_new(w, w->m, 3);
	expect_ok(gyre_root_init(w->m, &b->home, b->n));
	expect_ok(gyre_root_init(w->m, &b->roots[0], b->p));
	expect_ok(gyre_root_init(w->m, &b->roots[1], b->q));
	expect_live(w->m, 3);
}

static void bench_drop_roots(struct world *w, struct bench *b)
{
	expect_ok(gyre_root_drop(w->m, &b->roots[0]));
	expect_ok(gyre_root_drop(w->m, &b->roots[1]));
}

static void bench_teardown(struct world *w, struct bench *b)
{
	expect_ok(gyre_root_drop(w->m, &b->home));
	expect_live(w->m, 0);
}

typedef enum gyre_status (*store_fn)(struct gyre_mutator *, gyre_ref *, const void *);

static void store_one_way(struct world *w, store_fn store)
{
	struct bench b;

	bench_setup(w, &b);
	expect(gyre_load(&b.n->left) == NULL);
	expect_ok(store(w->m, &b.n->left, NULL)); /* NULL over NULL */
	expect_ok(store(w->m, &b.n->left, b.p));
	expect(gyre_load(&b.n->left) == b.p);
	expect_live(w->m, 3);
	expect_ok(store(w->m, &b.n->left, b.p)); /* the same again */
	expect_ok(store(w->m, &b.n->right, b.p));
	expect_live(w->m, 3);
	expect_ok(store(w->m, &b.n->left, b.q));
	expect_ok(store(w->m, &b.n->right, b.n)); /* itself */
	bench_drop_roots(w, &b);
	expect_live(w->m, 2);
	expect(node_is(gyre_load(&b.n->left), 3) && node_is(gyre_load(&b.n->right), 1));
	expect_ok(store(w->m, &b.n->left, NULL));
	expect(gyre_load(&b.n->left) == NULL);
	expect_live(w->m, 1);
	bench_teardown(w, &b);
}

static void store_replaces(void **state)
{
	store_one_way(*state, gyre_store);
}

static void store_exclusive_replaces(void **state)
{
	store_one_way(*state, gyre_store_exclusive);
}

/* A thousand stores into one slot within an epoch: only the last value counts. */
static void stores_of_one_epoch_settle(void **state)
{
	struct world *w = *state;
	struct gyre_root root;

	expect_ok(gyre_root_init(w->m, &root, NULL));
	for (uint64_t i = 0; i < 1000; i++) {
		store_fn store = i % 3 ? gyre_store : gyre_store_exclusive;

		expect_ok(store(w->m, &root.slot, node_new(w, w->m, i)));
	}
	expect_live(w->m, 1);
	expect(node_is(gyre_load(&root.slot), 999));
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

static void init_fills_empty_slots(void **state)
{
	struct world *w = *state;
	struct bench b;
	struct node *n = node_new(w, w->m, 4);

	expect_ok(gyre_init(w->m, &n->left, NULL));
	expect_ok(gyre_init(w->m, &n->left, n));
	expect(gyre_load(&n->left) == n);
	bench_setup(w, &b); /* n dies here, a cycle of one */
	n = node_new(w, w->m, 5);
	expect_ok(gyre_init(w->m, &n->left, b.p));
	expect_ok(gyre_init(w->m, &n->right, b.p));
	expect_ok(gyre_store(w->m, &b.n->left, n));
	bench_drop_roots(w, &b);
	expect_live(w->m, 3);
	expect(node_is(gyre_load(&n->right), 2));
	bench_teardown(w, &b);
}

static void exchange_gives_the_old_value(void **state)
{
	struct world *w = *state;
	struct bench b;
	void *old = w;

	bench_setup(w, &b);
	expect_ok(gyre_exchange(w->m, &b.n->left, NULL, &old));
	expect(old == NULL);
	old = w;
	expect_ok(gyre_exchange(w->m, &b.n->left, b.p, &old));
	expect(old == NULL);
	bench_drop_roots(w, &b);
	expect_live(w->m, 2);
	expect_ok(gyre_exchange(w->m, &b.n->left, b.p, &old));
	expect(old == b.p);
	expect_live(w->m, 2);
	expect_ok(gyre_exchange(w->m, &b.n->left, b.n, &old));
	expect(old == b.p && node_is(old, 2));
	expect_live(w->m, 1);
	expect_ok(gyre_exchange(w->m, &b.n->left, NULL, &old));
	expect(old == b.n);
	expect(gyre_load(&b.n->left) == NULL);
	bench_teardown(w, &b);
}

/* The old value, which nothing refers to any more, stays valid until the next safe point. */
static void old_values_stay_valid_until_a_safe_point(void **state)
{
	struct world *w = *state;
	struct gyre_root root;
	uint64_t sum = 0;
	void *old;

	expect_ok(gyre_root_init(w->m, &root, node_new(w, w->m, 7)));
	expect_live(w->m, 1);
	for (int round = 0; round < 20; round++) {
		expect_ok(gyre_exchange(w->m, &root.slot, node_new(w, w->m, 7), &old));
		gyre_collect_soon(w->heap);
		for (int i = 0; i < 200000; i++)
			sum += ((struct node *)old)->canary == canary_of(7);
		expect_live(w->m, 1);
	}
	expect_equal(sum, 20 * 200000);
	expect_ok(gyre_root_drop(w->m, &root));
}

static void compare_exchange_compares(void **state)
{
	struct world *w = *state;
	struct bench b;
	void *expected = NULL;

	bench_setup(w, &b);
	expect_ok(gyre_compare_exchange(w->m, &b.n->left, &expected, b.p));
	expect(expected == NULL && gyre_load(&b.n->left) == b.p);
	expect_status(gyre_compare_exchange(w->m, &b.n->left, &expected, b.q), GYRE_CHANGED);
	expect(expected == b.p && gyre_load(&b.n->left) == b.p);
	bench_drop_roots(w, &b);
	expect_live(w->m, 2); /* q, which was not stored, is gone; p is not */
	expected = b.n;
	expect_status(gyre_compare_exchange(w->m, &b.n->left, &expected, NULL), GYRE_CHANGED);
	expect(expected == b.p);
	expect_ok(gyre_compare_exchange(w->m, &b.n->left, &expected, b.p)); /* by itself */
	expect_live(w->m, 2);
	expect_ok(gyre_compare_exchange(w->m, &b.n->left, &expected, b.n));
	expect_live(w->m, 1);
	expected = b.n;
	expect_ok(gyre_compare_exchange(w->m, &b.n->left, &expected, NULL));
	expect(gyre_load(&b.n->left) == NULL);
	expected = b.n;
	expect_status(gyre_compare_exchange(w->m, &b.n->left, &expected, b.n), GYRE_CHANGED);
	expect(expected == NULL);
	bench_teardown(w, &b);
}

enum { ITEMS = 64 };

/* An array of 64 nodes with ids from 0, each third slot NULL, that a root keeps. */
static struct refs *numbered(struct world *w, struct gyre_root *root)
{
	struct refs *r = refs_new(w, w->m, ITEMS);

	for (size_t i = 0; i < ITEMS; i++) {
		if (i % 3 != 2)
			expect_ok(gyre_init(w->m, &r->items[i], node_new(w, w->m, i)));
	}
	expect_ok(gyre_root_init(w->m, root, r));
	return r;
}

/* Copies within one array as the test's own memmove of the ids does, and compares. */
static void copy_within(struct world *w, size_t target, size_t source, size_t count)
{
	int model[ITEMS], moved[ITEMS];
	bool held[ITEMS] = { false };
	struct gyre_root root;
	struct refs *r = numbered(w, &root);
	size_t live = 1;

	for (int i = 0; i < ITEMS; i++)
		model[i] = i % 3 != 2 ? i : -1;
	memcpy(moved, model, sizeof(model));
	memmove(moved + target, model + source, count * sizeof(int));
	expect_ok(gyre_array_copy(w->m, &r->items[target], &r->items[source], count));
	for (int i = 0; i < ITEMS; i++) {
		if (moved[i] >= 0 && !held[moved[i]])
			held[moved[i]] = ++live;
	}
	expect_live(w->m, live);
	for (int i = 0; i < ITEMS; i++) {
		struct node *n = gyre_load(&r->items[i]);

		expect(moved[i] < 0 ? n == NULL : node_is(n, (uint64_t)moved[i]));
	}
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

static void array_copy_is_memmove(void **state)
{
	static const size_t cases[][3] = {
		{ 0, 1, 63 },  { 1, 0, 63 },  { 0, 32, 32 }, { 32, 0, 32 }, { 10, 10, 20 },
		{ 5, 8, 40 },  { 8, 5, 40 },  { 0, 0, 64 },  { 0, 63, 1 },  { 63, 0, 1 },
		{ 20, 19, 2 }, { 19, 20, 2 }, { 3, 40, 0 },  { 0, 31, 33 }, { 31, 0, 33 },
	};

	for (size_t i = 0; i < LENGTH(cases); i++)
		copy_within(*state, cases[i][0], cases[i][1], cases[i][2]);
}

static void array_copy_between_objects(void **state)
{
	struct world *w = *state;
	struct gyre_root from, to;
	struct refs *a = numbered(w, &from), *b = numbered(w, &to);

	expect_live(w->m, 2 + 2 * 43);
	expect_ok(gyre_array_copy(w->m, b->items, a->items, ITEMS));
	expect_live(w->m, 2 + 43);
	expect_ok(gyre_root_drop(w->m, &from));
	expect_live(w->m, 1 + 43);
	for (size_t i = 0; i < ITEMS; i++) {
		struct node *n = gyre_load(&b->items[i]);

		expect(i % 3 == 2 ? n == NULL : node_is(n, i));
	}
	expect_ok(gyre_root_drop(w->m, &to));
	expect_live(w->m, 0);
}

static void array_fill_fills(void **state)
{
	struct world *w = *state;
	struct gyre_root home;
	struct refs *r = numbered(w, &home);

	expect_live(w->m, 1 + 43);
	expect_ok(gyre_array_fill(w->m, r->items, 0, r));
	expect(node_is(gyre_load(&r->items[0]), 0));
	expect_ok(gyre_array_fill(w->m, &r->items[1], ITEMS - 2, node_new(w, w->m, 99)));
	expect_live(w->m, 1 + 3);
	expect(node_is(gyre_load(&r->items[0]), 0) && node_is(gyre_load(&r->items[63]), 63));
	for (size_t i = 1; i < ITEMS - 1; i++)
		expect(node_is(gyre_load(&r->items[i]), 99));
	expect_ok(gyre_array_fill(w->m, r->items, ITEMS, r)); /* itself, 64 times */
	expect_live(w->m, 1);
	expect_ok(gyre_array_fill(w->m, r->items, ITEMS / 2, NULL));
	expect(!gyre_load(&r->items[0]) && gyre_load(&r->items[63]) == r);
	expect_ok(gyre_root_drop(w->m, &home));
	expect_live(w->m, 0);
}

/* Four million references to one object: they are counted, or the count sticks and says so. */
static void many_references_to_one_object(void **state)
{
	enum { MANY = 4000000 };
	struct world *w = *state;
	struct refs *r = refs_new(w, w->m, MANY);
	struct gyre_root home;
	struct node *n;

	expect_ok(gyre_root_init(w->m, &home, r));
	expect_ok(gyre_array_fill(w->m, r->items, MANY, node_new(w, w->m, 8)));
	expect_live(w->m, 2);
	expect_ok(gyre_array_fill(w->m, r->items, MANY - 1, NULL));
	expect_live(w->m, 2);
	n = gyre_load(&r->items[MANY - 1]);
	expect(node_is(n, 8));
	expect_ok(gyre_root_drop(w->m, &home));
	world_collect(w->m);
	expect_equal(world_verify(w->m).objects, world_stats(w->heap).counts_stuck);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(store_replaces),
		world_test(store_exclusive_replaces),
		world_test(stores_of_one_epoch_settle),
		world_test(init_fills_empty_slots),
		world_test(exchange_gives_the_old_value),
		world_test(old_values_stay_valid_until_a_safe_point),
		world_test(compare_exchange_compares),
		world_test(array_copy_is_memmove),
		world_test(array_copy_between_objects),
		world_test(array_fill_fills),
		world_test(many_references_to_one_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
