/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.h: what the two engines do differently, as a table of functions. A heap has one engine for
 * life; the functions of a mutator's half run on its thread (or on the collector's, for a mutator
 * that it has claimed), those of the collector's half on the collector thread.
 *
 * Phases. A boundary takes one or more handshakes with every mutator. The heap's phase word counts
 * the handshakes that were asked for, a mutator's those that it has done: with n handshakes a
 * boundary, phase k * n + s is the s-th handshake of the boundary that ends epoch k, and phase
 * k * n the rest of epoch k, when all its handshakes are over. No handshake is asked for before all
 * mutators have done the one before.
 *
 * Invariant: an engine's half here never looks into an object but at the slot that it writes.
 */
#ifndef GYRE_ENGINE_H
#define GYRE_ENGINE_H

#include <gyre/slot.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gyre__chunk;
struct gyre__collector;
struct gyre_mutator;

struct gyre__engine {
	const char *name;
	uint32_t handshakes; /* of a boundary */
	uintptr_t outside;   /* tag of slots that are in no object, those of roots */

	/* Writes, with the meaning of the calls in gyre/slot.h; arguments were checked. */
	enum gyre_status (*exchange)(struct gyre_mutator *m, gyre_ref *slot, uintptr_t value,
				     uintptr_t *old);
	enum gyre_status (*put)(struct gyre_mutator *m, gyre_ref *slot, uintptr_t value);
	enum gyre_status (*compare_exchange)(struct gyre_mutator *m, gyre_ref *slot,
					     uintptr_t *expected, uintptr_t value);
	/* Counts object over the next boundary, as if a frame held it; room was reserved. */
	void (*count_once)(struct gyre_mutator *m, const void *object);
	/* Loads of weak cells are noted in the cell: the delta test needs to know of them. */
	bool logs_loads;
	/* Spare chunks that so many writes may take. */
	size_t (*needs)(const struct gyre_mutator *m, size_t writes);

	/* Puts m into the state that it has after the handshake of phase, when it has nothing to
	 * hand in: it attaches, or has not run since its last snapshot. */
	void (*enter)(struct gyre_mutator *m, uint64_t phase);
	/* Does the handshake of phase. False without memory: m is as it was. */
	bool (*handshake)(struct gyre_mutator *m, uint64_t phase);

	/* Brings the counts to the end of the epoch that the last boundary ended, from what
	 * mutators handed in. */
	void (*apply)(struct gyre__collector *c);
	/* Writes of a slot in an epoch are journalled once: a longer epoch has fewer entries. */
	bool coalesces;
	/* An object whose birth was not counted is about to be counted up; word is its collector
	 * word. */
	void (*meet)(struct gyre__collector *c, void *object, const uint64_t *word);
	/* Sets are judged in the epoch in which they were found, or after the next boundary. */
	bool judges_at_once;
};

extern const struct gyre__engine gyre__recycler, gyre__tagged;

/* The mutator's half of recycler (recycler.c) and of tagged (tagged.c). */
enum gyre_status gyre__recycler_exchange(struct gyre_mutator *m, gyre_ref *slot, uintptr_t value,
					 uintptr_t *old);
enum gyre_status gyre__recycler_put(struct gyre_mutator *m, gyre_ref *slot, uintptr_t value);
enum gyre_status gyre__recycler_compare_exchange(struct gyre_mutator *m, gyre_ref *slot,
						 uintptr_t *expected, uintptr_t value);
void gyre__recycler_count_once(struct gyre_mutator *m, const void *object);
size_t gyre__recycler_needs(const struct gyre_mutator *m, size_t writes);
void gyre__recycler_enter(struct gyre_mutator *m, uint64_t phase);
bool gyre__recycler_handshake(struct gyre_mutator *m, uint64_t phase);

enum gyre_status gyre__tagged_exchange(struct gyre_mutator *m, gyre_ref *slot, uintptr_t value,
				       uintptr_t *old);
enum gyre_status gyre__tagged_put(struct gyre_mutator *m, gyre_ref *slot, uintptr_t value);
enum gyre_status gyre__tagged_compare_exchange(struct gyre_mutator *m, gyre_ref *slot,
					       uintptr_t *expected, uintptr_t value);
void gyre__tagged_count_once(struct gyre_mutator *m, const void *object);
size_t gyre__tagged_needs(const struct gyre_mutator *m, size_t writes);
void gyre__tagged_enter(struct gyre_mutator *m, uint64_t phase);
bool gyre__tagged_handshake(struct gyre_mutator *m, uint64_t phase);

#endif
