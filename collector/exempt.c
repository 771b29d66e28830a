/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exempt.c: objects that no trial deletion looks into. Collector thread, as errands between two
 * cycles, each for a short time.
 *
 * What is exempt counts as held from outside, which errs towards life; so nothing of what a pass
 * concludes needs to know of it. When it is exempt no more it becomes a candidate: whatever has
 * become garbage meanwhile and was not found holds, or is held by, something that was exempt, and
 * is reachable from it.
 *
 * Invariants: EXEMPT is set while no far pass is under way, and not for members of a candidate set,
 * so no trial has the object in hand; the figure `exempt` is the number of words that have the
 * flag.
 */
#include "census.h"
#include "collector.h"
#include "twin.h"

/* How long an errand goes on, and the cells between two looks at the clock. */
#define SLICE_NS GYRE_IF_SIM(0, 1000000)
#define STEP 1024

static void make_exempt(struct gyre__collector *c, uint64_t *word)
{
	if ((*word & (GYRE_BORN | GYRE_RELEASED | GYRE_IN_SET | GYRE_IN_TRACE | GYRE_EXEMPT)) !=
		    GYRE_BORN ||
	    gyre__rc(*word) == 0)
		return;
	/* Should a list of candidates name it, it finds nothing to do. */
	*word = (*word & ~GYRE_PURPLE) | GYRE_EXEMPT;
	gyre__counter_add(&c->heap->counted.exempt, 1);
}

static void make_ordinary(struct gyre__collector *c, const struct gyre__slab *slab, uint64_t *word)
{
	if (!(*word & GYRE_EXEMPT))
		return;
	*word &= ~GYRE_EXEMPT;
	gyre__counter_add(&c->heap->counted.exempt, (uint64_t)-1);
	/* A newborn becomes a candidate when its birth is over. */
	if (*word & (GYRE_RELEASED | GYRE_STUCK) || gyre__rc(*word) == 0 ||
	    gyre__is_newborn(*word) || gyre__locator_of(slab->base)->acyclic ||
	    GYRE_TWIN(exempt_forgotten))
		return;
	*word |= GYRE_PURPLE;
	c->far.left++;
}

static void step(struct gyre__collector *c, struct gyre__exempting *e,
		 const struct gyre__slab *slab)
{
	uint32_t end = slab->shape.cells;

	if (end - e->cursor.cell > STEP)
		end = e->cursor.cell + STEP;
	for (; e->cursor.cell < end; e->cursor.cell++) {
		uint64_t *word = gyre__words(slab) + e->cursor.cell;

		if (e->exempt)
			make_exempt(c, word);
		else
			make_ordinary(c, slab, word);
	}
}

static void begin(struct gyre__collector *c, struct gyre__exempting *e)
{
	e->begun = true;
	if (!e->exempt)
		return;
	c->exempting++;
	/* No other begins now. The last boundaries bring what the caller has made, and the verdict
	 * on what the pass has found. */
	while (c->far.phase != GYRE_FAR_IDLE)
		gyre__cycle(c);
	gyre__cycle(c);
	gyre__cycle(c);
}

static void end(struct gyre__collector *c, struct gyre__exempting *e)
{
	e->ended = true;
	if (e->exempt)
		c->exempting--;
	else
		c->far.ended_ns = 0; /* a pass is due at once */
}

void gyre__exempt_some(struct gyre__collector *c, void *arg)
{
	struct gyre__exempting *e = arg;
	const struct gyre__slab *slab;
	uint64_t start;

	if (!e->begun)
		begin(c, e);
	start = gyre__now_ns();
	do {
		slab = gyre__cursor_slab(c->heap, &e->cursor);
		if (slab == NULL)
			end(c, e);
		else
			step(c, e, slab);
	} while (slab != NULL && gyre__now_ns() - start <= SLICE_NS);
}
