/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_keep.c: keep frames: what their variables refer to at a safe point lives, as long as the
 * block does and no longer, however the block is left. One thread but for one test.
 */
#include "support.h"

static void nothing_else_is_kept(void **state)
{
	struct world *w = *state;
	struct node *n = node_new(w, w->m, 1);

	expect(node_is(n, 1));
	expect_live(w->m, 0); /* a variable alone keeps nothing */
}

/* One test for each number of variables: v[0..n-1] are kept, and one more object is not. */
#define KEEP_TEST(count, ...)                                                                      \
	static void keeps_##count(void **state)                                                    \
	{                                                                                          \
		struct world *w = *state;                                                          \
		struct node *v[count];                                                             \
                                                                                                   \
		for (uint64_t i = 0; i < (count); i++)                                             \
			v[i] = node_new(w, w->m, i);                                               \
		node_new(w, w->m, 99);                                                             \
		{                                                                                  \
			GYRE_KEEP(w->m, __VA_ARGS__);                                              \
			expect_live(w->m, count);                                                  \
			for (uint64_t i = 0; i < (count); i++)                                     \
				expect(node_is(v[i], i));                                          \
		}                                                                                  \
		expect_live(w->m, 0);                                                              \
	}

KEEP_TEST(1, v[0])
KEEP_TEST(2, v[0], v[1])
KEEP_TEST(3, v[0], v[1], v[2])
KEEP_TEST(4, v[0], v[1], v[2], v[3])
KEEP_TEST(5, v[0], v[1], v[2], v[3], v[4])
KEEP_TEST(6, v[0], v[1], v[2], v[3], v[4], v[5])
KEEP_TEST(7, v[0], v[1], v[2], v[3], v[4], v[5], v[6])
KEEP_TEST(8, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7])
KEEP_TEST(9, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8])
KEEP_TEST(10, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9])
KEEP_TEST(11, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10])
KEEP_TEST(12, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11])
KEEP_TEST(13, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12])
KEEP_TEST(14, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12],
	  v[13])
KEEP_TEST(15, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12],
	  v[13], v[14])
KEEP_TEST(16, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12],
	  v[13], v[14], v[15])

/* What the variable refers to at the safe point is what is kept, not what it once referred to. */
static void reassigned_variables_keep_the_new(void **state)
{
	struct world *w = *state;
	struct node *a = NULL;
	{
		GYRE_KEEP(w->m, a);
		expect_live(w->m, 0);
		for (uint64_t i = 0; i < 10; i++) {
			a = node_new(w, w->m, i);
			expect_live(w->m, 1);
			expect(node_is(a, i));
		}
		a = NULL;
		expect_live(w->m, 0);
	}
	expect_live(w->m, 0);
}

static void frames_nest(void **state)
{
	struct world *w = *state;
	struct node *a = node_new(w, w->m, 1);

	GYRE_KEEP(w->m, a);
	for (int round = 0; round < 3; round++) {
		struct node *b = node_new(w, w->m, 2), *same = a;
		GYRE_KEEP(w->m, b);
		GYRE_KEEP(w->m, same);
		{
			struct node *c = node_new(w, w->m, 3);
			GYRE_KEEP(w->m, c, a);

			expect_live(w->m, 3);
			expect(node_is(a, 1) && node_is(b, 2) && node_is(c, 3));
		}
		expect_live(w->m, 2);
		expect(node_is(a, 1) && node_is(b, 2) && same == a);
	}
	expect_live(w->m, 1);
	expect(node_is(a, 1));
	a = NULL;
	expect_live(w->m, 0);
}

/* Each turn of a loop has a frame of its own; continue, break and goto leave it. */
static void loops_open_and_leave_frames(void **state)
{
	struct world *w = *state;

	for (uint64_t i = 0; i < 300; i++) {
		struct node *n = node_new(w, w->m, i);
		GYRE_KEEP(w->m, n);

		gyre_safepoint(w->m);
		if (i % 3 == 0)
			continue;
		if (i % 100 == 0) {
			expect_live(w->m, 1);
			expect(node_is(n, i));
		}
		if (i == 250)
			break;
		if (i == 299)
			goto out;
	}
out:
	expect_live(w->m, 0);
	expect_ok(gyre_detach(w->m)); /* GYRE_BUSY, were a frame open */
	expect_ok(gyre_attach(w->heap, 0, &w->m));
}

static uint64_t leaves_early(struct world *w, bool early)
{
	struct node *n = node_new(w, w->m, 4);
	GYRE_KEEP(w->m, n);

	if (early)
		return n->id;
	expect_live(w->m, 1);
	return n->id + 1;
}

static uint64_t recurses(struct world *w, uint64_t depth)
{
	struct node *n = node_new(w, w->m, depth);
	GYRE_KEEP(w->m, n);

	if (depth == 0)
		expect_live(w->m, 51);
	else
		expect_equal(recurses(w, depth - 1), depth - 1);
	expect(node_is(n, depth));
	return n->id;
}

static void functions_leave_frames(void **state)
{
	struct world *w = *state;

	expect_equal(leaves_early(w, true), 4);
	expect_live(w->m, 0);
	expect_equal(leaves_early(w, false), 5);
	expect_live(w->m, 0);
	expect_equal(recurses(w, 50), 50);
	expect_live(w->m, 0);
	expect_ok(gyre_detach(w->m));
	expect_ok(gyre_attach(w->heap, 0, &w->m));
}

/* A frame keeps whatever its objects reach, cycles included. */
static void frames_keep_what_is_reached(void **state)
{
	struct world *w = *state;
	struct node *a = node_new(w, w->m, 1), *b = node_new(w, w->m, 2);
	struct node *c = node_new(w, w->m, 3);
	{
		GYRE_KEEP(w->m, a);

		expect_ok(gyre_init(w->m, &a->left, b));
		expect_ok(gyre_init(w->m, &b->left, c));
		expect_ok(gyre_init(w->m, &c->left, a));
		expect_live(w->m, 3);
		expect(node_is(b, 2) && node_is(c, 3));
		expect_ok(gyre_store(w->m, &a->left, c));
		expect_live(w->m, 2);
		expect(node_is(c, 3) && gyre_load(&c->left) == a);
	}
	expect_live(w->m, 0);
}

/* The explicit form: the values in the array at the safe point, as many as were said. */
static void explicit_frames_keep_values(void **state)
{
	struct world *w = *state;
	struct gyre_keep outer, inner, none;
	void *values[40] = { NULL }, *more[1];

	gyre_keep_open(w->m, &outer, values, LENGTH(values));
	expect_live(w->m, 0);
	for (uint64_t i = 0; i < LENGTH(values); i += 2)
		values[i] = node_new(w, w->m, i);
	expect_live(w->m, 20);
	more[0] = node_new(w, w->m, 77);
	gyre_keep_open(w->m, &inner, more, 1);
	gyre_keep_open(w->m, &none, NULL, 0);
	expect_live(w->m, 21);
	gyre_keep_close(&none);
	values[0] = values[1] = more[0];
	expect_live(w->m, 20);
	gyre_keep_close(&inner);
	expect_live(w->m, 20);
	expect(node_is(values[0], 77) && node_is(values[38], 38));
	values[0] = NULL;
	expect_live(w->m, 20); /* values[1] still keeps it */
	expect(node_is(values[1], 77));
	memset(values, 0, sizeof(values));
	expect_live(w->m, 0);
	gyre_keep_close(&outer);
}

static void both_forms_mix(void **state)
{
	struct world *w = *state;
	struct node *a = node_new(w, w->m, 1);
	void *values[2];
	struct gyre_keep frame;

	values[0] = node_new(w, w->m, 2);
	values[1] = values[0];
	{
		GYRE_KEEP(w->m, a);
		gyre_keep_open(w->m, &frame, values, 2);
		{
			GYRE_KEEP(w->m, a, a);
			expect_live(w->m, 2);
		}
		expect_live(w->m, 2);
		gyre_keep_close(&frame);
		expect_live(w->m, 1);
		expect(node_is(a, 1));
	}
	expect_live(w->m, 0);
}

static void detaching_with_open_frames_is_refused(void **state)
{
	struct world *w = *state;
	struct node *n = node_new(w, w->m, 9);
	{
		GYRE_KEEP(w->m, n);
		expect_status(gyre_detach(w->m), GYRE_BUSY);
		expect_live(w->m, 1);
		expect(node_is(n, 9));
	}
	expect_ok(gyre_detach(w->m));
	expect_ok(gyre_attach(w->heap, 0, &w->m));
	expect_live(w->m, 0);
}

struct sleeper {
	struct world *w;
	struct gate asleep, wake;
};

static void *sleep_with_a_frame(void *arg)
{
	struct sleeper *s = arg;
	struct gyre_mutator *m;
	struct node *n;

	expect_ok(gyre_attach(s->w->heap, 0, &m));
	n = node_new(s->w, m, 12);
	expect_ok(gyre_init(m, &n->left, node_new(s->w, m, 13)));
	{
		GYRE_KEEP(m, n);
		expect_ok(gyre_park(m));
		gate_open(&s->asleep, 1);
		gate_wait(&s->wake, 1);
		expect_ok(gyre_unpark(m));
		expect(node_is(n, 12) && node_is(gyre_load(&n->left), 13));
	}
	expect_ok(gyre_detach(m));
	return NULL;
}

/* What the frames of a parked thread hold lives through any number of collections by others. */
static void parked_frames_keep(void **state)
{
	struct world *w = *state;
	struct sleeper s = { w, GATE_CLOSED, GATE_CLOSED };
	pthread_t thread = thread_start(sleep_with_a_frame, &s);

	expect_ok(gyre_park(w->m));
	gate_wait(&s.asleep, 1);
	expect_ok(gyre_unpark(w->m));
	for (int i = 0; i < 5; i++) {
		for (uint64_t j = 0; j < 1000; j++)
			node_new(w, w->m, j);
		expect_live(w->m, 2);
	}
	expect_ok(gyre_park(w->m));
	gate_open(&s.wake, 1);
	thread_join(thread);
	expect_ok(gyre_unpark(w->m));
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(nothing_else_is_kept),
		world_test(keeps_1), world_test(keeps_2), world_test(keeps_3), world_test(keeps_4),
		world_test(keeps_5), world_test(keeps_6), world_test(keeps_7), world_test(keeps_8),
		world_test(keeps_9), world_test(keeps_10), world_test(keeps_11),
		world_test(keeps_12), world_test(keeps_13), world_test(keeps_14),
		world_test(keeps_15), world_test(keeps_16),
		world_test(reassigned_variables_keep_the_new),
		world_test(frames_nest),
		world_test(loops_open_and_leave_frames),
		world_test(functions_leave_frames),
		world_test(frames_keep_what_is_reached),
		world_test(explicit_frames_keep_values),
		world_test(both_forms_mix),
		world_test(detaching_with_open_frames_is_refused),
		world_test(parked_frames_keep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
