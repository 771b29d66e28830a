/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probes.h: static probes (USDT), at which a tracer of the system can look into any process that
 * uses the library; docs/probes.md is the list. Any thread.
 *
 * A probe is an instruction that does nothing, and a note in the library that says where it is and
 * where its arguments are: it costs that instruction, and what the arguments take that are not at
 * hand. There are none on fast paths, nor in loops over objects. Where <sys/sdt.h> was missing when
 * the library was built there is nothing at all, and no argument is evaluated.
 */
#ifndef GYRE_PLATFORM_PROBES_H
#define GYRE_PLATFORM_PROBES_H

#ifdef GYRE_PROBES
#include <sys/sdt.h>

#define GYRE_PROBE2(name, a, b) DTRACE_PROBE2(gyre, name, a, b)
#define GYRE_PROBE3(name, a, b, c) DTRACE_PROBE3(gyre, name, a, b, c)
#define GYRE_PROBE5(name, a, b, c, d, e) DTRACE_PROBE5(gyre, name, a, b, c, d, e)
#else
/* Named, so that nothing is unused; not evaluated. */
#define GYRE_PROBE2(name, a, b) ((void)sizeof(a), (void)sizeof(b))
#define GYRE_PROBE3(name, a, b, c) (GYRE_PROBE2(name, a, b), (void)sizeof(c))
#define GYRE_PROBE5(name, a, b, c, d, e)                                                           \
	(GYRE_PROBE3(name, a, b, c), (void)sizeof(d), (void)sizeof(e))
#endif

#endif
