/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slot.h: reading and writing references.
 *
 * A slot is a gyre_ref: a field of an object, or of a struct gyre_root. All-zero bytes are a slot
 * that holds NULL. Slots are read and written through the calls below only; those are safe under
 * races between mutators, and none of them is a safe point. A write is recorded in the journal of
 * the mutator that made it; that record is what the collector counts by, so a slot that is written
 * in any other way (an assignment, memcpy, realloc of what it lies in) is a broken heap.
 *
 * The calls that write need up to two words of journal a slot. They reserve them before they touch
 * the slot: one that returns GYRE_NO_MEMORY or GYRE_JOURNAL_FULL has stored nothing. After each
 * gyre_safepoint, GYRE_STORES_RESERVED stores are sure to succeed in a heap that is not frozen, but
 * if the journals were at their limit, or the system out of memory, at that safe point.
 *
 * Source of the barrier: Bacon, Attanasio, Rajan, Smith, Lee, "A Pure Reference Counting Garbage
 * Collector", section 2 (the exchange that makes racing writers safe).
 */
#ifndef GYRE_SLOT_H
#define GYRE_SLOT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <gyre/status.h>

struct gyre_mutator;

/* One reference, one word. Opaque: its bits belong to gyre. */
typedef struct gyre_ref {
	_Atomic(uintptr_t) word;
} gyre_ref;

#define GYRE_STORES_RESERVED 128

/*
 * The object a slot refers to, or NULL. Valid until the calling thread's next safe point. Any
 * attached thread that is not parked; also the thread that lives on in the child of a fork.
 */
static inline void *gyre_load(const gyre_ref *slot)
{
	/* Acquire pairs with the release of every write to a slot: what the object held when it
	 * was published is seen by whoever reaches it. */
	return (void *)atomic_load_explicit(&slot->word, memory_order_acquire);
}

/*
 * Stores value (an object of the same heap, or NULL) into slot. m is the calling thread's mutator.
 * GYRE_OK, GYRE_NO_MEMORY, GYRE_JOURNAL_FULL, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_store(struct gyre_mutator *m, gyre_ref *slot, const void *value);

/*
 * The same where the caller promises that no other thread writes this slot during the call (the
 * object's owner, or a lock held). Readers may race. Saves the atomic exchange. A debug build
 * detects a second writer and aborts.
 */
GYRE_API enum gyre_status gyre_store_exclusive(struct gyre_mutator *m, gyre_ref *slot,
					       const void *value);

/*
 * Fills a slot that holds NULL, of an object that no other thread can see yet. The cheapest write.
 * A debug build aborts if the slot held something.
 */
GYRE_API enum gyre_status gyre_init(struct gyre_mutator *m, gyre_ref *slot, const void *value);

/* Stores value and gives what the slot held before in *old (valid until the next safe point). */
GYRE_API enum gyre_status gyre_exchange(struct gyre_mutator *m, gyre_ref *slot, const void *value,
					void **old);

/*
 * Stores value if slot holds *expected. GYRE_CHANGED: it held something else, which is in *expected
 * now. Acquire and release in either case.
 */
GYRE_API enum gyre_status gyre_compare_exchange(struct gyre_mutator *m, gyre_ref *slot,
						void **expected, const void *value);

/*
 * Copies count slots from source to target, which may overlap, as memmove would. Each slot is
 * written atomically, the whole is not. All or nothing with regard to errors: when it fails,
 * nothing was stored.
 */
GYRE_API enum gyre_status gyre_array_copy(struct gyre_mutator *m, gyre_ref *target,
					  const gyre_ref *source, size_t count);

/* Stores value into count slots, each atomically. All or nothing with regard to errors. */
GYRE_API enum gyre_status gyre_array_fill(struct gyre_mutator *m, gyre_ref *slots, size_t count,
					  const void *value);

#endif
