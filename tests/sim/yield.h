/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * yield.h: included before the first line of every source of the library, and of every scenario,
 * that is built for the simulation. Whoever runs there.
 *
 * From here on each access to a C11 atomic, each lock, event, grace period and pause first passes a
 * point: the scheduler may let another thread go on there. The point comes before the access, with
 * all arguments evaluated, so a thread that stands at one is about to do what the point says.
 * Memory from malloc goes through the simulation as well, which accounts for it.
 *
 * The simulation's own sources define GYRE_SIM_OWN and are not part of what is simulated.
 *
 * Invariant: the access itself is the real one. One thread of the system runs everything, so what
 * is explored is sequential consistency; weaker orders are for ThreadSanitizer and the models.
 */
#ifndef GYRE_SIM_YIELD_H
#define GYRE_SIM_YIELD_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "platform/qsbr.h"
#include "platform/thread.h"
#include "platform/wait.h"

/* A place in the source where a point is. */
struct gyre__site {
	const char *function, *what;
	unsigned kind; /* enum sim_site_kind, found out at the first visit */
};

void gyre__sim_yield(struct gyre__site *site, const void *address);
void gyre__sim_freeing(const void *object);
void gyre__sim_made(void *made, size_t slots, const void *owner);
void gyre__sim_cleared(const void *object, const void *cell);

#define GYRE_SIM_POINT(what, address)                                                              \
	__extension__({                                                                            \
		static struct gyre__site gyre_site_ = { __func__, what, 0 };                       \
		gyre__sim_yield(&gyre_site_, (const void *)(address));                             \
	})

void *gyre__sim_alloc(size_t bytes, bool zero);
void *gyre__sim_realloc(void *block, size_t bytes);
char *gyre__sim_strdup(const char *text);
void gyre__sim_free(void *block);

#ifndef GYRE_SIM_OWN

/* The type of what an atomic object holds, without qualifiers. */
#define GYRE_SIM_VALUE(object) __typeof__((void)0, *(object))

#ifdef __clang__
#define GYRE_SIM_LOAD(p, order) __c11_atomic_load(p, order)
#define GYRE_SIM_STORE(p, value, order) __c11_atomic_store(p, value, order)
#define GYRE_SIM_EXCHANGE(p, value, order) __c11_atomic_exchange(p, value, order)
#define GYRE_SIM_COMPARE(p, expected, value, success, failure)                                     \
	__c11_atomic_compare_exchange_strong(p, expected, value, success, failure)
#define GYRE_SIM_FETCH(name, p, value, order) __c11_atomic_fetch_##name(p, value, order)
#else
#define GYRE_SIM_LOAD(p, order)                                                                    \
	__extension__({                                                                            \
		GYRE_SIM_VALUE(p) gyre_seen_;                                                      \
		__atomic_load(p, &gyre_seen_, order);                                              \
		gyre_seen_;                                                                        \
	})
#define GYRE_SIM_STORE(p, value, order) __atomic_store(p, &(value), order)
#define GYRE_SIM_EXCHANGE(p, value, order)                                                         \
	__extension__({                                                                            \
		GYRE_SIM_VALUE(p) gyre_seen_;                                                      \
		__atomic_exchange(p, &(value), &gyre_seen_, order);                                \
		gyre_seen_;                                                                        \
	})
#define GYRE_SIM_COMPARE(p, expected, value, success, failure)                                     \
	__atomic_compare_exchange(p, expected, &(value), 0, success, failure)
#define GYRE_SIM_FETCH(name, p, value, order) __atomic_fetch_##name(p, value, order)
#endif

#undef atomic_load_explicit
#define atomic_load_explicit(object, order)                                                        \
	__extension__({                                                                            \
		__auto_type gyre_at_ = (object);                                                   \
		GYRE_SIM_POINT("load " #object, gyre_at_);                                         \
		GYRE_SIM_LOAD(gyre_at_, order);                                                    \
	})

#undef atomic_store_explicit
#define atomic_store_explicit(object, value, order)                                                \
	__extension__({                                                                            \
		__auto_type gyre_at_ = (object);                                                   \
		GYRE_SIM_VALUE(gyre_at_) gyre_value_ = (value);                                    \
		GYRE_SIM_POINT("store " #object, gyre_at_);                                        \
		GYRE_SIM_STORE(gyre_at_, gyre_value_, order);                                      \
	})

#undef atomic_exchange_explicit
#define atomic_exchange_explicit(object, value, order)                                             \
	__extension__({                                                                            \
		__auto_type gyre_at_ = (object);                                                   \
		GYRE_SIM_VALUE(gyre_at_) gyre_value_ = (value);                                    \
		GYRE_SIM_POINT("exchange " #object, gyre_at_);                                     \
		GYRE_SIM_EXCHANGE(gyre_at_, gyre_value_, order);                                   \
	})

#undef atomic_compare_exchange_strong_explicit
#define atomic_compare_exchange_strong_explicit(object, expected, value, success, failure)         \
	__extension__({                                                                            \
		__auto_type gyre_at_ = (object);                                                   \
		GYRE_SIM_VALUE(gyre_at_) gyre_value_ = (value);                                    \
		GYRE_SIM_POINT("compare-exchange " #object, gyre_at_);                             \
		GYRE_SIM_COMPARE(gyre_at_, expected, gyre_value_, success, failure);               \
	})

/* Fails by chance nowhere: its callers loop, so a failure that is no conflict changes nothing. */
#undef atomic_compare_exchange_weak_explicit
#define atomic_compare_exchange_weak_explicit atomic_compare_exchange_strong_explicit

#define GYRE_SIM_ATOMIC_FETCH(name, object, value, order)                                          \
	__extension__({                                                                            \
		__auto_type gyre_at_ = (object);                                                   \
		GYRE_SIM_VALUE(gyre_at_) gyre_value_ = (value);                                    \
		GYRE_SIM_POINT("fetch-" #name " " #object, gyre_at_);                              \
		GYRE_SIM_FETCH(name, gyre_at_, gyre_value_, order);                                \
	})
#undef atomic_fetch_add_explicit
#define atomic_fetch_add_explicit(object, value, order)                                            \
	GYRE_SIM_ATOMIC_FETCH(add, object, value, order)
#undef atomic_fetch_sub_explicit
#define atomic_fetch_sub_explicit(object, value, order)                                            \
	GYRE_SIM_ATOMIC_FETCH(sub, object, value, order)
#undef atomic_fetch_or_explicit
#define atomic_fetch_or_explicit(object, value, order)                                             \
	GYRE_SIM_ATOMIC_FETCH(or, object, value, order)
#undef atomic_fetch_and_explicit
#define atomic_fetch_and_explicit(object, value, order)                                            \
	GYRE_SIM_ATOMIC_FETCH(and, object, value, order)

/* A call of the platform with a point before it. */
#define GYRE_SIM_CALL(what, address, call)                                                         \
	__extension__({                                                                            \
		GYRE_SIM_POINT(what, address);                                                     \
		call;                                                                              \
	})
#define gyre__lock_take(lock) GYRE_SIM_CALL("lock " #lock, lock, gyre__lock_take(lock))
#define gyre__lock_drop(lock) GYRE_SIM_CALL("unlock " #lock, lock, gyre__lock_drop(lock))
#define gyre__event_wait(event, lock, ns)                                                          \
	GYRE_SIM_CALL("wait " #event, event, gyre__event_wait(event, lock, ns))
#define gyre__event_signal(event) GYRE_SIM_CALL("signal " #event, event, gyre__event_signal(event))
#define gyre__pause_ns(ns) GYRE_SIM_CALL("pause", NULL, gyre__pause_ns(ns))
#define gyre__thread_join(thread) GYRE_SIM_CALL("join " #thread, thread, gyre__thread_join(thread))
#define gyre__qsbr_attach(reader, host)                                                            \
	GYRE_SIM_CALL("register", reader, gyre__qsbr_attach(reader, host))
#define gyre__qsbr_detach(reader) GYRE_SIM_CALL("unregister", reader, gyre__qsbr_detach(reader))
#define gyre__qsbr_park() GYRE_SIM_CALL("offline", NULL, gyre__qsbr_park())
#define gyre__qsbr_unpark() GYRE_SIM_CALL("online", NULL, gyre__qsbr_unpark())
#define gyre__qsbr_quiescent() GYRE_SIM_CALL("quiescent", NULL, gyre__qsbr_quiescent())
#define gyre__qsbr_wait() GYRE_SIM_CALL("grace period", NULL, gyre__qsbr_wait())
#define gyre__stop_begin() GYRE_SIM_CALL("stop all", NULL, gyre__stop_begin())
#define gyre__stop_end() GYRE_SIM_CALL("stopped", NULL, gyre__stop_end())

#define malloc(bytes) gyre__sim_alloc(bytes, false)
#define calloc(count, bytes) gyre__sim_alloc((count) * (bytes), true)
#define aligned_alloc(align, bytes) gyre__sim_alloc(bytes, false)
#define realloc(block, bytes) gyre__sim_realloc(block, bytes)
#undef strdup
#define strdup(text) gyre__sim_strdup(text)
#define free(block) gyre__sim_free(block)

#endif /* GYRE_SIM_OWN */

#endif
