/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core.c: threads as coroutines, the points, waiting, the simulated clock. One thread of the system
 * runs all of it: the driver (sim_run_schedule), and the coroutines.
 *
 * Invariants: sim.runnable has the bit of each thread that is RUNNABLE; the current thread changes
 * in leave_for only; a coroutine and its stack outlive the thread that ran in it and serve the next
 * schedule's thread of the same number. makecontext begins each one once; after that a switch is a
 * pair of setjmp and longjmp without the signal mask, as swapcontext would call the system twice.
 */
#include "core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STACK_BYTES ((size_t)192 << 10)

struct sim sim;

static jmp_buf driver;

uint64_t sim_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

bool sim_chance(unsigned one_in)
{
	return sim_random(&sim.schedule_random) % one_in == 0;
}

unsigned sim_pick(unsigned n)
{
	return (unsigned)(sim_random(&sim.program_random) % n);
}

static void trampoline(void)
{
	for (;;) {
		struct sim_thread *thread = sim.current;

		thread->run(thread->arg);
		sim_oracle_thread_ends(thread);
		sim_leavings_end(thread);
		thread->state = SIM_ENDED;
		sim.runnable &= ~((uint32_t)1 << thread->number);
		sim_wake(thread);
		if (thread->number == 0) {
			if (_setjmp(thread->context) == 0)
				_longjmp(driver, 1);
		} else {
			sim_block(NULL, "nothing: it has ended", UINT64_MAX);
		}
	}
}

static void give_stack(struct sim_thread *thread)
{
	thread->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (thread->stack == MAP_FAILED || getcontext(&thread->first) != 0 ||
	    mprotect(thread->stack, 4096, PROT_NONE) != 0) {
		perror("gyre-sim: a stack");
		exit(2);
	}
	thread->first.uc_stack.ss_sp = thread->stack;
	thread->first.uc_stack.ss_size = STACK_BYTES;
	thread->first.uc_link = NULL;
	makecontext(&thread->first, trampoline, 0);
}

struct sim_thread *sim_thread_make(const char *name, void (*run)(void *arg), void *arg)
{
	struct sim_thread *thread;

	if (sim.count == SIM_THREADS)
		sim_fail("more than %d threads", SIM_THREADS);
	thread = &sim.threads[sim.count];
	/* What is before `begun` and behind `stack` is the thread's, the rest the coroutine's. */
	memset(thread, 0, offsetof(struct sim_thread, begun));
	memset(&thread->run, 0, sizeof(*thread) - offsetof(struct sim_thread, run));
	if (thread->stack == NULL)
		give_stack(thread);
	snprintf(thread->name, sizeof(thread->name), "%s", name);
	thread->number = sim.count++;
	thread->run = run;
	thread->arg = arg;
	thread->deadline = UINT64_MAX;
	sim.runnable |= (uint32_t)1 << thread->number;
	sim_thread_enters(thread);
	return thread;
}

static void enter(struct sim_thread *thread)
{
	sim.current = thread;
	if (!thread->begun) {
		thread->begun = true;
		setcontext(&thread->first);
	}
	_longjmp(thread->context, 1);
}

__attribute__((noinline)) static void leave_for(struct sim_thread *next)
{
	if (_setjmp(sim.current->context) == 0)
		enter(next);
}

/* Threads whose deadline has passed can run again. */
static void wake_due(void)
{
	unsigned i;

	sim.next_deadline = UINT64_MAX;
	for (i = 0; i < sim.count; i++) {
		struct sim_thread *thread = &sim.threads[i];

		if (thread->state != SIM_WAITING)
			continue;
		if (thread->deadline <= sim.clock) {
			thread->state = SIM_RUNNABLE;
			thread->timed_out = true;
			sim.runnable |= (uint32_t)1 << i;
		} else if (thread->deadline < sim.next_deadline) {
			sim.next_deadline = thread->deadline;
		}
	}
}

void sim_wake(const void *object)
{
	unsigned i;

	for (i = 0; i < sim.count; i++) {
		struct sim_thread *thread = &sim.threads[i];

		if (thread->state != SIM_WAITING || thread->waits_for != object)
			continue;
		thread->state = SIM_RUNNABLE;
		sim.runnable |= (uint32_t)1 << i;
	}
}

bool sim_block(const void *object, const char *why, uint64_t deadline)
{
	struct sim_thread *self = sim.current, *next;

	sim.runnable &= ~((uint32_t)1 << self->number);
	if (self->state != SIM_ENDED)
		self->state = SIM_WAITING;
	self->waits_for = object;
	self->why = why;
	self->deadline = deadline;
	self->timed_out = false;
	if (deadline < sim.next_deadline)
		sim.next_deadline = deadline;
	while (sim.runnable == 0) {
		if (sim.next_deadline == UINT64_MAX)
			sim_fail("deadlock: every thread waits, and none for a time");
		if (sim.clock < sim.next_deadline)
			sim.clock = sim.next_deadline;
		wake_due();
	}
	next = &sim.threads[sim_choose(true)];
	if (next != self)
		leave_for(next);
	return !self->timed_out;
}

void sim_note(const struct gyre__site *site, const void *address)
{
	struct sim_step *step = &sim.trace[sim.noted++ % SIM_TRACE];

	*step = (struct sim_step){ site, address, sim.steps, sim.current->number };
	if (sim.verbose)
		sim_print_step(step);
}

static unsigned kind_of(const struct gyre__site *site)
{
	if (strncmp(site->function, "gyre__counter_", 14) == 0)
		return SIM_SITE_COUNTER;
	if (strcmp(site->function, "gyre__slab_state") == 0)
		return SIM_SITE_SLAB_STATE;
	return SIM_SITE_POINT;
}

/*
 * No step: statistics, but the bytes of journals, by which stores are refused; and looks at the
 * state of a slab that is free, of which a walk over an arena makes hundreds.
 */
static bool is_quiet(const struct gyre__site *site, const void *address)
{
	if (site->kind == SIM_SITE_COUNTER)
		return !sim_is_journal_bytes(address);
	return site->kind == SIM_SITE_SLAB_STATE && *(const uint32_t *)address == 0;
}

void gyre__sim_yield(struct gyre__site *site, const void *address)
{
	unsigned next;

	if (sim.current == NULL || sim.muted)
		return;
	if (site->kind == SIM_SITE_NEW)
		site->kind = kind_of(site);
	if (site->kind != SIM_SITE_POINT && is_quiet(site, address))
		return;
	sim_note(site, address);
	sim.current->where = site;
	sim.clock += SIM_STEP_NS;
	if (++sim.steps > SIM_MOST_STEPS)
		sim_fail("livelock: %d steps and no end", SIM_MOST_STEPS);
	if (sim.clock >= sim.next_deadline)
		wake_due();
	if (sim.contested) {
		sim.contested_steps++;
		if (sim.runnable & (sim.runnable - 1)) {
			next = sim_choose(false);
			if (next != sim.current->number)
				leave_for(&sim.threads[next]);
		}
	}
	/* Judged now, as the access comes now. */
	if (sim_in_arena(address))
		sim_oracle_access(site, address);
}

static void run_scenario(void *unused)
{
	(void)unused;
	sim.scenario->run();
}

static void reset(const struct sim_scenario *scenario, const struct sim_plan *plan)
{
	sim.scenario = scenario;
	sim.plan = *plan;
	sim.count = 0;
	sim.runnable = 0;
	sim.clock = 1000000000;
	sim.next_deadline = UINT64_MAX;
	sim.steps = sim.contested_steps = sim.noted = 0;
	sim.change = 0;
	sim.contested = sim.muted = sim.starves = false;
	sim.asked = sim.refused = 0;
	memset(sim.heaps, 0, sizeof(sim.heaps));
	/* The same for both engines. */
	sim.schedule_random = plan->seed & ~(uint64_t)1;
	sim.program_random = ~sim.schedule_random;
	sim_platform_reset();
	sim_qsbr_reset();
	sim_oracle_reset();
}

void sim_run_schedule(const struct sim_scenario *scenario, const struct sim_plan *plan)
{
	unsigned i;

	reset(scenario, plan);
	sim_thread_make("main", run_scenario, NULL);
	if (_setjmp(driver) == 0)
		enter(&sim.threads[0]);
	sim.current = NULL;
	for (i = 0; i < sim.count; i++)
		if (sim.threads[i].state != SIM_ENDED)
			sim_fail("the scenario has ended and thread %s has not",
				 sim.threads[i].name);
	sim_memory_check();
	sim.schedules++;
	sim.all_steps += sim.steps;
}

/* What scenarios ask of the threads. */
void sim_start(const char *name, void (*run)(void *arg), void *arg)
{
	sim_thread_make(name, run, arg);
}

static bool is_started(const struct sim_thread *thread)
{
	/* Not the scenario's own thread, nor one of gyre's, whose names begin with the heap's. */
	return thread->number != 0 && strncmp(thread->name, "sim", 3) != 0;
}

void sim_contest(bool on)
{
	sim.contested = on;
}

void sim_join(void)
{
	unsigned i;

	sim.contested = true;
	for (i = 0; i < sim.count; i++)
		while (is_started(&sim.threads[i]) && sim.threads[i].state != SIM_ENDED)
			sim_block(&sim.threads[i], "the end of a thread", UINT64_MAX);
	sim.contested = false;
}

void sim_sleep(uint64_t ns)
{
	uint64_t until = sim.clock + ns;

	while (sim.clock < until)
		sim_block(NULL, "a time", until);
}
