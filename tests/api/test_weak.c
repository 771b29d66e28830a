/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_weak.c: weak cells: one an object, null for ever once it is dead, all of a dying set at
 * once, revived by a load that comes first; and their callbacks. One thread but for the races.
 */
#include "support.h"

#define MOST 64

/* What callbacks wrote down, in their order. */
static struct {
	pthread_mutex_t lock;
	uintptr_t seen[MOST];
	unsigned count;
} told = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void tell(struct gyre_mutator *m, void *arg)
{
	expect(m != NULL);
	pthread_mutex_lock(&told.lock);
	expect(told.count < MOST);
	told.seen[told.count++] = (uintptr_t)arg;
	pthread_mutex_unlock(&told.lock);
}

static void expect_told(struct gyre_mutator *m, unsigned count)
{
	expect_ok(gyre_finalize_wait(m));
	expect_equal(told.count, count);
}

static int setup(void **state)
{
	told.count = 0;
	return world_setup(state);
}

/* A ring of count nodes; the first of them. */
static struct node *ring_new(const struct world *w, unsigned count, struct node **members)
{
	for (unsigned i = 0; i < count; i++)
		members[i] = node_new(w, w->m, i);
	for (unsigned i = 0; i < count; i++)
		expect_ok(gyre_store(w->m, &members[i]->right, members[(i + 1) % count]));
	return members[0];
}

static struct gyre_weak *weak_of(const struct world *w, const void *object)
{
	struct gyre_weak *cell = gyre_weak_of(w->m, object);

	expect(cell != NULL);
	return cell;
}

static void one_cell_an_object(void **state)
{
	struct world *w = *state;
	struct node *a = node_new(w, w->m, 1), *b = node_new(w, w->m, 2);
	struct gyre_weak *cell = weak_of(w, a), *other = weak_of(w, b);

	expect(cell != other);
	expect(weak_of(w, a) == cell);
	expect(gyre_weak_load(w->m, cell) == a);
	expect(gyre_weak_load(w->m, other) == b);
	{
		GYRE_KEEP(w->m, a, b);
		expect_live(w->m, 4); /* an object holds its cell */
		expect(weak_of(w, a) == cell);
		expect(gyre_weak_load(w->m, cell) == a);
	}
	expect_live(w->m, 0);
	expect_equal(world_stats(w->heap).weak_cells, 2);
	expect_equal(world_stats(w->heap).weak_cleared, 2);
}

static void bad_arguments(void **state)
{
	struct world *w = *state;
	struct node *a = node_new(w, w->m, 1);
	struct gyre_weak *cell = weak_of(w, a);
	uint64_t id;

	expect(gyre_weak_of(NULL, a) == NULL);
	expect(gyre_weak_of(w->m, NULL) == NULL);
	expect_status(gyre_weak_notify(NULL, cell, tell, NULL, 0, NULL), GYRE_INVALID);
	expect_status(gyre_weak_notify(w->m, NULL, tell, NULL, 0, NULL), GYRE_INVALID);
	expect_status(gyre_weak_notify(w->m, cell, NULL, NULL, 0, NULL), GYRE_INVALID);
	expect_status(gyre_weak_notify(w->m, cell, tell, NULL, 4, NULL), GYRE_INVALID);
	expect_ok(gyre_weak_notify(w->m, cell, tell, NULL, 0, &id));
	expect_status(gyre_weak_unnotify(w->m, cell, id + 1), GYRE_INVALID);
	expect_status(gyre_weak_unnotify(NULL, cell, id), GYRE_INVALID);
	expect_status(gyre_weak_unnotify(w->m, NULL, id), GYRE_INVALID);
	expect_ok(gyre_weak_unnotify(w->m, cell, id));
	expect_status(gyre_weak_unnotify(w->m, cell, id), GYRE_INVALID);
}

/* Dies by its count: the cell is null, and stays so. */
static void null_when_dead(void **state)
{
	struct world *w = *state;
	struct gyre_weak *cell = weak_of(w, node_new(w, w->m, 1));
	GYRE_KEEP(w->m, cell);

	expect_live(w->m, 1);
	for (unsigned i = 0; i < 3; i++) {
		expect(gyre_weak_load(w->m, cell) == NULL);
		node_new(w, w->m, i);
		world_collect(w->m);
	}
}

/* A cell is kept by slots like any other object, also by its own object. */
static void cells_are_objects(void **state)
{
	struct world *w = *state;
	struct node *a = node_new(w, w->m, 1), *b = node_new(w, w->m, 2);

	expect_ok(gyre_store(w->m, &a->left, weak_of(w, b)));
	expect_ok(gyre_store(w->m, &a->right, weak_of(w, a)));
	GYRE_KEEP(w->m, a);
	expect_live(w->m, 3); /* a, its cell, and b's, which is cleared */
	expect(gyre_weak_load(w->m, gyre_load(&a->left)) == NULL);
	expect(gyre_weak_load(w->m, gyre_load(&a->right)) == a);
}

static void a_ring_is_cleared_at_once(void **state)
{
	struct world *w = *state;
	struct node *members[8];
	struct gyre_weak *cells[8];
	struct gyre_keep keep;

	ring_new(w, 8, members);
	for (unsigned i = 0; i < 8; i++)
		cells[i] = weak_of(w, members[i]);
	gyre_keep_open(w->m, &keep, (void **)cells, 8);
	{
		struct node *one = members[5];
		GYRE_KEEP(w->m, one);
		expect_live(w->m, 16);
		for (unsigned i = 0; i < 8; i++)
			expect(gyre_weak_load(w->m, cells[i]) == members[i]);
	}
	expect_live(w->m, 8);
	for (unsigned i = 0; i < 8; i++)
		expect(gyre_weak_load(w->m, cells[i]) == NULL);
	gyre_keep_close(&keep);
}

/* A list of objects with cells each dies in one set, not in one epoch each. */
static void a_list_dies_in_one_set(void **state)
{
	struct world *w = *state;
	struct node *head = NULL;
	uint64_t before;
	{
		GYRE_KEEP(w->m, head);
		for (uint64_t i = 0; i < 2000; i++) {
			struct node *n = node_new(w, w->m, i);

			expect_ok(gyre_store(w->m, &n->right, head));
			weak_of(w, n);
			head = n;
			gyre_safepoint(w->m);
		}
		expect_live(w->m, 4000);
		before = world_stats(w->heap).epochs;
	}
	expect_live(w->m, 0);
	expect(world_stats(w->heap).epochs - before < 40);
	expect_equal(world_stats(w->heap).weak_cleared, 2000);
}

/* A load makes an object strong again, as often as it likes. */
static void a_load_keeps(void **state)
{
	struct world *w = *state;
	struct node *members[3];
	struct gyre_weak *cell = weak_of(w, ring_new(w, 3, members));
	struct node *again = NULL;
	GYRE_KEEP(w->m, cell, again);

	for (unsigned i = 0; i < 5; i++) {
		again = gyre_weak_load(w->m, cell);
		expect(node_is(again, 0));
		expect_live(w->m, 4);
	}
	again = NULL;
	expect_live(w->m, 1);
	expect(gyre_weak_load(w->m, cell) == NULL);
}

static void callbacks_in_reverse_order(void **state)
{
	struct world *w = *state;
	struct node *a = node_new(w, w->m, 1);
	struct gyre_weak *cell = weak_of(w, a);
	uint64_t ids[5];
	GYRE_KEEP(w->m, cell);
	{
		GYRE_KEEP(w->m, a);
		for (uintptr_t i = 0; i < 5; i++)
			expect_ok(gyre_weak_notify(w->m, cell, tell, (void *)i, 0, &ids[i]));
		expect_ok(gyre_weak_unnotify(w->m, cell, ids[2]));
		world_collect(w->m);
		expect_told(w->m, 0);
	}
	world_collect(w->m);
	expect_told(w->m, 4);
	expect_equal(told.seen[0], 4);
	expect_equal(told.seen[1], 3);
	expect_equal(told.seen[2], 1);
	expect_equal(told.seen[3], 0);
	expect_status(gyre_weak_unnotify(w->m, cell, ids[0]), GYRE_CLEARED);
	expect_status(gyre_weak_notify(w->m, cell, tell, NULL, 0, NULL), GYRE_CLEARED);
	world_collect(w->m);
	expect_told(w->m, 4);
	expect_equal(world_stats(w->heap).notices_called, 4);
}

/* A cell that nobody holds, or only who dies with its object, is not told; but if asked for. */
static void who_died_is_not_told(void **state)
{
	struct world *w = *state;
	struct node *a = node_new(w, w->m, 1), *b = node_new(w, w->m, 2), *members[2];

	expect_ok(gyre_weak_notify(w->m, weak_of(w, a), tell, (void *)1, 0, NULL));
	expect_ok(gyre_weak_notify(w->m, weak_of(w, b), tell, (void *)2, GYRE_NOTICE_ALWAYS, NULL));
	ring_new(w, 2, members);
	expect_ok(gyre_store(w->m, &members[0]->left, weak_of(w, members[1])));
	expect_ok(gyre_weak_notify(w->m, weak_of(w, members[1]), tell, (void *)3, 0, NULL));
	world_collect(w->m);
	expect_told(w->m, 1);
	expect_equal(told.seen[0], 2);
	expect_live(w->m, 0);
}

static void held_by_another_is_told(void **state)
{
	struct world *w = *state;
	struct node *members[2], *holder = node_new(w, w->m, 9);
	GYRE_KEEP(w->m, holder);

	ring_new(w, 2, members);
	expect_ok(gyre_store(w->m, &holder->left, weak_of(w, members[1])));
	expect_ok(gyre_store(w->m, &members[0]->left, weak_of(w, members[1])));
	expect_ok(gyre_weak_notify(w->m, weak_of(w, members[1]), tell, (void *)3, 0, NULL));
	world_collect(w->m);
	expect_told(w->m, 1);
	expect_live(w->m, 2);
}

/* Large objects, arrays and those of types without slots have cells as well. */
static void any_object_has_one(void **state)
{
	struct world *w = *state;
	struct refs *large = refs_new(w, w->m, 100000), *small = refs_new(w, w->m, 3);
	struct leaf *leaf = gyre_new(w->m, w->leaf);
	struct gyre_weak *cells[3] = { weak_of(w, large), weak_of(w, small), weak_of(w, leaf) };
	struct gyre_keep keep;

	expect_ok(gyre_store(w->m, &large->items[99999], small));
	expect_ok(gyre_store(w->m, &small->items[1], large));
	expect_ok(gyre_store(w->m, &small->items[2], leaf));
	gyre_keep_open(w->m, &keep, (void **)cells, 3);
	{
		GYRE_KEEP(w->m, small);
		expect_live(w->m, 6);
		expect(gyre_weak_load(w->m, cells[0]) == large);
		expect(gyre_weak_load(w->m, cells[2]) == leaf);
	}
	expect_live(w->m, 3);
	for (unsigned i = 0; i < 3; i++)
		expect(gyre_weak_load(w->m, cells[i]) == NULL);
	gyre_keep_close(&keep);
}

/* A cell of a cell. */
static void cells_have_cells(void **state)
{
	struct world *w = *state;
	struct gyre_weak *cell = weak_of(w, node_new(w, w->m, 1)), *outer = weak_of(w, cell);
	GYRE_KEEP(w->m, outer);

	expect_live(w->m, 1);
	expect(gyre_weak_load(w->m, outer) == NULL);
}

#define ROUNDS 400
#define READERS 3

struct race {
	struct world *w;
	struct gyre_root cells[2]; /* of two members of one ring */
	atomic_bool stop;
	atomic_uint nulls, loads;
};

/* Loads both cells: what it gets is sound; once the first is null, so is the second. */
static void *race_reader(void *arg)
{
	struct race *race = arg;
	struct gyre_mutator *m;

	expect_ok(gyre_attach(race->w->heap, 0, &m));
	while (!atomic_load(&race->stop)) {
		struct gyre_weak *first = gyre_load(&race->cells[0].slot);
		struct node *a = first == NULL ? NULL : gyre_weak_load(m, first);

		if (first != NULL && a == NULL) {
			expect(gyre_weak_load(m, first) == NULL);
			atomic_fetch_add(&race->nulls, 1);
		} else if (a != NULL) {
			struct node *b = gyre_load(&a->right);

			expect(node_sound(a) && node_sound(b));
			expect(gyre_load(&b->right) == a);
			atomic_fetch_add(&race->loads, 1);
		}
		gyre_safepoint(m);
	}
	expect_ok(gyre_detach(m));
	return NULL;
}

static void loads_race_death(void **state)
{
	struct world *w = *state;
	struct race race = { .w = w };
	pthread_t readers[READERS];

	expect_ok(gyre_root_init(w->m, &race.cells[0], NULL));
	expect_ok(gyre_root_init(w->m, &race.cells[1], NULL));
	for (unsigned i = 0; i < READERS; i++)
		readers[i] = thread_start(race_reader, &race);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct node *members[2];

		ring_new(w, 2, members);
		expect_ok(gyre_store(w->m, &race.cells[1].slot, weak_of(w, members[1])));
		expect_ok(gyre_store(w->m, &race.cells[0].slot, weak_of(w, members[0])));
		gyre_collect_soon(w->heap);
		for (unsigned i = 0; i < 50; i++) {
			gyre_safepoint(w->m);
			usleep(20);
		}
	}
	atomic_store(&race.stop, true);
	expect_ok(gyre_park(w->m));
	for (unsigned i = 0; i < READERS; i++)
		thread_join(readers[i]);
	expect_ok(gyre_unpark(w->m));
	expect_ok(gyre_root_drop(w->m, &race.cells[0]));
	expect_ok(gyre_root_drop(w->m, &race.cells[1]));
	expect_live(w->m, 0);
	expect(atomic_load(&race.loads) > 0);
}

#define weak_test(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		weak_test(one_cell_an_object),
		weak_test(bad_arguments),
		weak_test(null_when_dead),
		weak_test(cells_are_objects),
		weak_test(a_ring_is_cleared_at_once),
		weak_test(a_list_dies_in_one_set),
		weak_test(a_load_keeps),
		weak_test(callbacks_in_reverse_order),
		weak_test(who_died_is_not_told),
		weak_test(held_by_another_is_told),
		weak_test(any_object_has_one),
		weak_test(cells_have_cells),
		weak_test(loads_race_death),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
