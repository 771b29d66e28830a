/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gyre.h: everything a user of gyre includes.
 *
 * The contract in five rules:
 *   1. Between two safe points of a thread, every object it has loaded or made stays valid.
 *   2. Across a safe point, only what a keep frame, a root or a slot of a live object holds does.
 *   3. Slots are read and written through the calls of slot.h only.
 *   4. The safe points are gyre_safepoint, gyre_park, gyre_unpark, gyre_collect, gyre_verify,
 *      gyre_snapshot_take, gyre_dump, gyre_profile_take, gyre_detach, gyre_fork_before, and what
 *      finalize.h, heap.h, inspect.h and serve.h name. Allocation is none: it returns NULL at the
 *      limit and moves nothing.
 *   5. A thread that neither reaches a safe point nor parks holds up reclamation (never other
 *      threads), and gyre names it.
 */
#ifndef GYRE_H
#define GYRE_H

#include <gyre/collections.h>
#include <gyre/finalize.h>
#include <gyre/heap.h>
#include <gyre/inspect.h>
#include <gyre/mutator.h>
#include <gyre/profile.h>
#include <gyre/scope.h>
#include <gyre/serve.h>
#include <gyre/slot.h>
#include <gyre/snapshot.h>
#include <gyre/stats.h>
#include <gyre/status.h>
#include <gyre/type.h>
#include <gyre/weak.h>

#define GYRE_VERSION_MAJOR 0
#define GYRE_VERSION_MINOR 1
#define GYRE_VERSION_PATCH 0

/* "0.1.0", of the library that is linked. Any thread. */
GYRE_API const char *gyre_version(void);

#endif
