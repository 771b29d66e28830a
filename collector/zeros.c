/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zeros.c: special objects that count 0: those that have a weak cell, or a finalizer that has not
 * run. Collector thread.
 *
 * Such an object is not released. It becomes the root of a set: itself and what its release would
 * free, and that set is judged like one that trial deletion found, so that all weak cells in it are
 * cleared at once, and what a weak load brings back is whole.
 *
 * Invariants: a special object that counts 0 is in the list, or in a set, or looked for because the
 * list had no room. It is not traced, as nothing of the view refers to it.
 */
#include "edge.h"
#include "side.h"
#include "twin.h"
#include "type.h"

bool gyre__is_special(const void *object, uint64_t word)
{
	unsigned special = gyre__special(gyre__locator_of(object));

	if (special & GYRE_SPECIAL_FINAL && !(word & GYRE_FINALIZED))
		return true;
	return special & GYRE_SPECIAL_WEAK && gyre__side_get(object, GYRE_SIDE_WEAK) != NULL;
}

void gyre__zero_add(struct gyre__collector *c, void *object, uint64_t *word)
{
	/* A member of a set is looked at when it leaves that set. */
	if (*word & (GYRE_IN_SET | GYRE_IN_ZEROS))
		return;
	if (gyre__vector_push(&c->zeros, object))
		*word |= GYRE_IN_ZEROS;
	else
		c->zeros_lost = true; /* rare: special zero without a place */
}

static void gather(struct gyre__collector *c, void *object, uint64_t *word)
{
	if (*word & (GYRE_RELEASED | GYRE_IN_SET | GYRE_STUCK)) {
		gyre__unlisted(c, object, word);
		return;
	}
	if (gyre__rc(*word) > 0) {
		/* It was revived, by a weak load: a candidate, as nothing else may ever tell when
		 * it dies as part of a cycle. */
		if (!gyre__locator_of(object)->acyclic && !GYRE_TWIN(zeros_forgotten))
			gyre__suspect(c, object, word); /* rare: special zero revived */
	} else if (!gyre__is_special(object, *word)) {
		gyre__reached_zero(c, object, word);
	} else if (!gyre__set_close_over(c, object)) {
		c->zeros_lost = true;
	}
}

static bool gather_in_slab(struct gyre__slab *slab, void *collector)
{
	struct gyre__collector *c = collector;
	uint64_t *words = gyre__words(slab);
	uint32_t cell;

	if (gyre__special(gyre__locator_of(slab->base)) == 0)
		return true;
	for (cell = 0; cell < slab->shape.cells; cell++) {
		if ((words[cell] & (GYRE_BORN | GYRE_RELEASED | GYRE_IN_SET)) != GYRE_BORN ||
		    gyre__rc(words[cell]) > 0 || gyre__is_newborn(words[cell]))
			continue;
		gather(c, gyre__cell(slab, cell), &words[cell]);
	}
	return true;
}

static void gather_list(struct gyre__collector *c)
{
	struct gyre__vector *zeros = &c->zeros;
	size_t i;

	for (i = 0; i < zeros->count; i++) {
		uint64_t *word = gyre__word_of(zeros->items[i]);

		*word &= ~GYRE_IN_ZEROS;
		gather(c, zeros->items[i], word);
	}
	gyre__vector_reset(zeros);
	gyre__drain(c);
}

void gyre__zeros_gather(struct gyre__collector *c)
{
	if (c->zeros_lost) {
		c->zeros_lost = false;
		gyre__slabs_each(c->heap, gather_in_slab, c); /* rare: search for special zeros */
		gyre__drain(c);
	}
	/* What is released may be the last to hold further ones. */
	while (c->zeros.count > 0)
		gather_list(c);
}
