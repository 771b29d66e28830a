/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pages.c: the pages of a shard, in which its entries lie. Runs with the shard's lock held.
 *
 * A page is made of three pieces: C memory, an object with its slots, and its place in the shard's
 * directory, which is an object that is made anew at twice the size when it is full. They come
 * together, and whatever cannot be had is a refusal that leaves nothing behind.
 *
 * Invariants: a page is in the list of vacant ones exactly if it has a vacant entry; a page without
 * entries and notices is kept only while it is the one with vacant entries, so that an entry that
 * comes and goes does not make and free a page each time.
 */
#include <stdlib.h>

#include "table.h"

#define ALL_VACANT ((uint16_t)0xffff)
#define PAGES_MAX (UINT32_MAX / GYRE_PAGE_ENTRIES - 1)
#define FIRST_CAPACITY 4

_Static_assert(GYRE_PAGE_ENTRIES == 16, "a bit of a uint16_t for each entry");

static void list_add(struct gyre__shard *shard, struct gyre__page *page)
{
	page->previous = NULL;
	page->next = shard->vacant;
	if (page->next != NULL)
		page->next->previous = page;
	shard->vacant = page;
}

static void list_remove(struct gyre__shard *shard, struct gyre__page *page)
{
	if (page->previous != NULL)
		page->previous->next = page->next;
	else
		shard->vacant = page->next;
	if (page->next != NULL)
		page->next->previous = page->previous;
}

static gyre_ref *directory_slot(const struct gyre__shard *shard)
{
	return &shard->table->all->items[shard - shard->table->shards];
}

static enum gyre_status grow_directory(struct gyre_mutator *m, struct gyre__shard *shard,
				       uint32_t capacity)
{
	gyre_ref *slot = directory_slot(shard);
	struct gyre__directory *old = gyre_load(slot);
	struct gyre__directory *larger = gyre_new_array(m, shard->table->directory_type, capacity);
	enum gyre_status status = GYRE_OK;

	if (larger == NULL)
		return GYRE_NO_MEMORY;
	if (old != NULL)
		status = gyre_array_copy(m, larger->items, old->items, old->length);
	return status != GYRE_OK ? status : gyre_store_exclusive(m, slot, larger);
}

/* Room for page number in the array of pages and in the directory. */
static enum gyre_status make_room(struct gyre_mutator *m, struct gyre__shard *shard,
				  uint32_t number)
{
	const struct gyre__directory *directory = gyre_load(directory_slot(shard));

	if (number == shard->pages_capacity) {
		uint32_t capacity = number == 0 ? FIRST_CAPACITY : 2 * number;
		struct gyre__page **pages =
			realloc(shard->pages, capacity * sizeof(struct gyre__page *));

		if (pages == NULL)
			return GYRE_NO_MEMORY;
		shard->pages = pages;
		shard->pages_capacity = capacity;
	}
	if (directory == NULL || number >= directory->length)
		return grow_directory(m, shard, shard->pages_capacity);
	return GYRE_OK;
}

static enum gyre_status page_make(struct gyre_mutator *m, struct gyre__shard *shard)
{
	struct gyre__directory *directory;
	struct gyre__page *page;
	enum gyre_status status;
	uint32_t number = shard->hole;

	while (number < shard->pages_count && shard->pages[number] != NULL)
		number++;
	shard->hole = number;
	if (number == PAGES_MAX)
		return GYRE_LIMIT;
	status = make_room(m, shard, number);
	if (status != GYRE_OK)
		return status;
	page = calloc(1, sizeof(*page));
	if (page == NULL)
		return GYRE_NO_MEMORY;
	page->cells = gyre_new(m, shard->table->cells_type);
	directory = gyre_load(directory_slot(shard));
	status = page->cells == NULL
			 ? GYRE_NO_MEMORY
			 : gyre_store_exclusive(m, &directory->items[number], page->cells);
	if (status != GYRE_OK) {
		free(page);
		return status;
	}
	page->shard = shard;
	page->number = number;
	page->vacant = ALL_VACANT;
	shard->pages[number] = page;
	if (number == shard->pages_count)
		shard->pages_count++;
	list_add(shard, page);
	return GYRE_OK;
}

void gyre__page_settle(struct gyre_mutator *m, struct gyre__shard *shard, struct gyre__page *page)
{
	struct gyre__directory *directory;

	if (page->vacant != ALL_VACANT || page->notices > 0 ||
	    (page->previous == NULL && page->next == NULL))
		return;
	directory = gyre_load(directory_slot(shard));
	/* Refused for want of memory: the page stays, and is as good as any. */
	if (gyre_store_exclusive(m, &directory->items[page->number], NULL) != GYRE_OK)
		return;
	list_remove(shard, page);
	shard->pages[page->number] = NULL;
	if (page->number < shard->hole)
		shard->hole = page->number;
	while (shard->pages_count > 0 && shard->pages[shard->pages_count - 1] == NULL)
		shard->pages_count--;
	free(page);
}

enum gyre_status gyre__page_take(struct gyre_mutator *m, struct gyre__shard *shard,
				 struct gyre__place *place)
{
	struct gyre__page *page;

	if (shard->vacant == NULL) {
		enum gyre_status status = page_make(m, shard);

		if (status != GYRE_OK)
			return status;
	}
	page = shard->vacant;
	place->page = page;
	place->at = (unsigned)__builtin_ctz(page->vacant);
	page->vacant &= (uint16_t) ~(1u << place->at);
	if (page->vacant == 0)
		list_remove(shard, page);
	return GYRE_OK;
}

void gyre__page_give(struct gyre_mutator *m, struct gyre__shard *shard, struct gyre__place place)
{
	struct gyre__page *page = place.page;

	if (page->vacant == 0)
		list_add(shard, page);
	page->vacant |= (uint16_t)(1u << place.at);
	gyre__page_settle(m, shard, page);
}
