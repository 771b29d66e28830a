/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_trace.c: deaths by trace callbacks that break their contract: a slot outside the object,
 * other slots or fewer at a second call. The callbacks run on the collector thread; the message
 * names the type.
 */
#include "harness.h"

enum { SLOTS = 8 };

static _Atomic(unsigned) calls;
static gyre_ref outside;

static void trace_sound(const void *object, size_t bytes, gyre_visit_fn visit, void *arg)
{
	const gyre_ref *slots = object;

	(void)bytes;
	for (int i = 0; i < SLOTS; i++)
		visit(arg, &slots[i]);
}

static void trace_outside(const void *object, size_t bytes, gyre_visit_fn visit, void *arg)
{
	trace_sound(object, bytes, visit, arg);
	visit(arg, &outside);
}

static void trace_behind(const void *object, size_t bytes, gyre_visit_fn visit, void *arg)
{
	const gyre_ref *slots = object;

	trace_sound(object, bytes, visit, arg);
	visit(arg, (const gyre_ref *)((uintptr_t)slots + (bytes + 7) / 8 * 8));
}

static void trace_changing(const void *object, size_t bytes, gyre_visit_fn visit, void *arg)
{
	const gyre_ref *slots = object;

	(void)bytes;
	visit(arg, &slots[atomic_fetch_add(&calls, 1) % SLOTS]);
}

static void trace_fewer(const void *object, size_t bytes, gyre_visit_fn visit, void *arg)
{
	const gyre_ref *slots = object;
	unsigned skipped = atomic_fetch_add(&calls, 1) % 2;

	(void)bytes;
	for (unsigned i = 0; i < SLOTS - skipped; i++)
		visit(arg, &slots[i]);
}

/* A ring of two traced objects: the collector must call trace to find that they are garbage. */
static void trace_a_ring(struct world *w, gyre_trace_fn trace)
{
	const struct gyre_type_desc desc = { .size = sizeof(desc),
					     .name = "urchin",
					     .object_bytes = SLOTS * sizeof(gyre_ref),
					     .object_align = 8,
					     .trace = trace };
	const struct gyre_type *type;
	gyre_ref *a, *b;
	struct gyre_root root;

	expect_ok(gyre_type_register(w->heap, &desc, &type));
	a = gyre_new(w->m, type);
	b = gyre_new(w->m, type);
	expect(a && b);
	expect_ok(gyre_init(w->m, &a[0], b));
	expect_ok(gyre_init(w->m, &b[SLOTS - 1], a));
	expect_ok(gyre_root_init(w->m, &root, a));
	world_collect(w->m);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
	world_end(w);
}

#define TRACE_DEATH(trace)                                                                         \
	static void ring_##trace(struct world *w)                                                  \
	{                                                                                          \
		trace_a_ring(w, trace);                                                            \
	}

TRACE_DEATH(trace_sound)
TRACE_DEATH(trace_outside)
TRACE_DEATH(trace_behind)
TRACE_DEATH(trace_changing)
TRACE_DEATH(trace_fewer)

static void broken_trace_callbacks_are_named(void **state)
{
	(void)state;
	life_expected(ring_trace_sound);
	death_expected(ring_trace_outside, "trace callback", "urchin");
	death_expected(ring_trace_behind, "trace callback", "urchin");
	death_expected(ring_trace_changing, "trace callback", "urchin");
	death_expected(ring_trace_fewer, "trace callback", "urchin");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(broken_trace_callbacks_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
