/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * oracle.h: the oracle's account of objects, for the calls of sim.h. See oracle.c.
 */
#ifndef GYRE_SIM_ORACLE_H
#define GYRE_SIM_ORACLE_H

#include "core.h"

struct sim_object {
	void *at;
	uint32_t number; /* in the order of birth; a place has several objects after each other */
	bool live;
	uint32_t mark;
	gyre_ref *slots;
	size_t count;
	unsigned heap;
};

struct sim_object *sim_object_at(const void *at); /* NULL: there never was one */
struct sim_object *sim_object_add(void *at, gyre_ref *slots, size_t count);
struct gyre_root *sim_root(unsigned i);
bool *sim_root_made(unsigned i);
/* What a keep frame holds at index i. */
const void *sim_kept(const struct gyre_keep *keep, size_t i);

/* A number that stands for the calling thread's heap: objects, roots, and what they refer to. */
uint64_t sim_graph(void);
/* The numbers of the objects of the calling thread's heap that are there and that nothing
 * reaches. */
unsigned sim_garbage(uint32_t *numbers, unsigned most);

#endif
