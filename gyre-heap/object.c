/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * object.c: the commands about one object: object, referrers, path, retained. One thread.
 *
 * Invariant: an object that nothing holds is called garbage, and the exit status says so.
 */
#include "command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "search.h"

static void print_line(const struct gyre__graph *g, uint32_t node)
{
	heap_print_node(g, node);
	fputc('\n', stdout);
}

static uint64_t print_holders(const struct gyre__graph *g, uint32_t node)
{
	uint64_t count = 0;
	size_t i;

	for (i = 0; i < g->roots_count; i++) {
		if (g->roots[i].node != node)
			continue;
		count++;
		printf("  ");
		heap_print_holder(g, &g->roots[i]);
		fputc('\n', stdout);
	}
	return count;
}

int heap_object(struct command *c)
{
	const struct gyre__graph *g = &c->graph;
	uint64_t e, shown = 0, count;
	uint32_t node;

	if (!heap_find(c, &node))
		return HEAP_TROUBLE;
	print_line(g, node);
	if (g->counts != NULL)
		printf("count: %" PRIu64 "\n", g->counts[node]);
	printf("held by:\n");
	if (print_holders(g, node) == 0)
		printf("  no root or frame\n");
	count = g->first[node + 1] - g->first[node];
	printf("refers to %" PRIu64 ":\n", count);
	for (e = g->first[node]; e < g->first[node + 1]; e++) {
		if (c->limit != 0 && shown++ == c->limit)
			break;
		printf("  ");
		print_line(g, g->to[e]);
	}
	heap_print_left_off(count, c->limit);
	return HEAP_OK;
}

int heap_referrers(struct command *c)
{
	const struct gyre__graph *g = &c->graph;
	struct gyre__graph_reverse back;
	uint64_t i, count, shown = 0, times;
	uint32_t node;

	if (!heap_find(c, &node))
		return HEAP_TROUBLE;
	if (!gyre__graph_reverse(g, &back))
		heap_starved();
	count = back.first[node + 1] - back.first[node];
	printf("%" PRIu64 " references to ", count);
	print_line(g, node);
	for (i = back.first[node]; i < back.first[node + 1]; i += times) {
		for (times = 1;
		     i + times < back.first[node + 1] && back.from[i + times] == back.from[i];)
			times++;
		if (c->limit != 0 && shown >= c->limit)
			break;
		shown++;
		printf("  ");
		heap_print_node(g, back.from[i]);
		printf(times > 1 ? "  %" PRIu64 " times\n" : "\n", times);
	}
	if (i < back.first[node + 1])
		printf("... and %" PRIu64 " more references (-n 0 shows all)\n",
		       back.first[node + 1] - i);
	print_holders(g, node);
	free(back.first);
	free(back.from);
	return HEAP_OK;
}

int heap_path(struct command *c)
{
	const struct gyre__graph *g = &c->graph;
	uint32_t *path = heap_array(g->nodes, sizeof(*path)), node;
	size_t length, root = 0, i;

	if (!heap_find(c, &node)) {
		free(path);
		return HEAP_TROUBLE;
	}
	if (!gyre__graph_path(g, node, path, &length, &root))
		heap_starved();
	if (length == 0) {
		printf("garbage: no path leads to ");
		print_line(g, node);
	} else {
		heap_print_holder(g, &g->roots[root]);
		fputc('\n', stdout);
	}
	for (i = 0; i < length; i++) {
		printf("  ");
		print_line(g, path[i]);
	}
	free(path);
	return length == 0 ? HEAP_NOTHING : HEAP_OK;
}

int heap_retained(struct command *c)
{
	const struct gyre__graph *g = &c->graph;
	struct heap_retained r;
	uint32_t node;
	int status = HEAP_OK;

	if (!heap_find(c, &node))
		return HEAP_TROUBLE;
	r = heap_dominate(g);
	print_line(g, node);
	if (r.reachable[node]) {
		printf("retains %" PRIu64 " objects, %" PRIu64 " bytes, itself included\n",
		       r.objects[node], r.bytes[node]);
		if (r.idom[node] == GYRE__NO_NODE) {
			printf("dominated by roots only\n");
		} else {
			printf("dominated by ");
			print_line(g, r.idom[node]);
		}
	} else {
		printf("garbage: retains nothing that is reachable\n");
		status = HEAP_NOTHING;
	}
	heap_retained_free(&r);
	return status;
}
