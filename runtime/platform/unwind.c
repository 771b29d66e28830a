/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * unwind.c: backtraces by the compiler's unwinder, names by the dynamic linker, mappings by the
 * kernel's list of them. Any thread. See unwind.h.
 */
#include "unwind.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

/* Frames of gyre's own between the unwinder and the host, at most. */
#define OWN_FRAMES 8

struct walk {
	const void **frames;
	const void *from;
	unsigned room, count, own;
	bool found;
};

static _Unwind_Reason_Code visit_frame(struct _Unwind_Context *context, void *arg)
{
	struct walk *walk = arg;
	const void *at = (const void *)_Unwind_GetIP(context);

	if (at == NULL)
		return _URC_END_OF_STACK;
	if (!walk->found) {
		walk->found = at == walk->from;
		if (walk->found)
			walk->count = 0;
		else if (++walk->own == OWN_FRAMES)
			walk->found = true; /* what was kept so far stays */
	}
	walk->frames[walk->count++] = at;
	return walk->count == walk->room ? _URC_END_OF_STACK : _URC_NO_REASON;
}

unsigned gyre__unwind(const void **frames, unsigned room, const void *from)
{
	struct walk walk = { .frames = frames, .from = from, .room = room };

	_Unwind_Backtrace(visit_frame, &walk);
	return walk.count;
}

struct gyre__symbol gyre__symbol_of(const void *address)
{
	struct gyre__symbol symbol = { .offset = (uintptr_t)address };
	Dl_info info;

	if (dladdr(address, &info) == 0)
		return symbol;
	symbol.file = info.dli_fname;
	symbol.function = info.dli_sname;
	symbol.offset -= (uintptr_t)(info.dli_sname != NULL ? info.dli_saddr : info.dli_fbase);
	return symbol;
}

/* One line of the list: "start-end perms offset device inode  path". True to go on. */
static bool take_line(const char *line, bool (*visit)(const struct gyre__mapping *, void *),
		      void *arg)
{
	struct gyre__mapping mapping;
	char permissions[5];
	int path = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n", &mapping.start,
		   &mapping.end, permissions, &mapping.offset, &path) < 4)
		return true;
	if (permissions[2] != 'x')
		return true;
	mapping.file = line + path;
	return visit(&mapping, arg);
}

bool gyre__mappings_each(bool (*visit)(const struct gyre__mapping *mapping, void *arg), void *arg)
{
	char text[PATH_MAX + 256];
	size_t held = 0;
	ssize_t got;
	bool on = true;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	do {
		char *line = text, *end;

		got = read(fd, text + held, sizeof(text) - held);
		if (got < 0 && errno == EINTR)
			continue;
		held += got > 0 ? (size_t)got : 0;
		while (on && (end = memchr(line, '\n', held - (size_t)(line - text))) != NULL) {
			*end = 0;
			on = take_line(line, visit, arg);
			line = end + 1;
		}
		held -= (size_t)(line - text);
		memmove(text, line, held);
		/* No path is as long as that: what is there is no line. */
		if (held == sizeof(text))
			held = 0;
	} while (on && got != 0 && (got > 0 || errno == EINTR));
	close(fd);
	return on && got == 0;
}
