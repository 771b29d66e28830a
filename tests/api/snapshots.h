/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshots.h: asking a snapshot, for tests: what is wanted must be there. Any thread.
 */
#ifndef GYRE_TESTS_SNAPSHOTS_H
#define GYRE_TESTS_SNAPSHOTS_H

#include "support.h"

static inline struct gyre_snapshot *take(struct gyre_mutator *m)
{
	struct gyre_snapshot *s = NULL;

	expect_ok(gyre_snapshot_take(m, &s));
	expect(s != NULL);
	return s;
}

static inline struct gyre_snapshot_totals total(struct gyre_snapshot *s)
{
	struct gyre_snapshot_totals totals = { .size = sizeof(totals) };

	expect_ok(gyre_snapshot_total(s, &totals));
	return totals;
}

static inline uint32_t find(const struct gyre_snapshot *s, const void *object)
{
	uint32_t node = gyre_snapshot_find(s, object);

	expect(node != GYRE_NO_NODE);
	return node;
}

static inline struct gyre_snapshot_object object_of(const struct gyre_snapshot *s,
						    const void *object)
{
	struct gyre_snapshot_object o = { .size = sizeof(o) };

	expect_ok(gyre_snapshot_object(s, find(s, object), &o));
	expect(o.address == object);
	return o;
}

/* References as they were visited. */
struct edges {
	uint32_t nodes[64];
	uint64_t indices[64];
	unsigned count, most;
};

static inline bool add_edge(void *arg, uint32_t node, uint64_t index)
{
	struct edges *e = arg;

	expect(e->count < LENGTH(e->nodes));
	e->nodes[e->count] = node;
	e->indices[e->count++] = index;
	return e->count != e->most;
}

static inline struct edges from(const struct gyre_snapshot *s, const void *object)
{
	struct edges e = { .count = 0 };

	expect_ok(gyre_snapshot_referents(s, find(s, object), add_edge, &e));
	expect_equal(e.count, object_of(s, object).references);
	return e;
}

static inline struct edges to(struct gyre_snapshot *s, const void *object)
{
	struct edges e = { .count = 0 };

	expect_ok(gyre_snapshot_referrers(s, find(s, object), add_edge, &e));
	return e;
}

struct holders {
	struct gyre_snapshot_holder all[64];
	unsigned count;
};

static inline bool add_holder(void *arg, const struct gyre_snapshot_holder *holder)
{
	struct holders *h = arg;

	expect(h->count < LENGTH(h->all));
	h->all[h->count++] = *holder;
	return true;
}

static inline struct holders holders_of(const struct gyre_snapshot *s, uint32_t node)
{
	struct holders h = { .count = 0 };

	expect_ok(gyre_snapshot_holders(s, node, add_holder, &h));
	return h;
}

/* The roots and references of an object add up to its count. */
static inline void expect_counted(struct gyre_snapshot *s, const void *object, uint64_t edges,
			   uint64_t holders)
{
	expect_equal(to(s, object).count, edges);
	expect_equal(holders_of(s, find(s, object)).count, holders);
	expect_equal(object_of(s, object).count, edges + holders);
}

#endif
