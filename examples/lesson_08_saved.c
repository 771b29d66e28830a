/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lesson_08_saved.c: looking at dead cycles before they go, and asking who refers to an object.
 *
 * A program that must not make cyclic garbage (because it is short of time, say, or because it is
 * to run without a collector later) wants to know which cycles it makes. While save-all is on, dead
 * cycles are kept as they were found: their members and the references between them are there to be
 * printed, and the one that closes the cycle can be seen. When they are dropped they are garbage as
 * before. Of an object that lives one can ask who refers to it, and how often it is counted.
 */
#include <gyre/gyre.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

struct theme {
	char name[16];
};
struct window {
	gyre_ref theme, button;
};
struct button {
	gyre_ref theme, on_click;
};
struct handler {
	gyre_ref window; /* this one closes the cycle */
};

enum kind { THEME, WINDOW, BUTTON, HANDLER, KINDS };
static const struct gyre_type_desc descs[KINDS] = {
	GYRE_TYPE(struct theme, .refs = NULL),
	GYRE_TYPE(struct window, GYRE_REFS(GYRE_REF(struct window, theme),
					   GYRE_REF(struct window, button))),
	GYRE_TYPE(struct button, GYRE_REFS(GYRE_REF(struct button, theme),
					   GYRE_REF(struct button, on_click))),
	GYRE_TYPE(struct handler, GYRE_REFS(GYRE_REF(struct handler, window))),
};
static struct gyre_heap *heap;
static const struct gyre_type *types[KINDS];

static struct window *open_window(struct gyre_mutator *m, struct theme *theme)
{
	struct window *window = gyre_new(m, types[WINDOW]);
	struct button *button = gyre_new(m, types[BUTTON]);
	struct handler *handler = gyre_new(m, types[HANDLER]);

	if (!window || !button || !handler || gyre_init(m, &window->theme, theme) ||
	    gyre_init(m, &button->theme, theme) || gyre_init(m, &window->button, button) ||
	    gyre_init(m, &button->on_click, handler) || gyre_init(m, &handler->window, window))
		return NULL;
	return window;
}

static const char *name(const void *object)
{
	return gyre_type_name(gyre_type_of(object));
}

static void print_edge(void *arg, size_t from, size_t to)
{
	const struct gyre_cycle *cycle = arg;

	printf("  %s -> %s\n", name(cycle->objects[from]), name(cycle->objects[to]));
}

static bool print_cycle(void *arg, struct gyre_mutator *m, const struct gyre_cycle *cycle)
{
	struct gyre_cycle copy = *cycle;

	printf("cycle %" PRIu64 ", %zu objects:\n", cycle->id, cycle->count);
	*(int *)arg |= gyre_cycle_edges(m, cycle, print_edge, &copy);
	return true;
}

struct tally {
	unsigned of[KINDS], all;
};

static bool tell(void *arg, struct gyre_mutator *m, void *object)
{
	struct tally *tally = arg;
	int i;

	(void)m;
	for (i = 0; i < KINDS; i++)
		tally->of[i] += gyre_type_of(object) == types[i];
	tally->all++;
	return true;
}

static int print_referrers(struct gyre_mutator *m, struct theme *theme)
{
	struct tally tally = { .all = 0 };
	uint64_t count;

	GYRE_KEEP(m, theme);
	if (gyre_referrers(m, theme, tell, &tally) || gyre_count_of(m, theme, &count))
		return 1;
	printf("theme %s: %u windows and %u buttons refer to it; counted %" PRIu64
	       " times, %" PRIu64 " by frames\n",
	       theme->name, tally.of[WINDOW], tally.of[BUTTON], count, count - tally.all);
	return 0;
}

static int run(struct gyre_mutator *m)
{
	struct gyre_stats stats = { .size = sizeof(stats) };
	struct theme *theme = gyre_new(m, types[THEME]);
	struct window *one = NULL, *two = NULL;
	int failed = 0;

	GYRE_KEEP(m, theme, one, two);
	if (!theme)
		return 1;
	snprintf(theme->name, sizeof(theme->name), "dark");
	if (!(one = open_window(m, theme)) || !(two = open_window(m, theme)) ||
	    print_referrers(m, theme))
		return 1;

	one = NULL; /* closed: is it garbage, and of what shape? */
	if (gyre_save_all(heap, true) || gyre_collect(m, NULL))
		return 1;
	printf("%" PRIu64 " dead cycle kept\n", gyre_garbage_count(heap));
	if (gyre_garbage_visit(m, print_cycle, &failed) || failed)
		return 1;

	if (gyre_save_all(heap, false) || gyre_garbage_clear(m) || gyre_collect(m, NULL) ||
	    gyre_heap_stats(heap, &stats))
		return 1;
	printf("dropped: %" PRIu64 " cycles kept, %" PRIu64 " objects live\n",
	       gyre_garbage_count(heap), stats.objects_live);
	return print_referrers(m, theme);
}

int main(void)
{
	struct gyre_mutator *m;
	int i;

	if (gyre_heap_open(&heap, NULL) || gyre_attach(heap, 0, &m))
		return 1;
	for (i = 0; i < KINDS; i++)
		if (gyre_type_register(heap, &descs[i], &types[i]))
			return 1;
	return run(m) || gyre_detach(m) || gyre_heap_close(heap);
}
