/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * profile.h: where the objects of a heap were allocated, by backtrace: for finding leaks.
 *
 * While a heap is profiled some of its allocations are sampled: the backtrace of the allocating
 * thread is noted, and the object is followed until it is freed. An object of n bytes is sampled
 * with probability 1 - exp(-n / rate), independently of all others, and stands for the inverse of
 * that: the estimates are unbiased whatever the sizes are (as in tcmalloc's heap profiles). With
 * rate 1 each allocation is sampled, and all figures are exact. Bytes are those of cells, as
 * everywhere in gyre.
 *
 * A site is a backtrace. Its number is the same in all profiles of a heap, and what it counts goes
 * on over stop and start. A heap that is not profiled pays nothing for all this; what it costs
 * otherwise is in docs/embedding.md.
 */
#ifndef GYRE_PROFILE_H
#define GYRE_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include <gyre/status.h>

struct gyre_heap;

/* Frames of a backtrace, at most. */
#define GYRE_PROFILE_DEPTH 32

/*
 * From now on allocations are sampled: those of the calling thread at once (if it is attached and
 * not parked), those of others from their next boundary on, which is asked for. rate_bytes is the
 * mean distance in allocated bytes between two samples; 1: each allocation. For a service 512 KiB
 * is usual. Any thread; not a safe point. A backtrace is unwound by the tables that compilers make
 * for exceptions (not by frame pointers) and ends at code that has none. GYRE_INVALID: the rate is
 * 0. GYRE_BUSY: the heap is being profiled. GYRE_NO_MEMORY, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_profile_start(struct gyre_heap *heap, size_t rate_bytes);

/*
 * No further allocation is sampled: of the calling thread and of others as above. What was sampled
 * is still followed. Any thread; not a safe point. GYRE_INVALID: the heap is not being profiled.
 * GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_profile_stop(struct gyre_heap *heap);

/* Figures of a heap as they were at one moment. Any thread may look at it, also several at once,
 * and after the heap was closed; it is changed by gyre_profile_compare only. */
struct gyre_profile;

/*
 * Takes a profile of what was sampled so far. Objects that are at least old_ns old are counted by
 * themselves; 0: all are. Any thread that is not running a finalizer; of an attached one a safe
 * point: it is parked while it waits for the collector, which walks over the slabs that have
 * samples. What died since the last boundary is still counted as live (gyre_collect before the call
 * helps). GYRE_INVALID: the heap was never profiled. GYRE_NO_MEMORY, GYRE_FROZEN.
 */
GYRE_API enum gyre_status gyre_profile_take(struct gyre_heap *heap, uint64_t old_ns,
					    struct gyre_profile **profile);

/*
 * Sets the growth of each site of after since before, and ranks its sites by that. Any thread; no
 * other may look at after meanwhile. GYRE_INVALID: they are of two heaps, or before was taken
 * later.
 */
GYRE_API enum gyre_status gyre_profile_compare(const struct gyre_profile *before,
					       struct gyre_profile *after);

/* Frees a profile; NULL is legal. Any thread. */
GYRE_API void gyre_profile_free(struct gyre_profile *profile);

/* So many objects and bytes, as estimated from so many samples. */
struct gyre_profile_amount {
	uint64_t samples, objects, bytes;
};

struct gyre_profile_totals {
	size_t size;         /* sizeof(struct gyre_profile_totals), set by the caller */
	uint64_t rate_bytes; /* of the last start */
	uint64_t old_ns;     /* as asked for */
	uint64_t lost;       /* samples that were dropped for want of memory */
	uint32_t sites;
	struct gyre_profile_amount live, allocated, freed, old;
};

/*
 * One site. The score says how suspicious it is, from 0 to 1. In a profile: its share of all old
 * bytes that live. Once it was compared: its share of the growth of all sites that grew, times the
 * share of its live bytes that is old; so what grows while others stand still, and does not die
 * young, comes first. A site of few samples says little either way.
 */
struct gyre_profile_site {
	size_t size;   /* sizeof(struct gyre_profile_site), set by the caller */
	uint32_t site; /* its number in the heap */
	uint32_t types;
	uint32_t frames_count;
	const void *const *frames; /* return addresses, innermost first; as long as the profile */
	struct gyre_profile_amount live, allocated, freed; /* since the heap was first profiled */
	struct gyre_profile_amount old;                    /* of the live ones */
	uint64_t oldest_ns;                                /* age of the oldest one that lives */
	int64_t grown_objects, grown_bytes;                /* once compared: of what lives */
	double score;
};

/* The objects of one type of a site. */
struct gyre_profile_type {
	size_t size;      /* sizeof(struct gyre_profile_type), set by the caller */
	const char *name; /* as long as the profile */
	struct gyre_profile_amount live, allocated, freed, old;
	uint64_t oldest_ns;
};

/* Each fills a structure whose size the caller has set. Sites are numbered from 0, the most
 * suspicious one first, and the types of each by their live bytes. Any thread. GYRE_INVALID: there
 * is no such site or type, or the size is not one this library knows. */
GYRE_API enum gyre_status gyre_profile_totals(const struct gyre_profile *profile,
					      struct gyre_profile_totals *totals);
GYRE_API enum gyre_status gyre_profile_site(const struct gyre_profile *profile, uint32_t index,
					    struct gyre_profile_site *site);
GYRE_API enum gyre_status gyre_profile_type(const struct gyre_profile *profile, uint32_t index,
					    uint32_t type_index, struct gyre_profile_type *type);

/*
 * Writes the site's backtrace as "function+0x1f < caller+0x8 < ...", the innermost first, into text
 * of so many bytes, cut if it is too long. The length that it has uncut; 0: there is no such site,
 * or no memory. Names are those that the dynamic linker knows (a program's own are known if it is
 * linked with -rdynamic); what has none is "file+0x1f". Any thread.
 */
GYRE_API size_t gyre_profile_name(const struct gyre_profile *profile, uint32_t index, char *text,
				  size_t bytes);

enum gyre_profile_format {
	/* The profile.proto of pprof, not compressed, which its readers accept as well; the samples
	 * are inuse_objects, inuse_space, alloc_objects and alloc_space, labelled by type. */
	GYRE_PROFILE_PPROF,
	/* Lines "outermost;...;innermost bytes" of what lives, for flame graphs. */
	GYRE_PROFILE_FOLDED,
};

/* Writes the profile to a descriptor. Any thread. GYRE_INVALID, GYRE_NO_MEMORY; GYRE_LIMIT: the
 * system did not take it all, and errno says why. */
GYRE_API enum gyre_status gyre_profile_write(const struct gyre_profile *profile,
					     enum gyre_profile_format format, int fd);

#endif
