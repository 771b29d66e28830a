/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * micro.c: the command line of the microbenchmark and its rounds. Runs on the main thread.
 *
 * What it is for: what an object, a ring and a store cost under gyre's engines, beside malloc and
 * mimalloc with free by hand and beside a plain store, in one run and interleaved. It reports; it
 * judges no time. Its exit status tells only whether every call succeeded and every heap was empty
 * in the end.
 */
#include "micro.h"

#include <argp.h>
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

enum { KEY_ONLY = 0x100, KEY_JSON, KEY_LARGE };

static const struct argp_option option_list[] = {
	{ "seconds", 's', "S", 0, "Length of one measurement (default 0.3)", 0 },
	{ "operations", 'o', "N", 0, "Operations of each thread, instead of --seconds", 0 },
	{ "rounds", 'r', "N", 0, "Measurements of each cell (default 5)", 0 },
	{ "threads", 't', "LIST", 0, "Numbers of mutator threads (default 1,2)", 0 },
	{ "only", KEY_ONLY, "WORKLOAD", 0, "churn, rings, stores4k, stores1m or weak", 0 },
	{ "large", KEY_LARGE, "N", 0, "Live objects of stores1m (default 1000000)", 0 },
	{ "json", KEY_JSON, "FILE", 0, "Write every figure of every round to FILE", 0 },
	{ 0 },
};

static uint64_t parse_number(struct argp_state *state, const char *text, uint64_t most)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < 1 ||
	    value > most)
		argp_error(state, "'%s' is not a number from 1 to %" PRIu64, text, most);
	return value;
}

static double parse_seconds(struct argp_state *state, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !(value > 0 && value <= 3600))
		argp_error(state, "'%s' is not a number of seconds up to 3600", text);
	return value;
}

static void parse_threads(struct argp_state *state, struct micro_options *options, char *text)
{
	char *rest = NULL;

	options->threads_count = 0;
	for (char *part = strtok_r(text, ",", &rest); part != NULL;
	     part = strtok_r(NULL, ",", &rest)) {
		if (options->threads_count == MICRO_THREADS_MAX)
			argp_error(state, "--threads takes %d numbers at most", MICRO_THREADS_MAX);
		options->threads[options->threads_count++] =
			(unsigned)parse_number(state, part, MICRO_THREADS_MAX);
	}
	if (options->threads_count == 0)
		argp_error(state, "--threads needs a number");
}

static int parse_workload(struct argp_state *state, const char *text)
{
	for (int i = 0; i < MICRO_WORKLOADS; i++)
		if (strcmp(text, micro_workload_names[i]) == 0)
			return i;
	argp_error(state, "there is no workload '%s'", text);
	return -1;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct micro_options *options = state->input;

	switch (key) {
	case 's':
		options->seconds = parse_seconds(state, arg);
		break;
	case 'o':
		options->operations = parse_number(state, arg, UINT64_C(1) << 40);
		break;
	case 'r':
		options->rounds = (unsigned)parse_number(state, arg, MICRO_ROUNDS_MAX);
		break;
	case 't':
		parse_threads(state, options, arg);
		break;
	case KEY_ONLY:
		options->only = parse_workload(state, arg);
		break;
	/* Targets are chosen from 32 random bits. */
	case KEY_LARGE:
		options->large = parse_number(state, arg, UINT64_C(1) << 28);
		break;
	case KEY_JSON:
		options->json = arg;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* The table of calls of mimalloc, or NULL if this build or this system has none. */
static const struct micro_calls *open_mimalloc(void)
{
#ifdef MICRO_MODULE
	void *module = dlopen(MICRO_MODULE, RTLD_NOW | RTLD_LOCAL);
	const struct micro_calls *calls;

	calls = module == NULL ? NULL : dlsym(module, "micro_mimalloc_calls");
	if (calls == NULL)
		fprintf(stderr, "micro: without mimalloc: %s\n", dlerror());
	return calls;
#else
	return NULL;
#endif
}

/* Whether the table has such a cell: stores are compared with C's, objects with malloc. */
static bool wanted(const struct micro_options *options, int workload, int manager)
{
	if (options->only >= 0 && options->only != workload)
		return false;
	if (micro_is_gyre(manager))
		return true;
	if ((manager >= MICRO_PLAIN) != micro_is_access(workload) ||
	    (manager == MICRO_PEEK && workload == MICRO_WEAK))
		return false;
	return options->mimalloc != NULL ||
	       (manager != MICRO_MIMALLOC && manager != MICRO_MI_ZALLOC);
}

/* The cells in the order in which a round measures them; their number. */
static size_t list_cells(const struct micro_options *options, struct micro_cell *cells)
{
	size_t count = 0;

	for (unsigned t = 0; t < options->threads_count; t++)
		for (int w = 0; w < MICRO_WORKLOADS; w++)
			for (int m = 0; m < MICRO_MANAGERS; m++)
				if (wanted(options, w, m))
					cells[count++] = (struct micro_cell){
						.workload = w,
						.manager = m,
						.threads = options->threads[t],
					};
	return count;
}

/* False if a measurement failed or left objects behind; each is named. */
static bool measure_all(const struct micro_options *options, struct micro_cell *cells, size_t count)
{
	bool fine = true;

	for (unsigned round = 0; round < options->rounds; round++)
		for (size_t i = 0; i < count; i++) {
			struct micro_sample *sample = &cells[i].samples[round];

			micro_measure(options, &cells[i], sample);
			if (!sample->failed && sample->left == 0)
				continue;
			fprintf(stderr,
				"micro: %s, %s, %u threads, round %u: %s, %" PRIu64
				" objects left\n",
				micro_workload_names[cells[i].workload],
				micro_manager_names[cells[i].manager], cells[i].threads, round + 1,
				sample->failed ? "refused" : "done", sample->left);
			fine = false;
		}
	return fine;
}

int main(int argc, char **argv)
{
	static const struct argp parser = {
		.options = option_list,
		.parser = parse,
		.doc = "Compares gyre with malloc, mimalloc and plain stores.\v"
		       "Every round measures all cells once, one after another.",
	};
	static struct micro_cell cells[MICRO_THREADS_MAX * MICRO_WORKLOADS * MICRO_MANAGERS];
	struct micro_options options = {
		.seconds = 0.3,
		.rounds = 5,
		.only = -1,
		.large = 1000000,
		.threads = { 1, 2 },
		.threads_count = 2,
	};
	size_t count;
	bool fine;

	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&parser, argc, argv, 0, NULL, &options);
	options.mimalloc = open_mimalloc();
	count = list_cells(&options, cells);
	for (size_t i = 0; i < count; i++) {
		cells[i].samples = calloc(options.rounds, sizeof(*cells[i].samples));
		if (cells[i].samples == NULL) {
			perror("micro");
			return EXIT_FAILED;
		}
	}
	fine = measure_all(&options, cells, count);
	micro_table(&options, cells, count);
	if (options.json != NULL && !micro_json(&options, cells, count))
		fine = false;
	for (size_t i = 0; i < count; i++)
		free(cells[i].samples);
	return fine ? EXIT_FINE : EXIT_FAILED;
}
