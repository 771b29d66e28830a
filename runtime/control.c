/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.c: what a host may change in a heap while it is open: whether cycles are collected, the
 * thresholds, which objects are exempt from tracing, and who is told of collections. Any thread.
 *
 * Invariant: the thresholds are in range at all times, each for itself.
 */
#include <stdlib.h>

#include "census.h"
#include "heap.h"
#include "mutator.h"
#include "to_collector.h"

static enum gyre_status set_disabled(struct gyre_heap *heap, uint32_t disabled)
{
	if (heap == NULL)
		return GYRE_INVALID;
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	/* Relaxed: the collector sees it in one of its next epochs. */
	atomic_store_explicit(&heap->disabled, disabled, memory_order_relaxed);
	return GYRE_OK;
}

enum gyre_status gyre_disable(struct gyre_heap *heap)
{
	return set_disabled(heap, 1);
}

enum gyre_status gyre_enable(struct gyre_heap *heap)
{
	enum gyre_status status = set_disabled(heap, 0);

	if (status == GYRE_OK)
		gyre__collector_wake(heap);
	return status;
}

bool gyre_is_enabled(const struct gyre_heap *heap)
{
	return heap != NULL && atomic_load_explicit(&heap->disabled, memory_order_relaxed) == 0;
}

bool gyre__thresholds_in_range(const struct gyre_options *o)
{
	const uint64_t hour = 3600u * (uint64_t)1000000000;

	return o->epoch_bytes >= 4096 && o->epoch_bytes <= SIZE_MAX / 64 && o->epoch_ns <= hour &&
	       o->delay_ns <= hour && o->near_budget <= (uint32_t)1 << 30 &&
	       o->far_percent <= 100000;
}

void gyre__thresholds_use(struct gyre_heap *heap, const struct gyre_options *o)
{
	struct gyre__thresholds *t = &heap->thresholds;

	atomic_store_explicit(&t->epoch_bytes, o->epoch_bytes, memory_order_relaxed);
	atomic_store_explicit(&t->epoch_ns, o->epoch_ns, memory_order_relaxed);
	atomic_store_explicit(&t->delay_ns, o->delay_ns, memory_order_relaxed);
	atomic_store_explicit(&t->near_budget, o->near_budget, memory_order_relaxed);
	atomic_store_explicit(&t->far_percent, o->far_percent, memory_order_relaxed);
}

static void read_thresholds(struct gyre_heap *heap, struct gyre_thresholds *t)
{
	t->epoch_bytes = gyre__threshold(heap, epoch_bytes);
	t->epoch_ns = gyre__threshold(heap, epoch_ns);
	t->delay_ns = gyre__threshold(heap, delay_ns);
	t->near_budget = gyre__threshold(heap, near_budget);
	t->far_percent = gyre__threshold(heap, far_percent);
}

enum gyre_status gyre_thresholds_get(struct gyre_heap *heap, struct gyre_thresholds *thresholds)
{
	if (heap == NULL || thresholds == NULL || thresholds->size != sizeof(*thresholds))
		return GYRE_INVALID;
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	read_thresholds(heap, thresholds);
	return GYRE_OK;
}

enum gyre_status gyre_thresholds_set(struct gyre_heap *heap,
				     const struct gyre_thresholds *thresholds)
{
	struct gyre_thresholds now;
	struct gyre_options wanted;

	if (heap == NULL || thresholds == NULL || thresholds->size != sizeof(*thresholds))
		return GYRE_INVALID;
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	read_thresholds(heap, &now);
	gyre_options_init(&wanted);
	wanted.epoch_bytes = thresholds->epoch_bytes ? thresholds->epoch_bytes : now.epoch_bytes;
	wanted.epoch_ns = thresholds->epoch_ns ? thresholds->epoch_ns : now.epoch_ns;
	wanted.delay_ns = thresholds->delay_ns ? thresholds->delay_ns : now.delay_ns;
	wanted.near_budget = thresholds->near_budget ? thresholds->near_budget : now.near_budget;
	wanted.far_percent = thresholds->far_percent ? thresholds->far_percent : now.far_percent;
	if (!gyre__thresholds_in_range(&wanted))
		return GYRE_INVALID;
	gyre__thresholds_use(heap, &wanted);
	gyre__collector_wake(heap);
	return GYRE_OK;
}

enum gyre_status gyre_on_collect(struct gyre_heap *heap, gyre_collect_fn fn, void *arg,
				 uint64_t *id)
{
	struct gyre__watcher *watcher;

	if (heap == NULL || fn == NULL || id == NULL)
		return GYRE_INVALID;
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	watcher = calloc(1, sizeof(*watcher));
	if (watcher == NULL)
		return GYRE_NO_MEMORY;
	watcher->fn = fn;
	watcher->arg = arg;
	gyre__lock_take(&heap->watchers.lock);
	*id = watcher->id = ++heap->watchers.ids;
	watcher->next = heap->watchers.first;
	heap->watchers.first = watcher;
	atomic_store_explicit(&heap->watchers.any, 1, memory_order_relaxed);
	gyre__lock_drop(&heap->watchers.lock);
	return GYRE_OK;
}

enum gyre_status gyre_off_collect(struct gyre_heap *heap, uint64_t id)
{
	struct gyre__watcher **at, *watcher;

	if (heap == NULL)
		return GYRE_INVALID;
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	gyre__lock_take(&heap->watchers.lock);
	at = &heap->watchers.first;
	while (*at != NULL && (*at)->id != id)
		at = &(*at)->next;
	watcher = *at;
	if (watcher != NULL)
		*at = watcher->next;
	if (heap->watchers.first == NULL)
		atomic_store_explicit(&heap->watchers.any, 0, memory_order_relaxed);
	gyre__lock_drop(&heap->watchers.lock);
	free(watcher);
	return watcher != NULL ? GYRE_OK : GYRE_INVALID;
}

void gyre__watchers_tell(struct gyre_heap *heap, const struct gyre_collect_info *info)
{
	const struct gyre__watcher *watcher;

	gyre__lock_take(&heap->watchers.lock);
	for (watcher = heap->watchers.first; watcher != NULL; watcher = watcher->next)
		watcher->fn(watcher->arg, info);
	gyre__lock_drop(&heap->watchers.lock);
}

void gyre__watchers_destroy(struct gyre_heap *heap)
{
	while (heap->watchers.first != NULL) {
		struct gyre__watcher *watcher = heap->watchers.first;

		heap->watchers.first = watcher->next;
		free(watcher);
	}
	gyre__lock_destroy(&heap->watchers.lock);
}

static enum gyre_status change_all(struct gyre_mutator *m, bool exempt, const char *call)
{
	enum gyre_status status = gyre__may_wait(m, call);
	struct gyre__exempting exempting = { .exempt = exempt };

	if (status != GYRE_OK)
		return status;
	while (!exempting.ended)
		gyre__errand_for(m, gyre__exempt_some, &exempting);
	return GYRE_OK;
}

enum gyre_status gyre_exempt_all(struct gyre_mutator *m)
{
	return change_all(m, true, "gyre_exempt_all");
}

enum gyre_status gyre_exempt_none(struct gyre_mutator *m)
{
	return change_all(m, false, "gyre_exempt_none");
}

uint64_t gyre_exempt_count(struct gyre_heap *heap)
{
	return heap == NULL ? 0 : gyre__counter_get(&heap->counted.exempt);
}
