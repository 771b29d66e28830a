/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tagged_weak.c: a weak cell that is made while its set waits, and what becomes of a candidate
 * that is finalized: engine tagged.
 */
#include "turn.h"

/*
 * Two sets that touch: b <-> c, found first, and x <-> y, x -> a -> b, which has weak cells and
 * waits for a boundary; so the first waits for it as a whole. Before that boundary a thread takes a
 * by its cell, b from a, makes a cell for b, keeps that, and cuts b off. The set of b and c had no
 * cell when it was found, and has one when it dies.
 */
static void cell_made_while_its_set_waits(void **state)
{
	struct world *w = *state;
	struct gyre__collector *c;
	struct node *x = node_new(w, w->m, 1), *y = node_new(w, w->m, 2), *a = node_new(w, w->m, 3);
	struct refs *b = refs_new(w, w->m, 1), *d = refs_new(w, w->m, 1);
	struct gyre_root of_x, of_b, of_a, kept_a, kept_x, kept_b;
	struct gyre_weak *cell_a = gyre_weak_of(w->m, a), *cell_x = gyre_weak_of(w->m, x), *cell_b;
	struct gyre_stats before, after;

	expect_ok(gyre_store(w->m, &x->left, y));
	expect_ok(gyre_store(w->m, &y->left, x));
	expect_ok(gyre_store(w->m, &x->right, a));
	expect_ok(gyre_store(w->m, &a->left, b));
	expect_ok(gyre_store(w->m, &b->items[0], d));
	expect_ok(gyre_store(w->m, &d->items[0], b));
	expect_ok(gyre_root_init(w->m, &of_x, x));
	expect_ok(gyre_root_init(w->m, &of_b, b));
	expect_ok(gyre_root_init(w->m, &kept_a, cell_a));
	expect_ok(gyre_root_init(w->m, &kept_x, cell_x));
	c = turn_hold(w);
	expect_equal(c->sets_count, 0);
	expect_ok(gyre_root_drop(w->m, &of_b));
	expect_ok(gyre_root_drop(w->m, &of_x));
	for (unsigned i = 0; i < 3; i++)
		turn_whole(w);
	/* Both are found, and wait. */
	expect_equal(c->sets_count, 2);
	expect_equal(c->sets[0].special, 0);
	expect_equal(c->sets[0].count, 2);
	expect(c->sets[1].leader != NULL);
	/* Before the boundary. */
	a = gyre_weak_load(w->m, cell_a);
	expect(a != NULL);
	b = gyre_load(&a->left);
	expect(b != NULL);
	cell_b = gyre_weak_of(w->m, b);
	expect(cell_b != NULL);
	expect_ok(gyre_root_init(w->m, &kept_b, cell_b));
	expect_ok(gyre_root_init(w->m, &of_a, a));
	expect_ok(gyre_store(w->m, &a->left, NULL));
	/* The boundary: a is held, x and y are not and wait again, b was snooped. Then all is gone
	 * but a. */
	before = world_stats(w->heap);
	for (unsigned i = 0; i < 6; i++)
		turn_whole(w);
	after = world_stats(w->heap);
	/* x, y, b and d; and what two of them held: their cells are kept. */
	expect_equal(after.objects_reclaimed - before.objects_reclaimed, 4);
	expect_equal(after.weak_cleared - before.weak_cleared, 2);
	expect(held_word(b) == 0); /* freed */
	expect(gyre_weak_load(w->m, cell_b) == NULL);
	expect_ok(gyre_root_drop(w->m, &kept_a));
	expect_ok(gyre_root_drop(w->m, &kept_x));
	expect_ok(gyre_root_drop(w->m, &kept_b));
	expect_ok(gyre_root_drop(w->m, &of_a));
	turn_let_go(w);
	expect_live(w->m, 0);
}

static _Atomic(unsigned) finalized;

static void finalize(struct gyre_mutator *m, void *object)
{
	(void)m, (void)object;
	atomic_fetch_add(&finalized, 1);
}

/* a has a finalizer and is part of a cycle, and was the candidate by which that was found. When its
 * pin ends it is a candidate once more, by near passes alone. */
static void pinned_candidate_is_one_again(void **state)
{
	struct world *w = *state;
	const struct gyre_type_desc desc = GYRE_TYPE(
		struct node, GYRE_REFS(GYRE_REF(struct node, left)), .finalize = finalize);
	const struct gyre_type *type;
	struct gyre_root of_a;
	struct gyre_stats before, after;
	struct node *a, *b;

	expect_ok(gyre_type_register(w->heap, &desc, &type));
	a = gyre_new(w->m, type);
	b = node_new(w, w->m, 1);
	expect_ok(gyre_store(w->m, &a->left, b));
	expect_ok(gyre_store(w->m, &b->left, a));
	expect_ok(gyre_root_init(w->m, &of_a, a));
	turn_hold(w);
	before = world_stats(w->heap);
	expect_ok(gyre_root_drop(w->m, &of_a));
	for (unsigned i = 0; i < 6 && atomic_load(&finalized) == 0; i++) {
		turn_whole(w);
		expect_ok(gyre_finalize_wait(w->m));
	}
	expect_equal(atomic_load(&finalized), 1);
	for (unsigned i = 0; i < 6; i++)
		turn_whole(w);
	after = world_stats(w->heap);
	expect_equal(after.objects_reclaimed - before.objects_reclaimed, 2);
	expect_equal(after.far_passes, before.far_passes);
	turn_let_go(w);
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(cell_made_while_its_set_waits, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(pinned_candidate_is_one_again, world_setup,
						world_teardown),
	};

	return cmocka_run_group_tests_name("tagged_weak", tests, NULL, NULL);
}
