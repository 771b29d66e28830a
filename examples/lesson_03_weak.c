/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lesson_03_weak.c: references that do not keep alive.
 *
 * A weak cell refers to an object and is null once the object is dead; a callback tells somebody
 * that this has happened; a weak map finds objects by name and forgets them by itself. A document
 * and its view refer to each other here: a cycle. All weak references to it end at one instant, so
 * nobody ever sees the view without the document.
 */
#include <gyre/gyre.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct document {
	gyre_ref view;
	char title[24];
};
struct view {
	gyre_ref document;
};
/* What the rest of the program has of them: the slots hold weak cells. */
struct bookmark {
	gyre_ref document, view;
};

static const struct gyre_type_desc document_desc =
	GYRE_TYPE(struct document, GYRE_REFS(GYRE_REF(struct document, view)));
static const struct gyre_type_desc view_desc =
	GYRE_TYPE(struct view, GYRE_REFS(GYRE_REF(struct view, document)));
static const struct gyre_type_desc bookmark_desc =
	GYRE_TYPE(struct bookmark, GYRE_REFS(GYRE_REF(struct bookmark, document),
					     GYRE_REF(struct bookmark, view)));

static const struct gyre_type *document_type, *view_type, *bookmark_type;

/* Keys are the program's: constant strings here, so there is nothing to free. */
static uint64_t hash(void *arg, const void *key)
{
	const char *text = key;
	uint64_t sum = 0;

	(void)arg;
	while (*text)
		sum = sum * 31 + (unsigned char)*text++;
	return sum;
}

static bool equal(void *arg, const void *key, const void *other)
{
	(void)arg;
	return strcmp(key, other) == 0;
}

/* Runs on gyre's finalizer thread. It gets no object, for that is gone: only its argument. */
static void closed(struct gyre_mutator *m, void *title)
{
	(void)m;
	printf("callback: %s is gone\n", (const char *)title);
}

/* A document, its view, two weak cells, a callback and an entry in the map. NULL: no memory. */
static struct document *open_document(struct gyre_mutator *m, struct gyre_weakmap *by_name,
				      struct bookmark *mark, char *title)
{
	struct document *d = gyre_new(m, document_type);
	struct view *v = gyre_new(m, view_type);
	struct gyre_weak *to_d, *to_v;

	if (!d || !v || gyre_store(m, &d->view, v) || gyre_store(m, &v->document, d))
		return NULL;
	snprintf(d->title, sizeof(d->title), "%s", title);
	to_d = gyre_weak_of(m, d); /* an object has one cell, however many share it */
	to_v = gyre_weak_of(m, v);
	if (!to_d || !to_v || gyre_store(m, &mark->document, to_d) ||
	    gyre_store(m, &mark->view, to_v) ||
	    gyre_weak_notify(m, to_d, closed, title, 0, NULL) ||
	    gyre_weakmap_put(m, by_name, title, d))
		return NULL;
	return d;
}

/* What can still be found. A load gives an object that is valid until the next safe point. */
static void look(struct gyre_mutator *m, const char *when, struct gyre_weakmap *by_name,
		 const struct bookmark *mark)
{
	struct document *d = gyre_weak_load(m, gyre_load(&mark->document));
	struct view *v = gyre_weak_load(m, gyre_load(&mark->view));
	struct document *named = gyre_weakmap_get(m, by_name, "report");

	printf("%s: cell of the document %s, of its view %s; the map has %zu, report is %s\n", when,
	       d ? "live" : "null", v ? "live" : "null", gyre_weakmap_count(by_name),
	       named ? named->title : "not there");
}

/* gyre_collect finds the garbage; the callbacks have run when gyre_finalize_wait returns. */
static int settle(struct gyre_mutator *m)
{
	return gyre_collect(m, NULL) || gyre_finalize_wait(m);
}

static int run(struct gyre_mutator *m, struct gyre_weakmap *by_name)
{
	static char title[] = "report";
	struct bookmark *mark = gyre_new(m, bookmark_type);
	struct document *held = NULL;

	GYRE_KEEP(m, mark, held);
	if (!mark || !(held = open_document(m, by_name, mark, title)) || settle(m))
		return 1;
	look(m, "held", by_name, mark);

	held = gyre_weak_load(m, gyre_load(&mark->document)); /* strong again, from the cell */
	if (settle(m))
		return 1;
	look(m, "held by what a cell gave", by_name, mark);

	held = NULL; /* only the cycle itself, and weak references, are left */
	if (settle(m))
		return 1;
	look(m, "let go", by_name, mark);
	return 0;
}

int main(void)
{
	static const struct gyre_keys names = { .hash = hash, .equal = equal };
	struct gyre_heap *heap;
	struct gyre_mutator *m;
	struct gyre_weakmap *by_name;

	if (gyre_heap_open(&heap, NULL) || gyre_attach(heap, 0, &m) ||
	    gyre_type_register(heap, &document_desc, &document_type) ||
	    gyre_type_register(heap, &view_desc, &view_type) ||
	    gyre_type_register(heap, &bookmark_desc, &bookmark_type) ||
	    gyre_weakmap_open(m, &names, &by_name) || run(m, by_name))
		return 1;
	return gyre_weakmap_close(m, by_name) || gyre_detach(m) || gyre_heap_close(heap);
}
