/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_counts.c: what happens to a count at its upper end: it sticks, once, with a line in the log,
 * and its object with all that it refers to is kept for ever, which is no disagreement. One below
 * it is an ordinary count. And an increment takes no candidate back.
 */
#include "held.h"

static void set_count(struct world *w, const void *object, uint64_t from, uint64_t to)
{
	uint64_t *word;

	held_begin(w);
	word = gyre__word_of(object);
	expect_equal(gyre__rc(*word), from);
	*word += (to - from) * GYRE_RC_ONE;
	expect_equal(gyre__rc(*word), to);
	held_end(w);
}

static uint64_t count_of(struct world *w, const void *object)
{
	uint64_t rc;

	held_begin(w);
	rc = gyre__rc(held_word(object));
	held_end(w);
	return rc;
}

/* Fills count slots of an array that the root holds with object. */
static void refer(struct world *w, struct gyre_root *root, const void *object, size_t count)
{
	struct refs *r = refs_new(w, w->m, count);

	expect_ok(gyre_array_fill(w->m, r->items, count, object));
	expect_ok(gyre_root_init(w->m, root, r));
}

/* The largest count that is a count. */
static void up_to_the_end_nothing_sticks(void **state)
{
	struct world *w = (struct world *)*state;
	struct node *n = node_new(w, w->m, 1);
	struct gyre_root root, more;

	expect_ok(gyre_root_init(w->m, &root, n));
	set_count(w, n, 1, GYRE_COUNT_MAX - 1);
	refer(w, &more, n, 1);
	expect_equal(count_of(w, n), GYRE_COUNT_MAX);
	expect_ok(gyre_root_drop(w->m, &more));
	expect_equal(count_of(w, n), GYRE_COUNT_MAX - 1);
	expect_equal(world_stats(w->heap).counts_stuck, 0);
	set_count(w, n, GYRE_COUNT_MAX - 1, 1);
	expect_live(w->m, 1);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
	expect_equal(world_lines_with(w, "overflowed"), 0);
}

static void a_stuck_object_stays(void **state)
{
	struct world *w = (struct world *)*state;
	struct node *n = node_new(w, w->m, 1), *child = node_new(w, w->m, 2);
	struct gyre_verify_report report;
	struct gyre_root root, more[3];
	char line[512], address[32];

	expect_ok(gyre_init(w->m, &n->left, child));
	/* And a cycle through it, which no pass may take for garbage. */
	expect_ok(gyre_init(w->m, &child->right, n));
	expect_ok(gyre_root_init(w->m, &root, n));
	set_count(w, n, 2, GYRE_COUNT_MAX - 1);
	refer(w, &more[0], n, 1);
	world_collect(w->m);
	expect_equal(world_stats(w->heap).counts_stuck, 0);
	for (size_t i = 1; i < LENGTH(more); i++) {
		refer(w, &more[i], n, 100);
		world_collect(w->m);
		expect_equal(world_stats(w->heap).counts_stuck, 1);
	}
	support_log_wait(&w->log, "overflowed", line, sizeof(line));
	snprintf(address, sizeof(address), "%p", (void *)n);
	expect(strstr(line, "struct node") != NULL);
	expect(strstr(line, address) != NULL);
	expect_equal(world_lines_with(w, "overflowed"), 1);
	report = world_verify(w->m);
	expect_equal(report.reachable, 2 + 3);
	expect_ok(gyre_root_drop(w->m, &root));
	for (size_t i = 0; i < LENGTH(more); i++)
		expect_ok(gyre_root_drop(w->m, &more[i]));
	for (unsigned i = 0; i < 5; i++) {
		world_collect(w->m);
		report = world_verify(w->m);
		expect_equal(report.reachable, 0);
		expect_equal(report.unreachable, 2);
		expect(node_is(n, 1) && node_is(child, 2));
	}
	expect(gyre_load(&n->left) == child);
	expect_equal(world_stats(w->heap).counts_stuck, 1);
	expect_equal(world_lines_with(w, "overflowed"), 1);
}

/* An object at the end of its count that many refer to at once, within one journal. */
static void many_at_once_stick_once(void **state)
{
	struct world *w = (struct world *)*state;
	struct node *nodes[4];
	struct gyre_root roots[LENGTH(nodes)], more;

	for (size_t i = 0; i < LENGTH(nodes); i++) {
		nodes[i] = node_new(w, w->m, i);
		expect_ok(gyre_root_init(w->m, &roots[i], nodes[i]));
		set_count(w, nodes[i], 1, GYRE_COUNT_MAX - i);
	}
	/* The first goes over its end with the first of 2, the second with the second; the third
	 * comes to its end, the fourth near it. */
	{
		struct refs *r = refs_new(w, w->m, 2 * LENGTH(nodes));

		expect_ok(gyre_root_init(w->m, &more, r));
		for (size_t i = 0; i < 2 * LENGTH(nodes); i++)
			expect_ok(gyre_init(w->m, &r->items[i], nodes[i / 2]));
	}
	world_collect(w->m);
	expect_equal(world_stats(w->heap).counts_stuck, 2);
	expect_equal(world_lines_with(w, "overflowed"), 2);
	set_count(w, nodes[2], GYRE_COUNT_MAX, 3);
	set_count(w, nodes[3], GYRE_COUNT_MAX - 1, 3);
	expect_ok(gyre_root_drop(w->m, &more));
	for (size_t i = 0; i < LENGTH(nodes); i++)
		expect_ok(gyre_root_drop(w->m, &roots[i]));
	world_collect(w->m);
	expect_equal(world_verify(w->m).unreachable, 2);
	expect(node_is(nodes[0], 0) && node_is(nodes[1], 1));
}

/* An increment leaves a candidate a candidate, and an epoch's up and down makes one. */
static void an_increment_clears_no_candidate(void **state)
{
	struct world *w = (struct world *)*state;
	struct node *n = node_new(w, w->m, 1);
	struct gyre_root root;
	struct gyre__collector *c;

	expect_ok(gyre_root_init(w->m, &root, n));
	c = held_begin(w);
	gyre__increment(c, n);
	expect(!(held_word(n) & GYRE_PURPLE));
	gyre__decrement(c, n);
	expect(held_word(n) & GYRE_PURPLE && held_word(n) & GYRE_IN_YOUNG);
	expect_equal(c->young.count, 1);
	gyre__increment(c, n);
	expect(held_word(n) & GYRE_PURPLE);
	/* It is a candidate already, so no second entry. */
	gyre__decrement(c, n);
	expect_equal(c->young.count, 1);
	expect_equal(gyre__rc(held_word(n)), 1);
	held_end(w);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(up_to_the_end_nothing_sticks),
		world_test(a_stuck_object_stays),
		world_test(many_at_once_stick_once),
		world_test(an_increment_clears_no_candidate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
