/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.c: what is told of a schedule that went wrong. Runs wherever it was noticed, a signal
 * handler included; the process ends here.
 */
#include "core.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "twin.h"

struct sim_outcome *sim_outcome;

void sim_print_step(const struct sim_step *step)
{
	char object[80];

	sim_describe(step->address, object, sizeof(object));
	printf("  %7llu  %-8s %s: %s%s%s\n", (unsigned long long)step->step,
	       sim.threads[step->thread].name, step->site->function, step->site->what,
	       object[0] != 0 ? "  -- " : "", object);
}

static void print_steps(void)
{
	uint64_t from = sim.noted > SIM_SHOWN ? sim.noted - SIM_SHOWN : 0, i;

	printf("the last of %llu steps:\n", (unsigned long long)sim.steps);
	for (i = from; i < sim.noted; i++)
		sim_print_step(&sim.trace[i % SIM_TRACE]);
}

static void print_threads(void)
{
	unsigned i;

	printf("threads:\n");
	for (i = 0; i < sim.count; i++) {
		const struct sim_thread *thread = &sim.threads[i];
		const struct gyre__site *where = thread->where;

		printf("  %-8s %s%s", thread->name,
		       thread == sim.current	      ? "runs" :
		       thread->state == SIM_RUNNABLE ? "can run" :
		       thread->state == SIM_ENDED    ? "has ended" :
						       "waits for ",
		       thread->state == SIM_WAITING ? thread->why : "");
		if (where != NULL && thread->state != SIM_ENDED)
			printf(", at %s: %s", where->function, where->what);
		printf("\n");
	}
}

static const char *twin_name(void)
{
	static const char *const names[] = {
		"",
#define TWIN_NAME(name, engines, text) #name,
		GYRE_TWINS(TWIN_NAME)
#undef TWIN_NAME
	};

	return names[gyre__twin];
}

static void print_replay(void)
{
	const struct sim_search *s = &sim_search;
	const char *comma = "";
	unsigned i;

	printf("again: gyre-sim --scenario %s", sim.scenario->name);
	if (gyre__twin != 0)
		printf(" --twin %s", twin_name());
	if (sim.plan.refuse_given)
		printf(" --refuse %llu", (unsigned long long)sim.plan.refuse_at);
	if (sim.plan.kind != SIM_SEARCH) {
		printf(" --replay %#llx\n", (unsigned long long)sim.plan.seed);
		return;
	}
	printf(" --seed %#llx --preemptions %u --choices ", (unsigned long long)sim.plan.seed,
	       s->bound);
	for (i = 0; i < s->depth; i++) {
		if (s->chosen[i] == 0)
			continue;
		printf("%s%u:%u", comma, i, s->chosen[i]);
		comma = ",";
	}
	printf("%s\n", *comma == 0 ? "-" : "");
}

void sim_fail(const char *format, ...)
{
	va_list arguments;
	char what[256], plan[128];

	sim.muted = true;
	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	if (sim_outcome != NULL) {
		sim_outcome->failed = true;
		sim_outcome->schedules = sim.schedules + 1;
		snprintf(sim_outcome->what, sizeof(sim_outcome->what), "%s", what);
		snprintf(sim_outcome->scenario, sizeof(sim_outcome->scenario), "%s",
			 sim.scenario->name);
		_exit(1);
	}
	sim_plan_describe(&sim.plan, plan, sizeof(plan));
	printf("\ngyre-sim: FAILED: scenario %s, seed %#llx, %s\n  %s\n", sim.scenario->name,
	       (unsigned long long)sim.plan.seed, plan, what);
	print_steps();
	print_threads();
	sim_print_graph();
	if (sim.asked > 0)
		printf("%llu of %llu calls for memory were refused\n",
		       (unsigned long long)sim.refused, (unsigned long long)sim.asked);
	printf("gyre-sim: FAILED: %s\n", what);
	if (sim.failed != NULL) {
		fflush(stdout);
		sim.failed();
	}
	print_replay();
	fflush(stdout);
	_exit(1);
}

static void caught(int number)
{
	sim_fail("signal: %s", strsignal(number));
}

void sim_catch_signals(void)
{
	static char stack[64 << 10];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_handler = caught, .sa_flags = SA_ONSTACK | SA_RESETHAND };

	sigaltstack(&alternate, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGFPE, &action, NULL);
	sigaction(SIGABRT, &action, NULL);
}
