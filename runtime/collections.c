/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * collections.c: the door for collections/: see collections.h. Any thread; the registry's lock
 * guards the list of types.
 *
 * Invariant: of all types of a heap at most one carries a description's address. Two threads that
 * register it at once may make two types; both get the one that was marked first.
 */
#include "collections.h"

#include "heap.h"
#include "type.h"

bool gyre__heap_is_frozen(struct gyre_heap *heap)
{
	return gyre__frozen(heap);
}

static struct gyre_type *find(struct gyre_heap *heap, const struct gyre_type_desc *desc)
{
	struct gyre_type *type = heap->types;

	while (type != NULL && type->once != desc)
		type = type->next;
	return type;
}

enum gyre_status gyre__type_once(struct gyre_heap *heap, const struct gyre_type_desc *desc,
				 const struct gyre_type **type)
{
	const struct gyre_type *made;
	struct gyre_type *first, *at;
	enum gyre_status status;

	gyre__lock_take(&heap->registry.lock);
	first = find(heap, desc);
	gyre__lock_drop(&heap->registry.lock);
	if (first == NULL) {
		status = gyre_type_register(heap, desc, &made);
		if (status != GYRE_OK)
			return status;
		gyre__lock_take(&heap->registry.lock);
		first = find(heap, desc);
		for (at = heap->types; first == NULL; at = at->next) {
			if (at == made) {
				at->once = desc;
				first = at;
			}
		}
		gyre__lock_drop(&heap->registry.lock);
	}
	*type = first;
	return GYRE_OK;
}
