/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_stalled.c: a mutator that reaches no safe point for seconds while others work against the
 * limits of the heap and of the journals. It is named, again and again; the others are refused at
 * the limits and nowhere else, and nothing grows beyond them; when it goes on, all is reclaimed.
 *
 * Invariant: the stalled thread waits for the log to say that it has stalled long enough, never
 * for time to pass by itself.
 */
#include "churn.h"

enum {
	THREADS = 2,
	STEPS = 200 * 1000,
	HEAP_LIMIT = 4 << 20,
	JOURNAL_LIMIT = 2 << 20,
	SECONDS = 2, /* that the stall lasts at least, as the log tells */
	KEPT = 100,
};

struct thread {
	struct world *w;
	uint64_t seed;
	struct churn *churn;
	struct gate begun, go;
};

/* Stalls between two safe points; what it has loaded and made stays valid all the while. */
static void *stall(void *arg)
{
	struct thread *t = arg;
	struct node *made[KEPT];
	struct gyre_mutator *m;

	expect_ok(gyre_attach(t->w->heap, 0, &m));
	gyre_mutator_name(m, "periwinkle");
	for (uint64_t i = 0; i < KEPT; i++) {
		made[i] = node_new(t->w, m, i);
		expect_ok(gyre_init(m, &made[i]->left, made[i])); /* garbage soon enough */
	}
	gate_open(&t->begun, 1);
	gate_wait(&t->go, 1);
	for (uint64_t i = 0; i < KEPT; i++)
		expect(node_is(made[i], i));
	gyre_safepoint(m);
	expect_ok(gyre_detach(m));
	return NULL;
}

static void *work(void *arg)
{
	struct thread *t = arg;
	struct churn *c = t->churn = churn_begin(t->w, t->seed);

	for (int i = 0; i < STEPS; i++)
		churn_step(c);
	churn_leave(c);
	return NULL;
}

/* The seconds that a line of the log says the thread has stalled; 0 when it says nothing. */
static unsigned stalled_seconds(struct support_log *log, const char *name)
{
	unsigned seconds = 0;

	pthread_mutex_lock(&log->lock);
	for (unsigned i = 0; i < log->count; i++) {
		const char *at = strstr(log->lines[i], " for ");
		unsigned long ms = 0;

		if (strstr(log->lines[i], name) && at && sscanf(at, " for %lu ms", &ms) == 1 &&
		    ms / 1000 > seconds)
			seconds = (unsigned)(ms / 1000);
	}
	pthread_mutex_unlock(&log->lock);
	return seconds;
}

static void wait_for_the_log(struct support_log *log, const char *name)
{
	while (stalled_seconds(log, name) < SECONDS) {
		pthread_mutex_lock(&log->lock);
		pthread_cond_wait(&log->more, &log->lock);
		pthread_mutex_unlock(&log->lock);
	}
}

static struct world *limited_world(void)
{
	struct gyre_options options;

	gyre_options_init(&options);
	options.flags = GYRE_POISON;
	options.stall_ns = 20 * 1000 * 1000;
	options.delay_ns = 100 * 1000;
	options.epoch_bytes = 64 << 10;
	options.heap_limit = HEAP_LIMIT;
	options.journal_limit = JOURNAL_LIMIT;
	return world_make(&options);
}

static void others_meet_the_limits_and_go_on(void **state)
{
	uint64_t seed = churn_seed(), refused = 0;
	struct world *w = limited_world();
	struct thread staller = { .w = w, .begun = GATE_CLOSED, .go = GATE_CLOSED };
	struct thread threads[THREADS];
	struct churn *churns[THREADS];
	pthread_t ids[THREADS], stalled = thread_start(stall, &staller);
	struct gyre_stats stats;

	(void)state;
	gate_wait(&staller.begun, 1);
	for (uint64_t i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){ .w = w, .seed = seed + i };
		ids[i] = thread_start(work, &threads[i]);
	}
	expect_ok(gyre_park(w->m));
	for (size_t i = 0; i < THREADS; i++) {
		thread_join(ids[i]);
		churns[i] = threads[i].churn;
		refused += churns[i]->refused;
		expect_equal(churns[i]->steps, STEPS);
	}
	wait_for_the_log(&w->log, "periwinkle");
	stats = world_stats(w->heap);
	expect(refused > 0);
	expect(stats.stalls > 0);
	expect(stats.bytes_mapped_max <= HEAP_LIMIT);
	expect(stats.journal_bytes_max <= JOURNAL_LIMIT);
	expect_equal(stats.objects_reclaimed, 0);
	gate_open(&staller.go, 1);
	thread_join(stalled);
	expect_ok(gyre_unpark(w->m));
	churn_judge(w, churns, THREADS);
	expect(world_stats(w->heap).objects_reclaimed > KEPT);
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_meet_the_limits_and_go_on),
	};

	alarm(240);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
