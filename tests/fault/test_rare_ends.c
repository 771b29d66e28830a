/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rare_ends.c: what is seldom met, met in each run: a weak load between the boundary and the
 * verdict, batches without memory, a finalizer thread that cannot attach, a journal without room at
 * the end of a batch. The collector is held where its steps matter.
 */
#include "rare.h"

/* ---- sets that are owed something ---- */

/* No memory for the batch (1st call), or for its order (2nd): the set waits as it is. */
static void a_batch_without_memory(void **state)
{
	struct world *w = *state;

	for (unsigned call = 1; call <= 2; call++) {
		struct thing *a = thing_new(w, 2 * call), *b = thing_new(w, 2 * call + 1);
		struct gyre__collector *c;
		struct gyre_root root;

		expect_ok(gyre_init(w->m, &a->next, b));
		c = hold_with(w, &root, a);
		cut(c, &root);
		gyre__zeros_gather(c);
		expect_equal(c->sets_count, 1);
		for (int round = 0; round < 3; round++) {
			gyre__sets_prepare(c);
			wrap_refuse(WRAP_COLLECTOR, call, 1);
			wrap_role = WRAP_COLLECTOR;
			gyre__judge(c);
			wrap_role = WRAP_TEST;
			expect_equal(wrap_refused(), 1);
			wrap_grant();
			expect_equal(c->sets_count, 1);
			expect_equal(held_word(a) & GYRE_FINALIZED, 0);
			expect_equal(held_word(a) & GYRE_IN_SET, GYRE_IN_SET);
			expect_equal(world_stats(w->heap).finalizers_waiting, 0);
		}
		let_die(w, &root, 2 * call);
	}
	for (unsigned i = 0; i < 4; i++)
		expect_equal(seen.order[i], i + 2);
}

/* A collection is no trap where there is no memory for what is owed. */
static void a_collection_without_batches(void **state)
{
	struct world *w = *state;
	struct gyre__collector *c;
	struct gyre_root root;

	/* One before, so that there is room for sets. */
	thing_new(w, 0);
	world_collect(w->m);
	expect_ok(gyre_finalize_wait(w->m));
	c = hold_with(w, &root, thing_new(w, 1));
	cut(c, &root);
	wrap_refuse(WRAP_COLLECTOR, 1, UINT32_MAX);
	wrap_role = WRAP_COLLECTOR;
	expect_status(gyre__collect_fully(c), GYRE_NO_MEMORY);
	wrap_role = WRAP_TEST;
	expect(wrap_refused() > 0);
	wrap_grant();
	expect_equal(c->sets_count, 1);
	expect_ok(gyre__collect_fully(c));
	expect_equal(c->sets_count, 0);
	let_die(w, &root, 2);
}

/* A heap that cannot be closed as it should be is as it was: what lives has its cells, and is owed
 * its finalizers. */
static void a_close_without_memory(void **state)
{
	struct world *w = *state;
	enum gyre_status status = GYRE_OK;
	struct gyre__vector members;
	struct gyre__collector *c;
	struct gyre_root root, live;
	struct thing *thing = thing_new(w, 0);
	struct gyre_weak *cell = weak_of(w, thing);

	expect_ok(gyre_root_init(w->m, &live, thing));
	c = hold_with(w, &root, thing_new(w, 1));
	cut(c, &root);
	members = held_cramp(&c->members, 0);
	gyre__end_all(c, &status);
	c->members = members;
	expect_status(status, GYRE_NO_MEMORY);
	expect_equal(held_word(thing) & GYRE_FINALIZED, 0);
	held_end(w);
	expect(gyre_weak_load(w->m, cell) == thing);
	expect_ok(gyre_root_drop(w->m, &live));
	expect_ok(gyre_park(w->m));
	gyre__collector_hold(w->heap);
	let_die(w, &root, 2);
}

/* Nor is there for the report of what is left. */
static void a_report_without_memory(void **state)
{
	struct world *w = *state;
	struct gyre__collector *c = held_begin(w);

	wrap_refuse(WRAP_COLLECTOR, 1, 1);
	wrap_role = WRAP_COLLECTOR;
	gyre__report_left(c, NULL);
	wrap_role = WRAP_TEST;
	expect_equal(wrap_refused(), 1);
	wrap_grant();
	expect_equal(world_lines_with(w, "no memory to say what is left"), 1);
	held_end(w);
}

/* What the finalizers reach cannot be told: nothing of the set is freed before they have run. */
static void what_is_reached_is_not_known(void **state)
{
	struct world *w = *state;
	struct node *r = node_new(w, w->m, 1), *n = node_new(w, w->m, 2), *apart;
	struct thing *thing = thing_new(w, 1);
	struct gyre__vector stack;
	struct gyre__collector *c;
	struct gyre_root root;

	apart = node_new(w, w->m, 3);
	expect_ok(gyre_init(w->m, &r->left, thing));
	expect_ok(gyre_init(w->m, &r->right, apart));
	expect_ok(gyre_init(w->m, &thing->next, n));
	weak_of(w, r);
	c = hold_with(w, &root, r);
	cut(c, &root);
	gyre__zeros_gather(c);
	expect_equal(c->sets_count, 1);
	expect_equal(c->members.count, 4);
	gyre__sets_arm(c);
	c->processing++;
	gyre__sets_prepare(c);
	stack = held_cramp(&c->stack, 0);
	gyre__judge(c);
	c->stack = stack;
	expect_equal(c->sets_count, 0);
	for (unsigned i = 0; i < 4; i++) {
		const void *members[] = { r, n, apart, thing };

		expect_equal(held_word(members[i]) & (GYRE_IN_SET | GYRE_ORANGE | GYRE_TRACE), 0);
	}
	expect_equal(gyre__rc(held_word(thing)), 2);
	expect_equal(gyre__rc(held_word(n)), 1);
	expect_equal(gyre__rc(held_word(apart)), 1);
	expect_equal(held_word(n) & (GYRE_RELEASED | GYRE_PURPLE), GYRE_PURPLE);
	gyre__drain(c);
	let_die(w, &root, 1);
}

/* What no finalizer reaches is freed before any has run. */
static void the_rest_is_freed_at_once(void **state)
{
	struct world *w = *state;
	struct node *owner = node_new(w, w->m, 1);
	struct thing *thing = thing_new(w, 1);
	uint64_t freed = world_stats(w->heap).objects_reclaimed;

	expect_ok(gyre_init(w->m, &owner->left, thing));
	expect_ok(gyre_init(w->m, &owner->right, node_new(w, w->m, 2)));
	expect_ok(gyre_init(w->m, &thing->next, node_new(w, w->m, 3)));
	weak_of(w, owner);
	world_collect(w->m);
	/* The owner, its cell, and what only it held. */
	expect_equal(world_stats(w->heap).objects_reclaimed, freed + 3);
	expect_equal(world_stats(w->heap).finalizers_waiting, 1);
	expect_ok(gyre_finalize_wait(w->m));
	expect_equal(seen.runs[1], 1);
	expect_live(w->m, 0);
}

/* An epoch up to its verdict. */
static void half_a_cycle(struct gyre__collector *c)
{
	gyre__epoch_turn(c);
	c->processing++;
	c->heap->engine->apply(c);
	gyre__recycle(c, c->snapshots_before);
	c->snapshots_before = c->snapshots_left;
	c->snapshots_left = NULL;
	gyre__drain(c);
}

/* After the boundary that follows the arming, and before the verdict, a thread loads the cell and
 * keeps nothing: the counts say dead, the load says otherwise. */
static void a_load_before_the_verdict(void **state)
{
	struct world *w = *state;
	struct node *a = node_new(w, w->m, 1), *b = node_new(w, w->m, 2);
	struct gyre_root root, cells[2];
	struct gyre__collector *c;
	uint64_t revived = world_stats(w->heap).weak_revived;

	expect_ok(gyre_store(w->m, &a->left, b));
	expect_ok(gyre_store(w->m, &b->left, a));
	expect_ok(gyre_root_init(w->m, &cells[0], weak_of(w, a)));
	expect_ok(gyre_root_init(w->m, &cells[1], weak_of(w, b)));
	c = hold_with(w, &root, a);
	held_store(&root.slot, NULL);
	gyre__decrement(c, a);
	for (int i = 0; c->sets_count == 0 || c->sets[0].leader == NULL; i++) {
		expect(i < 100);
		gyre__cycle(c);
	}
	half_a_cycle(c);
	expect_ok(gyre_unpark(w->m));
	expect(gyre_weak_load(w->m, gyre_load(&cells[1].slot)) == b);
	expect_ok(gyre_park(w->m));
	expect_equal(atomic_load(&c->sets[0].leader->state), GYRE_GROUP_REVIVED);
	gyre__sets_prepare(c);
	gyre__judge(c);
	expect_equal(world_stats(w->heap).weak_revived, revived + 1);
	expect_equal(c->sets_count, 0);
	held_end(w);
	/* Nobody loads it any more: it dies. */
	expect_live(w->m, 2);
	for (unsigned i = 0; i < 2; i++) {
		expect(gyre_weak_load(w->m, gyre_load(&cells[i].slot)) == NULL);
		expect_ok(gyre_root_drop(w->m, &cells[i]));
	}
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

/* The verdict first: a load that has seen the mark and comes late reads NULL. */
static void a_load_after_the_verdict(void **state)
{
	struct world *w = *state;
	struct node *a = node_new(w, w->m, 1);
	struct gyre__weak_cell *cell = (struct gyre__weak_cell *)weak_of(w, a);
	struct gyre__collector *c;
	struct gyre_root root, held;
	uintptr_t armed;

	expect_ok(gyre_root_init(w->m, &held, cell));
	c = hold_with(w, &root, a);
	cut(c, &root);
	for (int i = 0; c->sets_count == 0 || c->sets[0].leader == NULL; i++) {
		expect(i < 100);
		gyre__cycle(c);
	}
	armed = atomic_load(&cell->head.word);
	expect(armed & GYRE_WEAK_ARMED);
	half_a_cycle(c);
	gyre__sets_prepare(c);
	gyre__judge(c);
	expect_equal(atomic_load(&cell->state), GYRE_GROUP_DEAD);
	expect_equal(atomic_load(&cell->head.word), 0);
	expect_ok(gyre_unpark(w->m));
	expect(gyre_weak_load(w->m, &cell->head) == NULL);
	/* As a thread sees it that has read the word before. */
	atomic_store(&cell->head.word, armed);
	expect(gyre_weak_load_slow(w->m, &cell->head) == NULL);
	atomic_store(&cell->head.word, 0);
	expect_ok(gyre_park(w->m));
	held_end(w);
	expect_ok(gyre_root_drop(w->m, &held));
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

/* A child that is forked while the cell is armed finds its object, again and again; the parent goes
 * on as if nobody had asked. */
static void an_armed_cell_is_forked(void **state)
{
	struct world *w = *state;
	struct node *a = node_new(w, w->m, 1);
	struct gyre__weak_cell *cell = (struct gyre__weak_cell *)weak_of(w, a);
	struct gyre__collector *c;
	struct gyre_root root, held;
	int end = 0;
	pid_t child;

	expect_ok(gyre_root_init(w->m, &held, cell));
	c = hold_with(w, &root, a);
	cut(c, &root);
	for (int i = 0; c->sets_count == 0 || c->sets[0].leader == NULL; i++) {
		expect(i < 100);
		gyre__cycle(c);
	}
	expect_ok(gyre_fork_before(w->heap));
	child = fork();
	if (child == 0) {
		bool right = gyre_fork_child(w->heap) == GYRE_OK &&
			     (atomic_load(&cell->head.word) & GYRE_WEAK_ARMED) &&
			     gyre_weak_load(w->m, &cell->head) == a &&
			     gyre_weak_load(w->m, &cell->head) == a && node_is(a, 1) &&
			     gyre_weak_of(w->m, a) == NULL;

		_exit(!right);
	}
	expect_ok(gyre_fork_parent(w->heap));
	expect(child > 0 && waitpid(child, &end, 0) == child);
	expect(WIFEXITED(end));
	expect_equal(WEXITSTATUS(end), 0);
	expect_equal(atomic_load(&cell->state), GYRE_GROUP_PENDING);
	held_end(w);
	expect_live(w->m, 1);
	expect(gyre_weak_load(w->m, &cell->head) == NULL);
	expect_ok(gyre_root_drop(w->m, &held));
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

/* ---- who runs batches ---- */

static void the_thread_attaches_late(void **state)
{
	struct world *w = begin(GYRE_FINALIZE_THREAD);

	(void)state;
	wrap_refuse(WRAP_FINALIZER, 1, 3);
	register_thing();
	thing_new(w, 1);
	world_collect(w->m);
	expect_ok(gyre_finalize_wait(w->m));
	expect_equal(wrap_refused(), 3);
	wrap_grant();
	expect_equal(seen.runs[1], 1);
	expect_live(w->m, 0);
	world_end(w);
}

/* A heap is closed while its finalizer thread still tries: the batch is run by who closes it. */
static void the_thread_never_attaches(void **state)
{
	struct world *w = begin(GYRE_FINALIZE_THREAD);

	(void)state;
	wrap_refuse(WRAP_FINALIZER, 1, UINT32_MAX);
	register_thing();
	thing_new(w, 1);
	world_collect(w->m);
	expect_equal(seen.count, 0);
	world_end(w);
	wrap_grant();
	expect_equal(seen.runs[1], 1);
}

static void refuse_when_all_have_run(void)
{
	if (seen.count == MANY)
		wrap_refuse(WRAP_MAIN, 1, 20);
}

/* The journal has no room for what ends the pins: it waits for a boundary to bring some. */
static void no_room_at_the_end_of_a_batch(void **state)
{
	struct world *w = *state;
	struct thing *head = NULL;
	{
		GYRE_KEEP(w->m, head);
		for (uint64_t i = 0; i < MANY; i++) {
			struct thing *thing = thing_new(w, MOST);

			expect_ok(gyre_init(w->m, &thing->next, head));
			head = thing;
			gyre_safepoint(w->m);
		}
		world_collect(w->m);
	}
	world_collect(w->m);
	expect_equal(world_stats(w->heap).finalizers_waiting, MANY);
	seen.then = refuse_when_all_have_run;
	wrap_role = WRAP_MAIN;
	expect_ok(gyre_finalize_wait(w->m));
	wrap_role = WRAP_TEST;
	expect(wrap_refused() > 0);
	wrap_grant();
	seen.then = NULL;
	expect_equal(seen.count, MANY);
	expect_live(w->m, 0);
}

/* No chunk for the journal entries of a new cell: NULL, and nothing is made or owned. */
static void no_room_for_a_cell(void **state)
{
	struct world *w = *state;
	struct node *a = node_new(w, w->m, 1), *b = node_new(w, w->m, 2);
	struct gyre_root roots[2];
	enum gyre_status status;

	weak_of(w, a);
	expect_ok(gyre_root_init(w->m, &roots[0], a));
	expect_ok(gyre_root_init(w->m, &roots[1], b));
	wrap_refuse(WRAP_MAIN, 1, UINT32_MAX);
	wrap_role = WRAP_MAIN;
	/* The slot of a root is journalled at each write. */
	while ((status = gyre_store(w->m, &roots[0].slot, a)) == GYRE_OK)
		;
	expect_status(status, GYRE_NO_MEMORY);
	for (int i = 0; i < 3; i++)
		expect(gyre_weak_of(w->m, b) == NULL);
	wrap_role = WRAP_TEST;
	wrap_grant();
	expect_equal(world_stats(w->heap).weak_cells, 1);
	expect_live(w->m, 3);
	weak_of(w, b);
	expect_live(w->m, 4);
	expect_ok(gyre_root_drop(w->m, &roots[0]));
	expect_ok(gyre_root_drop(w->m, &roots[1]));
	expect_live(w->m, 0);
}

static unsigned told;

static void tell(struct gyre_mutator *m, void *arg)
{
	expect(m != NULL && arg == &told);
	told++;
}

/* The thread that would call back cannot be started: nothing is registered. */
static void no_thread_for_callbacks(void **state)
{
	struct world *w = begin(GYRE_FINALIZE_THREAD);
	struct gyre_weak *cell = weak_of(w, node_new(w, w->m, 1));
	uint64_t id = 77;

	(void)state;
	told = 0;
	for (unsigned call = 1; call <= 2; call++) {
		wrap_refuse(WRAP_MAIN, call, 1);
		wrap_role = WRAP_MAIN;
		expect_status(gyre_weak_notify(w->m, cell, tell, &told, GYRE_NOTICE_ALWAYS, &id),
			      call == 1 ? GYRE_NO_THREAD : GYRE_NO_MEMORY);
		wrap_role = WRAP_TEST;
		expect_equal(wrap_refused(), 1);
		expect_equal(id, 77);
	}
	wrap_grant();
	expect_ok(gyre_weak_notify(w->m, cell, tell, &told, GYRE_NOTICE_ALWAYS, &id));
	expect(id != 77);
	world_collect(w->m);
	expect_ok(gyre_finalize_wait(w->m));
	expect_equal(told, 1);
	world_end(w);
}

static void no_descriptor(void **state)
{
	struct gyre_options options;
	struct gyre_heap *heap = NULL;
	enum gyre_status status;
	unsigned limits = 0, call = 0;

	(void)state;
	gyre_options_init(&options);
	options.finalizing = GYRE_FINALIZE_HOST;
	do {
		wrap_refuse(WRAP_MAIN, ++call, 1);
		wrap_role = WRAP_MAIN;
		status = support_open_heap(&heap, &options);
		wrap_role = WRAP_TEST;
		limits += status == GYRE_LIMIT;
	} while (status != GYRE_OK);
	wrap_grant();
	/* The descriptor and the key. */
	expect_equal(limits, 2);
	expect_ok(gyre_heap_close(heap));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		host_test(a_batch_without_memory),
		thing_test(a_collection_without_batches),
		thing_test(a_close_without_memory),
		thing_test(a_report_without_memory),
		thing_test(what_is_reached_is_not_known),
		host_test(the_rest_is_freed_at_once),
		thing_test(a_load_before_the_verdict),
		thing_test(a_load_after_the_verdict),
		thing_test(an_armed_cell_is_forked),
		cmocka_unit_test(the_thread_attaches_late),
		cmocka_unit_test(the_thread_never_attaches),
		host_test(no_room_at_the_end_of_a_batch),
		thing_test(no_room_for_a_cell),
		cmocka_unit_test(no_thread_for_callbacks),
		cmocka_unit_test(no_descriptor),
	};

	wrap_role = WRAP_TEST;
	alarm(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
