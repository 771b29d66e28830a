/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics.h: the metrics of a heap as part of a longer text. Any thread.
 */
#ifndef GYRE_SERVE_METRICS_H
#define GYRE_SERVE_METRICS_H

#include <gyre/gyre.h>

struct gyre__text;

/* Nothing is written unless the answer is GYRE_OK. The caller flushes. */
enum gyre_status gyre__metrics_put(struct gyre__text *out, struct gyre_heap *heap);

#endif
