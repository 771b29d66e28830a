/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rare_zeros.c: what is seldom met, met in each run: two threads that make the same weak cell,
 * and lists of objects that count 0, and of what hangs on them, that cannot grow. The collector is
 * held where its steps matter.
 */
#include "rare.h"

/* ---- two threads at once ---- */

struct race {
	struct world *w;
	void *object;
	struct gyre_weak *cell;
};

static void *make_cell(void *arg)
{
	struct race *race = arg;
	struct gyre_mutator *m;

	wrap_role = WRAP_TEST;
	expect_ok(gyre_attach(race->w->heap, 0, &m));
	race->cell = gyre_weak_of(m, race->object);
	expect(race->cell != NULL);
	expect_ok(gyre_detach(m));
	return NULL;
}

static void another_makes_it(void *arg)
{
	pthread_t thread;

	expect(wrap_thread(&thread, make_cell, arg));
	pthread_join(thread, NULL);
}

/* The other thread comes when the first has found that there is no side table yet (1st call), or no
 * place in it (2nd). */
static void two_threads_make_one_cell(void **state)
{
	struct world *w = *state;

	weak_of(w, node_new(w, w->m, 1)); /* so that the type of cells is there */
	for (unsigned call = 1; call <= 2; call++) {
		struct race race = { .w = w };
		struct gyre_root root;
		struct gyre_weak *cell;

		race.object = call == 1 ? gyre_new(w->m, w->leaf) : (void *)refs_new(w, w->m, 3);
		expect_ok(gyre_root_init(w->m, &root, race.object));
		wrap_meanwhile(WRAP_MAIN, call, another_makes_it, &race);
		wrap_role = WRAP_MAIN;
		cell = gyre_weak_of(w->m, race.object);
		wrap_role = WRAP_TEST;
		expect(race.cell != NULL);
		expect(cell == race.cell);
		expect(gyre_weak_load(w->m, cell) == race.object);
		expect_live(w->m, 2);
		expect_ok(gyre_root_drop(w->m, &root));
		expect_live(w->m, 0);
	}
	/* What the loser made is no cell of any object. */
	expect_equal(world_stats(w->heap).weak_cells, 3);
	expect_equal(world_stats(w->heap).weak_cleared, 3);
}

/* ---- objects that count 0 ---- */

static void a_zero_without_a_place(void **state)
{
	struct world *w = *state;
	struct node *n = node_new(w, w->m, 1);
	struct gyre__vector zeros;
	struct gyre__collector *c;
	struct gyre_root root;

	weak_of(w, n);
	c = hold_with(w, &root, n);
	zeros = held_cramp(&c->zeros, 0);
	cut(c, &root);
	expect_equal(held_word(n) & GYRE_IN_ZEROS, 0);
	expect(c->zeros_lost);
	expect_equal(c->zeros.count, 0);
	c->zeros = zeros;
	expect(gyre__work_pending(c));
	gyre__zeros_gather(c);
	expect(!c->zeros_lost);
	expect_equal(c->sets_count, 1);
	expect_equal(held_word(n) & GYRE_IN_SET, GYRE_IN_SET);
	let_die(w, &root, 0);
}

/* Of two the one without a place is found by the search, the other by the list, each once. */
static void one_of_two_has_a_place(void **state)
{
	struct world *w = *state;
	struct gyre_root roots[2];
	struct gyre__vector zeros;
	struct gyre__collector *c;

	expect_ok(gyre_root_init(w->m, &roots[0], thing_new(w, 0)));
	c = hold_with(w, &roots[1], thing_new(w, 1));
	zeros = held_cramp(&c->zeros, 1);
	cut(c, &roots[0]);
	cut(c, &roots[1]);
	expect(c->zeros_lost);
	zeros.items[zeros.count++] = c->zeros.items[0];
	c->zeros = zeros;
	gyre__zeros_gather(c);
	expect_equal(c->sets_count, 2);
	expect_equal(c->members.count, 2);
	let_die(w, &roots[1], 2);
	expect_ok(gyre_root_drop(w->m, &roots[0]));
}

static void a_revived_zero_is_a_candidate(void **state)
{
	struct world *w = *state;
	struct node *n = node_new(w, w->m, 1);
	struct gyre__collector *c;
	struct gyre_root root;

	weak_of(w, n);
	c = hold_with(w, &root, n);
	cut(c, &root);
	expect_equal(held_word(n) & GYRE_IN_ZEROS, GYRE_IN_ZEROS);
	expect_equal(c->zeros.count, 1);
	held_store(&root.slot, n);
	gyre__increment(c, n);
	gyre__zeros_gather(c);
	expect_equal(c->zeros.count, 0);
	expect_equal(c->sets_count, 0);
	expect_equal(held_word(n) & (GYRE_IN_ZEROS | GYRE_PURPLE), GYRE_PURPLE);
	cut(c, &root);
	let_die(w, &root, 0);
}

/* A set that cannot be held as a whole, or not be noted, is none; its root is looked for again. */
static void a_closure_without_memory(void **state)
{
	struct world *w = *state;

	for (size_t room = 0; room < 3; room++) {
		struct thing *thing = thing_new(w, room);
		struct node *n = node_new(w, w->m, 2);
		struct gyre__vector members;
		struct gyre__collector *c;
		struct gyre__set *sets;
		struct gyre_root root;
		size_t sets_room;

		expect_ok(gyre_init(w->m, &thing->next, n));
		c = hold_with(w, &root, thing);
		cut(c, &root);
		members = c->members;
		sets = c->sets;
		sets_room = c->sets_room;
		if (room < 2) {
			members = held_cramp(&c->members, room);
		} else {
			c->sets = NULL;
			c->sets_room = 0;
			wrap_refuse(WRAP_COLLECTOR, 1, 1);
			wrap_role = WRAP_COLLECTOR;
		}
		gyre__zeros_gather(c);
		wrap_role = WRAP_TEST;
		wrap_grant();
		c->members = members;
		if (room == 2) {
			c->sets = sets;
			c->sets_room = sets_room;
		}
		if (room == 1) {
			/* The thing alone is a set as well: what it holds dies after it. */
			expect_equal(c->sets_count, 1);
			expect_equal(held_word(n) & GYRE_IN_SET, 0);
			c->members.items[c->members.count++] = thing;
		} else {
			expect_equal(c->sets_count, 0);
			expect_equal(held_word(thing) & (GYRE_IN_SET | GYRE_ORANGE | GYRE_TRACE),
				     0);
			expect(c->zeros_lost);
		}
		expect_equal(held_word(n) & (GYRE_ORANGE | GYRE_TRACE), 0);
		let_die(w, &root, (unsigned)room + 1);
	}
}

/* gyre_collect has not done all that it promises then, and says so. */
static void a_collection_that_lost_zeros(void **state)
{
	struct world *w = *state;
	struct gyre__vector members;
	struct gyre__collector *c;
	struct gyre_root root;

	c = hold_with(w, &root, thing_new(w, 1));
	cut(c, &root);
	members = held_cramp(&c->members, 0);
	expect_status(gyre__collect_fully(c), GYRE_NO_MEMORY);
	c->members = members;
	expect_ok(gyre__collect_fully(c));
	let_die(w, &root, 1);
}

/* Counted down to 0 a second time before the list is looked at: it is there once. And one that is
 * not special any more by then is released like any other. */
static void a_zero_twice_and_a_plain_one(void **state)
{
	struct world *w = *state;
	struct node *n = node_new(w, w->m, 1), *child = node_new(w, w->m, 2);
	struct gyre_root roots[2];
	struct gyre__collector *c;
	struct thing *thing = thing_new(w, 1);
	uint64_t freed;

	expect_ok(gyre_init(w->m, &thing->next, child));
	weak_of(w, n);
	expect_ok(gyre_root_init(w->m, &roots[0], n));
	c = hold_with(w, &roots[1], thing);
	cut(c, &roots[0]);
	gyre__increment(c, n);
	gyre__decrement(c, n);
	expect_equal(c->zeros.count, 1);
	cut(c, &roots[1]);
	expect_equal(c->zeros.count, 2);
	*gyre__word_of(thing) |= GYRE_FINALIZED;
	freed = world_stats(w->heap).objects_reclaimed;
	gyre__zeros_gather(c);
	expect_equal(c->sets_count, 1);
	expect_equal(c->members.count, 1);
	expect_equal(world_stats(w->heap).objects_reclaimed, freed + 2);
	let_die(w, &roots[0], 0);
	expect_ok(gyre_root_drop(w->m, &roots[1]));
}

/* What cannot be noted does not join: it dies after the set. */
static void a_closure_that_notes_nothing(void **state)
{
	struct world *w = *state;
	struct node *n = node_new(w, w->m, 1), *child = node_new(w, w->m, 2);
	struct gyre__vector stack;
	struct gyre__collector *c;
	struct gyre_root root;

	expect_ok(gyre_init(w->m, &n->left, child));
	weak_of(w, n);
	c = hold_with(w, &root, n);
	cut(c, &root);
	stack = held_cramp(&c->stack, 0);
	gyre__zeros_gather(c);
	c->stack = stack;
	expect_equal(c->sets_count, 1);
	expect_equal(c->members.count, 1);
	expect_equal(held_word(child) & (GYRE_IN_SET | GYRE_TRACE), 0);
	let_die(w, &root, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		thing_test(two_threads_make_one_cell),    thing_test(a_zero_without_a_place),
		thing_test(one_of_two_has_a_place),       thing_test(a_revived_zero_is_a_candidate),
		thing_test(a_zero_twice_and_a_plain_one), thing_test(a_closure_without_memory),
		thing_test(a_closure_that_notes_nothing), thing_test(a_collection_that_lost_zeros),
	};

	wrap_role = WRAP_TEST;
	alarm(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
