/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * answer.c: the commands. See answer.h. The serving thread.
 *
 * Invariant: nothing here waits for a mutator but a dump. Who asks for a collection is answered
 * when it has ended, and others meanwhile.
 */
#include "answer.h"

#include <errno.h>
#include <fcntl.h>
#include <gyre/snapshot.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "figures.h"
#include "heap.h"
#include "metrics.h"
#include "mutator.h"
#include "to_collector.h"

struct command {
	const char *name, *argument, *help;
	bool acts; /* does more than look */
	void (*run)(struct gyre__answer *answer, const char *argument);
};

__attribute__((format(printf, 2, 3))) static void fail(struct gyre__answer *a, const char *format,
						       ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(a->error, sizeof(a->error), format, arguments);
	va_end(arguments);
}

static bool take(void *arg, const char *text, size_t bytes)
{
	struct gyre__answer *a = arg;

	if (a->length + bytes > GYRE_ANSWER_MAX) {
		a->lost = "the answer is too long";
		return false;
	}
	if (a->length + bytes > a->room) {
		size_t room = a->room == 0 ? 8192 : a->room * 2;
		char *more = realloc(a->bytes, room); /* a piece is less than what is added */

		if (more == NULL) {
			a->lost = "out of memory"; /* rare: answer without memory */
			return false;
		}
		a->bytes = more;
		a->room = room;
	}
	memcpy(a->bytes + a->length, text, bytes);
	a->length += bytes;
	return true;
}

static void put_numbers(struct gyre__text *out, const uint64_t *numbers, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		gyre__text_char(out, ' ');
		gyre__text_number(out, numbers[i]);
	}
}

static void metrics(struct gyre__answer *a, const char *argument)
{
	(void)argument;
	gyre__metrics_put(&a->text, a->heap);
}

static void put_figures(struct gyre__text *out, const struct gyre__figure *f, const char *after,
			const void *stats)
{
	for (; f->name != NULL; f++) {
		gyre__text_put(out, f->name);
		gyre__text_put(out, after);
		gyre__text_char(out, ' ');
		gyre__text_number(out, gyre__figure_of(f, stats));
		gyre__text_char(out, '\n');
	}
}

static void stats(struct gyre__answer *a, const char *argument)
{
	struct gyre_stats s = { .size = sizeof(s) };

	(void)argument;
	gyre_heap_stats(a->heap, &s);
	gyre__text_put(&a->text, "heap ");
	gyre__text_name(&a->text, a->heap->name);
	gyre__text_put(&a->text, "\npid ");
	gyre__text_number(&a->text, (uint64_t)getpid());
	gyre__text_put(&a->text, "\nengine ");
	gyre__text_put(&a->text, s.engine);
	gyre__text_put(&a->text, gyre_is_enabled(a->heap) ? "\nenabled 1\n" : "\nenabled 0\n");
	put_figures(&a->text, gyre__heap_figures, "", &s);
	put_figures(&a->text, gyre__phase_figures, "_ns", &s);
}

static void types(struct gyre__answer *a, const char *argument)
{
	struct gyre_type_stats s = { .size = sizeof(s) };
	const struct gyre_type *type;

	(void)argument;
	for (type = gyre_type_next(a->heap, NULL); type != NULL && !a->text.refused;
	     type = gyre_type_next(a->heap, type)) {
		gyre_type_stats(type, &s);
		gyre__text_put(&a->text, "type");
		put_numbers(&a->text,
			    (const uint64_t[]){ s.objects_live, s.bytes_live, s.objects_allocated,
						s.bytes_allocated, s.reclaimed_by_count,
						s.reclaimed_by_cycle },
			    6);
		gyre__text_char(&a->text, ' ');
		gyre__text_name(&a->text, s.name);
		gyre__text_char(&a->text, '\n');
	}
}

static void delays(struct gyre__answer *a, const char *argument)
{
	struct gyre_stats s = { .size = sizeof(s) };
	int cause;

	(void)argument;
	gyre_heap_stats(a->heap, &s);
	for (cause = 0; cause < GYRE_DELAY_COUNT; cause++) {
		const struct gyre_delays *d = &s.delays[cause];

		gyre__text_put(&a->text, gyre_delay_name((enum gyre_delay)cause));
		put_numbers(&a->text,
			    (const uint64_t[]){ d->count, d->total_ns, d->p50_ns, d->p99_ns,
						d->p999_ns, d->max_ns },
			    6);
		gyre__text_char(&a->text, '\n');
	}
}

static void collect(struct gyre__answer *a, const char *argument)
{
	(void)argument;
	a->reclaimed = gyre__counter_get(&a->heap->counted.objects_reclaimed);
	a->ticket = gyre__collector_ask(a->heap);
}

/* A mutator of gyre's own, so that the heap is not busy by it. */
static enum gyre_status dump_to(struct gyre_heap *heap, int fd)
{
	struct gyre_mutator *m;
	enum gyre_status status = gyre__attach(heap, 0, true, &m);

	if (status != GYRE_OK)
		return status;
	status = gyre_dump(m, fd);
	gyre_detach(m);
	return status;
}

/* A file that is there already is not written to, whoever's it is. */
static void dump(struct gyre__answer *a, const char *argument)
{
	enum gyre_status status;
	char path[512];
	int fd;

	if (strlen(argument) >= sizeof(path)) {
		fail(a, "the path is too long");
		return;
	}
	if (*argument)
		snprintf(path, sizeof(path), "%s", argument);
	else
		snprintf(path, sizeof(path), "/tmp/gyre-%ld-%llu.heap", (long)getpid(),
			 (unsigned long long)gyre__now_ns());
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		fail(a, "%s: %s", path, strerror(errno));
		return;
	}
	status = dump_to(a->heap, fd);
	if (close(fd) != 0 && status == GYRE_OK)
		status = GYRE_LIMIT;
	if (status == GYRE_OK) {
		gyre__text_put(&a->text, "dumped ");
		gyre__text_name(&a->text, path);
		gyre__text_char(&a->text, '\n');
	} else {
		unlink(path);
		fail(a, "%s: %s", path, gyre_status_text(status));
	}
}

static void help(struct gyre__answer *a, const char *argument);

static const struct command commands[] = {
	{ "metrics", "", "all figures as metrics of Prometheus", false, metrics },
	{ "stats", "", "figures of the heap: name, value", false, stats },
	{ "types", "",
	  "of each type: objects and bytes live, objects and bytes allocated, objects reclaimed by "
	  "count and by cycle, name",
	  false, types },
	{ "delays", "", "of each cause: count, ns in all, of 50, 99 and 99.9 %, longest", false,
	  delays },
	{ "collect", "", "a full collection; answered when it has ended", true, collect },
	{ "dump", " [PATH]", "writes the object graph to a new file", true, dump },
	{ "help", "", "this list", false, help },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help(struct gyre__answer *a, const char *argument)
{
	size_t i;

	(void)argument;
	for (i = 0; i < COMMANDS; i++) {
		gyre__text_put(&a->text, commands[i].name);
		gyre__text_put(&a->text, commands[i].argument);
		gyre__text_put(&a->text, ": ");
		gyre__text_put(&a->text, commands[i].help);
		gyre__text_char(&a->text, '\n');
	}
}

void gyre__answer_begin(struct gyre__answer *answer)
{
	gyre__text_init(&answer->text, take, answer);
	answer->length = 0;
	answer->lost = NULL;
	answer->error[0] = 0;
	answer->ticket = 0;
}

static const struct command *find(const char *word, size_t length)
{
	size_t i;

	for (i = 0; i < COMMANDS; i++)
		if (strlen(commands[i].name) == length &&
		    memcmp(commands[i].name, word, length) == 0)
			return &commands[i];
	return NULL;
}

void gyre__answer_to(struct gyre__answer *answer, const char *request)
{
	size_t length = strcspn(request, " ");
	const struct command *command = find(request, length);
	const char *argument = request + length + strspn(request + length, " ");

	gyre__answer_begin(answer);
	if (command == NULL)
		fail(answer, "there is no such request; try help");
	else if (command->acts && (answer->flags & GYRE_SERVE_READ_ONLY))
		fail(answer, "%s: the heap is served for looking only", command->name);
	else if (*argument && !command->argument[0])
		fail(answer, "%s takes no argument", command->name);
	else
		command->run(answer, argument);
}

static bool collected(struct gyre__answer *a)
{
	enum gyre_status status;

	if (!gyre__collector_answers(a->heap, a->ticket, &status))
		return false;
	a->ticket = 0;
	if (status != GYRE_OK) {
		fail(a, "collect: %s", gyre_status_text(status));
		return true;
	}
	gyre__text_put(&a->text, "reclaimed ");
	gyre__text_number(&a->text,
			  gyre__counter_get(&a->heap->counted.objects_reclaimed) - a->reclaimed);
	gyre__text_char(&a->text, '\n');
	return true;
}

bool gyre__answer_done(struct gyre__answer *answer)
{
	if (answer->ticket != 0 && !collected(answer))
		return false;
	if (!gyre__text_flush(&answer->text))
		fail(answer, "%s", answer->lost);
	return true;
}

void gyre__answer_end(struct gyre__answer *answer)
{
	free(answer->bytes);
	answer->bytes = NULL;
	answer->room = answer->length = 0;
}
