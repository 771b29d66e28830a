/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cache_shard.c: a shard of the cache of mode cache: buckets of entries with weak cells, the ring
 * of the values used last, the shadow of both, and the callbacks that take out the entries of the
 * dead.
 *
 * Everything runs with the shard's mutex held, on a worker or on the thread that runs callbacks, so
 * all stores are exclusive. What the shadow says is true whenever the mutex is free.
 */
#include "cachemode.h"

#define LITTER 512 /* one callback in so many makes an object */

void lock_shard(struct stress_worker *w, struct cache_shard *shard)
{
	if (pthread_mutex_trylock(&shard->mutex) == 0)
		return;
	gyre_park(w->m);
	pthread_mutex_lock(&shard->mutex);
	gyre_unpark(w->m);
}

gyre_ref *bucket_of(const struct cache_shard *shard, uint64_t key)
{
	struct cache_table *table = table_of(&shard->buckets);

	return &table->places[key * UINT64_C(0x9e3779b97f4a7c15) % table->length];
}

bool is_dead(struct stress_worker *w, const struct cache_entry *entry)
{
	return gyre_weak_load(w->m, gyre_load(&entry->cell)) == NULL;
}

/* The entry of a key, or NULL; and the slot that refers to it, and the object that holds it. Others
 * of the bucket that are dead are taken out if no callback does. May be a safe point. */
static struct cache_entry *find_entry(struct stress_worker *w, struct cache_shard *shard,
				      uint64_t key, gyre_ref **slot, void **found_in)
{
	struct cache_worker *own = w->own;
	struct cache_entry *entry = NULL;
	void *holder = table_of(&shard->buckets);
	GYRE_KEEP(w->m, entry, holder);

	*slot = bucket_of(shard, key);
	while ((entry = gyre_load(*slot)) != NULL && entry->key != key) {
		if (!stress_check(w, entry, STRESS_ANY))
			return NULL;
		if (!shard->calls && own && is_dead(w, entry)) {
			own->shed++;
			if (!shape_store_exclusive(w, holder, *slot, gyre_load(&entry->chain)))
				return NULL;
			continue;
		}
		holder = entry;
		*slot = &entry->chain;
	}
	*found_in = holder;
	return entry && stress_check(w, entry, STRESS_ANY) ? entry : NULL;
}

void use_value(struct stress_worker *w, struct cache_shard *shard, uint64_t key, const void *value)
{
	struct cache *cache = w->run->shared;
	struct cache_key *shadow = &shard->keys[key];
	struct cache_table *recent = table_of(&shard->recent);
	uint64_t place = shard->hand, old;

	if (shadow->place != NO_PLACE)
		return;
	shard->hand = (place + 1) % cache->capacity;
	if (!shape_store_exclusive(w, recent, &recent->places[place], value))
		return;
	old = shard->recent_keys[place];
	if (old != 0)
		shard->keys[old].place = NO_PLACE;
	shard->recent_keys[place] = key;
	shadow->place = (uint32_t)place;
}

void forget_value(struct stress_worker *w, struct cache_shard *shard, uint64_t key)
{
	struct cache_key *shadow = &shard->keys[key];
	struct cache_table *recent = table_of(&shard->recent);

	if (shadow->place == NO_PLACE ||
	    !shape_store_exclusive(w, recent, &recent->places[shadow->place], NULL))
		return;
	shard->recent_keys[shadow->place] = 0;
	shadow->place = NO_PLACE;
}

/* The worker's place of the key's last value, or CACHE_HELD. */
static size_t held_place(const struct cache_worker *own, uint64_t identity)
{
	size_t h;

	for (h = 0; h < CACHE_HELD; h++)
		if (identity != 0 && own->held[h] && own->identities[h] == identity)
			return h;
	return CACHE_HELD;
}

struct cache_value *look_up(struct stress_worker *w, struct cache_shard *shard, uint64_t key)
{
	struct cache_worker *own = w->own;
	struct cache_key *shadow = &shard->keys[key];
	gyre_ref *slot;
	void *holder;
	struct cache_entry *entry = find_entry(w, shard, key, &slot, &holder);
	struct cache_value *value = NULL;
	size_t h = held_place(own, shadow->value);

	own->lookups++;
	if (entry)
		value = gyre_weak_load(w->m, gyre_load(&entry->cell));
	if (value) {
		own->hits++;
		if (!stress_check(w, value, shadow->value) || value->key != key)
			stress_fail(w->run, "key %llu leads to the value of key %llu",
				    (unsigned long long)key, (unsigned long long)value->key);
		if (h < CACHE_HELD && own->held[h] != value)
			stress_fail(w->run, "key %llu has two values", (unsigned long long)key);
	} else if (shadow->place != NO_PLACE || h < CACHE_HELD) {
		stress_lost(w->run, "the value of key %llu, which %s holds, is missed%s",
			    (unsigned long long)key, h < CACHE_HELD ? "the worker" : "the ring",
			    entry ? "" : ", and its entry is gone");
	}
	return value;
}

/* ---- Callbacks ---- */

void unlink_entry(struct stress_worker *w, struct cache_shard *shard, uint64_t key, bool dead_only)
{
	gyre_ref *slot;
	void *holder;
	struct cache_entry *entry = find_entry(w, shard, key, &slot, &holder);

	if (!entry || (dead_only && !is_dead(w, entry)))
		return;
	shape_store_exclusive(w, holder, slot, gyre_load(&entry->chain));
}

/* The value of a key is gone: so is its entry, if it has no other value by now. */
static void value_gone(struct gyre_mutator *m, void *arg)
{
	struct cache_key *shadow = arg;
	struct cache_shard *shard = shadow->shard;
	struct cache *cache = shard->run->shared;
	uint64_t key = (uint64_t)(shadow - shard->keys), called;
	struct stress_worker w = { .run = shard->run,
				   .m = m,
				   .index = shard->run->options->threads + 1 };

	/* Relaxed: a figure, and a number. */
	called = atomic_fetch_add_explicit(&cache->called, 1, memory_order_relaxed);
	w.rng = stress_rng_make(shard->run->options->seed, called);
	lock_shard(&w, shard);
	unlink_entry(&w, shard, key, true);
	pthread_mutex_unlock(&shard->mutex);
	if (stress_chance(&w.rng, 1, LITTER))
		stress_new(&w, cache->entry, 0, STRESS_ANY - 1);
	gyre_safepoint(m);
}

static bool watch_value(struct stress_worker *w, struct cache_shard *shard, uint64_t key,
			struct gyre_weak *cell)
{
	struct cache *cache = w->run->shared;
	enum gyre_status status;

	do
		status = gyre_weak_notify(w->m, cell, value_gone, &shard->keys[key],
					  GYRE_NOTICE_ALWAYS, NULL);
	while (stress_again(w, status));
	if (!stress_ok(w->run, status, "gyre_weak_notify"))
		return false;
	atomic_fetch_add_explicit(&cache->registered, 1, memory_order_relaxed); /* a figure */
	return true;
}

void put(struct stress_worker *w, struct cache_shard *shard, uint64_t key,
	 struct cache_value *value, struct cache_entry *spare)
{
	struct cache_worker *own = w->own;
	gyre_ref *slot;
	void *holder;
	struct cache_entry *entry = find_entry(w, shard, key, &slot, &holder);
	struct gyre_weak *cell = NULL;
	GYRE_KEEP(w->m, entry, cell);

	do
		cell = gyre_weak_of(w->m, value);
	while (!cell && stress_again(w, GYRE_NO_MEMORY));
	w->tries = 0;
	if (!cell || (shard->calls && !watch_value(w, shard, key, cell)))
		return;
	forget_value(w, shard, key);
	if (entry) {
		if (!shape_store_exclusive(w, entry, &entry->cell, cell))
			return;
	} else {
		slot = bucket_of(shard, key);
		if (!shape_init(w, spare, &spare->cell, cell) ||
		    !shape_store_exclusive(w, spare, &spare->chain, gyre_load(slot)) ||
		    !shape_store_exclusive(w, table_of(&shard->buckets), slot, spare))
			return;
	}
	shard->keys[key].value = value->head.identity;
	own->inserted++;
	use_value(w, shard, key, value);
}
