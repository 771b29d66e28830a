/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * finmode.h: what the files of mode finalizers share: finalizers_member.c makes members and has
 * their finalizer, modes_finalizers.c the threads and the count.
 *
 * Each object with a finalizer has a record outside the heap: how often it is to run in all, and
 * how often it has. Who wants another run claims it in the record first, and only for a finalizer
 * that has begun its last one, so that the claim means something.
 */
#ifndef FINMODE_H
#define FINMODE_H

#include "mortal.h"

/* What a finalizer does, as bits of a node's deeds. */
enum deed {
	DEED_BREAK = 1,     /* cuts its own links */
	DEED_RISE = 2,      /* stores itself where it is reached, while it has lives */
	DEED_REARM = 4,     /* and is to run again, while it has lives */
	DEED_ALLOCATE = 8,  /* makes nodes, and keeps one in a link of its own */
	DEED_MAKE = 16,     /* makes a node with a finalizer that is garbage at once */
	DEED_CELL = 32,     /* takes a new weak cell of itself */
	DEED_NAP = 64,      /* parks, sometimes */
	DEED_COLLECT = 128, /* collects, seldom */
	DEED_NEXT = 256,    /* runs another batch within its own */
	DEED_WAIT = 512,    /* asks for what would never end */
	DEED_ALL = 1023,
	DEED_QUIET = DEED_MAKE | DEED_CELL | DEED_NAP | DEED_COLLECT | DEED_NEXT | DEED_WAIT,
};

struct mortal_record {
	_Atomic(uint64_t) identity;  /* of its node; 0: the record is free */
	struct mortal_record *owner; /* the finalizer that must have run before; or NULL */
	uint64_t owner_identity;     /* of that record, as it was then */
	_Atomic(uint32_t) armed, runs;
	_Atomic(uint32_t) lives; /* how often it may still rise or be armed by itself */
};

struct fin_counts {
	_Atomic(uint64_t) runs, risen, rearmed, made, napped, collected, nested, celled;
};

#define FIN_HELD 8
#define FIN_CELLS 64
#define FIN_RING_MAX 30
#define FIN_CHAIN_MAX 6
#define FIN_MAKING (FIN_RING_MAX + FIN_CHAIN_MAX)

struct fin_worker {
	void *held[FIN_HELD];     /* members, in a keep frame */
	void *cells[FIN_CELLS];   /* weak cells, in a keep frame */
	void *making[FIN_MAKING]; /* in a keep frame */
	struct gyre_keep keeps[3];
	uint64_t targets[FIN_CELLS]; /* identities of what the cells led to */
	bool nulls[FIN_CELLS];       /* cells that were null */
	uint64_t identity;           /* the next one */
	uint64_t loads, load_nulls, ran;
};

struct fin {
	const struct gyre_type *plain, *plain_acyclic, *final, *final_acyclic, *table_type;
	struct gyre_root roots[2];
	struct mortal_table *table, *risen; /* as long as the roots are there */
	uint64_t places, base;
	struct fin_worker **workers;
	struct mortal_pool records;
	struct mortal_hosts hosts;
	struct fin_counts counts;
	_Atomic(uint64_t) identity; /* the next one of a finalizer */
};

/* A figure. */
static inline void fin_count(_Atomic(uint64_t) *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed); /* orders nothing */
}

/* ---- finalizers_member.c ---- */

/* Registers the types; false: the run has failed. */
bool member_types(struct stress_run *run, struct fin *fin);

/* A member: plain, or with a finalizer that does some of these deeds, if there is a record for it
 * and chance wants it. NULL: the run was stopped. */
struct mortal_node *member_make(struct stress_worker *w, bool acyclic, uint32_t deeds,
				uint64_t identity);
/* owned is reached only through owner, and nothing that it reaches leads back. */
void member_owns(const struct mortal_node *owner, struct mortal_node *owned);
/* Has the finalizer run once more, if it has begun its last run. The caller keeps the node. */
void member_rearm(struct stress_worker *w, struct mortal_node *node);
/* Calls that must change nothing, for a node that nobody else has seen. */
void member_rearm_idle(struct stress_worker *w, struct mortal_node *node);
/* Judges all records, at rest and settled. */
void member_sweep(struct stress_worker *w, const struct mortal_walk *walk);

#endif
