/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modes_hubs.c: a few long-lived hubs whose edges never rest, the worst case of trial deletion.
 *
 * A hub is an object with a large trailing array of slots; the hubs form a ring, and every item
 * refers to a hub, so that each item that dies makes a hub a candidate whose trial could visit
 * everything. All workers race for the slots in two ways.
 *
 * The common slots of each hub are written by everybody, with exchanges and compare-exchanges only.
 * An item is in one common slot at most: it is taken out of one before it is put into another. So
 * what went in less what came out is what is there, by number and by the sum of the identities;
 * that is the shadow of the common slots, kept by each worker for itself.
 *
 * Each worker also has a lane of slots in each hub that it alone writes, by array copy and array
 * fill, while others read and copy from it. What a racing copy brought is read back from the lane;
 * the identities in the lanes are the shadow of the lanes. Lanes and common slots may share items,
 * so the objects that must live are the different identities in both.
 */
#include "shapes.h"

#include <stdlib.h>
#include <string.h>

#define STEPS_PER_ROUND 1024
#define COPY_MAX 100 /* slots of one array copy: within what a safe point reserves */
#define EXCHANGES_MAX 4
#define TRIES_MAX 4

struct hub {
	struct stress_head head; /* hub i has the identity i + 1 */
	gyre_ref next;
	size_t length;
	gyre_ref slots[];
};

struct hub_item {
	struct stress_head head;
	gyre_ref hub; /* the one it was made for */
};

static const struct gyre_type_desc hub_desc =
	GYRE_TYPE(struct hub, GYRE_REFS(GYRE_REF(struct hub, next)),
		  GYRE_TRAILING_REFS(struct hub, slots, length));
static const struct gyre_type_desc item_desc =
	GYRE_TYPE(struct hub_item, GYRE_REFS(GYRE_REF(struct hub_item, hub)));

/* A worker's shadow. It is read by whoever leads a checkpoint. */
struct hubs_worker {
	uint64_t identity;    /* the next one */
	uint64_t held, sum;   /* items into common slots less those out of them, modulo 2^64:
				 their number, and the sum of their identities */
	uint64_t *identities; /* in its lanes: hub by hub; 0: nothing */
};

struct hubs {
	const struct gyre_type *hub_type, *item_type;
	struct gyre_root root; /* of the first hub */
	struct hub **hubs;     /* never replaced, so their addresses stay good */
	struct hubs_worker *workers;
	size_t count, slots, common, lane; /* hubs; slots of a hub, of them common, of one lane */
};

static struct hub *random_hub(struct stress_worker *w)
{
	struct hubs *hubs = w->run->shared;

	return hubs->hubs[stress_below(&w->rng, hubs->count)];
}

static struct hub_item *make_item(struct stress_worker *w)
{
	struct hubs *hubs = w->run->shared;
	struct hubs_worker *own = w->own;
	struct hub_item *item = stress_new(w, hubs->item_type, 0, own->identity);

	if (!item || !shape_init(w, item, &item->hub, random_hub(w)))
		return NULL;
	own->identity++;
	return item;
}

/* The shadow of an item that was put into a common slot, and of one that was taken out. */
static void account(struct stress_worker *w, const struct hub_item *in, const struct hub_item *out)
{
	struct hubs_worker *own = w->own;

	if (in) {
		own->held++;
		own->sum += in->head.identity;
	}
	if (out && stress_check(w, out, STRESS_ANY)) {
		own->held--;
		own->sum -= out->head.identity;
	}
}

/* Puts an item (or nothing) into a common slot, what was there into another, and so on. */
static void exchange_common(struct stress_worker *w)
{
	struct hubs *hubs = w->run->shared;
	struct hub_item *item = NULL;
	void *old = NULL;
	enum gyre_status status;
	unsigned left = 1 + (unsigned)stress_below(&w->rng, EXCHANGES_MAX);
	gyre_ref *slot;
	GYRE_KEEP(w->m, item, old);

	if (stress_chance(&w->rng, 7, 8) && !(item = make_item(w)))
		return;
	for (; left > 0; left--) {
		slot = &random_hub(w)->slots[stress_below(&w->rng, hubs->common)];
		do
			status = gyre_exchange(w->m, slot, item, &old);
		while (stress_again(w, status));
		if (!stress_ok(w->run, status, "gyre_exchange"))
			return;
		account(w, item, old);
		if (!old)
			return;
		item = old;
	}
}

/* Puts a new item (or nothing) into a common slot if nobody is faster. */
static void replace_common(struct stress_worker *w)
{
	struct hubs *hubs = w->run->shared;
	struct hub_item *item = NULL;
	void *expected = NULL;
	enum gyre_status status;
	unsigned tries;
	gyre_ref *slot;
	GYRE_KEEP(w->m, item, expected);

	if (stress_chance(&w->rng, 3, 4) && !(item = make_item(w)))
		return;
	slot = &random_hub(w)->slots[stress_below(&w->rng, hubs->common)];
	expected = gyre_load(slot);
	for (tries = 0; tries < TRIES_MAX; tries++) {
		do
			status = gyre_compare_exchange(w->m, slot, &expected, item);
		while (stress_again(w, status));
		if (status == GYRE_OK) {
			account(w, item, expected);
			return;
		}
		if (status != GYRE_CHANGED) {
			stress_ok(w->run, status, "gyre_compare_exchange");
			return;
		}
		if (expected && !stress_check(w, expected, STRESS_ANY))
			return;
	}
}

/* Where a worker's lane begins in each hub. */
static size_t lane_start(const struct hubs *hubs, size_t worker)
{
	return hubs->common + worker * hubs->lane;
}

static uint64_t *lane_shadow(const struct hubs *hubs, size_t worker, size_t hub)
{
	return hubs->workers[worker].identities + hub * hubs->lane;
}

/* Reads back what a copy or fill brought into count slots of the worker's lane. */
static void note_lane(struct stress_worker *w, size_t hub, size_t offset, size_t count)
{
	struct hubs *hubs = w->run->shared;
	const gyre_ref *slots = &hubs->hubs[hub]->slots[lane_start(hubs, w->index) + offset];
	uint64_t *shadow = lane_shadow(hubs, w->index, hub) + offset;
	const struct hub_item *item;
	size_t i;

	for (i = 0; i < count; i++) {
		item = gyre_load(&slots[i]);
		shadow[i] = item && stress_check(w, item, STRESS_ANY) ? item->head.identity : 0;
	}
}

/* Compares count slots of a worker's lane with the shadow. */
static void check_lane(struct stress_worker *w, size_t worker, size_t hub, size_t offset,
		       size_t count)
{
	struct hubs *hubs = w->run->shared;
	const gyre_ref *slots = &hubs->hubs[hub]->slots[lane_start(hubs, worker) + offset];
	const uint64_t *shadow = lane_shadow(hubs, worker, hub) + offset;
	const void *item;
	size_t i;

	for (i = 0; i < count; i++) {
		item = gyre_load(&slots[i]);
		if (shadow[i] != 0)
			stress_check(w, item, shadow[i]);
		else if (item)
			stress_fail(w->run, "slot %zu of hub %zu should be empty", i + offset, hub);
	}
}

/* Copies into the worker's lane: from anywhere beside racing writers, or from its own lanes. */
static void copy_lane(struct stress_worker *w, size_t hub, size_t offset, size_t count)
{
	struct hubs *hubs = w->run->shared;
	struct hub *target = hubs->hubs[hub];
	size_t from_hub = stress_below(&w->rng, hubs->count), from;
	bool own_lane = stress_chance(&w->rng, 1, 2);
	uint64_t *shadow = lane_shadow(hubs, w->index, hub) + offset;
	enum gyre_status status;

	if (own_lane)
		from = lane_start(hubs, w->index) + stress_below(&w->rng, hubs->lane - count + 1);
	else
		from = stress_below(&w->rng, hubs->slots - count + 1);
	do
		status = gyre_array_copy(w->m, &target->slots[lane_start(hubs, w->index) + offset],
					 &hubs->hubs[from_hub]->slots[from], count);
	while (stress_again(w, status));
	if (!stress_ok(w->run, status, "gyre_array_copy"))
		return;
	if (own_lane) {
		/* Nobody else writes either side, so the shadow knows without looking. */
		memmove(shadow,
			lane_shadow(hubs, w->index, from_hub) + from - lane_start(hubs, w->index),
			count * sizeof(*shadow));
		check_lane(w, w->index, hub, offset, count);
	} else {
		note_lane(w, hub, offset, count);
	}
}

static void fill_lane(struct stress_worker *w, size_t hub, size_t offset, size_t count)
{
	struct hubs *hubs = w->run->shared;
	uint64_t *shadow = lane_shadow(hubs, w->index, hub) + offset;
	struct hub_item *item = NULL;
	enum gyre_status status;
	gyre_ref *slots = &hubs->hubs[hub]->slots[lane_start(hubs, w->index) + offset];
	size_t i;
	GYRE_KEEP(w->m, item);

	if (stress_chance(&w->rng, 1, 2) && !(item = make_item(w)))
		return;
	do
		status = gyre_array_fill(w->m, slots, count, item);
	while (stress_again(w, status));
	if (!stress_ok(w->run, status, "gyre_array_fill"))
		return;
	for (i = 0; i < count; i++)
		shadow[i] = item ? item->head.identity : 0;
	check_lane(w, w->index, hub, offset, count);
}

static void use_lane(struct stress_worker *w)
{
	struct hubs *hubs = w->run->shared;
	size_t hub = stress_below(&w->rng, hubs->count);
	size_t most = hubs->lane < COPY_MAX ? hubs->lane : COPY_MAX;
	size_t count = 1 + stress_below(&w->rng, most);
	size_t offset = stress_below(&w->rng, hubs->lane - count + 1);

	check_lane(w, w->index, hub, offset, count);
	if (stress_chance(&w->rng, 1, 4))
		fill_lane(w, hub, offset, count);
	else
		copy_lane(w, hub, offset, count);
}

/* Follows references from a slot that others may be writing. */
static void peek(struct stress_worker *w)
{
	struct hubs *hubs = w->run->shared;
	const struct hub_item *item =
		gyre_load(&random_hub(w)->slots[stress_below(&w->rng, hubs->slots)]);
	const struct hub *hub;

	if (!item || !stress_check(w, item, STRESS_ANY))
		return;
	hub = gyre_load(&item->hub);
	if (stress_check(w, hub, STRESS_ANY))
		stress_check(w, gyre_load(&hub->next), hub->head.identity % hubs->count + 1);
}

/* Compares everything with the shadow and counts what the workers do not announce; at rest. */
static uint64_t count_shared(struct stress_worker *w)
{
	struct hubs *hubs = w->run->shared;
	size_t threads = w->run->options->threads, total = hubs->count * hubs->slots, n = 0, i, j;
	uint64_t *identities = calloc(total, sizeof(*identities)), held = 0, sum = 0, found = 0;
	const struct hub_item *item;

	if (!identities) {
		stress_fail(w->run, "no memory for the shadow of hubs");
		return 0;
	}
	for (i = 0; i < threads; i++) {
		held += hubs->workers[i].held;
		sum += hubs->workers[i].sum;
		for (j = 0; j < hubs->count; j++)
			check_lane(w, i, j, 0, hubs->lane);
		memcpy(identities + n, hubs->workers[i].identities,
		       hubs->count * hubs->lane * sizeof(*identities));
		n += hubs->count * hubs->lane;
	}
	for (i = 0; i < hubs->count; i++) {
		stress_check(w, hubs->hubs[i], i + 1);
		for (j = 0; j < hubs->common; j++) {
			item = gyre_load(&hubs->hubs[i]->slots[j]);
			if (!item || !stress_check(w, item, STRESS_ANY))
				continue;
			found++;
			sum -= item->head.identity;
			identities[n++] = item->head.identity;
		}
	}
	if (found != held || sum != 0)
		stress_lost(w->run, "the common slots hold %llu items, %llu were put there%s",
			    (unsigned long long)found, (unsigned long long)held,
			    sum != 0 ? ", and not the same" : "");
	found = shape_distinct(identities, n);
	free(identities);
	return hubs->count + found - held;
}

static void hubs_work(struct stress_worker *w)
{
	struct hubs *hubs = w->run->shared;
	struct hubs_worker *own = &hubs->workers[w->index];
	unsigned step;
	uint64_t kind;

	w->own = own;
	while (stress_round(w)) {
		for (step = 0; step < STEPS_PER_ROUND && !stress_stopped(w->run); step++) {
			kind = stress_below(&w->rng, 16);
			if (kind == 0)
				use_lane(w);
			else if (kind < 4)
				peek(w);
			else if (kind < 10)
				exchange_common(w);
			else
				replace_common(w);
			gyre_safepoint(w->m);
		}
		stress_count(&w->reachable, own->held);
		if (stress_checkpoint_due(w))
			stress_checkpoint(w, own->held);
	}
	w->own = NULL;
	w->left = own->held;
}

/* Makes the ring of hubs; false: the run has failed or was stopped. */
static bool make_hubs(struct stress_run *run, struct hubs *hubs)
{
	struct stress_worker *w = run->main;
	struct hub *first = NULL, *last = NULL, *hub;
	size_t i;
	GYRE_KEEP(w->m, first, last);

	for (i = 0; i < hubs->count; i++) {
		hub = stress_new(w, hubs->hub_type, hubs->slots, i + 1);
		if (!hub || (last && !shape_init(w, last, &last->next, hub)))
			return false;
		if (!first)
			first = hub;
		hubs->hubs[i] = last = hub;
	}
	return shape_init(w, last, &last->next, first) && stress_root_init(w, &hubs->root, first);
}

static bool make_shadow(struct stress_run *run, struct hubs *hubs)
{
	unsigned threads = run->options->threads, i;

	hubs->lane = (hubs->slots - hubs->common) / threads;
	if (hubs->lane == 0) {
		stress_refuse(run, "--slots must be at least twice --threads");
		return false;
	}
	hubs->hubs = calloc(hubs->count, sizeof(*hubs->hubs));
	hubs->workers = calloc(threads, sizeof(*hubs->workers));
	for (i = 0; hubs->workers && i < threads; i++) {
		hubs->workers[i].identity = shape_identities(i);
		hubs->workers[i].identities = calloc(hubs->count * hubs->lane, sizeof(uint64_t));
		if (!hubs->workers[i].identities)
			break;
	}
	if (hubs->hubs && hubs->workers && i == threads)
		return true;
	stress_fail(run, "no memory for the shadow of hubs");
	return false;
}

static void hubs_run(struct stress_run *run)
{
	struct hubs hubs = { .hub_type = shape_type(run, &hub_desc),
			     .item_type = shape_type(run, &item_desc),
			     .count = stress_param(run, "hubs"),
			     .slots = stress_param(run, "slots") };
	unsigned i;

	hubs.common = hubs.slots / 2;
	run->shared = &hubs;
	if (hubs.hub_type && hubs.item_type && make_shadow(run, &hubs) && make_hubs(run, &hubs)) {
		run->shared_count = count_shared;
		stress_workers(run, hubs_work, NULL);
		stress_expect(run->main, stress_left(run) + count_shared(run->main),
			      "after the last round");
		run->shared_count = NULL;
		stress_root_drop(run->main, &hubs.root);
		stress_expect(run->main, 0, "after the hubs were dropped");
	}
	for (i = 0; hubs.workers && i < run->options->threads; i++)
		free(hubs.workers[i].identities);
	free(hubs.workers);
	free(hubs.hubs);
}

const struct stress_mode stress_mode_hubs = {
	.name = "hubs",
	.summary = "long-lived hubs with hot edges, the worst case of trial deletion",
	.run = hubs_run,
	.params = {
		{ "hubs", "Hubs", 8, 1, 65536 },
		{ "slots", "Slots of a hub, half of them common to all threads", 4096, 4,
		  16777216 },
	},
};
