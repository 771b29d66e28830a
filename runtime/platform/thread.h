/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thread.h: gyre's own threads, and the notice that a thread of the host ends.
 */
#ifndef GYRE_PLATFORM_THREAD_H
#define GYRE_PLATFORM_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct gyre__thread {
	pthread_t id;
	bool started;
	void (*run)(void *arg);
	void *arg;
	char name[16];
};

/* Starts a thread with all signals blocked. False if the system refuses. */
bool gyre__thread_start(struct gyre__thread *thread, const char *name, size_t stack_bytes,
			void (*run)(void *arg), void *arg);
void gyre__thread_join(struct gyre__thread *thread);

/* What a thread leaves behind: ended(value) is called on a thread that ends while its value is
 * set. */
struct gyre__leavings {
	pthread_key_t key;
};

bool gyre__leavings_init(struct gyre__leavings *leavings, void (*ended)(void *value));
void gyre__leavings_destroy(struct gyre__leavings *leavings);
bool gyre__leavings_set(struct gyre__leavings *leavings, void *value);
void *gyre__leavings_get(struct gyre__leavings *leavings);

/* Adds nice, above 0, to the nice value of the calling thread; best effort. */
void gyre__thread_give_way(int nice);
long gyre__thread_tid(void);
void gyre__thread_name(char *buffer, size_t bytes);

#endif
