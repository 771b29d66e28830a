/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text.h: text on its way out, gathered into pieces of some hundred bytes. Any thread, one at a
 * time. Takes no memory.
 *
 * Invariant: once the writer has refused a piece it is not called again.
 */
#ifndef GYRE_SERVE_TEXT_H
#define GYRE_SERVE_TEXT_H

#include <gyre/serve.h>

#define GYRE_TEXT_PIECE 512

struct gyre__text {
	gyre_write_fn write;
	void *arg;
	bool refused;
	size_t used;
	char piece[GYRE_TEXT_PIECE];
};

static inline void gyre__text_init(struct gyre__text *text, gyre_write_fn write, void *arg)
{
	text->write = write;
	text->arg = arg;
	text->refused = false;
	text->used = 0;
}

/* Hands on what has been gathered. False if anything was refused. */
bool gyre__text_flush(struct gyre__text *text);

void gyre__text_put(struct gyre__text *text, const char *string);
void gyre__text_char(struct gyre__text *text, char c);
void gyre__text_number(struct gyre__text *text, uint64_t n);
/* Nanoseconds as seconds with nine digits behind the point, which no locale changes. */
void gyre__text_seconds(struct gyre__text *text, uint64_t ns);

/*
 * A name that a program has given, as UTF-8 without line ends: backslash, quote and line feed as
 * Prometheus has them in a label, other control characters and bytes that are no UTF-8 as "?".
 */
void gyre__text_name(struct gyre__text *text, const char *name);

#endif
