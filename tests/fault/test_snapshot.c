/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_snapshot.c: the system refuses memory at the n-th call of a program that takes a snapshot
 * and asks it everything, for every n until it runs without reaching it; and several calls in a
 * row.
 *
 * Invariants: a call that fails answers that there is no memory, only when something was refused
 * meanwhile; made again it gives the whole answer. At the end all that was got from the system is
 * given back.
 */
#include "insist.h"

enum { NODES = 20 };

struct program {
	struct world w;
	struct gyre_root root;
	struct refs *all;
};

static bool count_type(void *arg, const char *name, uint64_t objects, uint64_t bytes)
{
	expect(name != NULL && objects > 0 && bytes > 0);
	++*(unsigned *)arg;
	return true;
}

static bool count_reference(void *arg, uint32_t node, uint64_t index)
{
	(void)node;
	(void)index;
	++*(unsigned *)arg;
	return true;
}

static bool count_node(void *arg, uint32_t node)
{
	(void)node;
	++*(unsigned *)arg;
	return true;
}

static bool count_cycle(void *arg, const uint32_t *members, size_t count)
{
	expect(members != NULL);
	expect_equal(count, NODES);
	++*(unsigned *)arg;
	return true;
}

static bool count_retainer(void *arg, uint32_t node, uint32_t by, uint64_t objects, uint64_t bytes)
{
	expect(node != by && objects > 0 && bytes > 0);
	++*(unsigned *)arg;
	return true;
}

/* An array of nodes in a ring. */
static void build(struct program *p)
{
	struct gyre_mutator *m = p->w.m;

	p->all = refs_new(&p->w, m, NODES);
	expect_ok(gyre_root_init(m, &p->root, p->all));
	expect_ok(gyre_root_name(m, &p->root, "all"));
	for (size_t i = 0; i < NODES; i++)
		expect_ok(gyre_store(m, &p->all->items[i], node_new(&p->w, m, i)));
	for (size_t i = 0; i < NODES; i++) {
		struct node *n = gyre_load(&p->all->items[i]);

		expect_ok(gyre_store(m, &n->left, gyre_load(&p->all->items[(i + 1) % NODES])));
	}
}

#define counted(want, call)                                                                        \
	do {                                                                                       \
		unsigned count;                                                                    \
                                                                                                   \
		insist((count = 0, (call)), NO_MEMORY);                                            \
		expect_equal(count, want);                                                         \
	} while (0)

static void ask(struct program *p, struct gyre_snapshot *s)
{
	struct gyre_snapshot_totals sum = { .size = sizeof(sum) };
	struct node *n = gyre_load(&p->all->items[3]);
	struct gyre_snapshot_holder holder;
	uint64_t objects, bytes;
	uint32_t node, path[4];
	size_t length;

	insist(gyre_snapshot_total(s, &sum), NO_MEMORY);
	expect_equal(sum.objects, NODES + 1);
	expect_equal(sum.references, 2 * NODES);
	expect_equal(sum.reachable, NODES + 1);
	node = gyre_snapshot_find(s, n);
	counted(2, gyre_snapshot_types(s, count_type, &count));
	counted(2, gyre_snapshot_referrers(s, node, count_reference, &count));
	counted(0, gyre_snapshot_unreachable(s, count_node, &count));
	counted(1, gyre_snapshot_cycles(s, count_cycle, &count));
	counted(NODES + 1, gyre_snapshot_retainers(s, count_retainer, &count));
	insist((length = 4, gyre_snapshot_path(s, node, path, &length, &holder)), NO_MEMORY);
	expect_equal(length, 2);
	expect(holder.root == &p->root && strcmp(holder.name, "all") == 0);
	insist(gyre_snapshot_retained(s, path[0], GYRE_WHOLE_NODE, &objects, &bytes), NO_MEMORY);
	expect_equal(objects, NODES + 1);
	insist(gyre_snapshot_retained(s, path[0], 3, &objects, &bytes), NO_MEMORY);
	expect_equal(objects, 0);
}

/* The program with the calls first to first + count - 1 refused; whether it got so far. */
static bool run(enum wrap_role role, unsigned first, unsigned count)
{
	struct wrap_held before = wrap_held(), after;
	struct gyre_snapshot *s;
	struct program p = { .all = NULL };
	struct gyre_options options;
	unsigned refused;

	alarm(120);
	gyre_options_init(&options);
	expect_ok(support_open_heap(&p.w.heap, &options));
	support_open++;
	world_types(&p.w);
	expect_ok(gyre_attach(p.w.heap, 0, &p.w.m));
	build(&p);
	world_collect(p.w.m);
	wrap_role = WRAP_MAIN;
	wrap_refuse(role, first, count);
	insist((s = NULL, gyre_snapshot_take(p.w.m, &s)), NO_MEMORY);
	ask(&p, s);
	gyre_snapshot_free(s);
	refused = wrap_refused();
	wrap_grant();
	wrap_role = WRAP_TEST;
	expect_ok(gyre_root_drop(p.w.m, &p.root));
	expect_live(p.w.m, 0);
	expect_ok(gyre_detach(p.w.m));
	expect_ok(gyre_heap_close(p.w.heap));
	support_open--;
	after = wrap_held();
	expect_equal(after.blocks, before.blocks);
	expect_equal(after.bytes_mapped, before.bytes_mapped);
	alarm(0);
	return refused > 0;
}

static void refuse_every(enum wrap_role role, const char *name, unsigned count)
{
	unsigned n = 1;

	while (run(role, n, count))
		n++;
	fprintf(stderr, "%s: calls up to %u refused, %u at a time\n", name, n - 1, count);
	expect(n > 1);
}

static void calls_of_who_asks(void **state)
{
	(void)state;
	refuse_every(WRAP_MAIN, "program", 1);
	refuse_every(WRAP_MAIN, "program", 5);
}

static void calls_of_the_collector(void **state)
{
	(void)state;
	refuse_every(WRAP_COLLECTOR, "collector", 1);
	refuse_every(WRAP_COLLECTOR, "collector", 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_of_who_asks),
		cmocka_unit_test(calls_of_the_collector),
	};

	wrap_role = WRAP_TEST;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
