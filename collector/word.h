/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * word.h: the collector word, one for each cell, in the side table of its slab. Collector thread
 * only (the verifier runs on it too), so these are plain words.
 *
 * A word is 0 when its cell is not in use, and counts may be added to it before the birth is known:
 * an increment by a thread that is an epoch behind may come first. Two counts and the flags:
 *
 *   TRACE   the trial that is going on: nothing, GRAY (visited), RED (member of the set in
 *           hand), or NEWBORN: its birth still counts 1, so no trial could find it dead and none
 *           looks at it. What the published algorithm calls white is what is still GRAY after
 *           the scan.
 *   PURPLE  a candidate: decremented to a count above 0 since it was last proven live. In a list
 *           of young candidates if IN_YOUNG, otherwise left to the far pass, which finds it by
 *           this bit.
 *   IN_TRACE  in the list of a far pass.    IN_SET  in a candidate set.
 *   ORANGE  in a set and not touched since the set was prepared: what the delta test asks for.
 *   RELEASED  count 0, its references are or will be given up; freed by the last list that it is
 *           in.
 *   STUCK   its count overflowed: never counted nor traced again.
 *   BORN    in use. Set when its birth is processed; in the engine tagged only if something
 *           counted reaches it then.
 *   PROVEN  found live by a trial, once in its life. Trials of what was never proven do not look at
 *           it, which bounds what they cost.
 *   PENDING a newborn that is reached, and whose slots are still to be counted (engine tagged).
 *   FINALIZED  its finalizer has run, or waits to.
 *   IN_ZEROS   in the list of those that count 0 and have a weak cell, or a finalizer to run.
 *   EXEMPT     never a candidate nor traced, as if it were held from outside; counted as ever.
 *
 * A released object that waits for its references to be given up keeps the link of that list where
 * its counts were, so a list of any length dies without memory. Addresses of up to 52 bits fit;
 * Linux gives none beyond 52 to who does not ask for it.
 */
#ifndef GYRE_WORD_H
#define GYRE_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include "slab.h"
#include "twin.h"

#define GYRE_TRACE ((uint64_t)3)
#define GYRE_GRAY ((uint64_t)1)
#define GYRE_RED ((uint64_t)2)
#define GYRE_NEWBORN_TRACE ((uint64_t)3)
#define GYRE_PURPLE ((uint64_t)1 << 2)
#define GYRE_IN_YOUNG ((uint64_t)1 << 3)
#define GYRE_IN_TRACE ((uint64_t)1 << 4)
#define GYRE_IN_SET ((uint64_t)1 << 5)
#define GYRE_ORANGE ((uint64_t)1 << 6)
#define GYRE_RELEASED ((uint64_t)1 << 7)
#define GYRE_STUCK ((uint64_t)1 << 8)
#define GYRE_BORN ((uint64_t)1 << 9)
#define GYRE_PROVEN ((uint64_t)1 << 10)
#define GYRE_PENDING ((uint64_t)1 << 11)

#define GYRE_FINALIZED ((uint64_t)1 << 12)
#define GYRE_IN_ZEROS ((uint64_t)1 << 13)
#define GYRE_EXEMPT ((uint64_t)1 << 14)

#define GYRE_FLAGS_BITS 15
#define GYRE_FLAGS (((uint64_t)1 << GYRE_FLAGS_BITS) - 1)
#define GYRE_COUNT_BITS 24
#define GYRE_COUNT_MASK (((uint64_t)1 << GYRE_COUNT_BITS) - 1)
/* Where a count sticks: earlier in simulation, so that a thousand references do it. */
#define GYRE_COUNT_MAX GYRE_IF_SIM((uint64_t)1023, GYRE_COUNT_MASK)
#define GYRE_RC_SHIFT GYRE_FLAGS_BITS
#define GYRE_CRC_SHIFT (GYRE_RC_SHIFT + GYRE_COUNT_BITS)
#define GYRE_RC_ONE ((uint64_t)1 << GYRE_RC_SHIFT)
#define GYRE_CRC_ONE ((uint64_t)1 << GYRE_CRC_SHIFT)

_Static_assert(GYRE_CRC_SHIFT + GYRE_COUNT_BITS <= 64, "two counts and the flags fit the word");

/* Lists that hold a pointer to the object: while one does, the cell is not freed. */
#define GYRE_LISTED (GYRE_IN_YOUNG | GYRE_IN_TRACE | GYRE_IN_SET | GYRE_IN_ZEROS)

static inline uint64_t gyre__rc(uint64_t word)
{
	return word >> GYRE_RC_SHIFT & GYRE_COUNT_MASK;
}

static inline uint64_t gyre__crc(uint64_t word)
{
	return word >> GYRE_CRC_SHIFT;
}

/* The trial count starts as the count. */
static inline uint64_t gyre__crc_from_rc(uint64_t word)
{
	uint64_t low = ((uint64_t)1 << GYRE_CRC_SHIFT) - 1;

	return (word & low) | gyre__rc(word) << GYRE_CRC_SHIFT;
}

static inline bool gyre__is_gray(uint64_t word)
{
	return (word & GYRE_TRACE) == GYRE_GRAY;
}

static inline bool gyre__is_red(uint64_t word)
{
	return (word & GYRE_TRACE) == GYRE_RED;
}

static inline bool gyre__is_newborn(uint64_t word)
{
	return (word & GYRE_TRACE) == GYRE_NEWBORN_TRACE;
}

/*
 * Whether trial deletion may look into an object. Not before its birth is over, not when it is
 * dead, stuck, judged already or exempt; and never an acyclic one. What is left out counts as an
 * outside reference, which errs towards life.
 */
static inline bool gyre__traceable(uint64_t word, const struct gyre__locator *locator)
{
	return (word & (GYRE_BORN | GYRE_RELEASED | GYRE_STUCK | GYRE_IN_SET | GYRE_EXEMPT)) ==
		       GYRE_BORN &&
	       !gyre__is_newborn(word) && gyre__rc(word) != 0 && !locator->acyclic;
}

/* The link of the list of released objects. */
static inline uint64_t gyre__with_link(uint64_t word, const void *next)
{
	return (word & GYRE_FLAGS) | (uint64_t)(uintptr_t)next >> 3 << GYRE_FLAGS_BITS;
}

static inline void *gyre__link(uint64_t word)
{
	return (void *)(uintptr_t)(word >> GYRE_FLAGS_BITS << 3);
}

#endif
