/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_sets.c: gathering, preparing and judging candidate sets, step by step, in the situations in
 * which the published pseudo-code goes wrong. The collector is held and the test does its work;
 * what no mutator would have seen in between is made with the counts it would have made.
 */
#include "held.h"

struct case_of {
	struct world *w;
	struct gyre__collector *c;
	struct gyre_stats before;
};

static struct gyre_stats since(struct case_of *t)
{
	struct gyre_stats s = world_stats(t->w->heap);

	s.sets_found -= t->before.sets_found;
	s.sets_freed -= t->before.sets_freed;
	s.sets_refused_delta -= t->before.sets_refused_delta;
	s.sets_refused_sigma -= t->before.sets_refused_sigma;
	s.objects_reclaimed -= t->before.objects_reclaimed;
	return s;
}

/* What the last verdict has done, and how many members of refused sets it has kept for the next. */
static void expect_verdict(struct case_of *t, uint64_t freed, uint64_t delta, uint64_t sigma,
			   uint64_t kept)
{
	struct gyre_stats s = since(t);

	expect_equal(s.sets_freed, freed);
	expect_equal(s.sets_refused_delta, delta);
	expect_equal(s.sets_refused_sigma, sigma);
	expect_equal(t->c->members.count, kept);
	expect(kept > 0 || t->c->sets_count == 0);
}

/* The verdicts of the next epochs, in which nothing is touched, until no set is left. */
static void settle(struct case_of *t)
{
	unsigned rounds;

	gyre__drain(t->c);
	for (rounds = 0; t->c->sets_count > 0 && rounds < 10; rounds++) {
		held_prepare(t->c);
		gyre__judge(t->c);
		gyre__drain(t->c);
	}
	expect_equal(t->c->sets_count, 0);
}

/* A node that a root holds. */
static struct node *rooted(struct world *w, struct gyre_root *root, uint64_t id)
{
	struct node *n = node_new(w, w->m, id);

	expect_ok(gyre_root_init(w->m, root, n));
	return n;
}

static struct case_of begin(struct world *w)
{
	struct case_of t = { w, held_begin(w), { 0 } };

	t.before = world_stats(w->heap);
	return t;
}

/* The root's reference is gone, by a decrement that has long been counted. */
static void forget(struct gyre_root *root)
{
	uint64_t *word = gyre__word_of(gyre_load(&root->slot));

	expect(gyre__rc(*word) > 0);
	*word -= GYRE_RC_ONE;
	held_store(&root->slot, NULL);
}

/* Someone has taken a new reference into the root, and its increment is counted now. */
static void hold(struct case_of *t, struct gyre_root *root, struct node *n)
{
	held_store(&root->slot, n);
	gyre__increment(t->c, n);
}

/* What a trial leaves behind when it has found these dead. */
static void gray(struct node *const *nodes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t *word = gyre__word_of(nodes[i]);

		*word = gyre__crc_from_rc(*word & ~GYRE_TRACE) | GYRE_GRAY;
	}
}

static void finish(struct case_of *t)
{
	gyre__drain(t->c);
	gyre__flush(t->c);
	held_end(t->w);
}

static void drop_all(struct world *w, struct gyre_root *roots, size_t count)
{
	for (size_t i = 0; i < count; i++)
		expect_ok(gyre_root_drop(w->m, &roots[i]));
	expect_live(w->m, 0);
}

/*
 * Two sets that touch. Found first: x -> a <-> b. Found later: c <-> d, and c -> x, which is all
 * that holds x.
 */
struct touching {
	struct gyre_root roots[5];
	struct node *nodes[5], *x, *a, *b, *c, *d;
};

static void touching_make(struct world *w, struct touching *g)
{
	for (size_t i = 0; i < LENGTH(g->nodes); i++)
		g->nodes[i] = rooted(w, &g->roots[i], i);
	g->x = g->nodes[0], g->a = g->nodes[1], g->b = g->nodes[2];
	g->c = g->nodes[3], g->d = g->nodes[4];
	expect_ok(gyre_init(w->m, &g->x->left, g->a));
	expect_ok(gyre_init(w->m, &g->a->left, g->b));
	expect_ok(gyre_init(w->m, &g->b->left, g->a));
	expect_ok(gyre_init(w->m, &g->c->left, g->d));
	expect_ok(gyre_init(w->m, &g->d->left, g->c));
	expect_ok(gyre_init(w->m, &g->c->right, g->x));
}

static void touching_prepare(struct case_of *t, struct touching *g)
{
	gray(g->nodes, LENGTH(g->nodes));
	expect_equal(gyre__set_gather(t->c, g->x, 0), 3);
	expect_equal(gyre__set_gather(t->c, g->c, 0), 2);
	held_prepare(t->c);
	for (size_t i = 0; i < LENGTH(g->nodes); i++)
		expect_equal(held_word(g->nodes[i]) & (GYRE_TRACE | GYRE_ORANGE | GYRE_IN_SET),
			     GYRE_ORANGE | GYRE_IN_SET);
	expect_equal(gyre__crc(held_word(g->x)), 1);
	expect_equal(gyre__crc(held_word(g->c)), 0);
	expect_equal(gyre__crc(held_word(g->d)), 0);
}

static void both_die_in_one_verdict(void **state)
{
	struct world *w = (struct world *)*state;
	struct touching g;
	struct case_of t;

	touching_make(w, &g);
	t = begin(w);
	for (size_t i = 0; i < LENGTH(g.roots); i++)
		forget(&g.roots[i]);
	touching_prepare(&t, &g);
	gyre__judge(t.c);
	expect_verdict(&t, 2, 0, 0, 0);
	expect_equal(since(&t).objects_reclaimed, 5);
	finish(&t);
	drop_all(w, g.roots, LENGTH(g.roots));
}

/*
 * The later-found set dies and takes the only reference to x with it, while the set of x is refused
 * because b was touched (or was held all the time): x must go, and must give its reference to a up.
 */
static void expect_x_alone_went(struct case_of *t, struct touching *g, bool listed)
{
	/* In the verdict, or with what is left of its set in the next one. */
	settle(t);
	if (listed)
		expect_equal(held_word(g->x) & (GYRE_RELEASED | GYRE_IN_YOUNG),
			     GYRE_RELEASED | GYRE_IN_YOUNG);
	else
		expect_equal(held_word(g->x), 0);
	expect_equal(since(t).objects_reclaimed, listed ? 2 : 3);
	expect_equal(gyre__rc(held_word(g->a)), 1);
	expect_equal(gyre__rc(held_word(g->b)), 2);
	/* Giving up a reference has made a a candidate. */
	expect(held_word(g->a) & GYRE_PURPLE);
	expect_equal(held_word(g->a) & (GYRE_IN_SET | GYRE_ORANGE), 0);
	expect_equal(held_word(g->b) & (GYRE_IN_SET | GYRE_ORANGE), 0);
	finish(t);
	expect_live(t->w->m, 2);
	expect(node_is(g->a, 1) && node_is(g->b, 2));
	expect(gyre_load(&g->a->left) == g->b && gyre_load(&g->b->left) == g->a);
	drop_all(t->w, g->roots, LENGTH(g->roots));
}

static void refused_by_delta_brought_to_0(void **state)
{
	struct world *w = (struct world *)*state;
	struct touching g;
	struct case_of t;

	touching_make(w, &g);
	t = begin(w);
	for (size_t i = 0; i < LENGTH(g.roots); i++)
		forget(&g.roots[i]);
	touching_prepare(&t, &g);
	hold(&t, &g.roots[2], g.b);
	gyre__judge(t.c);
	expect_verdict(&t, 1, 1, 0, 1);
	expect_x_alone_went(&t, &g, false);
}

static void refused_by_sigma_brought_to_0(void **state)
{
	struct world *w = (struct world *)*state;
	struct touching g;
	struct case_of t;

	touching_make(w, &g);
	t = begin(w);
	for (size_t i = 0; i < LENGTH(g.roots); i++)
		if (i != 2)
			forget(&g.roots[i]);
	touching_prepare(&t, &g);
	expect_equal(gyre__crc(held_word(g.b)), 1);
	gyre__judge(t.c);
	expect_verdict(&t, 1, 0, 1, 1);
	expect_x_alone_went(&t, &g, false);
}

/* The same while the list of young candidates names x: it is not freed before the list lets go. */
static void brought_to_0_while_listed(void **state)
{
	struct world *w = (struct world *)*state;
	struct touching g;
	struct case_of t;

	touching_make(w, &g);
	t = begin(w);
	for (size_t i = 0; i < LENGTH(g.roots); i++)
		forget(&g.roots[i]);
	gyre__suspect(t.c, g.x, gyre__word_of(g.x));
	expect(held_word(g.x) & GYRE_IN_YOUNG);
	touching_prepare(&t, &g);
	hold(&t, &g.roots[2], g.b);
	gyre__judge(t.c);
	expect_verdict(&t, 1, 1, 0, 1);
	expect_x_alone_went(&t, &g, true);
}

/* x is not the first member of its set: the first is a, which lives and is a candidate again. */
static void brought_to_0_within_the_set(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_root roots[4];
	struct node *n[4];
	struct case_of t;

	for (size_t i = 0; i < LENGTH(n); i++)
		n[i] = rooted(w, &roots[i], i);
	/* n0 -> n1, nothing else leads there but n2 <-> n3's n2 -> n1. */
	expect_ok(gyre_init(w->m, &n[0]->left, n[1]));
	expect_ok(gyre_init(w->m, &n[2]->left, n[3]));
	expect_ok(gyre_init(w->m, &n[3]->left, n[2]));
	expect_ok(gyre_init(w->m, &n[2]->right, n[1]));
	t = begin(w);
	for (size_t i = 1; i < LENGTH(n); i++)
		forget(&roots[i]);
	gray(n, LENGTH(n));
	expect_equal(gyre__set_gather(t.c, n[0], 0), 2);
	/* The reference by which it was reached goes before the preparation. */
	held_store(&n[0]->left, NULL);
	*gyre__word_of(n[1]) -= GYRE_RC_ONE;
	expect_equal(gyre__set_gather(t.c, n[2], 0), 2);
	held_prepare(t.c);
	gyre__judge(t.c);
	expect_verdict(&t, 1, 0, 1, 1);
	expect(held_word(n[0]) & GYRE_PURPLE && held_word(n[0]) & GYRE_IN_YOUNG);
	settle(&t);
	expect_equal(since(&t).objects_reclaimed, 3);
	finish(&t);
	expect_live(w->m, 1);
	drop_all(w, roots, LENGTH(roots));
}

/* A ring of 3 in slots left, each held by a root. */
static void ring_make(struct world *w, struct node **n, struct gyre_root *roots)
{
	for (size_t i = 0; i < 3; i++)
		n[i] = rooted(w, &roots[i], i);
	for (size_t i = 0; i < 3; i++)
		expect_ok(gyre_init(w->m, &n[i]->left, n[(i + 1) % 3]));
}

/* Ring 2 refers to ring 1, ring 1 to ring 0; found in this order from 0, or the other way. */
static void chain_of_rings(struct world *w, bool backwards)
{
	struct gyre_root roots[9];
	struct node *n[9];
	struct case_of t;

	for (size_t i = 0; i < 3; i++)
		ring_make(w, n + 3 * i, roots + 3 * i);
	expect_ok(gyre_init(w->m, &n[6]->right, n[4]));
	expect_ok(gyre_init(w->m, &n[4]->right, n[2]));
	t = begin(w);
	for (size_t i = 0; i < LENGTH(n); i++)
		forget(&roots[i]);
	for (size_t i = 0; i < 3; i++) {
		size_t ring = backwards ? 2 - i : i;

		/* One trial each, so that a set does not swallow the next. */
		gray(n + 3 * ring, 3);
		expect_equal(gyre__set_gather(t.c, n[3 * ring], 0), 3);
	}
	held_prepare(t.c);
	gyre__judge(t.c);
	if (backwards) {
		/* Judged before what refers to it is: refused, and a candidate again. */
		expect_verdict(&t, 1, 0, 2, 0);
		expect_equal(since(&t).objects_reclaimed, 3);
		expect(held_word(n[4]) & GYRE_PURPLE && held_word(n[2]) & GYRE_PURPLE);
		expect_equal(gyre__rc(held_word(n[4])), 1);
		expect_equal(gyre__rc(held_word(n[2])), 2);
	} else {
		expect_verdict(&t, 3, 0, 0, 0);
		expect_equal(since(&t).objects_reclaimed, 9);
	}
	finish(&t);
	drop_all(w, roots, LENGTH(roots));
}

static void last_found_is_judged_first(void **state)
{
	chain_of_rings((struct world *)*state, false);
	chain_of_rings((struct world *)*state, true);
}

enum touch { NONE, UP, UP_AND_DOWN, DOWN, TOUCHES };

static void touch_one(struct case_of *t, struct gyre_root *root, struct node *n, enum touch touch)
{
	if (touch == UP)
		hold(t, root, n);
	if (touch == UP_AND_DOWN) {
		gyre__increment(t->c, n);
		gyre__decrement(t->c, n);
	}
	if (touch == DOWN) {
		held_store(&root->slot, NULL);
		gyre__decrement(t->c, n);
	}
}

/* Whichever member is touched, in whichever way: the set is refused, and stays a candidate. */
static void a_touch_refuses(void **state)
{
	struct world *w = (struct world *)*state;

	for (unsigned touch = NONE; touch < TOUCHES; touch++) {
		for (size_t i = 0; i < 3; i++) {
			struct gyre_root roots[3];
			struct node *n[3];
			struct case_of t;

			ring_make(w, n, roots);
			t = begin(w);
			for (size_t j = 0; j < 3; j++)
				if (j != i || touch != DOWN)
					forget(&roots[j]);
			gray(n, 3);
			expect_equal(gyre__set_gather(t.c, n[0], 0), 3);
			held_prepare(t.c);
			touch_one(&t, &roots[i], n[i], (enum touch)touch);
			gyre__judge(t.c);
			expect_verdict(&t, touch == NONE, touch != NONE, 0, 0);
			expect_equal(since(&t).objects_reclaimed, touch == NONE ? 3 : 0);
			if (touch != NONE)
				expect(held_word(n[i]) & GYRE_PURPLE);
			finish(&t);
			/* What is garbage after all is found by a later pass. */
			expect_live(w->m, touch == UP ? 3 : 0);
			drop_all(w, roots, 3);
		}
	}
}

/* A reference from outside that was there all along, to any member, from a root or an object. */
static void a_reference_from_outside_refuses(void **state)
{
	struct world *w = (struct world *)*state;

	for (size_t i = 0; i < 6; i++) {
		struct gyre_root roots[3], other;
		struct node *n[3], *outside = rooted(w, &other, 100);
		struct case_of t;

		ring_make(w, n, roots);
		if (i >= 3)
			expect_ok(gyre_init(w->m, &outside->left, n[i - 3]));
		t = begin(w);
		for (size_t j = 0; j < 3; j++)
			if (j != i)
				forget(&roots[j]);
		gray(n, 3);
		expect_equal(gyre__set_gather(t.c, n[0], 0), 3);
		held_prepare(t.c);
		for (size_t j = 0; j < 3; j++)
			expect_equal(gyre__crc(held_word(n[j])), j == i % 3);
		gyre__judge(t.c);
		expect_verdict(&t, 0, 0, 1, 0);
		expect(held_word(n[i % 3]) & GYRE_PURPLE &&
		       held_word(n[i % 3]) & GYRE_IN_YOUNG);
		finish(&t);
		expect_live(w->m, 4);
		expect_ok(gyre_root_drop(w->m, &other));
		drop_all(w, roots, 3);
	}
}

/* A dead ring that was gathered with something living, which is touched again and again: the ring
 * dies all the same, and the living lives. */
static void garbage_beside_the_living_dies(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_root roots[3], other;
	struct node *n[4];
	struct case_of t;

	ring_make(w, n, roots);
	n[3] = rooted(w, &other, 3);
	expect_ok(gyre_init(w->m, &n[1]->right, n[3]));
	t = begin(w);
	for (size_t i = 0; i < 3; i++)
		forget(&roots[i]);
	gray(n, 4);
	expect_equal(gyre__set_gather(t.c, n[0], 0), 4);
	held_prepare(t.c);
	touch_one(&t, &other, n[3], UP_AND_DOWN);
	gyre__judge(t.c);
	expect_verdict(&t, 0, 1, 0, 3);
	expect(held_word(n[3]) & GYRE_PURPLE && held_word(n[3]) & GYRE_IN_YOUNG);
	expect_equal(held_word(n[3]) & GYRE_IN_SET, 0);
	held_prepare(t.c);
	touch_one(&t, &other, n[3], UP_AND_DOWN);
	gyre__judge(t.c);
	expect_verdict(&t, 1, 1, 0, 0);
	expect_equal(since(&t).objects_reclaimed, 3);
	expect_equal(gyre__rc(held_word(n[3])), 1);
	finish(&t);
	expect_live(w->m, 1);
	expect_ok(gyre_root_drop(w->m, &other));
	drop_all(w, roots, 3);
}

/* The preparation meets an edge that no count knows of yet: its increment is still to come. */
static void more_edges_than_counts_refuse(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_root roots[3];
	struct node *n[3];
	struct case_of t;

	ring_make(w, n, roots);
	t = begin(w);
	for (size_t i = 0; i < 3; i++)
		forget(&roots[i]);
	gray(n, 3);
	expect_equal(gyre__set_gather(t.c, n[0], 0), 3);
	held_store(&n[1]->right, n[0]);
	held_prepare(t.c);
	expect_equal(gyre__crc(held_word(n[0])), 0);
	expect_equal(held_word(n[0]) & GYRE_ORANGE, 0);
	gyre__increment(t.c, n[0]);
	gyre__judge(t.c);
	expect_verdict(&t, 0, 1, 0, 0);
	finish(&t);
	drop_all(w, roots, 3);
}

/* A member dies by its count after the preparation: the refused set frees it, nobody else may. */
static void released_before_the_verdict(void **state)
{
	struct world *w = (struct world *)*state;
	struct touching g;
	struct case_of t;

	touching_make(w, &g);
	expect_ok(gyre_store(w->m, &g.c->right, NULL));
	t = begin(w);
	for (size_t i = 1; i < LENGTH(g.roots); i++)
		forget(&g.roots[i]);
	gray(g.nodes, 3);
	expect_equal(gyre__set_gather(t.c, g.x, 0), 3);
	held_prepare(t.c);
	held_store(&g.roots[0].slot, NULL);
	gyre__decrement(t.c, g.x);
	gyre__drain(t.c);
	/* Dead, its reference to a given up, and not freed: it is in a set. */
	expect_equal(held_word(g.x) & (GYRE_RELEASED | GYRE_IN_SET), GYRE_RELEASED | GYRE_IN_SET);
	expect_equal(since(&t).objects_reclaimed, 0);
	expect_equal(gyre__rc(held_word(g.a)), 1);
	gyre__judge(t.c);
	expect_verdict(&t, 0, 1, 0, 0);
	expect_equal(since(&t).objects_reclaimed, 1);
	expect_equal(held_word(g.x), 0);
	/* c and d were never candidates: by hand, as their decrements were. */
	gyre__suspect(t.c, g.c, gyre__word_of(g.c));
	finish(&t);
	drop_all(w, g.roots, LENGTH(g.roots));
}

/* Two candidates in one ring: the second is swallowed by the set of the first, in no list. */
static void two_candidates_make_one_set(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_root roots[3];
	struct node *n[3];
	struct case_of t;

	ring_make(w, n, roots);
	t = begin(w);
	for (size_t i = 0; i < 3; i++) {
		forget(&roots[i]);
		gyre__suspect(t.c, n[i], gyre__word_of(n[i]));
	}
	expect_equal(t.c->young.count, 3);
	gyre__near_pass(t.c); /* they come of age */
	expect_equal(t.c->sets_count, 0);
	gyre__near_pass(t.c);
	expect_equal(t.c->sets_count, 1);
	expect_equal(t.c->members.count, 3);
	expect_equal(t.c->young.count + t.c->aged.count, 0);
	for (size_t i = 0; i < 3; i++)
		expect_equal(held_word(n[i]) & (GYRE_IN_YOUNG | GYRE_IN_SET | GYRE_ORANGE),
			     GYRE_IN_SET | GYRE_ORANGE);
	gyre__judge(t.c);
	expect_verdict(&t, 1, 0, 0, 0);
	expect_equal(since(&t).objects_reclaimed, 3);
	finish(&t);
	drop_all(w, roots, 3);
}

/* Gathering follows what is GRAY and of its own pass, and nothing else. */
static void gathering_stops_at_the_living(void **state)
{
	struct world *w = (struct world *)*state;
	struct touching g;
	struct case_of t;

	touching_make(w, &g);
	t = begin(w);
	gray(&g.x, 1);
	gray(&g.b, 1);
	/* a is not GRAY, so b is not reached. */
	expect_equal(gyre__set_gather(t.c, g.x, 0), 1);
	*gyre__word_of(g.b) &= ~GYRE_TRACE;
	expect_equal(held_word(g.a) & GYRE_IN_SET, 0);
	gray(&g.c, 1);
	gray(&g.d, 1);
	*gyre__word_of(g.d) |= GYRE_IN_TRACE;
	/* d belongs to a far pass; x is in a set already. */
	expect_equal(gyre__set_gather(t.c, g.c, 0), 1);
	*gyre__word_of(g.d) &= ~(GYRE_IN_TRACE | GYRE_TRACE);
	held_prepare(t.c);
	gyre__judge(t.c);
	expect_verdict(&t, 0, 0, 2, 0);
	finish(&t);
	expect_live(w->m, 5);
	drop_all(w, g.roots, LENGTH(g.roots));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(both_die_in_one_verdict),
		world_test(refused_by_delta_brought_to_0),
		world_test(refused_by_sigma_brought_to_0),
		world_test(brought_to_0_while_listed),
		world_test(brought_to_0_within_the_set),
		world_test(last_found_is_judged_first),
		world_test(a_touch_refuses),
		world_test(a_reference_from_outside_refuses),
		world_test(garbage_beside_the_living_dies),
		world_test(more_edges_than_counts_refuse),
		world_test(released_before_the_verdict),
		world_test(two_candidates_make_one_set),
		world_test(gathering_stops_at_the_living),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
