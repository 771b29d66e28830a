/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenarios_weak.c: weak cells: loads against the death of an object or a ring, writes into what
 * dies, cells and callbacks that only threads hold. Runs in coroutines. See scenarios_weak_sets.c
 * for sets that change while they wait to die.
 *
 * Invariant: what a load gave is used before the next safe point only, or kept in a frame.
 */
#include "scenarios_ends.h"

static void run_zero(void)
{
	begin(NULL);
	sim_root_set(ROOT, sim_new());
	if (sim_pick(2))
		sim_store(sim_slot(sim_root_get(ROOT), 1), sim_new());
	set_cell(0, sim_root_get(ROOT));
	sim_collect();
	sim_park();
	sim_common.working = 1;
	sim_start("dropper", dropper, NULL);
	sim_start("a", weak_loader, NULL);
	if (sim_pick(2))
		sim_start("b", weak_loader, NULL);
	sim_end();
}

/* The same, short enough for all its schedules. */
static void short_dropper(void *unused)
{
	(void)unused;
	sim_attach();
	sim_root_set(ROOT, NULL);
	sim_collect_soon();
	sim_detach();
}

static void short_loader(void *unused)
{
	void *object;

	(void)unused;
	sim_attach();
	object = load_cell(0);
	sim_check(object != NULL || load_cell(0) == NULL);
	sim_safepoint();
	object = load_cell(0);
	sim_check(object == NULL || load_cell(0) == object);
	sim_detach();
}

static void run_short(void)
{
	begin(NULL);
	sim_root_set(ROOT, sim_new());
	set_cell(0, sim_root_get(ROOT));
	sim_collect();
	sim_park();
	sim_start("dropper", short_dropper, NULL);
	sim_start("loader", short_loader, NULL);
	sim_end();
}

/* A ring with cells on two members: both are null or none. */
static void ring_loader(void *unused)
{
	unsigned i;

	(void)unused;
	sim_attach();
	do {
		void *a, *b;

		i = sim_pick(2);
		a = load_cell(i);
		b = load_cell(1 - i);
		sim_check((a == NULL && b == NULL) || (a != NULL && b != NULL) ||
			  (a != NULL && sim_weak_load(sim_root_get(CELLS + i)) == NULL));
		sim_check(a == NULL || b != NULL);
		if (a != NULL && sim_pick(8) == 0)
			sim_root_set(ROOT, sim_pick(3) ? a : NULL);
		rest();
	} while (sim_common.working > 0 || sim_pick(3) > 0);
	sim_detach();
}

static void run_ring(void)
{
	void *ring;

	begin(NULL);
	ring = make_ring(2 + sim_pick(2), 0);
	sim_root_set(ROOT, ring);
	set_cell(0, ring);
	set_cell(1, next(ring));
	sim_collect();
	sim_park();
	sim_common.working = 1;
	sim_start("dropper", dropper, NULL);
	sim_start("a", ring_loader, NULL);
	sim_start("b", ring_loader, NULL);
	sim_end();
}

/*
 * A ring whose other cells, one of which leads the group, are held by their objects only: they must
 * be there as long as a load that has seen the mark may ask for the group's state.
 */
static void straddler(void *unused)
{
	unsigned loads = 1 + sim_pick(3);

	(void)unused;
	sim_attach();
	while (loads-- > 0) {
		sim_park();
		sim_sleep(sim_pick(80000));
		sim_unpark();
		load_cell(0);
	}
	sim_detach();
}

static void run_leader(void)
{
	void *ring;

	begin(NULL);
	ring = make_ring(2, 0);
	sim_root_set(ROOT, ring);
	set_cell(0, next(ring));
	sim_weak_of(ring);
	sim_collect();
	sim_park();
	sim_start("dropper", short_dropper, NULL);
	sim_start("loader", straddler, NULL);
	sim_start("other", straddler, NULL);
	sim_end();
}

/* Whoever loads a cell writes into what dies, and lets go of it: an edge is cut, one is made, what
 * it held is put elsewhere. */
static void cutter(void *unused)
{
	void *cut;

	(void)unused;
	sim_attach();
	do {
		void *node = load_cell(sim_pick(2));

		if (node != NULL)
			switch (sim_pick(5)) {
			case 0:
			case 1:
				cut = sim_exchange(sim_slot(node, 0), NULL);
				if (cut != NULL && sim_pick(3) == 0)
					sim_root_set(FOUND, cut);
				break;
			case 2:
				sim_store(sim_slot(node, 1), next(node));
				break;
			case 3:
				sim_store(sim_slot(node, 0), node);
				break;
			default:
				cut = next(node);
				if (cut != NULL)
					sim_store(sim_slot(cut, 0), node);
			}
		if (sim_pick(4))
			rest();
	} while (sim_common.working > 0 || sim_pick(3) > 0);
	sim_detach();
}

static void run_cut(void)
{
	void *ring;

	begin(NULL);
	ring = make_ring(3, 0);
	sim_root_set(ROOT, ring);
	sim_store(sim_slot(ring, 2), sim_new_cycle());
	set_cell(0, ring);
	set_cell(1, next(next(ring)));
	sim_collect();
	sim_park();
	sim_common.working = 1;
	sim_start("dropper", dropper, NULL);
	sim_start("a", cutter, NULL);
	if (sim_pick(2))
		sim_start("b", cutter, NULL);
	sim_end();
}

/*
 * One thread loads, keeps what it got for long and cuts an edge off it, all between two safe
 * points; others load the same cell and drop it at once. Where loads are noted in the cell, a
 * thread that is an epoch behind writes its note over that of the one which cuts.
 */
static void slow_cutter(void *unused)
{
	(void)unused;
	sim_attach();
	do {
		void *node = load_cell(0);

		if (node != NULL) {
			sim_sleep(sim_pick(150000));
			sim_store(sim_slot(node, 0), NULL);
		}
		sim_safepoint();
	} while (sim_common.working > 0 || sim_pick(3) > 0);
	sim_detach();
}

static void brief_loader(void *unused)
{
	(void)unused;
	sim_attach();
	do {
		sim_sleep(sim_pick(20000));
		load_cell(0);
		sim_safepoint();
	} while (sim_common.working > 0 || sim_pick(3) > 0);
	sim_detach();
}

static void run_noted(void)
{
	void *node;

	begin(NULL);
	node = sim_new();
	sim_store(sim_slot(node, 0), sim_new());
	sim_root_set(ROOT, node);
	set_cell(0, node);
	sim_collect();
	sim_park();
	sim_common.working = 1;
	sim_start("dropper", dropper, NULL);
	sim_start("cutter", slow_cutter, NULL);
	sim_start("passer", brief_loader, NULL);
	sim_end();
}

/* Threads that keep cells, and what they gave, in frames, while they are parked; callbacks. */
static void holder(void *unused)
{
	void *values[2] = { NULL, NULL };
	struct gyre_keep keep;
	unsigned rounds = 2 + sim_pick(6);

	(void)unused;
	sim_attach();
	sim_keep(&keep, values, 2);
	while (rounds-- > 0) {
		if (values[0] == NULL || sim_pick(4) == 0)
			values[0] = sim_root_get(CELLS + sim_pick(2));
		if (values[0] != NULL)
			values[1] = sim_pick(2) ? sim_weak_load(values[0]) : NULL;
		if (values[0] != NULL && sim_pick(4) == 0)
			sim_notify(values[0], sim_pick(2) ? GYRE_NOTICE_ALWAYS : 0);
		if (values[0] != NULL && sim_pick(4) == 0)
			sim_unnotify(values[0]);
		if (sim_pick(4) == 0)
			sim_root_set(CELLS + sim_pick(2), NULL);
		sim_park();
		sim_sleep(sim_pick(60000));
		sim_unpark();
		if (sim_common.host && sim_pick(2))
			sim_finalize_next();
	}
	sim_unkeep(&keep);
	sim_detach();
}

static void run_holders(void)
{
	void *ring;

	begin(sim_pick(2) ? no_finalizer : NULL);
	ring = make_ring(2, 0);
	sim_root_set(ROOT, ring);
	set_cell(0, ring);
	set_cell(1, next(ring));
	sim_store(sim_slot(ring, 1), sim_root_get(CELLS + sim_pick(2)));
	sim_park();
	sim_common.working = 1;
	sim_start("dropper", dropper, NULL);
	sim_start("a", holder, NULL);
	sim_start("b", holder, NULL);
	sim_end();
}

/*
 * What a weak load gave is stored into something living, and taken out again, while trials blacken:
 * an edge that the open epoch made must not speak for what it leads to, as nothing may tell when it
 * is gone.
 */
static void blackener(void *unused)
{
	unsigned rounds = 4 + sim_pick(10);

	(void)unused;
	sim_attach();
	while (rounds-- > 0) {
		void *node = load_cell(sim_pick(2)), *stays;

		stays = sim_root_get(OTHER);
		if (node != NULL) {
			unsigned i = sim_pick(SIM_SLOTS);

			sim_store(sim_slot(stays, i), node);
			if (sim_pick(2))
				sim_sleep(sim_pick(3000));
			if (sim_pick(4))
				sim_store(sim_slot(stays, i), NULL);
			if (sim_pick(2))
				sim_root_set(FOUND, stays);
		} else if (sim_pick(3) == 0) {
			break;
		}
		if (sim_pick(3) == 0)
			sim_root_set(FOUND, NULL);
		sim_collect_soon();
		if (sim_pick(2))
			sim_safepoint();
		else
			rest();
	}
	sim_detach();
}

/* Far passes blacken what is black for good. */
static void passer(void *unused)
{
	unsigned rounds = 2 + sim_pick(4);

	(void)unused;
	sim_attach();
	while (rounds-- > 0) {
		sim_collect();
		if (sim_pick(2))
			rest();
	}
	sim_detach();
}

static void run_blackened(void)
{
	void *ring;

	begin(NULL);
	sim_root_set(OTHER, sim_new_cycle());
	sim_root_set(FOUND, sim_root_get(OTHER));
	ring = make_ring(2, 0);
	sim_store(sim_slot(ring, 1), sim_root_get(OTHER));
	sim_root_set(ROOT, ring);
	set_cell(0, ring);
	set_cell(1, next(ring));
	if (sim_pick(2))
		sim_collect();
	sim_park();
	sim_common.working = 1;
	sim_start("dropper", dropper, NULL);
	sim_start("a", blackener, NULL);
	sim_start("passer", passer, NULL);
	if (sim_pick(2))
		sim_start("b", blackener, NULL);
	sim_end();
}

SIM_SCENARIO(weak_zero, run_zero, false, "weak loads of an object that dies by its count");
SIM_SCENARIO(weak_short, run_short, false, "the same, short");
SIM_SCENARIO(weak_ring, run_ring, false, "weak loads of two members of a ring that dies");
SIM_SCENARIO(weak_leader, run_leader, false,
	     "weak loads, and the group is led by a cell that only its object holds");
SIM_SCENARIO(weak_cut, run_cut, false, "weak loads, and writes into what dies");
SIM_SCENARIO(weak_noted, run_noted, false,
	     "a weak load and a late write, while others load the same cell");
SIM_SCENARIO(weak_holders, run_holders, false, "parked threads hold cells; callbacks");
SIM_SCENARIO(weak_blackened, run_blackened, false,
	     "what weak loads gave goes in and out of living objects while trials blacken");
