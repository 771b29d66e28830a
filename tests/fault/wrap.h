/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wrap.h: what the library asks of the system, answered by the test. Any thread.
 *
 * The linker sends every call of the static library (and of the test) that can be refused here
 * first: memory, mappings, threads, thread-specific data, and the clock. Calls are numbered by the
 * role of the thread that makes them, so that number n is the same call in every run as far as
 * threads let it be. All that is got and given back is counted, so that what is kept can be told.
 *
 * Invariant: what is refused has not been done, and sets errno as the system would.
 */
#ifndef GYRE_TESTS_WRAP_H
#define GYRE_TESTS_WRAP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Who calls. The library's own threads have the first two, as nobody tells them otherwise: a
 * finalizer thread is known by its name. */
enum wrap_role { WRAP_COLLECTOR, WRAP_FINALIZER, WRAP_MAIN, WRAP_SECOND, WRAP_TEST, WRAP_ROLES };

extern _Thread_local enum wrap_role wrap_role;

/* From now on the calls number first to first + count - 1 of role are refused; first 1 is the
 * next. */
void wrap_refuse(enum wrap_role role, unsigned first, unsigned count);
/* Nothing is refused any more. */
void wrap_grant(void);
/* Calls refused since wrap_refuse. */
unsigned wrap_refused(void);
/* Calls that role made since wrap_refuse. */
unsigned wrap_calls(enum wrap_role role);

/* meanwhile(arg) is called once, on the thread that makes it, before the n-th call of role from now
 * on (wrap_refuse begins to count anew as well): what another thread does meanwhile. */
void wrap_meanwhile(enum wrap_role role, unsigned n, void (*meanwhile)(void *arg), void *arg);

/* Whether madvise refuses, as it does for memory that the host has locked. */
void wrap_refuse_discards(bool refuse);
/* How often it did so. */
unsigned wrap_discards_refused(void);

/* What has been got and not given back. */
struct wrap_held {
	long blocks, bytes_mapped, keys, threads;
};

struct wrap_held wrap_held(void);

/* A thread of the test's own: never refused. */
bool wrap_thread(pthread_t *thread, void *(*run)(void *), void *arg);

/*
 * The monotonic clock as the library sees it. WRAP_JUMPS: hours pass at once, again and again.
 * WRAP_STOPS: it stands still for many readings in between. WRAP_BACK: it is set back, too.
 * seed says when and how far.
 */
enum wrap_clock { WRAP_TRUE, WRAP_JUMPS, WRAP_STOPS, WRAP_BACK };

void wrap_set_clock(enum wrap_clock kind, uint64_t seed);
/* How often the clock was changed. */
unsigned wrap_clock_changes(void);

#endif
