/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch.c: the thread that watches over boundaries. It sleeps, and when a boundary has been waited
 * for too long it names the threads that hold it up; and a finalizer that runs for too long. A
 * thread of its own, because the collector itself is waiting in a grace period then.
 *
 * Invariant: it reads the registry under its lock and writes nothing but the log and one counter;
 * the log is called without a lock.
 */
#include <string.h>

#include "collector.h"

#define NAMED_AT_ONCE 8

struct culprit {
	char name[32];
	long tid;
};

/* Who has not done the boundary that is being waited for. */
static size_t find(struct gyre_heap *heap, struct culprit *culprits)
{
	uint64_t phase = atomic_load_explicit(&heap->phase, memory_order_relaxed);
	struct gyre_mutator *m;
	size_t count = 0;

	gyre__lock_take(&heap->registry.lock);
	for (m = heap->registry.first; m != NULL && count < NAMED_AT_ONCE; m = m->next) {
		bool behind = atomic_load_explicit(&m->phase, memory_order_relaxed) < phase;

		if (gyre__mutator_state(m) != GYRE_MUTATOR_RUNNING ||
		    !(behind || heap->registry.stopping))
			continue;
		memcpy(culprits[count].name, m->name, sizeof(m->name));
		culprits[count++].tid = m->tid;
	}
	gyre__lock_drop(&heap->registry.lock);
	return count;
}

static void report(struct gyre__collector *c, uint64_t waited_ns)
{
	struct culprit culprits[NAMED_AT_ONCE];
	size_t i, count = find(c->heap, culprits);

	for (i = 0; i < count; i++)
		gyre__log(c->heap, GYRE_LOG_WARNING,
			  "thread %s (tid %ld) has held up a boundary for %llu ms: it neither "
			  "reaches a safe point nor parks",
			  culprits[i].name, culprits[i].tid,
			  (unsigned long long)(waited_ns / 1000000));
	if (count == 0)
		gyre__log(c->heap, GYRE_LOG_WARNING,
			  "a thread that is registered with QSBR but not attached here has held up "
			  "a boundary for %llu ms",
			  (unsigned long long)(waited_ns / 1000000));
}

/* A finalizer or callback that has run for longer than it should. */
struct running {
	char what[96];
	char thread[32];
	uint64_t since, ns;
};

/* The first that runs too long and began after the last one that was named. */
static bool find_running(struct gyre_heap *heap, uint64_t named, struct running *found)
{
	uint64_t now = gyre__now_ns();
	struct gyre_mutator *m;
	bool any = false;

	gyre__lock_take(&heap->registry.lock);
	for (m = heap->registry.first; m != NULL && !any; m = m->next) {
		/* Relaxed: no more than a log line depends on them. */
		uint64_t since = atomic_load_explicit(&m->running_since, memory_order_relaxed);
		const char *what = atomic_load_explicit(&m->running, memory_order_relaxed);

		if (since <= named || now < since || now - since < heap->options.finalizer_ns)
			continue;
		any = true;
		strncpy(found->what, what, sizeof(found->what) - 1);
		memcpy(found->thread, m->name, sizeof(m->name));
		found->since = since;
		found->ns = now - since;
	}
	gyre__lock_drop(&heap->registry.lock);
	return any;
}

/* Names each call once. Gives when the last one that was named began. */
static uint64_t watch_finalizers(struct gyre_heap *heap, uint64_t named)
{
	struct running found = { 0 };

	if (!find_running(heap, named, &found))
		return named;
	gyre__log(heap, GYRE_LOG_WARNING,
		  "the finalizer of %s has run for %llu ms on thread %s: others wait for it",
		  found.what, (unsigned long long)(found.ns / 1000000), found.thread);
	return found.since;
}

/* How long to sleep between two looks. */
static uint64_t rest(const struct gyre_options *o)
{
	uint64_t least = o->stall_ns < o->finalizer_ns ? o->stall_ns : o->finalizer_ns;

	return least / 4 + 1000000;
}

void gyre__watch(void *collector)
{
	struct gyre__collector *c = collector;
	uint64_t stall = c->heap->options.stall_ns, named = 0, patience = stall, finalizer = 0;

	gyre__lock_take(&c->requests.lock);
	while (!c->requests.stop) {
		uint64_t since, waited;

		gyre__event_wait(&c->watch_event, &c->requests.lock, rest(&c->heap->options));
		gyre__lock_drop(&c->requests.lock);
		finalizer = watch_finalizers(c->heap, finalizer);
		gyre__lock_take(&c->requests.lock);
		since = atomic_load_explicit(&c->waiting_since, memory_order_relaxed);
		waited = since == 0 ? 0 : gyre__now_ns() - since;
		if (since != named)
			patience = stall; /* another boundary */
		if (waited < patience)
			continue;
		if (since != named)
			/* rare: boundary held up */
			gyre__counter_add_shared(&c->heap->shared.stalls, 1);
		named = since;
		patience = waited * 2; /* said once, and again when it has lasted twice as long */
		gyre__lock_drop(&c->requests.lock);
		report(c, waited);
		gyre__lock_take(&c->requests.lock);
	}
	gyre__lock_drop(&c->requests.lock);
}
