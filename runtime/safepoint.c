/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * safepoint.c: safe points, parking, and what a mutator does at a boundary. Runs on mutator
 * threads; gyre__boundary also on the collector, for a mutator that it has claimed.
 *
 * Invariants: the snapshot, the sealed journal and the sealed births of an epoch reach the
 * collector's ring before the phase word says so; a thread is parked whenever it waits here.
 */
#include "engine.h"
#include "mutator.h"
#include "pressure.h"
#include "to_collector.h"
#include "twin.h"

#include <string.h>

/* What a keep frame holds at index i. Copied, as the variable has a pointer type of its own. */
static uintptr_t kept(const struct gyre_keep *keep, size_t i)
{
	uintptr_t value;

	if (keep->addresses == NULL)
		return (uintptr_t)keep->values[i];
	memcpy(&value, keep->addresses[i], sizeof(value));
	return value;
}

/* Adds value to the snapshot; false without memory. */
static bool snap(struct gyre_mutator *m, struct gyre__chunk **chain, uintptr_t value)
{
	struct gyre__chunk *chunk = *chain;

	if (value == 0)
		return true;
	if (chunk == NULL || chunk->count == GYRE_CHUNK_ENTRIES) {
		chunk = gyre__chunk_take_for_snapshot(m);
		if (chunk == NULL)
			return false;
		chunk->kind = GYRE_CHUNK_SNAPSHOT;
		chunk->next = *chain;
		*chain = chunk;
	}
	chunk->entries[chunk->count++] = value;
	return true;
}

bool gyre__snapshot(struct gyre_mutator *m, struct gyre__chunk **chain)
{
	const struct gyre_keep *keep;
	size_t i;

	if (GYRE_TWIN(no_snapshot))
		return true;
	for (keep = m->head.keeps; keep != NULL; keep = keep->outer)
		for (i = 0; i < keep->count; i++)
			if (!snap(m, chain, kept(keep, i)))
				return false;
	return true;
}

void gyre__births_take(struct gyre_mutator *m, struct gyre__chunk **chain)
{
	gyre__births_seal(m);
	gyre__chain_append(chain, m->births);
	m->births = NULL;
}

void gyre__hand_in(struct gyre_mutator *m, struct gyre__chunk *chain)
{
	bool done;

	if (chain == NULL)
		return;
	done = gyre__ring_put(&m->sealed, chain);
	GYRE_ASSERT(done); /* the collector empties it at each boundary */
	(void)done;
}

bool gyre__boundary(struct gyre_mutator *m)
{
	/* Acquire pairs with the collector's release when it asked for the handshake. */
	uint64_t phase = atomic_load_explicit(&m->heap->phase, memory_order_acquire);

	/* Relaxed: only the owner, which is the caller, writes it. */
	if (atomic_load_explicit(&m->phase, memory_order_relaxed) == phase)
		return true;
	if (!m->heap->engine->handshake(m, phase))
		return false;
	gyre__mutator_unpoll(m, GYRE_POLL_BOUNDARY);
	/* Release pairs with the acquire in the collector's sweep: all that was sealed above. */
	atomic_store_explicit(&m->phase, phase, memory_order_release);
	/* Without memory the mutator goes on without a chunk; its next store asks for one. */
	gyre__spare_refill(m);
	return true;
}

static void park(struct gyre_mutator *m)
{
	/* Release pairs with the acquire of gyre__claim: the record and the frames as they are. */
	atomic_store_explicit(&m->state, GYRE_MUTATOR_PARKED, memory_order_release);
	gyre__qsbr_park();
}

void gyre__unpark(struct gyre_mutator *m)
{
	struct gyre__registry *registry = &m->heap->registry;
	uint32_t parked = GYRE_MUTATOR_PARKED;

	/* Acquire pairs with the release of gyre__unclaim. */
	while (!atomic_compare_exchange_weak_explicit(&m->state, &parked, GYRE_MUTATOR_RUNNING,
						      memory_order_acquire, memory_order_relaxed)) {
		if (parked == GYRE_MUTATOR_CLAIMED) {
			gyre__lock_take(&registry->lock);
			while (gyre__mutator_state(m) == GYRE_MUTATOR_CLAIMED)
				gyre__event_wait(&registry->released, &registry->lock,
						 GYRE_FOREVER);
			gyre__lock_drop(&registry->lock);
		}
		parked = GYRE_MUTATOR_PARKED;
	}
	gyre__qsbr_unpark();
	m->runs++;
}

static void do_boundary(struct gyre_mutator *m)
{
	uint64_t start = gyre__now_ns();

	gyre__boundary(m);
	gyre__delay_record(&m->heap->shared, GYRE_DELAY_BOUNDARY, gyre__now_ns() - start);
}

static void come_to_rest(struct gyre_mutator *m)
{
	struct gyre__registry *registry = &m->heap->registry;

	park(m);
	gyre__lock_take(&registry->lock);
	while (registry->stopping)
		gyre__event_wait(&registry->released, &registry->lock, GYRE_FOREVER);
	gyre__lock_drop(&registry->lock);
	gyre__unpark(m);
}

static void yield_to_collector(struct gyre_mutator *m)
{
	uint64_t delay = gyre__pressure_delay_ns(m->heap), start;

	gyre__mutator_unpoll(m, GYRE_POLL_PRESSURE);
	/* Who runs finalizers is what others may be waiting for. */
	if (delay == 0 || m->internal || m->batch != NULL)
		return;
	start = gyre__now_ns();
	gyre__collector_wake(m->heap);
	park(m);
	gyre__pressure_wait(m->heap, delay); /* rare: back-pressure delay */
	gyre__unpark(m);
	gyre__delay_record(&m->heap->shared, GYRE_DELAY_PRESSURE, gyre__now_ns() - start);
}

static void refill(struct gyre_mutator *m)
{
	gyre__mutator_unpoll(m, GYRE_POLL_REFILL);
	gyre__spare_refill(m);
}

void gyre_safepoint_slow(struct gyre_mutator *m)
{
	uint32_t poll;

	if (gyre__frozen(m->heap))
		return;
	gyre__check_mutator(m, "gyre_safepoint");
	poll = atomic_load_explicit(&m->head.poll, memory_order_relaxed);
	if (poll & GYRE_POLL_BOUNDARY)
		do_boundary(m);
	if (poll & GYRE_POLL_STOP)
		come_to_rest(m); /* rare: stop by a verification */
	if (poll & GYRE_POLL_PRESSURE)
		yield_to_collector(m);
	/* A boundary may have begun while the thread was parked here. */
	if (atomic_load_explicit(&m->head.poll, memory_order_relaxed) & GYRE_POLL_BOUNDARY)
		do_boundary(m);
	if (poll & GYRE_POLL_REFILL)
		refill(m); /* rare: refill at a safe point */
	/* Last, so that the wait it ends finds the boundary done. */
	if (poll & GYRE_POLL_QUIESCENT)
		gyre__qsbr_quiescent();
}

enum gyre_status gyre_park(struct gyre_mutator *m)
{
	if (m == NULL)
		return GYRE_INVALID;
	if (gyre__frozen(m->heap))
		return GYRE_OK;
	if (gyre__mutator_state(m) != GYRE_MUTATOR_RUNNING)
		return GYRE_PARKED;
	gyre__check_mutator(m, "gyre_park");
	park(m);
	return GYRE_OK;
}

enum gyre_status gyre_unpark(struct gyre_mutator *m)
{
	if (m == NULL)
		return GYRE_INVALID;
	if (gyre__frozen(m->heap))
		return GYRE_OK;
	if (gyre__mutator_state(m) == GYRE_MUTATOR_RUNNING)
		return GYRE_INVALID;
	gyre__unpark(m);
	gyre_safepoint(m);
	return GYRE_OK;
}

enum gyre_status gyre__may_wait(const struct gyre_mutator *m, const char *call)
{
	if (m == NULL)
		return GYRE_INVALID;
	if (gyre__frozen(m->heap))
		return GYRE_FROZEN;
	if (gyre__mutator_state(m) != GYRE_MUTATOR_RUNNING)
		return GYRE_PARKED;
	gyre__check_mutator(m, call);
	(void)call;
	return GYRE_OK;
}

void gyre__errand_for(struct gyre_mutator *m, gyre__errand_fn *errand, void *arg)
{
	park(m);
	gyre__collector_errand(m->heap, errand, arg);
	gyre__unpark(m);
	gyre_safepoint(m);
}

enum gyre_status gyre_collect(struct gyre_mutator *m, uint64_t *reclaimed)
{
	enum gyre_status status = gyre__may_wait(m, "gyre_collect");
	struct gyre_heap *heap;
	uint64_t before;

	if (status != GYRE_OK)
		return status;
	heap = m->heap;
	before = gyre__counter_get(&heap->counted.objects_reclaimed);
	park(m);
	status = gyre__collector_collect(heap);
	gyre__unpark(m);
	gyre_safepoint(m);
	if (reclaimed != NULL)
		*reclaimed = gyre__counter_get(&heap->counted.objects_reclaimed) - before;
	return status;
}

enum gyre_status gyre_verify(struct gyre_mutator *m, struct gyre_verify_report *report,
			     gyre_verify_fn found, void *arg)
{
	struct gyre_verify_report whole = { .size = sizeof(whole) };
	enum gyre_status status = gyre__may_wait(m, "gyre_verify");

	if (report != NULL && report->size != sizeof(whole))
		return GYRE_INVALID;
	if (status != GYRE_OK)
		return status;
	park(m);
	status = gyre__collector_verify(m->heap, &whole, found, arg);
	gyre__unpark(m);
	gyre_safepoint(m);
	if (report != NULL)
		*report = whole;
	return status;
}
