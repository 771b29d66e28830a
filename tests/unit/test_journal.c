/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_journal.c: the chunks of a mutator: what is reserved fits, in order, over the ends of
 * chunks; the limit holds for stores and not for snapshots; a refusal loses nothing; every chunk
 * comes back. Main thread, attached and running, so its record is its own.
 */
#include "support.h"

#include "heap.h"
#include "journal.h"
#include "mutator.h"

static bool reserve_words(struct gyre_mutator *m, size_t words)
{
	return gyre__spare_reserve(m, gyre__log_needs(&m->journal, words));
}

static size_t room_of(const struct gyre_mutator *m)
{
	return (size_t)(m->journal.end - m->journal.at) + m->spare_count * GYRE_CHUNK_ENTRIES;
}

static size_t chain_length(const struct gyre__chunk *chain)
{
	size_t length = 0;

	for (; chain != NULL; chain = chain->next)
		length++;
	return length;
}

/* count entries for object: up and down in turn, so that they come to nothing. */
static void add_pairs(struct gyre_mutator *m, const void *object, size_t count)
{
	for (size_t i = 0; i < count; i++)
		gyre__journal_add(m, (uintptr_t)object | (i % 2 ? GYRE_DECREMENT : 0));
}

static void reserve_is_enough(void **state)
{
	static const size_t counts[] = { 0,
					 1,
					 2,
					 GYRE_CHUNK_ENTRIES - 1,
					 GYRE_CHUNK_ENTRIES,
					 GYRE_CHUNK_ENTRIES + 1,
					 5 * GYRE_CHUNK_ENTRIES + 7 };
	struct world *w = (struct world *)*state;

	for (size_t i = 0; i < LENGTH(counts); i++) {
		struct node *n;
		size_t room;

		world_collect(w->m);
		n = node_new(w, w->m, i);
		room = room_of(w->m);
		expect(reserve_words(w->m, counts[i]));
		expect(room_of(w->m) >= counts[i] && room_of(w->m) >= room);
		/* No more than was needed. */
		if (room >= counts[i])
			expect_equal(room_of(w->m), room);
		else
			expect(room_of(w->m) < counts[i] + GYRE_CHUNK_ENTRIES);
		expect_equal(chain_length(w->m->spare), w->m->spare_count);
		room = room_of(w->m);
		add_pairs(w->m, n, counts[i] / 2 * 2);
		expect_equal(room_of(w->m), room - counts[i] / 2 * 2);
	}
}

/* All entries since the last boundary, read back through the chain, last chunk first. */
static void expect_entries(const struct gyre_mutator *m, const uintptr_t *want, size_t count)
{
	const struct gyre__chunk *chunk = m->journal.open;
	size_t at = count, used = (size_t)(m->journal.at - m->journal.open->entries);

	for (;;) {
		expect_equal(chunk->kind, GYRE_CHUNK_JOURNAL);
		expect(at >= used);
		at -= used;
		expect(memcmp(chunk->entries, want + at, used * sizeof(*want)) == 0);
		if (at == 0)
			break;
		chunk = chunk == m->journal.open ? m->journal.filled : chunk->next;
		expect(chunk != NULL);
		used = chunk->count;
		expect_equal(used, GYRE_CHUNK_ENTRIES);
	}
}

static void turning_keeps_the_order(void **state)
{
	struct world *w = (struct world *)*state;
	size_t count = 4 * GYRE_CHUNK_ENTRIES, chunks;
	uintptr_t *want = (uintptr_t *)calloc(count, sizeof(*want));
	struct node *nodes[10];

	expect(want != NULL);
	world_collect(w->m);
	for (size_t i = 0; i < LENGTH(nodes); i++)
		nodes[i] = node_new(w, w->m, i);
	expect(reserve_words(w->m, count));
	/* Nothing is journalled yet in this epoch. */
	expect(w->m->journal.filled == NULL);
	expect(w->m->journal.open == NULL || w->m->journal.at == w->m->journal.open->entries);
	for (size_t i = 0; i < count; i++) {
		/* Each node goes up and down the same number of times. */
		want[i] = (uintptr_t)nodes[i / 2 % LENGTH(nodes)] | (i % 2 ? GYRE_DECREMENT : 0);
		chunks = chain_length(w->m->journal.filled);
		gyre__journal_add(w->m, want[i]);
		/* A chunk is full before the next is begun. */
		expect(chain_length(w->m->journal.filled) <= chunks + 1);
		expect_equal(chain_length(w->m->journal.filled), i / GYRE_CHUNK_ENTRIES);
	}
	expect_entries(w->m, want, count);
	free(want);
	world_verify(w->m);
	expect_equal(world_stats(w->heap).journal_entries, count);
}

static int small_setup(void **state)
{
	struct gyre_options options;

	gyre_options_init(&options);
	options.journal_limit = 64 * GYRE_CHUNK_BYTES;
	*state = world_make(&options);
	return 0;
}

/* An eighth of the limit is not for stores, and snapshots do not ask for the limit. */
static void the_limit_holds(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_mutator *m = w->m;
	uint64_t bytes;
	struct gyre__chunk *snapshot = NULL;
	size_t room;

	for (unsigned round = 0; round < 3; round++) {
		struct node *n;

		world_collect(m);
		/* Now, as births need chunks as well. */
		n = node_new(w, m, round);
		/* More than there can be: refused, and what others could use is not kept. */
		room = room_of(m);
		expect(!reserve_words(m, 64 * GYRE_CHUNK_ENTRIES));
		expect(room_of(m) >= (room < 2 * GYRE_STORES_RESERVED ? room :
									2 * GYRE_STORES_RESERVED));
		while (reserve_words(m, 2))
			add_pairs(m, n, 2);
		room = room_of(m);
		expect(room < 2);
		expect_status(m->refusal, GYRE_JOURNAL_FULL);
		bytes = gyre__counter_get(&w->heap->shared.journal_bytes);
		expect_equal(bytes, 56 * GYRE_CHUNK_BYTES);
		expect(gyre__chunk_take(m) == NULL);
		expect_equal(gyre__counter_get(&w->heap->shared.journal_bytes), bytes);
		for (unsigned i = 0; i < 20; i++) {
			struct gyre__chunk *chunk = gyre__chunk_take_for_snapshot(m);

			expect(chunk != NULL && chunk->count == 0 && chunk->next == NULL);
			chunk->next = snapshot;
			snapshot = chunk;
		}
		expect_equal(gyre__counter_get(&w->heap->shared.journal_bytes),
			     bytes + 20 * GYRE_CHUNK_BYTES);
		gyre__chunk_give(w->heap, snapshot);
		snapshot = NULL;
		expect_equal(gyre__counter_get(&w->heap->shared.journal_bytes), bytes);
		expect_equal(room_of(m), room);
	}
	expect(gyre__counter_get(&w->heap->shared.journal_bytes_max) <= 76 * GYRE_CHUNK_BYTES);
	world_collect(m);
	expect(reserve_words(m, 2 * GYRE_STORES_RESERVED));
}

/* A heap that goes on journalling holds no more than what is on its way: a ring of empty chunks,
 * the few that the collector keeps, and the journals of two epochs. */
static void chunks_come_back(void **state)
{
	struct world *w = (struct world *)*state;

	for (unsigned round = 0; round < 200; round++) {
		struct node *n = node_new(w, w->m, round);

		expect(reserve_words(w->m, 3 * GYRE_CHUNK_ENTRIES));
		add_pairs(w->m, n, 3 * GYRE_CHUNK_ENTRIES / 2 * 2);
		world_collect(w->m);
		expect(gyre__counter_get(&w->heap->shared.journal_bytes) <=
		       (GYRE_RING_SLOTS + 16) * GYRE_CHUNK_BYTES);
	}
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(reserve_is_enough),
		world_test(turning_keeps_the_order),
		cmocka_unit_test_setup_teardown(the_limit_holds, small_setup, world_teardown),
		cmocka_unit_test_setup_teardown(chunks_come_back, small_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
