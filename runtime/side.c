/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * side.c: side tables of slabs. Mutators make them and look into them, the collector looks.
 *
 * Two threads may make the same part of a table at once: each part is put in by a
 * compare-and-swap, and who comes second takes what is there. Nothing is taken out while an object
 * of the slab is in use.
 */
#include "side.h"

#include <stdlib.h>

#define CELLS_IN_CHUNK 64

struct gyre__side_chunk {
	gyre__side_entry entries[CELLS_IN_CHUNK];
};

struct gyre__side {
	size_t count; /* chunks of a kind */
	_Atomic(struct gyre__side_chunk *) chunks[];
};

static size_t chunks_of(const struct gyre__slab *slab)
{
	return (slab->shape.cells + CELLS_IN_CHUNK - 1) / CELLS_IN_CHUNK;
}

gyre__side_entry *gyre__side_row(const struct gyre__slab *slab, uint32_t first,
				 enum gyre__side_kind kind)
{
	/* Acquire pairs with the release in gyre__side_make, here and below. */
	struct gyre__side *side = atomic_load_explicit(&slab->side, memory_order_acquire);
	struct gyre__side_chunk *chunk;

	if (side == NULL)
		return NULL;
	chunk = atomic_load_explicit(&side->chunks[kind * side->count + first / CELLS_IN_CHUNK],
				     memory_order_acquire);
	return chunk == NULL ? NULL : chunk->entries;
}

gyre__side_entry *gyre__side_find(const void *object, enum gyre__side_kind kind)
{
	const struct gyre__slab *slab = gyre__slab_of(object);
	uint32_t cell = gyre__cell_index(slab, object);
	gyre__side_entry *row = gyre__side_row(slab, cell, kind);

	return row == NULL ? NULL : &row[cell % CELLS_IN_CHUNK];
}

static struct gyre__side *side_of(struct gyre__slab *slab)
{
	struct gyre__side *side = atomic_load_explicit(&slab->side, memory_order_acquire), *made;
	size_t count = chunks_of(slab);

	if (side != NULL)
		return side;
	made = calloc(1, sizeof(*made) + GYRE_SIDE_KINDS * count * sizeof(made->chunks[0]));
	if (made == NULL)
		return NULL;
	made->count = count;
	/* Release publishes the table; acquire for the one that was there first. */
	if (atomic_compare_exchange_strong_explicit(&slab->side, &side, made, memory_order_acq_rel,
						    memory_order_acquire))
		return made;
	free(made); /* rare: two threads make a side table */
	return side;
}

gyre__side_entry *gyre__side_make(const void *object, enum gyre__side_kind kind)
{
	struct gyre__slab *slab = gyre__slab_of(object);
	uint32_t cell = gyre__cell_index(slab, object);
	struct gyre__side *side = side_of(slab);
	struct gyre__side_chunk *chunk, *made;
	_Atomic(struct gyre__side_chunk *) *place;

	if (side == NULL)
		return NULL;
	place = &side->chunks[kind * side->count + cell / CELLS_IN_CHUNK];
	chunk = atomic_load_explicit(place, memory_order_acquire);
	if (chunk == NULL) {
		made = calloc(1, sizeof(*made));
		if (made == NULL)
			return NULL;
		if (atomic_compare_exchange_strong_explicit(
			    place, &chunk, made, memory_order_acq_rel, memory_order_acquire))
			chunk = made;
		else
			free(made);
	}
	return &chunk->entries[cell % CELLS_IN_CHUNK];
}

void gyre__side_destroy(struct gyre__slab *slab)
{
	/* Relaxed: nobody else looks at the slab. */
	struct gyre__side *side = atomic_load_explicit(&slab->side, memory_order_relaxed);
	size_t i;

	if (side == NULL)
		return;
	for (i = 0; i < GYRE_SIDE_KINDS * side->count; i++)
		free(atomic_load_explicit(&side->chunks[i], memory_order_relaxed));
	free(side);
	atomic_store_explicit(&slab->side, NULL, memory_order_relaxed);
}
