/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_values.c: deaths by a value or a slot that the contract forbids: a pointer that is no object
 * of the heap, an object of another heap, gyre_init of a slot that is in use.
 */
#include "harness.h"

static void store_a_variable(struct world *w)
{
	struct node *n = node_new(w, w->m, 1), local;

	memset(&local, 0, sizeof(local));
	gyre_store(w->m, &n->left, &local);
}

static void store_malloced_memory(struct world *w)
{
	gyre_store(w->m, &node_new(w, w->m, 1)->left, malloc(64));
}

static void store_an_inner_pointer(struct world *w)
{
	struct node *n = node_new(w, w->m, 1);

	gyre_store(w->m, &n->left, &n->right);
}

static void store_a_wild_pointer(struct world *w)
{
	gyre_store(w->m, &node_new(w, w->m, 1)->left, (void *)(uintptr_t)0x123456789a8);
}

static void store_an_object_of_another_heap(struct world *w)
{
	struct gyre_options options;
	struct world *other;

	gyre_options_init(&options);
	other = world_make(&options);
	gyre_store(w->m, &node_new(w, w->m, 1)->left, node_new(other, other->m, 2));
}

static void other_calls_with_a_variable(struct world *w, int call)
{
	struct node *n = node_new(w, w->m, 1), local;
	struct gyre_root root;
	void *old, *expected = NULL;

	memset(&local, 0, sizeof(local));
	if (call == 0)
		gyre_store_exclusive(w->m, &n->left, &local);
	else if (call == 1)
		gyre_init(w->m, &n->left, &local);
	else if (call == 2)
		gyre_exchange(w->m, &n->left, &local, &old);
	else if (call == 3)
		gyre_compare_exchange(w->m, &n->left, &expected, &local);
	else if (call == 4)
		gyre_array_fill(w->m, &n->left, 2, &local);
	else
		gyre_root_init(w->m, &root, &local);
}

#define OTHER_CALL(name, call)                                                                     \
	static void name(struct world *w)                                                          \
	{                                                                                          \
		other_calls_with_a_variable(w, call);                                              \
	}

OTHER_CALL(store_exclusive_a_variable, 0)
OTHER_CALL(init_a_variable, 1)
OTHER_CALL(exchange_a_variable, 2)
OTHER_CALL(compare_exchange_a_variable, 3)
OTHER_CALL(fill_a_variable, 4)
OTHER_CALL(root_a_variable, 5)

static void what_is_no_object_is_refused(void **state)
{
	static const char *const wanted = "not an object of this heap";

	(void)state;
	death_expected(store_a_variable, wanted, NULL);
	death_expected(store_malloced_memory, wanted, NULL);
	death_expected(store_an_inner_pointer, wanted, NULL);
	death_expected(store_a_wild_pointer, wanted, NULL);
	death_expected(store_an_object_of_another_heap, wanted, NULL);
	death_expected(store_exclusive_a_variable, wanted, NULL);
	death_expected(init_a_variable, wanted, NULL);
	death_expected(exchange_a_variable, wanted, NULL);
	death_expected(compare_exchange_a_variable, wanted, NULL);
	death_expected(fill_a_variable, wanted, NULL);
	death_expected(root_a_variable, wanted, NULL);
}

/* The cell is still there, its neighbours live; only the object is gone. */
/* Large objects lie apart from the slabs; the check must know them as well. */
static void store_every_kind(struct world *w)
{
	struct node *n = node_new(w, w->m, 1);
	struct gyre_root root;

	expect_ok(gyre_root_init(w->m, &root, n));
	expect_ok(gyre_store(w->m, &n->left, n));
	expect_ok(gyre_store(w->m, &n->left, gyre_new(w->m, w->leaf)));
	expect_ok(gyre_store(w->m, &n->left, refs_new(w, w->m, 1000)));
	expect_ok(gyre_store(w->m, &n->left, refs_new(w, w->m, 100000)));
	expect_ok(gyre_store(w->m, &n->left, refs_new(w, w->m, 3000000)));
	expect_ok(gyre_store(w->m, &n->left, NULL));
	expect_ok(gyre_root_drop(w->m, &root));
	world_end(w);
}

static void what_is_an_object_is_not(void **state)
{
	(void)state;
	life_expected(store_every_kind);
}

static void init_twice(struct world *w)
{
	struct node *n = node_new(w, w->m, 1);

	expect_ok(gyre_init(w->m, &n->left, n));
	gyre_init(w->m, &n->left, n);
}

static void init_over_a_store(struct world *w)
{
	struct node *n = node_new(w, w->m, 1);

	expect_ok(gyre_store(w->m, &n->left, n));
	gyre_init(w->m, &n->left, NULL);
}

static void init_over_null(struct world *w)
{
	struct node *n = node_new(w, w->m, 1);

	expect_ok(gyre_init(w->m, &n->left, NULL));
	expect_ok(gyre_init(w->m, &n->left, n));
	world_end(w);
}

static void init_wants_an_empty_slot(void **state)
{
	(void)state;
	death_expected(init_twice, "not NULL", NULL);
	death_expected(init_over_a_store, "not NULL", NULL);
	life_expected(init_over_null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_object_is_refused),
		cmocka_unit_test(what_is_an_object_is_not),
		cmocka_unit_test(init_wants_an_empty_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
