/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop.c: the collector thread, and what other threads ask of it. The functions that runtime/ calls
 * (to_collector.h) run on the caller's thread and only leave a request and wait.
 *
 * Invariant: requests are served between two cycles, when no set is half judged and no list half
 * walked; a far pass may be under way.
 */
#include <stdlib.h>
#include <string.h>

#include "collector.h"
#include "engine.h"
#include "pressure.h"
#include "to_collector.h"

#define TRIM_NS 100000000u
#define WATCH_STACK ((size_t)128 << 10)

static uint64_t lap(uint64_t *since, gyre__counter *spent)
{
	uint64_t now = gyre__now_ns();

	gyre__counter_add(spent, now - *since);
	*since = now;
	return now;
}

/* Brings the counts up to date. The snapshots of threads that have left are taken back next. */
static void apply(struct gyre__collector *c)
{
	c->processing++;
	gyre__take_noted(c);
	c->heap->engine->apply(c);
	gyre__let_cleared_go(c);
	gyre__recycle(c, c->snapshots_before);
	c->snapshots_before = c->snapshots_left;
	c->snapshots_left = NULL;
}

/* Judges all sets. What remains of those that are held is prepared, to be judged once more: for an
 * engine that judges by the counts of one view when those are there. */
static void judge(struct gyre__collector *c)
{
	c->dues_starved = false;
	if (c->sets_count > 0 || c->far.settling) {
		gyre__judge(c);
		gyre__drain(c);
	}
	gyre__zeros_gather(c);
	if (!c->heap->engine->judges_at_once)
		gyre__sets_prepare(c);
}

static void near_part(struct gyre__collector *c)
{
	if (gyre__passes_off(c)) {
		gyre__candidates_leave(c);
	} else if (c->aged.count == 0) {
		gyre__near_pass(c); /* the young come of age */
	} else {
		gyre__collect_begins(c, GYRE_COLLECT_NEAR);
		gyre__near_pass(c);
	}
}

/* Begins a far pass if one is due, or goes on with it; the CPU time that it took. */
static uint64_t far_part(struct gyre__collector *c)
{
	uint64_t start = gyre__cpu_ns();

	if (gyre__far_due(c))
		gyre__far_begin(c);
	gyre__far_slice(c);
	gyre__publish_lag(c);
	return gyre__cpu_ns() - start;
}

void gyre__cycle(struct gyre__collector *c)
{
	struct gyre__collector_counters *counted = &c->heap->counted;
	/* Its own cost, by which the length of the next epoch goes. */
	uint64_t at, start_cpu = gyre__cpu_ns(), cpu, far_cpu;
	bool untraced = c->untraced;

	c->allocated_at[gyre__counter_get(&counted->epochs) % GYRE_YOUNG_EPOCHS] =
		gyre__counter_get(&counted->bytes_allocated);
	gyre__epoch_turn(c);
	at = c->boundary_ns;
	apply(c);
	lap(&at, &counted->count_ns);
	gyre__drain(c);
	c->untraced = untraced; /* what mutators dropped is not the affair of a full collection */
	lap(&at, &counted->release_ns);
	/* What was carried over is judged by the counts of this view, if one is proof; and the
	 * sooner, the fewer weak loads can come between. */
	if (c->heap->engine->judges_at_once)
		gyre__sets_prepare(c);
	judge(c);
	lap(&at, &counted->verdict_ns);
	gyre__flush(c);
	gyre__pressure_relieve(c->heap);
	lap(&at, &counted->flush_ns);
	if (!c->thorough)
		near_part(c);
	lap(&at, &counted->near_ns);
	far_cpu = far_part(c);
	lap(&at, &counted->far_ns);
	/* Counts of one view and clean slots prove a set dead: nothing is waited for. */
	if (c->heap->engine->judges_at_once)
		judge(c);
	else
		gyre__sets_arm(c);
	gyre__passes_end(c);
	lap(&at, &counted->verdict_ns);
	if (at - c->trimmed_ns > TRIM_NS) {
		gyre__slabs_trim(c->heap);
		gyre__chunks_trim(c->heap);
		c->trimmed_ns = at;
	}
	gyre__flush(c);
	lap(&at, &counted->flush_ns);
	cpu = gyre__cpu_ns();
	gyre__pace_adapt(c, cpu - start_cpu - far_cpu);
	gyre__counter_set(&counted->collector_ns, cpu);
	gyre__counter_set(&counted->candidates_waiting, c->far.left);
	gyre__counter_set(&counted->interval_ns, c->pace.interval_ns);
	gyre__counter_set(&counted->surviving_bytes, gyre__surviving_bytes(c));
}

/* Goes on until all that was found is judged, and all that was owed to it is done; or there is no
 * memory for that. */
static void finish_sets(struct gyre__collector *c)
{
	while (c->far.phase != GYRE_FAR_IDLE || (c->sets_count > 0 && !c->dues_starved) ||
	       c->cleared != NULL)
		gyre__cycle(c);
	gyre__passes_end(c);
}

/* One far pass, and the verdict on all that it finds. */
static void pass_fully(struct gyre__collector *c)
{
	c->untraced = false;
	gyre__far_begin(c);
	gyre__far_slice(c);
	finish_sets(c);
}

/*
 * Everything that is garbage now: two boundaries apply all decrements that were journalled before;
 * then the counts and references of what is garbage stand still, so one far pass finds all of it,
 * whatever mutators do to the rest, and a few more boundaries judge it. But for cycles that an
 * object of an acyclic type holds, which no trial looks into, or one that counts 0 and waits for
 * its weak cell: what holds them has to die first. Each further pass reclaims something, so there
 * are no more of them than there were objects.
 */
enum gyre_status gyre__collect_fully(struct gyre__collector *c)
{
	const struct gyre__collector_counters *counted = &c->heap->counted;
	uint64_t allocated = gyre__counter_get(&counted->objects_allocated), before;

	c->thorough = true;
	while (c->far.phase != GYRE_FAR_IDLE)
		gyre__cycle(c);
	gyre__cycle(c);
	gyre__cycle(c);
	finish_sets(c);
	do {
		before = gyre__counter_get(&counted->objects_reclaimed);
		pass_fully(c);
	} while (c->untraced && before < gyre__counter_get(&counted->objects_reclaimed) &&
		 gyre__counter_get(&counted->objects_reclaimed) < allocated);
	/* What the far pass freed by emptying its lists is vacant before the caller goes on. */
	gyre__flush(c);
	c->thorough = false;
	if (!c->far.starved && !c->zeros_lost && !c->dues_starved)
		return GYRE_OK;
	gyre__log(c->heap, GYRE_LOG_WARNING,
		  "no memory for a full collection: garbage may be left");
	return GYRE_NO_MEMORY;
}

static void serve_collects(struct gyre__collector *c)
{
	struct gyre__requests *r = &c->requests;
	enum gyre_status status;
	uint64_t asked;

	gyre__lock_take(&r->lock);
	asked = r->collects_asked;
	gyre__lock_drop(&r->lock);
	if (asked == r->collects_done)
		return;
	gyre__collect_begins(c, GYRE_COLLECT_FULL);
	status = gyre__collect_fully(c);
	gyre__collect_ends(c, GYRE_COLLECT_FULL);
	gyre__counter_add(&c->heap->counted.full_collects, 1);
	gyre__lock_take(&r->lock);
	r->collects_done = asked;
	r->collect_status = status;
	gyre__event_signal(&r->done);
	gyre__lock_drop(&r->lock);
}

static void serve_errand(struct gyre__collector *c)
{
	struct gyre__requests *r = &c->requests;
	gyre__errand_fn *errand;

	gyre__lock_take(&r->lock);
	errand = r->errand;
	r->errand_served = errand != NULL;
	gyre__lock_drop(&r->lock);
	if (errand == NULL)
		return;
	errand(c, r->errand_arg);
	gyre__lock_take(&r->lock);
	r->errand = NULL;
	r->errand_served = false;
	gyre__event_signal(&r->done);
	gyre__lock_drop(&r->lock);
}

static void stand_still(struct gyre__collector *c)
{
	struct gyre__requests *r = &c->requests;

	gyre__lock_take(&r->lock);
	while (r->holds > 0 && !r->stop) {
		r->held = true;
		gyre__event_signal(&r->done);
		gyre__event_wait(&r->work, &r->lock, GYRE_FOREVER);
	}
	r->held = false;
	gyre__lock_drop(&r->lock);
}

static bool stopped(struct gyre__collector *c)
{
	bool stop;

	gyre__lock_take(&c->requests.lock);
	stop = c->requests.stop;
	gyre__lock_drop(&c->requests.lock);
	return stop;
}

static void run(void *collector)
{
	struct gyre__collector *c = collector;

	/* Where a mutator is ready to run, it does: what the collector does can wait. */
	if (c->heap->options.collector_nice > 0)
		gyre__thread_give_way(c->heap->options.collector_nice);
	while (!stopped(c)) {
		if (c->far.phase == GYRE_FAR_IDLE)
			gyre__wait_for_work(c);
		stand_still(c);
		gyre__serve_verify(c);
		serve_collects(c);
		serve_errand(c);
		if (!stopped(c))
			gyre__cycle(c);
	}
}

static bool init(struct gyre__collector *c)
{
	struct gyre__requests *r = &c->requests;

	c->boundary_ns = c->far.ended_ns = c->trimmed_ns = gyre__now_ns();
	c->idle_ns = gyre__threshold(c->heap, epoch_ns);
	c->pace.interval_ns = gyre__threshold(c->heap, epoch_ns);
	c->pace.volume = gyre__threshold(c->heap, epoch_bytes);
	return gyre__lock_init(&r->lock) && gyre__event_init(&r->work) &&
	       gyre__event_init(&r->done) && gyre__event_init(&c->watch_event) &&
	       /* Room that the first passes, and passes without memory, can count on. */
	       gyre__vector_grow(&c->young) && gyre__vector_grow(&c->aged) &&
	       gyre__vector_grow(&c->visited) && gyre__vector_grow(&c->stack) &&
	       gyre__vector_grow(&c->members) && gyre__vector_grow(&c->zeros) &&
	       gyre__vector_grow(&c->far.visited) && gyre__vector_grow(&c->tagged.early) &&
	       gyre__vector_grow(&c->tagged.reached) && gyre__vector_grow(&c->far.black);
}

static void release_all(struct gyre__collector *c)
{
	struct gyre__vector *vectors[] = { &c->young,         &c->aged,    &c->visited,
					   &c->stack,         &c->members, &c->far.visited,
					   &c->far.black,     &c->zeros,   &c->tagged.early,
					   &c->tagged.reached };
	size_t i;

	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		gyre__vector_destroy(vectors[i]);
	gyre__chunk_give(c->heap, c->journal_before);
	gyre__chunk_give(c->heap, c->births_before);
	gyre__chunk_give(c->heap, c->snapshots_before);
	gyre__chunk_give(c->heap, c->snapshots_left);
	gyre__view_destroy(&c->tagged.view);
	gyre__chunk_give(c->heap, c->empties);
	free(c->sets);
	gyre__event_destroy(&c->watch_event);
	gyre__event_destroy(&c->requests.work);
	gyre__event_destroy(&c->requests.done);
	gyre__lock_destroy(&c->requests.lock);
	free(c);
}

enum gyre_status gyre__collector_start(struct gyre_heap *heap)
{
	struct gyre__collector *c = calloc(1, sizeof(*c));
	char name[16];

	if (c == NULL)
		return GYRE_NO_MEMORY;
	c->heap = heap;
	heap->collector = c;
	if (!init(c)) {
		release_all(c);
		return GYRE_NO_MEMORY;
	}
	memcpy(name, heap->name, sizeof(name));
	name[13] = 0;
	if (!gyre__thread_start(&c->thread, name, heap->options.collector_stack, run, c)) {
		release_all(c);
		return GYRE_NO_THREAD;
	}
	strcat(name, "/w");
	if (!gyre__thread_start(&c->watch_thread, name, WATCH_STACK, gyre__watch, c)) {
		gyre__collector_stop(heap);
		return GYRE_NO_THREAD;
	}
	return GYRE_OK;
}

void gyre__collector_stop(struct gyre_heap *heap)
{
	struct gyre__collector *c = heap->collector;

	gyre__lock_take(&c->requests.lock);
	c->requests.stop = true;
	gyre__event_signal(&c->requests.work);
	gyre__event_signal(&c->watch_event);
	gyre__lock_drop(&c->requests.lock);
	gyre__thread_join(&c->thread);
	gyre__thread_join(&c->watch_thread);
	release_all(c);
	heap->collector = NULL;
}

void gyre__collector_wake(struct gyre_heap *heap)
{
	struct gyre__requests *r = &heap->collector->requests;

	gyre__lock_take(&r->lock);
	if (!r->awake) {
		r->awake = true;
		gyre__event_signal(&r->work);
	}
	gyre__lock_drop(&r->lock);
}

uint64_t gyre__collector_ask(struct gyre_heap *heap)
{
	struct gyre__requests *r = &heap->collector->requests;
	uint64_t ticket;

	gyre__lock_take(&r->lock);
	ticket = ++r->collects_asked;
	gyre__event_signal(&r->work);
	gyre__lock_drop(&r->lock);
	return ticket;
}

bool gyre__collector_answers(struct gyre_heap *heap, uint64_t ticket, enum gyre_status *status)
{
	struct gyre__requests *r = &heap->collector->requests;
	bool done;

	gyre__lock_take(&r->lock);
	done = r->collects_done >= ticket;
	*status = r->collect_status;
	gyre__lock_drop(&r->lock);
	return done;
}

enum gyre_status gyre__collector_collect(struct gyre_heap *heap)
{
	struct gyre__requests *r = &heap->collector->requests;
	enum gyre_status status;
	uint64_t ticket;

	gyre__lock_take(&r->lock);
	/* A collection that has begun may have passed what is garbage now: only one that begins
	 * later serves this ticket, as it reads collects_asked before it begins. */
	ticket = ++r->collects_asked;
	gyre__event_signal(&r->work);
	while (r->collects_done < ticket)
		gyre__event_wait(&r->done, &r->lock, GYRE_FOREVER);
	/* Of this collection, or of a later one, which speaks for it as well. */
	status = r->collect_status;
	gyre__lock_drop(&r->lock);
	return status;
}

enum gyre_status gyre__collector_verify(struct gyre_heap *heap, struct gyre_verify_report *report,
					gyre_verify_fn found, void *arg)
{
	struct gyre__requests *r = &heap->collector->requests;
	enum gyre_status status;

	gyre__lock_take(&r->lock);
	while (r->verify_busy)
		/* rare: two verifications at once */
		gyre__event_wait(&r->done, &r->lock, GYRE_FOREVER);
	r->verify_busy = r->verify_asked = true;
	r->report = report;
	r->found = found;
	r->found_arg = arg;
	gyre__event_signal(&r->work);
	while (r->verify_asked)
		gyre__event_wait(&r->done, &r->lock, GYRE_FOREVER);
	status = r->verify_status;
	r->verify_busy = false;
	gyre__event_signal(&r->done);
	gyre__lock_drop(&r->lock);
	return status;
}

void gyre__collector_errand(struct gyre_heap *heap, gyre__errand_fn *errand, void *arg)
{
	struct gyre__requests *r = &heap->collector->requests;

	gyre__lock_take(&r->lock);
	while (r->errand_busy)
		/* Two errands at once. */
		gyre__event_wait(&r->done, &r->lock, GYRE_FOREVER);
	r->errand_busy = true;
	r->errand = errand;
	r->errand_arg = arg;
	gyre__event_signal(&r->work);
	while (r->errand != NULL)
		gyre__event_wait(&r->done, &r->lock, GYRE_FOREVER);
	r->errand_busy = false;
	gyre__event_signal(&r->done);
	gyre__lock_drop(&r->lock);
}

enum gyre_status gyre__collector_end_all(struct gyre_heap *heap)
{
	enum gyre_status status = GYRE_OK;

	gyre__collector_errand(heap, gyre__end_all, &status);
	return status;
}

void gyre__collector_report(struct gyre_heap *heap)
{
	gyre__collector_errand(heap, gyre__report_left, NULL);
}

void gyre__collector_hold(struct gyre_heap *heap)
{
	struct gyre__requests *r = &heap->collector->requests;

	gyre__lock_take(&r->lock);
	r->holds++;
	gyre__event_signal(&r->work);
	while (!r->held)
		gyre__event_wait(&r->done, &r->lock, GYRE_FOREVER);
	gyre__lock_drop(&r->lock);
}

void gyre__collector_let_go(struct gyre_heap *heap)
{
	struct gyre__requests *r = &heap->collector->requests;

	gyre__lock_take(&r->lock);
	r->holds--;
	gyre__event_signal(&r->work);
	gyre__lock_drop(&r->lock);
}
