/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_collect.c: gyre_collect reclaims all that was garbage at the call, says how much, and
 * nothing else: chains, rings, deep lists, compound cycles, garbage of other threads, several
 * callers.
 */
#include "support.h"

/* A ring of count nodes; returns one of them. */
static struct node *ring(struct world *w, struct gyre_mutator *m, uint64_t count)
{
	struct node *first = node_new(w, m, 0), *last = first;

	for (uint64_t i = 1; i < count; i++) {
		struct node *n = node_new(w, m, i);

		expect_ok(gyre_init(m, &n->left, last));
		last = n;
	}
	expect_ok(gyre_init(m, &first->left, last));
	return last;
}

/* A list of count nodes; returns its head. */
static struct node *list(struct world *w, struct gyre_mutator *m, uint64_t count)
{
	struct node *head = NULL;

	for (uint64_t i = 0; i < count; i++) {
		struct node *n = node_new(w, m, i);

		expect_ok(gyre_init(m, &n->left, head));
		head = n;
	}
	return head;
}

static void nothing_is_nothing(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 10; i++)
		expect_equal(world_collect(w->m), 0);
	expect_ok(gyre_collect(w->m, NULL));
}

static void newborns_die_unseen(void **state)
{
	static const uint64_t sizes[] = { 1, 2, 10, 1000, 50000 };
	struct world *w = *state;

	for (size_t i = 0; i < LENGTH(sizes); i++) {
		list(w, w->m, sizes[i]);
		expect_equal(world_collect(w->m), sizes[i]);
		ring(w, w->m, sizes[i]);
		expect_equal(world_collect(w->m), sizes[i]);
		expect_live(w->m, 0);
	}
}

/* The same once they have survived collections: counts and colours are those of the old. */
static void the_old_die_as_well(void **state)
{
	static const uint64_t sizes[] = { 1, 2, 3, 63, 64, 65, 1000, 20000 };
	struct world *w = *state;

	for (size_t i = 0; i < LENGTH(sizes); i++) {
		for (int cyclic = 0; cyclic < 2; cyclic++) {
			struct gyre_root root;

			expect_ok(gyre_root_init(w->m, &root,
						 (cyclic ? ring : list)(w, w->m, sizes[i])));
			for (int j = 0; j < 3; j++)
				expect_equal(world_collect(w->m), 0);
			expect_live(w->m, sizes[i]);
			expect_ok(gyre_root_drop(w->m, &root));
			expect_equal(world_collect(w->m), sizes[i]);
			expect_live(w->m, 0);
		}
	}
}

/* A ring lives by one frame and is whole, then dies when the frame is left. */
static void a_frame_keeps_a_ring(void **state)
{
	static const uint64_t sizes[] = { 1, 2, 1000 };
	struct world *w = *state;

	for (size_t i = 0; i < LENGTH(sizes); i++) {
		struct node *n = ring(w, w->m, sizes[i]);
		{
			uint64_t count = 0;
			struct node *at = n;
			GYRE_KEEP(w->m, n);

			expect_live(w->m, sizes[i]);
			do {
				expect(node_sound(at));
				at = gyre_load(&at->left);
			} while (++count < 100000 && at != n);
			expect_equal(count, sizes[i]);
		}
		expect_equal(world_collect(w->m), sizes[i]);
	}
}

/* A dead ring refers to a live list, and a live list to a ring: only what is dead dies. */
static void the_dead_do_not_take_the_living(void **state)
{
	struct world *w = *state;
	struct node *alive = list(w, w->m, 100), *dead = ring(w, w->m, 100), *at = alive;
	struct gyre_root roots[2];

	for (struct node *n = dead; (n = gyre_load(&n->left)) != dead;) {
		expect_ok(gyre_init(w->m, &n->right, at));
		at = gyre_load(&at->left);
	}
	expect_ok(gyre_root_init(w->m, &roots[0], alive));
	expect_ok(gyre_root_init(w->m, &roots[1], dead));
	expect_live(w->m, 200);
	expect_ok(gyre_root_drop(w->m, &roots[1]));
	expect_equal(world_collect(w->m), 100);
	at = gyre_load(&roots[0].slot);
	for (uint64_t i = 100; i-- > 0; at = gyre_load(&at->left))
		expect(node_is(at, i));
	expect_ok(gyre_store(w->m, &alive->right, ring(w, w->m, 70)));
	expect_live(w->m, 170);
	expect_ok(gyre_store(w->m, &alive->right, NULL));
	expect_live(w->m, 100);
	expect_ok(gyre_root_drop(w->m, &roots[0]));
	expect_live(w->m, 0);
}

/* Every node refers to every other, itself included; one reference from outside keeps them all. */
static void dense_cycles_die(void **state)
{
	enum { N = 60 };
	struct world *w = *state;
	struct refs *all[N];
	struct gyre_root root;

	for (size_t i = 0; i < N; i++)
		all[i] = refs_new(w, w->m, N);
	for (size_t i = 0; i < N; i++) {
		for (size_t j = 0; j < N; j++)
			expect_ok(gyre_init(w->m, &all[i]->items[j], all[j]));
	}
	expect_ok(gyre_root_init(w->m, &root, all[N / 2]));
	expect_live(w->m, N);
	for (size_t i = 0; i < N; i++)
		expect(gyre_load(&all[i]->items[i]) == all[i]);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_equal(world_collect(w->m), N);
}

static void deep_lists_and_rings_die(void **state)
{
	enum { DEEP = 1000000 };
	struct world *w = *state;
	struct gyre_root root;

	expect_ok(gyre_root_init(w->m, &root, list(w, w->m, DEEP)));
	expect_equal(world_collect(w->m), 0);
	expect_ok(gyre_store(w->m, &root.slot, ring(w, w->m, DEEP)));
	expect_equal(world_collect(w->m), DEEP);
	expect_live(w->m, DEEP);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_equal(world_collect(w->m), DEEP);
	list(w, w->m, DEEP);
	expect_equal(world_collect(w->m), DEEP);
}

/*
 * count rings of two, each with a reference to the next (or to the previous): dropped at the head
 * all of them are garbage, but each keeps the count of the next above zero.
 */
static uint64_t chained(struct world *w, uint64_t count, bool forward)
{
	struct node *head = NULL, *tail = NULL;
	struct gyre_stats before, after;
	struct gyre_root root;

	for (uint64_t i = 0; i < count; i++) {
		struct node *n = ring(w, w->m, 2);

		if (forward && tail)
			expect_ok(gyre_init(w->m, &tail->right, n));
		else if (!forward)
			expect_ok(gyre_init(w->m, &n->right, head));
		head = forward && head ? head : n;
		tail = n;
	}
	expect_ok(gyre_root_init(w->m, &root, head));
	expect_live(w->m, 2 * count);
	before = world_stats(w->heap);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_equal(world_collect(w->m), 2 * count);
	after = world_stats(w->heap);
	expect_live(w->m, 0);
	return after.near_traced + after.far_traced - before.near_traced - before.far_traced;
}

/* The objects traced per object do not grow with the length of the chain. */
static void chained_cycles_cost_linear_work(void **state)
{
	struct world *w = *state;

	for (int forward = 0; forward < 2; forward++) {
		uint64_t traced = chained(w, 1000, forward);
		uint64_t each = traced / 2000 + 1;

		for (uint64_t count = 10000; count <= 100000; count *= 10)
			expect(chained(w, count, forward) <= 2 * count * 2 * each);
	}
}

struct other {
	struct world *w;
	struct gate here, go;
	bool detach;
};

static void *litter(void *arg)
{
	struct other *o = arg;
	struct gyre_mutator *m;

	expect_ok(gyre_attach(o->w->heap, 0, &m));
	ring(o->w, m, 500);
	list(o->w, m, 500);
	if (o->detach)
		expect_ok(gyre_detach(m));
	else
		expect_ok(gyre_park(m));
	gate_open(&o->here, 1);
	gate_wait(&o->go, 1);
	if (!o->detach) {
		expect_ok(gyre_unpark(m));
		expect_ok(gyre_detach(m));
	}
	return NULL;
}

static void garbage_of_other_threads_dies(void **state)
{
	struct world *w = *state;

	for (int detach = 0; detach < 2; detach++) {
		struct other o = { w, GATE_CLOSED, GATE_CLOSED, detach };
		pthread_t thread = thread_start(litter, &o);

		expect_ok(gyre_park(w->m));
		gate_wait(&o.here, 1);
		expect_ok(gyre_unpark(w->m));
		world_collect(w->m);
		expect_equal(world_verify(w->m).objects, 0);
		expect_equal(world_stats(w->heap).objects_reclaimed, 1000 * (detach + 1));
		gate_open(&o.go, 1);
		expect_ok(gyre_park(w->m));
		thread_join(thread);
		expect_ok(gyre_unpark(w->m));
	}
}

/* A mutator that makes rings and passes safe points, while the main thread asks again and again. */
static void *collect_too(void *arg)
{
	struct other *o = arg;
	struct gyre_mutator *m;
	struct gyre_root root;

	expect_ok(gyre_attach(o->w->heap, 0, &m));
	expect_ok(gyre_root_init(m, &root, NULL));
	for (uint64_t i = 0; i < 100; i++) {
		struct node *n = ring(o->w, m, 20);

		expect_ok(gyre_store(m, &root.slot, n));
		expect_ok(gyre_init(m, &n->right, node_new(o->w, m, i)));
		expect_ok(gyre_collect(m, NULL));
		expect(node_is(gyre_load(&((struct node *)gyre_load(&root.slot))->right), i));
	}
	expect_ok(gyre_root_drop(m, &root));
	expect_ok(gyre_detach(m));
	return NULL;
}

static void several_threads_collect_at_once(void **state)
{
	struct world *w = *state;
	struct other o = { w, GATE_CLOSED, GATE_CLOSED, false };
	pthread_t threads[3];

	for (size_t i = 0; i < LENGTH(threads); i++)
		threads[i] = thread_start(collect_too, &o);
	for (int i = 0; i < 100; i++) {
		ring(w, w->m, 20);
		expect(world_collect(w->m) >= 20);
	}
	expect_ok(gyre_park(w->m));
	for (size_t i = 0; i < LENGTH(threads); i++)
		thread_join(threads[i]);
	expect_ok(gyre_unpark(w->m));
	expect_live(w->m, 0);
	expect_equal(world_stats(w->heap).objects_reclaimed, 100 * 20 + 3 * 100 * 21);
}

struct rotor {
	struct world *w;
	struct gyre_root roots[2];
	_Atomic(bool) stop;
};

/* The only reference to a ring moves between two roots and a fresh node, safe points between. */
static void *rotate(void *arg)
{
	struct rotor *r = arg;
	struct gyre_mutator *m;

	expect_ok(gyre_attach(r->w->heap, 0, &m));
	for (uint64_t i = 0; !atomic_load(&r->stop); i++) {
		struct gyre_root *from = &r->roots[i % 2], *to = &r->roots[(i + 1) % 2];
		struct node *n = gyre_load(&from->slot), *between = node_new(r->w, m, i);
		struct node *next = gyre_load(&n->left);

		expect(node_sound(n) && node_sound(next));
		expect_ok(gyre_init(m, &between->left, next));
		{
			GYRE_KEEP(m, between);
			expect_ok(gyre_store(m, &from->slot, NULL));
			gyre_safepoint(m);
			expect(node_is(between, i));
		}
		expect_ok(gyre_store(m, &to->slot, gyre_load(&between->left)));
		gyre_safepoint(m);
	}
	expect_ok(gyre_detach(m));
	return NULL;
}

static void moving_rings_live(void **state)
{
	struct world *w = *state;
	struct rotor r = { .w = w };
	struct node *n;
	pthread_t thread;
	uint64_t count = 0;

	expect_ok(gyre_root_init(w->m, &r.roots[0], ring(w, w->m, 200)));
	expect_ok(gyre_root_init(w->m, &r.roots[1], NULL));
	thread = thread_start(rotate, &r);
	for (int i = 0; i < (SUPPORT_SLOW ? 8 : 25); i++)
		world_collect(w->m);
	atomic_store(&r.stop, true);
	expect_ok(gyre_park(w->m));
	thread_join(thread);
	expect_ok(gyre_unpark(w->m));
	expect_live(w->m, 200);
	n = gyre_load(&r.roots[0].slot);
	if (!n)
		n = gyre_load(&r.roots[1].slot);
	for (struct node *at = n; ++count < 1000 && (at = gyre_load(&at->left)) != n;)
		expect(node_sound(at));
	expect_equal(count, 200);
	expect_ok(gyre_root_drop(w->m, &r.roots[0]));
	expect_ok(gyre_root_drop(w->m, &r.roots[1]));
	expect_live(w->m, 0);
}

static void *collect_for_ever(void *arg)
{
	struct world *w = arg;
	struct gyre_mutator *m;

	expect_ok(gyre_attach(w->heap, 0, &m));
	for (;;) {
		ring(w, m, 2);
		expect_ok(gyre_collect(m, NULL));
		pthread_testcancel();
	}
	return NULL;
}

/* No wait of gyre is a point of cancellation: a thread leaves no lock held, and no stack that the
 * collector still writes to. */
static void waiting_threads_may_be_cancelled(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 20; i++) {
		pthread_t thread = thread_start(collect_for_ever, w);
		void *end;

		expect_ok(gyre_park(w->m));
		usleep(500 * i);
		expect(pthread_cancel(thread) == 0);
		expect(pthread_join(thread, &end) == 0 && end == PTHREAD_CANCELED);
		expect_ok(gyre_unpark(w->m));
		world_collect(w->m);
	}
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(nothing_is_nothing),
		world_test(newborns_die_unseen),
		world_test(the_old_die_as_well),
		world_test(a_frame_keeps_a_ring),
		world_test(the_dead_do_not_take_the_living),
		world_test(dense_cycles_die),
		world_test(deep_lists_and_rings_die),
		world_test(chained_cycles_cost_linear_work),
		world_test(garbage_of_other_threads_dies),
		world_test(several_threads_collect_at_once),
		world_test(moving_rings_live),
		world_test(waiting_threads_may_be_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
