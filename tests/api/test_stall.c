/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_stall.c: a thread that is neither parked nor at a safe point holds up a boundary; it is
 * named, by name and thread number, and counted, and when it comes back everything goes on.
 */
#include "support.h"

struct staller {
	struct world *w;
	const char *name;        /* for gyre_mutator_name, or */
	const char *thread_name; /* for the system */
	struct gate here, go;
	int tid;
};

static void *stall(void *arg)
{
	struct staller *s = arg;
	struct gyre_mutator *m;

	if (s->thread_name)
		pthread_setname_np(pthread_self(), s->thread_name);
	expect_ok(gyre_attach(s->w->heap, 0, &m));
	if (s->name)
		gyre_mutator_name(m, s->name);
	s->tid = gettid();
	node_new(s->w, m, 1);
	gate_open(&s->here, 1);
	gate_wait(&s->go, 1); /* blocks without parking: the mistake that is to be named */
	gyre_safepoint(m);
	expect_ok(gyre_detach(m));
	return NULL;
}

static struct world *quick_world(void)
{
	struct gyre_options options;

	gyre_options_init(&options);
	options.stall_ns = 20 * 1000 * 1000;
	return world_make(&options);
}

/* The line that names the thread; the boundary is asked for by a thread that then parks itself. */
static void name_of_staller(struct staller *s, const char *needle, char *line, size_t bytes)
{
	struct world *w = s->w;
	uint64_t stalls = world_stats(w->heap).stalls;
	pthread_t thread = thread_start(stall, s);
	char tid[32];

	gate_wait(&s->here, 1);
	node_new(w, w->m, 2);
	gyre_collect_soon(w->heap);
	expect_ok(gyre_park(w->m));
	support_log_wait(&w->log, needle, line, bytes);
	snprintf(tid, sizeof(tid), "%d", s->tid);
	expect(strstr(line, tid) != NULL);
	gate_open(&s->go, 1);
	thread_join(thread);
	expect_ok(gyre_unpark(w->m));
	expect_live(w->m, 0);
	expect(world_stats(w->heap).stalls > stalls);
}

static void stalled_threads_are_named(void **state)
{
	struct world *w = quick_world();
	struct staller s = { .w = w, .name = "barnacle", .here = GATE_CLOSED, .go = GATE_CLOSED };
	struct staller t = { .w = w, .name = "limpet", .here = GATE_CLOSED, .go = GATE_CLOSED };
	char line[512];

	(void)state;
	name_of_staller(&s, "barnacle", line, sizeof(line));
	name_of_staller(&t, "limpet", line, sizeof(line));
	expect(strstr(line, "barnacle") == NULL);
	world_end(w);
}

static void the_default_name_is_the_threads(void **state)
{
	struct world *w = quick_world();
	struct staller s = { .w = w,
			     .thread_name = "murex",
			     .here = GATE_CLOSED,
			     .go = GATE_CLOSED };
	char line[512];

	(void)state;
	name_of_staller(&s, "murex", line, sizeof(line));
	world_end(w);
}

static void long_names_are_cut_at_31_bytes(void **state)
{
	struct world *w = quick_world();
	struct staller s = { .w = w,
			     .name = "abcdefghijklmnopqrstuvwxyz012345678",
			     .here = GATE_CLOSED,
			     .go = GATE_CLOSED };
	char line[512];

	(void)state;
	name_of_staller(&s, "abcdefghijklmnopqrstuvwxyz01234", line, sizeof(line));
	expect(strstr(line, "abcdefghijklmnopqrstuvwxyz012345") == NULL);
	world_end(w);
}

/* The log line of a sleeper must not appear when the sleeper is parked, however long it takes. */
static void *park_long(void *arg)
{
	struct staller *s = arg;
	struct gyre_mutator *m;

	expect_ok(gyre_attach(s->w->heap, 0, &m));
	gyre_mutator_name(m, s->name);
	expect_ok(gyre_park(m));
	gate_open(&s->here, 1);
	gate_wait(&s->go, 1);
	expect_ok(gyre_unpark(m));
	expect_ok(gyre_detach(m));
	return NULL;
}

static void parked_threads_are_not_named(void **state)
{
	struct world *w = quick_world();
	struct staller parked = { .w = w,
				  .name = "cowrie",
				  .here = GATE_CLOSED,
				  .go = GATE_CLOSED };
	struct staller s = { .w = w, .name = "chiton", .here = GATE_CLOSED, .go = GATE_CLOSED };
	pthread_t thread = thread_start(park_long, &parked);
	char line[512];

	(void)state;
	gate_wait(&parked.here, 1);
	name_of_staller(&s, "chiton", line, sizeof(line));
	pthread_mutex_lock(&w->log.lock);
	expect(support_log_find(&w->log, "cowrie") < 0);
	pthread_mutex_unlock(&w->log.lock);
	expect_ok(gyre_park(w->m));
	gate_open(&parked.go, 1);
	thread_join(thread);
	expect_ok(gyre_unpark(w->m));
	world_end(w);
}

/* While one thread stalls, others allocate, store, pass safe points and are not held up by it. */
static void others_go_on_beside_a_stalled_thread(void **state)
{
	struct world *w = quick_world();
	struct staller s = { .w = w, .name = "barnacle", .here = GATE_CLOSED, .go = GATE_CLOSED };
	pthread_t thread = thread_start(stall, &s);
	struct gyre_root root;

	(void)state;
	gate_wait(&s.here, 1);
	expect_ok(gyre_root_init(w->m, &root, NULL));
	for (uint64_t i = 0; i < 100000; i++) {
		struct node *n = node_new(w, w->m, i);

		expect_ok(gyre_store(w->m, &root.slot, n));
		if (i % 1000 == 0)
			gyre_safepoint(w->m);
	}
	expect(node_is(gyre_load(&root.slot), 99999));
	gate_open(&s.go, 1);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
	thread_join(thread);
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stalled_threads_are_named),
		cmocka_unit_test(the_default_name_is_the_threads),
		cmocka_unit_test(long_names_are_cut_at_31_bytes),
		cmocka_unit_test(parked_threads_are_not_named),
		cmocka_unit_test(others_go_on_beside_a_stalled_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
