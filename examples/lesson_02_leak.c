/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lesson_02_leak.c: finding a leak.
 *
 * A program with a collector leaks when something that is done with can still be reached. So it is
 * no help to look at the garbage; one looks at what lives, while the program runs, with three
 * questions: of which types is there more after each round of the same work; where is one of those;
 * and who refers to it, and to that, up to something that is no object. The server here forgets to
 * take one session in a hundred out of its audit.
 */
#include <gyre/gyre.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#define ROUND 1000

struct server {
	gyre_ref current, audit;
};
struct audit {
	gyre_ref sessions[64];
	size_t count;
};
struct session {
	gyre_ref buffer;
};
struct buffer {
	gyre_ref session;
	char bytes[100];
};

enum kind { SERVER, AUDIT, SESSION, BUFFER, KINDS };
static const struct gyre_type_desc descs[KINDS] = {
	GYRE_TYPE(struct server, GYRE_REFS(GYRE_REF(struct server, current),
					   GYRE_REF(struct server, audit))),
	GYRE_TYPE(struct audit, GYRE_REFS(GYRE_REF(struct audit, sessions))),
	GYRE_TYPE(struct session, GYRE_REFS(GYRE_REF(struct session, buffer))),
	GYRE_TYPE(struct buffer, GYRE_REFS(GYRE_REF(struct buffer, session))),
};
static const struct gyre_type *types[KINDS];
static struct gyre_root root;

static int serve(struct gyre_mutator *m, int number)
{
	struct server *server = gyre_load(&root.slot);
	struct audit *audit = gyre_load(&server->audit);
	struct session *session = gyre_new(m, types[SESSION]);
	struct buffer *buffer = gyre_new(m, types[BUFFER]);

	if (!session || !buffer || gyre_init(m, &session->buffer, buffer) ||
	    gyre_init(m, &buffer->session, session))
		return 1;
	if (number % 100 == 0 && gyre_store(m, &audit->sessions[audit->count++], session))
		return 1;
	return gyre_store(m, &server->current, session);
}

/* A round of work, then the first question: what is there more of than before? */
static int round_of_work(struct gyre_mutator *m, int number)
{
	static uint64_t before[KINDS];
	struct gyre_type_stats stats = { .size = sizeof(stats) };
	struct server *server = gyre_load(&root.slot);
	int i;

	for (i = 0; i < ROUND; i++, gyre_safepoint(m))
		if (serve(m, i))
			return 1;
	if (gyre_store(m, &server->current, NULL) || gyre_collect(m, NULL)) /* only what lives */
		return 1;
	printf("after round %d:", number);
	for (i = 0; i < KINDS; i++) {
		if (gyre_type_stats(types[i], &stats))
			return 1;
		printf(" %" PRIu64 " %s (+%" PRIu64 ")", stats.objects_live, stats.name,
		       stats.objects_live - before[i]);
		before[i] = stats.objects_live;
	}
	printf("\n");
	return 0;
}

/* The second: where is one? The first that the census comes by will do. */
static bool take(void *found, struct gyre_mutator *m __attribute__((unused)), void *object)
{
	*(void **)found = object;
	return false; /* no more; the object is valid until the next safe point */
}

/* The third: who refers to it? Not the types that the path has already: they are the cycle. */
struct path {
	const struct gyre_type *types[KINDS];
	int length;
	void *next;
};

static bool step(void *arg, struct gyre_mutator *m, void *object)
{
	struct path *path = arg;
	int i;

	for (i = 0; i < path->length; i++)
		if (path->types[i] == gyre_type_of(object))
			return true;
	return take(&path->next, m, object);
}

static int who_holds(struct gyre_mutator *m, const struct gyre_type *type)
{
	struct path path = { .next = NULL };
	void *at;

	if (gyre_census(m, type, take, &path.next))
		return 1;
	at = path.next;
	GYRE_KEEP(m, at);
	while (path.next) {
		at = path.next;
		path.next = NULL;
		path.types[path.length++] = gyre_type_of(at);
		printf("%s%s", path.length > 1 ? " <- " : "", gyre_type_name(gyre_type_of(at)));
		if (gyre_referrers(m, at, step, &path))
			return 1;
	}
	printf(" <- a root\n");
	return 0;
}

int main(void)
{
	struct gyre_heap *heap;
	struct gyre_mutator *m;
	struct server *server;
	int i;

	if (gyre_heap_open(&heap, NULL) || gyre_attach(heap, 0, &m))
		return 1;
	for (i = 0; i < KINDS; i++)
		if (gyre_type_register(heap, &descs[i], &types[i]))
			return 1;
	if (!(server = gyre_new(m, types[SERVER])) || gyre_root_init(m, &root, server) ||
	    gyre_store(m, &server->audit, gyre_new(m, types[AUDIT])) ||
	    !gyre_load(&server->audit) || round_of_work(m, 1) || round_of_work(m, 2) ||
	    round_of_work(m, 3) || who_holds(m, types[BUFFER]))
		return 1;
	return gyre_root_drop(m, &root) || gyre_detach(m) || gyre_heap_close(heap);
}
