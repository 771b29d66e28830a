/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * held.h: a heap whose collector stands still, so that a test can do single steps of its work. Main
 * thread only, attached.
 *
 * Invariants: while the collector is held, its thread waits with none of its work half done and the
 * test's mutator is parked, so what belongs to the collector thread belongs to the test. Whatever a
 * test does to words and slots by hand it does to both, so that gyre_verify, which the teardown
 * runs, has nothing to say.
 */
#ifndef GYRE_TESTS_HELD_H
#define GYRE_TESTS_HELD_H

#include "support.h"

#include "collector.h"
#include "to_collector.h"

static inline bool held_quiet(const struct gyre__collector *c)
{
	return c->far.phase == GYRE_FAR_IDLE && !c->far.settling && c->sets_count == 0 &&
	       c->released == NULL && c->young.count == 0 && c->aged.count == 0;
}

/* Holds the collector when all is counted and judged: no journal, set or candidate is left. */
static inline struct gyre__collector *held_begin(struct world *w)
{
	struct gyre__collector *c = w->heap->collector;

	for (;;) {
		world_collect(w->m);
		/* Parked first: a boundary that is under way would wait for this thread. */
		expect_ok(gyre_park(w->m));
		gyre__collector_hold(w->heap);
		if (held_quiet(c) && c->journal_before == NULL && c->births_before == NULL)
			return c;
		gyre__collector_let_go(w->heap);
		expect_ok(gyre_unpark(w->m));
	}
}

static inline void held_end(struct world *w)
{
	gyre__collector_let_go(w->heap);
	expect_ok(gyre_unpark(w->m));
}

static inline uint64_t held_word(const void *object)
{
	return *gyre__word_of(object);
}

/* Sigma preparation of all sets, as if another epoch were processed. */
static inline void held_prepare(struct gyre__collector *c)
{
	c->processing++;
	gyre__sets_prepare(c);
}

enum { HELD_PLACES = 4 };

/* The list has room for so many items and no more; the list as it was. It lies in an array: the
 * system, asked to make that larger, refuses as it refuses for want of memory, because it is no
 * mapping. One list at a time has room. */
static inline struct gyre__vector held_cramp(struct gyre__vector *list, size_t room)
{
	static void *place[HELD_PLACES];
	struct gyre__vector before = *list;

	expect(room <= HELD_PLACES && before.count == 0);
	*list = (struct gyre__vector){ .items = place, .room = room };
	expect(!gyre__vector_reserve(list, room + 1));
	return before;
}

/* Stores into a slot without a word to any journal: the caller changes the counts. The slot of a
 * root stays marked as one; other slots are clean, as no mutator writes. */
static inline void held_store(gyre_ref *slot, const void *value)
{
	uintptr_t tag = atomic_load_explicit(&slot->word, memory_order_relaxed) & GYRE_TAG_MASK;

	atomic_store_explicit(&slot->word, (uintptr_t)value | tag, memory_order_release);
}

#endif
