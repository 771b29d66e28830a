/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap.h: the heap as gyre's own files see it. Every other part hangs on it.
 *
 * Who writes what: `phase` the collector alone; `registry`, `types`, `roots` whoever holds their
 * lock; `counted` the collector; `shared` anyone, by atomics. `frozen` is set once, in the child of
 * a fork.
 */
#ifndef GYRE_RUNTIME_HEAP_H
#define GYRE_RUNTIME_HEAP_H

#include <gyre/heap.h>
#include <gyre/mutator.h>
#include <stdatomic.h>

#include "counters.h"
#include "ends.h"
#include "journal.h"
#include "platform/thread.h"
#include "platform/wait.h"
#include "profile.h"
#include "slab.h"

struct gyre__collector;
struct gyre__engine;

/* All mutators of the heap, also those that have detached and are not yet collected. */
struct gyre__registry {
	struct gyre__lock lock;
	struct gyre__event released; /* a claimed mutator was given back, or a stop ended */
	struct gyre_mutator *first;
	uint32_t attached; /* running or parked */
	bool stopping;     /* gyre_verify brings the mutators to rest: nobody attaches */
};

/* How far mutators are ahead of the collector, and how they wait for it. See pressure.h. */
struct gyre__pressure {
	struct gyre__lock lock;
	struct gyre__event relief;
	_Atomic(uint64_t) volume;     /* bytes allocated and journalled since the last boundary */
	_Atomic(uint64_t) journalled; /* the same, of journals of an engine that coalesces */
	_Atomic(uint32_t) lag;        /* of the far pass: 1000 calls for the full delay */
	_Atomic(size_t) epoch;        /* volume that calls for a boundary, if above epoch_bytes */
};

/* Options that are changed while the heap is open, by gyre_thresholds_set. All accesses are
 * relaxed: each is a figure by itself. */
struct gyre__thresholds {
	_Atomic(size_t) epoch_bytes;
	_Atomic(uint64_t) epoch_ns, delay_ns;
	_Atomic(uint32_t) near_budget, far_percent;
};

/* Who is told of passes and collections. The lock is held while one is told. */
struct gyre__watcher {
	struct gyre__watcher *next;
	gyre_collect_fn fn;
	void *arg;
	uint64_t id;
};

struct gyre__watchers {
	struct gyre__lock lock;
	struct gyre__watcher *first;
	uint64_t ids;
	_Atomic(uint32_t) any; /* a hint: the list is not empty */
};

/* A root that was given a name, for snapshots. */
struct gyre__root_name {
	struct gyre__root_name *next;
	const struct gyre_root *root;
	char name[32];
};

/* Who serves the heap at a socket (serve/server.c), and what the heap asks of it: set by it, so
 * that nothing here depends on it. The lock is held while a descriptor is got or given back, too:
 * none is in between when a process forks. */
struct gyre__server;

struct gyre__serving {
	struct gyre__lock lock;
	struct gyre__server *server; /* NULL: the heap is not served */
	void (*stop)(struct gyre_heap *heap);
	void (*forget)(struct gyre__server *server); /* in the child of a fork */
};

struct gyre_heap {
	_Atomic(uint64_t) phase; /* handshakes asked for: see engine.h */
	_Atomic(uint32_t) frozen;
	const struct gyre__engine *engine;
	struct gyre_options options; /* complete: no field is 0 by default */
	struct gyre__thresholds thresholds;
	_Atomic(uint32_t) saves_all; /* dead cycles are kept */
	_Atomic(uint32_t) disabled;  /* no near nor far pass begins but in gyre_collect */
	char name[16];

	struct gyre__registry registry;
	struct gyre__leavings leavings;
	struct gyre__slabs slabs;
	struct gyre__chunks chunks;
	struct gyre__pressure pressure;

	struct gyre_type *types;
	uint32_t types_count;

	struct gyre__ends ends;
	struct gyre__watchers watchers;
	struct gyre__serving serving;
	struct gyre__profile profile;

	struct gyre__lock roots_lock;
	struct gyre_root *roots;
	struct gyre__root_name *root_names; /* by the same lock */

	struct gyre__lock fork_lock;
	bool forking;

	struct gyre__collector *collector;
	struct gyre__collector_counters counted;
	struct gyre__shared_counters shared;
};

static inline bool gyre__frozen(struct gyre_heap *heap)
{
	/* Relaxed: written before the child's only thread reads it. */
	return atomic_load_explicit(&heap->frozen, memory_order_relaxed) != 0;
}

/* The value of a threshold now. */
#define gyre__threshold(heap, name)                                                                \
	atomic_load_explicit(&(heap)->thresholds.name, memory_order_relaxed)

void gyre__watchers_destroy(struct gyre_heap *heap);
/* Collector: tells all of them. */
void gyre__watchers_tell(struct gyre_heap *heap, const struct gyre_collect_info *info);

/* Whether those of the options that are thresholds are in range, and makes them the heap's. */
bool gyre__thresholds_in_range(const struct gyre_options *options);
void gyre__thresholds_use(struct gyre_heap *heap, const struct gyre_options *options);

/* Writes one line to the host's log. No lock may be held. */
__attribute__((format(printf, 3, 4))) void
gyre__log(struct gyre_heap *heap, enum gyre_log_level level, const char *format, ...);

/* The heap is being closed: the names of its roots go. */
void gyre__root_names_destroy(struct gyre_heap *heap);

void gyre__registry_count(struct gyre_heap *heap, uint64_t *attached, uint64_t *parked);

#endif
