/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * profile_read.h: a profile, as its reader and its writer see it. Any thread.
 */
#ifndef GYRE_RUNTIME_PROFILE_READ_H
#define GYRE_RUNTIME_PROFILE_READ_H

#include <gyre/profile.h>

#include "profile.h"

/* Estimates; whole numbers where every object was sampled. */
struct gyre__profile_sum {
	uint64_t samples;
	double objects, bytes;
};

struct gyre__profile_sums {
	struct gyre__profile_sum live, allocated, freed, old;
	uint64_t oldest_ns; /* age */
};

/* The objects of one type of a site. */
struct gyre__profile_line {
	struct gyre__profile_line *next; /* by live bytes */
	const struct gyre_type *type;    /* to tell types apart while the profile is made */
	char *name;
	struct gyre__profile_sums sums;
};

/* A site. */
struct gyre__profile_place {
	uint32_t site, types, frames_count;
	const void **frames;
	struct gyre__profile_line *lines;
	struct gyre__profile_sums sums;
	double grown_objects, grown_bytes, score;
};

struct gyre_profile {
	const void *heap; /* which one it was, with the time at which it was first profiled */
	uint64_t began_ns;
	uint64_t rate, lost, old_ns, taken_ns;
	struct gyre__profile_sums sums;
	uint32_t count;
	struct gyre__profile_place **order;  /* the most suspicious first */
	struct gyre__profile_place places[]; /* by number */
};

#endif
