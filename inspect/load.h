/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load.h: an object graph from a dump, of either version. Any thread. Of programs only: the library
 * reads no files.
 *
 * Invariant: every index in a graph that was loaded is in range, whatever the file held.
 */
#ifndef GYRE_INSPECT_LOAD_H
#define GYRE_INSPECT_LOAD_H

#include "graph.h"

/* Reads the file at path; free with gyre__graph_destroy. Otherwise false, *graph is empty, and
 * error holds one line of text, as heapfile_read writes it. */
bool gyre__graph_load(struct gyre__graph *graph, const char *path, char *error, size_t error_bytes);

#endif
