/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenarios_cycles.c: cycles of two objects that mutators move about or leave to die while the
 * collector tries them.
 */
#include "sim.h"

/* What was built is old: its births are counted back, and nothing of it is a candidate. */
static void settle(void)
{
	sim_collect();
	sim_park();
}

/*
 * Moved edges: a thing hangs on one of two holders (roots 0 and 1), and mutators hand it from the
 * one to the other, so a trace that looks at one holder and then at the other may miss it, or see
 * it twice; and one mutator's increment races with another's decrement.
 */
static void move(unsigned from, unsigned to)
{
	void *source = sim_root_get(from), *target = sim_root_get(to);
	void *thing = sim_load(sim_slot(source, 1));

	if (thing == NULL)
		return;
	sim_store(sim_slot(target, 1), thing);
	sim_store(sim_slot(source, 1), NULL);
}

/* A decrement to a count that is not 0 makes a candidate of what hangs there. */
static void doubt(unsigned holder, unsigned slot)
{
	void *thing = sim_load(sim_slot(sim_root_get(holder), slot));

	sim_root_set(2, thing);
	if (sim_pick(2))
		sim_safepoint();
	sim_root_set(2, NULL);
}

static void mover(void *arg)
{
	unsigned rounds = *(const unsigned *)arg, from;

	sim_attach();
	while (rounds-- > 0) {
		from = sim_pick(2);
		if (sim_pick(3))
			move(from, 1 - from);
		else
			doubt(from, 1);
		if (sim_pick(3) == 0)
			sim_collect_soon();
		sim_safepoint();
		/* Two that move at once may lose it. */
		if (sim_pick(4) == 0 && sim_load(sim_slot(sim_root_get(from), 1)) == NULL)
			sim_store(sim_slot(sim_root_get(from), 1),
				  sim_pick(2) ? sim_new() : sim_new_cycle());
	}
	sim_detach();
}

static void begin_moved(void *(*make)(void))
{
	void *thing;

	sim_open(NULL);
	sim_attach();
	thing = make();
	sim_root_set(0, sim_new_cycle());
	sim_root_set(1, sim_new_cycle());
	sim_store(sim_slot(sim_root_get(0), 1), thing);
	sim_root_set(2, thing);
	settle();
}

static void moved_edges(void)
{
	unsigned rounds = 2 + sim_pick(8);

	begin_moved(sim_pick(2) ? sim_new : sim_new_cycle);
	sim_start("a", mover, &rounds);
	sim_start("b", mover, &rounds);
	sim_end();
}

/*
 * The same with one mutator, that takes the second reference away first. In an exhaustive search
 * nothing but a request makes the collector run beside it.
 */
static void lone_mover(void *arg)
{
	(void)arg;
	sim_attach();
	sim_root_set(2, NULL);
	sim_collect_soon();
	sim_safepoint();
	move(0, 1);
	sim_collect_soon();
	sim_safepoint();
	move(1, 0);
	sim_detach();
}

static void moved_edge(void)
{
	begin_moved(sim_new_cycle);
	sim_start("mover", lone_mover, NULL);
	sim_end();
}

/*
 * Doubled edges: within a live cycle an edge comes and goes that its count does not know yet. A
 * trial that subtracts it takes the cycle for dead; the delta test sees the increment. What hangs
 * on the cycle was not touched by anyone, and only the sigma test speaks for it.
 */
static void doubler(void *arg)
{
	unsigned rounds = *(const unsigned *)arg;

	sim_attach();
	while (rounds-- > 0) {
		void *first = sim_root_get(0), *second = sim_load(sim_slot(first, 0));

		sim_store(sim_slot(second, 1), first);
		if (sim_pick(2))
			sim_safepoint();
		else
			sim_store(sim_slot(second, 1), NULL);
		/* Again when the last edge is in no count any more. */
		sim_boundaries(sim_pick(4));
	}
	sim_detach();
}

static bool doubting;

static void doubter(void *arg)
{
	unsigned rounds = *(const unsigned *)arg;

	sim_attach();
	while (rounds-- > 0) {
		/* The cycle at root 0 by its second object, and the one that hangs on its first. */
		unsigned slot = sim_pick(2);

		doubt(0, slot);
		doubt(0, 1 - slot);
		/* What a near pass has found live is not tried again before a far pass. */
		if (sim_pick(2))
			sim_collect();
		sim_collect_soon();
		sim_safepoint();
	}
	doubting = false;
	sim_detach();
}

static void doubled_edges(void)
{
	unsigned rounds = 2 + sim_pick(8);

	begin_moved(sim_new_cycle);
	doubting = true;
	sim_start("doubler", doubler, &rounds);
	sim_start("doubter", doubter, &rounds);
	sim_end();
}

/* Writes to the slot by which something lives, so that a pass that has subtracted the edge may find
 * it written by the open epoch when it looks for what is live. */
static void rewriter(void *arg)
{
	(void)arg;
	sim_attach();
	while (doubting) {
		gyre_ref *slot = sim_slot(sim_root_get(0), 1);

		sim_store(slot, sim_load(slot));
		sim_safepoint();
		sim_sleep(sim_pick(12000));
	}
	sim_detach();
}

/* Doubled edges while far passes take several epochs: a pass looks at different epochs' edges. */
static void far_doubled(void)
{
	struct gyre_options options;
	unsigned rounds = 4 + sim_pick(12);
	void *thing;

	sim_options(&options);
	options.epoch_ns = 3000;
	sim_open(&options);
	sim_attach();
	thing = sim_new_cycle();
	sim_root_set(0, sim_new_cycle());
	sim_root_set(1, sim_new_cycle());
	sim_store(sim_slot(sim_root_get(0), 1), thing);
	sim_root_set(2, thing);
	settle();
	doubting = true;
	sim_start("doubler", doubler, &rounds);
	sim_start("doubter", doubter, &rounds);
	if (sim_pick(2))
		sim_start("mover", mover, &rounds);
	else
		sim_start("rewriter", rewriter, &rounds);
	sim_end();
}

/*
 * Candidates that refer to candidates: cycles of which each is held by a root of its own. Two
 * mutators drop the roots, in any order, and one of them may ask for a full collection.
 */
#define CYCLES 4

static void dropper(void *arg)
{
	unsigned i, first = *(const unsigned *)arg;

	sim_attach();
	for (i = 0; i < CYCLES; i += 2) {
		sim_root_set((first + i) % CYCLES, NULL);
		if (sim_pick(2))
			sim_collect_soon();
		if (sim_pick(2))
			sim_boundaries(1);
		else
			sim_safepoint();
	}
	if (sim_pick(2))
		sim_collect();
	sim_detach();
}

static void link_cycles(unsigned from, unsigned to)
{
	void *source = sim_root_get(from);

	/* From either of its objects, by whichever slot is free. */
	if (sim_pick(2))
		source = sim_load(sim_slot(source, 0));
	sim_store(sim_slot(source, sim_load(sim_slot(source, 1)) == NULL ? 1 : 2),
		  sim_root_get(to));
}

static void drop_all(void)
{
	unsigned firsts[2] = { sim_pick(CYCLES), 0 };

	firsts[1] = firsts[0] + 1;
	settle();
	sim_start("dropper", dropper, &firsts[0]);
	sim_start("other", dropper, &firsts[1]);
	sim_end();
}

static void begin_cycles(void)
{
	unsigned i;

	sim_open(NULL);
	sim_attach();
	for (i = 0; i < CYCLES; i++)
		sim_root_set(i, sim_new_cycle());
}

/* From a to b of the order of birth, or the other way about: a far pass meets its roots in the
 * order of their addresses, a near pass in that of their last decrements. */
static void link_either(unsigned a, unsigned b, bool reverse)
{
	link_cycles(reverse ? b : a, reverse ? a : b);
}

static void chain(void)
{
	bool reverse = sim_pick(2);
	unsigned i;

	begin_cycles();
	for (i = 1; i < CYCLES; i++)
		link_either(i - 1, i, reverse);
	drop_all();
}

static void diamond(void)
{
	bool reverse = sim_pick(2);

	begin_cycles();
	link_either(0, 1, reverse);
	link_either(0, 2, reverse);
	link_either(1, 3, reverse);
	link_either(2, 3, reverse);
	drop_all();
}

SIM_SCENARIO(moved_edges, moved_edges, false, "an object or cycle moved between two holders");
SIM_SCENARIO_ALIKE(moved_edge, moved_edge, true, "the same with one mutator");
SIM_SCENARIO(doubled_edges, doubled_edges, false,
	     "an edge comes and goes in a live cycle on which another one hangs");
SIM_SCENARIO(far_doubled, far_doubled, false,
	     "the same, and moved edges, during long far passes");
SIM_SCENARIO(chain, chain, false, "dead cycles in a chain, dropped in any order");
SIM_SCENARIO(diamond, diamond, false, "dead cycles in a diamond, dropped in any order");
