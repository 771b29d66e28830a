/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qsbr.h: liburcu's QSBR flavour, the wait of a boundary. The only door to liburcu.
 *
 * A safe point that has done its boundary is a quiescent state, a parked thread is offline, and the
 * collector waits for a boundary by a grace period. The grace period is the wait and nothing more:
 * whether a mutator has done its handshake is told by the mutator's own phase word, which also
 * carries the happens-before, so nothing here needs to be understood by ThreadSanitizer.
 *
 * QSBR knows threads, not heaps: its registry is the process's, and a grace period waits for every
 * online thread of the process, whatever heap it is attached to. A thread is quiescent when its
 * safe point takes the slow path only, so whoever waits first raises a bit in the poll word of
 * every thread that gyre has registered, and takes it back afterwards; without that, a thread whose
 * own heap wants nothing of it would hold up the others for ever. The list of those poll words, and
 * the counts of the calling thread, are the only process-wide and thread-local state of gyre; they
 * mirror liburcu's.
 */
#ifndef GYRE_PLATFORM_QSBR_H
#define GYRE_PLATFORM_QSBR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A mutator, as a thread that a grace period may wait for. */
struct gyre__reader {
	_Atomic(uint32_t) *poll;
	uint32_t bit; /* to be raised in poll */
	bool listed;
	void *thread; /* liburcu's record of its thread, while listed */
	struct gyre__reader *next, *previous;
};

/* The calling thread attaches to one more heap, with reader, whose poll and bit are set. host:
 * it is registered by its host (checked anyway). */
void gyre__qsbr_attach(struct gyre__reader *reader, bool host);
/* It detaches from one heap. */
void gyre__qsbr_detach(struct gyre__reader *reader);
/*
 * One of its mutators parks: the thread is offline until it has unparked in all heaps, for it may
 * block now. Another heap in which it is not parked learns from its phase word that it is still to
 * come.
 */
void gyre__qsbr_park(void);
void gyre__qsbr_unpark(void);
/* It is at a safe point. */
void gyre__qsbr_quiescent(void);
/* The collector waits until every online thread of the process has been quiescent once. */
void gyre__qsbr_wait(void);
/* In the child of a fork, on its only thread, before it starts or registers another: the others are
 * in no list any more. */
void gyre__qsbr_fork_child(void);
/*
 * One heap of the process at a time brings its mutators to rest: two that share threads would each
 * hold what the other waits for.
 */
void gyre__stop_begin(void);
void gyre__stop_end(void);

#endif
