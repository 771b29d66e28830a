/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * calls.h: what the benchmark calls of an allocator of C. Every allocator is called through such a
 * table, glibc's as well, so that each pays for one indirect call.
 */
#ifndef BENCH_CALLS_H
#define BENCH_CALLS_H

#include <stddef.h>

struct micro_calls {
	void *(*take)(size_t bytes);
	void *(*take_zeroed)(size_t bytes);
	void (*give)(void *cell);
};

#endif
