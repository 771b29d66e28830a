/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tsan.h: what the sanitizers must be told. Any thread; every macro is empty in a build without
 * them.
 *
 * ThreadSanitizer sees neither inline assembly nor what liburcu and Concurrency Kit do inside. The
 * rules: an annotation names the narrowest address there is (one chunk, never the ring it travels
 * in), and each has a test in tests/tsan/ that removes the synchronisation and must be reported.
 */
#ifndef GYRE_PLATFORM_TSAN_H
#define GYRE_PLATFORM_TSAN_H

#if defined(__SANITIZE_THREAD__)
#define GYRE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GYRE_TSAN 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#define GYRE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GYRE_ASAN 1
#endif
#endif

#ifdef GYRE_TSAN
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define GYRE_TSAN_IGNORE_BEGIN()                                                                   \
	do {                                                                                       \
		AnnotateIgnoreReadsBegin(__FILE__, __LINE__);                                      \
		AnnotateIgnoreWritesBegin(__FILE__, __LINE__);                                     \
	} while (0)
#define GYRE_TSAN_IGNORE_END()                                                                     \
	do {                                                                                       \
		AnnotateIgnoreWritesEnd(__FILE__, __LINE__);                                       \
		AnnotateIgnoreReadsEnd(__FILE__, __LINE__);                                        \
	} while (0)
#define GYRE_TSAN_ACQUIRE(address) __tsan_acquire(address)
#define GYRE_TSAN_RELEASE(address) __tsan_release(address)
#else
#define GYRE_TSAN_IGNORE_BEGIN() ((void)0)
#define GYRE_TSAN_IGNORE_END() ((void)0)
#define GYRE_TSAN_ACQUIRE(address) ((void)(address))
#define GYRE_TSAN_RELEASE(address) ((void)(address))
#endif

#ifdef GYRE_ASAN
#include <sanitizer/asan_interface.h>
#define GYRE_ASAN_MATTERS 1
#define GYRE_ASAN_POISON(address, bytes) ASAN_POISON_MEMORY_REGION(address, bytes)
#define GYRE_ASAN_UNPOISON(address, bytes) ASAN_UNPOISON_MEMORY_REGION(address, bytes)
#else
#define GYRE_ASAN_MATTERS 0
#define GYRE_ASAN_POISON(address, bytes) ((void)(address), (void)(bytes))
#define GYRE_ASAN_UNPOISON(address, bytes) ((void)(address), (void)(bytes))
#endif

#endif
