/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reclaim.c: freeing cells and recycling chunks. Collector thread.
 *
 * Invariants: a cell is freed once, when it is dead and in none of the collector's lists; its word
 * is 0 from then on. Freed cells are marked in their slab's bitmap of freed ones and become vacant
 * in batches, once an epoch, so the lock that mutators take is held briefly.
 */
#include "bits.h"
#include "collector.h"
#include "platform/tsan.h"
#include "platform/yield.h"
#include "poison.h"
#include "profile.h"
#include "side.h"
#include "twin.h"
#include "type.h"

/* Empty chunks that are kept for mutators: at most so many, and at most this share of the limit, as
 * they count against it. */
#define EMPTIES_KEPT 512
#define EMPTIES_SHARE 32

/* The object is no more; its cell waits to be handed over. */
static void vacate(struct gyre__collector *c, struct gyre__slab *slab, void *object)
{
	GYRE_FREEING(object);
	if (slab->class == NULL)
		return;
	if (c->heap->options.flags & GYRE_POISON)
		gyre__poison_fill(object, slab->shape.cell_bytes);
	GYRE_ASAN_POISON(object, slab->shape.cell_bytes);
}

/* The slab has count more cells that were freed. */
static void count_freed(struct gyre__collector *c, struct gyre__slab *slab, uint32_t count)
{
	uint64_t bytes = count * gyre__cell_bytes(slab);

	gyre__counter_add(&c->heap->counted.objects_reclaimed, count);
	gyre__counter_add(&c->heap->counted.bytes_reclaimed, bytes);
	gyre__type_reclaimed(slab->type, count, bytes);
	slab->freed_count += count;
	if (slab->is_touched)
		return;
	slab->is_touched = 1;
	slab->touched = c->touched;
	c->touched = slab;
}

/* What it owned was given up with its references; the next object in its place has nothing. */
static void forget_attachment(const void *object)
{
	gyre__side_entry *entry = gyre__side_find(object, GYRE_SIDE_ATTACHMENT);

	/* Relaxed: nobody else refers to the object; its cell is handed over under a lock. */
	if (entry != NULL)
		atomic_store_explicit(entry, NULL, memory_order_relaxed);
}

#define ATTACHED_OR_SAMPLED ((unsigned)GYRE_SPECIAL_ATTACHED | GYRE_SPECIAL_SAMPLED)

/* What objects of a slab have beside them that is not looked at when they die. */
static void forget(struct gyre__collector *c, const struct gyre__locator *locator,
		   const void *object)
{
	if (gyre__special(locator) & GYRE_SPECIAL_ATTACHED)
		forget_attachment(object);
	if (gyre__has_any(locator, GYRE_SPECIAL_SAMPLED))
		gyre__sample_end(c->heap, object);
}

void gyre__free_cell(struct gyre__collector *c, void *object, uint64_t *word)
{
	struct gyre__slab *slab = gyre__slab_of(object);
	const struct gyre__locator *locator = gyre__locator_of(object);
	uint32_t cell = gyre__cell_index(slab, object);

	GYRE_ASSERT(*word & GYRE_BORN && !(*word & GYRE_LISTED));
	if (__builtin_expect(gyre__has_any(locator, ATTACHED_OR_SAMPLED), 0))
		forget(c, locator, object);
	if (__builtin_expect(*word & GYRE_EXEMPT, 0))
		gyre__counter_add(&c->heap->counted.exempt, (uint64_t)-1);
	vacate(c, slab, object);
	*word = 0;
	gyre__bits_set(gyre__freed(slab), cell, cell + 1);
	count_freed(c, slab, 1);
}

/* Vacates the cells of a word of a bitmap, where that does anything: in the simulation, for
 * AddressSanitizer, and in a heap with poison. */
static void vacate_cells(struct gyre__collector *c, struct gyre__slab *slab, uint32_t first,
			 uint64_t cells)
{
	if (!(c->heap->options.flags & GYRE_POISON) && !GYRE_FREEING_MATTERS &&
	    !GYRE_ASAN_MATTERS && !GYRE_CHECKED)
		return;
	for (; cells != 0; cells &= cells - 1) {
		void *object = gyre__cell(slab, first + (uint32_t)__builtin_ctzll(cells));

		GYRE_ASSERT(*gyre__word_of(object) == 0);
		vacate(c, slab, object);
	}
}

void gyre__free_young(struct gyre__collector *c, struct gyre__slab *slab, uint32_t cell,
		      uint32_t count)
{
	uint64_t *young = gyre__young(slab), *freed = gyre__freed(slab);
	bool sampled = gyre__has_any(gyre__locator_of(slab->base), GYRE_SPECIAL_SAMPLED);
	uint32_t at, dead = 0;

	for (at = cell / 64; at * 64 < cell + count; at++) {
		uint64_t cells = young[at] & gyre__bits_mask(at, cell, cell + count);

		if (__builtin_expect(sampled, 0))
			gyre__samples_end(c->heap, slab, at * 64, cells);
		vacate_cells(c, slab, at * 64, cells);
		young[at] ^= cells;
		freed[at] |= cells;
		dead += (uint32_t)__builtin_popcountll(cells);
	}
	if (dead > 0)
		count_freed(c, slab, dead);
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
	c->touched = gyre__slabs_flush(c->heap, c->touched, c->processing);
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
