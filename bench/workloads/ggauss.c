/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ggauss.c: random graphs that are nothing but cyclic garbage once they are dropped: the nodes of
 * a graph form a ring, and each refers to two more, at distances along the ring that follow a
 * Gaussian distribution. As many graphs as make up the live objects are kept; each new one takes
 * the place of a random one. On each thread by itself.
 *
 * By hand and by counts a graph is taken apart along its ring, as a program could that never lets
 * two graphs refer to each other. Source: the benchmark ggauss of Bacon, Rajan, "Concurrent Cycle
 * Collection in Reference Counted Systems", ECOOP 2001, section 7.
 */
#include "workloads/node.h"

#define SIGMA 16
#define SIZE_SPREAD 64 /* sizes: 2 and the absolute value of a Gaussian with this deviation */
#define SIZE_MOST 256 /* more than is ever drawn */
#define SIZE_MEAN 53   /* 2 + 64 * sqrt(2 / pi) */
#define LIVE_DEFAULT 65536

struct gauss {
	MM_HEADER
	mm_slot next;
	mm_slot out[2];
	uint64_t x;
};

static const struct mm_shape gauss_shape = {
	.id = 0,
	.name = "gauss",
	.bytes = sizeof(struct gauss),
	.refs_count = 3,
	.refs = { offsetof(struct gauss, next), offsetof(struct gauss, out[0]),
		  offsetof(struct gauss, out[1]) },
};

static const struct mm_shape *const shapes[] = { &gauss_shape, &holder_shape };

struct graphs {
	size_t count;
	struct holder *holder; /* held by root */
	struct mm_root root;
	bool rooted;
	void *making[1]; /* the first node of the graph that is being made */
	struct mm_frame frame;
	struct gauss *nodes[SIZE_MOST]; /* all its nodes; the ring holds them, not this */
};

static bool begin(struct bench_thread *t)
{
	struct graphs *graphs = t->own;
	uint64_t live = t->options->live != 0 ? t->options->live : LIVE_DEFAULT;

	mm_frame_open(t->m, &graphs->frame, graphs->making, 1);
	graphs->count = (size_t)live / SIZE_MEAN + 1;
	graphs->holder = mm_new_array(t->m, &holder_shape, graphs->count);
	if (graphs->holder == NULL)
		return false;
	graphs->rooted = mm_root_open(t->m, &graphs->root, graphs->holder);
	mm_release(t->m, graphs->holder);
	return graphs->rooted;
}

/* Near enough: the sum of four uniform numbers of 16 bits has the deviation 65536 / sqrt(3). */
static int gaussian(struct bench_thread *t, int deviation)
{
	uint64_t bits = bench_random(t);
	int sum = -4 * 32768;

	for (unsigned i = 0; i < 4; i++, bits >>= 16)
		sum += (int)(bits & 0xffff);
	return sum * deviation / 37837;
}

/* What takes a graph apart; it may have no other links than of its ring, and that may be open. */
static void drop(struct bench_thread *t, struct gauss *first)
{
	struct gauss *node = first;

	if (!MM_BY_HAND && !MM_COUNTS)
		return;
	while (node != NULL) {
		struct gauss *next = mm_load(t->m, &node->next);

		mm_cut(t->m, &node->out[0]);
		mm_cut(t->m, &node->out[1]);
		if (next == first) {
			mm_cut(t->m, &node->next);
			next = NULL;
		}
		mm_free(t->m, node);
		node = next;
	}
}

/* The ring of a new graph; its first node, or NULL: no memory. */
static struct gauss *make_ring(struct bench_thread *t, unsigned size)
{
	struct graphs *graphs = t->own;
	struct gauss **nodes = graphs->nodes;
	bool done = true;

	for (unsigned i = 0; i < size; i++) {
		struct gauss *node = mm_new(t->m, &gauss_shape);

		nodes[i] = node;
		if (i == 0)
			graphs->making[0] = node;
		if (node != NULL) {
			node->x = i;
			done &= i == 0 || mm_init(t->m, &nodes[i - 1]->next, node);
			mm_release(t->m, i == 0 ? NULL : node);
		}
		if (node == NULL || !done) {
			drop(t, nodes[0]);
			mm_release(t->m, nodes[0]);
			graphs->making[0] = NULL;
			return NULL;
		}
	}
	/* What is refused shows as objects that are left. */
	(void)mm_init(t->m, &nodes[size - 1]->next, nodes[0]);
	return nodes[0];
}

static bool link_nodes(struct bench_thread *t, int size)
{
	struct gauss **nodes = ((struct graphs *)t->own)->nodes;
	bool done = true;

	for (int i = 0; i < size; i++)
		for (unsigned side = 0; side < 2; side++) {
			int to = (i + gaussian(t, SIGMA)) % size;

			done &= mm_init(t->m, &nodes[i]->out[side], nodes[to < 0 ? to + size : to]);
		}
	return done;
}

static uint64_t turn(struct bench_thread *t)
{
	struct graphs *graphs = t->own;
	uint32_t random = (uint32_t)(bench_random(t) >> 32);
	mm_slot *place = &graphs->holder->items[bench_below(random, graphs->count)];
	int size = 2 + abs(gaussian(t, SIZE_SPREAD));
	struct gauss *first = make_ring(t, (unsigned)size), *old;
	bool done;

	if (first == NULL)
		return 0;
	done = link_nodes(t, size);
	old = mm_load(t->m, place);
	drop(t, old);
	done &= mm_store(t->m, place, first);
	mm_release(t->m, first);
	graphs->making[0] = NULL;
	mm_safepoint(t->m);
	return done ? (uint64_t)size : 0;
}

static void end(struct bench_thread *t)
{
	struct graphs *graphs = t->own;

	for (size_t i = 0; graphs->rooted && i < graphs->count; i++)
		drop(t, mm_load(t->m, &graphs->holder->items[i]));
	if (graphs->rooted)
		mm_root_close(t->m, &graphs->root);
	if (MM_BY_HAND)
		mm_free(t->m, graphs->holder);
	mm_frame_close(t->m, &graphs->frame);
}

const struct bench_workload bench_ggauss = {
	.name = "ggauss",
	.unit = "ns/object",
	.kind = "throughput",
	.what = "random graphs of neighbours at Gaussian distances, 65,536 objects live (--live)",
	.shapes = shapes,
	.shapes_count = 2,
	.state_bytes = sizeof(struct graphs),
	.begin = begin,
	.turn = turn,
	.end = end,
};
