/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * oracle_print.c: the oracle's account in words, for reports of failures and the steps of a replay:
 * the graph with what holds it, and whose word an address is. Runs where a schedule has failed or a
 * step is printed, on the coroutine that is there.
 *
 * Invariant: it changes nothing, neither of the account nor of the schedule.
 */
#include "core.h"

#include <stdio.h>

#include "mutator.h"
#include "oracle.h"
#include "side.h"

static void print_reference(const void *at)
{
	const struct sim_object *object = at == NULL ? NULL : sim_object_at(at);

	if (object == NULL)
		printf(" -");
	else
		printf(" %u%s", object->number, object->live ? "" : "(freed)");
}

static void print_member(const struct sim_member *member, const char *name)
{
	const struct gyre_keep *keep;
	unsigned n;

	if (member->m == NULL)
		return;
	printf("  %s: %s, holds", name, member->is_parked ? "parked" : "runs");
	for (n = 0; n < member->held_count; n++)
		print_reference(member->held[n]);
	printf("; keeps");
	for (keep = member->m->head.keeps; keep != NULL; keep = keep->outer)
		for (n = 0; n < keep->count; n++)
			print_reference(sim_kept(keep, n));
	printf("\n");
}

static void print_owners(void)
{
	unsigned i, n;

	for (i = 0; i < SIM_ROOTS; i++) {
		if (!*sim_root_made(i))
			continue;
		printf("  root %u:", i);
		print_reference((const void *)sim_value_of(&sim_root(i)->slot));
		printf("\n");
	}
	for (i = 0; i < sim.count; i++)
		for (n = 0; n < SIM_HEAPS; n++)
			print_member(&sim.threads[i].member[n], sim.threads[i].name);
}

static void print_ends(const struct sim_object *object)
{
	if (object->kind == SIM_CELL) {
		printf(" weak cell of");
		print_reference(object->target);
		printf("%s%s", object->null ? ", read null" : "",
		       object->cleared ? ", cleared" : "");
		return;
	}
	if (sim_beside(object, GYRE_SIDE_WEAK) != NULL) {
		printf(", weak cell");
		print_reference(sim_beside(object, GYRE_SIDE_WEAK));
	}
	if (sim_beside(object, GYRE_SIDE_ATTACHMENT) != NULL) {
		printf(", attachment");
		print_reference(sim_beside(object, GYRE_SIDE_ATTACHMENT));
	}
	printf("%s%s%s", object->owed ? ", to be finalized" : "",
	       object->run ? ", was finalized" : "", object->dead ? ", found dead" : "");
}

void sim_print_graph(void)
{
	const struct sim_object *object;
	unsigned i, n;

	printf("objects (number: slots) and what holds them:\n");
	for (i = 0; (object = sim_object_nth(i)) != NULL; i++) {
		if (!object->live)
			continue;
		printf("  object %u:", object->number);
		for (n = 0; n < object->count; n++)
			print_reference((const void *)sim_value_of(&object->slots[n]));
		print_ends(object);
		printf("\n");
	}
	print_owners();
}

static bool within(const void *address, const void *start, size_t bytes)
{
	return (uintptr_t)address - (uintptr_t)start < bytes;
}

void sim_describe(const void *address, char *text, size_t bytes)
{
	const struct sim_object *object;
	unsigned i;

	text[0] = 0;
	for (i = 0; (object = sim_object_nth(i)) != NULL; i++) {
		if (within(address, object->slots, object->count * sizeof(gyre_ref))) {
			snprintf(text, bytes, "object %u, slot %zu%s", object->number,
				 (size_t)((const gyre_ref *)address - object->slots),
				 object->live ? "" : ", freed");
			return;
		}
	}
	for (i = 0; i < SIM_ROOTS; i++)
		if (within(address, sim_root(i), sizeof(*sim_root(i))))
			snprintf(text, bytes, "root %u", i);
	for (i = 0; i < sim.count * SIM_HEAPS; i++) {
		const struct sim_thread *thread = &sim.threads[i / SIM_HEAPS];
		const struct gyre_mutator *m = thread->member[i % SIM_HEAPS].m;

		if (m != NULL && within(address, m, sizeof(*m)))
			snprintf(text, bytes, "mutator %s", thread->name);
	}
}
