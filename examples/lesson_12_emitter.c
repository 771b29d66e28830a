/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lesson_12_emitter.c: an event emitter whose listeners do not leak.
 *
 * A window listens to a clock that lives as long as the program. If the clock refers to its
 * listeners, a window that was closed without a word to the clock stays: it is heard of no more,
 * but it hears every tick, and holds all that it has. In a weak set a listener is there as long as
 * somebody else has it. Two clocks do the same work here, one of either kind.
 */
#include <gyre/gyre.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#define WINDOWS 1000
#define OPEN 10 /* windows that are open at a time */

struct listener {
	gyre_ref window;
	unsigned long heard;
};
/* The window has its listener, and the listener its window: a cycle. */
struct window {
	gyre_ref listener;
	char pixels[64];
};
struct screen {
	gyre_ref windows[OPEN];
};
struct strong_list {
	gyre_ref listeners[WINDOWS];
	size_t count;
};

static const struct gyre_type_desc descs[] = {
	GYRE_TYPE(struct listener, GYRE_REFS(GYRE_REF(struct listener, window))),
	GYRE_TYPE(struct window, GYRE_REFS(GYRE_REF(struct window, listener))),
	GYRE_TYPE(struct screen, GYRE_REFS(GYRE_REF(struct screen, windows))),
	GYRE_TYPE(struct strong_list, GYRE_REFS(GYRE_REF(struct strong_list, listeners))),
};
static struct gyre_heap *heap;
static const struct gyre_type *types[4];

/* A clock has one of the two. */
struct clock {
	const char *name;
	struct gyre_root strong;
	struct gyre_weakset *weak;
};

static enum gyre_status listen(struct gyre_mutator *m, struct clock *clock, struct listener *l)
{
	struct strong_list *list = gyre_load(&clock->strong.slot);

	if (clock->weak)
		return gyre_weakset_add(m, clock->weak, l, NULL);
	return gyre_store(m, &list->listeners[list->count++], l);
}

static bool hear(struct gyre_mutator *m, void *object, void *ticks)
{
	struct listener *l = object;

	(void)m;
	l->heard++;
	++*(unsigned long *)ticks;
	return true; /* the next one, too */
}

/* Tells all listeners, and says how many there were. */
static unsigned long tick(struct gyre_mutator *m, struct clock *clock)
{
	struct strong_list *list = gyre_load(&clock->strong.slot);
	unsigned long heard = 0;
	size_t i;

	if (clock->weak) {
		if (gyre_weakset_each(m, clock->weak, hear, &heard))
			return 0;
	} else {
		for (i = 0; i < list->count; i++)
			hear(m, gyre_load(&list->listeners[i]), &heard);
	}
	return heard;
}

/* Opens windows, each in the place of an older one; nobody tells the clock that that is closed. */
static int use(struct gyre_mutator *m, struct clock *clock)
{
	struct gyre_stats before = { .size = sizeof(before) }, after = before;
	struct screen *screen = gyre_new(m, types[2]);
	int i;

	GYRE_KEEP(m, screen);
	if (!screen || gyre_collect(m, NULL) || gyre_heap_stats(heap, &before))
		return 1;
	for (i = 0; i < WINDOWS; i++) {
		struct window *window = gyre_new(m, types[1]);
		struct listener *l = gyre_new(m, types[0]);

		if (!window || !l || gyre_init(m, &window->listener, l) ||
		    gyre_init(m, &l->window, window) || listen(m, clock, l) ||
		    gyre_store(m, &screen->windows[i % OPEN], window))
			return 1;
		gyre_safepoint(m);
	}
	/* Twice: the weak cells of a set are objects, too, and go when their entries have gone. */
	if (gyre_collect(m, NULL) || gyre_finalize_wait(m) || gyre_collect(m, NULL) ||
	    gyre_heap_stats(heap, &after))
		return 1;
	printf("%s: %d windows opened, %d open, %lu hear the next tick\n", clock->name, WINDOWS,
	       OPEN, tick(m, clock));
	printf("%s: %s\n", clock->name,
	       after.objects_live - before.objects_live < 100 ? "what was closed is gone" :
								 "what was closed is still there");
	return 0;
}

int main(void)
{
	struct clock strong = { .name = "strong" }, weak = { .name = "weak" };
	struct gyre_mutator *m;
	int i;

	if (gyre_heap_open(&heap, NULL) || gyre_attach(heap, 0, &m))
		return 1;
	for (i = 0; i < 4; i++)
		if (gyre_type_register(heap, &descs[i], &types[i]))
			return 1;
	if (gyre_root_init(m, &strong.strong, gyre_new(m, types[3])) ||
	    gyre_root_init(m, &weak.strong, NULL) || gyre_weakset_open(m, NULL, &weak.weak) ||
	    !gyre_load(&strong.strong.slot) || use(m, &strong) || use(m, &weak))
		return 1;
	return gyre_weakset_close(m, weak.weak) || gyre_root_drop(m, &weak.strong) ||
	       gyre_root_drop(m, &strong.strong) || gyre_detach(m) || gyre_heap_close(heap);
}
