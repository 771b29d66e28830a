/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * platform.c: locks, events, clocks, threads, thread-specific data and backtraces for coroutines,
 * in the place of runtime/platform/wait.c, thread.c and unwind.c, and the last words of
 * runtime/check.c. Runs on the coroutine that calls; the point of each call has been passed before
 * (yield.h).
 *
 * Invariants: a lock is given to nobody, whoever runs first takes it; a signal wakes all who wait,
 * and only those; destructors of thread-specific data run in rounds as POSIX has it.
 */
#include "core.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "platform/unwind.h"

static struct {
	bool used;
	void (*ended)(void *value);
} keys[SIM_KEYS];

void sim_platform_reset(void)
{
	memset(keys, 0, sizeof(keys));
}

static const char destroyed; /* the owner of a lock that is no more */

bool gyre__lock_init(struct gyre__lock *lock)
{
	lock->owner = NULL;
	return true;
}

void gyre__lock_destroy(struct gyre__lock *lock)
{
	if (lock->owner != NULL)
		sim_fail("a lock is destroyed while it is held");
	lock->owner = &destroyed;
}

void gyre__lock_take(struct gyre__lock *lock)
{
	if (lock->owner == sim.current)
		sim_fail("a thread takes a lock that it holds");
	while (lock->owner != NULL) {
		if (lock->owner == &destroyed)
			sim_fail("a lock is taken that is destroyed");
		sim_block(lock, "a lock", UINT64_MAX);
	}
	lock->owner = sim.current;
}

void gyre__lock_drop(struct gyre__lock *lock)
{
	if (lock->owner != sim.current)
		sim_fail("a thread drops a lock that it does not hold");
	lock->owner = NULL;
	sim_wake(lock);
}

bool gyre__event_init(struct gyre__event *event)
{
	(void)event;
	return true;
}

void gyre__event_destroy(struct gyre__event *event)
{
	unsigned i;

	for (i = 0; i < sim.count; i++)
		if (sim.threads[i].state == SIM_WAITING && sim.threads[i].waits_for == event)
			sim_fail("an event is destroyed that %s waits for", sim.threads[i].name);
}

bool gyre__event_wait(struct gyre__event *event, struct gyre__lock *lock, uint64_t timeout_ns)
{
	uint64_t until = timeout_ns == GYRE_FOREVER ? UINT64_MAX : sim.clock + timeout_ns;
	bool woken = true;

	gyre__lock_drop(lock);
	if (!(sim.contested && sim.plan.spurious && sim_chance(4)))
		woken = sim_block(event, "an event", until);
	gyre__lock_take(lock);
	return woken;
}

void gyre__event_signal(struct gyre__event *event)
{
	sim_wake(event);
}

bool gyre__bell_init(struct gyre__bell *bell)
{
	*bell = (struct gyre__bell){ .fd = 0 };
	return true;
}

void gyre__bell_destroy(struct gyre__bell *bell)
{
	bell->fd = -1;
}

void gyre__bell_ring(struct gyre__bell *bell)
{
	bell->rings = bell->fd >= 0;
}

void gyre__bell_stop(struct gyre__bell *bell)
{
	bell->rings = false;
}

/* A clock that leaps: up to four seconds, small leaps as likely as large ones. */
static void leap(void)
{
	if (sim.contested && sim.plan.jumpy && sim_chance(16))
		sim.clock += (uint64_t)1 << (10 + sim_random(&sim.schedule_random) % 23);
}

uint64_t gyre__now_ns(void)
{
	leap();
	return sim.clock;
}

uint64_t gyre__cpu_ns(void)
{
	return sim.clock;
}

void gyre__pause_ns(uint64_t ns)
{
	sim_sleep(ns);
}

static void run_gyre(void *arg)
{
	struct gyre__thread *thread = arg;

	thread->run(thread->arg);
}

bool gyre__thread_start(struct gyre__thread *thread, const char *name, size_t stack_bytes,
			void (*run)(void *arg), void *arg)
{
	(void)stack_bytes;
	if (SIM_REFUSE("gyre__thread_start"))
		return false;
	thread->run = run;
	thread->arg = arg;
	thread->id = (pthread_t)sim_thread_make(name, run_gyre, thread);
	thread->started = true;
	return true;
}

void gyre__thread_join(struct gyre__thread *thread)
{
	struct sim_thread *other = (struct sim_thread *)thread->id;

	while (thread->started && other->state != SIM_ENDED)
		sim_block(other, "the end of a thread of gyre", UINT64_MAX);
	thread->started = false;
}

bool gyre__leavings_init(struct gyre__leavings *leavings, void (*ended)(void *value))
{
	unsigned i, n;

	if (SIM_REFUSE("gyre__leavings_init"))
		return false;
	for (i = 0; i < SIM_KEYS && keys[i].used; i++)
		;
	if (i == SIM_KEYS)
		return false;
	keys[i].used = true;
	keys[i].ended = ended;
	for (n = 0; n < SIM_THREADS; n++)
		sim.threads[n].leavings[i] = NULL;
	leavings->key = i;
	return true;
}

void gyre__leavings_destroy(struct gyre__leavings *leavings)
{
	keys[leavings->key].used = false;
}

bool gyre__leavings_set(struct gyre__leavings *leavings, void *value)
{
	if (value != NULL && SIM_REFUSE("gyre__leavings_set"))
		return false;
	sim.current->leavings[leavings->key] = value;
	return true;
}

void *gyre__leavings_get(struct gyre__leavings *leavings)
{
	return sim.current->leavings[leavings->key];
}

void sim_leavings_end(struct sim_thread *thread)
{
	unsigned round, i;

	for (round = 0; round < PTHREAD_DESTRUCTOR_ITERATIONS; round++)
		for (i = 0; i < SIM_KEYS; i++) {
			void *value = thread->leavings[i];

			thread->leavings[i] = NULL;
			if (keys[i].used && value != NULL)
				keys[i].ended(value);
		}
}

void gyre__thread_give_way(int nice)
{
	(void)nice; /* the schedule decides who runs */
}

long gyre__thread_tid(void)
{
	return 1000 + (long)sim.current->number;
}

void gyre__thread_name(char *buffer, size_t bytes)
{
	snprintf(buffer, bytes, "%s", sim.current->name);
}

/* Each thread has one frame of its own below where it allocates. */
unsigned gyre__unwind(const void **frames, unsigned room, const void *from)
{
	(void)room;
	frames[0] = from;
	frames[1] = (const void *)(uintptr_t)(1 + sim.current->number);
	return 2;
}

struct gyre__symbol gyre__symbol_of(const void *address)
{
	return (struct gyre__symbol){ .offset = (uintptr_t)address };
}

bool gyre__mappings_each(bool (*visit)(const struct gyre__mapping *mapping, void *arg), void *arg)
{
	(void)visit;
	(void)arg;
	return false;
}

void gyre__misuse(const char *format, ...)
{
	va_list arguments;
	char text[256];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	sim_fail("misuse: %s", text);
}

void gyre__broken(const char *what, const char *file, int line)
{
	sim_fail("broken: %s (%s:%d)", what, file, line);
}
