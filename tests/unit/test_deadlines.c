/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_deadlines.c: how many boundaries it takes until a special object is dealt with, in a heap in
 * which nothing else happens: the table of docs/algorithm.md, section 14. The collector is held,
 * and the main thread, parked, does its cycles.
 */
#include "held.h"

struct final_node {
	gyre_ref left, right;
};

static unsigned finalized;

static void finalize(struct gyre_mutator *m, void *object)
{
	expect(m != NULL && object != NULL);
	finalized++;
}

struct scene {
	struct world *w;
	struct gyre__collector *c;
	const struct gyre_type *final;
	struct gyre_root holder, cell;
};

/* A heap of the host's, so that batches run when the test says so; a rooted node that holds. The
 * roots stay where they are made. */
static void begin(struct scene *s)
{
	const struct gyre_type_desc desc = GYRE_TYPE(
		struct final_node,
		GYRE_REFS(GYRE_REF(struct final_node, left), GYRE_REF(struct final_node, right)),
		.finalize = finalize);
	struct gyre_options options;

	memset(s, 0, sizeof(*s));
	finalized = 0;
	gyre_options_init(&options);
	options.finalizing = GYRE_FINALIZE_HOST;
	s->w = world_make(&options);
	expect_ok(gyre_type_register(s->w->heap, &desc, &s->final));
	expect_ok(gyre_root_init(s->w->m, &s->holder, node_new(s->w, s->w->m, 0)));
	expect_ok(gyre_root_init(s->w->m, &s->cell, NULL));
}

static struct node *holder(struct scene *s)
{
	return gyre_load(&s->holder.slot);
}

/* The holder lets go; from here on cycles are counted. */
static uint64_t let_go(struct scene *s)
{
	s->c = held_begin(s->w);
	expect_ok(gyre_unpark(s->w->m));
	expect_ok(gyre_store(s->w->m, &holder(s)->left, NULL));
	expect_ok(gyre_park(s->w->m));
	return world_stats(s->w->heap).objects_reclaimed;
}

static void end(struct scene *s)
{
	held_end(s->w);
	expect_ok(gyre_root_drop(s->w->m, &s->holder));
	expect_ok(gyre_root_drop(s->w->m, &s->cell));
	for (unsigned i = 0; i < 3; i++) {
		world_collect(s->w->m);
		expect_ok(gyre_finalize_wait(s->w->m));
	}
	expect_live(s->w->m, 0);
	world_end(s->w);
}

/* Cycles until the weak cell in s->cell is null, and so many objects have been reclaimed. */
static unsigned until_freed(struct scene *s, uint64_t before, uint64_t count)
{
	unsigned cycles = 0;

	do {
		expect(++cycles < 20);
		gyre__cycle(s->c);
	} while (world_stats(s->w->heap).objects_reclaimed < before + count);
	return cycles;
}

static unsigned until_queued(struct scene *s, uint64_t count)
{
	unsigned cycles = 0;

	do {
		expect(++cycles < 20);
		gyre__cycle(s->c);
	} while (world_stats(s->w->heap).finalizers_waiting < count);
	return cycles;
}

static void run_batch(struct scene *s)
{
	uint64_t ran;

	expect_ok(gyre_unpark(s->w->m));
	expect(gyre__batch_run(s->w->m, &ran));
	expect_ok(gyre_park(s->w->m));
}

/* An object or a ring of two of the type, held by the holder; its first has a cell, if asked
 * for. */
static void make(struct scene *s, const struct gyre_type *type, bool ring, bool weak)
{
	struct gyre_mutator *m = s->w->m;
	struct final_node *a = gyre_new(m, type), *b = ring ? gyre_new(m, type) : NULL;

	expect(a != NULL);
	expect_ok(gyre_store(m, &holder(s)->left, a));
	if (ring) {
		expect_ok(gyre_store(m, &a->right, b));
		expect_ok(gyre_store(m, &b->right, a));
	}
	if (weak)
		expect_ok(gyre_store(m, &s->cell.slot, gyre_weak_of(m, a)));
}

static unsigned weak_takes(bool ring)
{
	struct scene s;
	uint64_t before;
	unsigned cycles;

	begin(&s);
	make(&s, s.w->node, ring, true);
	before = let_go(&s);
	cycles = until_freed(&s, before, ring ? 2 : 1);
	expect_ok(gyre_unpark(s.w->m));
	expect(gyre_weak_load(s.w->m, gyre_load(&s.cell.slot)) == NULL);
	expect_ok(gyre_park(s.w->m));
	end(&s);
	return cycles;
}

static void finalized_takes(bool ring, unsigned *queued, unsigned *freed)
{
	struct scene s;
	uint64_t before;

	begin(&s);
	make(&s, s.final, ring, false);
	before = let_go(&s);
	*queued = until_queued(&s, ring ? 2 : 1);
	run_batch(&s);
	expect_equal(finalized, ring ? 2 : 1);
	*freed = until_freed(&s, before, ring ? 2 : 1);
	end(&s);
}

static void weak_cells(void **state)
{
	unsigned alone = weak_takes(false), ring = weak_takes(true);

	(void)state;
	expect_equal(alone, support_tagged() ? 2 : 3);
	expect_equal(ring, support_tagged() ? 3 : 4);
}

static void finalizers(void **state)
{
	unsigned queued, freed, ring_queued, ring_freed;

	(void)state;
	finalized_takes(false, &queued, &freed);
	finalized_takes(true, &ring_queued, &ring_freed);
	expect_equal(queued, support_tagged() ? 1 : 3);
	expect_equal(ring_queued, support_tagged() ? 2 : 4);
	expect_equal(freed, 2);
	expect_equal(ring_freed, support_tagged() ? 3 : 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weak_cells),
		cmocka_unit_test(finalizers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
