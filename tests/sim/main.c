/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c: gyre-sim, the deterministic simulation of gyre. Its command line, and the loops over
 * schedules. The driver's thread, that is the process's only one.
 *
 * Schedule number i of a run with seed S has a seed of its own, made of S and i; that one is
 * printed when it fails, and is all that --replay needs, as its lowest bit tells the engine. Each
 * program is run by both engines, one after the other. A twin runs in a child process, as what is
 * broken may end in anything.
 */
#include <argp.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core.h"
#include "twin.h"

unsigned gyre__twin;

static const struct sim_scenario *const scenarios[] = {
#define SCENARIO_ADDRESS(name) &sim_scenario_##name,
	SIM_SCENARIOS(SCENARIO_ADDRESS)
#undef SCENARIO_ADDRESS
};
#define REFUSAL_SCHEDULES 16 /* with each engine */
#define SCENARIO_COUNT (sizeof(scenarios) / sizeof(scenarios[0]))

static const struct {
	const char *name;
	unsigned engines; /* in which it must be noticed: a bit each, as in engine_names */
	const char *text;
} twins[] = { { NULL, 0, NULL },
#define TWIN_ENTRY(name, engines, text) { #name, engines, text },
	      GYRE_TWINS(TWIN_ENTRY)
#undef TWIN_ENTRY
};

static const char *const engine_names[] = { "recycler", "tagged" };

static struct {
	const struct sim_scenario *scenario; /* NULL: all */
	uint64_t schedules, seed, replay;
	const char *choices;
	unsigned preemptions;
	uint64_t refuse;
	const char *engine; /* NULL: both */
	bool list, twins, exhaustive, is_replay, refusals;
} options = { .schedules = 2000, .seed = 1, .preemptions = 2 };

enum {
	OPTION_TWINS = 256,
	OPTION_TWIN,
	OPTION_CHOICES,
	OPTION_REFUSALS,
	OPTION_REFUSE,
	OPTION_ENGINE,
};

static const struct argp_option known[] = {
	{ "list", 'l', NULL, 0, "Print the scenarios and the twins", 0 },
	{ "scenario", 'c', "NAME", 0, "Run this one only", 0 },
	{ "engine", OPTION_ENGINE, "NAME", 0, "recycler, tagged or both (default both)", 0 },
	{ "schedules", 'n', "N", 0, "Schedules, over all scenarios (default 2000)", 0 },
	{ "seed", 's', "S", 0, "Of the whole run (default 1)", 0 },
	{ "replay", 'r', "SEED", 0, "Run the one schedule that has this seed, print its steps", 0 },
	{ "twin", OPTION_TWIN, "NAME", 0, "Break this rule", 0 },
	{ "twins", OPTION_TWINS, NULL, 0,
	  "Break each rule, or that of --twin, up to --schedules times: each must be noticed", 0 },
	{ "exhaustive", 'x', NULL, 0, "Run all schedules of the small scenarios", 0 },
	{ "preemptions", 'p', "K", 0, "That have at most K pre-emptions (default 2)", 0 },
	{ "choices", OPTION_CHOICES, "LIST", 0, "Run one schedule of an exhaustive run again", 0 },
	{ "refusals", OPTION_REFUSALS, NULL, 0,
	  "Run the starved scenarios with each single call for memory refused in turn", 0 },
	{ "refuse", OPTION_REFUSE, "N", 0, "With --replay: refuse the N-th call for memory", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static unsigned find_twin(const char *name)
{
	unsigned i;

	for (i = 1; i < GYRE_TWIN_COUNT; i++)
		if (strcmp(twins[i].name, name) == 0)
			return i;
	return 0;
}

static const struct sim_scenario *find_scenario(const char *name)
{
	size_t i;

	for (i = 0; i < SCENARIO_COUNT; i++)
		if (strcmp(scenarios[i]->name, name) == 0)
			return scenarios[i];
	return NULL;
}

static uint64_t number(struct argp_state *state, const char *text)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 0);

	if (*text == 0 || *end != 0)
		argp_error(state, "%s is not a number", text);
	return value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'l':
		options.list = true;
		break;
	case 'c':
		options.scenario = find_scenario(arg);
		if (options.scenario == NULL)
			argp_error(state, "no scenario is called %s", arg);
		break;
	case OPTION_ENGINE:
		if (strcmp(arg, "recycler") != 0 && strcmp(arg, "tagged") != 0 &&
		    strcmp(arg, "both") != 0)
			argp_error(state, "no engine is called %s", arg);
		options.engine = *arg == 'b' ? NULL : arg;
		break;
	case 'n':
		options.schedules = number(state, arg);
		break;
	case 's':
		options.seed = number(state, arg);
		break;
	case 'r':
		options.replay = number(state, arg);
		options.is_replay = true;
		break;
	case OPTION_TWIN:
		gyre__twin = find_twin(arg);
		if (gyre__twin == 0)
			argp_error(state, "no twin is called %s", arg);
		break;
	case OPTION_TWINS:
		options.twins = true;
		break;
	case 'x':
		options.exhaustive = true;
		break;
	case 'p':
		options.preemptions = (unsigned)number(state, arg);
		break;
	case OPTION_CHOICES:
		options.choices = arg;
		break;
	case OPTION_REFUSALS:
		options.refusals = true;
		break;
	case OPTION_REFUSE:
		options.refuse = number(state, arg);
		break;
	case ARGP_KEY_END:
		if ((options.is_replay || options.choices) && options.scenario == NULL)
			argp_error(state, "which scenario?");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void progress(uint64_t total, double start)
{
	static double said;
	double at;

	if (sim.schedules % 256 != 0 || sim_outcome != NULL || !isatty(STDERR_FILENO))
		return;
	at = now();
	if (at - said < 0.5)
		return;
	said = at;
	fprintf(stderr, "\r%llu of %llu schedules, %.0f s ", (unsigned long long)sim.schedules,
		(unsigned long long)total, at - start);
}

static bool is_run(unsigned tagged)
{
	return options.engine == NULL || (*options.engine == 't') == tagged;
}

/* The seed of program number i with an engine. */
static uint64_t seed_of(uint64_t i, unsigned tagged)
{
	uint64_t state = options.seed * 0xd1342543de82ef95u + i;

	return (sim_random(&state) & ~(uint64_t)1) | tagged;
}

static const struct sim_scenario *scenario_of(uint64_t i)
{
	return options.scenario != NULL ? options.scenario : scenarios[i % SCENARIO_COUNT];
}

/* The number of the graph that the schedule leaves. */
static uint64_t run_one(uint64_t i, unsigned tagged)
{
	struct sim_plan plan;

	sim_plan_make(&plan, seed_of(i, tagged));
	sim_run_schedule(scenario_of(i), &plan);
	return sim.end;
}

static void run_random(void)
{
	double start = now();
	uint64_t i;

	for (i = 0; sim.schedules < options.schedules; i++) {
		uint64_t end = is_run(0) ? run_one(i, 0) : 0;

		if (is_run(1) && run_one(i, 1) != end && is_run(0) && scenario_of(i)->alike)
			sim_fail("recycler has left something else");
		progress(options.schedules, start);
	}
}

static void totals(double start)
{
	double spent = now() - start;

	printf("gyre-sim: seed %#llx: %llu schedules, %llu steps (%.0f a schedule), %.1f s "
	       "(%.0f schedules/s): nothing wrong\n",
	       (unsigned long long)options.seed, (unsigned long long)sim.schedules,
	       (unsigned long long)sim.all_steps,
	       (double)sim.all_steps / (double)(sim.schedules ? sim.schedules : 1), spent,
	       (double)sim.schedules / spent);
}

/* Memory is refused once, at call number n. */
static void refuse_one(struct sim_plan *plan, uint64_t n)
{
	plan->refuse_bits = 0;
	plan->refuse_at = n;
	plan->refuse_run = 1;
	plan->refuse_given = true;
}

/* Every place where memory can be refused, in a few schedules: n = 1, 2, 3 and so on until nothing
 * was refused any more. */
static uint64_t refuse_in(const struct sim_scenario *scenario)
{
	uint64_t i, n, places = 0;

	for (i = 0; i < 2 * REFUSAL_SCHEDULES; i++) {
		struct sim_plan plan;

		if (!is_run(i % 2))
			continue;
		sim_plan_make(&plan, seed_of(i / 2, i % 2));
		for (n = 1; n == 1 || sim.refused > 0; n++) {
			refuse_one(&plan, n);
			sim_run_schedule(scenario, &plan);
			places += sim.refused;
		}
	}
	return places;
}

static void run_refusals(void)
{
	uint64_t places;

	if (options.scenario != NULL)
		places = refuse_in(options.scenario);
	else
		places = refuse_in(&sim_scenario_starved) + refuse_in(&sim_scenario_ends_starved);
	printf("%llu calls refused, one in a schedule\n", (unsigned long long)places);
}

static void replay(void)
{
	struct sim_plan plan;
	char text[128];

	sim_plan_make(&plan, options.replay);
	if (options.refuse > 0)
		refuse_one(&plan, options.refuse);
	sim_plan_describe(&plan, text, sizeof(text));
	printf("scenario %s, seed %#llx, %s\n", options.scenario->name,
	       (unsigned long long)options.replay, text);
	sim.verbose = true;
	sim_run_schedule(options.scenario, &plan);
}

static void search(const struct sim_scenario *scenario, unsigned tagged)
{
	struct sim_plan plan = { .seed = (options.seed & ~(uint64_t)1) | tagged,
				 .kind = SIM_SEARCH };
	uint64_t before = sim.schedules;
	double start = now();

	sim_search.bound = options.preemptions;
	sim_search.depth = sim_search.follow = 0;
	do {
		sim_search.depth = sim_search.spent = 0;
		sim_run_schedule(scenario, &plan);
		if (sim_search.overflow)
			sim_fail("more than %d choices in one schedule", SIM_CHOICES);
	} while (sim_search_next());
	printf("%-20s %-8s all %llu schedules with at most %u pre-emptions, %.1f s: nothing "
	       "wrong\n",
	       scenario->name, engine_names[tagged], (unsigned long long)(sim.schedules - before),
	       options.preemptions, now() - start);
}

static void search_all(void)
{
	size_t i;

	for (i = 0; i < 2 * SCENARIO_COUNT; i++) {
		const struct sim_scenario *scenario = scenarios[i / 2];

		if (is_run(i % 2) &&
		    (options.scenario == NULL ? scenario->small : options.scenario == scenario))
			search(scenario, i % 2);
	}
}

/* One schedule of a search, given by its choices: "place:choice,...", or "-" for none. */
static void follow_choices(void)
{
	struct sim_plan plan = { .seed = options.seed, .kind = SIM_SEARCH };
	const char *at = options.choices;
	unsigned place, choice;
	int length;

	sim_search.bound = options.preemptions;
	while (sscanf(at, "%u:%u%n", &place, &choice, &length) == 2 && place < SIM_CHOICES) {
		sim_search.chosen[place] = (uint16_t)choice;
		sim_search.follow = place + 1;
		at += length;
		at += *at == ',';
	}
	sim.verbose = true;
	sim_run_schedule(options.scenario, &plan);
}

/* Rules that are looked for in one scenario, made for them, as others hardly ever need them. */
static const struct {
	unsigned twin, tagged;
	const struct sim_scenario *scenario;
} at_home[] = {
	{ GYRE_TWIN_unborn_dies, 0, &sim_scenario_unborn },
	{ GYRE_TWIN_no_sigma, 1, &sim_scenario_far_doubled },
	{ GYRE_TWIN_no_hold, 1, &sim_scenario_dead_cell },
	{ GYRE_TWIN_group_unasked, 0, &sim_scenario_weak_ring },
	{ GYRE_TWIN_group_unasked, 1, &sim_scenario_weak_ring },
	{ GYRE_TWIN_dies_unarmed, 0, &sim_scenario_weak_zero },
	{ GYRE_TWIN_dies_unarmed, 1, &sim_scenario_weak_zero },
	{ GYRE_TWIN_no_touch, 0, &sim_scenario_weak_cut },
	{ GYRE_TWIN_touch_not_looked_back, 0, &sim_scenario_weak_noted },
	{ GYRE_TWIN_made_since_missed, 1, &sim_scenario_weak_pair },
	{ GYRE_TWIN_creation_uncounted, 1, &sim_scenario_weak_newborns },
	{ GYRE_TWIN_groups_of_one, 0, &sim_scenario_weak_ring },
	{ GYRE_TWIN_groups_of_one, 1, &sim_scenario_weak_ring },
	{ GYRE_TWIN_zeros_forgotten, 0, &sim_scenario_weak_zero },
	{ GYRE_TWIN_zeros_forgotten, 1, &sim_scenario_weak_zero },
	{ GYRE_TWIN_purple_cleared, 0, &sim_scenario_weak_zero },
	{ GYRE_TWIN_finalized_again, 0, &sim_scenario_final_chain },
	{ GYRE_TWIN_finalized_again, 1, &sim_scenario_final_chain },
	{ GYRE_TWIN_not_pinned, 0, &sim_scenario_final_writes },
	{ GYRE_TWIN_not_pinned, 1, &sim_scenario_final_writes },
	{ GYRE_TWIN_unpinned_early, 0, &sim_scenario_final_writes },
	{ GYRE_TWIN_unpinned_early, 1, &sim_scenario_final_writes },
	{ GYRE_TWIN_newborn_final_forgotten, 1, &sim_scenario_final_newborns },
	{ GYRE_TWIN_special_not_suspected, 1, &sim_scenario_final_newborns },
	{ GYRE_TWIN_census_takes_members, 0, &sim_scenario_census },
	{ GYRE_TWIN_exempt_forgotten, 0, &sim_scenario_exempt },
	{ GYRE_TWIN_exempt_forgotten, 1, &sim_scenario_exempt },
	{ GYRE_TWIN_kept_unpinned, 0, &sim_scenario_kept_garbage },
	{ GYRE_TWIN_kept_unpinned, 1, &sim_scenario_kept_garbage },
	{ GYRE_TWIN_open_blackens, 1, &sim_scenario_weak_blackened },
	{ GYRE_TWIN_remains_at_once, 1, &sim_scenario_weak_taken },
	{ GYRE_TWIN_let_go_at_once, 0, &sim_scenario_weak_leader },
	{ GYRE_TWIN_let_go_at_once, 1, &sim_scenario_weak_leader },
};

static void go_home(unsigned twin, unsigned tagged)
{
	size_t i;

	for (i = 0; i < sizeof(at_home) / sizeof(at_home[0]); i++)
		if (at_home[i].twin == twin && at_home[i].tagged == tagged &&
		    options.scenario == NULL)
			options.scenario = at_home[i].scenario;
}

/* Runs schedules with the rule broken in a child; what it leaves in sim_outcome is the result. */
static void run_twin(unsigned twin, unsigned tagged)
{
	pid_t child;

	*sim_outcome = (struct sim_outcome){ 0 };
	fflush(stdout);
	child = fork();
	if (child == 0) {
		gyre__twin = twin;
		options.engine = engine_names[tagged];
		go_home(twin, tagged);
		run_random();
		_exit(0);
	}
	if (child < 0 || waitpid(child, NULL, 0) != child) {
		perror("gyre-sim: a child");
		exit(2);
	}
}

static int run_twins(void)
{
	unsigned i, only = gyre__twin, missed = 0;

	sim_outcome = mmap(NULL, sizeof(*sim_outcome), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sim_outcome == MAP_FAILED) {
		perror("gyre-sim: shared memory");
		exit(2);
	}
	printf("seed %#llx\n%-22s %-8s %9s  %-18s %s\n", (unsigned long long)options.seed, "twin",
	       "engine", "schedules", "scenario", "what was noticed");
	for (i = 2; i < 2 * GYRE_TWIN_COUNT; i++) {
		if (!is_run(i % 2) || !(twins[i / 2].engines & 1u << i % 2) ||
		    (only != 0 && only != i / 2))
			continue;
		run_twin(i / 2, i % 2);
		missed += !sim_outcome->failed;
		printf("%-22s %-8s %9llu  %-18s %s\n", twins[i / 2].name, engine_names[i % 2],
		       (unsigned long long)(sim_outcome->failed ? sim_outcome->schedules
								: options.schedules),
		       sim_outcome->failed ? sim_outcome->scenario : "NOT NOTICED",
		       sim_outcome->what);
		fflush(stdout);
	}
	return missed == 0 ? 0 : 1;
}

static void list(void)
{
	size_t i;

	printf("scenarios:\n");
	for (i = 0; i < SCENARIO_COUNT; i++)
		printf("  %-20s %s%s\n", scenarios[i]->name, scenarios[i]->text,
		       scenarios[i]->small ? " (small)" : "");
	printf("twins:\n");
	for (i = 1; i < GYRE_TWIN_COUNT; i++)
		printf("  %-20s %s\n", twins[i].name, twins[i].text);
}

int main(int argc, char **argv)
{
	static const struct argp argp = { known, parse, NULL, "Deterministic simulation of gyre.",
					  NULL,  NULL,  NULL };
	double start;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	sim_catch_signals();
	/* The memory of one schedule serves the next. */
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	start = now();
	if (options.list) {
		list();
		return 0;
	}
	if (options.twins)
		return run_twins();
	if (options.is_replay)
		replay();
	else if (options.choices != NULL)
		follow_choices();
	else if (options.refusals)
		run_refusals();
	else if (options.exhaustive)
		search_all();
	else
		run_random();
	totals(start);
	return 0;
}
