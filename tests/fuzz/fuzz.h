/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz.h: what a fuzz target is: one function, which libFuzzer calls with inputs that it makes up,
 * and replay.c with those of the corpus. It may keep state between calls but not depend on it.
 */
#ifndef GYRE_TESTS_FUZZ_H
#define GYRE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Returns 0; aborts on what is wrong. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

#endif
