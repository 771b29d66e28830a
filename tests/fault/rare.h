/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rare.h: a heap of objects with finalizers, whose collector is held and whose steps the test does:
 * for what is seldom met where weak cells and finalizers are concerned. Main thread only.
 */
#ifndef GYRE_TESTS_RARE_H
#define GYRE_TESTS_RARE_H

#include "unit/held.h"

#include <gyre/finalize.h>
#include <gyre/weak.h>
#include <sys/wait.h>

#include "edge.h"
#include "engine.h"
#include "wrap.h"

struct thing {
	gyre_ref next;
	uint64_t id;
};

/* MANY: more than there is room for in the chunks that a mutator may have in hand. */
enum { MOST = 8, MANY = 80 * GYRE_CHUNK_ENTRIES };

static struct {
	struct world *w;
	const struct gyre_type *thing;
	unsigned runs[MOST];
	uint64_t order[MOST];
	unsigned count;
	void (*then)(void);
} seen;

static inline void finalize(struct gyre_mutator *m, void *object)
{
	const struct thing *thing = object;

	expect(m != NULL);
	if (thing->id < MOST) {
		seen.runs[thing->id]++;
		seen.order[seen.count % MOST] = thing->id;
	}
	seen.count++;
	if (seen.then != NULL)
		seen.then();
}

static inline void register_thing(void)
{
	const struct gyre_type_desc desc = GYRE_TYPE(
		struct thing, GYRE_REFS(GYRE_REF(struct thing, next)), .finalize = finalize);

	expect_ok(gyre_type_register(seen.w->heap, &desc, &seen.thing));
}

static inline struct world *begin(enum gyre_finalizing finalizing)
{
	struct gyre_options options;

	gyre_options_init(&options);
	options.flags = GYRE_POISON;
	options.finalizing = finalizing;
	memset(&seen, 0, sizeof(seen));
	seen.w = world_make(&options);
	return seen.w;
}

static inline int setup(void **state)
{
	*state = begin(GYRE_FINALIZE_THREAD);
	register_thing();
	return 0;
}

static inline int setup_host(void **state)
{
	*state = begin(GYRE_FINALIZE_HOST);
	register_thing();
	return 0;
}

static inline struct thing *thing_new(struct world *w, uint64_t id)
{
	struct thing *thing = gyre_new(w->m, seen.thing);

	expect(thing != NULL);
	thing->id = id;
	return thing;
}

static inline struct gyre_weak *weak_of(struct world *w, const void *object)
{
	struct gyre_weak *cell = gyre_weak_of(w->m, object);

	expect(cell != NULL);
	return cell;
}

/* The collector is held, and only `root` holds what it holds. */
static inline struct gyre__collector *hold_with(struct world *w, struct gyre_root *root,
						void *object)
{
	expect_ok(gyre_root_init(w->m, root, object));
	return held_begin(w);
}

/* The root is emptied, and counted so: the object counts 0. */
static inline void cut(struct gyre__collector *c, struct gyre_root *root)
{
	void *object = gyre_load(&root->slot);

	held_store(&root->slot, NULL);
	gyre__decrement(c, object);
	expect_equal(gyre__rc(held_word(object)), 0);
	expect_equal(held_word(object) & GYRE_RELEASED, 0);
}

/* Lets the collector go; all that the test made is dead, each thing's finalizer has run once. */
static inline void let_die(struct world *w, struct gyre_root *root, unsigned finalizers)
{
	held_end(w);
	for (int i = 0; i < 3; i++) {
		world_collect(w->m);
		expect_ok(gyre_finalize_wait(w->m));
	}
	expect_ok(gyre_root_drop(w->m, root));
	expect_live(w->m, 0);
	expect_equal(seen.count, finalizers);
	for (unsigned i = 0; i < finalizers; i++)
		expect_equal(seen.runs[seen.order[i]], 1);
}

#define thing_test(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
#define host_test(f) cmocka_unit_test_setup_teardown(f, setup_host, world_teardown)

#endif
