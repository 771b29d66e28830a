/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * places.c: which object of a capture lies at an address. On the thread that asked for the capture,
 * or that asks its snapshot. Nothing of the heap is looked at, which may be another by now.
 */
#include <stdlib.h>

#include "build.h"
#include "slab.h"

struct gyre__place {
	uintptr_t arena;
	uint32_t slabs[GYRE_ARENA_SLABS]; /* number in the capture, and 1; 0: none */
};

static int by_address(const void *left, const void *right)
{
	uintptr_t a = ((const struct gyre__place *)left)->arena;
	uintptr_t b = ((const struct gyre__place *)right)->arena;

	return (a > b) - (a < b);
}

/* Slabs of one arena stand together in the capture. */
static size_t count_arenas(const struct gyre__capture *capture)
{
	uintptr_t last = 0;
	size_t i, count = 0;

	for (i = 0; i < capture->slabs_count; i++) {
		uintptr_t arena = (uintptr_t)gyre__arena_of((void *)capture->slabs[i].base);

		count += arena != last;
		last = arena;
	}
	return count;
}

static void list_slabs(struct gyre__places *places)
{
	const struct gyre__capture *capture = places->capture;
	struct gyre__place *place = places->arenas - 1;
	uintptr_t last = 0;
	size_t i;

	for (i = 0; i < capture->slabs_count; i++) {
		uintptr_t arena = (uintptr_t)gyre__arena_of((void *)capture->slabs[i].base);

		if (arena != last)
			(++place)->arena = last = arena;
		place->slabs[gyre__slab_index((void *)capture->slabs[i].base)] = (uint32_t)i + 1;
	}
	qsort(places->arenas, places->count, sizeof(*places->arenas), by_address);
}

static void count_before(struct gyre__places *places)
{
	const struct gyre__capture *capture = places->capture;
	size_t i, word;

	for (i = 0; i < capture->slabs_count; i++) {
		const struct gyre__capture_slab *slab = &capture->slabs[i];
		uint32_t before = 0;

		for (word = slab->bitmap; word < slab->bitmap + (slab->cells + 63) / 64; word++) {
			places->before[word] = before;
			before += (uint32_t)__builtin_popcountll(
				(uintptr_t)capture->bitmaps.items[word]);
		}
	}
}

bool gyre__places_init(struct gyre__places *places, const struct gyre__capture *capture)
{
	*places = (struct gyre__places){ .capture = capture, .count = count_arenas(capture) };
	places->arenas = calloc(places->count + 1, sizeof(*places->arenas));
	places->before = malloc((capture->bitmaps.count + 1) * sizeof(*places->before));
	if (places->arenas == NULL || places->before == NULL) {
		gyre__places_destroy(places);
		return false;
	}
	list_slabs(places);
	count_before(places);
	return true;
}

void gyre__places_destroy(struct gyre__places *places)
{
	free(places->arenas);
	free(places->before);
	places->arenas = NULL;
	places->before = NULL;
}

static const struct gyre__place *arena_at(struct gyre__places *places, uintptr_t arena)
{
	const struct gyre__place *found;
	struct gyre__place key;

	if (places->count == 0)
		return NULL;
	if (places->arenas[places->last].arena == arena)
		return &places->arenas[places->last];
	key.arena = arena;
	found = bsearch(&key, places->arenas, places->count, sizeof(key), by_address);
	if (found != NULL)
		places->last = (size_t)(found - places->arenas);
	return found;
}

uint32_t gyre__places_find(struct gyre__places *places, uintptr_t address)
{
	const struct gyre__capture *capture = places->capture;
	const struct gyre__place *place =
		arena_at(places, (uintptr_t)gyre__arena_of((void *)address));
	const struct gyre__capture_slab *slab;
	uint32_t number, offset, cell;
	uint64_t bits, bit;

	number = place == NULL ? 0 : place->slabs[gyre__slab_index((void *)address)];
	if (number == 0)
		return GYRE__NO_NODE;
	slab = &capture->slabs[number - 1];
	offset = (uint32_t)(address & (GYRE_SLAB_BYTES - 1)) - slab->first;
	cell = (uint32_t)((uint64_t)offset * slab->reciprocal >> 32);
	if (cell >= slab->cells || slab->base + slab->first + cell * slab->cell_bytes != address)
		return GYRE__NO_NODE;
	bits = (uintptr_t)capture->bitmaps.items[slab->bitmap + cell / 64];
	bit = (uint64_t)1 << cell % 64;
	if (!(bits & bit))
		return GYRE__NO_NODE;
	return (uint32_t)slab->first_object + places->before[slab->bitmap + cell / 64] +
	       (uint32_t)__builtin_popcountll(bits & (bit - 1));
}
