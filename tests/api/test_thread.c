/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_thread.c: threads that attach, detach (also while their thread-specific data is destroyed),
 * park, and end while attached. What holds up a boundary is in test_stall.c, hosts that use QSBR
 * themselves in test_qsbr.c.
 */
#include "support.h"

static void attaching_twice_is_refused(void **state)
{
	struct world *w = *state;
	struct gyre_mutator *m = NULL;

	expect_status(gyre_attach(w->heap, 0, &m), GYRE_ATTACHED);
	expect_status(gyre_attach(w->heap, GYRE_ATTACH_QSBR, &m), GYRE_ATTACHED);
	expect(gyre_mutator_heap(w->m) == w->heap);
	expect_equal(world_stats(w->heap).mutators, 1);
	expect_ok(gyre_detach(w->m));
	expect_equal(world_stats(w->heap).mutators, 0);
	for (int i = 0; i < 100; i++) {
		expect_ok(gyre_attach(w->heap, 0, &w->m));
		expect(node_is(node_new(w, w->m, 1), 1));
		expect_ok(gyre_detach(w->m));
	}
	expect_ok(gyre_attach(w->heap, 0, &w->m));
	expect_live(w->m, 0);
}

/* One thread in three heaps, detached in every order; each collects while others are attached. */
static void one_thread_in_several_heaps(void **state)
{
	static const int orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
					  { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	struct gyre_options options;
	struct world *w[3];

	(void)state;
	gyre_options_init(&options);
	for (size_t i = 0; i < LENGTH(orders); i++) {
		for (unsigned j = 0; j < 3; j++)
			w[j] = world_make(&options);
		for (unsigned j = 0; j < 3; j++) {
			for (unsigned k = 0; k <= j; k++)
				node_new(w[j], w[j]->m, k);
		}
		expect_ok(gyre_park(w[orders[i][2]]->m));
		expect_equal(world_collect(w[orders[i][0]]->m), (unsigned)orders[i][0] + 1);
		expect_equal(world_collect(w[orders[i][1]]->m), (unsigned)orders[i][1] + 1);
		expect_ok(gyre_unpark(w[orders[i][2]]->m));
		for (unsigned j = 0; j < 3; j++)
			world_end(w[orders[i][j]]);
	}
}

struct pair {
	struct world *w;
	_Atomic(bool) stop;
};

static void *pass_safe_points(void *arg)
{
	struct pair *p = arg;
	struct gyre_mutator *m;

	expect_ok(gyre_attach(p->w->heap, 0, &m));
	while (!atomic_load(&p->stop))
		gyre_safepoint(m);
	expect_ok(gyre_detach(m));
	return NULL;
}

static void *collect_twenty(void *arg)
{
	struct pair *p = arg;
	struct gyre_mutator *m;

	expect_ok(gyre_attach(p->w->heap, 0, &m));
	for (uint64_t i = 0; i < 20; i++) {
		node_new(p->w, m, i);
		expect_equal(world_collect(m), 1);
	}
	expect_ok(gyre_detach(m));
	return NULL;
}

/*
 * A thread of two heaps waits in one of them, first in gyre_collect, then parked and blocked, and
 * is not parked in the other: the boundaries of the one must not wait for it, whoever runs there.
 */
static void waiting_in_one_heap_of_two(void **state)
{
	struct world *w = *state, *other;
	struct pair pair = { .w = w };
	struct gyre_options options;
	pthread_t threads[2];

	gyre_options_init(&options);
	other = world_make(&options);
	threads[0] = thread_start(pass_safe_points, &pair);
	for (uint64_t i = 0; i < 20; i++) {
		node_new(w, w->m, i);
		expect_equal(world_collect(w->m), 1);
	}
	expect_ok(gyre_park(w->m));
	threads[1] = thread_start(collect_twenty, &pair);
	thread_join(threads[1]);
	atomic_store(&pair.stop, true);
	thread_join(threads[0]);
	expect_ok(gyre_unpark(w->m));
	expect(node_is(node_new(other, other->m, 1), 1));
	expect_equal(world_collect(other->m), 1);
	world_end(other);
}

static void park_and_unpark_say_what_they_found(void **state)
{
	struct world *w = *state;
	struct gyre_verify_report report = { .size = sizeof(report) };
	uint64_t reclaimed;

	expect_status(gyre_unpark(w->m), GYRE_INVALID);
	expect_equal(world_stats(w->heap).mutators_parked, 0);
	for (int i = 0; i < 100; i++) {
		expect_ok(gyre_park(w->m));
		expect_status(gyre_park(w->m), GYRE_PARKED);
		expect_equal(world_stats(w->heap).mutators_parked, 1);
		expect_status(gyre_collect(w->m, &reclaimed), GYRE_PARKED);
		expect_status(gyre_collect(w->m, NULL), GYRE_PARKED);
		expect_status(gyre_verify(w->m, &report, NULL, NULL), GYRE_PARKED);
		expect_ok(gyre_unpark(w->m));
		expect_status(gyre_unpark(w->m), GYRE_INVALID);
		expect_equal(world_stats(w->heap).mutators_parked, 0);
	}
	expect_equal(world_stats(w->heap).mutators, 1);
	expect_ok(gyre_collect(w->m, NULL));
}

/* Parking is a safe point, and so is coming back: what nothing keeps dies. */
static void parking_is_a_safe_point(void **state)
{
	struct world *w = *state;
	struct node *kept = node_new(w, w->m, 1);
	GYRE_KEEP(w->m, kept);

	for (int i = 0; i < 50; i++) {
		node_new(w, w->m, 2);
		expect_ok(gyre_park(w->m));
		gyre_collect_soon(w->heap);
		expect_ok(gyre_unpark(w->m));
		expect(node_is(kept, 1));
	}
	expect_live(w->m, 1);
	expect(node_is(kept, 1));
	kept = NULL;
}

struct guest {
	struct world *w;
	struct gate here, go;
	struct gyre_root root;
	pthread_key_t key;
	enum gyre_status detached;
	int rounds; /* destructor rounds before it detaches */
	int tid;
};

static void *parked_guest(void *arg)
{
	struct guest *g = arg;
	struct gyre_mutator *m;

	expect_ok(gyre_attach(g->w->heap, 0, &m));
	for (uint64_t i = 0; i < 100; i++) /* garbage of a thread that sleeps */
		node_new(g->w, m, i);
	expect_ok(gyre_root_init(m, &g->root, node_new(g->w, m, 5)));
	expect_ok(gyre_park(m));
	gate_open(&g->here, 1);
	gate_wait(&g->go, 1);
	expect_ok(gyre_unpark(m));
	expect(node_is(gyre_load(&g->root.slot), 5));
	expect_ok(gyre_root_drop(m, &g->root));
	expect_ok(gyre_detach(m));
	return NULL;
}

static void a_parked_thread_holds_up_nothing(void **state)
{
	struct world *w = *state;
	struct guest g = { .w = w, .here = GATE_CLOSED, .go = GATE_CLOSED };
	pthread_t thread = thread_start(parked_guest, &g);

	gate_wait(&g.here, 1);
	expect_equal(world_stats(w->heap).mutators_parked, 1);
	expect_equal(world_collect(w->m), 100); /* would hang, did it wait for the sleeper */
	for (int i = 0; i < 20; i++) {
		node_new(w, w->m, 1);
		expect_equal(world_collect(w->m), 1);
	}
	expect_live(w->m, 1);
	gate_open(&g.go, 1);
	expect_ok(gyre_park(w->m));
	thread_join(thread);
	expect_ok(gyre_unpark(w->m));
	expect_live(w->m, 0);
}

/*
 * A destructor of thread-specific data detaches, in the first round of destructors or in a later
 * one; its key is older than the heap's or younger, so it runs before the heap's own destructor or
 * after.
 */
static struct guest *leaving;
static struct gyre_mutator *leaving_m;

static void detach_late(void *arg)
{
	struct guest *g = leaving;

	if (g->rounds-- > 0) {
		pthread_setspecific(g->key, arg);
		return;
	}
	expect(arg == leaving_m);
	expect_ok(gyre_root_init(leaving_m, &g->root, node_new(g->w, leaving_m, 31)));
	g->detached = gyre_detach(leaving_m);
}

static void *leave_by_destructor(void *arg)
{
	struct guest *g = arg;

	expect_ok(gyre_attach(g->w->heap, 0, &leaving_m));
	leaving = g;
	node_new(g->w, leaving_m, 1);
	expect(pthread_setspecific(g->key, leaving_m) == 0);
	return NULL;
}

static void leave_with_key(struct world *w, pthread_key_t key)
{
	for (int rounds = 0; rounds < 2; rounds++) {
		struct guest g = { .w = w, .key = key, .rounds = rounds };

		g.detached = GYRE_INVALID;
		expect_ok(gyre_park(w->m));
		thread_join(thread_start(leave_by_destructor, &g));
		expect_ok(gyre_unpark(w->m));
		expect_status(g.detached, GYRE_OK);
		expect_equal(world_stats(w->heap).mutators, 1);
		expect_live(w->m, 1);
		expect(node_is(gyre_load(&g.root.slot), 31));
		expect_ok(gyre_root_drop(w->m, &g.root));
		expect_live(w->m, 0);
		expect_equal(world_stats(w->heap).orphans, 0);
	}
}

static void destructors_may_detach(void **state)
{
	struct gyre_options options;
	pthread_key_t older, younger;
	struct world *w;

	(void)state;
	gyre_options_init(&options);
	expect(pthread_key_create(&older, detach_late) == 0);
	w = world_make(&options);
	expect(pthread_key_create(&younger, detach_late) == 0);
	leave_with_key(w, older);
	leave_with_key(w, younger);
	pthread_key_delete(older);
	pthread_key_delete(younger);
	world_end(w);
}

/* Ends attached: with a store to a root that must not be lost, garbage, and an open frame. */
static struct gyre_keep left_open[8];
static void *left_values[8];
static _Atomic(unsigned) left_count;

static void *die_attached(void *arg)
{
	struct guest *g = arg;
	unsigned i = atomic_fetch_add(&left_count, 1) % LENGTH(left_open);
	struct gyre_mutator *m;
	struct node *a, *b;

	expect_ok(gyre_attach(g->w->heap, 0, &m));
	gyre_mutator_name(m, "stonefish");
	a = node_new(g->w, m, 1);
	b = node_new(g->w, m, 2);
	expect_ok(gyre_init(m, &a->left, b));
	expect_ok(gyre_init(m, &b->left, a));
	left_values[i] = node_new(g->w, m, 3);
	gyre_keep_open(m, &left_open[i], &left_values[i], 1);
	gyre_safepoint(m);
	expect_ok(gyre_store(m, &g->root.slot, node_new(g->w, m, 4)));
	g->tid = gettid();
	if (g->rounds)
		expect_ok(gyre_park(m));
	return NULL;
}

static void die(struct world *w, bool parked)
{
	struct guest g = { .w = w, .rounds = parked };
	char line[512], tid[32];
	uint64_t orphans = world_stats(w->heap).orphans;

	expect_ok(gyre_root_init(w->m, &g.root, NULL));
	expect_ok(gyre_park(w->m));
	thread_join(thread_start(die_attached, &g));
	expect_ok(gyre_unpark(w->m));
	/* The store survives; the cycle and what the frame held are gone. */
	expect_live(w->m, 1);
	expect(node_is(gyre_load(&g.root.slot), 4));
	expect_equal(world_stats(w->heap).orphans, orphans + 1);
	expect_equal(world_stats(w->heap).mutators, 1);
	snprintf(tid, sizeof(tid), "%d", g.tid);
	support_log_wait(&w->log, tid, line, sizeof(line));
	expect(strstr(line, "stonefish") != NULL);
	expect_ok(gyre_root_drop(w->m, &g.root));
	expect_live(w->m, 0);
}

static void threads_that_die_attached_lose_nothing(void **state)
{
	die(*state, false);
	die(*state, true);
	die(*state, false);
}

/* Many at once, none of them joined in order, and the heap is closed while nobody is attached. */
static void many_die_attached(void **state)
{
	struct world *w = *state;
	struct guest g[LENGTH(left_open)];
	pthread_t threads[LENGTH(left_open)];

	memset(g, 0, sizeof(g));
	for (size_t i = 0; i < LENGTH(threads); i++) {
		g[i].w = w;
		g[i].rounds = i % 2;
		expect_ok(gyre_root_init(w->m, &g[i].root, NULL));
	}
	expect_ok(gyre_park(w->m));
	for (size_t i = 0; i < LENGTH(threads); i++)
		threads[i] = thread_start(die_attached, &g[i]);
	for (size_t i = 0; i < LENGTH(threads); i++)
		thread_join(threads[i]);
	expect_ok(gyre_unpark(w->m));
	expect_live(w->m, LENGTH(threads));
	expect_equal(world_stats(w->heap).orphans, LENGTH(threads));
	for (size_t i = 0; i < LENGTH(threads); i++) {
		expect(node_is(gyre_load(&g[i].root.slot), 4));
		expect_ok(gyre_root_drop(w->m, &g[i].root));
	}
	expect_live(w->m, 0);
}

/* Without a log, the heap closed right after: the dead count neither as attached nor as a leak. */
static void a_heap_closes_after_its_dead(void **state)
{
	struct world w = { 0 };
	struct guest g = { .w = &w };

	(void)state;
	expect_ok(support_open_heap(&w.heap, NULL));
	world_types(&w);
	expect_ok(gyre_attach(w.heap, 0, &w.m));
	expect_ok(gyre_root_init(w.m, &g.root, NULL));
	expect_ok(gyre_detach(w.m));
	thread_join(thread_start(die_attached, &g));
	expect_ok(gyre_heap_close(w.heap));
}

/* Threads come and go while others work; each leaves one object in the list of all. */
static void *visit(void *arg)
{
	struct guest *g = arg;
	struct gyre_mutator *m;

	for (uint64_t i = 0; i < 100; i++) {
		struct node *n;
		void *head;

		expect_ok(gyre_attach(g->w->heap, 0, &m));
		n = node_new(g->w, m, i);
		node_new(g->w, m, i);
		do {
			head = gyre_load(&g->root.slot);
			expect_ok(gyre_store_exclusive(m, &n->left, head));
		} while (gyre_compare_exchange(m, &g->root.slot, &head, n) == GYRE_CHANGED);
		if (i % 3 == 0)
			gyre_safepoint(m);
		expect_ok(gyre_detach(m));
	}
	return NULL;
}

static void threads_come_and_go(void **state)
{
	struct world *w = *state;
	struct guest g = { .w = w };
	pthread_t threads[6];
	uint64_t count = 0;

	expect_ok(gyre_root_init(w->m, &g.root, NULL));
	for (size_t i = 0; i < LENGTH(threads); i++)
		threads[i] = thread_start(visit, &g);
	for (int i = 0; i < 50; i++)
		world_collect(w->m);
	expect_ok(gyre_park(w->m));
	for (size_t i = 0; i < LENGTH(threads); i++)
		thread_join(threads[i]);
	expect_ok(gyre_unpark(w->m));
	expect_live(w->m, 600);
	for (struct node *n = gyre_load(&g.root.slot); n; n = gyre_load(&n->left), count++)
		expect(node_sound(n));
	expect_equal(count, 600);
	expect_ok(gyre_root_drop(w->m, &g.root));
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(attaching_twice_is_refused),
		cmocka_unit_test(one_thread_in_several_heaps),
		world_test(waiting_in_one_heap_of_two),
		world_test(park_and_unpark_say_what_they_found),
		world_test(parking_is_a_safe_point),
		world_test(a_parked_thread_holds_up_nothing),
		cmocka_unit_test(destructors_may_detach),
		world_test(threads_that_die_attached_lose_nothing),
		world_test(many_die_attached),
		cmocka_unit_test(a_heap_closes_after_its_dead),
		world_test(threads_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
