/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * write.h: an object graph as a dump, which load.h reads back. Any thread; the graph is not
 * changed.
 *
 * Invariant: what is written is a file of version 2 (docs/heap.md), whatever bytes names hold.
 */
#ifndef GYRE_INSPECT_WRITE_H
#define GYRE_INSPECT_WRITE_H

#include <gyre/status.h>

#include "graph.h"

/* Writes the graph to a descriptor, which stays open. GYRE_NO_MEMORY; GYRE_LIMIT: the system would
 * not take it (errno). */
enum gyre_status gyre__graph_write(const struct gyre__graph *graph, int fd);

#endif
