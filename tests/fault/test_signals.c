/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_signals.c: signals that come all the time, to each mutator thread by a timer of its own and
 * to the process by another, without SA_RESTART, while the threads attach, change a graph, park,
 * collect and detach. No handler ever runs on a thread of the library.
 *
 * Invariant: no thread is started while a heap is opened but by the library, so that its threads
 * are known.
 */
#include "churn.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/time.h>

enum {
	THREADS = 3,
	STEPS = SUPPORT_SANITIZED ? 20 * 1000 : 200 * 1000,
	ROUNDS = 16,
	PERIOD_NS = 200 * 1000,
	WATCHED = 8,
};

static atomic_int watched[WATCHED]; /* threads of the library */
static atomic_int strays;           /* signals that ran on one of them */
static atomic_uint process_signals;
static _Thread_local _Atomic(unsigned) thread_signals;

static void on_signal(int signal)
{
	int saved = errno, self = gettid();

	for (size_t i = 0; i < WATCHED; i++)
		if (atomic_load(&watched[i]) == self)
			atomic_fetch_add(&strays, 1);
	if (signal == SIGPROF)
		atomic_fetch_add(&process_signals, 1);
	else
		atomic_fetch_add(&thread_signals, 1);
	errno = saved;
}

static void catch(int signal)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigemptyset(&action.sa_mask);
	expect(sigaction(signal, &action, NULL) == 0);
}

/* All signals but those that the system and libc keep for themselves. */
static void expect_blocked(int tid)
{
	char path[64], line[256];
	unsigned long long blocked = 0;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	status = fopen(path, "r");
	expect(status != NULL);
	while (fgets(line, sizeof(line), status) && sscanf(line, "SigBlk: %llx", &blocked) != 1)
		;
	fclose(status);
	for (int signal = 1; signal <= 64; signal++)
		if (signal != SIGKILL && signal != SIGSTOP && signal != 32 && signal != 33)
			expect(blocked >> (signal - 1) & 1);
}

struct tasks {
	size_t count;
	int tids[WATCHED];
};

/* The threads of the process. */
static struct tasks list_tasks(void)
{
	struct tasks tasks = { 0, { 0 } };
	DIR *folder = opendir("/proc/self/task");
	struct dirent *task;

	expect(folder != NULL);
	while ((task = readdir(folder)) != NULL) {
		if (task->d_name[0] == '.')
			continue;
		expect(tasks.count < WATCHED);
		tasks.tids[tasks.count++] = atoi(task->d_name);
	}
	closedir(folder);
	return tasks;
}

/* The library's threads are the two that there were not before. */
static void watch_the_library(const struct tasks *before)
{
	struct tasks now = list_tasks();
	size_t found = 0;

	for (size_t i = 0; i < now.count; i++) {
		bool old = false;

		for (size_t j = 0; j < before->count; j++)
			old = old || before->tids[j] == now.tids[i];
		if (old)
			continue;
		atomic_store(&watched[found++], now.tids[i]);
		expect_blocked(now.tids[i]);
	}
	expect_equal(found, 2);
}

static timer_t signal_this_thread(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
	const struct itimerspec period = { { 0, PERIOD_NS }, { 0, PERIOD_NS } };
	timer_t timer;

#ifdef sigev_notify_thread_id
	event.sigev_notify_thread_id = gettid();
#else
	event._sigev_un._tid = gettid();
#endif
	expect(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	expect(timer_settime(timer, 0, &period, NULL) == 0);
	return timer;
}

static void signal_the_process(bool on)
{
	const struct timeval period = { 0, on ? PERIOD_NS / 1000 : 0 };
	const struct itimerval timer = { period, period };

	expect(setitimer(ITIMER_PROF, &timer, NULL) == 0);
}

struct thread {
	struct world *w;
	uint64_t seed;
	struct churn *churn;
	unsigned signals;
};

static void *churn_under_signals(void *arg)
{
	struct thread *t = arg;
	timer_t timer = signal_this_thread();
	struct churn *c = t->churn = churn_begin(t->w, t->seed);
	struct timespec short_while = { 0, 1000000 };

	for (int i = 1; i <= STEPS; i++) {
		churn_step(c);
		if (i % 8192 == 0) {
			expect_ok(gyre_park(c->m));
			nanosleep(&short_while, NULL); /* cut short by a signal, as it must be */
			expect_ok(gyre_unpark(c->m));
		}
		if (i % (STEPS / 4) == 0)
			world_collect(c->m);
		if (i % (STEPS / 2) == 0)
			world_verify(c->m);
	}
	churn_leave(c);
	timer_delete(timer);
	t->signals = atomic_load(&thread_signals);
	return NULL;
}

/* Nothing: but a sanitizer that has a thread of its own starts it now. */
static void *first_thread(void *arg)
{
	return arg;
}

static void everything_goes_on_under_signals(void **state)
{
	uint64_t seed = churn_seed();
	struct gyre_options options;

	(void)state;
	catch(SIGUSR1);
	catch(SIGPROF);
	gyre_options_init(&options);
	options.flags = GYRE_POISON;
	options.epoch_bytes = 128 << 10;
	thread_join(thread_start(first_thread, NULL));
	signal_the_process(true);
	for (uint64_t round = 0; round < ROUNDS; round++) {
		struct tasks before = list_tasks();
		struct world *w = world_make(&options);
		struct thread threads[THREADS];
		pthread_t ids[THREADS];
		struct churn *churns[THREADS];

		watch_the_library(&before);
		for (uint64_t i = 0; i < THREADS; i++) {
			threads[i] = (struct thread){ w, seed + round * THREADS + i, NULL, 0 };
			ids[i] = thread_start(churn_under_signals, &threads[i]);
		}
		expect_ok(gyre_park(w->m));
		for (size_t i = 0; i < THREADS; i++) {
			thread_join(ids[i]);
			churns[i] = threads[i].churn;
			expect(threads[i].signals > 0);
		}
		expect_ok(gyre_unpark(w->m));
		churn_judge(w, churns, THREADS);
		world_end(w);
	}
	signal_the_process(false);
	expect(atomic_load(&process_signals) > 0);
	expect_equal(atomic_load(&strays), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_goes_on_under_signals),
	};

	alarm(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
