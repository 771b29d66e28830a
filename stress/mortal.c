/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mortal.c: nodes that end, the walk that finds those that have not, records, and threads of the
 * host that run finalizers.
 *
 * The walk runs on the thread that leads a checkpoint, or on the main thread; everything else on
 * any mutator. A record is taken without a lock and given back at rest only, so no record is taken
 * while one is given back.
 */
#include "mortal.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- Nodes ---- */

const struct gyre_type *mortal_type(struct stress_run *run, const char *name, bool acyclic,
				    gyre_finalize_fn finalize)
{
	const struct gyre_refs acyclic_refs[] = { GYRE_REF(struct mortal_node, next),
						  GYRE_REF(struct mortal_node, cell) };
	const struct gyre_refs all_refs[] = { GYRE_REF(struct mortal_node, next),
					      GYRE_REF(struct mortal_node, previous),
					      GYRE_REF(struct mortal_node, other),
					      GYRE_REF(struct mortal_node, cell) };
	struct gyre_type_desc desc = GYRE_TYPE(struct mortal_node);

	desc.name = name;
	desc.refs = acyclic ? acyclic_refs : all_refs;
	desc.refs_count = acyclic ? 2 : 4;
	desc.flags = acyclic ? GYRE_ACYCLIC : 0;
	desc.finalize = finalize;
	return shape_type(run, &desc);
}

struct mortal_node *mortal_node(struct stress_worker *w, const struct gyre_type *type,
				uint64_t identity)
{
	struct mortal_node *node = stress_new(w, type, 0, identity);

	if (node)
		node->run = w->run;
	return node;
}

struct gyre_weak *mortal_cell(struct stress_worker *w, struct mortal_node *node)
{
	struct gyre_weak *cell;
	GYRE_KEEP(w->m, node);

	do
		cell = gyre_weak_of(w->m, node);
	while (!cell && stress_again(w, GYRE_NO_MEMORY));
	w->tries = 0;
	/* Relaxed: read when all are at rest. */
	if (cell)
		atomic_store_explicit(&node->celled, 1, memory_order_relaxed);
	return cell;
}

static const struct gyre_type_desc table_desc =
	GYRE_TYPE(struct mortal_table, GYRE_TRAILING_REFS(struct mortal_table, places, length));

const struct gyre_type *mortal_table_type(struct stress_run *run)
{
	return shape_type(run, &table_desc);
}

struct mortal_table *mortal_table(struct stress_run *run, const struct gyre_type *type,
				  struct gyre_root *root, uint64_t length, uint64_t identity)
{
	struct mortal_table *table = stress_new(run->main, type, length, identity);

	return table && stress_root_init(run->main, root, table) ? table : NULL;
}

void *mortal_exchange(struct stress_worker *w, gyre_ref *slot, const void *value)
{
	enum gyre_status status;
	void *old = NULL;
	GYRE_KEEP(w->m, value);

	do
		status = gyre_exchange(w->m, slot, value, &old);
	while (stress_again(w, status));
	return stress_ok(w->run, status, "gyre_exchange") ? old : NULL;
}

void mortal_nap(struct stress_worker *w, uint64_t ns)
{
	struct timespec time = { .tv_nsec = (long)ns };

	stress_ok(w->run, gyre_park(w->m), "gyre_park");
	nanosleep(&time, NULL);
	stress_ok(w->run, gyre_unpark(w->m), "gyre_unpark");
}

#define AWAIT_NS 100000
#define AWAIT_NAPS 30

void mortal_await_epoch(struct stress_worker *w, uint64_t *last)
{
	struct gyre_stats stats = { .size = sizeof(stats) };
	unsigned naps;

	gyre_collect_soon(w->run->heap);
	for (naps = 0; naps < AWAIT_NAPS && !stress_stopped(w->run); naps++) {
		if (!stress_ok(w->run, gyre_heap_stats(w->run->heap, &stats), "gyre_heap_stats"))
			return;
		if (stats.epochs != *last)
			break;
		mortal_nap(w, AWAIT_NS);
	}
	*last = stats.epochs;
}

/* ---- Lists ---- */

void mortal_list_add(struct stress_run *run, struct mortal_list *list, uint64_t value)
{
	if (list->count == list->room) {
		size_t room = list->room == 0 ? 1024 : 2 * list->room;
		uint64_t *values = realloc(list->values, room * sizeof(*values));

		if (!values) {
			stress_fail(run, "no memory for the shadow");
			return;
		}
		list->values = values;
		list->room = room;
	}
	list->values[list->count++] = value;
}

static int compare_values(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void mortal_list_sort(struct mortal_list *list)
{
	if (list->count > 0)
		qsort(list->values, list->count, sizeof(*list->values), compare_values);
}

bool mortal_list_has(const struct mortal_list *list, uint64_t value)
{
	return list->count > 0 && bsearch(&value, list->values, list->count, sizeof(*list->values),
					  compare_values) != NULL;
}

/* ---- The walk ---- */

void mortal_walk_begin(struct mortal_walk *walk, struct stress_worker *w)
{
	/* Walks come one after another, by whoever leads: the meeting orders them. */
	static uint64_t walks;

	*walk = (struct mortal_walk){ .w = w, .number = ++walks };
}

void mortal_walk_cell(struct mortal_walk *walk, const void *cell)
{
	if (cell)
		mortal_list_add(walk->w->run, &walk->cells, (uint64_t)(uintptr_t)cell);
}

static void meet(struct mortal_walk *walk, struct mortal_node *node)
{
	if (!node || !stress_check(walk->w, node, STRESS_ANY) || node->walked == walk->number)
		return;
	node->walked = walk->number;
	mortal_list_add(walk->w->run, &walk->identities, node->head.identity);
	mortal_list_add(walk->w->run, &walk->stack, (uint64_t)(uintptr_t)node);
}

void mortal_walk_node(struct mortal_walk *walk, void *start)
{
	struct mortal_node *node;
	struct gyre_weak *cell;

	meet(walk, start);
	while (walk->stack.count > 0 && !stress_failed(walk->w->run)) {
		node = (void *)(uintptr_t)walk->stack.values[--walk->stack.count];
		meet(walk, gyre_load(&node->next));
		meet(walk, gyre_load(&node->previous));
		meet(walk, gyre_load(&node->other));
		mortal_walk_cell(walk, gyre_load(&node->cell));
		/* Relaxed: all are at rest. A node that was brought back has lost its cell and gets
		 * a new one here, which is then as good as one that the mode asked for. */
		if (!atomic_load_explicit(&node->celled, memory_order_relaxed))
			continue;
		cell = gyre_weak_of(walk->w->m, node);
		if (!cell)
			stress_fail(walk->w->run, "no memory for a weak cell");
		mortal_walk_cell(walk, cell);
	}
}

void mortal_walk_end(struct mortal_walk *walk)
{
	mortal_list_sort(&walk->identities);
	walk->nodes = walk->identities.count;
	walk->distinct_cells =
		walk->cells.count == 0 ? 0 : shape_distinct(walk->cells.values, walk->cells.count);
}

bool mortal_walk_met(const struct mortal_walk *walk, uint64_t identity)
{
	return mortal_list_has(&walk->identities, identity);
}

void mortal_walk_free(struct mortal_walk *walk)
{
	free(walk->stack.values);
	free(walk->identities.values);
	free(walk->cells.values);
}

/* ---- Records ---- */

bool mortal_pool_make(struct stress_run *run, struct mortal_pool *pool, size_t bytes, size_t count)
{
	size_t i;

	pool->records = calloc(count, bytes);
	pool->free = calloc(count, sizeof(*pool->free));
	pool->bytes = bytes;
	pool->count = count;
	if (!pool->records || !pool->free) {
		stress_fail(run, "no memory for %zu records", count);
		return false;
	}
	for (i = 0; i < count; i++)
		pool->free[i] = (uint32_t)(count - 1 - i);
	/* Relaxed: no other thread runs yet. */
	atomic_store_explicit(&pool->left, (int64_t)count, memory_order_relaxed);
	return true;
}

void mortal_pool_free(struct mortal_pool *pool)
{
	free(pool->records);
	free(pool->free);
}

void *mortal_pool_take(struct stress_run *run, struct mortal_pool *pool)
{
	/* Relaxed: the list of what is free changes at rest only, and the meeting orders that. */
	int64_t left = atomic_fetch_sub_explicit(&pool->left, 1, memory_order_relaxed);

	if (left > 0)
		return &pool->records[pool->free[left - 1] * pool->bytes];
	atomic_fetch_add_explicit(&pool->left, 1, memory_order_relaxed); /* as above */
	stress_checkpoint_soon(run);
	return NULL;
}

void mortal_pool_give(struct mortal_pool *pool, void *record)
{
	size_t index = (size_t)((char *)record - pool->records) / pool->bytes;
	int64_t left = atomic_load_explicit(&pool->left, memory_order_relaxed); /* at rest */

	pool->free[left] = (uint32_t)index;
	atomic_store_explicit(&pool->left, left + 1, memory_order_relaxed); /* at rest */
}

/* ---- Who runs finalizers ---- */

struct stress_worker mortal_worker(struct stress_run *run, struct gyre_mutator *m, uint64_t number)
{
	return (struct stress_worker){ .run = run,
				       .m = m,
				       .index = run->options->threads + 1,
				       .rng = stress_rng_make(run->options->seed, number) };
}

bool mortal_by_host(const struct stress_run *run)
{
	uint64_t host = stress_param(run, "host");
	struct stress_rng rng = stress_rng_make(run->options->seed, UINT64_MAX - 2);

	return host == 2 ? stress_chance(&rng, 1, 2) : host == 1;
}

#define EPOCH_NS 1000000

void mortal_options(const struct stress_run *run, struct gyre_options *options)
{
	options->finalizing = mortal_by_host(run) ? GYRE_FINALIZE_HOST : GYRE_FINALIZE_THREAD;
	/* So short that what was dropped is looked at while it dies, and not only before. */
	options->epoch_ns = EPOCH_NS;
}

#define POLL_MS 20

static void host_loop(struct mortal_hosts *hosts, struct gyre_mutator *m)
{
	struct pollfd fd = { .fd = gyre_finalize_fd(hosts->run->heap), .events = POLLIN };
	uint64_t ran = 0;
	int ready;

	/* Relaxed: nothing else is published by it. */
	while (!atomic_load_explicit(&hosts->stop, memory_order_relaxed)) {
		stress_ok(hosts->run, gyre_park(m), "gyre_park");
		ready = poll(&fd, 1, POLL_MS);
		stress_ok(hosts->run, gyre_unpark(m), "gyre_unpark");
		if (ready <= 0)
			continue;
		if (fd.revents != POLLIN) {
			stress_fail(hosts->run, "gyre_finalize_fd: poll says %#x",
				    (unsigned)fd.revents);
			return;
		}
		if (!stress_ok(hosts->run, gyre_finalize_next(m, &ran), "gyre_finalize_next"))
			return;
		atomic_fetch_add_explicit(&hosts->ran, ran, memory_order_relaxed); /* a figure */
	}
}

static void *host_main(void *arg)
{
	struct mortal_hosts *hosts = arg;
	struct gyre_mutator *m;

	if (!stress_ok(hosts->run, gyre_attach(hosts->run->heap, 0, &m), "gyre_attach"))
		return NULL;
	gyre_mutator_name(m, "host");
	host_loop(hosts, m);
	stress_ok(hosts->run, gyre_detach(m), "gyre_detach");
	return NULL;
}

void mortal_hosts_begin(struct mortal_hosts *hosts, struct stress_run *run)
{
	bool host = mortal_by_host(run);

	hosts->run = run;
	if ((gyre_finalize_fd(run->heap) >= 0) != host)
		stress_fail(run, "gyre_finalize_fd answered %d", gyre_finalize_fd(run->heap));
	while (host && hosts->started < MORTAL_HOSTS) {
		if (pthread_create(&hosts->threads[hosts->started], NULL, host_main, hosts) != 0) {
			stress_fail(run, "a thread that runs finalizers could not be started");
			return;
		}
		hosts->started++;
	}
}

void mortal_hosts_end(struct mortal_hosts *hosts)
{
	unsigned i;

	atomic_store_explicit(&hosts->stop, true, memory_order_relaxed); /* see host_loop */
	if (hosts->started == 0)
		return;
	stress_ok(hosts->run, gyre_park(hosts->run->main->m), "gyre_park");
	for (i = 0; i < hosts->started; i++)
		pthread_join(hosts->threads[i], NULL);
	stress_ok(hosts->run, gyre_unpark(hosts->run->main->m), "gyre_unpark");
}

void mortal_run(struct stress_run *run, struct mortal_hosts *hosts,
		void (*work)(struct stress_worker *w), uint64_t (*count)(struct stress_worker *w),
		void (*drop_all)(struct stress_run *run))
{
	run->settles = true;
	run->shared_count = count;
	mortal_hosts_begin(hosts, run);
	stress_workers(run, work, NULL);
	if (!stress_failed(run)) {
		stress_settle(run->main);
		stress_expect(run->main, count(run->main), "after the last round");
		drop_all(run);
	}
	mortal_hosts_end(hosts);
	run->shared_count = NULL;
}

void mortal_hosts_check_idle(struct stress_run *run)
{
	struct pollfd fd = { .fd = gyre_finalize_fd(run->heap), .events = POLLIN };

	if (fd.fd >= 0 && poll(&fd, 1, 0) != 0)
		stress_fail(run, "gyre_finalize_fd is readable, and no finalizer waits");
}
