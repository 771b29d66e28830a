/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * manage.h: what a workload may ask of a manager of memory. A workload is compiled once for each
 * manager, with MM_MANAGER naming the header that has the manager's functions, all static inline:
 * what is measured is what a C program would get that was written for it.
 *
 * Three calls say what a manager needs to be told and others know by themselves:
 *   mm_release   the thread's own reference ends (counts: it is given up)
 *   mm_free      the object is dead              (by hand: it is freed)
 *   mm_cut       a cycle is cut by hand          (counts: the slot gives up what it holds)
 * Where a whole loop is needed for one of them it stands under `if (MM_BY_HAND)` or
 * `if (MM_COUNTS)`: both are constants.
 *
 *   MM_NAME          of the manager, shown in tables
 *   MM_BY_HAND       1: the program frees
 *   MM_COUNTS        1: references are counted as they are written
 *   MM_ENDS          1: nothing is reclaimed, so a run ends when a set amount of memory is used
 *   mm_thread        what a thread passes to each call
 *   mm_slot          a reference in an object
 *   MM_HEADER        first member of each object: what the manager adds to it
 *   MM_CELLS         1: a weak cell is an object, and something must hold it
 *   MM_JOURNALS      1: writes are noted in journals, which a collector applies
 *   mm_frame, mm_root, mm_cell      structs of the calls below
 *
 *   bool  mm_open(options)                  main thread, first; false: not to be had, or no memory
 *   bool  mm_know(shape)                    main thread, after mm_open: a type is made known
 *   void  mm_close(void)                    main thread, last
 *   bool  mm_attach(m), void mm_detach(m)   each thread that uses objects; m: mm_thread * and
 *                                           mm_thread
 *   void *mm_new(m, shape)                  slots NULL, the rest undefined; NULL: no memory. The
 *                                           thread has one reference of its own
 *   void *mm_new_array(m, shape, length)    the same with length trailing slots
 *   bool  mm_init(m, slot, object)          slot holds NULL, nobody else sees it yet
 *   bool  mm_store(m, slot, object)         any slot, other threads may read and write it
 *   void *mm_load(m, slot)                  valid until the next safe point
 *   void  mm_safepoint(m), mm_park(m), mm_unpark(m)
 *   void  mm_frame_open(m, frame, values, count), mm_frame_close(m, frame)
 *                                           pointers on the thread's stack, or in memory that it
 *                                           alone writes, which keep what they hold
 *   bool  mm_root_open(m, root, object), void mm_root_close(m, root)
 *                                           what a structure outside the heap holds
 *   void *mm_weak_of(m, object)             a cell that does not hold it
 *   void *mm_weak_load(m, cell)             counts: the thread has one reference more
 *   void  mm_weak_free(m, cell)             nobody needs it any more
 *   void  mm_collect(m)                     all that is dead is reclaimed at the return
 *   bool  mm_settle(m, live)                waits until it is, by what the manager does anyway;
 *                                           live: objects that stay. False: there is no telling
 *   void  mm_mark(void), mm_report(void)    the manager's own figures since the mark are printed
 *   void  mm_measured(void)                 between them: the measured phase and its drain end
 */
#ifndef BENCH_MANAGE_H
#define BENCH_MANAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MM_SHAPES_MAX 16
#define MM_REFS_MAX 8

/* Where the references of an object are. Workloads have them as static constants. */
struct mm_shape {
	uint32_t id; /* its own of each shape of a workload, from 0 */
	const char *name;
	size_t bytes; /* sizeof, a trailing array apart */
	uint32_t refs_count;
	size_t refs[MM_REFS_MAX];  /* offsets of the slots */
	size_t trailing;           /* offset of a trailing array of slots; 0: none */
	size_t length;             /* and of its length, a size_t */
	bool acyclic;              /* never part of a cycle */
};

struct mm_options {
	unsigned threads;
};

/* The compiler takes it that the object is read here. */
static inline void mm_touch(const void *object)
{
	__asm__ volatile("" : : "r"(object) : "memory");
}

#include MM_MANAGER

/* What is done once a run, or once a thread: in the manager's own .c file. */
bool mm_open(const struct mm_options *options);
void mm_close(void);
bool mm_attach(mm_thread *m);
void mm_detach(mm_thread m);
void mm_collect(mm_thread m);
bool mm_settle(mm_thread m, uint64_t live);
void mm_report(void);
void mm_mark(void);
void mm_measured(void);

#ifndef MM_CELLS
#define MM_CELLS 0
#endif
#ifndef MM_JOURNALS
#define MM_JOURNALS 0
#endif

#endif
