/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modes_lru.c: a cache that several threads share.
 *
 * The cache has shards. Each is a table of hash buckets, a doubly linked list of its entries from
 * the newest to the oldest (closed by a sentinel), and a mutex; an entry and its value refer to
 * each other. All stores into a shard are made with its mutex held, so they are exclusive stores.
 * What is evicted keeps its own links into the live list: garbage cycles that refer to live
 * objects. Sometimes a bucket is read without the mutex, beside whoever changes it.
 *
 * The shadow of a shard lies outside the heap under the same mutex: for each key the identities of
 * entry and value and the neighbours in the list, so every operation is compared with it.
 *
 * A thread that has to wait for a mutex parks before; one that holds a mutex may pass safe points.
 */
#include "shapes.h"

#include <stdlib.h>

#define STEPS_PER_ROUND 1024
#define PEEK_STEPS_MAX 64 /* an entry that is moved while it is read may lead anywhere */
#define VALUE_BYTES_MAX 200

struct lru_table {
	struct stress_head head;
	gyre_ref ends; /* the sentinel: its older is the newest entry, its newer is the oldest */
	size_t length;
	gyre_ref buckets[];
};

struct lru_entry {
	struct stress_head head;
	gyre_ref older, newer, chain, value;
	uint64_t key; /* never changes after publication; 0: the sentinel */
};

struct lru_value {
	struct stress_head head;
	gyre_ref entry;
	size_t length;
	uint8_t bytes[];
};

static const struct gyre_type_desc table_desc =
	GYRE_TYPE(struct lru_table, GYRE_REFS(GYRE_REF(struct lru_table, ends)),
		  GYRE_TRAILING_REFS(struct lru_table, buckets, length));
static const struct gyre_type_desc entry_desc =
	GYRE_TYPE(struct lru_entry,
		  GYRE_REFS(GYRE_REF(struct lru_entry, older), GYRE_REF(struct lru_entry, newer),
			    GYRE_REF(struct lru_entry, chain), GYRE_REF(struct lru_entry, value)));
static const struct gyre_type_desc value_desc =
	GYRE_TYPE(struct lru_value, GYRE_REFS(GYRE_REF(struct lru_value, entry)),
		  GYRE_TRAILING_BYTES(struct lru_value, bytes, length));

/* What the shadow knows of a key; number 0 is the sentinel. entry 0: the key is absent. */
struct lru_shadow {
	uint64_t entry, value;
	uint32_t older, newer;
};

struct lru_shard {
	pthread_mutex_t mutex;
	struct gyre_root root; /* of the table */
	struct lru_shadow *shadow;
	uint64_t count; /* of entries */
};

struct lru_worker {
	uint64_t identity; /* the next one */
	uint64_t held;     /* objects it put in less those it took out, modulo 2^64; only the sum
			      over all workers means something */
};

struct lru {
	const struct gyre_type *table, *entry, *value;
	struct lru_shard *shards;
	uint64_t shards_count, capacity, keys;
};

static void lock_shard(struct stress_worker *w, struct lru_shard *shard)
{
	if (pthread_mutex_trylock(&shard->mutex) == 0)
		return;
	gyre_park(w->m);
	pthread_mutex_lock(&shard->mutex);
	gyre_unpark(w->m);
}

static struct lru_table *shard_table(const struct lru_shard *shard)
{
	return gyre_load(&shard->root.slot);
}

static gyre_ref *bucket_of(struct lru_table *table, uint64_t key)
{
	return &table->buckets[key * UINT64_C(0x9e3779b97f4a7c15) % table->length];
}

/* Takes an entry out of the list; its own links stay. */
static void unlink_entry(struct stress_worker *w, struct lru_shard *shard, struct lru_entry *entry)
{
	struct lru_shadow *shadow = &shard->shadow[entry->key];
	struct lru_entry *older = gyre_load(&entry->older), *newer = gyre_load(&entry->newer);
	GYRE_KEEP(w->m, older, newer);

	stress_check(w, older, shard->shadow[shadow->older].entry);
	stress_check(w, newer, shard->shadow[shadow->newer].entry);
	shape_store_exclusive(w, newer, &newer->older, older);
	shape_store_exclusive(w, older, &older->newer, newer);
	shard->shadow[shadow->newer].older = shadow->older;
	shard->shadow[shadow->older].newer = shadow->newer;
}

/* Makes an entry that is in no list the newest one. */
static void link_entry(struct stress_worker *w, struct lru_shard *shard, struct lru_entry *entry)
{
	struct lru_shadow *shadow = &shard->shadow[entry->key], *ends = &shard->shadow[0];
	struct lru_entry *sentinel = gyre_load(&shard_table(shard)->ends);
	struct lru_entry *newest = gyre_load(&sentinel->older);
	GYRE_KEEP(w->m, newest);

	shape_store_exclusive(w, entry, &entry->older, newest);
	shape_store_exclusive(w, entry, &entry->newer, sentinel);
	shape_store_exclusive(w, newest, &newest->newer, entry);
	shape_store_exclusive(w, sentinel, &sentinel->older, entry);
	shadow->older = ends->older;
	shadow->newer = 0;
	shard->shadow[ends->older].newer = (uint32_t)entry->key;
	ends->older = (uint32_t)entry->key;
}

/* The entry of a key, or NULL; and the slot that refers to it, and the object that holds it. */
static struct lru_entry *find_entry(struct stress_worker *w, struct lru_shard *shard, uint64_t key,
				    gyre_ref **slot, void **holder)
{
	struct lru_table *table = shard_table(shard);
	struct lru_entry *entry;

	*holder = table;
	*slot = bucket_of(table, key);
	while ((entry = gyre_load(*slot)) != NULL && entry->key != key) {
		if (!stress_check(w, entry, STRESS_ANY))
			return NULL;
		*holder = entry;
		*slot = &entry->chain;
	}
	if (entry)
		stress_check(w, entry, shard->shadow[key].entry);
	if (!entry != !shard->shadow[key].entry)
		stress_lost(w->run, "key %llu is %s", (unsigned long long)key,
			    entry ? "there, and should not be" : "absent, and should be there");
	return entry;
}

/* Takes a key out of the cache. The mutex is held. */
static void remove_key(struct stress_worker *w, struct lru_shard *shard, uint64_t key)
{
	struct lru_worker *own = w->own;
	gyre_ref *slot;
	void *holder = NULL;
	struct lru_entry *entry = NULL;
	GYRE_KEEP(w->m, holder, entry);

	entry = find_entry(w, shard, key, &slot, &holder);
	if (!entry)
		return;
	stress_check(w, gyre_load(&entry->value), shard->shadow[key].value);
	unlink_entry(w, shard, entry);
	shape_store_exclusive(w, holder, slot, gyre_load(&entry->chain));
	shard->shadow[key].entry = 0;
	shard->shadow[key].value = 0;
	shard->count--;
	own->held -= 2;
}

/* Takes the oldest key out. The mutex is held, and the shard is not empty. */
static void evict(struct stress_worker *w, struct lru_shard *shard)
{
	struct lru_entry *sentinel = gyre_load(&shard_table(shard)->ends);
	struct lru_entry *oldest = gyre_load(&sentinel->newer);

	if (!stress_check(w, oldest, shard->shadow[shard->shadow[0].newer].entry))
		return;
	remove_key(w, shard, oldest->key);
}

/* Gives an entry, whose mutex is held, another value. */
static void set_value(struct stress_worker *w, struct lru_shard *shard, struct lru_entry *entry,
		      struct lru_value *value)
{
	if (shape_store_exclusive(w, value, &value->entry, entry) &&
	    shape_store_exclusive(w, entry, &entry->value, value))
		shard->shadow[entry->key].value = value->head.identity;
}

/* Looks a key up and makes it the newest; true if it was there. The caller keeps value, if any. */
static bool touch(struct stress_worker *w, struct lru_shard *shard, uint64_t key,
		  struct lru_value *value)
{
	gyre_ref *slot;
	void *holder;
	struct lru_entry *entry = find_entry(w, shard, key, &slot, &holder);
	struct lru_value *old;
	GYRE_KEEP(w->m, entry);

	if (!entry)
		return false;
	old = gyre_load(&entry->value);
	if (stress_check(w, old, shard->shadow[key].value) && gyre_load(&old->entry) != entry)
		stress_fail(w->run, "the value of key %llu refers to another entry",
			    (unsigned long long)key);
	unlink_entry(w, shard, entry);
	link_entry(w, shard, entry);
	if (value)
		set_value(w, shard, entry, value);
	return true;
}

/* Puts a new entry into its bucket and the list. The mutex is held, both objects are kept. */
static void insert(struct stress_worker *w, struct lru_shard *shard, struct lru_entry *entry,
		   struct lru_value *value)
{
	struct lru_worker *own = w->own;
	struct lru_table *table = shard_table(shard);
	gyre_ref *bucket = bucket_of(table, entry->key);

	shard->shadow[entry->key].entry = entry->head.identity;
	shard->count++;
	own->held += 2;
	set_value(w, shard, entry, value);
	shape_store_exclusive(w, entry, &entry->chain, gyre_load(bucket));
	shape_store_exclusive(w, table, bucket, entry);
	link_entry(w, shard, entry);
}

static struct lru_value *make_value(struct stress_worker *w)
{
	struct lru *lru = w->run->shared;
	struct lru_worker *own = w->own;

	return stress_new(w, lru->value, stress_below(&w->rng, VALUE_BYTES_MAX + 1),
			  own->identity++);
}

/* A look at one key: a hit makes it the newest, a miss puts it in and evicts the oldest. */
static void use_key(struct stress_worker *w, struct lru_shard *shard, uint64_t key)
{
	struct lru *lru = w->run->shared;
	struct lru_worker *own = w->own;
	struct lru_entry *entry = NULL;
	struct lru_value *value = NULL;
	bool hit;
	GYRE_KEEP(w->m, entry, value);

	if (stress_chance(&w->rng, 1, 8))
		value = make_value(w);
	lock_shard(w, shard);
	hit = touch(w, shard, key, value);
	pthread_mutex_unlock(&shard->mutex);
	if (hit)
		return;
	entry = stress_new(w, lru->entry, 0, own->identity++);
	if (entry && !value)
		value = make_value(w);
	if (!entry || !value)
		return;
	entry->key = key;
	lock_shard(w, shard);
	if (!touch(w, shard, key, NULL)) {
		insert(w, shard, entry, value);
		if (shard->count > lru->capacity)
			evict(w, shard);
	}
	pthread_mutex_unlock(&shard->mutex);
}

/* Reads a bucket without the mutex. */
static void peek(struct stress_worker *w, const struct lru_shard *shard, uint64_t key)
{
	const struct lru_entry *entry = gyre_load(bucket_of(shard_table(shard), key));
	const struct lru_value *value;
	unsigned step;

	for (step = 0; entry && step < PEEK_STEPS_MAX; step++) {
		if (!stress_check(w, entry, STRESS_ANY))
			return;
		value = gyre_load(&entry->value);
		if (!stress_check(w, value, STRESS_ANY) ||
		    !stress_check(w, gyre_load(&value->entry), STRESS_ANY))
			return;
		entry = gyre_load(&entry->chain);
	}
}

/* Compares the whole list of a shard with its shadow. Nobody else changes the shard. */
static void check_shard(struct stress_worker *w, struct lru_shard *shard)
{
	const struct lru_table *table = shard_table(shard);
	const struct lru_entry *sentinel = gyre_load(&table->ends), *entry = sentinel;
	const struct lru_value *value;
	uint64_t count = 0;
	uint32_t key = 0;

	if (!stress_check(w, sentinel, shard->shadow[0].entry))
		return;
	while ((key = shard->shadow[key].older) != 0) {
		entry = gyre_load(&entry->older);
		if (!stress_check(w, entry, shard->shadow[key].entry))
			break;
		value = gyre_load(&entry->value);
		if (!stress_check(w, value, shard->shadow[key].value))
			break;
		count++;
	}
	if (count != shard->count || gyre_load(&entry->older) != (const void *)sentinel)
		stress_fail(w->run, "a list of %llu entries has %llu",
			    (unsigned long long)shard->count, (unsigned long long)count);
}

/* Tables and sentinels; entries and values are announced by the workers. */
static uint64_t count_shared(struct stress_worker *w)
{
	struct lru *lru = w->run->shared;
	uint64_t i;

	for (i = 0; i < lru->shards_count; i++)
		check_shard(w, &lru->shards[i]);
	return 2 * lru->shards_count;
}

static void lru_step(struct stress_worker *w)
{
	struct lru *lru = w->run->shared;
	struct lru_shard *shard = &lru->shards[stress_below(&w->rng, lru->shards_count)];
	/* The smaller of two: some keys are looked up often, most seldom. */
	uint64_t key = 1 + stress_below(&w->rng, 1 + stress_below(&w->rng, lru->keys));

	if (stress_chance(&w->rng, 1, 16)) {
		lock_shard(w, shard);
		remove_key(w, shard, key);
		pthread_mutex_unlock(&shard->mutex);
	} else if (stress_chance(&w->rng, 1, 8)) {
		peek(w, shard, key);
	} else {
		use_key(w, shard, key);
	}
	gyre_safepoint(w->m);
}

static void lru_work(struct stress_worker *w)
{
	struct lru_worker own = { .identity = shape_identities(w->index) };
	unsigned step;

	w->own = &own;
	while (stress_round(w)) {
		for (step = 0; step < STEPS_PER_ROUND && !stress_stopped(w->run); step++)
			lru_step(w);
		stress_count(&w->reachable, own.held);
		if (stress_checkpoint_due(w))
			stress_checkpoint(w, own.held);
	}
	w->own = NULL;
	w->left = own.held;
}

/* Makes table and sentinel of a shard; false: the run has failed. */
static bool open_shard(struct stress_run *run, struct lru *lru, struct lru_shard *shard)
{
	struct stress_worker *w = run->main;
	struct lru_worker *own = w->own;
	struct lru_table *table = NULL;
	struct lru_entry *sentinel = NULL;
	GYRE_KEEP(w->m, table, sentinel);

	pthread_mutex_init(&shard->mutex, NULL);
	shard->shadow = calloc(lru->keys + 1, sizeof(*shard->shadow));
	if (!shard->shadow) {
		stress_fail(run, "no memory for the shadow of a shard");
		return false;
	}
	table = stress_new(w, lru->table, lru->capacity / 2 + 1, own->identity++);
	sentinel = table ? stress_new(w, lru->entry, 0, own->identity) : NULL;
	shard->shadow[0].entry = own->identity++;
	return sentinel && shape_init(w, sentinel, &sentinel->older, sentinel) &&
	       shape_init(w, sentinel, &sentinel->newer, sentinel) &&
	       shape_init(w, table, &table->ends, sentinel) &&
	       stress_root_init(w, &shard->root, table);
}

static void close_shard(struct stress_run *run, struct lru_shard *shard, bool rooted)
{
	if (rooted)
		stress_root_drop(run->main, &shard->root);
	pthread_mutex_destroy(&shard->mutex);
	free(shard->shadow);
}

static void lru_run(struct stress_run *run)
{
	struct lru_worker own = { .identity = shape_identities(run->main->index) };
	uint64_t opened = 0, i;
	bool rooted = true;
	struct lru lru = { .table = shape_type(run, &table_desc),
			   .entry = shape_type(run, &entry_desc),
			   .value = shape_type(run, &value_desc),
			   .shards_count = stress_param(run, "shards"),
			   .capacity = stress_param(run, "capacity"),
			   .keys = stress_param(run, "keys") };

	lru.shards = calloc(lru.shards_count, sizeof(*lru.shards));
	if (!lru.shards)
		stress_fail(run, "no memory for the shards");
	if (!lru.shards || !lru.table || !lru.entry || !lru.value)
		goto out;
	run->shared = &lru;
	run->main->own = &own;
	while (rooted && opened < lru.shards_count)
		rooted = open_shard(run, &lru, &lru.shards[opened++]);
	if (rooted) {
		run->shared_count = count_shared;
		stress_workers(run, lru_work, NULL);
		stress_expect(run->main, stress_left(run) + count_shared(run->main),
			      "after the last round");
	}
	for (i = 0; i < opened; i++)
		close_shard(run, &lru.shards[i], rooted || i + 1 < opened);
	run->shared_count = NULL;
	run->main->own = NULL;
	if (!stress_failed(run))
		stress_expect(run->main, 0, "after the cache was dropped");
out:
	free(lru.shards);
}

const struct stress_mode stress_mode_lru = {
	.name = "lru",
	.summary = "a doubly linked cache with hash buckets, shared by all threads under mutexes",
	.run = lru_run,
	.params = {
		{ "shards", "Shards of the cache, each with its mutex", 4, 1, 65536 },
		{ "capacity", "Entries of a shard", 4096, 1, 100000000 },
		{ "keys", "Different keys of a shard", 16384, 2, 1000000000 },
	},
};
