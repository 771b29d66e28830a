/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slot.h: reading and writing references.
 *
 * A slot is a gyre_ref: a field of an object, or of a struct gyre_root. A slot of a new object
 * holds NULL. Slots are read and written through the calls below only; those are safe under races
 * between mutators, and none of them is a safe point. What a write replaces is recorded in the
 * journal of the mutator that made it, and the word of a slot carries a mark that says so; a slot
 * that is read or written in any other way (an assignment, memcpy, realloc of what it lies in) is a
 * broken heap.
 *
 * A write reserves its words of journal before it touches the slot: one that returns
 * GYRE_NO_MEMORY or GYRE_JOURNAL_FULL has stored nothing. After each gyre_safepoint,
 * GYRE_STORES_RESERVED stores are sure to succeed in a heap that is not frozen, but if the journals
 * were at their limit, or the system out of memory, at that safe point.
 *
 * Sources of the barriers: Bacon, Attanasio, Rajan, Smith, Lee, "A Pure Reference Counting Garbage
 * Collector", section 2 (the exchange that makes racing writers safe; the engine recycler);
 * Levanoni, Petrank, "An On-the-Fly Reference-Counting Garbage Collector for Java", section 3 (one
 * record for a slot and an epoch, and sliding views; the engine tagged).
 */
#ifndef GYRE_SLOT_H
#define GYRE_SLOT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <gyre/status.h>

struct gyre_keep;
struct gyre_mutator;

/* One reference, one word. Opaque: its bits belong to gyre. */
typedef struct gyre_ref {
	_Atomic(uintptr_t) word;
} gyre_ref;

/* The bits of a slot's word that are no part of a reference, and what a mutator's tag is when no
 * slot has it. Not for the user. */
#define GYRE_TAG_MASK ((uintptr_t)7)
#define GYRE_TAG_NONE ((uintptr_t)8)

/* The part of a mutator that inline functions read. Not for the user. */
struct gyre_mutator_head {
	_Atomic(uint32_t) poll;  /* not 0: the next safe point has something to do */
	uint32_t bumps_count;
	uintptr_t tag;           /* a slot with this tag may be written by a plain store now */
	struct gyre_bump *bumps; /* by type id: where the next object comes from */
	struct gyre_keep *keeps; /* innermost keep frame */
};

#define GYRE_STORES_RESERVED 128

/*
 * The object a slot refers to, or NULL. Valid until the calling thread's next safe point. Any
 * attached thread that is not parked; also the thread that lives on in the child of a fork.
 */
static inline void *gyre_load(const gyre_ref *slot)
{
	/* Acquire pairs with the release of every write to a slot: what the object held when it
	 * was published is seen by whoever reaches it. */
	return (void *)(atomic_load_explicit(&slot->word, memory_order_acquire) & ~GYRE_TAG_MASK);
}

/* What the inline writes below do when the slot was not written in this epoch yet. Not for C. */
GYRE_API enum gyre_status gyre_store_slow(struct gyre_mutator *m, gyre_ref *slot,
					  const void *value);
GYRE_API enum gyre_status gyre_store_exclusive_slow(struct gyre_mutator *m, gyre_ref *slot,
						    const void *value);
GYRE_API enum gyre_status gyre_init_slow(struct gyre_mutator *m, gyre_ref *slot, const void *value);

/* Writes a slot that m's epoch has marked already. Not for the user. */
static inline int gyre_store_again_(struct gyre_mutator *m, gyre_ref *slot, const void *value)
{
	uintptr_t tag = ((struct gyre_mutator_head *)m)->tag;

	/* Relaxed: that the slot has the tag says that its old value is recorded; nothing is
	 * read through it. */
	if (__builtin_expect((atomic_load_explicit(&slot->word, memory_order_relaxed) &
			      GYRE_TAG_MASK) != tag, 0))
		return 0;
	/* Release pairs with the acquire of gyre_load: what the object holds. */
	atomic_store_explicit(&slot->word, (uintptr_t)value | tag, memory_order_release);
	return 1;
}

/*
 * Stores value (an object of the same heap, or NULL) into slot. m is the calling thread's mutator.
 * GYRE_OK, GYRE_NO_MEMORY, GYRE_JOURNAL_FULL, GYRE_FROZEN.
 */
static inline enum gyre_status gyre_store(struct gyre_mutator *m, gyre_ref *slot, const void *value)
{
	if (__builtin_expect(gyre_store_again_(m, slot, value), 1))
		return GYRE_OK;
	return gyre_store_slow(m, slot, value);
}

/*
 * The same where the caller promises that no other thread writes this slot during the call (the
 * object's owner, or a lock held). Readers may race. Saves the atomic exchange. Either all writes
 * of a slot are made so, or none is. A build with -Dchecks=true detects a second writer and
 * aborts.
 */
static inline enum gyre_status gyre_store_exclusive(struct gyre_mutator *m, gyre_ref *slot,
						    const void *value)
{
	if (__builtin_expect(gyre_store_again_(m, slot, value), 1))
		return GYRE_OK;
	return gyre_store_exclusive_slow(m, slot, value);
}

/*
 * Fills a slot that holds NULL, of an object that no other thread can see yet. The cheapest write.
 * A build with -Dchecks=true aborts if the slot held something.
 */
static inline enum gyre_status gyre_init(struct gyre_mutator *m, gyre_ref *slot, const void *value)
{
	if (__builtin_expect(gyre_store_again_(m, slot, value), 1))
		return GYRE_OK;
	return gyre_init_slow(m, slot, value);
}

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
