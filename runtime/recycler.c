/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recycler.c: the mutator's half of the engine recycler. Runs on mutator threads; the handshake
 * also on the collector, for a mutator that it has claimed.
 *
 * Each write reserves its words of journal, writes the slot, and then records an increment of the
 * new value and a decrement of the old one. The order in between does not matter, as there is no
 * safe point: both entries belong to the epoch in which the slot was written. The old value comes
 * from an atomic exchange, because two racing writers that both read the same old value would
 * decrement it twice. A boundary is one handshake: snapshot, journal and births in one.
 */
#include "engine.h"
#include "mutator.h"
#include "twin.h"

size_t gyre__recycler_needs(const struct gyre_mutator *m, size_t writes)
{
	return gyre__log_needs(&m->journal, 2 * writes);
}

static inline bool reserve(struct gyre_mutator *m, size_t writes)
{
	return gyre__spare_reserve(m, gyre__log_needs(&m->journal, 2 * writes));
}

static inline void record(struct gyre_mutator *m, uintptr_t old, uintptr_t new)
{
	if (new != 0)
		gyre__journal_add(m, new);
	if (old != 0)
		gyre__journal_add(m, old | GYRE_DECREMENT);
}

static inline uintptr_t swap(gyre_ref *slot, uintptr_t new)
{
	if (GYRE_TWIN(no_exchange)) {
		uintptr_t old = atomic_load_explicit(&slot->word, memory_order_acquire);

		atomic_store_explicit(&slot->word, new, memory_order_release);
		return old;
	}
	/* Release publishes what the new object holds, to gyre_load and to the collector; acquire
	 * lets the caller look into the old one. */
	return atomic_exchange_explicit(&slot->word, new, memory_order_acq_rel);
}

enum gyre_status gyre__recycler_exchange(struct gyre_mutator *m, gyre_ref *slot, uintptr_t value,
					 uintptr_t *old)
{
	if (!reserve(m, 1))
		return gyre__refuse(m);
	*old = swap(slot, value);
	record(m, *old, value);
	return GYRE_OK;
}

enum gyre_status gyre__recycler_put(struct gyre_mutator *m, gyre_ref *slot, uintptr_t value)
{
	uintptr_t old;

	if (!reserve(m, 1))
		return gyre__refuse(m);
	/* Relaxed: the caller is the only writer, so this is its own or an earlier owner's
	 * value. */
	old = atomic_load_explicit(&slot->word, memory_order_relaxed);
#if GYRE_CHECKED
	if (swap(slot, value) != old)
		gyre__misuse("gyre_store_exclusive: a second writer of the slot at %p",
			     (void *)slot);
#else
	/* Release pairs with the acquire of gyre_load. */
	atomic_store_explicit(&slot->word, value, memory_order_release);
#endif
	record(m, old, value);
	return GYRE_OK;
}

enum gyre_status gyre__recycler_compare_exchange(struct gyre_mutator *m, gyre_ref *slot,
						 uintptr_t *expected, uintptr_t value)
{
	if (!reserve(m, 1))
		return gyre__refuse(m);
	/* As in swap; acquire on failure because the caller may look into what it found. */
	if (!atomic_compare_exchange_strong_explicit(&slot->word, expected, value,
						     memory_order_acq_rel, memory_order_acquire))
		return GYRE_CHANGED;
	record(m, *expected, value);
	return GYRE_OK;
}

void gyre__recycler_count_once(struct gyre_mutator *m, const void *object)
{
	record(m, (uintptr_t)object, (uintptr_t)object);
}

void gyre__recycler_enter(struct gyre_mutator *m, uint64_t phase)
{
	(void)phase;
	m->head.tag = GYRE_TAG_NONE;
}

bool gyre__recycler_handshake(struct gyre_mutator *m, uint64_t phase)
{
	struct gyre__chunk *chain = NULL;

	(void)phase;
	if (!gyre__snapshot(m, &chain)) {
		gyre__chunk_give(m->heap, chain); /* rare: snapshot refused */
		return false;
	}
	if (!(GYRE_TWIN(parked_left_out) && gyre__mutator_state(m) == GYRE_MUTATOR_CLAIMED) &&
	    !(GYRE_TWIN(exit_left_out) && gyre__mutator_state(m) == GYRE_MUTATOR_EXITED))
		gyre__chain_append(&chain, gyre__log_seal(&m->journal));
	gyre__births_take(m, &chain);
	gyre__hand_in(m, chain);
	return true;
}
