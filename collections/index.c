/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * index.c: the buckets of a shard: linear hashing. Runs with the shard's lock held.
 *
 * There are about as many buckets as entries. When an entry makes them too few, one bucket is added
 * and gets its share of the one bucket that had it so far; when they are far too many, the last one
 * goes back where it came from. So each call moves the entries of one bucket at most, and the array
 * of the buckets, which is 4 bytes each, is copied when it doubles.
 *
 * Invariants: mask is the smallest 2^k - 1 that is not below the last bucket's number; an entry is
 * in bucket hash & mask, or, if there is none yet, hash & mask / 2. Memory that is refused only
 * makes buckets longer.
 */
#include <stdlib.h>

#include "table.h"

#define FIRST_CAPACITY 8

static uint32_t bucket_of(const struct gyre__shard *shard, uint32_t hash)
{
	uint32_t bucket = hash & shard->mask;

	return bucket < shard->buckets_count ? bucket : bucket & (shard->mask >> 1);
}

bool gyre__index_ready(struct gyre__shard *shard)
{
	if (shard->buckets != NULL)
		return true;
	shard->buckets = malloc(FIRST_CAPACITY * sizeof(*shard->buckets));
	if (shard->buckets == NULL)
		return false;
	shard->buckets[0] = GYRE_NO_ENTRY;
	shard->buckets_count = 1;
	shard->buckets_capacity = FIRST_CAPACITY;
	return true;
}

uint32_t gyre__index_first(const struct gyre__shard *shard, uint32_t hash)
{
	return shard->buckets != NULL ? shard->buckets[bucket_of(shard, hash)] : GYRE_NO_ENTRY;
}

static bool resize(struct gyre__shard *shard, uint32_t capacity)
{
	uint32_t *buckets = realloc(shard->buckets, capacity * sizeof(*buckets));

	if (buckets == NULL)
		return false;
	shard->buckets = buckets;
	shard->buckets_capacity = capacity;
	return true;
}

static void grow(struct gyre__shard *shard)
{
	uint32_t added = shard->buckets_count, number, next, *from, *to;

	if (added == shard->buckets_capacity && !resize(shard, 2 * added))
		return;
	if (added > shard->mask)
		shard->mask = 2 * shard->mask + 1;
	shard->buckets_count++;
	from = &shard->buckets[added & (shard->mask >> 1)];
	to = &shard->buckets[added];
	*to = GYRE_NO_ENTRY;
	for (number = *from; number != GYRE_NO_ENTRY; number = next) {
		struct gyre__entry *entry = gyre__entry_of(shard, number);

		next = entry->next;
		if ((entry->hash & shard->mask) != added) {
			from = &entry->next;
			continue;
		}
		*from = next;
		entry->next = *to;
		*to = number;
	}
}

static void shrink(struct gyre__shard *shard)
{
	uint32_t last = shard->buckets_count - 1;
	uint32_t *to = &shard->buckets[last & (shard->mask >> 1)];

	while (*to != GYRE_NO_ENTRY)
		to = &gyre__entry_of(shard, *to)->next;
	*to = shard->buckets[last];
	shard->buckets_count = last;
	if (last - 1 <= shard->mask >> 1)
		shard->mask >>= 1;
	if (last > FIRST_CAPACITY && last < shard->buckets_capacity / 4)
		resize(shard, shard->buckets_capacity / 2);
}

void gyre__index_link(struct gyre__shard *shard, struct gyre__place place)
{
	struct gyre__entry *entry = &place.page->entries[place.at];
	uint32_t *first = &shard->buckets[bucket_of(shard, entry->hash)];

	entry->next = *first;
	*first = gyre__number_of(place);
	shard->count++;
	shard->version++;
	if (shard->count > shard->buckets_count)
		grow(shard);
}

void gyre__index_unlink(struct gyre__shard *shard, struct gyre__place place)
{
	const struct gyre__entry *entry = &place.page->entries[place.at];
	const uint32_t number = gyre__number_of(place);
	uint32_t *at = &shard->buckets[bucket_of(shard, entry->hash)];

	while (*at != number)
		at = &gyre__entry_of(shard, *at)->next;
	*at = entry->next;
	shard->count--;
	shard->version++;
	if (shard->count < shard->buckets_count / 2)
		shrink(shard);
}
