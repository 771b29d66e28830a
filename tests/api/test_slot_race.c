/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_slot_race.c: several threads write one slot at once: no value is lost, none is given twice,
 * and afterwards the heap holds exactly what the slots hold. Each thread is a mutator of its own;
 * the main thread is parked while they run.
 */
#include "support.h"

enum { THREADS = 3, EACH = 40000 };

struct race {
	struct world *w;
	struct gyre_root root;
	_Atomic(unsigned) seen[THREADS * EACH];
	_Atomic(unsigned) number;
	_Atomic(uint64_t) visits;
};

static void run_threads(struct race *race, void *(*run)(void *))
{
	pthread_t threads[THREADS];

	expect_ok(gyre_park(race->w->m));
	for (int i = 0; i < THREADS; i++)
		threads[i] = thread_start(run, race);
	for (int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	expect_ok(gyre_unpark(race->w->m));
}

static struct race *race_new(struct world *w)
{
	struct race *race = calloc(1, sizeof(*race));

	expect(race != NULL);
	race->w = w;
	expect_ok(gyre_root_init(w->m, &race->root, NULL));
	return race;
}

static struct gyre_mutator *enter(struct race *race, uint64_t *first)
{
	struct gyre_mutator *m;

	expect_ok(gyre_attach(race->w->heap, 0, &m));
	*first = (uint64_t)EACH * atomic_fetch_add(&race->number, 1);
	return m;
}

static void saw(struct race *race, const struct node *n)
{
	expect(node_sound(n) && n->id < THREADS * EACH);
	atomic_fetch_add(&race->seen[n->id], 1);
}

static void *exchanger(void *arg)
{
	struct race *race = arg;
	uint64_t first;
	struct gyre_mutator *m = enter(race, &first);

	for (uint64_t i = 0; i < EACH; i++) {
		struct node *n = node_new(race->w, m, first + i);
		void *old;

		expect_ok(gyre_exchange(m, &race->root.slot, n, &old));
		if (old)
			saw(race, old);
		gyre_safepoint(m);
	}
	expect_ok(gyre_detach(m));
	return NULL;
}

static void exchange_loses_nothing(void **state)
{
	struct world *w = *state;
	struct race *race = race_new(w);

	run_threads(race, exchanger);
	expect_live(w->m, 1);
	saw(race, gyre_load(&race->root.slot));
	for (size_t i = 0; i < THREADS * EACH; i++)
		expect_equal(race->seen[i], 1);
	expect_ok(gyre_root_drop(w->m, &race->root));
	expect_live(w->m, 0);
	expect_equal(world_stats(w->heap).objects_reclaimed, THREADS * EACH);
	free(race);
}

/* A stack by compare and exchange. An object is valid until the next safe point, so no ABA. */
static void *pusher(void *arg)
{
	struct race *race = arg;
	uint64_t first;
	struct gyre_mutator *m = enter(race, &first);

	for (uint64_t i = 0; i < EACH; i++) {
		struct node *n = node_new(race->w, m, first + i);
		void *head = gyre_load(&race->root.slot);
		enum gyre_status status;

		do {
			expect_ok(gyre_store_exclusive(m, &n->left, head));
			status = gyre_compare_exchange(m, &race->root.slot, &head, n);
		} while (status == GYRE_CHANGED);
		expect_ok(status);
		gyre_safepoint(m);
	}
	expect_ok(gyre_detach(m));
	return NULL;
}

static void *popper(void *arg)
{
	struct race *race = arg;
	uint64_t first;
	struct gyre_mutator *m = enter(race, &first);
	struct node *head = gyre_load(&race->root.slot);

	while (head) {
		void *expected = head, *next = gyre_load(&head->left);
		enum gyre_status status =
			gyre_compare_exchange(m, &race->root.slot, &expected, next);

		expect(status == GYRE_OK || status == GYRE_CHANGED);
		if (status == GYRE_OK)
			saw(race, head);
		gyre_safepoint(m);
		head = gyre_load(&race->root.slot);
	}
	expect_ok(gyre_detach(m));
	return NULL;
}

static void compare_exchange_loses_nothing(void **state)
{
	struct world *w = *state;
	struct race *race = race_new(w);

	run_threads(race, pusher);
	expect_live(w->m, THREADS * EACH);
	atomic_store(&race->number, 0);
	run_threads(race, popper);
	for (size_t i = 0; i < THREADS * EACH; i++)
		expect_equal(race->seen[i], 1);
	expect_live(w->m, 0);
	expect_ok(gyre_root_drop(w->m, &race->root));
	free(race);
}

/* All threads store and load the slots of one array, whole ranges too; what they see is sound. */
static void *scribbler(void *arg)
{
	struct race *race = arg;
	uint64_t first, random;
	struct gyre_mutator *m = enter(race, &first);

	random = first + 88172645463325252;
	for (uint64_t i = 0; i < EACH; i++) {
		struct refs *r = gyre_load(&race->root.slot);
		size_t at, from;
		struct node *n;

		random ^= random << 13, random ^= random >> 7, random ^= random << 17;
		at = random % (r->length - 8);
		from = random >> 32 & 7;
		n = gyre_load(&r->items[at]);
		expect(n == NULL || node_sound(n));
		n = node_new(race->w, m, first + i);
		expect_ok(gyre_init(m, &n->left, gyre_load(&r->items[from])));
		if (i % 8 == 0)
			expect_ok(gyre_array_copy(m, &r->items[at], &r->items[from], 8));
		else if (i % 8 == 1)
			expect_ok(gyre_array_fill(m, &r->items[at], from, n));
		else
			expect_ok(gyre_store(m, &r->items[at], i % 5 ? n : NULL));
		/* Cut what hangs on n, so that the chains stay short. */
		n = gyre_load(&n->left);
		if (n)
			expect_ok(gyre_store(m, &n->left, NULL));
		gyre_safepoint(m);
	}
	expect_ok(gyre_detach(m));
	return NULL;
}

static void racing_stores_stay_exact(void **state)
{
	struct world *w = *state;
	struct race *race = race_new(w);
	struct refs *r = refs_new(w, w->m, 64);

	expect_ok(gyre_store(w->m, &race->root.slot, r));
	run_threads(race, scribbler);
	world_collect(w->m);
	expect_equal(world_verify(w->m).unreachable, 0);
	expect_ok(gyre_array_fill(w->m, r->items, 64, NULL));
	expect_live(w->m, 1);
	expect_ok(gyre_root_drop(w->m, &race->root));
	expect_live(w->m, 0);
	free(race);
}

/* One writer by gyre_store_exclusive, readers beside it. */
static void *owner_and_readers(void *arg)
{
	struct race *race = arg;
	uint64_t first;
	struct gyre_mutator *m = enter(race, &first);

	for (uint64_t i = 0; i < EACH; i++) {
		struct node *n = gyre_load(&race->root.slot);

		if (n) {
			expect(node_sound(n));
			atomic_fetch_add_explicit(&race->visits, 1, memory_order_relaxed);
		}
		if (first == 0)
			expect_ok(gyre_store_exclusive(m, &race->root.slot,
						       i % 16 ? node_new(race->w, m, i) : NULL));
		gyre_safepoint(m);
	}
	expect_ok(gyre_detach(m));
	return NULL;
}

static void readers_race_an_exclusive_writer(void **state)
{
	struct world *w = *state;
	struct race *race = race_new(w);

	run_threads(race, owner_and_readers);
	expect(race->visits > 0);
	expect_live(w->m, 1);
	expect(node_is(gyre_load(&race->root.slot), EACH - 1));
	expect_ok(gyre_root_drop(w->m, &race->root));
	expect_live(w->m, 0);
	free(race);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(exchange_loses_nothing),
		world_test(compare_exchange_loses_nothing),
		world_test(racing_stores_stay_exact),
		world_test(readers_race_an_exclusive_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
