/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_live.c: looking into a heap without memory: each call says so, nothing is lost or half done,
 * and it works once there is memory again. Main thread, and the heap's collector.
 */
#include "support.h"
#include "wrap.h"

static bool count(void *arg, struct gyre_mutator *m, void *object)
{
	(void)m;
	(void)object;
	++*(unsigned *)arg;
	return true;
}

static void hear(void *arg, const struct gyre_collect_info *info)
{
	(void)arg;
	(void)info;
}

/* The calls of role are refused; this thread has a role that is never refused otherwise. */
static void refuse(enum wrap_role role)
{
	wrap_refuse(role, 1, UINT32_MAX);
	if (role == WRAP_MAIN)
		wrap_role = WRAP_MAIN;
}

static void grant(void)
{
	wrap_role = WRAP_TEST;
	expect(wrap_refused() > 0);
	wrap_grant();
}

static void a_census_without_memory(void **state)
{
	struct world *w = *state;
	struct gyre_root root;
	unsigned visited = 0;
	uint64_t id = 0;

	expect_ok(gyre_root_init(w->m, &root, node_new(w, w->m, 1)));
	refuse(WRAP_MAIN);
	expect_status(gyre_census(w->m, NULL, count, &visited), GYRE_NO_MEMORY);
	expect_status(gyre_referrers(w->m, gyre_load(&root.slot), count, &visited),
		      GYRE_NO_MEMORY);
	expect_status(gyre_on_collect(w->heap, hear, NULL, &id), GYRE_NO_MEMORY);
	grant();
	expect_equal(visited, 0);
	expect_ok(gyre_census(w->m, NULL, count, &visited));
	expect_equal(visited, 1);
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

static void no_edge(void *arg, size_t from, size_t to)
{
	(void)arg;
	(void)from;
	(void)to;
}

static bool no_edges(void *arg, struct gyre_mutator *m, const struct gyre_cycle *cycle)
{
	++*(unsigned *)arg;
	refuse(WRAP_MAIN);
	expect_status(gyre_cycle_edges(m, cycle, no_edge, NULL), GYRE_NO_MEMORY);
	grant();
	return true;
}

/* A cycle for which there is no room waits as it is, neither kept nor freed. */
static void a_cycle_without_memory(void **state)
{
	struct world *w = *state;
	struct node *n = node_new(w, w->m, 1);
	char text[256] = "";
	struct gyre_root root;
	unsigned cycles = 0;
	FILE *file;

	expect_ok(gyre_root_init(w->m, &root, n));
	expect_ok(gyre_store(w->m, &n->left, n));
	world_collect(w->m);
	expect_ok(gyre_save_all(w->heap, true));
	/* One before, so that there is room for sets. */
	expect_ok(gyre_root_drop(w->m, &root));
	world_collect(w->m);
	expect_equal(gyre_garbage_count(w->heap), 1);
	expect_ok(gyre_garbage_clear(w->m));
	refuse(WRAP_COLLECTOR);
	expect_status(gyre_collect(w->m, NULL), GYRE_NO_MEMORY);
	grant();
	expect_equal(gyre_garbage_count(w->heap), 0);
	expect_equal(world_stats(w->heap).objects_live, 1);
	world_collect(w->m);
	expect_equal(gyre_garbage_count(w->heap), 1);
	expect_ok(gyre_garbage_visit(w->m, no_edges, &cycles));
	expect_equal(cycles, 1);
	file = fmemopen(text, sizeof(text) - 1, "w");
	expect(file != NULL);
	refuse(WRAP_MAIN);
	expect_status(gyre_garbage_write(w->m, file, GYRE_GARBAGE_TEXT), GYRE_NO_MEMORY);
	grant();
	fclose(file);
	expect_ok(gyre_save_all(w->heap, false));
	expect_ok(gyre_garbage_clear(w->m));
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(a_census_without_memory),
		world_test(a_cycle_without_memory),
	};

	wrap_role = WRAP_TEST;
	alarm(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
