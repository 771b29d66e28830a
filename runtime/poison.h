/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poison.h: the pattern that vacant cells hold in a heap opened with GYRE_POISON. The collector
 * fills a cell when it frees it, the allocator checks it before it hands the cell out again.
 */
#ifndef GYRE_POISON_H
#define GYRE_POISON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define GYRE_POISON_BYTE 0xdb

static inline void gyre__poison_fill(void *cell, size_t bytes)
{
	memset(cell, GYRE_POISON_BYTE, bytes);
}

/* Freed and not touched since, or never used. */
static inline bool gyre__poison_intact(const void *cell, size_t bytes)
{
	const uint64_t *word = cell;
	const uint64_t *end = word + bytes / sizeof(*word); /* cells are whole words */
	uint64_t pattern;

	memset(&pattern, GYRE_POISON_BYTE, sizeof(pattern));
	if (*word == 0)
		pattern = 0;
	while (word < end)
		if (*word++ != pattern)
			return false;
	return true;
}

#endif
