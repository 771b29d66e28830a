/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_weakmap.c: a map of keys to objects held weakly: what was put is found as long as its object
 * lives; entries go by themselves, and when a call meets them; what is replaced, removed, brought
 * back by a finalizer or left behind by close is not mistaken for something else; misuse, limits.
 */
#include "keys.h"

/* All keys have one hash. */
static uint64_t bad_hash(void *arg, const void *key)
{
	(void)arg;
	(void)key;
	return 1;
}

static const struct gyre_keys badly = { bad_hash, key_equal, key_free, NULL };

static void what_is_put_is_found(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_weakmap *map = open_map(t, &by_number);
	struct node *one = hold_new(t, m, 1), *two = hold_new(t, m, 2);

	expect(get(m, map, 1) == NULL);
	expect(take(m, map, 1) == NULL);
	put(m, map, 1, one);
	put(m, map, 2, two);
	put(m, map, 3, one); /* two keys of one object */
	expect(get(m, map, 1) == one && get(m, map, 2) == two && get(m, map, 3) == one);
	expect_equal(gyre_weakmap_count(map), 3);
	put(m, map, 1, two); /* replaces: the new key is freed, the old one stays */
	expect_equal(atomic_load(&keys_alive), 3);
	expect(get(m, map, 1) == two && get(m, map, 3) == one);
	put(m, map, 1, two); /* the very same */
	expect_equal(gyre_weakmap_count(map), 3);
	expect(take(m, map, 1) == two);
	expect_equal(atomic_load(&keys_alive), 2);
	expect(get(m, map, 1) == NULL && take(m, map, 1) == NULL);
	expect_equal(gyre_weakmap_count(map), 2);
	settle(m);
	expect(node_is(get(m, map, 2), 2) && node_is(get(m, map, 3), 1));
	close_map(t, map);
}

static void put_if_absent_says_who_is_there(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_weakmap *map = open_map(t, &by_number);
	struct node *one = hold_new(t, m, 1), *two = hold_new(t, m, 2);
	void *winner = NULL;

	expect_ok(gyre_weakmap_put_if_absent(m, map, key_new(7), one, &winner));
	expect(winner == one);
	expect_ok(gyre_weakmap_put_if_absent(m, map, key_new(7), two, &winner));
	expect(winner == one && get(m, map, 7) == one);
	expect_equal(atomic_load(&keys_alive), 1);
	let_go(t, m, 1);
	settle(m);
	two = held(t, 2);
	expect_ok(gyre_weakmap_put_if_absent(m, map, key_new(7), two, &winner));
	expect(winner == two && get(m, map, 7) == two);
	close_map(t, map);
}

static void entries_go_by_themselves(void **state)
{
	enum { MANY = 2000 };
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_weakmap *map = open_map(t, &by_number);

	for (size_t i = 0; i < MANY; i++) {
		put(m, map, i, hold_new(t, m, i));
		put(m, map, MANY + i, held(t, i));
		gyre_safepoint(m);
	}
	settle(m);
	expect_equal(gyre_weakmap_count(map), 2 * MANY);
	for (size_t i = 0; i < MANY; i += i % 3 + 1)
		let_go(t, m, i);
	settle(m);
	for (size_t i = 0; i < MANY; i++) {
		struct node *n = held(t, i);

		expect(get(m, map, i) == n && get(m, map, MANY + i) == n);
	}
	/* The gets above took nothing away: all had gone. */
	for (size_t i = 0; i < MANY; i++)
		let_go(t, m, i);
	expect(gyre_weakmap_count(map) < MANY * 2);
	settle(m);
	expect_equal(gyre_weakmap_count(map), 0);
	expect_equal(atomic_load(&keys_alive), 0);
	close_map(t, map);
}

/* A cycle of garbage takes its entries along, too, at once. */
static void entries_of_cycles_go(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_weakmap *map = open_map(t, &by_number);

	for (size_t i = 0; i < 50; i++) {
		struct node *a = hold_new(t, m, i), *b = node_new(t->w, m, 100 + i);

		expect_ok(gyre_init(m, &a->left, b));
		expect_ok(gyre_init(m, &b->left, a));
		put(m, map, i, a);
		put(m, map, 100 + i, b);
		gyre_safepoint(m);
	}
	settle(m);
	expect_equal(gyre_weakmap_count(map), 100);
	for (size_t i = 0; i < 50; i += 2)
		let_go(t, m, i);
	settle(m);
	expect_equal(gyre_weakmap_count(map), 50);
	expect_equal(atomic_load(&keys_alive), 50);
	for (size_t i = 0; i < 50; i++) {
		expect((get(m, map, i) != NULL) == (i % 2 == 1));
		expect((get(m, map, 100 + i) != NULL) == (i % 2 == 1));
	}
	close_map(t, map);
}

/* The host runs no finalizers yet: entries of the dead stay until a call meets them. */
static void calls_take_away_what_is_dead(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_weakmap *map = open_map(t, &by_number);
	struct node *other;
	uint64_t ran = 0;

	for (size_t i = 0; i < 20; i++)
		put(m, map, i, hold_new(t, m, i));
	for (size_t i = 0; i < 20; i++)
		let_go(t, m, i);
	world_collect(m);
	expect_equal(gyre_weakmap_count(map), 20);
	expect(get(m, map, 3) == NULL);
	expect(take(m, map, 4) == NULL);
	expect_equal(gyre_weakmap_count(map), 18);
	expect_equal(atomic_load(&keys_alive), 18);
	/* Another object for a key whose object is dead; the call that comes late leaves it. */
	other = hold_new(t, m, 100);
	put(m, map, 5, other);
	put(m, map, 3, other);
	expect_equal(gyre_weakmap_count(map), 19);
	do
		expect_ok(gyre_finalize_next(m, &ran));
	while (ran > 0);
	expect_equal(gyre_weakmap_count(map), 2);
	expect_equal(atomic_load(&keys_alive), 2);
	expect(node_is(get(m, map, 5), 100) && get(m, map, 3) == get(m, map, 5));
	close_map(t, map);
}

/* What was taken back is not told, and what was replaced does not go with its old object. */
static void notices_are_taken_back(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_weakmap *map = open_map(t, &by_number);
	struct gyre_stats stats;

	for (size_t i = 0; i < 200; i++) {
		put(m, map, i % 10, hold_new(t, m, 1)); /* the one before is garbage */
		gyre_safepoint(m);
	}
	hold_new(t, m, 2);
	for (size_t i = 0; i < 10; i++)
		put(m, map, i, held(t, 2));
	settle(m);
	stats = world_stats(t->w->heap);
	expect(stats.notices_called < 200);
	expect_equal(gyre_weakmap_count(map), 10);
	for (size_t i = 0; i < 10; i++)
		expect(node_is(take(m, map, i), 2));
	let_go(t, m, 2);
	let_go(t, m, 1);
	settle(m);
	expect_equal(world_stats(t->w->heap).notices_called, stats.notices_called);
	close_map(t, map);
}

/* Callbacks of the heap's that come after the map was closed. */
static void a_map_is_closed_before_it_is_told(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;

	for (int round = 0; round < 3; round++) {
		struct gyre_weakmap *map = open_map(t, &by_number);

		for (size_t i = 0; i < 100; i++)
			put(m, map, i, hold_new(t, m, i));
		for (size_t i = 0; i < 100; i += round + 1)
			let_go(t, m, i);
		world_collect(m);
		if (round == 2)
			expect(get(m, map, 0) == NULL);
		close_map(t, map);
	}
	settle(m);
}

static struct gyre_root brought_back;

static void bring_back(struct gyre_mutator *m, void *object)
{
	expect_ok(gyre_store(m, &brought_back.slot, object));
}

static void the_brought_back_are_not_in_it(void **state)
{
	const struct gyre_type_desc desc = GYRE_TYPE(
		struct node, GYRE_REFS(GYRE_REF(struct node, left), GYRE_REF(struct node, right)),
		.finalize = bring_back);
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_weakmap *map = open_map(t, &by_number);
	const struct gyre_type *type;
	struct node *n;

	expect_ok(gyre_type_register(t->w->heap, &desc, &type));
	expect_ok(gyre_root_init(m, &brought_back, NULL));
	n = gyre_new(m, type);
	expect(n != NULL);
	n->id = 5;
	n->canary = canary_of(5);
	expect_ok(gyre_store(m, held_slot(t, 5), n));
	put(m, map, 5, n);
	let_go(t, m, 5);
	settle(m);
	n = gyre_load(&brought_back.slot);
	expect(node_is(n, 5));
	expect(get(m, map, 5) == NULL);
	expect_equal(gyre_weakmap_count(map), 0);
	put(m, map, 5, n);
	put(m, map, 6, n);
	settle(m);
	expect(get(m, map, 5) == gyre_load(&brought_back.slot));
	expect_ok(gyre_root_drop(m, &brought_back));
	settle(m); /* it was finalized, and dies this time */
	expect_equal(gyre_weakmap_count(map), 0);
	close_map(t, map);
}

/* Random calls against a list of what must be there: the index grows and shrinks. */
static void agrees_with_a_list(struct weakly *t, const struct gyre_keys *keys, uint64_t range,
			       int steps)
{
	struct gyre_mutator *m = t->w->m;
	struct gyre_weakmap *map = open_map(t, keys);
	uint64_t random = 4711;
	size_t count = 0;

	for (int i = 0; i < steps; i++) {
		/* Much is put at first, and taken away later. */
		uint64_t at = random_of(&random) % range, dice = random_of(&random) % 100;
		uint64_t puts = i < steps / 2 ? 70 : 10;
		struct node *there = held(t, at);

		expect(get(m, map, at) == there);
		if (dice < puts) {
			put(m, map, at, hold_new(t, m, at));
			count += there == NULL;
		} else if (dice < 90) {
			expect(take(m, map, at) == there);
			let_go(t, m, at);
			count -= there != NULL;
		} else if (there != NULL) {
			void *winner;

			expect_ok(gyre_weakmap_put_if_absent(m, map, key_new(at), there, &winner));
			expect(winner == there);
		}
		expect_equal(gyre_weakmap_count(map), count);
		gyre_safepoint(m);
	}
	for (uint64_t at = 0; at < range; at++)
		expect(get(m, map, at) == held(t, at));
	close_map(t, map);
}

static void a_map_agrees_with_a_list(void **state)
{
	agrees_with_a_list(*state, &by_number, HELD, 40000);
}

static void keys_of_one_hash(void **state)
{
	agrees_with_a_list(*state, &badly, 60, 4000);
}

static void keys_may_be_numbers(void **state)
{
	const struct gyre_keys plain = { NULL, NULL, NULL, NULL };
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_weakmap *map = open_map(t, &plain);

	for (uintptr_t i = 0; i < 1000; i++) {
		expect_ok(gyre_weakmap_put(m, map, (void *)i, hold_new(t, m, i)));
		expect_ok(gyre_weakmap_put(m, map, (void *)i, held(t, i)));
	}
	expect_equal(gyre_weakmap_count(map), 1000);
	for (uintptr_t i = 0; i < 1000; i += 2)
		let_go(t, m, i);
	settle(m);
	expect_equal(gyre_weakmap_count(map), 500);
	for (uintptr_t i = 0; i < 1000; i++)
		expect(gyre_weakmap_get(m, map, (void *)i) == held(t, i));
	close_map(t, map);
}

static bool see(struct gyre_mutator *m, const void *key, void *value, void *arg)
{
	(void)m;
	(void)key;
	(void)value;
	(void)arg;
	abort(); /* of a map that cannot be used nothing is visited */
}

static void misuse_is_answered(void **state)
{
	const struct gyre_keys half = { key_hash, NULL, NULL, NULL };
	const struct gyre_keys other_half = { NULL, key_equal, NULL, NULL };
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_weakmap *map = NULL;
	struct gyre_heap *other_heap;
	struct gyre_mutator *stranger;
	struct node *n = hold_new(t, m, 1);
	struct key key = { 1, KEY_LIVES };
	void *winner = n;

	expect_status(gyre_weakmap_open(NULL, &by_number, &map), GYRE_INVALID);
	expect_status(gyre_weakmap_open(m, NULL, &map), GYRE_INVALID);
	expect_status(gyre_weakmap_open(m, &by_number, NULL), GYRE_INVALID);
	expect_status(gyre_weakmap_open(m, &half, &map), GYRE_INVALID);
	expect_status(gyre_weakmap_open(m, &other_half, &map), GYRE_INVALID);
	map = open_map(t, &by_number);
	expect_status(gyre_weakmap_put(NULL, map, &key, n), GYRE_INVALID);
	expect_status(gyre_weakmap_put(m, NULL, &key, n), GYRE_INVALID);
	expect_status(gyre_weakmap_put(m, map, &key, NULL), GYRE_INVALID);
	expect_status(gyre_weakmap_put_if_absent(m, map, &key, n, NULL), GYRE_INVALID);
	expect_status(gyre_weakmap_put_if_absent(m, map, &key, NULL, &winner), GYRE_INVALID);
	expect(winner == NULL);
	expect(gyre_weakmap_get(NULL, map, &key) == NULL);
	expect(gyre_weakmap_get(m, NULL, &key) == NULL);
	expect(gyre_weakmap_remove(m, NULL, &key) == NULL);
	expect_equal(gyre_weakmap_count(NULL), 0);
	expect_status(gyre_weakmap_each(m, map, NULL, NULL), GYRE_INVALID);
	expect_status(gyre_weakmap_each(m, NULL, see, NULL), GYRE_INVALID);
	expect_status(gyre_weakmap_each(NULL, map, see, NULL), GYRE_INVALID);
	expect_status(gyre_weakmap_close(m, NULL), GYRE_INVALID);
	expect_status(gyre_weakmap_close(NULL, map), GYRE_INVALID);
	expect_ok(support_open_heap(&other_heap, NULL));
	expect_ok(gyre_attach(other_heap, 0, &stranger));
	expect_status(gyre_weakmap_put(stranger, map, &key, n), GYRE_INVALID);
	expect(gyre_weakmap_get(stranger, map, &key) == NULL);
	expect_status(gyre_weakmap_close(stranger, map), GYRE_INVALID);
	expect_ok(gyre_detach(stranger));
	expect_ok(gyre_heap_close(other_heap));
	expect_equal(gyre_weakmap_count(map), 0);
	close_map(t, map);
}

/* Maps that come and go do not use types up, and leave nothing. */
static void maps_come_and_go(void **state)
{
	struct weakly *t = *state;

	for (int i = 0; i < 2000; i++) {
		struct gyre_weakmap *map = open_map(t, &by_number);

		if (i % 10 == 0)
			put(t->w->m, map, 1, hold_new(t, t->w->m, 1));
		close_map(t, map);
		gyre_safepoint(t->w->m);
	}
}

/* At the heap's limit a put fails, has not happened, and can be done once there is room. */
static void a_heap_at_its_limit(void **state)
{
	struct gyre_options options;
	struct world *w;
	struct gyre_weakmap *map;
	struct gyre_root kept;
	struct node *n;
	uint64_t count = 0;
	enum gyre_status status = GYRE_OK;

	(void)state;
	gyre_options_init(&options);
	options.heap_limit = 1 << 19;
	w = world_make(&options);
	expect_ok(gyre_weakmap_open(w->m, &by_number, &map));
	n = node_new(w, w->m, 1);
	expect_ok(gyre_root_init(w->m, &kept, n));
	while (status == GYRE_OK && count < 1 << 20) {
		struct key *key = key_new(count);

		status = gyre_weakmap_put(w->m, map, key, n);
		if (status != GYRE_OK)
			key_free(NULL, key);
		else
			count++;
	}
	expect_status(status, GYRE_NO_MEMORY);
	expect_equal(gyre_weakmap_count(map), count);
	expect_equal(atomic_load(&keys_alive), (long)count);
	for (uint64_t i = 0; i <= count; i++)
		expect((get(w->m, map, i) == n) == (i < count));
	for (uint64_t i = 0; i < count; i += 2)
		expect(take(w->m, map, i) == n);
	for (uint64_t i = 0; i < count; i += 4) /* a page that was emptied is gone */
		put(w->m, map, i, n);
	expect_ok(gyre_weakmap_close(w->m, map));
	expect_equal(atomic_load(&keys_alive), 0);
	expect_ok(gyre_root_drop(w->m, &kept));
	world_end(w);
}

static bool child_uses(struct weakly *t, void *arg)
{
	struct gyre_weakmap *map = (struct gyre_weakmap *)arg, *another;
	struct key key = { 1, KEY_LIVES };
	void *winner, *n = held(t, 1);

	return gyre_weakmap_get(t->w->m, map, &key) == NULL &&
	       gyre_weakmap_put(t->w->m, map, &key, n) == GYRE_FROZEN &&
	       gyre_weakmap_put_if_absent(t->w->m, map, &key, n, &winner) == GYRE_FROZEN &&
	       gyre_weakmap_remove(t->w->m, map, &key) == NULL && gyre_weakmap_count(map) == 0 &&
	       gyre_weakmap_each(t->w->m, map, see, NULL) == GYRE_FROZEN &&
	       gyre_weakmap_close(t->w->m, map) == GYRE_FROZEN &&
	       gyre_weakmap_open(t->w->m, &by_number, &another) == GYRE_FROZEN;
}

static void the_child_of_a_fork(void **state)
{
	struct weakly *t = *state;
	struct gyre_weakmap *map = open_map(t, &by_number);

	put(t->w->m, map, 1, hold_new(t, t->w->m, 1));
	in_frozen_child(t, child_uses, map);
	expect(node_is(get(t->w->m, map, 1), 1));
	close_map(t, map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		weakly_test(what_is_put_is_found),
		weakly_test(put_if_absent_says_who_is_there),
		weakly_test(entries_go_by_themselves),
		weakly_test(entries_of_cycles_go),
		weakly_host_test(calls_take_away_what_is_dead),
		weakly_test(notices_are_taken_back),
		weakly_host_test(a_map_is_closed_before_it_is_told),
		weakly_test(a_map_is_closed_before_it_is_told),
		weakly_test(the_brought_back_are_not_in_it),
		weakly_test(a_map_agrees_with_a_list),
		weakly_test(keys_of_one_hash),
		weakly_test(keys_may_be_numbers),
		weakly_test(misuse_is_answered),
		weakly_test(maps_come_and_go),
		cmocka_unit_test(a_heap_at_its_limit),
		weakly_test(the_child_of_a_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
