/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenarios_threads.c: threads that come, go and die while boundaries are under way, with
 * something in their journals.
 */
#include "sim.h"

#define ROOTS 3

/* Leaves an increment, a birth, and often a decrement in the journal. */
static void write_some(void)
{
	void *made = sim_new(), *seen = sim_root_get(sim_pick(ROOTS));

	if (seen != NULL)
		sim_store(sim_slot(seen, sim_pick(SIM_SLOTS)), made);
	sim_root_set(sim_pick(ROOTS), sim_pick(2) ? made : seen);
}

/* Comes and goes; the last time it may die without a word, parked or with a frame open. */
static void visitor(void *arg)
{
	unsigned rounds = 1 + sim_pick(3);
	struct gyre_keep frame;
	void *kept[1];

	(void)arg;
	while (rounds-- > 0) {
		sim_attach();
		if (sim_pick(2))
			sim_collect_soon();
		if (sim_pick(2))
			write_some();
		sim_safepoint();
		if (sim_pick(3))
			write_some();
		if (sim_pick(3) == 0) {
			sim_park();
			sim_unpark();
			write_some();
		}
		if (rounds > 0 || sim_pick(3))
			sim_detach();
		else if (sim_pick(2))
			sim_park();
		else if ((kept[0] = sim_root_get(0)) != NULL)
			sim_keep(&frame, kept, 1);
	}
}

static void visitors(void)
{
	static const char *const names[] = { "a", "b", "c" };
	unsigned i;

	sim_open(NULL);
	sim_attach();
	for (i = 0; i < ROOTS; i++)
		sim_root_set(i, sim_new());
	sim_collect_soon();
	sim_park();
	for (i = 0; i < 3; i++)
		sim_start(names[i], visitor, NULL);
	sim_join();
	sim_unpark();
	sim_finish();
}

SIM_SCENARIO(visitors, visitors, false, "threads attach, write, park, detach or die");
