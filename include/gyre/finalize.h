/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * finalize.h: where finalizers and callbacks of weak cells run.
 *
 * A type may declare a finalizer (type.h). When a set of objects has been found dead, its weak
 * cells are cleared, then the callbacks of those are called, then the finalizers of its members, an
 * owner before what only it reaches, in no promised order within a cycle; and nothing that a
 * finalizer can reach is freed before the last of them has returned. That is a batch. What a
 * finalizer makes reachable again survives, with all that it reaches, and nothing else does. Each
 * finalizer runs once in an object's life, unless gyre_finalizer_rearm asks for another run.
 *
 * Batches run on a thread of gyre's own, which is started when the first type with a finalizer or
 * the first callback is registered; or, in a heap that is opened with GYRE_FINALIZE_HOST, wherever
 * the host calls gyre_finalize_next. No thread that runs a batch is delayed by back-pressure.
 *
 * Source of the semantics: PEP 442, "Safe object finalization".
 */
#ifndef GYRE_FINALIZE_H
#define GYRE_FINALIZE_H

#include <stdint.h>

#include <gyre/heap.h>
#include <gyre/mutator.h>
#include <gyre/status.h>

/*
 * Runs the oldest batch that waits, on the calling thread; *ran (if not NULL) is the number of
 * callbacks and finalizers in it, 0 if none waited. A safe point, also between any two of them. May
 * be called in any heap and from several threads at once, also from a finalizer. A thread that ends
 * within a finalizer leaves the rest of the batch to whoever comes next (a thread of gyre's own
 * must not be ended so: nobody would come). GYRE_PARKED, GYRE_FROZEN, GYRE_INVALID.
 */
GYRE_API enum gyre_status gyre_finalize_next(struct gyre_mutator *m, uint64_t *ran);

/*
 * A descriptor that is readable while a batch waits, for poll and the like; it must not be read,
 * written or closed. It is the heap's, and open until the heap is closed. -1 in a heap that was not
 * opened with GYRE_FINALIZE_HOST. Any thread.
 */
GYRE_API int gyre_finalize_fd(struct gyre_heap *heap);

/*
 * Returns when no batch waits or runs: right after gyre_collect, when the finalizers of all that
 * was garbage at that call have run. A second gyre_collect then reclaims what they did not bring
 * back. A safe point; in a heap with a finalizer thread the calling thread is parked meanwhile, in
 * one of the host it runs the batches itself. GYRE_BUSY: called from a finalizer or callback.
 * GYRE_PARKED, GYRE_FROZEN, GYRE_INVALID.
 */
GYRE_API enum gyre_status gyre_finalize_wait(struct gyre_mutator *m);

/*
 * The finalizer of object, which has run or waits to, is to run again when the object dies next.
 * Does nothing if the object was never found dead. Takes a lock; not a safe point. GYRE_INVALID:
 * its type has none. GYRE_NO_MEMORY, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_finalizer_rearm(struct gyre_mutator *m, const void *object);

#endif
