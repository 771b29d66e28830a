/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_boundary.c: what a boundary carries when there is much of it, or none: snapshots of several
 * chunks, a ring of returned chunks that is full, a boundary that is done already, a snapshot that
 * stays counted. Main thread only.
 */
#include "held.h"

/* A frame of more values than a chunk holds, three times over: all of it lives, then none. */
static void snapshots_of_many_chunks(void **state)
{
	static void *values[3 * GYRE_CHUNK_ENTRIES + 1];
	struct world *w = (struct world *)*state;
	struct gyre_keep frame;

	for (size_t i = 0; i < LENGTH(values); i++)
		values[i] = i % 100 == 7 ? NULL : node_new(w, w->m, i);
	gyre_keep_open(w->m, &frame, values, LENGTH(values));
	for (int round = 0; round < 3; round++) {
		world_collect(w->m);
		for (size_t i = 0; i < LENGTH(values); i++)
			expect(values[i] == NULL || node_is((struct node *)values[i], i));
	}
	expect_live(w->m, LENGTH(values) - (LENGTH(values) - 7 + 99) / 100);
	gyre_keep_close(&frame);
	expect_live(w->m, 0);
}

/* A parked thread's frame is counted once, however many boundaries pass by. */
static void a_snapshot_stays_counted(void **state)
{
	struct world *w = (struct world *)*state;
	struct node *n = node_new(w, w->m, 1);
	GYRE_KEEP(w->m, n);

	for (int round = 0; round < 3; round++) {
		struct gyre__collector *c;

		expect_ok(gyre_park(w->m));
		gyre__collector_hold(w->heap);
		c = w->heap->collector;
		for (int epoch = 0; epoch < 5; epoch++) {
			gyre__cycle(c);
			/* Its birth is over by the third. */
			if (epoch >= 2)
				expect_equal(gyre__rc(held_word(n)), 1);
		}
		expect(c->snapshots_before == NULL);
		gyre__collector_let_go(w->heap);
		expect_ok(gyre_unpark(w->m));
		world_collect(w->m);
		expect(node_is(n, 1));
	}
	n = NULL;
	expect_live(w->m, 0);
}

/* The collector gives chunks back faster than the mutator needs them: the ring takes what it can
 * hold, the rest stays with the collector, and all of it is used. */
static void returned_chunks_fill_their_ring(void **state)
{
	struct world *w = (struct world *)*state;
	const size_t entries = 60 * GYRE_CHUNK_ENTRIES;
	struct refs *r = refs_new(w, w->m, entries / 2);
	struct gyre_root root;
	int rounds = 0;

	expect_ok(gyre_root_init(w->m, &root, r));
	/* Room is reserved, and none of it is used: 60 chunks in hand. */
	expect(gyre__spare_reserve(w->m, 60));
	expect(w->m->spare_count >= 60);
	while (ck_ring_size(&w->m->returned.ring) < GYRE_RING_SLOTS - 1 && rounds < 25) {
		/* Two chunks more, from what is in hand; two come back. The slot of a root, which
		 * both engines journal at each write. */
		for (size_t i = 0; i < GYRE_CHUNK_ENTRIES; i++)
			expect_ok(gyre_store(w->m, &root.slot, r));
		world_collect(w->m);
		rounds++;
	}
	expect(rounds < 25);
	for (; rounds < 27; rounds++) {
		for (size_t i = 0; i < GYRE_CHUNK_ENTRIES; i++)
			expect_ok(gyre_store(w->m, &root.slot, r));
		world_collect(w->m);
		expect_equal(ck_ring_size(&w->m->returned.ring), GYRE_RING_SLOTS - 1);
	}
	expect(held_begin(w)->empties_count > 0);
	held_end(w);
	for (int round = 0; round < 100; round++)
		for (size_t i = 0; i < GYRE_CHUNK_ENTRIES; i++)
			expect_ok(gyre_store(w->m, &root.slot, r));
	expect_equal(ck_ring_size(&w->m->returned.ring), 0);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

/* The poll bit is only a hint: a boundary that is done is not done again. */
static void a_boundary_is_done_once(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_root root;
	uint64_t epoch;

	expect_ok(gyre_root_init(w->m, &root, node_new(w, w->m, 1)));
	held_begin(w);
	epoch = atomic_load(&w->m->phase);
	expect_equal(epoch, atomic_load(&w->heap->phase));
	gyre__mutator_poll(w->m, GYRE_POLL_BOUNDARY);
	held_end(w); /* a safe point */
	expect(atomic_load(&w->m->phase) >= epoch);
	for (int i = 0; i < 3; i++) {
		gyre__mutator_poll(w->m, GYRE_POLL_BOUNDARY);
		gyre_safepoint(w->m);
	}
	expect(ck_ring_size(&w->m->sealed.ring) <= 1);
	expect_live(w->m, 1);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(snapshots_of_many_chunks),
		world_test(a_snapshot_stays_counted),
		world_test(returned_chunks_fill_their_ring),
		world_test(a_boundary_is_done_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
