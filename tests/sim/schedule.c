/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * schedule.c: who goes on. Runs inside points and waits, on the stack of the current coroutine.
 *
 * Random walk: at a point, with a probability that the seed sets, any thread. PCT: each thread has
 * a random priority, the highest that can run does, and at d - 1 random steps the one that runs
 * falls below all others; a fault of depth d is found with a probability of at least
 * 1 / (threads * steps^(d-1)) a schedule. Round-robin: a thread runs until it waits, but for a few
 * pre-emptions at random steps. Search: all choices, in order of depth first, with a bound on the
 * pre-emptions.
 *
 * Invariant: a choice depends on the plan, the steps so far and who can run, and on nothing else.
 *
 * Source of PCT: Burckhardt, Kothari, Musuvathi, Nagarakatte, "A Randomized Scheduler with
 * Probabilistic Guarantees of Finding Bugs".
 */
#include "core.h"

#include <stdio.h>

struct sim_search sim_search;

static void sort_changes(struct sim_plan *plan)
{
	unsigned i, j;

	for (i = 1; i < plan->changes; i++)
		for (j = i; j > 0 && plan->change_at[j - 1] > plan->change_at[j]; j--) {
			uint64_t swap = plan->change_at[j];

			plan->change_at[j] = plan->change_at[j - 1];
			plan->change_at[j - 1] = swap;
		}
}

void sim_plan_make(struct sim_plan *plan, uint64_t seed)
{
	uint64_t state = (seed & ~(uint64_t)1) ^ 0x5bd1e995;
	unsigned i, kind = (unsigned)(sim_random(&state) % 8);

	*plan = (struct sim_plan){ .seed = seed };
	plan->kind = kind < 3 ? SIM_WALK : kind < 7 ? SIM_PCT : SIM_ROBIN;
	plan->calm_bits = (unsigned)(sim_random(&state) % 7);
	plan->changes = plan->kind == SIM_PCT ? kind - 3 :
					       (unsigned)(sim_random(&state) % (SIM_CHANGES + 1));
	/* How many steps a scenario has is not known beforehand: every order of magnitude. */
	plan->horizon = (uint64_t)32 << sim_random(&state) % 8;
	for (i = 0; i < plan->changes; i++)
		plan->change_at[i] = sim_random(&state) % plan->horizon;
	sort_changes(plan);
	plan->jumpy = sim_random(&state) % 4 == 0;
	plan->spurious = sim_random(&state) % 4 == 0;
	if (sim_random(&state) % 2)
		plan->refuse_bits = 1 + (unsigned)(sim_random(&state) % 8);
	plan->refuse_at = 1 + sim_random(&state) % ((uint64_t)4 << sim_random(&state) % 8);
	plan->refuse_run = (uint64_t)1 << sim_random(&state) % 7;
}

void sim_plan_describe(const struct sim_plan *plan, char *text, size_t bytes)
{
	const char *clock = plan->jumpy ? ", clock leaps" : "";
	const char *events = plan->spurious ? ", wake-ups without cause" : "";

	if (plan->kind == SIM_WALK)
		snprintf(text, bytes, "random walk, a switch in %u steps%s%s",
			 1u << plan->calm_bits, clock, events);
	else if (plan->kind == SIM_PCT)
		snprintf(text, bytes, "PCT, d = %u in %llu steps%s%s", plan->changes + 1,
			 (unsigned long long)plan->horizon, clock, events);
	else if (plan->kind == SIM_ROBIN)
		snprintf(text, bytes, "round-robin, %u pre-emptions in %llu steps%s%s",
			 plan->changes, (unsigned long long)plan->horizon, clock, events);
	else
		snprintf(text, bytes, "search, at most %u pre-emptions", sim_search.bound);
}

void sim_thread_enters(struct sim_thread *thread)
{
	/* Above all that changes of priority will give. */
	thread->priority = SIM_CHANGES + sim_random(&sim.schedule_random) / 2;
}

/* The n-th thread that can run, in the cyclic order that begins with the current one. */
static unsigned nth(unsigned n)
{
	unsigned at = sim.current->number, i;

	for (i = 0; i < sim.count; i++, at = (at + 1) % sim.count)
		if (sim.runnable >> at & 1 && n-- == 0)
			return at;
	return sim.current->number;
}

static unsigned any(void)
{
	unsigned count = (unsigned)__builtin_popcount(sim.runnable);

	return nth((unsigned)(sim_random(&sim.schedule_random) % count));
}

/* Whether a change of plan comes now. */
static bool change_comes(void)
{
	if (sim.change >= sim.plan.changes ||
	    sim.contested_steps < sim.plan.change_at[sim.change])
		return false;
	sim.change++;
	return true;
}

static unsigned choose_walk(bool forced, unsigned bits)
{
	if (!forced && sim_random(&sim.schedule_random) >> (64 - bits) != 0 && bits > 0)
		return sim.current->number;
	return any();
}

static unsigned choose_pct(bool forced)
{
	uint32_t mask = sim.runnable;
	unsigned best = (unsigned)__builtin_ctz(mask);

	if (!forced && change_comes())
		sim.current->priority = SIM_CHANGES - sim.change;
	for (; mask != 0; mask &= mask - 1) {
		unsigned i = (unsigned)__builtin_ctz(mask);

		if (sim.threads[i].priority > sim.threads[best].priority)
			best = i;
	}
	return best;
}

static unsigned choose_robin(bool forced)
{
	if (forced)
		return nth(0);
	return change_comes() ? nth(1) : sim.current->number;
}

static unsigned choose_search(bool forced)
{
	struct sim_search *s = &sim_search;
	unsigned options = (unsigned)__builtin_popcount(sim.runnable), chosen = 0;

	if (options == 1 || (!forced && s->spent == s->bound))
		return nth(0);
	if (s->depth == SIM_CHOICES) {
		s->overflow = true;
		return nth(0);
	}
	if (s->depth < s->follow)
		chosen = s->chosen[s->depth] % options;
	s->chosen[s->depth] = (uint16_t)chosen;
	s->options[s->depth] = (uint16_t)options;
	s->forced[s->depth] = forced;
	s->depth++;
	s->spent += !forced && chosen > 0;
	return nth(chosen);
}

bool sim_search_next(void)
{
	struct sim_search *s = &sim_search;

	while (s->depth > 0 && s->chosen[s->depth - 1] + 1 >= s->options[s->depth - 1])
		s->depth--;
	if (s->depth == 0)
		return false;
	s->chosen[s->depth - 1]++;
	s->follow = s->depth;
	return true;
}

unsigned sim_choose(bool forced)
{
	if (!sim.contested)
		return nth(0);
	if (sim.plan.kind == SIM_SEARCH)
		return choose_search(forced);
	if (sim.contested_steps > SIM_FAIR_STEPS)
		return choose_walk(forced, 1);
	switch (sim.plan.kind) {
	case SIM_WALK:
		return choose_walk(forced, sim.plan.calm_bits);
	case SIM_PCT:
		return choose_pct(forced);
	default:
		return choose_robin(forced);
	}
}
