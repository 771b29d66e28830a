/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tagged.c: the mutator's half of the engine tagged. Runs on mutator threads; handshakes also on
 * the collector, for a mutator that it has claimed.
 *
 * A slot's word carries a tag: clean, or that of the epoch which wrote it first since it was clean.
 * The first write of a slot in an epoch exchanges its word and journals (slot, old value); later
 * writes of the epoch are plain stores (gyre/slot.h). A boundary has three handshakes: the window
 * opens; the mutator switches to the next epoch; its frames are snapshotted and the window closes.
 * Until all have switched, mutators of two epochs write to the same slots. So in the window every
 * write exchanges, and one that finds the next epoch's tag keeps it. And what is stored into a slot
 * that belongs to the next epoch then is snooped: it counts as if a frame held it at the boundary,
 * for it may have been taken from a slot that the boundary sees without it, into one that the
 * boundary sees without it as well.
 *
 * Invariants: of the writers of a slot in an epoch one journals it, with what it held when the
 * epoch before ended; room is reserved before a slot is touched, so an entry follows its write
 * without fail, and whoever sees the tag of the open epoch and looks for the entry will find it.
 * Slots of roots are in no object: their writes are journalled as in recycler.c.
 *
 * Source of the sliding view and of snooping: Levanoni, Petrank, "An On-the-Fly Reference-Counting
 * Garbage Collector for Java", sections 3 and 4; the tag in the slot instead of a log pointer in
 * the object is our own (docs/algorithm.md).
 */
#include "engine.h"
#include "mutator.h"
#include "tag.h"
#include "twin.h"
#include "type.h"

size_t gyre__tagged_needs(const struct gyre_mutator *m, size_t writes)
{
	return gyre__log_needs(&m->slots, 2 * writes) + gyre__log_needs(&m->journal, 2 * writes) +
	       gyre__log_needs(&m->snoop, writes);
}

static inline bool reserve(struct gyre_mutator *m, size_t writes)
{
	/* A write takes a chunk of each log at most. */
	if (__builtin_expect(writes == 1 && m->spare_count >= 3, 1))
		return true;
	return gyre__spare_reserve(m, gyre__tagged_needs(m, writes));
}

static void turn_slots(struct gyre_mutator *m)
{
	gyre__log_turn(m, &m->slots);
	atomic_store_explicit(&m->slots.open->shown, 0, memory_order_relaxed);
	/* Release pairs with the acquire of the collector's lookup: the chunk and its link. */
	atomic_store_explicit(&m->shown, m->slots.open, memory_order_release);
}

/* Journals that slot held word when the last epoch ended. The open chunk has room. */
static inline void append(struct gyre_mutator *m, gyre_ref *slot, uintptr_t word)
{
	uintptr_t *at = m->slots.at;

	if (GYRE_TWIN(shown_first)) {
		atomic_store_explicit(&m->slots.open->shown,
				      (uint64_t)(at + 2 - m->slots.open->entries),
				      memory_order_release);
		(void)atomic_load_explicit(&m->head.poll, memory_order_relaxed);
	}
	at[0] = (uintptr_t)slot | ((word & GYRE_TAG_MASK) == 0 ? 0 : GYRE_ENTRY_EARLY);
	at[1] = word & ~GYRE_TAG_MASK;
	m->slots.at = at + 2;
	/* Release pairs with the acquire of the collector's lookup: the entry. */
	atomic_store_explicit(&m->slots.open->shown,
			      (uint64_t)(m->slots.at - m->slots.open->entries),
			      memory_order_release);
}

static inline void record(struct gyre_mutator *m, gyre_ref *slot, uintptr_t word)
{
	if (__builtin_expect(m->slots.at == m->slots.end, 0))
		turn_slots(m);
	append(m, slot, word);
}

/*
 * Whether a slot without the next epoch's tag may be of an object that was born in the next epoch:
 * those of large objects and of types with a callback are born clean.
 */
static bool may_be_unborn(const struct gyre_mutator *m, const gyre_ref *slot)
{
	const struct gyre__locator *locator = gyre__locator_of(slot);

	return gyre__has_wide(&m->heap->slabs) || locator->reciprocal == 0 ||
	       gyre__born_clean(locator->type);
}

static inline void add_to_snapshot(struct gyre_mutator *m, uintptr_t value)
{
	if (m->snoop.at == m->snoop.end)
		gyre__log_turn(m, &m->snoop);
	*m->snoop.at++ = value;
}

/*
 * A write in the window, that left the slot with tag. What it stored is in the view of the epoch
 * that ends, unless the slot belongs to the next one by then, or its object does; and what was born
 * in the next one is not judged by this boundary.
 */
static inline void snoop(struct gyre_mutator *m, const gyre_ref *slot, uintptr_t tag,
			 uintptr_t value)
{
	m->window_stores++;
	if (!m->switched && tag != gyre__next_tag(m->tag) &&
	    (tag == GYRE_TAG_OUTSIDE || GYRE_TWIN(unborn_not_snooped) || !may_be_unborn(m, slot)))
		return;
	if (value == 0 || GYRE_TWIN(no_snoop) ||
	    (m->switched && gyre__is_newborn_of(m, (const void *)value)))
		return;
	add_to_snapshot(m, value);
}

void gyre__tagged_count_once(struct gyre_mutator *m, const void *object)
{
	add_to_snapshot(m, (uintptr_t)object);
}

static void record_outside(struct gyre_mutator *m, uintptr_t old, uintptr_t value)
{
	if (value != 0)
		gyre__journal_add(m, value);
	if (old != 0)
		gyre__journal_add(m, old | GYRE_DECREMENT);
}

/* Whether a write that finds tag leaves it: the slot is journalled in m's epoch already, or by one
 * who is in the next, which m will reach before it ends its window. */
static inline bool stays(const struct gyre_mutator *m, uintptr_t tag)
{
	return tag == m->tag || (tag == gyre__next_tag(m->tag) && !GYRE_TWIN(laggard_retags)) ||
	       tag == GYRE_TAG_OUTSIDE;
}

/* Replaces *word, which slot held, by another one. False: slot holds something else, which is in
 * *word now. */
static inline bool put_word(gyre_ref *slot, uintptr_t *word, uintptr_t other)
{
	if (GYRE_TWIN(no_exchange)) {
		atomic_store_explicit(&slot->word, other, memory_order_release);
		return true;
	}
	/* Release publishes what the new object holds, to gyre_load and to the collector; acquire
	 * lets the caller look into the old one. */
	return atomic_compare_exchange_weak_explicit(&slot->word, word, other, memory_order_acq_rel,
						     memory_order_acquire);
}

/* The same with the object that a word refers to, and the tag that the slot gets or keeps; and
 * records it. */
static inline bool replace(struct gyre_mutator *m, gyre_ref *slot, uintptr_t *word, uintptr_t value)
{
	uintptr_t tag = *word & GYRE_TAG_MASK, old = *word & ~GYRE_TAG_MASK;
	bool first = !stays(m, tag);

	if (first)
		tag = m->tag;
	if (!put_word(slot, word, value | tag))
		return false;
	if (first)
		record(m, slot, *word);
	else if (tag == GYRE_TAG_OUTSIDE)
		record_outside(m, old, value);
	if (m->window)
		snoop(m, slot, tag, value);
	return true;
}

static inline uintptr_t swap(struct gyre_mutator *m, gyre_ref *slot, uintptr_t value)
{
	uintptr_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);

	while (!replace(m, slot, &word, value))
		;
	return word & ~GYRE_TAG_MASK;
}

static __attribute__((noinline)) enum gyre_status
exchange_any(struct gyre_mutator *m, gyre_ref *slot, uintptr_t value, uintptr_t *old)
{
	if (!reserve(m, 1))
		return gyre__refuse(m);
	*old = swap(m, slot, value);
	return GYRE_OK;
}

/*
 * Nearly all writes that come here are the first of their slot in an epoch, outside of a window,
 * and find room in the open chunk; no other log is touched then. They are kept short: the slot is
 * in no cache, and the fewer instructions a write has, the more of them wait for theirs at once.
 */
enum gyre_status gyre__tagged_exchange(struct gyre_mutator *m, gyre_ref *slot, uintptr_t value,
				       uintptr_t *old)
{
	uintptr_t word;

	if (__builtin_expect(m->window || m->slots.at == m->slots.end, 0))
		return exchange_any(m, slot, value, old);
	word = atomic_load_explicit(&slot->word, memory_order_relaxed);
	if (__builtin_expect(
		    stays(m, word & GYRE_TAG_MASK) || !put_word(slot, &word, value | m->tag), 0))
		return exchange_any(m, slot, value, old);
	append(m, slot, word);
	*old = word & ~GYRE_TAG_MASK;
	return GYRE_OK;
}

/* found: what the writer saw before its write; replaced: what its write found. */
static inline void check_only_writer(const gyre_ref *slot, uintptr_t replaced, uintptr_t found)
{
#if GYRE_CHECKED
	if ((replaced ^ found) & ~GYRE_TAG_MASK)
		gyre__misuse("gyre_store_exclusive: a second writer of the slot at %p",
			     (const void *)slot);
#else
	(void)slot, (void)replaced, (void)found;
#endif
}

enum gyre_status gyre__tagged_put(struct gyre_mutator *m, gyre_ref *slot, uintptr_t value)
{
	__attribute__((unused)) uintptr_t old;
	uintptr_t word, tag;
	bool first;

	if (!reserve(m, 1))
		return gyre__refuse(m);
	/* Relaxed: the caller is the only writer, so this is its own or an earlier owner's value;
	 * the collector may take the tag away at any time. */
	word = atomic_load_explicit(&slot->word, memory_order_relaxed);
	tag = word & GYRE_TAG_MASK;
	if (tag == GYRE_TAG_OUTSIDE) {
		old = swap(m, slot, value);
		check_only_writer(slot, old, word);
		return GYRE_OK;
	}
	first = !stays(m, tag);
	if (first) {
		/* Before the tag that says so. */
		record(m, slot, word);
		tag = m->tag;
	}
	value |= tag;
#if GYRE_CHECKED
	old = atomic_exchange_explicit(&slot->word, value, memory_order_release);
	check_only_writer(slot, old, word);
#else
	/* Release pairs with the acquire of gyre_load. */
	atomic_store_explicit(&slot->word, value, memory_order_release);
#endif
	if (m->window)
		snoop(m, slot, tag, value & ~GYRE_TAG_MASK);
	return GYRE_OK;
}

enum gyre_status gyre__tagged_compare_exchange(struct gyre_mutator *m, gyre_ref *slot,
					       uintptr_t *expected, uintptr_t value)
{
	uintptr_t word;

	if (!reserve(m, 1))
		return gyre__refuse(m);
	/* Acquire because the caller may look into what it found. */
	word = atomic_load_explicit(&slot->word, memory_order_acquire);
	do {
		if ((word & ~GYRE_TAG_MASK) != *expected) {
			*expected = word & ~GYRE_TAG_MASK;
			return GYRE_CHANGED;
		}
	} while (!replace(m, slot, &word, value));
	return GYRE_OK;
}

void gyre__tagged_enter(struct gyre_mutator *m, uint64_t phase)
{
	unsigned step = phase % GYRE_TAGGED_HANDSHAKES;

	m->window = step != 0;
	m->switched = step == 2;
	m->tag = gyre__tag((phase + 1) / GYRE_TAGGED_HANDSHAKES);
	m->head.tag = m->tag;
	/* In a window every write exchanges; and builds with checks look at all of them, but in
	 * simulation, where the plain ones are to be seen. */
	if ((m->window && !GYRE_TWIN(plain_in_window)) || GYRE_IF_SIM(0, GYRE_CHECKED))
		m->head.tag = GYRE_TAG_NONE;
}

/* The second handshake: what was written and born in the epoch is handed in. */
static void switch_epoch(struct gyre_mutator *m)
{
	struct gyre__chunk *chain = NULL;

	if (!(GYRE_TWIN(parked_left_out) && gyre__mutator_state(m) == GYRE_MUTATOR_CLAIMED) &&
	    !(GYRE_TWIN(exit_left_out) && gyre__mutator_state(m) == GYRE_MUTATOR_EXITED)) {
		chain = gyre__log_seal(&m->slots);
		/* Relaxed: the phase word's release tells the collector. */
		atomic_store_explicit(&m->shown, m->slots.open, memory_order_relaxed);
	}
	gyre__chain_append(&chain, gyre__log_seal(&m->journal));
	gyre__births_take(m, &chain);
	gyre__hand_in(m, chain);
}

/* The third: what the frames hold and what was snooped. */
static bool close_window(struct gyre_mutator *m)
{
	struct gyre__chunk *chain = NULL, *snooped;

	if (!gyre__snapshot(m, &chain)) {
		gyre__chunk_give(m->heap, chain); /* rare: snapshot refused */
		return false;
	}
	snooped = gyre__log_seal(&m->snoop);
	m->snooped = snooped != NULL;
	gyre__chain_append(&chain, snooped);
	gyre__hand_in(m, chain);
	gyre__counter_add_shared(&m->heap->shared.window_stores, m->window_stores);
	m->window_stores = 0;
	/* What it wrote in the new epoch before its frames were looked at: slabs of it are held. */
	m->hasty = m->slots.open;
	m->hasty_words = m->slots.open == NULL ? 0 : (size_t)(m->slots.at - m->slots.open->entries);
	return true;
}

bool gyre__tagged_handshake(struct gyre_mutator *m, uint64_t phase)
{
	unsigned step = phase % GYRE_TAGGED_HANDSHAKES;

	if (step == 2)
		switch_epoch(m);
	else if (step == 0 && !close_window(m))
		return false;
	gyre__tagged_enter(m, phase);
	return true;
}
