/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_lies.c: trace callbacks that name what is no slot of their object. A release ignores it,
 * counts and logs it, and the heap stays sound with live and dead objects of the type; a build with
 * checks ends the process and names the type. (tests/death has slots far outside and slots that
 * change from call to call.)
 */
#include "../death/harness.h"

enum { SLOTS = 3, CHAIN = 20 };

struct traced {
	gyre_ref slots[SLOTS];
	uint64_t id;
};

/* What the callback names besides its slots; set before there is an object. */
static enum lie { NOTHING, MISALIGNED, BEFORE, STRADDLING, HIGH, NONE, NEIGHBOUR, TWICE } lie;
static const struct traced *neighbour;

static const gyre_ref *lie_about(const struct traced *object, size_t bytes)
{
	uintptr_t at = (uintptr_t)object;

	switch (lie) {
	case MISALIGNED:
		return (const gyre_ref *)(at + 4);
	case BEFORE:
		return (const gyre_ref *)(at - sizeof(gyre_ref));
	case STRADDLING:
		return (const gyre_ref *)(at + bytes - 1);
	case HIGH:
		return (const gyre_ref *)(UINTPTR_MAX - 7);
	case NONE:
		return NULL;
	case NEIGHBOUR:
		return &neighbour->slots[0];
	default:
		return &object->slots[0];
	}
}

static void trace(const void *object, size_t bytes, gyre_visit_fn visit, void *arg)
{
	const struct traced *traced = object;

	for (int i = 0; i < SLOTS; i++)
		visit(arg, &traced->slots[i]);
	if (lie != NOTHING && (lie != NEIGHBOUR || traced != neighbour))
		visit(arg, lie_about(traced, bytes));
}

/* A chain that lives and refers to itself, a ring that dies; both must be traced to tell. */
static void live_and_die(struct world *w)
{
	const struct gyre_type_desc desc = GYRE_TYPE(struct traced, .trace = trace);
	struct gyre_root live, dead;
	const struct gyre_type *type;
	struct traced *o;

	expect_ok(gyre_type_register(w->heap, &desc, &type));
	neighbour = gyre_new(w->m, type);
	expect(neighbour != NULL);
	expect_ok(gyre_root_init(w->m, &live, neighbour));
	expect_ok(gyre_root_init(w->m, &dead, NULL));
	for (uint64_t i = 1; i <= CHAIN; i++) {
		o = gyre_new(w->m, type);
		expect(o != NULL);
		o->id = i;
		expect_ok(gyre_init(w->m, &o->slots[0], gyre_load(&live.slot)));
		expect_ok(gyre_init(w->m, &o->slots[1], o));
		expect_ok(gyre_store(w->m, &live.slot, o));
		o = gyre_new(w->m, type);
		expect(o != NULL);
		expect_ok(gyre_init(w->m, &o->slots[SLOTS - 1], o));
		expect_ok(gyre_store(w->m, &dead.slot, o));
		gyre_safepoint(w->m);
	}
	expect_ok(gyre_root_drop(w->m, &dead));
	expect_live(w->m, CHAIN + 1);
	o = gyre_load(&live.slot);
	for (uint64_t i = CHAIN; i > 0; i--, o = gyre_load(&o->slots[0]))
		expect_equal(o->id, i);
	expect(o == neighbour);
	expect_ok(gyre_root_drop(w->m, &live));
	expect_live(w->m, 0);
	lie = NOTHING;
}

static void sound(struct world *w)
{
	lie = NOTHING;
	live_and_die(w);
	expect_equal(world_stats(w->heap).trace_faults, 0);
	world_end(w);
}

#if GYRE_CHECKS
static void tell(struct world *w)
{
	live_and_die(w);
	world_end(w);
}

static void every_lie_ends_the_process(void **state)
{
	(void)state;
	life_expected(sound);
	for (lie = MISALIGNED; lie <= TWICE; lie++)
		death_expected(tell, "trace callback", "struct traced");
}
#else
static void every_lie_is_counted_and_ignored(void **state)
{
	const enum lie lies[] = { MISALIGNED, BEFORE, STRADDLING, HIGH, NONE, NEIGHBOUR };

	(void)state;
	life_expected(sound);
	for (size_t i = 0; i < LENGTH(lies); i++) {
		struct world *w;

		expect_equal(world_setup((void **)&w), 0);
		lie = lies[i];
		live_and_die(w);
		expect(world_stats(w->heap).trace_faults > 0);
		expect(support_log_find(&w->log, "struct traced") >= 0);
		world_end(w);
	}
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
#if GYRE_CHECKS
		cmocka_unit_test(every_lie_ends_the_process),
#else
		cmocka_unit_test(every_lie_is_counted_and_ignored),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
