/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * side.h: what few objects have beside their slots: a weak cell, an attachment, a sample
 * (profile.h). Entries are made by mutators and taken away by the collector.
 *
 * A slab's side table is made at the first entry of one of its objects, in two levels, so that a
 * few entries cost little: a pointer for each 64 cells and kind, and then one for each cell.
 *
 * Invariant: an entry is set once from NULL, by a thread that holds the object; what it says is
 * counted as a reference of the object, but for a sample, which is a number. It becomes NULL again
 * when the collector has found the object dead, before the cell is vacant.
 */
#ifndef GYRE_SIDE_H
#define GYRE_SIDE_H

#include "slab.h"

enum gyre__side_kind { GYRE_SIDE_WEAK, GYRE_SIDE_ATTACHMENT, GYRE_SIDE_SAMPLE, GYRE_SIDE_KINDS };

typedef _Atomic(void *) gyre__side_entry;

/* The entry of an object, if there is room for it already; or NULL. Any thread that may look at
 * the object, and the collector. */
gyre__side_entry *gyre__side_find(const void *object, enum gyre__side_kind kind);

/* The entries of 64 cells of a slab, from a multiple of 64 on; NULL: there is no room for any. */
gyre__side_entry *gyre__side_row(const struct gyre__slab *slab, uint32_t first,
				 enum gyre__side_kind kind);

/* The entry of an object, with room made. NULL without memory. A thread that holds the object. */
gyre__side_entry *gyre__side_make(const void *object, enum gyre__side_kind kind);

/* What the entry says, or NULL. */
static inline void *gyre__side_get(const void *object, enum gyre__side_kind kind)
{
	gyre__side_entry *entry = gyre__side_find(object, kind);

	/* Acquire pairs with the release of whoever set it: what it refers to. */
	return entry == NULL ? NULL : atomic_load_explicit(entry, memory_order_acquire);
}

/* Releases the table. No object of the slab is in use. */
void gyre__side_destroy(struct gyre__slab *slab);

#endif
