/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.h: a hash table of objects that are held weakly and shed by themselves; what the weak map,
 * the weak set and the ephemeron map are made of. Any attached thread.
 *
 * The table has 16 shards, by the upper bits of the hash, each with a lock of its own. Entries lie
 * in pages of 16, which never move: an entry has a number for life. A page is C memory (keys,
 * hashes, notices), and an object of the heap (the slots that hold the weak cells). A root holds an
 * object with a directory for each shard, a directory its shard's objects of slots; none of them
 * can be part of a cycle, and the collector never traces them. Buckets are lists of entries by
 * number, and grow and shrink one at a time (linear hashing), so no call pays for a whole table.
 *
 * How entries go: each has a notice registered at the cell of its object, with the *page* for its
 * argument; the call looks at the 16 cells of the page and retires the entries of those that are
 * null. So a call that comes late, or for an entry that was replaced, finds nothing to do and does
 * no harm. A page lives until the last of its notices was called or taken back, also when the table
 * is gone; the last page takes the table's memory with it.
 *
 * A function of the host's runs without a lock. Meanwhile its caller is a *reader* of the shard: a
 * key that is retired while there are readers waits in the shard's list of *retired* entries until
 * there are none. Each change to the buckets of a shard changes its version, so find knows whether
 * what it saw before the lock was dropped still holds.
 *
 * Invariants, with the lock held: an entry is vacant, used (and in one bucket), or retired (and in
 * the list); the cell of a used entry is in its slot; page->notices are the notices of the page
 * that are registered and whose call has not begun; slots of these objects are written with the
 * lock only.
 */
#ifndef GYRE_COLLECTIONS_TABLE_H
#define GYRE_COLLECTIONS_TABLE_H

#include <gyre/collections.h>
#include <gyre/weak.h>
#include <stdatomic.h>

#include "platform/wait.h"

#define GYRE_PAGE_ENTRIES 16
#define GYRE_TABLE_SHARDS 16
#define GYRE_NO_ENTRY UINT32_MAX

struct gyre__entry {
	union {
		void *key;
		uint64_t serial; /* of tables without keys: when it was added */
	};                       /* either way all that tells this use of the entry from another */
	uint64_t notice;
	uint32_t hash; /* the lower bits; all entries of a shard have the same upper ones */
	uint32_t next; /* in the bucket, or in the list of retired ones */
};

/* The objects of the heap. */
struct gyre__cells {
	gyre_ref items[GYRE_PAGE_ENTRIES]; /* weak cells */
};

struct gyre__directory {
	size_t length;
	gyre_ref items[]; /* struct gyre__cells, by number of the page */
};

struct gyre__directories {
	gyre_ref items[GYRE_TABLE_SHARDS];
};

struct gyre__page {
	struct gyre__shard *shard;
	struct gyre__cells *cells;
	struct gyre__page *next, *previous; /* of the pages with vacant entries */
	uint32_t number;
	uint32_t notices;
	uint16_t used, vacant; /* by bit */
	struct gyre__entry entries[GYRE_PAGE_ENTRIES];
};

struct gyre__shard {
	struct gyre__lock lock;
	struct gyre__table *table;
	uint32_t *buckets; /* the first entries */
	uint32_t buckets_count, buckets_capacity, mask;
	uint32_t count; /* used entries */
	uint32_t readers;
	uint32_t retired;
	uint64_t version;
	struct gyre__page **pages; /* by number; NULL: none */
	uint32_t pages_count, pages_capacity;
	uint32_t hole; /* no page below is missing */
	struct gyre__page *vacant;
	bool closed;
} __attribute__((aligned(64)));

/* When entries are the same. */
enum gyre__sameness {
	GYRE_SAME_KEY,    /* by the host's functions, or by the pointer */
	GYRE_SAME_EQUAL,  /* objects, by the host's functions */
	GYRE_SAME_OBJECT, /* one object */
};

struct gyre__table {
	struct gyre_heap *heap;
	enum gyre__sameness sameness;
	struct gyre_keys keys;
	const struct gyre_type *cells_type, *directory_type;
	struct gyre_root root;
	/* What it holds, until the next safe point after close. */
	struct gyre__directories *all;
	_Atomic(uint64_t) serial;
	/* The pages with notices that are still to be called after close, and 1 for the opener. */
	_Atomic(uint32_t) holders;
	struct gyre__shard shards[GYRE_TABLE_SHARDS];
};

/* Where an entry lies. Valid as long as the lock is held. */
struct gyre__place {
	struct gyre__page *page;
	unsigned at;
};

/* What is looked for: a key or an object, and its hash. */
struct gyre__sought {
	const void *it;
	uint64_t hash;
};

enum gyre_status gyre__table_open(struct gyre_mutator *m, enum gyre__sameness sameness,
				  const struct gyre_keys *keys, struct gyre__table **table);
enum gyre_status gyre__table_close(struct gyre_mutator *m, struct gyre__table *table);

/* Whether a walk, or a function of the host's, is under way. */
bool gyre__table_being_read(struct gyre__table *table);

/* GYRE_OK, GYRE_INVALID, GYRE_FROZEN: whether m may use the table (NULL: no). */
enum gyre_status gyre__table_usable(const struct gyre_mutator *m, const struct gyre__table *table);

/* Calls the host's hash, and mixes what it says. */
struct gyre__sought gyre__table_seek(const struct gyre__table *table, const void *it);

/* Takes the lock of the shard in which it is, or would be. */
struct gyre__shard *gyre__table_enter(struct gyre__table *table, const struct gyre__sought *sought);
/* Drops the lock; frees what keys there are to be freed, without it. */
void gyre__table_leave(struct gyre_mutator *m, struct gyre__shard *shard);

/* With the lock held. find may drop it for a while; no other call does. */
bool gyre__table_find(struct gyre_mutator *m, struct gyre__shard *shard,
		      const struct gyre__sought *sought, struct gyre__place *place);
/* The object there, or NULL if it is dead. */
void *gyre__table_load(struct gyre_mutator *m, struct gyre__place place);
/* An entry for object, which has none. */
enum gyre_status gyre__table_insert(struct gyre_mutator *m, struct gyre__shard *shard,
				    const struct gyre__sought *sought, void *key,
				    const void *object);
/* Another object for an entry. */
enum gyre_status gyre__table_replace(struct gyre_mutator *m, struct gyre__shard *shard,
				     struct gyre__place place, const void *object);
void gyre__table_retire(struct gyre_mutator *m, struct gyre__shard *shard,
			struct gyre__place place);

size_t gyre__table_count(struct gyre__table *table);

/*
 * A walk over all entries. next returns the next object, or NULL at the end; between two calls no
 * lock is held, and the walk is a reader of the shard of place. end may be called early.
 */
struct gyre__walk {
	struct gyre__table *table;
	struct gyre__shard *shard; /* read now; or NULL */
	unsigned shard_number;
	uint32_t number; /* of the entry to be looked at next */
	uint64_t serial;
	const void *key;
};

void gyre__walk_begin(struct gyre__walk *walk, struct gyre__table *table);
void *gyre__walk_next(struct gyre_mutator *m, struct gyre__walk *walk);
void gyre__walk_end(struct gyre_mutator *m, struct gyre__walk *walk);

/* Of the parts of a table (pages.c, index.c), with the lock held. */

static inline struct gyre__page *gyre__page_of(const struct gyre__shard *shard, uint32_t number)
{
	number /= GYRE_PAGE_ENTRIES;
	return number < shard->pages_count ? shard->pages[number] : NULL;
}

static inline struct gyre__place gyre__place_of(const struct gyre__shard *shard, uint32_t number)
{
	return (struct gyre__place){ gyre__page_of(shard, number), number % GYRE_PAGE_ENTRIES };
}

static inline struct gyre__entry *gyre__entry_of(const struct gyre__shard *shard, uint32_t number)
{
	return &gyre__page_of(shard, number)->entries[number % GYRE_PAGE_ENTRIES];
}

static inline uint32_t gyre__number_of(struct gyre__place place)
{
	return place.page->number * GYRE_PAGE_ENTRIES + place.at;
}

static inline struct gyre_weak *gyre__cell_at(struct gyre__place place)
{
	return gyre_load(&place.page->cells->items[place.at]);
}

/* The address in a cell, or 0 once it was cleared; looking at it is no load, and keeps nothing. */
static inline uintptr_t gyre__cell_address(const struct gyre_weak *cell)
{
	/* Relaxed: it is compared only. */
	return atomic_load_explicit(&cell->word, memory_order_relaxed) & ~GYRE_WEAK_MARKS;
}

/* A vacant entry, which is the caller's now: neither vacant nor used. */
enum gyre_status gyre__page_take(struct gyre_mutator *m, struct gyre__shard *shard,
				 struct gyre__place *place);
/* It is vacant again. May free its page. */
void gyre__page_give(struct gyre_mutator *m, struct gyre__shard *shard, struct gyre__place place);
/* Frees the page, if nothing is in it, nothing will be told to it, and there are others. */
void gyre__page_settle(struct gyre_mutator *m, struct gyre__shard *shard, struct gyre__page *page);

/* Room for a first bucket. */
bool gyre__index_ready(struct gyre__shard *shard);
uint32_t gyre__index_first(const struct gyre__shard *shard, uint32_t hash);
void gyre__index_link(struct gyre__shard *shard, struct gyre__place place);
void gyre__index_unlink(struct gyre__shard *shard, struct gyre__place place);

#endif
