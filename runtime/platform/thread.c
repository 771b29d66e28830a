/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thread.c: gyre's own threads and thread-specific data, by POSIX threads. See thread.h.
 */
#include "platform/thread.h"

#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/wait.h"

static void *thread_main(void *arg)
{
	struct gyre__thread *thread = arg;

	pthread_setname_np(pthread_self(), thread->name);
	thread->run(thread->arg);
	return NULL;
}

bool gyre__thread_start(struct gyre__thread *thread, const char *name, size_t stack_bytes,
			void (*run)(void *arg), void *arg)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	long least = sysconf(_SC_THREAD_STACK_MIN);

	thread->run = run;
	thread->arg = arg;
	strncpy(thread->name, name, sizeof(thread->name) - 1);
	thread->name[sizeof(thread->name) - 1] = 0;
	if (least > 0 && stack_bytes < (size_t)least)
		stack_bytes = (size_t)least;
	if (pthread_attr_init(&attributes) != 0)
		return false;
	/* Blocked before the thread exists, so that no signal of the host ever runs on it. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	thread->started = pthread_attr_setstacksize(&attributes, stack_bytes) == 0 &&
			  pthread_create(&thread->id, &attributes, thread_main, thread) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return thread->started;
}

void gyre__thread_join(struct gyre__thread *thread)
{
	int cancelled = gyre__uncancelled();

	if (thread->started)
		pthread_join(thread->id, NULL);
	thread->started = false;
	gyre__cancelled_as(cancelled);
}

bool gyre__leavings_init(struct gyre__leavings *leavings, void (*ended)(void *value))
{
	return pthread_key_create(&leavings->key, ended) == 0;
}

void gyre__leavings_destroy(struct gyre__leavings *leavings)
{
	pthread_key_delete(leavings->key);
}

bool gyre__leavings_set(struct gyre__leavings *leavings, void *value)
{
	return pthread_setspecific(leavings->key, value) == 0;
}

void *gyre__leavings_get(struct gyre__leavings *leavings)
{
	return pthread_getspecific(leavings->key);
}

void gyre__thread_give_way(int nice)
{
	id_t tid = (id_t)gyre__thread_tid();

	/* On Linux the value is the thread's own. An error can only be that it is as it was. */
	(void)setpriority(PRIO_PROCESS, tid, getpriority(PRIO_PROCESS, tid) + nice);
}

long gyre__thread_tid(void)
{
	return syscall(SYS_gettid);
}

void gyre__thread_name(char *buffer, size_t bytes)
{
	if (pthread_getname_np(pthread_self(), buffer, bytes) != 0 && bytes > 0)
		buffer[0] = 0;
}
