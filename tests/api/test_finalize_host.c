/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_finalize_host.c: finalizers that the host runs: one batch after another, by several threads,
 * by threads that end meanwhile; and who waits for them.
 */
#include "finalize.h"

#include <poll.h>

/* ---- delivery by the host ---- */

static bool readable(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	return poll(&poller, 1, 0) == 1;
}

static void the_host_runs_them(void **state)
{
	struct world *w = *state;
	int fd = gyre_finalize_fd(w->heap);
	uint64_t ran = 99;

	expect(fd >= 0 && !readable(fd));
	expect_ok(gyre_finalize_next(w->m, &ran));
	expect_equal(ran, 0);
	link_to(thing_new(w->m, 1), thing_new(w->m, 2));
	thing_new(w->m, 3);
	world_collect(w->m);
	expect_equal(seen.count, 0);
	expect(readable(fd));
	expect_equal(world_stats(w->heap).finalizers_waiting, 3);
	world_verify(w->m);
	for (unsigned total = 0; total < 3; total += (unsigned)ran) {
		expect(readable(fd));
		expect_ok(gyre_finalize_next(w->m, &ran));
		expect(ran > 0);
	}
	expect(!readable(fd));
	expect_equal(seen.count, 3);
	expect_left(w, 0);
}

static void *end_in_finalizer(void *arg)
{
	struct gyre_mutator *m;

	(void)arg;
	expect_ok(gyre_attach(seen.w->heap, 0, &m));
	gyre_finalize_next(m, NULL);
	return NULL;
}

static void end_thread(struct gyre_mutator *m, struct thing *thing)
{
	(void)m;
	if (thing->id == 1)
		pthread_exit(NULL);
}

/* What it had begun is done; the rest of its batch is for the next. */
static void a_thread_may_die_in_one(void **state)
{
	struct world *w = *state;

	link_to(thing_new(w->m, 1), thing_new(w->m, 2));
	world_collect(w->m);
	seen.then = end_thread;
	expect_ok(gyre_park(w->m));
	thread_join(thread_start(end_in_finalizer, NULL));
	expect_ok(gyre_unpark(w->m));
	expect_equal(seen.count, 1);
	seen.then = NULL;
	expect_left(w, 0);
	expect_equal(seen.runs[1], 1);
	expect_equal(seen.runs[2], 1);
	expect_equal(world_stats(w->heap).orphans, 1);
}

static struct gate dying = GATE_CLOSED;

static void end_thread_late(struct gyre_mutator *m, struct thing *thing)
{
	(void)m;
	if (thing->id != 1)
		return;
	gate_open(&dying, 1);
	expect_ok(gyre_park(m));
	usleep(100000); /* while the other thread has begun to wait, most likely */
	expect_ok(gyre_unpark(m));
	pthread_exit(NULL);
}

/* Who waits runs what the other one leaves. */
static void waiting_for_a_thread_that_dies(void **state)
{
	struct world *w = *state;
	pthread_t thread;

	alarm(120);
	link_to(thing_new(w->m, 1), thing_new(w->m, 2));
	world_collect(w->m);
	seen.then = end_thread_late;
	gate_open(&dying, 0);
	expect_ok(gyre_park(w->m));
	thread = thread_start(end_in_finalizer, NULL);
	gate_wait(&dying, 1);
	expect_ok(gyre_unpark(w->m));
	expect_ok(gyre_finalize_wait(w->m));
	expect_equal(seen.runs[1], 1);
	expect_equal(seen.runs[2], 1);
	thread_join(thread);
	seen.then = NULL;
	expect_left(w, 0);
	alarm(0);
}

static void queue_another(struct gyre_mutator *m, struct thing *thing)
{
	if (thing->id != 1)
		return;
	gate_open(&dying, 1);
	thing_new(m, 3);
	expect_ok(gyre_park(m));
	usleep(100000);
	expect_ok(gyre_unpark(m));
	expect_ok(gyre_collect(m, NULL));
	expect(world_stats(seen.w->heap).finalizers_waiting + seen.runs[3] > 0);
}

static void *run_one(void *arg)
{
	struct gyre_mutator *m;

	(void)arg;
	expect_ok(gyre_attach(seen.w->heap, 0, &m));
	expect_ok(gyre_finalize_next(m, NULL));
	expect_ok(gyre_detach(m));
	return NULL;
}

/* Who waits runs what is queued while another's batch is still running. */
static void waiting_while_more_is_queued(void **state)
{
	struct world *w = *state;
	pthread_t thread;

	alarm(120);
	thing_new(w->m, 1);
	world_collect(w->m);
	seen.then = queue_another;
	gate_open(&dying, 0);
	expect_ok(gyre_park(w->m));
	thread = thread_start(run_one, NULL);
	gate_wait(&dying, 1);
	expect_ok(gyre_unpark(w->m));
	expect_ok(gyre_finalize_wait(w->m));
	expect_equal(seen.runs[3], 1);
	expect_ok(gyre_park(w->m));
	thread_join(thread);
	expect_ok(gyre_unpark(w->m));
	expect_left(w, 0);
	alarm(0);
}

/* Parked, so that no boundary waits. */
static void meet(struct gyre_mutator *m, int opened, int awaited)
{
	expect_ok(gyre_park(m));
	gate_open(&dying, opened);
	gate_wait(&dying, awaited);
	expect_ok(gyre_unpark(m));
}

static void cross(struct gyre_mutator *m, struct thing *thing)
{
	if (thing->id == 1)
		meet(m, 1, 2);
	else
		meet(m, 2, 3);
}

/* Two batches run at once; the one that began first ends first. */
static void two_batches_at_once(void **state)
{
	struct world *w = *state;
	pthread_t thread;

	gate_open(&dying, 0);
	seen.then = cross;
	thing_new(w->m, 1);
	world_collect(w->m);
	thing_new(w->m, 2);
	world_collect(w->m);
	expect_equal(world_stats(w->heap).finalizers_waiting, 2);
	expect_ok(gyre_park(w->m));
	thread = thread_start(run_one, NULL);
	gate_wait(&dying, 1);
	{
		pthread_t second = thread_start(run_one, NULL);

		thread_join(thread);
		gate_open(&dying, 3);
		thread_join(second);
	}
	expect_ok(gyre_unpark(w->m));
	expect_equal(seen.runs[1], 1);
	expect_equal(seen.runs[2], 1);
	seen.then = NULL;
	expect_left(w, 0);
}

static void end_thread_in_last(struct gyre_mutator *m, struct thing *thing)
{
	(void)m;
	if (thing->id == 2)
		pthread_exit(NULL);
}

/* A batch of which nothing is left but its end is no answer to who asks for the next. */
static void the_next_is_one_that_runs(void **state)
{
	struct world *w = *state;
	uint64_t ran = 0;

	link_to(thing_new(w->m, 1), thing_new(w->m, 2));
	world_collect(w->m);
	seen.then = end_thread_in_last;
	expect_ok(gyre_park(w->m));
	thread_join(thread_start(end_in_finalizer, NULL));
	expect_ok(gyre_unpark(w->m));
	expect_equal(seen.count, 2);
	thing_new(w->m, 3);
	world_collect(w->m);
	expect_ok(gyre_finalize_next(w->m, &ran));
	expect_equal(ran, 1);
	expect_equal(seen.runs[3], 1);
	expect(!readable(gyre_finalize_fd(w->heap)));
	expect_left(w, 0);
}

static void parked_or_gone(void **state)
{
	struct world *w = *state;

	expect_status(gyre_finalize_next(NULL, NULL), GYRE_INVALID);
	expect_status(gyre_finalize_wait(NULL), GYRE_INVALID);
	expect_equal(gyre_finalize_fd(NULL), -1);
	expect_ok(gyre_park(w->m));
	expect_status(gyre_finalize_next(w->m, NULL), GYRE_PARKED);
	expect_status(gyre_finalize_wait(w->m), GYRE_PARKED);
	expect_ok(gyre_unpark(w->m));
}

static void no_descriptor_without_a_host(void **state)
{
	expect_equal(gyre_finalize_fd(((struct world *)*state)->heap), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		host_test(the_host_runs_them),
		host_test(a_thread_may_die_in_one),
		host_test(waiting_for_a_thread_that_dies),
		host_test(waiting_while_more_is_queued),
		host_test(two_batches_at_once),
		host_test(the_next_is_one_that_runs),
		host_test(parked_or_gone),
		final_test(no_descriptor_without_a_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
