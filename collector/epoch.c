/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * epoch.c: the boundary between two epochs. Collector thread.
 *
 * The collector opens epoch e + 1 and asks every mutator for its boundary. Running mutators do it
 * at their next safe point; for parked ones, which it claims, and for those that have detached, the
 * collector does it. The wait in between is a grace period; what counts are the epoch words.
 *
 * Invariants: no boundary begins before every mutator has done the last one. A parked mutator that
 * has not run since its last snapshot keeps that snapshot counted instead of taking the same one
 * again. A record that has detached leaves the registry once its last epoch is sealed, and with it
 * go the frames' counts, one epoch late like every other decrement.
 */
#include "collector.h"
#include "pressure.h"
#include "twin.h"

#define PAUSE_NS_FIRST 20000
#define PAUSE_NS_LAST 1000000
#define RETURNED_EACH 8 /* empty chunks that go straight back to a mutator that sealed some */

static void open_epoch(struct gyre__collector *c)
{
	struct gyre_heap *heap = c->heap;
	struct gyre_mutator *m;
	uint64_t epoch;

	gyre__lock_take(&heap->registry.lock);
	epoch = atomic_load_explicit(&heap->epoch, memory_order_relaxed);
	/* Release pairs with the acquire in gyre__boundary: what was processed comes before. */
	atomic_store_explicit(&heap->epoch, epoch + 1, memory_order_release);
	for (m = heap->registry.first; m != NULL; m = m->next)
		gyre__mutator_poll(m, GYRE_POLL_BOUNDARY);
	gyre__lock_drop(&heap->registry.lock);
}

/* The boundary of a mutator that the collector has claimed. False without memory for its
 * snapshot. */
static bool boundary_for(struct gyre_mutator *m, uint64_t epoch)
{
	/* It may have come to its boundary by itself after the look at its epoch word and before
	 * the claim. Then its journal of the next epoch is open, its frames are not in any
	 * snapshot, and it must not be taken for one that has not run since its last. Relaxed:
	 * the claim has acquired the record. */
	if (atomic_load_explicit(&m->epoch, memory_order_relaxed) == epoch) {
		if (GYRE_TWIN(claimed_anyway))
			m->snapshot_runs = m->runs;
		return true;
	}
	if (m->snapshot_runs == m->runs) {
		/* It has not run: its journal is empty and its frames are as they were. It may be
		 * parked for long; others can use its slabs. */
		gyre__bins_relinquish_idle(m);
		m->snapshot_kept = true; /* rare: snapshot of a parked thread kept */
		gyre__mutator_unpoll(m, GYRE_POLL_BOUNDARY);
		atomic_store_explicit(&m->epoch, epoch, memory_order_relaxed);
		return true;
	}
	if (!gyre__boundary(m))
		return false;
	m->snapshot_runs = m->runs;
	return true;
}

/* Whether m has done the boundary into epoch, or the collector has just done it for m. */
static bool settle(struct gyre_mutator *m, uint64_t epoch)
{
	/* Before the epoch word: that of a thread that has left is its last then. One that came to
	 * this boundary and left after it has still to be ended, at the next. */
	uint32_t state = gyre__mutator_state(m);
	bool done;

	/* Acquire pairs with the release in gyre__boundary: what m has sealed. */
	if (atomic_load_explicit(&m->epoch, memory_order_acquire) == epoch)
		return true;
	if (state == GYRE_MUTATOR_EXITED) {
		m->ended = boundary_for(m, epoch); /* rare: boundary of a thread that left */
		return m->ended;
	}
	if (state == GYRE_MUTATOR_CLAIMED) /* by a verification: held for longer than this */
		return boundary_for(m, epoch); /* rare: boundary during a verification */
	if (state != GYRE_MUTATOR_PARKED || !gyre__claim(m))
		return false;
	done = boundary_for(m, epoch); /* rare: boundary of a parked thread */
	gyre__unclaim(m);
	return done;
}

/* The number of mutators that have not done the boundary into epoch. */
static size_t sweep(struct gyre__collector *c, uint64_t epoch)
{
	struct gyre_heap *heap = c->heap;
	struct gyre_mutator *m;
	size_t behind = 0;

	gyre__lock_take(&heap->registry.lock);
	for (m = heap->registry.first; m != NULL; m = m->next)
		behind += !settle(m, epoch);
	gyre__lock_drop(&heap->registry.lock);
	return behind;
}

static void wait_for_all(struct gyre__collector *c)
{
	uint64_t epoch = atomic_load_explicit(&c->heap->epoch, memory_order_relaxed);
	uint64_t pause = 0;

	atomic_store_explicit(&c->waiting_since, gyre__now_ns(), memory_order_relaxed);
	while (sweep(c, epoch) > 0) {
		/* A thread that its host registered, or that went offline and came back, may have
		 * been quiescent without having done its boundary. */
		if (pause > 0)
			gyre__pause_ns(pause); /* rare: second wait for one boundary */
		gyre__qsbr_wait();
		pause = pause == 0 ? PAUSE_NS_FIRST : pause * 2;
		if (pause > PAUSE_NS_LAST)
			pause = PAUSE_NS_LAST;
	}
	atomic_store_explicit(&c->waiting_since, 0, memory_order_relaxed);
}

static void push_chunk(struct gyre__chunk **chain, struct gyre__chunk *chunk)
{
	chunk->next = *chain;
	*chain = chunk;
}

/* Replaces the snapshot of m that is counted: the new one now, the old one taken back with the
 * decrements. */
static void change_snapshot(struct gyre__collector *c, struct gyre_mutator *m,
			    struct gyre__chunk *snapshot)
{
	gyre__chain_append(&c->snapshots_before, m->snapshot);
	m->snapshot = snapshot;
	gyre__count_snapshot(c, snapshot);
}

static void return_empties(struct gyre__collector *c, struct gyre_mutator *m, size_t count)
{
	while (count-- > 0 && c->empties != NULL) {
		struct gyre__chunk *chunk = c->empties, *rest = chunk->next;

		/* Once it is in the ring, it is the mutator's. */
		if (!gyre__ring_put(&m->returned, chunk))
			return; /* rare: ring of returned chunks is full */
		c->empties = rest;
		c->empties_count--;
	}
}

/* Takes what m sealed. */
static void collect_sealed(struct gyre__collector *c, struct gyre_mutator *m)
{
	struct gyre__chunk *chain = gyre__ring_take(&m->sealed), *snapshot = NULL;
	uint32_t state = gyre__mutator_state(m);
	size_t count = 0;

	if (m->snapshot_kept) {
		m->snapshot_kept = false;
		return;
	}
	while (chain != NULL) {
		struct gyre__chunk *chunk = chain;

		chain = chunk->next;
		count += chunk->kind == GYRE_CHUNK_JOURNAL;
		if (chunk->kind == GYRE_CHUNK_JOURNAL)
			push_chunk(&c->journal_now, chunk);
		else if (chunk->kind == GYRE_CHUNK_BIRTHS)
			push_chunk(&c->births_now, chunk);
		else
			push_chunk(&snapshot, chunk);
	}
	change_snapshot(c, m, snapshot);
	if (state != GYRE_MUTATOR_EXITED)
		return_empties(c, m, count < RETURNED_EACH ? count : RETURNED_EACH);
}

static void unlist(struct gyre_heap *heap, struct gyre_mutator *m)
{
	if (m->previous != NULL)
		m->previous->next = m->next;
	else
		heap->registry.first = m->next;
	if (m->next != NULL)
		m->next->previous = m->previous;
}

static void collect_all(struct gyre__collector *c)
{
	struct gyre_heap *heap = c->heap;
	struct gyre_mutator *m, *next, *gone = NULL;

	gyre__lock_take(&heap->registry.lock);
	for (m = heap->registry.first; m != NULL; m = next) {
		next = m->next;
		collect_sealed(c, m);
		if (m->ended) {
			unlist(heap, m);
			m->next = gone;
			gone = m;
		}
	}
	gyre__lock_drop(&heap->registry.lock);
	while (gone != NULL) {
		m = gone;
		gone = m->next;
		change_snapshot(c, m, NULL);
		gyre__bins_relinquish(m);
		gyre__mutator_free(m);
	}
}

void gyre__epoch_turn(struct gyre__collector *c)
{
	uint64_t start = gyre__now_ns();

	open_epoch(c);
	wait_for_all(c);
	gyre__pressure_boundary(c->heap);
	collect_all(c);
	c->boundary_ns = gyre__now_ns();
	gyre__counter_add(&c->heap->counted.wait_ns, c->boundary_ns - start);
	gyre__counter_add(&c->heap->counted.epochs, 1);
}
