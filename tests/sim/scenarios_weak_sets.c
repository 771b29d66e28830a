/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenarios_weak_sets.c: weak cells of sets that change between the time they are found dead and
 * their end: they get more cells, lose what hangs on them, wait for each other, are brought back;
 * and cells of newborns. Runs in coroutines.
 *
 * Invariant: what a load gave is used before the next safe point only, or kept in a frame.
 */
#include "scenarios_ends.h"

/* A weak load, and then a cell for what hangs on the object, before the next safe point: the set
 * may have been armed between the two. Others load all cells. */
static void late_maker(void *unused)
{
	(void)unused;
	sim_attach();
	do {
		void *node = load_cell(0);
		unsigned steps = 1 + sim_pick(2);

		sim_collect_soon();
		while (node != NULL && steps-- > 0) {
			sim_sleep(sim_pick(3000));
			node = next(node);
		}
		if (node != NULL)
			set_cell(1 + sim_pick(2), node);
		rest();
	} while (sim_common.working > 0 || sim_pick(3) > 0);
	sim_detach();
}

/* Rings with cells that die all the time: while one of them waits, what was found before it and is
 * held waits with it, as it is armed. */
static void streamer(void *unused)
{
	unsigned rounds = 0;

	(void)unused;
	sim_attach();
	while (sim_common.working > 0 && rounds++ < 20 && sim_live() < 60) {
		set_cell(3, make_ring(2, 0));
		sim_collect_soon();
		sim_safepoint();
		sim_sleep(sim_pick(4000));
	}
	sim_detach();
}

static void run_late(void)
{
	void *first;

	begin(NULL);
	if (sim_pick(2)) {
		first = make_ring(3, 0);
	} else {
		first = sim_new();
		sim_init(sim_slot(first, 0), sim_new());
		sim_init(sim_slot(next(first), 0), sim_new());
	}
	sim_root_set(ROOT, first);
	set_cell(0, first);
	sim_collect();
	sim_park();
	sim_common.working = 1;
	sim_start("dropper", dropper, NULL);
	sim_start("maker", late_maker, NULL);
	sim_start("loader", all_loader, NULL);
	if (sim_pick(2))
		sim_start("streamer", streamer, NULL);
	sim_end();
}

/*
 * What was loaded is held over the boundary, so its set is refused; and what hangs on it is taken
 * off by the time it leaves, so that the verdict does not see that it lives as well.
 */
static void taker(void *unused)
{
	void *values[1] = { NULL };
	struct gyre_keep keep;
	unsigned rounds = 2 + sim_pick(4);

	(void)unused;
	sim_attach();
	sim_keep(&keep, values, 1);
	while (rounds-- > 0) {
		void *taken;

		sim_park();
		sim_sleep(sim_pick(40000));
		sim_unpark();
		values[0] = load_cell(0);
		if (values[0] == NULL)
			break;
		sim_boundaries(1);
		if (sim_pick(2))
			sim_sleep(sim_pick(10000));
		taken = sim_exchange(sim_slot(values[0], 1), NULL);
		sim_root_set(FOUND, taken);
		if (sim_pick(2))
			sim_safepoint();
		sim_store(sim_slot(values[0], 1), sim_root_get(FOUND));
		sim_root_set(FOUND, NULL);
		values[0] = NULL;
	}
	sim_unkeep(&keep);
	sim_detach();
}

static void run_taken(void)
{
	void *ring;

	begin(NULL);
	ring = make_ring(2, 0);
	sim_init(sim_slot(ring, 1), sim_pick(2) ? sim_new() : sim_new_cycle());
	sim_root_set(ROOT, ring);
	set_cell(0, ring);
	sim_collect();
	sim_park();
	sim_common.working = 1;
	sim_start("dropper", dropper, NULL);
	sim_start("taker", taker, NULL);
	sim_end();
}

/*
 * Two sets die at once; each gets another cell from a thread that has loaded its first one without
 * being noticed, before the boundary that they wait for. What is counted for that keeps a part of
 * the one: the rest of it waits once more, and so does the other, armed as it is, with a cell that
 * is not.
 */
static void pair_maker(void *unused)
{
	unsigned rounds = 2 + sim_pick(4);

	(void)unused;
	sim_attach();
	while (rounds-- > 0) {
		void *a, *b, *tail;

		sim_park();
		sim_sleep(sim_pick(60000));
		sim_unpark();
		b = load_cell(2);
		a = load_cell(0);
		tail = b == NULL ? NULL : sim_load(sim_slot(b, 1));
		if (tail != NULL)
			sim_weak_of(tail);
		a = next(a);
		if (a != NULL)
			set_cell(1, a);
	}
	sim_detach();
}

static void pair_loader(void *unused)
{
	(void)unused;
	sim_attach();
	do {
		sim_park();
		sim_sleep(sim_pick(20000));
		sim_unpark();
		load_cell(1);
	} while (sim_common.working > 0 || sim_pick(5) > 0);
	sim_detach();
}

static void pair_dropper(void *unused)
{
	(void)unused;
	sim_attach();
	sim_root_set(ROOT, NULL);
	sim_root_set(OTHER, NULL);
	sim_collect_soon();
	while (sim_pick(6) > 0)
		rest();
	sim_common.working--;
	sim_detach();
}

static void run_pair(void)
{
	void *ring, *tail;

	begin(NULL);
	ring = make_ring(2, 0);
	sim_root_set(ROOT, ring);
	set_cell(0, ring);
	ring = make_ring(2, 0);
	tail = make_ring(1, 0);
	sim_init(sim_slot(ring, 1), tail);
	sim_root_set(OTHER, ring);
	set_cell(2, ring);
	sim_collect();
	sim_park();
	sim_common.working = 1;
	sim_start("dropper", pair_dropper, NULL);
	sim_start("maker", pair_maker, NULL);
	sim_start("loader", pair_loader, NULL);
	sim_end();
}

/* Newborns with cells, held by who made them only, of whatever epoch; a straggler keeps the window
 * open, makes cells for what others have just made, and cuts them off again. */
static void *newborn(void)
{
	void *made = sim_pick(3) ? sim_new() : sim_new_cycle();

	if (sim_pick(3) == 0)
		sim_init(sim_slot(made, 1), sim_new());
	return made;
}

static void newborn_maker(void *unused)
{
	unsigned rounds = 3 + sim_pick(8);

	(void)unused;
	sim_attach();
	while (rounds-- > 0) {
		void *made = sim_live() < 40 ? newborn() : NULL, *seen;

		if (made != NULL && sim_pick(2))
			sim_root_set(ROOT + sim_pick(3), made);
		if (made != NULL && sim_pick(2))
			set_cell(sim_pick(CELLS_COUNT), made);
		if (sim_pick(3) == 0)
			sim_root_set(ROOT + sim_pick(3), NULL);
		seen = load_cell(sim_pick(CELLS_COUNT));
		if (seen != NULL && made != NULL && sim_pick(4) == 0)
			sim_store(sim_slot(made, 2), seen);
		sim_collect_soon();
		if (sim_pick(2))
			sim_safepoint();
	}
	sim_common.working--;
	sim_detach();
}

static void newborn_straggler(void *unused)
{
	(void)unused;
	sim_attach();
	while (sim_common.working > 0) {
		unsigned looks = 1 + sim_pick(6);

		sim_collect_soon();
		while (looks-- > 0) {
			unsigned root = ROOT + sim_pick(3);
			void *seen =
				sim_pick(3) ? sim_root_get(root) : load_cell(sim_pick(CELLS_COUNT));

			if (seen != NULL && sim_pick(2))
				set_cell(sim_pick(CELLS_COUNT), seen);
			if (seen != NULL && sim_pick(3) == 0)
				sim_root_set(root, NULL);
			sim_sleep(sim_pick(2000));
		}
		sim_safepoint();
	}
	sim_detach();
}

static void run_newborn(void)
{
	begin(NULL);
	sim_root_set(ROOT, sim_new());
	set_cell(0, sim_root_get(ROOT));
	sim_collect();
	sim_park();
	sim_common.working = 2;
	sim_start("a", newborn_maker, NULL);
	sim_start("b", newborn_maker, NULL);
	sim_start("straggler", newborn_straggler, NULL);
	sim_end();
}

/* What was found dead is brought back, whole or in part, again and again, by loads of its cell; and
 * dies in the end. */
static void reviver(void *unused)
{
	unsigned rounds = 4 + sim_pick(8);

	(void)unused;
	sim_attach();
	while (rounds-- > 0) {
		void *node = load_cell(sim_pick(2)), *back;

		if (node == NULL && sim_pick(2))
			break;
		back = sim_pick(2) ? node : next(node);
		if (sim_pick(3))
			sim_root_set(sim_pick(2) ? ROOT : FOUND, back);
		if (sim_pick(2))
			rest();
		sim_root_set(ROOT, NULL);
		sim_root_set(FOUND, NULL);
		sim_collect_soon();
		rest();
	}
	sim_detach();
}

static void run_revived(void)
{
	void *first;

	begin(NULL);
	first = sim_pick(2) ? make_ring(2, 0) : sim_new();
	sim_store(sim_slot(first, 1), sim_new_cycle());
	if (next(first) == NULL)
		sim_store(sim_slot(first, 0), sim_new());
	sim_root_set(ROOT, first);
	set_cell(0, first);
	set_cell(1, sim_pick(2) ? next(first) : first);
	if (sim_pick(2))
		sim_collect();
	sim_park();
	sim_common.working = 1;
	sim_start("dropper", dropper, NULL);
	sim_start("reviver", reviver, NULL);
	if (sim_pick(2))
		sim_start("other", reviver, NULL);
	sim_end();
}

SIM_SCENARIO(weak_late, run_late, false, "weak cells for members of a set that is armed");
SIM_SCENARIO(weak_taken, run_taken, false,
	     "what hangs on a member is taken off while its set is refused");
SIM_SCENARIO(weak_pair, run_pair, false, "the same for two sets, one of which waits for the other");
SIM_SCENARIO(weak_newborns, run_newborn, false,
	     "weak cells of newborns that only a frame holds, made on both sides of a switch");
SIM_SCENARIO(weak_revived, run_revived, false, "sets that are revived and die again");
