/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_mutators.c: deaths by a mutator in the wrong hands or the wrong state: another thread's, a
 * parked one, frames closed out of order, a second writer beside gyre_store_exclusive.
 */
#include "harness.h"

static struct world *other_world;
static struct node *other_node;

static void *store_elsewhere(void *arg)
{
	(void)arg;
	gyre_store(other_world->m, &other_node->left, NULL);
	return NULL;
}

static void *new_elsewhere(void *arg)
{
	(void)arg;
	gyre_new(other_world->m, other_world->node);
	return NULL;
}

static void *park_elsewhere(void *arg)
{
	(void)arg;
	gyre_park(other_world->m);
	return NULL;
}

static void *collect_elsewhere(void *arg)
{
	(void)arg;
	gyre_collect(other_world->m, NULL);
	return NULL;
}

static void *detach_elsewhere(void *arg)
{
	(void)arg;
	gyre_detach(other_world->m);
	return NULL;
}

static void *keep_elsewhere(void *arg)
{
	static struct gyre_keep keep;
	void *values[1] = { NULL };

	(void)arg;
	gyre_keep_open(other_world->m, &keep, values, 1);
	return NULL;
}

static void elsewhere(struct world *w, void *(*run)(void *))
{
	other_world = w;
	other_node = node_new(w, w->m, 1);
	thread_join(thread_start(run, NULL));
}

#define ELSEWHERE(name)                                                                            \
	static void name##_by_thread(struct world *w)                                              \
	{                                                                                          \
		elsewhere(w, name);                                                                \
	}

ELSEWHERE(store_elsewhere)
ELSEWHERE(new_elsewhere)
ELSEWHERE(park_elsewhere)
ELSEWHERE(collect_elsewhere)
ELSEWHERE(detach_elsewhere)
ELSEWHERE(keep_elsewhere)

static void mutators_belong_to_their_thread(void **state)
{
	(void)state;
	death_expected(store_elsewhere_by_thread, "another thread", NULL);
	death_expected(new_elsewhere_by_thread, "another thread", NULL);
	death_expected(park_elsewhere_by_thread, "another thread", NULL);
	death_expected(collect_elsewhere_by_thread, "another thread", NULL);
	death_expected(detach_elsewhere_by_thread, "another thread", NULL);
	death_expected(keep_elsewhere_by_thread, "another thread", NULL);
}

static struct node *kept_and_parked(struct world *w)
{
	static struct gyre_root root;
	struct node *n = node_new(w, w->m, 1);

	expect_ok(gyre_root_init(w->m, &root, n));
	expect_ok(gyre_park(w->m));
	return n;
}

static void store_parked(struct world *w)
{
	struct node *n = kept_and_parked(w);

	gyre_store(w->m, &n->left, n);
}

static void new_parked(struct world *w)
{
	kept_and_parked(w);
	gyre_new(w->m, w->node);
}

static void new_array_parked(struct world *w)
{
	kept_and_parked(w);
	gyre_new_array(w->m, w->refs, 100000);
}

static void root_parked(struct world *w)
{
	struct gyre_root another;

	gyre_root_init(w->m, &another, kept_and_parked(w));
}

static void use_after_unparking(struct world *w)
{
	struct node *n = kept_and_parked(w);

	expect_ok(gyre_unpark(w->m));
	expect_ok(gyre_store(w->m, &n->left, n));
}

static void parked_mutators_do_nothing(void **state)
{
	(void)state;
	death_expected(store_parked, "parked", NULL);
	death_expected(new_parked, "parked", NULL);
	death_expected(new_array_parked, "parked", NULL);
	death_expected(root_parked, "parked", NULL);
	life_expected(use_after_unparking);
}

static void close_outer_first(struct world *w)
{
	struct gyre_keep outer, inner;
	void *values[1] = { NULL };

	gyre_keep_open(w->m, &outer, values, 1);
	gyre_keep_open(w->m, &inner, values, 1);
	gyre_keep_close(&outer);
	gyre_keep_close(&inner);
}

static void close_twice(struct world *w)
{
	struct gyre_keep keep;
	void *values[1] = { NULL };

	gyre_keep_open(w->m, &keep, values, 1);
	gyre_keep_close(&keep);
	gyre_keep_close(&keep);
}

static void close_in_order(struct world *w)
{
	struct gyre_keep outer, inner;
	void *values[1] = { NULL };

	gyre_keep_open(w->m, &outer, values, 1);
	gyre_keep_open(w->m, &inner, values, 1);
	gyre_keep_close(&inner);
	gyre_keep_close(&outer);
	world_end(w);
}

static void frames_close_in_order(void **state)
{
	(void)state;
	death_expected(close_outer_first, "keep frame", NULL);
	death_expected(close_twice, "keep frame", NULL);
	life_expected(close_in_order);
}

/* Two threads that both promise to be the only one; until it is noticed, or alarm ends it. */
static void *write_alone(void *arg)
{
	struct death_other *d = arg;
	struct gyre_mutator *m;

	expect_ok(gyre_attach(d->w->heap, 0, &m));
	for (uint64_t i = 0; !atomic_load_explicit(&d->stop, memory_order_relaxed); i++) {
		gyre_store_exclusive(m, d->slot, i % 2 ? d->value : NULL);
		gyre_safepoint(m);
	}
	return NULL;
}

static void exclusive_writers(struct world *w, gyre_ref *slot)
{
	static struct gyre_root value;
	static struct death_other d;
	pthread_t threads[2];

	expect_ok(gyre_root_init(w->m, &value, node_new(w, w->m, 1)));
	d.w = w;
	d.slot = slot;
	d.value = gyre_load(&value.slot);
	expect_ok(gyre_park(w->m));
	for (int i = 0; i < 2; i++)
		threads[i] = thread_start(write_alone, &d);
	for (int i = 0; i < 2; i++)
		thread_join(threads[i]);
}

static void two_exclusive_writers(struct world *w)
{
	static struct gyre_root root;

	expect_ok(gyre_root_init(w->m, &root, node_new(w, w->m, 2)));
	exclusive_writers(w, &((struct node *)gyre_load(&root.slot))->left);
}

static void two_exclusive_writers_of_a_root(struct world *w)
{
	static struct gyre_root root;

	expect_ok(gyre_root_init(w->m, &root, NULL));
	exclusive_writers(w, &root.slot);
}

static void one_exclusive_writer(struct world *w)
{
	struct gyre_root root;
	struct node *n;

	expect_ok(gyre_root_init(w->m, &root, NULL));
	for (uint64_t i = 0; i < 10000; i++) {
		n = node_new(w, w->m, i);
		expect_ok(gyre_store_exclusive(w->m, &n->left, gyre_load(&root.slot)));
		expect_ok(gyre_store_exclusive(w->m, &n->left, NULL));
		expect_ok(gyre_store_exclusive(w->m, &root.slot, n));
	}
	expect_ok(gyre_root_drop(w->m, &root));
	world_end(w);
}

static void a_second_writer_is_noticed(void **state)
{
	(void)state;
	death_expected(two_exclusive_writers, "second writer", NULL);
	death_expected(two_exclusive_writers_of_a_root, "second writer", NULL);
	life_expected(one_exclusive_writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutators_belong_to_their_thread),
		cmocka_unit_test(parked_mutators_do_nothing),
		cmocka_unit_test(frames_close_in_order),
		cmocka_unit_test(a_second_writer_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
