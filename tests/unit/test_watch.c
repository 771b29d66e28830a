/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_watch.c: who is named when a boundary or a stop is held up, beyond the one thread of
 * tests/api/test_stall.c: many threads at once, a thread that holds up a verification only, a
 * thread of the host's that QSBR knows and the heap does not; and a thread that attaches meanwhile.
 * The threads that hold up block at a gate until the log has named them.
 */
#include "held.h"

#include <sched.h>
#include <urcu/urcu-qsbr.h>

#define NAMED "it neither reaches a safe point nor parks"

static struct world *quick_world(void)
{
	struct gyre_options options;

	gyre_options_init(&options);
	options.stall_ns = 20 * 1000 * 1000;
	return world_make(&options);
}

/* Until there are so many lines. Others decide when; a line that never comes hangs the test. */
static void wait_for_lines(struct world *w, const char *needle, unsigned count)
{
	while (world_lines_with(w, needle) < count)
		sched_yield();
}

struct staller {
	struct world *w;
	unsigned number;
	struct gate *here, *go;
};

static void *stall(void *arg)
{
	struct staller *s = (struct staller *)arg;
	struct gyre_mutator *m;
	char name[16];

	expect_ok(gyre_attach(s->w->heap, 0, &m));
	snprintf(name, sizeof(name), "limpet%u.", s->number);
	gyre_mutator_name(m, name);
	pthread_mutex_lock(&s->here->lock);
	s->here->step++;
	pthread_cond_broadcast(&s->here->more);
	pthread_mutex_unlock(&s->here->lock);
	gate_wait(s->go, 1);
	gyre_safepoint(m);
	expect_ok(gyre_detach(m));
	return NULL;
}

/* Ten threads at once: eight of them are named, each time the wait has doubled. */
static void many_are_named_by_eights(void **state)
{
	struct world *w = quick_world();
	struct gate here = GATE_CLOSED, go = GATE_CLOSED;
	struct staller stallers[10];
	pthread_t threads[LENGTH(stallers)];
	unsigned named = 0;

	(void)state;
	/* No boundary begins before all are there, so all of them are behind at the next. */
	expect_ok(gyre_park(w->m));
	gyre__collector_hold(w->heap);
	for (unsigned i = 0; i < LENGTH(stallers); i++) {
		stallers[i] = (struct staller){ w, i, &here, &go };
		threads[i] = thread_start(stall, &stallers[i]);
	}
	gate_wait(&here, LENGTH(stallers));
	gyre__collector_let_go(w->heap);
	gyre_collect_soon(w->heap);
	wait_for_lines(w, NAMED, 16);
	for (unsigned i = 0; i < LENGTH(stallers); i++) {
		char name[16];

		snprintf(name, sizeof(name), "limpet%u.", i);
		named += world_lines_with(w, name) > 0;
	}
	expect_equal(named, 8);
	gate_open(&go, 1);
	for (unsigned i = 0; i < LENGTH(threads); i++)
		thread_join(threads[i]);
	expect_ok(gyre_unpark(w->m));
	/* One boundary was held up, however often that was said. */
	expect_equal(world_stats(w->heap).stalls, 1);
	world_end(w);
}

static void *attach_and_leave(void *arg)
{
	struct staller *s = (struct staller *)arg;
	struct gyre_mutator *m;

	gate_open(s->here, 2);
	expect_ok(gyre_attach(s->w->heap, 0, &m));
	expect_ok(gyre_detach(m));
	return NULL;
}

static bool verify_asked(struct gyre_heap *heap)
{
	struct gyre__requests *requests = &heap->collector->requests;
	bool is_asked;

	gyre__lock_take(&requests->lock);
	is_asked = requests->verify_asked;
	gyre__lock_drop(&requests->lock);
	return is_asked;
}

/* Lets the collector go when it has a verification to do, and nothing before that. Waits for the
 * name of the thread that holds up the stop; then has another thread attach, which
 * has to wait for the end of the verification; then lets the first one go. */
static void *release_when_named(void *arg)
{
	struct staller *s = (struct staller *)arg, late = *s;
	struct gate here = GATE_CLOSED;
	uint64_t journals;
	pthread_t thread;

	while (!verify_asked(s->w->heap))
		sched_yield();
	gyre__collector_let_go(s->w->heap);
	wait_for_lines(s->w, "limpet0.", 1);
	late.here = &here;
	journals = gyre__counter_get(&s->w->heap->shared.journal_bytes);
	thread = thread_start(attach_and_leave, &late);
	gate_wait(&here, 2);
	/* It has its chunks, so it is about to enter the registry, which is closed. */
	while (gyre__counter_get(&s->w->heap->shared.journal_bytes) == journals)
		sched_yield();
	for (int i = 0; i < 1000; i++)
		sched_yield();
	gate_open(s->go, 1);
	thread_join(thread);
	return NULL;
}

/* Attached and running until the verification wants everybody at rest; then one comes to a safe
 * point, and the other, number 2, asks for a verification of its own. */
static void *meet_the_stop(void *arg)
{
	struct staller *s = (struct staller *)arg;
	struct gyre__registry *registry = &s->w->heap->registry;
	struct gyre_mutator *m;
	bool stopping = false;

	expect_ok(gyre_attach(s->w->heap, 0, &m));
	gate_open(s->here, 1);
	while (!stopping) {
		gyre__lock_take(&registry->lock);
		stopping = registry->stopping;
		gyre__lock_drop(&registry->lock);
		sched_yield();
	}
	if (s->number == 2)
		world_verify(m);
	else
		gyre_safepoint(m);
	expect_ok(gyre_detach(m));
	return NULL;
}

/* No boundary is under way, so what the first thread holds up is the stop. */
static void a_stop_is_held_up(void **state)
{
	struct world *w = quick_world();
	struct gate here[3] = { GATE_CLOSED, GATE_CLOSED, GATE_CLOSED }, go = GATE_CLOSED;
	struct staller s[3];
	pthread_t threads[3], helper;

	(void)state;
	expect_ok(gyre_park(w->m));
	gyre__collector_hold(w->heap);
	expect_ok(gyre_unpark(w->m));
	for (unsigned i = 0; i < LENGTH(s); i++) {
		s[i] = (struct staller){ w, i, &here[i], &go };
		threads[i] = thread_start(i == 0 ? stall : meet_the_stop, &s[i]);
		gate_wait(&here[i], 1);
	}
	helper = thread_start(release_when_named, &s[0]);
	world_verify(w->m);
	expect_ok(gyre_park(w->m));
	for (unsigned i = 0; i < LENGTH(threads); i++)
		thread_join(threads[i]);
	thread_join(helper);
	expect_ok(gyre_unpark(w->m));
	expect(world_stats(w->heap).stalls >= 1);
	world_end(w);
}

/* Registered with QSBR by its host, online, never quiescent, and attached to nothing. */
static void *hold_up_qsbr(void *arg)
{
	struct staller *s = (struct staller *)arg;

	urcu_qsbr_register_thread();
	gate_open(s->here, 1);
	gate_wait(s->go, 1);
	urcu_qsbr_quiescent_state();
	urcu_qsbr_unregister_thread();
	return NULL;
}

static void a_stranger_holds_up(void **state)
{
	struct world *w = quick_world();
	struct gate here = GATE_CLOSED, go = GATE_CLOSED;
	struct staller s = { w, 0, &here, &go };
	pthread_t thread;

	(void)state;
	/* Registered before any grace period begins, so the next one waits for it. */
	expect_ok(gyre_park(w->m));
	gyre__collector_hold(w->heap);
	thread = thread_start(hold_up_qsbr, &s);
	gate_wait(&here, 1);
	gyre__collector_let_go(w->heap);
	expect_ok(gyre_unpark(w->m));
	gyre_collect_soon(w->heap);
	/* The collector waits for a grace period, because this thread is behind. */
	while (!(atomic_load(&w->m->head.poll) & GYRE_POLL_QUIESCENT))
		sched_yield();
	gyre_safepoint(w->m); /* now nobody of the heap is */
	wait_for_lines(w, "registered with QSBR but not attached here", 1);
	expect_equal(world_lines_with(w, NAMED), 0);
	gate_open(&go, 1);
	expect_ok(gyre_park(w->m));
	thread_join(thread);
	expect_ok(gyre_unpark(w->m));
	expect(world_stats(w->heap).stalls >= 1);
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_are_named_by_eights),
		cmocka_unit_test(a_stop_is_held_up),
		cmocka_unit_test(a_stranger_holds_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
