/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lesson_09_age.c: a leak detector that reports objects by age.
 *
 * In a program at work most objects die young, and the few that are meant to stay were made when it
 * started. What was made since, and is older than any request should take, is suspicious. The
 * detector is a thread of its own that is no mutator: it takes a profile from time to time, and
 * asks of each type how much of what lives is older than a limit. Here one request in twenty is
 * never finished.
 */
#include <gyre/gyre.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define REQUESTS 200
#define LIMIT_NS 500000000 /* half a second */

struct request {
	gyre_ref reply, next; /* next: in the list of those that never finish */
};
struct reply {
	gyre_ref request;
};
static const struct gyre_type_desc request_desc = GYRE_TYPE(
	struct request, GYRE_REFS(GYRE_REF(struct request, reply), GYRE_REF(struct request, next)));
static const struct gyre_type_desc reply_desc =
	GYRE_TYPE(struct reply, GYRE_REFS(GYRE_REF(struct reply, request)));

static struct gyre_heap *heap;
static const struct gyre_type *request_type, *reply_type;
static struct gyre_root current, stuck;

static int serve(struct gyre_mutator *m, int number)
{
	struct request *request = gyre_new(m, request_type);
	struct reply *reply = gyre_new(m, reply_type);

	if (!request || !reply || gyre_init(m, &request->reply, reply) ||
	    gyre_init(m, &reply->request, request))
		return 1;
	if (number % 20 == 0 && (gyre_init(m, &request->next, gyre_load(&stuck.slot)) ||
				  gyre_store(m, &stuck.slot, request)))
		return 1;
	return gyre_store(m, &current.slot, number % 10 ? NULL : request);
}

static int work(struct gyre_mutator *m)
{
	int i;

	for (i = 0; i < REQUESTS; i++, gyre_safepoint(m))
		if (serve(m, i))
			return 1;
	return gyre_store(m, &current.slot, NULL) || gyre_collect(m, NULL);
}

/* Adds up the sites' figures of one type. */
static int report(const struct gyre_profile *profile, const char *name)
{
	struct gyre_profile_totals totals = { .size = sizeof(totals) };
	struct gyre_profile_site site = { .size = sizeof(site) };
	struct gyre_profile_type type = { .size = sizeof(type) };
	uint64_t live = 0, old = 0, oldest = 0;
	uint32_t i, j;

	if (gyre_profile_totals(profile, &totals))
		return 1;
	for (i = 0; i < totals.sites; i++) {
		if (gyre_profile_site(profile, i, &site))
			return 1;
		for (j = 0; j < site.types; j++) {
			if (gyre_profile_type(profile, i, j, &type))
				return 1;
			if (strcmp(type.name, name) != 0)
				continue;
			live += type.live.objects;
			old += type.old.objects;
			oldest = type.oldest_ns > oldest ? type.oldest_ns : oldest;
		}
	}
	printf("  %s: %" PRIu64 " live, %" PRIu64 " of them older than the limit%s\n", name, live,
	       old, old > 0 && oldest < LIMIT_NS ? ", but none is" : "");
	return 0;
}

/* The detector's thread. The main thread is parked meanwhile, as for anything that takes long. */
static void *detect(void *failed)
{
	struct gyre_profile *profile;
	int wrong;

	if (gyre_profile_take(heap, LIMIT_NS, &profile))
		return failed;
	wrong = report(profile, "struct request") || report(profile, "struct reply");
	gyre_profile_free(profile);
	return wrong ? failed : NULL;
}

static int run_detector(struct gyre_mutator *m, const char *when)
{
	pthread_t thread;
	void *failed;

	printf("%s:\n", when);
	return pthread_create(&thread, NULL, detect, m) || gyre_park(m) ||
	       pthread_join(thread, &failed) || gyre_unpark(m) || failed;
}

int main(void)
{
	const struct timespec longer = { .tv_nsec = LIMIT_NS + LIMIT_NS / 5 };
	struct gyre_mutator *m;

	if (gyre_heap_open(&heap, NULL) || gyre_attach(heap, 0, &m) ||
	    gyre_type_register(heap, &request_desc, &request_type) ||
	    gyre_type_register(heap, &reply_desc, &reply_type) ||
	    gyre_root_init(m, &current, NULL) || gyre_root_init(m, &stuck, NULL) ||
	    gyre_profile_start(heap, 1) || work(m) || gyre_park(m))
		return 1;
	nanosleep(&longer, NULL); /* where a server would wait for more to do */
	if (gyre_unpark(m) || run_detector(m, "a pause after the first requests") || work(m) ||
	    run_detector(m, "at once after more requests"))
		return 1;
	return gyre_profile_stop(heap) || gyre_root_drop(m, &current) ||
	       gyre_root_drop(m, &stuck) || gyre_detach(m) || gyre_heap_close(heap);
}
