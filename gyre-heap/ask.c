/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ask.c: finding an object, printing one, and what else several commands of gyre-heap need.
 *
 * Invariant: names come from a file that nobody vouches for; no byte of theirs that a terminal
 * would obey is printed.
 */
#include "command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"
#include "search.h"

int heap_trouble(const char *format, ...)
{
	va_list list;

	fflush(stdout);
	fputs("gyre-heap: ", stderr);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputc('\n', stderr);
	return HEAP_TROUBLE;
}

void heap_starved(void)
{
	exit(heap_trouble("no memory"));
}

void *heap_array(uint64_t count, size_t bytes)
{
	void *array = count >= SIZE_MAX ? NULL : calloc((size_t)count + 1, bytes);

	if (array == NULL)
		heap_starved();
	return array;
}

static bool find_address(const struct gyre__graph *g, uint64_t address, uint32_t *node)
{
	for (*node = 0; g->address != NULL && *node < g->nodes; ++*node)
		if (address != 0 && g->address[*node] == address)
			return true;
	return false;
}

bool heap_find(const struct command *c, uint32_t *node)
{
	const char *text = c->object[0] == '#' ? c->object + 1 : c->object;
	bool by_address = strncmp(text, "0x", 2) == 0;
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, by_address ? 16 : 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0) {
		heap_trouble("'%s' is neither the number of an object nor an address (0x...)",
			     c->object);
		return false;
	}
	if (by_address) {
		if (find_address(&c->graph, number, node))
			return true;
		heap_trouble(c->graph.address == NULL
				     ? "this dump has no addresses; name objects by number"
				     : "no object has the address 0x%llx",
			     number);
		return false;
	}
	if (number >= c->graph.nodes) {
		heap_trouble("there is no object %llu, there are %" PRIu32, number, c->graph.nodes);
		return false;
	}
	*node = (uint32_t)number;
	return true;
}

void heap_print_text(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, out);
}

void heap_print_node(const struct gyre__graph *g, uint32_t node)
{
	printf("#%-9" PRIu32 " %10" PRIu64 " bytes  ", node, g->bytes[node]);
	heap_print_text(stdout, g->type_names[g->type[node]]);
	if (g->address != NULL && g->address[node] != 0)
		printf("  at 0x%" PRIx64, g->address[node]);
	if (g->site != NULL && g->site[node] != GYRE__NO_SITE) {
		printf("  from ");
		heap_print_text(stdout, g->site_names[g->site[node]]);
	}
}

void heap_print_holder(const struct gyre__graph *g, const struct gyre__graph_root *root)
{
	const char *name = root->name == UINT32_MAX ? NULL : g->names[root->name];

	if (root->holder == GYRE_HOLDER_ROOT)
		printf("root");
	else if (root->holder == GYRE_HOLDER_FRAME)
		printf(name == NULL ? "frame of a thread" : "frame of thread");
	else
		printf("held otherwise");
	if (name != NULL) {
		fputc(' ', stdout);
		heap_print_text(stdout, name);
	}
	if (root->address != 0)
		printf(" at 0x%" PRIx64, root->address);
}

void heap_print_left_off(uint64_t count, uint64_t limit)
{
	if (limit != 0 && count > limit)
		printf("... and %" PRIu64 " more (-n 0 shows all)\n", count - limit);
}

struct heap_retained heap_dominate(const struct gyre__graph *g)
{
	struct heap_retained r = {
		.idom = heap_array(g->nodes, sizeof(*r.idom)),
		.bytes = heap_array(g->nodes, sizeof(*r.bytes)),
		.objects = heap_array(g->nodes, sizeof(*r.objects)),
		.reachable = heap_array(g->nodes, 1),
	};

	if (!gyre__graph_reach(g, UINT64_MAX, r.reachable) ||
	    !gyre__graph_dominators(g, r.idom, r.bytes, r.objects))
		heap_starved();
	return r;
}

void heap_retained_free(struct heap_retained *r)
{
	free(r->idom);
	free(r->bytes);
	free(r->objects);
	free(r->reachable);
}
