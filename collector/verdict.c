/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * verdict.c: the sigma and delta tests, and what follows from them. Collector thread. The only file
 * that condemns.
 *
 * Delta: no member was touched since the set was prepared, that is, in the epoch that has now been
 * counted. Sigma: all counts of the members at preparation are explained by references from members.
 * Together they prove that nothing outside the set, no thread included, refers to it (docs/algorithm.md).
 *
 * Sets are judged last found first, as no garbage edge leads from an earlier-found set to a later-found
 * one: when a set is freed, its references are taken out of the trial counts of the sets it leads to, so
 * that a chain of sets dies in one verdict.
 */
#include "edge.h"

static bool untouched(struct gyre__collector *c, const struct gyre__set *set)
{
	size_t i;

	for (i = 0; i < set->count; i++)
		if (!(*gyre__word_of(c->members.items[set->from + i]) & GYRE_ORANGE))
			return false;
	return true;
}

static bool explained(struct gyre__collector *c, const struct gyre__set *set)
{
	size_t i;

	for (i = 0; i < set->count; i++)
		if (gyre__crc(*gyre__word_of(c->members.items[set->from + i])) != 0)
			return false;
	return true;
}

/* A reference that dies with a set. */
static void give_up(void *collector, void *child)
{
	uint64_t *word = gyre__word_of(child);

	if (gyre__is_red(*word))
		return;
	if ((*word & (GYRE_IN_SET | GYRE_ORANGE)) != (GYRE_IN_SET | GYRE_ORANGE)) {
		gyre__decrement(collector, child, GYRE_OLD);
		return;
	}
	/* A member of a set that is still to be judged: it stays ORANGE, and its count, which may be
	 * 0 now, is looked at again if that set is refused. */
	GYRE_ASSERT(gyre__rc(*word) > 0);
	*word -= GYRE_RC_ONE;
	if (gyre__crc(*word) > 0)
		*word -= GYRE_CRC_ONE;
}

static void free_set(struct gyre__collector *c, const struct gyre__set *set)
{
	void **members = c->members.items + set->from;
	size_t i;

	for (i = 0; i < set->count; i++)
		*gyre__word_of(members[i]) |= GYRE_RED;
	for (i = 0; i < set->count; i++) {
		if (i + 8 < set->count)
			__builtin_prefetch(members[i + 8]);
		gyre__each_edge(c, members[i], give_up, c);
	}
	for (i = 0; i < set->count; i++) {
		uint64_t *word = gyre__word_of(members[i]);

		/* One that the list of young candidates still names is freed by that list. */
		*word = (*word & (GYRE_LISTED | GYRE_BORN) & ~GYRE_IN_SET) | GYRE_RELEASED;
		if (!(*word & GYRE_LISTED))
			gyre__free_cell(c, members[i], word);
	}
	gyre__counter_add(&c->heap->counted.reclaimed_by_cycle, set->count);
	gyre__counter_add(&c->heap->counted.sets_freed, 1);
}

/*
 * The members of a refused set go back to where they were. The first one, from which all others were
 * reached, is a candidate again. One whose count was brought to 0 by the freeing of another set is
 * released now, or nobody ever would.
 */
static void refurbish(struct gyre__collector *c, const struct gyre__set *set)
{
	size_t i;

	/* A released member is freed below, so its references must have been given up by then. */
	gyre__drain(c);
	for (i = 0; i < set->count; i++) {
		void *object = c->members.items[set->from + i];
		uint64_t *word = gyre__word_of(object);

		*word &= ~(GYRE_IN_SET | GYRE_ORANGE);
		if (*word & GYRE_RELEASED) {
			gyre__unlisted(c, object, word);
		} else if (gyre__rc(*word) == 0) {
			gyre__release(c, object, word);
		} else if (i == 0) {
			if (!(*word & GYRE_LISTED))
				*word &= ~GYRE_PURPLE; /* so that it gets a place in the list */
			gyre__suspect(c, object, word, GYRE_OLD);
		}
	}
}

void gyre__judge(struct gyre__collector *c)
{
	struct gyre__collector_counters *counted = &c->heap->counted;
	size_t n;

	c->refused = 0;
	for (n = c->sets_count; n-- > 0;) {
		const struct gyre__set *set = &c->sets[n];

		if (!untouched(c, set))
			gyre__counter_add(&counted->sets_refused_delta, 1);
		else if (!explained(c, set))
			gyre__counter_add(&counted->sets_refused_sigma, 1);
		else {
			free_set(c, set);
			continue;
		}
		c->refused++;
		refurbish(c, set);
	}
	c->sets_count = 0;
	gyre__vector_reset(&c->members);
	if (c->far.settling) {
		c->far.settling = false;
		c->far.base_bytes = gyre__surviving_bytes(c);
	}
}
