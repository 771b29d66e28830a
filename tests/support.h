/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * support.h: what the tests of the public interface share: expectations that say where they failed
 * and may be used on any thread, a heap with a few types, a log that can be waited for, gates on
 * which threads meet. Uses nothing of gyre but <gyre/gyre.h>.
 *
 * Every heap that a test opens has the engine that its options name; else the one that the test is
 * about (a file that defines SUPPORT_ENGINE before it includes this one); else the one that the
 * whole run is about (GYRE_TEST_ENGINE, "tagged" or "recycler", read here and nowhere else); else
 * the library's default. tests/meson.build runs what makes sense for both with both.
 *
 * Invariant: the teardown of every test runs gyre_verify, so each test is also one of soundness. A
 * test that fails with a heap open ends the executable: this thread would stay attached to that
 * heap, with keep frames that are gone, and hold up the boundaries that later tests wait for.
 */
#ifndef GYRE_TESTS_SUPPORT_H
#define GYRE_TESTS_SUPPORT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <gyre/gyre.h>

#ifdef __has_feature
#define SUPPORT_FEATURE(name) __has_feature(name)
#else
#define SUPPORT_FEATURE(name) 0
#endif

#if defined(__SANITIZE_THREAD__) || SUPPORT_FEATURE(thread_sanitizer)
#define SUPPORT_TSAN 1
#else
#define SUPPORT_TSAN 0
#endif

#if SUPPORT_TSAN || defined(__SANITIZE_ADDRESS__) || SUPPORT_FEATURE(address_sanitizer)
#define SUPPORT_SANITIZED 1
#else
#define SUPPORT_SANITIZED 0
#endif

/* Whether everything takes many times as long as in a build for use: then what is done over and
 * over is done less often. Said for a build with counters by its options. */
#ifndef SUPPORT_SLOW
#define SUPPORT_SLOW SUPPORT_SANITIZED
#endif

/* Whether the library ends the process on misuse; the project's build says so. */
#ifndef GYRE_CHECKS
#define GYRE_CHECKS 0
#endif

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Heaps that world_make has opened and world_end has not closed. Main thread only. */
static unsigned support_open;

/* Ends the test or the executable; off the main thread always that, as cmocka cannot jump there. */
static inline void support_fail(const char *file, int line)
{
	if (gettid() != getpid())
		abort();
	if (support_open > 0) {
		fprintf(stderr, "the tests after this one are not run\n");
		fflush(NULL);
		_exit(1);
	}
	_fail(file, line);
}

static inline void support_expect(bool holds, const char *text, const char *file, int line)
{
	if (holds)
		return;
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, text);
	support_fail(file, line);
}

static inline void support_equal(uint64_t got, uint64_t want, const char *text, const char *file,
				 int line)
{
	if (got == want)
		return;
	fprintf(stderr, "%s:%d: %s is %llu, wanted %llu\n", file, line, text,
		(unsigned long long)got, (unsigned long long)want);
	support_fail(file, line);
}

static inline void support_status(enum gyre_status got, enum gyre_status want, const char *text,
				  const char *file, int line)
{
	if (got == want)
		return;
	fprintf(stderr, "%s:%d: %s answered %s, wanted %s\n", file, line, text,
		gyre_status_name(got), gyre_status_name(want));
	support_fail(file, line);
}

#define expect(condition) support_expect((condition), #condition, __FILE__, __LINE__)
#define expect_equal(got, want) \
	support_equal((uint64_t)(got), (uint64_t)(want), #got, __FILE__, __LINE__)
#define expect_status(call, want) support_status((call), (want), #call, __FILE__, __LINE__)
#define expect_ok(call) expect_status(call, GYRE_OK)

/* What the file's tests are about; GYRE_ENGINE_DEFAULT: either engine. */
#ifndef SUPPORT_ENGINE
#define SUPPORT_ENGINE GYRE_ENGINE_DEFAULT
#endif

/* The engine of heaps whose options name none. */
static inline enum gyre_engine support_engine(void)
{
	const char *name = getenv("GYRE_TEST_ENGINE");

	if (SUPPORT_ENGINE != GYRE_ENGINE_DEFAULT)
		return SUPPORT_ENGINE;
	if (name == NULL || !name[0])
		return GYRE_ENGINE_DEFAULT;
	if (strcmp(name, "recycler") == 0)
		return GYRE_ENGINE_RECYCLER;
	/* A run that was asked for under a name that is none must not pass for one of another. */
	if (strcmp(name, "tagged") != 0) {
		fprintf(stderr, "GYRE_TEST_ENGINE: there is no engine %s\n", name);
		abort();
	}
	return GYRE_ENGINE_TAGGED;
}

/* gyre_heap_open with that engine, if options name none; and with a collector that does not give
 * way, if options do not say how far: tests with more threads than processors wait for it. */
static inline enum gyre_status support_open_heap(struct gyre_heap **heap,
						 const struct gyre_options *options)
{
	struct gyre_options all;

	gyre_options_init(&all);
	if (options != NULL)
		all = *options;
	if (all.engine == GYRE_ENGINE_DEFAULT)
		all.engine = support_engine();
	if (all.collector_nice == 0)
		all.collector_nice = -1;
	return gyre_heap_open(heap, &all);
}

/* Whether that is tagged. */
static inline bool support_tagged(void)
{
	return support_engine() != GYRE_ENGINE_RECYCLER;
}

/* A log that keeps its first lines and can be waited for. The callback runs on any thread. */
struct support_log {
	pthread_mutex_t lock;
	pthread_cond_t more;
	unsigned count, newlines;
	enum gyre_log_level levels[64];
	char lines[64][512];
};

static inline void support_log_line(void *arg, enum gyre_log_level level, const char *text)
{
	struct support_log *log = (struct support_log *)arg;

	pthread_mutex_lock(&log->lock);
	if (strchr(text, '\n') || !text[0])
		log->newlines++;
	if (log->count < LENGTH(log->lines)) {
		log->levels[log->count] = level;
		snprintf(log->lines[log->count], sizeof(log->lines[0]), "%s", text);
		log->count++;
	}
	pthread_cond_broadcast(&log->more);
	pthread_mutex_unlock(&log->lock);
}

/* The number of a line that contains needle, or -1. The caller holds the lock. */
static inline int support_log_find(const struct support_log *log, const char *needle)
{
	for (unsigned i = 0; i < log->count; i++) {
		if (strstr(log->lines[i], needle))
			return (int)i;
	}
	return -1;
}

/*
 * Waits for a line that contains needle and copies it. The deadline is there so that a line that
 * never comes fails the test instead of hanging it; it asserts nothing about speed.
 */
static inline void support_log_wait(struct support_log *log, const char *needle, char *line,
				    size_t bytes)
{
	struct timespec end;
	int found, error = 0;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 120;
	pthread_mutex_lock(&log->lock);
	while ((found = support_log_find(log, needle)) < 0 && !error)
		error = pthread_cond_timedwait(&log->more, &log->lock, &end);
	if (found >= 0)
		snprintf(line, bytes, "%s", log->lines[found]);
	pthread_mutex_unlock(&log->lock);
	if (found < 0)
		fprintf(stderr, "no line of the log contains \"%s\"\n", needle);
	expect(found >= 0);
}

/* Threads meet at a gate: one opens step after step, others wait for a step. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t more;
	int step;
};

#define GATE_CLOSED                                                                                \
	{                                                                                          \
		PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0                             \
	}

static inline void gate_open(struct gate *gate, int step)
{
	pthread_mutex_lock(&gate->lock);
	gate->step = step;
	pthread_cond_broadcast(&gate->more);
	pthread_mutex_unlock(&gate->lock);
}

static inline void gate_wait(struct gate *gate, int step)
{
	pthread_mutex_lock(&gate->lock);
	while (gate->step < step)
		pthread_cond_wait(&gate->more, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

static inline pthread_t thread_start(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	expect(pthread_create(&thread, NULL, run, arg) == 0);
	return thread;
}

static inline void thread_join(pthread_t thread)
{
	expect(pthread_join(thread, NULL) == 0);
}

/* The types most tests use. */
struct node {
	gyre_ref left, right;
	uint64_t id, canary;
};

struct leaf {
	uint64_t id, canary;
};

struct refs {
	size_t length;
	gyre_ref items[];
};

struct bytes {
	size_t length;
	unsigned char data[];
};

static inline uint64_t canary_of(uint64_t id)
{
	return id * UINT64_C(0x9e3779b97f4a7c15) ^ UINT64_C(0x6779726563616e61);
}

struct world {
	struct gyre_heap *heap;
	struct gyre_mutator *m;
	const struct gyre_type *node, *leaf, *refs, *bytes;
	struct support_log log;
};

/* Lines of the log that contain needle. */
static inline unsigned world_lines_with(struct world *w, const char *needle)
{
	unsigned count = 0;

	pthread_mutex_lock(&w->log.lock);
	for (unsigned i = 0; i < w->log.count; i++)
		count += strstr(w->log.lines[i], needle) != NULL;
	pthread_mutex_unlock(&w->log.lock);
	return count;
}

static inline void world_types(struct world *w)
{
	const struct gyre_type_desc node = GYRE_TYPE(
		struct node, GYRE_REFS(GYRE_REF(struct node, left), GYRE_REF(struct node, right)));
	const struct gyre_type_desc leaf = GYRE_TYPE(struct leaf);
	const struct gyre_type_desc refs =
		GYRE_TYPE(struct refs, GYRE_TRAILING_REFS(struct refs, items, length));
	const struct gyre_type_desc bytes =
		GYRE_TYPE(struct bytes, GYRE_TRAILING_BYTES(struct bytes, data, length));

	expect_ok(gyre_type_register(w->heap, &node, &w->node));
	expect_ok(gyre_type_register(w->heap, &leaf, &w->leaf));
	expect_ok(gyre_type_register(w->heap, &refs, &w->refs));
	expect_ok(gyre_type_register(w->heap, &bytes, &w->bytes));
}

/* A heap as options say (the log is added), the calling thread attached. */
static inline struct world *world_make(struct gyre_options *options)
{
	struct world *w = (struct world *)calloc(1, sizeof(*w));

	expect(w != NULL);
	pthread_mutex_init(&w->log.lock, NULL);
	pthread_cond_init(&w->log.more, NULL);
	options->log = support_log_line;
	options->log_arg = &w->log;
	expect_ok(support_open_heap(&w->heap, options));
	support_open++;
	world_types(w);
	expect_ok(gyre_attach(w->heap, 0, &w->m));
	return w;
}

static inline void world_disagreement(void *arg, const void *object, const char *text)
{
	(void)arg;
	fprintf(stderr, "gyre_verify, object %p: %s\n", object, text);
}

static inline struct gyre_verify_report world_verify(struct gyre_mutator *m)
{
	struct gyre_verify_report report = { .size = sizeof(report) };

	expect_ok(gyre_verify(m, &report, world_disagreement, NULL));
	expect_equal(report.disagreements, 0);
	expect_equal(report.objects, report.reachable + report.unreachable);
	return report;
}

static inline void world_end(struct world *w)
{
	world_verify(w->m);
	expect_equal(w->log.newlines, 0);
	expect_ok(gyre_detach(w->m));
	expect_ok(gyre_heap_close(w->heap));
	support_open--;
	pthread_mutex_destroy(&w->log.lock);
	pthread_cond_destroy(&w->log.more);
	free(w);
}

/* Setup and teardown in cmocka's sense. Freed cells are poisoned, so that a use shows. */
static inline int world_setup(void **state)
{
	struct gyre_options options;

	gyre_options_init(&options);
	options.flags = GYRE_POISON;
	*state = world_make(&options);
	return 0;
}

static inline int world_teardown(void **state)
{
	world_end((struct world *)*state);
	return 0;
}

static inline struct node *node_new(const struct world *w, struct gyre_mutator *m, uint64_t id)
{
	struct node *n = (struct node *)gyre_new(m, w->node);

	expect(n != NULL);
	n->id = id;
	n->canary = canary_of(id);
	return n;
}

static inline bool node_sound(const struct node *n)
{
	return n && n->canary == canary_of(n->id);
}

static inline bool node_is(const struct node *n, uint64_t id)
{
	return node_sound(n) && n->id == id;
}

static inline struct refs *refs_new(const struct world *w, struct gyre_mutator *m, size_t length)
{
	struct refs *r = (struct refs *)gyre_new_array(m, w->refs, length);

	expect(r != NULL);
	expect_equal(r->length, length);
	return r;
}

static inline uint64_t world_collect(struct gyre_mutator *m)
{
	uint64_t reclaimed = UINT64_MAX;

	expect_ok(gyre_collect(m, &reclaimed));
	return reclaimed;
}

/* Collects, then expects exactly count objects, all of them reachable. */
static inline void expect_live_at(struct gyre_mutator *m, uint64_t count, const char *file,
				  int line)
{
	struct gyre_verify_report report;

	world_collect(m);
	report = world_verify(m);
	support_equal(report.objects, count, "objects after gyre_collect", file, line);
	support_equal(report.reachable, count, "reachable after gyre_collect", file, line);
}

#define expect_live(m, count) expect_live_at((m), (count), __FILE__, __LINE__)

static inline struct gyre_stats world_stats(struct gyre_heap *heap)
{
	struct gyre_stats stats;

	memset(&stats, 0, sizeof(stats));
	stats.size = sizeof(stats);
	expect_ok(gyre_heap_stats(heap, &stats));
	return stats;
}

#define world_test(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

#endif
