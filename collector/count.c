/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * count.c: counting up and down, and releasing what reaches 0. Collector thread. In what order an
 * epoch is counted is the engine's affair (apply_recycler.c, apply_tagged.c).
 *
 * Invariants: counts change here only (but for verdict.c, which takes a dead set's references out
 * of the counts of the sets that it leads to). An object whose birth is not over is neither
 * released nor a candidate. An increment never clears PURPLE. An increment or decrement clears
 * ORANGE: the set it hits is refused.
 */
#include "engine.h"
#include "fetch.h"
#include "twin.h"
#include "type.h"

/* Entries between the fetch of a word and its use. */
#define AHEAD 12

GYRE_FETCHES prefetch_word(uintptr_t entry)
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
	if (__builtin_expect(!(*word & GYRE_BORN), 0))
		c->heap->engine->meet(c, object, word);
	*word &= ~(GYRE_ORANGE | (GYRE_TWIN(purple_cleared) ? GYRE_PURPLE : 0));
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

	/* All that is exempt becomes a candidate when it is so no more. */
	if (*word & (GYRE_PURPLE | GYRE_EXEMPT))
		return;
	*word |= GYRE_PURPLE;
	gyre__counter_add(&c->heap->counted.candidates, 1);
	/* Without a place in the list it is left to the far pass, which needs none. */
	if (*word & GYRE_LISTED || !gyre__vector_push(&c->young, item))
		c->far.left++; /* rare: candidate without a place */
	else
		*word |= GYRE_IN_YOUNG;
}

static void release(struct gyre__collector *c, void *object, uint64_t *word)
{
	*word = (*word & ~(GYRE_TRACE | GYRE_PURPLE | GYRE_ORANGE)) | GYRE_RELEASED;
	*word = gyre__with_link(*word, c->released);
	c->released = object;
}

void gyre__reached_zero(struct gyre__collector *c, void *object, uint64_t *word)
{
	if (__builtin_expect(gyre__special(gyre__locator_of(object)) != 0, 0) &&
	    gyre__is_special(object, *word))
		gyre__zero_add(c, object, word);
	else
		release(c, object, word);
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
		gyre__reached_zero(c, object, word);
	else if (!locator->acyclic)
		gyre__suspect(c, object, word);
}

void gyre__count_journal(struct gyre__collector *c, const struct gyre__chunk *chain)
{
	uint32_t i;

	for (; chain != NULL; chain = chain->next) {
		for (i = 0; i < chain->count; i++) {
			if (i + AHEAD < chain->count)
				prefetch_word(chain->entries[i + AHEAD]);
			if (!(chain->entries[i] & GYRE_DECREMENT))
				gyre__increment(c, (void *)chain->entries[i]);
		}
		gyre__counter_add(&c->heap->counted.journal_entries, chain->count);
	}
}

void gyre__count_journal_back(struct gyre__collector *c, const struct gyre__chunk *chain)
{
	uint32_t i;

	for (; chain != NULL; chain = chain->next) {
		for (i = 0; i < chain->count; i++) {
			/* Not an increment's, which was counted an epoch ago: its object may be
			 * gone since, and its slab be laid out anew just now. */
			if (i + AHEAD < chain->count && chain->entries[i + AHEAD] & GYRE_DECREMENT)
				prefetch_word(chain->entries[i + AHEAD]);
			if (chain->entries[i] & GYRE_DECREMENT)
				gyre__decrement(c, (void *)(chain->entries[i] & ~GYRE_DECREMENT));
		}
	}
}

void gyre__each_run(struct gyre__collector *c, const struct gyre__chunk *chain,
		    void (*visit)(struct gyre__collector *c, struct gyre__slab *slab, uint32_t cell,
				  uint32_t count))
{
	uint32_t i;

	for (; chain != NULL; chain = chain->next) {
		for (i = 0; i < chain->count; i += 2) {
			const void *first = (const void *)chain->entries[i];
			struct gyre__slab *slab = gyre__slab_of(first);

			visit(c, slab, gyre__cell_index(slab, first),
			      (uint32_t)chain->entries[i + 1]);
		}
	}
}

void gyre__count_allocated(struct gyre__collector *c, const struct gyre__slab *slab, uint32_t count)
{
	uint64_t bytes = count * gyre__cell_bytes(slab);

	gyre__counter_add(&c->heap->counted.objects_allocated, count);
	gyre__counter_add(&c->heap->counted.bytes_allocated, bytes);
	gyre__type_allocated(slab->type, count, bytes);
}

static void count_snapshot(struct gyre__collector *c, const struct gyre__chunk *chain)
{
	uint32_t i;

	for (; chain != NULL; chain = chain->next)
		for (i = 0; i < chain->count; i++)
			gyre__increment(c, (void *)chain->entries[i]);
}

void gyre__count_snapshots(struct gyre__collector *c)
{
	struct gyre_mutator *m;

	count_snapshot(c, c->snapshots_left);
	for (m = gyre__mutators(c->heap); m != NULL; m = m->next) {
		if (m->snapshot_new)
			count_snapshot(c, m->snapshot);
		m->snapshot_new = false;
	}
}

void gyre__count_snapshots_back(struct gyre__collector *c)
{
	const struct gyre__chunk *chunk;
	uint32_t i;

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
		const struct gyre__locator *locator = gyre__locator_of(object);
		uint64_t *word = gyre__word_at(locator, object);
		uint64_t candidates = gyre__counter_get(&c->heap->counted.candidates);

		c->released = gyre__link(*word);
		*word &= GYRE_FLAGS;
		gyre__each_reference(c, object, give_up, c);
		if (locator->acyclic &&
		    gyre__counter_get(&c->heap->counted.candidates) != candidates)
			c->untraced = true;
		gyre__unlisted(c, object, word);
	}
}
