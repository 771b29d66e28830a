/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * finalize.h: things, objects whose finalizer writes down that it ran, and does what the test says.
 */
#ifndef GYRE_TESTS_FINALIZE_H
#define GYRE_TESTS_FINALIZE_H

#include "support.h"

struct thing {
	gyre_ref left, right;
	uint64_t id;
	uint64_t canary;
};

#define MOST 4096

/* What finalizers did and what they are to do; one at a time runs them. */
static struct {
	struct world *w;
	const struct gyre_type *type;
	unsigned runs[MOST]; /* by id */
	uint64_t order[MOST];
	unsigned count;
	void (*then)(struct gyre_mutator *m, struct thing *thing);
	struct gyre_root saved; /* where resurrecting ones store themselves */
} seen;

static bool sound(const struct thing *thing)
{
	return thing == NULL || thing->canary == canary_of(thing->id);
}

static inline void finalize(struct gyre_mutator *m, void *object)
{
	struct thing *thing = object;

	expect(m != NULL && thing != NULL && sound(thing));
	expect(gyre_type_of(thing) == seen.type);
	expect(sound(gyre_load(&thing->left)) && sound(gyre_load(&thing->right)));
	expect(seen.count < MOST && thing->id < MOST);
	seen.runs[thing->id]++;
	seen.order[seen.count++] = thing->id;
	if (seen.then != NULL)
		seen.then(m, thing);
}

static const struct gyre_type_desc thing_desc = GYRE_TYPE(
	struct thing, GYRE_REFS(GYRE_REF(struct thing, left), GYRE_REF(struct thing, right)),
	.finalize = finalize);

static inline struct world *begin(struct gyre_options *options)
{
	memset(&seen, 0, sizeof(seen));
	options->flags |= GYRE_POISON;
	seen.w = world_make(options);
	expect_ok(gyre_type_register(seen.w->heap, &thing_desc, &seen.type));
	return seen.w;
}

static inline int setup(void **state)
{
	struct gyre_options options;

	gyre_options_init(&options);
	*state = begin(&options);
	return 0;
}

static inline int setup_host(void **state)
{
	struct gyre_options options;

	gyre_options_init(&options);
	options.finalizing = GYRE_FINALIZE_HOST;
	*state = begin(&options);
	return 0;
}

static inline struct thing *thing_new(struct gyre_mutator *m, uint64_t id)
{
	struct thing *thing = gyre_new(m, seen.type);

	expect(thing != NULL);
	thing->id = id;
	thing->canary = canary_of(id);
	return thing;
}

static inline void link_to(struct thing *from, void *to)
{
	expect_ok(gyre_store(seen.w->m, &from->right, to));
}

/* Collects, and has all finalizers run that are due then. */
static inline void finish(struct world *w)
{
	for (unsigned i = 0; i < 4; i++) {
		world_collect(w->m);
		expect_ok(gyre_finalize_wait(w->m));
	}
	world_collect(w->m);
}

static inline void expect_left(struct world *w, uint64_t count)
{
	finish(w);
	expect_live(w->m, count);
}

#define final_test(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
#define host_test(f) cmocka_unit_test_setup_teardown(f, setup_host, world_teardown)

#endif
