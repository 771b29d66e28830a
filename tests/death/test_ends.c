/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ends.c: deaths by misuse of weak cells and finalizers: of what is no object or no cell, with
 * the mutator of another thread or a parked one, and by finalizers, callbacks and visitors that
 * return with their mutator parked or with a keep frame open.
 */
#include "harness.h"

/* ---- what is no object, no cell ---- */

static void weak_of_a_variable(struct world *w)
{
	struct node local;

	memset(&local, 0, sizeof(local));
	gyre_weak_of(w->m, &local);
}

static void weak_of_an_inner_pointer(struct world *w)
{
	gyre_weak_of(w->m, &node_new(w, w->m, 1)->right);
}

static void weak_of_another_heaps(struct world *w)
{
	struct gyre_options options;
	struct world *other;

	gyre_options_init(&options);
	other = world_make(&options);
	gyre_weak_of(w->m, node_new(other, other->m, 1));
}

static void rearm_a_variable(struct world *w)
{
	struct node local;

	memset(&local, 0, sizeof(local));
	gyre_finalizer_rearm(w->m, &local);
}

static void notified(struct gyre_mutator *m, void *arg)
{
	(void)m;
	(void)arg;
}

static void notify_a_variable(struct world *w)
{
	struct gyre_weak local[4];

	memset(local, 0, sizeof(local));
	gyre_weak_notify(w->m, local, notified, NULL, 0, NULL);
}

/* The object in place of its cell. */
static void notify_an_object(struct world *w)
{
	struct node *n = node_new(w, w->m, 1);

	gyre_weak_of(w->m, n);
	gyre_weak_notify(w->m, (struct gyre_weak *)n, notified, NULL, 0, NULL);
}

static void unnotify_an_object(struct world *w)
{
	struct node *n = node_new(w, w->m, 1);

	gyre_weak_of(w->m, n);
	gyre_weak_unnotify(w->m, (struct gyre_weak *)n, 1);
}

static void what_is_no_object_is_noticed(void **state)
{
	static const char *const wanted = "not an object of this heap";

	(void)state;
	death_expected(weak_of_a_variable, wanted, "gyre_weak_of");
	death_expected(weak_of_an_inner_pointer, wanted, "gyre_weak_of");
	death_expected(weak_of_another_heaps, wanted, "gyre_weak_of");
	death_expected(rearm_a_variable, wanted, "gyre_finalizer_rearm");
	death_expected(notify_a_variable, wanted, "gyre_weak_notify");
	death_expected(notify_an_object, "not a weak cell", "gyre_weak_notify");
	death_expected(unnotify_an_object, "not a weak cell", "gyre_weak_unnotify");
}

/* ---- whose mutator ---- */

static struct world *other_world;
static struct node *other_node;
static struct gyre_weak *other_cell;

static void call(unsigned which)
{
	struct gyre_mutator *m = other_world->m;

	switch (which) {
	case 0:
		gyre_weak_of(m, other_node);
		break;
	case 1:
		gyre_weak_notify(m, other_cell, notified, NULL, 0, NULL);
		break;
	case 2:
		gyre_weak_unnotify(m, other_cell, 1);
		break;
	case 3:
		gyre_finalize_next(m, NULL);
		break;
	case 4:
		gyre_finalize_wait(m);
		break;
	case 5:
		gyre_finalizer_rearm(m, other_node);
		break;
	default:
		gyre_weak_load_slow(m, other_cell);
	}
}

static void *call_elsewhere(void *which)
{
	call((unsigned)(uintptr_t)which);
	return NULL;
}

static void prepare(struct world *w)
{
	static struct gyre_root root;

	other_world = w;
	other_node = node_new(w, w->m, 1);
	expect_ok(gyre_root_init(w->m, &root, other_node));
	other_cell = gyre_weak_of(w->m, other_node);
	expect(other_cell != NULL);
}

static void elsewhere(struct world *w, unsigned which)
{
	prepare(w);
	thread_join(thread_start(call_elsewhere, (void *)(uintptr_t)which));
}

static void parked(struct world *w, unsigned which)
{
	prepare(w);
	expect_ok(gyre_park(w->m));
	call(which);
}

#define CALL(how, which)                                                                           \
	static void how##_##which(struct world *w)                                                 \
	{                                                                                          \
		how(w, which);                                                                     \
	}

CALL(elsewhere, 0)
CALL(elsewhere, 1)
CALL(elsewhere, 2)
CALL(elsewhere, 3)
CALL(elsewhere, 4)
CALL(elsewhere, 5)
CALL(elsewhere, 6)
CALL(parked, 0)
CALL(parked, 1)
CALL(parked, 2)
CALL(parked, 5)
CALL(parked, 6)

static void mutators_belong_to_their_thread(void **state)
{
	static const char *const wanted = "another thread";

	(void)state;
	death_expected(elsewhere_0, wanted, "gyre_weak_of");
	death_expected(elsewhere_1, wanted, "gyre_weak_notify");
	death_expected(elsewhere_2, wanted, "gyre_weak_unnotify");
	death_expected(elsewhere_3, wanted, "gyre_finalize_next");
	death_expected(elsewhere_4, wanted, "gyre_finalize_wait");
	death_expected(elsewhere_5, wanted, "gyre_finalizer_rearm");
	death_expected(elsewhere_6, wanted, "gyre_weak_load");
}

static void parked_mutators_do_nothing(void **state)
{
	static const char *const wanted = "parked";

	(void)state;
	death_expected(parked_0, wanted, "gyre_weak_of");
	death_expected(parked_1, wanted, "gyre_weak_notify");
	death_expected(parked_2, wanted, "gyre_weak_unnotify");
	death_expected(parked_5, wanted, "gyre_finalizer_rearm");
	death_expected(parked_6, wanted, "gyre_weak_load");
}

/* ---- how finalizers return ---- */

struct thing {
	uint64_t id;
};

static struct gyre_keep left_open;
static void *left_values[1];

static void finalize_soundly(struct gyre_mutator *m, void *object)
{
	GYRE_KEEP(m, object);

	expect_ok(gyre_park(m));
	expect_ok(gyre_unpark(m));
	expect_ok(gyre_collect(m, NULL));
}

static void finalize_and_park(struct gyre_mutator *m, void *object)
{
	(void)object;
	gyre_park(m);
}

static void finalize_and_keep(struct gyre_mutator *m, void *object)
{
	left_values[0] = object;
	gyre_keep_open(m, &left_open, left_values, 1);
}

static void tell_and_park(struct gyre_mutator *m, void *arg)
{
	(void)arg;
	gyre_park(m);
}

static void tell_and_keep(struct gyre_mutator *m, void *arg)
{
	(void)arg;
	gyre_keep_open(m, &left_open, left_values, 1);
}

static void run_finalizer(struct world *w, gyre_finalize_fn finalize)
{
	const struct gyre_type_desc desc = GYRE_TYPE(struct thing, .finalize = finalize);
	const struct gyre_type *type;

	expect_ok(gyre_type_register(w->heap, &desc, &type));
	expect(gyre_new(w->m, type) != NULL);
	world_collect(w->m);
	expect_ok(gyre_finalize_wait(w->m));
	world_end(w);
}

static void run_callback(struct world *w, gyre_cleared_fn fn)
{
	struct gyre_weak *cell = gyre_weak_of(w->m, node_new(w, w->m, 1));

	expect(cell != NULL);
	expect_ok(gyre_weak_notify(w->m, cell, fn, NULL, GYRE_NOTICE_ALWAYS, NULL));
	world_collect(w->m);
	expect_ok(gyre_finalize_wait(w->m));
	world_end(w);
}

static bool visit_soundly(void *arg, struct gyre_mutator *m, void *object)
{
	GYRE_KEEP(m, object);

	(void)arg;
	gyre_safepoint(m);
	return true;
}

static bool visit_and_park(void *arg, struct gyre_mutator *m, void *object)
{
	(void)arg;
	(void)object;
	gyre_park(m);
	return true;
}

static bool visit_and_keep(void *arg, struct gyre_mutator *m, void *object)
{
	(void)arg;
	finalize_and_keep(m, object);
	return true;
}

static void run_visitor(struct world *w, gyre_visit_object_fn visit)
{
	struct gyre_root root;

	expect_ok(gyre_root_init(w->m, &root, node_new(w, w->m, 1)));
	expect_ok(gyre_census(w->m, NULL, visit, NULL));
	expect_ok(gyre_root_drop(w->m, &root));
	world_end(w);
}

#define RUNS(run, fn)                                                                              \
	static void runs_##fn(struct world *w)                                                     \
	{                                                                                          \
		run(w, fn);                                                                        \
	}

RUNS(run_finalizer, finalize_soundly)
RUNS(run_finalizer, finalize_and_park)
RUNS(run_finalizer, finalize_and_keep)
RUNS(run_callback, notified)
RUNS(run_callback, tell_and_park)
RUNS(run_callback, tell_and_keep)
RUNS(run_visitor, visit_soundly)
RUNS(run_visitor, visit_and_park)
RUNS(run_visitor, visit_and_keep)

static void finalizers_return_as_they_came(void **state)
{
	(void)state;
	life_expected(runs_finalize_soundly);
	life_expected(runs_notified);
	death_expected(runs_finalize_and_park, "returned while", "struct thing");
	death_expected(runs_finalize_and_keep, "keep frame open", "struct thing");
	death_expected(runs_tell_and_park, "returned while", "callback of a weak cell");
	death_expected(runs_tell_and_keep, "keep frame open", "callback of a weak cell");
	life_expected(runs_visit_soundly);
	death_expected(runs_visit_and_park, "returned while", "a visitor");
	death_expected(runs_visit_and_keep, "keep frame open", "a visitor");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_object_is_noticed),
		cmocka_unit_test(mutators_belong_to_their_thread),
		cmocka_unit_test(parked_mutators_do_nothing),
		cmocka_unit_test(finalizers_return_as_they_came),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
