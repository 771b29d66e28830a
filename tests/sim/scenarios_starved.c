/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenarios_starved.c: calls for memory, threads and keys fail during everything: opening, types,
 * attaching, objects of each size, each kind of store, snapshots of long frames, passes, full
 * collections, verifications. Runs in coroutines.
 *
 * What is expected: a call that failed says why, and has done nothing (sim_insist makes it again;
 * had it done half of it, counts would be wrong at the end); nothing that lives is freed; and once
 * there is memory, at sim_finish, what is garbage is found to the last object.
 */
#include "sim.h"

#define ROOTS 3
#define SHARED ROOTS /* a root that always holds the same node */
#define ITEMS 12
#define WIDE_ITEMS 600  /* more than one call's words of journal */
#define FRAME 1300      /* a snapshot of several chunks */
#define AT_ONCE 100     /* references to one object: two frames of it fit into its count */
#define RING 4
#define RIM 20 /* more than lists hold at first */

struct array {
	size_t length;
	gyre_ref items[];
};

/* With slabs of its own. */
struct large {
	gyre_ref slot[SIM_SLOTS];
	unsigned char filler[20000];
};

static const struct gyre_type *array_type, *large_type;

static void *new_array(size_t length)
{
	void *array = sim_new_of(array_type, length, offsetof(struct array, items), length);

	sim_check(array != NULL);
	return array;
}

static gyre_ref *item(void *array, unsigned i)
{
	return &((struct array *)array)->items[i];
}

/* A ring, held by nothing at the end. */
static void make_ring(void)
{
	void *first = sim_new(), *last = first;
	unsigned i;

	for (i = 1; i < RING; i++) {
		void *node = sim_new();

		sim_init(sim_slot(node, 0), last);
		last = node;
	}
	sim_store(sim_slot(first, 0), last);
	if (sim_pick(2))
		sim_root_set(sim_pick(ROOTS), last);
}

/* A hub and what it refers to, each of which refers to it. */
static void make_wheel(void)
{
	void *hub = new_array(RIM);
	unsigned i;

	for (i = 0; i < RIM; i++) {
		void *node = sim_new();

		sim_init(sim_slot(node, 0), hub);
		sim_store(item(hub, i), node);
	}
	if (sim_pick(4))
		sim_root_set(sim_pick(ROOTS), hub);
}

/* Each call that stores, on what the roots hold and others write as well. */
static void write_slots(void)
{
	void *seen = sim_root_get(sim_pick(ROOTS)), *made = sim_new();
	gyre_ref *slot = sim_slot(made, 1);

	sim_init(slot, seen);
	sim_exchange(sim_root_slot(sim_pick(ROOTS)), made);
	sim_compare_exchange(sim_root_slot(sim_pick(ROOTS)), seen, made);
	sim_insist(gyre_store_exclusive(sim_mutator(), sim_slot(made, 2), made));
	if (sim_pick(2))
		sim_store(slot, NULL);
}

static void write_arrays(void)
{
	void *array = new_array(ITEMS), *seen = sim_root_get(sim_pick(ROOTS)), *loaded;

	sim_insist(gyre_array_fill(sim_mutator(), item(array, 0), ITEMS, array));
	sim_insist(gyre_array_fill(sim_mutator(), item(array, 1), ITEMS / 2, seen));
	sim_insist(gyre_array_copy(sim_mutator(), item(array, 3), item(array, 0), ITEMS - 3));
	loaded = sim_load(item(array, 3));
	sim_check(loaded == array);
	sim_store(sim_slot(sim_new(), 2), array);
}

/* The slots of one object that all write, before and after they have switched epochs. */
static void write_shared(void)
{
	unsigned i;

	for (i = 0; i < 12; i++) {
		gyre_ref *slot = sim_slot(sim_root_get(SHARED), sim_pick(SIM_SLOTS));

		sim_store(slot, sim_pick(3) ? sim_new() : sim_load(slot));
		sim_collect_soon();
		if (sim_pick(2))
			sim_safepoint();
	}
}

/* More slots than the mutator has journal in store for. */
static void write_wide(void)
{
	void *array = new_array(WIDE_ITEMS);
	unsigned i;

	for (i = 0; i < WIDE_ITEMS; i += AT_ONCE) {
		void *made = sim_new();

		sim_insist(gyre_array_fill(sim_mutator(), item(array, i), AT_ONCE, made));
	}
	sim_store(item(array, 0), array);
	sim_safepoint();
}

static void make_large(void)
{
	struct large *large = sim_new_of(large_type, 0, 0, SIM_SLOTS);

	sim_check(large != NULL && large->filler[0] == 0);
	sim_init(&large->slot[0], sim_root_get(sim_pick(ROOTS)));
	sim_store(&large->slot[1], large);
	if (sim_pick(2))
		sim_store(sim_slot(sim_new(), 0), large);
}

/* A frame that is longer than what there is for its snapshot; boundaries wait for memory. */
static void keep_many(void)
{
	void *values[FRAME] = { NULL };
	struct gyre_keep frame;
	unsigned i;

	for (i = 0; i < FRAME; i++)
		values[i] = i % AT_ONCE == 0 ? sim_new() : values[i - 1];
	sim_init(sim_slot(values[0], 0), sim_root_get(sim_pick(ROOTS)));
	sim_keep(&frame, values, FRAME);
	sim_collect_soon();
	sim_safepoint();
	sim_boundaries(1);
	sim_load(sim_slot(values[0], 0));
	sim_unkeep(&frame);
}

static void rest(void)
{
	switch (sim_pick(5)) {
	case 0:
		sim_collect();
		break;
	case 1:
		sim_verify();
		break;
	case 2:
		sim_boundaries(1 + sim_pick(3));
		break;
	case 3:
		sim_detach();
		sim_attach();
		break;
	default:
		sim_collect_soon();
		sim_safepoint();
	}
}

static void mutate(void *arg)
{
	static void (*const activities[])(void) = {
		make_ring,  make_wheel,   make_wheel, write_slots, write_slots,
		make_large, write_arrays, write_wide, keep_many,   write_shared,
	};
	unsigned rounds = 2 + sim_pick(6);

	(void)arg;
	sim_attach();
	while (rounds-- > 0) {
		activities[sim_pick(sizeof(activities) / sizeof(activities[0]))]();
		rest();
	}
	/* Or it dies, and its journal is taken over. */
	if (sim_pick(4))
		sim_detach();
}

static void register_types(void)
{
	const struct gyre_type_desc array =
		GYRE_TYPE(struct array, GYRE_TRAILING_REFS(struct array, items, length));
	const struct gyre_type_desc large =
		GYRE_TYPE(struct large, GYRE_REFS(GYRE_REF(struct large, slot)));

	sim_insist(gyre_type_register(sim_heap(), &array, &array_type));
	sim_insist(gyre_type_register(sim_heap(), &large, &large_type));
}

static void run(void)
{
	static const char *const names[] = { "a", "b", "c" };
	unsigned i, mutators = 2 + sim_pick(2);

	sim_starve(true);
	sim_open(NULL);
	register_types();
	sim_attach();
	for (i = 0; i <= ROOTS; i++)
		sim_root_set(i, sim_new());
	sim_park();
	for (i = 0; i < mutators; i++)
		sim_start(names[i], mutate, NULL);
	sim_end();
}

SIM_SCENARIO(starved, run, false, "calls for memory, threads and keys fail during everything");
