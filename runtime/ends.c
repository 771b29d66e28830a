/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ends.c: the queue of batches, and how a batch is run. The collector queues; mutators run: the
 * finalizer thread, or a thread of the host.
 *
 * Invariants: a batch leaves the active ones in the same step in which its last object is
 * unpinned, so whoever finds all mutators at rest finds each pin in the queue, among the active
 * batches, or in a journal. Every callback and finalizer is taken off its batch before it is
 * called, so none is called twice, whatever becomes of its thread.
 */
#include "ends.h"

#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "mutator.h"
#include "side.h"
#include "to_collector.h"
#include "twin.h"
#include "type.h"
#include "weak.h"

/* For a journal that has no room: the boundary that makes it is not far. */
#define PAUSE_NS 1000000
/* Objects that finalizers make while the heap is closed are finalized, too, so often. */
#define CLOSING_ROUNDS 8

bool gyre__ends_init(struct gyre_heap *heap)
{
	struct gyre__ends *ends = &heap->ends;

	ends->last = &ends->first;
	ends->bell.fd = -1;
	return gyre__lock_init(&ends->lock) && gyre__event_init(&ends->work) &&
	       gyre__event_init(&ends->changed) &&
	       (heap->options.finalizing != GYRE_FINALIZE_HOST || gyre__bell_init(&ends->bell));
}

static void free_notices(struct gyre__notice *notice)
{
	while (notice != NULL) {
		struct gyre__notice *next = notice->next;

		if (!notice->lends)
			free(notice);
		notice = next;
	}
}

/* Also releases the notice that lent it, if there is one. */
static void batch_free(struct gyre__batch *batch)
{
	free_notices(batch->notices);
	if (batch->objects != NULL)
		free(batch);
	else
		free((char *)batch - offsetof(struct gyre__notice, alone));
}

static bool free_notices_of(struct gyre__slab *slab, void *unused)
{
	uint32_t cell;

	(void)unused;
	if (!(gyre__special(gyre__locator_of(slab->base)) & GYRE_SPECIAL_WEAK))
		return true;
	for (cell = 0; cell < slab->shape.cells; cell++) {
		struct gyre__weak_cell *weak =
			gyre__side_get(gyre__cell(slab, cell), GYRE_SIDE_WEAK);

		if (weak != NULL)
			free_notices(weak->notices);
	}
	return true;
}

void gyre__ends_destroy(struct gyre_heap *heap)
{
	struct gyre__ends *ends = &heap->ends;

	while (ends->first != NULL) {
		struct gyre__batch *batch = ends->first;

		ends->first = batch->next;
		batch_free(batch);
	}
	while (ends->kept != NULL) {
		struct gyre__kept *kept = ends->kept;

		ends->kept = kept->next;
		free(kept);
	}
	gyre__slabs_each(heap, free_notices_of, NULL);
	gyre__vector_destroy(&ends->rearmed);
	gyre__vector_destroy(&ends->attached);
	gyre__bell_destroy(&ends->bell);
	gyre__event_destroy(&ends->work);
	gyre__event_destroy(&ends->changed);
	gyre__lock_destroy(&ends->lock);
}

struct gyre__batch *gyre__batch_make(size_t count)
{
	struct gyre__batch *batch = calloc(1, sizeof(*batch) + count * sizeof(void *));

	if (batch != NULL)
		batch->objects = (void **)(batch + 1);
	return batch;
}

/* What a batch adds to the statistics of what waits. */
static uint64_t length_of(const struct gyre__batch *batch)
{
	const struct gyre__notice *notice;
	uint64_t length = batch->count - batch->run;

	for (notice = batch->notices; notice != NULL; notice = notice->next)
		length++;
	return length;
}

static void count_waiting(struct gyre_heap *heap, uint64_t change)
{
	struct gyre__shared_counters *shared = &heap->shared;

	gyre__counter_max_shared(&shared->finalizers_waiting_max,
				 gyre__counter_add_shared(&shared->finalizers_waiting, change));
}

/* A batch was put into the queue: whoever may run it is told. Lock held. */
static void ring(struct gyre__ends *ends)
{
	gyre__bell_ring(&ends->bell);
	gyre__event_signal(&ends->work);
	gyre__event_signal(&ends->changed);
}

void gyre__batch_queue(struct gyre_heap *heap, struct gyre__batch *batch)
{
	struct gyre__ends *ends = &heap->ends;

	count_waiting(heap, length_of(batch));
	gyre__lock_take(&ends->lock);
	batch->next = NULL;
	*ends->last = batch;
	ends->last = &batch->next;
	ring(ends);
	gyre__lock_drop(&ends->lock);
}

static struct gyre__batch *take(struct gyre_mutator *m)
{
	struct gyre__ends *ends = &m->heap->ends;
	struct gyre__batch *batch;

	gyre__lock_take(&ends->lock);
	batch = ends->first;
	if (batch != NULL) {
		ends->first = batch->next;
		if (ends->first == NULL) {
			ends->last = &ends->first;
			gyre__bell_stop(&ends->bell);
		}
		batch->next = ends->active;
		ends->active = batch;
		batch->outer = m->batch;
		m->batch = batch;
	}
	gyre__lock_drop(&ends->lock);
	return batch;
}

static void take_out(struct gyre__batch **list, const struct gyre__batch *batch)
{
	while (*list != batch)
		list = &(*list)->next;
	*list = batch->next;
}

/* Takes a batch out of the active ones. Lock held. */
static void unlist(struct gyre__ends *ends, struct gyre__batch *batch)
{
	take_out(&ends->active, batch);
	if (ends->active == NULL && ends->first == NULL)
		gyre__event_signal(&ends->changed);
}

void gyre__batch_leave(struct gyre_mutator *m)
{
	struct gyre__ends *ends = &m->heap->ends;

	gyre__lock_take(&ends->lock);
	while (m->batch != NULL) {
		struct gyre__batch *batch = m->batch; /* rare: thread ends in a finalizer */

		m->batch = batch->outer;
		unlist(ends, batch);
		batch->next = ends->first;
		if (ends->first == NULL)
			ends->last = &batch->next;
		ends->first = batch;
		ring(ends);
	}
	gyre__lock_drop(&ends->lock);
	atomic_store_explicit(&m->running_since, 0, memory_order_relaxed);
}

static const char a_callback[] = "a callback of a weak cell";

/* What the watching thread sees of a call. A call within a call is seen instead of it. */
static void begin(struct gyre_mutator *m, const char *what)
{
	/* Relaxed: both are for a log line. */
	atomic_store_explicit(&m->running, what, memory_order_relaxed);
	atomic_store_explicit(&m->running_since, gyre__now_ns(), memory_order_relaxed);
}

void gyre__returned(struct gyre_mutator *m, const char *what, const struct gyre_keep *keeps)
{
#if GYRE_CHECKED
	if (gyre__mutator_state(m) != GYRE_MUTATOR_RUNNING)
		gyre__misuse("%s: returned while its mutator is parked", what);
	if (m->head.keeps != keeps)
		gyre__misuse("%s: returned with a keep frame open", what);
#else
	(void)what;
	(void)keeps;
	if (gyre__mutator_state(m) != GYRE_MUTATOR_RUNNING)
		gyre_unpark(m);
#endif
}

/* keeps: m's frames before the call. */
static void end(struct gyre_mutator *m, const char *what, const struct gyre_keep *keeps,
		gyre__counter *counter)
{
	gyre__returned(m, what, keeps);
	atomic_store_explicit(&m->running_since, 0, memory_order_relaxed);
	gyre__counter_add_shared(counter, 1);
	gyre_safepoint(m);
}

static void call_notices(struct gyre_mutator *m, struct gyre__batch *batch)
{
	struct gyre__shared_counters *shared = &m->heap->shared;

	while (batch->notices != NULL) {
		struct gyre__notice *notice = batch->notices;
		const struct gyre_keep *keeps = m->head.keeps;
		gyre_cleared_fn fn = notice->fn;
		void *arg = notice->arg;

		batch->notices = notice->next;
		if (!notice->lends)
			free(notice);
		count_waiting(m->heap, (uint64_t)-1);
		begin(m, a_callback);
		fn(m, arg);
		end(m, a_callback, keeps, &shared->notices_called);
	}
}

static void call_finalizers(struct gyre_mutator *m, struct gyre__batch *batch)
{
	struct gyre__shared_counters *shared = &m->heap->shared;

	while (batch->run < batch->count) {
		const struct gyre_keep *keeps = m->head.keeps;
		void *object = batch->objects[batch->run++];
		const struct gyre_type *type = gyre__locator_of(object)->type;

		count_waiting(m->heap, (uint64_t)-1);
		begin(m, type->name);
		type->finalize(m, object);
		end(m, type->name, keeps, &shared->finalizers_run);
	}
}

void gyre__unpin_up_to(struct gyre_mutator *m, struct gyre__batch *batch, size_t count)
{
	/* Relaxed: only this thread writes it. */
	size_t n = atomic_load_explicit(&batch->unpinned, memory_order_relaxed);

	while (n < count) {
		if (gyre__spare_reserve(m, m->heap->engine->needs(m, 1))) {
			uintptr_t object = (uintptr_t)batch->objects[n++];

			atomic_store_explicit(&batch->unpinned, n, memory_order_relaxed);
			gyre__journal_add(m, object | GYRE_DECREMENT);
			continue;
		}
		gyre_park(m); /* rare: no room to unpin */
		gyre__pause_ns(PAUSE_NS);
		gyre_unpark(m);
	}
}

void gyre__visit_begin(struct gyre__ends *ends, struct gyre__batch *batch)
{
	batch->next = ends->visited;
	ends->visited = batch;
}

void gyre__visit_end(struct gyre_mutator *m, struct gyre__batch *batch)
{
	struct gyre__ends *ends = &m->heap->ends;

	gyre__lock_take(&ends->lock);
	take_out(&ends->visited, batch);
	gyre__lock_drop(&ends->lock);
	batch->count = 0;
	atomic_store_explicit(&batch->unpinned, 0, memory_order_relaxed);
}

void gyre__visits_leave(struct gyre_mutator *m)
{
	gyre__kept_leave(m);
	while (m->visiting != NULL) {
		struct gyre__batch *batch = m->visiting; /* rare: thread ends in a visit */

		gyre__unpin_up_to(m, batch, batch->count);
		m->visiting = batch->outer;
		gyre__visit_end(m, batch);
		free(batch);
	}
}

/* Ends the pins of a batch, by m's journal, and the batch. No safe point after the last one. */
static void unpin(struct gyre_mutator *m, struct gyre__batch *batch)
{
	struct gyre__ends *ends = &m->heap->ends;

	gyre__unpin_up_to(m, batch, batch->count);
	gyre__lock_take(&ends->lock);
	m->batch = batch->outer;
	unlist(ends, batch);
	gyre__lock_drop(&ends->lock);
	batch_free(batch);
}

bool gyre__batch_run(struct gyre_mutator *m, uint64_t *ran)
{
	struct gyre__batch *batch = take(m);

	if (batch == NULL)
		return false;
	*ran = length_of(batch);
	if (GYRE_TWIN(unpinned_early))
		gyre__unpin_up_to(m, batch, batch->count);
	call_notices(m, batch);
	call_finalizers(m, batch);
	unpin(m, batch);
	return true;
}

/* Runs all that waits; false if nothing did. */
static bool run_all(struct gyre_mutator *m)
{
	bool any = false;
	uint64_t ran;

	while (gyre__batch_run(m, &ran))
		any = true;
	return any;
}

bool gyre__batch_waits(struct gyre__ends *ends)
{
	bool any;

	gyre__lock_take(&ends->lock);
	any = ends->first != NULL;
	gyre__lock_drop(&ends->lock);
	return any;
}

/* The finalizer thread is gone. */
static enum gyre_status end_all(struct gyre_heap *heap)
{
	unsigned flags = heap->options.flags, rounds = 0;
	enum gyre_status status;
	struct gyre_mutator *m;

	if (!gyre__batch_waits(&heap->ends) &&
	    !(flags & (GYRE_CLOSE_FINALIZES | GYRE_CLOSE_REPORTS)))
		return GYRE_OK;
	status = gyre__attach(heap, 0, true, &m);
	if (status != GYRE_OK)
		return status;
	run_all(m);
	while (flags & GYRE_CLOSE_FINALIZES && rounds++ < CLOSING_ROUNDS) {
		gyre_park(m);
		status = gyre__collector_end_all(heap);
		gyre_unpark(m);
		/* Also what the full collection before it has found dead. */
		if (!run_all(m) || status != GYRE_OK)
			break;
	}
	if (status == GYRE_OK && flags & GYRE_CLOSE_REPORTS) {
		gyre_park(m);
		gyre__collector_report(heap);
		gyre_unpark(m);
		run_all(m);
	}
	gyre_detach(m);
	return status;
}

enum gyre_status gyre__ends_close(struct gyre_heap *heap)
{
	bool started = heap->ends.started;
	enum gyre_status status;

	/* As the thread that is joined may wait for a grace period. */
	gyre__qsbr_park();
	gyre__finalizer_stop(heap);
	gyre__qsbr_unpark();
	status = end_all(heap);
	/* The heap stays open and is used further. Should the thread be refused now, those who need
	 * it ask again. */
	if (status != GYRE_OK && started)
		gyre__finalizer_start(heap);
	return status;
}
