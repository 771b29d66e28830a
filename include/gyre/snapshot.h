/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot.h: what is in a heap, who holds it, and what it would take to free it.
 *
 * A snapshot is a copy of the heap's object graph as of one boundary, which begins after the call
 * that takes it: all that the caller did before is in it. No thread is stopped for it; mutators do
 * the handshakes of the boundary that it begins with, as of any other. All questions are then
 * answered from the copy, on the thread that asks: they are no safe points, and may take as long as
 * a search of the whole graph does. So an attached thread parks round a question about a large
 * heap, or leaves it to a thread that is not attached: a snapshot may be asked by any thread, one
 * at a time, and outlives its heap.
 *
 * In the engine tagged a snapshot is exact: references, keep frames and counts are those of the
 * boundary, so the references to an object and what holds it beside them add up to its count; only
 * who of several roots holds an object is told by what they held a moment later. In the engine
 * recycler references and roots are those of the moment in which each was copied. Garbage that is
 * not reclaimed yet is in a snapshot, and unreachable in it. Objects that were made after the
 * boundary are not.
 *
 * Objects are numbered from 0, as nodes of the graph. A node's references are those of its slots
 * that are not NULL, in the order of the slots; its weak cell and what a collection has attached to
 * it, if any, come first. A visitor that returns false ends its walk.
 */
#ifndef GYRE_SNAPSHOT_H
#define GYRE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gyre/status.h>

struct gyre_mutator;
struct gyre_root;
struct gyre_snapshot;

#define GYRE_NO_NODE UINT32_MAX
/* In place of one reference of a node: all there is of the node. */
#define GYRE_WHOLE_NODE UINT64_MAX

/*
 * Takes a snapshot. A safe point; the thread is parked while it waits, and while the copy is turned
 * into a graph; in other heaps that it is attached to it must be parked, as for gyre_collect. It
 * waits as long as some other thread neither reaches a safe point nor parks. At its height it takes
 * about 70 bytes an object and 12 a reference; half of that stays. GYRE_NO_MEMORY, GYRE_LIMIT
 * (2^32 - 1 objects or more), GYRE_PARKED, GYRE_FROZEN, GYRE_INVALID.
 */
GYRE_API enum gyre_status gyre_snapshot_take(struct gyre_mutator *m,
					     struct gyre_snapshot **snapshot);

/* Frees a snapshot; NULL is legal. Any thread, also after its heap was closed. */
GYRE_API void gyre_snapshot_free(struct gyre_snapshot *snapshot);

struct gyre_snapshot_totals {
	size_t size; /* sizeof(struct gyre_snapshot_totals), set by the caller */
	uint64_t objects, bytes, references;
	uint64_t holders;                    /* roots, entries of frames and others */
	uint64_t reachable, reachable_bytes; /* of the objects, from holders */
	uint64_t copy_ns; /* how long the copying kept the collector from its work */
	bool exact;       /* engine tagged */
};

/* GYRE_INVALID, GYRE_NO_MEMORY. */
GYRE_API enum gyre_status gyre_snapshot_total(struct gyre_snapshot *snapshot,
					      struct gyre_snapshot_totals *totals);

/* The types of which there are objects, in no promised order. */
typedef bool (*gyre_snapshot_type_fn)(void *arg, const char *name, uint64_t objects,
				      uint64_t bytes);
GYRE_API enum gyre_status gyre_snapshot_types(struct gyre_snapshot *snapshot,
					      gyre_snapshot_type_fn visit, void *arg);

/* The node of an object by its address; GYRE_NO_NODE: there was none. */
GYRE_API uint32_t gyre_snapshot_find(const struct gyre_snapshot *snapshot, const void *object);

struct gyre_snapshot_object {
	size_t size;         /* sizeof(struct gyre_snapshot_object), set by the caller */
	const void *address; /* where it was; it may be gone */
	const char *type;    /* these two live as long as the snapshot */
	const char *site;    /* where it was allocated; NULL: not known */
	uint64_t bytes;
	/* References to it as of the boundary, from slots, roots, frames and others; 2^25 - 1
	 * stands for that and more. */
	uint64_t count;
	uint64_t references; /* that it has */
};

/* GYRE_INVALID. */
GYRE_API enum gyre_status gyre_snapshot_object(const struct gyre_snapshot *snapshot, uint32_t node,
					       struct gyre_snapshot_object *object);

/* Node's references, or those to it: index is that of the reference among those of the node that
 * has it. */
typedef bool (*gyre_snapshot_reference_fn)(void *arg, uint32_t node, uint64_t index);
GYRE_API enum gyre_status gyre_snapshot_referents(const struct gyre_snapshot *snapshot,
						  uint32_t node, gyre_snapshot_reference_fn visit,
						  void *arg);
GYRE_API enum gyre_status gyre_snapshot_referrers(struct gyre_snapshot *snapshot, uint32_t node,
						  gyre_snapshot_reference_fn visit, void *arg);

enum gyre_holding {
	GYRE_HELD_BY_ROOT,
	GYRE_HELD_BY_FRAME, /* a keep frame */
	/* It was counted for something else: a thread (which is named) stored it during the
	 * boundary, it waits for its finalizer, a root held it that has been written since, or so
	 * much refers to it that it is not counted any more. */
	GYRE_HELD_BY_OTHER,
};

/* What holds an object beside references of objects. */
struct gyre_snapshot_holder {
	uint32_t node;
	enum gyre_holding by;
	const char *name; /* of the thread, or of the root if it has one; else NULL */
	const struct gyre_root *root; /* where it was; else NULL */
};

/* The holders of node, or all with GYRE_NO_NODE. */
typedef bool (*gyre_snapshot_holder_fn)(void *arg, const struct gyre_snapshot_holder *holder);
GYRE_API enum gyre_status gyre_snapshot_holders(const struct gyre_snapshot *snapshot,
						uint32_t node, gyre_snapshot_holder_fn visit,
						void *arg);

/*
 * Why node is alive: a shortest path to it, which begins with an object that holder holds and ends
 * with node. *length is the room in path, and then the length of the path; 0 if there is none, and
 * node is garbage. GYRE_LIMIT: it is longer than the room, which has its first nodes.
 * GYRE_NO_MEMORY, GYRE_INVALID.
 */
GYRE_API enum gyre_status gyre_snapshot_path(struct gyre_snapshot *snapshot, uint32_t node,
					     uint32_t *path, size_t *length,
					     struct gyre_snapshot_holder *holder);

/*
 * The objects that would be garbage, and are not, if one reference of node were dropped, or if node
 * were gone (GYRE_WHOLE_NODE; itself included), and their bytes. Exact, by a search.
 * GYRE_NO_MEMORY, GYRE_INVALID.
 */
GYRE_API enum gyre_status gyre_snapshot_retained(struct gyre_snapshot *snapshot, uint32_t node,
						 uint64_t index, uint64_t *objects,
						 uint64_t *bytes);

/* What nothing holds: garbage that was not reclaimed yet. */
typedef bool (*gyre_snapshot_node_fn)(void *arg, uint32_t node);
GYRE_API enum gyre_status gyre_snapshot_unreachable(struct gyre_snapshot *snapshot,
						    gyre_snapshot_node_fn visit, void *arg);

/* The strongly connected components of more than one object, or of one that refers to itself; the
 * largest first. */
typedef bool (*gyre_snapshot_cycle_fn)(void *arg, const uint32_t *members, size_t count);
GYRE_API enum gyre_status gyre_snapshot_cycles(struct gyre_snapshot *snapshot,
					       gyre_snapshot_cycle_fn visit, void *arg);

/*
 * All reachable objects, those that retain most bytes first. by: the object that every path from a
 * holder to this one leads through last, or GYRE_NO_NODE. objects and bytes: what would be garbage
 * without node, itself included.
 */
typedef bool (*gyre_snapshot_retainer_fn)(void *arg, uint32_t node, uint32_t by, uint64_t objects,
					  uint64_t bytes);
GYRE_API enum gyre_status gyre_snapshot_retainers(struct gyre_snapshot *snapshot,
						  gyre_snapshot_retainer_fn visit, void *arg);

/* Writes the snapshot as text to a descriptor, in the format of docs/heap.md. GYRE_NO_MEMORY,
 * GYRE_LIMIT (it cannot be written: see errno). */
GYRE_API enum gyre_status gyre_snapshot_write(const struct gyre_snapshot *snapshot, int fd);

/* Takes a snapshot, writes it, and frees it; m is parked all the while. A safe point.
 * GYRE_NO_MEMORY, GYRE_LIMIT (as above), GYRE_PARKED, GYRE_FROZEN, GYRE_INVALID. */
GYRE_API enum gyre_status gyre_dump(struct gyre_mutator *m, int fd);

#endif
