/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mutator.c: attaching and detaching threads, the registry of them, claims. Attach and detach run
 * on the thread they speak of; claim, unclaim and free on the collector.
 *
 * Invariants: a record is in the registry from attach until the collector has sealed its last epoch
 * after EXITED; a thread is attached to a heap at most once; a record is only ever freed by the
 * collector, or by closing the heap once the collector is gone.
 */
#include "mutator.h"

#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "twin.h"

/* Rounds of destructors of thread-specific data in which the host may still detach by itself. */
#define FAREWELL_ROUNDS 2

static struct gyre_mutator *mutator_make(struct gyre_heap *heap)
{
	struct gyre_mutator *m = aligned_alloc(64, (sizeof(*m) + 63) / 64 * 64);

	if (m == NULL)
		return NULL;
	memset(m, 0, sizeof(*m));
	m->heap = heap;
	m->snapshot_runs = m->sealed_runs = UINT64_MAX;
	gyre__ring_init(&m->sealed);
	gyre__ring_init(&m->returned);
	m->tid = gyre__thread_tid();
	gyre__thread_name(m->name, sizeof(m->name));
	m->journal.kind = GYRE_CHUNK_JOURNAL;
	m->slots.kind = GYRE_CHUNK_SLOTS;
	m->snoop.kind = GYRE_CHUNK_SNOOPED;
	if (!gyre__spare_reserve(m, heap->engine->needs(m, GYRE_STORES_RESERVED))) {
		gyre__mutator_free(m);
		return NULL;
	}
	return m;
}

static void give_rings(struct gyre_mutator *m)
{
	struct gyre__chunk *chunk;

	while ((chunk = gyre__ring_take(&m->returned)) != NULL) {
		chunk->next = NULL;
		gyre__chunk_give(m->heap, chunk);
	}
}

void gyre__mutator_free(struct gyre_mutator *m)
{
	struct gyre__chunk *chains[] = { m->spare, m->births, m->births_spare, m->snapshot };
	struct gyre__log *logs[] = { &m->journal, &m->slots, &m->snoop };
	size_t i;

	give_rings(m);
	for (i = 0; i < sizeof(logs) / sizeof(logs[0]); i++)
		gyre__chunk_give(m->heap, logs[i]->open != NULL ? logs[i]->open : logs[i]->filled);
	for (i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		gyre__chunk_give(m->heap, chains[i]);
	gyre__bins_destroy(m);
	free(m);
}

static void enlist(struct gyre_heap *heap, struct gyre_mutator *m)
{
	uint64_t phase;

	gyre__lock_take(&heap->registry.lock);
	/* A verification holds everybody at rest; a newcomer waits as they do. */
	while (heap->registry.stopping)
		gyre__event_wait(&heap->registry.released, &heap->registry.lock, GYRE_FOREVER);
	/* Relaxed, as the collector asks for handshakes with this lock held. It has nothing to do
	 * for those before. */
	phase = atomic_load_explicit(&heap->phase, memory_order_relaxed);
	heap->engine->enter(m, phase);
	gyre__sampling_turn(m);
	if (GYRE_TWIN(newcomer_plain))
		m->window = false;
	atomic_store_explicit(&m->phase, phase, memory_order_relaxed);
	m->next = heap->registry.first;
	if (m->next != NULL)
		m->next->previous = m;
	heap->registry.first = m;
	heap->registry.attached += !m->internal;
	gyre__lock_drop(&heap->registry.lock);
}

enum gyre_status gyre_attach(struct gyre_heap *heap, unsigned flags, struct gyre_mutator **m)
{
	if (heap == NULL || m == NULL || (flags & ~(unsigned)GYRE_ATTACH_QSBR) != 0)
		return GYRE_INVALID;
	return gyre__attach(heap, flags, false, m);
}

enum gyre_status gyre__attach(struct gyre_heap *heap, unsigned flags, bool internal,
			      struct gyre_mutator **m)
{
	struct gyre_mutator *made;

	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	if (gyre__leavings_get(&heap->leavings) != NULL)
		return GYRE_ATTACHED;
	made = mutator_make(heap);
	if (made == NULL)
		return GYRE_NO_MEMORY;
	if (!gyre__leavings_set(&heap->leavings, made)) {
		gyre__mutator_free(made);
		return GYRE_NO_MEMORY;
	}
	made->internal = internal;
	enlist(heap, made);
	made->reader.poll = &made->head.poll;
	made->reader.bit = GYRE_POLL_QUIESCENT;
	gyre__qsbr_attach(&made->reader, (flags & GYRE_ATTACH_QSBR) != 0);
	*m = made;
	return GYRE_OK;
}

/* The thread leaves; the collector seals what it leaves behind at the next boundary. */
static void leave(struct gyre_mutator *m)
{
	struct gyre_heap *heap = m->heap;

	gyre__leavings_set(&heap->leavings, NULL);
	gyre__qsbr_detach(&m->reader);
	gyre__lock_take(&heap->registry.lock);
	heap->registry.attached -= !m->internal;
	/* Release pairs with the acquire in gyre__mutator_state: the record is the collector's. */
	atomic_store_explicit(&m->state, GYRE_MUTATOR_EXITED, memory_order_release);
	/* The heap may be closed as soon as the lock is dropped. */
	gyre__lock_drop(&heap->registry.lock);
}

enum gyre_status gyre_detach(struct gyre_mutator *m)
{
	if (m == NULL)
		return GYRE_INVALID;
	if (gyre__frozen(m->heap))
		return GYRE_FROZEN;
	if (m->head.keeps != NULL || m->batch != NULL || m->visiting != NULL ||
	    m->kept != NULL)
		return GYRE_BUSY;
	if (gyre__mutator_state(m) != GYRE_MUTATOR_RUNNING)
		gyre_unpark(m);
	gyre__check_mutator(m, "gyre_detach");
	leave(m);
	return GYRE_OK;
}

void gyre__mutator_ended(void *value)
{
	struct gyre_mutator *m = value;
	struct gyre_heap *heap = m->heap;
	char name[sizeof(m->name)];
	long tid = m->tid;

	if (gyre__frozen(heap))
		return;
	/* The stack is unwound: no boundary may look into its frames any more. */
	if (gyre__mutator_state(m) != GYRE_MUTATOR_RUNNING)
		gyre__unpark(m);
	m->head.keeps = NULL;
	/* Destructors run in no order: the host's own may still detach in this round. */
	if (m->farewells++ < FAREWELL_ROUNDS && gyre__leavings_set(&heap->leavings, m))
		return;
	gyre__batch_leave(m);
	gyre__visits_leave(m);
	memcpy(name, m->name, sizeof(name));
	gyre__counter_add_shared(&heap->shared.orphans, 1); /* rare: orphaned journal */
	gyre__log(heap, GYRE_LOG_WARNING,
		  "thread %s (tid %ld) ended while attached; its journal was taken over", name,
		  tid);
	leave(m);
}

bool gyre__claim(struct gyre_mutator *m)
{
	uint32_t parked = GYRE_MUTATOR_PARKED;

	/* Acquire: what the thread did before it parked is ours to read. Pairs with park's
	 * release. */
	return atomic_compare_exchange_strong_explicit(&m->state, &parked, GYRE_MUTATOR_CLAIMED,
						       memory_order_acquire, memory_order_relaxed);
}

void gyre__unclaim(struct gyre_mutator *m)
{
	struct gyre__registry *registry = &m->heap->registry;

	/* Release pairs with the acquire in unpark: the record as the collector left it. Under the
	 * registry's lock (held by the caller), so that a thread that waits cannot miss it. */
	atomic_store_explicit(&m->state, GYRE_MUTATOR_PARKED, memory_order_release);
	gyre__event_signal(&registry->released);
}

struct gyre_mutator *gyre__mutators(struct gyre_heap *heap)
{
	struct gyre_mutator *first;

	gyre__lock_take(&heap->registry.lock);
	first = heap->registry.first;
	gyre__lock_drop(&heap->registry.lock);
	return first;
}

void gyre__registry_count(struct gyre_heap *heap, uint64_t *attached, uint64_t *parked)
{
	struct gyre_mutator *m;

	*attached = *parked = 0;
	gyre__lock_take(&heap->registry.lock);
	for (m = heap->registry.first; m != NULL; m = m->next) {
		uint32_t state = gyre__mutator_state(m);

		if (m->internal)
			continue;
		*attached += state != GYRE_MUTATOR_EXITED;
		*parked += state == GYRE_MUTATOR_PARKED || state == GYRE_MUTATOR_CLAIMED;
	}
	gyre__lock_drop(&heap->registry.lock);
}

struct gyre_heap *gyre_mutator_heap(const struct gyre_mutator *m)
{
	return m->heap;
}

void gyre_mutator_name(struct gyre_mutator *m, const char *name)
{
	struct gyre_heap *heap = m->heap;

	if (gyre__frozen(heap) || name == NULL)
		return;
	gyre__lock_take(&heap->registry.lock);
	strncpy(m->name, name, sizeof(m->name) - 1);
	m->name[sizeof(m->name) - 1] = 0;
	gyre__lock_drop(&heap->registry.lock);
}

#if GYRE_CHECKED
void gyre__check_mutator(const struct gyre_mutator *m, const char *call)
{
	if (gyre__frozen(m->heap))
		return;
	if (m->tid != gyre__thread_tid())
		gyre__misuse("%s: the mutator of another thread", call);
	if (gyre__mutator_state(m) != GYRE_MUTATOR_RUNNING)
		gyre__misuse("%s: the mutator is parked", call);
}

void gyre__check_value(const struct gyre_mutator *m, const void *value, const char *call)
{
	if (value != NULL && !gyre__frozen(m->heap) && !gyre__is_object(m->heap, value))
		gyre__misuse("%s: %p is not an object of this heap", call, value);
}
#endif
