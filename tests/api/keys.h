/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keys.h: keys that are counted, for the tests of the weak map, and its calls by number.
 *
 * Invariant: when a map is closed each key has been freed, and none twice (which a key that was
 * freed would say).
 */
#ifndef GYRE_TESTS_KEYS_H
#define GYRE_TESTS_KEYS_H

#include "weakly.h"

#define KEY_LIVES UINT64_C(0x6b6579206c697665)

struct key {
	uint64_t number, state;
};

static _Atomic(long) keys_alive;

static inline struct key *key_new(uint64_t number)
{
	struct key *key = malloc(sizeof(*key));

	expect(key != NULL);
	*key = (struct key){ number, KEY_LIVES };
	atomic_fetch_add(&keys_alive, 1);
	return key;
}

static inline void key_free(void *arg, void *key)
{
	struct key *k = (struct key *)key;

	(void)arg;
	expect_equal(k->state, KEY_LIVES);
	k->state = 0;
	atomic_fetch_sub(&keys_alive, 1);
	free(k);
}

static inline uint64_t key_hash(void *arg, const void *key)
{
	(void)arg;
	return ((const struct key *)key)->number;
}

static inline bool key_equal(void *arg, const void *key, const void *other)
{
	const struct key *a = (const struct key *)key, *b = (const struct key *)other;

	(void)arg;
	expect(a->state == KEY_LIVES && b->state == KEY_LIVES);
	return a->number == b->number;
}

static const struct gyre_keys by_number = { key_hash, key_equal, key_free, NULL };

static inline struct gyre_weakmap *open_map(struct weakly *t, const struct gyre_keys *keys)
{
	struct gyre_weakmap *map = NULL;

	expect_ok(gyre_weakmap_open(t->w->m, keys, &map));
	expect(map != NULL);
	expect_equal(gyre_weakmap_count(map), 0);
	return map;
}

static inline void close_map(struct weakly *t, struct gyre_weakmap *map)
{
	expect_ok(gyre_weakmap_close(t->w->m, map));
	expect_equal(atomic_load(&keys_alive), 0);
}

static inline void put(struct gyre_mutator *m, struct gyre_weakmap *map, uint64_t number,
		       const struct node *value)
{
	expect_ok(gyre_weakmap_put(m, map, key_new(number), value));
}

static inline struct node *get(struct gyre_mutator *m, struct gyre_weakmap *map, uint64_t number)
{
	const struct key key = { number, KEY_LIVES };

	return (struct node *)gyre_weakmap_get(m, map, &key);
}

static inline struct node *take(struct gyre_mutator *m, struct gyre_weakmap *map, uint64_t number)
{
	const struct key key = { number, KEY_LIVES };

	return (struct node *)gyre_weakmap_remove(m, map, &key);
}

#endif
