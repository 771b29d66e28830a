/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_stats.c: the figures of gyre_heap_stats after work whose figures are known. No times are
 * compared with anything but each other.
 */
#include "support.h"

static void unknown_sizes_are_refused(void **state)
{
	static const size_t bad[] = { 0, 1, sizeof(size_t) - 1, sizeof(struct gyre_stats) + 8,
				      SIZE_MAX };
	struct world *w = *state;
	struct gyre_stats stats;

	for (size_t i = 0; i < LENGTH(bad); i++) {
		stats.size = bad[i];
		expect_status(gyre_heap_stats(w->heap, &stats), GYRE_INVALID);
	}
	stats.size = sizeof(stats);
	expect_ok(gyre_heap_stats(w->heap, &stats));
	expect_equal(stats.size, sizeof(stats));
}

/* Those of the engine tagged; and that recycler leaves them 0. */
static void engines_have_figures_of_their_own(void **state)
{
	struct world *w = *state;
	struct gyre_root root;
	struct gyre_stats s;
	struct refs *r;

	s = world_stats(w->heap);
	expect(strcmp(s.engine, support_tagged() ? "tagged" : "recycler") == 0);
	expect_equal(s.newborns_counted + s.views_looked_up + s.window_stores, 0);
	r = refs_new(w, w->m, 100);
	for (size_t i = 0; i < 100; i++) {
		expect_ok(gyre_init(w->m, &r->items[i], node_new(w, w->m, i)));
		node_new(w, w->m, i); /* nothing ever reaches it */
	}
	expect_ok(gyre_root_init(w->m, &root, r));
	expect_live(w->m, 101);
	expect_equal(world_stats(w->heap).newborns_counted, support_tagged() ? 101 : 0);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
	expect_equal(world_stats(w->heap).newborns_counted, support_tagged() ? 101 : 0);
	if (!support_tagged())
		expect_equal(world_stats(w->heap).window_stores +
				     world_stats(w->heap).views_looked_up,
			     0);
}

static void a_new_heap_has_done_nothing(void **state)
{
	struct world *w = *state;
	struct gyre_stats s = world_stats(w->heap);

	expect_equal(s.objects_allocated + s.bytes_allocated + s.objects_reclaimed, 0);
	expect_equal(s.bytes_reclaimed + s.objects_live + s.bytes_live, 0);
	expect_equal(s.counts_stuck + s.trace_faults + s.poison_faults, 0);
	expect_equal(s.orphans + s.stalls + s.stores_refused, 0);
	expect_equal(s.mutators, 1);
	expect_equal(s.mutators_parked, 0);
}

/* A chain of ten dies by count, a ring of ten by cycle; five hundred stay. */
static void objects_are_counted(void **state)
{
	struct world *w = *state;
	struct node *head = NULL, *first = node_new(w, w->m, 0), *last = first;
	struct gyre_root roots[3];
	struct gyre_stats s;
	struct refs *r = refs_new(w, w->m, 500);

	for (uint64_t i = 0; i < 10; i++) {
		struct node *n = node_new(w, w->m, i);

		expect_ok(gyre_init(w->m, &n->left, head));
		head = n;
	}
	for (uint64_t i = 1; i < 10; i++) {
		struct node *n = node_new(w, w->m, i);

		expect_ok(gyre_init(w->m, &n->left, last));
		last = n;
	}
	expect_ok(gyre_init(w->m, &first->left, last));
	for (size_t i = 0; i < 500; i++)
		expect_ok(gyre_init(w->m, &r->items[i], gyre_new(w->m, w->leaf)));
	expect_ok(gyre_root_init(w->m, &roots[0], head));
	expect_ok(gyre_root_init(w->m, &roots[1], first));
	expect_ok(gyre_root_init(w->m, &roots[2], r));
	expect_live(w->m, 521);
	s = world_stats(w->heap);
	expect_equal(s.objects_allocated, 521);
	expect_equal(s.objects_live, 521);
	expect_equal(s.objects_reclaimed, 0);
	expect_ok(gyre_root_drop(w->m, &roots[0]));
	expect_live(w->m, 511);
	s = world_stats(w->heap);
	expect_equal(s.reclaimed_by_count, 10);
	expect_equal(s.reclaimed_by_cycle, 0);
	expect_ok(gyre_root_drop(w->m, &roots[1]));
	expect_live(w->m, 501);
	s = world_stats(w->heap);
	expect_equal(s.reclaimed_by_count, 10);
	expect_equal(s.reclaimed_by_cycle, 10);
	expect_equal(s.objects_reclaimed, 20);
	expect_equal(s.objects_live, 501);
	expect(s.candidates >= 1 && s.sets_found >= 1 && s.sets_freed >= 1);
	expect(s.near_traced + s.far_traced >= 10);
	expect(s.sets_found >= s.sets_freed);
	expect_ok(gyre_root_drop(w->m, &roots[2]));
	expect_live(w->m, 0);
	s = world_stats(w->heap);
	expect_equal(s.objects_reclaimed, 521);
	expect_equal(s.bytes_reclaimed, s.bytes_allocated);
	expect_equal(s.bytes_live, 0);
	expect(s.bytes_allocated >= 21 * sizeof(struct node) + 500 * sizeof(struct leaf));
}

static void epochs_and_journals_are_counted(void **state)
{
	struct world *w = *state;
	struct gyre_stats before = world_stats(w->heap), after;
	struct gyre_root root;

	expect_ok(gyre_root_init(w->m, &root, NULL));
	for (uint64_t i = 0; i < 10000; i++)
		expect_ok(gyre_store(w->m, &root.slot, node_new(w, w->m, i)));
	expect_live(w->m, 1);
	after = world_stats(w->heap);
	expect(after.epochs > before.epochs);
	/* Each store replaced one object by another: two entries. */
	expect(after.journal_entries - before.journal_entries >= 2 * 10000 - 1);
	expect(after.journal_bytes_max >= 10000 * sizeof(void *));
	expect(after.journal_bytes <= after.journal_bytes_max);
	expect(after.bytes_mapped <= after.bytes_mapped_max);
	expect(after.bytes_mapped_max >= 10000 * sizeof(struct node));
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

static void delays_are_recorded(void **state)
{
	struct world *w = *state;
	struct gyre_stats s;

	for (uint64_t i = 0; i < 200; i++) {
		for (int j = 0; j < 2000; j++)
			expect(gyre_new(w->m, w->leaf) != NULL);
		gyre_collect_soon(w->heap);
		gyre_safepoint(w->m);
		world_collect(w->m);
	}
	/* While it waits in gyre_collect the collector does its boundaries; else it does them. */
	do {
		gyre_collect_soon(w->heap);
		for (int j = 0; j < 1000; j++)
			gyre_safepoint(w->m);
		s = world_stats(w->heap);
	} while (s.delays[GYRE_DELAY_BOUNDARY].count == 0);
	expect(s.delays[GYRE_DELAY_ALLOCATION].count >= 1);
	for (int i = 0; i < GYRE_DELAY_COUNT; i++) {
		const struct gyre_delays *d = &s.delays[i];

		expect(d->p50_ns <= d->p99_ns && d->p99_ns <= d->p999_ns);
		expect(d->max_ns <= d->total_ns);
		expect(d->max_ns >= (d->count ? d->total_ns / d->count : 0));
		/* An upper edge of the bucket that the largest delay is in. */
		expect(d->p999_ns <= d->max_ns + d->max_ns / 16 + 16);
		expect(d->count > 0 || (d->total_ns == 0 && d->p999_ns == 0 && d->max_ns == 0));
	}
	expect(s.collector_ns > 0);
}

/* A thread that is attached to nothing reads the figures of a heap that is at work. */
static void *read_often(void *arg)
{
	struct gyre_heap *heap = arg;
	uint64_t allocated = 0, reclaimed = 0;

	for (int i = 0; i < 2000; i++) {
		struct gyre_stats s = world_stats(heap);

		expect(s.objects_allocated >= allocated && s.objects_reclaimed >= reclaimed);
		allocated = s.objects_allocated;
		reclaimed = s.objects_reclaimed;
	}
	return NULL;
}

static void any_thread_reads(void **state)
{
	struct world *w = *state;
	pthread_t thread = thread_start(read_often, w->heap);

	for (int i = 0; i < 100; i++) {
		for (uint64_t j = 0; j < 1000; j++)
			node_new(w, w->m, j);
		world_collect(w->m);
	}
	thread_join(thread);
	expect_equal(world_stats(w->heap).objects_reclaimed, 100 * 1000);
}

/*
 * A write to a freed cell is noticed when the cell is used again. The cell's neighbours live, so
 * its memory is still there. AddressSanitizer would rightly stop this test.
 */
static void writes_to_freed_cells_are_counted(void **state)
{
	struct world *w = *state;
	struct refs *r = refs_new(w, w->m, 100);
	struct gyre_root root;
	struct leaf *dead;
	char line[512];

	if (SUPPORT_SANITIZED)
		skip();
	expect_ok(gyre_root_init(w->m, &root, r));
	for (size_t i = 0; i < 100; i++)
		expect_ok(gyre_init(w->m, &r->items[i], gyre_new(w->m, w->leaf)));
	world_collect(w->m);
	dead = gyre_load(&r->items[50]);
	expect_ok(gyre_store(w->m, &r->items[50], NULL));
	expect_live(w->m, 100);
	expect_equal(world_stats(w->heap).poison_faults, 0);
	dead->id = 12345;
	for (int i = 0; i < 100000; i++) /* until the cell is reached */
		expect(gyre_new(w->m, w->leaf) != NULL);
	expect_live(w->m, 100);
	expect_equal(world_stats(w->heap).poison_faults, 1);
	support_log_wait(&w->log, "struct leaf", line, sizeof(line));
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(unknown_sizes_are_refused),
		world_test(a_new_heap_has_done_nothing),
		world_test(engines_have_figures_of_their_own),
		world_test(objects_are_counted),
		world_test(epochs_and_journals_are_counted),
		world_test(delays_are_recorded),
		world_test(any_thread_reads),
		world_test(writes_to_freed_cells_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
