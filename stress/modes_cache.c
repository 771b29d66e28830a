/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modes_cache.c: a cache that holds its values weakly, shared by several threads.
 *
 * The cache has shards, each a table of hash buckets under a mutex. An entry holds a key and the
 * weak cell of its value. A value lives while it is among the last ones used, which a ring of slots
 * in the shard holds, or while a worker has it in its frame. Half of the values are part of a cycle
 * with a twin. In every other shard a callback takes the entry of a dead value out, on the thread
 * that runs callbacks; in the others whoever passes by does. Sometimes a bucket is read without the
 * mutex.
 *
 * When all are at rest the shadows say which values the heap holds, and so which cells and entries,
 * and no others.
 *
 * A thread that has to wait for a mutex parks before; one that holds a mutex may pass safe points.
 */
#include "cachemode.h"

#include <stdlib.h>

#define STEPS_PER_ROUND 512
#define PEEK_STEPS_MAX 64 /* an entry that is moved while it is read may lead anywhere */
#define VALUE_BYTES_MAX 200

static const struct gyre_type_desc table_desc =
	GYRE_TYPE(struct cache_table, GYRE_TRAILING_REFS(struct cache_table, places, length));
static const struct gyre_type_desc entry_desc =
	GYRE_TYPE(struct cache_entry, GYRE_REFS(GYRE_REF(struct cache_entry, chain),
						GYRE_REF(struct cache_entry, cell)));
static const struct gyre_type_desc value_desc =
	GYRE_TYPE(struct cache_value, GYRE_REFS(GYRE_REF(struct cache_value, twin)),
		  GYRE_TRAILING_BYTES(struct cache_value, bytes, length));

/* ---- Steps ---- */

/* A new value, in a cycle with its twin or not; NULL: the run was stopped. */
static struct cache_value *make_value(struct stress_worker *w, uint64_t key)
{
	struct cache *cache = w->run->shared;
	struct cache_worker *own = w->own;
	uint64_t identity = own->identity;
	struct cache_value *value = NULL, *twin = NULL;
	GYRE_KEEP(w->m, value, twin);

	own->identity += 2;
	value = stress_new(w, cache->value, stress_below(&w->rng, VALUE_BYTES_MAX + 1), identity);
	if (!value)
		return NULL;
	value->key = key;
	if (!has_twin(identity))
		return value;
	twin = stress_new(w, cache->value, 0, identity + 1);
	if (!twin || !shape_init(w, value, &value->twin, twin) ||
	    !shape_init(w, twin, &twin->twin, value))
		return NULL;
	return value;
}

/* Holds a value for some steps, in the place of another. */
static void hold(struct stress_worker *w, struct cache_value *value)
{
	struct cache_worker *own = w->own;
	size_t h = stress_below(&w->rng, CACHE_HELD);

	own->held[h] = value;
	own->identities[h] = value ? value->head.identity : 0;
}

/* A look at one key: a hit makes it the one used last, a miss puts a new value in. */
static void use_key(struct stress_worker *w, struct cache_shard *shard, uint64_t key, bool replace)
{
	struct cache *cache = w->run->shared;
	struct cache_value *value = NULL, *fresh = NULL;
	struct cache_entry *spare = NULL;
	GYRE_KEEP(w->m, value, fresh, spare);

	if (!replace) {
		lock_shard(w, shard);
		value = look_up(w, shard, key);
		if (value && stress_chance(&w->rng, 3, 4))
			use_value(w, shard, key, value);
		pthread_mutex_unlock(&shard->mutex);
	}
	if (!value) {
		fresh = make_value(w, key);
		spare = stress_new(w, cache->entry, 0, STRESS_ANY - 1);
		if (!fresh || !spare)
			return;
		spare->key = key;
		lock_shard(w, shard);
		value = replace ? NULL : look_up(w, shard, key);
		if (!value) {
			put(w, shard, key, fresh, spare);
			value = fresh;
		}
		pthread_mutex_unlock(&shard->mutex);
	}
	if (stress_chance(&w->rng, 1, 4))
		hold(w, value);
}

/* Takes a key out; who holds its value keeps it. */
static void remove_key(struct stress_worker *w, struct cache_shard *shard, uint64_t key)
{
	struct cache_worker *own = w->own;

	lock_shard(w, shard);
	unlink_entry(w, shard, key, false);
	forget_value(w, shard, key);
	shard->keys[key].value = 0;
	pthread_mutex_unlock(&shard->mutex);
	own->removed++;
}

/* Reads a bucket without the mutex. */
static void peek(struct stress_worker *w, const struct cache_shard *shard, uint64_t key)
{
	struct cache_worker *own = w->own;
	const struct cache_entry *entry = gyre_load(bucket_of(shard, key));
	const struct gyre_weak *cell;
	const struct cache_value *value, *twin;
	unsigned step;

	for (step = 0; entry && step < PEEK_STEPS_MAX; step++) {
		if (!stress_check(w, entry, STRESS_ANY))
			return;
		cell = gyre_load(&entry->cell);
		value = cell ? gyre_weak_load(w->m, cell) : NULL;
		own->peeked += value != NULL;
		if (value && !stress_check(w, value, STRESS_ANY))
			return;
		twin = value ? gyre_load(&value->twin) : NULL;
		if (twin && !stress_check(w, twin, value->head.identity + 1))
			return;
		if (value && value->key != entry->key)
			stress_fail(w->run, "the entry of key %llu leads to the value of key %llu",
				    (unsigned long long)entry->key, (unsigned long long)value->key);
		entry = gyre_load(&entry->chain);
	}
}

static void cache_step(struct stress_worker *w)
{
	struct cache *cache = w->run->shared;
	struct cache_worker *own = w->own;
	struct cache_shard *shard = &cache->shards[stress_below(&w->rng, cache->shards_count)];
	/* The smaller of two: some keys are looked up often, most seldom. */
	uint64_t key = 1 + stress_below(&w->rng, 1 + stress_below(&w->rng, cache->keys));
	size_t h;

	switch (stress_below(&w->rng, 16)) {
	case 0:
		remove_key(w, shard, key);
		break;
	case 1:
		use_key(w, shard, key, true);
		break;
	case 2:
	case 3:
		peek(w, shard, key);
		break;
	case 4:
	case 5:
		h = stress_below(&w->rng, CACHE_HELD);
		if (own->held[h])
			stress_check(w, own->held[h], own->identities[h]);
		own->held[h] = NULL;
		break;
	case 6:
		lock_shard(w, shard);
		forget_value(w, shard, key);
		pthread_mutex_unlock(&shard->mutex);
		break;
	default:
		use_key(w, shard, key, false);
	}
	gyre_safepoint(w->m);
}

static void note_live(struct stress_worker *w)
{
	struct cache_worker *own = w->own;
	struct gyre_stats stats = { .size = sizeof(stats) };

	if (stress_ok(w->run, gyre_heap_stats(w->run->heap, &stats), "gyre_heap_stats") &&
	    stats.objects_live > own->live_max)
		own->live_max = stats.objects_live;
}

static void cache_work(struct stress_worker *w)
{
	struct cache *cache = w->run->shared;
	struct cache_worker *own = cache->workers[w->index];
	unsigned step;

	w->own = own;
	own->identity = shape_identities(w->index);
	gyre_keep_open(w->m, &own->keep, own->held, CACHE_HELD);
	while (stress_round(w)) {
		for (step = 0; step < STEPS_PER_ROUND && !stress_stopped(w->run); step++)
			cache_step(w);
		note_live(w);
		if (stress_checkpoint_due(w))
			stress_checkpoint(w, 0);
	}
	gyre_keep_close(&own->keep);
	for (step = 0; step < CACHE_HELD; step++)
		own->held[step] = NULL;
	w->own = NULL;
	w->left = 0;
}

/* ---- The count ---- */

/* Takes the dead entries out where no callback does; where one does there must be none. Returns the
 * entries that are left. */
static uint64_t sweep_entries(struct stress_worker *w, struct cache_shard *shard)
{
	struct cache_table *table = table_of(&shard->buckets);
	uint64_t count = 0, i;
	struct cache_entry *entry;
	void *holder;
	gyre_ref *slot;

	for (i = 0; i < table->length; i++) {
		holder = table;
		slot = &table->places[i];
		while ((entry = gyre_load(slot)) != NULL && stress_check(w, entry, STRESS_ANY)) {
			if (!is_dead(w, entry)) {
				count++;
				holder = entry;
				slot = &entry->chain;
				continue;
			}
			if (shard->calls)
				stress_fail(w->run,
					    "the entry of key %llu, whose value is gone, "
					    "is not",
					    (unsigned long long)entry->key);
			if (!shape_store_exclusive(w, holder, slot, gyre_load(&entry->chain)))
				return count;
		}
	}
	return count;
}

/* The identities of all values that live, by the shadows alone; *twins: how many have one. Sorted,
 * each once. The caller frees them. */
static uint64_t *list_values(struct stress_run *run, size_t *count, uint64_t *twins)
{
	struct cache *cache = run->shared;
	size_t room = (size_t)(cache->shards_count * cache->capacity +
			       (uint64_t)CACHE_HELD * run->options->threads),
	       n = 0, i, kept = 0;
	uint64_t *values = calloc(room + 1, sizeof(*values)), place, key;
	struct cache_shard *shard;

	*count = 0;
	*twins = 0;
	if (!values) {
		stress_fail(run, "no memory for the shadow");
		return NULL;
	}
	for (shard = cache->shards; shard < cache->shards + cache->shards_count; shard++)
		for (place = 0; place < cache->capacity; place++) {
			key = shard->recent_keys[place];
			if (key != 0)
				values[n++] = shard->keys[key].value;
		}
	for (i = 0; i < (size_t)CACHE_HELD * run->options->threads; i++) {
		struct cache_worker *own = cache->workers[i / CACHE_HELD];

		if (own->held[i % CACHE_HELD])
			values[n++] = own->identities[i % CACHE_HELD];
	}
	shape_distinct(values, n);
	for (i = 0; i < n; i++)
		if (i == 0 || values[i] != values[kept - 1]) {
			*twins += has_twin(values[i]);
			values[kept++] = values[i];
		}
	*count = kept;
	return values;
}

static int compare_identities(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Compares the entries of a shard with its shadow; returns their number. */
static uint64_t count_entries(struct stress_worker *w, struct cache_shard *shard,
			      const uint64_t *values, size_t values_count)
{
	struct cache *cache = w->run->shared;
	uint64_t found = sweep_entries(w, shard), expected = 0, key;

	for (key = 1; key <= cache->keys; key++)
		if (shard->keys[key].value != 0 && values_count > 0 &&
		    bsearch(&shard->keys[key].value, values, values_count, sizeof(*values),
			    compare_identities))
			expected++;
	if (found != expected)
		stress_fail(w->run, "a shard has %llu entries with a value, and should have %llu",
			    (unsigned long long)found, (unsigned long long)expected);
	return expected;
}

/* Each value that lives has a cell, and maybe a twin; each that a key leads to has an entry. */
static uint64_t count_shared(struct stress_worker *w)
{
	struct cache *cache = w->run->shared;
	uint64_t count = 2 * cache->shards_count, twins, i;
	size_t values_count;
	uint64_t *values = list_values(w->run, &values_count, &twins);

	if (!values)
		return 0;
	for (i = 0; i < cache->shards_count; i++)
		count += count_entries(w, &cache->shards[i], values, values_count);
	count += 2 * values_count + twins;
	free(values);
	stress_count(&w->run->main->reachable, count);
	return count;
}

/* ---- The run ---- */

static bool open_shard(struct stress_run *run, struct cache *cache, struct cache_shard *shard)
{
	struct stress_worker *w = run->main;
	uint64_t key, number = (uint64_t)(shard - cache->shards);
	void *table;

	shard->run = run;
	shard->calls = number % 2 == 0;
	pthread_mutex_init(&shard->mutex, NULL);
	shard->keys = calloc(cache->keys + 1, sizeof(*shard->keys));
	shard->recent_keys = calloc(cache->capacity, sizeof(*shard->recent_keys));
	if (!shard->keys || !shard->recent_keys) {
		stress_fail(run, "no memory for the shadow of a shard");
		return false;
	}
	for (key = 0; key <= cache->keys; key++) {
		shard->keys[key].shard = shard;
		shard->keys[key].place = NO_PLACE;
	}
	table = stress_new(w, cache->table, cache->capacity / 2 + 1, STRESS_ANY - 1);
	if (!table || !stress_root_init(w, &shard->buckets, table))
		return false;
	table = stress_new(w, cache->table, cache->capacity, STRESS_ANY - 1);
	return table && stress_root_init(w, &shard->recent, table);
}

static void close_shard(struct stress_run *run, struct cache_shard *shard)
{
	stress_root_drop(run->main, &shard->buckets);
	stress_root_drop(run->main, &shard->recent);
}

static bool begin(struct stress_run *run, struct cache *cache)
{
	uint64_t i;

	cache->table = shape_type(run, &table_desc);
	cache->entry = shape_type(run, &entry_desc);
	cache->value = shape_type(run, &value_desc);
	cache->shards = calloc(cache->shards_count, sizeof(*cache->shards));
	cache->workers = calloc(run->options->threads, sizeof(*cache->workers));
	if (!cache->table || !cache->entry || !cache->value)
		return false;
	for (i = 0; cache->workers && i < run->options->threads; i++) {
		cache->workers[i] = calloc(1, sizeof(*cache->workers[i]));
		if (!cache->workers[i])
			break;
	}
	if (!cache->shards || !cache->workers || i < run->options->threads) {
		stress_fail(run, "no memory for the cache");
		return false;
	}
	for (i = 0; i < cache->shards_count; i++)
		if (!open_shard(run, cache, &cache->shards[i]))
			return false;
	return true;
}

/* Lets the rings go and sees the entries off, then the shards. */
static void drop_all(struct stress_run *run, struct cache *cache)
{
	struct stress_worker *w = run->main;
	struct cache_shard *shard;
	uint64_t place, i;

	for (i = 0; i < cache->shards_count; i++) {
		shard = &cache->shards[i];
		lock_shard(w, shard);
		for (place = 0; place < cache->capacity; place++)
			if (shard->recent_keys[place] != 0)
				forget_value(w, shard, shard->recent_keys[place]);
		pthread_mutex_unlock(&shard->mutex);
		gyre_safepoint(w->m);
	}
	stress_settle(w);
	stress_expect(w, count_shared(w), "after the values were dropped");
	/* Relaxed: at rest. */
	if (!stress_failed(run) &&
	    atomic_load_explicit(&cache->called, memory_order_relaxed) !=
		    atomic_load_explicit(&cache->registered, memory_order_relaxed))
		stress_fail(run, "%llu callbacks were registered and %llu called",
			    (unsigned long long)atomic_load_explicit(&cache->registered,
								     memory_order_relaxed),
			    (unsigned long long)atomic_load_explicit(&cache->called,
								     memory_order_relaxed));
	for (i = 0; i < cache->shards_count && !stress_failed(run); i++)
		close_shard(run, &cache->shards[i]);
	stress_expect(w, 0, "after the cache was dropped");
}

static void note_figures(struct stress_run *run, const struct cache *cache)
{
	struct cache_worker sum = { 0 };
	unsigned i;

	for (i = 0; i < run->options->threads; i++) {
		const struct cache_worker *own = cache->workers[i];

		sum.lookups += own->lookups;
		sum.hits += own->hits;
		sum.inserted += own->inserted;
		sum.removed += own->removed;
		sum.peeked += own->peeked;
		sum.shed += own->shed;
		sum.live_max = own->live_max > sum.live_max ? own->live_max : sum.live_max;
	}
	stress_figure(run, "lookups", sum.lookups);
	stress_figure(run, "hits", sum.hits);
	stress_figure(run, "values_put_in", sum.inserted);
	stress_figure(run, "keys_taken_out", sum.removed);
	stress_figure(run, "values_seen_without_the_mutex", sum.peeked);
	stress_figure(run, "dead_entries_met", sum.shed);
	stress_figure(run, "callbacks_called",
		      atomic_load_explicit(&cache->called, memory_order_relaxed)); /* at rest */
	stress_figure(run, "objects_live_at_most", sum.live_max);
}

static void cache_free(struct stress_run *run, struct cache *cache)
{
	uint64_t i;

	/* In a heap that is broken callbacks may still come: then everything stays. */
	if (stress_failed(run))
		return;
	for (i = 0; i < run->options->threads; i++)
		free(cache->workers[i]);
	for (i = 0; i < cache->shards_count; i++) {
		pthread_mutex_destroy(&cache->shards[i].mutex);
		free(cache->shards[i].keys);
		free(cache->shards[i].recent_keys);
	}
	free(cache->workers);
	free(cache->shards);
	free(cache);
}

static void cache_run(struct stress_run *run)
{
	struct cache *cache = calloc(1, sizeof(*cache));

	if (!cache) {
		stress_fail(run, "no memory for the cache");
		return;
	}
	run->shared = cache;
	cache->shards_count = stress_param(run, "shards");
	cache->capacity = stress_param(run, "capacity");
	cache->keys = stress_param(run, "keys");
	if (!begin(run, cache))
		return;
	run->settles = true;
	run->shared_count = count_shared;
	stress_workers(run, cache_work, NULL);
	if (!stress_failed(run)) {
		stress_settle(run->main);
		stress_expect(run->main, count_shared(run->main), "after the last round");
		drop_all(run, cache);
	}
	run->shared_count = NULL;
	note_figures(run, cache);
	cache_free(run, cache);
}

const struct stress_mode stress_mode_cache = {
	.name = "cache",
	.summary = "a cache that holds its values weakly, shared by all threads under mutexes",
	.run = cache_run,
	.params = {
		{ "shards", "Shards of the cache, each with its mutex", 4, 1, 65536 },
		{ "capacity", "Values of a shard that are held as the last ones used", 1024, 1,
		  100000000 },
		{ "keys", "Different keys of a shard", 4096, 2, 1000000000 },
	},
};
