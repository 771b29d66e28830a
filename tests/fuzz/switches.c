/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * switches.c: what the simulation needs to be fuzzed by libFuzzer, and is linked with it only.
 *
 * It tells libFuzzer of interleavings, which its own counters of branches do not see. That runs at
 * each point of the simulation, by the linker's --wrap.
 *
 * What is counted are pairs of points that came one after the other on two different threads. An
 * input that brings about a new pair is worth keeping.
 */
#include "core.h"

#define PAIRS 8192

__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t pairs[PAIRS];

const char *__asan_default_options(void);

/* Coroutines have their stacks to themselves: frames stay where the stack is. Memory from malloc is
 * kept until a schedule ends and is accounted for by the simulation; and it is not taken in order
 * to be looked for on other stacks. */
const char *__asan_default_options(void)
{
	return "detect_stack_use_after_return=0:detect_leaks=0:quarantine_size_mb=8";
}

void __real_gyre__sim_yield(struct gyre__site *site, const void *address);
void __wrap_gyre__sim_yield(struct gyre__site *site, const void *address);

void __wrap_gyre__sim_yield(struct gyre__site *site, const void *address)
{
	static const struct gyre__site *before;
	static const struct sim_thread *who;
	size_t pair;

	__real_gyre__sim_yield(site, address);
	if (sim.current != who && who != NULL) {
		/* By distance, which is the same in each run. */
		pair = (size_t)((const char *)before - (const char *)site) * 0x9e3779b97f4a7c15u;
		pair = (pair ^ (size_t)((const char *)site - (const char *)pairs)) *
		       0x9e3779b97f4a7c15u;
		pairs[pair >> 51] = 1;
	}
	before = site;
	who = sim.current;
}
