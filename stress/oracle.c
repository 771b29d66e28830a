/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * oracle.c: where the shadow's number meets the heap's, and what is written down when they
 * disagree.
 *
 * stress_fail and its kin may be called by any thread. A checkpoint is a meeting: each worker parks
 * and waits on a condition; the last to come is the leader, which unparks itself, collects,
 * verifies and compares while nobody else touches the heap, and then lets all go. A worker that
 * returns counts as one that no longer has to come, and its leaving may be what makes a meeting
 * complete.
 */
#include "internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct stress_oracle *stress_oracle_make(void)
{
	struct stress_oracle *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->met, NULL);
	return o;
}

void stress_oracle_free(struct stress_oracle *o)
{
	for (size_t i = 0; i < o->texts_count; i++)
		free(o->texts[i]);
	pthread_cond_destroy(&o->met);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

/* ---- What disagreed ---- */

static void disagree(struct stress_run *run, uint64_t lost, uint64_t kept, const char *text)
{
	struct stress_oracle *o = run->oracle;

	pthread_mutex_lock(&o->lock);
	o->lost += lost;
	o->kept += kept;
	o->disagreements++;
	if (o->texts_count < STRESS_TEXTS_MAX) {
		char *copy = strdup(text);

		if (copy != NULL)
			o->texts[o->texts_count++] = copy;
		/* At once: a heap that is broken may not live to see the verdict. */
		fprintf(stderr, "\ngyre-stress: %s (seed %" PRIu64 ")\n", text, run->options->seed);
	}
	pthread_mutex_unlock(&o->lock);
	atomic_store_explicit(&run->stop, true, memory_order_relaxed); /* see stress_stopped */
}

void stress_fail(struct stress_run *run, const char *format, ...)
{
	char text[512];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	disagree(run, 0, 0, text);
}

void stress_lost(struct stress_run *run, const char *format, ...)
{
	char text[512];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	disagree(run, 1, 0, text);
}

void stress_refuse(struct stress_run *run, const char *format, ...)
{
	va_list list;

	fprintf(stderr, "gyre-stress: ");
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fprintf(stderr, "\n");
	pthread_mutex_lock(&run->oracle->lock);
	run->oracle->refused = true;
	pthread_mutex_unlock(&run->oracle->lock);
	atomic_store_explicit(&run->stop, true, memory_order_relaxed); /* see stress_stopped */
}

bool stress_failed(const struct stress_run *run)
{
	bool failed;

	/* An unsound run is a stopped one, so the lock is not taken while all is well. */
	if (!stress_stopped(run))
		return false;
	pthread_mutex_lock(&run->oracle->lock);
	failed = run->oracle->disagreements != 0 || run->oracle->refused;
	pthread_mutex_unlock(&run->oracle->lock);
	return failed;
}

/* ---- Comparing ---- */

struct found {
	struct stress_run *run;
	unsigned shown;
};

static void verify_found(void *arg, const void *object, const char *text)
{
	struct found *found = arg;

	/* The lock of the oracle is never held while gyre is called, so this may take it. */
	if (found->shown++ < 8)
		stress_fail(found->run, "gyre_verify at %p: %s", object, text);
}

static void compare_report(struct stress_run *run, const struct gyre_verify_report *report,
			   uint64_t expected, const char *when)
{
	uint64_t lost = report->reachable < expected ? expected - report->reachable : 0;
	uint64_t over = report->reachable > expected ? report->reachable - expected : 0;
	uint64_t kept = report->unreachable + over;
	char text[512];

	if (lost == 0 && kept == 0 && report->objects == expected)
		return;
	snprintf(text, sizeof(text),
		 "%s: the shadow knows %" PRIu64 " reachable objects, the heap holds %" PRIu64
		 ", %" PRIu64 " of them reachable and %" PRIu64 " garbage",
		 when, expected, report->objects, report->reachable, report->unreachable);
	disagree(run, lost, kept, text);
}

static void note_compared(struct stress_run *run, const struct gyre_stats *stats)
{
	struct stress_oracle *o = run->oracle;

	pthread_mutex_lock(&o->lock);
	if (o->checkpoints < STRESS_COMPARED_MAX)
		o->compared[o->checkpoints] = (struct stress_compared){
			.objects = stats->objects_live,
			.bytes = stats->bytes_live,
			.allocated = stats->objects_allocated,
			.reclaimed = stats->objects_reclaimed,
		};
	o->checkpoints++;
	pthread_mutex_unlock(&o->lock);
}

static void compare_stats(struct stress_run *run, uint64_t objects, const char *when)
{
	struct gyre_stats stats = { .size = sizeof(stats) };

	if (!stress_ok(run, gyre_heap_stats(run->heap, &stats), "gyre_heap_stats"))
		return;
	note_compared(run, &stats);
	if (stats.poison_faults != 0)
		stress_fail(run, "%s: %" PRIu64 " freed cells were written to", when,
			    stats.poison_faults);
	if (stats.trace_faults != 0)
		stress_fail(run, "%s: %" PRIu64 " slots outside their object", when,
			    stats.trace_faults);
	/* At rest after a collection, so that the counts have nothing to lag behind. */
	if (stats.objects_live != objects)
		stress_fail(run,
			    "%s: the heap holds %" PRIu64 " objects, its statistics say %" PRIu64,
			    when, objects, stats.objects_live);
}

#define SETTLE_MAX 1000 /* no mode's finalizers bring back so often */

void stress_settle(struct stress_worker *w)
{
	struct gyre_stats now = { .size = sizeof(now) }, before = { .size = sizeof(before) };
	struct stress_run *run = w->run;
	unsigned round;

	for (round = 0; round < SETTLE_MAX && !stress_failed(run); round++) {
		if (!stress_ok(run, gyre_collect(w->m, NULL), "gyre_collect") ||
		    !stress_ok(run, gyre_finalize_wait(w->m), "gyre_finalize_wait") ||
		    !stress_ok(run, gyre_heap_stats(run->heap, &now), "gyre_heap_stats"))
			return;
		if (round > 0 && now.finalizers_run == before.finalizers_run &&
		    now.notices_called == before.notices_called &&
		    now.objects_reclaimed == before.objects_reclaimed)
			return;
		before = now;
	}
	if (!stress_failed(run))
		stress_fail(run, "after %d collections finalizers still run", SETTLE_MAX);
}

void stress_expect(struct stress_worker *w, uint64_t objects, const char *when)
{
	struct gyre_verify_report report = { .size = sizeof(report) };
	struct stress_run *run = w->run;
	struct found found = { .run = run };
	enum gyre_status status;

	/* A heap that is known to be broken has no more to tell, and collecting it may never
	 * end. */
	if (stress_failed(run))
		return;
	if (run->settles)
		stress_settle(w);
	else
		stress_ok(run, gyre_collect(w->m, NULL), "gyre_collect");
	if (stress_failed(run))
		return;
	status = gyre_verify(w->m, &report, verify_found, &found);
	if (status != GYRE_OK && status != GYRE_DISAGREES) {
		stress_ok(run, status, "gyre_verify");
		return;
	}
	if (status == GYRE_DISAGREES || report.disagreements != 0 || found.shown != 0)
		stress_fail(run, "%s: gyre_verify found %" PRIu64 " disagreements", when,
			    report.disagreements);
	compare_report(run, &report, objects, when);
	compare_stats(run, report.objects, when);
}

/* ---- Checkpoints ---- */

void stress_oracle_begin(struct stress_run *run, unsigned workers)
{
	struct stress_oracle *o = run->oracle;

	pthread_mutex_lock(&o->lock);
	o->present = workers;
	o->waiting = 0;
	o->announced = 0;
	o->left = 0;
	pthread_mutex_unlock(&o->lock);
}

void stress_oracle_tick(struct stress_run *run, double now)
{
	struct stress_oracle *o = run->oracle;

	pthread_mutex_lock(&o->lock);
	if (run->options->checkpoint > 0 && run->options->checkpoint_rounds == 0 &&
	    o->present > 0 && o->waiting == 0 && now - o->last >= run->options->checkpoint)
		atomic_store_explicit(&o->due, true, memory_order_relaxed); /* the lock orders */
	pthread_mutex_unlock(&o->lock);
}

void stress_checkpoint_soon(struct stress_run *run)
{
	struct stress_oracle *o = run->oracle;

	pthread_mutex_lock(&o->lock);
	/* With several workers the first to come so far calls. */
	if (o->waiting == 0)
		atomic_store_explicit(&o->due, true, memory_order_relaxed); /* the lock orders */
	pthread_mutex_unlock(&o->lock);
}

void stress_oracle_round(struct stress_worker *w)
{
	uint64_t rounds = w->run->options->checkpoint_rounds;

	if (rounds != 0 && w->round % rounds == 0)
		stress_checkpoint_soon(w->run);
}

bool stress_checkpoint_due(const struct stress_worker *w)
{
	/* Relaxed: who sees it late comes late; who comes takes the lock. */
	return atomic_load_explicit(&w->run->oracle->due, memory_order_relaxed);
}

/* The leader's part, with the lock held, which it gives up meanwhile; all others are parked. */
static void lead(struct stress_worker *w)
{
	struct stress_run *run = w->run;
	struct stress_oracle *o = run->oracle;
	uint64_t expected = o->announced + o->left;

	o->leading = true; /* the condition that made this worker the leader stays true meanwhile */
	pthread_mutex_unlock(&o->lock);
	stress_ok(run, gyre_unpark(w->m), "gyre_unpark");
	if (!stress_failed(run)) {
		if (run->settles)
			stress_settle(w);
		if (run->shared_count != NULL)
			expected += run->shared_count(w);
		stress_expect(w, expected, "at a checkpoint");
	}
	stress_ok(run, gyre_park(w->m), "gyre_park");
	pthread_mutex_lock(&o->lock);
	o->last = stress_record_now(run->record);
	o->leading = false;
	o->waiting = 0;
	o->announced = 0;
	o->meeting++;
	atomic_store_explicit(&o->due, false, memory_order_relaxed); /* the lock orders */
	pthread_cond_broadcast(&o->met);
}

void stress_checkpoint(struct stress_worker *w, uint64_t reachable)
{
	struct stress_oracle *o = w->run->oracle;
	uint64_t meeting;

	stress_count(&w->reachable, reachable);
	if (!stress_checkpoint_due(w)) {
		gyre_safepoint(w->m);
		return;
	}
	if (!stress_ok(w->run, gyre_park(w->m), "gyre_park"))
		return;
	pthread_mutex_lock(&o->lock);
	/* The meeting may have ended between the question above and the lock. */
	if (atomic_load_explicit(&o->due, memory_order_relaxed)) {
		meeting = o->meeting;
		o->announced += reachable;
		o->waiting++;
		while (o->meeting == meeting) {
			if (o->waiting == o->present && !o->leading)
				lead(w);
			else
				pthread_cond_wait(&o->met, &o->lock);
		}
	}
	pthread_mutex_unlock(&o->lock);
	stress_ok(w->run, gyre_unpark(w->m), "gyre_unpark");
}

void stress_oracle_leave(struct stress_worker *w)
{
	struct stress_oracle *o = w->run->oracle;

	pthread_mutex_lock(&o->lock);
	o->present--;
	o->left += w->left;
	/* If all others wait already, one of them must wake and see that it leads. */
	pthread_cond_broadcast(&o->met);
	pthread_mutex_unlock(&o->lock);
}
