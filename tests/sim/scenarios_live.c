/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenarios_live.c: threads that look at the heap while others change it: a census that meets what
 * is about to die, and brings it back; dead cycles that are kept; objects that are exempt. Runs in
 * coroutines.
 *
 * Invariant: what a census gave is used before the end of its visit only, or stored.
 */
#include "scenarios_ends.h"

static unsigned seen;

/* What is visited is looked into, and now and then brought back, or what it refers to. */
static bool look(void *node)
{
	void *near;

	seen++;
	if (sim_pick(3) == 0)
		sim_safepoint(), sim_hold(node);
	near = sim_load(sim_slot(node, sim_pick(2)));
	switch (sim_pick(6)) {
	case 0:
		sim_root_set(FOUND, node);
		break;
	case 1:
		sim_root_set(FOUND, near);
		break;
	case 2:
		sim_store(sim_slot(node, 1), near);
		break;
	case 3:
		if (near != NULL)
			sim_store(sim_slot(near, 1), sim_pick(2) ? node : NULL);
		break;
	default:
		break;
	}
	return sim_pick(8) > 0;
}

static void looker(void *unused)
{
	unsigned rounds = 2 + sim_pick(3);

	(void)unused;
	sim_attach();
	while (rounds-- > 0) {
		void *last = sim_pick(4) || sim_root_get(OTHER) == NULL
				     ? sim_census(look)
				     : sim_referrers(sim_root_get(OTHER), look);

		if (last != NULL && sim_pick(2))
			sim_root_set(FOUND, last);
		if (sim_pick(2))
			sim_root_set(FOUND, NULL);
		rest();
	}
	sim_detach();
}

/* Rings that die, some of which hang on each other. */
static void ring_maker(void *unused)
{
	unsigned rounds = 3 + sim_pick(5);

	(void)unused;
	sim_attach();
	while (rounds-- > 0 && sim_live() < 40) {
		void *ring = sim_new_cycle();

		if (sim_pick(3) == 0)
			sim_init(sim_slot(ring, 1), sim_root_get(OTHER));
		sim_root_set(ROOT, ring);
		if (sim_pick(2))
			sim_boundaries(1 + sim_pick(2));
		else
			rest();
		if (sim_pick(2))
			sim_root_set(ROOT, NULL);
	}
	sim_root_set(ROOT, NULL);
	sim_detach();
}

static void run_census(void)
{
	begin(NULL);
	seen = 0;
	sim_root_set(OTHER, sim_new_cycle());
	sim_root_set(ROOT, sim_new_cycle());
	if (sim_pick(2))
		sim_collect();
	sim_park();
	sim_start("maker", ring_maker, NULL);
	sim_start("looker", looker, NULL);
	if (sim_pick(3) == 0)
		sim_start("other", looker, NULL);
	sim_join();
	sim_unpark();
	sim_check(seen > 0);
	sim_finish();
}

SIM_SCENARIO(census, run_census, false, "threads visit objects while rings die");

/* What is exempt becomes garbage meanwhile, with and beside what is not; and all of it goes when
 * nothing is exempt any more. */
static void exempter(void *unused)
{
	unsigned rounds = 1 + sim_pick(3);

	(void)unused;
	sim_attach();
	while (rounds-- > 0) {
		sim_exempt(true);
		rest();
		if (sim_pick(2))
			sim_boundaries(1 + sim_pick(4));
		sim_exempt(false);
		rest();
	}
	sim_detach();
}

static void run_exempt(void)
{
	void *ring;

	begin(NULL);
	ring = sim_new_cycle();
	sim_root_set(OTHER, sim_new_cycle());
	sim_root_set(ROOT, ring);
	if (sim_pick(2))
		sim_exempt(true);
	/* A ring that is not exempt, held by one that is, and the other way round. */
	sim_store(sim_slot(sim_root_get(ROOT), 1), sim_new_cycle());
	sim_root_set(FOUND, sim_new_cycle());
	sim_store(sim_slot(sim_root_get(FOUND), 1), sim_root_get(ROOT));
	if (sim_pick(2))
		sim_root_set(ROOT, NULL);
	sim_boundaries(sim_pick(4));
	if (sim_pick(2))
		sim_root_set(FOUND, NULL);
	sim_boundaries(sim_pick(6));
	sim_park();
	sim_start("maker", ring_maker, NULL);
	sim_start("exempter", exempter, NULL);
	sim_join();
	sim_unpark();
	sim_root_set(ROOT, NULL);
	sim_root_set(FOUND, NULL);
	sim_exempt(false);
	sim_check(gyre_exempt_count(sim_heap()) == 0);
	sim_finish();
}

SIM_SCENARIO(exempt, run_exempt, false, "objects are exempt from tracing while rings die");

/* Kept cycles are looked into, brought back, and dropped while others die. */
static bool handle(uint64_t id, void *node)
{
	void *near = sim_load(sim_slot(node, 0));

	switch (sim_pick(6)) {
	case 0:
		sim_root_set(FOUND, node);
		break;
	case 1:
		sim_store(sim_slot(node, 1), near);
		break;
	case 2:
		sim_store(sim_slot(node, 0), NULL);
		break;
	case 3:
		sim_root_set(FOUND, near);
		sim_safepoint();
		break;
	default:
		break;
	}
	if (sim_pick(3) == 0)
		sim_garbage_drop(id);
	return sim_pick(6) > 0;
}

static void keeper(void *unused)
{
	unsigned rounds = 2 + sim_pick(4);

	(void)unused;
	sim_attach();
	while (rounds-- > 0) {
		gyre_save_all(sim_heap(), sim_pick(4) > 0);
		sim_boundaries(1 + sim_pick(3));
		sim_garbage_visit(handle);
		if (sim_pick(3) == 0)
			sim_garbage_clear();
		if (sim_pick(3) == 0)
			sim_root_set(FOUND, NULL);
	}
	sim_detach();
}

/* Rings with a weak cell, which others load. */
static void cell_maker(void *unused)
{
	unsigned rounds = 3;

	(void)unused;
	sim_attach();
	while (rounds-- > 0 && sim_live() < 40) {
		void *ring = sim_new_cycle();

		sim_root_set(ROOT, ring);
		set_cell(0, ring);
		rest();
		sim_root_set(ROOT, NULL);
		rest();
		load_cell(0);
	}
	sim_detach();
}

static void run_kept(void)
{
	begin(NULL);
	gyre_save_all(sim_heap(), true);
	sim_root_set(OTHER, sim_new_cycle());
	if (sim_pick(2)) {
		sim_new_cycle();
		sim_collect_soon();
	}
	sim_park();
	sim_start("maker", ring_maker, NULL);
	sim_start("keeper", keeper, NULL);
	if (sim_pick(2))
		sim_start("cells", cell_maker, NULL);
	if (sim_pick(3) == 0)
		sim_start("other", keeper, NULL);
	sim_join();
	sim_unpark();
	gyre_save_all(sim_heap(), false);
	sim_garbage_clear();
	sim_check(gyre_garbage_count(sim_heap()) == 0);
	sim_finish();
}

SIM_SCENARIO(kept_garbage, run_kept, false, "dead rings are kept, looked at and dropped");
