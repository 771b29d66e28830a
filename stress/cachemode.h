/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cachemode.h: what the files of mode cache share: cache_shard.c is the cache and its shadow,
 * behind a mutex for each shard; modes_cache.c has the threads and the count.
 *
 * The shadow of a shard lies outside the heap under the same mutex: for each key the identity of
 * its last value, and whether the ring of those used last holds that. So it is known which lookups
 * must hit, and when all are at rest which values, cells and entries the heap may hold, and no
 * others.
 */
#ifndef CACHEMODE_H
#define CACHEMODE_H

#include "shapes.h"

#define CACHE_HELD 16 /* values of a worker */

struct cache_table {
	struct stress_head head;
	size_t length;
	gyre_ref places[];
};

struct cache_entry {
	struct stress_head head;
	gyre_ref chain, cell;
	uint64_t key; /* never changes */
};

struct cache_value {
	struct stress_head head;
	gyre_ref twin;
	uint64_t key; /* never changes */
	size_t length;
	uint8_t bytes[];
};

struct cache_shard;

/* What the shadow knows of a key, and the argument of its callbacks. */
struct cache_key {
	struct cache_shard *shard;
	uint64_t value; /* identity of the last one put in; 0: none, or taken out */
	uint32_t place; /* in the ring, or NO_PLACE */
};

#define NO_PLACE UINT32_MAX

struct cache_shard {
	struct stress_run *run;
	pthread_mutex_t mutex;
	struct gyre_root buckets, recent;
	struct cache_key *keys;
	uint64_t *recent_keys; /* what the ring holds, by place; 0: nothing */
	uint64_t hand;         /* the next place */
	bool calls;            /* callbacks take entries out */
};

struct cache_worker {
	void *held[CACHE_HELD]; /* values, in a keep frame */
	uint64_t identities[CACHE_HELD];
	struct gyre_keep keep;
	uint64_t identity; /* the next one; of a value odd, of its twin one more */
	uint64_t lookups, hits, inserted, removed, peeked, shed;
	uint64_t live_max;
};

struct cache {
	const struct gyre_type *table, *entry, *value;
	struct cache_shard *shards;
	struct cache_worker **workers;
	uint64_t shards_count, capacity, keys;
	uint64_t opened;
	_Atomic(uint64_t) registered, called, shed; /* callbacks; entries that they took out */
};

/* Half of the values are part of a cycle with a twin, whose identity is one more. */
static inline bool has_twin(uint64_t identity)
{
	return (identity >> 1 & 1) != 0;
}

static inline struct cache_table *table_of(const struct gyre_root *root)
{
	return gyre_load(&root->slot);
}

/* ---- cache_shard.c: the mutex is held by the caller, but for the first two. ---- */

void lock_shard(struct stress_worker *w, struct cache_shard *shard);
gyre_ref *bucket_of(const struct cache_shard *shard, uint64_t key);
/* Whether the entry's value is. */
bool is_dead(struct stress_worker *w, const struct cache_entry *entry);
/* The value of a key, or NULL; judged by the shadow. May be a safe point before it is found. */
struct cache_value *look_up(struct stress_worker *w, struct cache_shard *shard, uint64_t key);
/* Makes the value the one used last. The caller keeps it. */
void use_value(struct stress_worker *w, struct cache_shard *shard, uint64_t key, const void *value);
/* Lets the ring's hold of a key go. */
void forget_value(struct stress_worker *w, struct cache_shard *shard, uint64_t key);
/* Takes the key's entry out, if there is one, or only if its value is dead. */
void unlink_entry(struct stress_worker *w, struct cache_shard *shard, uint64_t key, bool dead_only);
/* Gives a key this value. The caller keeps it and an entry that may be needed. */
void put(struct stress_worker *w, struct cache_shard *shard, uint64_t key,
	 struct cache_value *value, struct cache_entry *spare);

#endif
