/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pace.c: when a boundary is due, when a far pass is, and how the collector waits. Collector
 * thread.
 *
 * A boundary comes when mutators have allocated and journalled an epoch's volume, when there is
 * unfinished work and epoch_ns have passed, or when it is asked for. A heap in which nothing
 * happens is looked at less and less often. Where slots are journalled once an epoch, an epoch
 * lasts longer while much is written and little dies: so long that applying it takes a small part
 * of its time. A far pass comes when what survived has grown by far_percent, or, so that no garbage
 * stays for ever in a heap that does not grow, after a time that keeps its share of the processor
 * below 1 in FAR_REST; or at once when nothing happens.
 */
#include "collector.h"
#include "engine.h"
#include "pressure.h"

#define IDLE_NS_MAX 1000000000u
#define IDLE_EPOCHS 8 /* without an entry or a birth: nothing happens */
#define FAR_REST 20
#define FAR_REST_NS_LEAST 1000000000u
/* An epoch in which less than this part of the entries are deaths is followed by one so many times
 * as long as it took to process, up to so many times epoch_ns. */
#define STRETCH_YIELD 8
#define STRETCH_SPAN 16
#define STRETCH_MAX 256
/* The volume of an epoch is such a share of the surviving heap, at most so many times epoch_bytes,
 * and where the heap has a limit such a share of that. */
#define VOLUME_SHARE 4
#define VOLUME_MAX 8
#define VOLUME_OF_LIMIT 32

static bool asked(const struct gyre__requests *r)
{
	return r->stop || r->awake || r->collects_asked != r->collects_done || r->verify_asked ||
	       r->holds > 0 || (r->errand != NULL && !r->errand_served);
}

bool gyre__passes_off(const struct gyre__collector *c)
{
	/* Relaxed: from some epoch on. */
	return c->exempting > 0 ||
	       atomic_load_explicit(&c->heap->disabled, memory_order_relaxed) != 0;
}

bool gyre__boundary_due(struct gyre__collector *c)
{
	uint64_t volume = atomic_load_explicit(&c->heap->pressure.volume, memory_order_relaxed);
	bool due;

	if (volume >= c->pace.volume ||
	    gyre__now_ns() - c->boundary_ns >= c->pace.interval_ns)
		return true;
	gyre__lock_take(&c->requests.lock);
	due = asked(&c->requests) && !c->thorough;
	gyre__lock_drop(&c->requests.lock);
	return due;
}

uint64_t gyre__surviving_bytes(const struct gyre__collector *c)
{
	uint64_t epochs = gyre__counter_get(&c->heap->counted.epochs);
	uint64_t old = c->allocated_at[epochs % GYRE_YOUNG_EPOCHS];
	uint64_t reclaimed = gyre__counter_get(&c->heap->counted.bytes_reclaimed);

	/* If all that was reclaimed was old; a lower bound. */
	return old > reclaimed ? old - reclaimed : 0;
}

/* The size of the surviving heap that calls for a far pass. */
static uint64_t far_threshold(const struct gyre__collector *c)
{
	return c->far.base_bytes +
	       c->far.base_bytes / 100 * gyre__threshold(c->heap, far_percent) +
	       2 * gyre__threshold(c->heap, epoch_bytes);
}

void gyre__publish_lag(struct gyre__collector *c)
{
	uint64_t live = gyre__surviving_bytes(c), due = far_threshold(c);
	uint64_t from = due + due / 4 + 4 * gyre__threshold(c->heap, epoch_bytes), to = 2 * from;
	uint64_t lag = 0;

	/* A pass is under way and the heap has grown well beyond what called for it. */
	if (c->far.phase != GYRE_FAR_IDLE && live > from)
		/* rare: far pass behind the growth of the heap */
		lag = live >= to ? 1000 : (live - from) * 1000 / (to - from);
	atomic_store_explicit(&c->heap->pressure.lag, (uint32_t)lag, memory_order_relaxed);
}

bool gyre__far_due(struct gyre__collector *c)
{
	struct gyre__far *far = &c->far;
	uint64_t live = gyre__surviving_bytes(c);
	uint64_t rest = far->spent_ns * FAR_REST;

	if (far->phase != GYRE_FAR_IDLE || far->settling || c->thorough || far->left == 0 ||
	    gyre__passes_off(c))
		return false;
	/* When nothing happens, a pass delays nobody and ends once and for all what is left. */
	if (live > far_threshold(c) || c->pace.idle_epochs >= IDLE_EPOCHS)
		return true;
	if (rest < FAR_REST_NS_LEAST)
		rest = FAR_REST_NS_LEAST;
	return gyre__now_ns() - far->ended_ns >= rest;
}

bool gyre__work_pending(const struct gyre__collector *c)
{
	return c->journal_before != NULL || c->births_before != NULL || c->young.count > 0 ||
	       c->aged.count > 0 || c->sets_count > 0 || c->far.phase != GYRE_FAR_IDLE ||
	       c->cleared != NULL || c->zeros.count > 0 || c->zeros_lost;
}

/*
 * The volume of the next epoch: a share of what has survived, so that what is made and dropped as a
 * whole, a request's data say, dies before it is ever counted, if it is small beside the live heap.
 */
static void adapt_volume(struct gyre__collector *c)
{
	size_t least = gyre__threshold(c->heap, epoch_bytes);
	size_t limit = c->heap->options.heap_limit / VOLUME_OF_LIMIT;
	uint64_t volume = gyre__surviving_bytes(c) / VOLUME_SHARE;

	if (volume > VOLUME_MAX * (uint64_t)least)
		volume = VOLUME_MAX * (uint64_t)least;
	if (limit != 0 && volume > limit)
		volume = limit;
	c->pace.volume = volume > least ? volume : least;
	/* Relaxed: a figure by itself. */
	atomic_store_explicit(&c->heap->pressure.epoch, (size_t)volume, memory_order_relaxed);
}

/* After an epoch: the length of the next, by what this one cost, if little died in it. */
void gyre__pace_adapt(struct gyre__collector *c, uint64_t took_ns)
{
	struct gyre__collector_counters *counted = &c->heap->counted;
	uint64_t entries = gyre__counter_get(&counted->journal_entries) - c->pace.entries;
	uint64_t dead = gyre__counter_get(&counted->objects_reclaimed) - c->pace.dead;
	uint64_t least = gyre__threshold(c->heap, epoch_ns), interval = STRETCH_SPAN * took_ns;

	adapt_volume(c);
	c->pace.idle_epochs = c->idle ? c->pace.idle_epochs + 1 : 0;
	c->pace.entries += entries;
	c->pace.dead += dead;
	if (interval / STRETCH_MAX > least)
		interval = STRETCH_MAX * least;
	if (!c->heap->engine->coalesces || interval < least || dead >= entries / STRETCH_YIELD)
		interval = least;
	c->pace.interval_ns = interval;
}

void gyre__wait_for_work(struct gyre__collector *c)
{
	struct gyre__requests *r = &c->requests;
	uint64_t least = gyre__threshold(c->heap, epoch_ns), now = gyre__now_ns(), until;

	if (gyre__work_pending(c) || !c->idle)
		c->idle_ns = least;
	else if (c->idle_ns < IDLE_NS_MAX)
		c->idle_ns *= 2;
	if (c->idle_ns < c->pace.interval_ns)
		c->idle_ns = c->pace.interval_ns;
	until = c->boundary_ns + c->idle_ns;
	gyre__lock_take(&r->lock);
	while (!asked(r) && now < until) {
		/* Bounded by more than the clock, should that ever be set back. */
		uint64_t rest = until - now < c->idle_ns ? until - now : c->idle_ns;

		gyre__event_wait(&r->work, &r->lock, rest);
		now = gyre__now_ns();
	}
	r->awake = false;
	gyre__lock_drop(&r->lock);
}
