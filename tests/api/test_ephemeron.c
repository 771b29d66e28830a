/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ephemeron.c: a map of weak keys to values that live because of them: a value lives exactly
 * as long as its entry's key, whatever it refers to; several maps at one key; what removal, close
 * and finalizers leave; walks; threads.
 */
#include "weakly.h"

static struct gyre_ephemeron *open_map(struct weakly *t)
{
	struct gyre_ephemeron *map = NULL;

	expect_ok(gyre_ephemeron_open(t->w->m, &map));
	expect(map != NULL);
	expect_equal(gyre_ephemeron_count(map), 0);
	return map;
}

static uint64_t objects(struct gyre_mutator *m)
{
	settle(m);
	settle(m);
	return world_verify(m).objects;
}

static void a_value_lives_as_long_as_its_key(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_ephemeron *map = open_map(t);
	struct node *key = hold_new(t, m, 1), *other = hold_new(t, m, 2);
	struct gyre_weak *seen;
	struct gyre_root cell;
	void *old = key;

	expect(gyre_ephemeron_get(m, map, key) == NULL);
	expect_ok(gyre_ephemeron_remove(m, map, key, &old));
	expect(old == NULL);
	expect_ok(gyre_ephemeron_put(m, map, key, node_new(t->w, m, 10)));
	seen = gyre_weak_of(m, gyre_ephemeron_get(m, map, key));
	expect(seen != NULL);
	expect_ok(gyre_root_init(m, &cell, seen));
	settle(m);
	key = held(t, 1);
	expect(node_is(gyre_ephemeron_get(m, map, key), 10)); /* nothing else holds it */
	expect(gyre_ephemeron_get(m, map, held(t, 2)) == NULL);
	expect_equal(gyre_ephemeron_count(map), 1);
	let_go(t, m, 1);
	settle(m);
	expect(gyre_weak_load(m, gyre_load(&cell.slot)) == NULL);
	expect_equal(gyre_ephemeron_count(map), 0);
	other = held(t, 2);
	expect_ok(gyre_ephemeron_put(m, map, other, other)); /* its own value */
	expect(gyre_ephemeron_get(m, map, other) == other);
	let_go(t, m, 2);
	settle(m);
	expect_equal(gyre_ephemeron_count(map), 0);
	expect_ok(gyre_root_drop(m, &cell));
	expect_ok(gyre_ephemeron_close(m, map));
}

static void values_are_replaced_and_removed(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_ephemeron *map = open_map(t);
	struct node *key = hold_new(t, m, 1);
	uint64_t before;
	void *old = NULL;

	expect_ok(gyre_ephemeron_put(m, map, key, node_new(t->w, m, 10)));
	before = objects(m);
	key = held(t, 1);
	for (uint64_t i = 0; i < 100; i++) {
		expect_ok(gyre_ephemeron_put(m, map, key, node_new(t->w, m, 20 + i)));
		expect(node_is(gyre_ephemeron_get(m, map, key), 20 + i));
	}
	expect_equal(objects(m), before); /* what was replaced is gone */
	expect_equal(gyre_ephemeron_count(map), 1);
	key = held(t, 1);
	expect_ok(gyre_ephemeron_remove(m, map, key, &old));
	expect(node_is(old, 119));
	expect(gyre_ephemeron_get(m, map, key) == NULL);
	expect_equal(gyre_ephemeron_count(map), 0);
	expect_equal(objects(m), before - 1);
	key = held(t, 1);
	for (uint64_t i = 0; i < 100; i++) {
		expect_ok(gyre_ephemeron_put(m, map, key, node_new(t->w, m, i)));
		expect_ok(gyre_ephemeron_remove(m, map, key, NULL));
	}
	expect_equal(objects(m), before - 1); /* and no link more than before */
	expect_ok(gyre_ephemeron_close(m, map));
}

/* The value refers to the key, to another's key, to another's value: all of it dies with the keys,
 * and not before. Keys of a type without slots, too, of which no cycle was thought to be. */
static void values_refer_to_keys(void **state, bool leaves)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_ephemeron *map = open_map(t);
	uint64_t before = objects(m);

	for (size_t i = 0; i < 100; i++) {
		void *key = leaves ? gyre_new(m, t->w->leaf) : node_new(t->w, m, i);
		struct node *value = node_new(t->w, m, 100 + i);

		expect(key != NULL);
		expect_ok(gyre_store(m, held_slot(t, i), key));
		expect_ok(gyre_init(m, &value->left, key));
		if (i % 2 == 1) /* pairs of keys that live through each other's values */
			expect_ok(gyre_init(m, &value->right, held(t, i - 1)));
		expect_ok(gyre_ephemeron_put(m, map, key, value));
		gyre_safepoint(m);
	}
	settle(m);
	expect_equal(gyre_ephemeron_count(map), 100);
	for (size_t i = 0; i < 100; i += 2)
		let_go(t, m, i);
	settle(m);
	expect_equal(gyre_ephemeron_count(map), 100); /* held by the values of the odd ones */
	for (size_t i = 1; i < 100; i += 2) {
		struct node *value = gyre_ephemeron_get(m, map, held(t, i));

		expect(node_is(value, 100 + i) && gyre_load(&value->left) == held(t, i));
		value = gyre_ephemeron_get(m, map, gyre_load(&value->right));
		expect(node_is(value, 100 + i - 1));
		let_go(t, m, i);
	}
	settle(m);
	expect_equal(gyre_ephemeron_count(map), 0);
	/* At most the page and directory of each shard are more than before. */
	expect(objects(m) <= before + 2 * 16 * 4);
	expect_ok(gyre_ephemeron_close(m, map));
}

static void cycles_through_values_die(void **state)
{
	values_refer_to_keys(state, false);
}

static void cycles_through_keys_without_slots_die(void **state)
{
	values_refer_to_keys(state, true);
}

static void maps_share_a_key(void **state)
{
	enum { MAPS = 20 };
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_ephemeron *maps[MAPS];
	struct node *key = hold_new(t, m, 1);
	uint64_t before;

	for (uint64_t i = 0; i < MAPS; i++) {
		maps[i] = open_map(t);
		expect_ok(gyre_ephemeron_put(m, maps[i], key, node_new(t->w, m, 10 + i)));
	}
	before = objects(m);
	for (uint64_t i = 0; i < MAPS; i++)
		expect(node_is(gyre_ephemeron_get(m, maps[i], held(t, 1)), 10 + i));
	for (int round = 0; round < 10; round++) {
		/* Closing takes the values along; another map gets the vacant links. */
		for (uint64_t i = 0; i < MAPS; i += 2)
			expect_ok(gyre_ephemeron_close(m, maps[i]));
		settle(m);
		for (uint64_t i = 0; i < MAPS; i += 2) {
			maps[i] = open_map(t);
			expect(gyre_ephemeron_get(m, maps[i], held(t, 1)) == NULL);
		}
		for (uint64_t i = 0; i < MAPS; i += 2)
			expect_ok(gyre_ephemeron_put(m, maps[i], held(t, 1),
						     node_new(t->w, m, 10 + i)));
		for (uint64_t i = 0; i < MAPS; i++)
			expect(node_is(gyre_ephemeron_get(m, maps[i], held(t, 1)), 10 + i));
		gyre_safepoint(m);
	}
	expect_equal(objects(m), before);
	for (uint64_t i = 0; i < MAPS; i++)
		expect_ok(gyre_ephemeron_close(m, maps[i]));
	for (uint64_t i = 0; i < MAPS; i++)
		maps[i] = open_map(t);
	for (uint64_t i = 0; i < MAPS; i++) {
		expect(gyre_ephemeron_get(m, maps[i], held(t, 1)) == NULL);
		expect_ok(gyre_ephemeron_close(m, maps[i]));
	}
}

/* Close lets the values go though their keys live; the host is told of nothing any more. */
static void close_takes_the_values_along(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_ephemeron *map = open_map(t);
	uint64_t nodes;

	for (size_t i = 0; i < 500; i++) {
		expect_ok(gyre_ephemeron_put(m, map, hold_new(t, m, i), node_new(t->w, m, i)));
		gyre_safepoint(m);
	}
	for (size_t i = 0; i < 500; i += 2)
		let_go(t, m, i);
	world_collect(m);
	nodes = world_verify(m).objects;
	expect_ok(gyre_ephemeron_close(m, map));
	settle(m);
	expect(world_verify(m).objects + 250 <= nodes);
}

static struct gyre_root brought_back;

static void bring_back(struct gyre_mutator *m, void *object)
{
	expect_ok(gyre_store(m, &brought_back.slot, object));
}

/* A finalizer brings a key back: what hangs on it is there still, and can be replaced. */
static void a_key_is_brought_back(void **state)
{
	const struct gyre_type_desc desc = GYRE_TYPE(
		struct node, GYRE_REFS(GYRE_REF(struct node, left), GYRE_REF(struct node, right)),
		.finalize = bring_back);
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_ephemeron *map = open_map(t);
	const struct gyre_type *type;
	struct node *key;

	expect_ok(gyre_type_register(t->w->heap, &desc, &type));
	expect_ok(gyre_root_init(m, &brought_back, NULL));
	key = gyre_new(m, type);
	expect(key != NULL);
	expect_ok(gyre_store(m, held_slot(t, 1), key));
	expect_ok(gyre_ephemeron_put(m, map, key, node_new(t->w, m, 10)));
	let_go(t, m, 1);
	settle(m);
	key = gyre_load(&brought_back.slot);
	expect(key != NULL);
	expect_equal(gyre_ephemeron_count(map), 0); /* its cell was cleared */
	expect(node_is(gyre_ephemeron_get(m, map, key), 10));
	expect_ok(gyre_ephemeron_put(m, map, key, node_new(t->w, m, 11)));
	expect_equal(gyre_ephemeron_count(map), 1);
	settle(m);
	expect(node_is(gyre_ephemeron_get(m, map, gyre_load(&brought_back.slot)), 11));
	expect_ok(gyre_root_drop(m, &brought_back));
	settle(m);
	expect_equal(gyre_ephemeron_count(map), 0);
	expect_ok(gyre_ephemeron_close(m, map));
}

struct walk {
	struct weakly *t;
	struct gyre_ephemeron *map;
	unsigned seen[HELD], visits, stop_at;
	bool changes;
};

static bool see(struct gyre_mutator *m, void *key, void *value, void *arg)
{
	struct walk *walk = (struct walk *)arg;
	const uint64_t id = ((struct node *)key)->id;

	expect(node_sound(key) && id < 1000 && node_is(value, 1000 + id));
	walk->seen[id]++;
	walk->visits++;
	if (walk->changes) {
		expect_ok(gyre_ephemeron_remove(m, walk->map, key, NULL));
		if (id % 3 == 0)
			expect_ok(gyre_ephemeron_put(m, walk->map, key, value));
		expect_ok(gyre_ephemeron_put(m, walk->map, hold_new(walk->t, m, 2000 + id), key));
		let_go(walk->t, m, id);
		if (id % 16 == 0)
			settle(m);
		expect_status(gyre_ephemeron_close(m, walk->map), GYRE_BUSY);
	}
	expect(node_is(key, id) && node_is(value, 1000 + id));
	return walk->visits != walk->stop_at;
}

static void walks_visit_each_once(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct walk *walk = calloc(1, sizeof(*walk));

	expect(walk != NULL);
	walk->t = t;
	walk->map = open_map(t);
	for (size_t i = 0; i < 300; i++)
		expect_ok(gyre_ephemeron_put(m, walk->map, hold_new(t, m, i),
					     node_new(t->w, m, 1000 + i)));
	for (size_t i = 0; i < 300; i += 3)
		let_go(t, m, i);
	settle(m);
	expect_ok(gyre_ephemeron_each(m, walk->map, see, walk));
	for (size_t i = 0; i < 300; i++)
		expect_equal(walk->seen[i], i % 3 != 0);
	walk->stop_at = walk->visits + 5;
	expect_ok(gyre_ephemeron_each(m, walk->map, see, walk));
	expect_equal(walk->visits, walk->stop_at);
	walk->stop_at = 0;
	walk->changes = true;
	memset(walk->seen, 0, sizeof(walk->seen));
	expect_ok(gyre_ephemeron_each(m, walk->map, see, walk));
	for (size_t i = 0; i < 300; i++)
		expect_equal(walk->seen[i], i % 3 != 0);
	expect_ok(gyre_ephemeron_close(m, walk->map));
	free(walk);
}

static void misuse_is_answered(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_ephemeron *map = NULL;
	struct node *n = hold_new(t, m, 1);
	void *old = n;

	expect_status(gyre_ephemeron_open(NULL, &map), GYRE_INVALID);
	expect_status(gyre_ephemeron_open(m, NULL), GYRE_INVALID);
	map = open_map(t);
	expect_status(gyre_ephemeron_put(NULL, map, n, n), GYRE_INVALID);
	expect_status(gyre_ephemeron_put(m, NULL, n, n), GYRE_INVALID);
	expect_status(gyre_ephemeron_put(m, map, NULL, n), GYRE_INVALID);
	expect_status(gyre_ephemeron_put(m, map, n, NULL), GYRE_INVALID);
	expect(gyre_ephemeron_get(NULL, map, n) == NULL);
	expect(gyre_ephemeron_get(m, NULL, n) == NULL);
	expect(gyre_ephemeron_get(m, map, NULL) == NULL);
	expect_status(gyre_ephemeron_remove(m, map, NULL, &old), GYRE_INVALID);
	expect(old == NULL);
	expect_status(gyre_ephemeron_remove(m, NULL, n, NULL), GYRE_INVALID);
	expect_equal(gyre_ephemeron_count(NULL), 0);
	expect_equal(gyre_ephemeron_count(map), 0);
	expect_status(gyre_ephemeron_each(m, map, NULL, NULL), GYRE_INVALID);
	expect_status(gyre_ephemeron_each(m, NULL, see, NULL), GYRE_INVALID);
	expect_status(gyre_ephemeron_close(m, NULL), GYRE_INVALID);
	expect_status(gyre_ephemeron_close(NULL, map), GYRE_INVALID);
	expect_ok(gyre_ephemeron_close(m, map));
}

static bool child_uses(struct weakly *t, void *arg)
{
	struct gyre_ephemeron *map = (struct gyre_ephemeron *)arg, *another;
	struct node *n = held(t, 1);

	return gyre_ephemeron_get(t->w->m, map, n) == NULL && gyre_ephemeron_count(map) == 0 &&
	       gyre_ephemeron_put(t->w->m, map, n, n) == GYRE_FROZEN &&
	       gyre_ephemeron_remove(t->w->m, map, n, NULL) == GYRE_FROZEN &&
	       gyre_ephemeron_each(t->w->m, map, see, NULL) == GYRE_FROZEN &&
	       gyre_ephemeron_close(t->w->m, map) == GYRE_FROZEN &&
	       gyre_ephemeron_open(t->w->m, &another) == GYRE_FROZEN;
}

static void the_child_of_a_fork(void **state)
{
	struct weakly *t = *state;
	struct gyre_ephemeron *map = open_map(t);
	struct node *n = hold_new(t, t->w->m, 1);

	expect_ok(gyre_ephemeron_put(t->w->m, map, n, n));
	in_frozen_child(t, child_uses, map);
	expect(gyre_ephemeron_get(t->w->m, map, held(t, 1)) == held(t, 1));
	expect_ok(gyre_ephemeron_close(t->w->m, map));
}

/* Threads share keys, each map is shared by all; the value of key i has i for its id, always. */
static void scribble(struct weakly_thread *thread)
{
	struct gyre_ephemeron **maps = (struct gyre_ephemeron **)thread->arg;
	struct gyre_mutator *m = thread->m;

	for (int i = 0; i < 20000; i++) {
		uint64_t at = random_of(&thread->random) % 50;
		uint64_t dice = random_of(&thread->random) % 8;
		struct gyre_ephemeron *map = maps[random_of(&thread->random) % 3];
		struct node *key = held(thread->t, at), *value;

		if (key == NULL || dice == 0)
			key = hold_new(thread->t, m, at);
		value = gyre_ephemeron_get(m, map, key);
		expect(value == NULL || node_is(value, at));
		if (dice < 4) {
			value = node_new(thread->t->w, m, at);
			expect_ok(gyre_init(m, &value->left, key));
			expect_ok(gyre_ephemeron_put(m, map, key, value));
		} else if (dice == 4) {
			void *old;

			expect_ok(gyre_ephemeron_remove(m, map, key, &old));
			expect(old == NULL || node_is(old, at));
		}
		if (i % 500 == 0)
			gyre_collect_soon(thread->t->w->heap);
		gyre_safepoint(m);
	}
}

static void threads_share_keys_and_maps(void **state)
{
	struct weakly *t = *state;
	struct gyre_ephemeron *maps[3] = { open_map(t), open_map(t), open_map(t) };

	run_threads(t, scribble, maps);
	expect_ok(gyre_array_fill(t->w->m, held_slot(t, 0), HELD, NULL));
	settle(t->w->m);
	for (size_t i = 0; i < LENGTH(maps); i++) {
		expect_equal(gyre_ephemeron_count(maps[i]), 0);
		expect_ok(gyre_ephemeron_close(t->w->m, maps[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		weakly_test(a_value_lives_as_long_as_its_key),
		weakly_test(values_are_replaced_and_removed),
		weakly_test(cycles_through_values_die),
		weakly_test(cycles_through_keys_without_slots_die),
		weakly_test(maps_share_a_key),
		weakly_host_test(close_takes_the_values_along),
		weakly_test(a_key_is_brought_back),
		weakly_test(walks_visit_each_once),
		weakly_test(misuse_is_answered),
		weakly_test(the_child_of_a_fork),
		weakly_test(threads_share_keys_and_maps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
