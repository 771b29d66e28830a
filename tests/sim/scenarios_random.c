/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenarios_random.c: programs drawn from the seed: a few mutators with a few registers each, on a
 * few objects, who do anything that the interface allows, in any order.
 */
#include "sim.h"

#define REGISTERS 4
#define KEPT 2
#define SHARED_ROOTS 3
#define OBJECTS 12

struct program {
	void *registers[REGISTERS];
	void *kept[KEPT]; /* of a keep frame that is open all the time */
	unsigned one_in; /* of that many operations that are safe points one is made */
	bool alone;      /* nobody else writes, and nothing depends on what is freed when */
};

/* After a safe point only what was kept is valid. */
static void forget(struct program *p)
{
	unsigned i;

	for (i = 0; i < REGISTERS; i++)
		p->registers[i] = i < KEPT ? p->kept[i] : NULL;
}

static void make(struct program *p, void **to, void *other)
{
	if (p->alone ? sim_pick(3) == 0 : sim_live() >= OBJECTS)
		return;
	*to = sim_new();
	if (other != NULL && sim_pick(2))
		sim_init(sim_slot(*to, 0), other);
	if (sim_pick(2))
		p->kept[sim_pick(KEPT)] = *to;
}

static void use_slot(void **to, void *object, void *value)
{
	gyre_ref *slot = sim_slot(object, sim_pick(SIM_SLOTS));

	switch (sim_pick(5)) {
	case 0:
	case 1:
		*to = sim_load(slot);
		break;
	case 2:
		sim_store(slot, value);
		break;
	case 3:
		*to = sim_exchange(slot, value);
		break;
	default:
		sim_compare_exchange(slot, sim_load(slot), value);
	}
}

static void use_root(void **to, void *value)
{
	unsigned root = sim_pick(SHARED_ROOTS);

	switch (sim_pick(4)) {
	case 0:
	case 1:
		*to = sim_root_get(root);
		break;
	case 2:
		sim_root_set(root, value);
		break;
	default:
		*to = sim_exchange(sim_root_slot(root), value);
	}
}

static void pause(struct program *p)
{
	switch (sim_pick(12)) {
	case 0:
		sim_collect();
		break;
	case 1:
		sim_park();
		sim_sleep(sim_pick(60000));
		sim_unpark();
		break;
	case 2:
		sim_park();
		sim_unpark();
		break;
	case 3:
		if (sim_pick(4) == 0)
			sim_verify();
		else
			sim_collect_soon(), sim_safepoint();
		break;
	default:
		sim_safepoint();
	}
	forget(p);
}

static void operate(struct program *p)
{
	void **to = &p->registers[sim_pick(REGISTERS)];
	void *object = p->registers[sim_pick(REGISTERS)];
	void *value = sim_pick(3) ? p->registers[sim_pick(REGISTERS)] : NULL;

	switch (sim_pick(10)) {
	case 0:
	case 1:
		make(p, to, object);
		break;
	case 2:
	case 3:
	case 4:
		if (object != NULL)
			use_slot(to, object, value);
		break;
	case 5:
	case 6:
		use_root(to, value);
		break;
	case 7:
		p->kept[sim_pick(KEPT)] = value;
		break;
	default:
		if (sim_pick(p->one_in) == 0)
			pause(p);
		else
			sim_collect_soon();
	}
}

static void mutate(void *arg)
{
	struct program p = *(const struct program *)arg;
	unsigned operations = 10 + sim_pick(50);
	struct gyre_keep keep;

	sim_attach();
	sim_keep(&keep, p.kept, KEPT);
	while (operations-- > 0)
		operate(&p);
	sim_unkeep(&keep);
	sim_detach();
}

static void begin(void)
{
	unsigned i;

	sim_open(NULL);
	sim_attach();
	for (i = 0; i < SHARED_ROOTS; i++)
		sim_root_set(i, sim_new());
	sim_park();
}

/* one_in: safe points, for each mutator. */
static void run_programs(const unsigned one_in[3])
{
	static const char *const names[] = { "a", "b", "c" };
	static struct program programs[3];
	unsigned i, mutators = 2 + sim_pick(2);

	begin();
	for (i = 0; i < mutators; i++) {
		programs[i] = (struct program){ .one_in = one_in[i] };
		sim_start(names[i], mutate, &programs[i]);
	}
	sim_end();
}

static void run(void)
{
	static const unsigned one_in[] = { 1, 1, 1 };

	run_programs(one_in);
}

/* One that seldom comes to a safe point keeps the others between two handshakes for long. */
static void run_stragglers(void)
{
	static const unsigned one_in[] = { 6, 1, 2 };

	run_programs(one_in);
}

/* A program's own doing, whatever the collector does meanwhile: what it leaves is compared between
 * the engines. The other one only comes to safe points, now and then. */
static bool lone_ended;

static void lone_mutate(void *arg)
{
	mutate(arg);
	lone_ended = true;
}

static void idler(void *arg)
{
	(void)arg;
	sim_attach();
	while (!lone_ended) {
		sim_collect_soon();
		sim_sleep(3000);
		sim_safepoint();
	}
	sim_detach();
}

static void run_alone(void)
{
	static const struct program program = { .one_in = 2, .alone = true };

	lone_ended = false;
	begin();
	sim_start("lone", lone_mutate, (void *)&program);
	sim_start("idler", idler, NULL);
	sim_end();
}

SIM_SCENARIO(stragglers, run_stragglers, false, "the same, and one seldom comes to a safe point");
SIM_SCENARIO_ALIKE(lone_program, run_alone, false,
		   "one mutator does anything: the engines must leave the same");
SIM_SCENARIO(random_program, run, false, "2 or 3 mutators do anything with up to 12 objects");
