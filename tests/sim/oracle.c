/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * oracle.c: what is true, and whether the library acts by it. Runs inside points and calls, on the
 * coroutine that is there, with the points muted.
 *
 * It keeps an account of its own of every object: where it is, where its slots are, whether it has
 * been freed. The graph is read from memory at the moment of each judgement: from the roots that
 * the scenario made, the open keep frames of each mutator, and what each mutator holds, through the
 * slots. Nothing of the collector's is believed, nor looked at.
 *
 * Judged: at each freeing, that the object was there, and that nothing reaches it (nor any freed
 * object); at each access to a slot, that its object is not freed; after each gyre_collect, that
 * what was garbage at the call is gone; at the end, that what is left is what is reached.
 */
#include "core.h"

#include <stdio.h>
#include <string.h>

#include "heap.h"
#include "mutator.h"
#include "oracle.h"
#include "slab.h"

#define OBJECTS 1024 /* places that objects of one schedule have been in */
#define TABLE 2048   /* a power of two */

static struct {
	struct sim_object objects[OBJECTS];
	unsigned count;
	uint16_t table[TABLE]; /* index + 1, by place */
	uint32_t made; /* objects, so far */
	uint32_t marking;
	struct sim_object *stack[OBJECTS];
	unsigned depth;
	struct gyre_root roots[SIM_ROOTS];
	bool root_made[SIM_ROOTS];
} oracle;

void sim_oracle_reset(void)
{
	oracle.count = 0;
	oracle.made = oracle.marking = 0;
	memset(oracle.table, 0, sizeof(oracle.table));
	memset(oracle.root_made, 0, sizeof(oracle.root_made));
}

static uint16_t *entry_of(const void *at)
{
	size_t i = ((uintptr_t)at >> 4) * 0x9e3779b97f4a7c15u >> 53;

	while (oracle.table[i] != 0 && oracle.objects[oracle.table[i] - 1].at != at)
		i = (i + 1) % TABLE;
	return &oracle.table[i];
}

struct sim_object *sim_object_at(const void *at)
{
	uint16_t index = *entry_of(at);

	return index == 0 ? NULL : &oracle.objects[index - 1];
}

struct sim_object *sim_object_add(void *at, gyre_ref *slots, size_t count)
{
	static const struct gyre__site site = { "sim_new", "MADE", SIM_SITE_POINT };
	uint16_t *entry = entry_of(at);
	struct sim_object *object;

	sim_note(&site, at);
	if (*entry == 0) {
		if (oracle.count == OBJECTS)
			sim_fail("more than %d objects", OBJECTS);
		*entry = (uint16_t)++oracle.count;
		oracle.objects[*entry - 1] = (struct sim_object){ .at = at };
	}
	object = &oracle.objects[*entry - 1];
	if (object->live)
		sim_fail("object %u was made where object %u lives", oracle.made + 1,
			 object->number);
	object->number = ++oracle.made;
	object->live = true;
	object->slots = slots;
	object->count = count;
	object->heap = sim.current->heap;
	object->mark = 0;
	return object;
}

struct gyre_root *sim_root(unsigned i)
{
	return &oracle.roots[i];
}

bool *sim_root_made(unsigned i)
{
	return &oracle.root_made[i];
}

static uintptr_t value_of(const gyre_ref *slot)
{
	return atomic_load_explicit(&slot->word, memory_order_relaxed) & ~GYRE_TAG_MASK;
}

/* by: what refers to it; NULL: a root, a frame or a thread, as `how` says. */
static void reach(const void *at, const struct sim_object *by, const char *how)
{
	struct sim_object *object;

	if (at == NULL)
		return;
	object = sim_object_at(at);
	if (object == NULL)
		sim_fail("%s refers to %p, where no object ever was", how, at);
	if (!object->live && by != NULL)
		sim_fail("object %u, which is reachable, refers to object %u, which is freed",
			 by->number, object->number);
	if (!object->live)
		sim_fail("%s refers to object %u, which is freed", how, object->number);
	if (object->mark == oracle.marking)
		return;
	object->mark = oracle.marking;
	oracle.stack[oracle.depth++] = object;
}

const void *sim_kept(const struct gyre_keep *keep, size_t i)
{
	const void *value;

	if (keep->addresses == NULL)
		return keep->values[i];
	memcpy(&value, keep->addresses[i], sizeof(value));
	return value;
}

static void reach_member(const struct sim_member *member)
{
	const struct gyre_keep *keep;
	size_t i;

	if (member->m == NULL)
		return;
	for (keep = member->m->head.keeps; keep != NULL; keep = keep->outer)
		for (i = 0; i < keep->count; i++)
			reach(sim_kept(keep, i), NULL, "a keep frame");
	for (i = 0; i < member->held_count; i++)
		reach(member->held[i], NULL, "a thread");
}

/* Marks what is reachable now. */
static void mark(void)
{
	unsigned i, n;

	oracle.marking++;
	oracle.depth = 0;
	for (i = 0; i < SIM_ROOTS; i++)
		if (oracle.root_made[i])
			reach((const void *)value_of(&oracle.roots[i].slot), NULL, "a root");
	for (i = 0; i < sim.count; i++)
		for (n = 0; n < SIM_HEAPS; n++)
			reach_member(&sim.threads[i].member[n]);
	while (oracle.depth > 0) {
		const struct sim_object *object = oracle.stack[--oracle.depth];

		for (n = 0; n < object->count; n++)
			reach((const void *)value_of(&object->slots[n]), object, "an object");
	}
}

void gyre__sim_freeing(const void *at)
{
	static const struct gyre__site site = { "gyre__free_cell", "FREED", SIM_SITE_POINT };
	struct sim_object *object = sim_object_at(at);

	sim_note(&site, at);
	if (object == NULL)
		sim_fail("what is freed at %p never was an object", at);
	if (!object->live)
		sim_fail("object %u is freed twice", object->number);
	mark();
	if (object->mark == oracle.marking)
		sim_fail("object %u is freed and is reachable", object->number);
	object->live = false;
}

void sim_oracle_access(const struct gyre__site *site, const void *address)
{
	const struct gyre__arena *arena = gyre__arena_of(address);
	const struct gyre__slab *slab;
	const struct sim_object *object;

	/* The tables at the arena's front. */
	if ((const char *)address < (const char *)arena + GYRE_SLAB_BYTES)
		return;
	sim.muted = true;
	slab = gyre__slab_holding(&arena->heap->slabs, address);
	sim.muted = false;
	object = sim_object_at(gyre__cell(slab, gyre__cell_index(slab, address)));
	if (object == NULL)
		sim_fail("%s (%s): a slot where no object ever was", site->function, site->what);
	if (!object->live)
		sim_fail("%s (%s): a slot of object %u, which is freed", site->function,
			 site->what, object->number);
}

void sim_oracle_thread_ends(struct sim_thread *thread)
{
	/* Its frames are gone with its stack. gyre learns that it has ended by its leavings. */
	memset(thread->member, 0, sizeof(thread->member));
}

unsigned sim_garbage(uint32_t *numbers, unsigned most)
{
	unsigned i, count = 0;

	mark();
	for (i = 0; i < oracle.count && count < most; i++)
		if (oracle.objects[i].live && oracle.objects[i].heap == sim.current->heap &&
		    oracle.objects[i].mark != oracle.marking)
			numbers[count++] = oracle.objects[i].number;
	return count;
}

unsigned sim_live(void)
{
	unsigned i, count = 0;

	for (i = 0; i < oracle.count; i++)
		count += oracle.objects[i].live && oracle.objects[i].heap == sim.current->heap;
	return count;
}

static void mix_reference(uint64_t *sum, uint64_t place, uintptr_t at)
{
	uint64_t state = place << 32 | (at == 0 ? 0 : sim_number((const void *)at));

	*sum += sim_random(&state);
}

uint64_t sim_graph(void)
{
	uint64_t sum = 0;
	unsigned i, n;

	for (i = 0; i < SIM_ROOTS; i++)
		if (oracle.root_made[i])
			mix_reference(&sum, i + 1, value_of(&oracle.roots[i].slot));
	for (i = 0; i < oracle.count; i++) {
		const struct sim_object *object = &oracle.objects[i];

		if (!object->live || object->heap != sim.current->heap)
			continue;
		for (n = 0; n < object->count; n++)
			mix_reference(&sum, SIM_ROOTS + object->number * 1024 + n,
				      value_of(&object->slots[n]));
	}
	return sum;
}

uint32_t sim_number(const void *at)
{
	return sim_object_at(at)->number;
}

bool sim_is_live(uint32_t number)
{
	unsigned i;

	for (i = 0; i < oracle.count; i++)
		if (oracle.objects[i].number == number)
			return oracle.objects[i].live;
	return false;
}

bool sim_is_journal_bytes(const void *address)
{
	unsigned i;

	for (i = 0; i < SIM_HEAPS; i++)
		if (sim.heaps[i] != NULL &&
		    address == (const void *)&sim.heaps[i]->shared.journal_bytes)
			return true;
	return false;
}

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
		if (!oracle.root_made[i])
			continue;
		printf("  root %u:", i);
		print_reference((const void *)value_of(&oracle.roots[i].slot));
		printf("\n");
	}
	for (i = 0; i < sim.count; i++)
		for (n = 0; n < SIM_HEAPS; n++)
			print_member(&sim.threads[i].member[n], sim.threads[i].name);
}

void sim_print_graph(void)
{
	unsigned i, n;

	printf("objects (number: slots) and what holds them:\n");
	for (i = 0; i < oracle.count; i++) {
		const struct sim_object *object = &oracle.objects[i];

		if (!object->live)
			continue;
		printf("  object %u:", object->number);
		for (n = 0; n < object->count; n++)
			print_reference((const void *)value_of(&object->slots[n]));
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
	unsigned i;

	text[0] = 0;
	for (i = 0; i < oracle.count; i++) {
		const struct sim_object *object = &oracle.objects[i];

		if (within(address, object->slots, object->count * sizeof(gyre_ref))) {
			snprintf(text, bytes, "object %u, slot %zu%s", object->number,
				 (size_t)((const gyre_ref *)address - object->slots),
				 object->live ? "" : ", freed");
			return;
		}
	}
	for (i = 0; i < SIM_ROOTS; i++)
		if (within(address, &oracle.roots[i], sizeof(oracle.roots[i])))
			snprintf(text, bytes, "root %u", i);
	for (i = 0; i < sim.count * SIM_HEAPS; i++) {
		const struct sim_thread *thread = &sim.threads[i / SIM_HEAPS];
		const struct gyre_mutator *m = thread->member[i % SIM_HEAPS].m;

		if (m != NULL && within(address, m, sizeof(*m)))
			snprintf(text, bytes, "mutator %s", thread->name);
	}
}
