/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weakmode.h: what the files of mode weak share: weak_group.c makes groups of targets and looks at
 * them, weak_notice.c keeps account of callbacks, modes_weak.c has the threads and the count.
 *
 * A group is up to 12 nodes whose links, but for those of the kind LOOSE, never change, and an
 * entry with their weak cells. From links that never change it follows which cells may be null when
 * others are not:
 *
 *	While a thread holds a node, the cells of all that the node reaches are not null.
 *	Once a thread has seen the cell of a node null, it sees those of all null that reach it.
 *
 * Neither depends on when anything is collected, nor on who holds what else. So in a ring all cells
 * are null together, whoever looks. In the kind HUNG a chain hangs on a ring: it may die later than
 * its ring, and never before.
 */
#ifndef WEAKMODE_H
#define WEAKMODE_H

#include "mortal.h"

#define GROUP_MAX 12 /* nodes */

enum group_kind {
	GROUP_CHAIN,   /* 0 to the last, of a type that may be cyclic; or a single one */
	GROUP_ACYCLIC, /* the same, of an acyclic type */
	GROUP_RING,
	GROUP_HUNG,    /* the first half is a ring, the others a chain that hangs on it */
	GROUP_LOOSE,   /* a ring at first, whose links every thread changes */
	GROUP_PRIVATE, /* a ring without an entry: nobody but its nodes may hold its cells */
	GROUP_KINDS
};

/* An entry: the weak cells of a group. Immutable, but that a cell that is missing may come. */
struct weak_entry {
	struct stress_head head;
	uint64_t first; /* identity of the first node; those of the others follow it */
	uint32_t kind;
	size_t length;
	gyre_ref cells[];
};

#define WEAK_HELD 8 /* entries that a worker holds, each maybe with a node */

struct notice;

/* An entry that a worker holds, or only remembers. */
struct weak_hold {
	uint64_t place;        /* in the table */
	struct notice *notice; /* the last that this worker registered for it, or NULL */
	unsigned member;       /* whose cell that is */
	uint32_t nulls;        /* cells that were seen null: they must stay so */
};

struct weak_worker {
	void *entries[WEAK_HELD], *nodes[WEAK_HELD]; /* in a keep frame */
	void *making[GROUP_MAX + 1];                 /* a group and its entry; in a keep frame */
	struct gyre_keep keeps[3];
	struct weak_hold holds[WEAK_HELD];
	uint64_t identity; /* the next one */
	uint64_t loads, nulls, hits, kept, restored, asked;
	uint64_t registered, taken_back, too_late;
};

struct weak {
	const struct gyre_type *node, *acyclic, *entry, *table;
	struct gyre_root roots[3];
	struct mortal_table *entries, *strong, *side; /* as long as the roots are there */
	uint64_t places;
	uint64_t base;                /* objects that are always there */
	struct weak_worker **workers; /* those at work, by index; for the walk */
	struct mortal_pool notices;
	struct mortal_hosts hosts;
	_Atomic(uint64_t) identity; /* the next one of a callback */
	_Atomic(uint64_t) called;   /* callbacks */
	uint64_t told, untold;      /* notices of the dead, by whether they were called */
};

/* ---- weak_group.c ---- */

/* Makes a group of a random kind and puts it into a place of the tables, for what was there. */
void group_make(struct stress_worker *w, uint64_t place);

static inline uint64_t group_of(const struct mortal_node *node)
{
	return node->head.identity - node->place;
}

/* Whether whoever holds node from holds node to by links that never change. */
bool group_reaches(uint32_t kind, size_t length, size_t from, size_t to);

/* What a thread that looks at a group knows. */
struct group_look {
	struct stress_worker *w;
	const struct weak_entry *entry;
	const struct mortal_node *held; /* a node of the group that the thread holds, or NULL */
	uint32_t nulls;                 /* cells seen null; more afterwards */
};

/* Loads all cells of the group and judges the answers. Not a safe point. */
void group_look(struct group_look *look);
/* Judges a node of the group that was reached strongly after the look. */
void group_reached(struct group_look *look, const struct mortal_node *node);
/* Asks for the cell of a node that the thread holds and compares, or enters it. May be a safe
 * point: the caller keeps both. */
void group_ask(struct stress_worker *w, struct weak_entry *entry, struct mortal_node *node);

/* ---- weak_notice.c ---- */

bool notice_begin(struct stress_run *run, struct weak *weak);
/* Registers one to three callbacks for a node that the caller keeps; entry is the node's, or NULL;
 * place is where it lies. Returns the last. */
struct notice *notice_node(struct stress_worker *w, struct mortal_node *node, uint64_t place,
			   bool always);
/* Registers a callback for a cell whose object may be dead. The caller keeps the entry. NULL: it is
 * dead. */
struct notice *notice_cell(struct stress_worker *w, struct weak_entry *entry, unsigned member,
			   uint64_t place);
/* Takes one back; cell is kept by the caller; held: so is its object. May be a safe point. */
void notice_back(struct stress_worker *w, struct notice *notice, struct gyre_weak *cell, bool held);
/* Judges all, at rest and after everything that is garbage was reclaimed. watched: the identities
 * of nodes whose cells are in entries that are reachable. */
void notice_sweep(struct stress_worker *w, const struct mortal_walk *walk,
		  const struct mortal_list *watched);

#endif
