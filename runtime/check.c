/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.c: the last words of a process that broke a promise. See check.h. Any thread.
 */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void gyre__misuse(const char *format, ...)
{
	va_list arguments;
	char text[256];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fprintf(stderr, "gyre: misuse: %s\n", text);
	abort();
}

void gyre__broken(const char *what, const char *file, int line)
{
	fprintf(stderr, "gyre: broken: %s (%s:%d)\n", what, file, line);
	abort();
}
