/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * paced.c: how long operations on a large live graph take while another thread makes cyclic
 * garbage. Thread 0 begins the graph and does the operations, thread 1 the garbage. Paced: both by
 * a schedule that does not wait for them (open loop), so a stop shows in all that it delays.
 * Flatout: both as fast as they can, each operation timed from its own beginning.
 *
 * Invariant: the graph is one strongly connected component, a ring by a and a random edge by b, of
 * which operations change b alone; so it stays live and by hand it is known what is dead.
 */
#include "workloads/rings.h"

#define LIVE_DEFAULT 1000000
#define SAMPLES 65536
#define KEPT 64
#define STEPS 100
#define PERIOD_NS 100000
#define TICK_NS 1000000
#define TICK_OBJECTS 10000
#define SPIN_NS 100000 /* of the churn before a tick; operations are waited for by spinning */

enum { FIRST, HELD };

struct paced {
	struct rings rings;
	void *kept[KEPT];
	void *graph[HELD]; /* its first node: the thread's own reference */
	struct mm_frame kept_frame, graph_frame;
	struct holder *samples; /* held by root: random nodes of the graph */
	struct mm_root root;
	bool open, rooted;
	unsigned next;
	/* Of the phase, which begins with another place for latencies. */
	const struct bench_latency *phase;
	uint64_t begun, due, ended, made;
};

/* Each node refers to the one made before it, the first to the last. */
static bool make_ring(struct bench_thread *t, struct node **table, size_t count)
{
	struct paced *paced = t->own;
	struct node *first = mm_new(t->m, &node_shape);
	bool done = first != NULL;

	if (!done)
		return false;
	paced->graph[FIRST] = first;
	table[0] = first;
	/* Closed from the start, one more node let in at a time: all are reachable throughout. */
	done = mm_init(t->m, &first->a, first);
	for (size_t i = 1; done && i < count; i++) {
		struct node *node = mm_new(t->m, &node_shape);

		if (node == NULL)
			return false;
		node->x[0] = i;
		done &= mm_init(t->m, &node->a, table[i - 1]);
		done &= mm_store(t->m, &first->a, node);
		mm_release(t->m, node);
		table[i] = node;
		if (i % BENCH_BATCH == 0)
			mm_safepoint(t->m);
	}
	return done;
}

static bool fill(struct bench_thread *t, struct node **table, size_t count)
{
	struct paced *paced = t->own;
	bool done = true;

	for (size_t i = 0; i < count; i++) {
		uint32_t random = (uint32_t)(bench_random(t) >> 32);

		done &= mm_init(t->m, &table[i]->b, table[bench_below(random, count)]);
		if (i % BENCH_BATCH == 0)
			mm_safepoint(t->m);
	}
	for (size_t i = 0; i < SAMPLES; i++) {
		uint32_t random = (uint32_t)(bench_random(t) >> 32);

		done &= mm_store(t->m, &paced->samples->items[i],
				 table[bench_below(random, count)]);
		if (i % BENCH_BATCH == 0)
			mm_safepoint(t->m);
	}
	return done;
}

static bool make_graph(struct bench_thread *t)
{
	struct paced *paced = t->own;
	uint64_t live = t->options->live != 0 ? t->options->live : LIVE_DEFAULT;
	struct node **table = malloc(live * sizeof(*table));
	bool done;

	paced->samples = mm_new_array(t->m, &holder_shape, SAMPLES);
	if (table == NULL || paced->samples == NULL) {
		free(table);
		return false;
	}
	paced->rooted = mm_root_open(t->m, &paced->root, paced->samples);
	mm_release(t->m, paced->samples);
	done = paced->rooted && make_ring(t, table, live) && fill(t, table, live);
	free(table);
	return done;
}

static bool begin(struct bench_thread *t)
{
	struct paced *paced = t->own;

	mm_frame_open(t->m, &paced->graph_frame, paced->graph, HELD);
	mm_frame_open(t->m, &paced->kept_frame, paced->kept, KEPT);
	paced->open = true;
	bench_rings_begin(t, &paced->rings);
	return t->index != 0 || make_graph(t);
}

static void give_up(struct bench_thread *t, void *node)
{
	mm_release(t->m, node);
	if (node != NULL)
		mm_free(t->m, node);
}

static struct node *random_node(struct bench_thread *t, const struct holder *samples)
{
	uint32_t random = (uint32_t)(bench_random(t) >> 32);

	return mm_load(t->m, &samples->items[bench_below(random, SAMPLES)]);
}

static bool operate(struct bench_thread *t)
{
	struct paced *paced = t->own;
	const struct holder *samples = paced->samples;
	bool done = true;

	for (unsigned i = 0; i < STEPS; i++) {
		struct node *node = mm_new(t->m, &node_shape);
		void **place = &paced->kept[paced->next++ % KEPT];

		if (node == NULL)
			return false;
		node->x[0] = i;
		done &= mm_init(t->m, &node->a, random_node(t, samples));
		give_up(t, *place);
		*place = node;
		done &= mm_store(t->m, &random_node(t, samples)->b, random_node(t, samples));
	}
	mm_safepoint(t->m);
	return done;
}

static uint64_t churn(struct bench_thread *t, unsigned objects)
{
	struct paced *paced = t->own;
	uint64_t made = 0;

	while (made < objects) {
		uint64_t batch = made + BENCH_BATCH;

		while (made < batch && made < objects) {
			unsigned size = bench_ring(t, &paced->rings);

			if (size == 0)
				return 0;
			made += size;
		}
		mm_safepoint(t->m);
	}
	paced->made += made;
	return made;
}

static void see_phase(struct bench_thread *t)
{
	struct paced *paced = t->own;

	if (paced->begun != 0 && paced->phase == t->latency)
		return;
	paced->phase = t->latency;
	paced->begun = paced->due = bench_now();
	paced->made = 0;
}

/* The wait for what is due next comes last, so an operation is never begun for a phase that has
 * ended. */
static uint64_t turn_of(struct bench_thread *t, bool by_schedule)
{
	struct paced *paced = t->own;
	uint64_t begun, done;

	see_phase(t);
	begun = bench_now();
	if (t->index == 0) {
		done = operate(t);
		paced->ended = bench_now();
		bench_latency_add(t->latency,
				  by_schedule && paced->due < begun ? paced->due : begun, begun,
				  paced->ended);
	} else {
		done = churn(t, by_schedule ? TICK_OBJECTS : BENCH_BATCH);
	}
	if (by_schedule && done != 0) {
		paced->due += t->index == 0 ? PERIOD_NS : TICK_NS;
		(void)bench_wait_until(t, paced->due, t->index == 0 ? PERIOD_NS : SPIN_NS);
	}
	paced->ended = bench_now();
	return done;
}

static uint64_t turn_paced(struct bench_thread *t)
{
	return turn_of(t, true);
}

static uint64_t turn_flatout(struct bench_thread *t)
{
	return turn_of(t, false);
}

static void end(struct bench_thread *t)
{
	struct paced *paced = t->own;

	if (!paced->open)
		return;
	for (unsigned i = 0; i < KEPT; i++) {
		give_up(t, paced->kept[i]);
		paced->kept[i] = NULL;
	}
	if (paced->rooted)
		mm_root_close(t->m, &paced->root);
	if (MM_BY_HAND)
		mm_free(t->m, paced->samples);
	if (paced->graph[FIRST] != NULL)
		bench_ring_drop(t, paced->graph[FIRST]);
	paced->graph[FIRST] = NULL;
	mm_frame_close(t->m, &paced->kept_frame);
	mm_frame_close(t->m, &paced->graph_frame);
}

static void report(const struct bench_thread *threads, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		const struct paced *paced = threads[i].own;

		if (paced->ended > paced->begun)
			bench_print("pace_reached_mops", (double)paced->made * 1e3 /
							 (double)(paced->ended - paced->begun));
	}
}

const struct bench_workload bench_paced = {
	.name = "paced",
	.unit = "us",
	.kind = "latency",
	.what = "100 allocations and stores every 100 us beside 10 M objects/s in dead rings, "
		"1,000,000 live (--live)",
	.shapes = bench_node_shapes,
	.shapes_count = 2,
	.state_bytes = sizeof(struct paced),
	.threads = 2,
	.begin = begin,
	.turn = turn_paced,
	.end = end,
	.report = report,
};

const struct bench_workload bench_flatout = {
	.name = "flatout",
	.unit = "us",
	.kind = "latency",
	.what = "the same without a pace: both threads as fast as they can",
	.shapes = bench_node_shapes,
	.shapes_count = 2,
	.state_bytes = sizeof(struct paced),
	.threads = 2,
	.begin = begin,
	.turn = turn_flatout,
	.end = end,
	.report = report,
};
