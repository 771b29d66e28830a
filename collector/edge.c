/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * edge.c: types with a trace callback. Collector thread.
 *
 * Invariant: no slot outside the object is ever read, whatever the callback says; what it names
 * wrongly is counted and logged in every build, and ends the process in a build with checks.
 */
#include "edge.h"

struct traced {
	struct gyre__collector *collector;
	const struct gyre__slab *slab;
	const char *base;
	enum gyre__reading reading;
	void (*visit)(void *arg, void *child);
	void *arg;
	uint64_t sum; /* of the slots named, whatever their order */
	size_t count;
};

static bool inside(const struct traced *traced, const gyre_ref *slot)
{
	uintptr_t offset = (uintptr_t)slot - (uintptr_t)traced->base;

	return offset % _Alignof(gyre_ref) == 0 &&
	       offset <= gyre__cell_bytes(traced->slab) - sizeof(gyre_ref);
}

static void fault(struct traced *traced, const gyre_ref *slot)
{
	struct gyre_heap *heap = traced->collector->heap;

	gyre__counter_add(&heap->counted.trace_faults, 1);
	gyre__log(heap, GYRE_LOG_ERROR,
		  "the trace callback of type %s named a slot at %p, outside its object at %p",
		  traced->slab->type->name, (const void *)slot, (const void *)traced->base);
#if GYRE_CHECKED
	gyre__misuse("the trace callback of type %s named a slot outside its object",
		     traced->slab->type->name);
#endif
}

static void visit_slot(void *arg, const gyre_ref *slot)
{
	struct traced *traced = arg;
	void *child;

	if (!inside(traced, slot)) {
		fault(traced, slot); /* rare: trace fault */
		return;
	}
	traced->sum += (uintptr_t)slot * 0x9e3779b97f4a7c15u;
	traced->count++;
	if (traced->visit == NULL)
		return;
	child = gyre__read(traced->collector, slot, traced->reading);
	if (child != NULL)
		traced->visit(traced->arg, child);
}

#if GYRE_CHECKED
#define WINDOW_SLOTS 4096 /* slots that one more call of trace is checked for */

/* The part of an object in which each slot may be named once, and what a whole call named. */
struct recount {
	struct traced traced;
	size_t first;
	unsigned char named[WINDOW_SLOTS];
};

static void recount_slot(void *arg, const gyre_ref *slot)
{
	struct recount *again = arg;
	size_t at = ((uintptr_t)slot - (uintptr_t)again->traced.base) / sizeof(*slot);

	visit_slot(&again->traced, slot);
	if (at >= again->first && at - again->first < WINDOW_SLOTS &&
	    again->named[at - again->first]++ > 0)
		gyre__misuse("the trace callback of type %s named a slot twice",
			     again->traced.slab->type->name);
}

/* Calls trace anew for each window of the object: it must name what it named the first time. A
 * slot named twice would be subtracted twice, and what it holds be taken for dead. */
static void check_again(const struct traced *once)
{
	size_t bytes = gyre__cell_bytes(once->slab), first;

	for (first = 0; first < bytes / sizeof(gyre_ref); first += WINDOW_SLOTS) {
		struct recount again = { .traced = *once, .first = first };

		again.traced.visit = NULL;
		again.traced.sum = again.traced.count = 0;
		once->slab->type->trace(once->base, bytes, recount_slot, &again);
		if (again.traced.sum != once->sum || again.traced.count != once->count)
			gyre__misuse("the trace callback of type %s named other slots at its "
				     "second call",
				     once->slab->type->name);
	}
}
#endif

void gyre__each_edge_traced(struct gyre__collector *c, const void *object,
			    enum gyre__reading reading, void (*visit)(void *arg, void *child),
			    void *arg)
{
	const struct gyre__slab *slab = gyre__slab_of(object);
	struct traced traced = { c, slab, object, reading, visit, arg, 0, 0 };

	slab->type->trace(object, gyre__cell_bytes(slab), visit_slot, &traced);
#if GYRE_CHECKED
	check_again(&traced);
#endif
}
