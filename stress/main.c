/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c: the command line of gyre-stress, the life of a run, and the verdict.
 *
 * Runs on the main thread. The heap is opened before the mode runs and, when the run was sound,
 * closed after it; when it was not, nothing of gyre is called any more once the figures are read,
 * since a broken heap can do anything.
 */
#include "internal.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	EXIT_SOUND = 0,
	EXIT_UNSOUND = 1,
	EXIT_USAGE = 2,
};

#define SECONDS_FALLBACK 10.0 /* when neither --seconds nor --rounds is given */
#define THREADS_MAX 4000      /* identities have room for 4,096 makers of objects */

/* The keys of options without a letter; those of parameters follow KEY_PARAM. */
enum {
	KEY_SEED = 0x100,
	KEY_CHECKPOINT,
	KEY_CHECKPOINT_ROUNDS,
	KEY_REPORT_EVERY,
	KEY_JSON,
	KEY_REPORT,
	KEY_HEAP_LIMIT,
	KEY_EPOCH_BYTES,
	KEY_JOURNAL_LIMIT,
	KEY_COLLECTOR_STACK,
	KEY_NO_POISON,
	KEY_ENGINE,
	KEY_PARAM,
};

static const struct argp_option common_options[] = {
	{ NULL, 0, NULL, 0, "Work:", 1 },
	{ "threads", 't', "N", 0, "Mutator threads (default 2)", 0 },
	{ "rounds", 'n', "N", 0, "Rounds of each thread (default: no limit)", 0 },
	{ "seconds", 's', "S", 0, "End after S seconds (default 10, or none with --rounds)", 0 },
	{ "seed", KEY_SEED, "N", 0, "Everything random comes from it (default: from the clock)",
	  0 },
	{ "checkpoint", KEY_CHECKPOINT, "S", 0,
	  "Collect, verify and compare every S seconds (default 2; 0: only at the end)", 0 },
	{ "checkpoint-rounds", KEY_CHECKPOINT_ROUNDS, "N", 0,
	  "The same every N rounds of a worker instead: it no longer depends on time", 0 },
	{ NULL, 0, NULL, 0, "Heap (bytes may end in K, M or G):", 2 },
	{ "engine", KEY_ENGINE, "NAME", 0, "tagged or recycler (default: the library's)", 0 },
	{ "heap-limit", KEY_HEAP_LIMIT, "BYTES", 0, "Hard limit on cells (default: none)", 0 },
	{ "epoch-bytes", KEY_EPOCH_BYTES, "BYTES", 0, "Allocation that calls for a boundary", 0 },
	{ "journal-limit", KEY_JOURNAL_LIMIT, "BYTES", 0, "Hard limit on journals", 0 },
	{ "collector-stack", KEY_COLLECTOR_STACK, "BYTES", 0, "Stack of the collector thread", 0 },
	{ "no-poison", KEY_NO_POISON, NULL, 0, "Do not poison freed cells", 0 },
	{ NULL, 0, NULL, 0, "Output:", 3 },
	{ "json", KEY_JSON, "FILE", 0, "Write every figure to FILE", 0 },
	{ "report", KEY_REPORT, "FILE", 0, "Write a page of HTML to FILE", 0 },
	{ "report-every", KEY_REPORT_EVERY, "S", 0,
	  "Seconds between live lines when stderr is no terminal (default 5)", 0 },
	{ "quiet", 'q', NULL, 0, "No live line", 0 },
	{ 0 },
};

#define COMMON_COUNT (sizeof(common_options) / sizeof(common_options[0]) - 1)

/* What the parser fills in. */
struct command {
	const struct stress_mode *mode;
	struct stress_options options;
	bool seconds_given, rounds_given, seed_given;
	char param_docs[STRESS_PARAMS_MAX][200];
	struct argp_option list[COMMON_COUNT + STRESS_PARAMS_MAX + 2];
};

/* ---- Numbers on the command line ---- */

static uint64_t parse_number(struct argp_state *state, const char *text, uint64_t least,
			     uint64_t most)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (text[0] == '-' || text[0] == '\0' || *end != '\0' || errno != 0 || value < least ||
	    value > most)
		argp_error(state, "'%s' is not a number from %" PRIu64 " to %" PRIu64, text, least,
			   most);
	return value;
}

static size_t parse_bytes(struct argp_state *state, const char *text)
{
	char *end;
	unsigned long long value;
	size_t bytes = 0;
	unsigned shift = 0;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (end != text && *end != '\0' && end[1] == '\0') {
		shift = *end == 'K' || *end == 'k' ? 10 : shift;
		shift = *end == 'M' || *end == 'm' ? 20 : shift;
		shift = *end == 'G' || *end == 'g' ? 30 : shift;
		end += shift != 0;
	}
	if (text[0] == '-' || end == text || *end != '\0' || errno != 0 ||
	    __builtin_mul_overflow(value, UINT64_C(1) << shift, &bytes))
		argp_error(state, "'%s' is not a number of bytes", text);
	return bytes;
}

static double parse_seconds(struct argp_state *state, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !isfinite(value) || value < 0)
		argp_error(state, "'%s' is not a number of seconds", text);
	return value;
}

static enum gyre_engine parse_engine(struct argp_state *state, const char *text)
{
	if (strcmp(text, "tagged") == 0)
		return GYRE_ENGINE_TAGGED;
	if (strcmp(text, "recycler") != 0)
		argp_error(state, "there is no engine '%s'", text);
	return GYRE_ENGINE_RECYCLER;
}

/* ---- The parser ---- */

static error_t parse_common(int key, char *arg, struct argp_state *state, struct command *c)
{
	struct stress_options *o = &c->options;

	switch (key) {
	case 't':
		o->threads = (unsigned)parse_number(state, arg, 1, THREADS_MAX);
		return 0;
	case 'n':
		o->rounds = parse_number(state, arg, 1, UINT64_MAX);
		c->rounds_given = true;
		return 0;
	case 's':
		o->seconds = parse_seconds(state, arg);
		c->seconds_given = true;
		return 0;
	case KEY_SEED:
		o->seed = parse_number(state, arg, 0, UINT64_MAX);
		c->seed_given = true;
		return 0;
	case KEY_CHECKPOINT:
		o->checkpoint = parse_seconds(state, arg);
		return 0;
	case KEY_CHECKPOINT_ROUNDS:
		o->checkpoint_rounds = parse_number(state, arg, 1, UINT64_MAX);
		return 0;
	case KEY_REPORT_EVERY:
		o->report_every = parse_seconds(state, arg);
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_heap(int key, char *arg, struct argp_state *state, struct command *c)
{
	struct stress_options *o = &c->options;

	switch (key) {
	case KEY_HEAP_LIMIT:
		o->heap_limit = parse_bytes(state, arg);
		return 0;
	case KEY_EPOCH_BYTES:
		o->epoch_bytes = parse_bytes(state, arg);
		return 0;
	case KEY_JOURNAL_LIMIT:
		o->journal_limit = parse_bytes(state, arg);
		return 0;
	case KEY_COLLECTOR_STACK:
		o->collector_stack = parse_bytes(state, arg);
		return 0;
	case KEY_NO_POISON:
		o->poison = false;
		return 0;
	case KEY_ENGINE:
		o->engine = parse_engine(state, arg);
		return 0;
	case KEY_JSON:
		o->json = arg;
		return 0;
	case KEY_REPORT:
		o->report = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct command *c = state->input;
	const struct stress_param *param;
	error_t error;

	if (key == ARGP_KEY_ARG) {
		if (c->mode == NULL)
			argp_error(state, "there is no mode '%s'", arg);
		if (c->mode->operand == NULL || c->options.operand != NULL)
			argp_error(state, "'%s' is one argument too many", arg);
		c->options.operand = arg;
		return 0;
	}
	if (key == ARGP_KEY_END) {
		if (c->mode == NULL)
			argp_error(state, "no mode given");
		if (c->mode->operand != NULL && c->options.operand == NULL)
			argp_error(state, "%s: no %s given", c->mode->name, c->mode->operand);
		return 0;
	}
	if (key >= KEY_PARAM && key < KEY_PARAM + STRESS_PARAMS_MAX) {
		param = &c->mode->params[key - KEY_PARAM];
		c->options.params[key - KEY_PARAM] =
			parse_number(state, arg, param->least, param->most);
		return 0;
	}
	error = parse_common(key, arg, state, c);
	return error == ARGP_ERR_UNKNOWN ? parse_heap(key, arg, state, c) : error;
}

/* The mode's name: the first argument, or else the first that is one. *at: where it stands, or
 * 0. */
static const struct stress_mode *find_mode(int argc, char **argv, int *at)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		for (const struct stress_mode *const *mode = stress_modes; *mode != NULL; mode++)
			if (strcmp(argv[i], (*mode)->name) == 0) {
				*at = i;
				return *mode;
			}
	*at = 0;
	return NULL;
}

/* The common options and those of the mode, which are known only now. */
static void list_options(struct command *c)
{
	size_t count = COMMON_COUNT;

	memcpy(c->list, common_options, COMMON_COUNT * sizeof(c->list[0]));
	if (c->mode == NULL)
		return;
	if (c->mode->params[0].name != NULL)
		c->list[count++] = (struct argp_option){ .doc = "This mode:", .group = 4 };
	for (size_t i = 0; i < STRESS_PARAMS_MAX && c->mode->params[i].name != NULL; i++) {
		const struct stress_param *param = &c->mode->params[i];

		snprintf(c->param_docs[i], sizeof(c->param_docs[i]), "%s (default %" PRIu64 ")",
			 param->doc, param->fallback);
		c->options.params[i] = param->fallback;
		c->list[count++] = (struct argp_option){ .name = param->name,
							 .key = KEY_PARAM + (int)i,
							 .arg = "N",
							 .doc = c->param_docs[i] };
	}
}

/* The text round the options in --help; the caller frees it. */
static char *help_text(const struct stress_mode *mode)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	if (out == NULL)
		return NULL;
	if (mode != NULL) {
		fprintf(out, "Mode %s: %s.", mode->name, mode->summary);
	} else {
		fprintf(out, "Runs mutator threads over object graphs while gyre collects behind "
			     "them, and shows that nothing live was lost and nothing dead was "
			     "kept.");
	}
	fprintf(out, "\v");
	if (mode == NULL) {
		fprintf(out, "Modes:\n");
		for (const struct stress_mode *const *m = stress_modes; *m != NULL; m++)
			fprintf(out, "  %-10s %-5s %s\n", (*m)->name,
				(*m)->operand == NULL ? "" : (*m)->operand, (*m)->summary);
		fprintf(out, "\ngyre-stress MODE --help shows the options of a mode.\n\n");
	}
	fprintf(out, "Exit status: 0 if all oracles agree, 1 if one does not (the seed and what "
		     "disagreed are shown), 2 for an error of usage or in a file.");
	fclose(out);
	return text;
}

static void print_version(FILE *out, struct argp_state *state)
{
	(void)state;
	fprintf(out, "gyre-stress, gyre %s\n", gyre_version());
}

static void parse_command(struct command *c, int argc, char **argv)
{
	struct argp argp = { .parser = parse };
	char usage[64];
	int at;

	c->mode = find_mode(argc, argv, &at);
	if (at != 0) { /* what is left is options and the operand */
		memmove(&argv[at], &argv[at + 1], (size_t)(argc - at) * sizeof(argv[0]));
		argc--;
	}
	snprintf(usage, sizeof(usage), "%s%s%s", c->mode == NULL ? "MODE" : c->mode->name,
		 c->mode != NULL && c->mode->operand != NULL ? " " : "",
		 c->mode != NULL && c->mode->operand != NULL ? c->mode->operand : "");
	list_options(c);
	argp.options = c->list;
	argp.args_doc = usage;
	argp.doc = help_text(c->mode);
	argp_err_exit_status = EXIT_USAGE;
	argp_program_version_hook = print_version;
	argp_parse(&argp, argc, argv, 0, NULL, c);
	free((char *)argp.doc);
	if (!c->seconds_given && !c->rounds_given)
		c->options.seconds = SECONDS_FALLBACK;
	if (!c->seed_given) {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		c->options.seed =
			((uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec) %
			UINT64_C(1000000000);
	}
}

/* ---- The run ---- */

uint64_t stress_param(const struct stress_run *run, const char *name)
{
	for (size_t i = 0; i < STRESS_PARAMS_MAX && run->mode->params[i].name != NULL; i++)
		if (strcmp(run->mode->params[i].name, name) == 0)
			return run->options->params[i];
	/* A mode that asks for what it has not declared cannot mean any number. */
	fprintf(stderr, "gyre-stress: mode %s has no parameter '%s'\n", run->mode->name, name);
	abort();
}

void stress_figure(struct stress_run *run, const char *name, uint64_t value)
{
	for (size_t i = 0; i < STRESS_FIGURES_MAX; i++)
		if (run->figures[i].name == NULL) {
			run->figures[i] = (struct stress_figure){ name, value };
			return;
		}
	fprintf(stderr, "gyre-stress: no room for the figure '%s'\n", name);
	abort();
}

static void on_signal(int number)
{
	(void)number;
	atomic_store_explicit(&stress_interrupted, true, memory_order_relaxed);
}

static char crash_text[128]; /* made before the handler is set, since a crash can format nothing */

static void on_crash(int number)
{
	ssize_t written = write(STDERR_FILENO, crash_text, strlen(crash_text));

	(void)written; /* there is nobody left to tell */
	raise(number);
}

static const char *engine_name(const struct stress_run *run)
{
	struct gyre_stats stats = { .size = sizeof(stats) };

	return gyre_heap_stats(run->heap, &stats) == GYRE_OK ? stats.engine : "no engine";
}

/* A crash is a disagreement too, and without its seed it is a riddle. A sanitizer's handler
 * stays. */
static void catch_crashes(const struct stress_run *run)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
	struct sigaction action = { .sa_handler = on_crash,
				    .sa_flags = (int)(SA_RESETHAND | SA_NODEFER) };
	struct sigaction old;

	snprintf(crash_text, sizeof(crash_text),
		 "\ngyre-stress: UNSOUND: crashed in mode %s, %s, %u threads, seed %" PRIu64 "\n",
		 run->mode->name, engine_name(run), run->options->threads, run->options->seed);
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			sigaction(numbers[i], &action, NULL);
}

/* The first interrupt ends the run with a verdict, the second ends the program. */
static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
}

#define LOG_LINES_MAX 20 /* a mode in which threads die attached would fill the screen */

static void on_log(void *arg, enum gyre_log_level level, const char *text)
{
	_Atomic(unsigned) *lines = arg;
	unsigned line = 0;

	if (level != GYRE_LOG_ERROR)
		line = atomic_fetch_add_explicit(lines, 1, memory_order_relaxed);
	if (line < LOG_LINES_MAX)
		fprintf(stderr, "\ngyre: %s\n", text);
	else if (line == LOG_LINES_MAX)
		fprintf(stderr, "\ngyre: and more of that kind\n");
}

static enum gyre_status open_heap(struct stress_run *run, _Atomic(unsigned) *log_lines)
{
	const struct stress_options *o = run->options;
	struct gyre_options options;

	gyre_options_init(&options);
	options.name = "stress";
	options.heap_limit = o->heap_limit;
	options.journal_limit = o->journal_limit;
	options.epoch_bytes = o->epoch_bytes;
	options.collector_stack = o->collector_stack;
	options.flags = o->poison ? GYRE_POISON : 0;
	options.engine = o->engine;
	options.log = on_log;
	options.log_arg = log_lines;
	if (run->mode->options != NULL)
		run->mode->options(run, &options);
	return gyre_heap_open(&run->heap, &options);
}

/* What must hold of the counters when everything is at rest, whatever the mode did. */
static void compare_counters(struct stress_run *run)
{
	const struct gyre_stats *s = &run->record->stats;
	uint64_t made = atomic_load_explicit(&run->main->made, memory_order_relaxed);

	for (unsigned i = 0; i < run->options->threads; i++)
		made += atomic_load_explicit(&run->workers[i].made, memory_order_relaxed);
	if (s->objects_allocated < made)
		stress_fail(run, "%" PRIu64 " objects were made, the heap counts %" PRIu64, made,
			    s->objects_allocated);
	if (s->objects_allocated - s->objects_reclaimed != s->objects_live ||
	    s->reclaimed_by_count + s->reclaimed_by_cycle != s->objects_reclaimed)
		stress_fail(run,
			    "the counters do not add up: allocated %" PRIu64 ", reclaimed %" PRIu64
			    " (%" PRIu64 " by count, %" PRIu64 " by cycle), live %" PRIu64,
			    s->objects_allocated, s->objects_reclaimed, s->reclaimed_by_count,
			    s->reclaimed_by_cycle, s->objects_live);
}

static void print_verdict(const struct stress_run *run)
{
	const struct stress_oracle *o = run->oracle;
	const struct gyre_stats *s = &run->record->stats;

	if (o->disagreements == 0) {
		printf("sound: %s, %s, %u thread%s, seed %" PRIu64 ", %.1f s: %" PRIu64
		       " objects made, %" PRIu64 " reclaimed (%" PRIu64 " in cycles), %" PRIu64
		       " comparisons; nothing lost, nothing kept, nothing disagreed\n",
		       run->mode->name, s->engine, run->options->threads,
		       run->options->threads == 1 ? "" : "s", run->options->seed,
		       stress_record_seconds(run->record), s->objects_allocated,
		       s->objects_reclaimed, s->reclaimed_by_cycle, o->checkpoints);
		return;
	}
	printf("UNSOUND: %s, %s, %u thread%s, seed %" PRIu64 ": lost %" PRIu64 ", kept %" PRIu64
	       ", %" PRIu64 " disagreements\n",
	       run->mode->name, s->engine, run->options->threads,
	       run->options->threads == 1 ? "" : "s", run->options->seed, o->lost, o->kept,
	       o->disagreements);
	for (size_t i = 0; i < o->texts_count; i++)
		printf("  %s\n", o->texts[i]);
	printf("run it again with --engine %s --seed %" PRIu64 "\n", s->engine,
	       run->options->seed);
}

/* Writes what was asked for; the exit status. */
static int write_files(const struct stress_run *run)
{
	const struct stress_options *o = run->options;
	int status = run->oracle->disagreements == 0 ? EXIT_SOUND : EXIT_UNSOUND;

	if (o->json != NULL && !stress_json_write(run, o->json)) {
		fprintf(stderr, "gyre-stress: %s: %s\n", o->json, strerror(errno));
		status = status == EXIT_SOUND ? EXIT_USAGE : status;
	}
	if (o->report != NULL && !stress_html_write(run, o->report)) {
		fprintf(stderr, "gyre-stress: %s: %s\n", o->report, strerror(errno));
		status = status == EXIT_SOUND ? EXIT_USAGE : status;
	}
	return status;
}

/* Runs the mode with the heap open and the sampler at work. */
static int run_mode(struct stress_run *run)
{
	if (!run->options->quiet)
		fprintf(stderr, "gyre-stress %s, %s, %u thread%s, seed %" PRIu64 "\n",
			run->mode->name, engine_name(run), run->options->threads,
			run->options->threads == 1 ? "" : "s", run->options->seed);
	run->record = stress_record_begin(run);
	if (run->record == NULL) {
		fprintf(stderr, "gyre-stress: no thread for the live line\n");
		return EXIT_USAGE;
	}
	run->mode->run(run);
	stress_record_end(run->record);
	if (!stress_failed(run))
		compare_counters(run);
	if (run->oracle->disagreements == 0) {
		stress_ok(run, gyre_detach(run->main->m), "gyre_detach");
		stress_ok(run, gyre_heap_close(run->heap), "gyre_heap_close");
	}
	if (run->oracle->refused)
		return EXIT_USAGE;
	print_verdict(run);
	fflush(stdout); /* the verdict comes before whatever a sanitizer has to say at the exit */
	return write_files(run);
}

int main(int argc, char **argv)
{
	struct command command = { .options = { .threads = 2,
						.rounds = UINT64_MAX,
						.checkpoint = 2,
						.report_every = 5,
						.poison = true } };
	_Atomic(unsigned) log_lines = 0;
	struct stress_run run = { .options = &command.options };
	struct stress_worker main_worker = { .run = &run };
	enum gyre_status status;
	struct stress_rng rng;
	int result;

	parse_command(&command, argc, argv);
	run.mode = command.mode;
	rng = stress_rng_make(command.options.seed, UINT64_MAX - 1);
	run.secret = stress_random(&rng);
	run.main = &main_worker;
	main_worker.index = command.options.threads;
	main_worker.rng = stress_rng_make(command.options.seed, command.options.threads);
	run.workers = calloc(command.options.threads, sizeof(*run.workers));
	run.oracle = stress_oracle_make();
	if (run.workers == NULL || run.oracle == NULL) {
		fprintf(stderr, "gyre-stress: no memory\n");
		return EXIT_USAGE;
	}
	status = open_heap(&run, &log_lines);
	if (status == GYRE_OK)
		status = gyre_attach(run.heap, 0, &main_worker.m);
	if (status != GYRE_OK) {
		fprintf(stderr, "gyre-stress: the heap could not be opened: %s\n",
			gyre_status_text(status));
		return EXIT_USAGE;
	}
	catch_signals();
	catch_crashes(&run);
	result = run_mode(&run);
	if (run.record != NULL)
		free(run.record);
	free(run.workers);
	stress_oracle_free(run.oracle);
	return result;
}
