/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * yield.h: the points that the deterministic simulation needs to be told of. Any thread.
 *
 * The simulation finds every atomic access and every wait by itself. What is left are hand-overs
 * that are no atomic access of ours, and what no call tells: the instant at which an object ceases
 * to exist, that at which its weak cell has been cleared, and objects that gyre makes by itself. In
 * any other build all these macros are empty and look at nothing.
 */
#ifndef GYRE_PLATFORM_YIELD_H
#define GYRE_PLATFORM_YIELD_H

#ifdef GYRE_SIM
/* Another thread may go on here; name says at what, address on which object. */
#define GYRE_YIELD(name, address) GYRE_SIM_POINT(name, address)
/* The cell of object is free from here on. */
#define GYRE_FREEING(object) gyre__sim_freeing(object)
#define GYRE_FREEING_MATTERS 1
/* made has just been made for owner; it has so many slots at its front. */
#define GYRE_MADE(made, slots, owner) gyre__sim_made(made, slots, owner)
/* The weak cell of object is null, and no load gives the object any more. */
#define GYRE_CLEARED_CELL(object, cell) gyre__sim_cleared(object, cell)
#else
#define GYRE_YIELD(name, address) ((void)0)
#define GYRE_FREEING(object) ((void)0)
#define GYRE_FREEING_MATTERS 0
#define GYRE_MADE(made, slots, owner) ((void)0)
#define GYRE_CLEARED_CELL(object, cell) ((void)0)
#endif

#endif
