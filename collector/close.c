/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * close.c: the last things before a heap is closed: what live objects are owed, and what is left.
 * Collector thread, between two cycles, with no mutator but the one that closes the heap, which is
 * parked.
 */
#include <stdlib.h>

#include "edge.h"
#include "ends.h"
#include "twin.h"

struct ending {
	struct gyre__collector *c;
	struct gyre__batch *batch;
	struct gyre__notice *notices, **last;
	size_t found; /* objects to be finalized */
};

static bool in_use(uint64_t word)
{
	return (word & (GYRE_BORN | GYRE_RELEASED)) == GYRE_BORN;
}

static bool to_be_finalized(const struct gyre__slab *slab, uint64_t word)
{
	return in_use(word) && !(word & GYRE_FINALIZED) && slab->type->finalize != NULL;
}

static bool count_slab(struct gyre__slab *slab, void *arg)
{
	struct ending *ending = arg;
	const uint64_t *words = gyre__words(slab);
	uint32_t cell;

	for (cell = 0; cell < slab->shape.cells; cell++)
		ending->found += to_be_finalized(slab, words[cell]);
	return true;
}

static bool end_slab(struct gyre__slab *slab, void *arg)
{
	struct ending *ending = arg;
	const uint64_t *words = gyre__words(slab);
	uint32_t cell;

	if (gyre__special(gyre__locator_of(slab->base)) == 0)
		return true;
	for (cell = 0; cell < slab->shape.cells; cell++) {
		void *object = gyre__cell(slab, cell);
		bool final = to_be_finalized(slab, words[cell]);

		if (!in_use(words[cell]))
			continue;
		ending->last =
			gyre__end_cell(ending->c, object, GYRE_NOTICE_AT_CLOSE, ending->last);
		if (!final)
			continue;
		gyre__pin(ending->c, object);
		ending->batch->objects[ending->batch->count++] = object;
	}
	return true;
}

/* All cells are cleared, and then all finalizers queued, in no promised order. */
void gyre__end_all(struct gyre__collector *c, void *arg)
{
	enum gyre_status *status = arg;
	struct ending ending = { .c = c };

	ending.last = &ending.notices;
	/* Nothing is ended in a heap that then stays open. */
	*status = gyre__collect_fully(c);
	if (*status != GYRE_OK)
		return;
	gyre__slabs_each(c->heap, count_slab, &ending);
	if (ending.found > 0) {
		ending.batch = gyre__batch_make(ending.found);
		if (ending.batch == NULL) {
			*status = GYRE_NO_MEMORY;
			return;
		}
	}
	gyre__slabs_each(c->heap, end_slab, &ending);
	*ending.last = NULL;
	gyre__queue(c, ending.batch, ending.notices);
}

/* What is left of a type. */
struct left {
	const struct gyre_type *type;
	uint64_t objects, bytes;
};

static bool add_slab(struct gyre__slab *slab, void *arg)
{
	struct left *left = (struct left *)arg + slab->type->head.id;
	const uint64_t *words = gyre__words(slab);
	uint32_t cell;

	left->type = slab->type;
	for (cell = 0; cell < slab->shape.cells; cell++) {
		if (!in_use(words[cell]))
			continue;
		left->objects++;
		left->bytes += gyre__cell_bytes(slab);
	}
	return true;
}

static int most_first(const void *one, const void *other)
{
	uint64_t a = ((const struct left *)one)->bytes, b = ((const struct left *)other)->bytes;

	return (a < b) - (a > b);
}

void gyre__report_left(struct gyre__collector *c, void *arg)
{
	struct gyre_heap *heap = c->heap;
	size_t i, types = heap->types_count;
	struct left *left = calloc(types + 1, sizeof(*left));
	uint64_t kept = gyre__counter_get(&heap->shared.garbage_objects);

	(void)arg;
	if (left == NULL) {
		gyre__log(heap, GYRE_LOG_WARNING, "no memory to say what is left in the heap");
		return;
	}
	gyre__collect_fully(c);
	gyre__slabs_each(heap, add_slab, left);
	qsort(left, types, sizeof(*left), most_first);
	for (i = 0; i < types && left[i].objects > 0; i++)
		gyre__log(heap, GYRE_LOG_NOTE, "closed with %llu objects of type %s (%llu bytes)",
			  (unsigned long long)left[i].objects, left[i].type->name,
			  (unsigned long long)left[i].bytes);
	if (kept > 0)
		gyre__log(heap, GYRE_LOG_NOTE,
			  "%llu of them are garbage: members of %llu dead cycles that were kept",
			  (unsigned long long)kept,
			  (unsigned long long)gyre__counter_get(&heap->shared.garbage_cycles));
	free(left);
}
