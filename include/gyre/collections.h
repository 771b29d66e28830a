/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * collections.h: collections that do not keep alive what is in them.
 *
 *   gyre_weakmap    keys of the host's to objects held weakly: a cache
 *   gyre_weakset    objects held weakly: listeners, or a table of unique objects
 *   gyre_ephemeron  objects held weakly to objects that live because of them: what one part of a
 *                   program adds to the objects of another
 *
 * An entry whose object has died is never seen again, and goes by itself: when the object's weak
 * cell was cleared, wherever the heap runs finalizers (finalize.h); a call that meets it first
 * takes it away, too. In a heap of the host's (GYRE_FINALIZE_HOST) nothing goes by itself before
 * the host calls gyre_finalize_next.
 *
 * A collection is a C structure of one heap. Any attached threads may use it at once, each with its
 * own m; only close wants it alone. None of the calls is a safe point by itself, but a visitor may
 * reach some; each takes a lock for a few dozen instructions, none while a function of the host's
 * runs. An object that a call returns is valid until the calling thread's next safe point, as if it
 * had been loaded from a slot. In the child of a fork they return GYRE_FROZEN, NULL, false or 0.
 *
 * A collection must be closed before its heap is: what it has of malloc is lost otherwise. Its
 * entries count against the limit of the heap (docs/embedding.md has the bytes).
 */
#ifndef GYRE_COLLECTIONS_H
#define GYRE_COLLECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gyre/mutator.h>
#include <gyre/status.h>

/*
 * What keys are, or when two objects are the same. The functions get arg first, are called on any
 * thread that uses the collection (free also where finalizers run), with no lock of gyre held; they
 * may take locks, and read objects, and must not reach a safe point nor use the collection. hash
 * must answer the same for equal keys, and always the same for one key; it need not be a good one,
 * as gyre mixes its bits.
 */
struct gyre_keys {
	uint64_t (*hash)(void *arg, const void *key);
	bool (*equal)(void *arg, const void *key, const void *other);
	void (*free)(void *arg, void *key); /* NULL: nobody frees keys */
	void *arg;
};

/*
 * The weak map. A key is a pointer of the host's (not an object of the heap), which the map owns
 * from put on, until it frees it; so it must not lie in the value, which may die first. A value is
 * an object, held weakly.
 */
struct gyre_weakmap;

/*
 * Opens a map. keys is copied; hash and equal both NULL: keys are equal when they are the same
 * pointer. GYRE_INVALID: only one of them is NULL. GYRE_NO_MEMORY, GYRE_JOURNAL_FULL, GYRE_LIMIT
 * (types), GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_weakmap_open(struct gyre_mutator *m, const struct gyre_keys *keys,
					    struct gyre_weakmap **map);

/*
 * Ends the map and frees all keys, on the calling thread; the values are not touched. No other
 * thread may use it any more. On an error the map stays as it is. GYRE_BUSY: a walk is under way.
 * GYRE_NO_MEMORY, GYRE_JOURNAL_FULL, GYRE_INVALID, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_weakmap_close(struct gyre_mutator *m, struct gyre_weakmap *map);

/* The object at key, or NULL. */
GYRE_API void *gyre_weakmap_get(struct gyre_mutator *m, struct gyre_weakmap *map, const void *key);

/*
 * Puts value at key, for what was there. If there is an entry of an equal key already, that key
 * stays and this one is freed. On an error nothing was put, and key is the caller's still.
 * GYRE_NO_MEMORY, GYRE_JOURNAL_FULL, GYRE_NO_THREAD (the finalizer thread could not be started),
 * GYRE_LIMIT (billions of entries), GYRE_INVALID (value is NULL), GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_weakmap_put(struct gyre_mutator *m, struct gyre_weakmap *map,
					   void *key, const void *value);

/*
 * The same if there is no object at key. *winner is the object that is there then: value, or the
 * one that was there, and key is freed. Of several threads that do this at once with equal keys,
 * one wins, and all are given its value. Errors as for put; *winner is NULL then.
 */
GYRE_API enum gyre_status gyre_weakmap_put_if_absent(struct gyre_mutator *m,
						     struct gyre_weakmap *map, void *key,
						     const void *value, void **winner);

/* Takes the entry of key out, frees the entry's own key, and returns its object, or NULL if there
 * was none. */
GYRE_API void *gyre_weakmap_remove(struct gyre_mutator *m, struct gyre_weakmap *map,
				   const void *key);

/* The number of entries, with those whose objects are dead and that have not gone yet. */
GYRE_API size_t gyre_weakmap_count(struct gyre_weakmap *map);

/*
 * Calls visit(m, key, value, arg) for each entry, until one returns false. visit may reach safe
 * points (the value is kept meanwhile), and change the map; so may other threads. An entry that is
 * there during the whole walk is visited once; one that is put meanwhile is visited or not; one
 * that is removed before its turn is not. key is valid during the call, also if its entry is
 * removed. A visit that never returns (by longjmp, or as its thread ends) keeps the map from being
 * closed, and removed keys from being freed. GYRE_INVALID, GYRE_FROZEN.
 */
typedef bool (*gyre_weakmap_visit_fn)(struct gyre_mutator *m, const void *key, void *value,
				      void *arg);
GYRE_API enum gyre_status gyre_weakmap_each(struct gyre_mutator *m, struct gyre_weakmap *map,
					    gyre_weakmap_visit_fn visit, void *arg);

/* The weak set. */
struct gyre_weakset;

/*
 * Opens a set. by NULL: objects are the same when they are one object. Else they are the same when
 * by->equal says so of two of them (it may load from their slots, and must not store), and by->hash
 * is asked once for each call and remembered for each member; what they look at must not change
 * while an object is in the set. GYRE_INVALID: by has a function to free, or not both of the
 * others. Else as for gyre_weakmap_open.
 */
GYRE_API enum gyre_status gyre_weakset_open(struct gyre_mutator *m, const struct gyre_keys *by,
					    struct gyre_weakset **set);

/* Ends the set. Otherwise as gyre_weakmap_close. */
GYRE_API enum gyre_status gyre_weakset_close(struct gyre_mutator *m, struct gyre_weakset *set);

/*
 * Adds object, if none that is the same is there. *member (may be NULL) is the one that is there
 * then. Errors as for gyre_weakmap_put; *member is NULL then.
 */
GYRE_API enum gyre_status gyre_weakset_add(struct gyre_mutator *m, struct gyre_weakset *set,
					   const void *object, void **member);

/* The member that is the same as object, or NULL. */
GYRE_API void *gyre_weakset_find(struct gyre_mutator *m, struct gyre_weakset *set,
				 const void *object);

/* Whether there is one. */
GYRE_API bool gyre_weakset_contains(struct gyre_mutator *m, struct gyre_weakset *set,
				    const void *object);

/* Takes the member that is the same as object out. Whether there was one. */
GYRE_API bool gyre_weakset_remove(struct gyre_mutator *m, struct gyre_weakset *set,
				  const void *object);

/* The number of members, with those that are dead and have not gone yet. */
GYRE_API size_t gyre_weakset_count(struct gyre_weakset *set);

/*
 * Calls visit(m, object, arg) for each member, until one returns false. visit may reach safe points
 * (the object is kept meanwhile), and change the set; so may other threads. An object that is a
 * member during the whole walk is visited once; one that is added after its beginning, or again
 * after it was removed, is not visited; one that is removed before its turn is not. In no order.
 * A visit that never returns keeps the set from being closed. GYRE_INVALID, GYRE_FROZEN.
 */
typedef bool (*gyre_weakset_visit_fn)(struct gyre_mutator *m, void *object, void *arg);
GYRE_API enum gyre_status gyre_weakset_each(struct gyre_mutator *m, struct gyre_weakset *set,
					    gyre_weakset_visit_fn visit, void *arg);

/*
 * The ephemeron map. Keys are objects, each for itself, held weakly; a value is an object that the
 * key keeps alive, as if the key had a slot for it in each map, and that the map does not: an entry
 * lives as long as its key, whatever the value refers to, the key itself included.
 *
 * One thing is as it would be with such a slot, and not as theory would have it: a value lives as
 * long as its key even when nobody can ask for it any more, because the map itself can be reached
 * from nothing but the value (a finalizer of the value closes the map, say). Close maps.
 */
struct gyre_ephemeron;

/* Opens a map. As gyre_weakmap_open. */
GYRE_API enum gyre_status gyre_ephemeron_open(struct gyre_mutator *m, struct gyre_ephemeron **map);

/*
 * Takes all entries out and ends the map. No other thread may use it any more. GYRE_NO_MEMORY,
 * GYRE_JOURNAL_FULL: it stays open, with fewer entries; call again after a safe point. GYRE_BUSY: a
 * walk is under way. GYRE_INVALID, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_ephemeron_close(struct gyre_mutator *m, struct gyre_ephemeron *map);

/* The value of key, or NULL. */
GYRE_API void *gyre_ephemeron_get(struct gyre_mutator *m, struct gyre_ephemeron *map,
				  const void *key);

/* Gives key the value, for the one it had. Errors as for gyre_weakmap_put; nothing was put then. */
GYRE_API enum gyre_status gyre_ephemeron_put(struct gyre_mutator *m, struct gyre_ephemeron *map,
					     const void *key, const void *value);

/*
 * Takes the value of key away. *old (may be NULL) is what it was, or NULL. GYRE_OK also if there
 * was none. GYRE_NO_MEMORY, GYRE_JOURNAL_FULL: it is still there. GYRE_INVALID, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_ephemeron_remove(struct gyre_mutator *m, struct gyre_ephemeron *map,
						const void *key, void **old);

/* The number of entries, with those whose keys are dead and that have not gone yet. */
GYRE_API size_t gyre_ephemeron_count(struct gyre_ephemeron *map);

/*
 * Calls visit(m, key, value, arg) for each entry, until one returns false. As gyre_weakset_each,
 * with key and value kept meanwhile.
 */
typedef bool (*gyre_ephemeron_visit_fn)(struct gyre_mutator *m, void *key, void *value, void *arg);
GYRE_API enum gyre_status gyre_ephemeron_each(struct gyre_mutator *m, struct gyre_ephemeron *map,
					      gyre_ephemeron_visit_fn visit, void *arg);

#endif
