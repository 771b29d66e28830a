/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loops.c: what is timed: one batch of each workload, for gyre and for C. Runs on the threads of a
 * cell, each with its own struct micro_work.
 *
 * The loops of gyre and of C do the same but for the calls under test: the same sizes of rings, the
 * same choice of slots and targets (whose cost is part of the figure of a store, in both). An
 * object is touched once, by a store of its own that the compiler must make.
 */
#include "micro.h"

#include <stdlib.h>

#define NODES_4K 4096

/* The compiler takes it that the object is read here. */
static inline void touch(void *object)
{
	__asm__ volatile("" : : "r"(object) : "memory");
}

/* xorshift64*. */
static inline uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * UINT64_C(0x2545F4914F6CDD1D);
}

/* An index below count from 32 random bits. */
static inline size_t below(uint32_t random, size_t count)
{
	return (size_t)(((uint64_t)random * count) >> 32);
}

/* ---- churn: each object is dropped as soon as it is made ---- */

static uint64_t churn_gyre(struct micro_work *work)
{
	struct gyre_mutator *m = work->m;

	for (uint64_t i = 0; i < MICRO_BATCH; i++) {
		struct micro_node *node = gyre_new(m, work->node_type);

		if (node == NULL)
			return 0;
		node->x[0] = i;
		touch(node);
	}
	gyre_safepoint(m);
	return MICRO_BATCH;
}

static inline __attribute__((always_inline)) uint64_t churn_c(void *(*take)(size_t),
							      void (*give)(void *))
{
	for (uint64_t i = 0; i < MICRO_BATCH; i++) {
		struct micro_plain *node = take(sizeof(*node));

		if (node == NULL)
			return 0;
		node->x[0] = i;
		touch(node);
		give(node);
	}
	return MICRO_BATCH;
}

static uint64_t churn_dirty(struct micro_work *work)
{
	return churn_c(work->calls->take, work->calls->give);
}

static uint64_t churn_zeroed(struct micro_work *work)
{
	return churn_c(work->calls->take_zeroed, work->calls->give);
}

/* ---- rings: linked both ways, dropped whole ---- */

static inline unsigned next_ring(struct micro_work *work)
{
	return work->sizes[work->ring++ % MICRO_RING_SIZES];
}

/*
 * gyre_init: nobody else sees the ring yet, and every slot still holds NULL. It is made from the
 * first object on, each linked with the one before; the ends meet at last.
 */
static bool ring_gyre(struct micro_work *work, unsigned size)
{
	struct gyre_mutator *m = work->m;
	struct micro_node *first = gyre_new(m, work->node_type);
	struct micro_node *last = first;
	int refused = 0;

	if (first == NULL)
		return false;
	first->x[0] = 0;
	for (unsigned i = 1; i < size; i++) {
		struct micro_node *node = gyre_new(m, work->node_type);

		if (node == NULL)
			return false;
		node->x[0] = i;
		refused |= (int)gyre_init(m, &node->b, last);
		refused |= (int)gyre_init(m, &last->a, node);
		last = node;
	}
	refused |= (int)gyre_init(m, &first->b, last);
	refused |= (int)gyre_init(m, &last->a, first);
	touch(first);
	return refused == 0;
}

static uint64_t rings_gyre(struct micro_work *work)
{
	uint64_t made = 0;

	while (made < MICRO_BATCH) {
		unsigned size = next_ring(work);

		if (!ring_gyre(work, size))
			return 0;
		made += size;
	}
	gyre_safepoint(work->m);
	return made;
}

/* Frees a ring, or what was made of it: a chain that ends in NULL. */
static inline void free_ring(struct micro_plain *first, void (*give)(void *))
{
	struct micro_plain *node = first;

	do {
		struct micro_plain *next = node->a;

		give(node);
		node = next;
	} while (node != first && node != NULL);
}

static inline __attribute__((always_inline)) bool ring_c(void *(*take)(size_t),
							 void (*give)(void *), unsigned size)
{
	struct micro_plain *first = take(sizeof(*first));
	struct micro_plain *last = first;

	if (first == NULL)
		return false;
	first->x[0] = 0;
	for (unsigned i = 1; i < size; i++) {
		struct micro_plain *node = take(sizeof(*node));

		if (node == NULL) {
			last->a = NULL;
			free_ring(first, give);
			return false;
		}
		node->x[0] = i;
		node->b = last;
		last->a = node;
		last = node;
	}
	first->b = last;
	last->a = first;
	touch(first);
	free_ring(first, give);
	return true;
}

static inline __attribute__((always_inline)) uint64_t rings_c(struct micro_work *work,
							      void *(*take)(size_t))
{
	uint64_t made = 0;

	while (made < MICRO_BATCH) {
		unsigned size = next_ring(work);

		if (!ring_c(take, work->calls->give, size))
			return 0;
		made += size;
	}
	return made;
}

static uint64_t rings_dirty(struct micro_work *work)
{
	return rings_c(work, work->calls->take);
}

static uint64_t rings_zeroed(struct micro_work *work)
{
	return rings_c(work, work->calls->take_zeroed);
}

/* ---- stores: a random slot of a random live object gets a random target ---- */

static uint64_t stores_gyre(struct micro_work *work)
{
	struct gyre_mutator *m = work->m;
	void **table = work->table;
	size_t objects = work->objects;
	uint64_t random = work->random;
	int refused = 0;

	for (unsigned i = 0; i < MICRO_BATCH; i++) {
		uint64_t bits = next_random(&random);
		struct micro_node *node = table[below((uint32_t)bits, objects)];
		gyre_ref *slot = bits & 1 ? &node->a : &node->b;

		refused |= (int)gyre_store(m, slot, table[below((uint32_t)(bits >> 32), objects)]);
	}
	work->random = random;
	gyre_safepoint(m);
	return refused == 0 ? MICRO_BATCH : 0;
}

static inline __attribute__((always_inline)) uint64_t stores_c(struct micro_work *work, bool peek)
{
	struct micro_plain **table = (struct micro_plain **)work->table;
	size_t objects = work->objects;
	uint64_t random = work->random;

	for (unsigned i = 0; i < MICRO_BATCH; i++) {
		uint64_t bits = next_random(&random);
		struct micro_plain *node = table[below((uint32_t)bits, objects)];
		struct micro_plain **slot = bits & 1 ? &node->a : &node->b;

		if (peek) {
			/* Chosen without a branch, as in the other loops. */
			__asm__("" : "+r"(slot));
			/* Never taken, as gyre's if the slot was written in the epoch. */
			if (__builtin_expect(((uintptr_t)*slot & GYRE_TAG_MASK) != 0, 0))
				return 0;
		}
		*slot = table[below((uint32_t)(bits >> 32), objects)];
		touch(slot);
	}
	work->random = random;
	return MICRO_BATCH;
}

static uint64_t stores_plain(struct micro_work *work)
{
	return stores_c(work, false);
}

static uint64_t stores_peek(struct micro_work *work)
{
	return stores_c(work, true);
}

/* ---- weak: loads through a random weak cell, and of a field of its object ---- */

static uint64_t weak_gyre(struct micro_work *work)
{
	struct gyre_mutator *m = work->m;
	void **table = work->first->table;
	size_t objects = work->objects;
	uint64_t random = work->random, sum = 0;

	for (unsigned i = 0; i < MICRO_BATCH; i++) {
		const struct gyre_weak *cell =
			table[below((uint32_t)next_random(&random), objects)];
		const struct micro_node *node = gyre_weak_load(m, cell);

		if (node == NULL)
			return 0;
		sum += node->x[0];
	}
	touch((void *)(uintptr_t)sum);
	work->random = random;
	gyre_safepoint(m);
	return MICRO_BATCH;
}

/* The pointer lies apart from what it points to, as in a weak cell. */
static uint64_t weak_plain(struct micro_work *work)
{
	void **table = work->first->table;
	size_t objects = work->objects;
	uint64_t random = work->random, sum = 0;

	for (unsigned i = 0; i < MICRO_BATCH; i++) {
		struct micro_plain *const *from =
			table[below((uint32_t)next_random(&random), objects)];
		const struct micro_plain *node = __atomic_load_n(from, __ATOMIC_ACQUIRE);

		if (node == NULL)
			return 0;
		sum += node->x[0];
	}
	touch((void *)(uintptr_t)sum);
	work->random = random;
	return MICRO_BATCH;
}

/* Puts each object's weak cell into the table in its place; the object itself keeps it. */
static bool make_weak(struct micro_work *work)
{
	for (size_t i = 0; i < work->objects; i++) {
		struct micro_node *node = work->table[i];
		struct gyre_weak *cell = gyre_weak_of(work->m, node);

		if (cell == NULL || gyre_store(work->m, &node->a, cell) != GYRE_OK)
			return false;
		work->table[i] = cell;
		if (i % MICRO_BATCH == 0)
			gyre_safepoint(work->m);
	}
	return true;
}

/* ---- The live objects of the workloads that have some ---- */

/* The array first, under the root, then each object into it: nothing is lost at a safe point. */
static bool populate_gyre(struct micro_work *work)
{
	struct gyre_mutator *m = work->m;
	struct micro_array *array = gyre_new_array(m, work->array_type, work->objects);

	if (array == NULL || gyre_root_init(m, &work->root, array) != GYRE_OK)
		return false;
	work->rooted = true;
	for (size_t i = 0; i < work->objects; i++) {
		void *node = gyre_new(m, work->node_type);

		if (node == NULL || gyre_store(m, &array->items[i], node) != GYRE_OK)
			return false;
		work->table[i] = node;
		if (i % MICRO_BATCH == 0)
			gyre_safepoint(m);
	}
	for (size_t i = 0; i < work->objects; i++) {
		struct micro_node *node = work->table[i];
		uint64_t bits = next_random(&work->random);
		void *a = work->table[below((uint32_t)bits, work->objects)];
		void *b = work->table[below((uint32_t)(bits >> 32), work->objects)];

		if (gyre_store(m, &node->a, a) != GYRE_OK || gyre_store(m, &node->b, b) != GYRE_OK)
			return false;
		if (i % (MICRO_BATCH / 2) == 0)
			gyre_safepoint(m);
	}
	return true;
}

static bool populate_plain(struct micro_work *work)
{
	for (size_t i = 0; i < work->objects; i++) {
		work->table[i] = malloc(sizeof(struct micro_plain));
		if (work->table[i] == NULL)
			return false;
	}
	for (size_t i = 0; i < work->objects; i++) {
		struct micro_plain *node = work->table[i];
		uint64_t bits = next_random(&work->random);

		node->a = work->table[below((uint32_t)bits, work->objects)];
		node->b = work->table[below((uint32_t)(bits >> 32), work->objects)];
		node->x[0] = node->x[1] = i;
	}
	return true;
}

/* ---- Beginning and end ---- */

static void choose_batch(struct micro_work *work)
{
	bool gyre = micro_is_gyre(work->manager);
	bool zeroed = work->manager == MICRO_CALLOC || work->manager == MICRO_MI_ZALLOC;

	if (work->workload == MICRO_WEAK)
		work->batch = gyre ? weak_gyre : weak_plain;
	else if (micro_is_access(work->workload))
		work->batch = gyre                           ? stores_gyre
			      : work->manager == MICRO_PLAIN ? stores_plain
							     : stores_peek;
	else if (work->workload == MICRO_CHURN)
		work->batch = gyre ? churn_gyre : zeroed ? churn_zeroed : churn_dirty;
	else
		work->batch = gyre ? rings_gyre : zeroed ? rings_zeroed : rings_dirty;
}

bool micro_work_begin(struct micro_work *work)
{
	choose_batch(work);
	for (size_t i = 0; i < MICRO_RING_SIZES; i++)
		work->sizes[i] = (uint8_t)(2 + below((uint32_t)next_random(&work->random), 9));
	if (!micro_is_access(work->workload))
		return true;
	if (work->workload == MICRO_STORES4K || work->workload == MICRO_WEAK)
		work->objects = NODES_4K;
	if (work->workload == MICRO_WEAK && work->first != work)
		return true;
	work->table = calloc(work->objects, sizeof(*work->table));
	if (work->table == NULL)
		return false;
	if (!micro_is_gyre(work->manager))
		return populate_plain(work);
	return populate_gyre(work) && (work->workload != MICRO_WEAK || make_weak(work));
}

void micro_work_end(struct micro_work *work)
{
	/* Should it be refused, the figure of what is left shows it. */
	if (work->rooted)
		(void)gyre_root_drop(work->m, &work->root);
	if (!micro_is_gyre(work->manager) && work->table != NULL)
		for (size_t i = 0; i < work->objects; i++)
			free(work->table[i]);
	free(work->table);
	work->table = NULL;
}
