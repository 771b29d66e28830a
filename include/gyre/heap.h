/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap.h: opening, closing, collecting and checking a heap.
 *
 * A heap is a value: a process may have several, nothing is global, nothing is read from the
 * environment (but by gyre_serve without a path). Each heap has one collector thread (named, all
 * signals blocked) and one that watches over it and only ever sleeps and writes to the log. An
 * object belongs to one heap; a slot never refers to an object of another heap.
 */
#ifndef GYRE_HEAP_H
#define GYRE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gyre/status.h>

struct gyre_heap;
struct gyre_mutator;

enum gyre_log_level { GYRE_LOG_ERROR, GYRE_LOG_WARNING, GYRE_LOG_NOTE };

/*
 * The host's log. text is one line without a newline, valid during the call. Called from any thread
 * of gyre or from an attached thread, never with a lock of gyre held; it must not call gyre.
 */
typedef void (*gyre_log_fn)(void *arg, enum gyre_log_level level, const char *text);

enum gyre_heap_flags {
	/* Freed cells are filled with a pattern that is checked when they are used again: a write
	 * to a freed object is counted and logged. Costs a write and a read of each freed cell. */
	GYRE_POISON = 1,
	/* gyre_heap_close first runs the finalizers of all objects that are still there, and the
	 * callbacks that were registered with GYRE_NOTICE_AT_CLOSE. */
	GYRE_CLOSE_FINALIZES = 2,
	/* gyre_heap_close logs how many objects of each type were still there, most bytes first,
	 * and how many of them save-all has kept. */
	GYRE_CLOSE_REPORTS = 4,
};

/* Where finalizers, and the callbacks of weak cells, run (finalize.h). */
enum gyre_finalizing {
	GYRE_FINALIZE_THREAD, /* on a thread of gyre's own, started when it is first needed */
	GYRE_FINALIZE_HOST,   /* where the host calls gyre_finalize_next */
};

/*
 * How a heap keeps its counts (docs/algorithm.md). Both reclaim everything, by the same calls.
 *   tagged    A slot is journalled once an epoch, and an object that dies in the epoch of its birth
 *             is never counted nor looked at.
 *   recycler  Every write of a slot is journalled. For comparison, and as a second opinion.
 */
enum gyre_engine { GYRE_ENGINE_DEFAULT, GYRE_ENGINE_TAGGED, GYRE_ENGINE_RECYCLER };

/* Set up by gyre_options_init, then changed as wanted. A field that is 0 means its default. */
struct gyre_options {
	size_t size;          /* sizeof(struct gyre_options) as the caller was compiled */
	const char *name;     /* shown in thread names and logs, copied; default "gyre" */
	size_t heap_limit;    /* bytes of cells, hard; default none */
	size_t journal_limit; /* bytes of journals, an eighth of it for boundaries; 512 MiB */
	size_t epoch_bytes;   /* bytes allocated that call for a boundary; default 4 MiB. A fourth
			       * of what survives, if that is more, but at most eight times this,
			       * and at most a 32nd of heap_limit */
	uint64_t epoch_ns;    /* time between boundaries while there is work; 10 ms. Engine tagged:
			       * up to 256 times that while much is written and little dies */
	uint64_t stall_ns;    /* a thread that holds up a boundary for so long is named; 1 s */
	uint64_t delay_ns;    /* longest delay of one safe point by back-pressure; 20 ms */
	uint32_t near_budget; /* objects a near pass visits for one candidate; 1024 */
	uint32_t far_percent; /* growth of the surviving heap that calls for a far pass; 50 */
	size_t collector_stack; /* bytes of stack of the collector thread; 256 KiB */
	unsigned flags;         /* enum gyre_heap_flags */
	gyre_log_fn log;        /* default: none */
	void *log_arg;
	enum gyre_engine engine; /* default: tagged */
	enum gyre_finalizing finalizing;
	uint64_t finalizer_ns; /* a finalizer or callback that runs for so long is named; 1 s */
	int collector_nice; /* added to the nice value of the thread that opens the heap, for the
			     * collector thread; 1 to 19, default 5; -1: the same value */
};

/* Sets size and leaves every other field at its default. Any thread. */
GYRE_API void gyre_options_init(struct gyre_options *options);

/*
 * Opens a heap and starts its threads. options may be NULL. Any thread. GYRE_INVALID: an option is
 * out of range, or its size is not one this library knows. GYRE_NO_MEMORY, GYRE_NO_THREAD,
 * GYRE_LIMIT (no thread-specific data key left, or with GYRE_FINALIZE_HOST no descriptor).
 */
GYRE_API enum gyre_status gyre_heap_open(struct gyre_heap **heap,
					 const struct gyre_options *options);

/*
 * Stops the collector and releases everything that the heap holds, live objects and roots included.
 * Batches of finalizers that wait are run before, and so are those of live objects with the flag
 * GYRE_CLOSE_FINALIZES, on the calling thread, and, for a few rounds, those of objects that
 * finalizers make meanwhile. Any thread that is not attached to it. GYRE_BUSY: mutators are
 * attached, or it is called from a finalizer; the heap stays open. GYRE_NO_MEMORY: there was none
 * to run finalizers as the flag asks for; the heap stays open. GYRE_FROZEN in the child of a fork.
 */
GYRE_API enum gyre_status gyre_heap_close(struct gyre_heap *heap);

/*
 * Returns when everything that was garbage at the call has been reclaimed, but for objects that are
 * to be finalized and what they reach: their finalizers have been queued (finalize.h). *reclaimed
 * (if not NULL) is the number of objects reclaimed meanwhile. A safe point; the thread is parked
 * while it waits, and waits as long as some other thread neither reaches a safe point nor parks.
 * May be called from several threads at once. GYRE_NO_MEMORY: the system had none for the
 * collector's lists, or for finalizers that are due, and garbage may be left; a later call may do
 * better. GYRE_PARKED, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_collect(struct gyre_mutator *m, uint64_t *reclaimed);

/*
 * Control of the collection of cycles. After gyre_disable no near and no far pass begins: garbage
 * cycles stay, and what they hold; one that is under way goes on to its end. Everything else goes
 * on: boundaries, counting, freeing by counts, weak cells, finalizers; and gyre_collect reclaims as
 * ever. What was suspected meanwhile is looked at after gyre_enable. Any thread; not safe points.
 * GYRE_INVALID, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_disable(struct gyre_heap *heap);
GYRE_API enum gyre_status gyre_enable(struct gyre_heap *heap);
GYRE_API bool gyre_is_enabled(const struct gyre_heap *heap);

/* What looks for dead cycles. */
enum gyre_collect_kind {
	GYRE_COLLECT_NEAR, /* a near pass: once an epoch, if there are candidates */
	GYRE_COLLECT_FAR,  /* a far pass: goes on over several epochs */
	GYRE_COLLECT_FULL, /* gyre_collect; far passes are part of it */
};

/* One of them begins or ends. At the beginning all figures are 0. */
struct gyre_collect_info {
	size_t size; /* sizeof(struct gyre_collect_info) */
	enum gyre_collect_kind kind;
	bool ended;
	uint64_t traced;      /* objects that near and far passes visited since it began */
	uint64_t sets_found;  /* since it began */
	uint64_t freed;       /* objects of dead cycles, since anything ended last */
	uint64_t duration_ns; /* since it began, boundaries and other work between included */
};

/* Runs on the collector thread, which waits for it; it must not call gyre. */
typedef void (*gyre_collect_fn)(void *arg, const struct gyre_collect_info *info);

/*
 * Has fn called whenever one of them begins and ends; *id is for gyre_off_collect, after which it
 * is not called any more, nor still running. Who registers while one is under way is told of its
 * end only.
 * Any thread but the collector's, no lock held that fn takes; not safe points. GYRE_NO_MEMORY,
 * GYRE_INVALID (of gyre_off_collect: there is none with that id), GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_on_collect(struct gyre_heap *heap, gyre_collect_fn fn, void *arg,
					  uint64_t *id);
GYRE_API enum gyre_status gyre_off_collect(struct gyre_heap *heap, uint64_t id);

/* Options that may be changed while the heap is open; their meaning is that of the fields of the
 * same name of struct gyre_options. */
struct gyre_thresholds {
	size_t size; /* sizeof(struct gyre_thresholds), set by the caller */
	size_t epoch_bytes;
	uint64_t epoch_ns;
	uint64_t delay_ns;
	uint32_t near_budget;
	uint32_t far_percent;
};

/*
 * Reads and changes them. A field that is 0 is left as it is. GYRE_INVALID: one is out of range, or
 * the size is unknown; none is changed then. Taken up by the collector within an epoch. Any thread;
 * not safe points. GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_thresholds_get(struct gyre_heap *heap,
					      struct gyre_thresholds *thresholds);
GYRE_API enum gyre_status gyre_thresholds_set(struct gyre_heap *heap,
					      const struct gyre_thresholds *thresholds);

/*
 * Makes all objects of the heap exempt from tracing, as gc.freeze of Python does: no trial deletion
 * looks into them any more, as if each were held from outside; so a large live heap that stays, as
 * after the start of a program, costs no pass any work. They are counted, and freed by their
 * counts, as before; cycles that they are part of, or hold, stay. Objects that were found dead and
 * wait for their end are left out, and what is born during the call may be. gyre_exempt_none makes
 * them all ordinary again, and candidates, so that the next far pass finds what has become garbage
 * meanwhile. (Not to be taken for GYRE_FROZEN, the state of a heap in the child of a fork.) Safe
 * points: the collector does it, in several steps. GYRE_INVALID, GYRE_PARKED, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_exempt_all(struct gyre_mutator *m);
GYRE_API enum gyre_status gyre_exempt_none(struct gyre_mutator *m);
/* The number of exempt objects. Any thread. */
GYRE_API uint64_t gyre_exempt_count(struct gyre_heap *heap);

/* Asks for a boundary soon and returns at once. Any thread. */
GYRE_API void gyre_collect_soon(struct gyre_heap *heap);

/* What gyre_verify found. */
struct gyre_verify_report {
	size_t size;          /* sizeof(struct gyre_verify_report), set by the caller */
	uint64_t objects;     /* cells in use */
	uint64_t reachable;   /* of them, reachable from roots and keep frames */
	uint64_t unreachable; /* garbage not reclaimed yet; 0 right after gyre_collect at rest */
	uint64_t bytes;       /* of the cells in use */
	/* Wrong counts, freed objects that are referred to, cells in a state they cannot be in,
	 * cycles through acyclic types: 0 in a sound heap. */
	uint64_t disagreements;
};

/* One disagreement: text names the object's type and address and what is wrong. */
typedef void (*gyre_verify_fn)(void *arg, const void *object, const char *text);

/*
 * Brings every mutator of the heap to rest (at a safe point or parked), applies all journals,
 * counts every reference anew from the slots, roots and frames alone, and compares. A safe point;
 * other threads are held at their next safe point meanwhile. report and found may be NULL. GYRE_OK,
 * GYRE_DISAGREES, GYRE_NO_MEMORY, GYRE_PARKED, GYRE_INVALID, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_verify(struct gyre_mutator *m, struct gyre_verify_report *report,
				      gyre_verify_fn found, void *arg);

/*
 * fork. Call gyre_fork_before(heap), fork, then gyre_fork_parent(heap) in the parent and
 * gyre_fork_child(heap) in the child; gyre_fork_parent also if fork failed. Any thread, attached or
 * not; gyre_fork_before is a safe point of an attached thread. Between before and parent the
 * collector stands still and no thread can attach, detach or take a new slab; the calling thread
 * must call nothing else of gyre but gyre_fork_before of further heaps. In the child the heap is
 * frozen: gyre_load is legal, and so are exec and exit; safe points, park and unpark do nothing;
 * every other call returns GYRE_FROZEN, NULL, false or 0, or a figure as it was. A child that was
 * forked within a function that gyre calls (a visitor, a callback, a finalizer) must not return
 * from it. GYRE_BUSY: another thread is forking.
 */
GYRE_API enum gyre_status gyre_fork_before(struct gyre_heap *heap);
GYRE_API enum gyre_status gyre_fork_parent(struct gyre_heap *heap);
GYRE_API enum gyre_status gyre_fork_child(struct gyre_heap *heap);

#endif
