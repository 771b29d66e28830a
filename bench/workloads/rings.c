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
	return bench_rings_turn(t, t->own);
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
