/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mutator.h: threads that use a heap, what they keep alive, and where they can be interrupted.
 *
 * Between two safe points of a thread, every object that it has loaded or made stays valid. Across
 * a safe point only what a keep frame, a root or a slot of a live object holds stays valid. The
 * safe points are listed in gyre.h, rule 4; allocation is none.
 */
#ifndef GYRE_MUTATOR_H
#define GYRE_MUTATOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gyre/slot.h>
#include <gyre/status.h>
#include <gyre/type.h>

enum gyre_attach_flags {
	/*
	 * The host registers this thread with liburcu's QSBR flavour by itself. gyre then never
	 * registers it and never announces a quiescent state for it: the host must do so (or be
	 * offline) as its own use of QSBR asks for, or boundaries wait for it. A thread that is
	 * registered already is treated so without the flag, too.
	 */
	GYRE_ATTACH_QSBR = 1,
};

/*
 * Attaches the calling thread to the heap; it must detach before it ends. One thread may be
 * attached to several heaps; it must then be parked in the others while it is in a call that waits
 * for the collector (gyre_collect, gyre_verify, gyre_snapshot_take, gyre_census and the like), as
 * threads that wait in one heap each for the other's boundary would wait for ever.
 * GYRE_ATTACHED: it is attached to this heap already. GYRE_NO_MEMORY, GYRE_INVALID, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_attach(struct gyre_heap *heap, unsigned flags,
				      struct gyre_mutator **m);

/*
 * Detaches the calling thread; a safe point; m is gone afterwards. Also legal from a destructor of
 * thread-specific data. GYRE_BUSY: keep frames are open, or a finalizer or a visitor
 * calls it. GYRE_INVALID, GYRE_FROZEN. A thread that
 * ends while attached is noticed: the log names it, its frames are dropped and its journal is taken
 * over. (It must not end while parked with frames open: until gyre notices, the collector may look
 * into them.)
 */
GYRE_API enum gyre_status gyre_detach(struct gyre_mutator *m);

/* The heap of a mutator. Any thread; not a safe point. */
GYRE_API struct gyre_heap *gyre_mutator_heap(const struct gyre_mutator *m);

/* Names the calling thread's mutator in logs (copied, cut at 31 bytes). Default: the thread's
 * name. Takes a lock; not a safe point. */
GYRE_API void gyre_mutator_name(struct gyre_mutator *m, const char *name);

/*
 * A new object, its slots NULL and all other bytes zero, or NULL (the heap is at its limit, the
 * system has no memory, or the heap is frozen). Not a safe point. type must have no trailing
 * array, or gets it with length 0.
 */
static inline void *gyre_new(struct gyre_mutator *m, const struct gyre_type *type);

/* A new object with a trailing array of length elements. NULL also if the size overflows. */
GYRE_API void *gyre_new_array(struct gyre_mutator *m, const struct gyre_type *type, size_t length);

/* Cells that are ready for objects of one type, up to limit. Not for the user. */
struct gyre_bump {
	char *cursor, *limit;
};

/* gyre_new when no cell is ready. Not for C. */
GYRE_API void *gyre_new_slow(struct gyre_mutator *m, const struct gyre_type *type);

static inline void *gyre_new(struct gyre_mutator *m, const struct gyre_type *type)
{
	struct gyre_mutator_head *head = (struct gyre_mutator_head *)m;
	const struct gyre_type_head *shape = (const struct gyre_type_head *)type;

	if (__builtin_expect(shape->id < head->bumps_count, 1)) {
		struct gyre_bump *bump = &head->bumps[shape->id];
		char *object = bump->cursor;

		if (__builtin_expect(object != bump->limit, 1)) {
			bump->cursor = object + shape->cell_bytes;
			return object;
		}
	}
	return gyre_new_slow(m, type);
}

/* gyre_safepoint without its inline part; may take its place at any time. For other languages. */
GYRE_API void gyre_safepoint_slow(struct gyre_mutator *m);

/*
 * A safe point: one load and a predicted branch when there is nothing to do. With something to do
 * it costs the frames of this thread and a few words more, and under back-pressure a delay of at
 * most the option delay_ns.
 */
static inline void gyre_safepoint(struct gyre_mutator *m)
{
	struct gyre_mutator_head *head = (struct gyre_mutator_head *)m;

	/* Relaxed: a stale 0 is only a later safe point; the slow path orders itself. */
	if (__builtin_expect(atomic_load_explicit(&head->poll, memory_order_relaxed) != 0, 0))
		gyre_safepoint_slow(m);
}

/*
 * Round anything that may block: between park and unpark the thread uses nothing of the heap (no
 * load, no store, no allocation), and boundaries do not wait for it. Both are safe points. What its
 * keep frames hold stays alive. GYRE_PARKED: parked already; GYRE_INVALID: not parked.
 */
GYRE_API enum gyre_status gyre_park(struct gyre_mutator *m);
GYRE_API enum gyre_status gyre_unpark(struct gyre_mutator *m);

/*
 * Keep frames. GYRE_KEEP(m, a, b) keeps the objects that the pointer variables a and b refer to, as
 * they are at each safe point, until the block is left; up to 16 variables. The variables must be
 * initialised (NULL will do) and must outlive nothing but the block.
 */
struct gyre_keep {
	struct gyre_keep *outer;
	const void *const *addresses; /* of pointer variables; or NULL, and then */
	const void *const *values;    /* an array of pointers */
	size_t count;
	struct gyre_mutator *m;
};

/* The explicit form, for languages without the attribute. The frames of a thread close in the
 * reverse order of opening. Neither is a safe point. */
GYRE_API void gyre_keep_open(struct gyre_mutator *m, struct gyre_keep *keep, void *const *values,
			     size_t count);
GYRE_API void gyre_keep_close(struct gyre_keep *keep);

/* What GYRE_KEEP calls: opens the frame. Not for the user. */
GYRE_API struct gyre_keep *gyre_keep_enter(struct gyre_mutator *m, struct gyre_keep *keep);

#define GYRE_KEEP(m, ...)                                                                          \
	const void *const GYRE_CAT_(gyre_keep_of_, __LINE__)[] = { GYRE_ADDRS_(__VA_ARGS__) };     \
	__attribute__((cleanup(gyre_keep_close))) struct gyre_keep GYRE_CAT_(                      \
		gyre_keep_, __LINE__) = { .addresses = GYRE_CAT_(gyre_keep_of_, __LINE__),         \
					  .count = sizeof(GYRE_CAT_(gyre_keep_of_, __LINE__)) /    \
						   sizeof(void *) };                               \
	__attribute__((unused)) struct gyre_keep *const GYRE_CAT_(gyre_keep_at_, __LINE__) =       \
		gyre_keep_enter(m, &GYRE_CAT_(gyre_keep_, __LINE__))

#define GYRE_CAT_(a, b) GYRE_CAT2_(a, b)
#define GYRE_CAT2_(a, b) a##b
#define GYRE_ADDRS_(...)                                                                           \
	GYRE_ADDRS_PICK_(__VA_ARGS__, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1)       \
	(__VA_ARGS__)
#define GYRE_ADDRS_PICK_(a, b, c, d, e, f, g, h, i, j, k, l, m_, n, o, p, N, ...) GYRE_ADDRS_##N##_
#define GYRE_ADDRS_1_(a) &(a)
#define GYRE_ADDRS_2_(a, ...) &(a), GYRE_ADDRS_1_(__VA_ARGS__)
#define GYRE_ADDRS_3_(a, ...) &(a), GYRE_ADDRS_2_(__VA_ARGS__)
#define GYRE_ADDRS_4_(a, ...) &(a), GYRE_ADDRS_3_(__VA_ARGS__)
#define GYRE_ADDRS_5_(a, ...) &(a), GYRE_ADDRS_4_(__VA_ARGS__)
#define GYRE_ADDRS_6_(a, ...) &(a), GYRE_ADDRS_5_(__VA_ARGS__)
#define GYRE_ADDRS_7_(a, ...) &(a), GYRE_ADDRS_6_(__VA_ARGS__)
#define GYRE_ADDRS_8_(a, ...) &(a), GYRE_ADDRS_7_(__VA_ARGS__)
#define GYRE_ADDRS_9_(a, ...) &(a), GYRE_ADDRS_8_(__VA_ARGS__)
#define GYRE_ADDRS_10_(a, ...) &(a), GYRE_ADDRS_9_(__VA_ARGS__)
#define GYRE_ADDRS_11_(a, ...) &(a), GYRE_ADDRS_10_(__VA_ARGS__)
#define GYRE_ADDRS_12_(a, ...) &(a), GYRE_ADDRS_11_(__VA_ARGS__)
#define GYRE_ADDRS_13_(a, ...) &(a), GYRE_ADDRS_12_(__VA_ARGS__)
#define GYRE_ADDRS_14_(a, ...) &(a), GYRE_ADDRS_13_(__VA_ARGS__)
#define GYRE_ADDRS_15_(a, ...) &(a), GYRE_ADDRS_14_(__VA_ARGS__)
#define GYRE_ADDRS_16_(a, ...) &(a), GYRE_ADDRS_15_(__VA_ARGS__)

/*
 * Roots: slots outside the heap, for C structures that refer to objects. A root lies where the user
 * puts it and must not move or vanish between gyre_root_init and gyre_root_drop. Its slot is read
 * with gyre_load(&root->slot) and written with the calls of slot.h. Any attached thread, each with
 * its own m; two threads may use different roots, and the slot of one root, at once. Not safe
 * points.
 */
struct gyre_root {
	gyre_ref slot;
	struct gyre_root *next, *previous; /* the heap's list of roots */
	struct gyre_heap *heap;
};

/* Makes a root that holds object (or NULL). GYRE_NO_MEMORY, GYRE_JOURNAL_FULL, GYRE_FROZEN: no
 * root. */
GYRE_API enum gyre_status gyre_root_init(struct gyre_mutator *m, struct gyre_root *root,
					 const void *object);

/* Drops what the root holds and ends it. On an error the root is unchanged. */
GYRE_API enum gyre_status gyre_root_drop(struct gyre_mutator *m, struct gyre_root *root);

/* Ends from and makes to a root that holds the same: for a structure that is moved. The caller
 * keeps other threads off from during the call. */
GYRE_API enum gyre_status gyre_root_move(struct gyre_mutator *m, struct gyre_root *to,
					 struct gyre_root *from);

/*
 * Names a root for snapshots (copied, cut at 31 bytes), or takes its name away (NULL). Any attached
 * thread; not a safe point. For the few roots that are worth a name: while a heap has named ones,
 * dropping or moving a root searches the list of names. GYRE_INVALID: no root of m's heap.
 * GYRE_NO_MEMORY, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_root_name(struct gyre_mutator *m, const struct gyre_root *root,
					 const char *name);

#endif
