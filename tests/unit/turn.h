/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * turn.h: boundaries of the engine tagged, one handshake at a time. The collector is held; a thread
 * of the test does a cycle of its work in its place, while mutators come to their handshakes when
 * the test says so.
 *
 * Invariants: a mutator that waits for the next handshake to be asked for is quiescent but does not
 * come to it, so what it does between two handshakes is in the step that the test means. The
 * collector's state is the test's while no turn is under way.
 */
#ifndef GYRE_TESTS_TURN_H
#define GYRE_TESTS_TURN_H

#define SUPPORT_ENGINE GYRE_ENGINE_TAGGED
#include "held.h"

#include <sched.h>

#include "edge.h"
#include "engine.h"
#include "tag.h"

struct turn {
	struct world *w;
	struct gyre__collector *c;
	pthread_t thread;
	_Atomic(bool) done;
};

/* The collector is held, and all is counted; the main thread runs. */
static inline struct gyre__collector *turn_hold(struct world *w)
{
	struct gyre__collector *c = held_begin(w);

	expect_ok(gyre_unpark(w->m));
	expect(!w->m->window);
	return c;
}

static inline void turn_let_go(struct world *w)
{
	gyre__collector_let_go(w->heap);
}

static void *turn_run(void *arg)
{
	struct turn *t = (struct turn *)arg;

	gyre__cycle(t->c);
	/* Release pairs with the acquire in turn_end: the collector's state. */
	atomic_store_explicit(&t->done, true, memory_order_release);
	return NULL;
}

static inline void turn_begin(struct turn *t, struct world *w)
{
	t->w = w;
	t->c = w->heap->collector;
	atomic_init(&t->done, false);
	t->thread = thread_start(turn_run, t);
}

/* Waits until m is asked for a handshake that it has not done. m's thread. */
static inline void turn_asked(struct gyre_mutator *m)
{
	while (atomic_load(&m->heap->phase) == atomic_load(&m->phase)) {
		gyre__qsbr_quiescent();
		sched_yield();
	}
}

/* Comes to the next handshake, and says which one that was: 1, 2 or 0. m's thread. */
static inline unsigned turn_step(struct gyre_mutator *m)
{
	turn_asked(m);
	/* As a safe point does, which may find the next handshake asked for already. */
	expect(gyre__boundary(m));
	gyre__qsbr_quiescent();
	return (unsigned)(atomic_load(&m->phase) % GYRE_TAGGED_HANDSHAKES);
}

/* Comes to all handshakes that are left, and waits for the cycle's end. Main thread. */
static inline void turn_end(struct turn *t)
{
	struct gyre_mutator *m = t->w->m;

	while (!atomic_load_explicit(&t->done, memory_order_acquire)) {
		gyre_safepoint(m);
		gyre__qsbr_quiescent();
		sched_yield();
	}
	thread_join(t->thread);
	expect(!m->window);
}

/* A whole cycle in which nothing happens. */
static inline void turn_whole(struct world *w)
{
	struct turn t;

	turn_begin(&t, w);
	turn_end(&t);
}

/* A cycle up to the point where m has switched to the next epoch and its window is open. */
static inline void turn_switch(struct turn *t, struct world *w)
{
	turn_begin(t, w);
	expect_equal(turn_step(w->m), 1);
	expect(w->m->window);
	expect_equal(turn_step(w->m), 2);
	expect(w->m->window);
}

static inline uintptr_t tag_of(const gyre_ref *slot)
{
	return atomic_load(&slot->word) & GYRE_TAG_MASK;
}

static inline uint64_t count_of(const void *object)
{
	return gyre__rc(held_word(object));
}

/* Entries of the open journal of slots. */
static inline size_t entries_of(const struct gyre_mutator *m)
{
	const struct gyre__chunk *chunk = m->slots.filled;
	size_t words = m->slots.open == NULL ? 0 : (size_t)(m->slots.at - m->slots.open->entries);

	for (; chunk != NULL; chunk = chunk->next)
		words += chunk->count;
	return words / 2;
}

static inline struct node *turn_rooted(struct world *w, struct gyre_root *root, uint64_t id)
{
	struct node *n = node_new(w, w->m, id);

	expect_ok(gyre_root_init(w->m, root, n));
	return n;
}

#endif
