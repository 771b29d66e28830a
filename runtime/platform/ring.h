/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h: a bounded queue of chunks between one mutator and the collector, by Concurrency Kit's
 * single-producer single-consumer ring.
 *
 * Invariant: at any time one thread is the producer and one the consumer. The collector takes the
 * mutator's side while it has claimed a parked mutator; the claim is the hand-over. CK's ring works
 * by inline assembly, so ThreadSanitizer is kept from its insides and told of the hand-over of each
 * chunk instead.
 */
#ifndef GYRE_PLATFORM_RING_H
#define GYRE_PLATFORM_RING_H

#include <ck_ring.h>
#include <stdbool.h>

#include "platform/tsan.h"
#include "platform/yield.h"

#define GYRE_RING_SLOTS 16 /* a power of two; the ring holds one less */

struct gyre__ring {
	ck_ring_t ring;
	ck_ring_buffer_t slots[GYRE_RING_SLOTS];
};

static inline void gyre__ring_init(struct gyre__ring *ring)
{
	ck_ring_init(&ring->ring, GYRE_RING_SLOTS);
}

/* False when the ring is full. */
static inline bool gyre__ring_put(struct gyre__ring *ring, void *item)
{
	bool done;

	GYRE_YIELD("put", ring);
	/* Pairs with the acquire in gyre__ring_take: the item's contents travel with it. */
	GYRE_TSAN_RELEASE(item);
	GYRE_TSAN_IGNORE_BEGIN();
	done = ck_ring_enqueue_spsc(&ring->ring, ring->slots, item);
	GYRE_TSAN_IGNORE_END();
	return done;
}

/* NULL when the ring is empty. */
static inline void *gyre__ring_take(struct gyre__ring *ring)
{
	void *item = NULL;
	bool found;

	GYRE_YIELD("take", ring);
	GYRE_TSAN_IGNORE_BEGIN();
	found = ck_ring_dequeue_spsc(&ring->ring, ring->slots, &item);
	GYRE_TSAN_IGNORE_END();
	if (!found)
		return NULL;
	GYRE_TSAN_ACQUIRE(item);
	return item;
}

#endif
