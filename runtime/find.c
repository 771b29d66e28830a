/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * find.c: finding the slab of an address, and all slabs of a heap. The collector; gyre__is_object
 * on any thread, for checks.
 *
 * Invariant: the lists of arenas are read from a head that was read once; new arenas go before it,
 * and only the collector takes any out, so the rest stands still for it.
 */
#include "heap.h"
#include "slab.h"

struct gyre__slab *gyre__slab_holding(const struct gyre__slabs *slabs, const void *address)
{
	struct gyre__arena *arena = atomic_load_explicit(&slabs->wide, memory_order_acquire);
	struct gyre__slab *slab;

	while (arena != NULL && (uintptr_t)address - (uintptr_t)arena >= arena->bytes)
		arena = arena->next_wide;
	if (arena == NULL)
		arena = gyre__arena_of(address);
	if (arena->sole)
		return &arena->slabs[1];
	slab = &arena->slabs[gyre__slab_index(address)];
	return gyre__slab_state(slab) == GYRE_SLAB_TAIL ? slab->next : slab;
}

uint64_t *gyre__word_afar(const struct gyre__slabs *slabs, const void *address)
{
	struct gyre__slab *slab = gyre__slab_holding(slabs, address);

	if (slab->class == NULL)
		return gyre__words(slab);
	return gyre__word_at(gyre__locator_of(address), address);
}

bool gyre__slabs_each(struct gyre_heap *heap, bool (*visit)(struct gyre__slab *slab, void *arg),
		      void *arg)
{
	struct gyre__arena *arena;
	size_t i;

	gyre__lock_take(&heap->slabs.lock);
	arena = heap->slabs.arenas;
	gyre__lock_drop(&heap->slabs.lock);
	/* New arenas go to the list's head, and only the collector takes any out: the rest of
	 * the list stands still. */
	for (; arena != NULL; arena = arena->next) {
		for (i = 1; i < (arena->sole ? 2 : GYRE_ARENA_SLABS); i++) {
			struct gyre__slab *slab = &arena->slabs[i];
			enum gyre__slab_state state = gyre__slab_state(slab);

			if (state == GYRE_SLAB_FREE || state == GYRE_SLAB_TAIL)
				continue;
			if (!visit(slab, arg))
				return false;
		}
	}
	return true;
}

/* The arena of the lowest address from `from` on. */
static struct gyre__arena *arena_from(struct gyre_heap *heap, uintptr_t from)
{
	struct gyre__arena *arena, *lowest = NULL;

	gyre__lock_take(&heap->slabs.lock);
	for (arena = heap->slabs.arenas; arena != NULL; arena = arena->next)
		if ((uintptr_t)arena >= from && (lowest == NULL || arena < lowest))
			lowest = arena;
	gyre__lock_drop(&heap->slabs.lock);
	return lowest;
}

struct gyre__slab *gyre__cursor_slab(struct gyre_heap *heap, struct gyre__cursor *cursor)
{
	struct gyre__arena *arena;

	while ((arena = arena_from(heap, cursor->arena)) != NULL) {
		if ((uintptr_t)arena != cursor->arena || cursor->slab == 0)
			*cursor = (struct gyre__cursor){ (uintptr_t)arena, 1, 0 };
		for (; cursor->slab < (arena->sole ? 2 : GYRE_ARENA_SLABS); cursor->slab++) {
			struct gyre__slab *slab = &arena->slabs[cursor->slab];
			enum gyre__slab_state state = gyre__slab_state(slab);

			if (state != GYRE_SLAB_FREE && state != GYRE_SLAB_TAIL &&
			    cursor->cell < slab->shape.cells)
				return slab;
			cursor->cell = 0;
		}
		*cursor = (struct gyre__cursor){ (uintptr_t)arena + 1, 0, 0 };
	}
	return NULL;
}

bool gyre__is_object(struct gyre_heap *heap, const void *address)
{
	struct gyre__arena *arena = gyre__arena_of(address), *at;
	struct gyre__slab *slab = gyre__slab_of(address);
	bool found = false;

	gyre__lock_take(&heap->slabs.lock);
	for (at = heap->slabs.arenas; at != NULL && at != arena; at = at->next)
		;
	if (at != NULL && gyre__slab_index(address) != 0) {
		enum gyre__slab_state state = gyre__slab_state(slab);

		if (state != GYRE_SLAB_FREE && state != GYRE_SLAB_TAIL) {
			uint32_t cell = gyre__cell_index(slab, address);

			found = cell < slab->shape.cells && gyre__cell(slab, cell) == address;
		}
	}
	gyre__lock_drop(&heap->slabs.lock);
	return found;
}
