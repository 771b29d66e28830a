/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lesson_06_finalizers.c: functions that are called for the dead, in a cycle.
 *
 * A session and its timer refer to each other; the session has a journal, which nobody else has.
 * When the cycle is dead the session's finalizer runs first, as it owns the journal, and can still
 * write to it; then the journal's. A finalizer may also bring its object back: a pool takes its
 * buffers back in that way. A buffer that came back is not finalized again when it dies, unless
 * somebody asks for it.
 */
#include <gyre/gyre.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct journal {
	char text[64];
};
struct session {
	gyre_ref timer, journal;
};
struct timer {
	gyre_ref session;
};
/* A buffer is a cycle by itself. */
struct buffer {
	gyre_ref self;
	unsigned number;
};

static struct gyre_heap *heap;
static struct gyre_root pool; /* the buffer that is free, or NULL */

/* All finalizers run on gyre's thread for them, each with a mutator that may do anything. */
static void close_session(struct gyre_mutator *m, void *object)
{
	struct session *session = object;
	struct journal *journal = gyre_load(&session->journal);
	struct timer *timer = gyre_load(&session->timer);

	(void)m; /* the dead are intact: the journal is there, and so is the way round the cycle */
	printf("session's finalizer: the timer leads back to it: %s\n",
	       gyre_load(&timer->session) == session ? "yes" : "no");
	strcat(journal->text, " and closed");
}

static void write_journal(struct gyre_mutator *m, void *object)
{
	struct journal *journal = object;

	(void)m;
	printf("journal's finalizer: %s\n", journal->text);
}

static void back_to_pool(struct gyre_mutator *m, void *object)
{
	struct buffer *buffer = object;

	printf("buffer's finalizer: %u goes back to the pool\n", buffer->number);
	if (gyre_store(m, &pool.slot, buffer)) /* then it just dies */
		printf("no room to bring it back\n");
}

static const struct gyre_type_desc descs[] = {
	GYRE_TYPE(struct journal, .finalize = write_journal),
	GYRE_TYPE(struct session,
		  GYRE_REFS(GYRE_REF(struct session, timer), GYRE_REF(struct session, journal)),
		  .finalize = close_session),
	GYRE_TYPE(struct timer, GYRE_REFS(GYRE_REF(struct timer, session))),
	GYRE_TYPE(struct buffer, GYRE_REFS(GYRE_REF(struct buffer, self)),
		  .finalize = back_to_pool),
};
static const struct gyre_type *types[4];

/* Collects and waits until no finalizer had to run: what only a finalized object held, as the
 * journal, is found dead when that is gone. Then all that could go is gone. */
static int settle(struct gyre_mutator *m, const char *when)
{
	struct gyre_stats stats = { .size = sizeof(stats) };
	uint64_t before;

	do {
		before = stats.finalizers_run;
		if (gyre_collect(m, NULL) || gyre_finalize_wait(m) ||
		    gyre_heap_stats(heap, &stats))
			return 1;
	} while (stats.finalizers_run != before);
	printf("%s: %" PRIu64 " finalizers have run, %" PRIu64 " objects live\n", when,
	       stats.finalizers_run, stats.objects_live);
	return 0;
}

static int make_session(struct gyre_mutator *m)
{
	struct journal *journal = gyre_new(m, types[0]);
	struct session *session = gyre_new(m, types[1]);
	struct timer *timer = gyre_new(m, types[2]);

	if (!journal || !session || !timer)
		return 1;
	strcpy(journal->text, "session opened");
	return gyre_init(m, &session->journal, journal) || gyre_init(m, &session->timer, timer) ||
	       gyre_init(m, &timer->session, session);
}

static int make_buffer(struct gyre_mutator *m)
{
	struct buffer *buffer = gyre_new(m, types[3]);

	if (!buffer)
		return 1;
	buffer->number = 7;
	return gyre_init(m, &buffer->self, buffer);
}

static int run(struct gyre_mutator *m)
{
	if (make_session(m) || settle(m, "dropped a session") || make_buffer(m) ||
	    settle(m, "dropped a buffer"))
		return 1;
	/* It is alive, in the pool. Next time it dies without a word, if nobody asks; here
	 * somebody does. */
	if (gyre_finalizer_rearm(m, gyre_load(&pool.slot)) || gyre_store(m, &pool.slot, NULL) ||
	    settle(m, "dropped it again, armed anew"))
		return 1;
	return gyre_store(m, &pool.slot, NULL) || settle(m, "dropped it a third time");
}

int main(void)
{
	struct gyre_mutator *m;
	int i;

	if (gyre_heap_open(&heap, NULL) || gyre_attach(heap, 0, &m) ||
	    gyre_root_init(m, &pool, NULL))
		return 1;
	for (i = 0; i < 4; i++)
		if (gyre_type_register(heap, &descs[i], &types[i]))
			return 1;
	return run(m) || gyre_root_drop(m, &pool) || gyre_detach(m) || gyre_heap_close(heap);
}
