/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_journal.c: the limit of the journals: a write that is refused has stored nothing, whichever
 * call it was; after a safe point the promised number of stores succeeds, also while another thread
 * holds up the boundary; after a collection everything is as before.
 *
 * The engine tagged journals a slot once an epoch, so what is to fill a journal are writes to slots
 * that were not written yet, and the arrays here have more of them than the limit has room for.
 */
#include "support.h"

enum {
	LIMIT = 2 << 20,
	SLOTS = 250001, /* that each of several threads writes in turn: more than fit */
};

static struct world *tight_world(void)
{
	struct gyre_options options;

	gyre_options_init(&options);
	options.journal_limit = LIMIT;
	options.flags = GYRE_POISON;
	return world_make(&options);
}

/* Two roots that keep a and b, and slots of a to write. */
struct scene {
	struct gyre_root roots[3];
	struct node *a, *b;
	struct refs *r;
};

static void scene_setup(struct world *w, struct scene *s)
{
	s->a = node_new(w, w->m, 1);
	s->b = node_new(w, w->m, 2);
	s->r = refs_new(w, w->m, 600000);
	expect_ok(gyre_root_init(w->m, &s->roots[0], s->a));
	expect_ok(gyre_root_init(w->m, &s->roots[1], s->b));
	expect_ok(gyre_root_init(w->m, &s->roots[2], s->r));
	expect_live(w->m, 3);
}

static void scene_teardown(struct world *w, struct scene *s)
{
	for (size_t i = 0; i < LENGTH(s->roots); i++)
		expect_ok(gyre_root_drop(w->m, &s->roots[i]));
	expect_live(w->m, 0);
}

/* The slots of the array that are not among its first few, the last one first, again and again. */
static gyre_ref *slot_number(const struct scene *s, uint64_t number)
{
	return &s->r->items[s->r->length - 1 - number % (s->r->length - 1000)];
}

/* Stores without a safe point until one is refused; what that slot held is still there. */
static uint64_t store_until_full(struct world *w, struct scene *s)
{
	enum gyre_status status = GYRE_OK;
	uint64_t count = 0;
	void *last = NULL;

	while (status == GYRE_OK && count < 100000000) {
		void *next = count % 2 ? s->a : s->b;

		last = gyre_load(slot_number(s, count));
		status = gyre_store(w->m, slot_number(s, count), next);
		if (status == GYRE_OK) {
			expect(gyre_load(slot_number(s, count)) == next);
			count++;
		}
	}
	expect_status(status, GYRE_JOURNAL_FULL);
	expect(gyre_load(slot_number(s, count)) == last);
	return count;
}

static void the_limit_is_reached_and_heals(void **state)
{
	struct world *w = tight_world();
	struct scene s;

	(void)state;
	scene_setup(w, &s);
	for (int round = 0; round < 5; round++) {
		uint64_t refused = world_stats(w->heap).stores_refused;
		uint64_t count = store_until_full(w, &s);

		/* Most of the limit is there to be used: a store needs at most two words. */
		expect(count >= LIMIT / (2 * sizeof(void *)) / 4);
		expect(count <= LIMIT / sizeof(void *));
		expect(world_stats(w->heap).stores_refused > refused);
		expect(world_stats(w->heap).journal_bytes_max <= LIMIT);
		expect_live(w->m, 3);
	}
	scene_teardown(w, &s);
	world_end(w);
}

/* One word of room may be left where two are needed, so each call is asked until it refuses. */
static void refused_calls_store_nothing(void **state)
{
	struct world *w = tight_world();
	struct gyre_root more[3];
	struct scene s;
	void *old = w, *expected;
	size_t made = 0;

	(void)state;
	scene_setup(w, &s);
	expect_ok(gyre_store(w->m, &s.a->right, s.b));
	expect_live(w->m, 3); /* or it would be journalled already, and need no more room */
	store_until_full(w, &s);
	expect_status(gyre_store(w->m, &s.a->right, s.a), GYRE_JOURNAL_FULL);
	expect_status(gyre_store(w->m, &s.a->right, NULL), GYRE_JOURNAL_FULL);
	expect_status(gyre_store_exclusive(w->m, &s.a->right, s.a), GYRE_JOURNAL_FULL);
	expect_status(gyre_exchange(w->m, &s.a->right, s.a, &old), GYRE_JOURNAL_FULL);
	expected = s.b;
	expect_status(gyre_compare_exchange(w->m, &s.a->right, &expected, s.a), GYRE_JOURNAL_FULL);
	expect(expected == s.b);
	expect_status(gyre_array_fill(w->m, &s.a->left, 2, NULL), GYRE_JOURNAL_FULL);
	expect_status(gyre_array_copy(w->m, &s.a->left, &s.a->right, 1), GYRE_JOURNAL_FULL);
	expect(gyre_load(&s.a->right) == s.b);
	while (made < LENGTH(more) && gyre_root_init(w->m, &more[made], s.b) == GYRE_OK)
		made++;
	expect(made < LENGTH(more)); /* at most one word is left */
	for (int i = 0; gyre_init(w->m, &s.r->items[i], s.b) == GYRE_OK; i++)
		expect(i < 10);
	expect_status(gyre_root_drop(w->m, &s.roots[1]), GYRE_JOURNAL_FULL);
	expect(gyre_load(&s.roots[1].slot) == s.b);
	expect(node_is(gyre_load(&s.a->right), 2));
	world_collect(w->m);
	expect_equal(world_verify(w->m).reachable, 3);
	while (made > 0)
		expect_ok(gyre_root_drop(w->m, &more[--made]));
	expect_ok(gyre_root_drop(w->m, &s.roots[1]));
	expect_ok(gyre_root_init(w->m, &s.roots[1], NULL));
	expect_live(w->m, 3);
	scene_teardown(w, &s);
	world_end(w);
}

/* An array call that does not fit stores no slot at all; one that fits does. */
static void array_calls_are_all_or_nothing(void **state)
{
	struct world *w = tight_world();
	struct scene s;

	(void)state;
	scene_setup(w, &s);
	expect_status(gyre_array_fill(w->m, s.r->items, s.r->length, s.b), GYRE_JOURNAL_FULL);
	for (size_t i = 0; i < s.r->length; i++)
		expect(gyre_load(&s.r->items[i]) == NULL);
	expect_live(w->m, 3);
	expect_ok(gyre_array_fill(w->m, s.r->items, 10000, s.b));
	expect_live(w->m, 3);
	expect_status(gyre_array_copy(w->m, s.r->items + 10, s.r->items, s.r->length - 10),
		      GYRE_JOURNAL_FULL);
	for (size_t i = 0; i < s.r->length; i++)
		expect(gyre_load(&s.r->items[i]) == (i < 10000 ? s.b : NULL));
	expect_ok(gyre_array_copy(w->m, s.r->items + 10, s.r->items, 10000));
	expect(gyre_load(&s.r->items[10009]) == s.b && !gyre_load(&s.r->items[10010]));
	expect_live(w->m, 3);
	scene_teardown(w, &s);
	world_end(w);
}

/*
 * Every store is one to a slot that holds something and was not written since the last boundary,
 * as store_until_full has been there before, so each needs its two words in full. The
 * promise does not hold while the journals are at their limit, and how soon a collector relieves
 * them depends on the machine: a collection relieves them for certain.
 */
static void reserved_stores_succeed(struct world *w, struct scene *s, int rounds)
{
	expect(gyre_load(slot_number(s, rounds * GYRE_STORES_RESERVED)) != NULL);
	for (int i = 0; i < rounds; i++) {
		if (i % 4 == 0)
			expect_ok(gyre_collect(w->m, NULL));
		gyre_safepoint(w->m);
		for (int j = 0; j < GYRE_STORES_RESERVED; j++)
			expect_ok(gyre_store(w->m, slot_number(s, i * GYRE_STORES_RESERVED + j),
					     j % 2 ? s->a : s->b));
	}
}

static void the_reserve_is_there_after_a_safe_point(void **state)
{
	struct world *w = tight_world();
	struct scene s;

	(void)state;
	scene_setup(w, &s);
	for (int round = 0; round < 20; round++) {
		store_until_full(w, &s);
		reserved_stores_succeed(w, &s, 50);
	}
	scene_teardown(w, &s);
	world_end(w);
}

struct holder {
	struct world *w;
	struct gate here, go;
};

/* Attached, not parked, and blocked: no boundary completes until it goes on. */
static void *hold(void *arg)
{
	struct holder *h = arg;
	struct gyre_mutator *m;

	expect_ok(gyre_attach(h->w->heap, 0, &m));
	gyre_safepoint(m);
	gate_open(&h->here, 1);
	gate_wait(&h->go, 1);
	gyre_safepoint(m);
	expect_ok(gyre_detach(m));
	return NULL;
}

/* While a thread holds up the boundary no journal can be applied: stores are refused and the others
 * go on; once it moves, the reserve is there again. */
static void a_thread_that_stalls_stops_nobody(void **state)
{
	struct world *w = tight_world();
	struct holder h = { w, GATE_CLOSED, GATE_CLOSED };
	struct scene s;
	pthread_t thread;

	(void)state;
	scene_setup(w, &s);
	thread = thread_start(hold, &h);
	expect_ok(gyre_park(w->m));
	gate_wait(&h.here, 1);
	expect_ok(gyre_unpark(w->m));
	store_until_full(w, &s);
	for (int i = 0; i < 5; i++)
		gyre_safepoint(w->m);
	expect_status(gyre_store(w->m, &s.a->left, s.b), GYRE_JOURNAL_FULL);
	gate_open(&h.go, 1);
	expect_live(w->m, 3);
	reserved_stores_succeed(w, &s, 30);
	scene_teardown(w, &s);
	expect_ok(gyre_park(w->m));
	thread_join(thread);
	expect_ok(gyre_unpark(w->m));
	world_end(w);
}

/* Several threads at the limit at once: each waits at its safe points, none for ever. They begin
 * together, as there is nothing for one that attaches at the limit. */
static pthread_barrier_t attached;

static void *press(void *arg)
{
	struct holder *h = arg;
	struct gyre_mutator *m;
	struct gyre_root root;
	uint64_t stored = 0;
	struct refs *r;

	expect_ok(gyre_attach(h->w->heap, 0, &m));
	expect_ok(gyre_root_init(m, &root, refs_new(h->w, m, SLOTS)));
	expect_ok(gyre_park(m));
	pthread_barrier_wait(&attached);
	expect_ok(gyre_unpark(m));
	for (uint64_t i = 0; i < 2000000; i++) {
		r = gyre_load(&root.slot);
		if (gyre_store(m, &r->items[i % SLOTS], i / SLOTS % 2 ? NULL : r) == GYRE_OK)
			stored++;
		else
			gyre_safepoint(m);
		if (i % 100000 == 0)
			gyre_safepoint(m);
	}
	expect(stored >= 1000000);
	expect_equal(((struct refs *)gyre_load(&root.slot))->length, SLOTS);
	gyre_safepoint(m);
	expect_ok(gyre_root_drop(m, &root));
	expect_ok(gyre_detach(m));
	return NULL;
}

static void threads_share_the_limit(void **state)
{
	struct world *w = tight_world();
	struct holder h = { w, GATE_CLOSED, GATE_CLOSED };
	pthread_t threads[3];

	(void)state;
	expect_ok(gyre_park(w->m));
	pthread_barrier_init(&attached, NULL, LENGTH(threads));
	for (size_t i = 0; i < LENGTH(threads); i++)
		threads[i] = thread_start(press, &h);
	for (size_t i = 0; i < LENGTH(threads); i++)
		thread_join(threads[i]);
	pthread_barrier_destroy(&attached);
	expect_ok(gyre_unpark(w->m));
	expect_live(w->m, 0);
	expect(world_stats(w->heap).stores_refused > 0);
	expect(world_stats(w->heap).journal_bytes_max <= 2 * LIMIT);
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_limit_is_reached_and_heals),
		cmocka_unit_test(refused_calls_store_nothing),
		cmocka_unit_test(array_calls_are_all_or_nothing),
		cmocka_unit_test(the_reserve_is_there_after_a_safe_point),
		cmocka_unit_test(a_thread_that_stalls_stops_nobody),
		cmocka_unit_test(threads_share_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
