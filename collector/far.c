/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * far.c: the far pass: trial deletion from all purple objects at once, without a budget. Collector
 * thread.
 *
 * It runs when the surviving heap has grown by a set share, as a tracing collector would, so its
 * cost for each allocated object is constant. It goes on over several epochs: whenever a boundary
 * is due it stops where it is, the epoch is counted, and it goes on. Nothing it concludes from such
 * a mixture of moments needs to be right, as the sigma and delta tests judge what it finds; but
 * nothing may be lost by it:
 *
 * - An object in its list is not freed before the pass ends (IN_TRACE).
 * - PURPLE is cleared when the pass begins, not when an object is found live; and while it runs, an
 *   increment makes its target purple as a decrement does. So whatever changed since it began, and
 *   might have been judged by what it was before, is a candidate of the next pass.
 * - An increment of a visited object is an outside reference to the trial.
 */
#include "fetch.h"
#include "platform/probes.h"
#include "twin.h"

/* Objects between two looks at the clock of boundaries. */
#define SLICE GYRE_IF_SIM(1, 512)
/* A slice goes on for so long even when a boundary is due: a collector that is behind must not
 * starve the pass that would give it memory back. In simulation it does not, so that a pass over a
 * few objects lasts several epochs, too. */
#define SLICE_NS_LEAST GYRE_IF_SIM(0, 1000000)

static bool begin_slab(struct gyre__slab *slab, void *collector)
{
	struct gyre__collector *c = collector;
	const struct gyre__locator *locator = gyre__locator_of(slab->base);
	uint64_t *words = gyre__words(slab);
	uint32_t cell;

	for (cell = 0; cell < slab->shape.cells; cell++) {
		if (!(words[cell] & GYRE_PURPLE) || !gyre__traceable(words[cell], locator))
			continue;
		if (!gyre__vector_push(&c->far.visited, gyre__cell(slab, cell))) {
			/* The rest stay purple. */
			c->far.starved = true; /* rare: far pass starved at its roots */
			return false;
		}
		if (!GYRE_TWIN(far_clears_late))
			words[cell] &= ~GYRE_PURPLE;
		words[cell] =
			gyre__crc_from_rc(words[cell] & ~GYRE_TRACE) | GYRE_GRAY | GYRE_IN_TRACE;
	}
	return true;
}

/* The lists of young candidates are not needed: the pass finds all purple objects by itself. */
static void empty_list(struct gyre__collector *c, struct gyre__vector *list)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		void *object = gyre__candidate(list->items[i]);
		uint64_t *word = gyre__word_of(object);

		*word &= ~GYRE_IN_YOUNG;
		gyre__unlisted(c, object, word);
	}
	gyre__vector_reset(list);
}

void gyre__candidates_leave(struct gyre__collector *c)
{
	c->far.left += c->young.count + c->aged.count;
	empty_list(c, &c->young);
	empty_list(c, &c->aged);
}

void gyre__far_begin(struct gyre__collector *c)
{
	struct gyre__far *far = &c->far;

	GYRE_ASSERT(far->phase == GYRE_FAR_IDLE && far->visited.count == 0);
	gyre__collect_begins(c, GYRE_COLLECT_FAR);
	far->spent_ns = 0;
	far->starved = false;
	far->left = 0;
	empty_list(c, &c->young);
	empty_list(c, &c->aged);
	gyre__slabs_each(c->heap, begin_slab, c);
	far->roots = far->visited.count;
	far->head = 0;
	far->phase = GYRE_FAR_MARK;
	gyre__counter_add(&c->heap->counted.far_passes, 1);
}

static void mark_child(void *collector, void *child)
{
	struct gyre__collector *c = collector;
	const struct gyre__locator *locator = gyre__locator_of(child);
	uint64_t *word = gyre__word_at(locator, child);

	if (!gyre__traceable(*word, locator))
		return;
	if (!(*word & GYRE_IN_TRACE)) {
		if (!gyre__vector_push(&c->far.visited, child)) {
			c->far.starved = true; /* rare: far pass starved while marking */
			return;
		}
		*word = gyre__crc_from_rc(*word & ~GYRE_TRACE) | GYRE_GRAY | GYRE_IN_TRACE;
		if (GYRE_TWIN(mark_on_revisit))
			return;
	}
	if (gyre__crc(*word) > 0)
		*word -= GYRE_CRC_ONE;
}

/* Follows the references of list's items from *head on, up to SLICE of them, by use. */
static void follow_some(struct gyre__collector *c, const struct gyre__vector *list, size_t *head,
			enum gyre__reading reading, void (*use)(void *collector, void *child))
{
	struct gyre__fetching f = { .use = use, .arg = c };
	unsigned n;

	for (n = 0; n < SLICE && *head < list->count; n++) {
		void *object = list->items[*head];

		gyre__fetch_object(list->items, (*head)++, list->count);
		if (!(*gyre__word_of(object) & GYRE_RELEASED))
			gyre__each_read(c, object, reading, gyre__fetch, &f);
		/* The queue may still hold what would make the list longer. */
		if (*head == list->count)
			gyre__fetch_rest(&f);
	}
	gyre__fetch_rest(&f);
}

/* Looks into up to SLICE visited objects. */
static void mark_some(struct gyre__collector *c)
{
	follow_some(c, &c->far.visited, &c->far.head, GYRE_READ_CLEAN, mark_child);
}

static void blacken(struct gyre__collector *c, void *object, uint64_t *word)
{
	*word = (*word & ~GYRE_TRACE) | GYRE_PROVEN;
	if (GYRE_TWIN(far_clears_late))
		*word &= ~GYRE_PURPLE;
	if (!gyre__vector_push(&c->far.black, object))
		c->far.starved = true; /* rare: far pass starved while scanning */
}

static void blacken_child(void *collector, void *child)
{
	uint64_t *word = gyre__word_of(child);

	if (gyre__is_gray(*word) && *word & GYRE_IN_TRACE)
		blacken(collector, child, word);
}

/* An object was incremented while the pass is under way. */
void gyre__far_touched(struct gyre__collector *c, void *object, uint64_t *word)
{
	/* A newborn becomes purple when its birth is over. */
	if (!(*word & GYRE_BORN) || gyre__is_newborn(*word))
		return;
	if (!(*word & GYRE_STUCK) && !gyre__locator_of(object)->acyclic)
		gyre__suspect(c, object, word);
	if (!(*word & GYRE_IN_TRACE) || !gyre__is_gray(*word))
		return;
	if (c->far.phase == GYRE_FAR_SCAN)
		blacken(c, object, word); /* rare: increment while scanning */
	else if (gyre__crc(*word) < GYRE_COUNT_MAX)
		*word += GYRE_CRC_ONE;
}

/* Follows what is live, or looks at up to SLICE visited objects for more of it. */
static void scan_some(struct gyre__collector *c)
{
	struct gyre__far *far = &c->far;
	unsigned n;

	if (far->black_head < far->black.count) {
		follow_some(c, &far->black, &far->black_head, GYRE_READ_LIVE, blacken_child);
		return;
	}
	far->black.count = far->black_head = 0;
	for (n = 0; n < SLICE && far->head < far->visited.count; n++) {
		void *object = far->visited.items[far->head];
		uint64_t *word = gyre__word_of(object);

		gyre__fetch_word(far->visited.items, far->head++, far->visited.count);
		/* One that has stuck since it was visited has references that no count tells of. */
		if (gyre__is_gray(*word) &&
		    (gyre__crc(*word) > 0 || *word & GYRE_STUCK || GYRE_TWIN(scan_blackens_white)))
			blacken(c, object, word);
	}
}

/* Takes every object out of the pass's list. */
static void clear(struct gyre__collector *c)
{
	struct gyre__vector *visited = &c->far.visited;
	size_t i;

	for (i = 0; i < visited->count; i++) {
		uint64_t *word = gyre__word_of(visited->items[i]);

		gyre__fetch_word(visited->items, i, visited->count);
		*word &= ~(GYRE_IN_TRACE | GYRE_TRACE);
		/* A pass that was given up has proven nothing: its roots are candidates again. */
		if (c->far.starved && i < c->far.roots && !(*word & GYRE_RELEASED))
			*word |= GYRE_PURPLE; /* rare: far pass given up */
		gyre__unlisted(c, visited->items[i], word);
	}
	if (c->far.starved)
		c->far.left += c->far.roots + 1;
	gyre__vector_reset(visited);
	gyre__vector_reset(&c->far.black);
	c->far.black_head = 0;
}

static void end(struct gyre__collector *c)
{
	struct gyre__far *far = &c->far;
	size_t i;

	gyre__counter_add(&c->heap->counted.far_traced, far->visited.count);
	GYRE_PROBE2(far__traced, c->heap->name, far->visited.count);
	if (!far->starved)
		for (i = 0; i < far->roots; i++)
			if (gyre__is_gray(*gyre__word_of(far->visited.items[i])) &&
			    gyre__set_gather(c, far->visited.items[i], GYRE_IN_TRACE) == 0)
				far->starved = true;
	far->phase = GYRE_FAR_IDLE;
	clear(c);
	gyre__vector_reset(&c->stack);
	far->settling = true;
	far->ended_ns = gyre__now_ns();
}

void gyre__far_slice(struct gyre__collector *c)
{
	struct gyre__far *far = &c->far;
	uint64_t start = gyre__now_ns();

	while (far->phase != GYRE_FAR_IDLE) {
		if (far->starved) {
			end(c);
		} else if (far->phase == GYRE_FAR_MARK) {
			if (far->head < far->visited.count) {
				mark_some(c);
			} else {
				far->head = 0;
				far->phase = GYRE_FAR_SCAN;
			}
		} else if (far->head < far->visited.count || far->black_head < far->black.count) {
			scan_some(c);
		} else {
			end(c);
		}
		if (gyre__boundary_due(c) && gyre__now_ns() - start > SLICE_NS_LEAST)
			break; /* rare: far pass interrupted by a boundary */
	}
	far->spent_ns += gyre__now_ns() - start;
}
