/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * oracle.h: the oracle's account of objects, for the calls of sim.h and for oracle_print.c. See
 * oracle.c.
 */
#ifndef GYRE_SIM_ORACLE_H
#define GYRE_SIM_ORACLE_H

#include "core.h"
#include "side.h"

enum sim_object_kind { SIM_NODE, SIM_CELL, SIM_ATTACHMENT };

struct sim_object {
	void *at;
	uint32_t number; /* in the order of birth; a place has several objects after each other */
	bool live;
	enum sim_object_kind kind;
	uint32_t mark;
	gyre_ref *slots;
	size_t count;
	unsigned heap;
	/* Its finalizer has not run since it was last armed: it must run before the object goes. */
	bool owed;
	bool run;   /* its finalizer has run */
	bool again; /* armed while it waits to be finalized: owed once more after that */
	bool leaf;  /* of an acyclic type */
	/* Found dead, as its weak cell is null; until a finalizer that may bring it back begins. */
	bool dead;
	/* Of a weak cell: its object; whether it was read as null, and whether it was cleared. */
	const void *target;
	bool null, cleared;
};

/* A registration of a callback. */
#define SIM_NOTICES 32
struct sim_notice {
	uint64_t id;
	uint32_t cell; /* number */
	unsigned flags, heap;
	bool cleared, taken_back, called;
};

struct sim_object *sim_object_at(const void *at);    /* NULL: there never was one */
const struct sim_object *sim_object_nth(unsigned i); /* NULL: there are not so many */
struct sim_object *sim_object_add(void *at, gyre_ref *slots, size_t count);
struct gyre_root *sim_root(unsigned i);
bool *sim_root_made(unsigned i);
/* What a slot refers to, as an address; 0: nothing. */
uintptr_t sim_value_of(const gyre_ref *slot);
/* A reference that is in no slot, of an object that is there. */
const void *sim_beside(const struct sim_object *object, enum gyre__side_kind kind);
/* What a keep frame holds at index i. */
const void *sim_kept(const struct gyre_keep *keep, size_t i);

/* A number that stands for the calling thread's heap: objects, roots, and what they refer to. */
uint64_t sim_graph(void);
/* The numbers of the objects of the calling thread's heap that are there and that nothing
 * reaches; spared: but for what an object reaches that is still to be finalized. */
unsigned sim_garbage(uint32_t *numbers, unsigned most, bool spared);

/* A weak load has just given value. */
void sim_weak_loaded(const void *cell, const void *value);
/* Loads that brought back what nothing else reached, so far. */
uint64_t sim_revivals(void);
/* Whether an object waits in a batch to be finalized. */
bool sim_waits(const void *object);
/* The finalizer of an object begins, on a mutator that runs a batch. */
void sim_finalizer_begins(const struct gyre_mutator *m, void *object);
/* The heap is being closed: what lives is finalized, too. */
void sim_closing(bool on);
/* A new registration; fails the schedule if there are too many. */
struct sim_notice *sim_notice_add(const void *cell, unsigned flags);
struct sim_notice *sim_notice_at(unsigned i);
/* Fails the schedule if a callback that is owed was not called. */
void sim_notices_check(void);

#endif
