/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c: the command line of gyre-heap. One thread: reads the dump, runs one command, ends; top
 * watches a process instead, and has a command line of its own (top.c).
 *
 * Invariant: a status of 0 means that the whole answer has been written.
 */
#include "command.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "top.h"

#define LINES_FALLBACK 20 /* when -n is not given */

/* The keys of options without a letter. */
enum {
	KEY_SORT = 0x100,
	KEY_MEMBERS,
	KEY_COMPONENT,
	KEY_TYPES,
};

static const struct subcommand subcommands[] = {
	{ "summary", "DUMP", "how much there is", 1, OBJECT_NONE, heap_summary },
	{ "types", "DUMP", "objects and bytes by type", 1, OBJECT_NONE, heap_types },
	{ "sites", "DUMP", "objects and bytes by where they were allocated", 1, OBJECT_NONE,
	  heap_sites },
	{ "cycles", "DUMP", "strongly connected components", 1, OBJECT_NONE, heap_cycles },
	{ "dominators", "DUMP", "which objects keep most alive", 1, OBJECT_NONE, heap_dominators },
	{ "object", "DUMP OBJECT", "an object, what holds it and what it refers to", 1, OBJECT_ONE,
	  heap_object },
	{ "referrers", "DUMP OBJECT", "what refers to it", 1, OBJECT_ONE, heap_referrers },
	{ "path", "DUMP OBJECT", "why it is alive: a shortest path from a root", 1, OBJECT_ONE,
	  heap_path },
	{ "retained", "DUMP OBJECT", "what would be garbage without it", 1, OBJECT_ONE,
	  heap_retained },
	{ "diff", "DUMP DUMP", "what the second has more, by type", 2, OBJECT_NONE, heap_diff },
	{ "graph", "DUMP [OBJECT]", "a drawing of neighbours, a component, types", 1, OBJECT_MAY_BE,
	  heap_graph },
};

#define SUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

static const struct argp_option options[] = {
	{ "lines", 'n', "N", 0, "At most N lines or objects (default 20; 0: all)", 0 },
	{ "sort", KEY_SORT, "WHAT", 0, "types, sites: bytes (default), objects or name", 0 },
	{ "members", KEY_MEMBERS, "K", 0, "cycles: also K members of each (0: all)", 0 },
	{ "component", KEY_COMPONENT, "N", 0, "graph: the Nth component of cycles", 0 },
	{ "types", KEY_TYPES, NULL, 0, "graph: the types and the references between them", 0 },
	{ "output", 'o', "FILE", 0,
	  "graph: write to FILE; as SVG, by the program dot, if it ends in .svg", 0 },
	{ 0 },
};

static uint64_t parse_number(struct argp_state *state, const char *text)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value == HEAP_UNASKED)
		argp_error(state, "'%s' is not a number", text);
	return value;
}

static enum heap_sort parse_sort(struct argp_state *state, const char *text)
{
	if (strcmp(text, "objects") == 0)
		return SORT_OBJECTS;
	if (strcmp(text, "name") == 0)
		return SORT_NAME;
	if (strcmp(text, "bytes") != 0)
		argp_error(state, "nothing is sorted by '%s', but by bytes, objects or name", text);
	return SORT_BYTES;
}

static void parse_argument(struct argp_state *state, const char *text, struct command *c)
{
	size_t i;

	if (c->sub == NULL) {
		for (i = 0; i < SUBCOMMANDS && strcmp(subcommands[i].name, text) != 0; i++)
			;
		if (i == SUBCOMMANDS)
			argp_error(state, "there is no command '%s'", text);
		c->sub = &subcommands[i];
	} else if (c->files[0] == NULL) {
		c->files[0] = text;
	} else if (c->sub->files > 1 && c->files[1] == NULL) {
		c->files[1] = text;
	} else if (c->sub->object != OBJECT_NONE && c->object == NULL) {
		c->object = text;
	} else {
		argp_error(state, "'%s' is one argument too many for %s", text, c->sub->name);
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct command *c = state->input;

	switch (key) {
	case 'n':
		c->limit = parse_number(state, arg);
		return 0;
	case 'o':
		c->output = arg;
		return 0;
	case KEY_SORT:
		c->sort = parse_sort(state, arg);
		return 0;
	case KEY_MEMBERS:
		c->members = parse_number(state, arg);
		return 0;
	case KEY_COMPONENT:
		c->component = parse_number(state, arg);
		if (c->component == 0)
			argp_error(state, "components are numbered from 1");
		return 0;
	case KEY_TYPES:
		c->types = true;
		return 0;
	case ARGP_KEY_ARG:
		parse_argument(state, arg, c);
		return 0;
	case ARGP_KEY_END:
		if (c->sub == NULL)
			argp_error(state, "a command is missing");
		if (c->files[0] == NULL || (c->sub->files > 1 && c->files[1] == NULL) ||
		    (c->sub->object == OBJECT_ONE && c->object == NULL))
			argp_error(state, "wanted is: %s %s", c->sub->name, c->sub->arguments);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The commands, in front of argp's list of options. The result is argp's. */
static char *list_commands(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t length, i;
	FILE *out;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC || (out = open_memstream(&list, &length)) == NULL)
		return (char *)text;
	fprintf(out, "Commands:\n");
	for (i = 0; i < SUBCOMMANDS; i++)
		fprintf(out, "  %-10s %-14s %s\n", subcommands[i].name, subcommands[i].arguments,
			subcommands[i].text);
	fprintf(out, "  %-10s %-14s %s\n", "top", "PID|SOCKET",
		"a running heap that is served at a socket");
	fprintf(out, "\nExit status: 0; 1 for nothing to show (no path, no sites); "
		     "2 for an error.\n");
	fclose(out);
	return list;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "COMMAND DUMP [OBJECT]",
		.doc = "gyre-heap answers questions about a dump of a heap. OBJECT is a number or "
		       "an address (0x...).\v ",
		.help_filter = list_commands,
	};
	static char top[] = "gyre-heap top"; /* as what it speaks */
	struct command c = { .limit = LINES_FALLBACK, .members = HEAP_UNASKED };
	char error[512];
	int status;

	if (argc > 1 && strcmp(argv[1], "top") == 0) {
		argv[1] = top;
		return top_main(argc - 1, argv + 1);
	}
	argp_err_exit_status = HEAP_TROUBLE;
	argp_parse(&argp, argc, argv, 0, NULL, &c);
	if (!gyre__graph_load(&c.graph, c.files[0], error, sizeof(error)))
		return heap_trouble("%s", error);
	status = c.sub->run(&c);
	gyre__graph_destroy(&c.graph);
	errno = 0;
	if (fflush(stdout) != 0 || ferror(stdout))
		status = heap_trouble("the answer could not be written: %s", strerror(errno));
	return status;
}
