/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sample.h: asking a heap that is served (gyre/serve.h) what it is like. One thread.
 *
 * A sample is the text of the answers and what was found in it; names point into the text.
 */
#ifndef GYRE_HEAP_SAMPLE_H
#define GYRE_HEAP_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sample_type {
	uint64_t objects, bytes, allocated, allocated_bytes, by_count, by_cycle;
	const char *name;
};

struct sample_delay {
	char cause[16];
	uint64_t count, total_ns, p50_ns, p99_ns, p999_ns, max_ns;
};

#define SAMPLE_DELAYS 8

struct sample {
	uint64_t at_ns;
	char *text;
	const char *stats; /* lines: name, value */
	struct sample_type *types; /* the first registered is the last */
	size_t types_count;
	struct sample_delay delays[SAMPLE_DELAYS];
	size_t delays_count;
};

/* The path of the socket of a heap: what itself is one, or the process of that number by the naming
 * rule. False: it was not found; why is said. */
bool sample_find(const char *what, char *path, size_t bytes, char *why, size_t why_bytes);

/* Sends a request and takes all that is answered, which the caller frees. NULL: why is said. */
char *sample_ask(const char *path, const char *request, char *why, size_t why_bytes);

/* Takes a sample, in place of what was in it. False: why is said, and it is empty. */
bool sample_take(struct sample *sample, const char *path, char *why, size_t why_bytes);
void sample_free(struct sample *sample);

/* A figure by name; 0: there is none. */
uint64_t sample_figure(const struct sample *sample, const char *name);
/* The same of a word, copied; "" if there is none. */
void sample_word(const struct sample *sample, const char *name, char *word, size_t bytes);

#endif
