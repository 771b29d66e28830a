/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics.h: reading metrics as a scraper would: whether a text keeps to the format, and the value
 * of a sample. Any thread.
 */
#ifndef GYRE_TESTS_METRICS_H
#define GYRE_TESTS_METRICS_H

#include "support.h"

struct metrics_text {
	size_t length;
	char bytes[256 << 10];
};

static inline bool metrics_take(void *arg, const char *text, size_t bytes)
{
	struct metrics_text *all = (struct metrics_text *)arg;

	expect(bytes > 0 && all->length + bytes < sizeof(all->bytes));
	memcpy(all->bytes + all->length, text, bytes);
	all->length += bytes;
	all->bytes[all->length] = 0;
	return true;
}

/* The value of the one sample that begins so: name, labels and a blank. */
static inline const char *metrics_value(const char *text, const char *series)
{
	const char *found = strstr(text, series);

	while (found != NULL && found != text && found[-1] != '\n')
		found = strstr(found + 1, series);
	if (found == NULL)
		fprintf(stderr, "there is no sample %s\n", series);
	expect(found != NULL);
	return found + strlen(series);
}

static inline uint64_t metrics_number(const char *text, const char *series)
{
	const char *value = metrics_value(text, series);
	char *end;
	uint64_t number = strtoull(value, &end, 10);

	expect(end > value && *end == '\n');
	return number;
}

/* Of a value in seconds. */
static inline uint64_t metrics_ns(const char *text, const char *series)
{
	const char *value = metrics_value(text, series);
	char *point, *end;
	uint64_t seconds = strtoull(value, &point, 10), ns;

	expect(point > value && *point == '.');
	ns = strtoull(point + 1, &end, 10);
	expect(end == point + 10 && *end == '\n');
	return seconds * UINT64_C(1000000000) + ns;
}

/* Whether what stands before the value of a line has stood in a line before it. */
static inline bool metrics_repeated(const char *text, const char *line, size_t length)
{
	const char *at;

	for (at = text; at < line; at = strchr(at, '\n') + 1)
		if (strncmp(at, line, length) == 0)
			return true;
	return false;
}

/* A sample belongs to the metric whose TYPE line came last, and its value is a number. */
static inline void metrics_sample(const char *line, const char *metric)
{
	size_t length = strlen(metric);
	const char *value = NULL, *at;
	bool quoted = false;
	char *end;

	expect(length > 0 && strncmp(line, metric, length) == 0);
	line += length;
	if (strncmp(line, "_sum{", 5) == 0 || strncmp(line, "_count{", 7) == 0)
		line = strchr(line, '{');
	expect(line[0] == '{');
	for (at = line; *at != '\n' && value == NULL; at++) {
		if (quoted && *at == '\\')
			at++;
		else if (*at == '"')
			quoted = !quoted;
		else if (!quoted && *at == '}')
			value = at + 1;
	}
	expect(value != NULL && *value == ' ');
	strtod(value + 1, &end);
	expect(end > value + 1 && *end == '\n');
}

/* The whole text. Gives the number of samples. */
static inline unsigned metrics_check(const char *text)
{
	char metric[128] = "", helped[128] = "", kind[16];
	unsigned samples = 0;
	const char *line;

	expect(text[0] && text[strlen(text) - 1] == '\n');
	for (line = text; *line; line = strchr(line, '\n') + 1) {
		if (strncmp(line, "# HELP ", 7) == 0) {
			expect(sscanf(line, "# HELP %127s", helped) == 1);
			expect(!metrics_repeated(text, line, 8 + strlen(helped)));
		} else if (line[0] == '#') {
			expect(sscanf(line, "# TYPE %127s %15s", metric, kind) == 2);
			expect(strcmp(metric, helped) == 0);
			expect(strcmp(kind, "counter") == 0 || strcmp(kind, "gauge") == 0 ||
			       strcmp(kind, "summary") == 0);
		} else {
			metrics_sample(line, metric);
			/* Up to the last blank: name and labels. */
			size_t length = (size_t)(strchr(line, '\n') - line);

			while (line[length] != ' ')
				length--;
			expect(!metrics_repeated(text, line, length + 1));
			samples++;
		}
	}
	return samples;
}

#endif
