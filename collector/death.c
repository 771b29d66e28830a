/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * death.c: what is owed to the members of a set before it is freed: their weak cells become null,
 * all at once, and their finalizers are queued. Collector thread; called by the verdict on a set
 * that it has found dead and that has special members.
 *
 * Weak cells. A mutator may load a cell at any time, and what it gets is then live again. So a set
 * with cells is armed first: all its cells name one of them as their leader, whose state is
 * PENDING, and are marked. After the next boundary every load sees the mark, and makes the state
 * REVIVED. A load that came before its thread had done that boundary has left what it got in a
 * frame, a slot or a snoop of it, or does not have it any more; so the set is judged again, by the
 * counts of that boundary. If it is dead still, one exchange of the state, from PENDING to DEAD, is
 * the instant at which all its cells are null. (In the engine recycler a load that is over may have
 * been followed by writes whose decrements are yet to come, so a cell that was loaded in the epoch
 * that was counted, in the one before, or later, speaks for its set as well.)
 *
 * Finalizers. The objects to be finalized are pinned: counted once more, until the mutator that ran
 * their batch takes that back by its journal. So they and all that they reach stay as they are;
 * what no finalizer can reach is freed with no further ado.
 *
 * Invariants: the collector clears a cell's word after its set is DEAD, and takes notices after
 * that; a cleared cell stays counted for its object until a boundary later, as slow loads may still
 * look at it; FINALIZED is set when an object is pinned, so no finalizer is queued twice.
 *
 * Source: the order (cells, then callbacks, then finalizers, then freeing) is that of PEP 442; the
 * group word is gyre's own.
 */
#include <stdlib.h>

#include "edge.h"
#include "ends.h"
#include "engine.h"
#include "platform/yield.h"
#include "twin.h"

/* What a set is owed. */
struct dues {
	size_t cells;
	size_t fresh; /* of those: not armed */
	size_t finalizers;
	bool touched; /* a load of a cell speaks for the set: engine recycler */
};

static struct gyre__weak_cell *cell_of(const void *object)
{
	if (!(gyre__special(gyre__locator_of(object)) & GYRE_SPECIAL_WEAK))
		return NULL;
	return gyre__side_get(object, GYRE_SIDE_WEAK);
}

static bool to_be_finalized(const void *object)
{
	return gyre__special(gyre__locator_of(object)) & GYRE_SPECIAL_FINAL &&
	       !(*gyre__word_of(object) & GYRE_FINALIZED);
}

static bool is_armed(const struct gyre__weak_cell *cell)
{
	/* Relaxed: this thread writes the mark. */
	return atomic_load_explicit(&cell->head.word, memory_order_relaxed) & GYRE_WEAK_ARMED;
}

static bool touched(const struct gyre__collector *c, const struct gyre__weak_cell *cell)
{
	uint32_t open = (uint32_t)atomic_load_explicit(&c->heap->phase, memory_order_relaxed);
	/* Relaxed: the boundary has told of the epoch before; of the open one it may be told or
	 * not, and then the group's state is. */
	uint32_t epoch = atomic_load_explicit(&cell->touch, memory_order_relaxed);

	/*
	 * The epoch before that of the verdict as well: a thread that is an epoch behind writes its
	 * own over that of one ahead. Then the later load is not told of, and its thread may have
	 * cut an edge of the set in the epoch of the verdict; but the earlier one is of the epoch
	 * before, as no thread is further behind.
	 */
	return open - epoch <= (GYRE_TWIN(touch_not_looked_back) ? 1 : 2);
}

static struct dues survey(const struct gyre__collector *c, const struct gyre__set *set)
{
	bool logged = c->heap->engine->logs_loads;
	struct dues dues = { 0 };
	size_t i;

	for (i = set->from; i < set->from + set->count; i++) {
		const void *object = c->members.items[i];
		const struct gyre__weak_cell *cell = cell_of(object);

		dues.finalizers += to_be_finalized(object);
		if (cell == NULL)
			continue;
		dues.cells++;
		dues.fresh +=
			!is_armed(cell) && !(GYRE_TWIN(made_since_missed) && set->leader != NULL);
		dues.touched = dues.touched || (logged && touched(c, cell));
	}
	return dues;
}

/* Marks the cells of a set that are not marked yet, with the set's leader, or with the first. */
static void arm(struct gyre__collector *c, struct gyre__set *set)
{
	uint32_t open = (uint32_t)atomic_load_explicit(&c->heap->phase, memory_order_relaxed);
	size_t i;

	set->armed = c->processing;
	for (i = set->from; i < set->from + set->count; i++) {
		struct gyre__weak_cell *cell = cell_of(c->members.items[i]);
		uintptr_t word;

		if (cell == NULL || is_armed(cell))
			continue;
		if (set->leader == NULL || GYRE_TWIN(groups_of_one)) {
			set->leader = cell;
			atomic_store_explicit(&cell->state, GYRE_GROUP_PENDING,
					      memory_order_relaxed);
			if (!c->heap->engine->logs_loads)
				atomic_store_explicit(&cell->touch, open, memory_order_relaxed);
		}
		atomic_store_explicit(&cell->group, set->leader, memory_order_relaxed);
		word = atomic_load_explicit(&cell->head.word, memory_order_relaxed);
		/* Release pairs with the acquire of a weak load: group and state. */
		atomic_store_explicit(&cell->head.word, word | GYRE_WEAK_ARMED,
				      memory_order_release);
	}
}

void gyre__sets_arm(struct gyre__collector *c)
{
	size_t i;

	for (i = 0; i < c->sets_count; i++)
		if (c->sets[i].special & GYRE_SPECIAL_WEAK && !GYRE_TWIN(dies_unarmed))
			arm(c, &c->sets[i]);
}

void gyre__disarm(struct gyre__collector *c, struct gyre__set *set)
{
	size_t i;

	for (i = set->from; i < set->from + set->count; i++) {
		struct gyre__weak_cell *cell = cell_of(c->members.items[i]);
		uintptr_t word;

		if (cell == NULL || !is_armed(cell))
			continue;
		word = atomic_load_explicit(&cell->head.word, memory_order_relaxed);
		/* Release as above; who has seen the mark finds the group as it was judged. */
		atomic_store_explicit(&cell->head.word, word & ~GYRE_WEAK_ARMED,
				      memory_order_release);
	}
	set->leader = NULL;
}

/* The instant. False: a weak load came first. */
static bool commit(struct gyre__weak_cell *leader)
{
	uint32_t state = GYRE_GROUP_PENDING;

	/* Acquire and release pair with the exchange of weak loads. */
	return atomic_compare_exchange_strong_explicit(&leader->state, &state, GYRE_GROUP_DEAD,
						       memory_order_acq_rel, memory_order_acquire);
}

/* A reference to a weak cell from a member of its set. */
static void count_inside(void *unused, void *child)
{
	uint64_t *word = gyre__word_of(child);

	(void)unused;
	if (gyre__is_gray(*word) && gyre__crc(*word) > 0)
		*word -= GYRE_CRC_ONE;
}

/* Leaves in the trial count of each cell how often it is referred to from outside its set. */
static void count_holders(struct gyre__collector *c, const struct gyre__set *set)
{
	size_t i;

	for (i = set->from; i < set->from + set->count; i++) {
		struct gyre__weak_cell *cell = cell_of(c->members.items[i]);
		uint64_t *word;

		if (cell == NULL)
			continue;
		word = gyre__word_of(cell);
		/* Once for its object. Cells are acyclic: no trial has one in hand. */
		*word = (gyre__crc_from_rc(*word & ~GYRE_TRACE) | GYRE_GRAY) - GYRE_CRC_ONE;
	}
	for (i = set->from; i < set->from + set->count; i++)
		gyre__each_edge(c, c->members.items[i], count_inside, NULL);
	for (i = set->from; i < set->from + set->count; i++) {
		struct gyre__weak_cell *cell = cell_of(c->members.items[i]);

		if (cell != NULL)
			*gyre__word_of(cell) &= ~GYRE_TRACE;
	}
}

static bool is_held(const struct gyre__weak_cell *cell)
{
	uint64_t word = *gyre__word_of(cell);

	return gyre__crc(word) > 0 || word & GYRE_STUCK;
}

static void clear(struct gyre__collector *c, const void *object, struct gyre__weak_cell *cell)
{
	GYRE_CLEARED_CELL(object, cell);
	/* Release: whoever sees that the word is 0 takes no part in what follows. */
	atomic_store_explicit(&cell->head.word, 0, memory_order_release);
	/* Relaxed: nobody else refers to the object. */
	atomic_store_explicit(gyre__side_find(object, GYRE_SIDE_WEAK), NULL, memory_order_relaxed);
	gyre__counter_add(&c->heap->counted.weak_cleared, 1);
}

/* The cell is counted for its object until a boundary later. */
static void let_go(struct gyre__collector *c, struct gyre__weak_cell *cell)
{
	if (GYRE_TWIN(let_go_at_once)) {
		gyre__decrement(c, cell);
		return;
	}
	cell->next = c->cleared;
	c->cleared = cell;
}

void gyre__let_cleared_go(struct gyre__collector *c)
{
	while (c->cleared != NULL) {
		struct gyre__weak_cell *cell = c->cleared;

		c->cleared = cell->next;
		gyre__decrement(c, cell);
	}
}

/* Takes the notices of a cleared cell that are to be called, and adds them to *last; releases the
 * others. */
static struct gyre__notice **take_notices(struct gyre__collector *c, struct gyre__weak_cell *cell,
					  unsigned wanted, struct gyre__notice **last)
{
	struct gyre__notice *notice;

	gyre__lock_take(&c->heap->ends.lock);
	notice = cell->notices;
	cell->notices = NULL;
	gyre__lock_drop(&c->heap->ends.lock);
	while (notice != NULL) {
		struct gyre__notice *next = notice->next;

		if (wanted == 0 || notice->registered.flags & wanted) {
			*last = notice;
			last = &notice->next;
		} else {
			free(notice); /* rare: notice of a weak cell that nobody held */
		}
		notice = next;
	}
	*last = NULL;
	return last;
}

struct gyre__notice **gyre__end_cell(struct gyre__collector *c, const void *object, unsigned wanted,
				     struct gyre__notice **last)
{
	struct gyre__weak_cell *cell = cell_of(object);

	if (cell == NULL)
		return last;
	clear(c, object, cell);
	last = take_notices(c, cell, wanted, last);
	let_go(c, cell);
	return last;
}

static struct gyre__notice *clear_all(struct gyre__collector *c, const struct gyre__set *set)
{
	struct gyre__notice *notices = NULL, **last = &notices;
	size_t i;

	count_holders(c, set);
	for (i = set->from; i < set->from + set->count; i++) {
		const void *object = c->members.items[i];
		const struct gyre__weak_cell *cell = cell_of(object);

		if (cell != NULL)
			last = gyre__end_cell(c, object, is_held(cell) ? 0 : GYRE_NOTICE_ALWAYS,
					      last);
	}
	return notices;
}

void gyre__pin(struct gyre__collector *c, void *object)
{
	if (!GYRE_TWIN(not_pinned))
		gyre__increment(c, object);
	if (!GYRE_TWIN(finalized_again))
		*gyre__word_of(object) |= GYRE_FINALIZED;
}

/* What leaves its set gets a place in the list of candidates when it is suspected next: in no list,
 * it would wait for a far pass that nothing calls for. */
static void leave_set(uint64_t *word)
{
	*word &= ~(GYRE_IN_SET | GYRE_ORANGE | GYRE_TRACE);
	if (!(*word & GYRE_IN_YOUNG))
		*word &= ~GYRE_PURPLE;
}

void gyre__leave_as_new(uint64_t *word)
{
	leave_set(word);
	*word &= ~GYRE_PROVEN;
}

/* A member that a finalizer can reach leaves the set; when it is unpinned it is a candidate as if
 * it were new. */
static bool leave(struct gyre__collector *c, void *object)
{
	gyre__leave_as_new(gyre__word_of(object));
	return gyre__vector_push(&c->stack, object);
}

struct leaving {
	struct gyre__collector *c;
	bool lost; /* no memory: what leaves could not be followed */
};

static void leave_child(void *arg, void *child)
{
	struct leaving *leaving = arg;

	if (gyre__is_red(*gyre__word_of(child)) && !leave(leaving->c, child))
		leaving->lost = true;
}

/* Takes what the pinned reach out of the set. */
static void leave_with(struct gyre__collector *c, struct gyre__set *set,
		       const struct gyre__batch *batch)
{
	struct leaving leaving = { c, false };
	void **members = c->members.items + set->from;
	size_t i, kept = 0;

	c->stack.count = 0;
	for (i = 0; i < batch->count; i++)
		leave_child(&leaving, batch->objects[i]);
	while (c->stack.count > 0)
		gyre__each_edge(c, c->stack.items[--c->stack.count], leave_child, &leaving);
	for (i = 0; i < set->count; i++) {
		uint64_t *word = gyre__word_of(members[i]);

		if (!gyre__is_red(*word))
			continue;
		if (!leaving.lost) {
			members[kept++] = members[i];
			continue;
		}
		/* rare: what finalizers reach is not known */
		leave_set(word);
		if (gyre__rc(*word) == 0)
			gyre__reached_zero(c, members[i], word);
		else if (!gyre__locator_of(members[i])->acyclic)
			gyre__suspect(c, members[i], word);
	}
	set->count = kept;
}

void gyre__queue(struct gyre__collector *c, struct gyre__batch *batch, struct gyre__notice *notices)
{
	if (batch == NULL && notices != NULL) {
		notices->lends = true;
		notices->alone = (struct gyre__batch){ .count = 0 };
		batch = &notices->alone;
	}
	if (batch == NULL)
		return;
	batch->notices = notices;
	gyre__batch_queue(c->heap, batch);
}

/* A batch of the members that are to be finalized, owners first; NULL without memory. */
static struct gyre__batch *make_batch(struct gyre__collector *c, struct gyre__set *set,
				      size_t count)
{
	struct gyre__batch *batch = gyre__batch_make(count);

	if (batch == NULL)
		return NULL;
	batch->count = count;
	if (gyre__order_owners(c, set, to_be_finalized, batch->objects, count))
		return batch;
	free(batch);
	/* The search has left numbers where the trial counts were. */
	gyre__set_prepare(c, set);
	return NULL;
}

enum gyre__death gyre__death_of(struct gyre__collector *c, struct gyre__set *set)
{
	struct dues dues = survey(c, set);
	struct gyre__notice *notices = NULL;
	struct gyre__batch *batch = NULL;
	size_t i;

	if (dues.fresh > 0 && !GYRE_TWIN(dies_unarmed)) {
		arm(c, set);
		return GYRE_DEATH_WAITS;
	}
	if (dues.cells > 0 && set->armed == c->processing && !GYRE_TWIN(dies_unarmed))
		return GYRE_DEATH_WAITS;
	if (dues.finalizers > 0) {
		batch = make_batch(c, set, dues.finalizers);
		if (batch == NULL) {
			c->dues_starved = true;
			return GYRE_DEATH_WAITS; /* rare: batch without memory */
		}
	}
	if (dues.cells > 0 && !GYRE_TWIN(dies_unarmed) && (dues.touched || !commit(set->leader))) {
		free(batch);
		gyre__counter_add(&c->heap->counted.weak_revived, 1);
		return GYRE_DEATH_REVIVED; /* rare: set revived by a weak load */
	}
	if (dues.cells > 0)
		notices = clear_all(c, set);
	set->leader = NULL;
	for (i = 0; i < dues.finalizers; i++)
		gyre__pin(c, batch->objects[i]);
	if (dues.finalizers > 0)
		leave_with(c, set, batch);
	gyre__queue(c, batch, notices);
	return GYRE_DEATH_DUE;
}

void gyre__take_noted(struct gyre__collector *c)
{
	struct gyre__ends *ends = &c->heap->ends;
	size_t i;

	gyre__lock_take(&ends->lock);
	/* From now on trials look into what lies in these slabs. That it changes while one is
	 * under way errs towards life: what was passed by counts as an outside reference; and the
	 * object that got the attachment is counted down once more, and so is a candidate. */
	for (i = 0; i < ends->attached.count; i++)
		gyre__locator_of(ends->attached.items[i])->acyclic = 0;
	gyre__vector_reset(&ends->attached);
	for (i = 0; i < ends->rearmed.count; i++)
		*gyre__word_of(ends->rearmed.items[i]) &= ~GYRE_FINALIZED;
	gyre__vector_reset(&ends->rearmed);
	gyre__lock_drop(&ends->lock);
}
