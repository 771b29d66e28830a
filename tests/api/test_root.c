/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_root.c: roots: they hold, let go, move, are written like any slot, by one thread and by
 * several at once, and need no mutator of their own to hold.
 */
#include "support.h"

static void roots_hold_and_let_go(void **state)
{
	struct world *w = *state;
	struct gyre_root root;

	for (uint64_t i = 0; i < 5; i++) { /* the same struct again and again */
		expect_ok(gyre_root_init(w->m, &root, node_new(w, w->m, i)));
		expect_live(w->m, 1);
		expect(node_is(gyre_load(&root.slot), i));
		expect_ok(gyre_root_drop(w->m, &root));
		expect_live(w->m, 0);
	}
	expect_ok(gyre_root_init(w->m, &root, NULL));
	expect(gyre_load(&root.slot) == NULL);
	expect_live(w->m, 0);
	expect_ok(gyre_root_drop(w->m, &root));
}

static void roots_are_written_like_slots(void **state)
{
	struct world *w = *state;
	struct gyre_root root;
	void *old, *expected = NULL;

	expect_ok(gyre_root_init(w->m, &root, NULL));
	expect_ok(gyre_init(w->m, &root.slot, node_new(w, w->m, 1)));
	expect_live(w->m, 1);
	expect_ok(gyre_store(w->m, &root.slot, node_new(w, w->m, 2)));
	expect_live(w->m, 1);
	expect_ok(gyre_store_exclusive(w->m, &root.slot, node_new(w, w->m, 3)));
	expect_live(w->m, 1);
	expect_ok(gyre_exchange(w->m, &root.slot, node_new(w, w->m, 4), &old));
	expect(node_is(old, 3));
	expect_status(gyre_compare_exchange(w->m, &root.slot, &expected, NULL), GYRE_CHANGED);
	expect(node_is(expected, 4));
	expect_ok(gyre_compare_exchange(w->m, &root.slot, &expected, node_new(w, w->m, 5)));
	expect_live(w->m, 1);
	expect_ok(gyre_array_fill(w->m, &root.slot, 1, node_new(w, w->m, 6)));
	expect_live(w->m, 1);
	expect(node_is(gyre_load(&root.slot), 6));
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

static void roots_move(void **state)
{
	struct world *w = *state;
	struct gyre_root *from = malloc(sizeof(*from));
	struct gyre_root *to;

	expect_ok(gyre_root_init(w->m, from, node_new(w, w->m, 3)));
	for (int i = 0; i < 10; i++) {
		to = malloc(sizeof(*to));
		expect_ok(gyre_root_move(w->m, to, from));
		memset(from, 0xff, sizeof(*from)); /* it is no root any more */
		free(from);
		expect_live(w->m, 1);
		expect(node_is(gyre_load(&to->slot), 3));
		from = to;
	}
	expect_ok(gyre_root_drop(w->m, from));
	free(from);
	expect_live(w->m, 0);
}

/* First, last and middle of the heap's list are moved and dropped in every order. */
static void many_roots_move_and_drop(void **state)
{
	enum { MANY = 1000 };
	static struct gyre_root roots[2][MANY];
	struct world *w = *state;
	size_t order[MANY];
	uint64_t random = 4711;

	for (size_t i = 0; i < MANY; i++) {
		expect_ok(gyre_root_init(w->m, &roots[0][i], node_new(w, w->m, i)));
		order[i] = i;
	}
	expect_live(w->m, MANY);
	for (size_t i = MANY - 1; i > 0; i--) {
		size_t j, swap = order[i];

		random = random * 6364136223846793005U + 1442695040888963407U;
		j = (random >> 33) % (i + 1);
		order[i] = order[j];
		order[j] = swap;
	}
	for (size_t i = 0; i < MANY; i += 2)
		expect_ok(gyre_root_move(w->m, &roots[1][order[i]], &roots[0][order[i]]));
	expect_live(w->m, MANY);
	for (size_t i = 0; i < MANY; i++) {
		struct gyre_root *root = &roots[i % 2 == 0][order[i]];

		expect(node_is(gyre_load(&root->slot), order[i]));
		expect_ok(gyre_root_drop(w->m, root));
		if (i % 100 == 0)
			expect_live(w->m, MANY - i - 1);
	}
	expect_live(w->m, 0);
}

static void several_roots_hold_one_object(void **state)
{
	struct world *w = *state;
	struct gyre_root roots[5];
	struct node *n = node_new(w, w->m, 1);

	expect_ok(gyre_init(w->m, &n->left, n));
	for (size_t i = 0; i < LENGTH(roots); i++)
		expect_ok(gyre_root_init(w->m, &roots[i], n));
	for (size_t i = 0; i < LENGTH(roots); i++) {
		expect_live(w->m, 1);
		expect(node_is(gyre_load(&roots[i].slot), 1));
		expect_ok(gyre_root_drop(w->m, &roots[i]));
	}
	expect_live(w->m, 0);
}

struct handover {
	struct world *w;
	struct gyre_root root;
};

static void *make_and_leave(void *arg)
{
	struct handover *h = arg;
	struct gyre_mutator *m;

	expect_ok(gyre_attach(h->w->heap, 0, &m));
	expect_ok(gyre_root_init(m, &h->root, node_new(h->w, m, 21)));
	expect_ok(gyre_detach(m));
	return NULL;
}

/* Made by one thread, held while nobody is attached, dropped by another. */
static void roots_outlive_their_thread(void **state)
{
	struct world *w = *state;
	struct handover first = { .w = w }, second = { .w = w };

	expect_ok(gyre_detach(w->m));
	thread_join(thread_start(make_and_leave, &first));
	gyre_collect_soon(w->heap);
	thread_join(thread_start(make_and_leave, &second));
	expect_ok(gyre_attach(w->heap, 0, &w->m));
	expect_live(w->m, 2);
	expect(node_is(gyre_load(&first.root.slot), 21));
	expect(node_is(gyre_load(&second.root.slot), 21));
	expect_ok(gyre_root_drop(w->m, &first.root));
	expect_live(w->m, 1);
	expect_ok(gyre_root_drop(w->m, &second.root));
	expect_live(w->m, 0);
}

struct crowd {
	struct world *w;
	struct gyre_root shared;
};

/* Roots of its own, made and dropped while others do the same, and one slot that all write. */
static void *join_the_crowd(void *arg)
{
	struct crowd *c = arg;
	struct gyre_root own[20];
	struct gyre_mutator *m;

	expect_ok(gyre_attach(c->w->heap, 0, &m));
	for (uint64_t round = 0; round < 300; round++) {
		for (uint64_t i = 0; i < LENGTH(own); i++)
			expect_ok(gyre_root_init(m, &own[i], node_new(c->w, m, i)));
		gyre_safepoint(m);
		expect(node_sound(gyre_load(&c->shared.slot)));
		expect_ok(gyre_store(m, &c->shared.slot, gyre_load(&own[round % 20].slot)));
		gyre_safepoint(m);
		for (uint64_t i = 0; i < LENGTH(own); i++) {
			uint64_t at = (i * 7 + round) % LENGTH(own);

			expect(node_is(gyre_load(&own[at].slot), at));
			expect_ok(gyre_root_drop(m, &own[at]));
		}
	}
	expect_ok(gyre_detach(m));
	return NULL;
}

static void threads_use_roots_at_once(void **state)
{
	struct world *w = *state;
	struct crowd c = { .w = w };
	pthread_t threads[4];

	expect_ok(gyre_root_init(w->m, &c.shared, node_new(w, w->m, 1)));
	expect_ok(gyre_park(w->m));
	for (size_t i = 0; i < LENGTH(threads); i++)
		threads[i] = thread_start(join_the_crowd, &c);
	for (size_t i = 0; i < LENGTH(threads); i++)
		thread_join(threads[i]);
	expect_ok(gyre_unpark(w->m));
	expect_live(w->m, 1);
	expect_ok(gyre_root_drop(w->m, &c.shared));
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(roots_hold_and_let_go),
		world_test(roots_are_written_like_slots),
		world_test(roots_move),
		world_test(many_roots_move_and_drop),
		world_test(several_roots_hold_one_object),
		world_test(roots_outlive_their_thread),
		world_test(threads_use_roots_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
