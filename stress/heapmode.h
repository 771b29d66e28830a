/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heapmode.h: what the files of mode heap share.
 *
 * The mode works on two sorts of graphs. An island is a graph that one thread owns, with an exact
 * shadow: nothing outside it refers into it and it refers to nothing outside. Islands are copies of
 * the file's graph or pieces of it; they are cut, grown, split, grafted and handed from thread to
 * thread. The shared copy is one graph that all threads change at once; who reaches what is known
 * only when all are at rest, by reading it.
 *
 * heap_types.c makes gyre's types from the file's, heap_island.c keeps islands and their shadows,
 * heap_step.c changes islands, heap_move.c moves them, heap_shared.c does the shared copy,
 * modes_heap.c runs it all.
 */
#ifndef STRESS_HEAPMODE_H
#define STRESS_HEAPMODE_H

#include "heapfile.h"
#include "stress.h"

/* Every object of the mode. The length of the trailing array is written by gyre at birth. */
struct node {
	struct stress_head head;
	size_t length;
};

enum shape {
	SHAPE_BYTES,  /* no slots: acyclic by layout */
	SHAPE_LEAFY,  /* slots that refer to objects of bytes only: acyclic by declaration */
	SHAPE_LAYOUT, /* slots declared by layout */
	SHAPE_TRACED, /* slots named by a trace callback */
};

/* What the objects of one type look like: a node, and length elements of stride bytes. An
 * element of a shape with slots begins with one. */
struct kind {
	const struct gyre_type *type;
	enum shape shape;
	size_t stride;
};

#define FILE_KINDS_MAX 60000 /* a heap has 65,535 types; files with more share them */

/*
 * An identity says who made the object (12 bits), the how many-th of that maker it is (36 bits),
 * and its kind (16 bits).
 */
#define IDENTITY_KIND_BITS 16
#define IDENTITY_SERIAL_BITS 36

static inline size_t identity_kind(uint64_t identity)
{
	return (size_t)(identity & ((1U << IDENTITY_KIND_BITS) - 1));
}

#define NODES_MAX (UINT32_MAX - 1) /* of an island: nodes are numbered in 32 bits */

/*
 * A graph and its shadow. Node n of the shadow stands for object[n]; its slots are slot[first[n]]
 * to slot[first[n + 1] - 1], each the number of the referent plus 1, or 0. Nodes that are not
 * reachable any more stay in the shadow, and nobody looks at their objects.
 */
struct island {
	uint32_t nodes;
	size_t nodes_room, slots_room;
	struct node **object;
	uint64_t *identity;
	size_t *first;
	uint32_t *slot;
	uint32_t *mark; /* the stamp of the last search that reached the node */
	uint32_t stamp;

	size_t roots;        /* made so far */
	struct gyre_root *root;
	uint32_t *root_node; /* like slot */
	gyre_ref *held; /* not NULL: the island is under way, and this slot is its only root */
};

#define INBOX_ENTRIES 4
#define ISLANDS_MAX 24 /* of one thread, copies included */

/* Where other threads leave islands for one. lock is only ever tried, never waited for. */
struct inbox {
	pthread_mutex_t lock;
	struct island *island[INBOX_ENTRIES];  /* or NULL */
	struct gyre_root root[INBOX_ENTRIES];  /* the island's root when island->held is set */
};

/* The mode; run->shared. What is not under a lock or a slot is fixed before the workers start. */
struct heap_mode {
	struct heapfile file;
	struct kind *kinds; /* those of the file, and two more: */
	size_t file_kinds, spliced, table, kinds_count;
	size_t copies, steps, piece;
	struct gyre_root *root; /* of the shared copy */
	size_t roots;
	struct inbox *inbox; /* one for each worker */
	struct hand *hands;  /* one for each worker, and the main thread's */
};

/* What a thread has in hand; w->own. */
struct hand {
	struct stress_worker *w;
	struct heap_mode *mode;
	uint64_t serial;  /* objects made */
	uint32_t *local;  /* of each object of the file: its node plus 1 while it is built */
	uint32_t *list;   /* objects of the file for the piece being built */
	uint32_t *work;   /* the work list of a search */
	size_t work_room;
	struct island *island[ISLANDS_MAX];
	size_t islands;
};

/* How a slot is written. */
enum how { HOW_STORE, HOW_EXCLUSIVE, HOW_EXCHANGE, HOW_COMPARE, HOW_COUNT, HOW_INIT };

/* ---- heap_types.c ---- */

/* Registers a type for each of the file's and the two more. false: the run has failed or is
 * refused. */
bool heap_types(struct stress_run *run, struct heap_mode *mode);

/* Slot k of an object of this kind. */
static inline gyre_ref *node_slot(const struct kind *kind, const struct node *object, size_t k)
{
	return (gyre_ref *)(void *)((char *)(uintptr_t)object + sizeof(*object) + k * kind->stride);
}

/* Whether a slot of an object of kind a may refer to one of kind b. */
static inline bool may_refer(const struct heap_mode *mode, size_t a, size_t b)
{
	return mode->kinds[a].shape != SHAPE_LEAFY || mode->kinds[b].shape == SHAPE_BYTES;
}

/* A new object of the file's object's kind and size. May be a safe point; NULL: the run must
 * end. */
struct node *node_new_like(struct hand *hand, size_t file_object);
/* A new object with length elements. May be a safe point; NULL: the run must end. */
struct node *node_new(struct hand *hand, size_t kind, size_t length);

/* Writes slot of holder; may be a safe point, at which both are kept. false: the run has failed. */
bool node_put(struct hand *hand, const struct node *holder, gyre_ref *slot,
	      const struct node *value, enum how how);
enum how how_any(struct stress_rng *rng);

/* ---- heap_island.c ---- */

/* A copy of count objects of the file and the edges between them, with a root for each of the first
 * roots numbers of root (objects of the file in the list). NULL: the run must end. */
struct island *island_build(struct hand *hand, const uint32_t *list, size_t count,
			    const size_t *root, size_t roots);
/* The whole file; and a piece of it with one root. */
struct island *island_copy(struct hand *hand);
struct island *island_piece(struct hand *hand);
/* An island without nodes, with room for roots roots. NULL: no memory. */
struct island *island_make(size_t roots);
/* Drops the roots and frees the shadow. */
void island_drop(struct hand *hand, struct island *island);
/* Adds an object to the shadow, all slots NULL; its number plus 1, or 0 without memory. */
uint32_t island_add(struct hand *hand, struct island *island, struct node *object);

static inline size_t island_length(const struct island *island, uint32_t n)
{
	return island->first[n + 1] - island->first[n];
}

static inline gyre_ref *island_root_slot(struct island *island, size_t r)
{
	return island->held != NULL ? island->held : &island->root[r].slot;
}

/*
 * Marks what the shadow's roots reach and returns how much that is. look: also visits every object
 * reached, compares each of its slots with the shadow, and passes safe points.
 */
uint64_t island_reach(struct hand *hand, struct island *island, bool look);
/* Walks from a root through the heap, comparing with the shadow; a reachable node plus 1, or 0. */
uint32_t island_walk(struct hand *hand, struct island *island);
/* Writes slot k of node n, in heap and shadow; t: as in the shadow. May be a safe point. */
bool island_set(struct hand *hand, struct island *island, uint32_t n, size_t k, uint32_t t,
		enum how how);
/* A slot of node n, not NULL if one is found soon. */
size_t island_slot(struct hand *hand, const struct island *island, uint32_t n, bool full);

/* ---- heap_step.c, heap_move.c, heap_shared.c ---- */

/* One change of a random island; or of who owns it; or of the shared copy. May be safe points. */
void heap_step(struct hand *hand);
void heap_move(struct hand *hand);
void heap_shared_step(struct hand *hand);

/* Makes the shared copy. Main thread. */
bool heap_shared_make(struct hand *hand);
/* Drops the shared copy and what lies in inboxes. Main thread, when no worker runs. */
void heap_shared_drop(struct hand *hand);
/* As run->shared_count: the shared copy, and the islands under way. */
uint64_t heap_shared_count(struct stress_worker *w);
/* Makes an island part of the shared copy and frees its shadow. false: nothing was done. */
bool heap_shared_donate(struct hand *hand, struct island *island);

#endif
