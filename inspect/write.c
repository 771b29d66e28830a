/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * write.c: the writer of dumps. Any thread.
 *
 * Invariant: that of write.h. A reader takes any name of 1 to 4,095 bytes without a zero or the end
 * of a line; what of a name is not like that is made so.
 */
#include "write.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME_BYTES_MAX 4095

static void put_names(FILE *file, char kind, char *const *names, uint32_t count)
{
	uint32_t i;
	size_t at;

	for (i = 0; i < count; i++) {
		fprintf(file, "%c ", kind);
		if (names[i][0] == '\0')
			fputc('?', file);
		for (at = 0; names[i][at] != '\0' && at < NAME_BYTES_MAX; at++)
			fputc(names[i][at] == '\n' ? ' ' : names[i][at], file);
		fputc('\n', file);
	}
}

static void put_object(FILE *file, const struct gyre__graph *g, uint32_t node)
{
	uint64_t e;

	fprintf(file, "o %" PRIu32 " %" PRIu64, g->type[node], g->bytes[node]);
	for (e = g->first[node]; e < g->first[node + 1]; e++)
		fprintf(file, " %" PRIu32, g->to[e]);
	fputc('\n', file);
	if (g->address == NULL && g->counts == NULL && g->site == NULL)
		return;
	fprintf(file, "i %" PRIu64 " %" PRIu64, g->address == NULL ? 0 : g->address[node],
		g->counts == NULL ? 0 : g->counts[node]);
	if (g->site != NULL && g->site[node] != GYRE__NO_SITE)
		fprintf(file, " %" PRIu32, g->site[node]);
	fputc('\n', file);
}

static void put_root(FILE *file, const struct gyre__graph_root *root)
{
	static const char kinds[] = {
		[GYRE_HOLDER_ROOT] = 'r',
		[GYRE_HOLDER_FRAME] = 'f',
		[GYRE_HOLDER_OTHER] = 'x',
	};

	fprintf(file, "%c %" PRIu32 " %" PRIu64, kinds[root->holder], root->node, root->address);
	if (root->name != UINT32_MAX)
		fprintf(file, " %" PRIu32, root->name);
	fputc('\n', file);
}

enum gyre_status gyre__graph_write(const struct gyre__graph *g, int fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0), error;
	FILE *file = own < 0 ? NULL : fdopen(own, "w");
	uint32_t node;
	size_t i;
	bool bad;

	if (file == NULL) {
		error = errno;
		if (own >= 0)
			close(own);
		errno = error;
		return error == ENOMEM ? GYRE_NO_MEMORY : GYRE_LIMIT;
	}
	fprintf(file, "heap 2 %" PRIu32 " %zu %zu %" PRIu32 " %" PRIu32 " %" PRIu32 "\n", g->nodes,
		g->edges, g->roots_count, g->types, g->sites, g->names_count);
	put_names(file, 't', g->type_names, g->types);
	put_names(file, 's', g->site_names, g->sites);
	put_names(file, 'n', g->names, g->names_count);
	for (node = 0; node < g->nodes && !ferror(file); node++)
		put_object(file, g, node);
	for (i = 0; i < g->roots_count && !ferror(file); i++)
		put_root(file, &g->roots[i]);
	bad = ferror(file) != 0;
	error = errno;
	if (fclose(file) != 0 && !bad)
		return GYRE_LIMIT;
	errno = error;
	return bad ? GYRE_LIMIT : GYRE_OK;
}
