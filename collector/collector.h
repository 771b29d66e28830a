/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * collector.h: the collector of a heap: its state, and the steps of its work.
 *
 * One thread runs all of it (watch.c and the requests in loop.c excepted), in this order for each
 * epoch: boundary (epoch.c); the counts of the epoch, in the order of the engine (apply_recycler.c,
 * apply_tagged.c, by count.c); releasing what reached 0 (count.c); in the engine recycler the
 * verdict on the sets of the last epoch, last found first (verdict.c); the near pass and a slice of
 * the far pass (near.c, far.c), and preparing the sets they found (set.c); in the engine tagged the
 * verdict on those; handing freed cells over. Only count.c writes counts (but for verdict.c, in
 * sets that lead to each other), only verdict.c condemns.
 *
 * Source of the algorithm: Bacon, Attanasio, Rajan, Smith, Lee, "A Pure Reference Counting Garbage
 * Collector", sections 4 and 7, with its errors mended; docs/algorithm.md tells which and why.
 */
#ifndef GYRE_COLLECTOR_H
#define GYRE_COLLECTOR_H

#include "heap.h"
#include "mutator.h"
#include "to_collector.h"
#include "vector.h"
#include "weak.h"
#include "word.h"

/* A candidate set: members [from, from + count) of `members`. The root of its gathering comes
 * first. */
struct gyre__set {
	size_t from, count;
	unsigned special; /* enum gyre__special, of the members' slabs */
	/* Of its weak cells: they are armed since before the last boundary. NULL: it has none, or
	 * they are not armed yet. */
	struct gyre__weak_cell *leader;
	uint32_t armed; /* number of the processing in which they were */
	/* That in which it was refused: what remains is judged when it was prepared anew. */
	uint32_t refused;
	bool by_count; /* what a special object that counts 0 held alone */
};

/* How the near pass fares with candidates that were proven live before. */
struct gyre__yield {
	uint32_t level; /* the higher, the less is spent on a candidate */
	uint32_t tick;
	uint64_t tried, visited, found; /* since the level was last looked at */
};

/* Epochs in which an object that is garbage from the start is reclaimed. */
#define GYRE_YOUNG_EPOCHS 4

/* Slots that the open epoch has written, and what they held when it began: what view.c knows of the
 * open journals. An open hash table of pairs; room is a power of two. */
struct gyre__view {
	uintptr_t *pairs;
	size_t count, room;
	bool whole;   /* of all entries, not only of those that are known to be needed */
	bool starved; /* no memory for the table: each lookup reads the journals */
};

/* What the engine tagged keeps from one processing to the next, and in one. */
struct gyre__tagged_state {
	uintptr_t open; /* tag of the open epoch */
	struct gyre__view view;
	struct gyre__chunk *slots;   /* entries of the epoch that is being processed */
	struct gyre__vector early;   /* counted before their epoch was processed */
	struct gyre__vector reached; /* newborns whose slots are still to be counted */
	bool early_lost;             /* no memory for the list: all newborns are looked at */
	bool reached_lost;           /* the same for newborns to be scanned */
};

enum gyre__far_phase { GYRE_FAR_IDLE, GYRE_FAR_MARK, GYRE_FAR_SCAN };

struct gyre__far {
	enum gyre__far_phase phase;
	struct gyre__vector visited; /* roots first */
	size_t roots, head;
	struct gyre__vector black; /* proven live; from black_head on still to be followed */
	size_t black_head;
	bool starved;        /* no memory for the lists: the pass is given up */
	uint64_t base_bytes; /* survivors after the last far pass */
	uint64_t ended_ns, spent_ns;
	uint64_t left; /* candidates left to it since it last began */
	bool settling; /* its sets are not judged yet */
};

/* What a thread asks of the collector, and how it waits. Guarded by lock. */
struct gyre__requests {
	struct gyre__lock lock;
	struct gyre__event work; /* the collector waits */
	struct gyre__event done; /* those who ask wait */
	bool awake, stop;
	uint64_t collects_asked, collects_done;
	enum gyre_status collect_status; /* of the last one */
	bool verify_asked, verify_busy;
	struct gyre_verify_report *report;
	gyre_verify_fn found;
	void *found_arg;
	enum gyre_status verify_status;
	uint32_t holds;
	bool held;
	gyre__errand_fn *errand; /* what is to be done between two cycles */
	bool errand_served;      /* the collector is about it */
	void *errand_arg;
	bool errand_busy; /* somebody waits for his errand */
};

/* What is known of a pass or collection that is under way, for those who are told. */
struct gyre__told {
	bool begun;
	uint64_t since_ns, traced, sets_found;
};

struct gyre__collector {
	struct gyre_heap *heap;
	struct gyre__thread thread, watch_thread;
	struct gyre__requests requests;
	struct gyre__event watch_event;  /* with requests.lock */
	_Atomic(uint64_t) waiting_since; /* ns; 0: no boundary is being waited for */

	/* What the boundary brought, and what is kept for the next epoch. */
	struct gyre__chunk *journal_now, *journal_before;
	struct gyre__chunk *births_now, *births_before;
	struct gyre__chunk *snapshots_before;
	struct gyre__chunk *snapshots_left; /* of threads that are gone: counted up now */
	struct gyre__tagged_state tagged;
	struct gyre__chunk *empties; /* to be returned to mutators */
	size_t empties_count;
	bool idle;           /* the last epoch brought nothing */
	uint32_t processing; /* the number of the epoch that is being processed */

	void *released;                     /* objects whose references are still to be given up */
	struct gyre__slab *touched;         /* slabs with freed cells */
	struct gyre__vector young, aged;    /* candidates; bit 0: never proven live when it came */
	struct gyre__vector visited, stack; /* of the near pass, and of gathering */
	struct gyre__yield yield;
	struct gyre__vector members;
	struct gyre__set *sets;
	size_t sets_count, sets_room;
	struct gyre__vector zeros; /* count 0 and special: to be made sets of */
	bool zeros_lost;           /* no memory for the list: all objects are looked at */
	bool dues_starved; /* no memory for what a set is owed, when sets were last judged */
	struct gyre__weak_cell *cleared; /* cells whose objects are gone, still counted for them */
	bool thorough;                   /* a full collection is being made */
	uint32_t exempting;              /* threads that make objects exempt */
	bool untraced;                   /* an acyclic object has died that held a candidate */
	struct gyre__far far;

	/* Bytes allocated up to each of the last epochs: what is younger is no survivor yet. */
	uint64_t allocated_at[GYRE_YOUNG_EPOCHS];
	struct gyre__told told[GYRE_COLLECT_FULL + 1];
	uint64_t told_freed;
	uint64_t boundary_ns; /* when the last one was complete */
	uint64_t trimmed_ns;
	uint64_t idle_ns; /* how long to wait for nothing */
	struct {
		uint64_t interval_ns;   /* between two boundaries, as it is now */
		uint64_t volume;        /* that calls for one */
		uint64_t entries, dead; /* up to the last epoch */
		uint32_t idle_epochs;   /* that have brought nothing, one after another */
	} pace;
};

/* epoch.c */
void gyre__epoch_turn(struct gyre__collector *c);

/* apply_recycler.c, apply_tagged.c: an epoch is applied to the counts. */
void gyre__recycler_apply(struct gyre__collector *c);
void gyre__recycler_meet(struct gyre__collector *c, void *object, const uint64_t *word);
void gyre__tagged_apply(struct gyre__collector *c);
void gyre__tagged_meet(struct gyre__collector *c, void *object, const uint64_t *word);

/* view.c */
/* What the open journals hold is forgotten: a new epoch is open. */
void gyre__view_begin(struct gyre__collector *c);
void gyre__view_destroy(struct gyre__view *view);
/* What slot held when the open epoch began, which has written it since. */
void *gyre__view_look_up(struct gyre__collector *c, const gyre_ref *slot);
/* It will be looked up. */
void gyre__view_prefetch(const struct gyre__collector *c, const gyre_ref *slot);

/* count.c */
void gyre__increment(struct gyre__collector *c, void *object);
void gyre__decrement(struct gyre__collector *c, void *object);
/* Applies the increments, or the decrements, of a journal; counts the snapshots that the last
 * boundary brought; takes those of the one before back. */
void gyre__count_journal(struct gyre__collector *c, const struct gyre__chunk *chain);
void gyre__count_journal_back(struct gyre__collector *c, const struct gyre__chunk *chain);
void gyre__count_snapshots(struct gyre__collector *c);
void gyre__count_snapshots_back(struct gyre__collector *c);
/* Adds newborns to the statistics. */
void gyre__count_allocated(struct gyre__collector *c, const struct gyre__slab *slab,
			   uint32_t count);
/* Calls visit for each run of newborns in a chain of births: count cells of slab, from cell on. */
void gyre__each_run(struct gyre__collector *c, const struct gyre__chunk *chain,
		    void (*visit)(struct gyre__collector *c, struct gyre__slab *slab, uint32_t cell,
				  uint32_t count));
/* Counts 0 without being released yet: it is released; or, if it is special, put into the list of
 * those that are. */
void gyre__reached_zero(struct gyre__collector *c, void *object, uint64_t *word);
/* Gives up the references of all released objects, and of what that releases. */
void gyre__drain(struct gyre__collector *c);
/* Makes object a candidate, if it is none. */
void gyre__suspect(struct gyre__collector *c, void *object, uint64_t *word);

/* The object that an item of the lists of candidates stands for. */
static inline void *gyre__candidate(const void *item)
{
	return (void *)((uintptr_t)item & ~(uintptr_t)1);
}

/* reclaim.c */
void gyre__free_cell(struct gyre__collector *c, void *object, uint64_t *word);
/* Frees the young of count cells from cell on: newborns that nothing counted has reached. */
void gyre__free_young(struct gyre__collector *c, struct gyre__slab *slab, uint32_t cell,
		      uint32_t count);
/* Frees the object if it is released, its references given up, and no list holds it any more. */
void gyre__unlisted(struct gyre__collector *c, void *object, uint64_t *word);
void gyre__flush(struct gyre__collector *c);
/* Keeps some of a chain of chunks for mutators, and gives the rest back. */
void gyre__recycle(struct gyre__collector *c, struct gyre__chunk *chain);

/* zeros.c: special objects that count 0. */
/* Whether object has a weak cell, or a finalizer that has not run. */
bool gyre__is_special(const void *object, uint64_t word);
void gyre__zero_add(struct gyre__collector *c, void *object, uint64_t *word);
/* Makes a set of each object in the list that still counts 0, with all that its release would
 * free; releases those that are not special any more. */
void gyre__zeros_gather(struct gyre__collector *c);

/* death.c: what is owed to the members of a special set before it is freed. Its members are RED. */
enum gyre__death {
	GYRE_DEATH_DUE,    /* nothing is owed any more: what is left of the set is to be freed */
	GYRE_DEATH_WAITS,  /* it is armed, or there is no memory now: judged after a boundary */
	GYRE_DEATH_REVIVED /* a weak load came first, or may have: it is to be refused */
};
enum gyre__death gyre__death_of(struct gyre__collector *c, struct gyre__set *set);
/* Arms the sets that have weak cells and are not armed. */
void gyre__sets_arm(struct gyre__collector *c);
/* The cells of a refused set are as before. */
void gyre__disarm(struct gyre__collector *c, struct gyre__set *set);
/* Gives up the counts of weak cells that were cleared before the last boundary. */
void gyre__let_cleared_go(struct gyre__collector *c);
/* What mutators have noted before the last boundary: finalizers that were re-armed, attachments to
 * objects of acyclic types. */
void gyre__take_noted(struct gyre__collector *c);
/* Clears the cell of an object, if it has one; its notices that have one of the wanted flags (0:
 * all) go to *last, the others are dropped. Gives where the next notice goes. */
struct gyre__notice **gyre__end_cell(struct gyre__collector *c, const void *object, unsigned wanted,
				     struct gyre__notice **last);
/* The object is in a batch, to be finalized. */
void gyre__pin(struct gyre__collector *c, void *object);
/* A member leaves its set as if it were new: no candidate, never proven. */
void gyre__leave_as_new(uint64_t *word);
/* Queues a batch, which may be NULL, with notices, of which there may be none. */
void gyre__queue(struct gyre__collector *c, struct gyre__batch *batch,
		 struct gyre__notice *notices);

/* garbage.c */
/* Whether dead cycles are kept. */
bool gyre__saves_all(const struct gyre__collector *c);
/* Keeps a set that was found dead, instead of freeing it. False without memory. */
bool gyre__keep_set(struct gyre__collector *c, struct gyre__set *set);

/* events.c: whoever wants to know is told. */
void gyre__collect_begins(struct gyre__collector *c, enum gyre_collect_kind kind);
void gyre__collect_ends(struct gyre__collector *c, enum gyre_collect_kind kind);
/* After an epoch, with the verdicts: what has begun and is over ends. */
void gyre__passes_end(struct gyre__collector *c);

/* order.c */
/* Puts the count members of a set that are wanted into objects, owners first. False without
 * memory. */
bool gyre__order_owners(struct gyre__collector *c, const struct gyre__set *set,
			bool (*wanted)(const void *object), void **objects, size_t count);

/* close.c: errands of gyre_heap_close. */
void gyre__end_all(struct gyre__collector *c, void *status);
void gyre__report_left(struct gyre__collector *c, void *unused);

/* set.c */
/* Gathers what is GRAY and reachable from root into a new set, prepared; visits only objects that
 * have, or have not, the flag IN_TRACE as in_trace says. The number of members; 0 without
 * memory. */
size_t gyre__set_gather(struct gyre__collector *c, void *root, uint64_t in_trace);
/* Makes a new set of objects whose trial counts are what no member explains. False without
 * memory. */
bool gyre__set_take(struct gyre__collector *c, void *const *objects, size_t count);
/* Makes a set of root, which counts 0, and of all that its release would free. False without
 * memory. */
bool gyre__set_close_over(struct gyre__collector *c, void *root);
/* Sigma preparation of a set that was carried over, or whose trial counts are gone. */
void gyre__set_prepare(struct gyre__collector *c, struct gyre__set *set);
/* Sigma preparation of all sets: those that were carried over. */
void gyre__sets_prepare(struct gyre__collector *c);

/* verdict.c */
void gyre__judge(struct gyre__collector *c);

/* near.c, far.c */
void gyre__near_pass(struct gyre__collector *c);
void gyre__far_begin(struct gyre__collector *c);
/* Instead of a near pass: all candidates are left to the far pass. */
void gyre__candidates_leave(struct gyre__collector *c);
/* Goes on with the far pass until it ends or a boundary is due. */
void gyre__far_slice(struct gyre__collector *c);
void gyre__far_touched(struct gyre__collector *c, void *object, uint64_t *word);

/* pace.c */
bool gyre__boundary_due(struct gyre__collector *c);
bool gyre__far_due(struct gyre__collector *c);
/* Whether no near nor far pass is to begin: by gyre_disable, or while objects are made exempt. */
bool gyre__passes_off(const struct gyre__collector *c);
/* Tells mutators how far the far pass is behind the growth of the heap. */
void gyre__publish_lag(struct gyre__collector *c);
uint64_t gyre__surviving_bytes(const struct gyre__collector *c);
bool gyre__work_pending(const struct gyre__collector *c);
void gyre__wait_for_work(struct gyre__collector *c);
/* took_ns: CPU time that the epoch took to process, the far pass apart. */
void gyre__pace_adapt(struct gyre__collector *c, uint64_t took_ns);

/* loop.c */
void gyre__cycle(struct gyre__collector *c);
/* Reclaims all that is garbage now. */
enum gyre_status gyre__collect_fully(struct gyre__collector *c);

/* verify.c */
void gyre__serve_verify(struct gyre__collector *c);

/* watch.c */
void gyre__watch(void *collector);

#endif
