/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenarios_epochs.c: what depends on which epoch something happens in: how soon garbage is gone,
 * references that come and go in one epoch, holds that outlive a boundary, passes that take
 * several. Runs in coroutines.
 */
#include "sim.h"

#define WORKING_ROOT 8 /* from here on roots that a scenario uses in passing */

/*
 * Promises: garbage that is no cycle is gone after the second boundary that follows (the third, if
 * it is newborn), a cycle that the near pass finds after the fourth, and so is a chain of cycles,
 * in whichever order their roots are dropped and whichever way the edges between them lead. The
 * processing of a boundary is over when the next one is opened.
 */
#define CHAIN 3
#define LINES 2

static struct {
	bool fresh; /* made in the epoch in which they are dropped */
	uint64_t far_passes;
	uint32_t lines[LINES], cycles[CHAIN];
} promised;

static void await_epoch(uint64_t epoch)
{
	while (sim_newest_epoch() < epoch)
		sim_boundaries(1);
}

static void expect_gone(const uint32_t *numbers, unsigned count, unsigned boundary)
{
	/* What a far pass has in hand is left to it. */
	if (sim_far_passes() != promised.far_passes)
		return;
	while (count-- > 0)
		if (sim_is_live(numbers[count]))
			sim_fail("object %u is still there after boundary %u", numbers[count],
				 boundary);
}

static void make_promised(void)
{
	unsigned i, forward = sim_pick(2);
	void *line = sim_new();

	for (i = 0; i < CHAIN; i++) {
		sim_root_set(i, sim_new_cycle());
		promised.cycles[i] = sim_number(sim_root_get(i));
	}
	for (i = 1; i < CHAIN; i++)
		sim_store(sim_slot(sim_root_get(forward ? i - 1 : i), 1),
			  sim_root_get(forward ? i : i - 1));
	promised.lines[0] = sim_number(line);
	sim_root_set(CHAIN, line);
	sim_init(sim_slot(line, 0), sim_new());
	promised.lines[1] = sim_number(sim_load(sim_slot(line, 0)));
}

static void drop_promised(void *arg)
{
	unsigned first = sim_pick(CHAIN), step = 1 + sim_pick(CHAIN - 1), i;
	uint64_t epoch;

	(void)arg;
	sim_attach();
	/* What is stored in a window is counted once more, for an epoch: who lets go of it makes a
	 * candidate of it, perhaps before what refers to it is one. */
	while (sim_in_window()) {
		sim_safepoint();
		sim_sleep(500);
	}
	if (promised.fresh)
		make_promised();
	sim_root_set(CHAIN, NULL);
	for (i = 0; i < CHAIN; i++)
		sim_root_set((first + i * step) % CHAIN, NULL);
	epoch = sim_epoch();
	/* A newborn is a candidate when its birth is over, and freed by the list of candidates. */
	await_epoch(epoch + (promised.fresh ? 4 : 3));
	expect_gone(promised.lines, LINES, promised.fresh ? 3 : 2);
	await_epoch(epoch + 5);
	expect_gone(promised.cycles, CHAIN, 4);
	sim_detach();
}

/* Keeps boundaries coming and others waiting. */
static void bystander(void *arg)
{
	unsigned rounds = 4 + sim_pick(8);

	(void)arg;
	sim_attach();
	while (rounds-- > 0) {
		sim_root_set(WORKING_ROOT, sim_new());
		sim_collect_soon();
		if (sim_pick(2))
			sim_boundaries(1);
		else
			sim_safepoint();
	}
	sim_detach();
}

static void promises(void)
{
	sim_open(NULL);
	sim_attach();
	promised.fresh = sim_pick(2);
	if (!promised.fresh)
		make_promised();
	/* What a near pass has found live is left to the far pass; after one it is not. */
	sim_collect();
	promised.far_passes = sim_far_passes();
	sim_park();
	sim_start("dropper", drop_promised, NULL);
	sim_start("other", bystander, NULL);
	sim_end();
}

/*
 * A cycle that only a frame holds, while the collector may have it for a candidate set; after a few
 * boundaries it is given back to a root, or to nobody.
 */
static void reviver(void *arg)
{
	unsigned rounds = 1 + sim_pick(3);
	void *kept[1] = { NULL };
	struct gyre_keep frame;

	(void)arg;
	sim_attach();
	sim_keep(&frame, kept, 1);
	while (rounds-- > 0) {
		kept[0] = sim_root_get(0);
		sim_boundaries(sim_pick(5));
		if (kept[0] != NULL && sim_pick(3))
			sim_root_set(sim_pick(2), kept[0]);
		kept[0] = NULL;
		sim_boundaries(sim_pick(2));
	}
	sim_unkeep(&frame);
	sim_detach();
}

static void burier(void *arg)
{
	unsigned rounds = 2 + sim_pick(3);

	(void)arg;
	sim_attach();
	while (rounds-- > 0) {
		if (sim_pick(2))
			sim_root_set(1, sim_root_get(0));
		sim_root_set(0, sim_pick(4) ? NULL : sim_new_cycle());
		sim_collect_soon();
		sim_safepoint();
		sim_root_set(1, NULL);
		sim_boundaries(sim_pick(4));
	}
	sim_detach();
}

static void revived(void)
{
	sim_open(NULL);
	sim_attach();
	sim_root_set(0, sim_new_cycle());
	sim_root_set(1, NULL);
	sim_collect_soon();
	sim_park();
	sim_start("reviver", reviver, NULL);
	sim_start("burier", burier, NULL);
	sim_end();
}

/*
 * One epoch: objects go through two roots; one mutator stores them, another takes them on, a third
 * drops them. So an object's increments and decrements of one epoch are in different journals, one
 * of which may be an epoch ahead.
 */
static void passer(void *arg)
{
	unsigned from = *(const unsigned *)arg, rounds = 3 + sim_pick(8);

	sim_attach();
	while (rounds-- > 0) {
		void *thing = from == 0 ? sim_new() : sim_root_get(from - 1);

		if (from > 0)
			sim_root_set(from - 1, NULL);
		if (from < 2 && thing != NULL)
			sim_root_set(from, thing);
		if (sim_pick(3) == 0)
			sim_collect_soon();
		if (sim_pick(2))
			sim_safepoint();
	}
	sim_detach();
}

static void one_epoch(void)
{
	static const unsigned from[] = { 0, 1, 2 };

	sim_open(NULL);
	sim_attach();
	sim_root_set(0, NULL);
	sim_root_set(1, NULL);
	sim_park();
	sim_start("maker", passer, (void *)&from[0]);
	sim_start("passer", passer, (void *)&from[1]);
	sim_start("dropper", passer, (void *)&from[2]);
	sim_end();
}

/*
 * Claimed: a thread that runs only shortly between two parks. It may do its boundary by itself
 * after the collector has found it parked and behind, write, and park again before it is claimed.
 * What it wrote then belongs to the next boundary, at which it is still parked.
 */
static void short_runner(void *arg)
{
	uint32_t old;
	uint64_t epoch;

	(void)arg;
	sim_attach();
	old = sim_number(sim_root_get(0));
	sim_collect_soon();
	sim_park();
	sim_unpark();
	sim_root_set(0, sim_new());
	epoch = sim_epoch();
	sim_park();
	while (sim_newest_epoch() < epoch + 3) {
		sim_collect_soon();
		sim_sleep(5000);
	}
	sim_check(!sim_is_live(old));
	sim_unpark();
	sim_detach();
}

static void claimed(void)
{
	sim_open(NULL);
	sim_attach();
	sim_root_set(0, sim_new());
	sim_collect();
	sim_park();
	sim_start("runner", short_runner, NULL);
	sim_end();
}

/*
 * Far passes that take several epochs (an epoch is a few steps here), one after another, while
 * rings are closed, opened and let go of behind and before them. What a pass has judged by how it
 * was before is left to the next one; at the end that must find all of it.
 */
static void open_short(void)
{
	struct gyre_options options;

	sim_options(&options);
	options.epoch_ns = 3000;
	sim_open(&options);
	sim_attach();
}

static void full_collector(void *arg)
{
	unsigned rounds = 1 + sim_pick(3);

	(void)arg;
	sim_attach();
	while (rounds-- > 0) {
		sim_collect();
		if (sim_pick(2))
			sim_boundaries(sim_pick(4));
	}
	sim_detach();
}

/* a is held by root 0; x and t hang on root 1; the edge from a to x closes the ring. */
static void ring_closer(void *arg)
{
	unsigned rounds = 1 + sim_pick(4);

	(void)arg;
	sim_attach();
	while (rounds-- > 0) {
		void *a = sim_new(), *x = sim_new(), *t = sim_new();

		sim_init(sim_slot(x, 0), t);
		sim_init(sim_slot(t, 0), a);
		sim_root_set(0, a);
		sim_root_set(1, x);
		sim_boundaries(sim_pick(4));
		a = sim_root_get(0);
		x = sim_root_get(1);
		if (a == NULL || x == NULL)
			continue;
		sim_root_set(1, NULL);
		sim_store(sim_slot(a, 0), x);
		if (sim_pick(2))
			sim_safepoint();
		sim_root_set(0, NULL);
		sim_boundaries(sim_pick(3));
	}
	sim_detach();
}

static void far_moved(void)
{
	unsigned i;

	open_short();
	for (i = 2; i < 5; i++)
		sim_root_set(i, sim_new_cycle());
	sim_root_set(0, NULL);
	sim_root_set(1, NULL);
	sim_park();
	sim_start("closer", ring_closer, NULL);
	sim_start("far", full_collector, NULL);
	sim_end();
}

/*
 * Refurbish: a set is refused, and a member of it has died by its count meanwhile. A pair lives at
 * root 0; an edge within it comes and goes, so a pass may take the pair and what hangs on it for
 * dead; and what hangs on it is cut off and replaced.
 */
static void unsteady(void *arg)
{
	unsigned rounds = 4 + sim_pick(12);

	(void)arg;
	sim_attach();
	while (rounds-- > 0) {
		void *first = sim_root_get(0), *second = sim_load(sim_slot(first, 0));

		sim_store(sim_slot(second, 1), sim_pick(2) ? first : NULL);
		if (sim_pick(2))
			sim_store(sim_slot(second, 1), NULL);
		sim_safepoint();
	}
	sim_detach();
}

static void cutter(void *arg)
{
	unsigned rounds = 4 + sim_pick(12);

	(void)arg;
	sim_attach();
	while (rounds-- > 0) {
		unsigned slot = 1 + sim_pick(2);

		sim_store(sim_slot(sim_root_get(0), slot),
			  sim_pick(3) == 0 ? NULL :
			  sim_pick(2)	   ? sim_new() :
					     sim_new_cycle());
		if (sim_pick(2))
			sim_collect_soon();
		if (sim_pick(3) == 0)
			sim_boundaries(1 + sim_pick(2));
		else
			sim_safepoint();
	}
	sim_detach();
}

static void refurbish(void)
{
	if (sim_pick(2)) {
		open_short();
	} else {
		sim_open(NULL);
		sim_attach();
	}
	sim_root_set(0, sim_new_cycle());
	sim_park();
	sim_start("unsteady", unsteady, NULL);
	sim_start("cutter", cutter, NULL);
	sim_start("far", full_collector, NULL);
	sim_end();
}

/*
 * Unborn: x dies at the boundary at which a store of n into x is counted, and n is younger still.
 * The maker, behind, cuts x off; goes on into the next epoch and the one after; makes n there. The
 * holder, between, has got hold of x before and stores n into it. So n is counted up by the store
 * and down by the death of x, both before its birth is known.
 */
static void unborn_maker(void *arg)
{
	uint64_t epoch;
	unsigned i;

	(void)arg;
	sim_attach();
	epoch = sim_epoch();
	sim_root_set(0, NULL);
	for (i = 0; i < 24 && sim_epoch() < epoch + 2; i++) {
		sim_collect_soon();
		sim_safepoint();
	}
	sim_root_set(1, sim_new());
	sim_detach();
}

static void unborn_holder(void *arg)
{
	void *x, *n = NULL;
	uint64_t epoch;
	unsigned i;

	(void)arg;
	sim_attach();
	epoch = sim_epoch();
	for (i = 0; i < 24 && sim_epoch() == epoch; i++) {
		sim_collect_soon();
		sim_safepoint();
	}
	x = sim_root_get(0);
	for (i = 0; i < 400 && x != NULL && n == NULL; i++)
		n = sim_root_get(1);
	if (n != NULL)
		sim_store(sim_slot(x, 0), n);
	sim_detach();
}

static void unborn(void)
{
	sim_open(NULL);
	sim_attach();
	sim_root_set(0, sim_new());
	sim_collect();
	sim_park();
	sim_start("maker", unborn_maker, NULL);
	sim_start("holder", unborn_holder, NULL);
	sim_end();
}

SIM_SCENARIO(promises, promises, false, "what is gone after the second and the fourth boundary");
SIM_SCENARIO(revived, revived, false, "a cycle that a frame held is given back to a root");
SIM_SCENARIO(one_epoch, one_epoch, false, "objects handed through three threads within an epoch");
SIM_SCENARIO(claimed, claimed, true, "a thread runs shortly between two parks");
SIM_SCENARIO(far_moved, far_moved, false, "rings closed and let go of during long far passes");
SIM_SCENARIO(refurbish, refurbish, false, "a member of a refused set has died by its count");
SIM_SCENARIO(unborn, unborn, false, "counted up and down before its birth is known");
