/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * api.c: a fuzz target: a program of calls on three mutators and the schedule it runs in, both made
 * of the input's bytes, in the simulation (tests/sim/), whose oracle judges. The driver, and the
 * coroutines of the simulation.
 *
 *	byte 0     lowest bit: a heap with GYRE_POISON; bits 1-3: how many calls for memory in a
 *	           row are refused, a power of two; bit 4: the engine; bit 5: some operations are
 *	           those of weak cells and finalizers (see what_ends), bit 6: the mutators run the
 *	           finalizers, bit 7: the first of these bring their objects back
 *	byte 1     the number of the first call for memory that is refused; 0: none is
 *	then       the program, two bytes an operation, until END or the input's end:
 *	           bits 0-1 of the first say which mutator (3: all), 2-5 the operation, 6-7 the
 *	           register of a value; bits 0-1 of the second the register of the result, 2-3 that
 *	           of an object, 4-5 a slot or a root, 6-7 whatever the operation makes of them
 *	then       the schedule, a byte a switch: bits 0-1 say which of the threads that can run,
 *	           counted from the current one, bits 2-7 after how many points (see gap_of)
 *
 * Where the schedule has ended, a thread runs until it waits. A mutator has four registers, and a
 * frame of two pointers that is open all the time; a safe point empties the registers and fills two
 * of them with what was kept. A broken twin is run instead if the environment names it (GYRE_TWIN);
 * GYRE_SHOW prints each step.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "oracle.h"
#include "twin.h"

#define MUTATORS 3
#define REGISTERS 4
#define KEPT 2
#define ROOTS 3
#define CELLS 3 /* roots for weak cells, behind the others; one more for what is brought back */
#define BACK 4  /* objects that finalizers bring back, at most */
#define LIVE 24 /* objects, at most */
#define OPERATIONS 256
#define END 0xff

unsigned gyre__twin;

static struct {
	const uint8_t *bytes;
	size_t operations;
	bool poison, ends, host;
	unsigned back; /* objects that finalizers may still bring back */
} program;

struct operation {
	unsigned code, slot, more;
	void **to, *object, *value;
};

struct mutator {
	uint8_t number;
	bool died;
	void *registers[REGISTERS];
	void *kept[KEPT];
	struct gyre_keep keep;
};

static void resume(struct mutator *self)
{
	unsigned i;

	for (i = 0; i < REGISTERS; i++)
		self->registers[i] = i < KEPT ? self->kept[i] : NULL;
}

static void begin(struct mutator *self)
{
	sim_attach();
	sim_keep(&self->keep, self->kept, KEPT);
}

static void finish(struct mutator *self)
{
	sim_unkeep(&self->keep);
	memset(self->kept, 0, sizeof(self->kept));
	sim_detach();
}

static void use_slot(const struct operation *o)
{
	gyre_ref *slot;

	if (o->object == NULL)
		return;
	slot = sim_slot(o->object, o->slot % SIM_SLOTS);
	switch (o->code) {
	case 2:
		*o->to = sim_load(slot);
		break;
	case 3:
		sim_store(slot, o->value);
		break;
	case 4:
		sim_store(slot, NULL);
		break;
	case 5:
		*o->to = sim_exchange(slot, o->value);
		break;
	default:
		sim_compare_exchange(slot, *o->to, o->value);
	}
}

static void use_root(const struct operation *o)
{
	unsigned root = o->slot % ROOTS;

	if (o->code == 7)
		*o->to = sim_root_get(root);
	else if (o->code == 8)
		sim_root_set(root, o->more & 1 ? NULL : o->value);
	else
		*o->to = sim_exchange(sim_root_slot(root), o->value);
}

static void use_slots(const struct operation *o)
{
	struct gyre_mutator *m = sim_mutator();

	if (o->object == NULL)
		return;
	if (o->more & 1)
		sim_insist(gyre_array_fill(m, sim_slot(o->object, 0), SIM_SLOTS, o->value));
	else if (o->value != NULL)
		sim_insist(gyre_array_copy(m, sim_slot(o->object, 0), sim_slot(o->value, 0),
					   SIM_SLOTS));
}

static void make(const struct operation *o)
{
	if (sim_live() >= LIVE)
		return;
	*o->to = program.ends && o->more & 1 ? sim_new_final() : sim_new();
	if (o->code == 1 && o->value != NULL)
		sim_init(sim_slot(*o->to, o->slot % SIM_SLOTS), o->value);
}

static void finalize(void *node)
{
	void *cell, *back = NULL;

	if (program.back == 0)
		return;
	program.back--;
	if (sim_live() < LIVE) {
		cell = sim_weak_of(node);
		back = sim_weak_load(cell);
	}
	sim_root_set(ROOTS + CELLS, back == NULL ? node : back);
}

/* What a callback that is not there yet, or not any more, is registered or taken back for. */
static void notify(const struct operation *o, void *cell)
{
	const struct sim_object *object = o->object == NULL ? NULL : sim_object_at(o->object);

	if (o->more == 3 && object != NULL && (object->owed || object->run))
		sim_rearm(o->object);
	else if (o->more < 2 && cell != NULL)
		sim_notify(cell, o->more == 1 ? GYRE_NOTICE_ALWAYS : 0);
	else if (o->more == 2 && cell != NULL)
		sim_unnotify(cell);
}

/*
 * With bit 5 of byte 0, in place of four others: operation 5 puts the object's weak cell into a
 * root; 6 loads the cell of a root, the object then being the result; 9 registers a callback, or
 * takes one back, or arms the object's finalizer again; 15 runs the finalizers that wait. And
 * operations 0 and 1 make an object with a finalizer, if bit 6 of the second byte is set.
 */
static void what_ends(const struct operation *o)
{
	unsigned root = ROOTS + o->slot % CELLS;
	void *cell;

	if (o->code == 5) {
		if (o->object != NULL && sim_live() < LIVE)
			sim_root_set(root, sim_weak_of(o->object));
		return;
	}
	cell = sim_root_get(root);
	if (o->code == 9)
		notify(o, cell);
	else if (cell != NULL)
		*o->to = sim_weak_load(cell);
}

static bool is_of_ends(const struct operation *o)
{
	return program.ends && (o->code == 5 || o->code == 6 || o->code == 9);
}

/* The operations that are safe points. */
static void pause(struct mutator *self, const struct operation *o)
{
	switch (o->code) {
	case 11:
		if (o->more & 1)
			sim_collect_soon();
		sim_safepoint();
		break;
	case 12:
		sim_park();
		if (o->more > 0)
			sim_sleep((uint64_t)5000 << 2 * o->more);
		sim_unpark();
		break;
	case 13:
		if (o->more == 3)
			sim_verify();
		else
			sim_collect();
		break;
	case 14:
		finish(self);
		begin(self);
		break;
	default:
		/* It dies with its journal and its frame. */
		self->died = o->more == 3;
		if (!self->died)
			sim_finalize_next();
	}
	resume(self);
}

static void execute(struct mutator *self, const uint8_t *bytes)
{
	struct operation o = {
		.code = bytes[0] >> 2 & 15,
		.value = self->registers[bytes[0] >> 6],
		.to = &self->registers[bytes[1] & 3],
		.object = self->registers[bytes[1] >> 2 & 3],
		.slot = bytes[1] >> 4 & 3,
		.more = bytes[1] >> 6,
	};

	if (is_of_ends(&o))
		what_ends(&o);
	else if (o.code < 2)
		make(&o);
	else if (o.code < 7)
		use_slot(&o);
	else if (o.code < 10)
		use_root(&o);
	else if (o.code == 10)
		self->kept[o.slot % KEPT] = o.value;
	else if (o.code == 15 && o.more != 3 && !program.ends)
		use_slots(&o);
	else
		pause(self, &o);
}

static void mutate(void *arg)
{
	struct mutator self = { .number = (uint8_t)(uintptr_t)arg };
	size_t i;

	begin(&self);
	for (i = 0; i < program.operations && !self.died; i++) {
		const uint8_t *bytes = program.bytes + 2 * i;

		if ((bytes[0] & 3) == self.number || (bytes[0] & 3) == MUTATORS)
			execute(&self, bytes);
	}
	if (!self.died)
		finish(&self);
}

static void run(void)
{
	static const char *const names[MUTATORS] = { "a", "b", "c" };
	struct gyre_options options;
	uintptr_t i;

	sim_options(&options);
	options.flags = program.poison ? GYRE_POISON : 0;
	options.finalizing = program.host ? GYRE_FINALIZE_HOST : GYRE_FINALIZE_THREAD;
	sim_starve(true);
	sim_open(&options);
	if (program.ends)
		sim_finals(finalize);
	sim_attach();
	for (i = 0; i < ROOTS; i++)
		sim_root_set((unsigned)i, sim_new());
	for (; program.ends && i <= ROOTS + CELLS; i++)
		sim_root_set((unsigned)i, NULL);
	sim_park();
	for (i = 0; i < MUTATORS; i++)
		sim_start(names[i], mutate, (void *)i);
	sim_join();
	sim_unpark();
	sim_finish();
}

static const struct sim_scenario scenario = { .name = "api",
					      .text = "a program of bytes",
					      .run = run };

/* Points that are passed before a switch: each number up to 32, and some up to 497. */
static unsigned gap_of(uint8_t byte)
{
	unsigned n = byte >> 2;

	return n <= 32 ? n : 32 + (n - 32) * 15;
}

/* The choices of a search that is told all of them: 0, to go on, but for the switches. */
static void read_schedule(const uint8_t *bytes, size_t length)
{
	size_t i;

	/* What the last input wrote. */
	memset(sim_search.chosen, 0, sim_search.follow * sizeof(sim_search.chosen[0]));
	sim_search.bound = UINT32_MAX;
	sim_search.depth = sim_search.spent = sim_search.follow = 0;
	for (i = 0; i < length; i++) {
		unsigned at = sim_search.follow + gap_of(bytes[i]);

		if (at >= SIM_CHOICES)
			break;
		sim_search.chosen[at] = 1 + (bytes[i] & 3);
		sim_search.follow = at + 1;
	}
}

static void read_program(const uint8_t *bytes, size_t length)
{
	size_t n = 0;

	while (n < OPERATIONS && 2 * n + 1 < length && bytes[2 * n] != END)
		n++;
	program.bytes = bytes;
	program.operations = n;
	n = 2 * n < length && bytes[2 * n] == END ? 2 * n + 1 : 2 * n;
	read_schedule(bytes + n, length - n);
}

static void read_environment(void)
{
	static const char *const twins[] = { "",
#define TWIN_NAME(name, engines, text) #name,
					     GYRE_TWINS(TWIN_NAME)
#undef TWIN_NAME
	};
	const char *twin = getenv("GYRE_TWIN");

	sim.failed = abort;
	sim.verbose = getenv("GYRE_SHOW") != NULL;
	if (twin == NULL)
		return;
	for (gyre__twin = 1; strcmp(twins[gyre__twin], twin) != 0; gyre__twin++)
		if (gyre__twin == GYRE_TWIN_COUNT - 1) {
			fprintf(stderr, "no twin is called %s\n", twin);
			exit(2);
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct sim_plan plan = { .kind = SIM_SEARCH };

	if (sim.failed == NULL)
		read_environment();
	if (length < 2)
		return 0;
	program.poison = bytes[0] & 1;
	program.ends = bytes[0] >> 5 & 1;
	program.host = bytes[0] >> 6 & 1;
	program.back = bytes[0] >> 7 ? BACK : 0;
	plan.seed = bytes[0] >> 4 & 1; /* the engine */
	plan.refuse_at = bytes[1];
	plan.refuse_run = bytes[1] == 0 ? 0 : (uint64_t)1 << (bytes[0] >> 1 & 7);
	read_program(bytes + 2, length - 2);
	sim_run_schedule(&scenario, &plan);
	return 0;
}
