/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lesson_07_profile.c: a memory profile: which code has allocated what lives.
 *
 * Types say what there is (lesson 2); a profile says who made it. From gyre_profile_start on the
 * backtraces of allocations are noted, of all of them (rate 1, as here) or of a sample, which is
 * cheap enough for a service that runs. Two profiles with work between them can be compared: what
 * grew comes first. Here two functions make objects of one type; one of them keeps too many.
 */
#include <gyre/gyre.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define RECORDS 200
#define NOINLINE __attribute__((noinline)) /* so that each has a frame of its own */

struct record {
	gyre_ref next;
	char bytes[56];
};
static const struct gyre_type_desc desc =
	GYRE_TYPE(struct record, GYRE_REFS(GYRE_REF(struct record, next)));

static struct gyre_heap *heap;
static const struct gyre_type *type;
static struct gyre_root parsed, logged;

static NOINLINE int add(struct gyre_mutator *m, struct gyre_root *list)
{
	struct record *record = gyre_new(m, type);

	return !record || gyre_init(m, &record->next, gyre_load(&list->slot)) ||
	       gyre_store(m, &list->slot, record);
}

/* Not static, so that the dynamic linker knows their names (the program is linked by -rdynamic). */
int parse_all(struct gyre_mutator *m);
int log_all(struct gyre_mutator *m);

/* Makes records, and drops all of them when it is done. */
NOINLINE int parse_all(struct gyre_mutator *m)
{
	int i;

	for (i = 0; i < RECORDS; i++)
		if (add(m, &parsed))
			return 1;
	return gyre_store(m, &parsed.slot, NULL);
}

/* Makes half as many, and never drops one. */
NOINLINE int log_all(struct gyre_mutator *m)
{
	int i;

	for (i = 0; i < RECORDS / 2; i++)
		if (add(m, &logged))
			return 1;
	return 0;
}

/* A site is a whole backtrace; this tells which of them a function is part of. */
static bool is_in(const struct gyre_profile *profile, uint32_t site, const char *function)
{
	char backtrace[2048];

	gyre_profile_name(profile, site, backtrace, sizeof(backtrace));
	return strstr(backtrace, function);
}

static int print(const struct gyre_profile *profile, const char *function)
{
	struct gyre_profile_totals totals = { .size = sizeof(totals) };
	struct gyre_profile_site site = { .size = sizeof(site) };
	uint64_t allocated = 0, live = 0;
	int64_t grown = 0;
	uint32_t i;

	if (gyre_profile_totals(profile, &totals))
		return 1;
	for (i = 0; i < totals.sites; i++) {
		if (gyre_profile_site(profile, i, &site))
			return 1;
		if (!is_in(profile, i, function))
			continue;
		allocated += site.allocated.objects;
		live += site.live.objects;
		grown += site.grown_objects;
	}
	printf("  %s: %" PRIu64 " allocated, %" PRIu64 " live, grown by %" PRId64 "%s\n", function,
	       allocated, live, grown, is_in(profile, 0, function) ? "; the first suspect" : "");
	return 0;
}

static int work(struct gyre_mutator *m, struct gyre_profile **profile)
{
	int i;

	for (i = 0; i < 3; i++)
		if (parse_all(m) || log_all(m))
			return 1;
	return gyre_collect(m, NULL) || gyre_profile_take(heap, 0, profile);
}

int main(void)
{
	struct gyre_profile *first, *second;
	struct gyre_mutator *m;

	if (gyre_heap_open(&heap, NULL) || gyre_attach(heap, 0, &m) ||
	    gyre_type_register(heap, &desc, &type) || gyre_root_init(m, &parsed, NULL) ||
	    gyre_root_init(m, &logged, NULL) || gyre_profile_start(heap, 1) ||
	    work(m, &first) || work(m, &second))
		return 1;
	printf("a profile:\n");
	if (print(first, "parse_all") || print(first, "log_all"))
		return 1;
	printf("another, after more work, compared with it:\n");
	if (gyre_profile_compare(first, second) || print(second, "parse_all") ||
	    print(second, "log_all"))
		return 1;
	gyre_profile_free(first);
	gyre_profile_free(second);
	return gyre_profile_stop(heap) || gyre_root_drop(m, &parsed) ||
	       gyre_root_drop(m, &logged) || gyre_detach(m) || gyre_heap_close(heap);
}
