/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qsbr.h: liburcu's QSBR flavour, the wait of a boundary. The only door to liburcu.
 *
 * A safe point that has done its boundary is a quiescent state, a parked thread is offline, and the
 * collector waits for a boundary by a grace period. The grace period is the wait and nothing more:
 * whether a mutator has done its boundary is told by the mutator's own epoch word, which also
 * carries the happens-before, so nothing here needs to be understood by ThreadSanitizer.
 *
 * QSBR knows threads, not heaps, and its registry is the process's. A thread may be attached to
 * several heaps, so the state below counts per thread. It is the one thread-local state of gyre, as
 * it mirrors a thread-local state of liburcu.
 */
#ifndef GYRE_PLATFORM_QSBR_H
#define GYRE_PLATFORM_QSBR_H

#include <stdbool.h>

/* The calling thread attaches to one more heap. host: it is registered by its host (checked anyway). */
void gyre__qsbr_attach(bool host);
/* It detaches from one heap. */
void gyre__qsbr_detach(void);
/*
 * One of its mutators parks: the thread is offline until it has unparked in all heaps, for it may block
 * now. Another heap in which it is not parked learns from its epoch word that it is still to come.
 */
void gyre__qsbr_park(void);
void gyre__qsbr_unpark(void);
/* It has done a boundary. */
void gyre__qsbr_quiescent(void);
/* The collector waits until every online thread of the process has been quiescent once. */
void gyre__qsbr_wait(void);
/* The calling thread is registered by someone other than gyre. For tests. */
bool gyre__qsbr_is_host(void);

#endif
