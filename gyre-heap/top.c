/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top.c: gyre-heap top: a heap that is served (gyre/serve.h), as it changes: its types, the pauses
 * of its mutators, what its collector does. One thread; on a terminal, by termios and the control
 * sequences of ECMA-48 alone.
 *
 * Invariants: the terminal is as it was on every way out but SIGKILL; nothing that the other end
 * sends reaches the terminal as a control character.
 */
#include "top.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "sample.h"

struct top {
	char path[512];
	double seconds; /* between two samples */
	int rows;       /* of types; 0: as many as there is room for */
	bool once;
	char order; /* b: by bytes, o: by objects, g: by growth */
	struct sample before, now;
	char said[512]; /* the last line of the screen: what became of a request */
	int width, height;
};

/* A type and how it has changed since the last sample. */
struct row {
	const struct sample_type *type;
	double growth, born; /* bytes a second, objects a second */
};

static atomic_int ended; /* a signal asks for the end */

static void on_signal(int number)
{
	atomic_store(&ended, number);
}

/* What comes from the other end, for a terminal: no more than room columns, and no control
 * characters, be they of ASCII or of ISO 6429 in UTF-8. */
static void put_name(const char *name, int room)
{
	const unsigned char *s = (const unsigned char *)name;
	int columns = 0;

	for (; *s; s++) {
		bool first = (*s & 0xc0) != 0x80;

		if (first && ++columns > room)
			return;
		if (*s < ' ' || *s == 127 || (*s == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0)) {
			putchar('?');
			s += *s == 0xc2;
		} else {
			putchar(*s);
		}
	}
}

static void end_line(const struct top *top)
{
	fputs(top->once ? "\n" : "\033[K\n", stdout);
}

static const char *bytes_text(double bytes, char *text, size_t room)
{
	static const char units[] = "BKMGTPE";
	double size = bytes < 0 ? -bytes : bytes;
	size_t unit = 0;

	while (size >= 1024 && unit + 2 < sizeof(units)) {
		size /= 1024;
		unit++;
	}
	snprintf(text, room, "%s%.*f%c", bytes < 0 ? "-" : "", unit > 0 && size < 100 ? 1 : 0, size,
		 units[unit]);
	return text;
}

static const char *time_text(uint64_t ns, char *text, size_t room)
{
	if (ns < 10000)
		snprintf(text, room, "%" PRIu64 "ns", ns);
	else if (ns < 10000000)
		snprintf(text, room, "%" PRIu64 "us", ns / 1000);
	else
		snprintf(text, room, "%" PRIu64 "ms", ns / 1000000);
	return text;
}

static double elapsed(const struct top *top)
{
	return top->before.text == NULL ? 0 : (double)(top->now.at_ns - top->before.at_ns) / 1e9;
}

/* A figure's change a second. */
static double rate(const struct top *top, const char *name)
{
	double seconds = elapsed(top);

	if (seconds <= 0)
		return 0;
	return ((double)sample_figure(&top->now, name) -
		(double)sample_figure(&top->before, name)) /
	       seconds;
}

static void put_heap(const struct top *top)
{
	const struct sample *s = &top->now;
	char heap[64], engine[32], live[16], mapped[16], made[16];

	sample_word(s, "heap", heap, sizeof(heap));
	sample_word(s, "engine", engine, sizeof(engine));
	fputs("heap ", stdout);
	put_name(heap, 32);
	printf(", process %" PRIu64 ", engine ", sample_figure(s, "pid"));
	put_name(engine, 16);
	printf(", %" PRIu64 " threads (%" PRIu64 " parked)%s", sample_figure(s, "mutators"),
	       sample_figure(s, "mutators_parked"),
	       sample_figure(s, "enabled") ? "" : ", cycles are not collected");
	end_line(top);
	printf("live %" PRIu64 " objects, %s; mapped %s; allocated %s/s, %.0f objects/s",
	       sample_figure(s, "objects_live"),
	       bytes_text((double)sample_figure(s, "bytes_live"), live, sizeof(live)),
	       bytes_text((double)sample_figure(s, "bytes_mapped"), mapped, sizeof(mapped)),
	       bytes_text(rate(top, "bytes_allocated"), made, sizeof(made)),
	       rate(top, "objects_allocated"));
	end_line(top);
	printf("reclaimed %.0f/s by count, %.0f/s by cycle; %" PRIu64 " finalizers wait",
	       rate(top, "reclaimed_by_count"), rate(top, "reclaimed_by_cycle"),
	       sample_figure(s, "finalizers_waiting"));
	end_line(top);
}

static void put_collector(const struct top *top)
{
	static const char *const phases[] = { "wait", "count", "verdict", "release",
					      "near", "far",   "flush" };
	const struct sample *s = &top->now;
	char name[32];
	size_t i;

	printf("collector %.1f %% CPU, %.0f epochs/s; %" PRIu64 " near, %" PRIu64 " far, %" PRIu64
	       " full; %" PRIu64 " candidates wait; %" PRIu64 " stalls",
	       rate(top, "collector_ns") / 1e7, rate(top, "epochs"),
	       sample_figure(s, "near_passes"), sample_figure(s, "far_passes"),
	       sample_figure(s, "full_collects"), sample_figure(s, "candidates_waiting"),
	       sample_figure(s, "stalls"));
	end_line(top);
	fputs("phases", stdout);
	for (i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		snprintf(name, sizeof(name), "%s_ns", phases[i]);
		printf("  %s %.1f %%", phases[i], rate(top, name) / 1e7);
	}
	end_line(top);
}

static void put_pauses(const struct top *top)
{
	size_t i;

	end_line(top);
	printf("%-12s %10s %10s %10s %10s %10s", "PAUSES", "COUNT", "50 %", "99 %", "99.9 %",
	       "MAX");
	end_line(top);
	for (i = 0; i < top->now.delays_count; i++) {
		const struct sample_delay *d = &top->now.delays[i];
		char times[4][32];

		put_name(d->cause, 12);
		printf("%*s %10" PRIu64 " %10s %10s %10s %10s", 12 - (int)strlen(d->cause), "",
		       d->count, time_text(d->p50_ns, times[0], sizeof(times[0])),
		       time_text(d->p99_ns, times[1], sizeof(times[1])),
		       time_text(d->p999_ns, times[2], sizeof(times[2])),
		       time_text(d->max_ns, times[3], sizeof(times[3])));
		end_line(top);
	}
}

static int by_bytes(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	return (a->type->bytes < b->type->bytes) - (a->type->bytes > b->type->bytes);
}

static int by_objects(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	return (a->type->objects < b->type->objects) - (a->type->objects > b->type->objects);
}

static int by_growth(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	return (a->growth < b->growth) - (a->growth > b->growth);
}

/* Types are told by how many were registered before: the newest come first. */
static void fill_rows(const struct top *top, struct row *rows)
{
	size_t i, now = top->now.types_count, before = top->before.types_count;
	double seconds = elapsed(top);

	for (i = 0; i < now; i++) {
		const struct sample_type *t = &top->now.types[i], *old = NULL;

		rows[i].type = t;
		rows[i].growth = rows[i].born = 0;
		if (now - i <= before)
			old = &top->before.types[before - (now - i)];
		if (seconds <= 0)
			continue;
		rows[i].growth = ((double)t->bytes - (old ? (double)old->bytes : 0)) / seconds;
		rows[i].born =
			((double)t->allocated - (old ? (double)old->allocated : 0)) / seconds;
	}
}

static void put_types(const struct top *top, int room)
{
	size_t count = top->now.types_count, i;
	struct row *rows = calloc(count + 1, sizeof(*rows));

	end_line(top);
	printf("%12s %10s %12s %12s  TYPE (by %s)", "OBJECTS", "BYTES", "GROWTH/S", "BORN/S",
	       top->order == 'o' ? "objects" : top->order == 'g' ? "growth" : "bytes");
	end_line(top);
	if (rows == NULL)
		return;
	fill_rows(top, rows);
	qsort(rows, count, sizeof(*rows),
	      top->order == 'o' ? by_objects : top->order == 'g' ? by_growth : by_bytes);
	for (i = 0; i < count && (int)i < room; i++) {
		char bytes[16], growth[16];

		printf("%12" PRIu64 " %10s %12s %12.0f  ", rows[i].type->objects,
		       bytes_text((double)rows[i].type->bytes, bytes, sizeof(bytes)),
		       bytes_text(rows[i].growth, growth, sizeof(growth)), rows[i].born);
		put_name(rows[i].type->name, top->width - 52);
		end_line(top);
	}
	free(rows);
}

static void draw(struct top *top)
{
	int room = top->height - 10 - (int)top->now.delays_count;

	if (top->rows > 0 && (top->once || top->rows < room))
		room = top->rows;
	if (!top->once)
		fputs("\033[H", stdout);
	put_heap(top);
	put_collector(top);
	put_pauses(top);
	put_types(top, room);
	if (!top->once) {
		fputs("\033[J\n", stdout);
		if (top->said[0])
			put_name(top->said, top->width - 1);
		else
			fputs("sort by b bytes, o objects, g growth; c collect; d dump; q quit",
			      stdout);
		fputs("\033[K", stdout);
	}
	fflush(stdout);
}

static void measure(struct top *top)
{
	struct winsize size;

	top->width = 100;
	top->height = top->once ? 1 << 20 : 24;
	if (top->once || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		return;
	top->width = size.ws_col;
	top->height = size.ws_row;
}

/* Has the heap do something, and keeps what it says. */
static void act(struct top *top, const char *request)
{
	char *text = sample_ask(top->path, request, top->said, sizeof(top->said));

	if (text == NULL)
		return;
	snprintf(top->said, sizeof(top->said), "%.*s",
		 (int)strcspn(strncmp(text, "ok\n", 3) == 0 ? text + 3 : text, "\n"),
		 strncmp(text, "ok\n", 3) == 0 ? text + 3 : text);
	free(text);
}

/* False: the user has had enough. */
static bool take_key(struct top *top, char key)
{
	top->said[0] = 0;
	switch (key) {
	case 'b':
	case 'o':
	case 'g':
		top->order = key;
		return true;
	case 'c':
		act(top, "collect\n");
		return true;
	case 'd':
		act(top, "dump\n");
		return true;
	case 'q':
		return false;
	default:
		return true;
	}
}

/* Waits for the next sample's time. False: the end. */
static bool take_keys(struct top *top)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	char key;

	if (poll(&input, 1, (int)(top->seconds * 1000)) <= 0)
		return atomic_load(&ended) == 0;
	return read(STDIN_FILENO, &key, 1) == 1 && take_key(top, key);
}

static bool next_sample(struct top *top, char *why, size_t why_bytes)
{
	struct sample next = { 0 };

	if (!sample_take(&next, top->path, why, why_bytes))
		return false;
	sample_free(&top->before);
	top->before = top->now;
	top->now = next;
	return true;
}

static bool watch(struct top *top, char *why, size_t why_bytes)
{
	struct termios before, raw;
	bool there = true;

	if (tcgetattr(STDIN_FILENO, &before) != 0 || !isatty(STDOUT_FILENO)) {
		snprintf(why, why_bytes, "this is no terminal; try --once");
		return false;
	}
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VSUSP] = _POSIX_VDISABLE;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGHUP, on_signal);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	fputs("\033[?1049h\033[?25l", stdout);
	do {
		measure(top);
		draw(top);
	} while (take_keys(top) && (there = next_sample(top, why, why_bytes)));
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	return there;
}

static int usage(const char *program)
{
	fprintf(stderr,
		"usage: %s [--once] [-d SECONDS] [-n TYPES] [-s b|o|g] PID|SOCKET\n"
		"  PID      a process that serves a heap where it does by default\n"
		"  SOCKET   the path of a socket, or @NAME of one without a file\n"
		"  --once   prints one table and ends\n"
		"  -d       seconds between two samples, 0.05 to 3600; default 1\n"
		"  -n       no more types than that\n"
		"  -s       the order of types: by bytes (default), objects, growth\n",
		program);
	return 2;
}

/* False: they are none. */
static bool read_arguments(struct top *top, int argc, char **argv)
{
	static const struct option options[] = { { "once", no_argument, NULL, '1' },
						 { NULL, 0, NULL, 0 } };
	char *end;
	int option;

	optind = 1;
	while ((option = getopt_long(argc, argv, "d:n:s:", options, NULL)) != -1) {
		end = NULL;
		if (option == '1')
			top->once = true;
		else if (option == 'd')
			top->seconds = strtod(optarg, &end);
		else if (option == 'n')
			top->rows = (int)strtol(optarg, &end, 10);
		else if (option == 's' && strlen(optarg) == 1 && strchr("bog", optarg[0]))
			top->order = optarg[0];
		else
			return false;
		if (end != NULL && (*end || end == optarg))
			return false;
	}
	return optind + 1 == argc && top->seconds >= 0.05 && top->seconds <= 3600 && top->rows >= 0;
}

static bool print_once(struct top *top, char *why, size_t why_bytes)
{
	struct timespec rest = { (time_t)top->seconds,
				 (long)((top->seconds - (double)(time_t)top->seconds) * 1e9) };

	nanosleep(&rest, NULL);
	if (!next_sample(top, why, why_bytes))
		return false;
	measure(top);
	draw(top);
	return true;
}

int top_main(int argc, char **argv)
{
	struct top top = { .seconds = 1, .order = 'b' };
	char why[768] = "";
	bool done;

	if (!read_arguments(&top, argc, argv))
		return usage(argv[0]);
	done = sample_find(argv[optind], top.path, sizeof(top.path), why, sizeof(why)) &&
	       next_sample(&top, why, sizeof(why)) &&
	       (top.once ? print_once(&top, why, sizeof(why)) : watch(&top, why, sizeof(why)));
	sample_free(&top.before);
	sample_free(&top.now);
	if (!done)
		fprintf(stderr, "%s: %s\n", argv[0], why);
	return done ? 0 : 1;
}
