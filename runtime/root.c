/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * root.c: slots outside the heap. Runs on mutator threads.
 *
 * A root's slot is counted like a slot of an object, through the journal; the list of roots is for
 * the verifier and for whoever asks what is alive. The lock guards the list, not the slots.
 */
#include "engine.h"
#include "mutator.h"

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

static void list_remove(struct gyre_heap *heap, struct gyre_root *root)
{
	gyre__lock_take(&heap->roots_lock);
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
		list_remove(m->heap, root);
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
		list_remove(m->heap, root);
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
	list_remove(m->heap, from);
	/* Relaxed: the caller keeps other threads off it. */
	atomic_store_explicit(&from->slot.word, m->heap->engine->outside, memory_order_relaxed);
	return GYRE_OK;
}
