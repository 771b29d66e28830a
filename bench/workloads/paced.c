/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * paced.c: what a server's request pays for garbage that others make. A live graph in one strongly
 * connected component (a ring by a, random edges by b); one thread makes rings, 10 million objects
 * a second in ticks of 1 ms, or (flatout) as many as it can; another does an operation each 100 us,
 * or one after another: 100 times an object that points at a random live one, put into a ring of
 * the last 64, and a store of a random live pointer into a random live object. The latency of an
 * operation counts from when it was due, so a stop delays all that it holds up.
 *
 * Thread 0 does the operations and has the graph; thread 1 makes the rings.
 */
#include "workloads/rings.h"

#define SAMPLE 65536
#define RECENT 64
#define STEPS 100 /* of an operation */
#define PERIOD_NS 100000
#define SPIN_NS 60000 /* a sleep is this much too long, at times */
#define TICK_NS 1000000
#define TICK_OBJECTS 10000
#define DEFAULT_LIVE 1000000

struct paced {
	bool flat_out;
	struct nodes nodes;
	struct node *sample[SAMPLE];
	void *recent[RECENT];
	struct mm_frame frame;
	bool open;
	unsigned next;
	uint64_t due;
	struct rings rings;
	uint64_t made, measured_ns, since;
};

/* The graph; of its table only the sample is kept. */
static bool begin_graph(struct bench_thread *t, struct paced *paced)
{
	uint64_t live = t->options->live == 0 ? DEFAULT_LIVE : t->options->live;
	struct nodes *nodes = &paced->nodes;

	if (!bench_nodes_begin(t, nodes, live))
		return false;
	for (size_t i = 0; i < nodes->count; i++) {
		struct node *node = nodes->table[i];

		if (!mm_store(t->m, &node->a, nodes->table[i + 1 < nodes->count ? i + 1 : 0]))
			return false;
		if (i % BENCH_BATCH == 0)
			mm_safepoint(t->m);
	}
	for (size_t i = 0; i < SAMPLE; i++)
		paced->sample[i] = nodes->table[bench_below((uint32_t)bench_random(t), live)];
	return true;
}

static bool begin_any(struct bench_thread *t, bool flat_out)
{
	struct paced *paced = t->own;

	paced->flat_out = flat_out;
	bench_rings_begin(t, &paced->rings);
	if (t->index != 0)
		return true;
	mm_frame_open(t->m, &paced->frame, paced->recent, RECENT);
	paced->open = true;
	return begin_graph(t, paced);
}

static bool begin_paced(struct bench_thread *t)
{
	return begin_any(t, false);
}

static bool begin_flatout(struct bench_thread *t)
{
	return begin_any(t, true);
}

static void give_up(struct bench_thread *t, struct node *node)
{
	if (node == NULL)
		return;
	mm_release(t->m, node);
	mm_free(t->m, node);
}

static bool operate(struct bench_thread *t, struct paced *paced)
{
	bool done = true;

	for (unsigned i = 0; i < STEPS; i++) {
		uint64_t bits = bench_random(t);
		struct node *live = paced->sample[bits % SAMPLE];
		struct node *other = paced->sample[(bits >> 16) % SAMPLE];
		struct node *target = paced->sample[(bits >> 32) % SAMPLE];
		struct node *node = mm_new(t->m, &node_shape);
		void **place = &paced->recent[paced->next++ % RECENT];

		if (node == NULL)
			return false;
		done &= mm_init(t->m, &node->a, live);
		give_up(t, *place);
		*place = node;
		done &= mm_store(t->m, &other->b, target);
	}
	return done;
}

static uint64_t operation(struct bench_thread *t)
{
	struct paced *paced = t->own;
	uint64_t begun, now = bench_now();

	/* What was due in a phase before is not owed. */
	if (paced->due == 0 || paced->flat_out || (t->latency != NULL && paced->since == 0))
		paced->due = now + (paced->flat_out ? 0 : PERIOD_NS);
	if (t->latency != NULL)
		paced->since = 1;
	if (!paced->flat_out && !bench_wait_until(t, paced->due, SPIN_NS))
		return 1;
	begun = bench_now();
	if (!operate(t, paced))
		return 0;
	mm_safepoint(t->m);
	bench_latency_add(t->latency, paced->flat_out ? begun : paced->due, begun, bench_now());
	paced->due += PERIOD_NS;
	return 1;
}

static uint64_t make_rings(struct bench_thread *t, uint64_t count)
{
	struct paced *paced = t->own;
	uint64_t made = 0;

	while (made < count) {
		unsigned size = bench_ring(t, &paced->rings);

		if (size == 0)
			return 0;
		made += size;
		if (made % BENCH_BATCH < size)
			mm_safepoint(t->m);
	}
	mm_safepoint(t->m);
	return made;
}

/* Counts what is made in the measured phase. */
static void account(struct bench_thread *t, uint64_t made)
{
	struct paced *paced = t->own;
	uint64_t now = bench_now();

	if (t->latency == NULL)
		return;
	if (paced->since == 0)
		paced->since = now;
	paced->made += made;
	paced->measured_ns = now - paced->since;
}

static uint64_t tick(struct bench_thread *t)
{
	struct paced *paced = t->own;
	uint64_t made;

	if (paced->flat_out) {
		made = make_rings(t, BENCH_BATCH);
		account(t, made);
		return made;
	}
	if (paced->due == 0 || (t->latency != NULL && paced->since == 0))
		paced->due = bench_now() + TICK_NS;
	if (!bench_wait_until(t, paced->due, 0))
		return 1;
	made = make_rings(t, TICK_OBJECTS);
	account(t, made);
	paced->due += TICK_NS;
	return made;
}

static uint64_t turn(struct bench_thread *t)
{
	return t->index == 0 ? operation(t) : tick(t);
}

static void end(struct bench_thread *t)
{
	struct paced *paced = t->own;

	if (t->index != 0 || !paced->open)
		return;
	for (unsigned i = 0; i < RECENT; i++) {
		give_up(t, paced->recent[i]);
		paced->recent[i] = NULL;
	}
	mm_frame_close(t->m, &paced->frame);
	bench_nodes_end(t, &paced->nodes);
}

static void report(const struct bench_thread *threads, unsigned count)
{
	const struct paced *rings = threads[count - 1].own;

	if (rings->measured_ns > 0)
		bench_print("pace_reached_mops",
			    (double)rings->made * 1e3 / (double)rings->measured_ns);
}

const struct bench_workload bench_paced = {
	.name = "paced",
	.unit = "us",
	.kind = "latency",
	.what = "operations on a live graph (--live) each 100 us beside 10 M ring objects a second",
	.shapes = bench_node_shapes,
	.shapes_count = 2,
	.state_bytes = sizeof(struct paced),
	.threads = 2,
	.begin = begin_paced,
	.turn = turn,
	.end = end,
	.report = report,
};

const struct bench_workload bench_flatout = {
	.name = "flatout",
	.unit = "us",
	.kind = "latency",
	.what = "the same with both threads at full speed",
	.shapes = bench_node_shapes,
	.shapes_count = 2,
	.state_bytes = sizeof(struct paced),
	.threads = 2,
	.begin = begin_flatout,
	.turn = turn,
	.end = end,
	.report = report,
};
