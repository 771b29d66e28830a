/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenarios_ends.h: what the scenarios about the dead share (scenarios_ends.c, scenarios_weak.c,
 * scenarios_weak_sets.c, scenarios_finals.c): how they begin, cells in roots, safe points, rings,
 * and the mutators that more than one of them has. Runs in coroutines.
 *
 * Invariant: a scenario sets all of sim_common by one of the begin functions, before it starts its
 * mutators, so nothing of a schedule is left to the next. (Not ends.h: runtime/ has one.)
 */
#ifndef GYRE_SIM_SCENARIOS_ENDS_H
#define GYRE_SIM_SCENARIOS_ENDS_H

#include "sim.h"

#define ROOT 0  /* what dies */
#define OTHER 1 /* something that stays */
#define FOUND 2 /* what was brought back */
#define CELLS 4 /* roots that hold weak cells, from here on */
#define CELLS_COUNT 4

struct sim_common {
	unsigned working; /* mutators that others wait for */
	unsigned budget;  /* of what finalizers may bring back or make */
	bool host;        /* finalizers run where the mutators call gyre_finalize_next */
};

extern struct sim_common sim_common; /* scenarios_ends.c */

static inline bool afford(void)
{
	return sim_common.budget > 0 && sim_common.budget-- > 0;
}

static inline void no_finalizer(void *node)
{
	(void)node;
}

/* With all roots made, as only one thread may make them. */
static inline void begin_roots(void)
{
	unsigned i;

	sim_attach();
	for (i = 0; i < CELLS + CELLS_COUNT; i++)
		sim_root_set(i, NULL);
	sim_common.working = 0;
	sim_common.budget = 4;
}

static inline void begin_with(void (*finalize)(void *node), unsigned flags)
{
	struct gyre_options options;

	sim_options(&options);
	sim_common.host = sim_pick(2);
	options.finalizing = sim_common.host ? GYRE_FINALIZE_HOST : GYRE_FINALIZE_THREAD;
	options.flags |= flags;
	sim_open(&options);
	if (finalize != NULL)
		sim_finals(finalize);
	begin_roots();
}

static inline void begin(void (*finalize)(void *node))
{
	begin_with(finalize, 0);
}

static inline void set_cell(unsigned i, const void *object)
{
	sim_root_set(CELLS + i, sim_weak_of(object));
}

/* The object of the cell in a root; NULL also if there is no cell. */
static inline void *load_cell(unsigned i)
{
	void *cell = sim_root_get(CELLS + i);

	return cell == NULL ? NULL : sim_weak_load(cell);
}

/* A safe point, now and then with more to it. */
static inline void rest(void)
{
	switch (sim_pick(8)) {
	case 0:
		sim_park();
		sim_sleep(sim_pick(30000));
		sim_unpark();
		break;
	case 1:
		sim_boundaries(1);
		break;
	case 2:
		if (sim_common.host)
			sim_finalize_next();
		else
			sim_safepoint();
		break;
	default:
		sim_collect_soon();
		sim_safepoint();
	}
}

/* A ring of count, of which the bits of finals have finalizers; the first of them. */
static inline void *make_ring(unsigned count, unsigned finals)
{
	void *first = NULL, *last = NULL;
	unsigned i;

	for (i = 0; i < count; i++) {
		void *node = finals >> i & 1 ? sim_new_final() : sim_new();

		if (i == 0)
			first = node;
		else
			sim_init(sim_slot(last, 0), node);
		last = node;
	}
	sim_init(sim_slot(last, 0), first);
	return first;
}

static inline void *next(void *node)
{
	return node == NULL ? NULL : sim_load(sim_slot(node, 0));
}

/* Lets go of what the root holds, at some time. */
static inline void dropper(void *unused)
{
	(void)unused;
	sim_attach();
	while (sim_pick(3) > 0)
		rest();
	sim_root_set(ROOT, NULL);
	sim_collect_soon();
	while (sim_pick(6) > 0)
		rest();
	sim_common.working--;
	sim_detach();
}

/* One object: a weak load of it against its death. */
static inline void weak_loader(void *unused)
{
	void *object, *again;

	(void)unused;
	sim_attach();
	do {
		object = load_cell(0);
		again = load_cell(0);
		sim_check(object == again || again == NULL);
		sim_check(object == NULL || again != NULL);
		if (object != NULL && sim_pick(6) == 0)
			sim_root_set(ROOT, sim_pick(3) ? object : NULL);
		/* Then it is a cycle, and nothing but its own slots may ever refer to it again. */
		if (object != NULL && sim_pick(4) == 0)
			sim_store(sim_slot(object, sim_pick(SIM_SLOTS)),
				  sim_pick(3) ? object : NULL);
		if (sim_pick(2))
			sim_safepoint();
		else
			rest();
	} while (sim_common.working > 0 || sim_pick(3) > 0);
	sim_detach();
}

/* All of a ring have cells by and by: what is loaded leads to nothing that is dead. */
static inline void all_loader(void *unused)
{
	(void)unused;
	sim_attach();
	do {
		void *node = load_cell(sim_pick(3));

		if (node != NULL && sim_pick(4) == 0)
			next(node);
		rest();
	} while (sim_common.working > 0 || sim_pick(3) > 0);
	sim_detach();
}

#endif
