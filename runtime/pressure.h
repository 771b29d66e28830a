/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pressure.h: back-pressure, as mutators feel it.
 *
 * The debt is what mutators have allocated and journalled since the last boundary: a collector that
 * keeps up opens a boundary each epoch_bytes, or more where much is alive. Up to DEBT_FREE epochs
 * of debt nothing happens, from there to DEBT_FULL the delay of a safe point grows in proportion to
 * delay_ns. The same goes for the journals, between a quarter of their limit and the limit. A far
 * pass that cannot keep up with the growth of the heap delays likewise. A delayed thread is parked,
 * so the boundary that relieves it never waits for it; and the delay is bounded, so a thread that
 * never reaches a safe point cannot stop the others.
 */
#ifndef GYRE_PRESSURE_H
#define GYRE_PRESSURE_H

#include <stddef.h>
#include <stdint.h>

struct gyre_heap;
struct gyre_mutator;

/* m has taken bytes more. Wakes the collector when that makes an epoch's worth, and marks m for
 * its next safe point when there is debt. Slow paths of m. */
void gyre__pressure_add(struct gyre_mutator *m, size_t bytes);

/* m has taken bytes of journal. */
void gyre__pressure_journal(struct gyre_mutator *m, size_t bytes);

/* Bytes that call for a boundary: epoch_bytes, or more where much is alive (pace.c). */
size_t gyre__pressure_epoch(struct gyre_heap *heap);

/* How long a safe point should be delayed now. */
uint64_t gyre__pressure_delay_ns(struct gyre_heap *heap);

/* Delays the calling thread, whose m is parked, until relief or for ns. */
void gyre__pressure_wait(struct gyre_heap *heap, uint64_t ns);

/* Collector: a boundary is complete; the debt begins anew. */
void gyre__pressure_boundary(struct gyre_heap *heap);
/* Collector: it does something that reclaims nothing, for longer than an epoch may take: volume
 * allocated meanwhile calls for no delay. In a heap with a limit it does as ever, for there delays
 * are what keeps allocations from being refused. */
void gyre__pressure_pardon(struct gyre_heap *heap);
/* Collector: an epoch has been processed, journals were given back. */
void gyre__pressure_relieve(struct gyre_heap *heap);

#endif
