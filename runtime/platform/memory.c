/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.c: mapping memory by mmap, and the growing arrays. See memory.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* mremap */
#endif
#include "platform/memory.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define VECTOR_KEEP ((size_t)1 << 16) /* items that an emptied vector keeps */

static void *map_pages(size_t bytes)
{
	void *address = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return address == MAP_FAILED ? NULL : address;
}

void *gyre__map(size_t bytes, size_t align)
{
	char *start, *aligned;
	size_t head;

	if (bytes > SIZE_MAX - align)
		return NULL;
	start = map_pages(bytes + align);
	if (start == NULL)
		return NULL;
	head = (align - (uintptr_t)start % align) % align;
	aligned = start + head;
	if (head > 0)
		munmap(start, head);
	if (align > head)
		munmap(aligned + bytes, align - head);
	return aligned;
}

void gyre__unmap(void *address, size_t bytes)
{
	munmap(address, bytes);
}

void gyre__favour_huge(void *address, size_t bytes)
{
	/* A wish: where the system knows no huge pages, nothing changes. */
	madvise(address, bytes, MADV_HUGEPAGE);
}

void gyre__discard(void *address, size_t bytes)
{
	/* Refused for memory that the host has locked: the pages stay, what is in them goes. */
	if (madvise(address, bytes, MADV_DONTNEED) != 0)
		memset(address, 0, bytes);
}

static bool resize(struct gyre__vector *vector, size_t room)
{
	size_t bytes = room * sizeof(void *);
	void *items;

	if (room > SIZE_MAX / sizeof(void *))
		return false;
	if (vector->items == NULL)
		items = map_pages(bytes);
	else
		items = mremap(vector->items, vector->room * sizeof(void *), bytes, MREMAP_MAYMOVE);
	if (items == NULL || items == MAP_FAILED)
		return false;
	vector->items = items;
	vector->room = room;
	return true;
}

bool gyre__vector_grow(struct gyre__vector *vector)
{
	return resize(vector, vector->room == 0 ? VECTOR_KEEP : vector->room * 2);
}

bool gyre__vector_reserve(struct gyre__vector *vector, size_t count)
{
	while (vector->room < count)
		if (!gyre__vector_grow(vector))
			return false;
	return true;
}

void gyre__vector_reset(struct gyre__vector *vector)
{
	vector->count = 0;
	if (vector->room > VECTOR_KEEP)
		resize(vector, VECTOR_KEEP);
}

void gyre__vector_destroy(struct gyre__vector *vector)
{
	if (vector->items != NULL)
		munmap(vector->items, vector->room * sizeof(void *));
	*vector = (struct gyre__vector){ 0 };
}
