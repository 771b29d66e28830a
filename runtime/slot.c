/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slot.c: the write barrier. Runs on mutator threads.
 *
 * Each write reserves its words of journal, writes the slot, and then records an increment of the
 * new value and a decrement of the old one. The order in between does not matter, as there is no
 * safe point: both entries belong to the epoch in which the slot was written. The old value comes
 * from an atomic exchange, because two racing writers that both read the same old value would
 * decrement it twice.
 */
#include <gyre/slot.h>

#include "mutator.h"
#include "twin.h"

static enum gyre_status refuse(struct gyre_mutator *m)
{
	struct gyre_heap *heap = m->heap;

	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	gyre__counter_add_shared(&heap->shared.stores_refused, 1);
	/* The next safe point tries to find memory, and waits for the collector if it must. */
	gyre__mutator_poll(m, GYRE_POLL_REFILL | GYRE_POLL_PRESSURE);
	return m->refusal;
}

/* Whether there is room for entries words. The common case is one compare. */
static inline bool reserve(struct gyre_mutator *m, size_t entries)
{
	size_t room = (size_t)(m->journal_end - m->journal_at);

	/* A frozen heap has no room, but for nothing. */
	if (__builtin_expect(room >= entries && room != 0, 1))
		return true;
	return !gyre__frozen(m->heap) && gyre__journal_reserve(m, entries);
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

enum gyre_status gyre_store(struct gyre_mutator *m, gyre_ref *slot, const void *value)
{
	gyre__check_mutator(m, "gyre_store");
	gyre__check_value(m, value, "gyre_store");
	if (!reserve(m, 2))
		return refuse(m);
	record(m, swap(slot, (uintptr_t)value), (uintptr_t)value);
	return GYRE_OK;
}

enum gyre_status gyre_store_exclusive(struct gyre_mutator *m, gyre_ref *slot, const void *value)
{
	uintptr_t old;

	gyre__check_mutator(m, "gyre_store_exclusive");
	gyre__check_value(m, value, "gyre_store_exclusive");
	if (!reserve(m, 2))
		return refuse(m);
	/* Relaxed: the caller is the only writer, so this is its own or an earlier owner's
	 * value. */
	old = atomic_load_explicit(&slot->word, memory_order_relaxed);
#if GYRE_CHECKED
	if (swap(slot, (uintptr_t)value) != old)
		gyre__misuse("gyre_store_exclusive: a second writer of the slot at %p",
			     (void *)slot);
#else
	/* Release pairs with the acquire of gyre_load. */
	atomic_store_explicit(&slot->word, (uintptr_t)value, memory_order_release);
#endif
	record(m, old, (uintptr_t)value);
	return GYRE_OK;
}

enum gyre_status gyre_init(struct gyre_mutator *m, gyre_ref *slot, const void *value)
{
	gyre__check_mutator(m, "gyre_init");
	gyre__check_value(m, value, "gyre_init");
	if (!reserve(m, 1))
		return refuse(m);
#if GYRE_CHECKED
	if (atomic_load_explicit(&slot->word, memory_order_relaxed) != 0)
		gyre__misuse("gyre_init: the slot at %p is not NULL", (void *)slot);
#endif
	/* Release although no thread sees the object yet: the collector may reach value through
	 * this slot once the object is published by someone who did not write value's fields. */
	atomic_store_explicit(&slot->word, (uintptr_t)value, memory_order_release);
	record(m, 0, (uintptr_t)value);
	return GYRE_OK;
}

enum gyre_status gyre_exchange(struct gyre_mutator *m, gyre_ref *slot, const void *value,
			       void **old)
{
	uintptr_t before;

	gyre__check_mutator(m, "gyre_exchange");
	gyre__check_value(m, value, "gyre_exchange");
	if (old == NULL)
		return GYRE_INVALID;
	if (!reserve(m, 2))
		return refuse(m);
	before = swap(slot, (uintptr_t)value);
	record(m, before, (uintptr_t)value);
	*old = (void *)before;
	return GYRE_OK;
}

enum gyre_status gyre_compare_exchange(struct gyre_mutator *m, gyre_ref *slot, void **expected,
				       const void *value)
{
	uintptr_t before;

	gyre__check_mutator(m, "gyre_compare_exchange");
	gyre__check_value(m, value, "gyre_compare_exchange");
	if (expected == NULL)
		return GYRE_INVALID;
	if (!reserve(m, 2))
		return refuse(m);
	before = (uintptr_t)*expected;
	/* As in swap; acquire on failure because the caller may look into what it found. */
	if (!atomic_compare_exchange_strong_explicit(&slot->word, &before, (uintptr_t)value,
						     memory_order_acq_rel, memory_order_acquire)) {
		*expected = (void *)before;
		return GYRE_CHANGED;
	}
	record(m, before, (uintptr_t)value);
	return GYRE_OK;
}

enum gyre_status gyre_array_copy(struct gyre_mutator *m, gyre_ref *target, const gyre_ref *source,
				 size_t count)
{
	size_t i;

	gyre__check_mutator(m, "gyre_array_copy");
	if (count > SIZE_MAX / (2 * sizeof(gyre_ref)) || (count > 0 && (!target || !source)))
		return GYRE_INVALID;
	if (!reserve(m, 2 * count))
		return refuse(m);
	for (i = 0; i < count; i++) {
		/* Away from the overlap, as memmove does. */
		size_t at = target > source ? count - 1 - i : i;
		uintptr_t value = (uintptr_t)gyre_load(&source[at]);

		record(m, swap(&target[at], value), value);
	}
	return GYRE_OK;
}

enum gyre_status gyre_array_fill(struct gyre_mutator *m, gyre_ref *slots, size_t count,
				 const void *value)
{
	size_t i;

	gyre__check_mutator(m, "gyre_array_fill");
	gyre__check_value(m, value, "gyre_array_fill");
	if (count > SIZE_MAX / (2 * sizeof(gyre_ref)) || (count > 0 && !slots))
		return GYRE_INVALID;
	if (!reserve(m, 2 * count))
		return refuse(m);
	for (i = 0; i < count; i++)
		record(m, swap(&slots[i], (uintptr_t)value), (uintptr_t)value);
	return GYRE_OK;
}
