/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ephemeron.c: objects held weakly to objects that live because of them. Any attached thread; see
 * collections.h.
 *
 * The value hangs on the key: a key with entries has a hidden object, owned by it alone, from which
 * a chain of links begins, one for each map; a link refers to its map's object and to the value.
 * The collector follows these references as it does all others: there is nothing to iterate to a
 * fixed point, a value that refers to its key is a plain cycle, and dies as one. A table of the
 * keys' weak cells tells the map which keys it has entries at.
 *
 *	key --> hidden object --> link --> link --> ...
 *	                           |  \
 *	                           |   owner: the table's object of the map, or NULL: a vacant link
 *	                         value
 *
 * Links are never taken out of a chain: a removed one is vacant and serves the next map that wants
 * one there. So a chain is as long as the number of maps that had entries at the key at once.
 *
 * Invariants: a map has at most one link in a chain; the link's value is written, and its owner
 * taken away, with the lock of the shard of the key in that map's table; a vacant link's value is
 * NULL, and it is claimed by a compare and exchange of its owner; a link with an owner and without
 * a value is an entry that is not there.
 */
#include <stdlib.h>

#include "table.h"

#include "collections.h"
#include "weak.h"

struct link {
	gyre_ref next, owner, value;
};

struct gyre_ephemeron {
	struct gyre__table *table;
	const struct gyre_type *link_type;
};

static const struct gyre_type_desc link_desc = {
	.size = sizeof(struct gyre_type_desc),
	.name = "gyre: entry of an ephemeron map",
	.object_bytes = sizeof(struct link),
	.object_align = _Alignof(struct link),
	GYRE_REFS(GYRE_REF(struct link, next), GYRE_REF(struct link, owner),
		  GYRE_REF(struct link, value)),
};

enum gyre_status gyre_ephemeron_open(struct gyre_mutator *m, struct gyre_ephemeron **map)
{
	struct gyre_ephemeron *made;
	enum gyre_status status;

	if (m == NULL || map == NULL)
		return GYRE_INVALID;
	if (gyre__heap_is_frozen(gyre_mutator_heap(m)))
		return GYRE_FROZEN;
	made = malloc(sizeof(*made));
	if (made == NULL)
		return GYRE_NO_MEMORY;
	status = gyre__type_once(gyre_mutator_heap(m), &link_desc, &made->link_type);
	if (status == GYRE_OK)
		status = gyre__table_open(m, GYRE_SAME_OBJECT, NULL, &made->table);
	if (status == GYRE_OK)
		*map = made;
	else
		free(made);
	return status;
}

static enum gyre_status usable(const struct gyre_mutator *m, const struct gyre_ephemeron *map,
			       const void *key)
{
	if (map == NULL || key == NULL)
		return GYRE_INVALID;
	return gyre__table_usable(m, map->table);
}

/* The link with that owner in the chain, or NULL. */
static struct link *find(const gyre_ref *first, const void *owner)
{
	struct link *link = gyre_load(first);

	while (link != NULL && gyre_load(&link->owner) != owner)
		link = gyre_load(&link->next);
	return link;
}

/* A vacant link of the chain, which is the map's from now on, or NULL. */
static struct link *claim(struct gyre_mutator *m, const gyre_ref *first, const void *owner)
{
	struct link *link = find(first, NULL);

	while (link != NULL) {
		void *nobody = NULL;

		if (gyre_load(&link->owner) == NULL &&
		    gyre_compare_exchange(m, &link->owner, &nobody, owner) == GYRE_OK)
			return link;
		link = gyre_load(&link->next);
	}
	return NULL;
}

/* A new link at the head of the chain. */
static enum gyre_status push(struct gyre_mutator *m, gyre_ref *first, const struct gyre_type *type,
			     const void *owner, const void *value)
{
	struct link *link = gyre_new(m, type);
	void *head = gyre_load(first);
	enum gyre_status status;

	if (link == NULL)
		return GYRE_NO_MEMORY;
	status = gyre_init(m, &link->owner, owner);
	if (status == GYRE_OK)
		status = gyre_init(m, &link->value, value);
	if (status != GYRE_OK)
		return status;
	do {
		status = gyre_store(m, &link->next, head);
		if (status == GYRE_OK)
			status = gyre_compare_exchange(m, first, &head, link);
	} while (status == GYRE_CHANGED);
	return status;
}

static enum gyre_status attach(struct gyre_mutator *m, struct gyre_ephemeron *map, const void *key,
			       const void *value)
{
	const void *owner = map->table->all;
	gyre_ref *first = gyre__attachment(m, (void *)key, true);
	struct link *link;

	if (first == NULL)
		return GYRE_NO_MEMORY;
	link = find(first, owner);
	if (link == NULL)
		link = claim(m, first, owner);
	if (link == NULL)
		return push(m, first, map->link_type, owner, value);
	return gyre_store(m, &link->value, value);
}

enum gyre_status gyre_ephemeron_put(struct gyre_mutator *m, struct gyre_ephemeron *map,
				    const void *key, const void *value)
{
	enum gyre_status status = usable(m, map, key);
	struct gyre__sought sought;
	struct gyre__shard *shard;
	struct gyre__place place;
	bool known;

	if (status == GYRE_OK && value == NULL)
		status = GYRE_INVALID;
	if (status != GYRE_OK)
		return status;
	sought = gyre__table_seek(map->table, key);
	shard = gyre__table_enter(map->table, &sought);
	known = gyre__table_find(m, shard, &sought, &place);
	if (!known)
		status = gyre__table_insert(m, shard, &sought, NULL, key);
	if (status == GYRE_OK) {
		status = attach(m, map, key, value);
		if (status != GYRE_OK && !known && gyre__table_find(m, shard, &sought, &place))
			gyre__table_retire(m, shard, place);
	}
	gyre__table_leave(m, shard);
	return status;
}

void *gyre_ephemeron_get(struct gyre_mutator *m, struct gyre_ephemeron *map, const void *key)
{
	struct gyre__sought sought;
	struct gyre__shard *shard;
	const gyre_ref *first;
	struct link *link;
	void *value;

	if (usable(m, map, key) != GYRE_OK)
		return NULL;
	first = gyre__attachment(m, (void *)key, false);
	if (first == NULL)
		return NULL;
	sought = gyre__table_seek(map->table, key);
	shard = gyre__table_enter(map->table, &sought);
	link = find(first, map->table->all);
	value = link != NULL ? gyre_load(&link->value) : NULL;
	gyre__table_leave(m, shard);
	return value;
}

/* Takes the value out of the key's chain. *old is NULL already. */
static enum gyre_status detach(struct gyre_mutator *m, struct gyre_ephemeron *map, const void *key,
			       void **old)
{
	const gyre_ref *first = gyre__attachment(m, (void *)key, false);
	struct link *link = first != NULL ? find(first, map->table->all) : NULL;
	enum gyre_status status;
	void *value;

	if (link == NULL)
		return GYRE_OK;
	value = gyre_load(&link->value);
	status = gyre_store(m, &link->value, NULL);
	if (status != GYRE_OK)
		return status;
	*old = value;
	/* Refused for want of memory: the link stays this map's, and vacant to it alone. */
	(void)gyre_store(m, &link->owner, NULL);
	return GYRE_OK;
}

enum gyre_status gyre_ephemeron_remove(struct gyre_mutator *m, struct gyre_ephemeron *map,
				       const void *key, void **old)
{
	enum gyre_status status = usable(m, map, key);
	struct gyre__sought sought;
	struct gyre__shard *shard;
	struct gyre__place place;
	void *value = NULL;

	if (old != NULL)
		*old = NULL;
	if (status != GYRE_OK)
		return status;
	sought = gyre__table_seek(map->table, key);
	shard = gyre__table_enter(map->table, &sought);
	status = detach(m, map, key, &value);
	if (status == GYRE_OK && gyre__table_find(m, shard, &sought, &place))
		gyre__table_retire(m, shard, place);
	gyre__table_leave(m, shard);
	if (old != NULL)
		*old = value;
	return status;
}

enum gyre_status gyre_ephemeron_close(struct gyre_mutator *m, struct gyre_ephemeron *map)
{
	enum gyre_status status = map != NULL ? gyre__table_usable(m, map->table) : GYRE_INVALID;
	struct gyre__walk walk;
	void *key;

	if (status != GYRE_OK)
		return status;
	if (gyre__table_being_read(map->table))
		return GYRE_BUSY;
	gyre__walk_begin(&walk, map->table);
	while (status == GYRE_OK && (key = gyre__walk_next(m, &walk)) != NULL)
		status = gyre_ephemeron_remove(m, map, key, NULL);
	gyre__walk_end(m, &walk);
	if (status == GYRE_OK)
		status = gyre__table_close(m, map->table);
	if (status == GYRE_OK)
		free(map);
	return status;
}

size_t gyre_ephemeron_count(struct gyre_ephemeron *map)
{
	return map != NULL ? gyre__table_count(map->table) : 0;
}

static void walk_all(struct gyre_mutator *m, struct gyre_ephemeron *map,
		     gyre_ephemeron_visit_fn visit, void *arg)
{
	struct gyre__walk walk;
	void *key = NULL, *value = NULL;
	bool on = true;
	GYRE_KEEP(m, key, value);

	gyre__walk_begin(&walk, map->table);
	while (on && (key = gyre__walk_next(m, &walk)) != NULL) {
		value = gyre_ephemeron_get(m, map, key);
		on = value == NULL || visit(m, key, value, arg);
	}
	gyre__walk_end(m, &walk);
}

enum gyre_status gyre_ephemeron_each(struct gyre_mutator *m, struct gyre_ephemeron *map,
				     gyre_ephemeron_visit_fn visit, void *arg)
{
	enum gyre_status status = map != NULL ? gyre__table_usable(m, map->table) : GYRE_INVALID;

	if (status == GYRE_OK && visit == NULL)
		status = GYRE_INVALID;
	if (status == GYRE_OK)
		walk_all(m, map, visit, arg);
	return status;
}
