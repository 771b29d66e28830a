/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rings.c: doubly linked rings of 2 to 10 objects, dropped whole as soon as they are made. On each
 * thread by itself. rings.h has the ring, for other workloads that make some.
 */
#include "workloads/rings.h"

static bool begin(struct bench_thread *t)
{
	bench_rings_begin(t, t->own);
	return true;
}

static uint64_t turn(struct bench_thread *t)
{
	uint64_t made = 0;

	while (made < BENCH_BATCH) {
		unsigned size = bench_ring(t, t->own);

		if (size == 0)
			return 0;
		made += size;
	}
	mm_safepoint(t->m);
	return made;
}

static void end(struct bench_thread *t)
{
	(void)t;
}

const struct bench_workload bench_rings = {
	.name = "rings",
	.unit = "Mobj/s",
	.kind = "throughput",
	.what = "doubly linked rings of 2 to 10 objects, each dropped when it is made",
	.shapes = bench_node_shapes,
	.shapes_count = 1,
	.state_bytes = sizeof(struct rings),
	.begin = begin,
	.turn = turn,
	.end = end,
};
