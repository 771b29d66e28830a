/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lru.c: a cache that all threads share: shards, each a mutex, a hash table and a list in the order
 * of use. Keys are uniform over twice what fits, so half of the operations miss, and insert and
 * evict; a quarter of the hits replace the value. An entry and its value refer to each other, so
 * each eviction drops a cycle of two.
 *
 * Invariants: a shard is used with its mutex held, in which no safe point is reached; who has to
 * wait for a mutex is parked. An entry is held by its bucket's chain (its own place in it or the
 * entry before it), by the list and by its value. Thread 0 begins the cache and ends it.
 */
#include <pthread.h>

#include "worker.h"

#define SHARDS 256
#define LIVE_DEFAULT 200000
#define SAMPLED 16 /* one operation of so many is timed */

struct entry {
	MM_HEADER
	mm_slot newer, older, chain, value;
	uint64_t key;
};

struct value {
	MM_HEADER
	mm_slot entry;
	uint64_t x[3];
};

struct table {
	MM_HEADER
	mm_slot newest, oldest;
	size_t length; /* a power of two */
	mm_slot buckets[];
};

static const struct mm_shape entry_shape = {
	.id = 0,
	.name = "entry",
	.bytes = sizeof(struct entry),
	.refs_count = 4,
	.refs = { offsetof(struct entry, newer), offsetof(struct entry, older),
		  offsetof(struct entry, chain), offsetof(struct entry, value) },
};

static const struct mm_shape value_shape = {
	.id = 1,
	.name = "value",
	.bytes = sizeof(struct value),
	.refs_count = 1,
	.refs = { offsetof(struct value, entry) },
};

static const struct mm_shape table_shape = {
	.id = 2,
	.name = "table",
	.bytes = sizeof(struct table),
	.refs_count = 2,
	.refs = { offsetof(struct table, newest), offsetof(struct table, oldest) },
	.trailing = offsetof(struct table, buckets),
	.length = offsetof(struct table, length),
};

static const struct mm_shape *const shapes[] = { &entry_shape, &value_shape, &table_shape };

struct shard {
	_Alignas(64) pthread_mutex_t mutex;
	struct table *table; /* held by root */
	struct mm_root root;
	bool rooted;
	size_t count;
};

struct lru {
	struct shard *shards; /* thread 0's */
	size_t capacity;      /* of a shard */
	uint64_t keys;
	unsigned done;
};

static void lock(struct bench_thread *t, struct shard *shard)
{
	if (pthread_mutex_trylock(&shard->mutex) == 0)
		return;
	mm_park(t->m);
	pthread_mutex_lock(&shard->mutex);
	mm_unpark(t->m);
}

static bool is_empty(struct bench_thread *t, const mm_slot *slot)
{
	return mm_load(t->m, slot) == NULL;
}

/* ---- The list ---- */

static bool put_newest(struct bench_thread *t, struct table *table, struct entry *entry)
{
	struct entry *second = mm_load(t->m, &table->newest);
	bool done = mm_store(t->m, &entry->older, second);

	done &= mm_store(t->m, second != NULL ? &second->newer : &table->oldest, entry);
	return mm_store(t->m, &table->newest, entry) && done;
}

/* The entry refers to its neighbours still; one that goes on living is put in front next. */
static bool take_out(struct bench_thread *t, struct table *table, struct entry *entry)
{
	struct entry *newer = mm_load(t->m, &entry->newer), *older = mm_load(t->m, &entry->older);
	bool done = mm_store(t->m, newer != NULL ? &newer->older : &table->newest, older);

	return mm_store(t->m, older != NULL ? &older->newer : &table->oldest, newer) && done;
}

static bool use(struct bench_thread *t, struct table *table, struct entry *entry)
{
	bool done;

	if (is_empty(t, &entry->newer))
		return true;
	done = take_out(t, table, entry);
	done &= mm_store(t->m, &entry->newer, NULL);
	return put_newest(t, table, entry) && done;
}

/* ---- The hash table ---- */

static uint64_t hash_of(uint64_t key)
{
	return (key + 1) * UINT64_C(0x9E3779B97F4A7C15); /* Knuth's multiplicative hash */
}

static mm_slot *bucket_of(struct table *table, uint64_t key)
{
	return &table->buckets[hash_of(key) >> 24 & (table->length - 1)];
}

static struct entry *find(struct bench_thread *t, struct table *table, uint64_t key)
{
	struct entry *entry = mm_load(t->m, bucket_of(table, key));

	while (entry != NULL && entry->key != key)
		entry = mm_load(t->m, &entry->chain);
	return entry;
}

/* The slot that refers to entry, which is there. */
static mm_slot *place_of(struct bench_thread *t, struct table *table, const struct entry *entry)
{
	mm_slot *place = bucket_of(table, entry->key);

	for (;;) {
		struct entry *at = mm_load(t->m, place);

		if (at == entry)
			return place;
		place = &at->chain;
	}
}

/* ---- Operations ---- */

static bool give_value(struct bench_thread *t, struct entry *entry)
{
	struct value *value = mm_new(t->m, &value_shape), *old = mm_load(t->m, &entry->value);
	bool done;

	if (value == NULL)
		return false;
	value->x[0] = entry->key;
	done = mm_init(t->m, &value->entry, entry);
	if (old != NULL)
		mm_cut(t->m, &old->entry);
	done &= mm_store(t->m, &entry->value, value);
	mm_release(t->m, value);
	if (MM_BY_HAND && old != NULL)
		mm_free(t->m, old);
	return done;
}

/* Its value holds the entry to the last; counts cut that, and both are gone. */
static bool evict(struct bench_thread *t, struct shard *shard)
{
	struct entry *entry = mm_load(t->m, &shard->table->oldest);
	struct value *value = mm_load(t->m, &entry->value);
	bool done = take_out(t, shard->table, entry);

	done &= mm_store(t->m, place_of(t, shard->table, entry), mm_load(t->m, &entry->chain));
	shard->count--;
	mm_cut(t->m, &value->entry);
	if (MM_BY_HAND) {
		mm_free(t->m, value);
		mm_free(t->m, entry);
	}
	return done;
}

static bool insert(struct bench_thread *t, struct shard *shard, uint64_t key, size_t capacity)
{
	struct entry *entry = mm_new(t->m, &entry_shape);
	mm_slot *bucket = bucket_of(shard->table, key);
	bool done;

	if (entry == NULL)
		return false;
	entry->key = key;
	if (!give_value(t, entry)) {
		mm_release(t->m, entry);
		mm_free(t->m, entry);
		return false;
	}
	done = mm_init(t->m, &entry->chain, mm_load(t->m, bucket));
	done &= mm_store(t->m, bucket, entry);
	done &= put_newest(t, shard->table, entry);
	mm_release(t->m, entry);
	if (shard->count++ == capacity)
		done &= evict(t, shard);
	return done;
}

static bool operate(struct bench_thread *t, uint64_t key, bool replace)
{
	const struct lru *lru = t->first->own;
	struct shard *shard = &lru->shards[hash_of(key) >> 56];
	struct entry *entry;
	bool done;

	lock(t, shard);
	entry = find(t, shard->table, key);
	if (entry == NULL) {
		done = insert(t, shard, key, lru->capacity);
	} else {
		mm_touch(mm_load(t->m, &entry->value));
		done = use(t, shard->table, entry) && (!replace || give_value(t, entry));
	}
	pthread_mutex_unlock(&shard->mutex);
	mm_safepoint(t->m);
	return done;
}

/* Latencies are of thread 0. */
static uint64_t turn(struct bench_thread *t)
{
	const struct lru *shared = t->first->own;
	struct lru *lru = t->own;

	for (unsigned i = 0; i < BENCH_BATCH; i++) {
		uint64_t bits = bench_random(t);
		uint64_t key = bench_below((uint32_t)(bits >> 32), shared->keys);
		bool timed = t->index == 0 && lru->done++ % SAMPLED == 0;
		uint64_t begun = timed ? bench_now() : 0;

		if (!operate(t, key, (bits & 3) == 0))
			return 0;
		if (timed)
			bench_latency_add(t->latency, begun, begun, bench_now());
	}
	return BENCH_BATCH;
}

/* ---- Begin and end ---- */

static bool open_shard(struct bench_thread *t, struct shard *shard, size_t length)
{
	pthread_mutex_init(&shard->mutex, NULL);
	shard->table = mm_new_array(t->m, &table_shape, length);
	if (shard->table == NULL)
		return false;
	shard->rooted = mm_root_open(t->m, &shard->root, shard->table);
	mm_release(t->m, shard->table);
	return shard->rooted;
}

static bool begin(struct bench_thread *t)
{
	struct lru *lru = t->own;
	uint64_t live = t->options->live != 0 ? t->options->live : LIVE_DEFAULT;
	size_t length = 1;
	bool done = true;

	if (t->index != 0)
		return true;
	lru->shards = aligned_alloc(64, SHARDS * sizeof(struct shard));
	if (lru->shards == NULL)
		return false;
	memset(lru->shards, 0, SHARDS * sizeof(struct shard));
	lru->keys = 2 * live;
	lru->capacity = (size_t)(live / SHARDS + 1);
	while (length < lru->capacity)
		length *= 2;
	for (unsigned i = 0; i < SHARDS; i++)
		done &= open_shard(t, &lru->shards[i], length);
	for (uint64_t key = 0; done && key < lru->keys; key++)
		done = operate(t, key, false);
	return done;
}

/* By hand all are freed. Counts: chains and list together are full of cycles, so the list is cut,
 * and the back pointers of values; the buckets give up the rest. */
static void drop_entries(struct bench_thread *t, struct table *table)
{
	struct entry *entry = mm_load(t->m, &table->newest);

	while (entry != NULL) {
		struct entry *older = mm_load(t->m, &entry->older);
		struct value *value = mm_load(t->m, &entry->value);

		mm_cut(t->m, &entry->newer);
		mm_cut(t->m, &entry->older);
		mm_cut(t->m, &value->entry);
		mm_free(t->m, value);
		mm_free(t->m, entry);
		entry = older;
	}
	mm_free(t->m, table);
}

static void end(struct bench_thread *t)
{
	struct lru *lru = t->own;

	for (unsigned i = 0; lru->shards != NULL && i < SHARDS; i++) {
		struct shard *shard = &lru->shards[i];

		if (shard->table != NULL && (MM_BY_HAND || MM_COUNTS))
			drop_entries(t, shard->table);
		if (shard->rooted)
			mm_root_close(t->m, &shard->root);
		pthread_mutex_destroy(&shard->mutex);
	}
	free(lru->shards);
	lru->shards = NULL;
}

const struct bench_workload bench_lru = {
	.name = "lru",
	.unit = "us",
	.kind = "latency",
	.what = "a shared cache of 200,000 entries (--live), half of the look-ups miss and evict",
	.shapes = shapes,
	.shapes_count = 3,
	.state_bytes = sizeof(struct lru),
	.begin = begin,
	.turn = turn,
	.end = end,
};
