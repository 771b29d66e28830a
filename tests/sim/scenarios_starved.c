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
#define ITEMS 12
#define WIDE_ITEMS 2560 /* a cell of its own slabs */
#define FRAME 1300      /* a snapshot of several chunks */
#define RING 4

struct array {
	size_t length;
	gyre_ref items[];
};

static const struct gyre_type *array_type;

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

/* More slots than the mutator has journal in store for. */
static void write_wide(void)
{
	void *array = new_array(WIDE_ITEMS);

	sim_insist(gyre_array_fill(sim_mutator(), item(array, 0), WIDE_ITEMS, array));
	sim_safepoint();
}

/* A frame that is longer than what there is for its snapshot; boundaries wait for memory. */
static void keep_many(void)
{
	void *values[FRAME] = { NULL };
	struct gyre_keep frame;
	unsigned i;

	values[0] = sim_new();
	sim_init(sim_slot(values[0], 0), sim_root_get(sim_pick(ROOTS)));
	for (i = 1; i < FRAME; i++)
		values[i] = values[0];
	sim_keep(&frame, values, FRAME);
	sim_collect_soon();
	sim_safepoint();
	sim_boundaries(1);
	sim_load(sim_slot(values[FRAME - 1], 0));
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
		make_ring, make_ring, write_slots, write_slots, write_arrays, write_wide, keep_many,
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

static void run(void)
{
	static const char *const names[] = { "a", "b", "c" };
	static const struct gyre_refs element = { 0, 1 };
	static const struct gyre_type_desc desc = {
		.size = sizeof(desc),
		.name = "array",
		.object_bytes = sizeof(struct array),
		.object_align = _Alignof(struct array),
		.trailing = { offsetof(struct array, items), sizeof(gyre_ref), &element, 1,
			      offsetof(struct array, length) },
	};
	unsigned i, mutators = 2 + sim_pick(2);

	sim_starve(true);
	sim_open(NULL);
	sim_insist(gyre_type_register(sim_heap(), &desc, &array_type));
	sim_attach();
	for (i = 0; i < ROOTS; i++)
		sim_root_set(i, sim_new());
	sim_park();
	for (i = 0; i < mutators; i++)
		sim_start(names[i], mutate, NULL);
	sim_join();
	sim_unpark();
	sim_finish();
}

SIM_SCENARIO(starved, run, false, "calls for memory, threads and keys fail during everything");
