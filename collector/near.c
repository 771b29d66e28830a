/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * near.c: the near pass: trial deletion of young candidates, each with a small budget. Collector
 * thread.
 *
 * A candidate is tried once, an epoch after it became one. Where its budget ends, the rest counts
 * as an outside reference: an edge that is not subtracted errs towards life. What is not found dead
 * simply stays purple and waits for the far pass, so a live structure is not traced again and
 * again. There are two kinds of trial:
 *
 * - A candidate that was never proven live is tried among objects that never were, all of which are
 *   dead or proven when the trial is over. So an object is visited by one such trial in its life,
 *   and these trials cost a constant for each object made, however large the live heap is that
 *   newborns refer to.
 * - A candidate that was proven live before is tried among all objects. What that costs is not
 *   bounded by anything, so while such trials find little, less is spent on each, and then only one
 *   candidate in so many is tried at all.
 *
 * Invariants: the pass begins and ends within one epoch's processing; nothing is freed in between;
 * no object is GRAY without IN_TRACE when it ends. Objects that a far pass has in hand are left to
 * it.
 */
#include "fetch.h"
#include "platform/probes.h"
#include "twin.h"

/* An object that has more slots than this times the budget is not looked into. */
#define WIDE 4
/* Objects visited before they are scanned and gathered: few enough to be in cache still. */
#define BATCH 8192
/* Trials, or objects visited by them, before their yield is judged; and the share of the visited
 * that should be found dead. */
#define YIELD_TRIALS 256
#define YIELD_VISITS 4096
#define YIELD_GOOD 4
/* Up to LEVEL_BUDGET a level halves the budget, from there on it doubles the stride. */
#define LEVEL_BUDGET 5
#define LEVEL_MAX (LEVEL_BUDGET + 12)

/* A trial visits objects that have none of the flags in `beyond`. */
struct trial {
	struct gyre__collector *c;
	uint64_t beyond;
	uint64_t subtracted; /* edges, whatever object they led to */
};

static bool visit(struct gyre__collector *c, void *object, uint64_t *word)
{
	if (!gyre__vector_push(&c->visited, object))
		return false;
	*word = gyre__crc_from_rc(*word & ~GYRE_TRACE) | GYRE_GRAY;
	return true;
}

/* The edge to child is subtracted, and child visited if it was not yet. */
static void mark_child(void *arg, void *child)
{
	struct trial *t = arg;
	const struct gyre__locator *locator = gyre__locator_of(child);
	uint64_t *word = gyre__word_at(locator, child);

	if (*word & t->beyond || !gyre__traceable(*word, locator))
		return;
	if (!gyre__is_gray(*word) && (!visit(t->c, child, word) || GYRE_TWIN(mark_on_revisit)))
		return;
	t->subtracted++;
	if (gyre__crc(*word) > 0)
		*word -= GYRE_CRC_ONE;
}

static void mark(struct trial *t, void *root, uint64_t *word, size_t budget)
{
	struct gyre__vector *visited = &t->c->visited;
	size_t start = visited->count, head = start;

	if (gyre__is_gray(*word) || !visit(t->c, root, word))
		return;
	for (; head < visited->count && visited->count - start < budget; head++) {
		void *object = visited->items[head];

		gyre__fetch_object(visited->items, head, visited->count);
		if (gyre__edge_cost(object) <= WIDE * budget)
			gyre__each_edge(t->c, object, mark_child, t);
	}
	/* What the budget left out is no candidate by itself. A far pass finds it all at once,
	 * where near passes would find a budget's worth in each epoch. */
	if (head < visited->count)
		t->c->far.left++;
	gyre__counter_add(&t->c->heap->counted.near_traced, visited->count - start);
	GYRE_PROBE2(near__traced, t->c->heap->name, visited->count - start);
}

/*
 * The common case: all that a trial visited, from number start on, is dead, and all its edges led
 * there. Then the objects are a set without further ado, and prepared: what was subtracted from
 * each count are the references from members. An edge to what another trial of the batch visited
 * would show in the sum, as would one that was made after the boundary. The number of members.
 */
static size_t settle(struct trial *t, size_t start)
{
	struct gyre__vector *visited = &t->c->visited;
	size_t i, count = visited->count - start;
	uint64_t counts = 0;

	for (i = start; i < visited->count; i++) {
		uint64_t word = *gyre__word_of(visited->items[i]);

		if (gyre__crc(word) != 0)
			return 0;
		counts += gyre__rc(word);
	}
	if (count == 0 || (counts != t->subtracted && !GYRE_TWIN(settle_without_sum)) ||
	    !gyre__set_take(t->c, visited->items + start, count))
		return 0;
	visited->count = start;
	return count;
}

static void prove(struct gyre__collector *c, void *object, uint64_t *word)
{
	*word = (*word & ~GYRE_TRACE) | GYRE_PROVEN;
	/* Visited, so there is room: gyre__near_pass has made the stack as large as the list. */
	c->stack.items[c->stack.count++] = object;
}

static void prove_child(void *collector, void *child)
{
	uint64_t *word = gyre__word_of(child);

	if (gyre__is_gray(*word) && !(*word & GYRE_IN_TRACE))
		prove(collector, child, word);
}

/* What is held from outside, and what that reaches, is not GRAY any more. */
static void scan(struct gyre__collector *c)
{
	size_t i;

	c->stack.count = 0;
	for (i = 0; i < c->visited.count; i++) {
		uint64_t *word = gyre__word_of(c->visited.items[i]);

		if (!gyre__is_gray(*word) ||
		    (gyre__crc(*word) == 0 && !GYRE_TWIN(scan_blackens_white)))
			continue;
		prove(c, c->visited.items[i], word);
		while (c->stack.count > 0)
			gyre__each_read(c, c->stack.items[--c->stack.count], GYRE_READ_LIVE,
					prove_child, c);
	}
}

static void judge_yield(struct gyre__yield *yield)
{
	if (yield->tried < YIELD_TRIALS && yield->visited < YIELD_VISITS)
		return;
	if (yield->found * YIELD_GOOD < yield->visited)
		yield->level += yield->level < LEVEL_MAX;
	else if (yield->level > LEVEL_BUDGET)
		yield->level = LEVEL_BUDGET; /* all are tried again at once: waiting is dearer */
	else
		yield->level -= yield->level > 0;
	yield->tried = yield->visited = yield->found = 0;
}

enum outcome { SKIPPED, SETTLED, OPEN };

/* Tries a candidate that was proven live before, if its turn has come. */
static enum outcome try_again(struct gyre__collector *c, void *object, uint64_t *word)
{
	struct trial t = { c, GYRE_IN_TRACE, 0 };
	struct gyre__yield *yield = &c->yield;
	size_t budget = gyre__threshold(c->heap, near_budget), start = c->visited.count, found;
	uint32_t level = yield->level < LEVEL_BUDGET ? yield->level : LEVEL_BUDGET;

	if (++yield->tick & (((uint32_t)1 << (yield->level - level)) - 1))
		return SKIPPED;
	mark(&t, object, word, (budget >> level) + 1);
	yield->tried++;
	yield->visited += c->visited.count - start;
	found = settle(&t, start);
	yield->found += found;
	return found > 0 ? SETTLED : OPEN;
}

static enum outcome try(struct gyre__collector *c, void *item, uint64_t *word)
{
	struct trial first = { c, GYRE_IN_TRACE | GYRE_PROVEN, 0 };
	void *object = gyre__candidate(item);
	size_t start = c->visited.count;

	if (*word & GYRE_IN_SET)
		return SETTLED;
	if (!gyre__traceable(*word, gyre__locator_of(object)) || *word & GYRE_IN_TRACE)
		return SKIPPED;
	if (item == object)
		return try_again(c, object, word);
	if (*word & GYRE_PROVEN)
		return SKIPPED; /* by a trial of another one, since it became a candidate */
	mark(&first, object, word, gyre__threshold(c->heap, near_budget));
	return settle(&first, start) > 0 ? SETTLED : OPEN;
}

/*
 * Takes candidates out of their list, from number *next on, and tries those that are worth it,
 * until a batch is visited. Those whose trials are open are put into the list's front, which is
 * done with; their number.
 */
static size_t mark_batch(struct gyre__collector *c, size_t *next)
{
	size_t i, open = 0;

	c->visited.count = 0;
	for (i = *next; i < c->aged.count && c->visited.count < BATCH; i++) {
		void *item = c->aged.items[i], *object = gyre__candidate(item);
		uint64_t *word = gyre__word_of(object);
		enum outcome outcome;

		if (i + 8 < c->aged.count)
			__builtin_prefetch(gyre__word_of(gyre__candidate(c->aged.items[i + 8])), 1);
		*word &= ~GYRE_IN_YOUNG;
		if (*word & GYRE_RELEASED) {
			gyre__unlisted(c, object, word); /* rare: candidate died in its list */
			continue;
		}
		outcome = *word & GYRE_PURPLE ? try(c, item, word) : SETTLED;
		if (outcome == OPEN) {
			c->aged.items[open++] = item;
		} else if (outcome == SKIPPED) {
			c->far.left++;
			gyre__counter_add(&c->heap->counted.candidates_skipped, 1);
		}
	}
	*next = i;
	return open;
}

static void gather_batch(struct gyre__collector *c, size_t open)
{
	size_t i;

	for (i = 0; i < open; i++) {
		void *item = c->aged.items[i], *object = gyre__candidate(item);
		size_t found = 0;

		if (gyre__is_gray(*gyre__word_of(object)))
			found = gyre__set_gather(c, object, 0);
		else if (!(*gyre__word_of(object) & GYRE_IN_SET))
			c->far.left++;
		if (item == object)
			c->yield.found += found;
	}
	/* What a race left GRAY without a root that leads to it. */
	for (i = 0; i < c->visited.count; i++)
		*gyre__word_of(c->visited.items[i]) &= ~GYRE_TRACE;
}

void gyre__near_pass(struct gyre__collector *c)
{
	struct gyre__vector swap = c->aged;
	size_t open, i, next = 0;

	gyre__counter_add(&c->heap->counted.near_passes, c->aged.count > 0);
	while (next < c->aged.count) {
		open = mark_batch(c, &next);
		if (gyre__vector_reserve(&c->stack, c->visited.count)) {
			scan(c);
			gather_batch(c, open);
			/* Within the pass: a first one over millions of live candidates would
			 * otherwise try them all. */
			judge_yield(&c->yield);
			continue;
		}
		for (i = 0; i < c->visited.count; i++)
			*gyre__word_of(c->visited.items[i]) &= ~GYRE_TRACE;
		c->far.left += open; /* rare: near pass without a stack */
	}
	gyre__vector_reset(&c->visited);
	gyre__vector_reset(&c->stack);
	/* Candidates of this epoch are tried in the next. */
	c->aged = c->young;
	c->young = swap;
	gyre__vector_reset(&c->young);
}
