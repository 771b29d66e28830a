/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * root.c: slots outside the heap. Runs on mutator threads.
 *
 * A root's slot is counted like a slot of an object, through the journal; the list of roots is for
 * the verifier and for whoever asks what is alive. The lock guards the list, not the slots.
 */
#include "engine.h"
#include "mutator.h"

#include <stdlib.h>
#include <string.h>

static void list_add(struct gyre_heap *heap, struct gyre_root *root)
{
	gyre__lock_take(&heap->roots_lock);
	root->heap = heap;
	root->previous = NULL;
	root->next = heap->roots;
	if (root->next != NULL)
		root->next->previous = root;
	heap->roots = root;
	gyre__lock_drop(&heap->roots_lock);
}

/* Where the name of a root stands in the list, or would at its end. Lock held. */
static struct gyre__root_name **name_of(struct gyre_heap *heap, const struct gyre_root *root)
{
	struct gyre__root_name **at = &heap->root_names;

	while (*at != NULL && (*at)->root != root)
		at = &(*at)->next;
	return at;
}

/* The name of a root goes to another one, or with the root. Lock held. */
static void pass_name(struct gyre_heap *heap, const struct gyre_root *root,
		      const struct gyre_root *to)
{
	struct gyre__root_name **at = name_of(heap, root), *name = *at;

	if (name == NULL)
		return;
	name->root = to;
	if (to != NULL)
		return;
	*at = name->next;
	free(name);
}

/* to: what takes its place, and its name, if anything does. */
static void list_remove(struct gyre_heap *heap, struct gyre_root *root, const struct gyre_root *to)
{
	gyre__lock_take(&heap->roots_lock);
	if (heap->root_names != NULL)
		pass_name(heap, root, to);
	if (root->previous != NULL)
		root->previous->next = root->next;
	else
		heap->roots = root->next;
	if (root->next != NULL)
		root->next->previous = root->previous;
	root->next = root->previous = NULL;
	root->heap = NULL;
	gyre__lock_drop(&heap->roots_lock);
}

enum gyre_status gyre_root_init(struct gyre_mutator *m, struct gyre_root *root, const void *object)
{
	enum gyre_status status;

	if (m == NULL || root == NULL)
		return GYRE_INVALID;
	if (gyre__frozen(m->heap))
		return GYRE_FROZEN;
	atomic_init(&root->slot.word, m->heap->engine->outside);
	/* Listed first: a root in the list with an empty slot is harmless, a slot that holds
	 * something and is not in the list would be garbage to the verifier. */
	list_add(m->heap, root);
	status = gyre_store(m, &root->slot, object);
	if (status != GYRE_OK)
		list_remove(m->heap, root, NULL);
	return status;
}

enum gyre_status gyre_root_drop(struct gyre_mutator *m, struct gyre_root *root)
{
	enum gyre_status status;

	if (m == NULL || root == NULL || root->heap != m->heap)
		return GYRE_INVALID;
	if (gyre__frozen(m->heap))
		return GYRE_FROZEN;
	status = gyre_store(m, &root->slot, NULL);
	if (status == GYRE_OK)
		list_remove(m->heap, root, NULL);
	return status;
}

enum gyre_status gyre_root_move(struct gyre_mutator *m, struct gyre_root *to,
				struct gyre_root *from)
{
	if (m == NULL || to == NULL || from == NULL || from->heap != m->heap)
		return GYRE_INVALID;
	if (gyre__frozen(m->heap))
		return GYRE_FROZEN;
	/* The reference moves and no count changes, so there is nothing to journal and nothing can
	 * fail: two slots trade places in the list. */
	atomic_init(&to->slot.word,
		    (uintptr_t)gyre_load(&from->slot) | m->heap->engine->outside);
	list_add(m->heap, to);
	list_remove(m->heap, from, to);
	/* Relaxed: the caller keeps other threads off it. */
	atomic_store_explicit(&from->slot.word, m->heap->engine->outside, memory_order_relaxed);
	return GYRE_OK;
}

enum gyre_status gyre_root_name(struct gyre_mutator *m, const struct gyre_root *root,
				const char *name)
{
	struct gyre__root_name *made = NULL, **at;

	if (m == NULL || root == NULL || root->heap != m->heap)
		return GYRE_INVALID;
	if (gyre__frozen(m->heap))
		return GYRE_FROZEN;
	if (name != NULL) {
		made = calloc(1, sizeof(*made));
		if (made == NULL)
			return GYRE_NO_MEMORY;
		made->root = root;
		strncpy(made->name, name, sizeof(made->name) - 1);
	}
	gyre__lock_take(&m->heap->roots_lock);
	pass_name(m->heap, root, NULL);
	at = name_of(m->heap, root);
	*at = made;
	gyre__lock_drop(&m->heap->roots_lock);
	return GYRE_OK;
}

void gyre__root_names_destroy(struct gyre_heap *heap)
{
	while (heap->root_names != NULL) {
		struct gyre__root_name *name = heap->root_names;

		heap->root_names = name->next;
		free(name);
	}
}
