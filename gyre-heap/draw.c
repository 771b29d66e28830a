/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * draw.c: the command graph: a piece of a heap as a drawing, in the language of Graphviz, or by its
 * program dot as SVG. One thread; dot is a process of its own.
 *
 * Invariant: a drawing has at most as many objects as -n says, since nobody can read more; what was
 * left off is said on stderr. A file is only left behind whole.
 */
#include "command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "print.h"
#include "search.h"

/* A name in quotes, as dot reads it. */
static void put_label(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, out);
	}
}

static void put_node(FILE *out, const struct gyre__graph *g, uint32_t node, bool marked)
{
	fprintf(out, "\tn%" PRIu32 " [label=\"", node);
	put_label(out, g->type_names[g->type[node]]);
	fprintf(out, "\\n#%" PRIu32 ", %" PRIu64 " bytes\"%s];\n", node, g->bytes[node],
		marked ? " style=bold" : "");
}

/* The chosen nodes and the edges between them. */
static void put_chosen(FILE *out, const struct gyre__graph *g, const uint32_t *list, uint64_t count,
		       const unsigned char *chosen, uint32_t marked)
{
	uint64_t i, e;
	size_t r;

	for (i = 0; i < count; i++)
		put_node(out, g, list[i], list[i] == marked);
	for (r = 0; r < g->roots_count; r++)
		if (chosen[g->roots[r].node])
			fprintf(out, "\tr%zu [shape=point];\n\tr%zu -> n%" PRIu32 ";\n", r, r,
				g->roots[r].node);
	for (i = 0; i < count; i++)
		for (e = g->first[list[i]]; e < g->first[list[i] + 1]; e++)
			if (chosen[g->to[e]])
				fprintf(out, "\tn%" PRIu32 " -> n%" PRIu32 ";\n", list[i],
					g->to[e]);
}

static void say_left_off(uint64_t count, uint64_t limit)
{
	if (count > limit)
		fprintf(stderr, "gyre-heap: drawn are %" PRIu64 " of %" PRIu64 " (-n draws more)\n",
			limit, count);
}

/* An object, and around it what it refers to and what refers to it, nearest first. */
static int draw_object(struct command *c, FILE *out)
{
	const struct gyre__graph *g = &c->graph;
	unsigned char *chosen = heap_array(g->nodes, 1);
	uint32_t *list = heap_array(g->nodes, sizeof(*list)), node;
	struct gyre__graph_reverse back;
	uint64_t limit = c->limit == 0 ? g->nodes : c->limit, count = 0, at, e;

	if (!heap_find(c, &node)) {
		free(chosen);
		free(list);
		return HEAP_TROUBLE;
	}
	if (!gyre__graph_reverse(g, &back))
		heap_starved();
	list[count++] = node;
	chosen[node] = 1;
	for (at = 0; at < count && count < limit; at++) {
		for (e = back.first[list[at]]; e < back.first[list[at] + 1] && count < limit; e++)
			if (!chosen[back.from[e]]) {
				chosen[back.from[e]] = 1;
				list[count++] = back.from[e];
			}
		for (e = g->first[list[at]]; e < g->first[list[at] + 1] && count < limit; e++)
			if (!chosen[g->to[e]]) {
				chosen[g->to[e]] = 1;
				list[count++] = g->to[e];
			}
	}
	put_chosen(out, g, list, count, chosen, node);
	free(back.first);
	free(back.from);
	free(chosen);
	free(list);
	return HEAP_OK;
}

static int draw_component(struct command *c, FILE *out)
{
	const struct gyre__graph *g = &c->graph;
	unsigned char *chosen = heap_array(g->nodes, 1);
	struct gyre__components found;
	uint64_t count, drawn, i;
	const uint32_t *members;
	int status = HEAP_OK;

	if (!gyre__graph_components(g, &found))
		heap_starved();
	if (c->component > found.count) {
		status = heap_trouble("there is no component %" PRIu64 ", there are %zu",
				      c->component, found.count);
	} else {
		members = found.members + found.first[c->component - 1];
		count = found.first[c->component] - found.first[c->component - 1];
		drawn = c->limit != 0 && c->limit < count ? c->limit : count;
		for (i = 0; i < drawn; i++)
			chosen[members[i]] = 1;
		put_chosen(out, g, members, drawn, chosen, GYRE__NO_NODE);
		say_left_off(count, drawn);
	}
	free(found.first);
	free(found.members);
	free(chosen);
	return status;
}

struct pair {
	uint32_t from, to;
};

static int pair_order(const void *left, const void *right)
{
	const struct pair *a = left, *b = right;

	return a->from != b->from ? (a->from > b->from) - (a->from < b->from)
				  : (a->to > b->to) - (a->to < b->to);
}

/* Types, and how many references lead from the objects of one to those of another. */
static int draw_types(struct command *c, FILE *out)
{
	const struct gyre__graph *g = &c->graph;
	struct pair *pairs = heap_array(g->edges, sizeof(*pairs));
	uint64_t *objects = heap_array(g->types, sizeof(*objects)), e = 0, same;
	uint32_t node, i;

	for (node = 0; node < g->nodes; node++) {
		objects[g->type[node]]++;
		for (e = g->first[node]; e < g->first[node + 1]; e++)
			pairs[e] = (struct pair){ g->type[node], g->type[g->to[e]] };
	}
	qsort(pairs, g->edges, sizeof(*pairs), pair_order);
	for (i = 0; i < g->types; i++) {
		fprintf(out, "\tt%" PRIu32 " [label=\"", i);
		put_label(out, g->type_names[i]);
		fprintf(out, "\\n%" PRIu64 "\"];\n", objects[i]);
	}
	for (e = 0; e < g->edges; e += same) {
		for (same = 1; e + same < g->edges && pair_order(&pairs[e], &pairs[e + same]) == 0;)
			same++;
		fprintf(out, "\tt%" PRIu32 " -> t%" PRIu32 " [label=\"%" PRIu64 "\"];\n",
			pairs[e].from, pairs[e].to, same);
	}
	free(pairs);
	free(objects);
	return HEAP_OK;
}

static int draw(struct command *c, FILE *out)
{
	int status;

	fprintf(out, "digraph heap {\n\tnode [shape=box fontname=\"sans-serif\"];\n");
	if (c->types)
		status = draw_types(c, out);
	else if (c->component != 0)
		status = draw_component(c, out);
	else
		status = draw_object(c, out);
	fprintf(out, "}\n");
	return status;
}

/* Has dot make output of the text in the file. */
static int run_dot(FILE *text, const char *output)
{
	char *arguments[] = { "dot", "-Tsvg", "-o", (char *)output, NULL };
	int state = 0, status = HEAP_OK;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child < 0)
		return heap_trouble("no process for dot: %s", strerror(errno));
	if (child == 0) {
		if (lseek(fileno(text), 0, SEEK_SET) == 0 && dup2(fileno(text), STDIN_FILENO) == 0)
			execvp("dot", arguments);
		_exit(errno == ENOENT ? 127 : 126);
	}
	while (waitpid(child, &state, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(state) && WEXITSTATUS(state) == 0)
		return status;
	unlink(output);
	if (WIFEXITED(state) && WEXITSTATUS(state) == 127)
		return heap_trouble("%s is not written: the program dot (of Graphviz) is not "
				    "installed; without -o the text for it is printed",
				    output);
	return heap_trouble("%s is not written: dot failed", output);
}

static bool ends_with(const char *text, const char *end)
{
	size_t a = strlen(text), b = strlen(end);

	return a >= b && strcmp(text + a - b, end) == 0;
}

int heap_graph(struct command *c)
{
	bool svg = c->output != NULL && ends_with(c->output, ".svg");
	FILE *out = c->output == NULL ? stdout : svg ? tmpfile() : fopen(c->output, "w");
	int status;

	if ((c->object != NULL) + (c->component != 0) + c->types != 1)
		status = heap_trouble("graph draws one of OBJECT, --component N and --types");
	else if (out == NULL)
		return heap_trouble("%s: %s", c->output, strerror(errno));
	else
		status = draw(c, out);
	if (c->output == NULL)
		return status;
	if (status == HEAP_OK && (fflush(out) != 0 || ferror(out)))
		status = heap_trouble("%s: %s", c->output, strerror(errno));
	if (status == HEAP_OK && svg)
		status = run_dot(out, c->output);
	fclose(out);
	if (status != HEAP_OK && !svg)
		unlink(c->output);
	return status;
}
