/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apply_tagged.c: how the engine tagged applies an epoch. Collector thread, while mutators are in
 * the next epoch.
 *
 * The view of an epoch is what each slot held at its end, and what frames and snoops held. Counts
 * are brought from the last view to this one: each slot that was written gives its value in this
 * view up and its value in the last one down. A newborn is counted only if something counted
 * reaches it; then its own slots are. What nothing reached is freed by the bits of its cells,
 * without a look at it. Roots are counted as in apply_recycler.c.
 *
 * Invariants: when an epoch is applied, each count is the number of references in its view (roots,
 * whose decrements come an epoch late, may count more), and no slot has the tag of the epoch.
 * Increments come before decrements, so nothing dies in between. An entry is left out, both ways,
 * if its object is not counted (it was never reached, or is dead and its cell perhaps in use again,
 * by a newborn), or is a newborn that is about to be scanned. What is born in the open epoch and is
 * referred to already is counted, and judged with its own epoch.
 *
 * Source of the view and of the counting of changed slots only: Levanoni, Petrank, "An On-the-Fly
 * Reference-Counting Garbage Collector for Java", sections 3 and 4; of newborns that are not
 * counted: Azatchi, Petrank, "Integrating Generations with Advanced Reference Counting Garbage
 * Collectors"; Shahriyar, Blackburn, Frampton, "Down for the Count? Getting Reference Counting Back
 * in the Ring", section 4.
 */
#include "bits.h"
#include "engine.h"
#include "fetch.h"
#include "tag.h"
#include "twin.h"

/* Entries between the fetch of what one names and its use. */
#define AHEAD 24
/* In the slot of an entry, where EARLY was: what it held is still to be looked up. */
#define SOUGHT GYRE_ENTRY_EARLY

static inline const gyre_ref *slot_of(uintptr_t entry)
{
	return (const gyre_ref *)(entry & ~GYRE_ENTRY_EARLY);
}

/* The newborn is counted from now on; its slots will be. */
static void reach(struct gyre__collector *c, void *object, struct gyre__slab *slab)
{
	uint32_t cell = gyre__cell_index(slab, object);

	gyre__bits_clear(gyre__young(slab), cell, cell + 1);
	*gyre__word_of(object) |= GYRE_BORN | GYRE_PENDING;
	gyre__counter_add(&c->heap->counted.newborns_counted, 1);
	if (!gyre__vector_push(&c->tagged.reached, object))
		c->tagged.reached_lost = true; /* rare: newborn without a place */
}

static bool is_young(const struct gyre__slab *slab, const void *object)
{
	uint32_t cell = gyre__cell_index(slab, object);

	return gyre__young(slab)[cell / 64] >> cell % 64 & 1;
}

void gyre__tagged_meet(struct gyre__collector *c, void *object, const uint64_t *word)
{
	struct gyre__slab *slab = gyre__slab_of(object);

	if (is_young(slab, object))
		reach(c, object, slab);
	else if (*word == 0 && !gyre__vector_push(&c->tagged.early, object))
		c->tagged.early_lost = true; /* rare: early newborn without a place */
}

/*
 * A write between its mutator's switch and the end of its window is in the journal of the open
 * epoch, and its object may be dead in the view all the same. Its entry is still to come, so the
 * slab in which it lies must stay what it is until then.
 */
static void hold_slabs(struct gyre__collector *c)
{
	const struct gyre__slabs *slabs = &c->heap->slabs;
	struct gyre_mutator *m;

	for (m = gyre__mutators(c->heap); m != NULL; m = m->next) {
		const struct gyre__chunk *chunk = m->hasty;
		size_t i, words = m->hasty_words;

		while (chunk != NULL && !GYRE_TWIN(no_hold)) {
			for (i = 0; i < words; i += 2)
				gyre__slab_holding(slabs, slot_of(chunk->entries[i]))->held =
					c->processing;
			chunk = chunk->next;
			words = chunk == NULL ? 0 : chunk->count;
		}
		m->hasty = NULL;
	}
}

static void mark_births(struct gyre__collector *c, struct gyre__slab *slab, uint32_t cell,
			uint32_t count)
{
	gyre__bits_set(gyre__young(slab), cell, cell + count);
	gyre__count_allocated(c, slab, count);
}

/* A newborn that was counted before its epoch: it is reached. It may have been counted down since,
 * when it could not become a candidate, so it does now. */
static void reach_early(struct gyre__collector *c, void *object)
{
	struct gyre__slab *slab = gyre__slab_of(object);
	uint64_t *word = gyre__word_of(object);

	if (*word & GYRE_BORN || gyre__rc(*word) == 0 || GYRE_TWIN(early_forgotten))
		return;
	GYRE_ASSERT(is_young(slab, object));
	reach(c, object, slab);
	if (!slab->type->acyclic)
		gyre__suspect(c, object, word);
}

static void reach_early_in(struct gyre__collector *c, struct gyre__slab *slab, uint32_t cell,
			   uint32_t count)
{
	while (count-- > 0)
		reach_early(c, gyre__cell(slab, cell++));
}

static void meet_early(struct gyre__collector *c)
{
	struct gyre__vector *early = &c->tagged.early;
	size_t i;

	for (i = 0; i < early->count; i++)
		reach_early(c, early->items[i]);
	gyre__vector_reset(early);
	if (c->tagged.early_lost && !GYRE_TWIN(lost_forgotten))
		gyre__each_run(c, c->births_now, reach_early_in);
	c->tagged.early_lost = false;
}

/*
 * A newborn that is to be finalized counts as reached, as it must not be freed unseen. When all is
 * counted it is a zero or a candidate, as no decrement may ever tell that it is garbage.
 */
static void meet_final(struct gyre__collector *c, struct gyre__slab *slab, uint32_t cell,
		       uint32_t count)
{
	if (!(gyre__special(gyre__locator_of(slab->base)) & GYRE_SPECIAL_FINAL) ||
	    GYRE_TWIN(newborn_final_forgotten))
		return;
	for (; count-- > 0; cell++)
		if (is_young(slab, gyre__cell(slab, cell)))
			reach(c, gyre__cell(slab, cell), slab);
}

static void suspect_final(struct gyre__collector *c, struct gyre__slab *slab, uint32_t cell,
			  uint32_t count)
{
	if (!(gyre__special(gyre__locator_of(slab->base)) & GYRE_SPECIAL_FINAL))
		return;
	for (; count-- > 0; cell++) {
		uint64_t *word = gyre__words(slab) + cell;

		if ((*word & (GYRE_BORN | GYRE_RELEASED)) != GYRE_BORN)
			continue;
		if (gyre__rc(*word) == 0)
			gyre__reached_zero(c, gyre__cell(slab, cell), word);
		else if (!slab->type->acyclic && !GYRE_TWIN(special_not_suspected))
			gyre__suspect(c, gyre__cell(slab, cell), word);
	}
}

GYRE_FETCHES fetch_slot(const struct gyre__collector *c, uintptr_t entry)
{
	__builtin_prefetch(slot_of(entry), 1);
	__builtin_prefetch(gyre__word_holding(&c->heap->slabs, slot_of(entry)));
}

GYRE_FETCHES fetch_sought(const struct gyre__collector *c, uintptr_t entry)
{
	if (entry & SOUGHT)
		gyre__view_prefetch(c, slot_of(entry));
}

GYRE_FETCHES fetch_word(const struct gyre__collector *c, uintptr_t object)
{
	(void)c;
	if (object != 0)
		__builtin_prefetch(gyre__word_of((const void *)object), 1);
}

/* Calls use for each word of a chunk from the given one on, two at a time, and fetch well before;
 * before the first as well, or a tenth of a chunk would be waited for. */
static inline __attribute__((always_inline)) void
each_entry(struct gyre__collector *c, struct gyre__chunk *chunk, uint32_t from,
	   void (*fetch)(const struct gyre__collector *c, uintptr_t word),
	   void (*use)(struct gyre__collector *c, uintptr_t *word))
{
	uint32_t i;

	for (i = from; i < chunk->count && i < 2 * AHEAD; i += 2)
		fetch(c, chunk->entries[i]);
	for (i = from; i < chunk->count; i += 2) {
		if (i + 2 * AHEAD < chunk->count)
			fetch(c, chunk->entries[i + 2 * AHEAD]);
		use(c, &chunk->entries[i]);
	}
}

/* Whether the slots of the object with this word are counted, and not by a scan that is to come. */
static inline bool counts(uint64_t word)
{
	if (GYRE_TWIN(newborn_entries))
		word &= ~GYRE_PENDING;
	if (GYRE_TWIN(released_entries))
		word &= ~GYRE_RELEASED;
	return (word & (GYRE_BORN | GYRE_RELEASED | GYRE_PENDING)) == GYRE_BORN;
}

/*
 * Replaces the slot of an entry by what it holds in the view; or the whole entry by nothing. A slot
 * that the open epoch has written already stays, marked by SOUGHT.
 */
static inline void view_entry(struct gyre__collector *c, uintptr_t *entry)
{
	const gyre_ref *slot = slot_of(*entry);
	void *value;

	if (!counts(*gyre__word_holding(&c->heap->slabs, slot)))
		entry[0] = entry[1] = 0;
	else if (gyre__read_now(c, slot, GYRE_READ_AND_CLEAN, &value))
		entry[0] = (uintptr_t)value;
	else
		entry[0] = (uintptr_t)slot | SOUGHT;
}

static inline void seek_entry(struct gyre__collector *c, uintptr_t *entry)
{
	if (*entry & SOUGHT)
		*entry = (uintptr_t)gyre__view_look_up(c, slot_of(*entry));
}

static inline void count_value(struct gyre__collector *c, uintptr_t *value)
{
	if (*value != 0)
		gyre__increment(c, (void *)*value);
}

static inline void count_value_back(struct gyre__collector *c, uintptr_t *value)
{
	if (*value != 0)
		gyre__decrement(c, (void *)*value);
}

/*
 * All slots are cleaned before any is counted, and only then is looked up what the open epoch has
 * written: the sooner a slot is clean, the fewer are written before.
 */
static void view_entries(struct gyre__collector *c)
{
	struct gyre__chunk *chunk;

	for (chunk = c->tagged.slots; chunk != NULL; chunk = chunk->next) {
		each_entry(c, chunk, 0, fetch_slot, view_entry);
		gyre__counter_add(&c->heap->counted.journal_entries, chunk->count / 2);
	}
	for (chunk = c->tagged.slots; chunk != NULL; chunk = chunk->next)
		each_entry(c, chunk, 0, fetch_sought, seek_entry);
}

static void count_entries(struct gyre__collector *c)
{
	struct gyre__chunk *chunk;

	for (chunk = c->tagged.slots; chunk != NULL; chunk = chunk->next)
		each_entry(c, chunk, 0, fetch_word, count_value);
}

static void count_entries_back(struct gyre__collector *c)
{
	struct gyre__chunk *chunk;

	for (chunk = c->tagged.slots; chunk != NULL; chunk = chunk->next)
		each_entry(c, chunk, 1, fetch_word, count_value_back);
}

static void count_child(void *collector, void *child)
{
	gyre__increment(collector, child);
}

static void scan(struct gyre__collector *c, void *object, struct gyre__fetching *f)
{
	uint64_t *word = gyre__word_of(object);

	if (!(*word & GYRE_PENDING))
		return;
	*word &= ~GYRE_PENDING;
	gyre__each_read(c, object, GYRE_READ_AND_CLEAN, gyre__fetch, f);
}

static void scan_in(struct gyre__collector *c, struct gyre__slab *slab, uint32_t cell,
		    uint32_t count)
{
	struct gyre__fetching f = { .use = count_child, .arg = c };

	while (count-- > 0)
		scan(c, gyre__cell(slab, cell++), &f);
	gyre__fetch_rest(&f);
}

/* Scans the list of newborns that were reached, to which scanning adds. First come, first served,
 * as then it is known what comes next. */
static void scan_list(struct gyre__collector *c, struct gyre__vector *reached)
{
	struct gyre__fetching f = { .use = count_child, .arg = c };
	size_t next = 0;

	while (next < reached->count) {
		gyre__fetch_object(reached->items, next, reached->count);
		scan(c, reached->items[next++], &f);
		/* The queue may still hold what would make the list longer. */
		if (next == reached->count)
			gyre__fetch_rest(&f);
	}
	reached->count = 0;
}

/* Counts the references of newborns that were reached, and of those that they reach. */
static void scan_reached(struct gyre__collector *c)
{
	struct gyre__tagged_state *t = &c->tagged;

	do {
		scan_list(c, &t->reached);
		if (!t->reached_lost || GYRE_TWIN(lost_forgotten))
			break;
		t->reached_lost = false;
		gyre__each_run(c, c->births_now, scan_in);
	} while (t->reached.count > 0 || t->reached_lost);
	gyre__vector_reset(&t->reached);
}

static void turn_over(struct gyre__collector *c)
{
	c->idle = c->journal_now == NULL && c->births_now == NULL && c->tagged.slots == NULL;
	gyre__recycle(c, c->journal_before);
	gyre__recycle(c, c->births_now);
	gyre__recycle(c, c->tagged.slots);
	c->journal_before = c->journal_now;
	c->journal_now = c->births_now = c->tagged.slots = NULL;
}

void gyre__tagged_apply(struct gyre__collector *c)
{
	/* Relaxed: this thread writes it. */
	uint64_t phase = atomic_load_explicit(&c->heap->phase, memory_order_relaxed);

	c->tagged.open = gyre__tag(phase / GYRE_TAGGED_HANDSHAKES);
	gyre__view_begin(c);
	hold_slabs(c);
	gyre__each_run(c, c->births_now, mark_births);
	meet_early(c);
	gyre__each_run(c, c->births_now, meet_final);
	if (GYRE_TWIN(decrements_first))
		count_entries_back(c);
	gyre__count_snapshots(c);
	gyre__count_journal(c, c->journal_now);
	view_entries(c);
	count_entries(c);
	scan_reached(c);
	gyre__count_journal_back(c, GYRE_TWIN(decrements_at_once) ? c->journal_now
								  : c->journal_before);
	if (!GYRE_TWIN(decrements_first))
		count_entries_back(c);
	gyre__count_snapshots_back(c);
	gyre__each_run(c, c->births_now, suspect_final);
	gyre__each_run(c, c->births_now, gyre__free_young);
	turn_over(c);
}
