/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_snapshot_race.c: snapshots while threads do their worst: store, allocate, park, leave, come
 * back, and end without leaving. In the engine tagged a snapshot shows each thread as it was
 * between two of its safe points, so what a thread leaves in order at each of them is so in each
 * snapshot; and each count is made up of what is there.
 */
#include <sched.h>

#include "support.h"

enum { WORKERS = 8, LIST = 16, SHARED = 64, SNAPSHOTS = SUPPORT_SLOW ? 5 : 40 };

struct race;

struct worker {
	struct race *race;
	uint64_t seed;
	pthread_t thread;
	struct gyre_root list;    /* the head of LIST nodes, linked by left, each with a leaf */
	struct gyre_root pair[2]; /* two nodes that hold the same leaf */
	struct node *head, *twins[2];
};

struct race {
	struct world *w;
	struct worker workers[WORKERS];
	struct gyre_root shared;
	_Atomic(bool) stop;
	_Atomic(unsigned) steps;
};

static uint64_t draw(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 33;
}

static struct leaf *leaf_new(struct race *r, struct gyre_mutator *m)
{
	struct leaf *leaf = gyre_new(m, r->w->leaf);

	expect(leaf != NULL);
	return leaf;
}

static void make_lists(struct race *r, struct worker *k)
{
	struct gyre_mutator *m = r->w->m;
	struct leaf *same = leaf_new(r, m);
	struct node *next = NULL;

	for (int i = 0; i < LIST; i++) {
		struct node *n = node_new(r->w, m, 1);

		expect_ok(gyre_init(m, &n->left, next));
		expect_ok(gyre_init(m, &n->right, leaf_new(r, m)));
		next = n;
	}
	k->race = r;
	k->head = next;
	expect_ok(gyre_root_init(m, &k->list, next));
	for (int i = 0; i < 2; i++) {
		k->twins[i] = node_new(r->w, m, 2);
		expect_ok(gyre_init(m, &k->twins[i]->left, same));
		expect_ok(gyre_root_init(m, &k->pair[i], k->twins[i]));
	}
}

/* Puts another node in the place of one that is not the head. */
static void replace_one(struct worker *k, struct gyre_mutator *m)
{
	struct node *before = gyre_load(&k->list.slot), *old, *n = node_new(k->race->w, m, 1);

	for (uint64_t i = draw(&k->seed) % (LIST - 1); i > 0; i--)
		before = gyre_load(&before->left);
	old = gyre_load(&before->left);
	expect_ok(gyre_init(m, &n->left, gyre_load(&old->left)));
	expect_ok(gyre_init(m, &n->right, leaf_new(k->race, m)));
	expect_ok(gyre_store(m, &before->left, n));
}

static void give_both_another(struct worker *k, struct gyre_mutator *m)
{
	struct leaf *leaf = leaf_new(k->race, m);

	for (int i = 0; i < 2; i++) {
		struct node *n = gyre_load(&k->pair[i].slot);

		expect_ok(gyre_store(m, &n->left, leaf));
	}
}

/* Moves objects about among threads, and through a root of its own. */
static void stir(struct worker *k, struct gyre_mutator *m, struct gyre_root *own)
{
	struct refs *shared = gyre_load(&k->race->shared.slot);
	gyre_ref *to = &shared->items[draw(&k->seed) % SHARED];
	gyre_ref *from = &shared->items[draw(&k->seed) % SHARED];
	struct node *n = gyre_load(from);

	if (draw(&k->seed) % 4 == 0) {
		struct node *old = n;

		n = node_new(k->race->w, m, 3);
		expect_ok(gyre_init(m, &n->left, old));
		expect_ok(gyre_init(m, &n->right, n));
		if (old != NULL)
			expect_ok(gyre_store(m, &old->left, NULL));
	}
	expect_ok(gyre_store(m, to, n));
	expect_ok(gyre_store(m, &own->slot, n));
}

static struct gyre_mutator *come_back(struct worker *k, struct gyre_mutator *m,
				      struct gyre_root *own)
{
	expect_ok(gyre_root_drop(m, own));
	expect_ok(gyre_detach(m));
	expect_ok(gyre_attach(k->race->w->heap, 0, &m));
	expect_ok(gyre_root_init(m, own, NULL));
	return m;
}

static void *work(void *arg)
{
	struct worker *k = arg;
	struct gyre_mutator *m;
	struct gyre_root own;

	expect_ok(gyre_attach(k->race->w->heap, 0, &m));
	expect_ok(gyre_root_init(m, &own, NULL));
	for (unsigned i = 1; !atomic_load(&k->race->stop); i++) {
		struct node *kept = gyre_load(&own.slot);

		{
			GYRE_KEEP(m, kept);
			stir(k, m, &own);
			replace_one(k, m);
			gyre_safepoint(m);
			give_both_another(k, m);
			gyre_safepoint(m);
		}
		if (i % 16 == 0) {
			/* So that on few processors the collector has its share. */
			expect_ok(gyre_park(m));
			usleep(SUPPORT_SLOW ? 2000 : 200);
			expect_ok(gyre_unpark(m));
		}
		if (i % 512 == 0)
			m = come_back(k, m, &own);
		atomic_fetch_add(&k->race->steps, 1);
	}
	expect_ok(gyre_root_drop(m, &own));
	expect_ok(gyre_detach(m));
	return NULL;
}

/* Ends while attached, what it made is garbage. */
static void *die(void *arg)
{
	struct race *r = arg;
	struct gyre_mutator *m;
	struct node *n;

	expect_ok(gyre_attach(r->w->heap, 0, &m));
	n = node_new(r->w, m, 4);
	expect_ok(gyre_init(m, &n->left, n));
	gyre_safepoint(m);
	return NULL;
}

static void *let_die(void *arg)
{
	struct race *r = arg;

	while (!atomic_load(&r->stop)) {
		thread_join(thread_start(die, r));
		usleep(2000);
	}
	return NULL;
}

struct sum {
	uint64_t edges, holders;
	bool unnamed;
	const struct gyre_root *wanted;
	bool found;
	uint32_t nodes[2];
};

static bool count_edge(void *arg, uint32_t node, uint64_t index)
{
	struct sum *sum = arg;

	if (index < 2)
		sum->nodes[index] = node;
	sum->edges++;
	return true;
}

static bool count_holder(void *arg, const struct gyre_snapshot_holder *holder)
{
	struct sum *sum = arg;

	sum->holders++;
	sum->unnamed = sum->unnamed || (holder->by == GYRE_HELD_BY_OTHER && !holder->name);
	sum->found = sum->found || (holder->by == GYRE_HELD_BY_ROOT &&
				    holder->root == sum->wanted);
	return true;
}

static void check_counts(struct gyre_snapshot *s, uint64_t objects)
{
	for (uint32_t node = 0; node < objects; node++) {
		struct gyre_snapshot_object o = { .size = sizeof(o) };
		struct sum sum = { .edges = 0 };

		expect_ok(gyre_snapshot_object(s, node, &o));
		expect_equal(gyre_snapshot_find(s, o.address), node);
		expect_ok(gyre_snapshot_referrers(s, node, count_edge, &sum));
		expect_ok(gyre_snapshot_holders(s, node, count_holder, &sum));
		if (sum.unnamed)
			expect(sum.edges + sum.holders <= o.count);
		else
			expect_equal(sum.edges + sum.holders, o.count);
	}
}

static void check_root(struct gyre_snapshot *s, const void *object, const struct gyre_root *root)
{
	struct sum sum = { .wanted = root };
	uint32_t node = gyre_snapshot_find(s, object);

	expect(node != GYRE_NO_NODE);
	expect_ok(gyre_snapshot_holders(s, node, count_holder, &sum));
	expect(sum.found);
}

static void check_worker(struct gyre_snapshot *s, const struct worker *k)
{
	struct sum twins[2] = { { .edges = 0 } };
	uint32_t node = gyre_snapshot_find(s, k->head);
	unsigned length = 1;

	check_root(s, k->head, &k->list);
	for (; length <= LIST; length++) {
		struct sum sum = { .edges = 0 };

		expect_ok(gyre_snapshot_referents(s, node, count_edge, &sum));
		if (sum.edges < 2)
			break; /* the last one, whose left is NULL */
		node = sum.nodes[0];
	}
	expect_equal(length, LIST);
	for (int i = 0; i < 2; i++) {
		check_root(s, k->twins[i], &k->pair[i]);
		expect_ok(gyre_snapshot_referents(s, gyre_snapshot_find(s, k->twins[i]),
						  count_edge, &twins[i]));
		expect_equal(twins[i].edges, 1);
	}
	expect_equal(twins[0].nodes[0], twins[1].nodes[0]);
}

static bool has_no_path(void *arg, uint32_t node)
{
	struct gyre_snapshot *s = arg;
	struct gyre_snapshot_object o = { .size = sizeof(o) };
	struct gyre_snapshot_holder holder;
	size_t length = 0;

	expect_ok(gyre_snapshot_object(s, node, &o));
	/* Nobody holds what is garbage. */
	expect_ok(gyre_snapshot_path(s, node, NULL, &length, &holder));
	expect_equal(length, 0);
	return false;
}

static void snapshots_are_whole(void **state)
{
	struct world *w = *state;
	static struct race race;
	struct race *r = &race;
	pthread_t killer;

	memset(r, 0, sizeof(*r));
	r->w = w;
	expect_ok(gyre_root_init(w->m, &r->shared, refs_new(w, w->m, SHARED)));
	for (int i = 0; i < WORKERS; i++)
		make_lists(r, &r->workers[i]);
	for (int i = 0; i < WORKERS; i++) {
		r->workers[i].seed = (uint64_t)i;
		r->workers[i].thread = thread_start(work, &r->workers[i]);
	}
	killer = thread_start(let_die, r);
	for (int i = 0; i < SNAPSHOTS; i++) {
		struct gyre_snapshot_totals sum = { .size = sizeof(sum) };
		struct gyre_snapshot *s = NULL;
		unsigned before = atomic_load(&r->steps);

		expect_ok(gyre_snapshot_take(w->m, &s));
		expect_ok(gyre_park(w->m));
		expect_ok(gyre_snapshot_total(s, &sum));
		expect(sum.objects >= WORKERS * 4);
		expect_ok(gyre_snapshot_unreachable(s, has_no_path, s));
		if (support_tagged()) {
			check_counts(s, sum.objects);
			for (int k = 0; k < WORKERS; k++)
				check_worker(s, &r->workers[k]);
		} else {
			for (int k = 0; k < WORKERS; k++)
				check_root(s, r->workers[k].head, &r->workers[k].list);
		}
		gyre_snapshot_free(s);
		while (atomic_load(&r->steps) == before)
			sched_yield();
		expect_ok(gyre_unpark(w->m));
	}
	atomic_store(&r->stop, true);
	expect_ok(gyre_park(w->m));
	for (int i = 0; i < WORKERS; i++)
		thread_join(r->workers[i].thread);
	thread_join(killer);
	expect_ok(gyre_unpark(w->m));
	for (int i = 0; i < WORKERS; i++) {
		expect_ok(gyre_root_drop(w->m, &r->workers[i].list));
		expect_ok(gyre_root_drop(w->m, &r->workers[i].pair[0]));
		expect_ok(gyre_root_drop(w->m, &r->workers[i].pair[1]));
	}
	expect_ok(gyre_root_drop(w->m, &r->shared));
	expect_live(w->m, 0);
}

/* Two threads ask at once, each gets its own. */
static void *take_many(void *arg)
{
	struct world *w = arg;
	struct gyre_mutator *m;

	expect_ok(gyre_attach(w->heap, 0, &m));
	for (int i = 0; i < 20; i++) {
		struct gyre_snapshot *s = NULL;
		struct node *n = node_new(w, m, 1);
		GYRE_KEEP(m, n);

		expect_ok(gyre_snapshot_take(m, &s));
		expect(gyre_snapshot_find(s, n) != GYRE_NO_NODE);
		gyre_snapshot_free(s);
	}
	expect_ok(gyre_detach(m));
	return NULL;
}

static void several_ask_at_once(void **state)
{
	struct world *w = *state;
	pthread_t threads[3];

	expect_ok(gyre_park(w->m));
	for (size_t i = 0; i < LENGTH(threads); i++)
		threads[i] = thread_start(take_many, w);
	for (size_t i = 0; i < LENGTH(threads); i++)
		thread_join(threads[i]);
	expect_ok(gyre_unpark(w->m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(snapshots_are_whole),
		world_test(several_ask_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
