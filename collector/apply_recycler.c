/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apply_recycler.c: how the engine recycler applies an epoch. Collector thread.
 *
 * Invariants: all increments of an epoch come before any decrement of the epoch before it, and a
 * decrement is applied one epoch late, so a count never falls below the references that were there
 * at the boundary. A newborn counts 1 for its thread in the epoch of its birth, taken back an epoch
 * later.
 */
#include "edge.h"
#include "twin.h"

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

static void count_up(struct gyre__collector *c, const struct gyre__chunk *chain)
{
	uint32_t i;

	for (; chain != NULL; chain = chain->next)
		for (i = 0; i < chain->count; i++)
			gyre__increment(c, (void *)chain->entries[i]);
}

/* What was counted up goes back to mutators; what is to be counted down waits an epoch. */
static void turn_over(struct gyre__collector *c)
{
	gyre__recycle(c, c->journal_before);
	gyre__recycle(c, c->births_before);
	c->idle = c->journal_now == NULL && c->births_now == NULL;
	c->journal_before = c->journal_now;
	c->births_before = c->births_now;
	c->journal_now = c->births_now = NULL;
}

void gyre__recycler_apply(struct gyre__collector *c)
{
	const struct gyre__chunk *chunk;

	gyre__each_snapshot(c, count_up);
	for (chunk = c->births_now; chunk != NULL; chunk = chunk->next)
		count_births(c, chunk);
	gyre__count_journal(c, c->journal_now);
	for (chunk = c->births_before; chunk != NULL; chunk = chunk->next)
		count_births_back(c, chunk);
	gyre__count_journal_back(c, GYRE_TWIN(decrements_at_once) ? c->journal_now :
								    c->journal_before);
	gyre__count_snapshots_back(c);
	turn_over(c);
}
