/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heapfile.h: reads an object graph of a real program from a file; knows nothing of gyre.
 *
 * The format is text, one record a line, plain or compressed by gzip (docs/heap.md). Nothing in
 * the file is believed before it was checked: memory grows with what has been read, never with what
 * a count announces, and a graph that heapfile_read hands out has every index in range. One thread
 * at a time may use a struct heapfile for reading it in; after that it never changes.
 */
#ifndef GYRE_INSPECT_HEAPFILE_H
#define GYRE_INSPECT_HEAPFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAPFILE_NONE SIZE_MAX

enum heapfile_holder {
	HEAPFILE_ROOT,
	HEAPFILE_FRAME, /* a keep frame of a thread */
	HEAPFILE_OTHER,
};

/* What is known of a root beside its object: nothing in files of version 1. */
struct heapfile_root {
	enum heapfile_holder holder;
	size_t label;     /* into labels, or HEAPFILE_NONE */
	uint64_t address; /* 0: not known */
};

/* What is known of an object beside its type and size. */
struct heapfile_detail {
	uint64_t address; /* 0: not known */
	uint64_t count;
	size_t site; /* into site, or HEAPFILE_NONE */
};

struct heapfile {
	size_t objects, edges, roots, types;
	char **name;     /* of each type */
	size_t *type;    /* of each object: below types */
	uint64_t *bytes; /* of each object, as the file says: any number */
	size_t *first;   /* objects + 1: object i has refs[first[i]] to refs[first[i + 1] - 1] */
	size_t *refs;    /* edges of them, each below objects */
	size_t *root;    /* roots of them, each below objects; one may occur twice */
	struct heapfile_root *held; /* of each root */
	/* From here on empty in files of version 1. */
	size_t sites, labels;
	char **site;                    /* the name of each place where objects were allocated */
	char **label;                   /* names of roots and threads */
	struct heapfile_detail *detail; /* of each object; NULL: of none */
};

/*
 * Reads the file at path. On success the caller frees the graph with heapfile_free. Otherwise
 * false, *heap is empty, and error holds one line of text: "path:line: what is wrong", or "path:
 * ..." when no line is to blame.
 */
bool heapfile_read(struct heapfile *heap, const char *path, char *error, size_t error_bytes);

/* Frees what heapfile_read made; *heap is empty afterwards. */
void heapfile_free(struct heapfile *heap);

#endif
