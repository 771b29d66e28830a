/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_starved.c: the collector's lists cannot grow. Nothing is freed that lives, nothing that is
 * garbage is lost: what has no place is left to a pass that comes when there is memory. The
 * collector is held and the test does its steps. Main thread only.
 */
#include "held.h"

/* A ring of 3 that only a root holds, all counted; then the root is gone. */
struct ring {
	struct gyre_root root;
	struct node *n[3];
};

static void ring_make(struct world *w, struct ring *r)
{
	for (size_t i = 0; i < LENGTH(r->n); i++)
		r->n[i] = node_new(w, w->m, i);
	for (size_t i = 0; i < LENGTH(r->n); i++)
		expect_ok(gyre_init(w->m, &r->n[i]->left, r->n[(i + 1) % 3]));
	expect_ok(gyre_root_init(w->m, &r->root, r->n[0]));
}

static void ring_cut(struct gyre__collector *c, struct ring *r)
{
	held_store(&r->root.slot, NULL);
	gyre__decrement(c, r->n[0]);
}

static bool ring_candidate(const struct ring *r)
{
	return (held_word(r->n[0]) & GYRE_PURPLE) != 0;
}

/* No member of the ring is coloured or in a set, and each is counted as before. */
static void ring_untouched(const struct ring *r)
{
	for (size_t i = 0; i < LENGTH(r->n); i++) {
		expect_equal(held_word(r->n[i]) & (GYRE_TRACE | GYRE_IN_SET | GYRE_IN_TRACE), 0);
		expect_equal(gyre__rc(held_word(r->n[i])), 1);
	}
}

static void ring_dies(struct world *w, struct ring *r)
{
	held_end(w);
	expect_live(w->m, 0);
	expect_ok(gyre_root_drop(w->m, &r->root));
}

static void candidates_without_a_place(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c;
	struct gyre__vector young;
	struct ring r;
	uint64_t left;

	ring_make(w, &r);
	c = held_begin(w);
	young = held_cramp(&c->young, 0);
	left = c->far.left;
	ring_cut(c, &r);
	expect(ring_candidate(&r));
	expect_equal(held_word(r.n[0]) & GYRE_IN_YOUNG, 0);
	expect_equal(c->far.left, left + 1);
	expect_equal(c->young.count, 0);
	c->young = young;
	ring_dies(w, &r);
}

/* The near pass cannot note what it visits, cannot follow what lives, or cannot hold what is dead:
 * no trial is judged. The second of these takes something that lives. */
static void near_pass_without_room(void **state)
{
	struct world *w = (struct world *)*state;

	for (int lists = 0; lists < 3; lists++) {
		struct gyre__collector *c;
		struct gyre__vector before;
		struct ring r;

		ring_make(w, &r);
		c = held_begin(w);
		gyre__increment(c, r.n[0]);
		gyre__decrement(c, r.n[0]);
		gyre__near_pass(c); /* it comes of age */
		expect_equal(c->aged.count, 1);
		if (lists != 1)
			ring_cut(c, &r);
		{
			struct gyre__vector *cramped[] = { &c->visited, &c->stack, &c->members };

			before = held_cramp(cramped[lists], 0);
			gyre__near_pass(c);
			*cramped[lists] = before;
		}
		expect_equal(c->sets_count, 0);
		expect_equal(c->aged.count + c->young.count, 0);
		expect(ring_candidate(&r));
		expect(c->far.left > 0);
		if (lists == 1)
			ring_cut(c, &r);
		ring_untouched(&r);
		ring_dies(w, &r);
	}
}

/* The root has a place and its children have none: their edges count as outside references. */
static void near_trial_with_room_for_one(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c;
	struct gyre__vector before;
	struct ring r;

	ring_make(w, &r);
	c = held_begin(w);
	ring_cut(c, &r);
	gyre__near_pass(c);
	before = held_cramp(&c->visited, 1);
	gyre__near_pass(c);
	c->visited = before;
	expect_equal(c->sets_count, 0);
	expect(ring_candidate(&r));
	ring_untouched(&r);
	ring_dies(w, &r);
}

/* The far pass at each of its steps: its candidates are candidates of the next one. */
static void far_pass_without_room(void **state)
{
	struct world *w = (struct world *)*state;

	for (int step = 0; step < 3; step++) {
		struct gyre__vector *list, before;
		struct gyre__collector *c;
		struct gyre_root outside;
		struct ring r;

		ring_make(w, &r);
		/* Held from outside, so that the scan has something to blacken. */
		expect_ok(gyre_root_init(w->m, &outside, step == 2 ? r.n[1] : NULL));
		c = held_begin(w);
		ring_cut(c, &r);
		list = step < 2 ? &c->far.visited : &c->far.black;
		before = held_cramp(list, step == 1);
		gyre__far_begin(c);
		while (c->far.phase != GYRE_FAR_IDLE)
			gyre__far_slice(c);
		*list = before;
		expect(c->far.starved);
		expect_equal(c->sets_count, 0);
		expect(ring_candidate(&r));
		expect(c->far.left > 0);
		for (size_t i = 0; i < LENGTH(r.n); i++)
			expect_equal(held_word(r.n[i]) & (GYRE_TRACE | GYRE_IN_TRACE), 0);
		c->far.starved = false;
		c->far.settling = false;
		held_end(w);
		expect_ok(gyre_root_drop(w->m, &outside));
		expect_live(w->m, 0);
		expect_ok(gyre_root_drop(w->m, &r.root));
	}
}

/* A set that cannot be held as a whole is none; its root is a candidate. */
static void gathering_without_room(void **state)
{
	struct world *w = (struct world *)*state;

	for (size_t room = 0; room < LENGTH(((struct ring *)NULL)->n); room++) {
		struct gyre__collector *c;
		struct gyre__vector before;
		struct ring r;

		ring_make(w, &r);
		c = held_begin(w);
		held_store(&r.root.slot, NULL);
		*gyre__word_of(r.n[0]) -= GYRE_RC_ONE;
		for (size_t i = 0; i < LENGTH(r.n); i++)
			*gyre__word_of(r.n[i]) |= GYRE_GRAY;
		before = held_cramp(&c->members, room);
		expect_equal(gyre__set_gather(c, r.n[0], 0), 0);
		expect_equal(c->members.count, 0);
		c->members = before;
		expect_equal(c->sets_count, 0);
		expect(ring_candidate(&r));
		for (size_t i = 0; i < LENGTH(r.n); i++) {
			expect_equal(held_word(r.n[i]) & (GYRE_IN_SET | GYRE_ORANGE), 0);
			*gyre__word_of(r.n[i]) &= ~GYRE_TRACE; /* as the pass would */
		}
		ring_untouched(&r);
		ring_dies(w, &r);
	}
}

/* What a refused set's living members reach cannot be told: all of them are candidates. */
static void refusing_without_room(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c;
	struct gyre__vector stack;
	struct ring r;

	ring_make(w, &r);
	c = held_begin(w);
	for (size_t i = 0; i < LENGTH(r.n); i++)
		*gyre__word_of(r.n[i]) |= GYRE_GRAY;
	expect_equal(gyre__set_gather(c, r.n[0], 0), 3);
	held_prepare(c);
	stack = held_cramp(&c->stack, 0);
	gyre__judge(c); /* the root is an outside reference */
	c->stack = stack;
	expect(ring_candidate(&r));
	expect_equal(held_word(r.n[0]) & GYRE_IN_SET, 0);
	while (c->sets_count > 0) {
		held_prepare(c);
		gyre__judge(c);
	}
	held_end(w);
	expect_live(w->m, 3);
	expect_ok(gyre_root_drop(w->m, &r.root));
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(candidates_without_a_place),
		world_test(near_pass_without_room),
		world_test(near_trial_with_room_for_one),
		world_test(far_pass_without_room),
		world_test(gathering_without_room),
		world_test(refusing_without_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
