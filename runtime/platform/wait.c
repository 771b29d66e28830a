/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wait.c: locks, events and clocks by POSIX threads, for threads that run for real. See wait.h.
 */
#include "platform/wait.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

bool gyre__lock_init(struct gyre__lock *lock)
{
	return pthread_mutex_init(&lock->mutex, NULL) == 0;
}

void gyre__lock_destroy(struct gyre__lock *lock)
{
	pthread_mutex_destroy(&lock->mutex);
}

void gyre__lock_take(struct gyre__lock *lock)
{
	pthread_mutex_lock(&lock->mutex);
}

void gyre__lock_drop(struct gyre__lock *lock)
{
	pthread_mutex_unlock(&lock->mutex);
}

bool gyre__event_init(struct gyre__event *event)
{
	pthread_condattr_t attributes;
	bool done;

	if (pthread_condattr_init(&attributes) != 0)
		return false;
	/* The monotonic clock: a host that sets the time must not freeze its collector. */
	done = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
	       pthread_cond_init(&event->condition, &attributes) == 0;
	pthread_condattr_destroy(&attributes);
	return done;
}

void gyre__event_destroy(struct gyre__event *event)
{
	pthread_cond_destroy(&event->condition);
}

int gyre__uncancelled(void)
{
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	return before;
}

void gyre__cancelled_as(int before)
{
	pthread_setcancelstate(before, NULL);
}

static bool wait_until(struct gyre__event *event, struct gyre__lock *lock, uint64_t at)
{
	struct timespec until = { (time_t)(at / 1000000000u), (long)(at % 1000000000u) };

	return pthread_cond_timedwait(&event->condition, &lock->mutex, &until) != ETIMEDOUT;
}

bool gyre__event_wait(struct gyre__event *event, struct gyre__lock *lock, uint64_t timeout_ns)
{
	int cancelled = gyre__uncancelled();
	bool signalled = true;

	if (timeout_ns == GYRE_FOREVER)
		pthread_cond_wait(&event->condition, &lock->mutex);
	else
		signalled = wait_until(event, lock, gyre__now_ns() + timeout_ns);
	gyre__cancelled_as(cancelled);
	return signalled;
}

void gyre__event_signal(struct gyre__event *event)
{
	pthread_cond_broadcast(&event->condition);
}

bool gyre__bell_init(struct gyre__bell *bell)
{
	bell->rings = false;
	bell->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return bell->fd >= 0;
}

void gyre__bell_destroy(struct gyre__bell *bell)
{
	if (bell->fd >= 0)
		close(bell->fd);
	bell->fd = -1;
}

void gyre__bell_ring(struct gyre__bell *bell)
{
	int cancelled;

	if (bell->fd < 0 || bell->rings)
		return;
	bell->rings = true;
	cancelled = gyre__uncancelled();
	eventfd_write(bell->fd, 1);
	gyre__cancelled_as(cancelled);
}

void gyre__bell_stop(struct gyre__bell *bell)
{
	eventfd_t rung;
	int cancelled;

	if (bell->fd < 0 || !bell->rings)
		return;
	bell->rings = false;
	cancelled = gyre__uncancelled();
	eventfd_read(bell->fd, &rung);
	gyre__cancelled_as(cancelled);
}

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t gyre__now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t gyre__cpu_ns(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void gyre__pause_ns(uint64_t ns)
{
	struct timespec time = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
	int cancelled = gyre__uncancelled();

	while (nanosleep(&time, &time) != 0 && errno == EINTR)
		;
	gyre__cancelled_as(cancelled);
}
