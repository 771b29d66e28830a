/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bytes.c: what an object takes beyond the bytes of the user's struct: objects of 16, 24, 48,
 * 64 and 32 bytes are made, each kind after the other, and all are kept. On one thread.
 *
 * The objects of a kind form a chain, so that nothing apart from them is needed to keep them and
 * all memory that comes is theirs and the manager's. What is used is read when the manager has
 * collected, at rest, and before it. The kind that counts comes last: what the manager takes once
 * and keeps for itself, as journals, is not taken for the cost of its objects.
 */
#include "workloads/node.h"

#define LIVE 4000000 /* huge pages are 2 MiB: of a tenth of that, 2 bytes an object */
#define KINDS 5
#define NODES (KINDS - 1) /* of node_shape */

/* The user's bytes: a slot and the rest. */
#define SIZED(size)                                                                                \
	struct sized##size {                                                                       \
		MM_HEADER                                                                          \
		mm_slot next;                                                                      \
		uint64_t x[((size) - sizeof(void *)) / sizeof(uint64_t)];                          \
	}

SIZED(16);
SIZED(24);
SIZED(48);
SIZED(64);

#define SIZED_SHAPE(number, size)                                                                  \
	{                                                                                          \
		.id = (number), .name = "sized" #size, .bytes = sizeof(struct sized##size),        \
		.refs_count = 1, .refs = { offsetof(struct sized##size, next) },                   \
	}

static const struct mm_shape sized_shapes[KINDS - 1] = {
	SIZED_SHAPE(2, 16),
	SIZED_SHAPE(3, 24),
	SIZED_SHAPE(4, 48),
	SIZED_SHAPE(5, 64),
};

static const struct mm_shape *const shapes[KINDS + 1] = {
	&sized_shapes[0], &sized_shapes[1], &sized_shapes[2],
	&sized_shapes[3], &node_shape,      &holder_shape,
};

struct bytes {
	struct holder *holder; /* of the last object of each chain; held by root */
	struct mm_root root;
	bool rooted;
	double busy[KINDS], rest[KINDS]; /* bytes of an object beyond the user's */
};

/* Of the user's struct, which begins with the slot of the chain. */
static size_t user_bytes(const struct mm_shape *shape)
{
	return shape->bytes - shape->refs[0];
}

static bool begin(struct bench_thread *t)
{
	struct bytes *bytes = t->own;
	struct holder *holder = mm_new_array(t->m, &holder_shape, KINDS);

	if (holder == NULL)
		return false;
	bytes->holder = holder;
	bytes->rooted = mm_root_open(t->m, &bytes->root, holder);
	mm_release(t->m, holder);
	return bytes->rooted;
}

/* The last word of each is written: a page that was never touched would not count. */
static bool make_chain(struct bench_thread *t, const struct mm_shape *shape, mm_slot *last,
		       size_t count)
{
	bool done = true;

	for (size_t i = 0; done && i < count; i++) {
		char *object = mm_new(t->m, shape);
		uint64_t word = i;

		if (object == NULL)
			return false;
		memcpy(object + shape->bytes - sizeof(word), &word, sizeof(word));
		done &= mm_init(t->m, (mm_slot *)(object + shape->refs[0]), mm_load(t->m, last));
		done &= mm_store(t->m, last, object);
		mm_release(t->m, object);
		if (i % BENCH_BATCH == 0)
			mm_safepoint(t->m);
	}
	return done;
}

static double beyond(uint64_t before, size_t count, size_t user)
{
	return ((double)bench_rss() - (double)before) / (double)count - (double)user;
}

static uint64_t turn(struct bench_thread *t)
{
	struct bytes *bytes = t->own;
	size_t count = t->options->live != 0 ? t->options->live : LIVE;

	mm_collect(t->m);
	for (unsigned kind = 0; kind < KINDS; kind++) {
		const struct mm_shape *shape = shapes[kind];
		uint64_t before = bench_rss();

		if (!make_chain(t, shape, &bytes->holder->items[kind], count))
			return 0;
		bytes->busy[kind] = beyond(before, count, user_bytes(shape));
		mm_collect(t->m);
		bytes->rest[kind] = beyond(before, count, user_bytes(shape));
		t->allocated += count;
	}
	return KINDS * count;
}

static void end(struct bench_thread *t)
{
	struct bytes *bytes = t->own;

	for (unsigned kind = 0; bytes->rooted && kind < KINDS; kind++) {
		char *object = MM_BY_HAND ? mm_load(t->m, &bytes->holder->items[kind]) : NULL;

		mm_store(t->m, &bytes->holder->items[kind], NULL);
		while (object != NULL) {
			char *dead = object;

			object = mm_load(t->m, (mm_slot *)(object + shapes[kind]->refs[0]));
			mm_free(t->m, dead);
		}
	}
	if (bytes->rooted)
		mm_root_close(t->m, &bytes->root);
	if (MM_BY_HAND)
		mm_free(t->m, bytes->holder);
}

static void report(const struct bench_thread *threads, unsigned count)
{
	const struct bytes *bytes = threads[0].own;
	char name[64];

	(void)count;
	bench_print("bytes_per_object_over", bytes->rest[NODES]);
	bench_print("bytes_per_object_over_busy", bytes->busy[NODES]);
	for (unsigned kind = 0; kind < NODES; kind++) {
		snprintf(name, sizeof(name), "bytes_per_object_over_%zu", user_bytes(shapes[kind]));
		bench_print(name, bytes->rest[kind]);
	}
}

const struct bench_workload bench_bytes = {
	.name = "bytes",
	.unit = "bytes",
	.kind = "once",
	.what = "memory beyond the user's bytes; 1,000,000 objects (--live) of each of five sizes",
	.shapes = shapes,
	.shapes_count = KINDS + 1,
	.state_bytes = sizeof(struct bytes),
	.threads = 1,
	.begin = begin,
	.turn = turn,
	.end = end,
	.report = report,
};
