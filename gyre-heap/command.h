/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * command.h: what the files of gyre-heap know of each other. One thread, one command, then the end:
 * what a command allocates for its answer it frees, or the end of the program does.
 *
 * Invariant: answers go to stdout, everything else to stderr.
 */
#ifndef GYRE_HEAP_COMMAND_H
#define GYRE_HEAP_COMMAND_H

#include "graph.h"

/* Exit statuses; argp's own for usage is set to the last. */
enum {
	HEAP_OK = 0,
	HEAP_NOTHING =
		1, /* the answer is that there is none: no such object, no path, not reachable */
	HEAP_TROUBLE = 2, /* usage, a file, memory, or a program that is not there */
};

enum heap_sort {
	SORT_BYTES,
	SORT_OBJECTS,
	SORT_NAME,
};

#define HEAP_UNASKED UINT64_MAX

struct command {
	const struct subcommand *sub;
	const char *files[2];
	const char *object; /* as it was written; NULL: none */
	const char *output; /* --output */
	enum heap_sort sort;
	uint64_t limit;     /* -n; 0: no limit */
	uint64_t members;   /* --members; 0: all; HEAP_UNASKED: none */
	uint64_t component; /* --component, from 1; 0: not asked for */
	bool types;         /* --types */
	struct gyre__graph graph;
};

/* One way to ask. A file or an object is refused, or called for, by the numbers here. */
struct subcommand {
	const char *name, *arguments, *text;
	unsigned files;
	enum { OBJECT_NONE, OBJECT_ONE, OBJECT_MAY_BE } object;
	int (*run)(struct command *c);
};

int heap_summary(struct command *c);
int heap_types(struct command *c);
int heap_cycles(struct command *c);
int heap_dominators(struct command *c);
int heap_sites(struct command *c);
int heap_diff(struct command *c);
int heap_path(struct command *c);
int heap_referrers(struct command *c);
int heap_object(struct command *c);
int heap_retained(struct command *c);
int heap_graph(struct command *c);

/* ---- ask.c: what several commands need ---- */

/* One line on stderr; always HEAP_TROUBLE. */
__attribute__((format(printf, 1, 2))) int heap_trouble(const char *format, ...);

/* An array of zeros; ends the program where there is no memory, as heap_starved does. */
void *heap_array(uint64_t count, size_t bytes);
_Noreturn void heap_starved(void);

/* The object that the command names; false after a message. */
bool heap_find(const struct command *c, uint32_t *node);

/* "#12  dict  48 bytes  0x7f...  main.c:7", without the end of the line. */
void heap_print_node(const struct gyre__graph *g, uint32_t node);
void heap_print_holder(const struct gyre__graph *g, const struct gyre__graph_root *root);

/* The larger of count and limit is what was left off: says so. */
void heap_print_left_off(uint64_t count, uint64_t limit);

struct heap_retained {
	uint32_t *idom;
	uint64_t *bytes, *objects;
	unsigned char *reachable;
};

struct heap_retained heap_dominate(const struct gyre__graph *g);
void heap_retained_free(struct heap_retained *retained);

#endif
