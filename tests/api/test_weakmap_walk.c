/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_weakmap_walk.c: walks over a weak map that changes meanwhile, by the visits and by other
 * threads; threads that share a cache.
 */
#include "keys.h"

#include <sched.h>

struct walk {
	struct weakly *t;
	struct gyre_weakmap *map;
	unsigned seen[HELD], visits, stop_at;
	void (*also)(struct walk *walk, struct gyre_mutator *m, uint64_t number);
};

static bool see(struct gyre_mutator *m, const void *key, void *value, void *arg)
{
	struct walk *walk = (struct walk *)arg;
	const uint64_t number = ((const struct key *)key)->number;

	expect(node_is(value, number));
	walk->seen[number]++;
	walk->visits++;
	if (walk->also != NULL)
		walk->also(walk, m, number);
	/* The key is valid to the end of the visit, and so is the value, across safe points. */
	expect_equal(((const struct key *)key)->state, KEY_LIVES);
	expect_equal(((const struct key *)key)->number, number);
	expect(node_is(value, number));
	return walk->visits != walk->stop_at;
}

static struct walk *walk_over(struct weakly *t, struct gyre_weakmap *map, unsigned count)
{
	struct walk *walk = calloc(1, sizeof(*walk));

	expect(walk != NULL);
	walk->t = t;
	walk->map = map;
	for (size_t i = 0; i < count; i++)
		put(t->w->m, map, i, hold_new(t, t->w->m, i));
	return walk;
}

static void a_walk_visits_each_once(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_weakmap *map = open_map(t, &by_number);
	struct walk *walk = walk_over(t, map, 300);

	for (size_t i = 0; i < 300; i += 3)
		let_go(t, m, i);
	settle(m);
	expect_ok(gyre_weakmap_each(m, map, see, walk));
	expect_equal(walk->visits, 200);
	for (size_t i = 0; i < 300; i++)
		expect_equal(walk->seen[i], i % 3 != 0);
	walk->visits = 0;
	walk->stop_at = 7;
	expect_ok(gyre_weakmap_each(m, map, see, walk));
	expect_equal(walk->visits, 7);
	close_map(t, map);
	free(walk);
}

/* Each visit lets its own object go and takes its entry, and one ahead, out; some put. */
static void change_the_map(struct walk *walk, struct gyre_mutator *m, uint64_t number)
{
	const uint64_t other = number ^ 1;

	if (number >= 1000)
		return;
	let_go(walk->t, m, number);
	expect(node_is(take(m, walk->map, number), number));
	if (walk->seen[other] == 0) {
		expect(node_is(take(m, walk->map, other), other));
		let_go(walk->t, m, other);
		walk->seen[other] = 100;
	}
	if (number % 8 < 2)
		put(m, walk->map, 1000 + number, hold_new(walk->t, m, 1000 + number));
	if (number % 16 < 2)
		settle(m);
	expect_status(gyre_weakmap_close(m, walk->map), GYRE_BUSY);
}

static void a_walk_may_change_the_map(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_weakmap *map = open_map(t, &by_number);
	struct walk *walk = walk_over(t, map, 200);

	walk->also = change_the_map;
	expect_ok(gyre_weakmap_each(m, map, see, walk));
	for (size_t i = 0; i < 200; i++)
		expect_equal(walk->seen[i] % 100, walk->seen[i] < 100);
	for (size_t i = 0; i < 200; i += 2)
		expect_equal(walk->seen[i] + walk->seen[i + 1], 101); /* one of each two */
	settle(m);
	expect(get(m, map, 5) == NULL);
	close_map(t, map);
	free(walk);
}

/* The visit lasts over the death of its key; freed is it afterwards, by the walk itself. */
static void take_and_look(struct walk *walk, struct gyre_mutator *m, uint64_t number)
{
	const long before = atomic_load(&keys_alive);

	expect(node_is(take(m, walk->map, number), number));
	expect_equal(atomic_load(&keys_alive), before);
	expect(get(m, walk->map, number) == NULL);
}

static void a_key_outlives_its_visit(void **state)
{
	struct weakly *t = *state;
	struct gyre_weakmap *map = open_map(t, &by_number);
	struct walk *walk = walk_over(t, map, 40);

	walk->also = take_and_look;
	expect_ok(gyre_weakmap_each(t->w->m, map, see, walk));
	expect_equal(walk->visits, 40);
	expect_equal(gyre_weakmap_count(map), 0);
	expect_equal(atomic_load(&keys_alive), 0);
	close_map(t, map);
	free(walk);
}

/* All threads make the objects of the same keys, or find them; the collector takes them away. */
static void look_up_or_make(struct weakly_thread *thread)
{
	struct gyre_weakmap *map = (struct gyre_weakmap *)thread->arg;
	struct gyre_mutator *m = thread->m;

	for (int i = 0; i < 30000; i++) {
		uint64_t at = random_of(&thread->random) % 200;
		uint64_t dice = random_of(&thread->random) % 16;
		struct node *n = get(m, map, at);
		void *winner = n;

		expect(n == NULL || node_is(n, at));
		if (n == NULL && dice < 12) {
			n = node_new(thread->t->w, m, at);
			expect_ok(gyre_weakmap_put_if_absent(m, map, key_new(at), n, &winner));
			expect(node_is(winner, at));
		} else if (dice == 12) {
			n = take(m, map, at);
			expect(n == NULL || node_is(n, at));
			winner = NULL;
		} else if (dice == 13) {
			winner = node_new(thread->t->w, m, at);
			put(m, map, at, winner);
		}
		if (winner != NULL && dice % 4 == 0)
			expect_ok(gyre_store(m, held_slot(thread->t, at), winner));
		else if (dice % 4 == 1)
			let_go(thread->t, m, at);
		if (i % 500 == 0)
			gyre_collect_soon(thread->t->w->heap);
		gyre_safepoint(m);
	}
}

static void threads_share_a_cache(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_weakmap *map = open_map(t, &by_number);

	run_threads(t, look_up_or_make, map);
	settle(m);
	for (size_t i = 0; i < 200; i++) {
		struct node *n = get(m, map, i);

		/* Held may be an older object of the key, but what is in the map is held. */
		expect(n == NULL || n == held(t, i));
		let_go(t, m, i);
	}
	settle(m);
	expect_equal(gyre_weakmap_count(map), 0);
	close_map(t, map);
}

struct interning {
	struct gyre_weakmap *map;
	pthread_barrier_t barrier;
	struct node *_Atomic winners[THREADS];
};

static void intern(struct weakly_thread *thread)
{
	struct interning *all = (struct interning *)thread->arg;
	struct gyre_mutator *m = thread->m;

	for (uint64_t round = 0; round < 1000; round++) {
		struct node *n = node_new(thread->t->w, m, round);
		void *winner;

		GYRE_KEEP(m, n);
		expect_ok(gyre_park(m));
		pthread_barrier_wait(&all->barrier);
		expect_ok(gyre_unpark(m));
		expect_ok(gyre_weakmap_put_if_absent(m, all->map, key_new(round), n, &winner));
		atomic_store(&all->winners[thread->number], (struct node *)winner);
		expect_ok(gyre_park(m));
		pthread_barrier_wait(&all->barrier);
		for (unsigned i = 0; i < THREADS; i++)
			expect(atomic_load(&all->winners[i]) == winner);
		pthread_barrier_wait(&all->barrier);
		expect_ok(gyre_unpark(m));
	}
}

static void one_wins(struct weakly *t, const struct gyre_keys *keys)
{
	struct interning all = { .map = open_map(t, keys) };

	expect(pthread_barrier_init(&all.barrier, NULL, THREADS) == 0);
	run_threads(t, intern, &all);
	pthread_barrier_destroy(&all.barrier);
	settle(t->w->m);
	expect_equal(gyre_weakmap_count(all.map), 0);
	close_map(t, all.map);
}

static void one_thread_wins(void **state)
{
	one_wins(*state, &by_number);
}

static uint64_t hash_of_few(void *arg, const void *key)
{
	(void)arg;
	(void)key;
	return 1;
}

/* Takes its time, so that the bucket has changed when the lock is taken again. */
static bool equal_slowly(void *arg, const void *key, const void *other)
{
	sched_yield();
	return key_equal(arg, key, other);
}

/* All keys are compared with all others, while one of the others is put. */
static void one_thread_wins_in_one_bucket(void **state)
{
	const struct gyre_keys keys = { hash_of_few, equal_slowly, key_free, NULL };

	one_wins(*state, &keys);
}

/* One thread walks while the others change the map under it; what is held throughout is seen. */
static bool see_in_a_race(struct gyre_mutator *m, const void *key, void *value, void *arg)
{
	unsigned *seen = (unsigned *)arg;
	const uint64_t number = ((const struct key *)key)->number;

	expect(node_is(value, number));
	seen[number]++;
	gyre_safepoint(m);
	expect(node_is(value, number));
	expect_equal(((const struct key *)key)->state, KEY_LIVES);
	return true;
}

static void walk_or_change(struct weakly_thread *thread)
{
	struct gyre_weakmap *map = (struct gyre_weakmap *)thread->arg;
	static unsigned seen[HELD];

	for (int round = 0; round < 40; round++) {
		for (uint64_t i = 0; thread->number > 0 && i < 400; i++) {
			uint64_t at = 100 + random_of(&thread->random) % 300;

			if (i % 2 == 0)
				put(thread->m, map, at, node_new(thread->t->w, thread->m, at));
			else
				take(thread->m, map, at);
			gyre_safepoint(thread->m);
		}
		if (thread->number > 0)
			continue;
		memset(seen, 0, sizeof(seen));
		expect_ok(gyre_weakmap_each(thread->m, map, see_in_a_race, seen));
		for (size_t i = 0; i < 100; i++)
			expect_equal(seen[i], 1);
	}
}

static void threads_change_what_one_walks_over(void **state)
{
	struct weakly *t = *state;
	struct gyre_weakmap *map = open_map(t, &by_number);

	for (size_t i = 0; i < 100; i++)
		put(t->w->m, map, i, hold_new(t, t->w->m, i));
	run_threads(t, walk_or_change, map);
	settle(t->w->m);
	for (size_t i = 0; i < 400; i++)
		expect((get(t->w->m, map, i) != NULL) == (i < 100));
	close_map(t, map);
}

/* Threads fill maps with garbage and close them while the finalizer thread is told of it. */
static void open_and_close(struct weakly_thread *thread)
{
	struct gyre_mutator *m = thread->m;

	for (int round = 0; round < 60; round++) {
		struct gyre_weakmap *map;

		expect_ok(gyre_weakmap_open(m, &by_number, &map));
		for (uint64_t i = 0; i < 100; i++) {
			put(m, map, i, node_new(thread->t->w, m, i));
			if (i % 25 == random_of(&thread->random) % 25)
				gyre_safepoint(m);
		}
		/* It returns when the callbacks are queued, and the other thread is at them. */
		expect_ok(gyre_collect(m, NULL));
		expect_ok(gyre_weakmap_close(m, map));
		gyre_safepoint(m);
	}
}

static void maps_are_closed_while_they_are_told(void **state)
{
	struct weakly *t = *state;

	run_threads(t, open_and_close, NULL);
	settle(t->w->m);
	expect(world_stats(t->w->heap).notices_called > 0);
	expect_equal(atomic_load(&keys_alive), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		weakly_test(a_walk_visits_each_once),
		weakly_test(a_walk_may_change_the_map),
		weakly_test(a_key_outlives_its_visit),
		weakly_test(threads_share_a_cache),
		weakly_test(one_thread_wins),
		weakly_test(one_thread_wins_in_one_bucket),
		weakly_test(threads_change_what_one_walks_over),
		weakly_test(maps_are_closed_while_they_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
