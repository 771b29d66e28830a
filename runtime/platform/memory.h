/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.h: memory from the system. Any thread. Mapped memory is zero; sizes are in bytes.
 */
#ifndef GYRE_PLATFORM_MEMORY_H
#define GYRE_PLATFORM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Maps bytes at an address that is a multiple of align (a power of two, pages). NULL: none to be
 * had. */
void *gyre__map(size_t bytes, size_t align);
void gyre__unmap(void *address, size_t bytes);
/* Asks for huge pages there: fewer misses of the TLB for more memory at once. */
void gyre__favour_huge(void *address, size_t bytes);
/* Gives the pages back; the memory stays mapped and reads as zero from now on. */
void gyre__discard(void *address, size_t bytes);

/* A growing array of words for the collector's lists: contents move by remapping, not by
 * copying. */
struct gyre__vector {
	void **items;
	size_t count;
	size_t room;
};

/* Makes room for at least one more item; false if the system has no memory. */
bool gyre__vector_grow(struct gyre__vector *vector);
/* Makes room for at least count items in all. */
bool gyre__vector_reserve(struct gyre__vector *vector, size_t count);
/* Empties it and gives memory beyond a modest size back. */
void gyre__vector_reset(struct gyre__vector *vector);
void gyre__vector_destroy(struct gyre__vector *vector);

static inline bool gyre__vector_push(struct gyre__vector *vector, void *item)
{
	if (__builtin_expect(vector->count == vector->room, 0) && !gyre__vector_grow(vector))
		return false;
	vector->items[vector->count++] = item;
	return true;
}

#endif
