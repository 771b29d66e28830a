/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.h: what happens when a promise is broken. Any thread.
 *
 * Misuse by the host is detected in builds with the option checks and ends the process with a line
 * that says what was done wrong; other builds do not look, or answer with a status. GYRE_ASSERT
 * guards gyre's own invariants in the same builds.
 */
#ifndef GYRE_CHECK_H
#define GYRE_CHECK_H

/* Prints "gyre: misuse: ..." or "gyre: broken: ..." on stderr and aborts. */
__attribute__((noreturn, format(printf, 1, 2))) void gyre__misuse(const char *format, ...);
__attribute__((noreturn)) void gyre__broken(const char *what, const char *file, int line);

#if defined(GYRE_CHECKS) && GYRE_CHECKS
#define GYRE_CHECKED 1
#define GYRE_ASSERT(condition)                                                                     \
	((condition) ? (void)0 : gyre__broken(#condition, __FILE__, __LINE__))
#else
#define GYRE_CHECKED 0
#define GYRE_ASSERT(condition) ((void)sizeof(condition))
#endif

#endif
