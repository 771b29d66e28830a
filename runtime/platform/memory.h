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

/* Memory for an array that grows: from address (NULL at first) and old_bytes to bytes, by moving
 * pages, not contents. 0 bytes give it back. NULL: none to be had, and the old array stays. */
void *gyre__resize(void *address, size_t old_bytes, size_t bytes);

#endif
