/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_clock.c: the monotonic clock, as the library reads it, jumps ahead by hours, stands still
 * for long, and is set back (which no kernel does, but a checkpointed container may see), while
 * threads change a graph. Collections are complete, nothing is lost, and nobody waits for ever.
 *
 * Invariant: the clock's course follows from the seed and the number of its readings. A hang ends
 * the executable by SIGALRM.
 */
#include "churn.h"

#include <sched.h>

#include "wrap.h"

enum { THREADS = 3, STEPS = SUPPORT_SANITIZED ? 10 * 1000 : 60 * 1000 };

struct thread {
	struct world *w;
	uint64_t seed;
	struct churn *churn;
};

static void *churn_by_a_bent_clock(void *arg)
{
	struct thread *t = arg;
	struct churn *c = t->churn = churn_begin(t->w, t->seed);

	for (int i = 1; i <= STEPS; i++) {
		churn_step(c);
		if (i % (STEPS / 8) == 0)
			world_collect(c->m);
		if (i % (STEPS / 2) == 0)
			world_verify(c->m);
	}
	churn_leave(c);
	return NULL;
}

/* A heap with little patience in every respect, so that the clock matters. */
static struct world *hasty_world(void)
{
	struct gyre_options options;

	gyre_options_init(&options);
	options.flags = GYRE_POISON;
	options.epoch_bytes = 64 << 10;
	options.epoch_ns = 1000000;
	options.delay_ns = 1000000;
	options.stall_ns = 5000000;
	options.journal_limit = 4 << 20;
	return world_make(&options);
}

static void churn_under(enum wrap_clock kind)
{
	uint64_t seed = churn_seed();
	struct world *w = hasty_world();
	struct thread threads[THREADS];
	pthread_t ids[THREADS];
	struct churn *churns[THREADS];

	wrap_set_clock(kind, seed + kind);
	for (uint64_t i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){ w, seed + i, NULL };
		ids[i] = thread_start(churn_by_a_bent_clock, &threads[i]);
	}
	expect_ok(gyre_park(w->m));
	for (size_t i = 0; i < THREADS; i++) {
		thread_join(ids[i]);
		churns[i] = threads[i].churn;
	}
	expect_ok(gyre_unpark(w->m));
	churn_judge(w, churns, THREADS);
	expect(wrap_clock_changes() > 10);
	world_end(w);
	wrap_set_clock(WRAP_TRUE, 0);
}

static void the_clock_jumps_ahead(void **state)
{
	(void)state;
	churn_under(WRAP_JUMPS);
}

static void the_clock_stands_still(void **state)
{
	(void)state;
	churn_under(WRAP_STOPS);
}

static void the_clock_is_set_back(void **state)
{
	(void)state;
	churn_under(WRAP_BACK);
}

/* Without a word of the program: garbage is found by the passing of time alone. */
static void reclaims_unasked(enum wrap_clock kind)
{
	struct world *w = hasty_world();

	wrap_set_clock(kind, churn_seed());
	for (uint64_t round = 0; round < 20; round++) {
		uint64_t until = 2 * (round + 1);
		struct node *a = node_new(w, w->m, 1), *b = node_new(w, w->m, 2);

		expect_ok(gyre_init(w->m, &a->left, b));
		expect_ok(gyre_init(w->m, &b->left, a));
		while (world_stats(w->heap).objects_reclaimed < until) {
			gyre_safepoint(w->m);
			sched_yield();
		}
	}
	world_end(w);
	wrap_set_clock(WRAP_TRUE, 0);
}

static void garbage_is_found_when_the_clock_jumps(void **state)
{
	(void)state;
	reclaims_unasked(WRAP_JUMPS);
	reclaims_unasked(WRAP_STOPS);
}

static void garbage_is_found_when_the_clock_is_set_back(void **state)
{
	(void)state;
	reclaims_unasked(WRAP_BACK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_clock_jumps_ahead),
		cmocka_unit_test(the_clock_stands_still),
		cmocka_unit_test(the_clock_is_set_back),
		cmocka_unit_test(garbage_is_found_when_the_clock_jumps),
		cmocka_unit_test(garbage_is_found_when_the_clock_is_set_back),
	};

	wrap_role = WRAP_TEST;
	alarm(240);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
