/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bits.h: ranges in bitmaps of 64-bit words: of the cells of a slab. Whoever owns the bitmap.
 */
#ifndef GYRE_BITS_H
#define GYRE_BITS_H

#include <stdbool.h>
#include <stdint.h>

/* The bits of word number at that lie in [from, to). */
static inline uint64_t gyre__bits_mask(uint32_t at, uint32_t from, uint32_t to)
{
	uint32_t low = from > at * 64 ? from - at * 64 : 0;
	uint32_t high = to < (at + 1) * 64 ? to - at * 64 : 64;

	return ~(uint64_t)0 >> (64 - (high - low)) << low;
}

static inline void gyre__bits_set(uint64_t *bitmap, uint32_t from, uint32_t to)
{
	uint32_t at;

	for (at = from / 64; at * 64 < to; at++)
		bitmap[at] |= gyre__bits_mask(at, from, to);
}

static inline void gyre__bits_clear(uint64_t *bitmap, uint32_t from, uint32_t to)
{
	uint32_t at;

	for (at = from / 64; at * 64 < to; at++)
		bitmap[at] &= ~gyre__bits_mask(at, from, to);
}

/* The first bit from `from` on that is set, or is not, as wanted; or count. */
static inline uint32_t gyre__bits_next(const uint64_t *bitmap, uint32_t from, uint32_t count,
				       bool wanted)
{
	while (from < count) {
		uint64_t rest = (wanted ? bitmap[from / 64] : ~bitmap[from / 64]) >> from % 64;

		if (rest != 0) {
			from += (uint32_t)__builtin_ctzll(rest);
			break;
		}
		from = (from / 64 + 1) * 64;
	}
	return from < count ? from : count;
}

#endif
