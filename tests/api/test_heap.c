/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_heap.c: opening and closing, options, several heaps, the limit of the heap, what closing
 * gives back, what gyre's own threads look like from outside. The main thread is the mutator;
 * children are forked before they open a heap, where a limit of the process is to be reached.
 */
#include "support.h"

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void null_options_are_the_defaults(void **state)
{
	struct gyre_heap *heap = NULL;
	struct gyre_mutator *m;

	(void)state;
	expect_ok(support_open_heap(&heap, NULL));
	expect(heap != NULL);
	expect_ok(gyre_attach(heap, 0, &m));
	expect_live(m, 0);
	expect_ok(gyre_detach(m));
	expect_ok(gyre_heap_close(heap));
}

static void options_init_sets_every_field(void **state)
{
	struct gyre_options options;
	struct gyre_heap *heap;

	(void)state;
	memset(&options, 0xff, sizeof(options));
	gyre_options_init(&options);
	expect_equal(options.size, sizeof(options));
	expect(options.log == NULL);
	expect_ok(support_open_heap(&heap, &options));
	expect_ok(gyre_heap_close(heap));
}

/* Every field 0 but the size means: every default. */
static void zero_is_the_default(void **state)
{
	struct gyre_options options = { .size = sizeof(options) };
	struct gyre_heap *heap;

	(void)state;
	expect_ok(gyre_heap_open(&heap, &options));
	expect_ok(gyre_heap_close(heap));
}

static void invalid_options_are_refused(void **state)
{
	static const size_t sizes[] = { 0, 1, sizeof(struct gyre_options) - 1,
					sizeof(struct gyre_options) + 8, SIZE_MAX };
	struct gyre_options options;
	struct gyre_heap *heap;

	(void)state;
	for (size_t i = 0; i < LENGTH(sizes); i++) {
		gyre_options_init(&options);
		options.size = sizes[i];
		expect_status(gyre_heap_open(&heap, &options), GYRE_INVALID);
	}
	gyre_options_init(&options);
	options.flags = 1U << 31;
	expect_status(gyre_heap_open(&heap, &options), GYRE_INVALID);
}

static const char *engine_of(const struct gyre_options *options)
{
	struct gyre_heap *heap;
	const char *name;

	expect_ok(gyre_heap_open(&heap, options));
	name = world_stats(heap).engine;
	expect_ok(gyre_heap_close(heap));
	return name;
}

static void the_engine_is_an_option(void **state)
{
	struct gyre_options options;
	struct gyre_heap *heap;

	(void)state;
	gyre_options_init(&options);
	expect_equal(options.engine, GYRE_ENGINE_DEFAULT);
	expect(strcmp(engine_of(&options), "tagged") == 0);
	expect(strcmp(engine_of(NULL), "tagged") == 0);
	options.engine = GYRE_ENGINE_TAGGED;
	expect(strcmp(engine_of(&options), "tagged") == 0);
	options.engine = GYRE_ENGINE_RECYCLER;
	expect(strcmp(engine_of(&options), "recycler") == 0);
	options.engine = (enum gyre_engine)(GYRE_ENGINE_RECYCLER + 1);
	expect_status(gyre_heap_open(&heap, &options), GYRE_INVALID);
	options.engine = (enum gyre_engine)-1;
	expect_status(gyre_heap_open(&heap, &options), GYRE_INVALID);
}

/* A program that was compiled when the options ended before the engine; what lies behind them is
 * not looked at. */
static void the_older_options_are_known(void **state)
{
	struct gyre_options options;
	struct gyre_heap *heap;

	(void)state;
	gyre_options_init(&options);
	options.size = offsetof(struct gyre_options, engine);
	options.engine = (enum gyre_engine)-1;
	expect(strcmp(engine_of(&options), "tagged") == 0);
	options.epoch_bytes = 1;
	expect_status(gyre_heap_open(&heap, &options), GYRE_INVALID);
	gyre_options_init(&options);
	options.size = offsetof(struct gyre_options, collector_nice);
	options.collector_nice = 1000;
	expect(strcmp(engine_of(&options), "tagged") == 0);
}

static void a_stack_that_cannot_be_had_is_an_error(void **state)
{
	struct gyre_options options;
	struct gyre_heap *heap;
	enum gyre_status status;

	(void)state;
	gyre_options_init(&options);
	options.collector_stack = SIZE_MAX / 4;
	status = gyre_heap_open(&heap, &options);
	expect(status == GYRE_NO_THREAD || status == GYRE_NO_MEMORY || status == GYRE_INVALID);
}

static void no_key_left_is_a_limit(void **state)
{
	static pthread_key_t keys[PTHREAD_KEYS_MAX];
	struct gyre_heap *heap;
	size_t made = 0;

	(void)state;
	while (made < LENGTH(keys) && pthread_key_create(&keys[made], NULL) == 0)
		made++;
	expect(made > 0);
	expect_status(gyre_heap_open(&heap, NULL), GYRE_LIMIT);
	for (size_t i = 0; i < made; i++)
		pthread_key_delete(keys[i]);
	expect_ok(gyre_heap_open(&heap, NULL));
	expect_ok(gyre_heap_close(heap));
}

/* In a child whose address space is used up, opening fails with a status; the child lives on. */
static void no_memory_is_a_status(void **state)
{
	int end = 0;
	pid_t child;

	(void)state;
	if (SUPPORT_SANITIZED)
		skip(); /* their allocators end the process */
	child = fork();
	if (child == 0) {
		struct rlimit nothing = { 1 << 20, 1 << 20 };
		struct gyre_heap *heap;
		enum gyre_status status;

		setrlimit(RLIMIT_AS, &nothing);
		status = support_open_heap(&heap, NULL);
		_exit(status == GYRE_NO_MEMORY || status == GYRE_NO_THREAD ? 0 : 10 + (int)status);
	}
	expect(child > 0 && waitpid(child, &end, 0) == child);
	expect(WIFEXITED(end));
	expect_equal(WEXITSTATUS(end), 0);
}

static void closing_with_mutators_is_refused(void **state)
{
	struct gyre_options options;
	struct world *w;

	(void)state;
	gyre_options_init(&options);
	w = world_make(&options);
	expect_status(gyre_heap_close(w->heap), GYRE_BUSY);
	expect(node_is(node_new(w, w->m, 5), 5)); /* the heap is still open */
	expect_live(w->m, 0);
	expect_ok(gyre_park(w->m));
	expect_status(gyre_heap_close(w->heap), GYRE_BUSY);
	expect_ok(gyre_unpark(w->m));
	world_end(w);
}

/* Live objects, open roots, large objects: all of it goes with the heap. */
static void closing_releases_what_lives(void **state)
{
	static struct gyre_root roots[100];

	(void)state;
	for (int round = 0; round < 5; round++) {
		struct gyre_options options;
		struct world *w;

		gyre_options_init(&options);
		w = world_make(&options);
		for (uint64_t i = 0; i < LENGTH(roots); i++) {
			struct node *n = node_new(w, w->m, i);

			expect_ok(gyre_init(w->m, &n->left, refs_new(w, w->m, 10000 * (i % 7))));
			expect_ok(gyre_root_init(w->m, &roots[i], n));
		}
		world_end(w);
	}
}

static long mapped_pages(void)
{
	long pages = -1;
	FILE *file = fopen("/proc/self/statm", "r");

	expect(file && fscanf(file, "%ld", &pages) == 1);
	fclose(file);
	return pages;
}

static void open_fill_close(void)
{
	struct gyre_options options;
	struct world *w;

	gyre_options_init(&options);
	w = world_make(&options);
	for (int i = 0; i < 4000; i++)
		refs_new(w, w->m, 250);
	world_end(w);
}

/* 60 heaps of 8 MiB one after another: half a GiB, were it not given back. */
static void closing_gives_memory_back(void **state)
{
	long before, after;

	(void)state;
	if (SUPPORT_SANITIZED)
		skip(); /* their quarantine is part of what is mapped */
	for (int i = 0; i < 5; i++)
		open_fill_close();
	before = mapped_pages();
	for (int i = 0; i < 60; i++)
		open_fill_close();
	after = mapped_pages();
	expect(after - before < (64 << 20) / sysconf(_SC_PAGESIZE));
}

static void heaps_are_independent(void **state)
{
	struct gyre_options options;
	struct gyre_root roots[4];
	struct world *w[4];

	(void)state;
	gyre_options_init(&options);
	for (unsigned i = 0; i < LENGTH(w); i++) {
		w[i] = world_make(&options);
		for (unsigned j = 0; j < 100 * (i + 1); j++)
			node_new(w[i], w[i]->m, j);
		expect_ok(gyre_root_init(w[i]->m, &roots[i], node_new(w[i], w[i]->m, i)));
		expect(gyre_mutator_heap(w[i]->m) == w[i]->heap);
	}
	for (unsigned i = 0; i < LENGTH(w); i++)
		expect_equal(world_collect(w[i]->m), 100 * (i + 1));
	world_end(w[1]);
	for (unsigned i = 0; i < LENGTH(w); i++) {
		if (i == 1)
			continue;
		expect_live(w[i]->m, 1);
		expect(node_is(gyre_load(&roots[i].slot), i));
		expect_equal(world_stats(w[i]->heap).objects_allocated, 100 * (i + 1) + 1);
	}
	world_end(w[3]);
	world_end(w[0]);
	world_end(w[2]);
}

/* Fills a heap of 8 MiB with nodes that a chain of roots keeps; the number of nodes it took. */
static uint64_t fill(struct world *w, struct gyre_root *root)
{
	uint64_t count = 0;
	struct node *n;

	while (count < 10000000 && (n = gyre_new(w->m, w->node)) != NULL) {
		n->id = count++;
		n->canary = canary_of(n->id);
		expect_ok(gyre_init(w->m, &n->left, gyre_load(&root->slot)));
		expect_ok(gyre_store(w->m, &root->slot, n));
		gyre_safepoint(w->m);
	}
	return count;
}

static void the_limit_is_hard_and_heals(void **state)
{
	struct gyre_options options;
	struct gyre_root root;
	uint64_t first, count;
	struct world *w;

	(void)state;
	gyre_options_init(&options);
	options.heap_limit = 8 << 20;
	w = world_make(&options);
	expect_ok(gyre_root_init(w->m, &root, NULL));
	first = fill(w, &root);
	expect(first * sizeof(struct node) <= options.heap_limit);
	expect(first * sizeof(struct node) >= options.heap_limit / 2);
	for (int round = 0; round < 3; round++) {
		expect(gyre_new(w->m, w->node) == NULL);
		expect(gyre_new_array(w->m, w->bytes, 1 << 20) == NULL);
		expect(world_stats(w->heap).bytes_live <= options.heap_limit);
		count = 0;
		for (struct node *n = gyre_load(&root.slot); n; n = gyre_load(&n->left), count++)
			expect(node_sound(n));
		expect_ok(gyre_store(w->m, &root.slot, NULL));
		expect_equal(world_collect(w->m), count);
		expect(fill(w, &root) >= first / 2);
	}
	expect_ok(gyre_root_drop(w->m, &root));
	expect_live(w->m, 0);
	expect(gyre_new_array(w->m, w->bytes, 16 << 20) == NULL);
	expect(gyre_new_array(w->m, w->bytes, 4 << 20) != NULL);
	world_end(w);
}

/* A boundary that a thread asks for that is not attached, while this one passes safe points. */
static void *ask(void *heap)
{
	gyre_collect_soon(heap);
	return NULL;
}

static void collect_soon_asks_for_a_boundary(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 3; i++) {
		uint64_t epochs = world_stats(w->heap).epochs;

		node_new(w, w->m, 1);
		thread_join(thread_start(ask, w->heap));
		while (world_stats(w->heap).epochs == epochs)
			gyre_safepoint(w->m);
	}
}

/* Names of the threads of this process that contain needle; those that block these signals, too. */
static unsigned threads_named(const char *needle, unsigned *blocking)
{
	const uint64_t want = 1U << (SIGINT - 1) | 1U << (SIGTERM - 1) | 1U << (SIGUSR1 - 1) |
			      1U << (SIGALRM - 1) | 1U << (SIGCHLD - 1) | 1U << (SIGHUP - 1);
	DIR *tasks = opendir("/proc/self/task");
	unsigned found = 0;

	expect(tasks != NULL);
	*blocking = 0;
	for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
		char path[320], line[128];
		unsigned long long mask;
		FILE *file;
		bool named = false;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
		if (entry->d_name[0] == '.' || !(file = fopen(path, "r")))
			continue;
		while (fgets(line, sizeof(line), file)) {
			if (strncmp(line, "Name:", 5) == 0)
				named = strstr(line, needle) != NULL;
			if (named && sscanf(line, "SigBlk: %llx", &mask) == 1)
				*blocking += (mask & want) == want;
		}
		fclose(file);
		found += named;
	}
	closedir(tasks);
	return found;
}

/* "abalone" is the name of the heap, so the threads are found by it; both block all signals. */
static void threads_are_named_and_block_signals(void **state)
{
	struct gyre_options options;
	struct gyre_heap *heap;
	struct gyre_mutator *m;
	unsigned found, blocking;
	char name[] = "abalone";

	(void)state;
	gyre_options_init(&options);
	options.name = name;
	expect_ok(support_open_heap(&heap, &options));
	memset(name, 'x', sizeof(name) - 1); /* it was copied */
	expect_ok(gyre_attach(heap, 0, &m));
	expect_live(m, 0); /* the threads have run: their names are set */
	found = threads_named("abalone", &blocking);
	expect(found >= 1 && found <= 2);
	expect_equal(blocking, found);
	expect_ok(gyre_detach(m));
	expect_ok(gyre_heap_close(heap));
	/* The kernel takes a joined thread off the list a moment later. */
	while (threads_named("abalone", &blocking) > 0)
		sched_yield();
}

/* The nice value of the thread of this process with this name. */
static int nice_of(const char *name)
{
	DIR *tasks = opendir("/proc/self/task");
	int nice = INT_MAX;

	expect(tasks != NULL);
	for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
		char path[320], line[64] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		if (entry->d_name[0] == '.' || !(file = fopen(path, "r")))
			continue;
		if (fgets(line, sizeof(line), file) && strtok(line, "\n") &&
		    strcmp(line, name) == 0)
			nice = getpriority(PRIO_PROCESS, (id_t)atoi(entry->d_name));
		fclose(file);
	}
	closedir(tasks);
	return nice;
}

static int collector_nice(int option)
{
	struct gyre_options options;
	struct gyre_heap *heap;
	struct gyre_mutator *m;
	int nice;

	gyre_options_init(&options);
	options.name = "barnacle";
	options.collector_nice = option;
	expect_ok(gyre_heap_open(&heap, &options));
	expect_ok(gyre_attach(heap, 0, &m));
	expect_live(m, 0); /* the collector has run */
	nice = nice_of("barnacle");
	expect_ok(gyre_detach(m));
	expect_ok(gyre_heap_close(heap));
	while (nice_of("barnacle") != INT_MAX)
		sched_yield();
	return nice;
}

static void the_collector_gives_way(void **state)
{
	int own = getpriority(PRIO_PROCESS, 0);

	(void)state;
	expect_equal(collector_nice(0), own + 5 < 19 ? own + 5 : 19);
	expect_equal(collector_nice(9), own + 9 < 19 ? own + 9 : 19);
	expect_equal(collector_nice(-1), own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_options_are_the_defaults),
		cmocka_unit_test(options_init_sets_every_field),
		cmocka_unit_test(zero_is_the_default),
		cmocka_unit_test(invalid_options_are_refused),
		cmocka_unit_test(the_engine_is_an_option),
		cmocka_unit_test(the_older_options_are_known),
		cmocka_unit_test(a_stack_that_cannot_be_had_is_an_error),
		cmocka_unit_test(no_key_left_is_a_limit),
		cmocka_unit_test(no_memory_is_a_status),
		cmocka_unit_test(closing_with_mutators_is_refused),
		cmocka_unit_test(closing_releases_what_lives),
		cmocka_unit_test(closing_gives_memory_back),
		cmocka_unit_test(heaps_are_independent),
		cmocka_unit_test(the_limit_is_hard_and_heals),
		world_test(collect_soon_asks_for_a_boundary),
		cmocka_unit_test(threads_are_named_and_block_signals),
		cmocka_unit_test(the_collector_gives_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
