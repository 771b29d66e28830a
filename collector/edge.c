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
		fault(traced, slot);
		return;
	}
	traced->sum += (uintptr_t)slot * 0x9e3779b97f4a7c15u;
	traced->count++;
	child = gyre_load(slot);
	if (child != NULL && traced->visit != NULL)
		traced->visit(traced->arg, child);
}

void gyre__each_edge_traced(struct gyre__collector *c, const void *object,
			    void (*visit)(void *arg, void *child), void *arg)
{
	const struct gyre__slab *slab = gyre__slab_of(object);
	struct traced traced = { c, slab, object, visit, arg, 0, 0 };

	slab->type->trace(object, gyre__cell_bytes(slab), visit_slot, &traced);
#if GYRE_CHECKED
	{
		struct traced again = { c, slab, object, NULL, NULL, 0, 0 };

		slab->type->trace(object, gyre__cell_bytes(slab), visit_slot, &again);
		if (again.sum != traced.sum || again.count != traced.count)
			gyre__misuse("the trace callback of type %s named other slots at its "
				     "second call",
				     slab->type->name);
	}
#endif
}
