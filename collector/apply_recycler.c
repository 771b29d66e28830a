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

static void count_births(struct gyre__collector *c, struct gyre__slab *slab, uint32_t cell,
			 uint32_t count)
{
	uint64_t *word = gyre__words(slab) + cell, *end = word + count;

	gyre__count_allocated(c, slab, count);
	for (; word < end; word++, cell++) {
		*word |= GYRE_BORN | GYRE_NEWBORN_TRACE;
		if (*word == (GYRE_BORN | GYRE_NEWBORN_TRACE))
			*word += GYRE_RC_ONE;
		else
			gyre__increment(c, gyre__cell(slab, cell));
	}
}

static void count_births_back(struct gyre__collector *c, struct gyre__slab *slab, uint32_t cell,
			      uint32_t count)
{
	uint64_t *word = gyre__words(slab) + cell, *end = word + count;

	for (; word < end; word++, cell++) {
		*word &= ~GYRE_TRACE;
		gyre__decrement(c, gyre__cell(slab, cell));
	}
}

void gyre__recycler_meet(struct gyre__collector *c, void *object, const uint64_t *word)
{
	/* Its birth will be added to the count. */
	(void)c, (void)object, (void)word;
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
	gyre__count_snapshots(c);
	gyre__each_run(c, c->births_now, count_births);
	gyre__count_journal(c, c->journal_now);
	gyre__each_run(c, c->births_before, count_births_back);
	gyre__count_journal_back(c, GYRE_TWIN(decrements_at_once) ? c->journal_now :
								    c->journal_before);
	gyre__count_snapshots_back(c);
	turn_over(c);
}
