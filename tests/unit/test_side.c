/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_side.c: side tables: an entry for each object and kind, found again, apart from all others;
 * made by many threads at once, the same for all of them. The entries are emptied before the
 * collector may see them: it is held.
 */
#include "held.h"

#include "side.h"

enum { OBJECTS = 300, THREADS = 4 };

static void entries_are_apart(void **state)
{
	struct world *w = *state;
	struct refs *all = refs_new(w, w->m, OBJECTS);
	gyre__side_entry *entries[OBJECTS][GYRE_SIDE_KINDS];
	struct gyre_root root;

	expect_ok(gyre_root_init(w->m, &root, all));
	for (unsigned i = 0; i < OBJECTS; i++)
		expect_ok(gyre_init(w->m, &all->items[i],
				    i % 50 == 0 ? (void *)refs_new(w, w->m, 50000)
						: node_new(w, w->m, i)));
	held_begin(w);
	for (unsigned i = 0; i < OBJECTS; i++)
		for (enum gyre__side_kind kind = 0; kind < GYRE_SIDE_KINDS; kind++) {
			void *object = gyre_load(&all->items[i]);

			expect(gyre__side_get(object, kind) == NULL);
			entries[i][kind] = gyre__side_make(object, kind);
			expect(entries[i][kind] != NULL);
			expect(gyre__side_make(object, kind) == entries[i][kind]);
			expect(gyre__side_find(object, kind) == entries[i][kind]);
			expect(gyre__side_get(object, kind) == NULL);
			atomic_store(entries[i][kind], (void *)&entries[i][kind]);
		}
	for (unsigned i = 0; i < OBJECTS; i++)
		for (enum gyre__side_kind kind = 0; kind < GYRE_SIDE_KINDS; kind++) {
			expect(gyre__side_get(gyre_load(&all->items[i]), kind) ==
			       (void *)&entries[i][kind]);
			atomic_store(entries[i][kind], NULL);
		}
	held_end(w);
	expect_live(w->m, OBJECTS + 1);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

/* A slab's table ends with its last cell: of a type with one object a slab, and of small ones. */
static void the_last_cell_has_one(void **state)
{
	struct world *w = *state;
	struct leaf *leaf = gyre_new(w->m, w->leaf);
	struct gyre__slab *slab = gyre__slab_of(leaf);
	void *last = gyre__cell(slab, slab->shape.cells - 1);

	expect(gyre__side_find(last, GYRE_SIDE_WEAK) == NULL);
	for (enum gyre__side_kind kind = 0; kind < GYRE_SIDE_KINDS; kind++) {
		expect(gyre__side_make(last, kind) != NULL);
		expect(gyre__side_find(last, kind) == gyre__side_make(last, kind));
	}
	expect(gyre__side_make(gyre__cell(slab, 0), GYRE_SIDE_ATTACHMENT) !=
	       gyre__side_make(last, GYRE_SIDE_WEAK));
}

struct race {
	struct refs *all;
	pthread_barrier_t start;
	gyre__side_entry *entries[THREADS][OBJECTS];
	atomic_uint next;
};

static void *make_entries(void *arg)
{
	struct race *race = arg;
	unsigned self = atomic_fetch_add(&race->next, 1);

	pthread_barrier_wait(&race->start);
	for (unsigned i = 0; i < OBJECTS; i++)
		race->entries[self][i] =
			gyre__side_make(gyre_load(&race->all->items[i]), GYRE_SIDE_WEAK);
	return NULL;
}

static void many_threads_make_the_same(void **state)
{
	struct world *w = *state;
	static struct race race;
	pthread_t threads[THREADS];
	struct gyre_root root;

	race.all = refs_new(w, w->m, OBJECTS);
	atomic_init(&race.next, 0);
	pthread_barrier_init(&race.start, NULL, THREADS);
	expect_ok(gyre_root_init(w->m, &root, race.all));
	for (unsigned i = 0; i < OBJECTS; i++)
		expect_ok(gyre_init(w->m, &race.all->items[i], node_new(w, w->m, i)));
	held_begin(w);
	for (unsigned i = 0; i < THREADS; i++)
		threads[i] = thread_start(make_entries, &race);
	for (unsigned i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	for (unsigned i = 0; i < OBJECTS; i++)
		for (unsigned t = 0; t < THREADS; t++)
			expect(race.entries[t][i] != NULL &&
			       race.entries[t][i] == race.entries[0][i]);
	held_end(w);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(entries_are_apart),
		world_test(the_last_cell_has_one),
		world_test(many_threads_make_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
