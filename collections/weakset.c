/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weakset.c: objects held weakly, each once. Any attached thread; see collections.h, and table.h
 * for how entries go.
 *
 * Invariant: of objects that are the same at most one that lives is a member. Its hash was
 * remembered when it was added, and is never asked for again.
 */
#include "table.h"

/* A set is its table; the type is there so that it is taken for nothing else. */
struct gyre_weakset;

static struct gyre__table *table_of(struct gyre_weakset *set)
{
	return (struct gyre__table *)set;
}

enum gyre_status gyre_weakset_open(struct gyre_mutator *m, const struct gyre_keys *by,
				   struct gyre_weakset **set)
{
	if (set == NULL || (by != NULL && (!by->hash || !by->equal || by->free)))
		return GYRE_INVALID;
	return gyre__table_open(m, by != NULL ? GYRE_SAME_EQUAL : GYRE_SAME_OBJECT, by,
				(struct gyre__table **)set);
}

enum gyre_status gyre_weakset_close(struct gyre_mutator *m, struct gyre_weakset *set)
{
	return gyre__table_close(m, table_of(set));
}

enum gyre_status gyre_weakset_add(struct gyre_mutator *m, struct gyre_weakset *set,
				  const void *object, void **member)
{
	struct gyre__table *table = table_of(set);
	enum gyre_status status = gyre__table_usable(m, table);
	struct gyre__sought sought;
	struct gyre__shard *shard;
	struct gyre__place place;
	void *there = NULL;

	if (member != NULL)
		*member = NULL;
	if (status == GYRE_OK && object == NULL)
		status = GYRE_INVALID;
	if (status != GYRE_OK)
		return status;
	sought = gyre__table_seek(table, object);
	shard = gyre__table_enter(table, &sought);
	if (gyre__table_find(m, shard, &sought, &place))
		there = gyre__table_load(m, place);
	if (there == NULL)
		status = gyre__table_insert(m, shard, &sought, NULL, object);
	gyre__table_leave(m, shard);
	if (member != NULL && status == GYRE_OK)
		*member = there != NULL ? there : (void *)object;
	return status;
}

/* The member that is the same as object; it is no member any more afterwards if out. */
static void *look_up(struct gyre_mutator *m, struct gyre__table *table, const void *object,
		     bool out)
{
	struct gyre__sought sought;
	struct gyre__shard *shard;
	struct gyre__place place;
	void *there = NULL;

	if (object == NULL || gyre__table_usable(m, table) != GYRE_OK)
		return NULL;
	sought = gyre__table_seek(table, object);
	shard = gyre__table_enter(table, &sought);
	if (gyre__table_find(m, shard, &sought, &place)) {
		there = gyre__table_load(m, place);
		if (out)
			gyre__table_retire(m, shard, place);
	}
	gyre__table_leave(m, shard);
	return there;
}

void *gyre_weakset_find(struct gyre_mutator *m, struct gyre_weakset *set, const void *object)
{
	return look_up(m, table_of(set), object, false);
}

bool gyre_weakset_contains(struct gyre_mutator *m, struct gyre_weakset *set, const void *object)
{
	return look_up(m, table_of(set), object, false) != NULL;
}

bool gyre_weakset_remove(struct gyre_mutator *m, struct gyre_weakset *set, const void *object)
{
	return look_up(m, table_of(set), object, true) != NULL;
}

size_t gyre_weakset_count(struct gyre_weakset *set)
{
	return set != NULL ? gyre__table_count(table_of(set)) : 0;
}

static void walk_all(struct gyre_mutator *m, struct gyre__table *table, gyre_weakset_visit_fn visit,
		     void *arg)
{
	struct gyre__walk walk;
	void *object = NULL;
	GYRE_KEEP(m, object);

	gyre__walk_begin(&walk, table);
	do
		object = gyre__walk_next(m, &walk);
	while (object != NULL && visit(m, object, arg));
	gyre__walk_end(m, &walk);
}

enum gyre_status gyre_weakset_each(struct gyre_mutator *m, struct gyre_weakset *set,
				   gyre_weakset_visit_fn visit, void *arg)
{
	enum gyre_status status = gyre__table_usable(m, table_of(set));

	if (status == GYRE_OK && visit == NULL)
		status = GYRE_INVALID;
	if (status == GYRE_OK)
		walk_all(m, table_of(set), visit, arg);
	return status;
}
