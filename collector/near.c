/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * near.c: the near pass: trial deletion of young candidates, each with a small budget. Collector
 * thread.
 *
 * A candidate is tried once, an epoch after it became one. Where its budget ends, the rest counts
 * as an outside reference: an edge that is not subtracted errs towards life. What is not found dead
 * simply stays purple and waits for the far pass, so a live structure is not traced again and
 * again. And when trials of one kind of candidate find little, only one in so many is tried at all.
 *
 * Invariants: the pass begins and ends within one epoch's processing; nothing is freed in between;
 * no object is GRAY without IN_TRACE when it ends. Objects that a far pass has in hand are left to
 * it.
 */
#include "edge.h"

/* An object that has more slots than this times the budget is not looked into. */
#define WIDE 4
/* Objects visited before they are scanned and gathered: few enough to be in cache still. */
#define BATCH 8192
/* Objects visited before a yield is judged, and the share of them that should be found dead. */
#define YIELD_SAMPLE 4096
#define YIELD_GOOD 4
#define STRIDE_MAX 4096

static bool visitable(uint64_t word, const struct gyre__slab *slab)
{
	return gyre__traceable(word, slab) && !(word & GYRE_IN_TRACE);
}

static bool visit(struct gyre__collector *c, void *object, uint64_t *word)
{
	if (!gyre__vector_push(&c->visited, object))
		return false;
	*word = gyre__crc_from_rc(*word & ~GYRE_TRACE) | GYRE_GRAY;
	return true;
}

/* The edge to child is subtracted, and child visited if it was not yet. */
static void mark_child(void *collector, void *child)
{
	struct gyre__collector *c = collector;
	struct gyre__slab *slab = gyre__slab_of(child);
	uint64_t *word = gyre__words(slab) + gyre__cell_index(slab, child);

	if (!visitable(*word, slab))
		return;
	if (!gyre__is_gray(*word) && !visit(c, child, word))
		return;
	if (gyre__crc(*word) > 0)
		*word -= GYRE_CRC_ONE;
}

static void mark(struct gyre__collector *c, void *root, uint64_t *word)
{
	size_t budget = c->heap->options.near_budget;
	size_t start = c->visited.count, head = start;

	if (gyre__is_gray(*word) || !visit(c, root, word))
		return;
	for (; head < c->visited.count && c->visited.count - start < budget; head++) {
		void *object = c->visited.items[head];

		if (gyre__edge_cost(gyre__slab_of(object)) <= WIDE * budget)
			gyre__each_edge(c, object, mark_child, c);
	}
}

static void blacken_child(void *collector, void *child)
{
	struct gyre__collector *c = collector;
	uint64_t *word = gyre__word_of(child);

	if (!gyre__is_gray(*word) || *word & GYRE_IN_TRACE)
		return;
	*word &= ~GYRE_TRACE;
	/* Visited, so there is room: gyre__near_pass has made the stack as large as the list. */
	c->stack.items[c->stack.count++] = child;
}

/* What is held from outside, and what that reaches, is not GRAY any more. */
static void scan(struct gyre__collector *c)
{
	size_t i;

	c->stack.count = 0;
	for (i = 0; i < c->visited.count; i++) {
		uint64_t *word = gyre__word_of(c->visited.items[i]);

		if (!gyre__is_gray(*word) || gyre__crc(*word) == 0)
			continue;
		*word &= ~GYRE_TRACE;
		c->stack.items[c->stack.count++] = c->visited.items[i];
		while (c->stack.count > 0)
			gyre__each_edge(c, c->stack.items[--c->stack.count], blacken_child, c);
	}
}

/* Whether this candidate is to be tried: one in stride of its kind. */
static bool chosen(struct gyre__yield *yield)
{
	return ++yield->tick % yield->stride == 0;
}

static void judge_yield(struct gyre__yield *yield)
{
	if (yield->visited < YIELD_SAMPLE)
		return;
	if (yield->found * YIELD_GOOD >= yield->visited)
		/* Back faster than away: what is not tried waits for a far pass. */
		yield->stride = yield->stride > 4 ? yield->stride / 4 : 1;
	else if (yield->stride < STRIDE_MAX)
		yield->stride *= 2;
	yield->visited = yield->found = 0;
}

static enum gyre__kind kind_of(const void *item)
{
	return (uintptr_t)item & 1 ? GYRE_NEWBORN : GYRE_OLD;
}

static void *object_of(const void *item)
{
	return (void *)((uintptr_t)item & ~(uintptr_t)1);
}

/*
 * Takes candidates out of their list, from number *next on, and tries those that are worth it,
 * until a batch is visited. Those tried are put into the list's front, which is done with; their
 * number.
 */
static size_t mark_batch(struct gyre__collector *c, size_t *next)
{
	size_t i, tried = 0;

	c->visited.count = 0;
	for (i = *next; i < c->aged.count && c->visited.count < BATCH; i++) {
		void *item = c->aged.items[i], *object = object_of(item);
		uint64_t *word = gyre__word_of(object);
		struct gyre__yield *yield = &c->yields[kind_of(item)];
		size_t before = c->visited.count;

		if (i + 8 < c->aged.count)
			__builtin_prefetch(gyre__word_of(object_of(c->aged.items[i + 8])), 1);
		*word &= ~GYRE_IN_YOUNG;
		if (*word & GYRE_RELEASED) {
			gyre__unlisted(c, object, word);
			continue;
		}
		if (!(*word & GYRE_PURPLE))
			continue;
		if (!visitable(*word, gyre__slab_of(object)) || !chosen(yield)) {
			c->far.left++;
			gyre__counter_add(&c->heap->counted.candidates_skipped, 1);
			continue;
		}
		mark(c, object, word);
		yield->visited += c->visited.count - before;
		c->aged.items[tried++] = item;
	}
	*next = i;
	gyre__counter_add(&c->heap->counted.near_traced, c->visited.count);
	return tried;
}

static void gather_batch(struct gyre__collector *c, size_t tried)
{
	size_t i, first = c->sets_count;

	for (i = 0; i < tried; i++) {
		void *item = c->aged.items[i], *object = object_of(item);

		if (gyre__is_gray(*gyre__word_of(object)))
			c->yields[kind_of(item)].found += gyre__set_gather(c, object, 0);
		else if (!(*gyre__word_of(object) & GYRE_IN_SET))
			c->far.left++;
	}
	/* What a race left GRAY without a root that leads to it. */
	for (i = 0; i < c->visited.count; i++)
		*gyre__word_of(c->visited.items[i]) &= ~GYRE_TRACE;
	gyre__sets_prepare(c, first);
}

void gyre__near_pass(struct gyre__collector *c)
{
	struct gyre__vector swap = c->aged;
	size_t tried, i, next = 0;

	while (next < c->aged.count) {
		tried = mark_batch(c, &next);
		if (gyre__vector_reserve(&c->stack, c->visited.count)) {
			scan(c);
			gather_batch(c, tried);
			/* Within the pass: a first one over millions of live candidates would
			 * otherwise try them all. */
			judge_yield(&c->yields[GYRE_NEWBORN]);
			judge_yield(&c->yields[GYRE_OLD]);
			continue;
		}
		for (i = 0; i < c->visited.count; i++)
			*gyre__word_of(c->visited.items[i]) &= ~GYRE_TRACE;
		c->far.left += tried;
	}
	gyre__vector_reset(&c->visited);
	gyre__vector_reset(&c->stack);
	/* Candidates of this epoch are tried in the next. */
	c->aged = c->young;
	c->young = swap;
	gyre__vector_reset(&c->young);
}
