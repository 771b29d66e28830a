/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wait.h: every wait of gyre: locks, events, the time. Any thread.
 *
 * Nothing else in gyre blocks, so a scheduler that stands in for this file (and qsbr.h) can run
 * mutators and collector as coroutines on one thread. A lock is held for a few dozen instructions
 * and never while waiting for anything else but its own event; the order in which locks nest is
 * ends, registry, roots, slabs, chunks; the others are leaves.
 *
 * No wait is a point at which POSIX cancels a thread: one that is cancelled while it waits would
 * leave a lock held, or its stack to a collector that writes there. A cancellation takes effect
 * after the call of gyre, or in a function of the host's.
 */
#ifndef GYRE_PLATFORM_WAIT_H
#define GYRE_PLATFORM_WAIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define GYRE_FOREVER UINT64_MAX

#ifdef GYRE_SIM
/* In the simulation threads are coroutines of one thread; NULL: free. */
struct gyre__lock {
	const void *owner;
};
#else
struct gyre__lock {
	pthread_mutex_t mutex;
};
#endif

/* A condition that is waited for with its lock held and re-checked after each wake-up. */
struct gyre__event {
	pthread_cond_t condition;
};

/* A descriptor that the host can poll: readable while the bell rings. */
struct gyre__bell {
	int fd; /* -1: the bell was not made */
	bool rings;
};

/* Brackets round what would be such a point, wait.c's own or others; they nest. */
int gyre__uncancelled(void);
void gyre__cancelled_as(int before);

bool gyre__bell_init(struct gyre__bell *bell);
void gyre__bell_destroy(struct gyre__bell *bell);
/* With a lock of the caller's held. */
void gyre__bell_ring(struct gyre__bell *bell);
void gyre__bell_stop(struct gyre__bell *bell);

bool gyre__lock_init(struct gyre__lock *lock);
void gyre__lock_destroy(struct gyre__lock *lock);
void gyre__lock_take(struct gyre__lock *lock);
void gyre__lock_drop(struct gyre__lock *lock);

bool gyre__event_init(struct gyre__event *event);
void gyre__event_destroy(struct gyre__event *event);
/* Waits for a signal, for at most timeout_ns. May wake without cause. False on timeout. */
bool gyre__event_wait(struct gyre__event *event, struct gyre__lock *lock, uint64_t timeout_ns);
void gyre__event_signal(struct gyre__event *event); /* wakes all who wait */

/* Nanoseconds of a clock that never goes back. About 20 ns: not on a fast path. */
uint64_t gyre__now_ns(void);
/* CPU time of the calling thread. */
uint64_t gyre__cpu_ns(void);
/* Sleeps; for a wait that has no event to wait for. */
void gyre__pause_ns(uint64_t ns);

#endif
