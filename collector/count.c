/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * count.c: applying journals, births and snapshots to the counts, and releasing what reaches 0.
 * Collector thread. The only file that writes counts (but for verdict.c, which takes a dead set's
 * references out of the counts of the sets that it leads to).
 *
 * Invariants: all increments of an epoch come before any decrement of the epoch before it, and a
 * decrement is applied one epoch late, so a count never falls below the references that were there
 * at the boundary. A newborn counts 1 for its thread in the epoch of its birth, taken back an epoch
 * later. An increment never clears PURPLE. An increment or decrement clears ORANGE: the set it hits
 * is refused.
 */
#include "edge.h"
#include "twin.h"

/* Entries between the fetch of a word and its use. */
#define AHEAD 12

static inline void prefetch_word(uintptr_t entry)
{
	__builtin_prefetch(gyre__word_of((void *)(entry & ~GYRE_DECREMENT)), 1);
}

static void stick(struct gyre__collector *c, void *object, uint64_t *word)
{
	if (*word & GYRE_STUCK)
		return;
	*word |= GYRE_STUCK; /* rare: sticky count */
	gyre__counter_add(&c->heap->counted.counts_stuck, 1);
	gyre__log(c->heap, GYRE_LOG_WARNING,
		  "the count of the object of type %s at %p overflowed: it will not be reclaimed",
		  gyre__slab_of(object)->type->name, object);
}

void gyre__increment(struct gyre__collector *c, void *object)
{
	uint64_t *word = gyre__word_of(object);

	GYRE_ASSERT(!(*word & GYRE_RELEASED));
	*word &= ~GYRE_ORANGE;
	if (__builtin_expect(gyre__rc(*word) < GYRE_COUNT_MAX, 1))
		*word += GYRE_RC_ONE;
	else if (GYRE_TWIN(counts_wrap))
		*word -= GYRE_RC_ONE * GYRE_COUNT_MAX;
	else
		stick(c, object, word);
	/* Also when it has stuck: then no count tells the pass of this reference. */
	if (__builtin_expect(c->far.phase != GYRE_FAR_IDLE, 0))
		gyre__far_touched(c, object, word); /* rare: increment during a far pass */
}

void gyre__suspect(struct gyre__collector *c, void *object, uint64_t *word)
{
	void *item = (void *)((uintptr_t)object | !(*word & GYRE_PROVEN));

	if (*word & GYRE_PURPLE)
		return;
	*word |= GYRE_PURPLE;
	gyre__counter_add(&c->heap->counted.candidates, 1);
	/* Without a place in the list it is left to the far pass, which needs none. */
	if (*word & GYRE_LISTED || !gyre__vector_push(&c->young, item))
		c->far.left++; /* rare: candidate without a place */
	else
		*word |= GYRE_IN_YOUNG;
}

void gyre__release(struct gyre__collector *c, void *object, uint64_t *word)
{
	*word = (*word & ~(GYRE_TRACE | GYRE_PURPLE | GYRE_ORANGE)) | GYRE_RELEASED;
	*word = gyre__with_link(*word, c->released);
	c->released = object;
}

void gyre__decrement(struct gyre__collector *c, void *object)
{
	const struct gyre__locator *locator = gyre__locator_of(object);
	uint64_t *word = gyre__word_at(locator, object);

	GYRE_ASSERT(!(*word & GYRE_RELEASED));
	if (__builtin_expect(*word & GYRE_STUCK, 0))
		return;
	GYRE_ASSERT(gyre__rc(*word) > 0);
	*word = (*word & ~GYRE_ORANGE) - GYRE_RC_ONE;
	/* A birth that is still to be counted, or to be taken back, keeps its object, and decides
	 * then what becomes of it. A count may fall to 0 before the birth is known: a thread that
	 * is an epoch ahead makes an object, one that is behind stores it into what dies, and what
	 * dies gives its references up at once. */
	if ((!(*word & GYRE_BORN) && !GYRE_TWIN(unborn_dies)) || gyre__is_newborn(*word))
		return; /* rare: decrement before the birth is over */
	if (gyre__rc(*word) == 0)
		gyre__release(c, object, word);
	else if (!locator->acyclic)
		gyre__suspect(c, object, word);
}

static void count_births(struct gyre__collector *c, const struct gyre__chunk *chunk)
{
	struct gyre__collector_counters *counted = &c->heap->counted;
	uint32_t i;

	for (i = 0; i < chunk->count; i += 2) {
		void *first = (void *)chunk->entries[i];
		struct gyre__slab *slab = gyre__slab_of(first);
		uint32_t cell = gyre__cell_index(slab, first);
		uint64_t *word = gyre__words(slab) + cell;
		uint64_t *end = word + chunk->entries[i + 1];

		gyre__counter_add(&counted->objects_allocated, chunk->entries[i + 1]);
		gyre__counter_add(&counted->bytes_allocated,
				  chunk->entries[i + 1] * gyre__cell_bytes(slab));
		for (; word < end; word++, cell++) {
			*word |= GYRE_BORN | GYRE_NEWBORN_TRACE;
			if (*word == (GYRE_BORN | GYRE_NEWBORN_TRACE))
				*word += GYRE_RC_ONE;
			else
				gyre__increment(c, gyre__cell(slab, cell));
		}
	}
}

static void count_births_back(struct gyre__collector *c, const struct gyre__chunk *chunk)
{
	uint32_t i;

	for (i = 0; i < chunk->count; i += 2) {
		char *object = (char *)chunk->entries[i];
		struct gyre__slab *slab = gyre__slab_of(object);
		uintptr_t n;

		for (n = chunk->entries[i + 1]; n > 0; n--, object += slab->shape.cell_bytes) {
			*gyre__word_of(object) &= ~GYRE_TRACE;
			gyre__decrement(c, object);
		}
	}
}

static void count_journal(struct gyre__collector *c, const struct gyre__chunk *chunk)
{
	uint32_t i;

	for (i = 0; i < chunk->count; i++) {
		if (i + AHEAD < chunk->count)
			prefetch_word(chunk->entries[i + AHEAD]);
		if (!(chunk->entries[i] & GYRE_DECREMENT))
			gyre__increment(c, (void *)chunk->entries[i]);
	}
	gyre__counter_add(&c->heap->counted.journal_entries, chunk->count);
}

static void count_journal_back(struct gyre__collector *c, const struct gyre__chunk *chunk)
{
	uint32_t i;

	for (i = 0; i < chunk->count; i++) {
		if (i + AHEAD < chunk->count)
			prefetch_word(chunk->entries[i + AHEAD]);
		if (chunk->entries[i] & GYRE_DECREMENT)
			gyre__decrement(c, (void *)(chunk->entries[i] & ~GYRE_DECREMENT));
	}
}

void gyre__count_snapshot(struct gyre__collector *c, const struct gyre__chunk *chain)
{
	uint32_t i;

	for (; chain != NULL; chain = chain->next)
		for (i = 0; i < chain->count; i++)
			gyre__increment(c, (void *)chain->entries[i]);
}

void gyre__count_increments(struct gyre__collector *c)
{
	const struct gyre__chunk *chunk;

	for (chunk = c->births_now; chunk != NULL; chunk = chunk->next)
		count_births(c, chunk);
	for (chunk = c->journal_now; chunk != NULL; chunk = chunk->next)
		count_journal(c, chunk);
}

void gyre__count_decrements(struct gyre__collector *c)
{
	const struct gyre__chunk *chunk;
	uint32_t i;

	for (chunk = c->births_before; chunk != NULL; chunk = chunk->next)
		count_births_back(c, chunk);
	chunk = GYRE_TWIN(decrements_at_once) ? c->journal_now : c->journal_before;
	for (; chunk != NULL; chunk = chunk->next)
		count_journal_back(c, chunk);
	for (chunk = c->snapshots_before; chunk != NULL; chunk = chunk->next)
		for (i = 0; i < chunk->count; i++)
			gyre__decrement(c, (void *)chunk->entries[i]);
}

static void give_up(void *collector, void *child)
{
	gyre__decrement(collector, child);
}

void gyre__drain(struct gyre__collector *c)
{
	while (c->released != NULL) {
		void *object = c->released;
		uint64_t *word = gyre__word_of(object);

		c->released = gyre__link(*word);
		*word &= GYRE_FLAGS;
		gyre__each_edge(c, object, give_up, c);
		gyre__unlisted(c, object, word);
	}
}
