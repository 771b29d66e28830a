/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * finalizer.c: the finalizer thread, and the calls by which a host runs finalizers itself. The
 * thread is a mutator like any other, parked while it has nothing to do.
 */
#include <gyre/finalize.h>
#include <string.h>

#include "ends.h"
#include "mutator.h"
#include "side.h"
#include "type.h"

#define STACK ((size_t)8 << 20) /* as a program's own threads have */
/* For a thread that could not attach for want of memory. */
#define RETRY_NS 10000000

static bool stopping(struct gyre__ends *ends)
{
	bool stop;

	gyre__lock_take(&ends->lock);
	stop = ends->stop;
	gyre__lock_drop(&ends->lock);
	return stop;
}

static void wait_for_work(struct gyre_mutator *m)
{
	struct gyre__ends *ends = &m->heap->ends;

	gyre_park(m);
	gyre__lock_take(&ends->lock);
	while (ends->first == NULL && !ends->stop)
		gyre__event_wait(&ends->work, &ends->lock, GYRE_FOREVER);
	gyre__lock_drop(&ends->lock);
	gyre_unpark(m);
}

static void run(void *arg)
{
	struct gyre_heap *heap = arg;
	struct gyre_mutator *m;
	uint64_t ran;

	while (gyre__attach(heap, 0, true, &m) != GYRE_OK) {
		if (stopping(&heap->ends))
			return;
		gyre__pause_ns(RETRY_NS); /* rare: finalizer thread without memory */
	}
	while (!stopping(&heap->ends))
		if (!gyre__batch_run(m, &ran))
			wait_for_work(m);
	gyre_detach(m);
}

bool gyre__finalizer_start(struct gyre_heap *heap)
{
	struct gyre__ends *ends = &heap->ends;
	char name[16];
	bool started;

	if (heap->options.finalizing == GYRE_FINALIZE_HOST)
		return true;
	memcpy(name, heap->name, sizeof(name));
	name[13] = 0;
	strcat(name, "/f");
	gyre__lock_take(&ends->lock);
	if (!ends->started)
		ends->started = gyre__thread_start(&ends->thread, name, STACK, run, heap);
	started = ends->started;
	gyre__lock_drop(&ends->lock);
	return started;
}

void gyre__finalizer_stop(struct gyre_heap *heap)
{
	struct gyre__ends *ends = &heap->ends;

	gyre__lock_take(&ends->lock);
	ends->stop = true;
	gyre__event_signal(&ends->work);
	gyre__lock_drop(&ends->lock);
	if (ends->started)
		gyre__thread_join(&ends->thread);
	/* Should the heap stay open, it is started again. */
	ends->started = ends->stop = false;
}

enum gyre_status gyre_finalize_next(struct gyre_mutator *m, uint64_t *ran)
{
	enum gyre_status status = gyre__may_wait(m, "gyre_finalize_next");
	uint64_t number = 0;

	if (status != GYRE_OK)
		return status;
	/* Nothing is left in one whose thread ended in its last finalizer. */
	while (gyre__batch_run(m, &number) && number == 0)
		;
	gyre_safepoint(m);
	if (ran != NULL)
		*ran = number;
	return GYRE_OK;
}

int gyre_finalize_fd(struct gyre_heap *heap)
{
	return heap == NULL ? -1 : heap->ends.bell.fd;
}

/* Whether it is for the caller to run batches: because the host does, or because gyre's thread,
 * which a close that failed has ended, cannot be started again. */
static bool run_by_caller(struct gyre_heap *heap)
{
	return heap->options.finalizing == GYRE_FINALIZE_HOST ||
	       (gyre__batch_waits(&heap->ends) && !gyre__finalizer_start(heap));
}

/* Waits until there is something to do for the caller, or nothing at all any more; whether it is
 * that. */
static bool wait_for_others(struct gyre_mutator *m, bool by_caller)
{
	struct gyre__ends *ends = &m->heap->ends;
	bool idle;

	gyre_park(m);
	gyre__lock_take(&ends->lock);
	if (ends->first == NULL ? ends->active != NULL : !by_caller)
		gyre__event_wait(&ends->changed, &ends->lock, GYRE_FOREVER);
	idle = ends->first == NULL && ends->active == NULL;
	gyre__lock_drop(&ends->lock);
	gyre_unpark(m);
	return idle;
}

enum gyre_status gyre_finalize_wait(struct gyre_mutator *m)
{
	enum gyre_status status = gyre__may_wait(m, "gyre_finalize_wait");
	bool by_caller;
	uint64_t ran;

	if (status != GYRE_OK)
		return status;
	if (m->batch != NULL)
		return GYRE_BUSY;
	/* Again and again: another thread may end in a finalizer, and leave its batch to us. */
	do {
		by_caller = run_by_caller(m->heap);
		while (by_caller && gyre__batch_run(m, &ran))
			;
	} while (!wait_for_others(m, by_caller));
	return GYRE_OK;
}

enum gyre_status gyre_finalizer_rearm(struct gyre_mutator *m, const void *object)
{
	struct gyre__ends *ends;
	bool noted;

	if (m == NULL || object == NULL)
		return GYRE_INVALID;
	if (gyre__frozen(m->heap))
		return GYRE_FROZEN;
	gyre__check_mutator(m, "gyre_finalizer_rearm");
	gyre__check_value(m, object, "gyre_finalizer_rearm");
	if (gyre__locator_of(object)->type->finalize == NULL)
		return GYRE_INVALID;
	/* The collector takes the notes before it looks at what died in the epoch that was open. */
	ends = &m->heap->ends;
	gyre__lock_take(&ends->lock);
	noted = gyre__vector_push(&ends->rearmed, (void *)object);
	gyre__lock_drop(&ends->lock);
	return noted ? GYRE_OK : GYRE_NO_MEMORY;
}
