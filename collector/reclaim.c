/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reclaim.c: freeing cells and recycling chunks. Collector thread.
 *
 * Invariants: a cell is freed once, when it is dead and in none of the collector's lists; its word
 * is 0 from then on. Freed cells are marked in their slab's bitmap of freed ones and become vacant
 * in batches, once an epoch, so the lock that mutators take is held briefly.
 */
#include "collector.h"
#include "platform/tsan.h"
#include "platform/yield.h"
#include "poison.h"
#include "twin.h"
#include "type.h"

/* Empty chunks that are kept for mutators: at most so many, and at most this share of the limit, as
 * they count against it. */
#define EMPTIES_KEPT 512
#define EMPTIES_SHARE 32

void gyre__free_cell(struct gyre__collector *c, void *object, uint64_t *word)
{
	struct gyre__collector_counters *counted = &c->heap->counted;
	struct gyre__slab *slab = gyre__slab_of(object);
	uint32_t cell = gyre__cell_index(slab, object);

	GYRE_ASSERT(*word & GYRE_BORN && !(*word & GYRE_LISTED));
	GYRE_FREEING(object);
	*word = 0;
	gyre__counter_add(&counted->objects_reclaimed, 1);
	gyre__counter_add(&counted->bytes_reclaimed, gyre__cell_bytes(slab));
	if (slab->class != NULL) {
		if (c->heap->options.flags & GYRE_POISON)
			gyre__poison_fill(object, slab->shape.cell_bytes);
		GYRE_ASAN_POISON(object, slab->shape.cell_bytes);
	}
	gyre__freed(slab)[cell / 64] |= (uint64_t)1 << cell % 64;
	slab->freed_count++;
	if (!slab->is_touched) {
		slab->is_touched = 1;
		slab->touched = c->touched;
		c->touched = slab;
	}
}

void gyre__unlisted(struct gyre__collector *c, void *object, uint64_t *word)
{
	if (GYRE_TWIN(one_list_flag) && *word & GYRE_RELEASED)
		*word &= ~GYRE_LISTED;
	if (*word & GYRE_RELEASED && !(*word & GYRE_LISTED))
		gyre__free_cell(c, object, word);
}

void gyre__flush(struct gyre__collector *c)
{
	gyre__slabs_flush(c->heap, c->touched);
	c->touched = NULL;
}

void gyre__recycle(struct gyre__collector *c, struct gyre__chunk *chain)
{
	size_t most = c->heap->options.journal_limit / EMPTIES_SHARE / GYRE_CHUNK_BYTES;
	struct gyre__chunk *kept;

	if (most > EMPTIES_KEPT)
		most = EMPTIES_KEPT;
	while (chain != NULL && c->empties_count < most) {
		kept = chain;
		chain = chain->next;
		kept->next = c->empties;
		c->empties = kept;
		c->empties_count++;
	}
	gyre__chunk_give(c->heap, chain);
}
