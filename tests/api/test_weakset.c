/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_weakset.c: a set of objects held weakly: members by identity and by the host's equality, how
 * they go, walks during which the set changes and the collector runs, threads.
 */
#include "weakly.h"

static uint64_t id_hash(void *arg, const void *object)
{
	(void)arg;
	return ((const struct node *)object)->id;
}

/* Equal: the ids are, and so are those of what they refer to on the left. */
static bool id_equal(void *arg, const void *object, const void *other)
{
	const struct node *a = (const struct node *)object, *b = (const struct node *)other;
	const struct node *below_a = gyre_load(&a->left), *below_b = gyre_load(&b->left);

	(void)arg;
	expect(node_sound(a) && node_sound(b));
	return a->id == b->id && (below_a ? below_a->id : 0) == (below_b ? below_b->id : 0);
}

static uint64_t bad_hash(void *arg, const void *object)
{
	(void)arg;
	(void)object;
	return 1;
}

static const struct gyre_keys by_id = { id_hash, id_equal, NULL, NULL };
static const struct gyre_keys badly = { bad_hash, id_equal, NULL, NULL };

static struct gyre_weakset *open_set(struct weakly *t, const struct gyre_keys *by)
{
	struct gyre_weakset *set = NULL;

	expect_ok(gyre_weakset_open(t->w->m, by, &set));
	expect(set != NULL);
	expect_equal(gyre_weakset_count(set), 0);
	return set;
}

static void add(struct gyre_mutator *m, struct gyre_weakset *set, struct node *n)
{
	void *member = NULL;

	expect_ok(gyre_weakset_add(m, set, n, &member));
	expect(member == n);
}

static void members_by_identity(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_weakset *set = open_set(t, NULL);
	struct node *one = hold_new(t, m, 1), *like_one = hold_new(t, m, 2);

	like_one->id = one->id;
	like_one->canary = one->canary;
	expect(!gyre_weakset_contains(m, set, one));
	expect(!gyre_weakset_remove(m, set, one));
	add(m, set, one);
	add(m, set, one);
	expect_equal(gyre_weakset_count(set), 1);
	expect(gyre_weakset_contains(m, set, one) && !gyre_weakset_contains(m, set, like_one));
	expect_ok(gyre_weakset_add(m, set, like_one, NULL));
	expect_equal(gyre_weakset_count(set), 2);
	expect(gyre_weakset_find(m, set, one) == one);
	settle(m);
	one = held(t, 1);
	expect(gyre_weakset_remove(m, set, one));
	expect(!gyre_weakset_remove(m, set, one) && !gyre_weakset_contains(m, set, one));
	expect(gyre_weakset_contains(m, set, held(t, 2)));
	expect_ok(gyre_weakset_close(m, set));
}

static void members_by_equality(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_weakset *set = open_set(t, &by_id);
	struct node *one = hold_new(t, m, 1), *like_one = node_new(t->w, m, 1), *not_one;
	void *member = NULL;

	not_one = node_new(t->w, m, 1); /* the same hash */
	expect_ok(gyre_init(m, &not_one->left, node_new(t->w, m, 9)));
	add(m, set, one);
	expect_ok(gyre_weakset_add(m, set, like_one, &member));
	expect(member == one);
	expect_equal(gyre_weakset_count(set), 1);
	expect(gyre_weakset_find(m, set, like_one) == one);
	expect(!gyre_weakset_contains(m, set, not_one));
	add(m, set, not_one);
	expect_equal(gyre_weakset_count(set), 2);
	settle(m); /* not_one dies, like_one was none */
	expect_equal(gyre_weakset_count(set), 1);
	let_go(t, m, 1);
	settle(m);
	expect_equal(gyre_weakset_count(set), 0);
	like_one = hold_new(t, m, 1);
	expect(gyre_weakset_find(m, set, like_one) == NULL);
	add(m, set, like_one);
	expect(gyre_weakset_remove(m, set, node_new(t->w, m, 1)));
	expect_equal(gyre_weakset_count(set), 0);
	expect_ok(gyre_weakset_close(m, set));
}

/* The host has not been told yet: the dead are no members, whatever the count says. */
static void the_dead_are_no_members(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_weakset *set = open_set(t, &badly);
	uint64_t ran;

	for (size_t i = 0; i < 30; i++)
		add(m, set, hold_new(t, m, i));
	for (size_t i = 0; i < 20; i++)
		let_go(t, m, i);
	world_collect(m);
	expect_equal(gyre_weakset_count(set), 30);
	for (size_t i = 0; i < 30; i++)
		expect(gyre_weakset_contains(m, set, node_new(t->w, m, i)) == (i >= 20));
	for (size_t i = 0; i < 10; i++)
		add(m, set, hold_new(t, m, i)); /* beside the dead ones of the same value */
	do
		expect_ok(gyre_finalize_next(m, &ran));
	while (ran > 0);
	expect_equal(gyre_weakset_count(set), 20);
	for (size_t i = 0; i < 30; i++)
		expect(gyre_weakset_contains(m, set, node_new(t->w, m, i)) == (i < 10 || i >= 20));
	for (size_t i = 0; i < 30; i++)
		let_go(t, m, i);
	world_collect(m);
	expect_ok(gyre_weakset_close(m, set)); /* before it is told */
}

static void members_go_by_themselves(void **state)
{
	enum { MANY = 3000 };
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_weakset *sets[3] = { open_set(t, NULL), open_set(t, &by_id),
					 open_set(t, NULL) };

	for (size_t i = 0; i < MANY; i++) {
		hold_new(t, m, i);
		for (size_t s = 0; s < LENGTH(sets); s++)
			add(m, sets[s], held(t, i));
		gyre_safepoint(m);
	}
	settle(m);
	for (size_t i = 0; i < MANY; i += 2)
		let_go(t, m, i);
	expect_ok(gyre_weakset_close(m, sets[2]));
	settle(m);
	for (size_t s = 0; s < 2; s++) {
		expect_equal(gyre_weakset_count(sets[s]), MANY / 2);
		for (size_t i = 1; i < MANY; i += 2)
			expect(gyre_weakset_contains(m, sets[s], held(t, i)));
		expect_ok(gyre_weakset_close(m, sets[s]));
	}
}

struct walk {
	struct weakly *t;
	struct gyre_weakset *set;
	unsigned seen[HELD], visits, stop_at;
	void (*also)(struct walk *walk, struct gyre_mutator *m, struct node *n);
};

static bool see(struct gyre_mutator *m, void *object, void *arg)
{
	struct walk *walk = (struct walk *)arg;
	const uint64_t id = ((struct node *)object)->id;

	expect(node_sound(object) && id < HELD);
	walk->seen[id]++;
	walk->visits++;
	if (walk->also != NULL)
		walk->also(walk, m, object);
	expect(node_is(object, id));
	return walk->visits != walk->stop_at;
}

static struct walk *walk_over(struct weakly *t, size_t count)
{
	struct walk *walk = calloc(1, sizeof(*walk));

	expect(walk != NULL);
	walk->t = t;
	walk->set = open_set(t, NULL);
	for (size_t i = 0; i < count; i++)
		add(t->w->m, walk->set, hold_new(t, t->w->m, i));
	return walk;
}

static void end_walk(struct walk *walk)
{
	expect_ok(gyre_weakset_close(walk->t->w->m, walk->set));
	free(walk);
}

static void a_walk_visits_each_once(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct walk *walk = walk_over(t, 500);

	for (size_t i = 0; i < 500; i += 5)
		let_go(t, m, i);
	world_collect(m); /* told or not */
	expect_ok(gyre_weakset_each(m, walk->set, see, walk));
	for (size_t i = 0; i < 500; i++)
		expect_equal(walk->seen[i], i % 5 != 0);
	walk->stop_at = walk->visits + 3;
	expect_ok(gyre_weakset_each(m, walk->set, see, walk));
	expect_equal(walk->visits, walk->stop_at);
	end_walk(walk);
}

/* A listener takes itself out, or others, or adds new ones, or itself again. */
static void listen(struct walk *walk, struct gyre_mutator *m, struct node *n)
{
	const uint64_t id = n->id, other = id ^ 1;

	expect(id < 400); /* what is added is not visited */
	expect(gyre_weakset_remove(m, walk->set, n));
	if (id % 3 == 0)
		add(m, walk->set, n); /* is not visited again */
	if (id % 7 == 0)
		add(m, walk->set, hold_new(walk->t, m, 1000 + id));
	if (id % 5 == 0 && walk->seen[other] == 0) {
		expect(gyre_weakset_remove(m, walk->set, held(walk->t, other)));
		walk->seen[other] = 100; /* must not be visited any more */
	}
	if (id % 11 == 0) {
		let_go(walk->t, m, id);
		settle(m); /* the walk keeps the one that is visited */
	}
	expect_status(gyre_weakset_close(m, walk->set), GYRE_BUSY);
}

static void a_walk_may_change_the_set(void **state)
{
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct walk *walk = walk_over(t, 400);
	size_t members = 0;

	walk->also = listen;
	expect_ok(gyre_weakset_each(m, walk->set, see, walk));
	for (size_t i = 0; i < 400; i++) {
		expect(walk->seen[i] == 1 || walk->seen[i] == 100);
		members += walk->seen[i] == 1 && i % 3 == 0 && i % 11 != 0;
		members += walk->seen[i] == 1 && i % 7 == 0;
	}
	settle(m);
	expect_equal(gyre_weakset_count(walk->set), members);
	end_walk(walk);
}

static void misuse_is_answered(void **state)
{
	const struct gyre_keys half = { id_hash, NULL, NULL, NULL };
	const struct gyre_keys other_half = { NULL, id_equal, NULL, NULL };
	struct gyre_keys frees = by_id;
	struct weakly *t = *state;
	struct gyre_mutator *m = t->w->m;
	struct gyre_weakset *set = NULL;
	struct node *n = hold_new(t, m, 1);
	void *member = n;

	frees.free = (void (*)(void *, void *))abort;
	expect_status(gyre_weakset_open(NULL, NULL, &set), GYRE_INVALID);
	expect_status(gyre_weakset_open(m, NULL, NULL), GYRE_INVALID);
	expect_status(gyre_weakset_open(m, &half, &set), GYRE_INVALID);
	expect_status(gyre_weakset_open(m, &other_half, &set), GYRE_INVALID);
	expect_status(gyre_weakset_open(m, &frees, &set), GYRE_INVALID);
	set = open_set(t, NULL);
	expect_status(gyre_weakset_add(NULL, set, n, NULL), GYRE_INVALID);
	expect_status(gyre_weakset_add(m, NULL, n, NULL), GYRE_INVALID);
	expect_status(gyre_weakset_add(m, set, NULL, &member), GYRE_INVALID);
	expect(member == NULL);
	expect(!gyre_weakset_contains(m, set, NULL) && !gyre_weakset_remove(m, set, NULL));
	expect(!gyre_weakset_contains(m, NULL, n) && !gyre_weakset_remove(NULL, set, n));
	expect_equal(gyre_weakset_count(NULL), 0);
	expect_status(gyre_weakset_each(m, set, NULL, NULL), GYRE_INVALID);
	expect_status(gyre_weakset_each(m, NULL, see, NULL), GYRE_INVALID);
	expect_status(gyre_weakset_each(NULL, set, see, NULL), GYRE_INVALID);
	expect_status(gyre_weakset_close(m, NULL), GYRE_INVALID);
	expect_status(gyre_weakset_close(NULL, set), GYRE_INVALID);
	expect_ok(gyre_weakset_close(m, set));
}

static bool child_uses(struct weakly *t, void *arg)
{
	struct gyre_weakset *set = (struct gyre_weakset *)arg, *another;
	struct node *n = held(t, 1);

	return !gyre_weakset_contains(t->w->m, set, n) && gyre_weakset_count(set) == 0 &&
	       gyre_weakset_add(t->w->m, set, n, NULL) == GYRE_FROZEN &&
	       !gyre_weakset_remove(t->w->m, set, n) &&
	       gyre_weakset_each(t->w->m, set, see, NULL) == GYRE_FROZEN &&
	       gyre_weakset_close(t->w->m, set) == GYRE_FROZEN &&
	       gyre_weakset_open(t->w->m, NULL, &another) == GYRE_FROZEN;
}

static void the_child_of_a_fork(void **state)
{
	struct weakly *t = *state;
	struct gyre_weakset *set = open_set(t, NULL);

	add(t->w->m, set, hold_new(t, t->w->m, 1));
	in_frozen_child(t, child_uses, set);
	expect(gyre_weakset_contains(t->w->m, set, held(t, 1)));
	expect_ok(gyre_weakset_close(t->w->m, set));
}

/* Threads share a table of unique objects: at no time there are two members of one value. */
static void make_unique(struct weakly_thread *thread)
{
	struct gyre_weakset *set = (struct gyre_weakset *)thread->arg;
	struct gyre_mutator *m = thread->m;

	for (int i = 0; i < 20000; i++) {
		uint64_t at = random_of(&thread->random) % 100;
		struct node *n = node_new(thread->t->w, m, at);
		void *member;

		expect_ok(gyre_weakset_add(m, set, n, &member));
		expect(node_is(member, at));
		if (i % 3 == 0)
			expect_ok(gyre_store(m, held_slot(thread->t, at), member));
		else if (i % 3 == 1)
			let_go(thread->t, m, at);
		member = gyre_weakset_find(m, set, n);
		expect(member == NULL || node_is(member, at)); /* others take out, too */
		if (i % 100 == 0)
			gyre_weakset_remove(m, set, n);
		if (i % 500 == 0)
			gyre_collect_soon(thread->t->w->heap);
		gyre_safepoint(m);
	}
}

static bool count_values(struct gyre_mutator *m, void *object, void *arg)
{
	(void)m;
	((unsigned *)arg)[((struct node *)object)->id]++;
	return true;
}

static void threads_share_unique_objects(void **state)
{
	struct weakly *t = *state;
	struct gyre_weakset *set = open_set(t, &by_id);
	unsigned values[100] = { 0 };

	run_threads(t, make_unique, set);
	expect_ok(gyre_weakset_each(t->w->m, set, count_values, values));
	for (size_t i = 0; i < LENGTH(values); i++)
		expect(values[i] <= 1);
	expect_ok(gyre_array_fill(t->w->m, held_slot(t, 0), HELD, NULL));
	settle(t->w->m);
	expect_equal(gyre_weakset_count(set), 0);
	expect_ok(gyre_weakset_close(t->w->m, set));
}

/* Listeners: one thread tells all, others come and go; who is there throughout hears it once. */
static bool hear(struct gyre_mutator *m, void *object, void *arg)
{
	unsigned *heard = (unsigned *)arg;
	struct node *n = (struct node *)object;

	expect(node_sound(n));
	heard[n->id]++;
	gyre_safepoint(m);
	expect(node_sound(n));
	return true;
}

static void tell_or_listen(struct weakly_thread *thread)
{
	struct gyre_weakset *set = (struct gyre_weakset *)thread->arg;
	static unsigned heard[HELD];
	struct node *n = NULL;

	GYRE_KEEP(thread->m, n);
	for (int round = 0; round < 60; round++) {
		for (uint64_t i = 0; thread->number > 0 && i < 300; i++) {
			if (n != NULL && i % 2 == 0)
				expect(gyre_weakset_remove(thread->m, set, n));
			n = node_new(thread->t->w, thread->m, 1000 + i);
			add(thread->m, set, n);
			gyre_safepoint(thread->m);
		}
		if (thread->number > 0)
			continue;
		memset(heard, 0, sizeof(heard));
		expect_ok(gyre_weakset_each(thread->m, set, hear, heard));
		for (size_t i = 0; i < 100; i++)
			expect_equal(heard[i], 1);
	}
}

static void threads_come_and_go_while_one_tells(void **state)
{
	struct weakly *t = *state;
	struct gyre_weakset *set = open_set(t, NULL);

	for (size_t i = 0; i < 100; i++)
		add(t->w->m, set, hold_new(t, t->w->m, i));
	run_threads(t, tell_or_listen, set);
	settle(t->w->m);
	expect_equal(gyre_weakset_count(set), 100);
	expect_ok(gyre_weakset_close(t->w->m, set));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		weakly_test(members_by_identity),
		weakly_test(members_by_equality),
		weakly_host_test(the_dead_are_no_members),
		weakly_test(members_go_by_themselves),
		weakly_test(a_walk_visits_each_once),
		weakly_test(a_walk_may_change_the_set),
		weakly_test(misuse_is_answered),
		weakly_test(the_child_of_a_fork),
		weakly_test(threads_share_unique_objects),
		weakly_test(threads_come_and_go_while_one_tells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
