/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qsbr.c: liburcu's QSBR flavour behind qsbr.h. Each function runs on the thread it speaks of.
 *
 * Invariants: a thread is registered once however many heaps it is attached to; a thread that its
 * host registered is neither registered nor made quiescent, offline or online by gyre, because the
 * host may hold pointers of its own across our safe points; while anyone waits, the bit of every
 * listed reader is raised, and nobody but the last one who waited takes it back.
 */
#include "platform/qsbr.h"

#include <assert.h>
#include <pthread.h>
#include <stddef.h>
#include <urcu-qsbr.h>
#include <urcu/list.h>
/* For the reader's registered bit: registering a thread twice aborts the process, and only that bit
 * tells a registered thread that is offline from one that is not registered. */
#include <urcu/static/urcu-qsbr.h>

static _Thread_local struct {
	unsigned attached; /* heaps this thread is attached to */
	unsigned parked;   /* of them, parked in */
	bool ours;         /* gyre registered it */
} self;

static struct {
	pthread_mutex_t lock;
	struct gyre__reader *first;
	unsigned waiting; /* collectors in a grace period */
} process = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Relaxed: the bit says only that there is something to do. */
static void raise_bit(struct gyre__reader *reader)
{
	atomic_fetch_or_explicit(reader->poll, reader->bit, memory_order_relaxed);
}

static void lower_bit(struct gyre__reader *reader)
{
	atomic_fetch_and_explicit(reader->poll, ~reader->bit, memory_order_relaxed);
}

static void enlist(struct gyre__reader *reader)
{
	pthread_mutex_lock(&process.lock);
	reader->listed = true;
	reader->thread = &URCU_TLS(urcu_qsbr_reader);
	reader->previous = NULL;
	reader->next = process.first;
	if (reader->next != NULL)
		reader->next->previous = reader;
	process.first = reader;
	if (process.waiting > 0)
		raise_bit(reader);
	pthread_mutex_unlock(&process.lock);
}

static void delist(struct gyre__reader *reader)
{
	if (!reader->listed)
		return;
	pthread_mutex_lock(&process.lock);
	if (reader->previous != NULL)
		reader->previous->next = reader->next;
	else
		process.first = reader->next;
	if (reader->next != NULL)
		reader->next->previous = reader->previous;
	reader->listed = false;
	pthread_mutex_unlock(&process.lock);
}

void gyre__qsbr_attach(struct gyre__reader *reader, bool host)
{
	if (self.attached++ == 0) {
		self.parked = 0;
		self.ours = !host && !URCU_TLS(urcu_qsbr_reader).registered;
		if (self.ours)
			urcu_qsbr_register_thread();
	}
	if (self.ours)
		enlist(reader);
}

void gyre__qsbr_detach(struct gyre__reader *reader)
{
	assert(self.attached > 0);
	delist(reader);
	if (--self.attached == 0 && self.ours) {
		urcu_qsbr_unregister_thread();
		self.ours = false;
	}
}

void gyre__qsbr_park(void)
{
	if (self.parked++ == 0 && self.ours)
		urcu_qsbr_thread_offline();
}

void gyre__qsbr_unpark(void)
{
	if (--self.parked == 0 && self.ours)
		urcu_qsbr_thread_online();
}

void gyre__qsbr_quiescent(void)
{
	if (self.ours && self.parked == 0)
		urcu_qsbr_quiescent_state();
}

void gyre__qsbr_wait(void)
{
	struct gyre__reader *reader;

	pthread_mutex_lock(&process.lock);
	if (process.waiting++ == 0)
		for (reader = process.first; reader != NULL; reader = reader->next)
			raise_bit(reader);
	pthread_mutex_unlock(&process.lock);
	urcu_qsbr_synchronize_rcu();
	pthread_mutex_lock(&process.lock);
	if (--process.waiting == 0)
		for (reader = process.first; reader != NULL; reader = reader->next)
			lower_bit(reader);
	pthread_mutex_unlock(&process.lock);
}

/* Their records lie in stacks that threads of the child will be given. */
void gyre__qsbr_fork_child(void)
{
	struct gyre__reader *reader, *next;

	/* Who held it is not there. */
	pthread_mutex_init(&process.lock, NULL);
	process.waiting = 0;
	for (reader = process.first; reader != NULL; reader = next) {
		struct urcu_qsbr_reader *record = reader->thread;

		next = reader->next;
		if (record == &URCU_TLS(urcu_qsbr_reader))
			continue;
		/* Once for a thread that was attached to several heaps. */
		if (record->registered)
			cds_list_del(&record->node);
		record->registered = 0;
		delist(reader);
	}
}

static pthread_mutex_t stop_lock = PTHREAD_MUTEX_INITIALIZER;

void gyre__stop_begin(void)
{
	pthread_mutex_lock(&stop_lock);
}

void gyre__stop_end(void)
{
	pthread_mutex_unlock(&stop_lock);
}
