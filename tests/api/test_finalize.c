/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_finalize.c: finalizers: each once, all of a set before any of it is freed, owners first,
 * with an intact graph before them; resurrection; delivery by gyre's thread; and the closing of a
 * heap. What the host runs: test_finalize_host.c.
 */
#include "finalize.h"

/* ---- once ---- */

static void dies_young(void **state)
{
	thing_new(seen.w->m, 1);
	expect_left(*state, 0);
	expect_equal(seen.runs[1], 1);
}

static void dies_old(void **state)
{
	struct world *w = *state;
	struct thing *thing = thing_new(w->m, 1);
	{
		GYRE_KEEP(w->m, thing);
		expect_left(w, 1);
		expect_equal(seen.runs[1], 0);
	}
	expect_left(w, 0);
	expect_equal(seen.runs[1], 1);
	expect_equal(world_stats(w->heap).finalizers_run, 1);
	expect_equal(world_stats(w->heap).finalizers_waiting, 0);
	expect_equal(world_stats(w->heap).finalizers_waiting_max, 1);
}

/* Rings, young and old, of things and of nodes without finalizers between them. */
static void rings_die(void **state)
{
	struct world *w = *state;
	struct thing *first = NULL;

	for (unsigned old = 0; old < 2; old++) {
		GYRE_KEEP(w->m, first);
		first = thing_new(w->m, 10 * old);
		struct thing *last = first;
		for (uint64_t i = 1; i < 10; i++) {
			struct thing *thing = thing_new(w->m, 10 * old + i);
			struct node *between = node_new(w, w->m, i);

			link_to(last, between);
			expect_ok(gyre_store(w->m, &between->left, thing));
			last = thing;
		}
		link_to(last, first);
		if (old)
			expect_left(w, 19);
		first = NULL;
		expect_left(w, 0);
	}
	for (unsigned i = 0; i < 20; i++)
		expect_equal(seen.runs[i], 1);
}

/* ---- owners first ---- */

static void owners_come_first(void **state)
{
	struct world *w = *state;
	struct thing *made[64];

	/* A ladder: each owns the next two, and every third pair is a ring of its own. */
	for (uint64_t i = 0; i < 64; i++)
		made[i] = thing_new(w->m, i);
	for (unsigned i = 0; i < 62; i++) {
		expect_ok(gyre_store(w->m, &made[i]->left, made[i + 1]));
		link_to(made[i], made[i + 2]);
	}
	for (unsigned i = 63; i >= 3; i -= 3)
		expect_ok(gyre_store(w->m, &made[i]->left, made[i - 1]));
	expect_left(w, 0);
	expect_equal(seen.count, 64);
	for (unsigned i = 0; i < 64; i++) {
		uint64_t id = seen.order[i];

		/* Those of one ring in any order, but a ring after what owns it. */
		expect(id + 1 >= i && id <= i + 1);
		expect_equal(seen.runs[id], 1);
	}
}

static void a_long_list_is_finalized(void **state)
{
	struct world *w = *state;
	struct thing *head = NULL;
	uint64_t before;
	{
		GYRE_KEEP(w->m, head);
		for (uint64_t i = 3000; i-- > 0;) {
			struct thing *thing = thing_new(w->m, i);

			link_to(thing, head);
			head = thing;
			gyre_safepoint(w->m);
		}
		finish(w);
		before = world_stats(w->heap).epochs;
	}
	expect_left(w, 0);
	expect(world_stats(w->heap).epochs - before < 100);
	for (unsigned i = 0; i < 3000; i++)
		expect_equal(seen.order[i], i);
}

/* ---- what finalizers do ---- */

static void save(struct gyre_mutator *m, struct thing *thing)
{
	if (thing->id == 0)
		expect_ok(gyre_store(m, &seen.saved.slot, thing));
}

/* What is reachable from a resurrected object survives, and nothing else. */
static void resurrection_is_partial(void **state)
{
	struct world *w = *state;
	struct thing *made[4];

	expect_ok(gyre_root_init(w->m, &seen.saved, NULL));
	seen.then = save;
	/* 3 -> 2 <-> 0 -> 1: 3 is not reachable from 0. */
	for (uint64_t i = 0; i < 4; i++)
		made[i] = thing_new(w->m, i);
	link_to(made[3], made[2]);
	expect_ok(gyre_store(w->m, &made[3]->left, made[3]));
	link_to(made[2], made[0]);
	expect_ok(gyre_store(w->m, &made[0]->left, made[2]));
	link_to(made[0], made[1]);
	expect_left(w, 3);
	expect_equal(seen.count, 4);
	expect_equal(((struct thing *)gyre_load(&seen.saved.slot))->id, 0);
	/* The second death is without a finalizer. */
	expect_ok(gyre_root_drop(w->m, &seen.saved));
	expect_left(w, 0);
	expect_equal(seen.count, 4);
}

static void save_and_rearm(struct gyre_mutator *m, struct thing *thing)
{
	if (seen.count > 3)
		return;
	expect_ok(gyre_store(m, &seen.saved.slot, thing));
	expect_ok(gyre_finalizer_rearm(m, thing));
}

static void rearmed_ones_run_again(void **state)
{
	struct world *w = *state;

	expect_ok(gyre_root_init(w->m, &seen.saved, NULL));
	seen.then = save_and_rearm;
	thing_new(w->m, 7);
	for (unsigned i = 1; i <= 3; i++) {
		expect_left(w, 1);
		expect_equal(seen.runs[7], i);
		expect_ok(gyre_store(w->m, &seen.saved.slot, NULL));
	}
	expect_left(w, 0);
	expect_equal(seen.runs[7], 4);
	expect_ok(gyre_root_drop(w->m, &seen.saved));
	expect_status(gyre_finalizer_rearm(w->m, node_new(w, w->m, 1)), GYRE_INVALID);
	expect_status(gyre_finalizer_rearm(w->m, NULL), GYRE_INVALID);
}

/* Weak cells of the dying read NULL; a new one is another, and works. */
static struct gyre_root old_cell;

static void look_at_cells(struct gyre_mutator *m, struct thing *thing)
{
	struct gyre_weak *old = gyre_load(&old_cell.slot), *new = gyre_weak_of(m, thing);

	expect(gyre_weak_load(m, old) == NULL);
	expect(new != NULL &&new != old);
	expect(gyre_weak_load(m, new) == thing);
}

static void cells_are_null_before(void **state)
{
	struct world *w = *state;
	struct thing *thing = thing_new(w->m, 1);

	expect_ok(gyre_root_init(w->m, &old_cell, gyre_weak_of(w->m, thing)));
	seen.then = look_at_cells;
	expect_left(w, 1);
	expect_equal(seen.runs[1], 1);
	expect_ok(gyre_root_drop(w->m, &old_cell));
	expect_left(w, 0);
}

/* Allocates, links, parks, collects, breaks its own links. */
static void do_all(struct gyre_mutator *m, struct thing *thing)
{
	struct thing *other = gyre_load(&thing->right);
	GYRE_KEEP(m, thing, other);

	if (thing->id >= 2)
		return;
	expect_ok(gyre_store(m, &thing->left, thing_new(m, 100 + thing->id)));
	expect_ok(gyre_park(m));
	usleep(2000);
	expect_ok(gyre_unpark(m));
	expect_ok(gyre_collect(m, NULL));
	expect(sound(thing) && sound(other) && other->id == 1 - thing->id);
	expect_status(gyre_detach(m), GYRE_BUSY);
	expect_status(gyre_finalize_wait(m), GYRE_BUSY);
	expect_status(gyre_heap_close(seen.w->heap), GYRE_BUSY);
	expect_ok(gyre_store(m, &thing->right, NULL));
}

static void finalizers_may_do_all(void **state)
{
	struct world *w = *state;
	struct thing *a = thing_new(w->m, 0), *b = thing_new(w->m, 1);

	seen.then = do_all;
	link_to(a, b);
	link_to(b, a);
	expect_left(w, 0);
	expect_equal(seen.count, 4);
	expect_equal(seen.runs[100] + seen.runs[101], 2);
}

/* ---- a slow one is named ---- */

static void be_slow(struct gyre_mutator *m, struct thing *thing)
{
	(void)thing;
	expect_ok(gyre_park(m));
	usleep(300000);
	expect_ok(gyre_unpark(m));
}

static void a_slow_one_is_named(void **state)
{
	struct gyre_options options;
	char line[256];

	(void)state;
	gyre_options_init(&options);
	options.finalizer_ns = 20000000;
	begin(&options);
	seen.then = be_slow;
	thing_new(seen.w->m, 1);
	world_collect(seen.w->m);
	expect_ok(gyre_park(seen.w->m));
	support_log_wait(&seen.w->log, "the finalizer of struct thing has run for", line,
			 sizeof(line));
	expect_ok(gyre_unpark(seen.w->m));
	finish(seen.w);
	world_end(seen.w);
}

/* ---- closing ---- */

static unsigned closed_calls;

static void count_call(struct gyre_mutator *m, void *arg)
{
	expect(m != NULL && arg == &closed_calls);
	closed_calls++;
}

/* Closes a heap with a live ring of two, a plain object and a batch that waits. */
static void close_with(unsigned flags, enum gyre_finalizing finalizing)
{
	struct gyre_options options;
	struct gyre_root root;
	struct gyre_weak *cell;
	struct thing *a, *b;
	struct world *w;

	gyre_options_init(&options);
	options.flags = flags;
	options.finalizing = finalizing;
	w = begin(&options);
	closed_calls = 0;
	a = thing_new(w->m, 1);
	b = thing_new(w->m, 2);
	link_to(a, b);
	link_to(b, a);
	expect_ok(gyre_store(w->m, &b->left, node_new(w, w->m, 3)));
	expect_ok(gyre_root_init(w->m, &root, a));
	cell = gyre_weak_of(w->m, b);
	expect_ok(gyre_weak_notify(w->m, cell, count_call, &closed_calls, GYRE_NOTICE_AT_CLOSE,
				   NULL));
	expect_ok(
		gyre_weak_notify(w->m, cell, count_call, &closed_calls, GYRE_NOTICE_ALWAYS, NULL));
	thing_new(w->m, 4);
	world_collect(w->m);
	expect_ok(gyre_detach(w->m));
	expect_ok(gyre_heap_close(w->heap));
	support_open--;
	/* What waited was run in any case. */
	expect_equal(seen.runs[4], 1);
	expect_equal(seen.runs[1], (flags & GYRE_CLOSE_FINALIZES) != 0);
	expect_equal(seen.runs[2], (flags & GYRE_CLOSE_FINALIZES) != 0);
	expect_equal(closed_calls, (flags & GYRE_CLOSE_FINALIZES) != 0);
	expect_equal(world_lines_with(w, "closed with 2 objects of type struct thing"),
		     (flags & GYRE_CLOSE_REPORTS) != 0);
	expect_equal(world_lines_with(w, "closed with 1 objects of type struct node"),
		     (flags & GYRE_CLOSE_REPORTS) != 0);
	free(w);
}

static void closing_finalizes_if_asked(void **state)
{
	(void)state;
	for (unsigned flags = 0; flags < 8; flags += 2) {
		close_with(flags, GYRE_FINALIZE_THREAD);
		close_with(flags, GYRE_FINALIZE_HOST);
	}
}

/* A finalizer at close may make more of its kind: they are finalized, too, within reason. */
static void make_another(struct gyre_mutator *m, struct thing *thing)
{
	if (thing->id < 1000)
		expect_ok(gyre_store(m, &thing->left, thing_new(m, thing->id + 1)));
}

static void closing_ends(void **state)
{
	struct gyre_options options;
	struct gyre_root root;

	(void)state;
	gyre_options_init(&options);
	options.flags = GYRE_CLOSE_FINALIZES;
	begin(&options);
	expect_ok(gyre_root_init(seen.w->m, &root, thing_new(seen.w->m, 1)));
	seen.then = make_another;
	expect_ok(gyre_detach(seen.w->m));
	expect_ok(gyre_heap_close(seen.w->heap));
	support_open--;
	expect(seen.count >= 2 && seen.count < 1000);
	free(seen.w);
}

/* ---- many threads ---- */

#define MAKERS 3
#define MADE 1000

static void *maker(void *arg)
{
	uint64_t first = (uintptr_t)arg * MADE;
	struct gyre_mutator *m;
	struct thing *last = NULL;

	expect_ok(gyre_attach(seen.w->heap, 0, &m));
	{
		GYRE_KEEP(m, last);
		for (uint64_t i = 0; i < MADE; i++) {
			struct thing *thing = thing_new(m, first + i);

			if (i % 7 != 0) {
				expect_ok(gyre_store(m, &thing->left, last));
				if (last != NULL)
					expect_ok(gyre_store(m, &last->right, thing));
			}
			last = thing;
			gyre_safepoint(m);
		}
	}
	expect_ok(gyre_detach(m));
	return NULL;
}

static void each_once_with_many_threads(void **state)
{
	struct world *w = *state;
	pthread_t threads[MAKERS];

	for (uintptr_t i = 0; i < MAKERS; i++)
		threads[i] = thread_start(maker, (void *)i);
	expect_ok(gyre_park(w->m));
	for (unsigned i = 0; i < MAKERS; i++)
		thread_join(threads[i]);
	expect_ok(gyre_unpark(w->m));
	expect_left(w, 0);
	expect_equal(seen.count, MAKERS * MADE);
	for (unsigned i = 0; i < MAKERS * MADE; i++)
		expect_equal(seen.runs[i], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		final_test(dies_young),
		final_test(dies_old),
		final_test(rings_die),
		final_test(owners_come_first),
		final_test(a_long_list_is_finalized),
		final_test(resurrection_is_partial),
		final_test(rearmed_ones_run_again),
		final_test(cells_are_null_before),
		final_test(finalizers_may_do_all),
		host_test(dies_young),
		host_test(rings_die),
		cmocka_unit_test(a_slow_one_is_named),
		cmocka_unit_test(closing_finalizes_if_asked),
		cmocka_unit_test(closing_ends),
		final_test(each_once_with_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
