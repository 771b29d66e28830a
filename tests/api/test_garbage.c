/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_garbage.c: dead cycles that are kept: what they are, visiting, writing and dropping them,
 * with weak cells and finalizers, from threads that end, and with others at full speed.
 */
#include "support.h"

#define MUTATORS (SUPPORT_SLOW ? 4 : 8)

/* A ring of two, dead at once; its first member also refers to the second by its other slot. */
static void dead_ring(struct world *w, struct gyre_mutator *m)
{
	struct node *a = node_new(w, m, 1), *b = node_new(w, m, 2);
	struct gyre_root root;

	expect_ok(gyre_root_init(m, &root, a));
	expect_ok(gyre_store(m, &a->left, b));
	expect_ok(gyre_store(m, &a->right, b));
	expect_ok(gyre_store(m, &b->left, a));
	world_collect(m); /* counted, so that a trial has to find it */
	expect_ok(gyre_root_drop(m, &root));
}

struct seen {
	unsigned cycles, edges, stop_at;
	uint64_t objects, last;
	bool drop, end;
};

static void count_edge(void *arg, size_t from, size_t to)
{
	struct seen *seen = arg;

	expect(from < 2 && to < 2 && from != to);
	seen->edges++;
}

static bool see(void *arg, struct gyre_mutator *m, const struct gyre_cycle *cycle)
{
	struct seen *seen = arg;

	expect_equal(cycle->size, sizeof(*cycle));
	expect(cycle->id > seen->last);
	seen->last = cycle->id;
	seen->cycles++;
	seen->objects += cycle->count;
	for (size_t i = 0; i < cycle->count; i++)
		expect(node_sound(cycle->objects[i]));
	expect_ok(gyre_cycle_edges(m, cycle, count_edge, seen));
	if (seen->drop)
		expect_ok(gyre_garbage_drop(m, cycle->id));
	gyre_safepoint(m);
	if (seen->end)
		pthread_exit(NULL);
	return seen->cycles != seen->stop_at;
}

static void dead_cycles_are_kept(void **state)
{
	struct world *w = *state;
	struct seen seen = { 0 }, one = { .stop_at = 1 }, none = { 0 };

	expect_ok(gyre_save_all(w->heap, true));
	for (unsigned i = 0; i < 3; i++)
		dead_ring(w, w->m);
	node_new(w, w->m, 7); /* dies by its count */
	world_collect(w->m);
	expect_equal(gyre_garbage_count(w->heap), 3);
	expect_equal(world_stats(w->heap).garbage_objects, 6);
	expect_equal(world_stats(w->heap).objects_live, 6);
	expect_equal(world_verify(w->m).reachable, 6);
	expect_ok(gyre_garbage_visit(w->m, see, &seen));
	expect_equal(seen.cycles, 3);
	expect_equal(seen.objects, 6);
	expect_equal(seen.edges, 9);
	expect_ok(gyre_garbage_visit(w->m, see, &one));
	expect_equal(one.cycles, 1);
	/* One that is dropped is kept again while save-all is on. */
	expect_ok(gyre_garbage_drop(w->m, one.last));
	expect_status(gyre_garbage_drop(w->m, one.last), GYRE_INVALID);
	expect_equal(gyre_garbage_count(w->heap), 2);
	world_collect(w->m);
	expect_equal(gyre_garbage_count(w->heap), 3);
	expect_ok(gyre_save_all(w->heap, false));
	expect_ok(gyre_garbage_drop(w->m, seen.last));
	expect_equal(world_collect(w->m), 2);
	expect_ok(gyre_garbage_clear(w->m));
	expect_equal(gyre_garbage_count(w->heap), 0);
	expect_live(w->m, 0);
	expect_ok(gyre_garbage_visit(w->m, see, &none));
	expect_equal(none.cycles, 0);
}

static void a_visitor_may_drop(void **state)
{
	struct world *w = *state;
	struct seen seen = { .drop = true };

	expect_ok(gyre_save_all(w->heap, true));
	dead_ring(w, w->m);
	dead_ring(w, w->m);
	world_collect(w->m);
	expect_ok(gyre_save_all(w->heap, false));
	expect_ok(gyre_garbage_visit(w->m, see, &seen));
	expect_equal(seen.cycles, 2);
	expect_equal(gyre_garbage_count(w->heap), 0);
	expect_live(w->m, 0);
}

static void *end_in_visit(void *arg)
{
	struct world *w = arg;
	struct seen seen = { .drop = true, .end = true };
	struct gyre_mutator *m;

	expect_ok(gyre_attach(w->heap, 0, &m));
	gyre_garbage_visit(m, see, &seen);
	return NULL;
}

static void a_thread_may_end_in_a_visit(void **state)
{
	struct world *w = *state;

	expect_ok(gyre_save_all(w->heap, true));
	dead_ring(w, w->m);
	dead_ring(w, w->m);
	world_collect(w->m);
	expect_ok(gyre_save_all(w->heap, false));
	expect_ok(gyre_park(w->m));
	thread_join(thread_start(end_in_visit, w));
	expect_ok(gyre_unpark(w->m));
	expect_equal(gyre_garbage_count(w->heap), 1);
	expect_ok(gyre_garbage_clear(w->m));
	expect_live(w->m, 0);
}

static void they_are_written(void **state)
{
	struct world *w = *state;
	char *text = NULL, first[64];
	size_t bytes = 0;
	FILE *file;

	expect_ok(gyre_save_all(w->heap, true));
	dead_ring(w, w->m);
	world_collect(w->m);
	file = open_memstream(&text, &bytes);
	expect(file != NULL);
	expect_ok(gyre_garbage_write(w->m, file, GYRE_GARBAGE_TEXT));
	fclose(file);
	snprintf(first, sizeof(first), "cycle 1: 2 objects, %zu bytes\n",
		 2 * ((const struct gyre_type_head *)w->node)->cell_bytes + (size_t)0);
	expect(strncmp(text, first, strlen(first)) == 0);
	expect(strstr(text, "0: struct node at 0x") != NULL);
	expect(strstr(text, ": 1 1\n") != NULL || strstr(text, ": 0 0\n") != NULL);
	free(text);
	file = open_memstream(&text, &bytes);
	expect(file != NULL);
	expect_ok(gyre_garbage_write(w->m, file, GYRE_GARBAGE_DOT));
	fclose(file);
	expect(strncmp(text, "digraph garbage {\n", 18) == 0);
	expect(strstr(text, "n1_0 -> n1_1;\n") != NULL);
	expect(strstr(text, "[label=\"struct node\\n0x") != NULL);
	expect(strcmp(text + bytes - 2, "}\n") == 0);
	free(text);
	expect_ok(gyre_save_all(w->heap, false));
	expect_ok(gyre_garbage_clear(w->m));
	expect_live(w->m, 0);
}

static unsigned finalized;

static void finalize(struct gyre_mutator *m, void *object)
{
	(void)m;
	expect(node_sound(object));
	finalized++;
}

/* Its cell is not null and its finalizer has not run, before it is dropped. */
static void what_is_kept_lives(void **state)
{
	static const struct gyre_refs refs[] = { GYRE_REF(struct node, left) };
	const struct gyre_type_desc desc =
		GYRE_TYPE(struct node, .refs = refs, .refs_count = 1, .finalize = finalize);
	const struct gyre_type *type;
	struct world *w = *state;
	struct gyre_root root, cell;
	struct gyre_weak *weak;
	struct node *n;

	finalized = 0;
	expect_ok(gyre_type_register(w->heap, &desc, &type));
	n = gyre_new(w->m, type);
	n->id = 3;
	n->canary = canary_of(3);
	expect_ok(gyre_store(w->m, &n->left, n));
	expect_ok(gyre_root_init(w->m, &root, n));
	weak = gyre_weak_of(w->m, n);
	expect(weak != NULL);
	expect_ok(gyre_root_init(w->m, &cell, weak));
	world_collect(w->m);
	expect_ok(gyre_save_all(w->heap, true));
	expect_ok(gyre_root_drop(w->m, &root));
	world_collect(w->m);
	expect_ok(gyre_finalize_wait(w->m));
	expect_equal(gyre_garbage_count(w->heap), 1);
	expect_equal(finalized, 0);
	n = gyre_weak_load(w->m, gyre_load(&cell.slot));
	expect(node_is(n, 3));
	expect_ok(gyre_save_all(w->heap, false));
	expect_ok(gyre_garbage_clear(w->m));
	world_collect(w->m);
	expect_ok(gyre_finalize_wait(w->m));
	expect_equal(finalized, 1);
	expect(gyre_weak_load(w->m, gyre_load(&cell.slot)) == NULL);
	expect_ok(gyre_root_drop(w->m, &cell));
	expect_live(w->m, 0);
}

static void misuse_is_refused(void **state)
{
	struct world *w = *state;
	struct gyre_cycle cycle = { .size = 1 };
	struct seen seen = { 0 };

	expect_status(gyre_save_all(NULL, true), GYRE_INVALID);
	expect_equal(gyre_garbage_count(NULL), 0);
	expect_status(gyre_garbage_visit(NULL, see, &seen), GYRE_INVALID);
	expect_status(gyre_garbage_visit(w->m, NULL, &seen), GYRE_INVALID);
	expect_status(gyre_garbage_drop(w->m, 1), GYRE_INVALID);
	expect_status(gyre_cycle_edges(w->m, &cycle, count_edge, &seen), GYRE_INVALID);
	expect_status(gyre_cycle_edges(w->m, NULL, count_edge, &seen), GYRE_INVALID);
	expect_status(gyre_garbage_write(w->m, NULL, GYRE_GARBAGE_TEXT), GYRE_INVALID);
	expect_status(gyre_garbage_write(w->m, stderr, (enum gyre_garbage_format)9), GYRE_INVALID);
	expect_ok(gyre_park(w->m));
	expect_status(gyre_garbage_visit(w->m, see, &seen), GYRE_PARKED);
	expect_status(gyre_garbage_drop(w->m, 1), GYRE_PARKED);
	expect_status(gyre_garbage_clear(w->m), GYRE_PARKED);
	expect_status(gyre_garbage_write(w->m, stderr, GYRE_GARBAGE_TEXT), GYRE_PARKED);
	expect_ok(gyre_unpark(w->m));
}

/* Types by bytes, and what was kept. */
static void a_heap_says_what_was_left(void **state)
{
	struct gyre_options options;
	struct world *w;
	struct gyre_root root;
	struct support_log log;
	int nodes, refs, kept;

	(void)state;
	gyre_options_init(&options);
	options.flags = GYRE_CLOSE_REPORTS;
	w = world_make(&options);
	expect_ok(gyre_save_all(w->heap, true));
	dead_ring(w, w->m);
	world_collect(w->m);
	expect_ok(gyre_root_init(w->m, &root, refs_new(w, w->m, 1000)));
	expect_ok(gyre_detach(w->m));
	expect_ok(gyre_heap_close(w->heap));
	support_open--;
	log = w->log;
	nodes = support_log_find(&log, "closed with 2 objects of type struct node");
	refs = support_log_find(&log, "closed with 1 objects of type struct refs");
	kept = support_log_find(&log, "2 of them are garbage: members of 1 dead cycles");
	expect(refs >= 0 && nodes > refs && kept > nodes);
	free(w);
}

static struct {
	struct world *w;
	atomic_bool stop;
} busy;

static void *mutate(void *arg)
{
	struct world *w = busy.w;
	struct gyre_mutator *m;
	struct gyre_root root;

	(void)arg;
	expect_ok(gyre_attach(w->heap, 0, &m));
	expect_ok(gyre_root_init(m, &root, NULL));
	while (!atomic_load(&busy.stop)) {
		struct node *a = node_new(w, m, 1), *b = node_new(w, m, 2);

		if (gyre_init(m, &a->left, b) == GYRE_OK && gyre_init(m, &b->left, a) == GYRE_OK)
			gyre_store(m, &root.slot, a);
		gyre_safepoint(m);
		/* A ring that lived over a boundary, now and then. */
		if ((uintptr_t)a / 64 % 64 == 0) {
			gyre_park(m);
			usleep(500);
			gyre_unpark(m);
		}
	}
	while (gyre_root_drop(m, &root) != GYRE_OK)
		gyre_safepoint(m);
	expect_ok(gyre_detach(m));
	return NULL;
}

static bool look_or_drop(void *arg, struct gyre_mutator *m, const struct gyre_cycle *cycle)
{
	unsigned *visited = arg;

	for (size_t i = 0; i < cycle->count; i++)
		expect(node_sound(cycle->objects[i]));
	if (cycle->id % 2)
		expect_ok(gyre_garbage_drop(m, cycle->id));
	return ++*visited < 2000;
}

static void others_go_on_meanwhile(void **state)
{
	struct world *w = *state;
	pthread_t threads[MUTATORS];
	unsigned rounds = SUPPORT_SLOW ? 3 : 8, visited;

	busy.w = w;
	atomic_store(&busy.stop, false);
	expect_ok(gyre_park(w->m));
	for (size_t i = 0; i < MUTATORS; i++)
		threads[i] = thread_start(mutate, NULL);
	expect_ok(gyre_unpark(w->m));
	while (rounds-- > 0) {
		expect_ok(gyre_save_all(w->heap, true));
		/* Asleep: the collector needs a core for it. */
		expect_ok(gyre_park(w->m));
		while (gyre_garbage_count(w->heap) < 8)
			usleep(1000);
		expect_ok(gyre_unpark(w->m));
		expect_ok(gyre_save_all(w->heap, false));
		visited = 0;
		expect_ok(gyre_garbage_visit(w->m, look_or_drop, &visited));
		expect(visited > 0);
		expect_ok(gyre_garbage_clear(w->m));
		expect_equal(gyre_garbage_count(w->heap), 0);
	}
	atomic_store(&busy.stop, true);
	expect_ok(gyre_park(w->m));
	for (size_t i = 0; i < MUTATORS; i++)
		thread_join(threads[i]);
	expect_ok(gyre_unpark(w->m));
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(dead_cycles_are_kept),
		world_test(a_visitor_may_drop),
		world_test(a_thread_may_end_in_a_visit),
		world_test(they_are_written),
		world_test(what_is_kept_lives),
		world_test(misuse_is_refused),
		cmocka_unit_test(a_heap_says_what_was_left),
		world_test(others_go_on_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
