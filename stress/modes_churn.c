/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modes_churn.c: objects that die at once.
 *
 * Each worker keeps the last few dozen objects that it made in a keep frame and replaces them in
 * turn. Half of them are arrays of bytes (acyclic, sometimes large), half are nodes of two slots
 * that refer to arrays of bytes only: one of their own, and one that may also be kept, so that it
 * outlives its place in the frame. Nothing here is ever part of a cycle: all is reclaimed by
 * counting.
 *
 * The shadow is, for each place of the frame, the identities that it reaches. Newborn bytes must be
 * zero, and what was written to an array must still be there when it is let go.
 */
#include "shapes.h"

#include <stdlib.h>
#include <string.h>

#define KEPT 64
#define STEPS_PER_ROUND 4096
#define STEPS_PER_SAFEPOINT 8
#define LARGE_LEAST 65536
#define LARGE_RANGE 1048576
#define BYTES_READ_WHOLE 512 /* of longer arrays only some bytes are looked at */

struct churn_bytes {
	struct stress_head head;
	size_t length;
	uint8_t bytes[];
};

struct churn_node {
	struct stress_head head;
	gyre_ref leaf; /* an array of its own */
	gyre_ref peer; /* an array that was kept when the node was made */
};

static const struct gyre_type_desc bytes_desc =
	GYRE_TYPE(struct churn_bytes, GYRE_TRAILING_BYTES(struct churn_bytes, bytes, length));
static const struct gyre_type_desc node_desc =
	GYRE_TYPE(struct churn_node,
		  GYRE_REFS(GYRE_REF(struct churn_node, leaf), GYRE_REF(struct churn_node, peer)));

/* What one place of the frame reaches; 0 is nothing. */
struct churn_place {
	uint64_t identity, leaf, peer;
	bool node;
};

struct churn {
	const struct gyre_type *bytes, *node;
	uint64_t size_max, large;
};

struct churn_worker {
	void *kept[KEPT + 1]; /* the last one: the node that is being made */
	struct churn_place places[KEPT];
	struct gyre_keep keep;
	uint64_t identity; /* the next one */
};

/* The first and last bytes of an array name its identity. */
static void bytes_fill(struct churn_bytes *object, uint64_t identity)
{
	if (object->length > BYTES_READ_WHOLE) {
		object->bytes[0] = (uint8_t)identity;
		object->bytes[object->length - 1] = (uint8_t)identity;
	} else if (object->length > 0) {
		memset(object->bytes, (int)(identity & 0xff), object->length);
	}
}

static void bytes_check(struct stress_worker *w, const struct churn_bytes *object,
			uint64_t identity)
{
	if (!stress_check(w, object, identity) || object->length == 0)
		return;
	if (object->bytes[0] != (uint8_t)identity ||
	    object->bytes[object->length - 1] != (uint8_t)identity)
		stress_lost(w->run, "the bytes of object %llx were written by somebody else",
			    (unsigned long long)identity);
}

static bool bytes_are_zero(const struct churn_bytes *object)
{
	size_t step = object->length > BYTES_READ_WHOLE ? 509 : 1, i;

	for (i = 0; i < object->length; i += step)
		if (object->bytes[i] != 0)
			return false;
	return true;
}

/* May be a safe point. NULL: the run was stopped. */
static struct churn_bytes *make_bytes(struct stress_worker *w)
{
	struct churn *churn = w->run->shared;
	struct churn_worker *own = w->own;
	struct churn_bytes *object;
	size_t length = stress_below(&w->rng, churn->size_max + 1);

	if (churn->large > 0 && stress_chance(&w->rng, 1, churn->large))
		length = LARGE_LEAST + stress_below(&w->rng, LARGE_RANGE);
	object = stress_new(w, churn->bytes, length, own->identity);
	if (!object)
		return NULL;
	if (object->length != length || !bytes_are_zero(object))
		stress_fail(w->run, "a new object of %zu bytes is not all zero", length);
	bytes_fill(object, own->identity++);
	return object;
}

/* Puts a new node into place. May be a safe point. */
static void put_node(struct stress_worker *w, size_t place)
{
	struct churn *churn = w->run->shared;
	struct churn_worker *own = w->own;
	struct churn_place shadow = { .node = true };
	struct churn_node *node = stress_new(w, churn->node, 0, own->identity);
	struct churn_bytes *leaf;
	size_t peer = stress_below(&w->rng, KEPT);

	if (!node)
		return;
	own->kept[KEPT] = node;
	shadow.identity = own->identity++;
	leaf = make_bytes(w);
	if (leaf && shape_init(w, node, &node->leaf, leaf))
		shadow.leaf = own->identity - 1;
	if (own->kept[peer] && !own->places[peer].node &&
	    shape_init(w, node, &node->peer, own->kept[peer]))
		shadow.peer = own->places[peer].identity;
	own->places[place] = shadow;
	own->kept[place] = node;
	own->kept[KEPT] = NULL;
}

static void put_bytes(struct stress_worker *w, size_t place)
{
	struct churn_worker *own = w->own;
	struct churn_bytes *object = make_bytes(w);

	if (!object)
		return;
	own->kept[place] = object;
	own->places[place] = (struct churn_place){ .identity = own->identity - 1 };
}

static void check_place(struct stress_worker *w, size_t place)
{
	struct churn_worker *own = w->own;
	const struct churn_place *shadow = &own->places[place];
	const struct churn_node *node = own->kept[place];
	const struct churn_bytes *leaf, *peer;

	if (!own->kept[place])
		return;
	if (!shadow->node) {
		bytes_check(w, own->kept[place], shadow->identity);
		return;
	}
	if (!stress_check(w, node, shadow->identity))
		return;
	leaf = gyre_load(&node->leaf);
	peer = gyre_load(&node->peer);
	if (!leaf != !shadow->leaf || !peer != !shadow->peer)
		stress_fail(w->run, "node %llx lost a reference, or has one too many",
			    (unsigned long long)shadow->identity);
	if (leaf)
		bytes_check(w, leaf, shadow->leaf);
	if (peer)
		bytes_check(w, peer, shadow->peer);
}

static uint64_t count_reachable(const struct churn_worker *own)
{
	uint64_t identities[3 * KEPT];
	size_t i;

	for (i = 0; i < KEPT; i++) {
		identities[3 * i] = own->places[i].identity;
		identities[3 * i + 1] = own->places[i].leaf;
		identities[3 * i + 2] = own->places[i].peer;
	}
	return shape_distinct(identities, 3 * KEPT);
}

static void churn_round(struct stress_worker *w)
{
	size_t step, place;

	for (step = 0; step < STEPS_PER_ROUND && !stress_stopped(w->run); step++) {
		place = step % KEPT;
		check_place(w, place);
		if (stress_chance(&w->rng, 1, 2))
			put_node(w, place);
		else
			put_bytes(w, place);
		if (step % STEPS_PER_SAFEPOINT == 0)
			gyre_safepoint(w->m);
	}
}

static void churn_work(struct stress_worker *w)
{
	struct churn_worker *own = calloc(1, sizeof(*own));
	uint64_t reachable;

	if (!own) {
		stress_fail(w->run, "no memory for a worker of churn");
		return;
	}
	own->identity = shape_identities(w->index);
	w->own = own;
	gyre_keep_open(w->m, &own->keep, own->kept, KEPT + 1);
	while (stress_round(w)) {
		churn_round(w);
		reachable = count_reachable(own);
		stress_count(&w->reachable, reachable);
		if (stress_checkpoint_due(w))
			stress_checkpoint(w, reachable);
	}
	gyre_keep_close(&own->keep);
	free(own);
	w->own = NULL;
	w->left = 0;
}

static void churn_run(struct stress_run *run)
{
	struct churn churn = { .bytes = shape_type(run, &bytes_desc),
			       .node = shape_type(run, &node_desc),
			       .size_max = stress_param(run, "size-max"),
			       .large = stress_param(run, "large") };

	if (!churn.bytes || !churn.node)
		return;
	run->shared = &churn;
	stress_workers(run, churn_work, NULL);
	stress_expect(run->main, stress_left(run), "after every thread let go of what it kept");
}

const struct stress_mode stress_mode_churn = {
	.name = "churn",
	.summary = "objects that die at once",
	.run = churn_run,
	.params = {
		{ "size-max", "Longest array of bytes but for large ones", 256, 0, 1 << 20 },
		{ "large", "One array in N has 64 KiB to 1 MiB; 0: none", 65536, 0, UINT32_MAX },
	},
};
