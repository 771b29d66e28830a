/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * object.c: random numbers, the heads of objects, and calls of gyre that are tried again when
 * memory is short. Runs on mutator threads, each with its own worker and stream of numbers.
 */
#include "internal.h"

#define TRIES_MAX 1000 /* collections in a row that bring no memory: then there is none */

/* A bijection of 64 bits in which every bit of the input moves half of those of the output. */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	return x ^ (x >> 32);
}

struct stress_rng stress_rng_make(uint64_t seed, uint64_t number)
{
	/* Mixed twice, so that neighbouring seeds and numbers begin far from each other. */
	return (struct stress_rng){ .state = mix(mix(seed + 1) ^ (number + 1)) };
}

uint64_t stress_random(struct stress_rng *rng)
{
	/* A Weyl sequence, whose period is 2^64, through the bijection. */
	rng->state += UINT64_C(0x9e3779b97f4a7c15);
	return mix(rng->state);
}

uint64_t stress_below(struct stress_rng *rng, uint64_t bound)
{
	/* The high half of the product; its bias is bound in 2^64. */
	return (uint64_t)(((unsigned __int128)stress_random(rng) * bound) >> 64);
}

bool stress_chance(struct stress_rng *rng, uint64_t parts, uint64_t whole)
{
	return stress_below(rng, whole) < parts;
}

static uint64_t canary_of(const struct stress_run *run, const void *object, uint64_t identity)
{
	return mix(identity ^ mix((uint64_t)(uintptr_t)object ^ run->secret));
}

void stress_brand(const struct stress_run *run, void *object, uint64_t identity)
{
	struct stress_head *head = object;

	head->identity = identity;
	head->canary = canary_of(run, object, identity);
}

bool stress_check(struct stress_worker *w, const void *object, uint64_t identity)
{
	const struct stress_head *head = object;

	if (object == NULL) {
		stress_lost(w->run, "worker %u reached NULL where object %#llx should be", w->index,
			    (unsigned long long)identity);
		return false;
	}
	if (head->canary != canary_of(w->run, object, head->identity)) {
		stress_lost(
			w->run,
			"worker %u reached %p, which is no object: identity %#llx, canary %#llx",
			w->index, object, (unsigned long long)head->identity,
			(unsigned long long)head->canary);
		return false;
	}
	if (identity != STRESS_ANY && head->identity != identity) {
		stress_lost(w->run, "worker %u reached object %#llx at %p where %#llx should be",
			    w->index, (unsigned long long)head->identity, object,
			    (unsigned long long)identity);
		return false;
	}
	return true;
}

bool stress_again(struct stress_worker *w, enum gyre_status status)
{
	if (status != GYRE_JOURNAL_FULL && status != GYRE_NO_MEMORY) {
		w->tries = 0;
		return false;
	}
	if (stress_failed(w->run))
		return false;
	if (++w->tries > TRIES_MAX) {
		stress_fail(w->run, "worker %u: %s, and %d collections did not help", w->index,
			    gyre_status_text(status), TRIES_MAX);
		w->tries = 0;
		return false;
	}
	/* A safe point is what journals need; a collection is what the heap needs, and costs
	 * more. */
	if (status == GYRE_JOURNAL_FULL && w->tries % 16 != 0) {
		gyre_collect_soon(w->run->heap);
		gyre_safepoint(w->m);
		return true;
	}
	return stress_ok(w->run, gyre_collect(w->m, NULL), "gyre_collect");
}

void *stress_new(struct stress_worker *w, const struct gyre_type *type, size_t length,
		 uint64_t identity)
{
	void *object;

	do
		object = length == 0 ? gyre_new(w->m, type) : gyre_new_array(w->m, type, length);
	while (object == NULL && !stress_stopped(w->run) && stress_again(w, GYRE_NO_MEMORY));
	w->tries = 0;
	if (object == NULL)
		return NULL;
	stress_brand(w->run, object, identity);
	stress_count(&w->made, atomic_load_explicit(&w->made, memory_order_relaxed) + 1);
	return object;
}

/* The slow half of stress_store: the frame is not worth its cost for a store that succeeds at
 * once. */
__attribute__((noinline)) static bool store_again(struct stress_worker *w, const void *holder,
						  gyre_ref *slot, const void *value,
						  enum gyre_status status)
{
	GYRE_KEEP(w->m, holder, value);

	while (stress_again(w, status))
		status = gyre_store(w->m, slot, value);
	return stress_ok(w->run, status, "gyre_store");
}

bool stress_store(struct stress_worker *w, const void *holder, gyre_ref *slot, const void *value)
{
	enum gyre_status status = gyre_store(w->m, slot, value);

	if (__builtin_expect(status == GYRE_OK, 1))
		return true;
	return store_again(w, holder, slot, value, status);
}

bool stress_root_init(struct stress_worker *w, struct gyre_root *root, const void *value)
{
	enum gyre_status status;
	GYRE_KEEP(w->m, value);

	do
		status = gyre_root_init(w->m, root, value);
	while (stress_again(w, status));
	return stress_ok(w->run, status, "gyre_root_init");
}

bool stress_root_drop(struct stress_worker *w, struct gyre_root *root)
{
	enum gyre_status status;

	do
		status = gyre_root_drop(w->m, root);
	while (stress_again(w, status));
	return stress_ok(w->run, status, "gyre_root_drop");
}

bool stress_ok(struct stress_run *run, enum gyre_status status, const char *what)
{
	if (status == GYRE_OK)
		return true;
	stress_fail(run, "%s answered %s: %s", what, gyre_status_name(status),
		    gyre_status_text(status));
	return false;
}
