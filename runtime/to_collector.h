/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * to_collector.h: what runtime/ asks of collector/, which implements it. runtime includes no header
 * of the collector, so this is the whole dependency in that direction.
 */
#ifndef GYRE_TO_COLLECTOR_H
#define GYRE_TO_COLLECTOR_H

#include <gyre/heap.h>
#include <stdbool.h>
#include <stdint.h>

struct gyre_heap;
struct gyre_mutator;
struct gyre__collector;

/* Makes the collector of a heap and starts its threads. */
enum gyre_status gyre__collector_start(struct gyre_heap *heap);
/* Stops and joins them, and releases what the collector holds of its own. No mutator is
 * attached. */
void gyre__collector_stop(struct gyre_heap *heap);

/* There is enough work for a boundary. Any thread; cheap. */
void gyre__collector_wake(struct gyre_heap *heap);
/* Waits for a full collection that begins after the call. The caller's mutators are parked. */
enum gyre_status gyre__collector_collect(struct gyre_heap *heap);
/* Waits for a verification. The caller's mutators are parked. */
enum gyre_status gyre__collector_verify(struct gyre_heap *heap, struct gyre_verify_report *report,
					gyre_verify_fn found, void *arg);

/*
 * Has errand(c, arg) done by the collector thread, between two cycles: no object is freed
 * meanwhile, and each slot can be read as it was at the last boundary. Waits for it, and for
 * errands of others before it. The caller's mutators are parked, or the boundary before the errand
 * would wait for them for ever.
 */
typedef void gyre__errand_fn(struct gyre__collector *c, void *arg);
void gyre__collector_errand(struct gyre_heap *heap, gyre__errand_fn *errand, void *arg);

/* Clears all weak cells of the heap and queues the callbacks and finalizers that are still owed,
 * as the heap is about to be closed. The caller's mutator is parked. GYRE_NO_MEMORY:
 * some were left out. */
enum gyre_status gyre__collector_end_all(struct gyre_heap *heap);
/* Logs what is left in the heap, by type. The caller's mutator is parked. */
void gyre__collector_report(struct gyre_heap *heap);

/* Holds the collector still, outside any step of its work, until it is let go. */
void gyre__collector_hold(struct gyre_heap *heap);
void gyre__collector_let_go(struct gyre_heap *heap);

#endif
