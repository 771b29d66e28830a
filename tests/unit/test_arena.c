/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_arena.c: arenas: more slabs than one holds, slabs that are given back to the system when
 * nobody needs them, spans that find room among dirty slabs, and which addresses are objects. Main
 * thread only; the collector is held where its steps are done by hand.
 */
#include "held.h"

#include "platform/memory.h"
#include "type.h"

#define CELL 16000 /* four to a slab */

static struct bytes *block_new(struct world *w, size_t size)
{
	struct bytes *b = (struct bytes *)gyre_new_array(w->m, w->bytes, size);

	expect(b != NULL);
	for (size_t i = 0; i < size; i += 501)
		expect_equal(b->data[i], 0);
	memset(b->data, 0xa5, size);
	return b;
}

/* What the slabs' lock guards, as it is now. */
struct state {
	size_t arenas, dirty, partial;
	uint32_t free_slabs; /* of the arena that was opened last */
};

static struct state state_of(struct world *w)
{
	struct gyre__slabs *slabs = &w->heap->slabs;
	struct state s = { 0 };
	struct gyre__slab *slab;

	gyre__lock_take(&slabs->lock);
	s.arenas = slabs->arena_count;
	s.dirty = slabs->dirty_count;
	s.free_slabs = slabs->arenas != NULL ? slabs->arenas->free_slabs : 0;
	for (slab = w->node->classes[0].partial; slab != NULL; slab = slab->next)
		s.partial++;
	gyre__lock_drop(&slabs->lock);
	return s;
}

/* Objects that fill slabs arenas deep, all of them garbage when the next safe point passes. */
static void fill(struct world *w, size_t slabs)
{
	for (size_t i = 0; i < 3 * slabs; i++)
		block_new(w, CELL);
}

static void arenas_come_and_go(void **state)
{
	struct world *w = (struct world *)*state;

	for (int round = 0; round < 3; round++) {
		fill(w, 2 * GYRE_ARENA_SLABS);
		expect(state_of(w).arenas >= 2);
		held_begin(w);
		/* What was not needed since the last trim goes; so the second one takes all. */
		gyre__slabs_trim(w->heap);
		gyre__slabs_trim(w->heap);
		expect_equal(state_of(w).dirty, 0);
		expect_equal(state_of(w).arenas, 1);
		/* But perhaps for the one that the mutator allocates from. */
		expect(state_of(w).free_slabs >= GYRE_ARENA_SLABS - 2);
		gyre__slabs_trim(w->heap); /* nothing is left to give back */
		expect_equal(state_of(w).arenas, 1);
		held_end(w);
	}
	expect_live(w->m, 0);
}

/* A span is made of clean slabs only: it goes round those that are dirty. */
static void spans_avoid_dirty_slabs(void **state)
{
	struct world *w = (struct world *)*state;
	struct gyre_root roots[4];

	do {
		fill(w, 20);
		world_collect(w->m);
	} while (state_of(w).dirty == 0); /* they were given back already */
	for (size_t i = 0; i < LENGTH(roots); i++)
		expect_ok(gyre_root_init(w->m, &roots[i],
					 block_new(w, (i + 1) * GYRE_SLAB_BYTES)));
	fill(w, 20); /* and the dirty ones are used again, zeroed */
	for (size_t i = 0; i < LENGTH(roots); i++) {
		const struct bytes *b = (const struct bytes *)gyre_load(&roots[i].slot);

		for (size_t j = 0; j < b->length; j += 501)
			expect_equal(b->data[j], 0xa5);
		expect_ok(gyre_root_drop(w->m, &roots[i]));
	}
	expect_live(w->m, 0);
}

/* An arena with half of its slabs free, no two of them side by side: a span of two does not fit. */
static void spans_need_neighbours(void **state)
{
	struct world *w = (struct world *)*state;
	struct refs *keep = refs_new(w, w->m, 2040);
	struct gyre_root root, span;
	size_t count = 0;

	expect_ok(gyre_root_init(w->m, &root, keep));
	while (state_of(w).free_slabs > 0) {
		expect(count < keep->length);
		expect_ok(gyre_init(w->m, &keep->items[count++], block_new(w, CELL)));
	}
	expect_equal(state_of(w).arenas, 1);
	for (size_t i = 0; i < count; i++)
		if (gyre__slab_index(gyre_load(&keep->items[i])) % 2 == 0)
			expect_ok(gyre_store(w->m, &keep->items[i], NULL));
	held_begin(w);
	gyre__slabs_trim(w->heap);
	gyre__slabs_trim(w->heap);
	expect_equal(state_of(w).dirty, 0);
	held_end(w);
	expect(state_of(w).free_slabs > GYRE_ARENA_SLABS / 3);
	expect_equal(state_of(w).arenas, 1);
	expect_ok(gyre_root_init(w->m, &span, block_new(w, 2 * GYRE_SLAB_BYTES - 1000)));
	expect_equal(state_of(w).arenas, 2);
	for (size_t i = 0; i < count; i++) {
		const struct bytes *b = (const struct bytes *)gyre_load(&keep->items[i]);

		expect(b == NULL || (b->data[0] == 0xa5 && b->data[CELL - 1] == 0xa5));
	}
	expect_ok(gyre_root_drop(w->m, &root));
	expect_ok(gyre_root_drop(w->m, &span));
	expect_live(w->m, 0);
}

static bool stop_at_the_first(struct gyre__slab *slab, void *arg)
{
	*(struct gyre__slab **)arg = slab;
	return false;
}

static void addresses_of_objects(void **state)
{
	struct world *w = (struct world *)*state;
	struct node *n = node_new(w, w->m, 1);
	struct bytes *large = block_new(w, 3 * GYRE_SLAB_BYTES);
	char *arena = (char *)gyre__arena_of(n), *outside;
	struct gyre__slab *first = NULL, *slab = gyre__slab_of(n);

	outside = (char *)gyre__map(GYRE_ARENA_BYTES, GYRE_ARENA_BYTES);
	expect(outside != NULL);
	expect(gyre__is_object(w->heap, n));
	expect(gyre__is_object(w->heap, large));
	expect(!gyre__is_object(w->heap, (char *)n + 8));
	expect(!gyre__is_object(w->heap, arena + 128));
	expect(!gyre__is_object(w->heap, arena + GYRE_ARENA_BYTES - 4096)); /* FREE */
	expect(!gyre__is_object(w->heap, (char *)large + GYRE_SLAB_BYTES)); /* TAIL */
	expect(!gyre__is_object(w->heap, outside + GYRE_SLAB_BYTES));
	expect(!gyre__is_object(w->heap, slab->base)); /* its words */
	gyre__unmap(outside, GYRE_ARENA_BYTES);
	expect(!gyre__slabs_each(w->heap, stop_at_the_first, &first));
	expect(first != NULL && gyre__slab_state(first) != GYRE_SLAB_FREE);
	expect_live(w->m, 0);
}

/* The slabs' own lists: a slab that has few vacant cells is not worth allocating from. */
static void sparse_slabs_are_used_again(void **state)
{
	struct world *w = (struct world *)*state;
	uint32_t cells = w->node->classes[0].shape.cells;
	struct refs *keep = refs_new(w, w->m, 8 * cells);
	struct gyre_root root;
	uint64_t mapped;

	expect_ok(gyre_root_init(w->m, &root, keep));
	for (size_t i = 0; i < 8 * cells; i++)
		expect_ok(gyre_init(w->m, &keep->items[i], node_new(w, w->m, i)));
	world_collect(w->m);
	/* One object in 20 dies: no slab has an eighth of its cells vacant. */
	for (size_t i = 0; i < 8 * cells; i += 20)
		expect_ok(gyre_store(w->m, &keep->items[i], NULL));
	world_collect(w->m);
	world_verify(w->m);
	expect(state_of(w).partial <= 1);
	/* Every second one: all have, and take what is allocated next. */
	for (size_t i = 0; i < 8 * cells; i += 2)
		expect_ok(gyre_store(w->m, &keep->items[i], NULL));
	world_collect(w->m);
	world_verify(w->m);
	expect(state_of(w).partial >= 7);
	mapped = gyre__counter_get(&w->heap->shared.bytes_mapped);
	for (size_t i = 0; i < 8 * cells; i += 2)
		expect_ok(gyre_store(w->m, &keep->items[i], node_new(w, w->m, i)));
	expect(gyre__counter_get(&w->heap->shared.bytes_mapped) <= mapped + GYRE_SLAB_BYTES);
	for (size_t i = 1; i < 8 * cells; i += 2)
		if (i % 20 != 0)
			expect(node_is((struct node *)gyre_load(&keep->items[i]), i));
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(arenas_come_and_go),
		world_test(spans_avoid_dirty_slabs),
		world_test(spans_need_neighbours),
		world_test(addresses_of_objects),
		world_test(sparse_slabs_are_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
