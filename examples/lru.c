/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lru.c: a cache that two threads share under one lock. Its entries are doubly linked, newest use
 * first, and refer to the cache; one that falls off the end is just unlinked. All writes happen
 * under the lock, so gyre_store_exclusive will do; it is held briefly: nobody parks round it.
 */
#include <gyre/gyre.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

#define CAPACITY 512
#define KEYS 2048
#define LOOKUPS 200000

struct cache {
	gyre_ref by_key[KEYS];
	gyre_ref newest, oldest;
	size_t count;
};

struct entry {
	gyre_ref newer, older, cache;
	uint32_t key, square;
};

static const struct gyre_type_desc cache_desc = GYRE_TYPE(
	struct cache, GYRE_REFS(GYRE_REF(struct cache, by_key), GYRE_REF(struct cache, newest),
				GYRE_REF(struct cache, oldest)));
static const struct gyre_type_desc entry_desc = GYRE_TYPE(
	struct entry, GYRE_REFS(GYRE_REF(struct entry, newer), GYRE_REF(struct entry, older),
				GYRE_REF(struct entry, cache)));

static struct gyre_heap *heap;
static const struct gyre_type *cache_type, *entry_type;
static struct gyre_root shared;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int unlink_entry(struct gyre_mutator *m, struct cache *cache, struct entry *e)
{
	struct entry *newer = gyre_load(&e->newer), *older = gyre_load(&e->older);

	return gyre_store_exclusive(m, newer ? &newer->older : &cache->newest, older) ||
	       gyre_store_exclusive(m, older ? &older->newer : &cache->oldest, newer);
}

static int put_first(struct gyre_mutator *m, struct cache *cache, struct entry *e)
{
	struct entry *second = gyre_load(&cache->newest);

	return gyre_store_exclusive(m, &e->newer, NULL) ||
	       gyre_store_exclusive(m, &e->older, second) ||
	       gyre_store_exclusive(m, second ? &second->newer : &cache->oldest, e) ||
	       gyre_store_exclusive(m, &cache->newest, e);
}

static int evict(struct gyre_mutator *m, struct cache *cache)
{
	struct entry *e = gyre_load(&cache->oldest);

	cache->count--;
	return unlink_entry(m, cache, e) || gyre_store_exclusive(m, &cache->by_key[e->key], NULL);
}

/* With the lock held. Non-zero: out of memory, or the cache answered wrongly. */
static int look_up(struct gyre_mutator *m, struct cache *cache, uint32_t key)
{
	struct entry *e = gyre_load(&cache->by_key[key]);

	if (e)
		return e->square != key * key || unlink_entry(m, cache, e) ||
		       put_first(m, cache, e);
	if ((cache->count == CAPACITY && evict(m, cache)) || !(e = gyre_new(m, entry_type)) ||
	    gyre_init(m, &e->cache, cache))
		return 1;
	e->key = key;
	e->square = key * key;
	cache->count++;
	return put_first(m, cache, e) || gyre_store_exclusive(m, &cache->by_key[key], e);
}

static int use(struct gyre_mutator *m, uint32_t random)
{
	uint32_t i;
	int failed = 0;

	for (i = 0; i < LOOKUPS && !failed; i++) {
		gyre_safepoint(m);
		random = random * 1664525 + 1013904223;
		pthread_mutex_lock(&lock);
		failed = look_up(m, gyre_load(&shared.slot), random >> 21);
		pthread_mutex_unlock(&lock);
	}
	return failed;
}

static void *second_thread(void *failed)
{
	struct gyre_mutator *m;

	return gyre_attach(heap, 0, &m) || use(m, 2) || gyre_detach(m) ? failed : NULL;
}

int main(void)
{
	struct gyre_stats cached = { .size = sizeof(cached) }, left = cached;
	struct gyre_mutator *m;
	pthread_t thread;
	void *failed;

	if (gyre_heap_open(&heap, NULL) || gyre_attach(heap, 0, &m) ||
	    gyre_type_register(heap, &cache_desc, &cache_type) ||
	    gyre_type_register(heap, &entry_desc, &entry_type) ||
	    gyre_root_init(m, &shared, gyre_new(m, cache_type)) || !gyre_load(&shared.slot) ||
	    pthread_create(&thread, NULL, second_thread, &shared) || use(m, 1) || gyre_park(m) ||
	    pthread_join(thread, &failed) || failed || gyre_unpark(m) || gyre_collect(m, NULL) ||
	    gyre_heap_stats(heap, &cached) || gyre_root_drop(m, &shared) || gyre_collect(m, NULL) ||
	    gyre_heap_stats(heap, &left))
		return 1;
	printf("%d objects cached, %d left after the cache\n", (int)cached.objects_live,
	       (int)left.objects_live);
	return gyre_detach(m) || gyre_heap_close(heap);
}
