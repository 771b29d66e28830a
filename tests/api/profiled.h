/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * profiled.h: what the tests of profiles share: places that allocate, known by their names in a
 * backtrace, and the sums of what a profile says of one. Any thread.
 *
 * Invariant: a place calls gyre_new or gyre_new_array itself and does something afterwards, so it
 * has a frame of its own however the compiler sees it; and it is exported, so it has a name.
 */
#ifndef GYRE_TESTS_PROFILED_H
#define GYRE_TESTS_PROFILED_H

#include "support.h"

#if defined(__has_attribute)
#if __has_attribute(noipa)
#define PROFILED_ALONE noipa
#endif
#endif
#ifndef PROFILED_ALONE
#define PROFILED_ALONE noinline
#endif
#define PLACE __attribute__((PROFILED_ALONE, visibility("default")))

/* Cells of a node and of a leaf: nothing is beside what they hold. */
enum { NODE_BYTES = sizeof(struct node), LEAF_BYTES = sizeof(struct leaf) };

/* Defines a place that makes nodes. */
#define NODE_PLACE(name)                                                                           \
	struct node *name(const struct world *w, struct gyre_mutator *m);                          \
	PLACE struct node *name(const struct world *w, struct gyre_mutator *m)                     \
	{                                                                                          \
		struct node *n = (struct node *)gyre_new(m, w->node);                              \
                                                                                                   \
		expect(n != NULL);                                                                 \
		n->id = 1;                                                                         \
		n->canary = canary_of(1);                                                          \
		return n;                                                                          \
	}

/* And one that makes arrays of bytes. */
#define BYTES_PLACE(name)                                                                          \
	struct bytes *name(const struct world *w, struct gyre_mutator *m, size_t length);          \
	PLACE struct bytes *name(const struct world *w, struct gyre_mutator *m, size_t length)     \
	{                                                                                          \
		struct bytes *b = (struct bytes *)gyre_new_array(m, w->bytes, length);             \
                                                                                                   \
		expect(b != NULL && b->length == length);                                          \
		b->data[0] = 1;                                                                    \
		return b;                                                                          \
	}

static inline struct gyre_profile *profile_take(struct world *w, uint64_t old_ns)
{
	struct gyre_profile *p = NULL;

	expect_ok(gyre_profile_take(w->heap, old_ns, &p));
	expect(p != NULL);
	return p;
}

static inline struct gyre_profile_totals profile_totals(const struct gyre_profile *p)
{
	struct gyre_profile_totals totals = { .size = sizeof(totals) };

	expect_ok(gyre_profile_totals(p, &totals));
	return totals;
}

static inline struct gyre_profile_site profile_site(const struct gyre_profile *p, uint32_t index)
{
	struct gyre_profile_site site = { .size = sizeof(site) };

	expect_ok(gyre_profile_site(p, index, &site));
	return site;
}

/* Whether the site's backtrace passes through a place. */
static inline bool profile_passes(const struct gyre_profile *p, uint32_t index, const char *place)
{
	char text[8192], wanted[64];

	expect(gyre_profile_name(p, index, text, sizeof(text)) < sizeof(text));
	snprintf(wanted, sizeof(wanted), "%s+", place);
	return strstr(text, wanted) != NULL;
}

static inline void profile_add(struct gyre_profile_amount *to, struct gyre_profile_amount what)
{
	to->samples += what.samples;
	to->objects += what.objects;
	to->bytes += what.bytes;
}

/* What all sites that pass through a place have; types: of the one that has most. */
static inline struct gyre_profile_site profile_of(const struct gyre_profile *p, const char *place)
{
	struct gyre_profile_site sum = { 0 };

	for (uint32_t i = 0; i < profile_totals(p).sites; i++) {
		struct gyre_profile_site site = profile_site(p, i);

		if (!profile_passes(p, i, place))
			continue;
		sum.site = site.site;
		sum.types = site.types > sum.types ? site.types : sum.types;
		profile_add(&sum.live, site.live);
		profile_add(&sum.allocated, site.allocated);
		profile_add(&sum.freed, site.freed);
		profile_add(&sum.old, site.old);
		sum.grown_objects += site.grown_objects;
		sum.grown_bytes += site.grown_bytes;
	}
	return sum;
}

#endif
