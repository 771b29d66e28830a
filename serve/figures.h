/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * figures.h: every figure of a heap and of a type once: its name, where it is, what kind of figure
 * it is and what it says. Both the metrics and the answers of the socket are made from these lists.
 * Constants.
 */
#ifndef GYRE_SERVE_FIGURES_H
#define GYRE_SERVE_FIGURES_H

#include <stddef.h>
#include <stdint.h>

enum gyre__figure_kind {
	GYRE_COUNTER, /* never gets less */
	GYRE_GAUGE,
	GYRE_COUNTER_NS, /* the same of times */
	GYRE_GAUGE_NS,
};

struct gyre__figure {
	const char *name; /* of the field; those of times end with _ns */
	size_t offset;
	enum gyre__figure_kind kind;
	const char *help;
};

/* Of struct gyre_stats, but for delays and engine; those of struct gyre_type_stats; and the phases
 * of the collector. An entry without a name ends each. */
extern const struct gyre__figure gyre__heap_figures[], gyre__type_figures[], gyre__phase_figures[];

/* The value in a struct gyre_stats or struct gyre_type_stats. */
static inline uint64_t gyre__figure_of(const struct gyre__figure *figure, const void *stats)
{
	return *(const uint64_t *)((const char *)stats + figure->offset);
}

#endif
