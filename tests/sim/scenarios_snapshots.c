/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenarios_snapshots.c: snapshots while mutators write. Runs in coroutines.
 *
 * What is expected with the engine tagged: each mutator is shown as it was between two of its safe
 * points, so two slots that it makes equal before each of them are equal; what nothing holds any
 * more when the call is made is garbage; each count is made up of references and holders. When all
 * are at rest, with both engines, that the snapshot is the graph that the oracle reads from memory.
 */
#include "oracle.h"
#include "sim.h"
#include "world.h"

#define WRITERS 2
#define OWN WRITERS /* the root of who takes snapshots */

static struct gyre_snapshot *take(void)
{
	struct gyre_mutator *m = sim_mutator();
	struct gyre_snapshot *s = NULL;

	sim_let_go();
	sim_self()->is_parked = true;
	sim_expect(gyre_snapshot_take(m, &s), "gyre_snapshot_take");
	sim_go_on();
	return s;
}

struct sum {
	uint32_t node[SIM_SLOTS];
	uint64_t count;
	bool unnamed;
};

static bool add_reference(void *arg, uint32_t node, uint64_t index)
{
	struct sum *sum = arg;

	if (index < SIM_SLOTS)
		sum->node[index] = node;
	sum->count++;
	return true;
}

static bool add_holder(void *arg, const struct gyre_snapshot_holder *holder)
{
	struct sum *sum = arg;

	sum->unnamed = sum->unnamed || (holder->by == GYRE_HELD_BY_OTHER && holder->name == NULL);
	sum->count++;
	return true;
}

static bool is_reachable(struct gyre_snapshot *s, uint32_t node)
{
	struct gyre_snapshot_holder holder;
	size_t length = 0;

	gyre_snapshot_path(s, node, NULL, &length, &holder);
	return length > 0;
}

static void check_counts(struct gyre_snapshot *s)
{
	struct gyre_snapshot_totals totals = { .size = sizeof(totals) };
	uint32_t node;

	sim_check(gyre_snapshot_total(s, &totals) == GYRE_OK);
	for (node = 0; node < totals.objects; node++) {
		struct gyre_snapshot_object object = { .size = sizeof(object) };
		struct sum sum = { .count = 0 };

		gyre_snapshot_object(s, node, &object);
		gyre_snapshot_referrers(s, node, add_reference, &sum);
		gyre_snapshot_holders(s, node, add_holder, &sum);
		sim_check(sum.unnamed ? sum.count <= object.count : sum.count == object.count);
	}
}

static void check_twins(struct gyre_snapshot *s, const void *holder)
{
	uint32_t node = gyre_snapshot_find(s, holder);
	struct sum sum = { .count = 0 };

	sim_check(node != GYRE_NO_NODE && is_reachable(s, node));
	sim_check(gyre_snapshot_referents(s, node, add_reference, &sum) == GYRE_OK);
	sim_check(sum.count >= 2 && sum.node[0] == sum.node[1]);
}

static void *make_holder(void)
{
	void *holder = sim_new(), *same = sim_new();

	sim_init(sim_slot(holder, 0), same);
	sim_init(sim_slot(holder, 1), same);
	return holder;
}

static void writer(void *number)
{
	unsigned i, rounds = 4 + sim_pick(12), self = (unsigned)(uintptr_t)number;

	sim_attach();
	for (i = 0; i < rounds; i++) {
		void *holder = sim_root_get(self), *made = sim_new();
		void *other = sim_root_get((self + 1) % WRITERS);

		sim_store(sim_slot(holder, 0), made);
		sim_store(sim_slot(holder, 1), made);
		if (sim_pick(2))
			sim_store(sim_slot(holder, 2), sim_load(sim_slot(other, sim_pick(3))));
		if (sim_pick(3) == 0)
			sim_init(sim_slot(made, 0), sim_pick(2) ? made : sim_new());
		if (sim_pick(4) == 0)
			sim_park(), sim_unpark();
		else
			sim_safepoint();
	}
	sim_detach();
}

static void asker(void *tagged)
{
	void *holders[WRITERS], *dropped;
	struct gyre_snapshot *s;
	unsigned i, rounds = 1 + sim_pick(4);

	sim_attach();
	while (rounds-- > 0) {
		dropped = sim_new();
		sim_root_set(OWN, dropped);
		if (sim_pick(2))
			sim_safepoint();
		sim_root_set(OWN, NULL);
		for (i = 0; i < WRITERS; i++)
			holders[i] = sim_root_get(i);
		s = take();
		for (i = 0; i < WRITERS && tagged != NULL; i++)
			check_twins(s, holders[i]);
		if (tagged != NULL) {
			uint32_t node = gyre_snapshot_find(s, dropped);

			sim_check(node == GYRE_NO_NODE || !is_reachable(s, node));
			check_counts(s);
		}
		gyre_snapshot_free(s);
	}
	sim_detach();
}

static bool is_garbage(const struct sim_object *object, const uint32_t *numbers, unsigned count)
{
	while (count-- > 0)
		if (numbers[count] == object->number)
			return true;
	return false;
}

/* With nobody else there. */
static void compare_with_oracle(void)
{
	struct gyre_snapshot *s = take();
	const struct sim_object *object;
	uint32_t garbage[256];
	unsigned n, count = sim_garbage(garbage, 256, false);
	size_t k, filled;

	for (n = 0; (object = sim_object_nth(n)) != NULL; n++) {
		uint32_t node = gyre_snapshot_find(s, object->at);
		struct sum sum = { .count = 0 };

		if (!object->live || is_garbage(object, garbage, count)) {
			sim_check(node == GYRE_NO_NODE || !is_reachable(s, node));
			continue;
		}
		sim_check(node != GYRE_NO_NODE && is_reachable(s, node));
		gyre_snapshot_referents(s, node, add_reference, &sum);
		for (k = filled = 0; k < object->count; k++) {
			const void *value = (const void *)sim_value_of(&object->slots[k]);

			if (value != NULL)
				sim_check(sum.node[filled++] == gyre_snapshot_find(s, value));
		}
		sim_check(sum.count == filled);
	}
	gyre_snapshot_free(s);
}

static void snapshots(void)
{
	struct gyre_options options;
	unsigned i;

	sim_options(&options);
	sim_open(&options);
	sim_attach();
	for (i = 0; i < WRITERS; i++)
		sim_root_set(i, make_holder());
	sim_root_set(OWN, NULL);
	if (sim_pick(2))
		sim_collect();
	sim_park();
	for (i = 0; i < WRITERS; i++)
		sim_start("writer", writer, (void *)(uintptr_t)i);
	sim_start("asker", asker, options.engine == GYRE_ENGINE_TAGGED ? (void *)&options : NULL);
	sim_join();
	sim_unpark();
	compare_with_oracle();
	sim_finish();
}

SIM_SCENARIO(snapshots, snapshots, false, "snapshots while two mutators write");
