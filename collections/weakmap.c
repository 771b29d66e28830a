/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weakmap.c: keys of the host's to objects held weakly. Any attached thread; see collections.h, and
 * table.h for how entries go.
 *
 * Invariant: a key is the map's from the call that put it and answered GYRE_OK; it is freed once,
 * without a lock: by that call if an equal key is there, else when its entry has been retired and
 * nobody reads the shard.
 */
#include "table.h"

/* A map is its table; the type is there so that it is taken for nothing else. */
struct gyre_weakmap;

static struct gyre__table *table_of(struct gyre_weakmap *map)
{
	return (struct gyre__table *)map;
}

enum gyre_status gyre_weakmap_open(struct gyre_mutator *m, const struct gyre_keys *keys,
				   struct gyre_weakmap **map)
{
	if (keys == NULL || map == NULL || (keys->hash == NULL) != (keys->equal == NULL))
		return GYRE_INVALID;
	return gyre__table_open(m, GYRE_SAME_KEY, keys, (struct gyre__table **)map);
}

enum gyre_status gyre_weakmap_close(struct gyre_mutator *m, struct gyre_weakmap *map)
{
	return gyre__table_close(m, table_of(map));
}

/* What key leads to, or NULL; an entry that is dead, or to be taken away, is retired. */
static void *look_up(struct gyre_mutator *m, struct gyre_weakmap *map, const void *key,
		     bool take_away)
{
	struct gyre__table *table = table_of(map);
	struct gyre__sought sought;
	struct gyre__shard *shard;
	struct gyre__place place;
	void *value = NULL;

	if (gyre__table_usable(m, table) != GYRE_OK)
		return NULL;
	sought = gyre__table_seek(table, key);
	shard = gyre__table_enter(table, &sought);
	if (gyre__table_find(m, shard, &sought, &place)) {
		value = gyre__table_load(m, place);
		if (value == NULL || take_away)
			gyre__table_retire(m, shard, place);
	}
	gyre__table_leave(m, shard);
	return value;
}

void *gyre_weakmap_get(struct gyre_mutator *m, struct gyre_weakmap *map, const void *key)
{
	return look_up(m, map, key, false);
}

/* Puts value for what is there; or, if winner is not NULL, where nothing is. */
static enum gyre_status put(struct gyre_mutator *m, struct gyre__table *table, void *key,
			    const void *value, void **winner)
{
	struct gyre__sought sought = gyre__table_seek(table, key);
	struct gyre__shard *shard = gyre__table_enter(table, &sought);
	struct gyre__place place;
	enum gyre_status status = GYRE_OK;
	void *there = NULL;
	bool found = gyre__table_find(m, shard, &sought, &place);
	/* Of the very pointer that is put again nothing is freed. */
	bool known = found && place.page->entries[place.at].key == key;

	if (found && winner != NULL)
		there = gyre__table_load(m, place);
	if (!found)
		status = gyre__table_insert(m, shard, &sought, key, value);
	else if (there == NULL)
		status = gyre__table_replace(m, shard, place, value);
	gyre__table_leave(m, shard);
	if (winner != NULL)
		*winner = status != GYRE_OK ? NULL : there != NULL ? there : (void *)value;
	if (status == GYRE_OK && found && !known && table->keys.free != NULL)
		table->keys.free(table->keys.arg, key);
	return status;
}

enum gyre_status gyre_weakmap_put(struct gyre_mutator *m, struct gyre_weakmap *map, void *key,
				  const void *value)
{
	enum gyre_status status = gyre__table_usable(m, table_of(map));

	if (status == GYRE_OK && value == NULL)
		status = GYRE_INVALID;
	return status != GYRE_OK ? status : put(m, table_of(map), key, value, NULL);
}

enum gyre_status gyre_weakmap_put_if_absent(struct gyre_mutator *m, struct gyre_weakmap *map,
					    void *key, const void *value, void **winner)
{
	enum gyre_status status = gyre__table_usable(m, table_of(map));

	if (winner == NULL)
		return GYRE_INVALID;
	*winner = NULL;
	if (status == GYRE_OK && value == NULL)
		status = GYRE_INVALID;
	return status != GYRE_OK ? status : put(m, table_of(map), key, value, winner);
}

void *gyre_weakmap_remove(struct gyre_mutator *m, struct gyre_weakmap *map, const void *key)
{
	return look_up(m, map, key, true);
}

size_t gyre_weakmap_count(struct gyre_weakmap *map)
{
	return map != NULL ? gyre__table_count(table_of(map)) : 0;
}

static void walk_all(struct gyre_mutator *m, struct gyre__table *table, gyre_weakmap_visit_fn visit,
		     void *arg)
{
	struct gyre__walk walk;
	void *value = NULL;
	GYRE_KEEP(m, value);

	gyre__walk_begin(&walk, table);
	do
		value = gyre__walk_next(m, &walk);
	while (value != NULL && visit(m, walk.key, value, arg));
	gyre__walk_end(m, &walk);
}

enum gyre_status gyre_weakmap_each(struct gyre_mutator *m, struct gyre_weakmap *map,
				   gyre_weakmap_visit_fn visit, void *arg)
{
	enum gyre_status status = gyre__table_usable(m, table_of(map));

	if (status == GYRE_OK && visit == NULL)
		status = GYRE_INVALID;
	if (status == GYRE_OK)
		walk_all(m, table_of(map), visit, arg);
	return status;
}
