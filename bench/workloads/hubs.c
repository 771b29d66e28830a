/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hubs.c: a few objects that very many point to and whose own slots never rest, before a large live
 * graph that does not change (what a compiler's tables and trees look like to a collector). Each
 * item refers to a hub and lives in a slot of another until one takes its place: so hubs lose
 * references all the time and never die, and each such loss makes trial deletion look at the hub,
 * from which all live objects can be reached.
 *
 * All threads share the hubs and the live objects, which thread 0 makes. In each hub a thread has
 * slots that it alone writes; so who frees by hand knows whose the old item is.
 */
#include "workloads/node.h"

#define HUBS 16
#define LANE 32 /* slots of a thread in each hub */
#define LIVE 100000

/* Thread 0's, for all. */
struct hubs {
	struct nodes nodes; /* each refers to a hub and to the next node: a ring */
	struct holder *hubs[HUBS];
	struct mm_root roots[HUBS];
	unsigned count; /* hubs with a root */
	bool ready;     /* all is made */
};

static struct hubs *hubs_of(const struct bench_thread *t)
{
	return t->first->own;
}

static bool make_hubs(struct bench_thread *t, struct hubs *hubs)
{
	while (hubs->count < HUBS) {
		struct holder *hub =
			mm_new_array(t->m, &holder_shape, (size_t)LANE * t->options->threads);
		bool rooted;

		if (hub == NULL)
			return false;
		rooted = mm_root_open(t->m, &hubs->roots[hubs->count], hub);
		mm_release(t->m, hub);
		if (!rooted)
			return false;
		hubs->hubs[hubs->count++] = hub;
	}
	return true;
}

static bool begin(struct bench_thread *t)
{
	struct hubs *hubs = hubs_of(t);
	struct nodes *nodes = &hubs->nodes;
	uint64_t live = t->options->live;
	bool done = true;

	if (t != t->first)
		return hubs != NULL && hubs->ready;
	if (!make_hubs(t, hubs) || !bench_nodes_begin(t, nodes, live != 0 ? live : LIVE))
		return false;
	for (size_t i = 0; i < nodes->count; i++) {
		struct node *node = nodes->table[i];

		done &= mm_store(t->m, &node->a, hubs->hubs[i % HUBS]);
		done &= mm_store(t->m, &node->b, nodes->table[(i + 1) % nodes->count]);
		if (i % (BENCH_BATCH / 2) == 0)
			mm_safepoint(t->m);
	}
	hubs->ready = done;
	return done;
}

/* An item takes the place of an old one, if there is any, which is dead then. */
static bool replace(struct bench_thread *t, mm_slot *slot, struct node *item)
{
	void *old = MM_BY_HAND ? mm_load(t->m, slot) : NULL;
	bool done = mm_store(t->m, slot, item);

	mm_release(t->m, item);
	if (MM_BY_HAND && old != NULL)
		mm_free(t->m, old);
	return done;
}

static uint64_t turn(struct bench_thread *t)
{
	struct hubs *hubs = hubs_of(t);
	const struct nodes *nodes = &hubs->nodes;
	bool done = true;

	for (unsigned i = 0; i < BENCH_BATCH; i++) {
		uint64_t bits = bench_random(t);
		struct holder *from = hubs->hubs[bits % HUBS], *to = hubs->hubs[bits / HUBS % HUBS];
		size_t place = bits / HUBS / HUBS % LANE + (size_t)LANE * t->index;
		struct node *item = mm_new(t->m, &node_shape);

		if (item == NULL)
			return 0;
		item->x[0] = i;
		done &= mm_init(t->m, &item->a, to);
		done &= mm_init(t->m, &item->b,
				nodes->table[bench_below((uint32_t)(bits >> 32), nodes->count)]);
		done &= replace(t, &from->items[place], item);
	}
	mm_safepoint(t->m);
	return done ? BENCH_BATCH : 0;
}

static void end(struct bench_thread *t)
{
	struct hubs *hubs = hubs_of(t);

	for (unsigned h = 0; hubs != NULL && h < hubs->count; h++)
		for (unsigned i = 0; i < LANE; i++)
			replace(t, &hubs->hubs[h]->items[(size_t)LANE * t->index + i], NULL);
	mm_safepoint(t->m);
	if (t != t->first)
		return;
	bench_nodes_end(t, &hubs->nodes);
	for (unsigned h = 0; h < hubs->count; h++) {
		mm_root_close(t->m, &hubs->roots[h]);
		if (MM_BY_HAND)
			mm_free(t->m, hubs->hubs[h]);
	}
}

const struct bench_workload bench_hubs = {
	.name = "hubs",
	.unit = "ns/object",
	.kind = "throughput",
	.what = "items come and go in the slots of 16 hubs, before 100,000 live objects (--live)",
	.shapes = bench_node_shapes,
	.shapes_count = 2,
	.state_bytes = sizeof(struct hubs),
	.begin = begin,
	.turn = turn,
	.end = end,
};
