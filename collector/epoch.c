/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * epoch.c: the boundary between two epochs. Collector thread.
 *
 * The collector asks every mutator for a handshake, or for several, one after another, as the
 * engine has it. Running mutators do it at their next safe point; for parked ones, which it claims,
 * and for those that have detached, the collector does it. The wait in between is a grace period;
 * what counts are the phase words.
 *
 * Invariants: no handshake begins before every mutator has done the last one. A parked mutator that
 * has not run since its last snapshot keeps that snapshot counted instead of taking the same one
 * again. A record that has detached leaves the registry once its last epoch is sealed, and with it
 * go the frames' counts, one epoch late like every other decrement.
 */
#include "collector.h"
#include "engine.h"
#include "platform/probes.h"
#include "pressure.h"
#include "twin.h"

#define PAUSE_NS_FIRST 20000
#define PAUSE_NS_LAST 1000000
#define RETURNED_EACH 8 /* empty chunks that go straight back to a mutator that sealed some */

static void ask(struct gyre__collector *c)
{
	struct gyre_heap *heap = c->heap;
	struct gyre_mutator *m;
	uint64_t phase;

	gyre__lock_take(&heap->registry.lock);
	phase = atomic_load_explicit(&heap->phase, memory_order_relaxed);
	/* Release pairs with the acquire in gyre__boundary: what was processed comes before. */
	atomic_store_explicit(&heap->phase, phase + 1, memory_order_release);
	for (m = heap->registry.first; m != NULL; m = m->next)
		gyre__mutator_poll(m, GYRE_POLL_BOUNDARY);
	gyre__lock_drop(&heap->registry.lock);
}

/* The handshake of a mutator that the collector has claimed. False without memory for its
 * snapshot. */
static bool handshake_for(struct gyre_mutator *m, uint64_t phase)
{
	const struct gyre__engine *engine = m->heap->engine;
	bool last = phase % engine->handshakes == 0;

	/* It may have come to its handshake by itself after the look at its phase word and before
	 * the claim. Then it has written since, its frames are not in any snapshot, and it must not
	 * be taken for one that has not run since its last. Relaxed: the claim has acquired the
	 * record. */
	if (atomic_load_explicit(&m->phase, memory_order_relaxed) == phase) {
		if (GYRE_TWIN(claimed_anyway) && last)
			m->snapshot_runs = m->runs;
		return true;
	}
	if (m->snapshot_runs == m->runs) {
		/* It has not run: its journal is empty and its frames are as they were. It may be
		 * parked for long; others can use its slabs. */
		gyre__bins_relinquish_idle(m);
		engine->enter(m, phase);
		m->snapshot_kept = last; /* rare: snapshot of a parked thread kept */
		gyre__mutator_unpoll(m, GYRE_POLL_BOUNDARY);
		atomic_store_explicit(&m->phase, phase, memory_order_relaxed);
		return true;
	}
	if (!gyre__boundary(m))
		return false;
	/* It may have run since the handshake that sealed its journal, which was another. And what
	 * was snooped counts for one boundary only. */
	if (!last)
		m->sealed_runs = m->runs;
	else if ((!m->snooped || GYRE_TWIN(snooped_kept)) &&
		 (engine->handshakes == 1 || m->sealed_runs == m->runs ||
		  GYRE_TWIN(unsealed_kept)))
		m->snapshot_runs = m->runs;
	return true;
}

/* The handshake of a thread that has left. It ends when all that it wrote is handed in: at the last
 * handshake of a boundary that found it gone from the first. */
static bool handshake_of_gone(struct gyre_mutator *m, uint64_t phase)
{
	uint32_t handshakes = m->heap->engine->handshakes, step = phase % handshakes;

	if (!handshake_for(m, phase))
		return false;
	if (step == 1 || handshakes == 1)
		m->gone = true;
	m->ended = (m->gone || GYRE_TWIN(gone_at_once)) && step == 0;
	return true;
}

/* Whether m has done the handshake of phase, or the collector has just done it for m. */
static bool settle(struct gyre_mutator *m, uint64_t phase)
{
	/* Before the phase word: that of a thread that has left is its last then. One that came to
	 * this handshake and left after it has still to be ended, at the next. */
	uint32_t state = gyre__mutator_state(m);
	bool done;

	/* Acquire pairs with the release in gyre__boundary: what m has sealed. */
	if (atomic_load_explicit(&m->phase, memory_order_acquire) == phase)
		return true;
	if (state == GYRE_MUTATOR_EXITED)
		return handshake_of_gone(m, phase); /* rare: boundary of a thread that left */
	if (state == GYRE_MUTATOR_CLAIMED) /* by a verification: held for longer than this */
		return handshake_for(m, phase); /* rare: boundary during a verification */
	if (state != GYRE_MUTATOR_PARKED || !gyre__claim(m))
		return false;
	done = handshake_for(m, phase); /* rare: boundary of a parked thread */
	gyre__unclaim(m);
	return done;
}

/* The number of mutators that have not done the handshake of phase. */
static size_t sweep(struct gyre__collector *c, uint64_t phase)
{
	struct gyre_heap *heap = c->heap;
	struct gyre_mutator *m;
	size_t behind = 0;

	gyre__lock_take(&heap->registry.lock);
	for (m = heap->registry.first; m != NULL; m = m->next)
		behind += !settle(m, phase);
	gyre__lock_drop(&heap->registry.lock);
	return behind;
}

static void wait_for_all(struct gyre__collector *c)
{
	uint64_t phase = atomic_load_explicit(&c->heap->phase, memory_order_relaxed);
	uint64_t pause = 0;

	atomic_store_explicit(&c->waiting_since, gyre__now_ns(), memory_order_relaxed);
	while (sweep(c, phase) > 0) {
		/* A thread that its host registered, or that went offline and came back, may have
		 * been quiescent without having done its handshake. */
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

/* Replaces the snapshot of m that is counted: the new one with the increments, the old one taken
 * back with the decrements. */
static void change_snapshot(struct gyre__collector *c, struct gyre_mutator *m,
			    struct gyre__chunk *snapshot)
{
	gyre__chain_append(&c->snapshots_before, m->snapshot);
	m->snapshot = snapshot;
	m->snapshot_new = snapshot != NULL;
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
	struct gyre__chunk *chain, *snapshot = NULL;
	uint32_t state = gyre__mutator_state(m);
	size_t count = 0;

	/* It may have run between two handshakes, and been kept at the last. */
	while ((chain = gyre__ring_take(&m->sealed)) != NULL) {
		while (chain != NULL) {
			struct gyre__chunk *chunk = chain;

			chain = chunk->next;
			count += chunk->kind == GYRE_CHUNK_JOURNAL ||
				 chunk->kind == GYRE_CHUNK_SLOTS;
			if (chunk->kind == GYRE_CHUNK_JOURNAL)
				push_chunk(&c->journal_now, chunk);
			else if (chunk->kind == GYRE_CHUNK_SLOTS)
				push_chunk(&c->tagged.slots, chunk);
			else if (chunk->kind == GYRE_CHUNK_BIRTHS)
				push_chunk(&c->births_now, chunk);
			else
				push_chunk(&snapshot, chunk);
		}
	}
	if (m->snapshot_kept)
		m->snapshot_kept = false;
	else
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
		gyre__chain_append(m->snapshot_new ? &c->snapshots_left : &c->snapshots_before,
				   m->snapshot);
		m->snapshot = NULL;
		gyre__bins_relinquish(m);
		gyre__mutator_free(m);
	}
}

void gyre__epoch_turn(struct gyre__collector *c)
{
	uint64_t start = gyre__now_ns(), waited;
	uint64_t epoch = gyre__counter_get(&c->heap->counted.epochs);
	uint32_t i;

	GYRE_PROBE2(boundary__begin, c->heap->name, epoch);
	for (i = 0; i < c->heap->engine->handshakes; i++) {
		ask(c);
		wait_for_all(c);
	}
	gyre__pressure_boundary(c->heap);
	collect_all(c);
	c->boundary_ns = gyre__now_ns();
	waited = c->boundary_ns - start;
	gyre__counter_add(&c->heap->counted.wait_ns, waited);
	gyre__counter_add(&c->heap->counted.epochs, 1);
	GYRE_PROBE3(boundary__end, c->heap->name, epoch, waited);
}
