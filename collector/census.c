/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * census.c: picks objects for threads that look at the heap. Collector thread, as an errand between
 * two cycles: no object dies meanwhile, and each slot can be read as it was at the last boundary.
 *
 * What is picked is counted, was born, and is in no candidate set. So it is there in the view of
 * the last boundary, and in no set that a verdict could free as a whole; and since it is counted
 * once more from now on, no count and no trial finds it dead before it is unpinned, by the journal
 * of the thread that has visited it (docs/algorithm.md, 15).
 *
 * Invariants: each cell is looked at once; an errand ends after a short time, whatever it has
 * found.
 */
#include "census.h"

#include "edge.h"
#include "twin.h"

/* How long an errand goes on, and the cells between two looks at the clock. */
#define SLICE_NS GYRE_IF_SIM(0, 1000000)
#define STEP 256
/* Boundaries that are waited for until a member of a candidate set is judged; and in all. */
#define WAITS_HERE 4
#define WAITS 64

struct probe {
	const void *target;
	bool found;
};

static void compare(void *arg, void *child)
{
	struct probe *probe = arg;

	probe->found = probe->found || child == probe->target;
}

static bool refers(struct gyre__collector *c, const void *object, const void *target)
{
	struct probe probe = { target, false };

	gyre__each_read(c, object, GYRE_READ_VIEW, compare, &probe);
	return probe.found;
}

static bool is_there(uint64_t word)
{
	return (word & (GYRE_BORN | GYRE_RELEASED)) == GYRE_BORN && gyre__rc(word) > 0;
}

/* Pins the object. */
static void take(struct gyre__collector *c, struct gyre__census *census, void *object)
{
	uint64_t set = *gyre__word_of(object) & (GYRE_IN_SET | GYRE_ORANGE);

	gyre__increment(c, object);
	if (GYRE_TWIN(census_takes_members))
		/* As if nothing had touched it: what judges its set does not know of the pin. */
		*gyre__word_of(object) |= set;
	census->batch->objects[census->batch->count++] = object;
}

/* Whether the census is to wait until the set of the cell at the cursor is judged. */
static bool waits(struct gyre__census *census, uint64_t word)
{
	if (!(word & GYRE_IN_SET) || GYRE_TWIN(census_takes_members))
		return false;
	/* rare: census meets a candidate set */
	if (census->waits_here == WAITS_HERE || census->waits == WAITS)
		return false;
	census->waits_here++;
	census->waits++;
	return true;
}

/* Looks at cells of the slab at the cursor, up to a step of them. False: the errand is to end. */
static bool step(struct gyre__collector *c, struct gyre__census *census,
		 const struct gyre__slab *slab)
{
	struct gyre__cursor *at = &census->cursor;
	uint32_t end = slab->shape.cells;

	if (census->type != NULL && census->type != slab->type) {
		at->cell = end;
		return true;
	}
	if (end - at->cell > STEP)
		end = at->cell + STEP;
	for (; at->cell < end; at->cell++, census->waits_here = 0) {
		uint64_t word = gyre__words(slab)[at->cell];
		void *object = gyre__cell(slab, at->cell);

		if (!is_there(word))
			continue;
		if (census->batch->count == GYRE_CENSUS_BATCH || waits(census, word))
			return false;
		if (word & GYRE_IN_SET && !GYRE_TWIN(census_takes_members))
			continue;
		if (census->target == NULL || refers(c, object, census->target))
			take(c, census, object);
	}
	return true;
}

void gyre__census_take(struct gyre__collector *c, void *arg)
{
	struct gyre__census *census = arg;
	struct gyre__ends *ends = &c->heap->ends;
	const struct gyre__slab *slab = NULL;
	uint64_t start;

	/* What the caller, and what others have made before, is known after a boundary. */
	if (!census->begun)
		gyre__cycle(c);
	census->begun = true;
	start = gyre__now_ns();
	do {
		slab = gyre__cursor_slab(c->heap, &census->cursor);
		census->ended = slab == NULL;
	} while (slab != NULL && step(c, census, slab) && gyre__now_ns() - start <= SLICE_NS);
	if (census->batch->count == 0)
		return;
	gyre__lock_take(&ends->lock);
	gyre__visit_begin(ends, census->batch);
	gyre__lock_drop(&ends->lock);
}

void gyre__count_tell(struct gyre__collector *c, void *arg)
{
	struct gyre__count_asked *asked = arg;
	uint64_t word;

	/* The second one applies decrements that were journalled before the call. */
	gyre__cycle(c);
	gyre__cycle(c);
	word = *gyre__word_of(asked->object);
	asked->count = word & GYRE_STUCK ? UINT64_MAX : gyre__rc(word);
}
