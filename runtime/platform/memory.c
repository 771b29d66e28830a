/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.c: mapping memory by mmap. See memory.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* mremap */
#endif
#include "platform/memory.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

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

void *gyre__resize(void *address, size_t old_bytes, size_t bytes)
{
	void *moved;

	if (bytes == 0) {
		if (address != NULL)
			munmap(address, old_bytes);
		return NULL;
	}
	if (address == NULL)
		return map_pages(bytes);
	moved = mremap(address, old_bytes, bytes, MREMAP_MAYMOVE);
	return moved == MAP_FAILED ? NULL : moved;
}
