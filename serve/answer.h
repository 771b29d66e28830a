/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * answer.h: what is asked of a heap at its socket, and what the answer is. The serving thread.
 *
 * A request is a word, and for some an argument behind a blank. An answer is text in memory, of at
 * most GYRE_ANSWER_MAX bytes, without empty lines; or an error. commands[] in answer.c is the one
 * list of what can be asked.
 */
#ifndef GYRE_SERVE_ANSWER_H
#define GYRE_SERVE_ANSWER_H

#include <gyre/gyre.h>

#include "text.h"

#define GYRE_ANSWER_MAX ((size_t)32 << 20)

struct gyre__answer {
	struct gyre_heap *heap;
	unsigned flags; /* enum gyre_serve_flags */
	struct gyre__text text; /* gathers what bytes is filled with */
	char *bytes;
	size_t length, room;
	const char *lost; /* why not all of it is there; else NULL */
	char error[256];  /* "": none */
	uint64_t ticket;  /* the full collection that it waits for; 0: none */
	uint64_t reclaimed; /* objects, before that */
};

/* Begins anew, of this heap; what there is room for is kept. */
void gyre__answer_begin(struct gyre__answer *answer);
/* Answers a request, or has it wait for a collection. */
void gyre__answer_to(struct gyre__answer *answer, const char *request);
/* Whether the answer is whole, waiting as it may have done. */
bool gyre__answer_done(struct gyre__answer *answer);
/* Gives its memory back. */
void gyre__answer_end(struct gyre__answer *answer);

#endif
