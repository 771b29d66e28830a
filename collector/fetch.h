/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch.h: walks over many objects that the cache does not hold. The word of an object is asked for
 * some objects before it is used, so that the misses of one walk overlap. Collector thread.
 *
 * A walk over the references of many objects passes them through a queue: what comes out was
 * fetched GYRE_AHEAD references ago. The order in which they are used stays that in which they were
 * met.
 *
 * Functions that do nothing but fetch are inlined by force: the compiler (gcc 12) takes them to be
 * without effect, and leaves their calls out.
 */
#ifndef GYRE_COLLECTOR_FETCH_H
#define GYRE_COLLECTOR_FETCH_H

#include "edge.h"

#define GYRE_AHEAD 16
/* Of a set with no more members than this nothing is fetched: the cache has them. */
#define GYRE_FETCH_LEAST 64

#define GYRE_FETCHES static inline __attribute__((always_inline)) void

struct gyre__fetching {
	void (*use)(void *arg, void *child);
	void *arg;
	unsigned at;
	void *queue[GYRE_AHEAD];
};

/* A visitor of references: queues child, and uses what has waited long enough. */
static inline void gyre__fetch(void *fetching, void *child)
{
	struct gyre__fetching *f = fetching;
	void *ripe = f->queue[f->at];

	__builtin_prefetch(gyre__word_of(child), 1);
	f->queue[f->at] = child;
	f->at = (f->at + 1) % GYRE_AHEAD;
	if (ripe != NULL)
		f->use(f->arg, ripe);
}

/* Uses all that is queued. */
static inline void gyre__fetch_rest(struct gyre__fetching *f)
{
	unsigned i;

	for (i = 0; i < GYRE_AHEAD; i++) {
		void *ripe = f->queue[f->at];

		f->queue[f->at] = NULL;
		f->at = (f->at + 1) % GYRE_AHEAD;
		if (ripe != NULL)
			f->use(f->arg, ripe);
	}
}

/* The word of the item that comes GYRE_AHEAD items after the one at i, of count. */
GYRE_FETCHES gyre__fetch_word(void *const *items, size_t i, size_t count)
{
	if (i + GYRE_AHEAD < count)
		__builtin_prefetch(gyre__word_of(items[i + GYRE_AHEAD]), 1);
}

/* And its slots. */
GYRE_FETCHES gyre__fetch_object(void *const *items, size_t i, size_t count)
{
	if (i + GYRE_AHEAD < count) {
		__builtin_prefetch(items[i + GYRE_AHEAD]);
		__builtin_prefetch(gyre__word_of(items[i + GYRE_AHEAD]), 1);
	}
}

#endif
