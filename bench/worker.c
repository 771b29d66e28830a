/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker.c: one run of one workload, from its command line to its figures. The main thread leads,
 * the workload's threads work; all meet at one barrier between the phases of worker.h.
 *
 * A thread is parked whenever it waits at the barrier, so that the main thread's collections wait
 * for nobody; one that has failed goes on from barrier to barrier, or the others would wait for
 * ever.
 */
#include "worker.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WARM_PART 4 /* the warm-up is one part of so many of the measured phase */

enum { STATUS_FAILED = 1, STATUS_USAGE = 2, STATUS_SKIPPED = 3 };

struct worker {
	pthread_t thread;
	struct bench_thread t;
	struct bench_latency *latency;
	uint64_t wall_ns, own_ns; /* of the measured phase */
};

/* What the whole process measures; by the main thread. */
struct figures {
	uint64_t cpu_ns, own_ns, drain_cpu_ns, drain_wall_ns, settle_ns;
	uint64_t rss_begun, rss_live;
	bool settled;
};

static const struct bench_workload *workload;
static struct bench_options options = { .threads = 1, .seconds = 1, .seed = 1 };
static struct worker workers[BENCH_THREADS_MAX];
static pthread_barrier_t barrier;
static _Atomic(bool) stop, failed;

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

uint64_t bench_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

void bench_print(const char *name, double value)
{
	printf("%s %.9g\n", name, value);
}

/* Relaxed, as all accesses to both flags: they carry nothing, and barriers order the phases. */
bool bench_stopped(void)
{
	return atomic_load_explicit(&stop, memory_order_relaxed);
}

static void fail(const char *what)
{
	if (!atomic_exchange_explicit(&failed, true, memory_order_relaxed))
		fprintf(stderr, "bench-%s %s: %s\n", MM_NAME, workload->name, what);
}

/* Signals, by which some managers stop threads, do not shorten it. */
static void sleep_until(uint64_t at)
{
	struct timespec time = { (time_t)(at / 1000000000), (long)(at % 1000000000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR) {
	}
}

bool bench_wait_until(struct bench_thread *t, uint64_t at, uint64_t spin_ns)
{
	if (at > bench_now() + spin_ns) {
		mm_park(t->m);
		sleep_until(at - spin_ns);
		mm_unpark(t->m);
	}
	while (bench_now() < at) {
		mm_safepoint(t->m);
		if (bench_stopped())
			return false;
	}
	return !bench_stopped();
}

/* From /proc/self/status, in bytes; 0 if it is not there. */
static uint64_t status_of(const char *key)
{
	FILE *file = fopen("/proc/self/status", "r");
	size_t length = strlen(key);
	unsigned long long kilobytes = 0;
	char line[128];

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, key, length) == 0)
			kilobytes = strtoull(line + length, NULL, 10);
	if (file != NULL)
		fclose(file);
	return (uint64_t)kilobytes * 1024;
}

uint64_t bench_rss(void)
{
	return status_of("VmRSS:");
}

/* ---- The workload's threads ---- */

static void meet(struct worker *worker)
{
	if (worker->t.m != NULL)
		mm_park(worker->t.m);
	pthread_barrier_wait(&barrier);
	if (worker->t.m != NULL)
		mm_unpark(worker->t.m);
}

static void run_phase(struct worker *worker, uint64_t limit)
{
	uint64_t wall = bench_now(), own = clock_ns(CLOCK_THREAD_CPUTIME_ID), done = 0;
	bool once = strcmp(workload->kind, "once") == 0;

	/* One turn at least, should the thread come late. */
	do {
		uint64_t turn = workload->turn(&worker->t);

		if (turn == 0) {
			if (!MM_ENDS || done == 0)
				fail("no memory");
			break;
		}
		done += turn;
	} while (!once && (limit == 0 ? !bench_stopped() : done < limit));
	worker->own_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - own;
	worker->wall_ns = bench_now() - wall;
	worker->t.operations = done;
}

/* To a core of its own as long as there are any. */
static void pin(unsigned index)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(index % (unsigned)cores, &set);
	(void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static bool begin(struct worker *worker)
{
	struct bench_thread *t = &worker->t;

	t->own = calloc(1, workload->state_bytes + 1);
	return t->own != NULL && workload->begin(t);
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	struct bench_thread *t = &worker->t;
	bool attached, begun = false, once = strcmp(workload->kind, "once") == 0;

	if (options.threads < (unsigned)sysconf(_SC_NPROCESSORS_ONLN) || options.shared)
		pin(t->index);
	attached = mm_attach(&t->m);
	if (attached && t->index == 0)
		begun = begin(worker);
	meet(worker);
	if (attached && t->index != 0)
		begun = begin(worker);
	if (!begun)
		fail("could not begin");
	meet(worker);
	meet(worker);
	if (begun && !once)
		run_phase(worker, options.operations == 0 ? 0 : options.operations / WARM_PART + 1);
	meet(worker);
	t->latency = worker->latency;
	meet(worker);
	if (begun)
		run_phase(worker, options.operations);
	t->latency = NULL;
	meet(worker);
	meet(worker);
	/* Thread 0 last: others may use what it has begun. */
	if (t->index != 0 && t->own != NULL)
		workload->end(t);
	meet(worker);
	if (t->index == 0 && t->own != NULL)
		workload->end(t);
	if (attached)
		mm_detach(t->m);
	return NULL;
}

/* ---- The main thread ---- */

static void say_stop_after(double seconds)
{
	atomic_store_explicit(&stop, false, memory_order_relaxed);
	pthread_barrier_wait(&barrier);
	if (options.operations == 0 && strcmp(workload->kind, "once") != 0)
		sleep_until(bench_now() + (uint64_t)(seconds * 1e9));
	atomic_store_explicit(&stop, true, memory_order_relaxed);
	pthread_barrier_wait(&barrier);
}

static void collect(struct figures *f, bool count)
{
	uint64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID), wall = bench_now();
	mm_thread m;

	if (!mm_attach(&m)) {
		fail("the main thread could not attach");
		return;
	}
	mm_collect(m);
	mm_detach(m);
	if (!count)
		return;
	f->drain_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	f->drain_wall_ns = bench_now() - wall;
}

/* Everything is dropped: how long until it is reclaimed, at the manager's own pace? */
static void settle(struct figures *f)
{
	uint64_t start = bench_now();
	mm_thread m;

	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	for (unsigned i = 0; i < options.threads; i++)
		pthread_join(workers[i].thread, NULL);
	if (!mm_attach(&m))
		return;
	f->settled = mm_settle(m, 0);
	if (!f->settled)
		mm_collect(m);
	f->settle_ns = bench_now() - start;
	mm_detach(m);
}

static void lead(struct figures *f)
{
	uint64_t cpu;

	pthread_barrier_wait(&barrier);
	f->rss_begun = bench_rss();
	/* What was made lives on: looking at it for the first time is no part of the work. */
	collect(f, false);
	say_stop_after(options.seconds / WARM_PART);
	f->rss_live = bench_rss();
	collect(f, false);
	mm_mark();
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	say_stop_after(options.seconds);
	f->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	collect(f, true);
	mm_measured();
	settle(f);
}

static void start_threads(void)
{
	pthread_barrier_init(&barrier, NULL, options.threads + 1);
	for (unsigned i = 0; i < options.threads; i++) {
		struct worker *worker = &workers[i];

		worker->t = (struct bench_thread){
			.index = i,
			.options = &options,
			.first = &workers[0].t,
			.random = options.seed + UINT64_C(0x9E3779B97F4A7C15) * (i + 1),
		};
		worker->latency = bench_latency_new();
		if (worker->latency == NULL ||
		    pthread_create(&worker->thread, NULL, worker_main, worker) != 0) {
			fprintf(stderr, "bench-%s: no thread could be started\n", MM_NAME);
			exit(STATUS_FAILED);
		}
	}
}

static void print_figures(const struct figures *f)
{
	double wall = 0, own = 0, operations = 0, rate = 0, allocated = 0;

	for (unsigned i = 0; i < options.threads; i++) {
		const struct worker *w = &workers[i];

		wall += (double)w->wall_ns / options.threads;
		own += (double)w->own_ns;
		operations += (double)w->t.operations;
		allocated += (double)w->t.allocated;
		if (w->wall_ns > 0)
			rate += (double)w->t.operations / (double)w->wall_ns;
	}
	if (strcmp(workload->kind, "once") == 0)
		bench_print("seconds", wall / 1e9);
	if (rate > 0)
		bench_print("ns_per_op", options.threads / rate);
	bench_print("mops", rate * 1e3);
	bench_print("cpu_ns_per_op",
		    (double)(f->cpu_ns + f->drain_cpu_ns) / (operations > 0 ? operations : 1));
	bench_print("operations", operations);
	bench_print("wall_s", wall / 1e9);
	bench_print("mutator_cpu_s", own / 1e9);
	bench_print("other_cpu_s", ((double)f->cpu_ns - own) / 1e9);
	bench_print("drain_cpu_s", (double)f->drain_cpu_ns / 1e9);
	bench_print("drain_wall_s", (double)f->drain_wall_ns / 1e9);
	bench_print("settle_s", (double)f->settle_ns / 1e9);
	bench_print("settled_by_itself", f->settled);
	bench_print("rss_begun_bytes", (double)f->rss_begun);
	bench_print("rss_live_bytes", (double)f->rss_live);
	bench_print("rss_peak_bytes", (double)status_of("VmHWM:"));
	if (allocated > 0)
		bench_print("objects_allocated", allocated);
	for (unsigned i = 0; i < options.threads; i++)
		bench_latency_report(workers[i].latency);
}

static int run(void)
{
	const struct mm_options manager = { .threads = options.threads };
	struct figures figures = { 0 };

	if (!mm_open(&manager)) {
		fprintf(stderr, "bench-%s: could not be started\n", MM_NAME);
		return STATUS_FAILED;
	}
	for (size_t i = 0; i < workload->shapes_count; i++)
		if (!mm_know(workload->shapes[i]))
			fail("a type was refused");
	start_threads();
	pthread_barrier_wait(&barrier);
	lead(&figures);
	if (!atomic_load_explicit(&failed, memory_order_relaxed)) {
		struct bench_thread threads[BENCH_THREADS_MAX];

		print_figures(&figures);
		mm_report();
		for (unsigned i = 0; i < options.threads; i++)
			threads[i] = workers[i].t;
		if (workload->report != NULL)
			workload->report(threads, options.threads);
	}
	for (unsigned i = 0; i < options.threads; i++) {
		free(workers[i].t.own);
		bench_latency_free(workers[i].latency);
	}
	mm_close();
	return atomic_load_explicit(&failed, memory_order_relaxed) ? STATUS_FAILED : 0;
}

/* ---- The command line ---- */

static int usage(void)
{
	fprintf(stderr,
		"usage: bench-%s WORKLOAD [--threads N] [--live N] [--seconds S] [--operations N]\n"
		"       [--seed N] [--pin spare|shared]; or --list\n",
		MM_NAME);
	return STATUS_USAGE;
}

static int list(void)
{
	for (size_t i = 0; bench_workloads[i] != NULL; i++) {
		const struct bench_workload *w = bench_workloads[i];

		printf("%s\t%s\t%s\t%s\n", w->name, w->unit, w->kind, w->what);
	}
	return 0;
}

static bool number(const char *text, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == 0 && text[0] != '-';
}

static bool take_option(int option)
{
	uint64_t value = 0;
	char *end;

	switch (option) {
	case 't':
		if (!number(optarg, &value) || value == 0 || value > BENCH_THREADS_MAX)
			return false;
		options.threads = (unsigned)value;
		return true;
	case 'l':
		return number(optarg, &options.live);
	case 'o':
		return number(optarg, &options.operations);
	case 'r':
		return number(optarg, &options.seed);
	case 's':
		options.seconds = strtod(optarg, &end);
		return end != optarg && *end == 0 && options.seconds > 0 && options.seconds < 1e6;
	case 'p':
		options.shared = strcmp(optarg, "shared") == 0;
		return options.shared || strcmp(optarg, "spare") == 0;
	default:
		return false;
	}
}

/* The main thread, and with it what the manager starts, off the mutators' cores or on them. */
static void place_main(void)
{
	unsigned cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN), i;
	cpu_set_t set;

	if (options.threads >= cores)
		return;
	CPU_ZERO(&set);
	for (i = 0; i < cores; i++)
		if ((i < options.threads) == options.shared)
			CPU_SET(i, &set);
	(void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "threads", required_argument, NULL, 't' },
		{ "live", required_argument, NULL, 'l' },
		{ "seconds", required_argument, NULL, 's' },
		{ "operations", required_argument, NULL, 'o' },
		{ "seed", required_argument, NULL, 'r' },
		{ "pin", required_argument, NULL, 'p' },
		{ "list", no_argument, NULL, 'L' },
		{ NULL, 0, NULL, 0 },
	};
	const char *reason;
	int option;

	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (option == 'L')
			return list();
		if (!take_option(option))
			return usage();
	}
	if (optind + 1 != argc)
		return usage();
	for (size_t i = 0; bench_workloads[i] != NULL && workload == NULL; i++)
		if (strcmp(bench_workloads[i]->name, argv[optind]) == 0)
			workload = bench_workloads[i];
	if (workload == NULL)
		return usage();
	reason = workload->refused != NULL ? workload->refused() : NULL;
	if (reason == NULL && workload->threads != 0 && workload->threads != options.threads)
		reason = "it has a set number of threads, another than asked for";
	if (reason != NULL) {
		printf("skip %s\n", reason);
		return STATUS_SKIPPED;
	}
	place_main();
	return run();
}
