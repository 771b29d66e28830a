/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_deep.c: the collector's lists, which hold more than their first room here, when the system
 * refuses the collector to make them longer: in near passes, in a far pass, while sets are gathered
 * and judged. The refusals begin at its n-th call, for every n.
 *
 * Invariant: garbage may be kept while memory is refused, and is all found when it is back; what
 * lives is never touched. A hang ends the executable by SIGALRM.
 */
#include "../support.h"

#include <sched.h>

#include "wrap.h"

enum {
	ROOM = 65536, /* items that a list of the collector has room for from the start */
	RING = 2 * ROOM + 1000,
	LIVE = ROOM + 1000,
	PAIRS = 300, /* small rings: more sets than the first room for sets */
	STAR = ROOM + 1000,
	DEPTH = ROOM + 1000,
};

struct cell {
	gyre_ref next;
	uint64_t id;
};

struct heap {
	struct world w;
	const struct gyre_type *cell;
	struct gyre_root list, table;
};

static struct cell *new_cell(const struct heap *h, uint64_t id, const void *next)
{
	struct cell *c = gyre_new(h->w.m, h->cell);

	expect(c != NULL);
	c->id = id;
	expect_ok(gyre_init(h->w.m, &c->next, next));
	return c;
}

/* A chain of count cells that the slot holds, the first with id count. */
static struct cell *make_chain(struct heap *h, struct gyre_root *root, uint64_t count)
{
	struct cell *last = new_cell(h, 1, NULL);

	expect_ok(gyre_store(h->w.m, &root->slot, last));
	for (uint64_t id = 2; id <= count; id++) {
		expect_ok(gyre_store(h->w.m, &root->slot,
				     new_cell(h, id, gyre_load(&root->slot))));
		if (id % 4096 == 0) {
			GYRE_KEEP(h->w.m, last);
			gyre_safepoint(h->w.m);
		}
	}
	return last;
}

static void make_pairs(struct heap *h)
{
	for (int i = 0; i < PAIRS; i++) {
		struct cell *a = new_cell(h, 1, NULL);

		expect_ok(gyre_store(h->w.m, &a->next, new_cell(h, 2, a)));
	}
}

/* A table whose cells all refer back to it. */
static void make_star(struct heap *h, struct gyre_root *root)
{
	struct refs *star = refs_new(&h->w, h->w.m, STAR);

	expect_ok(gyre_store(h->w.m, &root->slot, star));
	for (uint64_t i = 0; i < STAR; i++)
		expect_ok(gyre_init(h->w.m, &star->items[i], new_cell(h, i, star)));
}

/*
 * A long ring and a wide star die when no member of them is a candidate any more, so that passes
 * reach all of them from one; the pairs die as newborns.
 */
static void make_garbage(struct heap *h)
{
	struct gyre_root ring, star;
	struct cell *last;

	expect_ok(gyre_root_init(h->w.m, &ring, NULL));
	expect_ok(gyre_root_init(h->w.m, &star, NULL));
	last = make_chain(h, &ring, RING);
	/* last is the chain's end, and was reachable all the time. */
	expect_ok(gyre_store(h->w.m, &last->next, gyre_load(&ring.slot)));
	make_star(h, &star);
	expect_ok(gyre_collect(h->w.m, NULL));
	expect_ok(gyre_root_drop(h->w.m, &ring));
	expect_ok(gyre_root_drop(h->w.m, &star));
	make_pairs(h);
}

/* A table of cells, each of which another slot has just let go of: all are candidates. */
static void make_candidates(struct heap *h)
{
	struct refs *table = refs_new(&h->w, h->w.m, LIVE);
	struct gyre_root other;

	expect_ok(gyre_store(h->w.m, &h->table.slot, table));
	expect_ok(gyre_root_init(h->w.m, &other, NULL));
	for (uint64_t i = 0; i < LIVE; i++) {
		struct cell *c = new_cell(h, i, NULL);

		expect_ok(gyre_init(h->w.m, &table->items[i], c));
		expect_ok(gyre_store(h->w.m, &other.slot, c));
	}
	expect_ok(gyre_root_drop(h->w.m, &other));
}

static void check_what_lives(const struct heap *h)
{
	const struct refs *table = gyre_load(&h->table.slot);
	const struct cell *c = gyre_load(&h->list.slot);

	for (uint64_t i = 0; i < LIVE; i++)
		expect_equal(((struct cell *)gyre_load(&table->items[i]))->id, i);
	for (uint64_t id = DEPTH; id > 0; id--, c = gyre_load(&c->next))
		expect_equal(c->id, id);
	expect(c == NULL);
}

/* Boundaries as a program sees them; the polling has no end but theirs, or SIGALRM. */
static void pass_epochs(struct heap *h, uint64_t count)
{
	uint64_t until = world_stats(h->w.heap).epochs + count;

	while (world_stats(h->w.heap).epochs < until) {
		gyre_collect_soon(h->w.heap);
		gyre_safepoint(h->w.m);
		sched_yield();
	}
}

static void open_heap(struct heap *h)
{
	const struct gyre_type_desc cell =
		GYRE_TYPE(struct cell, GYRE_REFS(GYRE_REF(struct cell, next)));
	struct gyre_options options;

	memset(h, 0, sizeof(*h));
	pthread_mutex_init(&h->w.log.lock, NULL);
	pthread_cond_init(&h->w.log.more, NULL);
	gyre_options_init(&options);
	options.epoch_bytes = (size_t)1 << 30; /* boundaries come when this test asks for them */
	options.epoch_ns = UINT64_C(3600) * 1000000000;
	options.near_budget = 1 << 20;
	options.log = support_log_line;
	options.log_arg = &h->w.log;
	expect_ok(support_open_heap(&h->w.heap, &options));
	support_open++;
	world_types(&h->w);
	expect_ok(gyre_type_register(h->w.heap, &cell, &h->cell));
	expect_ok(gyre_attach(h->w.heap, 0, &h->w.m));
	expect_ok(gyre_root_init(h->w.m, &h->list, NULL));
	expect_ok(gyre_root_init(h->w.m, &h->table, NULL));
	make_chain(h, &h->list, DEPTH);
}

/* A collection under refusals, by epochs or as a whole; then another when memory is back. */
static bool run(bool whole, unsigned first, unsigned count)
{
	struct wrap_held before = wrap_held(), after;
	struct gyre_verify_report report;
	static struct heap h;
	enum gyre_status status = GYRE_NO_MEMORY;
	unsigned refused;

	alarm(120);
	open_heap(&h);
	make_garbage(&h);
	make_candidates(&h);
	wrap_refuse(WRAP_COLLECTOR, first, count);
	if (whole)
		status = gyre_collect(h.w.m, NULL);
	else
		pass_epochs(&h, 8);
	refused = wrap_refused();
	wrap_grant();
	report = world_verify(h.w.m);
	/* Who is told that a collection is done may believe it; who is told that it is not, or not
	 * for certain, finds it in the log, too. */
	expect(status == GYRE_OK || status == GYRE_NO_MEMORY);
	if (status == GYRE_OK)
		expect_equal(report.unreachable, 0);
	else if (whole)
		expect(h.w.log.count > 0);
	check_what_lives(&h);
	expect_live(h.w.m, DEPTH + LIVE + 1);
	check_what_lives(&h);
	expect_ok(gyre_root_drop(h.w.m, &h.list));
	expect_ok(gyre_root_drop(h.w.m, &h.table));
	expect_live(h.w.m, 0);
	expect_ok(gyre_detach(h.w.m));
	expect_ok(gyre_heap_close(h.w.heap));
	support_open--;
	after = wrap_held();
	expect_equal(after.blocks, before.blocks);
	expect_equal(after.bytes_mapped, before.bytes_mapped);
	alarm(0);
	return refused > 0;
}

static void refuse_every(bool whole, unsigned count)
{
	unsigned n = 1;

	while (run(whole, n, count))
		n += SUPPORT_SANITIZED ? 9 : SUPPORT_SLOW ? 3 : 1;
	fprintf(stderr, "calls up to %u refused, %u at a time\n", n - 1, count);
	expect(n > 4);
}

static void epochs_pass_under_refusals(void **state)
{
	(void)state;
	refuse_every(false, 1);
	refuse_every(false, UINT32_MAX);
}

static void whole_collections_under_refusals(void **state)
{
	(void)state;
	refuse_every(true, 1);
	refuse_every(true, UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(epochs_pass_under_refusals),
		cmocka_unit_test(whole_collections_under_refusals),
	};

	wrap_role = WRAP_TEST;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
