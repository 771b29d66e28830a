/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mimalloc.c: mimalloc's calls as a table, in a module of its own, so that the malloc which its
 * library brings along stays out of the program that opens the module. Holds no state.
 */
#include "calls.h"

#include <mimalloc.h>

extern const struct micro_calls micro_mimalloc_calls;

__attribute__((visibility("default"))) const struct micro_calls micro_mimalloc_calls = {
	.take = mi_malloc,
	.take_zeroed = mi_zalloc,
	.give = mi_free,
};
