/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * print.h: text out of a dump on its way to a terminal or a drawing. One thread.
 *
 * Invariant: no control character of a name gets through.
 */
#ifndef GYRE_HEAP_PRINT_H
#define GYRE_HEAP_PRINT_H

#include <stdio.h>

void heap_print_text(FILE *out, const char *text);

#endif
