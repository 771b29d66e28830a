/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * verdict.c: the sigma and delta tests, and what follows from them. Collector thread. The only file
 * that condemns.
 *
 * Delta: no member was touched since the set was prepared, that is, in the epoch that has now been
 * counted. Sigma: all counts of the members at preparation are explained by references from
 * members. Together they prove that nothing outside the set, no thread included, refers to it
 * (docs/algorithm.md).
 *
 * Sets are judged last found first, as no garbage edge leads from an earlier-found set to a
 * later-found one of the same pass: when a set is freed, its references are taken out of the trial
 * counts of the sets it leads to, so that a chain of sets dies in one verdict. An edge between sets
 * of different passes may lead the other way; it only delays the set that it leads to.
 */
#include <stdlib.h>
#include <string.h>

#include "fetch.h"
#include "platform/probes.h"
#include "twin.h"

/* Room for sets that is kept when there are none. */
#define SETS_KEPT 4096

enum verdict { DEAD, TOUCHED, HELD, WAITS, REVIVED, KEPT };

/* Puts a set to both tests, and leaves its members RED for what follows from the verdict. */
static enum verdict examine(struct gyre__collector *c, const struct gyre__set *set)
{
	void **members = c->members.items + set->from;
	uint64_t orange = GYRE_ORANGE, held = 0;
	size_t i;

	for (i = 0; i < set->count; i++) {
		uint64_t *word = gyre__word_of(members[i]);

		gyre__fetch_word(members, i, set->count);
		orange &= *word;
		held |= gyre__crc(*word);
		*word = (*word & ~GYRE_TRACE) | GYRE_RED;
	}
	if (orange == 0 && !GYRE_TWIN(no_delta))
		return TOUCHED;
	return held == 0 || GYRE_TWIN(no_sigma) ? DEAD : HELD;
}

/* A reference that dies with a set. */
static void give_up(void *collector, void *child)
{
	uint64_t *word = gyre__word_of(child);

	if (gyre__is_red(*word))
		return;
	if ((*word & (GYRE_IN_SET | GYRE_ORANGE)) != (GYRE_IN_SET | GYRE_ORANGE)) {
		gyre__decrement(collector, child);
		return;
	}
	/* A member of a set that is still to be judged, or is carried over: it stays ORANGE, and
	 * its count, which may be 0 now, is looked at again if it leaves its set alive. */
	GYRE_ASSERT(gyre__rc(*word) > 0);
	*word -= GYRE_RC_ONE;
	if (gyre__crc(*word) > 0)
		*word -= GYRE_CRC_ONE;
}

static void free_set(struct gyre__collector *c, const struct gyre__set *set)
{
	struct gyre__fetching f = { .use = give_up, .arg = c };
	void **members = c->members.items + set->from;
	uint64_t candidates = gyre__counter_get(&c->heap->counted.candidates);
	bool few = set->count <= GYRE_FETCH_LEAST;
	size_t i;

	for (i = 0; i < set->count; i++) {
		gyre__fetch_object(members, i, set->count);
		if (few)
			gyre__each_reference(c, members[i], give_up, c);
		else
			gyre__each_reference(c, members[i], gyre__fetch, &f);
	}
	gyre__fetch_rest(&f);
	/* What waited for its weak cells held others that long. */
	if (set->special != 0 && gyre__counter_get(&c->heap->counted.candidates) != candidates)
		c->untraced = true;
	for (i = 0; i < set->count; i++) {
		const struct gyre__locator *locator = gyre__locator_of(members[i]);
		uint64_t *word = gyre__word_at(locator, members[i]);

		gyre__fetch_word(members, i, set->count);
		if (!set->by_count)
			gyre__counter_add(&locator->type->counted->by_cycle, 1);
		/* One that the list of young candidates still names is freed by that list. */
		*word &= (GYRE_LISTED | GYRE_BORN | GYRE_EXEMPT) & ~GYRE_IN_SET;
		*word |= GYRE_RELEASED;
		if (!(*word & GYRE_LISTED))
			gyre__free_cell(c, members[i], word);
	}
	if (GYRE_TWIN(freed_root_listed) && set->count > 0)
		gyre__suspect(c, members[0], gyre__word_of(members[0]));
	if (!set->by_count)
		gyre__counter_add(&c->heap->counted.reclaimed_by_cycle, set->count);
	gyre__counter_add(&c->heap->counted.sets_freed, 1);
}

/* What a member that lives reaches is still to leave with it. */
static void leave_alive(struct gyre__collector *c, void *object, uint64_t *word)
{
	if (!gyre__vector_push(&c->stack, object))
		/* What it reaches cannot be told now; the set is tried again as a whole. */
		gyre__suspect(c, object, word); /* rare: refusal without memory */
	if ((*word & (GYRE_PURPLE | GYRE_IN_YOUNG)) == GYRE_PURPLE)
		c->far.left++;
}

/* A member leaves a refused set, to be counted among the living again. */
static void leave_set(struct gyre__collector *c, void *object, uint64_t *word)
{
	*word &= ~(GYRE_IN_SET | GYRE_ORANGE | GYRE_TRACE);
	if (GYRE_TWIN(released_member_lost) && *word & GYRE_RELEASED)
		return;
	if (*word & GYRE_RELEASED)
		gyre__unlisted(c, object, word); /* rare: released member leaves its set */
	else if (gyre__rc(*word) == 0)
		/* Brought to 0 by the freeing of another set: nobody else would ever release it. */
		gyre__reached_zero(c, object, word);
	else
		leave_alive(c, object, word);
}

static void leave_too(void *collector, void *child)
{
	uint64_t *word = gyre__word_of(child);

	if (gyre__is_red(*word))
		leave_set(collector, child, word);
}

/* A member that the tests speak for: it leaves, and is a candidate again, so that whatever it
 * reaches is reachable from a candidate still. */
static void leave_first(struct gyre__collector *c, const struct gyre__set *set, void *object,
			uint64_t *word)
{
	if (!(*word & (GYRE_RELEASED | GYRE_IN_YOUNG | GYRE_STUCK)) && gyre__rc(*word) > 0 &&
	    !gyre__locator_of(object)->acyclic && !(GYRE_TWIN(zeros_forgotten) && set->by_count)) {
		*word &= ~GYRE_PURPLE; /* so that it gets a place in the list */
		*word &= ~GYRE_IN_SET;
		gyre__suspect(c, object, word); /* rare: living member leaves its set */
	}
	leave_set(c, object, word);
}

/*
 * A refused set is garbage and something living that was caught with it. The members that were
 * touched or are held from outside leave, with all members that they reach; what remains, if
 * anything, is prepared again and judged after the next boundary. So live objects that mutators
 * keep changing cannot protect the garbage beside them for ever. The number of members that remain,
 * at the range's front. If a weak load has spoken for the set, all leave: there is no telling which
 * of them it was.
 */
static size_t refuse(struct gyre__collector *c, struct gyre__set *set, bool all)
{
	void **members = c->members.items + set->from;
	size_t i, kept = 0;

	set->refused = c->processing;
	if (set->special & GYRE_SPECIAL_WEAK)
		gyre__disarm(c, set);

	/* A released member is freed when it leaves, so its references must have been given up. */
	gyre__drain(c);
	c->stack.count = 0;
	/* RED: a member of this set that has not left. Anew, as a release clears it. */
	for (i = 0; i < set->count; i++) {
		uint64_t *word = gyre__word_of(members[i]);

		*word = (*word & ~GYRE_TRACE) | GYRE_RED;
	}
	for (i = 0; i < set->count; i++) {
		uint64_t *word = gyre__word_of(members[i]);

		if (gyre__is_red(*word) && (all || !(*word & GYRE_ORANGE) || gyre__crc(*word) != 0))
			leave_first(c, set, members[i], word);
	}
	while (c->stack.count > 0)
		gyre__each_edge(c, c->stack.items[--c->stack.count], leave_too, c);
	for (i = 0; i < set->count; i++) {
		uint64_t *word = gyre__word_of(members[i]);

		if (!gyre__is_red(*word))
			continue;
		*word &= ~GYRE_TRACE;
		members[kept++] = members[i];
	}
	return kept;
}

/* The set waits as it is. */
static void spare(struct gyre__collector *c, const struct gyre__set *set)
{
	size_t i;

	for (i = 0; i < set->count; i++)
		*gyre__word_of(c->members.items[set->from + i]) &= ~GYRE_TRACE;
}

/* What remains of refused sets moves to the front, in the order in which the sets were found. */
static void carry_over(struct gyre__collector *c)
{
	size_t n, sets = 0, members = 0;

	for (n = 0; n < c->sets_count; n++) {
		struct gyre__set set = c->sets[n];

		if (set.count == 0)
			continue;
		memmove(c->members.items + members, c->members.items + set.from,
			set.count * sizeof(void *));
		/* rare: carried-over set */
		set.from = members;
		c->sets[sets++] = set;
		members += set.count;
	}
	c->sets_count = sets;
	c->members.count = members;
	if (members > 0)
		return;
	gyre__vector_reset(&c->members);
	/* As many as there were special zeros at once. */
	if (c->sets_room > SETS_KEPT) {
		free(c->sets);
		c->sets = NULL;
		c->sets_room = 0;
	}
}

/* The verdict on a set, also by what is owed to its members. */
static enum verdict try_set(struct gyre__collector *c, struct gyre__set *set)
{
	enum verdict verdict;

	/* What lived has left with what it reaches by slots that were clean; of the others, which
	 * the open epoch had written by then, only the trial counts of the next view tell. */
	if (set->refused == c->processing && !GYRE_TWIN(remains_at_once))
		return WAITS; /* rare: remains of a set meet a second verdict */
	verdict = examine(c, set);
	/* Before its weak cells are looked at: who is kept, lives. */
	if (verdict == DEAD && !set->by_count && gyre__saves_all(c)) {
		c->dues_starved = c->dues_starved || !gyre__keep_set(c, set);
		return set->count == 0 ? KEPT : WAITS; /* rare: dead cycle is kept */
	}
	if (verdict != DEAD || set->special == 0)
		return verdict;
	switch (gyre__death_of(c, set)) {
	case GYRE_DEATH_DUE:
		return DEAD;
	case GYRE_DEATH_WAITS:
		return WAITS;
	default:
		return REVIVED;
	}
}

/* What follows from the verdict. carried: a set that was judged before this one is carried over. */
static void deal_with(struct gyre__collector *c, struct gyre__set *set, enum verdict verdict,
		      bool carried)
{
	struct gyre__collector_counters *counted = &c->heap->counted;

	GYRE_PROBE3(set__judged, c->heap->name, set->count, (int)verdict);
	switch (verdict) {
	case DEAD:
		free_set(c, set);
		set->count = 0;
		break;
	case TOUCHED:
		/* rare: delta test fails */
		gyre__counter_add(&counted->sets_refused_delta, 1);
		set->count = refuse(c, set, false);
		break;
	case HELD:
		/* rare: sigma test fails */
		gyre__counter_add(&counted->sets_refused_sigma, 1);
		/* What holds it may be garbage that is carried over: it waits for that as a
		 * whole. Each verdict frees or shrinks the last of the sets, so all end. */
		if (carried)
			spare(c, set);
		else
			set->count = refuse(c, set, false);
		break;
	case WAITS:
		spare(c, set);
		break;
	case KEPT:
		break;
	case REVIVED:
		set->count = refuse(c, set, true);
		break;
	}
}

void gyre__judge(struct gyre__collector *c)
{
	bool carried = false;
	size_t n;

	for (n = c->sets_count; n-- > 0;) {
		struct gyre__set *set =
			&c->sets[GYRE_TWIN(first_to_last) ? c->sets_count - 1 - n : n];

		deal_with(c, set, try_set(c, set), carried);
		carried = carried || set->count > 0;
	}
	carry_over(c);
	if (c->far.settling) {
		c->far.settling = false;
		c->far.base_bytes = gyre__surviving_bytes(c);
	}
}
