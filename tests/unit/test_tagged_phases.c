/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tagged_phases.c: the engine tagged between the handshakes of a boundary: values of slots
 * that the open epoch has written, slots of large objects, snoops, slabs that are held, and a
 * second mutator that runs, parks, leaves or stays behind between two handshakes. Cycles are done
 * one at a time (turn.h); the second mutator's thread does what it is told, one thing after
 * another.
 */
#include "turn.h"

/* Another mutator, and what its thread is to do next. */
struct other {
	struct world *w;
	struct gyre_mutator *m;
	pthread_t thread;
	struct gate go, done;
	int asked;
	void (*what)(struct other *o);
	_Atomic(bool) go_on;
	gyre_ref *slot;
	void *value;
};

static void *other_run(void *arg)
{
	struct other *o = (struct other *)arg;

	expect_ok(gyre_attach(o->w->heap, 0, &o->m));
	for (int step = 1; o->m != NULL; step++) {
		expect_ok(gyre_park(o->m));
		gate_open(&o->done, step);
		gate_wait(&o->go, step);
		expect_ok(gyre_unpark(o->m));
		o->what(o);
	}
	gate_open(&o->done, 1000000);
	return NULL;
}

static void other_start(struct other *o, struct world *w)
{
	*o = (struct other){ .w = w, .go = GATE_CLOSED, .done = GATE_CLOSED };
	/* It parks at once: a boundary does not wait for it. */
	expect_ok(gyre_park(w->m));
	o->thread = thread_start(other_run, o);
	gate_wait(&o->done, 1);
	expect_ok(gyre_unpark(w->m));
}

/* Has it do something, without a wait for its end. */
static void other_begin(struct other *o, void (*what)(struct other *))
{
	o->what = what;
	gate_open(&o->go, ++o->asked);
}

/* Waits for the end of that; the caller goes on being quiescent meanwhile, without coming to any
 * handshake. */
static void other_wait(struct other *o)
{
	bool done = false;

	while (!done) {
		pthread_mutex_lock(&o->done.lock);
		done = o->done.step > o->asked;
		pthread_mutex_unlock(&o->done.lock);
		gyre__qsbr_quiescent();
		sched_yield();
	}
}

static void leave(struct other *o)
{
	expect_ok(gyre_detach(o->m));
	o->m = NULL;
}

static void other_end(struct other *o)
{
	other_begin(o, leave);
	other_wait(o);
	thread_join(o->thread);
}

enum { MANY = 5000 };

/* The entry of a slot that the next epoch has written tells what the slot held. */
static void values_of_the_view(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre__collector *c = turn_hold(w);
	uint64_t looked_up = gyre__counter_get(&c->heap->counted.views_looked_up);
	struct gyre_root root, roots[2];
	struct node *a = turn_rooted(w, &roots[0], 1), *b = turn_rooted(w, &roots[1], 2);
	struct refs *r = refs_new(w, w->m, MANY);
	struct turn t;

	expect_ok(gyre_root_init(w->m, &root, r));
	turn_whole(w);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < MANY; i++)
			expect_ok(gyre_store(w->m, &r->items[i], a));
		turn_switch(&t, w);
		/* Some in the window, the others after it, while the collector looks them up. */
		for (size_t i = 0; i < MANY / 2; i++)
			expect_ok(gyre_store(w->m, &r->items[i], b));
		expect_equal(turn_step(w->m), 0);
		for (size_t i = MANY / 2; i < MANY - 10; i++)
			expect_ok(gyre_store(w->m, &r->items[i], NULL));
		turn_end(&t);
		expect_equal(count_of(a), MANY + 1);
		/* What was stored in the window counts for one boundary, however often. */
		expect(count_of(b) == 1 + MANY / 2 || round > 0);
		expect_equal(tag_of(&r->items[0]), w->m->tag);
		expect_equal(tag_of(&r->items[MANY - 1]), 0);
		turn_whole(w);
		expect_equal(count_of(a), 11);
		expect_equal(count_of(b), 1 + MANY / 2);
	}
	expect(gyre__counter_get(&c->heap->counted.views_looked_up) - looked_up >= 3 * MANY / 2);
	/* The table has grown, and is not starved. */
	expect(c->tagged.view.room > 1024 && !c->tagged.view.starved);
	turn_let_go(w);
	expect_live(w->m, 3);
	for (size_t i = 0; i < 2; i++)
		expect_ok(gyre_root_drop(w->m, &roots[i]));
	expect_live(w->m, 3);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

/* Slots of all kinds of objects, first, middle and last. */
static void slots_of_large_objects(void **state)
{
	static const size_t lengths[] = { 10, 2500, 20000, (size_t)2 << 20, (size_t)5 << 20 };
	struct world *w = (struct world *)*state;
	struct gyre_root root, roots[2];
	struct node *a, *b;
	struct turn t;

	turn_hold(w);
	a = turn_rooted(w, &roots[0], 1);
	b = turn_rooted(w, &roots[1], 2);
	for (size_t i = 0; i < LENGTH(lengths); i++) {
		struct refs *r = refs_new(w, w->m, lengths[i]);
		size_t at[] = { 0, lengths[i] / 3, lengths[i] / 2, lengths[i] - 1 };
		struct gyre__slab *slab = gyre__slab_of(r);

		expect_ok(gyre_root_init(w->m, &root, r));
		expect_equal(atomic_load(&w->heap->slabs.wide) != NULL, i == 4);
		turn_whole(w);
		for (size_t j = 0; j < LENGTH(at); j++) {
			expect(gyre__slab_holding(&w->heap->slabs, &r->items[at[j]]) == slab);
			expect(gyre__word_holding(&w->heap->slabs, &r->items[at[j]]) ==
			       gyre__word_of(r));
			expect_ok(gyre_store(w->m, &r->items[at[j]], a));
		}
		/* That other slots are found by where they lie, with a wide one about as well. */
		expect(gyre__word_holding(&w->heap->slabs, &a->left) == gyre__word_of(a));
		turn_switch(&t, w);
		for (size_t j = 1; j < LENGTH(at); j++)
			expect_ok(gyre_store(w->m, &r->items[at[j]], b));
		turn_end(&t);
		expect_equal(count_of(a), 1 + LENGTH(at));
		turn_whole(w);
		expect_equal(count_of(a), 2);
		expect_equal(count_of(b), LENGTH(at));
		expect_ok(gyre_root_drop(w->m, &root));
		turn_whole(w);
		turn_whole(w);
		expect_equal(count_of(a), 1);
		expect_equal(count_of(b), 1);
		turn_whole(w);
		expect(atomic_load(&w->heap->slabs.wide) == NULL);
	}
	turn_let_go(w);
	for (size_t i = 0; i < 2; i++)
		expect_ok(gyre_root_drop(w->m, &roots[i]));
	expect_live(w->m, 0);
}

/* Which handshake m has done last. */
static unsigned step_of(const struct gyre_mutator *m)
{
	return (unsigned)(atomic_load(&m->phase) % GYRE_TAGGED_HANDSHAKES);
}

/* Has done the first handshake and does not come to the second until it is told to go on, when it
 * writes in the epoch that ends. */
static void stay_behind(struct other *o)
{
	expect_equal(step_of(o->m), 1);
	while (!atomic_load(&o->go_on)) {
		gyre__qsbr_quiescent();
		sched_yield();
	}
	expect_equal(step_of(o->m), 1);
	expect_ok(gyre_store(o->m, o->slot, o->value));
}

/* A cycle up to the point where this thread has switched and the other one is in the window, but
 * has not. */
static void turn_ahead(struct turn *t, struct other *o)
{
	turn_begin(t, o->w);
	turn_asked(o->w->m);
	atomic_store(&o->go_on, false);
	other_begin(o, stay_behind); /* it wakes up into the first handshake */
	while (step_of(o->m) != 1 || gyre__mutator_state(o->m) != GYRE_MUTATOR_RUNNING) {
		gyre__qsbr_quiescent();
		sched_yield();
	}
	expect_equal(turn_step(o->w->m), 1);
	expect_equal(turn_step(o->w->m), 2);
}

/*
 * An object that is dead at the boundary, and was written in the new epoch all the same, by one who
 * had switched and took it out of a slot that one who had not switched emptied then. Its cell is
 * freed, but not handed over while the entry is still to come.
 */
static void a_hasty_write_holds_its_slab(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_mutator *m = w->m;
	struct gyre_root roots[2];
	struct gyre__collector *c;
	struct gyre__slab *slab;
	struct node *q, *n, *b;
	struct other o;
	struct turn t;
	uint32_t cell;

	other_start(&o, w);
	q = turn_rooted(w, &roots[0], 1);
	b = turn_rooted(w, &roots[1], 2);
	expect_ok(gyre_store(m, &q->left, node_new(w, m, 3)));
	c = turn_hold(w);
	o.slot = &q->left;
	o.value = NULL;
	turn_ahead(&t, &o);
	n = (struct node *)gyre_load(&q->left);
	expect(node_is(n, 3));
	expect_ok(gyre_store(m, &n->left, b));
	atomic_store(&o.go_on, true);
	turn_end(&t);
	slab = gyre__slab_of(n);
	cell = gyre__cell_index(slab, n);
	expect_equal(held_word(n), 0);
	expect_equal(slab->held, c->processing);
	expect_equal(gyre__freed(slab)[cell / 64] >> cell % 64 & 1, 1);
	expect_equal(gyre__vacant(slab)[cell / 64] >> cell % 64 & 1, 0);
	/* The entry is dropped, as its object is dead; and then the cell is handed over. */
	turn_whole(w);
	expect_equal(count_of(b), 1);
	turn_whole(w);
	turn_whole(w);
	expect(slab->held != c->processing);
	expect_equal(gyre__freed(slab)[cell / 64] >> cell % 64 & 1, 0);
	turn_let_go(w);
	other_end(&o);
	for (size_t i = 0; i < 2; i++)
		expect_ok(gyre_root_drop(m, &roots[i]));
	expect_live(m, 0);
}

/* Makes an object and writes, step handshakes of a boundary being done. */
static void run_at(struct other *o, unsigned step)
{
	struct node *n;

	expect_equal(step_of(o->m), step);
	n = node_new(o->w, o->m, 77);
	expect_ok(gyre_init(o->m, &n->left, o->value));
	expect_ok(gyre_store(o->m, o->slot, n));
}

/* Has switched: what it does is of the new epoch. Then it parks; or leaves. */
static void run_after_the_switch(struct other *o)
{
	run_at(o, 2);
}

static void run_after_the_switch_and_leave(struct other *o)
{
	run_at(o, 2);
	leave(o);
}

/* Between the first and the second. */
static void run_in_the_window(struct other *o)
{
	run_at(o, 1);
}

static void run_in_the_window_and_leave(struct other *o)
{
	run_at(o, 1);
	leave(o);
}

/*
 * What another thread wrote and made between two handshakes is handed in with its own epoch,
 * although it does not run again: the collector does the remaining handshakes for it.
 */
static void runs_between(struct world *w, void (*what)(struct other *), unsigned handshake,
			 bool snoops)
{
	bool leaves = what == run_after_the_switch_and_leave || what == run_in_the_window_and_leave;
	struct gyre_root roots[2];
	struct node *q, *b, *n;
	struct other o;
	struct turn t;

	other_start(&o, w);
	q = turn_rooted(w, &roots[0], 1);
	b = turn_rooted(w, &roots[1], 2);
	turn_hold(w);
	o.slot = &q->left;
	o.value = snoops ? b : NULL;
	turn_begin(&t, w);
	if (handshake == 2)
		expect_equal(turn_step(w->m), 1);
	turn_asked(w->m);
	/* The other one wakes up into this handshake, if it was not done for it. */
	other_begin(&o, what);
	other_wait(&o);
	turn_end(&t);
	for (int i = 0; i < 4; i++) {
		turn_whole(w);
		n = (struct node *)gyre_load(&q->left);
		expect(node_is(n, 77) && gyre_load(&n->left) == o.value);
		expect(held_word(n) & GYRE_BORN);
		expect_equal(count_of(n), 1);
		expect_equal(count_of(b), 1 + snoops);
		expect_equal(tag_of(&q->left) | tag_of(&n->left), 0);
	}
	turn_let_go(w);
	expect_live(w->m, 3);
	if (leaves)
		thread_join(o.thread);
	else
		other_end(&o);
	for (size_t i = 0; i < 2; i++)
		expect_ok(gyre_root_drop(w->m, &roots[i]));
	expect_live(w->m, 0);
}

static void threads_that_run_between_handshakes(void **state)
{
	struct world *w = (struct world *)*state;

	for (int i = 0; i < 5; i++) {
		runs_between(w, run_after_the_switch, 2, i % 2);
		runs_between(w, run_in_the_window, 1, i % 2);
	}
}

static void threads_that_leave_between_handshakes(void **state)
{
	struct world *w = (struct world *)*state;

	for (int i = 0; i < 5; i++) {
		runs_between(w, run_after_the_switch_and_leave, 2, i % 2);
		runs_between(w, run_in_the_window_and_leave, 1, i % 2);
	}
}

/*
 * A switched thread moves the only reference to an object, from a slot that one who is behind
 * empties, into a slot that the boundary sees without it: the snoop is all that counts it.
 */
static void a_snoop_keeps_what_is_moved(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_root roots[2];
	struct node *q, *p, *n;
	struct other o;
	struct turn t;

	other_start(&o, w);
	q = turn_rooted(w, &roots[0], 1);
	p = turn_rooted(w, &roots[1], 2);
	expect_ok(gyre_store(w->m, &q->left, node_new(w, w->m, 3)));
	turn_hold(w);
	o.slot = &q->left;
	o.value = NULL;
	turn_ahead(&t, &o);
	n = (struct node *)gyre_load(&q->left);
	expect_ok(gyre_store(w->m, &p->left, n));
	atomic_store(&o.go_on, true);
	turn_end(&t);
	expect(gyre_load(&q->left) == NULL);
	expect_equal(held_word(n) & (GYRE_BORN | GYRE_RELEASED), GYRE_BORN);
	expect_equal(count_of(n), 1);
	turn_whole(w);
	expect_equal(count_of(n), 1);
	expect(node_is(n, 3) && gyre_load(&p->left) == n);
	turn_let_go(w);
	other_end(&o);
	expect(gyre__counter_get(&w->heap->shared.window_stores) >= 2);
	for (size_t i = 0; i < 2; i++)
		expect_ok(gyre_root_drop(w->m, &roots[i]));
	expect_live(w->m, 0);
}

/*
 * An object that was born in the next epoch, in a slot that one who had not switched wrote, and
 * that nobody writes again: it is counted before its birth is known, and by nothing else
 * afterwards.
 */
static void what_a_laggard_stores_is_early(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_root roots[2];

	for (int lost = 0; lost < 2; lost++) {
		struct gyre__collector *c;
		struct gyre__vector early;
		struct node *q, *p, *n;
		struct other o;
		struct turn t;

		other_start(&o, w);
		q = turn_rooted(w, &roots[0], 1);
		p = turn_rooted(w, &roots[1], 2);
		c = turn_hold(w);
		early = c->tagged.early;
		if (lost) /* without room, and in an array that no system makes larger */
			c->tagged.early = (struct gyre__vector){ .items = (void **)&early };
		o.slot = &q->left;
		turn_ahead(&t, &o);
		n = node_new(w, w->m, 3);
		expect_ok(gyre_store(w->m, &p->left, n)); /* where it is found by the other */
		o.value = gyre_load(&p->left);
		atomic_store(&o.go_on, true);
		other_wait(&o);
		expect_ok(gyre_store(w->m, &p->left, NULL));
		turn_end(&t);
		expect(gyre_load(&q->left) == n);
		expect(count_of(n) >= 1 && !(held_word(n) & GYRE_BORN));
		expect_equal(c->tagged.early_lost, lost);
		expect_equal(c->tagged.early.count, !lost);
		for (int i = 0; i < 3; i++) {
			turn_whole(w);
			expect(node_is(n, 3) && gyre_load(&q->left) == n);
			expect(held_word(n) & GYRE_BORN);
			expect_equal(count_of(n), 1);
		}
		if (lost)
			c->tagged.early = early;
		turn_let_go(w);
		other_end(&o);
		for (size_t i = 0; i < 2; i++)
			expect_ok(gyre_root_drop(w->m, &roots[i]));
		expect_live(w->m, 0);
	}
}

/*
 * One who has not switched writes a slot after one who has: the slot belongs to the next epoch, and
 * its one entry tells what it held before both. What the second writer stored is snooped, and
 * counts for one boundary although that thread does not run again.
 */
static void a_laggard_leaves_the_next_tag(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_root roots[4];
	struct node *q, *was, *ahead, *behind;
	struct other o;
	struct turn t;

	other_start(&o, w);
	q = turn_rooted(w, &roots[0], 1);
	was = turn_rooted(w, &roots[1], 2);
	ahead = turn_rooted(w, &roots[2], 3);
	behind = turn_rooted(w, &roots[3], 4);
	expect_ok(gyre_store(w->m, &q->left, was));
	turn_hold(w);
	o.slot = &q->left;
	o.value = behind;
	turn_ahead(&t, &o);
	expect_ok(gyre_store(w->m, &q->left, ahead));
	expect_equal(tag_of(&q->left), w->m->tag);
	atomic_store(&o.go_on, true);
	other_wait(&o);
	expect(gyre_load(&q->left) == behind);
	expect_equal(tag_of(&q->left), w->m->tag);
	expect_equal(entries_of(w->m), 1);
	turn_end(&t);
	expect_equal(entries_of(o.m), 0);
	expect_equal(count_of(was), 2);
	for (int i = 0; i < 3; i++) {
		turn_whole(w);
		expect_equal(count_of(was), 1);
		expect_equal(count_of(ahead), 1);
		expect_equal(count_of(behind), 2);
	}
	turn_let_go(w);
	other_end(&o);
	for (size_t i = 0; i < 4; i++)
		expect_ok(gyre_root_drop(w->m, &roots[i]));
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(values_of_the_view),
		world_test(slots_of_large_objects),
		world_test(a_hasty_write_holds_its_slab),
		world_test(threads_that_run_between_handshakes),
		world_test(threads_that_leave_between_handshakes),
		world_test(a_snoop_keeps_what_is_moved),
		world_test(what_a_laggard_stores_is_early),
		world_test(a_laggard_leaves_the_next_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
