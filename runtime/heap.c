/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap.c: opening and closing a heap, its options, its log, and fork. Any thread.
 *
 * Invariants: options are complete and in range once a heap is open; a heap that could not be
 * opened leaves nothing behind; close returns everything to the system.
 */
#include "heap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "mutator.h"
#include "pressure.h"
#include "to_collector.h"
#include "type.h"

void gyre_options_init(struct gyre_options *options)
{
	memset(options, 0, sizeof(*options));
	options->size = sizeof(*options);
}

static void complete(struct gyre_options *o)
{
	if (o->name == NULL)
		o->name = "gyre";
	if (o->journal_limit == 0)
		o->journal_limit = (size_t)512 << 20;
	if (o->epoch_bytes == 0)
		o->epoch_bytes = (size_t)4 << 20;
	if (o->epoch_ns == 0)
		o->epoch_ns = 10000000;
	if (o->stall_ns == 0)
		o->stall_ns = 1000000000;
	if (o->delay_ns == 0)
		o->delay_ns = 20000000;
	if (o->near_budget == 0)
		o->near_budget = 1024;
	if (o->far_percent == 0)
		o->far_percent = 50;
	if (o->collector_stack == 0)
		o->collector_stack = (size_t)256 << 10;
	if (o->finalizer_ns == 0)
		o->finalizer_ns = 1000000000;
	if (o->collector_nice == 0)
		o->collector_nice = 5;
	if (o->engine == GYRE_ENGINE_DEFAULT)
		o->engine = GYRE_ENGINE_TAGGED;
}

static bool in_range(const struct gyre_options *o)
{
	const uint64_t hour = 3600u * (uint64_t)1000000000;

	return o->journal_limit >= 16 * GYRE_CHUNK_BYTES && o->journal_limit <= SIZE_MAX / 2 &&
	       o->heap_limit <= SIZE_MAX / 2 && gyre__thresholds_in_range(o) &&
	       o->stall_ns <= hour && o->collector_stack <= (size_t)1 << 30 &&
	       (unsigned)o->engine <= GYRE_ENGINE_RECYCLER &&
	       (unsigned)o->finalizing <= GYRE_FINALIZE_HOST && o->finalizer_ns <= hour &&
	       o->collector_nice >= -1 && o->collector_nice <= 19 &&
	       (o->flags & ~(unsigned)(GYRE_POISON | GYRE_CLOSE_FINALIZES | GYRE_CLOSE_REPORTS)) ==
		       0;
}

/* The caller's options over the defaults. */
static bool read_options(struct gyre_heap *heap, const struct gyre_options *options)
{
	gyre_options_init(&heap->options);
	if (options != NULL) {
		/* The sizes there have been. */
		if (options->size != sizeof(heap->options) &&
		    options->size != offsetof(struct gyre_options, collector_nice) &&
		    options->size != offsetof(struct gyre_options, finalizing) &&
		    options->size != offsetof(struct gyre_options, engine))
			return false;
		memcpy(&heap->options, options, options->size);
	}
	complete(&heap->options);
	if (!in_range(&heap->options))
		return false;
	heap->engine =
		heap->options.engine == GYRE_ENGINE_RECYCLER ? &gyre__recycler : &gyre__tagged;
	strncpy(heap->name, heap->options.name, sizeof(heap->name) - 1);
	heap->options.name = heap->name;
	gyre__thresholds_use(heap, &heap->options);
	return true;
}

static bool init_locks(struct gyre_heap *heap)
{
	/* None of these fails on Linux but the last, for want of a descriptor; and what was made
	 * before needs no undoing. */
	return gyre__lock_init(&heap->registry.lock) &&
	       gyre__event_init(&heap->registry.released) &&
	       gyre__lock_init(&heap->pressure.lock) && gyre__event_init(&heap->pressure.relief) &&
	       gyre__lock_init(&heap->watchers.lock) && gyre__lock_init(&heap->roots_lock) &&
	       gyre__lock_init(&heap->fork_lock) && gyre__lock_init(&heap->serving.lock) &&
	       gyre__slabs_init(&heap->slabs) && gyre__chunks_init(&heap->chunks) &&
	       gyre__profile_init(&heap->profile) && gyre__ends_init(heap);
}

static void destroy(struct gyre_heap *heap)
{
	gyre__watchers_destroy(heap);
	gyre__ends_destroy(heap);
	gyre__profile_destroy(&heap->profile);
	gyre__slabs_destroy(&heap->slabs);
	gyre__chunks_destroy(&heap->chunks);
	gyre__types_destroy(heap);
	gyre__root_names_destroy(heap);
	gyre__lock_destroy(&heap->registry.lock);
	gyre__event_destroy(&heap->registry.released);
	gyre__lock_destroy(&heap->pressure.lock);
	gyre__event_destroy(&heap->pressure.relief);
	gyre__lock_destroy(&heap->roots_lock);
	gyre__lock_destroy(&heap->fork_lock);
	gyre__lock_destroy(&heap->serving.lock);
	free(heap);
}

enum gyre_status gyre_heap_open(struct gyre_heap **heap, const struct gyre_options *options)
{
	struct gyre_heap *made;
	enum gyre_status status;

	if (heap == NULL)
		return GYRE_INVALID;
	made = calloc(1, sizeof(*made));
	if (made == NULL)
		return GYRE_NO_MEMORY;
	if (!read_options(made, options)) {
		free(made);
		return GYRE_INVALID;
	}
	if (!init_locks(made)) {
		free(made);
		return GYRE_LIMIT; /* rare: no descriptor to poll */
	}
	atomic_init(&made->phase, made->engine->handshakes);
	if (!gyre__leavings_init(&made->leavings, gyre__mutator_ended)) {
		destroy(made);
		return GYRE_LIMIT;
	}
	status = gyre__collector_start(made);
	if (status != GYRE_OK) {
		gyre__leavings_destroy(&made->leavings);
		destroy(made);
		return status;
	}
	*heap = made;
	return GYRE_OK;
}

enum gyre_status gyre_heap_close(struct gyre_heap *heap)
{
	enum gyre_status status;
	bool busy;

	if (heap == NULL)
		return GYRE_INVALID;
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	gyre__lock_take(&heap->registry.lock);
	busy = heap->registry.attached > 0;
	gyre__lock_drop(&heap->registry.lock);
	if (busy || gyre__leavings_get(&heap->leavings) != NULL)
		return GYRE_BUSY;
	status = gyre__ends_close(heap);
	if (status != GYRE_OK)
		return status;
	if (heap->serving.server != NULL)
		heap->serving.stop(heap);
	gyre__qsbr_park();
	gyre__collector_stop(heap);
	gyre__qsbr_unpark();
	while (heap->registry.first != NULL) {
		struct gyre_mutator *m = heap->registry.first;
		struct gyre__chunk *chunk;

		heap->registry.first = m->next;
		while ((chunk = gyre__ring_take(&m->sealed)) != NULL)
			gyre__chunk_give(heap, chunk);
		gyre__mutator_free(m);
	}
	gyre__leavings_destroy(&heap->leavings);
	destroy(heap);
	return GYRE_OK;
}

void gyre_collect_soon(struct gyre_heap *heap)
{
	if (!gyre__frozen(heap))
		gyre__collector_wake(heap);
}

void gyre__log(struct gyre_heap *heap, enum gyre_log_level level, const char *format, ...)
{
	va_list arguments;
	char text[512];

	if (heap->options.log == NULL)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	heap->options.log(heap->options.log_arg, level, text);
}
