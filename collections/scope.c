/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scope.c: what is to be closed when a block is left. Runs on any thread, without a heap.
 *
 * Invariants: an entry is out of the scope before its closing function is called, so each is called
 * once, whatever the function does with the scope; memory is asked for by add and reserve only, so
 * closing cannot fail. A scope holds no pointer into itself.
 */
#include <gyre/scope.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct gyre_scope_item *items_of(struct gyre_scope *scope)
{
	return scope->items != NULL ? scope->items : scope->few;
}

void gyre_scope_open(struct gyre_scope *scope)
{
	memset(scope, 0, sizeof(*scope));
}

enum gyre_status gyre_scope_reserve(struct gyre_scope *scope, size_t count)
{
	const size_t most = SIZE_MAX / 2 / sizeof(struct gyre_scope_item);
	struct gyre_scope_item *items;
	size_t capacity, wanted;

	if (scope == NULL)
		return GYRE_INVALID;
	capacity = scope->items != NULL ? scope->capacity : GYRE_SCOPE_FEW;
	if (count <= capacity - scope->count)
		return GYRE_OK;
	if (count > most - scope->count)
		return GYRE_NO_MEMORY;
	wanted = scope->count + count;
	if (wanted < 2 * capacity)
		wanted = 2 * capacity;
	items = realloc(scope->items, wanted * sizeof(*items));
	if (items == NULL)
		return GYRE_NO_MEMORY;
	if (scope->items == NULL)
		memcpy(items, scope->few, scope->count * sizeof(*items));
	scope->items = items;
	scope->capacity = wanted;
	return GYRE_OK;
}

enum gyre_status gyre_scope_add(struct gyre_scope *scope, void *pointer, gyre_close_fn close)
{
	enum gyre_status status;

	if (close == NULL)
		return GYRE_INVALID;
	status = gyre_scope_reserve(scope, 1);
	if (status != GYRE_OK)
		return status;
	items_of(scope)[scope->count++] = (struct gyre_scope_item){ pointer, close };
	return GYRE_OK;
}

bool gyre_scope_take(struct gyre_scope *scope, const void *pointer)
{
	struct gyre_scope_item *items;
	size_t i;

	if (scope == NULL)
		return false;
	items = items_of(scope);
	for (i = scope->count; i-- > 0;) {
		if (items[i].pointer != pointer)
			continue;
		memmove(&items[i], &items[i + 1], (scope->count - i - 1) * sizeof(*items));
		scope->count--;
		return true;
	}
	return false;
}

int gyre_scope_close(struct gyre_scope *scope)
{
	int failed;

	if (scope == NULL)
		return 0;
	while (scope->count > 0) {
		/* A copy: the function may add, and what it adds may move the array. */
		const struct gyre_scope_item item = items_of(scope)[--scope->count];

		failed = item.close(item.pointer);
		if (scope->failed == 0)
			scope->failed = failed;
	}
	free(scope->items);
	failed = scope->failed;
	gyre_scope_open(scope);
	return failed;
}

void gyre_scope_leave(struct gyre_scope *scope)
{
	gyre_scope_close(scope);
}
