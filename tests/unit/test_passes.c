/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_passes.c: the far pass met by what mutators do while it is under way, candidates that the
 * near pass may not try, what must call for a far pass or be lost, and sets of one verdict that
 * wait for each other. The collector is held and the test does its steps. Main thread only.
 */
#include "held.h"

static struct node *rooted(struct world *w, struct gyre_root *root, uint64_t id)
{
	struct node *n = node_new(w, w->m, id);

	expect_ok(gyre_root_init(w->m, root, n));
	return n;
}

/* The root's reference is gone, and counted as such now. */
static void forget(struct gyre__collector *c, struct gyre_root *root)
{
	void *object = gyre_load(&root->slot);

	held_store(&root->slot, NULL);
	gyre__decrement(c, object);
}

static void hold(struct gyre__collector *c, struct gyre_root *root, void *object)
{
	held_store(&root->slot, object);
	gyre__increment(c, object);
}

static void end_far(struct gyre__collector *c)
{
	while (c->far.phase != GYRE_FAR_IDLE)
		gyre__far_slice(c);
}

/* The verdicts of the next epochs, in which nothing is touched. */
static void finish(struct world *w, struct gyre__collector *c)
{
	while (c->sets_count > 0) {
		held_prepare(c);
		gyre__judge(c);
		gyre__drain(c);
	}
	c->far.settling = false;
	gyre__flush(c);
	held_end(w);
}

static void drop_all(struct world *w, struct gyre_root *roots, size_t count)
{
	for (size_t i = 0; i < count; i++)
		expect_ok(gyre_root_drop(w->m, &roots[i]));
	expect_live(w->m, 0);
}

/* An increment while the far pass is under way, on each kind of object that it may hit. */
static void touched_during_a_far_pass(void **state)
{
	struct world *w = (struct world *)*state;
	struct leaf *leaf = (struct leaf *)gyre_new(w->m, w->leaf);
	struct gyre__collector *c;
	struct gyre_root roots[4];
	uint64_t *seen, *unseen;

	expect(leaf != NULL);
	seen = gyre__word_of(rooted(w, &roots[0], 0));
	unseen = gyre__word_of(rooted(w, &roots[1], 1));
	expect_ok(gyre_root_init(w->m, &roots[2], leaf));
	expect_ok(gyre_root_init(w->m, &roots[3], NULL));
	c = held_begin(w);
	hold(c, &roots[3], gyre_load(&roots[0].slot));
	forget(c, &roots[3]); /* a candidate, so a root of the pass */
	gyre__far_begin(c);
	expect(gyre__is_gray(*seen) && *seen & GYRE_IN_TRACE && gyre__crc(*seen) == 1);
	/* In its list: one more outside reference, and a candidate of the next pass. */
	expect_equal(*seen & GYRE_PURPLE, 0);
	hold(c, &roots[3], gyre_load(&roots[0].slot));
	expect_equal(gyre__crc(*seen), 2);
	expect(*seen & GYRE_PURPLE);
	/* At its end the trial count stays there. */
	*seen = (*seen & (GYRE_CRC_ONE - 1)) | GYRE_COUNT_MAX << GYRE_CRC_SHIFT;
	gyre__far_touched(c, gyre_load(&roots[0].slot), seen);
	expect_equal(gyre__crc(*seen), GYRE_COUNT_MAX);
	/* Not in its list: a candidate, and nothing else. */
	gyre__far_touched(c, gyre_load(&roots[1].slot), unseen);
	expect(*unseen & GYRE_PURPLE && !gyre__is_gray(*unseen));
	/* Never a candidate. */
	gyre__far_touched(c, leaf, gyre__word_of(leaf));
	expect_equal(held_word(leaf) & GYRE_PURPLE, 0);
	/* Newborn: it becomes one when its birth is over. */
	*unseen = (*unseen & ~GYRE_PURPLE) | GYRE_NEWBORN_TRACE;
	gyre__far_touched(c, gyre_load(&roots[1].slot), unseen);
	expect_equal(*unseen & GYRE_PURPLE, 0);
	*unseen = (*unseen & ~GYRE_TRACE) | GYRE_PURPLE;
	/* Once it scans, what is touched lives, with what it refers to. */
	c->far.phase = GYRE_FAR_SCAN;
	c->far.head = c->far.visited.count;
	gyre__far_touched(c, gyre_load(&roots[0].slot), seen);
	expect(!gyre__is_gray(*seen));
	expect_equal(c->far.black.count, 1);
	gyre__far_touched(c, gyre_load(&roots[0].slot), seen);
	expect_equal(c->far.black.count, 1);
	end_far(c);
	expect_equal(c->sets_count, 0);
	finish(w, c);
	expect_live(w->m, 3);
	drop_all(w, roots, LENGTH(roots));
}

/* Dead by its count while the pass has it in hand: not looked into, freed when the pass ends. */
static void released_during_a_far_pass(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_root roots[2];
	struct node *n = rooted(w, &roots[0], 0), *child = rooted(w, &roots[1], 1);
	struct gyre__collector *c;
	uint64_t before;

	expect_ok(gyre_init(w->m, &n->left, child));
	c = held_begin(w);
	before = world_stats(w->heap).objects_reclaimed;
	gyre__increment(c, n);
	gyre__decrement(c, n);
	gyre__far_begin(c);
	forget(c, &roots[0]);
	gyre__drain(c);
	expect_equal(held_word(n) & (GYRE_RELEASED | GYRE_IN_TRACE), GYRE_RELEASED | GYRE_IN_TRACE);
	expect_equal(gyre__rc(held_word(child)), 1);
	expect_equal(world_stats(w->heap).objects_reclaimed, before);
	end_far(c);
	expect_equal(world_stats(w->heap).objects_reclaimed, before + 1);
	expect_equal(held_word(n), 0);
	finish(w, c);
	expect_live(w->m, 1);
	drop_all(w, roots, LENGTH(roots));
}

/* The passes meet more edges than counts: one was made after the boundary. Nothing dies of it. */
static void more_edges_than_counts(void **state)
{
	struct world *w = (struct world *)*state;

	for (int far = 0; far < 2; far++) {
		struct gyre_root roots[2];
		struct node *n = rooted(w, &roots[0], 0), *child = rooted(w, &roots[1], 1);
		struct gyre__collector *c;

		expect_ok(gyre_init(w->m, &n->left, child));
		c = held_begin(w);
		gyre__increment(c, n);
		gyre__decrement(c, n);
		/* The root's reference has moved into n, and no journal that tells is counted. */
		held_store(&roots[1].slot, NULL);
		held_store(&n->right, child);
		held_store(&child->left, child);
		if (far) {
			gyre__far_begin(c);
			end_far(c);
		} else {
			gyre__near_pass(c);
			gyre__near_pass(c);
		}
		expect_equal(c->sets_count, 0);
		expect_equal(held_word(child) & (GYRE_TRACE | GYRE_IN_TRACE), 0);
		gyre__increment(c, child); /* now it is */
		finish(w, c);
		expect_live(w->m, 2);
		drop_all(w, roots, LENGTH(roots));
	}
}

/* Candidates that a trial must not look into stay candidates, and none is lost. */
static void candidates_that_are_not_tried(void **state)
{
	static const uint64_t flags[] = { GYRE_STUCK, GYRE_IN_TRACE, GYRE_NEWBORN_TRACE };
	struct world *w = (struct world *)*state;

	for (size_t i = 0; i < LENGTH(flags); i++) {
		struct gyre__collector *c;
		struct gyre_root root;
		struct node *n = rooted(w, &root, i);
		uint64_t skipped;

		c = held_begin(w);
		gyre__increment(c, n);
		gyre__decrement(c, n);
		gyre__near_pass(c);
		*gyre__word_of(n) |= flags[i];
		skipped = world_stats(w->heap).candidates_skipped;
		gyre__near_pass(c);
		expect_equal(world_stats(w->heap).candidates_skipped, skipped + 1);
		expect_equal(held_word(n) & (GYRE_PURPLE | GYRE_IN_YOUNG), GYRE_PURPLE);
		expect_equal(held_word(n) & GYRE_IN_SET, 0);
		if (flags[i] == GYRE_STUCK) {
			/* Nor does a far pass begin from it. */
			gyre__far_begin(c);
			expect_equal(c->far.visited.count, 0);
			end_far(c);
		}
		*gyre__word_of(n) &= ~flags[i];
		finish(w, c);
		drop_all(w, &root, 1);
	}
}

/* In the list of candidates, and none any more. */
static void candidates_that_are_none_any_more(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c;
	struct gyre_root root;
	struct node *n = rooted(w, &root, 1);
	uint64_t traced;

	c = held_begin(w);
	gyre__increment(c, n);
	gyre__decrement(c, n);
	gyre__near_pass(c);
	*gyre__word_of(n) &= ~GYRE_PURPLE;
	traced = world_stats(w->heap).near_traced;
	gyre__near_pass(c);
	expect_equal(world_stats(w->heap).near_traced, traced);
	expect_equal(held_word(n) & (GYRE_PURPLE | GYRE_IN_YOUNG), 0);
	finish(w, c);
	drop_all(w, &root, 1);
}

/*
 * A count that sticks while a far pass has the object in hand: no count tells of the reference, so
 * the pass must be told. First with room in the trial count; then with as many edges subtracted as
 * there were counts, so that nothing but the flag speaks for the object.
 */
static void stuck_during_a_far_pass(void **state)
{
	struct world *w = (struct world *)*state;

	for (int explained = 0; explained < 2; explained++) {
		struct gyre__collector *c;
		struct gyre_root roots[2];
		struct node *n = rooted(w, &roots[0], 1);
		uint64_t *word = gyre__word_of(n);

		expect_ok(gyre_root_init(w->m, &roots[1], NULL));
		expect_ok(gyre_init(w->m, &n->left, n));
		c = held_begin(w);
		forget(c, &roots[0]);
		gyre__far_begin(c);
		expect(gyre__is_gray(*word) && gyre__crc(*word) == 1);
		*word |= GYRE_COUNT_MAX << GYRE_RC_SHIFT;
		hold(c, &roots[1], n);
		expect(*word & GYRE_STUCK);
		if (explained)
			*word = (*word & (GYRE_CRC_ONE - 1)) | GYRE_CRC_ONE;
		end_far(c);
		expect_equal(c->sets_count, 0);
		expect_equal(*word & GYRE_RELEASED, 0);
		/* As if it had not stuck: the edge to itself, and the root. */
		*word &= ~(GYRE_STUCK | GYRE_COUNT_MAX << GYRE_RC_SHIFT);
		*word |= 2 * GYRE_RC_ONE;
		finish(w, c);
		drop_all(w, roots, LENGTH(roots));
	}
}

/* No decrement makes a newborn purple: it would be in no list when its birth is over, and no pass
 * could begin from it before. */
static void decremented_newborn(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c;
	struct gyre_root root;
	struct node *n = rooted(w, &root, 1);
	uint64_t *word = gyre__word_of(n);

	c = held_begin(w);
	*word |= GYRE_NEWBORN_TRACE;
	gyre__increment(c, n);
	gyre__decrement(c, n);
	expect_equal(*word & (GYRE_PURPLE | GYRE_IN_YOUNG), 0);
	*word &= ~GYRE_TRACE;
	gyre__increment(c, n);
	gyre__decrement(c, n);
	expect_equal(*word & (GYRE_PURPLE | GYRE_IN_YOUNG), GYRE_PURPLE | GYRE_IN_YOUNG);
	finish(w, c);
	drop_all(w, &root, 1);
}

/*
 * Counted up by a thread that is an epoch behind its maker, and down by what dies, before its birth
 * is known. It is not dead: its maker has it.
 */
static void unborn(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c = held_begin(w);
	struct gyre_keep keep;
	struct node *n;
	void *kept[1];

	expect_ok(gyre_unpark(w->m));
	n = node_new(w, w->m, 7);
	kept[0] = n;
	gyre_keep_open(w->m, &keep, kept, 1);
	expect_equal(held_word(n), 0);
	gyre__increment(c, n);
	gyre__decrement(c, n);
	gyre__drain(c);
	expect_equal(held_word(n), 0);
	gyre__increment(c, n);
	gyre__increment(c, n);
	gyre__decrement(c, n);
	expect_equal(held_word(n), GYRE_RC_ONE);
	gyre__decrement(c, n);
	gyre__collector_let_go(w->heap);
	expect_live(w->m, 1);
	expect(node_is(n, 7));
	gyre_keep_close(&keep);
	expect_live(w->m, 0);
}

/* Two dead rings, one behind the other, and a budget for the first: what it left out is no
 * candidate, so a far pass must be due. */
static void what_a_budget_leaves_out(void **state)
{
	struct world *w = (struct world *)*state;
	uint32_t budget = gyre__threshold(w->heap, near_budget);
	struct gyre__collector *c;
	struct gyre_root root;
	struct node *n[4];

	n[0] = rooted(w, &root, 0);
	for (size_t i = 1; i < 4; i++) {
		n[i] = node_new(w, w->m, i);
		expect_ok(gyre_init(w->m, &n[i - 1]->left, n[i]));
	}
	expect_ok(gyre_init(w->m, &n[1]->right, n[0]));
	expect_ok(gyre_init(w->m, &n[3]->right, n[2]));
	c = held_begin(w);
	atomic_store(&w->heap->thresholds.near_budget, 2);
	/* As in recycler, where the decrement of a birth brings each newborn to a trial. */
	for (size_t i = 0; i < 4; i++)
		*gyre__word_of(n[i]) |= GYRE_PROVEN;
	forget(c, &root);
	gyre__near_pass(c); /* it comes of age */
	c->far.left = 0;
	c->yield.level = 0;
	gyre__near_pass(c);
	expect_equal(held_word(n[0]) & GYRE_IN_SET, GYRE_IN_SET);
	expect_equal(held_word(n[3]) & (GYRE_IN_SET | GYRE_PURPLE), 0);
	expect(c->far.left > 0);
	atomic_store(&w->heap->thresholds.near_budget, budget);
	finish(w, c);
	drop_all(w, &root, 1);
}

/* A ring of two that nothing holds, all of it GRAY, as a trial leaves it. */
static void dead_ring(struct node *const *n, struct gyre_root *roots)
{
	for (size_t i = 0; i < 2; i++) {
		uint64_t *word = gyre__word_of(n[i]);

		held_store(&roots[i].slot, NULL);
		*word = gyre__crc_from_rc((*word - GYRE_RC_ONE) & ~GYRE_TRACE) | GYRE_GRAY;
	}
}

/* What holds a set is garbage that is carried over: it waits for that, as a whole. */
static void a_set_waits_for_one_that_is_carried_over(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c;
	struct gyre_root roots[5];
	struct node *n[5], *live;
	uint64_t freed;

	for (size_t i = 0; i < LENGTH(n); i++)
		n[i] = rooted(w, &roots[i], i);
	live = n[4];
	/* 0 <-> 1, found first, is held by 2 <-> 3, which was caught with what it refers to. */
	for (size_t i = 0; i < 4; i++)
		expect_ok(gyre_init(w->m, &n[i]->left, n[i ^ 1]));
	expect_ok(gyre_init(w->m, &n[2]->right, n[0]));
	expect_ok(gyre_init(w->m, &n[3]->right, live));
	c = held_begin(w);
	freed = world_stats(w->heap).objects_reclaimed;
	dead_ring(n, roots);
	expect_equal(gyre__set_gather(c, n[0], 0), 2);
	dead_ring(n + 2, roots + 2);
	*gyre__word_of(live) |= GYRE_GRAY;
	expect_equal(gyre__set_gather(c, n[2], 0), 3);
	held_prepare(c);
	gyre__judge(c);
	/* The living left; nothing else did, although something outside its set holds 0. */
	expect_equal(c->sets_count, 2);
	expect_equal(c->members.count, 4);
	expect_equal(held_word(live) & GYRE_IN_SET, 0);
	expect_equal(world_stats(w->heap).objects_reclaimed, freed);
	held_prepare(c);
	gyre__judge(c);
	expect_equal(c->sets_count, 0);
	expect_equal(world_stats(w->heap).objects_reclaimed, freed + 4);
	finish(w, c);
	expect_live(w->m, 1);
	drop_all(w, roots, LENGTH(roots));
}

/* A member dies by its count before its set is prepared: it leaves at the verdict, and is freed. */
static void released_before_the_preparation(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c;
	struct gyre_root roots[2];
	struct node *n[2];
	uint64_t freed;

	n[0] = rooted(w, &roots[0], 0);
	n[1] = rooted(w, &roots[1], 1);
	expect_ok(gyre_init(w->m, &n[0]->left, n[1]));
	c = held_begin(w);
	freed = world_stats(w->heap).objects_reclaimed;
	for (size_t i = 0; i < 2; i++)
		*gyre__word_of(n[i]) |= GYRE_GRAY;
	expect_equal(gyre__set_gather(c, n[0], 0), 2);
	forget(c, &roots[0]);
	gyre__drain(c);
	held_prepare(c);
	expect_equal(held_word(n[0]) & (GYRE_RELEASED | GYRE_ORANGE), GYRE_RELEASED);
	expect_equal(gyre__crc(held_word(n[1])), 1);
	gyre__judge(c);
	expect_equal(world_stats(w->heap).objects_reclaimed, freed + 1);
	finish(w, c);
	expect_live(w->m, 1);
	drop_all(w, roots, LENGTH(roots));
}

/* A purple member that no list names leaves its set by way of another one: to the far pass. */
static void what_a_leaving_member_reaches_leaves(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c;
	struct gyre_root roots[2];
	struct node *n[2];
	uint64_t left;

	n[0] = rooted(w, &roots[0], 0);
	n[1] = rooted(w, &roots[1], 1);
	expect_ok(gyre_init(w->m, &n[0]->left, n[1]));
	expect_ok(gyre_init(w->m, &n[1]->left, n[0]));
	c = held_begin(w);
	/* 1 is held by 0 alone, 0 by its root as well. */
	held_store(&roots[1].slot, NULL);
	*gyre__word_of(n[1]) -= GYRE_RC_ONE;
	for (size_t i = 0; i < 2; i++)
		*gyre__word_of(n[i]) |= GYRE_GRAY;
	*gyre__word_of(n[1]) |= GYRE_PURPLE;
	expect_equal(gyre__set_gather(c, n[1], 0), 2);
	held_prepare(c);
	left = c->far.left;
	gyre__judge(c);
	expect_equal(c->sets_count, 0);
	expect_equal(c->far.left, left + 1);
	expect_equal(held_word(n[1]) & (GYRE_PURPLE | GYRE_IN_SET), GYRE_PURPLE);
	expect(held_word(n[0]) & GYRE_IN_YOUNG);
	finish(w, c);
	expect_live(w->m, 2);
	drop_all(w, roots, LENGTH(roots));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(touched_during_a_far_pass),
		world_test(released_during_a_far_pass),
		world_test(more_edges_than_counts),
		world_test(candidates_that_are_not_tried),
		world_test(candidates_that_are_none_any_more),
		world_test(stuck_during_a_far_pass),
		world_test(decremented_newborn),
		world_test(unborn),
		world_test(what_a_budget_leaves_out),
		world_test(a_set_waits_for_one_that_is_carried_over),
		world_test(released_before_the_preparation),
		world_test(what_a_leaving_member_reaches_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
