/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_view.c: the engine tagged, when the collector has no memory for the table of what slots held
 * at the boundary: from the first call for it on, or when the table is to grow. Then each lookup
 * reads the open journals, and the counts are the same. Cycles are done one at a time, by a thread
 * that is refused what the collector would be, as every thread is that nobody told of its role.
 */
#include "../unit/turn.h"

#include "wrap.h"

enum { MANY = 3000 };

struct scene {
	struct gyre_root roots[3];
	struct node *a, *b;
	struct refs *r;
};

static void setup(struct world *w, struct scene *s)
{
	s->a = turn_rooted(w, &s->roots[0], 1);
	s->b = turn_rooted(w, &s->roots[1], 2);
	s->r = refs_new(w, w->m, MANY);
	expect_ok(gyre_root_init(w->m, &s->roots[2], s->r));
	turn_whole(w);
}

static void teardown(struct world *w, struct scene *s)
{
	turn_let_go(w);
	expect_live(w->m, 3);
	for (size_t i = 0; i < LENGTH(s->roots); i++)
		expect_ok(gyre_root_drop(w->m, &s->roots[i]));
	expect_live(w->m, 0);
}

/* Slots from number from on hold a at the boundary and b, or nothing, when they are looked at. */
static void rewrite(struct world *w, struct scene *s, size_t count)
{
	struct turn t;

	for (size_t i = 0; i < count; i++)
		expect_ok(gyre_store(w->m, &s->r->items[i], s->a));
	turn_switch(&t, w);
	for (size_t i = 0; i < count; i++)
		expect_ok(gyre_store(w->m, &s->r->items[i], i % 2 ? s->b : NULL));
	turn_end(&t);
	expect_equal(count_of(s->a), 1 + count);
}

static void settled(struct world *w, struct scene *s, size_t count)
{
	turn_whole(w);
	expect_equal(count_of(s->a), 1);
	expect_equal(count_of(s->b), 1 + count / 2);
	expect(node_is(s->a, 1) && node_is(s->b, 2));
}

static void no_table_at_all(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c = turn_hold(w);
	struct scene s;

	setup(w, &s);
	expect_equal(c->tagged.view.room, 0);
	wrap_refuse(WRAP_COLLECTOR, 1, UINT32_MAX);
	for (int round = 0; round < 3; round++) {
		rewrite(w, &s, MANY);
		expect(c->tagged.view.starved && c->tagged.view.room == 0);
		expect(wrap_refused() > 0);
		settled(w, &s, MANY);
		expect(!c->tagged.view.starved); /* the next processing tries again */
	}
	wrap_grant();
	rewrite(w, &s, MANY);
	expect(!c->tagged.view.starved && c->tagged.view.room >= 2 * MANY);
	settled(w, &s, MANY);
	teardown(w, &s);
}

/* The table has its first room and cannot grow: some are in it, some are not. */
static void a_table_that_cannot_grow(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c = turn_hold(w);
	struct scene s;
	size_t room;

	setup(w, &s);
	rewrite(w, &s, 100);
	settled(w, &s, 100);
	room = c->tagged.view.room;
	expect(room > 0 && room < MANY);
	wrap_refuse(WRAP_COLLECTOR, 1, UINT32_MAX);
	rewrite(w, &s, MANY);
	expect(c->tagged.view.starved);
	expect_equal(c->tagged.view.room, room);
	expect(c->tagged.view.count > 0 && c->tagged.view.count < MANY);
	wrap_grant();
	settled(w, &s, MANY);
	teardown(w, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(no_table_at_all),
		world_test(a_table_that_cannot_grow),
	};

	wrap_role = WRAP_TEST;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
