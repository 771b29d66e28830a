/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * collections.h: what collections/ needs of the runtime and the public headers do not have, but for
 * the attachments of weak.h. Any thread.
 */
#ifndef GYRE_RUNTIME_COLLECTIONS_H
#define GYRE_RUNTIME_COLLECTIONS_H

#include <gyre/type.h>
#include <stdbool.h>

/* Whether the heap is frozen in the child of a fork: no lock may be taken then. */
bool gyre__heap_is_frozen(struct gyre_heap *heap);

/*
 * The type of heap that desc describes, registered at the first call: a collection that is opened
 * and closed again and again has one type. desc is told by its address and lives for ever. Answers
 * as gyre_type_register.
 */
enum gyre_status gyre__type_once(struct gyre_heap *heap, const struct gyre_type_desc *desc,
				 const struct gyre_type **type);

#endif
