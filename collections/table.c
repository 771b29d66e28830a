/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.c: opening, closing, looking up, changing and walking a table, and how its entries go. See
 * table.h. Any attached thread; gyre's finalizer thread or the host's among them (page_told).
 *
 * Closing, with the notices that it comes too late to take back: their pages are left behind, and
 * the last one called frees the table. From the drop of the root on, the objects of the table are
 * valid until the closing thread's next safe point, so close reaches none.
 */
#include "table.h"

#include <stdlib.h>

#include "collections.h"

static const struct gyre_type_desc cells_desc = {
	.size = sizeof(struct gyre_type_desc),
	.name = "gyre: weak cells of a collection",
	.object_bytes = sizeof(struct gyre__cells),
	.object_align = _Alignof(struct gyre__cells),
	GYRE_REFS(GYRE_REF(struct gyre__cells, items)),
	.flags = GYRE_ACYCLIC,
};
static const struct gyre_type_desc directory_desc = {
	.size = sizeof(struct gyre_type_desc),
	.name = "gyre: directory of a collection",
	.object_bytes = sizeof(struct gyre__directory),
	.object_align = _Alignof(struct gyre__directory),
	GYRE_TRAILING_REFS(struct gyre__directory, items, length),
	.flags = GYRE_ACYCLIC,
};
static const struct gyre_type_desc directories_desc = {
	.size = sizeof(struct gyre_type_desc),
	.name = "gyre: collection",
	.object_bytes = sizeof(struct gyre__directories),
	.object_align = _Alignof(struct gyre__directories),
	GYRE_REFS(GYRE_REF(struct gyre__directories, items)),
	.flags = GYRE_ACYCLIC,
};

static void let_go(struct gyre__table *table)
{
	unsigned i;

	/* Acquire and release: the last one frees what all others have used. */
	if (atomic_fetch_sub_explicit(&table->holders, 1, memory_order_acq_rel) > 1)
		return;
	for (i = 0; i < GYRE_TABLE_SHARDS; i++)
		gyre__lock_destroy(&table->shards[i].lock);
	free(table);
}

static bool init_shards(struct gyre__table *table)
{
	unsigned i;

	for (i = 0; i < GYRE_TABLE_SHARDS; i++) {
		table->shards[i].table = table;
		table->shards[i].retired = GYRE_NO_ENTRY;
		/* Does not fail on Linux; if it did, the locks before would need no undoing. */
		if (!gyre__lock_init(&table->shards[i].lock))
			return false;
	}
	return true;
}

static enum gyre_status init_objects(struct gyre_mutator *m, struct gyre__table *table)
{
	const struct gyre_type *type;
	enum gyre_status status = gyre__type_once(table->heap, &cells_desc, &table->cells_type);

	if (status == GYRE_OK)
		status = gyre__type_once(table->heap, &directory_desc, &table->directory_type);
	if (status == GYRE_OK)
		status = gyre__type_once(table->heap, &directories_desc, &type);
	if (status != GYRE_OK)
		return status;
	table->all = gyre_new(m, type);
	return table->all == NULL ? GYRE_NO_MEMORY : gyre_root_init(m, &table->root, table->all);
}

enum gyre_status gyre__table_open(struct gyre_mutator *m, enum gyre__sameness sameness,
				  const struct gyre_keys *keys, struct gyre__table **table)
{
	struct gyre__table *made;
	enum gyre_status status;

	if (m == NULL)
		return GYRE_INVALID;
	if (gyre__heap_is_frozen(gyre_mutator_heap(m)))
		return GYRE_FROZEN;
	made = aligned_alloc(_Alignof(struct gyre__table), sizeof(*made));
	if (made == NULL)
		return GYRE_NO_MEMORY;
	*made = (struct gyre__table){ .heap = gyre_mutator_heap(m), .sameness = sameness };
	if (keys != NULL)
		made->keys = *keys;
	atomic_init(&made->serial, 0);
	atomic_init(&made->holders, 1);
	status = init_shards(made) ? init_objects(m, made) : GYRE_NO_MEMORY;
	if (status != GYRE_OK) {
		let_go(made);
		return status;
	}
	*table = made;
	return GYRE_OK;
}

enum gyre_status gyre__table_usable(const struct gyre_mutator *m, const struct gyre__table *table)
{
	if (m == NULL || table == NULL || gyre_mutator_heap(m) != table->heap)
		return GYRE_INVALID;
	return gyre__heap_is_frozen(table->heap) ? GYRE_FROZEN : GYRE_OK;
}

struct gyre__sought gyre__table_seek(const struct gyre__table *table, const void *it)
{
	uint64_t hash =
		table->keys.hash != NULL ? table->keys.hash(table->keys.arg, it) : (uintptr_t)it;

	/* The finalizer of MurmurHash3: every bit of the result depends on every bit. */
	hash = (hash ^ (hash >> 33)) * UINT64_C(0xff51afd7ed558ccd);
	hash = (hash ^ (hash >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
	return (struct gyre__sought){ it, hash ^ (hash >> 33) };
}

struct gyre__shard *gyre__table_enter(struct gyre__table *table, const struct gyre__sought *sought)
{
	struct gyre__shard *shard = &table->shards[sought->hash >> 60];

	gyre__lock_take(&shard->lock);
	return shard;
}

void gyre__table_leave(struct gyre_mutator *m, struct gyre__shard *shard)
{
	const struct gyre_keys keys = shard->table->keys;

	while (shard->retired != GYRE_NO_ENTRY && shard->readers == 0) {
		void *dead[GYRE_PAGE_ENTRIES];
		unsigned count = 0;

		while (shard->retired != GYRE_NO_ENTRY && count < GYRE_PAGE_ENTRIES) {
			const struct gyre__place place = gyre__place_of(shard, shard->retired);

			dead[count++] = place.page->entries[place.at].key;
			shard->retired = place.page->entries[place.at].next;
			gyre__page_give(m, shard, place);
		}
		gyre__lock_drop(&shard->lock);
		while (count > 0)
			keys.free(keys.arg, dead[--count]);
		gyre__lock_take(&shard->lock);
	}
	gyre__lock_drop(&shard->lock);
}

/* Whether the host says that the two are the same. Drops the lock meanwhile. */
static bool ask(struct gyre__shard *shard, const void *it, const void *other)
{
	const struct gyre_keys *keys = &shard->table->keys;
	bool same;

	shard->readers++;
	gyre__lock_drop(&shard->lock);
	same = keys->equal(keys->arg, it, other);
	gyre__lock_take(&shard->lock);
	shard->readers--;
	return same;
}

/* Whether the entry there, which has the right hash, is the one that is sought. */
static bool is_same(struct gyre_mutator *m, struct gyre__shard *shard, struct gyre__place place,
		    const struct gyre__sought *sought)
{
	const struct gyre__table *table = shard->table;
	const void *key;

	switch (table->sameness) {
	case GYRE_SAME_KEY:
		key = place.page->entries[place.at].key;
		return key == sought->it ||
		       (table->keys.equal != NULL && ask(shard, key, sought->it));
	case GYRE_SAME_EQUAL:
		key = gyre__table_load(m, place);
		return key != NULL && (key == sought->it || ask(shard, key, sought->it));
	default:
		return gyre__cell_address(gyre__cell_at(place)) == (uintptr_t)sought->it;
	}
}

/* Whether the entry of that number is still, or again, the one that had mark for its key or serial
 * before the lock was dropped. */
static bool is_still(struct gyre__shard *shard, uint32_t number, uint64_t mark, uint32_t hash)
{
	const struct gyre__page *page = gyre__page_of(shard, number);
	const struct gyre__entry *entry;

	if (page == NULL || (page->used & 1u << number % GYRE_PAGE_ENTRIES) == 0)
		return false;
	entry = &page->entries[number % GYRE_PAGE_ENTRIES];
	return entry->serial == mark && entry->hash == hash;
}

bool gyre__table_find(struct gyre_mutator *m, struct gyre__shard *shard,
		      const struct gyre__sought *sought, struct gyre__place *place)
{
	uint32_t number = gyre__index_first(shard, (uint32_t)sought->hash), next;
	uint64_t version = shard->version;

	for (; number != GYRE_NO_ENTRY; number = next) {
		const struct gyre__entry *entry = gyre__entry_of(shard, number);
		const uint64_t mark = entry->serial;

		next = entry->next;
		if (entry->hash != (uint32_t)sought->hash)
			continue;
		*place = gyre__place_of(shard, number);
		if (is_same(m, shard, *place, sought) &&
		    (shard->version == version ||
		     is_still(shard, number, mark, (uint32_t)sought->hash))) {
			*place = gyre__place_of(shard, number);
			return true;
		}
		if (shard->version != version) {
			/* The lock was dropped, and the buckets are others now. */
			version = shard->version;
			next = gyre__index_first(shard, (uint32_t)sought->hash);
		}
	}
	return false;
}

void *gyre__table_load(struct gyre_mutator *m, struct gyre__place place)
{
	return gyre_weak_load(m, gyre__cell_at(place));
}

/* Some object with an entry in the page has died. */
static void page_told(struct gyre_mutator *m, void *arg)
{
	struct gyre__page *page = arg;
	struct gyre__shard *shard = page->shard;
	unsigned used;

	gyre__lock_take(&shard->lock);
	page->notices--;
	if (shard->closed) {
		struct gyre__table *table = shard->table;
		bool last = page->notices == 0;

		gyre__lock_drop(&shard->lock);
		if (last) {
			free(page);
			let_go(table);
		}
		return;
	}
	used = page->used;
	if (used == 0)
		gyre__page_settle(m, shard, page);
	/* The page may go with its last entry. */
	for (; used != 0; used &= used - 1) {
		struct gyre__place place = { page, (unsigned)__builtin_ctz(used) };

		if (gyre__cell_address(gyre__cell_at(place)) == 0)
			gyre__table_retire(m, shard, place);
	}
	gyre__table_leave(m, shard);
}

/* Puts the cell of object where an entry is that has none. */
static enum gyre_status fill(struct gyre_mutator *m, struct gyre__place place, const void *object)
{
	struct gyre_weak *cell = gyre_weak_of(m, object);
	uint64_t notice;
	enum gyre_status status;

	if (cell == NULL)
		return GYRE_NO_MEMORY;
	status = gyre_weak_notify(m, cell, page_told, place.page, GYRE_NOTICE_ALWAYS, &notice);
	if (status != GYRE_OK)
		return status;
	place.page->notices++;
	status = gyre_store_exclusive(m, &place.page->cells->items[place.at], cell);
	if (status == GYRE_OK)
		place.page->entries[place.at].notice = notice;
	else if (gyre_weak_unnotify(m, cell, notice) == GYRE_OK)
		place.page->notices--;
	return status;
}

/* The entry will not be told of the death of what was in cell, or that is on its way already. */
static void forget(struct gyre_mutator *m, struct gyre__place place, struct gyre_weak *cell,
		   uint64_t notice)
{
	if (gyre__cell_address(cell) != 0 && gyre_weak_unnotify(m, cell, notice) == GYRE_OK)
		place.page->notices--;
}

enum gyre_status gyre__table_insert(struct gyre_mutator *m, struct gyre__shard *shard,
				    const struct gyre__sought *sought, void *key,
				    const void *object)
{
	struct gyre__place place;
	struct gyre__entry *entry;
	enum gyre_status status;

	if (!gyre__index_ready(shard))
		return GYRE_NO_MEMORY;
	status = gyre__page_take(m, shard, &place);
	if (status != GYRE_OK)
		return status;
	status = fill(m, place, object);
	if (status != GYRE_OK) {
		gyre__page_give(m, shard, place);
		return status;
	}
	entry = &place.page->entries[place.at];
	entry->hash = (uint32_t)sought->hash;
	/* Relaxed: walks and additions of one thread are in order by it, and those of two only
	 * where something else orders them. */
	if (shard->table->sameness == GYRE_SAME_KEY)
		entry->key = key;
	else
		entry->serial =
			atomic_fetch_add_explicit(&shard->table->serial, 1, memory_order_relaxed);
	place.page->used |= (uint16_t)(1u << place.at);
	gyre__index_link(shard, place);
	return GYRE_OK;
}

enum gyre_status gyre__table_replace(struct gyre_mutator *m, struct gyre__shard *shard,
				     struct gyre__place place, const void *object)
{
	struct gyre_weak *old = gyre__cell_at(place);
	const uint64_t notice = place.page->entries[place.at].notice;
	enum gyre_status status;

	(void)shard;
	if (gyre__cell_address(old) == (uintptr_t)object)
		return GYRE_OK;
	status = fill(m, place, object);
	if (status == GYRE_OK)
		forget(m, place, old, notice);
	return status;
}

void gyre__table_retire(struct gyre_mutator *m, struct gyre__shard *shard, struct gyre__place place)
{
	struct gyre__entry *entry = &place.page->entries[place.at];

	gyre__index_unlink(shard, place);
	place.page->used &= (uint16_t) ~(1u << place.at);
	forget(m, place, gyre__cell_at(place), entry->notice);
	/* Refused for want of memory: the cell stays until the next one comes. */
	(void)gyre_store_exclusive(m, &place.page->cells->items[place.at], NULL);
	if (shard->table->keys.free == NULL) {
		gyre__page_give(m, shard, place);
		return;
	}
	entry->next = shard->retired;
	shard->retired = gyre__number_of(place);
}

size_t gyre__table_count(struct gyre__table *table)
{
	size_t count = 0;
	unsigned i;

	if (gyre__heap_is_frozen(table->heap))
		return 0;
	for (i = 0; i < GYRE_TABLE_SHARDS; i++) {
		gyre__lock_take(&table->shards[i].lock);
		count += table->shards[i].count;
		gyre__lock_drop(&table->shards[i].lock);
	}
	return count;
}

bool gyre__table_being_read(struct gyre__table *table)
{
	uint32_t readers = 0;
	unsigned i;

	for (i = 0; i < GYRE_TABLE_SHARDS; i++) {
		gyre__lock_take(&table->shards[i].lock);
		readers += table->shards[i].readers;
		gyre__lock_drop(&table->shards[i].lock);
	}
	return readers > 0;
}

static void retire_all(struct gyre_mutator *m, struct gyre__shard *shard)
{
	uint32_t i;

	gyre__lock_take(&shard->lock);
	for (i = 0; i < shard->pages_count; i++) {
		struct gyre__page *page = shard->pages[i];
		unsigned used = page != NULL ? page->used : 0;

		/* The page may go with its last entry. */
		for (; used != 0; used &= used - 1)
			gyre__table_retire(
				m, shard,
				(struct gyre__place){ page, (unsigned)__builtin_ctz(used) });
	}
	gyre__table_leave(m, shard);
}

/* The shard has no entries any more. Its memory goes, but for pages that will be told. */
static void close_shard(struct gyre__shard *shard)
{
	uint32_t i;

	gyre__lock_take(&shard->lock);
	shard->closed = true;
	for (i = 0; i < shard->pages_count; i++) {
		if (shard->pages[i] == NULL)
			continue;
		/* Relaxed: the caller's own hold keeps it from 0. */
		if (shard->pages[i]->notices > 0)
			atomic_fetch_add_explicit(&shard->table->holders, 1, memory_order_relaxed);
		else
			free(shard->pages[i]);
	}
	free(shard->pages);
	free(shard->buckets);
	gyre__lock_drop(&shard->lock);
}

enum gyre_status gyre__table_close(struct gyre_mutator *m, struct gyre__table *table)
{
	enum gyre_status status = gyre__table_usable(m, table);
	unsigned i;

	if (status == GYRE_OK && gyre__table_being_read(table))
		status = GYRE_BUSY;
	if (status == GYRE_OK)
		status = gyre_root_drop(m, &table->root);
	if (status != GYRE_OK)
		return status;
	for (i = 0; i < GYRE_TABLE_SHARDS; i++) {
		retire_all(m, &table->shards[i]);
		close_shard(&table->shards[i]);
	}
	let_go(table);
	return GYRE_OK;
}

void gyre__walk_begin(struct gyre__walk *walk, struct gyre__table *table)
{
	*walk = (struct gyre__walk){ .table = table };
	/* Relaxed: see gyre__table_insert. */
	walk->serial = atomic_load_explicit(&table->serial, memory_order_relaxed);
}

/* The next entry of the shard whose object lives, from walk->number on. */
static void *next_in_shard(struct gyre_mutator *m, struct gyre__walk *walk,
			   struct gyre__shard *shard)
{
	while (walk->number / GYRE_PAGE_ENTRIES < shard->pages_count) {
		const struct gyre__place place = gyre__place_of(shard, walk->number);
		const struct gyre__entry *entry;
		void *object;

		walk->number++;
		if (place.page == NULL || (place.page->used & 1u << place.at) == 0)
			continue;
		entry = &place.page->entries[place.at];
		if (walk->table->sameness != GYRE_SAME_KEY && entry->serial >= walk->serial)
			continue;
		object = gyre__table_load(m, place);
		if (object == NULL)
			continue;
		if (walk->table->sameness == GYRE_SAME_KEY)
			walk->key = entry->key;
		return object;
	}
	return NULL;
}

void gyre__walk_end(struct gyre_mutator *m, struct gyre__walk *walk)
{
	if (walk->shard == NULL)
		return;
	gyre__lock_take(&walk->shard->lock);
	walk->shard->readers--;
	gyre__table_leave(m, walk->shard);
	walk->shard = NULL;
}

void *gyre__walk_next(struct gyre_mutator *m, struct gyre__walk *walk)
{
	gyre__walk_end(m, walk);
	for (; walk->shard_number < GYRE_TABLE_SHARDS; walk->shard_number++, walk->number = 0) {
		struct gyre__shard *shard = &walk->table->shards[walk->shard_number];
		void *object;

		gyre__lock_take(&shard->lock);
		object = next_in_shard(m, walk, shard);
		if (object != NULL) {
			shard->readers++;
			walk->shard = shard;
			gyre__lock_drop(&shard->lock);
			return object;
		}
		gyre__table_leave(m, shard);
	}
	return NULL;
}
